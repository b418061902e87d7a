//! Lines of a GPIO chip, and programs, as configuration names them.

use std::path::{Path, PathBuf};

use super::fields::{Fields, Value};
use crate::said;

/// A switch on a GPIO character device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpioLine {
    pub chip: PathBuf,
    pub line: u32,
    /// The switch is on where the line is low.
    pub active_low: bool,
}

impl std::fmt::Display for GpioLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.chip.display(), self.line)
    }
}

/// Reads `gpio = "gpiochip0:17"` and `active_low`; `Some(None)` where there is none.
pub(super) fn gpio(fields: &mut Fields<'_>) -> Option<Option<GpioLine>> {
    let active_low = active_low(fields);
    let Some(value) = fields.get("gpio") else { return Some(None) };
    gpio_line(&value, active_low?).map(Some)
}

/// Reads whether lines are on where they are low, which they are not by themselves.
pub(super) fn active_low(fields: &mut Fields<'_>) -> Option<bool> {
    fields.get("active_low").map_or(Some(false), |value| value.choice(&[("yes", true), ("no", false)]))
}

/// Reads a line as `gpiochip0:17`.
pub(super) fn gpio_line(value: &Value<'_>, active_low: bool) -> Option<GpioLine> {
    let text = value.words()?;
    let parts = text.rsplit_once(':').and_then(|(chip, line)| Some((chip, line.parse().ok()?)));
    let Some((chip, line)) = parts.filter(|(chip, _)| !chip.is_empty()) else {
        value.problem(said!("problem.no_gpio_line", text = text.escape_debug()));
        return None;
    };
    // A chip's name stands for its device; a path stays what it is.
    Some(GpioLine { chip: Path::new("/dev").join(chip), line, active_low })
}

/// Reads a program and its arguments: a list, or one text parted at blanks. An empty text is no command.
pub(super) fn command(value: &Value<'_>) -> Option<Vec<String>> {
    if value.is_text() {
        return Some(value.text()?.split_whitespace().map(str::to_owned).collect());
    }
    value.list().iter().map(|part| part.text().map(str::to_owned)).collect()
}
