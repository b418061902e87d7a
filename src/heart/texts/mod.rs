//! Sentences for people. The code holds keys and values; the words stand in text files, Vietnamese and English side
//! by side, a pair in each crate (`texts/vi.toml`, `texts/en.toml`).
//!
//! A crate names its pair as `TEXTS` at its root; `said!("section.key", name = value)` makes a sentence of it.
//! `{name}` in a text is the value of that name, `{name|box|boxes}` the first word where the value is 1, else the second.

mod lang;
mod outside;
mod recognised;
mod visible;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::OnceLock;

pub use lang::Lang;
pub use visible::{steers, visible, visible_json, visible_lines};

/// The words of the heart.
pub static TEXTS: Tables = Tables::new(include_str!("vi.toml"), include_str!("en.toml"));

/// The words of a crate in both languages.
pub struct Tables {
    vi: &'static str,
    en: &'static str,
    read: OnceLock<[Texts; 2]>,
}

impl Tables {
    /// The tables of two text files in TOML.
    pub const fn new(vi: &'static str, en: &'static str) -> Self {
        Self { vi, en, read: OnceLock::new() }
    }

    /// The table of a language.
    pub fn of(&self, lang: Lang) -> &Texts {
        let [vi, en] =
            self.read.get_or_init(|| [Texts::read(Lang::Vi, self.vi), Texts::read(Lang::En, self.en)]);
        match lang {
            Lang::Vi => vi,
            Lang::En => en,
        }
    }
}

/// The words of a crate in one language, by `section.key`.
pub struct Texts {
    lang: Lang,
    words: BTreeMap<String, String>,
}

impl Texts {
    fn read(lang: Lang, toml: &str) -> Self {
        let sections: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(toml).expect("the tables of texts are checked by a test");
        let flat = sections.into_iter().flat_map(|(section, words)| {
            words.into_iter().map(move |(key, text)| (format!("{section}.{key}"), text))
        });
        Self { lang, words: flat.collect() }
    }

    /// The language of these words.
    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// The words for `key`, or the key itself, so that a newer box's word is shown rather than nothing.
    pub fn say<'a>(&'a self, key: &'a str) -> &'a str {
        self.words.get(key).map_or(key, String::as_str)
    }

    /// All words of a section, for a script in the browser.
    pub fn section(&self, section: &str) -> BTreeMap<&str, &str> {
        let prefix = format!("{section}.");
        let keys = self.words.iter().filter(|(key, _)| key.starts_with(&prefix));
        keys.map(|(key, text)| (&key[prefix.len()..], text.as_str())).collect()
    }

    /// The words for a code of a section, or the code itself.
    pub fn code(&self, section: &str, code: &str) -> String {
        self.words.get(&format!("{section}.{code}")).cloned().unwrap_or_else(|| code.to_owned())
    }
}

/// A sentence that is not in any language yet.
#[derive(Clone)]
pub enum Sentence {
    /// A text of a crate's tables, with the values that it names.
    Text { tables: &'static Tables, key: &'static str, values: Vec<(&'static str, Value)> },
    /// Sentences, each on a line of its own.
    Lines(Vec<Sentence>),
    /// Numbers and times, which the languages write differently, and words from outside, which stay as they are.
    Each { vi: String, en: String },
}

/// A value in a sentence, at the place where the text names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Plain(String),
    Sentence(Box<Sentence>),
}

impl Sentence {
    /// The sentence of a text without values.
    pub const fn new(tables: &'static Tables, key: &'static str) -> Self {
        Sentence::Text { tables, key, values: Vec::new() }
    }

