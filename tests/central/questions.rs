//! Questions of a reviewer, made at random: the page, the programs' address and plain SQL over the same rows agree.

use crate::support::commune::*;
use crate::support::staff::look;
use chrono::{Days, NaiveDate, NaiveTime};
use loaxa_heart::domain::time::Wall;
use rusqlite::{Connection, ToSql};

/// Questions that are asked.
const QUESTIONS: usize = 60;
/// Lines that are asked about.
const LINES: u32 = 900;
/// Days over which they lie.
const DAYS: u32 = 40;

/// A number from a seed: small, and the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }
}

const VILLAGES: [&str; 2] = ["thon-1", "thon-2"];
const CLASSES: [&str; 5] = ["programme", "normal", "priority", "emergency", "live"];
const FATES: [&str; 5] = ["aired", "partly", "missed", "unknown", "on_air"];
const SECTIONS: [&str; 3] = ["y-te", "thoi-su", "khuyen-nong"];
const PEOPLE: [&str; 3] = ["Nguyễn Văn An", "lan", "O'Brien \"=1\""];
const CAMPAIGNS: [&str; 3] = ["", "tiem", "bao-ve-rung"];

fn first_day() -> NaiveDate {
    loaxa_adapters::clock::wall().date() - Days::new(300)
}

fn begin(day: NaiveDate) -> i64 {
    Wall::from_local(day.and_time(NaiveTime::MIN)).0
}

/// Puts lines of the log's page straight into the database.
fn fill(db: &Connection, dice: &mut Dice) {
    db.execute_batch("BEGIN").unwrap();
    for id in 1..=LINES {
        let day = first_day() + Days::new(dice.roll(DAYS as usize) as u64);
        // Some at the very ends of the day.
        let second = [0, 86_399, dice.roll(86_400) as i64][dice.roll(3)];
        let due = begin(day) + second * 1_000_000;
        let (village, class, fate) = (dice.one(&VILLAGES), dice.one(&CLASSES), dice.one(&FATES));
        let loa = format!("loa-{}", dice.roll(2) + 1);
        db.execute(
            "INSERT INTO airings (id, day, box, subject, subject_id, due, title, box_title, village, village_title, class,
                                  campaign, outcome, reason, planned_ms, aired_ms)
             VALUES (?1, ?2, ?3, 'slot', ?4, ?5, 'Tin', ?3, ?6, ?6, ?7, ?8, ?9, '', 60000, 0)",
            rusqlite::params![
                id,
                day.to_string(),
                loa,
                format!("s{id}/{day}"),
                due,
                village,
                class,
                dice.one(&CAMPAIGNS),
                fate
            ],
        )
        .unwrap();
        let tags = [format!("s/{}", dice.one(&SECTIONS)), format!("p/{}", dice.one(&PEOPLE))];
        for tag in tags.iter().take(dice.roll(3)) {
            db.execute(
                "INSERT INTO airing_tags (tag, due, airing, outcome) VALUES (?1, ?2, ?3, ?4)",
                rusqlite::params![tag, due, id, fate],
            )
            .unwrap();
        }
    }
    db.execute_batch("COMMIT").unwrap();
}

/// A question as the page takes it, as a program asks it, and as a person who knows SQL writes it.
#[derive(Default)]
struct Question {
    page: Vec<(&'static str, String)>,
    api: Vec<(&'static str, String)>,
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Question {
    fn choose(&mut self, page: &'static str, api: &'static str, value: &str, sql: &str) {
        self.page.push((page, value.to_owned()));
        self.api.push((api, value.to_owned()));
        self.sql.push_str(&format!(" AND {sql}"));
        self.values.push(Box::new(value.to_owned()));
    }

    fn random(dice: &mut Dice) -> Self {
        let mut asked = Question::default();
        let from = first_day() + Days::new(dice.roll(DAYS as usize) as u64);
        let until = from + Days::new(dice.roll(DAYS as usize) as u64);
        let after = until + Days::new(1);
        asked.page = vec![("tu", from.to_string()), ("den", until.to_string())];
        asked.api = vec![("from", Wall(begin(from)).to_string()), ("to", Wall(begin(after)).to_string())];
        asked.sql.push_str(" AND due >= ? AND due < ?");
        asked.values = vec![Box::new(begin(from)), Box::new(begin(after))];
        let tag = "id IN (SELECT airing FROM airing_tags WHERE tag =";
        match dice.roll(4) {
            0 => asked.choose("noi", "village", dice.one(&VILLAGES), "village = ?"),
            1 => {
                let loa = format!("loa-{}", dice.roll(2) + 1);
                asked.choose("noi", "box", &loa, "box = ?");
                asked.page.last_mut().unwrap().1 = format!("box/{loa}");
            }
            _ => {}
        }
        if dice.roll(3) == 0 {
            asked.choose("loai", "class", dice.one(&CLASSES), "class = ?");
        }
        if dice.roll(3) == 0 {
            asked.choose("muc", "section", dice.one(&SECTIONS), &format!("{tag} 's/' || ?)"));
        }
        if dice.roll(3) == 0 {
            asked.choose("nguoi", "person", dice.one(&PEOPLE), &format!("{tag} 'p/' || ?)"));
        }
        if dice.roll(4) == 0 {
            asked.choose("dot", "campaign", dice.one(&CAMPAIGNS[1..]), "campaign = ?");
        }
        if dice.roll(4) == 0 {
            asked.choose("kq", "outcome", dice.one(&FATES), "outcome = ?");
        }
        asked
    }

    /// Aired, missed, unknown, and all lines with those that sound now.
    fn by_sql(&self, db: &Connection) -> [u64; 4] {
        let count = |what: &str| {
            let sql = format!("SELECT count(*) FROM airings WHERE {what} {}", self.sql);
            let values: Vec<&dyn ToSql> = self.values.iter().map(AsRef::as_ref).collect();
            db.query_row(&sql, values.as_slice(), |row| row.get::<_, i64>(0)).unwrap() as u64
        };
        let of = ["outcome IN ('aired', 'partly')", "outcome = 'missed'", "outcome = 'unknown'", "TRUE"];
        of.map(count)
    }
}

fn query(pairs: &[(&'static str, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_sql_says() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), embedded());
    let sqlite = settings.database.file().unwrap().to_owned();
    let central = start(settings).await;
    until("a plan of today", async || central.store().days_kept().await.unwrap()).await;
    let db = Connection::open(sqlite).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    let mut dice = Dice(11_13);
    fill(&db, &mut dice);
    let (mut some, mut none) = (0, 0);
    for _ in 0..QUESTIONS {
        let question = Question::random(&mut dice);
        let [aired, missed, unknown, all] = question.by_sql(&db);
        let address = format!("/nhat-ky?{}", query(&question.page));
        let page = look(&central, &address).await;
        let sums = format!("{aired} + {missed} + {unknown} = {} lượt", aired + missed + unknown);
        if all > 0 {
            some += 1;
            assert!(page.text().contains(&sums), "{address}: {sums}");
        } else {
            none += 1;
            assert_eq!(page.text().matches("/nhat-ky/luot/").count(), 0, "{address}");
        }
        let address = format!("/api/v1/airings?limit=1000&{}", query(&question.api));
        let answer = get_api(&central, &address).await;
        assert_eq!(answer.status, 200, "{address}: {}", answer.text());
        assert_eq!(answer.json()["airings"].as_array().unwrap().len() as u64, all, "{address}");
    }
    assert!(some >= 40 && none < 20, "{some} questions have an answer, {none} have none");
    central.stop().await;
}
