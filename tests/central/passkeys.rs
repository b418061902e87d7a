//! Passkeys under attack: a device made of code answers replayed, foreign, stale and altered questions.

use std::path::Path;

use crate::support::commune::*;
use crate::support::free_port;
use crate::support::staff::Staff;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use loaxa_central::Central;
use loaxa_central::store::{Actor, NewAct, SessionRow, Stage};
use loaxa_heart::domain::ids::ContentHash;
use loaxa_heart::domain::time::Span;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const ADDED: &str = "/tai-khoan/khoa-may";
const SHOWN: &str = "/dang-nhap/khoa-may";

/// A way in which a device goes wrong.
type Change = fn(&mut Device);

/// A device with one key for one server.
struct Device {
    key: KeyPair,
    id: [u8; 16],
    rp: String,
    origin: String,
    /// Number that it says when it is touched next; it counts by itself.
    counter: u32,
    /// Says whether it looked at who touched it.
    verified: bool,
}

impl Device {
    fn new(origin: &str, n: u8) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let (rp, origin) = ("localhost".to_owned(), origin.to_owned());
        Self { key, id: [n; 16], rp, origin, counter: 1, verified: true }
    }

    fn client_data(&self, kind: &str, question: &Value) -> String {
        let challenge = &question["publicKey"]["challenge"];
        let data =
            json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false });
        data.to_string()
    }

    fn head(&mut self, flags: u8) -> Vec<u8> {
        let flags = flags | 1 | if self.verified { 4 } else { 0 };
        let head = [&Sha256::digest(&self.rp)[..], &[flags], &self.counter.to_be_bytes()].concat();
        self.counter += 1;
        head
    }

    /// Makes its key known.
    fn register(&mut self, question: &Value) -> String {
        let point = self.key.public_key_raw().to_vec();
        let (x, y) = point[1..].split_at(32);
        let cose = [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat();
        let data = [&self.head(0x40)[..], &[0; 16], &[0, 16], &self.id, &cose].concat();
        let head =
            [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".as_slice(), &[data.len() as u8]].concat();
        let (object, said) = ([head, data].concat(), self.client_data("webauthn.create", question));
        let response =
            json!({ "attestationObject": BASE64.encode(object), "clientDataJSON": BASE64.encode(said) });
        self.answer(response)
    }

    /// Shows its key.
    fn show(&mut self, question: &Value) -> String {
        let (data, said) = (self.head(0), self.client_data("webauthn.get", question));
        let signature = self.key.sign(&[&data[..], &Sha256::digest(&said)].concat()).unwrap();
        let response = json!({
            "authenticatorData": BASE64.encode(data), "clientDataJSON": BASE64.encode(said),
            "signature": BASE64.encode(signature), "userHandle": null,
        });
        self.answer(response)
    }

    fn answer(&self, response: Value) -> String {
        let id = BASE64.encode(self.id);
        json!({ "id": id, "rawId": id, "type": "public-key", "extensions": {}, "response": response })
            .to_string()
    }
}

/// Begins a session of this person that is as old as `age`.
async fn begin(central: &Central, who: &Staff, stage: Stage, age: Span) -> Staff {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let secret = format!("{stage:?}-{random:?}").replace([' ', ','], "-");
    let now = loaxa_adapters::clock::wall();
    let row = SessionRow {
        secret: ContentHash::of(secret.as_bytes()),
        person: who.id.clone(),
        stage,
        made: now.minus(age),
        seen: now,
        from: "127.0.0.1".to_owned(),
        browser: "test".to_owned(),
    };
    central.store().add_session(row).await.unwrap();
    Staff { id: who.id.clone(), cookie: format!("loaxa-session={secret}") }
}

/// A person with codes on a telephone.
async fn person(central: &Central, account: &str) -> Staff {
    let staff = Staff::make(central, account, &[]).await;
    let act = NewAct {
        at: loaxa_adapters::clock::wall(),
        actor: Actor::Console,
        act: "second_factor_set",
        subject: account.to_owned(),
        before: None,
        after: None,
        from: None,
    };
    central.store().set_second_factor(staff.id.clone(), Some(vec![7; 20]), Vec::new(), act).await.unwrap();
    staff
}

async fn question(central: &Central, who: &Staff, path: &str) -> Value {
    let asked = who.post(central, &format!("{path}/hoi"), &[]).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    asked.json()
}

/// Sends an answer; tells whether it was taken.
async fn is_taken(central: &Central, who: &Staff, path: &str, answer: &str) -> bool {
    let fields = [("ten-may", "máy thử"), ("tra-loi", answer)];
    let found = who.post(central, path, &fields).await;
    assert!(matches!(found.status, 303 | 400 | 401), "{} {}", found.status, found.text());
    found.status == 303
}

async fn with_central(test: impl AsyncFn(&Central, &str, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.listen.set_port(free_port());
    let address = format!("http://localhost:{}", settings.listen.port());
    settings.public_url = Some(address.clone());
    let central = start(settings).await;
    test(&central, &address, dir.path()).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_added_by_its_person_at_this_address_soon_after_the_sign_in() {
    with_central(async |central, origin, _| {
        let (lan, mai) = (person(central, "lan").await, person(central, "mai").await);
        let mut device = Device::new(origin, 1);
        let asked = question(central, &lan, ADDED).await;
        let foreign = device.register(&asked);
        question(central, &mai, ADDED).await;
        assert!(!is_taken(central, &mai, ADDED, &foreign).await, "the question was another person's");
        assert!(is_taken(central, &lan, ADDED, &foreign).await);
        assert!(!is_taken(central, &lan, ADDED, &foreign).await, "an answer is good once");

        let mut elsewhere = Device::new("https://loa-xa.ke-xau.vn", 2);
        let asked = question(central, &lan, ADDED).await;
        assert!(!is_taken(central, &lan, ADDED, &elsewhere.register(&asked)).await, "another origin");
        let mut elsewhere = Device { rp: "ke-xau.vn".to_owned(), ..Device::new(origin, 3) };
        let asked = question(central, &lan, ADDED).await;
        assert!(!is_taken(central, &lan, ADDED, &elsewhere.register(&asked)).await, "another server's key");
        let mut blind = Device { verified: false, ..Device::new(origin, 4) };
        let asked = question(central, &lan, ADDED).await;
        assert!(!is_taken(central, &lan, ADDED, &blind.register(&asked)).await, "nobody was looked at");

        let old = begin(central, &lan, Stage::Full, Span::secs(16 * 60)).await;
        let refused = old.post(central, &format!("{ADDED}/hoi"), &[]).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(old.get(central, "/tai-khoan").await.text().contains("đăng nhập lại"));
        let half = begin(central, &lan, Stage::Password, Span(0)).await;
        assert_ne!(half.post(central, &format!("{ADDED}/hoi"), &[]).await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_was_asked_in_time_is_not_answered_by_a_session_that_is_old_by_then() {
    with_central(async |central, origin, dir| {
        let lan = person(central, "lan").await;
        let asked = question(central, &lan, ADDED).await;
        let database = rusqlite::Connection::open(dir.join("central.db")).unwrap();
        database.execute("UPDATE sessions SET made = made - 960000000", []).unwrap();
        assert!(!is_taken(central, &lan, ADDED, &Device::new(origin, 1).register(&asked)).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_device_itself_answers_and_only_the_question_of_the_session() {
    with_central(async |central, origin, _| {
        let (lan, mai) = (person(central, "lan").await, person(central, "mai").await);
        let mut device = Device::new(origin, 1);
        let asked = question(central, &lan, ADDED).await;
        assert!(is_taken(central, &lan, ADDED, &device.register(&asked)).await);
        let mut of_mai = Device::new(origin, 9);
        let asked = question(central, &mai, ADDED).await;
        assert!(is_taken(central, &mai, ADDED, &of_mai.register(&asked)).await);

        let half = async || begin(central, &lan, Stage::Password, Span(0)).await;
        // Of the same question, first what is wrong, each in a session of its own.
        let wrong: [(&str, Change); 4] = [
            ("another origin", |device| device.origin = "https://ke-xau.vn".to_owned()),
            ("another server", |device| device.rp = "ke-xau.vn".to_owned()),
            ("nobody was looked at", |device| device.verified = false),
            ("another key under its name", |device| {
                device.key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            }),
        ];
        for (what, change) in wrong {
            let visit = half().await;
            let asked = question(central, &visit, SHOWN).await;
            let key = KeyPair::from_pem(&device.key.serialize_pem()).unwrap();
            let (rp, origin) = (device.rp.clone(), device.origin.clone());
            let mut other = Device { key, rp, origin, ..device };
            change(&mut other);
            let answer = other.show(&asked);
            device = Device { key: device.key, rp: "localhost".to_owned(), origin: device.origin, ..other };
            assert!(!is_taken(central, &visit, SHOWN, &answer).await, "{what}");
            device.verified = true;
        }
        let (one, two) = (half().await, half().await);
        let (of_one, of_two) = (question(central, &one, SHOWN).await, question(central, &two, SHOWN).await);
        assert!(!is_taken(central, &one, SHOWN, &device.show(&of_two)).await, "another session's question");
        assert!(!is_taken(central, &one, SHOWN, &device.show(&of_one)).await, "its question was used up");
        let asked = question(central, &two, SHOWN).await;
        assert!(!is_taken(central, &two, SHOWN, &of_mai.show(&asked)).await, "another person's device");
        let asked = question(central, &two, SHOWN).await;
        let good = device.show(&asked);
        assert!(is_taken(central, &two, SHOWN, &good).await);
        let again = half().await;
        question(central, &again, SHOWN).await;
        assert!(!is_taken(central, &again, SHOWN, &good).await, "a recorded answer");
        // A copy of the device counts from where it was copied.
        let counter = device.counter;
        device.counter = 1;
        let visit = half().await;
        let asked = question(central, &visit, SHOWN).await;
        assert!(!is_taken(central, &visit, SHOWN, &device.show(&asked)).await, "its counter went back");
        device.counter = counter;
        let asked = question(central, &visit, SHOWN).await;
        assert!(is_taken(central, &visit, SHOWN, &device.show(&asked)).await);
    })
    .await;
}
