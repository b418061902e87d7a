//! The week before the training commune began: what was planned, what each box told of it, where something went wrong, and what
//! villagers said, so that people can practise to find who did not hear, and to report.
//!
//! The boxes' logs are written as boxes write them, day by day of the plan; boxes in memory go on where these end.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Days, NaiveDate, NaiveTime};

use super::commune::{COLLEAGUE, account, group, words};
use crate::app::App;
use crate::orders::documents::{self, ProgrammeAsked};
use crate::reports;
use crate::store::{
    Actor, Batch, DayBox, DueSession, FeedbackAnswer, FeedbackKind, FeedbackRow, NewAct, Record, SectionRow,
    SignKind, SignOfLife, StoreError,
};
use loaxa_heart::domain::announcement::Rung;
use loaxa_heart::domain::ids::{BoxId, ContentHash, Epoch, PlayId};
use loaxa_heart::domain::playback::{
    Entry, Event, NotPlayed, PlayEnd, PlayOutcome, PlayStart, SlotOutcome, Stamp, Subject,
};
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::{ClockQuality, Span, Wall};
use loaxa_heart::wire::chain::Link;

const PROGRAMME: &str = include_str!("programme.toml");

/// Days of the past.
const DAYS: u64 = 7;
/// The box that nobody hears of since two days: it is not among those in memory.
pub const SILENT: &str = "thon-trung-2";
/// The days before today on which something went wrong, by the box.
const SILENT_SINCE: u64 = 2;
const WITHOUT_SOUND: (&str, u64) = ("thon-dong-2", 2);
const WITHOUT_POWER: (&str, u64) = ("thon-doai-1", 4);
const CUT_OFF: (&str, u64) = ("thon-doai-2", 1);

/// Frames of a millisecond, as boxes count them.
const FRAMES_A_MS: u64 = 48;
const VOLUME_PERCENT: u8 = 80;
/// The time for an answer to a villager.
const ANSWER_WITHIN: Span = Span::secs(2 * 86_400);
/// The epoch of all logs of the commune: no box has another before it.
const EPOCH: Epoch = Epoch(1);

/// The ends of the boxes' logs.
pub type Logs = BTreeMap<BoxId, (Epoch, Link)>;

/// Lays the past down in a commune that has none, and gives the ends of the boxes' logs.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn lay(app: &Arc<App>) -> Result<Logs, StoreError> {
    if !app.store.documents(app.now()).await?.is_empty() {
        return Ok(Logs::new());
    }
    send_programme(app).await?;
    let today = app.now().date();
    let first = today.checked_sub_days(Days::new(DAYS)).unwrap_or(today);
    let plans = reports::plans_since(app, first).await?;
    let mut books: BTreeMap<BoxId, Book> = BTreeMap::new();
    for plan in &plans {
        let ago = today.signed_duration_since(plan.day).num_days().unsigned_abs();
        for place in &plan.boxes {
            let book = books.entry(place.id.clone()).or_insert_with(|| Book::new(place.id.clone()));
            book.day(place, plan.day, ago, app.now());
        }
    }
    let mut ends = Logs::new();
    for book in books.into_values() {
        let end = (book.id.clone(), (EPOCH, book.end));
        app.store.ingest(book.batch(app.now())).await?.await?;
        ends.extend([end]);
    }
    // After the logs: otherwise the days would be reckoned without them first, and the logs would be late ones.
    for plan in plans {
        let (date, boxes) = (plan.day, plan.boxes.iter().map(|place| place.id.clone()).collect());
        app.store.keep_day(plan).await?;
        app.store.mark_to_settle(date, boxes).await?;
    }
    last_sign_of_the_silent(app, today).await?;
    voices(app, today).await?;
    Ok(ends)
}

async fn send_programme(app: &Arc<App>) -> Result<(), StoreError> {
    let sections = [
        ("thoi-su", "training.section_news"),
        ("y-te", "training.section_health"),
        ("nong-nghiep", "training.section_farming"),
    ];
    for (id, title) in sections {
        let row = SectionRow { id: id.parse().expect("a plain name"), title: words(title).to_owned() };
        app.store.set_section(row, act(app, "section_set", id)).await?;
    }
    let (toml, media) = (PROGRAMME.to_owned(), BTreeMap::new());
    let asked = ProgrammeAsked { toml, media, author: None, approver: None };
    if let Err(error) = documents::send_programme(app, asked).await {
        tracing::warn!(%error, "the training commune has no programme");
    }
    Ok(())
}

