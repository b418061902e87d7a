//! Signatures in XML documents (XML-DSig), judged by the program `xmlsec1`: canonical XML is nothing to write oneself.
//!
//! What a signature covers is checked here first, since a valid signature of something else proves nothing: it must stand in
//! the root element and cover the whole document but itself. The only keys are those of the certificates that are named;
//! what a document says of its own key is not read.
//!
//! What is read afterwards is not the document but the octets that `xmlsec1` digested: two programs may read the same
//! document in two ways, and only one of the readings was signed.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use roxmltree::{Document, Node};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::program::{self, ProgramError};
use loaxa_heart::config::cap::{self, ALERT_BYTES_MAX, CapError, NODES_MAX};
use loaxa_heart::config::xml;
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

const NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Ways to write XML canonically; a transform of another kind could leave out what matters.
const CANONICAL: [&str; 4] = [
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
];
/// Digests that are believed; SHA-1 and MD5 are not, since their collisions can be made.
const DIGESTS: [(&str, Digested); 3] = [
    ("http://www.w3.org/2001/04/xmlenc#sha256", |octets| Sha256::digest(octets).to_vec()),
    ("http://www.w3.org/2001/04/xmldsig-more#sha384", |octets| Sha384::digest(octets).to_vec()),
    ("http://www.w3.org/2001/04/xmlenc#sha512", |octets| Sha512::digest(octets).to_vec()),
];
/// Endings of the names of signature methods that use these digests.
const METHOD_ENDINGS: [&str; 3] = ["-sha256", "-sha384", "-sha512"];
/// Most signatures of a document: its author's, and those of who passes it on.
const SIGNATURES_MAX: usize = 4;
/// Most bytes that `xmlsec1` may answer: canonical XML is seldom longer than what it was made of.
const ANSWER_BYTES_MAX: u64 = 2 * ALERT_BYTES_MAX as u64;
const PATIENCE: Span = Span::secs(10);
/// Marks that `xmlsec1` writes around the octets that it digested.
const DIGESTED_BEGINS: &[u8] = b"== PreDigest data - start buffer:\n";
const DIGESTED_ENDS: &[u8] = b"\n== PreDigest data - end buffer\n";

type Digested = fn(&[u8]) -> Vec<u8>;

/// A reason why a document is not believed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum SignatureError {
    Undecoded(#[from] CapError),
    NotXml(String),
    Count { found: usize },
    Misplaced,
    NotWhole,
    Strange,
    NoProgram(#[from] std::io::Error),
}

impl Say for SignatureError {
    fn say(&self) -> Sentence {
        match self {
            SignatureError::Undecoded(error) => error.say(),
            SignatureError::NotXml(detail) => said!("xml_signature.not_xml", detail),
            SignatureError::Count { found } => said!("xml_signature.count", found, max = SIGNATURES_MAX),
            SignatureError::Misplaced => said!("xml_signature.misplaced"),
            SignatureError::NotWhole => said!("xml_signature.not_whole"),
            SignatureError::Strange => said!("xml_signature.strange"),
            SignatureError::NoProgram(error) => said!("xml_signature.no_program", error),
        }
    }
}

/// A document that was signed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The octets that were signed, in canonical XML, without any signature.
    pub text: String,
    /// The certificates whose keys signed it, by the SHA-256 of their DER form.
    pub signers: BTreeSet<ContentHash>,
}

/// Checks that one of `certificates` (PEM) signed the whole document, whoever else signed it, and gives what was signed.
///
/// # Errors
/// Fails with the reason why the document is not believed.
pub fn verify(document: &[u8], certificates: &[PathBuf]) -> Result<Verified, SignatureError> {
    let document = cap::decode(document)?;
    let mut verified: Option<Verified> = None;
    for candidate in candidates(&document)? {
        for certificate in certificates {
            let Some(octets) = candidate.octets_signed_by(certificate)? else { continue };
            let text = without_signatures(&octets)?;
            let signer = hash_of(certificate)?;
            match &mut verified {
                None => verified = Some(Verified { text, signers: [signer].into() }),
                Some(verified) if verified.text == text => {
                    verified.signers.insert(signer);
                }
                Some(_) => {}
            }
        }
    }
    verified.ok_or(SignatureError::Strange)
}

/// Computes the SHA-256 of a certificate's DER form.
fn hash_of(certificate: &Path) -> Result<ContentHash, SignatureError> {
    let pem = std::fs::read_to_string(certificate)?;
    let inside =
        pem.split_once("-----BEGIN CERTIFICATE-----").and_then(|(_, rest)| rest.split_once("-----END"));
    let base64: Option<String> = inside.map(|(inside, _)| inside.split_whitespace().collect());
    let der = base64.and_then(|base64| BASE64.decode(base64).ok());
    Ok(ContentHash::of(der.as_deref().unwrap_or(pem.as_bytes())))
}

