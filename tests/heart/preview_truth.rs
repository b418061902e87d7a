//! The preview against the log of a box that lives through the same fortnight: random programmes, compared entry by entry
//! with the reasons.
//!
//! `LOAXA_PREVIEWS` is the number of programmes (12 without it), `LOAXA_SEED` the seed to begin with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use loaxa_heart::config::programme_file::{Audio, parse};
use loaxa_heart::decide::preview::{self, Fate, PlannedSession};
use loaxa_heart::decide::schedule::{Calendar, Listeners, Timetable};
use loaxa_heart::decide::simulation::world::{Setup, World};
use loaxa_heart::domain::playback::{Event, NotPlayed, PlayOutcome, SlotKey, SlotOutcome, Subject};
use loaxa_heart::domain::policy::{Policy, Window};
use loaxa_heart::domain::programme::{Content, Programme};
use loaxa_heart::domain::sound::{FRAMES_A_SECOND, Fault, FileRef, Sound};
use loaxa_heart::domain::time::{DAY_END, Span, Wall};

/// Days of a comparison.
const DAYS: u64 = 14;
/// Difference of the times of a plan and of a log: what a player takes to begin.
const CLOSE_MS: i64 = 1_000;

/// Lateness of a play behind the one before it, which a plan does not know.
const LATE_MS: i64 = 20;

/// A small generator: the same seed gives the same fortnight on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// The length of a file by its name, in ms; `None` for one that is not there.
fn length_of(path: &Path) -> Option<u32> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn read(text: &str) -> Option<Programme> {
    let probe = |path: &Path| length_of(path).ok_or_else(|| "gone".to_owned().into());
    parse(text, "p", Path::new(""), Audio::WherePresent(&probe)).ok()
}

fn hm(minute: u64) -> String {
    format!("{:02}:{:02}", minute / 60 % 24, minute % 60)
}

fn item(dice: &mut Dice, n: u64, from: NaiveDate) -> String {
    let mut text = format!("[[playlist.item]]\ntitle = 'I{n}'\n");
    text += &match dice.below(12) {
        0 => "file = 'gone.mp3'\n".to_owned(),
        1 => format!("relay = 'https://vov.vn/{n}'\nminutes = {}\n", 1 + dice.below(20)),
        2..=4 => format!("text = '{}'\n", "bà con ".repeat(12 + dice.below(90) as usize)),
        _ => format!("file = '{}.mp3'\n", 12_313 + 1_009 * dice.below(700)),
    };
    let mut maybe = |n, line: String| if dice.once_in(n) { line } else { String::new() };
    text += &maybe(3, "kind = 'music'\n".to_owned());
    text += &maybe(4, "repeats = 2\ngap_s = 3\n".to_owned());
    text += &maybe(8, format!("valid_until = '{}'\n", from + Days::new(5)));
    text += &maybe(8, format!("valid_from = '{}'\n", from + Days::new(4)));
    text += &maybe(6, "audience = ['thon-1']\n".to_owned());
    text += &maybe(6, "translations.tay = { text = 'bản tày' }\n".to_owned());
    text
}

