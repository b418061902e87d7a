//! The kinds of commands as words.

use loaxa_heart::decide::delivery::CommandKind;

/// The word of a command's kind in the database.
pub const fn kind_code(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Announce => "announce",
        CommandKind::Cancel => "cancel",
        CommandKind::Other => "other",
    }
}

/// The kind of this word.
pub fn kind_of(code: &str) -> Option<CommandKind> {
    [CommandKind::Announce, CommandKind::Cancel, CommandKind::Other]
        .into_iter()
        .find(|kind| kind_code(*kind) == code)
}
