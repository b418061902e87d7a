//! Boxes that exist only in memory: the real heart and the real wire, over real MQTT sessions, and no sound.
//!
//! Nothing of them outlives the process. A [`fleet::Fleet`] shows what central bears; the training commune has one, too.

pub mod account;
mod disk;
pub mod fleet;
pub mod hostile;
mod memory_box;
mod programmes;
mod session;
pub mod site;
pub mod weather;
