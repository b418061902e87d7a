//! People as whoever holds the server's keyboard puts them in: at once, without a second administrator, and in the audit
//! trail as the console's doing.

use loaxa_heart::domain::ids::{AccountId, GroupId};
use loaxa_heart::domain::time::Wall;

use super::accounts::{INVITATION_LASTS, Newcomer, NotDone, RECOVERY_LASTS, new_link};
use super::passwords;
use crate::store::{Actor, LinkFor, NewAct, Role, RoleRow, Store};

fn act(act: &'static str, subject: &AccountId, now: Wall, after: Option<String>) -> NewAct {
    let subject = subject.to_string();
    NewAct { at: now, actor: Actor::Console, act, subject, before: None, after, from: None }
}

/// Adds a person, or gives one who is there more roles, each for a group. Returns the account.
///
/// # Errors
/// Says what is wrong with the account or the name.
pub async fn add_person(
    store: &dyn Store,
    newcomer: Newcomer,
    roles: &[(Role, GroupId)],
    now: Wall,
) -> Result<AccountId, NotDone> {
    let person = newcomer.check(now)?;
    let id = person.id.clone();
    let name = person.name.clone();
    store.add_person(person, act("invited", &id, now, Some(name))).await?;
    for (role, group) in roles {
        let after = Some(format!("{} · {group}", role.code()));
        let row = RoleRow {
            id: 0,
            person: id.clone(),
            role: *role,
            group: group.clone(),
            asked_by: None,
            asked: now,
            confirmed_by: None,
            good_from: Some(now),
            ended: None,
        };
        store.give_role(row, act("role_given", &id, now, after)).await?;
    }
    Ok(id)
}

/// Makes the code of a link by which a person chooses a password: behind `/moi/` of central's address.
///
/// # Errors
/// Fails when there is no such person.
pub async fn link(store: &dyn Store, id: &AccountId, now: Wall) -> Result<String, NotDone> {
    let person = store.person(id.clone()).await?.filter(|person| person.left.is_none());
    let person = person.ok_or_else(|| NotDone::NoSuchPerson(id.clone()))?;
    let (purpose, of, lasts) = match person.password {
        None => (LinkFor::Invitation, "invitation_link", INVITATION_LASTS),
        Some(_) => (LinkFor::NewPhone, "recovery_link", RECOVERY_LASTS),
    };
    let (code, row) = new_link(purpose, Some(id.clone()), None, (now, now.plus(lasts)));
    store.add_link(row, Some(act(of, id, now, None))).await?;
    Ok(code)
}

/// Gives people of a trial the same password.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn set_passwords(
    store: &dyn Store,
    people: &[AccountId],
    password: &str,
    now: Wall,
) -> Result<(), NotDone> {
    let hash = passwords::hash(password).await;
    for id in people {
        store.set_password(id.clone(), hash.clone(), act("password_set", id, now, None)).await?;
    }
    Ok(())
}
