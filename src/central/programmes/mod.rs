//! Programmes, limits and groups as staff change them: proposals that go through approval, and the week as it will sound.

pub mod basis;
pub mod copying;
mod not_proposal;
pub mod proposals;
pub mod volume;
pub mod week;

pub use not_proposal::NotProposal;
