//! Accounts: the first administrator, invitations, roles and their confirmation, lost telephones, and people who leave.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use loaxa_adapters::private_files;
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::{AccountId, ContentHash, GroupId};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence, steers};

use super::passwords::{self, BadPassword};
use super::second_factor;
use super::tries;
use super::who::Who;
use crate::app::App;
use crate::store::{Actor, LinkFor, LinkRow, NewAct, PersonRow, Role, RoleRow, StoreError};

/// Time for an invited person to take the invitation.
pub const INVITATION_LASTS: Span = Span::secs(7 * 86_400);
/// Time for somebody who lost password or telephone.
pub const RECOVERY_LASTS: Span = Span::secs(3_600);
/// Time for the first administrator; each start of central makes a new link while there is nobody.
const FIRST_LASTS: Span = Span::secs(7 * 86_400);
/// Time in which everyone sees that a role is to be given, where no second administrator can confirm it.
pub const WAITS_ALONE: Span = Span::secs(24 * 3_600);
/// Time after the end of another administrator in which nobody gives the heavy roles alone: whoever shuts the others out gains
/// nothing by it for a week.
const AFTER_AN_END: Span = Span::secs(7 * 86_400);
/// Longest name and address of a person, in characters.
const NAME_CHARS_MAX: usize = 120;
/// The file with the link of the first administrator, in the data directory.
const FIRST_FILE: &str = "first-administrator";

/// A reason for which an account is not made or changed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotDone {
    /// The name to sign in with is no name.
    Account(String),
    /// The person's name is empty or too long.
    Name,
    Taken(AccountId),
    NoSuchPerson(AccountId),
    /// Somebody was faster, or it was so before.
    Unchanged,
    /// One's own rights are other people's work.
    Oneself,
    /// The last administrator can't go.
    LastAdministrator,
    /// The link was used, or its time is over.
    Link,
    Password(BadPassword),
    Code,
    TooOften,
    Store(#[from] StoreError),
}

impl Say for NotDone {
    fn say(&self) -> Sentence {
        match self {
            NotDone::Account(account) => said!("people.bad_account", account = account.escape_debug()),
            NotDone::Name => said!("people.bad_name", max = NAME_CHARS_MAX),
            NotDone::Taken(account) => said!("people.taken", account),
            NotDone::NoSuchPerson(account) => said!("people.no_such", account),
            NotDone::Unchanged => said!("people.unchanged"),
            NotDone::Oneself => said!("people.oneself"),
            NotDone::LastAdministrator => said!("people.last_administrator"),
            NotDone::Link => said!("people.link_over"),
            NotDone::Password(bad) => bad.say(),
            NotDone::TooOften => said!("sign_in.too_often"),
            NotDone::Code => said!("people.wrong_first_code"),
            NotDone::Store(error) => error.say(),
        }
    }
}

impl From<BadPassword> for NotDone {
    fn from(bad: BadPassword) -> Self {
        NotDone::Password(bad)
    }
}

/// Makes the link of the first administrator where nobody has an account yet, and writes it to a file that only the
/// service's user reads; returns the path.
///
/// # Errors
/// Fails when the store does not answer, or the file can't be written.
pub async fn invite_first(app: &App) -> Result<Option<PathBuf>, StoreError> {
    if !app.store.people().await?.is_empty() {
        let _ = std::fs::remove_file(app.settings.data_dir.join(FIRST_FILE));
        return Ok(None);
    }
    let (code, row) = new_link(LinkFor::First, None, None, (app.now(), app.now().plus(FIRST_LASTS)));
    app.store.add_link(row, None).await?;
    let link = address(app, &code);
    let path = app.settings.data_dir.join(FIRST_FILE);
    if let Err(error) = private_files::write(&path, format!("{link}\n").as_bytes()) {
        tracing::error!(%error, path = %path.display(), "the first administrator's link is not written");
    }
    Ok(Some(path))
}

/// The address of a one-time link.
fn address(app: &App, code: &str) -> String {
    format!("{}/moi/{code}", app.public_url)
}

/// Makes a link: its code, which is shown once, and what is kept of it.
pub fn new_link(
    purpose: LinkFor,
    person: Option<AccountId>,
    asked_by: Option<AccountId>,
    (good_from, expires): (Wall, Wall),
) -> (String, LinkRow) {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let code = hex(&random);
    let row = LinkRow { code: hash_of(&code), purpose, person, asked_by, good_from, expires };
    (code, row)
}

/// The hash by which a link's code is kept.
pub fn hash_of(code: &str) -> ContentHash {
    ContentHash::of(format!("loaxa-link v1\n{code}").as_bytes())
}

