//! Duty officers while the database server is away: who is signed in goes on, who is not signs in, and what they did is kept.
use crate::several::Ground;
use crate::support::broker::Broker;
use crate::support::browser;
use crate::support::commune::*;
use crate::support::postgres::Cluster;
use crate::support::postgres_way::Way;
use crate::support::staff::{FORM, Staff, form};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use loaxa_central::Central;
use loaxa_central::settings::Settings;
use loaxa_central::store::sql::SqlStore;
use loaxa_central::store::{Boxes, MessageUse, Reach, Role, Sessions, at_once};
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
    equip(&central, dir.path(), &["an", "binh", "chi", "dung", "em"]).await;
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
    let shown = format!("/fragments/khan-cap/{id}?luc=calling");
    let calling = an.get(&central, &shown).await;
    assert!(calling.status == 200 && calling.text().contains("Cán bộ binh"), "{}", calling.text());
    assert_eq!(calling.header("hx-refresh"), "");
    assert_eq!(an.get(&central, &format!("/khan-cap/{id}")).await.status, 200);
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
    assert!(page.status == 200 && page.text().contains("id=\"dung\""), "{}", page.text());
    let other = an.get(&central, &shown).await;
    assert_eq!(other.header("hx-refresh"), "true", "the open page of the first officer gets its stop button");
    let stopped = binh.post(&format!("/khan-cap/{id}"), &[("viec", "dung")]).await;
    assert_eq!(stopped.status, 303, "{}", stopped.text());
    loa.next("its end", |topic, bytes| {
        order(topic, bytes).filter(|body| matches!(body, Body::Cancel { of: Some(_) }))
    })
    .await;

    // A live voice is heard, and an officer goes home.
    let begun = an.post(&central, "/noi-truc-tiep", &[("noi", "thon-1")]).await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let voice = begun.json()["phien"].as_str().unwrap().to_owned();
    let piece = an.put(&central, &format!("/noi-truc-tiep/{voice}?so=0"), &[1; 3_200]).await;
    assert_eq!(piece.status, 204, "{}", piece.text());
    loa.next("a voice opens", |topic, bytes| {
        order(topic, bytes).filter(|body| matches!(body, Body::Live { open: true, .. }))
    })
    .await;
    assert_eq!(an.get(&central, "/noi-truc-tiep").await.status, 200);
    let gone = an.post(&central, "/thoat", &[]).await;
    assert_eq!(
        (gone.status, gone.header("set-cookie").contains("Max-Age=0")),
        (303, true),
        "{}",
        gone.text()
    );
    assert_eq!(an.get(&central, "/khan-cap").await.status, 303);

    // Three whose account or sessions end meanwhile, or whose password is changed, by another central.
    let (mut chi, mut dung, mut em) = (Browser::at(&central), Browser::at(&central), Browser::at(&central));
    chi.sign_in("chi").await;
    dung.sign_in("dung").await;
    em.sign_in("em").await;
    let elsewhere = SqlStore::open_at(&cluster.database("xa"), None).unwrap();
    elsewhere.end_sessions("em".parse().unwrap(), None).await.unwrap();
    cluster.sql("xa", "UPDATE people SET password = 'changed' WHERE id = 'chi'");
    cluster.sql("xa", "UPDATE people SET \"left\" = 1 WHERE id = 'dung'");
    way.cut(false);
    is_well(&central).await;
    for gone in [&chi, &dung, &em] {
        assert_eq!(gone.get("/khan-cap").await.status, 303, "who was sent away has to show who they are");
    }
    assert_eq!(binh.get("/khan-cap").await.status, 200, "the others go on");
    let asked = |sql: &str| cluster.sql("xa", sql);
    assert_eq!(asked("SELECT count(*) FROM sessions WHERE person = 'an'"), "0");
    let call = asked(&format!("SELECT state, person, agreed_by FROM calls WHERE id = '{id}'"));
    assert_eq!(call, "stopped|an|binh");
    let orders = "SELECT kind, count(*) FROM commands WHERE kind <> 'other' GROUP BY kind ORDER BY kind";
    assert_eq!(asked(orders), "announce|1\ncancel|1");
    assert_eq!(asked("SELECT count(*) FROM deliveries WHERE box = 'loa-1'"), "1");
    let acts = "SELECT act, count(*) FROM acts WHERE act LIKE 'emergency%' OR act = 'signed_in'
                GROUP BY act ORDER BY act";
    assert_eq!(
        asked(acts),
        "emergency_agreed|1\nemergency_called|1\nemergency_chosen|1\nemergency_stopped|1\nsigned_in|4"
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_says_that_it_is_told_nothing_until_the_database_server_is_back() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = Way::to(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let central = start(Settings { database: way.database("xa"), ..settings(dir.path(), embedded()) }).await;
    let an = Staff::make(&central, "an", &[(Role::Duty, "xa")]).await;
    for path in ["/", "/canh-bao", "/cum-loa", "/nhat-ky"] {
        let page = an.get(&central, path).await;
        assert!(page.text().contains("data-live-lost"), "{path} can say it: {}", page.text());
    }
    let address = format!("http://{}", central.http_addr());
    let browser = browser::Browser::start();
    let mut page = browser.person(&format!("{address}/healthz"));
    page.sign_in(&an);
    page.go(&address);
    page.until_says("h1", "Tổng quan");
    // The page opens its stream anew, and is seen to have it.
    page.value(
        "window.EventSource = class extends EventSource {
             constructor(...of) { super(...of); this.addEventListener('open', () => { window.isTold = true; }); }
         };
         document.dispatchEvent(new Event('visibilitychange')); 0",
    );
    page.until("window.isTold");
    page.value(
        "document.body.addEventListener('shown', () => { window.drawnAnew = true; }); window.stays = true; 0",
    );
    let notice = "document.querySelector('[data-live-lost]').hidden";
    assert_eq!(page.value(notice), true);
    way.cut(true);
    page.until(&format!("!{notice}"));
    assert_eq!(page.value("window.stays && location.pathname"), "/", "nobody was signed out");
    way.cut(false);
    is_well(&central).await;
    page.until(notice);
    page.until("window.drawnAnew");
    assert_eq!(page.value("window.stays"), true);
    // And one whose person is signed out says so.
    assert_eq!(an.post(&central, "/thoat", &[]).await.status, 303);
    page.until("location.pathname === '/dang-nhap'");
    central.stop().await;
}

