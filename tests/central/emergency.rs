//! Emergencies of two duty officers: what the server takes, and above all what it does not.

use crate::support::commune::*;
use crate::support::staff::Staff;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_central::Central;
use loaxa_central::store::{ActFilter, MessageUse, Role};
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::signing::SecretKey;
use serde_json::{Value, json};

const WORDS: &str = "Nước sông lên nhanh. Bà con lên đê ngay.";

/// Prepares a message as staff do: written, heard, kept. Gives its id.
pub async fn prepare(central: &Central, by: &Staff, title: &str, purpose: MessageUse) -> String {
    let fields = [
        ("ten", title),
        ("de", purpose.code()),
        ("nguy-hiem", "flood"),
        ("loi", WORDS),
        ("tieng", "vi"),
        ("coi", "co"),
        ("lan", "5"),
    ];
    let heard = by.post(central, "/tin-soan-san", &[&fields[..], &[("viec", "nghe")]].concat()).await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    let hash = heard.text().split_once("name=\"da-nghe\" value=\"").unwrap().1[..64].to_owned();
    let kept = by
        .post(central, "/tin-soan-san", &[&fields[..], &[("viec", "luu"), ("da-nghe", &hash)]].concat())
        .await;
    assert_eq!(kept.status, 303, "{}", kept.text());
    let messages = central.store().messages().await.unwrap();
    messages.iter().find(|row| row.title == title).unwrap().id.to_string()
}

/// The officers An and Bình, whose keys the trust document names, with a prepared message.
pub struct Duty {
    pub an: Staff,
    pub binh: Staff,
    pub message: String,
}

impl Duty {
    pub async fn new(central: &Central) -> Self {
        let an = Staff::make(central, "an", &[(Role::Duty, "xa")]).await;
        let binh = Staff::make(central, "binh", &[(Role::Duty, "xa")]).await;
        let message = prepare(central, &an, "Nước sông lên nhanh", MessageUse::Alarm).await;
        Self { an, binh, message }
    }

    /// An chooses the message for village 1; gives the bytes to be signed.
    pub async fn choose(&self, central: &Central) -> Answer {
        let key = key(1).key_id();
        let fields = [("tin", self.message.as_str()), ("noi", "thon-1"), ("so", "1"), ("khoa", key.as_str())];
        self.an.post(central, "/khan-cap", &fields).await
    }

    /// An chooses and signs: the second officer is called. Gives the id and the bytes.
    pub async fn call(&self, central: &Central) -> (String, String) {
        let chosen = self.choose(central).await.json();
        let (id, payload) =
            (chosen["ma"].as_str().unwrap().to_owned(), chosen["ban-ky"].as_str().unwrap().to_owned());
        let signed = sign(central, &self.an, &id, &payload, &key(1)).await;
        assert_eq!((signed.status, &signed.json()["dang-phat"]), (200, &json!(false)), "{}", signed.text());
        (id, payload)
    }
}

pub async fn sign(central: &Central, who: &Staff, id: &str, payload: &str, key: &SecretKey) -> Answer {
    let message = pre_authentication_encoding(Kind::Command.payload_type(), payload.as_bytes());
    let signature = BASE64.encode(key.sign(&message));
    let own = key.key_id();
    who.post(central, &format!("/khan-cap/{id}/ky"), &[("khoa", own.as_str()), ("chu-ky", &signature)]).await
}

async fn with_duty(test: impl AsyncFn(&Central, &Duty)) {
    let dir = tempfile::tempdir().unwrap();
    let central = start(settings(dir.path(), embedded())).await;
    let duty = Duty::new(&central).await;
    test(&central, &duty).await;
    central.stop().await;
}