fn slot(dice: &mut Dice, id: &str, from: NaiveDate) -> String {
    // A day's worth of starts, and more often in the evening, so that some reach beyond midnight.
    let start = if dice.once_in(4) { 22 * 60 + dice.below(120) } else { dice.below(1_440) };
    let minutes = 1 + if dice.once_in(3) { dice.below(180) } else { dice.below(45) };
    let mut text = format!(
        "[[slot]]\nid = '{id}'\ntitle = '{id}'\nstart = '{}'\nend = '{}'\nplaylist = 'l{}'\norder = '{}'\nfill = '{}'\nlateness = '{}'\n",
        hm(start),
        hm(start + minutes),
        dice.below(2),
        dice.one_of(&["in_turn", "rotating", "shuffled"]),
        dice.one_of(&["once", "loop", "fitting"]),
        dice.one_of(&["join", "shift", "skip"]),
    );
    text += &match dice.below(8) {
        0 => "days = ['mon', 'wed', 'sun']\n".to_owned(),
        1 => "lunar = ['1', '15', '30']\n".to_owned(),
        2 => format!("dates = ['{}', '{}']\n", from + Days::new(2), from + Days::new(9)),
        3 => format!("rrule = 'FREQ=DAILY;INTERVAL=3'\nrrule_from = '{from}'\n"),
        _ => String::new(),
    };
    let mut maybe = |n, line: String| if dice.once_in(n) { line } else { String::new() };
    text += &maybe(4, format!("except = ['{}']\n", from + Days::new(3)));
    text += &maybe(3, "opening = 'chime'\n".to_owned());
    text += &maybe(4, "closing = 'chime'\n".to_owned());
    text += &maybe(5, "start_within_s = 120\n".to_owned());
    text += &maybe(6, "holiday = 'le'\n".to_owned());
    text += &maybe(5, "audience = ['thon-1']\n".to_owned());
    text += &maybe(3, "volume_percent = 60\n".to_owned());
    text
}

/// Writes a programme, slot by slot: those that meet an earlier one are left out, as a writer would be told.
fn programme(dice: &mut Dice, id: &str, from: NaiveDate) -> Programme {
    let effect = dice.one_of(&["replace", "add", "mourning", "silence"]);
    let day = from + Days::new(dice.below(DAYS));
    let mut text = format!(
        "[programme]\nid = '{id}'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n\
         [[holiday]]\nid = 'le'\ntitle = 'L'\neffect = '{effect}'\ndates = ['{day}']\nlasts_days = {}\n",
        1 + dice.below(2)
    );
    for list in 0..2 {
        text += &format!("[[playlist]]\nid = 'l{list}'\ntitle = 'L'\n");
        for n in 0..1 + dice.below(5) {
            text += &item(dice, 10 * list + n, from);
        }
    }
    for n in 0..8 {
        let longer = format!("{text}{}", slot(dice, &format!("{id}{n}"), from));
        if read(&longer).is_some() || n == 0 {
            text = longer;
        }
    }
    if let Some(read) = read(&text) {
        return read;
    }
    // A holiday that replaces needs a slot of its own.
    let text = text.replace("'replace'", "'mourning'").replace("effect = 'add'", "effect = 'mourning'");
    let text = text.replace("effect = 'silence'", "effect = 'mourning'");
    read(&text).unwrap_or_else(|| programme(dice, id, from))
}

fn policy(dice: &mut Dice) -> Policy {
    let at = |hour: u64| hm(60 * hour).parse().expect("a time of day");
    if dice.once_in(3) {
        return Policy::default();
    }
    let whole = Window { days: Vec::new(), from: at(0), until: DAY_END };
    let hours = Window { days: Vec::new(), from: at(4 + dice.below(3)), until: at(18 + dice.below(5)) };
    Policy {
        allowed: vec![if dice.once_in(2) { whole } else { hours }],
        session_minutes_max: 20 + dice.below(200) as u32,
        day_minutes_max: 30 + dice.below(600) as u32,
        ..Policy::default()
    }
}

/// One thing that a plan or a log says of a session.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    title: String,
    from: Wall,
    ms: i64,
    fate: String,
}

impl Said {
    /// Tells whether both are the same play, the `n`-th of its session: each one before may have begun a little late.
    fn is_close(&self, other: &Said, n: usize) -> bool {
        let close = CLOSE_MS + LATE_MS * n as i64;
        let apart = (self.from.0 - other.from.0) / 1_000;
        self.title == other.title
            && self.fate == other.fate
            && apart.abs() <= close
            && (self.ms - other.ms).abs() <= close
    }

    /// Tells whether nobody could hear it: cut off before it had begun.
    fn is_nothing(&self, close: i64) -> bool {
        self.ms <= close && self.fate != "whole"
    }
}