/// A signature that may cover the whole of a document.
struct Candidate {
    document: String,
    /// Place among the document's signatures, from 1.
    place: usize,
    digested: Digested,
    digest: Vec<u8>,
}

/// Finds all signatures that claim to cover the whole, with the document as it is, and as it was before others signed it.
fn candidates(text: &str) -> Result<Vec<Candidate>, SignatureError> {
    let document = parse(text)?;
    let signatures = signatures(&document)?;
    let ranges: Vec<_> = signatures.iter().map(Node::range).collect();
    let mut found = Vec::new();
    for (n, signature) in signatures.iter().enumerate() {
        let Some((digested, digest)) = digest_of_whole(*signature) else { continue };
        found.push(Candidate { document: text.to_owned(), place: n + 1, digested, digest: digest.clone() });
        if ranges.len() > 1 {
            let others = ranges.iter().filter(|range| **range != ranges[n]);
            found.push(Candidate { document: without(text, others), place: 1, digested, digest });
        }
    }
    if found.is_empty() { Err(SignatureError::NotWhole) } else { Ok(found) }
}

fn parse(text: &str) -> Result<Document<'_>, SignatureError> {
    xml::parse(text, NODES_MAX).map_err(|error| SignatureError::NotXml(error.to_string()))
}

fn signatures<'d>(document: &'d Document<'d>) -> Result<Vec<Node<'d, 'd>>, SignatureError> {
    let root = document.root_element();
    let found: Vec<_> = root.descendants().filter(|node| is(node, "Signature")).collect();
    if found.is_empty() || found.len() > SIGNATURES_MAX {
        return Err(SignatureError::Count { found: found.len() });
    }
    match found.iter().all(|signature| signature.parent() == Some(root)) {
        true => Ok(found),
        false => Err(SignatureError::Misplaced),
    }
}

/// Gives the text without these parts, which are in order.
fn without<'r>(text: &str, parts: impl Iterator<Item = &'r Range<usize>>) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut end = 0;
    for part in parts {
        kept.push_str(&text[end..part.start]);
        end = part.end;
    }
    kept + &text[end..]
}

fn without_signatures(octets: &[u8]) -> Result<String, SignatureError> {
    let text = str::from_utf8(octets).map_err(|error| SignatureError::NotXml(error.to_string()))?;
    let document = parse(text)?;
    let root = document.root_element();
    let ranges: Vec<_> =
        root.children().filter(|node| is(node, "Signature")).map(|node| node.range()).collect();
    Ok(without(text, ranges.iter()))
}

/// Gives the digest of a signature's one reference, where that is the whole document but the signature.
fn digest_of_whole(signature: Node<'_, '_>) -> Option<(Digested, Vec<u8>)> {
    let all = |name: &'static str| signature.descendants().filter(move |node| is(node, name));
    let one = |name: &'static str| all(name).next().filter(|_| all(name).count() == 1);
    let algorithm = |node: Node<'_, '_>| node.attribute("Algorithm").unwrap_or_default().to_owned();
    let reference = one("Reference").filter(|reference| reference.attribute("URI") == Some(""))?;
    let known = |transform: Node<'_, '_>| {
        let is_plain = !transform.children().any(|child| child.is_element());
        let algorithm = algorithm(transform);
        is_plain && (algorithm == ENVELOPED || CANONICAL.contains(&algorithm.as_str()))
    };
    let method = algorithm(one("SignatureMethod")?);
    let is_strong = METHOD_ENDINGS.iter().any(|ending| method.ends_with(ending)) || method.ends_with("-MGF1");
    if !is_strong || !reference.descendants().filter(|node| is(node, "Transform")).all(known) {
        return None;
    }
    let named = algorithm(one("DigestMethod")?);
    let (_, digested) = DIGESTS.iter().find(|(name, _)| *name == named)?;
    let digest: String = one("DigestValue")?.text()?.split_whitespace().collect();
    Some((*digested, BASE64.decode(digest).ok()?))
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((NAMESPACE, name))
}

impl Candidate {
    /// Gives the octets that the certificate's key signed; `None` where the signature is not its.
    fn octets_signed_by(&self, certificate: &Path) -> Result<Option<Vec<u8>>, SignatureError> {
        let answer = self.ask_xmlsec1(certificate)?;
        let octets = answer.as_deref().and_then(digested_octets);
        Ok(octets.filter(|octets| (self.digested)(octets) == self.digest).map(<[u8]>::to_vec))
    }

