//! Signing in and out: from a password to a session, and from a session's secret to its person.

use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::ids::{AccountId, ContentHash};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

use super::devices::Device;
use super::who::Who;
use super::{passwords, second_factor, tries};
use crate::app::App;
use crate::store::{ActFilter, Actor, AlarmKind, NewAct, PersonRow, SessionRow, Stage, StoreError};
use crate::wrong_tries::network;
use std::net::{IpAddr, Ipv4Addr};

use loaxa_heart::domain::hex::hex;

/// A session ends when nobody has used it for so long.
pub const IDLE: Span = Span::secs(60 * 60);
/// A session ends after so long in any case: a working day.
pub const LASTS: Span = Span::secs(12 * 3_600);
/// Time for the second step of a sign-in.
const SECOND_STEP: Span = Span::secs(10 * 60);
/// The use of a session is noted so often.
const TOUCH_EVERY: Span = Span::secs(60);
/// Earlier sign-ins that are looked at while an account is tried from everywhere.
const REMEMBERED: u32 = 200;
/// Longest that a browser says of itself, in characters.
const BROWSER_CHARS_MAX: usize = 160;

/// The place that somebody signs in from.
#[derive(Debug, Clone)]
pub struct Place {
    pub address: String,
    pub browser: String,
}

impl Place {
    /// The address as a number; the unspecified one where it is none.
    fn ip(&self) -> IpAddr {
        self.address.parse().unwrap_or(IpAddr::from(Ipv4Addr::UNSPECIFIED))
    }
}

/// A reason for which somebody is not let in. Whether the account exists is not said.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotIn {
    Wrong,
    TooOften,
    /// Too many sign in at once.
    Busy,
    WrongCode,
    Store(#[from] StoreError),
}

impl Say for NotIn {
    fn say(&self) -> Sentence {
        match self {
            NotIn::Wrong => said!("sign_in.wrong"),
            NotIn::TooOften => said!("sign_in.too_often"),
            NotIn::Busy => said!("sign_in.busy"),
            NotIn::WrongCode => said!("sign_in.wrong_code"),
            NotIn::Store(error) => error.say(),
        }
    }
}

/// The next step after a right password or code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    In,
    /// The second factor is asked for.
    Code,
    /// A second factor has to be set up before anything else.
    SetUp,
}

/// A session that has just begun.
pub struct Begun {
    pub person: AccountId,
    /// The secret for the browser's cookie; only its hash is kept.
    pub secret: String,
    pub next: Next,
    /// The password is one that nobody may set any more: its person is asked for another.
    pub weak: bool,
}

/// Checks a password and begins a session. `device` is a browser that this person signed in from before.
///
/// # Errors
/// Fails in the same words whether the account or the password is wrong.
pub async fn with_password(
    app: &App,
    account: &str,
    password: &str,
    place: Place,
    device: Option<&Device>,
) -> Result<Begun, NotIn> {
    let from = place.ip();
    let id = account.trim().to_lowercase().parse::<AccountId>().ok();
    // What is no name is counted as one account, however long it is.
    let account = id.as_ref().map_or("", AccountId::as_str).to_owned();
    let under_way = match device {
        Some(device) => app.sign_in_tries.begin_on(&device.0),
        None => {
            let was_here = tries::is_besieged(app, &account).await && was_here(app, &account, from).await?;
            tries::begin(app, &account, from, was_here).await
        }
    };
    let _under_way = under_way.ok_or(NotIn::TooOften)?;
    let person = match id {
        Some(id) => app.store.person(id).await?.filter(|person| person.left.is_none()),
        None => None,
    };
    let hash = person.as_ref().and_then(|person| person.password.as_deref());
    let right = passwords::is_right(password, hash).await.ok_or(NotIn::Busy)?;
    let Some(person) = person.filter(|_| right) else {
        match device {
            Some(device) => tries::note_wrong_on(app, &device.0).await,
            None => tries::note_wrong(app, &account, from).await,
        }
        return Err(NotIn::Wrong);
    };
    let about = [person.id.as_str(), &person.name, &app.settings.commune];
    let weak = passwords::check(password, &about).is_err();
    Ok(Begun { weak, ..begin(app, &person, place).await? })
}

/// Tells whether somebody signed in to an account from this network before, also before the last start.
async fn was_here(app: &App, account: &str, from: IpAddr) -> Result<bool, StoreError> {
    let filter = ActFilter {
        actor: Some(account.to_owned()),
        act: Some("signed_in".to_owned()),
        limit: REMEMBERED,
        ..Default::default()
    };
    let acts = app.store.acts(filter).await?;
    let places = acts.iter().filter_map(|act| act.from.as_ref()?.parse::<IpAddr>().ok());
    Ok(places.map(network).any(|place| place == network(from)))
}

/// Begins the session of a person whose password was right.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn begin(app: &App, person: &PersonRow, place: Place) -> Result<Begun, StoreError> {
    let now = app.now();
    let next = match (&person.totp, app.settings.second_factor && person.needs_second_factor(now)) {
        (Some(_), _) => Next::Code,
        (None, true) => Next::SetUp,
        (None, false) => Next::In,
    };
    let stage = if next == Next::In { Stage::Plain } else { Stage::Password };
    tries::note_right(app, person.id.as_str(), place.ip()).await;
    if next == Next::In {
        note(app, person, "signed_in", &place).await?;
    }
    let secret = new_session(app, person.id.clone(), stage, place).await?;
    Ok(Begun { person: person.id.clone(), secret, next, weak: false })
}

