//! The scene that the tests share: a box of a village, the commands that it gets, and what its log tells.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use chrono::NaiveDateTime;

use crate::config::programme_file;
use crate::decide::inbox::tests::everything;
use crate::decide::schedule::{Calendar, Listeners, Timetable};
use crate::decide::simulation::world::{Setup, World};
use crate::decide::speaker::interface::Input;
use crate::domain::announcement::{BulletinClass, Media, Mode, PlayPlan, Repeats, Words};
use crate::domain::authority::Trust;
use crate::domain::ids::{CommandId, ContentHash, KeyId};
use crate::domain::playback::{DeliveryStep, Entry, Event, PlayOutcome, SlotOutcome};
use crate::domain::policy::Policy;
use crate::domain::sound::{Fault, FileRef, Sound};
use crate::domain::time::{Span, Wall};
use crate::wire::messages::{Body, Command, Signed};

/// A morning of three items of one minute each: talk, music, farm.
pub(super) const PROGRAMME: &str = r#"
[programme]
id = "xa"
version = 1
title = "Xã"
group = "xa"
[[playlist]]
id = "sang"
title = "Sáng"
[[playlist.item]]
title = "talk"
file = "talk.mp3"
[[playlist.item]]
title = "music"
file = "music.mp3"
kind = "music"
[[playlist.item]]
title = "farm"
file = "farm.mp3"
[[slot]]
id = "sang"
title = "Buổi sáng"
start = "05:00"
end = "05:10"
playlist = "sang"
"#;

const MINUTE: Span = Span::secs(60);

pub(super) fn local(text: &str) -> Wall {
    Wall::from_local(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap())
}

pub(super) struct Scene {
    pub(super) world: World,
    serial: u64,
    signers: Vec<KeyId>,
    log: Vec<Entry>,
    /// Relays are without sound.
    pub(super) station_is_off: Rc<Cell<bool>>,
    /// Sounds that the player was asked to open, part by part.
    pub(super) opened: Rc<RefCell<Vec<Sound>>>,
}

impl Scene {
    /// Switches a box on at a local time, with a change to the programme's text.
    pub(super) fn at(time: &str, change: &str) -> Self {
        Self::limited(time, change, Policy::default())
    }

    /// Switches a box on as [`Scene::at`] does, under another policy.
    pub(super) fn limited(time: &str, change: &str, policy: Policy) -> Self {
        Self::with(time, change, (everything(&["an", "binh"]), policy), &["xa"])
    }

    /// A box in these groups, under a trust document.
    pub(super) fn under(time: &str, trust: Trust, groups: &[&str]) -> Self {
        Self::with(time, "", (trust, Policy::default()), groups)
    }

    fn with(time: &str, change: &str, (trust, policy): (Trust, Policy), groups: &[&str]) -> Self {
        let setup = Setup {
            listeners: Listeners {
                groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
                languages: vec!["vi".to_owned()],
            },
            timetable: timetable(change),
            trust: Some(trust),
            policy,
        };
        let opened = Rc::new(RefCell::new(Vec::new()));
        let asked = opened.clone();
        let station_is_off = Rc::new(Cell::new(false));
        let is_off = station_is_off.clone();
        let lookup = move |sound: &Sound| {
            asked.borrow_mut().push(sound.clone());
            match sound {
                Sound::File(FileRef::Path(path)) if path.ends_with("missing.mp3") => {
                    Err(Fault::Missing { what: "missing.mp3".to_owned() })
                }
                Sound::File(_) => Ok(Some(MINUTE)),
                Sound::Text { text, .. } if text == "unspeakable" => {
                    Err(Fault::NoSpeech { detail: String::new() })
                }
                Sound::Text { .. } => Ok(Some(Span::secs(10))),
                Sound::Pattern(pattern) => Ok(Some(pattern.length())),
                Sound::Relay { url } if is_off.get() => {
                    Err(Fault::NoStream { url: url.clone(), detail: "off".to_owned() })
                }
                Sound::Relay { .. } | Sound::Live { .. } => Ok(None),
                Sound::Silence(span) => Ok(Some(*span)),
            }
        };
        let mut world = World::new(setup, local(time), Box::new(lookup));
        world.power_on();
        let signers = ["an", "binh"].map(|key| KeyId::new(key).unwrap()).to_vec();
        Self { world, serial: 0, signers, log: Vec::new(), station_is_off, opened }
    }

    /// Chooses the keys that sign the commands from here on; the first is the issuer.
    pub(super) fn signed_by(&mut self, keys: &[&str]) -> &mut Self {
        self.signers = keys.iter().map(|key| KeyId::new(*key).unwrap()).collect();
        self
    }

    pub(super) fn restart(&mut self) {
        self.world.power_off();
        self.world.power_on();
    }

    pub(super) fn run(&mut self, seconds: u64) {
        self.world.run_for(Span::secs(seconds));
    }

    pub(super) fn push(&mut self, class: BulletinClass, change: impl Fn(&mut Command)) -> CommandId {
        self.push_as(class, Mode::Actual, change)
    }

    pub(super) fn push_as(
        &mut self,
        class: BulletinClass,
        mode: Mode,
        change: impl Fn(&mut Command),
    ) -> CommandId {
        self.send(announce(class, mode, PlayPlan { gap_s: 5, ..PlayPlan::default() }), change)
    }

    pub(super) fn send(&mut self, body: Body, change: impl Fn(&mut Command)) -> CommandId {
        self.serial += 1;
        let now = self.world.now().wall;
        let id = format!("c{}", self.serial);
        let mut payload = command(&id, &self.signers[0], self.serial, now, body);
        change(&mut payload);
        let id = payload.id.clone();
        self.world.input(Input::Command(Box::new(sign(self.signers.clone(), payload))));
        id
    }

