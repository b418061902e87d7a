//! When the amplifier is to be on: warm before the first sound, off a while after the last.

use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::adapters::program::{self, ProgramError};
use crate::config::box_file::AmplifierConfig;
use crate::domain::time::{Moment, Span};

/// Longest time that a command of the amplifier may take.
const COMMAND_MAX: Span = Span::secs(5);

/// What the amplifier does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amplifier {
    Off,
    /// On, and sounding from this moment.
    On {
        warm_at: Moment,
    },
    /// Nothing sounds any more; off at this moment.
    Lingering {
        warm_at: Moment,
        off_at: Moment,
    },
}

/// What is to be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

impl Amplifier {
    /// Something is to sound: answers from when it can be heard, and whether to switch on.
    pub fn wake(&mut self, now: Moment, warm_up: Span) -> (Moment, Option<Switch>) {
        let (warm_at, switch) = match *self {
            Self::Off => (now + warm_up, Some(Switch::On)),
            Self::On { warm_at } | Self::Lingering { warm_at, .. } => (warm_at, None),
        };
        *self = Self::On { warm_at };
        (warm_at, switch)
    }

    /// Nothing sounds any more and nothing is about to.
    pub fn rest(&mut self, now: Moment, off_delay: Span) {
        if let Self::On { warm_at } = *self {
            *self = Self::Lingering { warm_at, off_at: now + off_delay };
        }
    }

    /// When [`Self::expire`] is to be asked.
    pub fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Lingering { off_at, .. } => Some(*off_at),
            Self::Off | Self::On { .. } => None,
        }
    }

    /// Whether it is time to switch off.
    pub fn expire(&mut self, now: Moment) -> Option<Switch> {
        let due = self.deadline().is_some_and(|off_at| off_at <= now);
        due.then(|| {
            *self = Self::Off;
            Switch::Off
        })
    }
}

/// The thread that runs the amplifier's commands, one after the other.
pub struct Relay {
    switches: Option<Sender<Switch>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the thread; `on_fault` gets what went wrong, on that thread.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        config: AmplifierConfig,
        on_fault: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (switches, asked) = channel();
        let run = move || obey(&config, &asked, on_fault);
        let thread = std::thread::Builder::new().name("amplifier".into()).spawn(run)?;
        Ok(Self { switches: Some(switches), thread: Some(thread) })
    }

    /// Runs a command when those before it are done.
    pub fn switch(&self, switch: Switch) {
        if let Some(switches) = &self.switches {
            // The thread ends only when this sender does.
            let _ = switches.send(switch);
        }
    }
}

impl Drop for Relay {
    /// Waits until the last command is done.
    fn drop(&mut self) {
        self.switches = None;
        if let Some(thread) = self.thread.take() {
            // A fault was told when it happened.
            let _ = thread.join();
        }
    }
}

fn obey(config: &AmplifierConfig, asked: &Receiver<Switch>, on_fault: impl Fn(String)) {
    for switch in asked {
        let command = match switch {
            Switch::On => &config.on,
            Switch::Off => &config.off,
        };
        if let Err(error) = run(command) {
            on_fault(format!("{}: {error}", command.join(" ")));
        }
    }
}

/// Runs a program with its arguments; an empty list is no command.
fn run(command: &[String]) -> Result<(), ProgramError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    program::wait(&mut child, COMMAND_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARM: Span = Span::secs(2);
    const LINGER: Span = Span::secs(30);

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    #[test]
    fn it_warms_up_once_and_lingers() {
        let mut amplifier = Amplifier::Off;
        assert_eq!(amplifier.wake(at(10), WARM), (at(12), Some(Switch::On)));
        assert_eq!(amplifier.wake(at(11), WARM), (at(12), None));
        amplifier.rest(at(20), LINGER);
        assert_eq!(amplifier.deadline(), Some(at(50)));
        assert_eq!(amplifier.expire(at(49)), None);
        assert_eq!(amplifier.wake(at(49), WARM), (at(12), None));
        amplifier.rest(at(60), LINGER);
        assert_eq!(amplifier.expire(at(90)), Some(Switch::Off));
        assert_eq!(amplifier, Amplifier::Off);
        amplifier.rest(at(91), LINGER);
        assert_eq!(amplifier.deadline(), None);
    }
}
