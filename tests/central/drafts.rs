//! Drafts that people sign: who may draft, whose signature counts, and when the command goes out.

use crate::support::commune::*;
use crate::support::staff::Staff;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_adapters::clock;
use loaxa_central::Central;
use loaxa_central::store::{DraftKept, DraftRoom, NewDraft, Role};
use loaxa_heart::domain::time::{Span, Wall};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::request::Request;
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::{Down, Topic};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/drafts";

/// A request signed as the page signs it.
async fn ask(central: &Central, key: &SecretKey, at: Wall, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let method = if body.is_null() { "GET" } else { "POST" };
    let nonce = loaxa_heart::domain::ids::ContentHash(rand()).to_string();
    let request = Request { method, path: PATH, at, nonce: &nonce, body: text.as_bytes() };
    ask_as(central, key, &request, &request).await
}

fn rand() -> [u8; 32] {
    let made = loaxa_adapters::keys::KeyFile::generate(None).unwrap();
    made.key.seed()
}

/// Sends one request under the signature of another, or of itself.
async fn ask_as(
    central: &Central,
    key: &SecretKey,
    sent: &Request<'_>,
    signed: &Request<'_>,
) -> (u16, Value) {
    let signature = BASE64.encode(key.sign(&signed.to_be_signed()));
    let (id, at) = (key.key_id().to_string(), sent.at.to_string());
    let headers = [
        ("x-loaxa-key", &*id),
        ("x-loaxa-time", &*at),
        ("x-loaxa-nonce", sent.nonce),
        ("x-loaxa-signature", &*signature),
    ];
    let answer = match sent.method {
        "GET" => get(central, sent.path, &headers).await,
        _ => post_with(central, sent.path, &headers, sent.body.to_vec()).await,
    };
    (answer.status, answer.json())
}

pub async fn sign(central: &Central, id: &str, payload: &[u8], key: &SecretKey) -> (u16, Value) {
    let message = pre_authentication_encoding(Kind::Command.payload_type(), payload);
    let body = json!({ "key": key.key_id(), "signature": BASE64.encode(key.sign(&message)) });
    let path = format!("{PATH}/{id}/signatures");
    let answer =
        post_with(central, &path, &[("content-type", "application/json")], body.to_string().into()).await;
    let mut said = answer.json();
    // What is expected of the boxes is another test's.
    said.as_object_mut().map(|said| said.remove("expected"));
    (answer.status, said)
}

fn command(topic: &Topic, bytes: &[u8]) -> Option<(Command, usize)> {
    matches!(topic, Topic::Group(_) | Topic::Down(_, Down::Command)).then(|| {
        let signed = codec::open_command(bytes, &known_keys).expect("signed by people");
        (signed.payload, signed.signers.len())
    })
}

