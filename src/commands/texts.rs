//! Sentences of the command line.

use loaxa_heart::texts::Tables;

/// The words of the command line in both languages.
pub static TEXTS: Tables = Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));