async fn sign_at(central: &Central, id: &str, payload: &str, key: &SecretKey) -> Answer {
    let body = serde_json::json!({ "key": key.key_id(), "signature": signature(payload, key) });
    let path = format!("/api/v1/drafts/{id}/signatures");
    post_with(central, &path, &[("content-type", "application/json")], body.to_string().into()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_signatures_that_meet_on_the_server_only_send_the_emergency_once() {
    let ground = Ground::lay();
    let ways = [Way::to(&ground.cluster), Way::to(&ground.cluster)];
    let beside = |way: &Way| Settings { database: way.database("xa"), ..ground.settings() };
    let one = start(beside(&ways[0])).await;
    let mut loa = ScriptedBox::connect(1, ground.broker.port()).await;
    let an = Staff::make(&one, "an", &[(Role::Duty, "xa")]).await;
    let message = prepare(&one, &an).await;
    let own = key(1).key_id();
    let fields = [("tin", message.as_str()), ("noi", "thon-1"), ("so", "1"), ("khoa", own.as_str())];
    let chosen = an.post(&one, "/khan-cap", &fields).await.json();
    let (id, payload) = (chosen["ma"].as_str().unwrap(), chosen["ban-ky"].as_str().unwrap());
    // It begins with a copy in which the draft is.
    let other = start(beside(&ways[1])).await;
    ways.iter().for_each(|way| way.cut(true));
    for central in [&one, &other] {
        until("central knows", async || central.store().is_away().then_some(())).await;
    }
    for (central, key) in [(&one, key(1)), (&other, key(2))] {
        let signed = sign_at(central, id, payload, &key).await;
        assert_eq!((signed.status, &signed.json()["sent"]), (200, &false.into()), "{}", signed.text());
    }
    ways.iter().for_each(|way| way.cut(false));
    loa.next("the emergency", |topic, bytes| {
        order(topic, bytes).filter(|body| matches!(body, Body::Announce { .. }))
    })
    .await;
    for central in [&one, &other] {
        until("the server is back", async || (!central.store().is_away()).then_some(())).await;
    }
    let stopped = an.post(&other, &format!("/khan-cap/{id}"), &[("viec", "dung")]).await;
    assert_eq!(stopped.status, 303, "{}", stopped.text());
    // Each of the two says the same order; that there is one, its number shows.
    let next = loa
        .next("the order after it", |topic, bytes| {
            order(topic, bytes).filter(|body| !matches!(body, Body::Announce { .. }))
        })
        .await;
    assert!(matches!(next, Body::Cancel { of: Some(_) }), "{next:?}");
    let kept = "SELECT count(*) FROM commands JOIN deliveries ON command = id WHERE kind = 'announce'";
    assert_eq!(ground.sql(kept), "1");
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_order_knows_the_boxes_though_nobody_asked_for_them_before() {
    let cluster = Cluster::start();
    cluster.create("xa");
    let way = Way::to(&cluster);
    let dir = tempfile::tempdir().unwrap();
    let store = SqlStore::open_at(&way.database("xa"), None).unwrap();
    store.declare_boxes(settings(dir.path(), embedded()).boxes).await.unwrap();
    store.keep_ready().await.unwrap();
    way.cut(true);
    assert_eq!(at_once(store.boxes()).await.unwrap().len(), 2);
}
