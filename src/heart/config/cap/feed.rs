//! Feeds of alerts, Atom and RSS: from their XML to what each entry brings.

use crate::said;
use crate::texts::{Say, Sentence};
use std::collections::BTreeSet;

use roxmltree::Node;
use url::Url;

use super::{CapError, NODES_MAX};
use crate::config::xml;

/// Most entries of a feed; the rest is passed over.
pub const ENTRIES_MAX: usize = 2_000;

/// Most links of one entry that are tried.
const LINKS_MAX: usize = 8;

/// Longest address of a link, in bytes; longer ones lead nowhere.
const ADDRESS_BYTES_MAX: usize = 2_048;

/// Most `xml:base` around an entry that are looked at, from the inside.
const BASES_MAX: usize = 8;

/// Most bytes of namespaces that are written into each alert which stands in a feed.
const DECLARATIONS_BYTES_MAX: usize = 4_096;

const CAP: &str = "urn:oasis:names:tc:emergency:cap:1.2";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Links of these relations may lead to an alert; one without a relation is an alternate, too.
const RELATIONS: [&str; 5] = ["alternate", "enclosure", "related", "via", "item"];

/// The content of an address that is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brought {
    /// One alert, and no feed.
    Alert,
    Entries(Vec<Entry>),
}

/// An entry of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// For people: its title, or else its id.
    pub name: String,
    /// Time of the last change, as the feed writes it.
    pub stamp: Option<String>,
    pub brings: Brings,
}

/// An alert that an entry brings, or the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brings {
    /// The XML of an alert that stands in the entry itself.
    Embedded(String),
    /// Addresses that are alerts, as their media type says: each is one.
    Alerts(Vec<Url>),
    /// Addresses of which the first that proves to be an alert is one, the likeliest first.
    Perhaps(Vec<Url>),
    Nothing(WhyNothing),
}

/// A reason why an entry brings no alert.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum WhyNothing {
    OtherServer(Url),
    NoLink,
}

impl Say for WhyNothing {
    fn say(&self) -> Sentence {
        match self {
            WhyNothing::OtherServer(url) => said!("cap_feed.other_server", url),
            WhyNothing::NoLink => said!("cap_feed.no_link"),
        }
    }
}

/// Reads a feed from its text, as [`super::decode`] gives it.
///
/// # Errors
/// Fails when it is no XML, or neither a feed nor an alert.
pub fn read_feed(text: &str, base: &Url) -> Result<Brought, CapError> {
    let document = xml::parse(text, NODES_MAX)?;
    let root = document.root_element();
    match root.tag_name().name() {
        "alert" => return Ok(Brought::Alert),
        "feed" | "rss" | "RDF" => {}
        found => return Err(CapError::NotCap { found: xml::shown(found).to_owned() }),
    }
    // What stands inside an entry is of that entry.
    let mut end = 0;
    let entries = root.descendants().filter(|node| {
        let is_entry = matches!(node.tag_name().name(), "entry" | "item") && node.range().start >= end;
        if is_entry {
            end = node.range().end;
        }
        is_entry
    });
    Ok(Brought::Entries(entries.take(ENTRIES_MAX).map(|node| entry(node, base)).collect()))
}

fn entry(node: Node<'_, '_>, base: &Url) -> Entry {
    let first = |names: &[&str]| {
        let found =
            names.iter().find_map(|name| children(node, name).map(words).find(|words| !words.is_empty()));
        found.map(|words| words.chars().filter(|c| !c.is_control()).take(120).collect::<String>())
    };
    Entry {
        name: first(&["title", "id", "guid"]).unwrap_or_default(),
        stamp: first(&["updated", "modified", "published", "pubDate", "date"]),
        brings: embedded(node).map_or_else(|| links(node, base), Brings::Embedded),
    }
}

fn children<'d>(node: Node<'d, 'd>, name: &str) -> impl Iterator<Item = Node<'d, 'd>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn words(node: Node<'_, '_>) -> String {
    let parts: String =
        node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
    parts.trim().to_owned()
}