/// Tells where the plays of a session differ first, but for what is cut off at its beginning.
fn first_difference(plan: &Told, log: &Told) -> Option<String> {
    let close = CLOSE_MS / 10 + LATE_MS * plan.sounded.len() as i64;
    let audible =
        |told: &Told| told.sounded.iter().filter(|it| !it.is_nothing(close)).cloned().collect::<Vec<_>>();
    let (plan, log) = (audible(plan), audible(log));
    let longer = plan.len().max(log.len());
    let differs = |n: &usize| match (plan.get(*n), log.get(*n)) {
        (Some(one), Some(other)) => !one.is_close(other, *n),
        _ => true,
    };
    (0..longer).find(differs).map(|n| format!("play {n}: plan {:?}, log {:?}", plan.get(n), log.get(n)))
}

/// A session in a plan or a log.
#[derive(Debug, Default)]
struct Told {
    sounded: Vec<Said>,
    /// Titles with the reasons for which they did not sound; those that the guard kept back, together.
    silent: BTreeSet<(String, String)>,
}

impl Told {
    /// Notes that the guard ended a play: whether the next item is tried and refused at once, or not tried any more, is the
    /// same to who listens.
    fn kept_back(&mut self, fate: &Fate) {
        if let Fate::Guarded { reason } = fate {
            let reason = NotPlayed::Guarded { reason: reason.clone() };
            self.silent.insert(silent("", &reason));
        }
    }
}

fn silent(title: &str, reason: &impl std::fmt::Debug) -> (String, String) {
    let reason = format!("{reason:?}");
    let title = if reason.contains("Guarded") { "*" } else { title };
    (title.to_owned(), reason)
}

/// The preview in the words of the comparison.
fn planned(sessions: &[PlannedSession]) -> BTreeMap<SlotKey, Told> {
    let told = |session: &PlannedSession| {
        let mut told = Told::default();
        for play in &session.plays {
            let fate = match &play.fate {
                Fate::NotPlayed { reason } => {
                    told.silent.insert(silent(&play.title, reason));
                    continue;
                }
                Fate::Whole => "whole".to_owned(),
                Fate::HardEnd => "hard end".to_owned(),
                Fate::Guarded { reason } => format!("{reason:?}"),
            };
            let ms = (play.to.0 - play.from.0) / 1_000;
            told.kept_back(&play.fate);
            told.sounded.push(Said { title: play.title.clone(), from: play.from, ms, fate });
        }
        (session.key.clone(), told)
    };
    sessions.iter().map(told).collect()
}

/// The log of a box that lives through the days, with a player that takes its time.
fn lived(
    setup: Setup,
    lookup: Box<loaxa_heart::decide::simulation::player::Lookup<'static>>,
    from: NaiveDate,
) -> BTreeMap<SlotKey, Told> {
    let begin = Wall::from_local(from.and_hms_opt(0, 0, 0).expect("midnight"));
    let mut world = World::new(setup, begin, lookup);
    world.power_on();
    world.run_for(Span::secs((DAYS + 2) * 86_400));
    let (mut told, mut titles): (BTreeMap<SlotKey, Told>, BTreeMap<_, String>) = Default::default();
    let mut reasons: BTreeMap<SlotKey, (String, String)> = BTreeMap::new();
    for entry in world.take_log() {
        match entry.event {
            Event::PlayStarted(start) => drop(titles.insert(start.play, start.title)),
            Event::PlayEnded(end) => {
                let Subject::Slot(key) = &end.subject else { continue };
                let fate = match &end.outcome {
                    PlayOutcome::HardEnd => "hard end".to_owned(),
                    PlayOutcome::Guarded { reason } => format!("{reason:?}"),
                    PlayOutcome::Finished => "whole".to_owned(),
                    other => format!("{other:?}"),
                };
                let ms = (end.frames_played * 1_000 / u64::from(FRAMES_A_SECOND)) as i64;
                if let PlayOutcome::Guarded { reason } = &end.outcome {
                    told.entry(key.clone()).or_default().kept_back(&Fate::Guarded { reason: reason.clone() });
                }
                let from = end.started_at.map_or(entry.at.wall, |at| at.wall);
                told.entry(key.clone()).or_default().sounded.push(Said {
                    title: titles[&end.play].clone(),
                    from,
                    ms,
                    fate,
                });
            }
            Event::NotPlayed { subject: Subject::Slot(key), title, reason } => {
                told.entry(key).or_default().silent.insert(silent(&title, &reason));
            }
            Event::SlotEnded { key, outcome, .. } => {
                told.entry(key.clone()).or_default();
                if let SlotOutcome::NotAired(reason) = outcome {
                    reasons.insert(key, silent("*", &reason));
                }
            }
            _ => {}
        }
    }
    // The outcome of a whole session says why, where no item did.
    for (key, (_, reason)) in reasons {
        let of = told.entry(key).or_default();
        if of.silent.is_empty() {
            of.silent.insert(("*".to_owned(), reason));
        }
    }
    told
}

