//! Floor 2: text to checked types. Every refusal names file, line, key and what would be right.
//!
//! Deliberately absent: clocks, network, sound. Files are read here and nowhere written.

pub mod box_file;
pub mod box_panel;
pub mod calling_file;
pub mod cap;
pub mod cap_policy;
pub mod central_file;
pub mod day_rules;
mod fields;
mod file_names;
pub mod files;
pub mod gpio_line;
pub mod kind;
pub mod m3u8;
pub mod playlist_file;
mod pls;
pub mod problem;
mod programme_check;
pub mod programme_diff;
pub mod programme_edit;
pub mod programme_file;
mod programme_items;
mod programme_parser;
mod programme_places;
pub mod programme_text;
pub mod report_file;
pub mod shaping;
mod sound_fields;
pub mod tracks;
pub mod trust_file;
pub mod xml;
mod xspf;
