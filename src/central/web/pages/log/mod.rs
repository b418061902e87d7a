//! The playback log: what was due, what became of it, and why; nothing on it can be changed.

mod announcements;
mod chosen;
mod evidence;
mod list;
mod one;
mod signs;

use axum::routing::get;

use crate::store::Role;
use crate::web::doors::{Needs, Pages};

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    let trail = Needs::Role(&[Role::Administrator, Role::Reviewer]);
    pages
        .page("/nhat-ky", Needs::Person, get(list::page))
        .page("/nhat-ky.csv", Needs::Person, get(list::export))
        .page("/nhat-ky/luot/{id}", Needs::Person, get(one::page))
        .page(announcements::FRAGMENT, Needs::Person, get(announcements::fragment))
        .page("/bang-chung", trail, get(evidence::page))
        .page("/bang-chung/nhat-ky.jsonl", trail, get(evidence::export))
        .page("/bang-chung/kiem-tra.html", trail, get(evidence::checker))
}
