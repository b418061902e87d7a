//! The pages about boxes: all of them by village, one with its health and what to do, and the code of a new one.

mod act;
mod health;
pub mod keepers;
pub mod list;
mod newcomer;
mod one;
mod volume;

use std::sync::Arc;

use axum::Extension;
use axum::routing::{get, post};

use self::keepers::KEEPERS;
use crate::store::BoxRow;
use crate::web::doors::{Needs, Pages};
use crate::web::shared::Shared;

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    let keepers = Needs::Role(KEEPERS);
    let shared = Extension(Arc::<Shared<Vec<BoxRow>>>::default());
    pages
        .page("/cum-loa", Needs::Person, get(list::page))
        .page("/fragments/cum-loa", Needs::Person, get(list::fragment).layer(shared))
        .page("/cum-loa/moi", keepers, get(newcomer::page).post(newcomer::invite))
        .page("/cum-loa/{id}", Needs::Person, get(one::page))
        .page("/cum-loa/{id}/chuyen", keepers, post(act::move_to))
        .page("/cum-loa/{id}/vi-tri", keepers, post(act::set_point))
        .page("/cum-loa/{id}/phat-thu", keepers, post(act::sound_test))
        .page("/cum-loa/{id}/am-luong", keepers, post(act::set_volume))
        .page("/cum-loa/{id}/bao-tri", keepers, post(act::maintain))
        .page("/cum-loa/{id}/thu-hoi", keepers, post(act::revoke))
}
