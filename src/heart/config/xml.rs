//! XML from strangers: without document types, and bounded in what makes reading it dear.

use roxmltree::{Document, ParsingOptions};

use crate::said;
use crate::texts::{Say, Sentence};

/// Most attributes of one element: reading compares each with all before it. The parts of CAP have none, feeds a handful.
const ATTRIBUTES_MAX: usize = 64;

/// Most copies of namespaces: each element that declares one gets a copy of all that are in force around it. A feed of
/// 2,000 alerts with four declarations each makes some 50,000.
const COPIES_MAX: usize = 1 << 20;

/// Most bytes of a fault that are passed on: it may quote a name of any length.
const FAULT_BYTES_MAX: usize = 300;

/// A reason for which a text is not read as XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.say())]
pub enum XmlError {
    Attributes,
    Namespaces,
    Bad(String),
}

impl Say for XmlError {
    fn say(&self) -> Sentence {
        match self {
            XmlError::Attributes => said!("xml.attributes", max = ATTRIBUTES_MAX),
            XmlError::Namespaces => said!("xml.namespaces"),
            XmlError::Bad(detail) => said!("xml.bad", detail),
        }
    }
}

/// Parses a document of at most `nodes_max` nodes.
///
/// # Errors
/// Fails when the text is no XML, has a document type, or goes beyond a bound.
pub fn parse(text: &str, nodes_max: u32) -> Result<Document<'_>, XmlError> {
    let cost = Cost::of(text);
    if cost.attributes_max > ATTRIBUTES_MAX {
        return Err(XmlError::Attributes);
    }
    if cost.copies > COPIES_MAX {
        return Err(XmlError::Namespaces);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: nodes_max, ..ParsingOptions::default() };
    Document::parse_with_options(text, options)
        .map_err(|error| XmlError::Bad(shown(&error.to_string()).to_owned()))
}

/// Gives the beginning of words that a stranger wrote, short enough for a list and a log.
pub fn shown(words: &str) -> &str {
    let end = (0..=FAULT_BYTES_MAX.min(words.len())).rev().find(|at| words.is_char_boundary(*at));
    &words[..end.unwrap_or(0)]
}

/// Parts of a document in which `<` opens nothing, by their marks.
const SKIPPED: [(&str, &str); 3] = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];

/// The effort that reading a document takes, counted in one pass up to where the text stops being XML.
#[derive(Default)]
struct Cost {
    /// Attributes of the element that has most.
    attributes_max: usize,
    /// Copies of namespaces that its elements get.
    copies: usize,
}

impl Cost {
    fn of(text: &str) -> Self {
        let mut cost = Self::default();
        // The declarations in force, for each element that is open.
        let (mut rest, mut open) = (text, vec![0]);
        while let Some(at) = rest.find('<') {
            rest = &rest[at..];
            if let Some((_, end)) = SKIPPED.iter().find(|(begin, _)| rest.starts_with(begin)) {
                let Some(at) = rest.find(end) else { break };
                rest = &rest[at + end.len()..];
                continue;
            }
            let (tag, after) = split_tag(rest);
            rest = after;
            if tag.starts_with("</") {
                if open.len() > 1 {
                    open.pop();
                }
                continue;
            }
            let declared = tag.matches("xmlns").count();
            let in_force = open.last().copied().unwrap_or(0) + declared;
            cost.attributes_max = cost.attributes_max.max(attributes(tag));
            cost.copies = cost.copies.saturating_add(if declared > 0 { in_force } else { 0 });
            if !tag.ends_with("/>") {
                open.push(in_force);
            }
            if cost.attributes_max > ATTRIBUTES_MAX || cost.copies > COPIES_MAX {
                break;
            }
        }
        cost
    }
}

/// Splits a tag off; `>` in a quoted value does not end it.
fn split_tag(text: &str) -> (&str, &str) {
    let mut quote = None;
    let end = text.bytes().position(|byte| match (quote, byte) {
        (None, b'"' | b'\'') => {
            quote = Some(byte);
            false
        }
        (Some(open), byte) if open == byte => {
            quote = None;
            false
        }
        (quote, byte) => quote.is_none() && byte == b'>',
    });
    text.split_at(end.map_or(text.len(), |end| end + 1))
}

/// Counts the attributes of a tag: each has one `=` outside its quotes.
fn attributes(tag: &str) -> usize {
    let mut quote = None;
    let mut count = 0;
    for byte in tag.bytes() {
        match (quote, byte) {
            (None, b'=') => count += 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), XmlError>) {
        assert_eq!(parse(text, 1_000_000).map(drop), expected);
    }

    fn with_attributes(count: usize) -> String {
        let attributes: String = (0..count).map(|n| format!(" a{n}='>'")).collect();
        format!("<a><!-- <x a='1'> --><![CDATA[<b c='d'>]]><?p a='1' b='2'?><b{attributes}/></a>")
    }

    #[test]
    fn attributes_and_namespaces_are_bounded() {
        check(&with_attributes(ATTRIBUTES_MAX), Ok(()));
        check(&with_attributes(ATTRIBUTES_MAX + 1), Err(XmlError::Attributes));
        check(&with_attributes(400_000), Err(XmlError::Attributes));
        let nested = |count: usize| {
            let open: String = (0..count).map(|n| format!("<a xmlns:n{n}='u{n}'>")).collect();
            format!("{open}{}", "</a>".repeat(count))
        };
        check(&nested(1_000), Ok(()));
        check(&nested(2_000), Err(XmlError::Namespaces));
        check(&nested(60_000), Err(XmlError::Namespaces));
        let beside = format!("<f xmlns='u'>{}</f>", "<a xmlns:x='v'><b xmlns='w'/></a>".repeat(60_000));
        check(&beside, Ok(()));
        check("<!DOCTYPE a><a/>", Err(XmlError::Bad("XML with DTD detected".to_owned())));
        check(
            &"<a>".repeat(500_000),
            Err(XmlError::Bad("the root node was opened but never closed".to_owned())),
        );
    }

    #[test]
    fn a_fault_does_not_quote_without_end() {
        let name = "ạ".repeat(1_000_000);
        let Err(XmlError::Bad(detail)) = parse(&format!("<a {name}='1' {name}='2'/>"), 10) else {
            panic!("it is twice")
        };
        assert!(detail.len() <= FAULT_BYTES_MAX, "{}", detail.len());
    }
}
