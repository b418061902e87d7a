//! The box without a central: what it plays, measured in what it wrote, and what its log says of it.
use crate::support::listen::{Recording, Stretch, Sweep, write_tone};
use crate::support::soundcard::SoundCard;
use crate::support::unit::{TONES, Unit};
use crate::support::{eventually, free_port};
use loaxa_heart::domain::playback::{Event, NotPlayed, PlayOutcome, SlotOutcome, Subject};
use loaxa_heart::domain::policy::GuardRefusal;
use loaxa_heart::domain::sound::Fault;
use loaxa_heart::domain::time::Span;

/// Largest difference between a measured length and the one that is due: the windows of the measurement see 5 ms.
const LENGTH_S: f64 = 0.020;
/// A device is asked for sound in such pieces.
const PERIOD: Span = Span::millis(10);
/// Silence that an AAC encoder puts before the sound, a frame of 1,024 samples at 32 kHz, and fills up behind it.
const AAC_LEAD_S: f64 = 0.032;
const AAC_TAIL_S: f64 = 0.068;

fn slot_ended(event: &Event) -> Option<SlotOutcome> {
    match event {
        Event::SlotEnded { outcome, .. } => Some(outcome.clone()),
        _ => None,
    }
}

fn not_played(event: &Event) -> Option<(String, NotPlayed)> {
    match event {
        Event::NotPlayed { title, reason, .. } => Some((title.clone(), reason.clone())),
        _ => None,
    }
}

fn hz_of(stretches: &[Stretch]) -> Vec<f64> {
    stretches.iter().map(|stretch| stretch.hz).collect()
}

/// All five tones in order, each as long as its file, without a gap between them.
fn check_five_tones(recording: &Recording) {
    let hz: Vec<_> = TONES.iter().map(|(hz, _)| *hz).collect();
    let stretches = recording.stretches(&hz);
    assert_eq!(hz_of(&stretches), hz, "{stretches:?}");
    for stretch in &stretches {
        let longer = if stretch.hz == 880.0 { AAC_TAIL_S } else { 0.0 };
        let off = stretch.seconds() - 4.0;
        assert!((-LENGTH_S..LENGTH_S + longer).contains(&off), "{stretches:?}");
    }
    let whole = stretches[0].from..stretches[4].to - AAC_TAIL_S;
    let of_the_encoder = |gap: &std::ops::Range<f64>| {
        (gap.start - stretches[3].to).abs() < LENGTH_S && gap.end - gap.start < AAC_LEAD_S + 0.001
    };
    let mut gaps = recording.silences(whole, 0.005);
    gaps.retain(|gap| !of_the_encoder(gap));
    assert_eq!(gaps, []);
}

#[test]
fn every_codec_sounds_in_turn_without_a_gap() {
    let mut unit = Unit::new();
    TONES.iter().for_each(|(_, file)| unit.bring(file));
    let files = TONES.map(|(_, file)| file);
    let slot = unit.slot(&files, 24, "");
    let running = unit.start();
    let outcome = unit.await_event("the end of the slot", slot_ended);
    assert_eq!(outcome, SlotOutcome::Aired { finished: 5, not_finished: 0 });
    assert!(running.terminate().success());
    check_five_tones(&unit.recording());
    assert_eq!(unit.started().iter().map(|start| start.title.as_str()).collect::<Vec<_>>(), files);
    for end in unit.ended() {
        assert_eq!(end.outcome, PlayOutcome::Finished);
        assert_eq!(Some(end.frames_played), end.frames_due);
        let seconds = end.frames_played as f64 / 48_000.0;
        assert!((4.0 - LENGTH_S..4.0 + AAC_TAIL_S + LENGTH_S).contains(&seconds), "{end:?}");
        let early = slot.since(end.started_at.unwrap().wall);
        assert!(early < PERIOD, "{} us too early", early.0);
    }
}

