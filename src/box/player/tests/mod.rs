//! The player on a device without hardware: what sounds, and what the player tells.

mod clock;
mod device;
mod plays;
mod rig;
