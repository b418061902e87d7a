//! Passwords: argon2id, two at a time, so that nobody who signs in delays an emergency.

use argon2::password_hash::SaltString;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Shortest password, in characters (OWASP ASVS 4.0, 2.1.1).
pub const CHARS_MIN: usize = 12;
/// Longest password, in characters (OWASP ASVS 4.0, 2.1.2).
const CHARS_MAX: usize = 128;
/// The least of the five grades of zxcvbn that is taken: more than 10^8 guesses.
const GRADE_MIN: zxcvbn::Score = zxcvbn::Score::Three;

/// Memory in KiB, passes and lanes, as the OWASP password storage cheat sheet advises.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Hashes that are reckoned at once: each takes 19 MiB and a core.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// People whose password waits for its turn; who comes then is told to try again.
static QUEUE: Semaphore = Semaphore::const_new(32);

/// A hash of no password, which takes as long to compare as any other.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bG9heGEtbm9ib2R5$K8dYwkSUJ8mBbV6PPy8ZV2KS3mGPoyLsLHwMTjoWJ9A";

/// A reason for which a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPassword {
    Short,
    Long,
    Guessable,
}

impl Say for BadPassword {
    fn say(&self) -> Sentence {
        match self {
            BadPassword::Short => said!("people.password_short", min = CHARS_MIN),
            BadPassword::Long => said!("people.password_long", max = CHARS_MAX),
            BadPassword::Guessable => said!("people.password_guessable"),
        }
    }
}

/// Checks that a new password is long enough and not easily guessed by who knows `about`, such as the person's name.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(password: &str, about: &[&str]) -> Result<(), BadPassword> {
    // Spaces in a row count as one (ASVS 2.1.1), and what a keyboard puts together counts as it is hashed.
    let words = composed(password).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() < CHARS_MIN {
        return Err(BadPassword::Short);
    }
    if password.chars().count() > CHARS_MAX || composed(password).chars().count() > CHARS_MAX {
        return Err(BadPassword::Long);
    }
    match zxcvbn::zxcvbn(password, about).score() >= GRADE_MIN {
        true => Ok(()),
        false => Err(BadPassword::Guessable),
    }
}

/// Grades a password from 0, guessed at once, to 4; longer than is taken is 0.
pub fn grade(password: &str, about: &[&str]) -> u8 {
    if password.chars().count() > CHARS_MAX { 0 } else { zxcvbn::zxcvbn(password, about).score() as u8 }
}

/// Hashes a new password, in PHC form.
pub async fn hash(password: &str) -> String {
    let password = composed(password);
    reckon(move |argon| {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the system gives randomness");
        let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
        argon.hash_password(password.as_bytes(), &salt).expect("the costs are in range").to_string()
    })
    .await
}

/// Compares a password with a hash; without a hash it takes as long, and is wrong. `None` where too many wait.
pub async fn is_right(password: &str, hash: Option<&str>) -> Option<bool> {
    let _place = QUEUE.try_acquire().ok()?;
    let password = composed(password);
    let (known, hash) = (hash.is_some(), hash.unwrap_or(NOBODY).to_owned());
    let same = reckon(move |argon| {
        PasswordHash::new(&hash).is_ok_and(|hash| argon.verify_password(password.as_bytes(), &hash).is_ok())
    });
    Some(same.await && known)
}

/// The same password, however a keyboard put its signs together.
fn composed(password: &str) -> String {
    password.nfkc().take(4 * CHARS_MAX).collect()
}

async fn reckon<T: Send + 'static>(work: impl FnOnce(Argon2) -> T + Send + 'static) -> T {
    let _turn = AT_ONCE.acquire().await.expect("nobody closes it");
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the costs are in range");
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    tokio::task::spawn_blocking(move || work(argon)).await.expect("argon2 does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_however_it_was_typed() {
        let hash = hash("con đê làng mình 1996").await;
        assert_eq!(is_right("con đê làng mình 1996", Some(&hash)).await, Some(true));
        let decomposed: String = "con đê làng mình 1996".nfd().collect();
        assert_eq!(is_right(&decomposed, Some(&hash)).await, Some(true));
        assert_eq!(is_right("con đê làng mình 1997", Some(&hash)).await, Some(false));
        assert_eq!(is_right("con đê làng mình 1996", None).await, Some(false));
        assert!(PasswordHash::new(NOBODY).is_ok(), "who is unknown costs as much as who is known");
    }

    #[test]
    fn guessable_passwords_are_refused() {
        let check = |password: &str, expected| assert_eq!(check(password, &["nguyenvanlan"]), expected);
        check("ngắn quá", Err(BadPassword::Short));
        check("passwordpassword", Err(BadPassword::Guessable));
        check("nguyenvanlan123", Err(BadPassword::Guessable));
        check("123456789012", Err(BadPassword::Guessable));
        check("con đê làng mình 1996", Ok(()));
        check(&"a b".repeat(60), Err(BadPassword::Long));
        check("q7  z    k  2", Err(BadPassword::Short));
        // One sign that NFKC makes eighteen of: nothing of a password is cut off.
        check(&"\u{fdfa}".repeat(20), Err(BadPassword::Long));
    }
}
