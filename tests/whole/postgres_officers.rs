//! Duty officers while the database server is away: who is signed in goes on, who is not signs in, and what they did is kept.
use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::postgres_way::Way;
use crate::support::staff::{FORM, Staff, form};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::{MessageUse, Role};
use loaxa_heart::wire::codec;
use loaxa_heart::wire::envelope::{Kind, pre_authentication_encoding};
use loaxa_heart::wire::messages::{Body, Command};
use loaxa_heart::wire::signing::SecretKey;
use loaxa_heart::wire::topics::Topic;
use totp_rs::{Builder, Secret};

const PASSWORD: &str = "con đê làng mình 1996";
const TOTP: [u8; 20] = [7; 20];

fn code_of_telephone() -> String {
    let totp = Builder::new().with_secret(Secret::new(TOTP.to_vec().into_boxed_slice())).build_noncompliant();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    totp.generate(now).to_string()
}

/// A browser that is not signed in.
struct Browser<'a> {
    central: &'a Central,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn at(central: &'a Central) -> Self {
        Self { central, cookie: String::new() }
    }

    async fn get(&self, path: &str) -> Answer {
        get(self.central, path, &[("cookie", &self.cookie)]).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let origin = format!("http://{}", self.central.http_addr());
        let headers = [FORM, ("origin", &origin), ("cookie", &self.cookie)];
        let answer = post_with(self.central, path, &headers, form(fields)).await;
        let set = answer.header("set-cookie").split(';').next().unwrap();
        if set.starts_with("loaxa-session=") {
            self.cookie = set.to_owned();
        }
        answer
    }

    /// Signs in with the password and a code of the telephone, and returns the page that it is led to.
    async fn sign_in(&mut self, account: &str) -> String {
        let shown = self.post("/dang-nhap", &[("ten", account), ("mat-khau", PASSWORD)]).await;
        assert_eq!((shown.status, shown.header("location")), (303, "/dang-nhap/buoc-2"), "{}", shown.text());
        let come = self.post("/dang-nhap/buoc-2", &[("ma", &code_of_telephone())]).await;
        assert_eq!(come.status, 303, "{}", come.text());
        come.header("location").to_owned()
    }
}

/// Gives officers a password and a telephone.
async fn equip(central: &Central, dir: &std::path::Path, officers: &[&str]) {
    let link = std::fs::read_to_string(dir.join("first-administrator")).unwrap();
    let path = url::Url::parse(link.trim()).unwrap().path().to_owned();
    let fields = [("ho-ten", "Mai"), ("ten", "mai"), ("mat-khau", PASSWORD), ("nhac-lai", PASSWORD)];
    assert_eq!(Browser::at(central).post(&path, &fields).await.status, 303);
    let store = central.store();
    let mai = store.person("mai".parse().unwrap()).await.unwrap().unwrap();
    for officer in officers {
        Staff::make(central, officer, &[(Role::Duty, "xa")]).await;
        let act = crate::support::villages::act;
        store.set_password(officer.parse().unwrap(), mai.password.clone().unwrap(), act()).await.unwrap();
        store
            .set_second_factor(officer.parse().unwrap(), Some(TOTP.to_vec()), Vec::new(), act())
            .await
            .unwrap();
    }
}

/// Prepares a message as staff do; gives its id.
async fn prepare(central: &Central, by: &Staff) -> String {
    let fields = [
        ("ten", "Vỡ đê"),
        ("de", MessageUse::Alarm.code()),
        ("nguy-hiem", "flood"),
        ("loi", "Nước đang lên, bà con lên chỗ cao."),
        ("tieng", "vi"),
        ("coi", "co"),
        ("lan", "5"),
    ];
    let heard = by.post(central, "/tin-soan-san", &[&fields[..], &[("viec", "nghe")]].concat()).await;
    let hash = heard.text().split_once("name=\"da-nghe\" value=\"").unwrap().1[..64].to_owned();
    let keep = [&fields[..], &[("viec", "luu"), ("da-nghe", &hash)]].concat();
    assert_eq!(by.post(central, "/tin-soan-san", &keep).await.status, 303);
    central.store().messages().await.unwrap()[0].id.to_string()
}

fn signature(payload: &str, key: &SecretKey) -> String {
    let message = pre_authentication_encoding(Kind::Command.payload_type(), payload.as_bytes());
    BASE64.encode(key.sign(&message))
}

/// The body of an order that came by its groups.
fn order(topic: &Topic, bytes: &[u8]) -> Option<Body> {
    matches!(topic, Topic::Group(_)).then(|| codec::open::<Command>(bytes, &known_keys).unwrap().payload.body)
}

