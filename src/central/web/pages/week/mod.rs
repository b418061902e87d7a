//! The pages of the week: what will sound, changed slot by slot or as text, and approved before boxes hear of it.

mod act;
mod address;
mod asked;
mod copy;
mod days;
mod difference;
mod draft;
mod library;
mod list;
mod refusals;
pub mod review;
mod slot;
mod slot_form;
mod text;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::app::App;
use crate::store::Role;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::asset;

const WRITES: Needs = Needs::Role(&[Role::Writer]);
const CHANGES_TEXTS: Needs = Needs::Role(&[Role::Writer, Role::Administrator]);
const APPROVES: Needs = Needs::Role(&[Role::Approver]);

/// Largest form with a programme's text, in bytes: each letter of a megabyte may take three when it is sent.
const TEXT_FORM_BYTES_MAX: usize = 4 * 1024 * 1024;

const SCRIPT: &str = include_str!("../../assets/week.js");

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    let text = get(text::page).post(text::keep).layer(DefaultBodyLimit::max(TEXT_FORM_BYTES_MAX));
    pages
        .page("/tuan", Needs::Person, get(view::page))
        .page("/tuan/khung", WRITES, get(slot::page).post(slot::act))
        .page("/tuan/chep", WRITES, get(copy::page).post(copy::act))
        .page("/tuan/danh-sach", WRITES, get(list::page).post(list::act))
        .page("/tuan/van-ban", CHANGES_TEXTS, text)
        .page("/tuan/nhap", CHANGES_TEXTS, post(act::act))
        .page("/tuan/chuong-trinh", WRITES, post(act::begin))
        .page("/kho-am-thanh", Needs::Person, get(library::page))
        .page("/duyet-lich/{id}", APPROVES, get(review::page).post(review::act))
}

/// The script by which the arrow keys move a slot.
pub fn assets() -> Router<Arc<App>> {
    Router::new().route("/assets/week.js", get(|| async { asset("text/javascript", SCRIPT) }))
}
