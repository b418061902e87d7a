//! The pages about people: signing in, one's own account, everybody's roles, and who did what.

mod account;
mod audit;
pub mod changed_keys;
mod link;
mod list;
mod own_data;
mod passkey_parts;
mod passkeys;
mod person;
mod script;
mod second_factor;
mod second_step;
mod sign_in;
mod stay;
mod strength;

use axum::routing::{get, post};

use crate::store::Role;
use crate::web::doors::{Needs, Pages, SECOND_STEP, SIGN_IN};

const ADMINISTRATOR: Needs = Needs::Role(&[Role::Administrator]);
const READS_THE_TRAIL: Needs = Needs::Role(&[Role::Administrator, Role::Reviewer]);

pub use script::assets;

/// Adds the pages.
pub fn add(pages: Pages) -> Pages {
    pages
        .page(SIGN_IN, Needs::Nobody, get(sign_in::page).post(sign_in::enter))
        .page(SECOND_STEP, Needs::Password, get(second_step::page).post(second_step::enter))
        .page("/dang-nhap/dat-ma", Needs::Password, get(second_factor::page).post(second_factor::set))
        .page("/dang-nhap/khoa-may", Needs::Password, post(passkeys::show))
        .page("/dang-nhap/khoa-may/hoi", Needs::Password, post(passkeys::begin_showing))
        .page("/thoat", Needs::Nobody, post(sign_in::leave))
        .page("/moi/{code}", Needs::Nobody, get(link::page).post(link::take))
        .page("/tai-khoan", Needs::Person, get(account::page))
        .page("/moi/{code}/do-manh", Needs::Nobody, post(strength::of_newcomer))
        .page(strength::OWN, Needs::Person, post(strength::of_own))
        .page(own_data::PATH, Needs::Person, get(own_data::file))
        .page("/tai-khoan/mat-khau", Needs::Person, post(account::change_password))
        .page("/tai-khoan/phien", Needs::Person, post(account::end_session))
        .page("/tai-khoan/khoa-may", Needs::Person, post(passkeys::make))
        .page("/tai-khoan/khoa-may/hoi", Needs::Person, post(passkeys::begin_making))
        .page("/tai-khoan/khoa-may/xoa", Needs::Person, post(passkeys::remove))
        .page("/tai-khoan/o-lai", Needs::Person, post(stay::stay))
        .page("/fragments/phien", Needs::Person, get(stay::left))
        .page("/nguoi", ADMINISTRATOR, get(list::page).post(list::invite))
        .page("/nguoi/{id}", ADMINISTRATOR, get(person::page))
        .page("/nguoi/{id}/vai-tro", ADMINISTRATOR, post(person::give_role))
        .page("/nguoi/{id}/vai-tro/{role}/xac-nhan", ADMINISTRATOR, post(person::confirm_role))
        .page("/nguoi/{id}/vai-tro/{role}/thoi", ADMINISTRATOR, post(person::end_role))
        .page("/nguoi/{id}/lien-ket", ADMINISTRATOR, post(person::recover))
        .page("/nguoi/{id}/lien-ket/quyet", ADMINISTRATOR, post(person::decide_link))
        .page("/nguoi/{id}/phien", ADMINISTRATOR, post(person::end_sessions))
        .page("/nguoi/{id}/nghi", ADMINISTRATOR, post(person::leave))
        .page("/ai-da-lam-gi", READS_THE_TRAIL, get(audit::page))
        .page("/ai-da-lam-gi.csv", READS_THE_TRAIL, get(audit::export))
}