    pub(super) fn log(&mut self) -> &[Entry] {
        self.log.extend(self.world.take_log());
        &self.log
    }

    /// Tells what the log says of plays and slots, a line each.
    pub(super) fn story(&mut self) -> Vec<String> {
        self.log().iter().filter_map(|entry| tell(&entry.event)).collect()
    }

    pub(super) fn check(&mut self, expected: &[&str]) {
        assert_eq!(self.story(), expected);
    }

    pub(super) fn steps(&mut self, of: &CommandId) -> Vec<DeliveryStep> {
        let step = |entry: &Entry| match &entry.event {
            Event::Delivery { command, step } if command == of => Some(step.clone()),
            _ => None,
        };
        self.log().iter().filter_map(step).collect()
    }
}

/// Reads the programme with a change to its text.
pub(super) fn timetable(change: &str) -> Timetable {
    timetable_of(&[format!("{PROGRAMME}{change}")])
}

/// Reads several programmes.
pub(super) fn timetable_of(texts: &[String]) -> Timetable {
    let audio = programme_file::Audio::Required(&|_| Ok(60_000));
    let read = |text: &String| programme_file::parse(text, "test.toml", std::path::Path::new("/"), audio);
    let calendars = texts.iter().map(|text| Calendar::new(Arc::new(read(text).unwrap())).unwrap());
    Timetable::new(calendars.collect()).unwrap()
}

/// Makes the body of an announcement that speaks a few words.
pub(super) fn announce(class: BulletinClass, mode: Mode, plan: PlayPlan) -> Body {
    Body::Announce {
        title: format!("{class:?}"),
        class,
        mode,
        plan,
        media: None,
        words: Some(Words { text: "xin thông báo".to_owned(), language: "vi".to_owned() }),
        supersedes: None,
        cap: None,
    }
}

/// Makes a command to the commune that is in force for two hours.
pub(super) fn command(id: &str, issuer: &KeyId, serial: u64, now: Wall, body: Body) -> Command {
    Command {
        v: 1,
        id: id.parse().unwrap(),
        issuer: issuer.clone(),
        serial,
        issued_at: now,
        groups: vec!["xa".parse().unwrap()],
        not_before: now,
        expires: now.plus(Span::secs(7_200)),
        author: "An".to_owned(),
        approver: None,
        critical: Vec::new(),
        body,
    }
}

/// Returns the command as a box sees it whose signatures were checked.
pub(super) fn sign(signers: Vec<KeyId>, payload: Command) -> Signed<Command> {
    let digest = ContentHash::of(format!("{payload:?}").as_bytes());
    Signed { signers, digest, payload }
}

/// Opens a voice, or closes it.
pub(super) fn live(open: bool) -> Body {
    Body::Live { voice: "s1".to_owned(), open, url: String::new() }
}

/// Changes the plan of an announcement.
pub(super) fn planned(change: impl Fn(&mut PlayPlan)) -> impl Fn(&mut Command) {
    move |command| {
        if let Body::Announce { plan, .. } = &mut command.body {
            change(plan);
        }
    }
}

/// Lets an announcement sound until somebody cancels it.
pub(super) fn until_cancelled(command: &mut Command) {
    planned(|plan| plan.repeats = Repeats::UntilCancelled)(command);
}

/// Puts an announcement in the place of `of`.
pub(super) fn replacing(of: &CommandId) -> impl Fn(&mut Command) + use<> {
    let of = of.clone();
    move |command| {
        if let Body::Announce { supersedes, .. } = &mut command.body {
            *supersedes = Some(of.clone());
        }
    }
}

/// Gives an announcement a minute of audio of this name, whose hash is that of the name.
pub(super) fn with_audio(name: &'static str) -> impl Fn(&mut Command) {
    move |command| {
        if let Body::Announce { media, .. } = &mut command.body {
            let (codec, path) = ("audio/mpeg".to_owned(), name.to_owned());
            *media =
                Some(Media { sha256: ContentHash::of(name.as_bytes()), bytes: 5, codec, ms: 60_000, path });
        }
    }
}

/// Lists the sources of the plays that the log tells of.
pub(super) fn sources(scene: &mut Scene) -> Vec<String> {
    let source = |entry: &Entry| match &entry.event {
        Event::PlayStarted(start) => Some(start.source.clone()),
        _ => None,
    };
    scene.log().iter().filter_map(source).collect()
}

fn seconds(frames: u64) -> u64 {
    (frames + 24_000) / 48_000
}

fn tell(event: &Event) -> Option<String> {
    Some(match event {
        Event::PlayStarted(start) if start.entered_at_ms == 0 => format!("{} starts", start.title),
        Event::PlayStarted(start) => {
            format!("{} starts at {} s", start.title, (start.entered_at_ms + 500) / 1000)
        }
        Event::PlayEnded(end) => match &end.outcome {
            PlayOutcome::Finished => format!("finished after {} s", seconds(end.frames_played)),
            PlayOutcome::Interrupted { by } => {
                format!("interrupted by {by:?} after {} s", seconds(end.frames_played))
            }
            other => format!("{other:?} after {} s", seconds(end.frames_played)),
        },
        Event::NotPlayed { title, reason, .. } => format!("{title} not played: {reason:?}"),
        Event::SlotEnded { outcome: SlotOutcome::Aired { finished, not_finished }, .. } => {
            format!("slot aired {finished}, not {not_finished}")
        }
        Event::SlotEnded { outcome: SlotOutcome::NotAired(reason), .. } => {
            format!("slot not aired: {reason:?}")
        }
        Event::CommandRefused { reason, .. } => format!("refused: {reason}"),
        _ => return None,
    })
}
