//! The real box as a process of its own, with brokers, disks and a central that keeps to a script.

mod alone;
mod disk;
mod local;
mod media;
mod orders;
mod power_cuts;
mod prepared;
mod wire_link;
mod wire_store;

#[path = "../support/mod.rs"]
mod support;