fn act(app: &App, act: &'static str, subject: &str) -> NewAct {
    let subject = subject.to_owned();
    NewAct { at: app.now(), actor: Actor::Console, act, subject, before: None, after: None, from: None }
}

fn at(date: NaiveDate, hour: u32, minute: u32) -> Wall {
    let time = NaiveTime::from_hms_opt(hour, minute, 0).expect("a time of day");
    Wall::from_local(date.and_time(time))
}

/// The log of a box as it is written.
struct Book {
    id: BoxId,
    end: Link,
    records: Vec<Record>,
    /// The number of the box's start, the beginning of that start, and the plays so far.
    start: u32,
    begun: Wall,
    plays: u32,
}

impl Book {
    fn new(id: BoxId) -> Self {
        Self { id, end: Link::FIRST, records: Vec::new(), start: 0, begun: Wall(0), plays: 0 }
    }

    fn stamp(&self, wall: Wall) -> Stamp {
        let mono_us = wall.since(self.begun).0;
        Stamp { start: self.start, mono_us, wall, quality: ClockQuality::Synced, uncertainty_ms: 1 }
    }

    fn write(&mut self, wall: Wall, event: Event) {
        let entry = Entry { at: self.stamp(wall), event };
        let Ok(record) = self.end.record(&self.id, EPOCH, entry.clone()) else { return };
        let next = Link::after(record.seq, &record.body);
        let (hash, prev) = (ContentHash::of(record.body.as_bytes()), self.end.prev);
        self.records.push(Record {
            seq: record.seq,
            hash,
            prev,
            body: record.body,
            entry,
            implausible: None,
        });
        self.end = next;
    }

    /// Writes that the box is switched on. Starts of the past have high numbers: those of boxes in memory begin at 1.
    fn switch_on(&mut self, wall: Wall) {
        self.start = if self.start == 0 { 1_000 } else { self.start + 1 };
        self.begun = wall;
        self.write(wall, Event::BoxStarted { version: env!("CARGO_PKG_VERSION").to_owned() });
    }

    /// Writes a day, as it went on this box until now.
    fn day(&mut self, place: &DayBox, date: NaiveDate, ago: u64, now: Wall) {
        let is = |(id, day): (&str, u64)| self.id.as_str() == id && day == ago;
        let (mute, dark, cut) = (is(WITHOUT_SOUND), is(WITHOUT_POWER), is(CUT_OFF));
        let gone = self.id.as_str() == SILENT && ago <= SILENT_SINCE;
        if self.start == 0 {
            self.switch_on(at(date, 4, 30));
        }
        for session in place.sessions.iter().filter(|session| session.end < now) {
            let is_morning = session.start < at(date, 12, 0);
            match () {
                () if gone && (!is_morning || ago < SILENT_SINCE) => return,
                () if mute && !is_morning => self.without_sound(session, date),
                () if dark && is_morning => {
                    self.switch_on(at(date, 7, 10));
                    self.not_aired(at(date, 7, 10), session, NotPlayed::Missed);
                }
                () if cut && !is_morning => self.cut_off(session),
                () => self.aired(session),
            }
        }
        if !gone && ago > 0 {
            self.write(at(date, 23, 59), Event::Adopted { what: "programme".to_owned(), version: 1 });
        }
    }

    /// Writes a play of a part, of which so much sounded.
    fn play(&mut self, session: &DueSession, nth: usize, from: Wall, sounded_ms: u64, outcome: PlayOutcome) {
        let part = &session.parts[nth];
        self.plays += 1;
        let (play, subject) = (PlayId::new(self.start, self.plays), Subject::Slot(session.key.clone()));
        let start = PlayStart {
            play,
            subject: subject.clone(),
            rung: Rung::Programme,
            title: part.title.clone(),
            section: part.section.clone(),
            campaign: part.campaign.clone(),
            class: None,
            mode: None,
            issuer: None,
            content: None,
            source: "speech".to_owned(),
            language: "vi".to_owned(),
            repetition: 1,
            scheduled: Some(session.start),
            entered_at_ms: 0,
            volume_percent: VOLUME_PERCENT,
            instead_of: None,
        };
        self.write(from, Event::PlayStarted(start));
        let end = PlayEnd {
            play,
            subject,
            outcome,
            started_at: Some(self.stamp(from)),
            frames_played: sounded_ms * FRAMES_A_MS,
            frames_due: Some(part.ms * FRAMES_A_MS),
            loudness_lufs: None,
            heard: None,
        };
        self.write(from.plus(Span(sounded_ms * 1_000)), Event::PlayEnded(end));
    }

