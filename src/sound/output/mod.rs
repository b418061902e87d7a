//! From a score to the device: a feeder for each play, the mixer that the device's callback runs, and the sinks.

pub mod feed;
pub mod mixer;
pub mod sink;
pub mod together;
