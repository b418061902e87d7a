//! A text, the place in it that is read, and what was read just before.

/// Characters that are looked back at for the words before a place.
const BACK_CHARS: usize = 40;
/// Characters of the line before a place that are searched for what it is about.
const LINE_CHARS: usize = 200;
/// Longest connection between two things of one kind, as " hoặc số ".
const GAP_CHARS_MAX: usize = 10;

/// Kinds of thing that were read, as what follows may be read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Quantity,
    Day,
    Month,
    Ordinal,
    Weekday,
    Date,
    Time,
    Phone,
    Roman,
    Direction,
    Abbreviation,
    Score,
    /// A sign between two things, which leaves the first in mind.
    Link,
    Other,
}

impl Kind {
    /// Tells whether a dash after one of these and before a number makes a range.
    pub(super) const fn is_numeric(self) -> bool {
        !matches!(
            self,
            Kind::Roman | Kind::Direction | Kind::Abbreviation | Kind::Score | Kind::Link | Kind::Other
        )
    }
}

/// Words for the characters up to `end`.
#[derive(Debug)]
pub(super) struct Taken {
    pub words: String,
    pub end: usize,
    pub kind: Kind,
}

impl Taken {
    pub(super) fn new(words: impl Into<String>, end: usize, kind: Kind) -> Self {
        Self { words: words.into(), end, kind }
    }
}

/// A place in a text with its surroundings.
pub(super) struct Scene<'a> {
    pub chars: &'a [char],
    pub at: usize,
    /// The last thing that was read by a rule, and where it ended.
    pub last: Option<(Kind, usize)>,
    /// Words since the last number.
    pub since_number: usize,
}

impl Scene<'_> {
    pub(super) fn char(&self, index: usize) -> Option<char> {
        self.chars.get(index).copied()
    }

    pub(super) fn is_digit(&self, index: usize) -> bool {
        self.char(index).is_some_and(|c| c.is_ascii_digit())
    }

    pub(super) fn is_word(&self, index: usize) -> bool {
        self.char(index).is_some_and(char::is_alphanumeric)
    }

    /// The character before a place.
    pub(super) fn previous(&self, index: usize) -> Option<char> {
        index.checked_sub(1).and_then(|before| self.char(before))
    }

    /// The end of the run of digits that begins at a place.
    pub(super) fn digits_end(&self, from: usize) -> usize {
        self.run_end(from, |c| c.is_ascii_digit())
    }

    pub(super) fn run_end(&self, from: usize, belongs: impl Fn(char) -> bool) -> usize {
        let from = from.min(self.chars.len());
        let length = self.chars[from..].iter().take_while(|c| belongs(**c)).count();
        from + length
    }

    pub(super) fn text(&self, from: usize, to: usize) -> String {
        let to = to.min(self.chars.len());
        self.chars[from.min(to)..to].iter().collect()
    }

    /// Tells whether `text` stands at a place.
    pub(super) fn stands(&self, index: usize, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, c)| self.char(index + offset) == Some(c))
    }

    /// Skips one space.
    pub(super) fn after_space(&self, index: usize) -> usize {
        index + usize::from(self.char(index) == Some(' '))
    }

    /// The value of one or two digits that begin at a place and are not part of more, and their end.
    pub(super) fn short(&self, from: usize) -> Option<(u64, usize)> {
        let end = self.digits_end(from);
        (1..=2).contains(&end.saturating_sub(from)).then(|| (self.value(from, end), end))
    }

    /// The value of four digits that are a year of our time.
    pub(super) fn year(&self, from: usize) -> Option<(u64, usize)> {
        let end = self.digits_end(from);
        let value = if end.saturating_sub(from) == 4 { self.value(from, end) } else { 0 };
        (1_000..2_200).contains(&value).then_some((value, end))
    }

    /// The value of few digits.
    pub(super) fn value(&self, from: usize, to: usize) -> u64 {
        self.text(from, to).parse().unwrap_or(u64::MAX)
    }

    /// The line before this place in small letters, its end only, without the spaces, brackets and colons that follow.
    pub(super) fn before(&self) -> String {
        let from = self.at.saturating_sub(BACK_CHARS);
        let line = self.chars[from..self.at].iter().rposition(|c| *c == '\n').map_or(from, |n| from + n + 1);
        let text = self.text(line, self.at).to_lowercase();
        text.trim_end_matches([' ', '(', ':', '"', '“', '‘']).to_owned()
    }

    /// The line before this place in small letters.
    pub(super) fn line(&self) -> String {
        let from = self.at.saturating_sub(LINE_CHARS);
        let line = self.chars[from..self.at].iter().rposition(|c| *c == '\n').map_or(from, |n| from + n + 1);
        self.text(line, self.at).to_lowercase()
    }

    /// Tells whether the words before this place are one of these.
    pub(super) fn follows(&self, words: &[&str]) -> bool {
        ends_with(&self.before(), words)
    }

    /// The last thing that was read, and what connects it with this place.
    pub(super) fn connected(&self) -> Option<(Kind, String)> {
        let (kind, end) = self.last?;
        (end <= self.at && self.at - end <= GAP_CHARS_MAX)
            .then(|| (kind, self.text(end, self.at).to_lowercase()))
    }

    /// Tells whether this place goes on a list of a kind: "30/4 và 1/5".
    pub(super) fn goes_on(&self, kind: Kind) -> bool {
        const CONNECTIONS: [&str; 13] =
            [", ", "; ", " và ", " hoặc ", " hay ", " đến ", " tới ", "-", " - ", "–", " – ", "/", ", số "];
        self.connected().is_some_and(|(last, gap)| last == kind && CONNECTIONS.contains(&gap.as_str()))
    }

    /// The word of letters and digits at a place.
    pub(super) fn word_end(&self, from: usize) -> usize {
        self.run_end(from, char::is_alphanumeric)
    }

    /// The next word in small letters, after a space at most.
    pub(super) fn next_word(&self, index: usize) -> String {
        let from = self.after_space(index);
        self.text(from, self.word_end(from).min(from + BACK_CHARS)).to_lowercase()
    }
}

/// Tells whether a text in small letters ends with one of these, as a whole word.
pub(super) fn ends_with(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let sign = !word.starts_with(char::is_alphanumeric);
        text.strip_suffix(word)
            .is_some_and(|rest| sign || !rest.chars().next_back().is_some_and(char::is_alphanumeric))
    })
}
