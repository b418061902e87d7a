//! `[report]` of `central.toml`: the level above, which gets the monthly report.

use crate::said;

use super::fields::Fields;

/// The level above.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportConfig {
    /// The name in letters.
    pub above: String,
    pub email: Option<String>,
}

/// Reads the table, which may be absent.
pub(super) fn read(root: &mut Fields<'_>) -> Option<ReportConfig> {
    let mut fields = root.section("report");
    let above = fields.get("above").and_then(|value| value.words().map(str::to_owned));
    let email_value = fields.get("email");
    let email = email_value.as_ref().and_then(|value| value.words().map(str::to_owned));
    fields.finish();
    if let (Some(email), Some(value)) = (&email, &email_value)
        && !email.contains('@')
    {
        value.problem(said!("problem.no_sender"));
        return None;
    }
    Some(ReportConfig { above: above.unwrap_or_default(), email })
}
