//! Pages and API.

pub mod api;
pub mod pages;
mod texts;
mod words;