    /// Gives what `xmlsec1` tells of a signature that is valid; `None` where it is not.
    fn ask_xmlsec1(&self, certificate: &Path) -> Result<Option<Vec<u8>>, SignatureError> {
        let place = self.place;
        let signature = format!("/*/*[local-name()='Signature' and namespace-uri()='{NAMESPACE}'][{place}]");
        let mut child = Command::new("xmlsec1")
            // Of what the document says of its key only a name is read, and no name is known here.
            .args(["--verify", "--enabled-key-data", "key-name", "--enabled-reference-uris", "empty"])
            .args(["--store-references", "--print-debug", "--node-xpath", &signature, "--pubkey-cert-pem"])
            .arg(certificate)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let reading = std::thread::spawn(move || {
            let mut answer = Vec::new();
            stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map(|_| answer)
        });
        // A program that ends early says so by its exit code.
        let _ = stdin.write_all(self.document.as_bytes());
        drop(stdin);
        let ended = program::wait(&mut child, PATIENCE);
        let answer = reading.join().expect("reading does not panic")?;
        match ended {
            Ok(()) => Ok(Some(answer)),
            Err(ProgramError::Failed(_)) => Ok(None),
            Err(ProgramError::Run(error)) => Err(error.into()),
            Err(slow @ ProgramError::TooLong(_)) => Err(std::io::Error::other(slow).into()),
        }
    }
}

