//! People of a commune who are signed in, and ask for pages as their browsers would.

use std::sync::atomic::{AtomicUsize, Ordering};

use loaxa_central::Central;
use loaxa_central::store::{Actor, NewAct, PersonRow, Role, RoleRow, SessionRow, Stage};
use loaxa_heart::domain::ids::{AccountId, ContentHash};

use super::commune::{Answer, get, post_with, put_with};

/// The kind of a form's body.
pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A signed-in person.
pub struct Staff {
    pub id: AccountId,
    pub cookie: String,
}

impl Staff {
    /// Puts a person with roles, each for a group, and a session straight into the store.
    pub async fn make(central: &Central, account: &str, roles: &[(Role, &str)]) -> Self {
        let (id, now) = (account.parse::<AccountId>().unwrap(), loaxa_adapters::clock::wall());
        let act = || NewAct {
            at: now,
            actor: Actor::Console,
            act: "invited",
            subject: account.to_owned(),
            before: None,
            after: None,
            from: None,
        };
        let person = PersonRow {
            id: id.clone(),
            name: format!("Cán bộ {account}"),
            reach: String::new(),
            password: None,
            totp: None,
            recovery_left: 0,
            made: now,
            left: None,
            roles: Vec::new(),
        };
        let store = central.store();
        store.add_person(person, act()).await.unwrap();
        for (role, group) in roles {
            let row = RoleRow {
                id: 0,
                person: id.clone(),
                role: *role,
                group: group.parse().unwrap(),
                asked_by: None,
                asked: now,
                confirmed_by: None,
                good_from: Some(now),
                ended: None,
            };
            assert!(store.give_role(row, act()).await.unwrap());
        }
        let staff = Self { id, cookie: format!("loaxa-session=secret-of-{account}") };
        staff.sign_in_again(central).await;
        staff
    }

    /// Begins the session of this person's cookie.
    pub async fn sign_in_again(&self, central: &Central) {
        let (now, secret) = (loaxa_adapters::clock::wall(), self.cookie.split_once('=').unwrap().1);
        let session = SessionRow {
            secret: ContentHash::of(secret.as_bytes()),
            person: self.id.clone(),
            stage: Stage::Full,
            made: now,
            seen: now,
            from: "127.0.0.1".to_owned(),
            browser: "test".to_owned(),
        };
        central.store().add_session(session).await.unwrap();
    }

    pub async fn get(&self, central: &Central, path: &str) -> Answer {
        get(central, path, &[("cookie", &self.cookie)]).await
    }

    /// Sends a form as a browser does from a page of this server.
    pub async fn post(&self, central: &Central, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", central.http_addr());
        let headers = [FORM, ("origin", &origin), ("cookie", &self.cookie)];
        post_with(central, path, &headers, form(fields)).await
    }

    /// Sends a part of a file as the page's script does.
    pub async fn put(&self, central: &Central, path: &str, bytes: &[u8]) -> Answer {
        let origin = format!("http://{}", central.http_addr());
        put_with(central, path, &[("origin", &origin), ("cookie", &self.cookie)], bytes.to_vec()).await
    }
}

/// Gets a page as somebody without any role does.
pub async fn look(central: &Central, path: &str) -> Answer {
    static READERS: AtomicUsize = AtomicUsize::new(0);
    let reader = format!("nguoi-xem-{}", READERS.fetch_add(1, Ordering::Relaxed));
    Staff::make(central, &reader, &[]).await.get(central, path).await
}

/// The body of a form.
pub fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into_bytes()
}
