//! The words on the pages and in the answers of the API.

use loaxa_heart::texts::Tables;

/// The words of central in both languages.
pub static TEXTS: Tables = Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));