    fn ended(&mut self, wall: Wall, session: &DueSession, outcome: SlotOutcome) {
        let (key, title, scheduled) = (session.key.clone(), session.title.clone(), session.start);
        self.write(wall, Event::SlotEnded { key, title, scheduled, outcome });
    }

    fn not_aired(&mut self, wall: Wall, session: &DueSession, reason: NotPlayed) {
        self.ended(wall, session, SlotOutcome::NotAired(reason));
    }

    fn aired(&mut self, session: &DueSession) {
        let mut from = session.start;
        for (nth, part) in session.parts.iter().enumerate() {
            self.play(session, nth, from, part.ms, PlayOutcome::Finished);
            from = from.plus(Span(part.ms * 1_000));
        }
        let finished = session.parts.len() as u32;
        self.ended(from, session, SlotOutcome::Aired { finished, not_finished: 0 });
    }

    /// The sound card was gone from the afternoon to the next morning.
    fn without_sound(&mut self, session: &DueSession, date: NaiveDate) {
        let detail = words("training.card_gone").to_owned();
        self.write(at(date, 16, 40), Event::DeviceLost { detail: detail.clone() });
        self.not_aired(session.end, session, NotPlayed::Unplayable { reason: Fault::DeviceLost { detail } });
        self.write(at(date, 23, 50), Event::DeviceBack);
    }

    /// The power went in the middle of the second part.
    fn cut_off(&mut self, session: &DueSession) {
        let (Some(first), Some(second)) = (session.parts.first(), session.parts.get(1)) else { return };
        let (first_ms, half) = (first.ms, second.ms / 2);
        self.play(session, 0, session.start, first_ms, PlayOutcome::Finished);
        self.play(session, 1, session.start.plus(Span(first_ms * 1_000)), half, PlayOutcome::PowerLost);
        self.switch_on(session.end.plus(Span::secs(1_200)));
        let not_finished = session.parts.len() as u32 - 1;
        let outcome = SlotOutcome::Aired { finished: 1, not_finished };
        self.ended(session.end.plus(Span::secs(1_201)), session, outcome);
    }

    fn batch(self, arrived: Wall) -> Batch {
        Batch { id: self.id, epoch: EPOCH, arrived, oldest: 1, records: self.records, head: None }
    }
}

/// The box that is silent was heard of last before its last day's noon.
async fn last_sign_of_the_silent(app: &App, today: NaiveDate) -> Result<(), StoreError> {
    let date = today.checked_sub_days(Days::new(SILENT_SINCE)).unwrap_or(today);
    let Ok(id) = SILENT.parse::<BoxId>() else { return Ok(()) };
    let kind = SignKind::Hello {
        software: env!("CARGO_PKG_VERSION").to_owned(),
        languages: Vec::new(),
        epoch: EPOCH,
    };
    let sign = SignOfLife { id, at: at(date, 11, 42), clock: ClockQuality::Synced, holds: None, kind };
    app.store.note_sign_of_life(sign).await.map(drop)
}

/// Keeps the words of three villagers: two wait for an answer, one has it.
async fn voices(app: &App, today: NaiveDate) -> Result<(), StoreError> {
    let said = [
        ("thon-trung", FeedbackKind::NotHeard, "training.voice_not_heard", (1_u64, 18, 5), None),
        ("thon-doai", FeedbackKind::TooFaint, "training.voice_faint", (1, 19, 20), None),
        (
            "thon-dong",
            FeedbackKind::WrongHour,
            "training.voice_hour",
            (5, 6, 15),
            Some("training.answer_hour"),
        ),
    ];
    for (village, kind, key, (ago, hour, minute), answer) in said {
        let date = today.checked_sub_days(Days::new(ago)).unwrap_or(today);
        let made = at(date, hour, minute);
        let mut random = [0; 5];
        getrandom::fill(&mut random).expect("the system gives randomness");
        let row = FeedbackRow {
            id: 0,
            code: loaxa_heart::domain::hex::hex(&random),
            village: group(village),
            kind,
            words: words(key).to_owned(),
            about: None,
            made,
            due: Some(made.plus(ANSWER_WITHIN)),
            answer: None,
        };
        app.store.add_feedback(row, app.title_of(&group(village))).await?;
        let Some(answer) = answer else { continue };
        let waiting = app.store.feedback_waiting(9).await?;
        if let Some(row) = waiting.into_iter().find(|row| row.made == made) {
            let at = made.plus(Span::secs(3 * 3_600));
            let answer = FeedbackAnswer { by: account(COLLEAGUE), at, words: words(answer).to_owned() };
            app.store.answer_feedback(row.id, answer, act(app, "feedback_answered", village)).await?;
        }
    }
    Ok(())
}
