//! From a score to the device: a feeder for each play, the mixer that the device's callback runs, and the sinks.

mod channels;
pub mod feed;
pub mod ledger;
pub mod mixer;
pub mod sink;
pub mod together;
pub mod voice;