/// Finds the alert inside an entry, as XML or as escaped text.
fn embedded(entry: Node<'_, '_>) -> Option<String> {
    if let Some(alert) = entry.descendants().find(|node| node.has_tag_name((CAP, "alert"))) {
        return standalone(alert);
    }
    let escaped = ["content", "encoded", "description", "summary"];
    let texts = escaped.iter().flat_map(|name| children(entry, name)).map(words);
    texts.into_iter().find(|text| text.starts_with('<') && text.contains(CAP))
}

/// Cuts out the XML of an element, with the namespaces that its ancestors declared where they are needed: more of them
/// would break a signature. `None` where they are longer than any alert needs.
fn standalone(node: Node<'_, '_>) -> Option<String> {
    let text = &node.document().input_text()[node.range()];
    if xml::parse(text, NODES_MAX).is_ok_and(|alone| alone.root_element().has_tag_name((CAP, "alert"))) {
        return Some(text.to_owned());
    }
    let name_ends = text.find([' ', '\t', '\r', '\n', '/', '>']).unwrap_or(text.len());
    let own = &text[name_ends..text.find('>').unwrap_or(text.len())];
    let mut declarations = String::new();
    for namespace in node.namespaces() {
        let declared = match namespace.name() {
            Some("xml") => continue,
            Some(prefix) => format!("xmlns:{prefix}"),
            None => "xmlns".to_owned(),
        };
        let is_own = own
            .match_indices(&declared)
            .any(|(at, _)| own[at + declared.len()..].trim_start().starts_with('='));
        if !is_own {
            let uri = namespace.uri().replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            declarations.push_str(&format!(" {declared}=\"{uri}\""));
        }
        if declarations.len() > DECLARATIONS_BYTES_MAX {
            return None;
        }
    }
    Some(format!("{}{declarations}{}", &text[..name_ends], &text[name_ends..]))
}

/// A likelihood that a link leads to an alert; the likeliest is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likely {
    Alert,
    Xml,
    LooksSo,
    Perhaps,
}

fn links(entry: Node<'_, '_>, base: &Url) -> Brings {
    let around = base_of(entry, base);
    let mut found: Vec<(Likely, Url)> = entry.children().filter_map(|child| link(child, &around)).collect();
    found.sort_by_key(|(likely, _)| *likely);
    let elsewhere = found.iter().find(|(_, url)| url.origin() != base.origin()).map(|(_, url)| url.clone());
    let mut seen = BTreeSet::new();
    found.retain(|(_, url)| url.origin() == base.origin() && seen.insert(url.clone()));
    found.truncate(LINKS_MAX);
    let are_alerts = found.first().is_some_and(|(likely, _)| *likely == Likely::Alert);
    found.retain(|(likely, _)| !are_alerts || *likely == Likely::Alert);
    let urls: Vec<_> = found.into_iter().map(|(_, url)| url).collect();
    match (urls.is_empty(), elsewhere) {
        (false, _) if are_alerts => Brings::Alerts(urls),
        (false, _) => Brings::Perhaps(urls),
        (true, Some(url)) => Brings::Nothing(WhyNothing::OtherServer(url)),
        (true, None) => Brings::Nothing(WhyNothing::NoLink),
    }
}