/// A new person as an administrator, or the first one, describes them.
#[derive(Debug, Clone)]
pub struct Newcomer {
    pub account: String,
    pub name: String,
    pub reach: String,
}

impl Newcomer {
    /// Checks what was written, and makes the person of it.
    ///
    /// # Errors
    /// Says what is wrong with the account or the name.
    pub fn check(&self, now: Wall) -> Result<PersonRow, NotDone> {
        let account = self.account.trim().to_lowercase();
        let id = account.parse::<AccountId>().map_err(|_| NotDone::Account(account))?;
        let name = self.name.split_whitespace().collect::<Vec<_>>().join(" ");
        let reach = self.reach.trim().to_owned();
        if name.chars().chain(reach.chars()).any(steers) {
            return Err(NotDone::Name);
        }
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || reach.chars().count() > NAME_CHARS_MAX
        {
            return Err(NotDone::Name);
        }
        Ok(PersonRow {
            id,
            name,
            reach,
            password: None,
            totp: None,
            recovery_left: 0,
            made: now,
            left: None,
            roles: Vec::new(),
        })
    }
}

/// Makes the first administrator, who has a link that nobody used before.
///
/// # Errors
/// Says what is wrong; the link is still good then, unless it was used.
pub async fn first(
    app: &App,
    code: &str,
    newcomer: Newcomer,
    password: &str,
    from: &str,
) -> Result<PersonRow, NotDone> {
    let now = app.now();
    let person = newcomer.check(now)?;
    passwords::check(password, &[person.id.as_str(), &person.name, &app.settings.commune])?;
    let hash = passwords::hash(password).await;
    // Somebody may have been added at the server since the link was made.
    if !app.store.people().await?.is_empty() || !app.store.use_link(hash_of(code), now).await? {
        return Err(NotDone::Link);
    }
    let act = |act| NewAct {
        at: now,
        actor: Actor::Console,
        act,
        subject: person.id.to_string(),
        before: None,
        after: None,
        from: Some(from.to_owned()),
    };
    if !app.store.add_person(person.clone(), act("first_administrator")).await? {
        return Err(NotDone::Taken(person.id));
    }
    app.store.set_password(person.id.clone(), hash, act("password_set")).await?;
    for group in app.settings.top_groups() {
        let role = RoleRow {
            id: 0,
            person: person.id.clone(),
            role: Role::Administrator,
            group,
            asked_by: None,
            asked: now,
            confirmed_by: None,
            good_from: Some(now),
            ended: None,
        };
        app.store.give_role(role, act("role_given")).await?;
    }
    let _ = std::fs::remove_file(app.settings.data_dir.join(FIRST_FILE));
    read(app, &person.id).await
}

/// Adds a person and makes the link that they are sent.
///
/// # Errors
/// Says what is wrong with the account or the name.
pub async fn invite(app: &App, who: &Who, newcomer: Newcomer) -> Result<(AccountId, String), NotDone> {
    let person = newcomer.check(who.now)?;
    let id = person.id.clone();
    let act = NewAct { after: Some(person.name.clone()), ..who.act("invited", id.as_str()) };
    if !app.store.add_person(person, act).await? {
        return Err(NotDone::Taken(id));
    }
    let link = link_for(app, who, &id, LinkFor::Invitation, who.now).await?;
    Ok((id, link))
}

/// Makes a link for somebody who lost the password, or the telephone. Whoever may do heavy things does not begin anew by the
/// word of one administrator: such a link works when a second one agrees, or after a day in plain sight. Returns the address
/// and the time from which it works.
///
/// # Errors
/// Fails for oneself: somebody else has to see who asks.
pub async fn recover(app: &App, who: &Who, id: &AccountId, phone: bool) -> Result<(String, Wall), NotDone> {
    if *id == who.person.id {
        return Err(NotDone::Oneself);
    }
    let person = read(app, id).await?;
    let is_heavy = person.needs_second_factor(who.now) && person.totp.is_some();
    let (purpose, good_from) = match (&person.password, phone) {
        (None, _) => (LinkFor::Invitation, who.now),
        (Some(_), false) => (LinkFor::Recovery, who.now),
        (Some(_), true) if is_heavy => {
            (LinkFor::NewPhone, who.now.plus(WAITS_ALONE).max(last_end(app, who).await?.plus(AFTER_AN_END)))
        }
        (Some(_), true) => (LinkFor::NewPhone, who.now),
    };
    Ok((link_for(app, who, id, purpose, good_from).await?, good_from))
}

