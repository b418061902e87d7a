//! The settings of the commune that staff change themselves.

mod commune;
mod keeping;
mod merge;
mod merge_form;
mod place;
mod receivers;

use axum::routing::{get, post};

use crate::store::Role;
use crate::web::doors::{Needs, Pages};

const ADMINISTRATOR: Needs = Needs::Role(&[Role::Administrator]);

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    pages
        .page("/cai-dat", ADMINISTRATOR, get(commune::page))
        .page("/cai-dat/noi/{group}", ADMINISTRATOR, get(place::page).post(place::keep))
        .page("/cai-dat/noi/{group}/gop", ADMINISTRATOR, post(merge::act))
        .page("/cai-dat/chuyen-muc", ADMINISTRATOR, post(commune::set_section))
        .page("/cai-dat/chien-dich", ADMINISTRATOR, post(commune::set_campaign))
        .page("/cai-dat/luu-giu", ADMINISTRATOR, get(keeping::page).post(keeping::keep))
        .page("/cai-dat/noi-nhan", ADMINISTRATOR, get(receivers::page).post(receivers::add))
        .page("/cai-dat/noi-nhan/{id}/thu", ADMINISTRATOR, post(receivers::try_it))
        .page("/cai-dat/noi-nhan/{id}/bo", ADMINISTRATOR, post(receivers::end))
}
