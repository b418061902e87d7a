//! Floor 4: what touches the world: clock, sound, network, disk, processes, and the talk with central.

pub mod any_time;
pub mod authorities;
pub mod backoff;
pub mod box_store;
pub mod certificate;
pub mod clock;
pub mod disk;
pub mod fetch;
#[cfg(feature = "gpio")]
pub mod gpio;
pub mod ical;
pub mod keys;
mod link_config;
pub mod mqtt;
mod other_way;
pub mod private_files;
pub mod program;
pub mod receipts;
pub mod slots;
pub mod uplink;
pub mod whole_file;
pub mod xml_signature;

/// The sentences of this crate for people.
pub static TEXTS: loaxa_heart::texts::Tables =
    loaxa_heart::texts::Tables::new(include_str!("texts/vi.toml"), include_str!("texts/en.toml"));