async fn link_for(
    app: &App,
    who: &Who,
    id: &AccountId,
    purpose: LinkFor,
    good_from: Wall,
) -> Result<String, NotDone> {
    let (lasts, act) = match purpose {
        LinkFor::Recovery => (RECOVERY_LASTS, "recovery_link"),
        LinkFor::NewPhone => (RECOVERY_LASTS, "new_phone_link"),
        LinkFor::Invitation | LinkFor::First => (INVITATION_LASTS, "invitation_link"),
    };
    // One that has waited lies ready for a day.
    let expires = if good_from > who.now { good_from.plus(WAITS_ALONE) } else { good_from.plus(lasts) };
    let asked_by = Some(who.person.id.clone());
    let (code, row) = new_link(purpose, Some(id.clone()), asked_by, (good_from, expires));
    app.store.add_link(row, Some(who.act(act, id.as_str()))).await?;
    Ok(address(app, &code))
}

/// Takes an invitation or a recovery link: sets the password, forgets the old second factor, ends all sessions.
///
/// # Errors
/// Says what is wrong; the link is still good then, unless it was used.
pub async fn take_link(app: &App, code: &str, password: &str, from: &str) -> Result<PersonRow, NotDone> {
    let now = app.now();
    let link = app.store.link(hash_of(code), now).await?.ok_or(NotDone::Link)?;
    let person = read(app, &link.person.ok_or(NotDone::Link)?).await?;
    passwords::check(password, &[person.id.as_str(), &person.name, &app.settings.commune])?;
    let hash = passwords::hash(password).await;
    if !app.store.use_link(link.code, now).await? {
        return Err(NotDone::Link);
    }
    let act = |act| NewAct {
        at: now,
        actor: Actor::Person { id: person.id.clone() },
        act,
        subject: person.id.to_string(),
        before: None,
        after: None,
        from: Some(from.to_owned()),
    };
    app.store.end_sessions(person.id.clone(), None).await?;
    if link.purpose == LinkFor::NewPhone {
        app.store
            .set_second_factor(person.id.clone(), None, Vec::new(), act("second_factor_removed"))
            .await?;
    }
    app.store.set_password(person.id.clone(), hash, act("password_set")).await?;
    read(app, &person.id).await
}

/// Changes one's own password, and ends one's other sessions.
///
/// # Errors
/// Fails when the old password is wrong or the new one is weak.
pub async fn change_password(app: &App, who: &Who, old: &str, new: &str) -> Result<(), NotDone> {
    let person = &who.person;
    let account = format!("password of {}", person.id);
    let from = who.from.parse().unwrap_or(IpAddr::from(Ipv4Addr::UNSPECIFIED));
    let begun = tries::begin(app, &account, from, true).await;
    let _under_way = begun.ok_or(NotDone::TooOften)?;
    if passwords::is_right(old, person.password.as_deref()).await != Some(true) {
        tries::note_wrong(app, &account, from).await;
        return Err(NotDone::Code);
    }
    passwords::check(new, &[person.id.as_str(), &person.name, &app.settings.commune])?;
    let hash = passwords::hash(new).await;
    app.store.set_password(person.id.clone(), hash, who.act("password_set", person.id.as_str())).await?;
    Ok(app.store.end_sessions(person.id.clone(), Some(who.session.secret)).await?)
}

/// Sets the second factor up, once the telephone has shown that it holds the secret. Returns the recovery codes, which are
/// shown once.
///
/// # Errors
/// Fails when the telephone's code is wrong.
pub async fn set_up_codes(app: &App, who: &Who, secret: Vec<u8>, code: &str) -> Result<Vec<String>, NotDone> {
    let step = second_factor::step_of(&secret, code, who.now).ok_or(NotDone::Code)?;
    let (codes, hashes) = second_factor::recovery_codes();
    let id = who.person.id.clone();
    let act = who.act("second_factor_set", id.as_str());
    app.store.set_second_factor(id.clone(), Some(secret), hashes, act).await?;
    app.store.use_totp_step(id.clone(), step).await?;
    app.store.end_sessions(id, Some(who.session.secret)).await?;
    Ok(codes)
}

