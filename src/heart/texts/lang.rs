/// A language of the pages and the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    Vi,
    En,
}

impl Lang {
    /// Both, Vietnamese first.
    pub const ALL: [Lang; 2] = [Lang::Vi, Lang::En];

    /// Returns the BCP 47 tag of the language.
    pub const fn tag(self) -> &'static str {
        match self {
            Lang::Vi => "vi",
            Lang::En => "en",
        }
    }

    /// The language of a tag; Vietnamese where it is neither.
    pub fn of(tag: &str) -> Self {
        if tag == "en" { Lang::En } else { Lang::Vi }
    }

    /// The one that is a click away.
    pub const fn other(self) -> Self {
        match self {
            Lang::Vi => Lang::En,
            Lang::En => Lang::Vi,
        }
    }

    /// The language of a command line, from values such as `vi` and `vi_VN.UTF-8` in the order in which they count;
    /// the first that is not empty decides.
    pub fn of_locale<'l>(values: impl IntoIterator<Item = &'l str>) -> Self {
        let first = values.into_iter().find(|value| !value.is_empty()).unwrap_or("");
        let language = first.split(['_', '-', '.', '@']).next().unwrap_or("");
        if language.eq_ignore_ascii_case("vi") { Lang::Vi } else { Lang::En }
    }
}
