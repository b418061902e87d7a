//! Browsers that a person signed in from: their tries are counted apart, so that no stranger who guesses keeps them out.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use loaxa_heart::domain::hex::hex;
use loaxa_heart::domain::ids::AccountId;
use loaxa_heart::domain::time::Span;

use super::tries;
use crate::app::App;

/// Life of a browser's mark from the last sign-in on.
pub const LASTS: Span = Span::secs(180 * 86_400);

/// A browser that its person signed in from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device(pub String);

/// Makes the mark that a browser keeps after its person came in. It opens nothing: it gives tries of its own.
pub fn mark(app: &App, account: &AccountId) -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let (name, second) = (hex(&random), app.now().0 / 1_000_000);
    let signature = app.keyring.sign_mark(&signed(account.as_str(), &name, second));
    format!("{name}.{second}.{}", BASE64.encode(signature))
}

/// Finds the browser behind a mark; `None` where it is false, of another account or too old, or its tries are used up.
pub async fn known(app: &App, account: &str, mark: &str) -> Option<Device> {
    let account: AccountId = account.trim().to_lowercase().parse().ok()?;
    let mut parts = mark.splitn(3, '.');
    let (name, second, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let second: i64 = second.parse().ok()?;
    let age = app.now().0 / 1_000_000 - second;
    let is_ours = || {
        let signature = BASE64.decode(signature).ok().and_then(|bytes| bytes.try_into().ok());
        signature.is_some_and(|bytes| app.keyring.is_mark(&signed(account.as_str(), name, second), &bytes))
    };
    let device = Device(name.to_owned());
    let is_good = (0..=LASTS.as_millis() as i64 / 1_000).contains(&age) && is_ours();
    (is_good && !tries::is_worn_out(app, &device.0).await).then_some(device)
}

fn signed(account: &str, name: &str, second: i64) -> Vec<u8> {
    format!("loaxa-device v1\n{account}\n{name}\n{second}").into_bytes()
}