/// Finds the digested octets in what `xmlsec1` tells. Before them it tells things that a stranger may have written, after
/// them it tells nothing of the document: so the last marks count.
fn digested_octets(answer: &[u8]) -> Option<&[u8]> {
    let last = |mark: &[u8]| answer.windows(mark.len()).rposition(|window| window == mark);
    let begins = last(DIGESTED_BEGINS)? + DIGESTED_BEGINS.len();
    answer.get(begins..last(DIGESTED_ENDS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key with its certificate, and how a document is signed with it: the signature carries the bare key, too.
    struct Signer {
        dir: tempfile::TempDir,
    }

    impl Signer {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let status = Command::new("openssl")
                .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=KTTV"])
                .args(["-keyout", "key.pem", "-out", "certificate.pem"])
                .current_dir(dir.path())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(status.success());
            Self { dir }
        }

        fn certificate(&self) -> PathBuf {
            self.dir.path().join("certificate.pem")
        }

        fn sign(&self, root: &str) -> String {
            self.sign_nth(root, 1)
        }

        /// Signs a document that bears `n - 1` signatures already.
        fn sign_nth(&self, root: &str, n: usize) -> String {
            let template = format!(
                "<Signature xmlns='{NAMESPACE}'><SignedInfo><CanonicalizationMethod Algorithm='{}'/>\
                 <SignatureMethod Algorithm='http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'/>\
                 <Reference URI=''><Transforms><Transform Algorithm='{ENVELOPED}'/></Transforms>\
                 <DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha256'/><DigestValue/></Reference>\
                 </SignedInfo><SignatureValue/><KeyInfo><KeyValue/></KeyInfo></Signature>",
                CANONICAL[2]
            );
            let at = root.rfind("</").unwrap();
            let path = self.dir.path().join("unsigned.xml");
            std::fs::write(&path, format!("{}{template}{}", &root[..at], &root[at..])).unwrap();
            let output = Command::new("xmlsec1")
                .args([
                    "--sign",
                    "--node-xpath",
                    &format!("//*[local-name()='Signature'][{n}]"),
                    "--privkey-pem",
                ])
                .arg(self.dir.path().join("key.pem"))
                .arg(&path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    }

    /// The refusal's words, or none and the signed text holds what was written.
    #[track_caller]
    fn check(document: &str, certificates: &[PathBuf], expected: &str) {
        let found = verify(document.as_bytes(), certificates);
        let said = found.map_or_else(|error| error.to_string(), |_| String::new());
        assert!(if expected.is_empty() { said.is_empty() } else { said.contains(expected) }, "{said:?}");
    }

    #[test]
    fn only_the_whole_document_by_a_known_key_is_believed() {
        let (own, other) = (Signer::new(), Signer::new());
        let text = "<alert xmlns='urn:x'><event>Lu quet</event></alert>";
        let signed = own.sign(text);
        let believed = [other.certificate(), own.certificate()];
        check(&signed, &believed, "");
        // The bare key that the document carries is not its proof.
        check(&signed, &believed[..1], "no certificate");
        check(&signed.replace("Lu quet", "Lu lon"), &believed, "no certificate");
        check(text, &believed, "bears 0");
        let inner = &signed[signed.find("<alert").unwrap()..];
        let wrapped = format!("<alert xmlns='urn:x'><event>Giả</event>{inner}</alert>");
        check(&wrapped, &believed, "not in its root element");
        let elsewhere = signed.replace("URI=\"\"", "URI=\"#a\"");
        check(&elsewhere, &believed, "covers the whole");
        let stripped = signed.replace(ENVELOPED, "http://www.w3.org/TR/1999/REC-xpath-19991116");
        check(&stripped, &believed, "covers the whole");
        let weak = signed
            .replace("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1");
        check(&weak, &believed, "covers the whole");
        check("<!DOCTYPE a><a/>", &believed, "no XML");
        let many =
            format!("{}{}", "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/>".repeat(5), "</alert>");
        check(&signed.replace("</alert>", &many), &believed, "bears 6");
    }

    #[test]
    fn what_was_signed_is_given_and_nothing_else() {
        let own = Signer::new();
        let signed = own.sign("<alert xmlns='urn:x'><!-- nothing --><event>Lũ &#x71;uét</event></alert>");
        let verified = verify(signed.as_bytes(), &[own.certificate()]).unwrap();
        assert_eq!(verified.text, "<alert xmlns=\"urn:x\"><event>Lũ quét</event></alert>");
        assert_eq!(verified.signers, [hash_of(&own.certificate()).unwrap()].into());
        // A stranger's words in an attribute that is not signed do not stand in for the octets.
        let fake = "&lt;alert xmlns=&quot;urn:x&quot;/>&#10;== PreDigest data - end buffer&#10;";
        let id = format!("<Signature Id=\"&#10;== PreDigest data - start buffer:&#10;{fake}\" ");
        let marked = signed.replace("<Signature ", &id);
        assert_eq!(verify(marked.as_bytes(), &[own.certificate()]).unwrap(), verified);
    }

    #[test]
    fn utf_16_is_verified_as_it_is_read() {
        let own = Signer::new();
        let signed = own.sign("<alert xmlns='urn:x'><event>Lũ quét</event></alert>");
        let signed = signed[signed.find("<alert").unwrap()..].to_owned();
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let marked = utf16(&format!("\u{feff}<?xml version='1.0' encoding='UTF-16'?>{signed}"));
        assert!(verify(&marked, &[own.certificate()]).unwrap().text.contains("Lũ quét"));
        for encoding in ["UTF-7", "ISO-8859-1", "UTF-16"] {
            let declared = format!("<?xml version='1.0' encoding='{encoding}'?>{signed}");
            check(&declared, &[own.certificate()], "is written in");
        }
    }

    #[test]
    fn any_named_signer_suffices_whoever_else_signed() {
        let (author, relay, stranger) = (Signer::new(), Signer::new(), Signer::new());
        let hash = |signer: &Signer| hash_of(&signer.certificate()).unwrap();
        let by_author = author.sign("<alert xmlns='urn:x'><event>Lu quet</event></alert>");
        let by_both = relay.sign_nth(&by_author[by_author.find("<alert").unwrap()..], 2);
        let check_signers = |document: &str, named: &[&Signer], expected: &[&Signer]| {
            let named: Vec<_> = named.iter().map(|signer| signer.certificate()).collect();
            let verified = verify(document.as_bytes(), &named).unwrap();
            assert_eq!(verified.signers, expected.iter().map(|signer| hash(signer)).collect());
            assert_eq!(verified.text, "<alert xmlns=\"urn:x\"><event>Lu quet</event></alert>");
        };
        check_signers(&by_both, &[&relay], &[&relay]);
        check_signers(&by_both, &[&author], &[&author]);
        check_signers(&by_both, &[&stranger, &author, &relay], &[&author, &relay]);
        check(&by_both, &[stranger.certificate()], "no certificate");
        check(
            &by_both.replace("Lu quet", "Lu lon"),
            &[author.certificate(), relay.certificate()],
            "no certificate",
        );
        let world = |name: &str| PathBuf::from(format!("../../tests/fixtures/cap/world/{name}"));
        let document = std::fs::read(world("two_signatures_naad.xml")).unwrap();
        for name in ["two_signatures_first.pem", "two_signatures_second.pem"] {
            assert_eq!(verify(&document, &[world(name)]).unwrap().signers.len(), 1, "{name}");
        }
    }

    #[test]
    fn a_genuine_alert_behind_another_encoding_is_refused() {
        let world = |name: &str| PathBuf::from(format!("../../tests/fixtures/cap/world/{name}"));
        let rewritten = std::fs::read(world("cap-signed-alert-rewritten-by-utf7-comment.xml")).unwrap();
        let refused = verify(&rewritten, &[world("cap-certificate.pem")]).unwrap_err().to_string();
        assert!(refused.contains("UTF-7"), "{refused}");
    }
}
