//! A box that a centre under test is to take in, and those who stand between the two.

use super::super::enrol_ask::ask;
use super::check::Check;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode};
use loaxa_heart::wire::signing::SecretKey;

pub const CHECKS: &[Check<Newcomer>] = &[
    Check("conform_check.stolen_request", "3", stolen_request),
    Check("conform_check.guessed_code", "3", guessed_code),
    Check("conform_check.taken_in", "3", taken_in),
    Check("conform_check.altered_answer", "3", altered_answer),
    Check("conform_check.for_others", "3", for_others),
    Check("conform_check.code_once", "3", once),
];

/// A box that has a code.
pub struct Newcomer {
    central: String,
    code: EnrolmentCode,
    log_key: SecretKey,
    tls_key: SecretKey,
    stranger: SecretKey,
    answer: Option<Enrolled>,
}

impl Newcomer {
    pub fn new(central: String, code: EnrolmentCode) -> Self {
        let key = |n| SecretKey::from_seed(&[n; 32]);
        Self { central, code, log_key: key(7), tls_key: key(8), stranger: key(9), answer: None }
    }

    fn request(&self) -> EnrolRequest {
        EnrolRequest::new(&self.code, &self.log_key.public(), &self.tls_key.public())
    }

    fn is_refused(&self, request: &EnrolRequest) -> Result<(), Sentence> {
        match ask(&self.central, request) {
            Err(_) => Ok(()),
            Ok(answer) => Err(said!("conform.taken_in", box_id = answer.id)),
        }
    }

    fn answer(&self) -> Result<&Enrolled, Sentence> {
        self.answer.as_ref().ok_or_else(|| said!("conform.not_taken_in"))
    }
}

fn stolen_request(unit: &mut Newcomer) -> Result<(), Sentence> {
    let stranger = unit.stranger.public().to_string();
    unit.is_refused(&EnrolRequest { log_key: stranger.clone(), ..unit.request() })?;
    unit.is_refused(&EnrolRequest { tls_key: stranger.clone(), ..unit.request() })?;
    unit.is_refused(&EnrolRequest { code_key: stranger, ..unit.request() })
}

fn guessed_code(unit: &mut Newcomer) -> Result<(), Sentence> {
    let written = unit.code.to_string();
    let other: String = written.chars().rev().collect();
    let other = other.parse().map_err(|bad: loaxa_heart::wire::enrolment::BadCode| bad.say())?;
    unit.is_refused(&EnrolRequest::new(&other, &unit.log_key.public(), &unit.tls_key.public()))
}

fn taken_in(unit: &mut Newcomer) -> Result<(), Sentence> {
    let answer = ask(&unit.central, &unit.request()).map_err(|reason| reason.say())?;
    let checked = answer.check(&unit.code, &unit.log_key.public(), &unit.tls_key.public());
    checked.map_err(|reason| reason.say())?;
    unit.answer = Some(answer);
    Ok(())
}

fn altered_answer(unit: &mut Newcomer) -> Result<(), Sentence> {
    let answer = unit.answer()?.clone();
    let other = || "conform-other".to_owned();
    let altered = [
        ("box", Enrolled { id: other().parse().expect("it is a name"), ..answer.clone() }),
        ("groups", Enrolled { groups: Vec::new(), ..answer.clone() }),
        ("root", Enrolled { root: unit.stranger.public().to_string(), ..answer.clone() }),
        ("trust", Enrolled { trust: other(), ..answer.clone() }),
        ("ca", Enrolled { ca: other(), ..answer.clone() }),
        ("certificate", Enrolled { certificate: other(), ..answer.clone() }),
        ("broker", Enrolled { broker: other(), ..answer.clone() }),
        ("seal", Enrolled { seal: None, ..answer }),
    ];
    let believed = altered
        .iter()
        .find(|(_, answer)| answer.check(&unit.code, &unit.log_key.public(), &unit.tls_key.public()).is_ok());
    believed.map_or(Ok(()), |(part, _)| Err(said!("conform.unnoticed", part)))
}

fn for_others(unit: &mut Newcomer) -> Result<(), Sentence> {
    let (log, tls, stranger) = (unit.log_key.public(), unit.tls_key.public(), unit.stranger.public());
    let answer = unit.answer()?;
    let believed = [(stranger, tls), (log, stranger)]
        .iter()
        .any(|(log, tls)| answer.check(&unit.code, log, tls).is_ok());
    if believed { Err(said!("conform.seal_without_keys")) } else { Ok(()) }
}

fn once(unit: &mut Newcomer) -> Result<(), Sentence> {
    unit.answer()?;
    unit.is_refused(&unit.request())
}
