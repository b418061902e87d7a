//! Bodies of the HTTP API, broken in every way: central answers each with a refusal or an order, and goes on.

use crate::support::commune::*;
use serde_json::{Value, json};

/// Bodies of each path where nothing else is asked for by `LOAXA_FUZZ`.
const BODIES: usize = 60;

/// Texts that parsers trip over.
const TOKENS: [&[u8]; 12] = [
    b"\"",
    b"{",
    b"]",
    b",",
    b"null",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"[[[[[[[[",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn broken(dice: &mut Dice, whole: &[u8]) -> Vec<u8> {
    let mut body = whole.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(body.len());
        let end = (at + dice.below(30)).min(body.len());
        match dice.below(5) {
            0 if !body.is_empty() => body[at] ^= 1 << dice.below(8),
            1 => drop(body.drain(at..end)),
            2 => drop(body.splice(at..at, TOKENS[dice.below(TOKENS.len())].iter().copied())),
            3 => body.truncate(at),
            _ => {
                let copied = body[at..end].to_vec();
                drop(body.splice(at..at, copied));
            }
        }
    }
    body
}

fn form(fields: &Value) -> Vec<u8> {
    format!("--b\r\ncontent-disposition: form-data; name=\"fields\"\r\n\r\n{fields}\r\n--b--\r\n")
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_breaks_central() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let bodies = number("LOAXA_FUZZ").unwrap_or(BODIES);
    let mut dice = Dice(number("LOAXA_SEED").unwrap_or(1) as u64);
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let (json_type, form_type) = ("application/json", "multipart/form-data; boundary=b");
    let fields = json!({
        "to": ["xa"], "class": "normal", "text": "x", "repeat": 2, "gap_s": 5, "volume_percent": 80,
        "expires_in_s": 600, "author": "An",
    });
    let policy = json!({
        "version": 0, "allowed": [{ "from": "05:00", "until": "20:00" }], "session_minutes_max": 60,
        "day_minutes_max": 120, "volume_day_percent_max": 100, "volume_night_percent_max": 40,
    });
    let alert = std::fs::read("fuzz/corpus/cap/lu-quet.xml").unwrap();
    let programme = std::fs::read_to_string("fuzz/corpus/programme/small.toml").unwrap();
    let message = json!({ "id": "lu", "title": "Lũ", "language": "vi", "audio": "0".repeat(64) });
    let whole: [(&str, &'static str, Vec<u8>); 12] = [
        ("announcements", form_type, form(&fields)),
        ("announcements/none/cancel", json_type, br#"{"author":"An"}"#.to_vec()),
        ("programmes", json_type, json!({ "toml": programme, "media": {} }).to_string().into_bytes()),
        ("policies", json_type, json!({ "to": ["xa"], "policy": policy }).to_string().into_bytes()),
        ("prepared", json_type, json!({ "to": ["xa"], "messages": [message] }).to_string().into_bytes()),
        ("groups", json_type, json!({ "members": { "loa-1": ["thon-2"] } }).to_string().into_bytes()),
        (
            "enrolments",
            json_type,
            json!({ "box": "b", "title": "B", "groups": ["xa"] }).to_string().into_bytes(),
        ),
        ("enrol", json_type, std::fs::read("fuzz/corpus/enrolment/request.json").unwrap()),
        ("drafts", form_type, form(&fields)),
        ("drafts/none/signatures", json_type, br#"{"key":"a","signature":"AAAA"}"#.to_vec()),
        ("cap", "application/xml", alert),
        ("media?name=a.wav", "audio/wav", tone()[..400].to_vec()),
    ];
    for (path, content_type, body) in whole {
        for _ in 0..bodies {
            let body = broken(&mut dice, &body);
            let answer = post(&central, &format!("/api/v1/{path}"), content_type, body.clone()).await;
            let says =
                format!("{path}: {} {}\n{}", answer.status, answer.text(), String::from_utf8_lossy(&body));
            assert!(answer.status < 500, "{says}");
        }
    }
    assert_eq!(get(&central, "/healthz", &[]).await.status, 200);
    assert_eq!(get_api(&central, "/api/v1/status").await.json()["connected"], true);
    central.stop().await;
}