#[test]
fn the_real_sound_library_plays_the_same() {
    let mut unit = Unit::new();
    TONES.iter().for_each(|(_, file)| unit.bring(file));
    unit.output = "alsa:default".to_owned();
    unit.slot(&TONES.map(|(_, file)| file), 24, "");
    let card = SoundCard::start(unit.dir.path(), &unit.wav());
    unit.env.push(card.env());
    let running = unit.start();
    let outcome = unit.await_event("the end of the slot", slot_ended);
    assert_eq!(outcome, SlotOutcome::Aired { finished: 5, not_finished: 0 });
    // The card is behind by what it holds.
    eventually("silence after the last tone", || {
        let recording = unit.recording();
        (recording.sounding(0.0)?.end + 0.3 < recording.seconds()).then_some(())
    });
    assert!(running.terminate().success());
    drop(card);
    check_five_tones(&unit.recording());
}

#[test]
fn what_can_not_be_played_is_named_and_the_next_sounds() {
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    unit.bring("tone-550.mp3");
    std::fs::write(unit.path("damaged.mp3"), vec![0x55; 40_000]).unwrap();
    std::fs::write(unit.path("empty.flac"), b"").unwrap();
    // To open it would wait for somebody who writes into it.
    assert!(std::process::Command::new("mkfifo").arg(unit.path("pipe.wav")).status().unwrap().success());
    // Its header promises four seconds, and there is one.
    let cut: Vec<_> = std::fs::read(unit.path("tone-440.wav")).unwrap()[..64_044].to_vec();
    std::fs::write(unit.path("cut.wav"), cut).unwrap();
    unit.slot(
        &["missing.mp3", "tone-550.mp3", "damaged.mp3", "empty.flac", "pipe.wav", "cut.wav", "tone-440.wav"],
        15,
        "",
    );
    let running = unit.start();
    unit.await_event("the end of the slot", slot_ended);
    assert!(running.terminate().success());
    let refused: Vec<_> = unit.events().iter().filter_map(not_played).collect();
    let titles: Vec<_> = refused.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(titles, ["missing.mp3", "damaged.mp3", "empty.flac", "pipe.wav"]);
    let fault = |n: usize| match &refused[n].1 {
        NotPlayed::Unplayable { reason } => reason.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(fault(0), Fault::Missing { .. }));
    assert!(matches!(fault(1), Fault::Damaged { .. }));
    assert!(matches!(fault(2), Fault::Damaged { .. }));
    assert!(matches!(fault(3), Fault::Damaged { detail, .. } if detail.to_string().contains("a pipe")));
    let stretches = unit.recording().stretches(&[440.0, 550.0]);
    // Whether what is there of the cut file sounds is the decoder's affair; the whole ones do.
    assert_eq!(stretches.first().map(|first| first.hz), Some(550.0), "{stretches:?}");
    let last = stretches.last().unwrap();
    assert!(last.hz == 440.0 && last.seconds() > 4.0 - LENGTH_S, "{stretches:?}");
}

