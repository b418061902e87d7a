//! Signatures in XML documents (XML-DSig), judged by the program `xmlsec1`: canonical XML is nothing to write oneself.
//!
//! What a signature covers is checked here first, since a valid signature of something else proves nothing: it must stand in
//! the root element and cover the whole document but itself. The only keys are those of the certificates that are named;
//! what a document says of its own key is not read.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use roxmltree::{Document, Node, ParsingOptions};

use super::program::{self, ProgramError};
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
/// Most nodes of a document.
const NODES_MAX: u32 = 65_536;
const PATIENCE: Span = Span::secs(5);

/// Why a document is not believed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum SignatureError {
    NotXml(String),
    NotOne { found: usize },
    NotWhole,
    Strange,
    NoProgram(#[from] std::io::Error),
}

impl Say for SignatureError {
    fn say(&self) -> Sentence {
        match self {
            SignatureError::NotXml(detail) => said!("xml_signature.not_xml", detail),
            SignatureError::NotOne { found } => said!("xml_signature.not_one", found),
            SignatureError::NotWhole => said!("xml_signature.not_whole"),
            SignatureError::Strange => said!("xml_signature.strange"),
            SignatureError::NoProgram(error) => said!("xml_signature.no_program", error),
        }
    }
}

/// Checks that one of `certificates` (PEM) signed the whole document.
///
/// # Errors
/// Why it is not believed.
pub fn verify(document: &str, certificates: &[PathBuf]) -> Result<(), SignatureError> {
    covers_everything(document)?;
    for certificate in certificates {
        if is_signed_by(document, certificate)? {
            return Ok(());
        }
    }
    Err(SignatureError::Strange)
}

fn covers_everything(text: &str) -> Result<(), SignatureError> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| SignatureError::NotXml(error.to_string()))?;
    let root = document.root_element();
    let found: Vec<_> = root.descendants().filter(|node| is(node, "Signature")).collect();
    let [signature] = found[..] else { return Err(SignatureError::NotOne { found: found.len() }) };
    if signature.parent() != Some(root) {
        return Err(SignatureError::NotOne { found: 0 });
    }
    let references: Vec<_> = signature.descendants().filter(|node| is(node, "Reference")).collect();
    let [reference] = references[..] else { return Err(SignatureError::NotWhole) };
    let known = |transform: &Node<'_, '_>| {
        let algorithm = transform.attribute("Algorithm").unwrap_or_default();
        let is_plain = !transform.children().any(|child| child.is_element());
        is_plain && (algorithm == ENVELOPED || CANONICAL.contains(&algorithm))
    };
    let mut transforms = reference.descendants().filter(|node| is(node, "Transform"));
    let is_whole = reference.attribute("URI") == Some("") && transforms.all(|transform| known(&transform));
    if is_whole { Ok(()) } else { Err(SignatureError::NotWhole) }
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.has_tag_name((NAMESPACE, name))
}

fn is_signed_by(document: &str, certificate: &PathBuf) -> Result<bool, SignatureError> {
    let mut child = Command::new("xmlsec1")
        // Of what the document says of its key only a name is read, and no name is known here.
        .args(["--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem"])
        .arg(certificate)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    // A program that ends early says so by its exit code.
    let _ = stdin.write_all(document.as_bytes());
    drop(stdin);
    match program::wait(&mut child, PATIENCE) {
        Ok(()) => Ok(true),
        Err(ProgramError::Failed(_)) => Ok(false),
        Err(ProgramError::Run(error)) => Err(error.into()),
        Err(slow @ ProgramError::TooLong(_)) => Err(std::io::Error::other(slow).into()),
    }
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
                .args(["--sign", "--privkey-pem"])
                .arg(self.dir.path().join("key.pem"))
                .arg(&path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    }

    #[track_caller]
    fn check(document: &str, certificates: &[PathBuf], expected: &str) {
        let found = verify(document, certificates).map_or_else(|error| error.to_string(), |()| String::new());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{found:?}");
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
        let wrapped = format!(
            "<alert xmlns='urn:x'><event>Giả</event>{}</alert>",
            &signed[signed.find("<alert").unwrap()..]
        );
        check(&wrapped, &believed, "in its root element");
        let elsewhere = signed.replace("URI=\"\"", "URI=\"#a\"");
        check(&elsewhere, &believed, "does not cover");
        let stripped = signed.replace(ENVELOPED, "http://www.w3.org/TR/1999/REC-xpath-19991116");
        check(&stripped, &believed, "does not cover");
        check("<!DOCTYPE a><a/>", &believed, "no XML");
    }
}
