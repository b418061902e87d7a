//! The way between central and the boxes: the broker, the gate before it, certificates, and what goes out.

pub mod broker;
pub mod certificates;
pub mod connect;
pub mod crowd;
pub mod door;
pub mod gate;
mod known_at_any_time;
pub mod outbound;