fn link(node: Node<'_, '_>, base: &Url) -> Option<(Likely, Url)> {
    let attribute = |name: &str| node.attribute(name).map(str::trim).filter(|value| !value.is_empty());
    let (written, media_type, relation) = match node.tag_name().name() {
        "link" => {
            let written = attribute("href").map_or_else(|| words(node), str::to_owned);
            (written, attribute("type"), attribute("rel"))
        }
        "enclosure" => (attribute("url")?.to_owned(), attribute("type"), None),
        "content" => (attribute("src")?.to_owned(), attribute("type"), None),
        "guid" if attribute("isPermaLink") != Some("false") => {
            let guid = words(node);
            // Without a scheme it is a name and no address.
            Url::parse(&guid).ok()?;
            (guid, None, None)
        }
        _ => return None,
    };
    if written.is_empty() || written.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let base =
        node.attribute((XML, "base")).and_then(|own| joined(base, own)).unwrap_or_else(|| base.clone());
    let url = joined(&base, &written).filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let media_type = media_type
        .map(|media_type| media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let likely = match media_type.as_deref() {
        Some(essence) if essence.contains("cap") && essence.contains("xml") => Likely::Alert,
        _ if relation.is_some_and(|relation| !RELATIONS.contains(&relation)) => return None,
        Some("application/xml" | "text/xml") => Likely::Xml,
        Some("application/octet-stream" | "text/plain") => Likely::Perhaps,
        Some(_) => return None,
        None if looks_like_an_alert(&url) => Likely::LooksSo,
        None => Likely::Perhaps,
    };
    Some((likely, url))
}

fn looks_like_an_alert(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    path.ends_with(".xml") || path.ends_with(".cap") || path.contains("/cap")
}

/// Gives the address against which an entry's links are resolved: `xml:base` of its ancestors, from the outside.
fn base_of(entry: Node<'_, '_>, base: &Url) -> Url {
    let bases = entry.ancestors().filter_map(|node| node.attribute((XML, "base")));
    let written: Vec<_> = bases.take(BASES_MAX).collect();
    written.iter().rev().fold(base.clone(), |base, written| joined(&base, written).unwrap_or(base))
}

/// Resolves an address; `None` where it is none, or too long.
fn joined(base: &Url, written: &str) -> Option<Url> {
    if written.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    base.join(written).ok().filter(|url| url.as_str().len() <= ADDRESS_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(entries: &str) -> Vec<Entry> {
        let text = format!(
            "<feed xmlns='http://www.w3.org/2005/Atom' xmlns:c='{CAP}'><link href='/x'/>{entries}</feed>"
        );
        let base = Url::parse("https://kttv.example.vn/cap/feed.xml").unwrap();
        let Brought::Entries(entries) = read_feed(&text, &base).unwrap() else { panic!("a feed") };
        entries
    }

    /// Checks the alert that one entry brings, written in short.
    #[track_caller]
    fn check(entry: &str, expected: &str) {
        let [Entry { brings, .. }] = &feed(&format!("<entry>{entry}</entry>"))[..] else {
            panic!("one entry")
        };
        let paths = |urls: &[Url]| urls.iter().map(|url| url.path().to_owned()).collect::<Vec<_>>().join(" ");
        let found = match brings {
            Brings::Embedded(_) => "embedded".to_owned(),
            Brings::Alerts(urls) => format!("alerts {}", paths(urls)),
            Brings::Perhaps(urls) => format!("perhaps {}", paths(urls)),
            Brings::Nothing(why) => why.to_string(),
        };
        assert!(found.starts_with(expected), "{entry}: {found}");
    }

    #[test]
    fn links_are_found_by_type_and_relation() {
        check("<link href='a.xml'/>", "perhaps /cap/a.xml");
        check("<link rel='self' href='no'/><link type='application/cap+xml' href='a'/>", "alerts /cap/a");
        check(
            "<link title='Ha Noi' href='/m?g=1'/><link type='Application/CAP+xml; charset=utf-8' href='/w'/>",
            "alerts /w",
        );
        check(
            "<link rel='related' type='application/cap+xml' href='/us1.cap'/><link type='text/html' href='/us1'/>",
            "alerts /us1.cap",
        );
        check("<link rel='related' href='/r'/><link href='/7.xml'/>", "perhaps /7.xml /r");
        check("<link type='text/xml' href='/a'/><link href='/b'/>", "perhaps /a /b");
        check("<content type='application/cap+xml' src='/c'/>", "alerts /c");
        check(
            "<link type='application/cap+xml' href='/vi'/><link type='application/cap+xml' href='/en'/>",
            "alerts /vi /en",
        );
        check("<link xml:base='/deep/' href='a.cap'/>", "perhaps /deep/a.cap");
        check("<link type='text/html' href='/page'/>", "it holds no alert");
        check("<link rel='edit' href='/page'/><link href=''/>", "it holds no alert");
        check("<link href='https://evil.example/b.xml'/>", "its links are to other servers");
        check("<link href='http://kttv.example.vn/b.xml'/>", "its links are to other servers");
        check("<link href='javascript:alert(1)'/>", "it holds no alert");
    }

    #[test]
    fn rss_has_enclosures_and_guids() {
        check(
            "<link>https://www.example.vn/5</link><enclosure url='/y.xml' type='application/cap+xml'/>",
            "alerts /y.xml",
        );
        check("<link> https://kttv.example.vn/cap/7 </link>", "perhaps /cap/7");
        check("<guid isPermaLink='true'>https://kttv.example.vn/us1.cap</guid>", "perhaps /us1.cap");
        check(
            "<guid>https://kttv.example.vn/us1.cap</guid><link>https://kttv.example.vn/us1</link>",
            "perhaps /us1.cap /us1",
        );
        check("<guid>urn:uuid:1</guid>", "it holds no alert");
        check("<guid isPermaLink='false'>https://kttv.example.vn/us1.cap</guid>", "it holds no alert");
    }

    #[test]
    fn embedded_alerts_keep_their_namespaces() {
        let check = |content: &str| {
            let [Entry { brings: Brings::Embedded(text), .. }] =
                &feed(&format!("<entry>{content}</entry>"))[..]
            else {
                panic!("embedded: {content}")
            };
            let document = xml::parse(text, NODES_MAX).unwrap();
            assert!(document.root_element().has_tag_name((CAP, "alert")), "{text}");
            assert!(text.contains("lũ"), "{text}");
        };
        check(&format!("<content type='text/xml'><alert xmlns='{CAP}'>lũ</alert></content>"));
        check("<content type='text/xml'><c:alert>lũ</c:alert></content>");
        check("<c:alert a = 'xmlns:c'>lũ</c:alert>");
        let own = format!("<alert xmlns=\"{CAP}\">lũ</alert>");
        let [Entry { brings, .. }] = &feed(&format!("<entry>{own}</entry>"))[..] else { panic!("one entry") };
        assert_eq!(*brings, Brings::Embedded(own));
        check(&format!("<content>&lt;alert xmlns='{CAP}'>lũ&lt;/alert></content>"));
        check(&format!("<description><![CDATA[<alert xmlns='{CAP}'>lũ</alert>]]></description>"));
    }

    #[test]
    fn only_feeds_and_alerts_are_read() {
        let base = Url::parse("https://a/").unwrap();
        assert_eq!(read_feed(&format!("<alert xmlns='{CAP}'/>"), &base), Ok(Brought::Alert));
        assert!(read_feed("<!DOCTYPE a [<!ENTITY b 'c'>]><feed>&b;</feed>", &base).is_err());
        assert!(read_feed("<html/>", &base).is_err());
        assert!(read_feed("no feed", &base).is_err());
        let many = format!("<feed>{}</feed>", "<entry/>".repeat(ENTRIES_MAX + 1));
        let Ok(Brought::Entries(entries)) = read_feed(&many, &base) else { panic!("a feed") };
        assert_eq!(entries.len(), ENTRIES_MAX);
    }

    #[test]
    fn a_hostile_feed_makes_no_more_of_itself() {
        let nested = feed(&format!(
            "{}<c:alert>{}</c:alert>{}",
            "<entry>".repeat(500),
            "x".repeat(10_000),
            "</entry>".repeat(500)
        ));
        assert_eq!(nested.len(), 1, "what stands inside an entry is of that entry");
        let long = "u".repeat(DECLARATIONS_BYTES_MAX);
        check(&format!("<x xmlns:z='{long}'><c:alert/></x>"), "it holds no alert");
        check(&format!("<link href='/{}'/>", "a".repeat(ADDRESS_BYTES_MAX)), "it holds no alert");
        let deep = "<x xml:base='a/'>".repeat(2_000);
        let entries = feed(&format!("{deep}<entry><link href='b.cap'/></entry>{}", "</x>".repeat(2_000)));
        let Brings::Perhaps(urls) = &entries[0].brings else { panic!("a link") };
        assert!(urls[0].as_str().len() <= ADDRESS_BYTES_MAX, "{}", urls[0].as_str().len());
    }
}