/// Gives a role, or asks a second administrator for it.
///
/// # Errors
/// Fails for oneself, for somebody who left, and where it is given already.
pub async fn give_role(
    app: &App,
    who: &Who,
    id: &AccountId,
    role: Role,
    group: GroupId,
) -> Result<(), NotDone> {
    if *id == who.person.id {
        return Err(NotDone::Oneself);
    }
    let person = read(app, id).await?;
    let good_from = match role.needs_confirmation() {
        false => Some(who.now),
        true if other_administrators(app, who, id).await? > 0 => None,
        true => Some(who.now.plus(WAITS_ALONE).max(last_end(app, who).await?.plus(AFTER_AN_END))),
    };
    let act = if good_from == Some(who.now) { "role_given" } else { "role_asked" };
    let act = NewAct { after: Some(format!("{} · {group}", role.code())), ..who.act(act, id.as_str()) };
    let row = RoleRow {
        id: 0,
        person: person.id,
        role,
        group,
        asked_by: Some(who.person.id.clone()),
        asked: who.now,
        confirmed_by: None,
        good_from,
        ended: None,
    };
    if app.store.give_role(row, act).await? { Ok(()) } else { Err(NotDone::Unchanged) }
}

/// Finds when somebody else last ceased to be an administrator; long ago where nobody did.
async fn last_end(app: &App, who: &Who) -> Result<Wall, StoreError> {
    let people = app.store.people().await?;
    let others = people.iter().filter(|person| person.id != who.person.id).flat_map(|person| &person.roles);
    let ended = others.filter(|row| row.role == Role::Administrator).filter_map(|row| row.ended);
    Ok(ended.max().unwrap_or(Wall(0)))
}

/// Counts the administrators who could confirm what `who` asks for `about`.
async fn other_administrators(app: &App, who: &Who, about: &AccountId) -> Result<usize, StoreError> {
    let people = app.store.people().await?;
    let is_administrator = |person: &&PersonRow| {
        let holds = |row: &RoleRow| row.role == Role::Administrator && row.holds(who.now);
        person.left.is_none() && person.roles.iter().any(holds)
    };
    let others = people.iter().filter(is_administrator);
    Ok(others.filter(|person| person.id != who.person.id && person.id != *about).count())
}

/// Confirms, as a second administrator, that a role is given.
///
/// # Errors
/// Fails when it does not wait, or the same person asked for it.
pub async fn confirm_role(app: &App, who: &Who, role: &RoleRow) -> Result<(), NotDone> {
    let after = Some(format!("{} · {}", role.role.code(), role.group));
    let act = NewAct { after, ..who.act("role_confirmed", role.person.as_str()) };
    let confirmed = app.store.confirm_role(role.id, who.person.id.clone(), who.now, act).await?;
    if confirmed { Ok(()) } else { Err(NotDone::Unchanged) }
}

/// Ends a role, or refuses one that waits.
///
/// # Errors
/// Fails when it has ended, or nobody would be left to administer.
pub async fn end_role(app: &App, who: &Who, role: &RoleRow) -> Result<(), NotDone> {
    if role.role == Role::Administrator && role.holds(who.now) {
        keep_an_administrator(app, who, &role.person).await?;
    }
    let before = Some(format!("{} · {}", role.role.code(), role.group));
    let act = NewAct { before, ..who.act("role_ended", role.person.as_str()) };
    if app.store.end_role(role.id, who.now, act).await? { Ok(()) } else { Err(NotDone::Unchanged) }
}

async fn keep_an_administrator(app: &App, who: &Who, but: &AccountId) -> Result<(), NotDone> {
    let people = app.store.people().await?;
    let top = app.settings.top_groups();
    let of_all = |row: &RoleRow| top.contains(&row.group);
    let holds = |row: &RoleRow| row.role == Role::Administrator && row.holds(who.now) && of_all(row);
    // Whoever is no administrator of the whole is not missed as one.
    let is_one = people.iter().any(|person| person.id == *but && person.roles.iter().any(holds));
    if !is_one {
        return Ok(());
    }
    let mut others = people.iter().filter(|person| person.left.is_none() && person.id != *but);
    match others.any(|person| person.roles.iter().any(holds)) {
        true => Ok(()),
        false => Err(NotDone::LastAdministrator),
    }
}

/// Ends everything that a person may; their history stays.
///
/// # Errors
/// Fails for oneself, and where nobody would be left to administer.
pub async fn leave(app: &App, who: &Who, id: &AccountId) -> Result<(), NotDone> {
    if *id == who.person.id {
        return Err(NotDone::Oneself);
    }
    read(app, id).await?;
    keep_an_administrator(app, who, id).await?;
    let left = app.store.leave(id.clone(), who.now, who.act("left", id.as_str())).await?;
    if left { Ok(()) } else { Err(NotDone::Unchanged) }
}

/// Reads a person who has not left.
///
/// # Errors
/// Fails when there is none.
pub async fn read(app: &App, id: &AccountId) -> Result<PersonRow, NotDone> {
    let person = app.store.person(id.clone()).await?.filter(|person| person.left.is_none());
    person.ok_or_else(|| NotDone::NoSuchPerson(id.clone()))
}
