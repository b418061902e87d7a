//! The switch of the amplifier: on and warm before the first sound, off a while after the last.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use loaxa_adapters::gpio::{self, Line, LineError};
use loaxa_adapters::program::{self, ProgramError};
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::gpio_line::GpioLine;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_sound::losses::Losses;

/// Longest time that a command of the amplifier may take.
const COMMAND_MAX: Span = Span::secs(5);

/// Switchings that may wait while a command of the amplifier hangs.
const SWITCHES_MAX: usize = 8;

/// States of the amplifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amplifier {
    Off,
    /// On, and sounding from this moment.
    On {
        warm_at: Moment,
    },
    /// On though nothing sounds any more, and off at this moment.
    Lingering {
        warm_at: Moment,
        off_at: Moment,
    },
}

/// Switchings of the amplifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

impl Amplifier {
    /// Makes ready for a sound: returns from when on it can be heard, and the switching that this takes.
    pub fn wake(&mut self, now: Moment, warm_up: Span) -> (Moment, Option<Switch>) {
        let (warm_at, switch) = match *self {
            Self::Off => (now + warm_up, Some(Switch::On)),
            Self::On { warm_at } | Self::Lingering { warm_at, .. } => (warm_at, None),
        };
        *self = Self::On { warm_at };
        (warm_at, switch)
    }

    /// Lets the amplifier linger, as nothing sounds any more and nothing is about to.
    pub fn rest(&mut self, now: Moment, off_delay: Span) {
        if let Self::On { warm_at } = *self {
            *self = Self::Lingering { warm_at, off_at: now + off_delay };
        }
    }

    /// Returns the moment at which [`Self::expire`] is to be called.
    pub fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Lingering { off_at, .. } => Some(*off_at),
            Self::Off | Self::On { .. } => None,
        }
    }

    /// Returns the switching off, where it is time for it.
    pub fn expire(&mut self, now: Moment) -> Option<Switch> {
        let due = self.deadline().is_some_and(|off_at| off_at <= now);
        due.then(|| {
            *self = Self::Off;
            Switch::Off
        })
    }
}

/// The thread that moves the amplifier's line and runs its commands, one after the other.
pub struct Switcher {
    switches: Option<SyncSender<Switch>>,
    thread: Option<JoinHandle<()>>,
    /// The newest switching that found no room. Older ones that found none are skipped.
    owed: Option<Switch>,
    losses: Arc<Losses>,
}

impl Switcher {
    /// Starts the thread; `on_fault` gets what went wrong, on that thread.
    ///
    /// # Errors
    /// Fails when no thread can be started.
    pub fn start(
        config: AmplifierConfig,
        losses: Arc<Losses>,
        on_fault: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        Self::start_with(config, losses, Box::new(gpio::open), on_fault)
    }