    /// Adds a value that the text names.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        if let Sentence::Text { values, .. } = &mut self {
            values.push((name, value));
        }
        self
    }

    /// Words that come from outside the program, in whichever language they are.
    pub fn from_outside(words: impl Into<String>) -> Self {
        let words = words.into();
        Sentence::Each { vi: words.clone(), en: words }
    }

    /// A number with a fixed count of decimals: Vietnamese writes a comma.
    pub fn decimal(number: f64, decimals: usize) -> Self {
        let en = format!("{number:.decimals$}");
        Sentence::Each { vi: en.replace('.', ","), en }
    }

    /// The sentence in English and in Vietnamese.
    pub fn in_both(&self) -> (String, String) {
        (self.to(Lang::En), self.to(Lang::Vi))
    }

    /// The sentence in a language. What its values hold of controls is written out, so that words from outside can't
    /// steer the terminal on which they are read.
    pub fn to(&self, lang: Lang) -> String {
        match self {
            Sentence::Text { tables, key, values } => {
                let value = |name: &str| {
                    let found = values.iter().find(|(known, _)| *known == name)?;
                    Some(match &found.1 {
                        Value::Plain(text) => visible(text).into_owned(),
                        Value::Sentence(said) => said.to(lang),
                    })
                };
                fill(tables.of(lang).say(key), value)
            }
            Sentence::Lines(lines) => lines.iter().map(|line| line.to(lang)).collect::<Vec<_>>().join("\n"),
            Sentence::Each { vi, en } => match lang {
                Lang::Vi => visible_lines(vi).into_owned(),
                Lang::En => visible_lines(en).into_owned(),
            },
        }
    }
}

/// Puts the values into a text; braces that name none stay as they are.
fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let found = after.split_once('}').and_then(|(inside, after)| Some((placed(inside, &value)?, after)));
        match found {
            Some((words, after)) => {
                filled.push_str(&words);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The words for what stands between braces: `name`, or `name|one|many`.
fn placed(inside: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut parts = inside.split('|');
    let value = value(parts.next()?)?;
    Some(match (parts.next(), parts.next()) {
        (Some(one), Some(_)) if value == "1" => one.to_owned(),
        (Some(_), Some(many)) => many.to_owned(),
        _ => value,
    })
}

/// Two sentences are the same where they say the same: one that came over the wire has no key.
impl PartialEq for Sentence {
    fn eq(&self, other: &Self) -> bool {
        self.to(Lang::En) == other.to(Lang::En)
    }
}

impl Eq for Sentence {}

impl PartialOrd for Sentence {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sentence {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to(Lang::En).cmp(&other.to(Lang::En))
    }
}

impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to(Lang::En))
    }
}

/// English, for logs.
impl Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to(Lang::En))
    }
}

impl std::error::Error for Sentence {}

impl From<String> for Sentence {
    fn from(words: String) -> Self {
        Sentence::from_outside(words)
    }
}

/// Over the wire a sentence goes in English.
impl serde::Serialize for Sentence {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Sentence {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Sentence::from)
    }
}

impl schemars::JsonSchema for Sentence {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// A thing that has a sentence for people, above all an error.
pub trait Say {
    /// The sentence, with its values.
    fn say(&self) -> Sentence;
}

impl Say for Sentence {
    fn say(&self) -> Sentence {
        self.clone()
    }
}

impl<T: Say + ?Sized> Say for &T {
    fn say(&self) -> Sentence {
        (**self).say()
    }
}

/// A value on its way into a sentence: what has a sentence of its own is said in the same language, all else as it is
/// written. `said!` needs it; the two traits below are how the compiler chooses.
pub struct Given<'a, T: ?Sized>(pub &'a T);

/// Chosen first, for what has a sentence.
pub trait SentenceValue {
    fn value(&self) -> Value;
}

impl<T: Say + ?Sized> SentenceValue for Given<'_, T> {
    fn value(&self) -> Value {
        Value::Sentence(Box::new(self.0.say()))
    }
}

/// Chosen else, for what is only written.
pub trait PlainValue {
    fn value(&self) -> Value;
}

impl<T: Display + ?Sized> PlainValue for &Given<'_, T> {
    fn value(&self) -> Value {
        Value::Plain(self.0.to_string())
    }
}

/// Makes a sentence: `said!("media.too_large")`, `said!("order.no_such_group", group)`, `said!("x.y", max = MAX >> 20)`.
/// The key is one of the texts of the crate that calls.
#[macro_export]
#[allow(clippy::crate_in_macro_def, reason = "a sentence stands in the texts of the crate that says it")]
macro_rules! said {
    (@value $name:ident) => { (&$crate::texts::Given(&$name)).value() };
    (@value $name:ident $value:expr) => { (&$crate::texts::Given(&$value)).value() };
    ($key:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {{
        #[allow(unused_imports)]
        use $crate::texts::{PlainValue as _, SentenceValue as _};
        $crate::texts::Sentence::new(&crate::TEXTS, $key)
            $(.with(stringify!($name), $crate::said!(@value $name $($value)?)))*
    }};
}

#[cfg(test)]
mod tests;
