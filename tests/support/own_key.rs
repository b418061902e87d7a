//! A person's signing key in a browser, as the pages keep it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::browser::Page;
use super::commune::key;

/// The words that open it.
pub const PASSPHRASE: &str = "lúa chín đầy đồng";

/// Puts an officer's key into a browser, covered as the page covers keys today.
pub fn keep_key(page: &mut Page, seed: u8, holder: &str) {
    let (secret, public, id) =
        (BASE64.encode([seed; 32]), key(seed).public().to_string(), key(seed).key_id());
    page.value(&format!(
        "(async () => {{
            const {{ scryptAsync }} = await import('/assets/sign/scrypt.js');
            const bytes = (code) => Uint8Array.from(atob(code), (char) => char.charCodeAt(0));
            const [salt, scrypt] = [new Uint8Array(16).fill(7), {{ N: 2 ** 17, r: 8, p: 1 }}];
            const passphrase = new TextEncoder().encode({PASSPHRASE:?}.normalize('NFC'));
            const stretched = await scryptAsync(passphrase, salt, {{ ...scrypt, dkLen: 32 }});
            const covered = bytes({secret:?}).map((byte, n) => byte ^ stretched[n]);
            const base64 = (all) => btoa(String.fromCharCode(...all));
            const kept = {{ holder: {holder:?}, public: {public:?}, id: '{id}', salt: base64(salt), covered: base64(covered), scrypt }};
            localStorage.setItem('loaxa-key-v1', JSON.stringify(kept));
        }})()"
    ));
}

/// Opens the key of the browser on a page that asks for it.
pub fn unlock(page: &mut Page) {
    page.until("document.querySelector('#mo-khoa-form')?.hidden === false");
    page.fill("#mat-khau", PASSPHRASE);
    page.click("#mo-khoa-form button");
    page.until("document.querySelector('#khoa-mo')?.hidden === false");
}