#[test]
fn after_a_power_cut_the_log_is_closed_and_the_slot_goes_on() {
    let mut unit = Unit::new();
    let sweep = Sweep { from_hz: 400.0, hz_per_second: 60.0, seconds: 20.0 };
    sweep.write(&unit.path("sweep.wav"));
    let slot = unit.slot(&["sweep.wav"], 24, "lateness = \"join\"");
    let running = unit.start();
    // The first is due after ten seconds.
    eventually("a checkpoint on the disk", || unit.checkpoint_us());
    running.kill();
    let sounded = unit.recording().sounding(0.0).unwrap();
    let (before, cut_at) = (unit.records().1.len(), Recording::seconds_so_far(&unit.wav()));
    let running = unit.start();
    unit.await_event("the end of the slot", slot_ended);
    assert!(running.terminate().success());

    let ended = unit.ended();
    assert_eq!(ended[0].outcome, PlayOutcome::PowerLost, "{ended:#?}");
    let proved = ended[0].frames_played as f64 / 48_000.0;
    assert!((9.5..sounded.end - sounded.start + 0.1).contains(&proved), "{proved} s of {sounded:?}");
    let (_, records) = unit.records();
    let numbers: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
    assert!(records.len() > before);
    let starts = unit.events().iter().filter(|event| matches!(event, Event::BoxStarted { .. })).count();
    assert_eq!(starts, 2);

    // It joins where the slot would be by now: the second play begins where its log says, and that is on time.
    let recording = unit.recording();
    let again = recording.sounding(cut_at + 0.001).unwrap();
    let place = sweep.place_of(recording.frequency(again.start + 0.02..again.start + 0.08)) - 0.05;
    let started = unit.started();
    assert_eq!(started.len(), 2);
    let entered = started[1].entered_at_ms as f64 / 1_000.0;
    assert!((place - entered).abs() < 0.050, "it entered at {place} s, and its log says {entered} s");
    let on_time = ended[1].started_at.unwrap().wall.since(slot).as_secs_f64();
    assert!((on_time - entered).abs() < 3.0, "entered at {entered} s after {on_time} s");
    assert_eq!(ended[1].outcome, PlayOutcome::Finished);
}

#[test]
fn an_unreachable_broker_stops_nothing() {
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    unit.link = format!("[central]\nbroker = \"mqtt://127.0.0.1:{}\"\n", free_port());
    unit.slot(&["tone-440.wav"], 8, "");
    let running = unit.start();
    let outcome = unit.await_event("the end of the slot", slot_ended);
    assert_eq!(outcome, SlotOutcome::Aired { finished: 1, not_finished: 0 });
    let status = unit.status().unwrap();
    assert!(!status.connected && status.backlog > 0);
    assert!(running.terminate().success());
    let recording = unit.recording();
    let stretches = recording.stretches(&[440.0]);
    assert!(matches!(stretches[..], [tone] if (tone.seconds() - 4.0).abs() < LENGTH_S), "{stretches:?}");
}

#[test]
fn an_orderly_end_closes_the_log() {
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    unit.slot(&["tone-440.wav"], 8, "");
    let running = unit.start();
    eventually("a second of sound", || {
        unit.recording().sounding(0.0).filter(|time| time.end - time.start > 1.0)
    });
    assert!(running.terminate().success());
    let events = unit.events();
    assert!(matches!(events.last(), Some(Event::BoxStopped)), "{events:#?}");
    let [end] = &unit.ended()[..] else { panic!("one play") };
    assert_eq!(end.outcome, PlayOutcome::Stopped);
    let tone = unit.recording().sounding(0.0).unwrap();
    let logged = end.frames_played as f64 / 48_000.0;
    assert!((tone.end - tone.start - logged).abs() < 0.05, "{tone:?} against {logged} s");
    // What was cut by us is no power cut at the next start.
    let running = unit.start();
    unit.await_event("a second start", |event| {
        let again = |body: &Event| matches!(body, Event::BoxStarted { .. });
        (again(event) && unit.events().iter().filter(|event| again(event)).count() == 2).then_some(())
    });
    assert!(running.terminate().success());
    assert!(unit.ended().iter().all(|end| end.outcome != PlayOutcome::PowerLost));
}

#[test]
fn outside_the_allowed_hours_it_keeps_silent() {
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    let now = loaxa_adapters::clock::wall().local();
    // Four hours that are not now.
    let other = if chrono::Timelike::hour(&now) < 12 { ("19:00", "23:00") } else { ("01:00", "05:00") };
    unit.guard = format!("allowed = [{{ from = \"{}\", until = \"{}\" }}]", other.0, other.1);
    unit.slot(&["tone-440.wav"], 6, "");
    let running = unit.start();
    let outcome = unit.await_event("the slot's outcome", slot_ended);
    let reason = GuardRefusal::OutsideHours;
    assert_eq!(outcome, SlotOutcome::NotAired(NotPlayed::Guarded { reason }));
    eventually("two more seconds", || {
        static FROM: std::sync::OnceLock<f64> = std::sync::OnceLock::new();
        let seconds = Recording::seconds_so_far(&unit.wav());
        (seconds > *FROM.get_or_init(|| seconds) + 2.0).then_some(())
    });
    assert!(running.terminate().success());
    assert_eq!(unit.recording().sounding(0.0), None);
    assert_eq!(unit.started(), []);
}