async fn is_well(central: &Central) {
    until("the server is back", async || {
        (get(central, "/healthz", &[]).await.status == 200 && !central.store().is_away()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_officers_send_and_stop_an_emergency_without_the_database_server() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = Way::to(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let central = start(Settings { database: way.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let mut loa = ScriptedBox::connect(1, central.broker_addr().unwrap().port()).await;
    equip(&central, dir.path(), &["an", "binh", "chi", "dung"]).await;
    let an = Staff { id: "an".parse().unwrap(), cookie: "loaxa-session=secret-of-an".to_owned() };
    let message = prepare(&central, &an).await;
    assert!(!Browser::at(&central).get("/dang-nhap").await.text().contains("mất kết nối"));

    way.cut(true);
    until("central knows", async || central.store().is_away().then_some(())).await;
    // Who is signed in goes on.
    let page = an.get(&central, "/khan-cap").await;
    assert!(page.status == 200 && page.text().contains("Vỡ đê"), "{}", page.text());
    let everyday = an.get(&central, "/tin").await;
    assert!(everyday.status == 503 && everyday.text().contains("khẩn cấp"), "{}", everyday.text());
    let own = [key(1).key_id(), key(2).key_id()];
    let fields = [("tin", message.as_str()), ("noi", "thon-1"), ("so", "1"), ("khoa", own[0].as_str())];
    let chosen = an.post(&central, "/khan-cap", &fields).await;
    assert_eq!(chosen.status, 200, "{}", chosen.text());
    let chosen = chosen.json();
    let (id, payload) = (chosen["ma"].as_str().unwrap(), chosen["ban-ky"].as_str().unwrap());
    let to_sign = format!("/khan-cap/{id}/ky");
    let signed = [("khoa", own[0].as_str()), ("chu-ky", &signature(payload, &key(1)))];
    let called = an.post(&central, &to_sign, &signed).await;
    assert_eq!((called.status, &called.json()["dang-phat"]), (200, &false.into()), "{}", called.text());
    // Who is not signs in, by what the server knew.
    let mut binh = Browser::at(&central);
    assert!(binh.get("/dang-nhap").await.text().contains("mất kết nối"));
    let wrong = binh.post("/dang-nhap", &[("ten", "binh"), ("mat-khau", "con đê làng bên 1996")]).await;
    assert_eq!(wrong.status, 401);
    assert_eq!(binh.sign_in("binh").await, "/khan-cap");
    let mut again = Browser::at(&central);
    again.post("/dang-nhap", &[("ten", "binh"), ("mat-khau", PASSWORD)]).await;
    let used = again.post("/dang-nhap/buoc-2", &[("ma", &code_of_telephone())]).await;
    assert_eq!(used.status, 401, "a code is good once: {}", used.text());
    assert!(binh.get("/fragments/goi").await.text().contains(id), "the second officer is called");
    let agreed = [("khoa", own[1].as_str()), ("chu-ky", &signature(payload, &key(2)))];
    let aired = binh.post(&to_sign, &agreed).await;
    assert_eq!((aired.status, &aired.json()["dang-phat"]), (200, &true.into()), "{}", aired.text());
    loa.next("the emergency", |topic, bytes| {
        order(topic, bytes).filter(|body| matches!(body, Body::Announce { .. }))
    })
    .await;
    let page = an.get(&central, &format!("/khan-cap/{id}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let stopped = binh.post(&format!("/khan-cap/{id}"), &[("viec", "dung")]).await;
    assert_eq!(stopped.status, 303, "{}", stopped.text());
    loa.next("its end", |topic, bytes| {
        order(topic, bytes).filter(|body| matches!(body, Body::Cancel { of: Some(_) }))
    })
    .await;

    // Two whose account ends meanwhile, or whose password is changed by another central.
    let (mut chi, mut dung) = (Browser::at(&central), Browser::at(&central));
    chi.sign_in("chi").await;
    dung.sign_in("dung").await;
    cluster.sql("xa", "UPDATE people SET password = 'changed' WHERE id = 'chi'");
    cluster.sql("xa", "UPDATE people SET \"left\" = 1 WHERE id = 'dung'");
    way.cut(false);
    is_well(&central).await;
    for gone in [&chi, &dung] {
        assert_eq!(gone.get("/khan-cap").await.status, 303, "who was sent away has to show who they are");
    }
    assert_eq!(binh.get("/khan-cap").await.status, 200, "the others go on");
    let asked = |sql: &str| cluster.sql("xa", sql);
    let call = asked(&format!("SELECT state, person, agreed_by FROM calls WHERE id = '{id}'"));
    assert_eq!(call, "stopped|an|binh");
    let orders = "SELECT kind, count(*) FROM commands WHERE kind <> 'other' GROUP BY kind ORDER BY kind";
    assert_eq!(asked(orders), "announce|1\ncancel|1");
    assert_eq!(asked("SELECT count(*) FROM deliveries WHERE box = 'loa-1'"), "1");
    let acts = "SELECT act, count(*) FROM acts WHERE act LIKE 'emergency%' OR act = 'signed_in'
                GROUP BY act ORDER BY act";
    assert_eq!(
        asked(acts),
        "emergency_agreed|1\nemergency_called|1\nemergency_chosen|1\nemergency_stopped|1\nsigned_in|3"
    );
    central.stop().await;
}