/// Compares a fortnight, and says where plan and log differ.
fn compare(seed: u64) -> Result<usize, String> {
    let mut dice = Dice(seed);
    let from: NaiveDate = "2026-11-23".parse().expect("a date");
    // Some fortnights hold the ends of a month, a year and a lunar year.
    let from = from + Days::new(dice.below(90));
    let mut calendars = vec![programme(&mut dice, "a", from)];
    if dice.once_in(3) {
        calendars.push(programme(&mut dice, "b", from));
    }
    let programmes = calendars.clone();
    let calendars =
        calendars.into_iter().map(|it| Calendar::new(Arc::new(it)).expect("rules that were read")).collect();
    let timetable = Timetable::new(calendars).expect("slots of their own");
    let groups = if dice.once_in(2) { vec!["xa", "thon-1"] } else { vec!["xa"] };
    let languages = if dice.once_in(3) { vec!["tay".to_owned(), "vi".to_owned()] } else { Vec::new() };
    let groups = groups.into_iter().map(|group| group.parse().expect("a name")).collect();
    let (listeners, policy) = (Listeners { groups, languages }, policy(&mut dice));
    let sessions = preview::plan(&timetable, &listeners, &policy, from, from + Days::new(DAYS - 1));
    let setup = Setup { listeners, timetable, trust: None, policy };
    let (plan, mut log) = (planned(&sessions), lived(setup, Box::new(lookup(&programmes)), from));
    let until = from + Days::new(DAYS);
    log.retain(|key, _| (from..until).contains(&key.date));
    let alone = |here: &BTreeMap<SlotKey, Told>, there: &BTreeMap<SlotKey, Told>| {
        here.keys().filter(|key| !there.contains_key(key)).cloned().collect::<Vec<_>>()
    };
    let (planned_alone, lived_alone) = (alone(&plan, &log), alone(&log, &plan));
    if !planned_alone.is_empty() || !lived_alone.is_empty() {
        return Err(format!("seed {seed}: only planned {planned_alone:?}, only logged {lived_alone:?}"));
    }
    for (key, planned) in &plan {
        let lived = &log[key];
        let differs = first_difference(planned, lived);
        let reasons =
            |told: &Told| told.silent.iter().map(|(_, reason)| reason.clone()).collect::<BTreeSet<_>>();
        let whole = lived.silent.iter().any(|(title, _)| title == "*");
        let same = if whole { reasons(planned) == reasons(lived) } else { planned.silent == lived.silent };
        if differs.is_some() || !same {
            let (plan, log) = (&planned.silent, &lived.silent);
            return Err(format!(
                "seed {seed}, {key:?}: {differs:?}\nsilent: plan {plan:?}\nsilent: log  {log:?}"
            ));
        }
    }
    Ok(plan.values().map(|told| told.sounded.len()).sum())
}

