//! The second factor: time-based codes of a telephone (RFC 6238), and recovery codes on paper.

use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Wall;
use totp_rs::{Algorithm, Builder, Secret};

/// Bytes of a secret (RFC 4226 asks for at least 16 and advises 20).
const SECRET_BYTES: usize = 20;
/// Recovery codes on a sheet.
pub const RECOVERY_CODES: usize = 8;
/// Letters and digits of recovery codes: none that is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789w";

/// Makes a secret for a telephone.
pub fn new_secret() -> Vec<u8> {
    let mut secret = vec![0; SECRET_BYTES];
    getrandom::fill(&mut secret).expect("the system gives randomness");
    secret
}

/// The secret as people type it, and the address that a telephone reads from a QR code.
pub fn shown(secret: &[u8], issuer: &str, person: &str) -> (String, String) {
    // A colon separates the two in the address.
    let plain = |text: &str| text.replace(':', " ");
    let totp =
        of(secret).with_issuer(Some(plain(issuer))).with_account_name(plain(person)).build_noncompliant();
    (totp.secret().to_base32(), totp.to_url().expect("the account has a name without a colon"))
}

/// Finds the time step of a code that is good at `now`, or was one step before or after: telephones' clocks differ.
pub fn step_of(secret: &[u8], code: &str, now: Wall) -> Option<u64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    of(secret).build_noncompliant().check(&code, now.0.max(0) as u64 / 1_000_000)
}

/// Codes of six digits, good for 30 s and one step around, as all authenticator apps have them.
fn of(secret: &[u8]) -> Builder {
    let secret = Secret::new(secret.to_vec().into_boxed_slice());
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(1)
        .with_step_duration(30)
        .with_secret(secret)
}

/// Makes the codes of a sheet, with the hashes that are kept.
pub fn recovery_codes() -> (Vec<String>, Vec<ContentHash>) {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes = codes.iter().map(|code| hash_of(code)).collect();
    (codes, hashes)
}

fn recovery_code() -> String {
    let mut random = [0; 12];
    getrandom::fill(&mut random).expect("the system gives randomness");
    let letters: Vec<char> = random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// The hash of a recovery code, however it was typed. A code has 60 random bits, so that a slow hash adds nothing.
pub fn hash_of(code: &str) -> ContentHash {
    let plain: String = code.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    ContentHash::of(format!("loaxa-recovery v1\n{plain}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_every_telephone() {
        let secret = b"12345678901234567890";
        for (second, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            let now = Wall(second * 1_000_000);
            assert_eq!(step_of(secret, code, now), Some(second as u64 / 30), "{second}");
            assert_eq!(step_of(secret, code, Wall((second + 90) * 1_000_000)), None, "{second} is over");
        }
        assert_eq!(step_of(secret, "287 082", Wall(59_000_000)), Some(1));
        assert_eq!(step_of(secret, "", Wall(59_000_000)), None);
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let (codes, hashes) = recovery_codes();
        assert_eq!(codes.len(), RECOVERY_CODES);
        assert_eq!(hash_of(&codes[0].to_uppercase().replace('-', " ")), hashes[0]);
        assert_ne!(hashes[0], hashes[1]);
    }
}
