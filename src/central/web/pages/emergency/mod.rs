//! The pages of real emergencies: chosen, called for, agreed to, on the air and stopped; and the messages prepared for them.

mod agree;
mod air;
mod bell;
mod call;
mod choose;
mod message_form;
mod messages;
mod parts;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;
use crate::store::Role;
use crate::web::doors::{Needs, Pages};
use crate::web::frame::asset;

const DUTY: Needs = Needs::Role(&[Role::Duty]);
const PREPARES: Needs = Needs::Role(&[Role::Administrator, Role::Duty]);

const CALLS: &str = include_str!("../../assets/calls.js");

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    pages
        .page("/khan-cap", DUTY, get(choose::page).post(choose::act))
        .page("/khan-cap/{id}", DUTY, get(call::page).post(call::act))
        .page("/khan-cap/{id}/ky", DUTY, post(call::sign))
        .page("/khan-cap/{id}/dong-y", DUTY, get(agree::page))
        .page("/fragments/khan-cap/{id}", DUTY, get(call::fragment))
        .page("/fragments/goi", DUTY, get(bell::fragment))
        .page("/tin-soan-san", PREPARES, get(messages::page).post(messages::act))
        .page("/tin-soan-san/{id}", PREPARES, get(messages::change))
        .page("/tin-soan-san/{id}/bo", PREPARES, post(messages::end))
}

/// The script of every page of a duty officer.
pub fn assets() -> Router<Arc<App>> {
    Router::new().route("/assets/calls.js", get(|| async { asset("text/javascript", CALLS) }))
}