/// Sounds by their names, as they lie on the box.
fn lookup(programmes: &[Programme]) -> impl Fn(&Sound) -> Result<Option<Span>, Fault> + use<> {
    let mut texts = BTreeMap::new();
    for item in programmes.iter().flat_map(|it| it.playlists.values()).flat_map(|list| &list.items) {
        for content in std::iter::once(&item.content).chain(item.translations.values()) {
            if let Content::Text { text, ms } = content {
                texts.insert(text.clone(), Span::millis(u64::from(*ms)));
            }
        }
    }
    move |sound| match sound {
        Sound::File(FileRef::Path(path)) => match length_of(path) {
            Some(ms) => Ok(Some(Span::millis(u64::from(ms)))),
            None => Err(Fault::Missing { what: path.display().to_string() }),
        },
        Sound::File(FileRef::Stored(hash)) => Err(Fault::Missing { what: hash.to_string() }),
        Sound::Text { text, .. } => Ok(texts.get(text).copied()),
        Sound::Pattern(pattern) => Ok(Some(pattern.length())),
        Sound::Relay { .. } | Sound::Live { .. } => Ok(None),
        Sound::Silence(span) => Ok(Some(*span)),
    }
}

#[test]
fn a_preview_is_what_the_box_logs() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (count, first) = (number("LOAXA_PREVIEWS").unwrap_or(12), number("LOAXA_SEED").unwrap_or(1));
    let (same, other): (Vec<_>, Vec<_>) = (first..first + count).map(compare).partition(Result::is_ok);
    let plays: usize = same.into_iter().flatten().sum();
    println!("{count} programmes, {plays} plays compared");
    let told: Vec<_> = other.into_iter().filter_map(Result::err).collect();
    assert!(told.is_empty() && plays > 0, "{} of {count} differ:\n{}", told.len(), told.join("\n\n"));
}

/// A slot from 23:30 to 00:30 on the last day of a month, of a year and of a lunar year sounds once.
#[test]
fn what_reaches_beyond_midnight_is_planned_once_and_sounds_once() {
    for (day, last_of) in [("2026-11-30", "month"), ("2026-12-31", "year"), ("2027-02-05", "lunar year")] {
        let text = format!(
            "[programme]\nid = 'p'\nversion = 1\ntitle = 'T'\ngroup = 'xa'\n[[playlist]]\nid = 'l'\ntitle = 'L'\n\
             [[playlist.item]]\ntitle = 'A'\nfile = '5400000.mp3'\n\
             [[slot]]\nid = 's'\ntitle = 'S'\nstart = '23:30'\nend = '00:30'\nplaylist = 'l'\ndates = ['{day}']\n"
        );
        let programme = read(&text).expect("a programme");
        let timetable =
            Timetable::new(vec![Calendar::new(Arc::new(programme)).expect("rules")]).expect("one");
        let window = Window { days: Vec::new(), from: hm(0).parse().unwrap(), until: DAY_END };
        let policy = Policy { allowed: vec![window], ..Policy::default() };
        let (listeners, from) = (Listeners::default(), day.parse::<NaiveDate>().unwrap() - Days::new(3));
        let sessions = preview::plan(&timetable, &listeners, &policy, from, from + Days::new(DAYS - 1));
        let setup = Setup { listeners, timetable, trust: None, policy };
        let log = lived(setup, Box::new(lookup(&[])), from);
        let plan = planned(&sessions);
        assert_eq!((plan.len(), log.len()), (1, 1), "{last_of}");
        for told in plan.values().chain(log.values()) {
            let [said] = &told.sounded[..] else { panic!("{last_of}: {told:?}") };
            assert_eq!(said.from.local().to_string(), format!("{day} 23:30:00"), "{last_of}");
            assert!(
                (said.ms - 3_600_000).abs() <= CLOSE_MS && said.fate == "hard end",
                "{last_of}: {said:?}"
            );
        }
    }
}
