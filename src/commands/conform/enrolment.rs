//! A box that a centre under test is to take in, and those who stand between the two.

use super::super::box_enrol::ask;
use super::super::language::words;
use super::check::Check;
use loaxa_heart::texts::Say;
use loaxa_heart::wire::enrolment::{EnrolRequest, Enrolled, EnrolmentCode};
use loaxa_heart::wire::signing::SecretKey;

pub const CHECKS: &[Check<Newcomer>] = &[
    Check("keys of somebody in between are refused", "3", stolen_request),
    Check("a code of somebody else is refused", "3", guessed_code),
    Check(
        "and neither used the code up: the box is taken in, by a chain from the code to its keys",
        "3",
        taken_in,
    ),
    Check("what somebody in between changes in the answer breaks the chain", "3", altered_answer),
    Check("the answer is worth nothing to keys of somebody else", "3", for_others),
    Check("a code is good once", "3", once),
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

    fn is_refused(&self, request: &EnrolRequest) -> Result<(), String> {
        match ask(&self.central, request) {
            Err(_) => Ok(()),
            Ok(answer) => Err(format!("{} was taken in", answer.id)),
        }
    }

    fn answer(&self) -> Result<&Enrolled, String> {
        self.answer.as_ref().ok_or_else(|| "the box was not taken in".to_owned())
    }
}

fn stolen_request(unit: &mut Newcomer) -> Result<(), String> {
    let stranger = unit.stranger.public().to_string();
    unit.is_refused(&EnrolRequest { log_key: stranger.clone(), ..unit.request() })?;
    unit.is_refused(&EnrolRequest { tls_key: stranger.clone(), ..unit.request() })?;
    unit.is_refused(&EnrolRequest { code_key: stranger, ..unit.request() })
}

fn guessed_code(unit: &mut Newcomer) -> Result<(), String> {
    let written = unit.code.to_string();
    let other: String = written.chars().rev().collect();
    let other = other.parse().map_err(|bad: loaxa_heart::wire::enrolment::BadCode| words(bad.say()))?;
    unit.is_refused(&EnrolRequest::new(&other, &unit.log_key.public(), &unit.tls_key.public()))
}

fn taken_in(unit: &mut Newcomer) -> Result<(), String> {
    let answer = ask(&unit.central, &unit.request()).map_err(|failure| words(failure.0))?;
    let checked = answer.check(&unit.code, &unit.log_key.public(), &unit.tls_key.public());
    checked.map_err(|reason| words(reason.say()))?;
    unit.answer = Some(answer);
    Ok(())
}

fn altered_answer(unit: &mut Newcomer) -> Result<(), String> {
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
    believed.map_or(Ok(()), |(part, _)| Err(format!("another {part} is not noticed")))
}

fn for_others(unit: &mut Newcomer) -> Result<(), String> {
    let (log, tls, stranger) = (unit.log_key.public(), unit.tls_key.public(), unit.stranger.public());
    let answer = unit.answer()?;
    let believed = [(stranger, tls), (log, stranger)]
        .iter()
        .any(|(log, tls)| answer.check(&unit.code, log, tls).is_ok());
    if believed { Err("the seal does not name the keys of the box".to_owned()) } else { Ok(()) }
}

fn once(unit: &mut Newcomer) -> Result<(), String> {
    unit.answer()?;
    unit.is_refused(&unit.request())
}
