//! The pages of notices: written, heard, foreseen, approved, followed and ended.

mod changes;
mod compose;
mod content;
mod fields;
mod list;
mod one;
mod preview;
mod pronunciation;
mod refused;
mod review;
mod script;
mod signing;
mod steps;
mod upload;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::sync::Arc;

use crate::app::App;
use crate::store::Role;
use crate::web::doors::{Needs, Pages};

const WRITES: Needs = Needs::Role(&[Role::Writer]);
const APPROVES: Needs = Needs::Role(&[Role::Approver]);

/// Largest part of a file in one request, in bytes; `assets/compose.js` sends less.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    let parts = post(upload::begin)
        .get(upload::how_far)
        .put(upload::take)
        .delete(upload::give_up)
        .layer(DefaultBodyLimit::max(PART_BYTES_MAX));
    pages
        .page("/soan-tin", WRITES, get(compose::start))
        .page("/soan-tin/{id}", WRITES, get(compose::page).post(compose::act))
        .page("/soan-tin/{id}/tep", WRITES, parts)
        .page("/phat-am", WRITES, get(pronunciation::page).post(pronunciation::act))
        .page("/tin", Needs::Person, get(list::page))
        .page("/tin/{id}", Needs::Person, get(one::page).post(one::act))
        .page("/fragments/tin/{id}", Needs::Person, get(one::fragment))
        .page("/tin/{id}/sua", WRITES, post(one::correct))
        .page("/duyet-tin", APPROVES, get(review::queue))
        .page("/duyet-tin/{id}", APPROVES, get(review::page).post(review::act))
        .page("/duyet-tin/{id}/ban-ky", APPROVES, post(signing::offer))
        .page("/duyet-tin/{id}/ky", APPROVES, post(signing::sign))
}

/// The script of the page to write on.
pub fn assets() -> Router<Arc<App>> {
    script::assets()
}