    fn start_with(
        config: AmplifierConfig,
        losses: Arc<Losses>,
        open: Box<Opener>,
        on_fault: impl Fn(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (switches, asked) = sync_channel(SWITCHES_MAX);
        let run = move || obey(&config, &open, &asked, on_fault);
        let thread = std::thread::Builder::new().name("amplifier".into()).spawn(run)?;
        Ok(Self { switches: Some(switches), thread: Some(thread), owed: None, losses })
    }

    /// Switches when the switchings before are done. Call it now and then without a switching, too: one that found no room
    /// is then tried again.
    pub fn switch(&mut self, switch: Option<Switch>) {
        if switch.is_some() && self.owed.is_some() {
            self.losses.amplifier_switches.add(1);
        }
        self.owed = switch.or(self.owed);
        if let (Some(switches), Some(owed)) = (&self.switches, self.owed)
            && switches.try_send(owed).is_ok()
        {
            self.owed = None;
        }
    }
}

impl Drop for Switcher {
    /// Waits until the last switching is done.
    fn drop(&mut self) {
        if let (Some(switches), Some(owed)) = (self.switches.take(), self.owed) {
            // The thread ends only when this sender does.
            let _ = switches.send(owed);
        }
        if let Some(thread) = self.thread.take() {
            // A fault was told when it happened.
            let _ = thread.join();
        }
    }
}

/// A way to take a line; a test puts its own in the place of the kernel's.
type Opener = dyn Fn(&GpioLine) -> Result<Box<dyn Line>, LineError> + Send;

fn obey(config: &AmplifierConfig, open: &Opener, asked: &Receiver<Switch>, on_fault: impl Fn(String)) {
    let mut held = None;
    for switch in asked {
        let command = match switch {
            Switch::On => &config.on,
            Switch::Off => &config.off,
        };
        let order = |held: &mut Option<Box<dyn Line>>| {
            let Some(at) = &config.gpio else { return };
            if let Err(error) = set(held, at, open, switch) {
                on_fault(format!("GPIO {at}: {error}"));
            }
        };
        let commanded = || {
            if let Err(error) = run(command) {
                on_fault(format!("{}: {error}", command.join(" ")));
            }
        };
        match switch {
            Switch::On => {
                order(&mut held);
                commanded();
            }
            Switch::Off => {
                commanded();
                order(&mut held);
            }
        }
    }
}

/// Switches a line, which is taken at the first time, and anew after a fault.
fn set(
    held: &mut Option<Box<dyn Line>>,
    at: &GpioLine,
    open: &Opener,
    switch: Switch,
) -> Result<(), LineError> {
    let mut line = match held.take() {
        Some(line) => line,
        None => open(at)?,
    };
    line.set(switch == Switch::On)?;
    *held = Some(line);
    Ok(())
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
    use std::sync::mpsc::{Sender, channel};

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

    /// A line in memory: there is no GPIO where the tests run.
    struct Mock {
        seen: Sender<String>,
        /// Switches until it breaks.
        left: u32,
    }

    impl Line for Mock {
        fn set(&mut self, on: bool) -> Result<(), LineError> {
            if self.left == 0 {
                return Err(LineError("it broke".to_owned()));
            }
            self.left -= 1;
            // The test may have seen enough.
            let _ = self.seen.send(format!("set {on}"));
            Ok(())
        }
    }

    fn line() -> GpioLine {
        GpioLine { chip: "/dev/gpiochip9".into(), line: 17, active_low: false }
    }

    /// Checks the orders to a line that breaks after `good` switchings, and the faults that are reported.
    fn check_line(good: u32, switches: &[Switch], expected: &[&str]) {
        let (seen, heard) = channel();
        let faults = seen.clone();
        let open = move |at: &GpioLine| {
            let _ = seen.send(format!("open {at}"));
            Ok(Box::new(Mock { seen: seen.clone(), left: good }) as Box<dyn Line>)
        };
        let config = AmplifierConfig { gpio: Some(line()), ..AmplifierConfig::default() };
        let told = move |fault| drop(faults.send(fault));
        let mut switcher = Switcher::start_with(config, Arc::default(), Box::new(open), told).unwrap();
        switches.iter().for_each(|switch| switcher.switch(Some(*switch)));
        drop(switcher);
        assert_eq!(heard.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_line_is_taken_once_and_anew_after_a_fault() {
        let opened = "open /dev/gpiochip9:17";
        check_line(9, &[Switch::On, Switch::Off], &[opened, "set true", "set false"]);
        let broke = "GPIO /dev/gpiochip9:17: the GPIO line can't be used: it broke";
        check_line(
            1,
            &[Switch::On, Switch::Off, Switch::On],
            &[opened, "set true", broke, opened, "set true"],
        );
    }

    #[test]
    fn what_hangs_skips_switchings_and_obeys_the_last() {
        let (go, hangs) = channel::<()>();
        let (seen, heard) = channel();
        let open = move |_: &GpioLine| {
            // Hangs until the test lets go.
            let _ = hangs.recv();
            Ok(Box::new(Mock { seen: seen.clone(), left: 99 }) as Box<dyn Line>)
        };
        let config = AmplifierConfig { gpio: Some(line()), ..AmplifierConfig::default() };
        let losses = Arc::<Losses>::default();
        let mut switcher = Switcher::start_with(config, losses.clone(), Box::new(open), |_| {}).unwrap();
        for _ in 0..50 {
            switcher.switch(Some(Switch::On));
            switcher.switch(Some(Switch::Off));
        }
        drop(go);
        drop(switcher);
        let seen: Vec<String> = heard.iter().collect();
        assert_eq!(seen.last().map(String::as_str), Some("set false"));
        let skipped = losses.amplifier_switches.get();
        assert_eq!(seen.len() as u64 + skipped, 100);
        assert!(skipped >= 100 - SWITCHES_MAX as u64 - 2, "{skipped}");
    }

    #[test]
    fn a_chip_that_is_not_there_is_a_fault() {
        assert!(gpio::open(&line()).is_err());
    }
}
