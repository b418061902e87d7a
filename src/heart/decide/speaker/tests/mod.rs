//! Scenes of a village: what is pushed, what sounds, what the log says.

mod announcements;
mod authority;
mod changed_plan;
mod clocks;
mod local;
mod relays;
mod rest;
mod rules;
mod scene;
mod search;
mod slots;
