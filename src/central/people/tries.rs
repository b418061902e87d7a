//! Tries to sign in, counted for all centrals where there are several: whoever guesses at one after the other gets no more tries.
//!
//! This process counts by itself, too: for times in which the database is away.

use std::net::IpAddr;

use crate::app::App;
use crate::sign_in_tries::{ACCOUNT_WRONG_MAX, Try, WINDOW, WRONG_MAX};
use crate::store::StoreError;
use crate::wrong_tries::network;
use loaxa_adapters::clock::monotonic;

fn of_network(account: &str, from: IpAddr) -> String {
    format!("network {} {account}", network(from))
}

fn of_account(account: &str) -> String {
    format!("account {account}")
}

fn of_device(device: &str) -> String {
    format!("device {device}")
}

/// The wrong tries that all centrals counted, in the order of the names; none where there is one central.
async fn counted<const N: usize>(app: &App, names: [String; N]) -> [u32; N] {
    if !app.store.has_peers() {
        return [0; N];
    }
    let counted = app.store.wrong_tries(names.into(), app.now().minus(WINDOW)).await;
    uncounted_where_away(counted).and_then(|counts| counts.try_into().ok()).unwrap_or([0; N])
}

fn uncounted_where_away<T>(answer: Result<T, StoreError>) -> Option<T> {
    answer.inspect_err(|error| tracing::warn!(%error, "wrong tries are counted by this central alone")).ok()
}

async fn note(app: &App, names: Vec<String>) {
    if app.store.has_peers() {
        let now = app.now();
        uncounted_where_away(app.store.note_wrong_tries(names, now.minus(WINDOW), now).await);
    }
}

/// Tells whether an account was tried so often that only networks from which it was signed in before are listened to.
pub async fn is_besieged(app: &App, account: &str) -> bool {
    let [times] = counted(app, [of_account(account)]).await;
    times >= ACCOUNT_WRONG_MAX || app.sign_in_tries.is_besieged(account, monotonic())
}

/// Begins a try; `None` where the account was tried too often. `was_here` as for [`crate::sign_in_tries::SignInTries::begin`].
pub async fn begin<'a>(app: &'a App, account: &str, from: IpAddr, was_here: bool) -> Option<Try<'a>> {
    let [here, everywhere] = counted(app, [of_network(account, from), of_account(account)]).await;
    if here >= WRONG_MAX || everywhere >= ACCOUNT_WRONG_MAX && !was_here {
        return None;
    }
    app.sign_in_tries.begin(account, from, was_here, monotonic())
}

/// Counts a wrong try.
pub async fn note_wrong(app: &App, account: &str, from: IpAddr) {
    app.sign_in_tries.note_wrong(account, from, monotonic());
    note(app, vec![of_network(account, from), of_account(account)]).await;
}

/// Forgets the wrong tries of somebody who came in.
pub async fn note_right(app: &App, account: &str, from: IpAddr) {
    app.sign_in_tries.note_right(account, from);
    if app.store.has_peers() {
        uncounted_where_away(app.store.forget_wrong_tries(of_network(account, from)).await);
    }
}

/// Tells whether a browser has used up the tries of its own; it is a stranger then.
pub async fn is_worn_out(app: &App, device: &str) -> bool {
    let [times] = counted(app, [of_device(device)]).await;
    times >= WRONG_MAX || app.sign_in_tries.is_worn_out(device, monotonic())
}

/// Counts a wrong try of a browser.
pub async fn note_wrong_on(app: &App, device: &str) {
    app.sign_in_tries.note_wrong_on(device, monotonic());
    note(app, vec![of_device(device)]).await;
}
