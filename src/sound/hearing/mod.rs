//! The box's ear: records while something sounds, and compares the recording with what was handed to the device.

pub mod ears;
pub mod heard;
pub mod microphone;
pub mod tap;
