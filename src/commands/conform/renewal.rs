//! The renewal of certificates (section 3): how a box asks, and what a centre answers. Nothing shows from outside which
//! certificate a box then keeps.

use super::box_side::Centre;
use super::central_side::Unit;
use super::check::Check;
use super::wire::{SOON, unit_key};
use loaxa_adapters::certificate::{first_of, is_for, names, validity};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_heart::wire::codec;
use loaxa_heart::wire::renewal::{Renewal, Renewed};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::{Down, Topic, Up};

/// Checks of a box that shows a certificate.
pub const OF_BOX: &[Check<Centre>] = &[Check("conform_check.renewal_asked", "3", asked)];

/// Checks of a centre that gives certificates to boxes.
pub const OF_CENTRAL: &[Check<Unit>] = &[
    Check("conform_check.renewal_foreign", "3", foreign),
    Check("conform_check.renewal_unproven", "3", unproven),
    Check("conform_check.renewal_answered", "3", answered),
    Check("conform_check.renewal_again", "3", again),
];

/// Time in which a centre that answers has done so.
const ANSWER_MAX: Span = Span::secs(3);

fn asked(centre: &mut Centre) -> Result<(), Sentence> {
    let asked = centre.until(SOON, |centre| centre.renewals.first().cloned());
    let asked = asked.ok_or_else(|| said!("conform.no_renewal", seconds = SOON.0 / 1_000_000))?;
    if asked.id != centre.id {
        return Err(said!("conform.other_name", name = asked.id));
    }
    if asked.nonce.is_empty() {
        return Err(said!("conform.no_nonce"));
    }
    asked.key().ok_or_else(|| said!("conform.unproven"))?;
    centre.nothing_wrong()
}

/// The new key, whose secret is none.
fn next_key() -> SecretKey {
    SecretKey::from_seed(&[10; 32])
}

fn request(unit: &Unit, nonce: &str) -> Renewal {
    let present = unit.shows.as_deref().map_or(ContentHash([0; 32]), ContentHash::of);
    Renewal::new(unit.id.clone(), nonce.to_owned(), present, &next_key())
}

fn ask(unit: &Unit, asked: &Renewal, by: &SecretKey) -> Result<(), Sentence> {
    unit.wire.say(&Topic::Up(unit.id.clone(), Up::Renew), codec::seal(asked, &[by]))
}

fn answer(unit: &mut Unit, wait: Span) -> Result<Renewed, Sentence> {
    let trust = unit.trust()?;
    unit.next(Down::Certificate, wait, |bytes| Unit::from_centre::<Renewed>(&trust, bytes))
}

fn stays_unanswered(unit: &mut Unit) -> Result<(), Sentence> {
    unit.trust()?;
    match answer(unit, ANSWER_MAX) {
        Err(_) => Ok(()),
        Ok(_) => Err(said!("conform.certified")),
    }
}

fn foreign(unit: &mut Unit) -> Result<(), Sentence> {
    ask(unit, &request(unit, "conform-foreign"), &SecretKey::from_seed(&[9; 32]))?;
    stays_unanswered(unit)
}

fn unproven(unit: &mut Unit) -> Result<(), Sentence> {
    let other = SecretKey::from_seed(&[9; 32]).public().to_string();
    let asked = Renewal { tls_key: other, ..request(unit, "conform-unproven") };
    ask(unit, &asked, &unit_key())?;
    stays_unanswered(unit)
}

fn answered(unit: &mut Unit) -> Result<(), Sentence> {
    let asked = request(unit, "conform-renewal");
    ask(unit, &asked, &unit_key())?;
    let renewed = answer(unit, SOON)?;
    if renewed.nonce != asked.nonce || renewed.id != unit.id {
        return Err(said!("conform.other_renewal"));
    }
    let certificate = first_of(renewed.certificate.as_bytes());
    let certificate = certificate.filter(|it| is_for(it, &next_key().public()));
    let certificate = certificate
        .filter(|it| names(it).is_some_and(|(_, name)| name == unit.id.as_str()))
        .ok_or_else(|| said!("conform.other_certificate"))?;
    let ends = |certificate: &[u8]| validity(certificate).map(|validity| validity.ends);
    if ends(&certificate) < unit.shows.as_deref().and_then(ends) {
        return Err(said!("conform.ends_earlier"));
    }
    match renewed.authorities {
        Some(text) if first_of(text.as_bytes()).is_none() => Err(said!("conform.bad_authorities")),
        _ => Ok(()),
    }
}

fn again(unit: &mut Unit) -> Result<(), Sentence> {
    ask(unit, &request(unit, "conform-again"), &unit_key())?;
    stays_unanswered(unit)
}