/// Replaces a line of a good `box.toml`, and reads what the box says.
fn check_refused(good: &str, bad: &str, expected: &[&str]) {
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    unit.slot(&["tone-440.wav"], 8, "");
    let text = unit.box_toml();
    assert!(text.contains(good), "{good:?} is not in\n{text}");
    let text = text.replacen(good, bad, 1);
    std::fs::write(unit.path("box.toml"), &text).unwrap();
    if !bad.contains("absent") {
        std::fs::write(unit.path("programme.toml"), "").unwrap();
    }
    let output = unit.command(&["box"]).stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let line = 1 + text[..text.find(bad).unwrap()].matches('\n').count();
    let place = format!("box.toml:{line}: ");
    for part in expected.iter().copied().chain([place.as_str()]) {
        assert!(said.contains(part), "{part:?} is not in {said:?}");
    }
    assert!(!unit.path("state").exists(), "it began all the same");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place_and_remedy() {
    check_refused("output = ", "outputt = ", &["sound.outputt", " — ", "output"]);
    check_refused("rtc = \"yes\"", "rtc = \"maybe\"", &["clock.rtc", "maybe", " — "]);
    check_refused("id = \"loa-1\"", "id = \"Loa 1\"", &["box.id", "a-z"]);
    check_refused("until = \"23:59:59\"", "until = \"25:00\"", &["guard.allowed", "25:00", " — ", "24:00"]);
    check_refused("output = \"wav:", "output = \"wave:", &["sound.output", " — ", "wav:PATH"]);
    check_refused(
        "files = [\"programme.toml\"]",
        "files = [\"absent.toml\"]",
        &["programme.files", "absent.toml", " — "],
    );
    check_refused("files = [\"programme.toml\"]", "files = [\".\"]", &["programme.files", "a folder", " — "]);
}

#[test]
fn a_wrong_programme_file_is_told_and_the_last_good_one_stays() {
    let mut unit = Unit::new();
    unit.bring("tone-440.wav");
    unit.slot(&["tone-440.wav"], 6, "");
    let running = unit.start();
    eventually("the box runs", || unit.status());
    assert!(running.terminate().success());
    unit.spoil_programme();
    let running = unit.start();
    let refused = |event: &Event| match event {
        Event::ProgrammeRefused { file, problem, last_good } => {
            Some((file.clone(), problem.clone(), *last_good))
        }
        _ => None,
    };
    let (file, problem, last_good) = unit.await_event("the refusal", refused);
    assert!(file.ends_with("programme.toml") && problem.contains("toi") && last_good, "{file}: {problem}");
    let faults = eventually("the fault", || unit.status().map(|status| status.faults));
    assert!(faults.iter().any(|fault| fault == "programme_refused"), "{faults:?}");
    assert!(running.terminate().success());
}

#[test]
fn a_box_without_hardware_can_be_asked_how_it_is() {
    let mut unit = Unit::new();
    let file = unit.path("long.wav");
    write_tone(&file, 440.0, 8.0);
    unit.slot(&["long.wav"], 10, "");
    let running = unit.start();
    let on_air = eventually("something on the air", || unit.status()?.on_air);
    assert_eq!(on_air, "long.wav");
    let output = unit.command(&["box", "status"]).stdout(std::process::Stdio::piped()).output().unwrap();
    let status: loaxa_box::status::Status = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status.on_air.as_deref(), Some("long.wav"));
    let [start] = &unit.started()[..] else { panic!("one play") };
    assert!(matches!(&start.subject, Subject::Slot(key) if key.slot.as_str() == "sang"));
    assert!(running.terminate().success());
}
