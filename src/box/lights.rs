//! The lights of the box: words of its state, in a file, to a program, and on lines of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use loaxa_adapters::gpio::{self, Line};
use loaxa_adapters::program;
use loaxa_heart::config::box_panel::{Light, LightsConfig};
use loaxa_heart::domain::time::Span;

/// Longest time that a program of the lights may take.
const COMMAND_MAX: Span = Span::secs(5);

/// States that may wait while a program hangs; the newest is shown at last.
const STATES_MAX: usize = 4;

/// The words that hold now.
pub type State = BTreeSet<Light>;

/// Says which words hold: nothing wrong and in contact is `Ok`.
pub fn state(in_contact: bool, has_fault: bool, on_air: bool, armed: bool) -> State {
    let words = [
        (Light::Ok, in_contact && !has_fault),
        (Light::NoContact, !in_contact),
        (Light::Fault, has_fault),
        (Light::OnAir, on_air),
        (Light::Armed, armed),
    ];
    words.into_iter().filter(|(_, holds)| *holds).map(|(light, _)| light).collect()
}

/// The thread that shows states.
pub struct Lights {
    states: Option<SyncSender<State>>,
    shown: Option<State>,
}

impl Lights {
    /// Starts the thread; without lights there is none.
    ///
    /// # Errors
    /// Fails when no thread can be started.
    pub fn start(config: LightsConfig) -> std::io::Result<Self> {
        if config == LightsConfig::default() {
            return Ok(Self { states: None, shown: None });
        }
        let (states, asked) = sync_channel(STATES_MAX);
        thread::Builder::new().name("lights".into()).spawn(move || show_all(&config, &asked))?;
        Ok(Self { states: Some(states), shown: None })
    }

    /// Shows a state, where it is another one. What finds no room is shown by the next call.
    pub fn show(&mut self, state: State) {
        let Some(states) = &self.states else { return };
        if self.shown.as_ref() != Some(&state) && states.try_send(state.clone()).is_ok() {
            self.shown = Some(state);
        }
    }
}

fn show_all(config: &LightsConfig, asked: &Receiver<State>) {
    let mut lines: BTreeMap<Light, Box<dyn Line>> = BTreeMap::new();
    while let Ok(mut state) = asked.recv() {
        // Of several that wait the newest holds.
        while let Ok(newer) = asked.try_recv() {
            state = newer;
        }
        if let Err(why) = show(config, &state, &mut lines) {
            tracing::warn!(why, "the lights don't show the state of the box");
        }
    }
}

fn show(
    config: &LightsConfig,
    state: &State,
    lines: &mut BTreeMap<Light, Box<dyn Line>>,
) -> Result<(), String> {
    let words: Vec<_> = state.iter().map(|light| light.word()).collect();
    let mut wrong = Vec::new();
    if let Some(file) = &config.file
        && let Err(error) = std::fs::write(file, format!("{}\n", words.join(" ")))
    {
        wrong.push(format!("{}: {error}", file.display()));
    }
    if let Some((name, arguments)) = config.command.split_first() {
        let child = Command::new(name)
            .args(arguments)
            .args(&words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let ran = child.map_err(Into::into).and_then(|mut child| program::wait(&mut child, COMMAND_MAX));
        wrong.extend(ran.err().map(|error| format!("{name}: {error}")));
    }
    for (light, at) in &config.lines {
        let line = match lines.remove(light) {
            Some(line) => Ok(line),
            None => gpio::open(at),
        };
        match line.and_then(|mut line| line.set(state.contains(light)).map(|()| line)) {
            Ok(line) => drop(lines.insert(*light, line)),
            Err(error) => wrong.push(format!("GPIO {at}: {error}")),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_state() {
        let check = |(contact, fault, on_air, armed), expected: &[&str]| {
            let words: Vec<_> =
                state(contact, fault, on_air, armed).into_iter().map(|light| light.word()).collect();
            assert_eq!(words, expected);
        };
        check((true, false, false, false), &["ok"]);
        check((true, false, true, false), &["ok", "on_air"]);
        check((false, false, false, true), &["no_contact", "armed"]);
        check((true, true, false, false), &["fault"]);
        check((false, true, true, false), &["no_contact", "fault", "on_air"]);
    }

    #[test]
    fn a_file_and_a_program_get_the_words() {
        let dir = tempfile::tempdir().unwrap();
        let (file, ran) = (dir.path().join("state"), dir.path().join("ran"));
        let script = format!("echo \"$@\" >>{}", ran.display());
        let command = ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec();
        let config = LightsConfig { file: Some(file.clone()), command, lines: Vec::new() };
        let mut lines = BTreeMap::new();
        show(&config, &state(true, false, false, false), &mut lines).unwrap();
        show(&config, &state(false, true, true, false), &mut lines).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "no_contact fault on_air\n");
        assert_eq!(std::fs::read_to_string(&ran).unwrap(), "ok\nno_contact fault on_air\n");
        let gone = LightsConfig { file: Some(dir.path().join("none/state")), ..config };
        assert!(show(&gone, &state(true, false, false, false), &mut lines).unwrap_err().contains("none"));
    }
}
