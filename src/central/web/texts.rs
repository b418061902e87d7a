//! The words on the pages, one table a language.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    Vi,
    En,
}

impl Lang {
    /// The BCP 47 tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::Vi => "vi",
            Lang::En => "en",
        }
    }

    /// Reads a tag; Vietnamese where it is neither.
    pub fn of(tag: &str) -> Self {
        if tag == "en" { Lang::En } else { Lang::Vi }
    }

    /// The other language, which is a click away.
    pub const fn other(self) -> Self {
        match self {
            Lang::Vi => Lang::En,
            Lang::En => Lang::Vi,
        }
    }

    /// The table of words in this language.
    pub fn texts(self) -> &'static Texts {
        static VI: OnceLock<Texts> = OnceLock::new();
        static EN: OnceLock<Texts> = OnceLock::new();
        match self {
            Lang::Vi => VI.get_or_init(|| Texts::read(include_str!("texts/vi.toml"))),
            Lang::En => EN.get_or_init(|| Texts::read(include_str!("texts/en.toml"))),
        }
    }
}

/// A table of words by `section.key`.
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    fn read(toml: &str) -> Self {
        let sections: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(toml).expect("the tables of texts are checked by a test");
        let flat = sections.into_iter().flat_map(|(section, words)| {
            words.into_iter().map(move |(key, text)| (format!("{section}.{key}"), text))
        });
        Self(flat.collect())
    }

    /// Finds the words for `key`; without any, gives the key itself, so that a newer box's word is shown rather than nothing.
    pub fn say<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }

    /// Gives all words of a section, for a script in the browser.
    pub fn section(&self, section: &str) -> BTreeMap<&str, &str> {
        let prefix = format!("{section}.");
        let keys = self.0.iter().filter(|(key, _)| key.starts_with(&prefix));
        keys.map(|(key, text)| (&key[prefix.len()..], text.as_str())).collect()
    }

    /// Finds the words for a code of a section; without any, gives the code itself.
    pub fn code(&self, section: &str, code: &str) -> String {
        self.0.get(&format!("{section}.{code}")).cloned().unwrap_or_else(|| code.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_the_same_things() {
        let keys = |lang: Lang| lang.texts().0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(Lang::Vi), keys(Lang::En));
    }

    #[test]
    fn every_key_in_the_pages_is_in_the_tables() {
        let pages = [
            include_str!("pages/layout.rs"),
            include_str!("pages/home.rs"),
            include_str!("pages/enrol.rs"),
            include_str!("pages/sign.rs"),
            include_str!("words.rs"),
        ];
        for page in pages {
            for rest in page.split(".say(\"").skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(Lang::Vi.texts().0.contains_key(key), "{key}");
            }
        }
    }

    #[test]
    fn an_unknown_code_is_shown_as_it_is() {
        assert_eq!(Lang::Vi.texts().code("outcome", "from_the_future"), "from_the_future");
        assert_eq!(Lang::Vi.texts().code("outcome", "finished"), "phát hết");
    }
}