/// Checks a code of a telephone or of the sheet, and begins a new session in place of the one of the first step, so that a
/// secret that somebody planted or saw earlier opens nothing.
///
/// # Errors
/// Fails when the code is wrong or was used before.
pub async fn with_code(app: &App, who: &Who, code: &str) -> Result<String, NotIn> {
    check_code(app, who, code).await?;
    Ok(step_up(app, who).await?)
}

/// Uses up a code of the person's telephone or of their sheet. Whoever tries has shown the password, so that the count
/// of all networks together locks no stranger's victim out.
///
/// # Errors
/// Fails when the code is wrong or was used before.
pub async fn check_code(app: &App, who: &Who, code: &str) -> Result<(), NotIn> {
    let id = who.person.id.clone();
    let account = format!("code of {id}");
    let anywhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let _under_way = tries::begin(app, &account, anywhere, true).await.ok_or(NotIn::TooOften)?;
    let step = who.person.totp.as_deref().and_then(|totp| second_factor::step_of(totp, code, who.now));
    let right = match step {
        Some(step) => app.store.use_totp_step(id.clone(), step).await?,
        None => {
            let act = who.act("recovery_code_used", id.as_str());
            app.store.use_recovery_code(id.clone(), second_factor::hash_of(code), act).await?
        }
    };
    if right {
        tries::note_right(app, &account, anywhere).await;
        return Ok(());
    }
    tries::note_wrong(app, &account, anywhere).await;
    app.suspect(AlarmKind::WrongToken, id.as_str(), "code").await;
    Err(NotIn::WrongCode)
}

/// Begins a full session in place of one of the first step.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn step_up(app: &App, who: &Who) -> Result<String, StoreError> {
    let place = Place { address: who.from.clone(), browser: who.session.browser.clone() };
    note(app, &who.person, "signed_in", &place).await?;
    app.store.end_session(who.person.id.clone(), who.session.secret).await?;
    new_session(app, who.person.id.clone(), Stage::Full, place).await
}

async fn note(app: &App, person: &PersonRow, act: &'static str, place: &Place) -> Result<(), StoreError> {
    let act = NewAct {
        at: app.now(),
        actor: Actor::Person { id: person.id.clone() },
        act,
        subject: person.id.to_string(),
        before: None,
        after: None,
        from: Some(place.address.clone()),
    };
    app.store.note_act(act).await
}

async fn new_session(app: &App, person: AccountId, stage: Stage, place: Place) -> Result<String, StoreError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let (secret, now) = (hex(&random), app.now());
    // A clock that is ahead would end everybody's at all centrals.
    if app.clock.off(monotonic()).is_none() {
        app.store.forget_sessions(now.minus(LASTS), now.minus(IDLE)).await?;
    }
    let row = SessionRow {
        secret: ContentHash::of(secret.as_bytes()),
        person,
        stage,
        made: now,
        seen: now,
        from: place.address,
        browser: place.browser.chars().take(BROWSER_CHARS_MAX).collect(),
    };
    app.store.add_session(row).await?;
    Ok(secret)
}

/// The origin of a request; only a person's keeps a session awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    Person,
    /// A page that is open and asks by itself.
    Page,
}

/// Finds the person of a session; `None` where it has ended, whatever the reason.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn who(app: &App, secret: &str, from: String, by: AskedBy) -> Result<Option<Who>, StoreError> {
    of_session(app, ContentHash::of(secret.as_bytes()), from, by).await
}

/// Tells whether a session that was found before goes on.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn is_still_in(app: &App, who: &Who) -> Result<bool, StoreError> {
    let found = of_session(app, who.session.secret, who.from.clone(), AskedBy::Page).await?;
    Ok(found.is_some())
}

async fn of_session(
    app: &App,
    secret: ContentHash,
    from: String,
    by: AskedBy,
) -> Result<Option<Who>, StoreError> {
    let now = app.now();
    let Some(session) = app.store.session(secret).await? else { return Ok(None) };
    if is_over(&session, now) {
        return Ok(None);
    }
    let Some(person) = app.store.person(session.person.clone()).await? else { return Ok(None) };
    if person.left.is_some() {
        return Ok(None);
    }
    if by == AskedBy::Person && now.since(session.seen) >= TOUCH_EVERY {
        app.store.touch_session(session.secret, now).await?;
    }
    Ok(Some(Who { person, session, now, from }))
}

/// The time that is left of a session when nobody uses it from now on.
pub fn left(who: &Who) -> Span {
    let session = &who.session;
    let until = session.seen.plus(IDLE).min(session.made.plus(LASTS));
    until.since(who.now)
}

fn is_over(session: &SessionRow, now: Wall) -> bool {
    let lasts = if session.stage == Stage::Password { SECOND_STEP } else { LASTS };
    now.since(session.made) >= lasts || now.since(session.seen) >= IDLE
}