async fn announced(central: &Central) -> Vec<Value> {
    get_api(central, "/api/v1/announcements").await.json().as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_is_taken_only_with_its_number_a_prepared_message_and_ones_own_place() {
    with_duty(async |central, duty| {
        let (own, message) = (key(1).key_id(), duty.message.as_str());
        let village = Staff::make(central, "chi", &[(Role::Duty, "thon-2")]).await;
        let after = prepare(central, &duty.an, "Báo động nhầm", MessageUse::FalseAlarm).await;
        let right =
            [("tin", message), ("noi", "thon-1"), ("noi", "thon-2"), ("so", "2"), ("khoa", own.as_str())];
        let with = |name: &str, value: &'static str| {
            let mut fields = right.to_vec();
            fields.iter_mut().filter(|(field, _)| *field == name).for_each(|(_, old)| *old = value);
            fields
        };
        let plus = |name: &'static str, value: &'static str| [&right[..], &[(name, value)]].concat();
        let not_prepared: Vec<_> =
            right.iter().map(|(n, v)| (*n, if *n == "tin" { after.as_str() } else { *v })).collect();
        for (fields, says) in [
            (with("so", "1"), "đếm lại"),
            (with("so", "3"), "đếm lại"),
            (with("so", ""), "đếm lại"),
            (with("so", "02x"), "đếm lại"),
            (with("tin", "khong-co"), "soạn sẵn"),
            (with("tin", ""), "soạn sẵn"),
            (not_prepared, "soạn sẵn"),
            (with("noi", "xa"), "nơi phát"),
            (with("noi", "thon-9"), "nơi phát"),
            (right.iter().filter(|(name, _)| *name != "noi").copied().collect(), "nơi phát"),
            (with("khoa", "0000000000000000"), "chìa khóa"),
            (plus("mode", "exercise"), "mục lạ"),
            (plus("che-do", "dien-tap"), "mục lạ"),
            (plus("loi", "Lời tự viết"), "mục lạ"),
            (plus("class", "normal"), "mục lạ"),
        ] {
            let answer = duty.an.post(central, "/khan-cap", &fields).await;
            assert!((400..=403).contains(&answer.status), "{fields:?}: {}", answer.status);
            assert!(answer.json()["loi"].as_str().unwrap().contains(says), "{fields:?}: {}", answer.text());
        }
        assert_eq!(village.post(central, "/khan-cap", &right).await.status, 403, "of one village alone");
        let store = central.store();
        assert!(store.drafts(loaxa_adapters::clock::wall()).await.unwrap().is_empty());

        let chosen = duty.an.post(central, "/khan-cap", &right).await;
        assert_eq!(chosen.status, 200, "{}", chosen.text());
        let command: Command = serde_json::from_str(chosen.json()["ban-ky"].as_str().unwrap()).unwrap();
        let Body::Announce { class, mode, words, media, .. } = command.body else {
            panic!("no announcement")
        };
        assert_eq!(format!("{class:?} {mode:?}"), "Emergency Actual");
        assert_eq!(words.unwrap().text, WORDS);
        assert!(media.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_two_officers_each_with_their_own_key() {
    with_duty(async |central, duty| {
        let chosen = duty.choose(central).await.json();
        let (id, payload) = (chosen["ma"].as_str().unwrap(), chosen["ban-ky"].as_str().unwrap());
        let bell = duty.binh.get(central, "/fragments/goi").await;
        assert_eq!(bell.text(), "", "nobody is called before the first has signed");
        assert_eq!(
            sign(central, &duty.binh, id, payload, &key(2)).await.status,
            403,
            "the first officer signs first"
        );
        assert_eq!(
            sign(central, &duty.an, id, &payload.replace("thon-1", "thon-2"), &key(1)).await.status,
            400,
            "other bytes"
        );
        assert_eq!(sign(central, &duty.an, id, payload, &key(1)).await.status, 200);
        // The first officer can't be the second, with whichever key.
        for own in [key(1), key(2)] {
            let again = sign(central, &duty.an, id, payload, &own).await;
            assert_eq!((again.status, &again.json()["dang-phat"]), (200, &json!(false)));
        }
        // The second officer can't lend the first one's key.
        let lent = sign(central, &duty.binh, id, payload, &key(1)).await;
        assert_eq!(lent.json()["dang-phat"], json!(false), "one key is one person");
        assert_eq!(announced(central).await, Vec::<Value>::new());

        let bell = duty.binh.get(central, "/fragments/goi").await;
        assert!(
            bell.text().contains("Cán bộ an gọi bạn") && bell.text().contains("data-tieng"),
            "{}",
            bell.text()
        );
        assert_eq!(duty.an.get(central, "/fragments/goi").await.text(), "", "whoever calls is not called");
        let page = duty.binh.get(central, &format!("/khan-cap/{id}")).await;
        assert_eq!(page.header("location"), format!("/khan-cap/{id}/dong-y"));
        let page = duty.binh.get(central, &format!("/khan-cap/{id}/dong-y")).await;
        assert!(!page.text().contains("type=\"checkbox\"") && !page.text().contains("type=\"radio\""));

        let agreed = sign(central, &duty.binh, id, payload, &key(2)).await;
        assert_eq!((agreed.status, &agreed.json()["dang-phat"]), (200, &json!(true)), "{}", agreed.text());
        let again = sign(central, &duty.binh, id, payload, &key(2)).await;
        assert_eq!((again.status, &again.json()["dang-phat"]), (200, &json!(true)), "the same press again");
        let sent = announced(central).await;
        assert_eq!(
            (sent.len(), &sent[0]["class"], &sent[0]["mode"]),
            (1, &json!("emergency"), &json!("actual"))
        );
        assert_eq!(duty.binh.get(central, "/fragments/goi").await.text(), "");
        let acts =
            central.store().acts(ActFilter { subject: Some(id.to_owned()), limit: 9, ..Default::default() });
        let acts: Vec<_> = acts.await.unwrap().into_iter().rev().map(|row| (row.actor, row.act)).collect();
        let said = |actor: &str, act: &str| (actor.to_owned(), act.to_owned());
        assert_eq!(
            acts,
            [
                said("an", "emergency_chosen"),
                said("an", "emergency_called"),
                said("binh", "emergency_agreed")
            ]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_an_account_is_its_persons_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path(), embedded());
    settings.keys.trust = trust_of(|trust| trust.grants[1].account = Some("binh".parse().unwrap()));
    let central = start(settings).await;
    let duty = Duty::new(&central).await;
    let chi = Staff::make(&central, "chi", &[(Role::Duty, "xa")]).await;
    let (id, payload) = duty.call(&central).await;
    let lent = sign(&central, &chi, &id, &payload, &key(2)).await;
    assert_eq!(lent.status, 403, "{}", lent.text());
    assert!(lent.text().contains("không phải của bạn"));
    assert_eq!(sign(&central, &duty.binh, &id, &payload, &key(2)).await.status, 200);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_officer_stops_it_with_one_press_and_what_follows_is_sent_once() {
    with_duty(async |central, duty| {
        let after = prepare(central, &duty.an, "Báo động nhầm", MessageUse::FalseAlarm).await;
        let (id, payload) = duty.call(central).await;
        let path = format!("/khan-cap/{id}");
        let after_id = after.clone();
        let follow = [("viec", "tiep"), ("tin", after.as_str())];
        duty.an.post(central, &path, &follow).await;
        assert!(announced(central).await.is_empty(), "nothing follows what never sounded");
        sign(central, &duty.binh, &id, &payload, &key(2)).await;
        let page = duty.an.get(central, &path).await;
        assert!(
            page.text().contains("DỪNG NGAY") && page.text().contains("0 trên 1 cụm loa"),
            "{}",
            page.text()
        );

        // Somebody of another village can't, a third officer of the commune can, twice at once.
        let other = Staff::make(central, "other", &[(Role::Duty, "thon-2")]).await;
        assert_eq!(other.post(central, &path, &[("viec", "dung")]).await.status, 403);
        let chi = Staff::make(central, "chi", &[(Role::Duty, "xa")]).await;
        let press = [("viec", "dung")];
        let (one, two) = tokio::join!(chi.post(central, &path, &press), chi.post(central, &path, &press));
        assert_eq!((one.status, two.status), (303, 303));
        let row = central.store().command(id.parse().unwrap()).await.unwrap().unwrap();
        assert!(row.ended.is_some());
        let page = chi.get(central, &path).await;
        assert!(page.text().contains("Cán bộ chi đã dừng"), "{}", page.text());

        let (one, two) =
            tokio::join!(duty.an.post(central, &path, &follow), duty.binh.post(central, &path, &follow));
        assert_eq!((one.status, two.status), (303, 303));
        let sent: Vec<_> = announced(central).await;
        let after: Vec<_> = sent.iter().filter(|row| row["title"] == "Báo động nhầm").collect();
        assert_eq!(after.len(), 1, "{sent:?}");
        assert_eq!((&after[0]["class"], &after[0]["mode"]), (&json!("priority"), &json!("actual")));
        // At night it may take two people again: as an emergency, and only after one that is over.
        let own = key(1).key_id();
        let as_emergency = |tin: &'static str, sau: String| {
            let tin = if tin.is_empty() { after_id.clone() } else { duty.message.clone() };
            [
                ("tin", tin),
                ("noi", "thon-1".to_owned()),
                ("so", "1".to_owned()),
                ("khoa", own.to_string()),
                ("sau", sau),
            ]
        };
        for (tin, sau, status) in
            [("", id.clone(), 200), ("alarm", id.clone(), 400), ("", "khac".to_owned(), 404)]
        {
            let fields = as_emergency(tin, sau);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(duty.an.post(central, "/khan-cap", &fields).await.status, status, "{fields:?}");
        }
        let alarm = [("viec", "tiep"), ("tin", duty.message.as_str())];
        assert_eq!(duty.an.post(central, &path, &alarm).await.status, 400, "an alarm takes two people again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_called_off_is_never_aired() {
    with_duty(async |central, duty| {
        let (id, payload) = duty.call(central).await;
        let path = format!("/khan-cap/{id}");
        assert_eq!(duty.binh.post(central, &path, &[("viec", "huy")]).await.status, 403);
        assert_eq!(duty.an.post(central, &path, &[("viec", "huy")]).await.status, 303);
        assert_eq!(sign(central, &duty.binh, &id, &payload, &key(2)).await.status, 409);
        assert!(announced(central).await.is_empty());
        assert_eq!(duty.binh.get(central, "/fragments/goi").await.text(), "");
        // Choices that were never signed take no room: the fifth is as good as the first.
        for _ in 0..6 {
            assert_eq!(duty.choose(central).await.status, 200);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_words_that_were_heard_are_kept() {
    with_duty(async |central, duty| {
        let fields = |words| {
            [
                ("ten", "Cháy lớn"),
                ("de", "alarm"),
                ("loi", words),
                ("tieng", "vi"),
                ("lan", "2"),
                ("viec", "nghe"),
            ]
        };
        let heard = duty.an.post(central, "/tin-soan-san", &fields("Cháy ở chợ.")).await;
        let hash = heard.text().split_once("name=\"da-nghe\" value=\"").unwrap().1[..64].to_owned();
        let keep = |words| {
            let mut fields = fields(words).to_vec();
            fields.pop();
            fields.extend([("viec", "luu"), ("da-nghe", hash.as_str())]);
            fields
        };
        let other = duty.an.post(central, "/tin-soan-san", &keep("Cháy ở trường.")).await;
        assert_eq!(other.status, 400);
        assert_eq!(other.text().matches("Hãy bấm Nghe thử với lời vừa viết").count(), 2, "{}", other.text());
        assert!(other.text().contains("Cháy ở trường."), "what was typed is kept");
        assert_eq!(duty.an.post(central, "/tin-soan-san", &keep("Cháy ở chợ.")).await.status, 303);
        let page = duty.an.get(central, "/khan-cap").await;
        assert!(page.text().contains("Cháy lớn"));
        let id = central
            .store()
            .messages()
            .await
            .unwrap()
            .into_iter()
            .find(|row| row.title == "Cháy lớn")
            .unwrap()
            .id;
        duty.an.post(central, &format!("/tin-soan-san/{id}/bo"), &[]).await;
        assert!(!duty.an.get(central, "/khan-cap").await.text().contains("Cháy lớn"));
    })
    .await;
}
