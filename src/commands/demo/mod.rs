//! `loaxa demo`: a central and three village boxes on this machine, a morning programme, and what staff push into it.

mod cues;
mod ears;
mod files;
mod people;
mod processes;
mod proof;
mod story;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client::Client;
use super::language::{Failure, Outcome, tell, words};
use super::logs;
use cues::Cue;
use files::Commune;
use loaxa_adapters::clock::{monotonic, wall};
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;
use loaxa_sound::output::sink;
use processes::Processes;
use story::{Story, say};

/// From the start of the boxes to the morning programme.
const MORNING_IN: Span = Span::secs(5);
/// Pause between two questions to central about what is new.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Longest wait until central and the boxes have found each other on a loaded machine.
const UP_WITHIN: Span = Span::secs(30);
/// Longest time for the whole; the long form takes two and a half minutes.
const OVER_WITHIN: Span = Span::secs(300);
/// Silence that is recorded after the last play.
const AFTER_THE_LAST: Duration = Duration::from_millis(500);
/// Rows of the log table.
const LOG_ROWS: &str = "100";

#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    once: bool,
    #[arg(long, default_value = "demo-out")]
    dir: PathBuf,
    #[arg(long)]
    sound: bool,
}

pub fn run(args: Args) -> Outcome {
    let begun = monotonic();
    let asked_to_end = watch_for_end()?;
    if args.sound && sink::alsa_outputs().map_or(true, |outputs| outputs.is_empty()) {
        return Err(said!("demo.no_sound_card").into());
    }
    let mut demo = Demo::start(&args, begun)?;
    let all_right = demo.morning(&asked_to_end)?;
    if args.once || asked_to_end.load(Ordering::Relaxed) {
        return Ok(if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    demo.say_where();
    say(said!("demo.ctrl_c"));
    while !asked_to_end.load(Ordering::Relaxed) {
        demo.look()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C and SIGTERM, as a flag.
fn watch_for_end() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        raised.store(true, Ordering::Relaxed);
    });
    Ok(flag)
}

/// A commune that runs.
struct Demo {
    commune: Commune,
    http: String,
    client: Client,
    story: Story,
    cues: [Cue; 3],
    processes: Processes,
}

impl Demo {
    /// Lays everything out, and waits until central knows all boxes.
    fn start(args: &Args, begun: Moment) -> Result<Self, Failure> {
        let commune = Commune::lay_out(&args.dir, args.once, args.sound)?;
        say(said!("demo.commune"));
        say(said!("demo.files", path = commune.dir.display()));
        let mut processes = Processes::default();
        processes.start(
            &words(said!("demo.central")),
            &["central"],
            &commune.path("central.toml"),
            commune.path("central.log"),
        )?;
        let ready = processes.first_line()?;
        let (http, broker) =
            addresses(&ready).ok_or_else(|| said!("demo.no_address", line = ready.escape_debug()))?;
        people::sign_up(&commune.path("central/central.db"))?;
        let begins = Commune::beginning(wall().plus(MORNING_IN));
        commune.write_programme(begins)?;
        commune.write_boxes(&broker)?;
        for village in &commune.villages {
            let config = commune.path(&format!("{}.toml", village.box_id));
            let log = commune.path(&format!("{}.log", village.box_id));
            processes.start(village.title, &["box"], &config, log)?;
        }
        let client = Client::new(&http, &commune.token, None)?;
        let mut demo = Self { commune, http, client, story: Story::default(), cues: cues::all(), processes };
        demo.wait_for_boxes()?;
        let took = monotonic().since(begun).as_secs_f64();
        say(said!("demo.connected", seconds = Sentence::decimal(took, 1)));
        demo.say_where();
        say(said!("demo.hours"));
        let at = begins.local().format("%H:%M:%S");
        say(said!("demo.morning", at));
        Ok(demo)
    }

    fn wait_for_boxes(&mut self) -> Result<(), Failure> {
        let until = monotonic() + UP_WITHIN;
        while monotonic() < until {
            self.processes.check()?;
            let boxes = self.client.get("boxes", &[])?;
            let online = boxes.as_array().into_iter().flatten().filter(|row| row["online"] == true).count();
            if online == self.commune.villages.len() {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY / 10);
        }
        let logs = self.commune.dir.display();
        Err(said!("demo.not_connected", logs).into())
    }

    fn say_where(&self) {
        let Self { http, commune, .. } = self;
        say(said!("demo.page", address = http));
        say(said!("demo.people", password = people::PASSWORD));
        say(said!("demo.by_hand", address = http, token = commune.token));
    }

    /// One look at what is new, and a push of what is due.
    fn look(&mut self) -> Result<(), Failure> {
        self.processes.check()?;
        let started = self.story.follow(&self.client, &self.commune)?;
        let now = monotonic();
        for cue in &mut self.cues {
            started.iter().for_each(|(_, start)| cue.hear(start, now));
            cue.push(&self.client, &self.commune, now)?;
        }
        std::thread::sleep(LOOK_EVERY);
        Ok(())
    }

    fn is_over(&self) -> bool {
        let over = |cue: &Cue, id: &str| {
            let known = self
                .story
                .over
                .keys()
                .any(|(command, at)| Some(command) == cue.id.as_ref() && at.as_str() == id);
            known && cue.id.is_some()
        };
        let all = self.commune.villages.iter().all(|village| {
            let mut meant =
                self.cues.iter().filter(|cue| cue.to == files::COMMUNE || cue.to == village.group);
            self.story.mornings.keys().any(|id| id.as_str() == village.box_id)
                && meant.all(|cue| over(cue, &village.box_id))
        });
        all && self.story.is_silent()
    }

    /// The morning programme with its announcements, then the log and the checks. Tells whether all was right.
    fn morning(&mut self, asked_to_end: &AtomicBool) -> Result<bool, Failure> {
        let until = monotonic() + OVER_WITHIN + UP_WITHIN;
        while !self.is_over() && monotonic() < until {
            if asked_to_end.load(Ordering::Relaxed) {
                return Ok(false);
            }
            self.look()?;
        }
        if !self.is_over() {
            say(said!("demo.not_over"));
        }
        std::thread::sleep(AFTER_THE_LAST);
        say(said!("demo.measuring"));
        let checks = verdict::judge(&self.client, &self.commune, &self.story, &self.cues)?;
        println!();
        tell!("demo.log");
        let mut plays = logs::plays(&self.client, &[("limit", LOG_ROWS.to_owned())])?;
        plays.reverse();
        logs::print_plays(&plays, logs::Format::Table)?;
        println!();
        tell!("demo.recordings");
        verdict::print(&checks);
        println!();
        for wav in self.commune.villages.iter().filter_map(|village| village.wav.as_ref()) {
            say(said!("demo.recording", path = wav.display()));
        }
        Ok(self.is_over() && checks.iter().all(|check| check.ok))
    }
}

/// Of central's first line: where its page and its broker are.
fn addresses(ready: &str) -> Option<(String, String)> {
    let word = |key: &str| ready.split_whitespace().find_map(|word| word.strip_prefix(key));
    Some((format!("http://{}", word("http=")?), word("mqtt=")?.to_owned()))
}