fn emergency(text: &str) -> Value {
    json!({ "announce": { "fields": { "to": ["thon-1"], "class": "emergency", "text": text, "author": "An" } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_person_who_left_goes_through_central() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.trust = trust_of(|trust| {
        trust.grants[0].account = Some("an".parse().unwrap());
        trust.grants[1].account = Some("binh".parse().unwrap());
    });
    let central = start(settings).await;
    let admin = Staff::make(&central, "mai", &[(Role::Administrator, "xa")]).await;
    Staff::make(&central, "an", &[(Role::Duty, "xa")]).await;
    let fields = json!({ "to": ["xa"], "class": "normal", "text": "Mời họp." });
    let body = json!({ "announce": { "fields": fields } });
    let (status, made) = ask(&central, &key(1), clock::wall(), &body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(admin.post(&central, "/nguoi/an/nghi", &[]).await.status, 303);
    let (status, refused) = ask(&central, &key(1), clock::wall(), &body).await;
    assert_eq!(status, 401, "{refused}");
    let (status, made) = ask(&central, &key(2), clock::wall(), &body).await;
    assert_eq!(status, 201, "Bình is still there: {made}");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_goes_out_when_two_people_have_signed_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.issuers = Vec::new();
    let central = start(settings).await;
    let (an, binh, now) = (key(1), key(2), clock::wall());
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;

    let (status, made) = ask(&central, &an, now, &emergency("Bão")).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let (_, desk) = ask(&central, &binh, now, &Value::Null).await;
    let draft = &desk["drafts"][0];
    assert_eq!((&draft["id"], &draft["needed"], &draft["sent"]), (&made["id"], &json!(2), &json!(false)));
    let payload = BASE64.decode(draft["payload"].as_str().unwrap()).unwrap();
    let written: Command = codec::decode(&payload).unwrap();
    assert_eq!((written.id.as_str(), &written.issuer), (id, &an.key_id()));

    // Other bytes, a stranger, central's own key: nothing of it counts.
    let mut other = payload.clone();
    *other.last_mut().unwrap() = b' ';
    for (what, key, bytes, expected) in [
        ("other bytes", &binh, &other, (401, "is not that of key")),
        ("a stranger", &key(9), &payload, (401, "not signed by a key of the trust document")),
        ("central", &central_key(), &payload, (403, "it has no power Emergency")),
    ] {
        let (status, said) = sign(&central, id, bytes, key).await;
        assert_eq!(status, expected.0, "{what}: {said}");
        assert!(said["error"].as_str().unwrap().contains(expected.1), "{what}: {said}");
    }
    // The second person before the first, and one of them twice.
    assert_eq!(sign(&central, id, &payload, &binh).await, (200, json!({ "sent": false })));
    assert_eq!(sign(&central, id, &payload, &binh).await, (200, json!({ "sent": false })));
    assert_eq!(sign(&central, id, &payload, &an).await, (200, json!({ "sent": true })));
    let (sent, signers) = loa.next("the emergency", command).await;
    assert_eq!((&sent, signers), (&written, 2));
    let (_, desk) = ask(&central, &an, now, &Value::Null).await;
    assert_eq!(desk["drafts"][0]["sent"], json!(true));
    // What went out goes out once.
    assert_eq!(sign(&central, id, &payload, &an).await, (200, json!({ "sent": true })));
    let announced = get_api(&central, "/api/v1/announcements").await.json();
    assert_eq!(announced.as_array().unwrap().len(), 1);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_order_goes_out_when_two_people_have_signed_it_and_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.issuers = Vec::new();
    let central = start(settings).await;
    let (an, binh, now) = (key(1), key(2), clock::wall());
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let order = |change: Value| {
        let mut message = json!({ "title": "Vỡ đập", "text": "Chạy lên cao", "minutes_max": 20, "days": 90 });
        message.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        json!({ "local_emergency": { "to": ["xa"], "message": message, "author": "An" } })
    };
    for (change, expected) in [
        (json!({ "days": 400 }), 400),
        (json!({ "confirm_s": 2 }), 400),
        (json!({ "minutes_max": 0 }), 400),
        (json!({ "text": " " }), 400),
        (json!({ "media": "0".repeat(64) }), 400),
    ] {
        let (status, said) = ask(&central, &an, now, &order(change)).await;
        assert!((expected..500).contains(&status), "{status} {said}");
    }
    let taken_back = json!({ "local_emergency": { "to": ["xa"], "message": null } });
    for (asked, wanted) in [(order(json!({})), 1), (taken_back, 2)] {
        let (status, made) = ask(&central, &an, now, &asked).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap();
        let (_, desk) = ask(&central, &binh, now, &Value::Null).await;
        let draft = desk["drafts"].as_array().unwrap().iter().find(|draft| draft["id"] == id).unwrap();
        assert_eq!(draft["needed"], json!(2));
        let payload = BASE64.decode(draft["payload"].as_str().unwrap()).unwrap();
        assert_eq!(sign(&central, id, &payload, &an).await, (200, json!({ "sent": false })));
        assert_eq!(sign(&central, id, &payload, &binh).await, (200, json!({ "sent": true })));
        let (sent, signers) = loa.next("the standing order", command).await;
        let Body::LocalEmergency { version, order } = sent.body else { panic!("no standing order") };
        assert_eq!((version, order.is_some(), signers), (wanted, wanted == 1, 2));
        if let Some(order) = order {
            assert_eq!((order.title.as_str(), order.minutes_max, order.silent_s), ("Vỡ đập", 20, 300));
            assert!(order.media.is_some() && order.words.is_some() && !order.with_contact);
            assert!(sent.expires <= sent.issued_at.plus(Span::secs(90 * 86_400)));
        }
    }
    // A box that holds an older one, or none, gets the newest.
    loa.hello("n", loaxa_heart::wire::messages::Holds { local_emergency: 1, ..loa.holds(&[]) });
    let (sent, _) = loa.next("the newest", command).await;
    assert!(matches!(sent.body, Body::LocalEmergency { version: 2, order: None }));
    let announced = get_api(&central, "/api/v1/announcements").await.json();
    assert_eq!(announced.as_array().unwrap().len(), 0, "it is no announcement");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_sign_may_not_draft_either() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let now = clock::wall();
    let check = async |key: SecretKey, at: Wall, asked: Value, status: u16, expected: &str| {
        let (found, said) = ask(&central, &key, at, &asked).await;
        assert_eq!(found, status, "{said}");
        assert!(said["error"].as_str().unwrap().contains(expected), "{said}");
    };
    check(key(9), now, emergency("Bão"), 401, "not signed by a key of the trust document").await;
    check(key(9), now, Value::Null, 401, "not signed by a key of the trust document").await;
    check(key(1), now.minus(Span::secs(700)), emergency("Bão"), 401, "the clock of this device is wrong")
        .await;
    check(central_key(), now, emergency("Bão"), 403, "it has no power Emergency").await;
    check(key(1), now, emergency(" "), 400, "give audio or a text").await;
    check(key(1), now, json!({ "cancel": {} }), 400, "unknown variant").await;
    let unsigned = post_with(&central, PATH, &[], Vec::new()).await;
    assert_eq!(unsigned.status, 401);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_signs_limits() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.issuers = Vec::new();
    let central = start(settings).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    let policy = json!({ "version": 0, "allowed": [], "session_minutes_max": 60, "day_minutes_max": 120,
        "volume_day_percent_max": 90, "volume_night_percent_max": 40 });
    let asked = json!({ "policy": { "to": ["xa"], "policy": policy } });
    let (status, made) = ask(&central, &key(2), clock::wall(), &asked).await;
    assert_eq!(status, 201, "{made}");
    let (_, desk) = ask(&central, &key(2), clock::wall(), &Value::Null).await;
    let payload = BASE64.decode(desk["drafts"][0]["payload"].as_str().unwrap()).unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(sign(&central, id, &payload, &key(2)).await, (200, json!({ "sent": true })));
    let (sent, _) = loa.next("the limits", command).await;
    let Body::Policy(policy) = sent.body else { panic!("{sent:?}") };
    assert_eq!(policy.version, 1);
    let documents = get_api(&central, "/api/v1/documents").await.json();
    assert_eq!((&documents[0]["document"], &documents[0]["version"]), (&json!("policy"), &json!(1)));
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_key_in_a_file_signs_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.issuers = Vec::new();
    let central = start(settings).await;
    let (status, made) = ask(&central, &key(1), clock::wall(), &emergency("Nước lên nhanh")).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let url = format!("http://{}", central.http_addr());
    let run = async |arguments: &[&str], seed: u8| {
        let file = dir.path().join(format!("{seed}.key"));
        if !file.exists() {
            loaxa_adapters::keys::KeyFile { key: key(seed), holder: None }.write_new(&file).unwrap();
        }
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loaxa"));
        command.arg("draft").args(arguments).args(["--central", &url, "--lang", "en", "--key"]).arg(file);
        command.stdin(std::process::Stdio::null());
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.success(), said)
    };
    let (_, said) = run(&["list"], 2).await;
    for expected in [
        id,
        "EMERGENCY, ACTUAL",
        "to: thon-1",
        "words (vi): Nước lên nhanh",
        "serial number: 1",
        "opening: ",
        "signatures: 0/2",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // An order with more in it than is shown is signed by nobody here, and the others are still listed.
    let (_, desk) = ask(&central, &key(1), clock::wall(), &Value::Null).await;
    let payload = BASE64.decode(desk["drafts"][0]["payload"].as_str().unwrap()).unwrap();
    let mut more: Value = serde_json::from_slice(&payload).unwrap();
    (more["id"], more["body"]["plan"]["also"]) = (json!("them"), json!(1));
    let now = clock::wall();
    let draft = NewDraft {
        id: "them".parse().unwrap(),
        made: now,
        expires: now.plus(Span::secs(600)),
        payload: more.to_string(),
        drafter: "test".to_owned(),
        is_emergency: true,
    };
    let room = DraftRoom { open_max: 9, lesser_max: 9, own_max: 9 };
    assert_eq!(central.store().add_draft(draft, room).await.unwrap(), DraftKept::Kept);
    let (signed, said) = run(&["sign", "them", "--yes"], 1).await;
    assert!(!signed && said.contains("more than this program understands"), "{said}");
    let (listed, said) = run(&["list"], 1).await;
    assert!(
        listed && said.contains("Nước lên nhanh") && said.contains("the draft them holds more"),
        "{said}"
    );
    assert!(!run(&["sign", id], 1).await.0, "nobody agreed");
    assert!(!run(&["sign", id, "--yes"], 9).await.0, "a stranger signed");
    assert!(run(&["sign", id, "--yes"], 1).await.1.contains("signed, others are awaited"));
    assert!(run(&["sign", id, "--yes"], 2).await.1.contains("signed, and sent to the boxes"));
    assert_eq!(get_api(&central, "/api/v1/announcements").await.json()[0]["id"], made["id"]);
    // What the guards will refuse is signed by nobody who has not heard of it.
    let night = clock::wall().plus(Span::secs(86_400)).date().and_hms_opt(3, 15, 0).unwrap();
    let at = Wall::from_local(night);
    let fields = json!({ "to": ["thon-1"], "class": "priority", "text": "Họp", "author": "An", "at": at });
    let (status, made) =
        ask(&central, &key(1), clock::wall(), &json!({ "announce": { "fields": fields } })).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let (signed, said) = run(&["sign", id, "--yes"], 1).await;
    assert!(!signed && said.contains("outside the allowed hours"), "{said}");
    assert!(said.contains("nothing was signed") && said.contains("--anyway"), "{said}");
    let (signed, said) = run(&["sign", id, "--yes", "--anyway"], 1).await;
    assert!(signed && said.contains("signed"), "{said}");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_sign_in_the_same_moment_send_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.issuers = Vec::new();
    let central = start(settings).await;
    let (an, binh, now) = (key(1), key(2), clock::wall());
    for turn in 0..10 {
        let (_, made) = ask(&central, &an, now, &emergency(&format!("Bão {turn}"))).await;
        let id = made["id"].as_str().unwrap();
        let (_, desk) = ask(&central, &an, now, &Value::Null).await;
        let drafts = desk["drafts"].as_array().unwrap();
        let draft = drafts.iter().find(|draft| draft["id"] == made["id"]).unwrap();
        let payload = BASE64.decode(draft["payload"].as_str().unwrap()).unwrap();
        let (one, two) = tokio::join!(sign(&central, id, &payload, &an), sign(&central, id, &payload, &binh));
        assert_eq!((one.0, two.0), (200, 200), "{one:?} {two:?}");
        assert!(one.1["sent"] == json!(true) || two.1["sent"] == json!(true), "{one:?} {two:?}");
        let announced = get_api(&central, "/api/v1/announcements").await.json();
        let times = announced.as_array().unwrap().iter().filter(|row| row["id"] == made["id"]).count();
        assert_eq!(times, 1);
    }
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_fills_their_own_room_alone_and_emergencies_have_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let (an, binh, now) = (key(1), key(2), clock::wall());
    let normal = json!({ "announce": { "fields": { "to": ["thon-1"], "class": "normal", "text": "Họp", "author": "An" } } });
    let posts = (0..100).map(|_| ask(&central, &an, now, &normal));
    let mut statuses = Vec::new();
    for post in futures(posts).await {
        statuses.push(post.0);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 4, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 429].contains(status)), "{statuses:?}");
    assert_eq!(ask(&central, &binh, now, &emergency("Bão")).await.0, 201);
    let (_, said) = ask(&central, &an, now, &emergency("Bão")).await;
    assert!(said["error_vi"].as_str().unwrap().contains("4 bản thảo"), "{said}");
    central.stop().await;
}

/// Runs all at the same time.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (one, done) in waiting.iter_mut().filter(|(_, done)| done.is_none()) {
            match one.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *done = Some(value),
                std::task::Poll::Pending => ready = false,
            }
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_is_taken_once_and_for_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let (an, at) = (key(1), clock::wall());
    let (bao, lu) = (emergency("Bão").to_string(), emergency("Lũ").to_string());
    let request = |nonce, body| Request { method: "POST", path: PATH, at, nonce, body };
    let (first, second) = ("0123456789abcdef-1", "0123456789abcdef-2");
    let signed = request(first, bao.as_bytes());
    for (what, sent) in [
        ("another body", request(first, lu.as_bytes())),
        ("another nonce", request(second, bao.as_bytes())),
        ("another time", Request { at: at.plus(Span::secs(1)), ..signed }),
        ("another method", Request { method: "GET", body: b"", ..signed }),
        ("a query", Request { path: "/api/v1/drafts?x=1", ..signed }),
        ("no nonce", request("short", bao.as_bytes())),
    ] {
        let (status, said) = ask_as(&central, &an, &sent, &signed).await;
        assert_eq!(status, 401, "{what}: {said}");
    }
    assert_eq!(ask_as(&central, &an, &signed, &signed).await.0, 201);
    let (status, said) = ask_as(&central, &an, &signed, &signed).await;
    assert_eq!(status, 401, "{said}");
    assert!(said["error"].as_str().unwrap().contains("taken before"), "{said}");
    assert_eq!(ask(&central, &an, at, &Value::Null).await.1["drafts"].as_array().unwrap().len(), 1);
    let old = at.minus(Span::secs(301));
    assert_eq!(ask(&central, &an, old, &Value::Null).await.0, 401);
    central.stop().await;
}
