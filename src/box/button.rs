//! The button of the local emergency: a line of the machine, or a program that tells of presses.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use loaxa_adapters::gpio;
use loaxa_heart::config::box_panel::ButtonConfig;
use loaxa_heart::config::gpio_line::GpioLine;

/// Presses that wait for the loop; what a bouncing contact adds beyond them is one press all the same.
const PRESSES_MAX: usize = 4;

/// Time before a line that is gone, or a program that ended, is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A press of the button.
#[derive(Debug)]
pub struct Press;

/// Listens for presses, each source on a thread of its own; `None` where there is no button.
///
/// # Errors
/// Fails when no thread can be started.
pub fn listen(config: &ButtonConfig) -> std::io::Result<Option<mpsc::Receiver<Press>>> {
    let (presses, receiver) = mpsc::channel(PRESSES_MAX);
    let mut listens = false;
    if let Some(line) = config.gpio.clone() {
        let presses = presses.clone();
        let name = line.to_string();
        listens = true;
        start(name, presses, move |press| of_line(&line, press))?;
    }
    if !config.command.is_empty() {
        let command = config.command.clone();
        listens = true;
        start(command.join(" "), presses, move |press| of_program(&command, press))?;
    }
    Ok(listens.then_some(receiver))
}

/// Runs a source of presses again and again, until nobody listens any more.
fn start(
    name: String,
    presses: mpsc::Sender<Press>,
    source: impl Fn(&dyn Fn()) -> Result<(), String> + Send + 'static,
) -> std::io::Result<()> {
    let run = move || {
        let press = || {
            // A loop that has presses to look at needs no further one.
            let _ = presses.try_send(Press);
        };
        while !presses.is_closed() {
            let why = source(&press).err().unwrap_or_else(|| "it ended".to_owned());
            tracing::warn!(button = name, why, "the button can't be heard; it is tried again");
            thread::sleep(AGAIN_AFTER);
        }
    };
    thread::Builder::new().name("button".into()).spawn(run).map(drop)
}

fn of_line(line: &GpioLine, press: &dyn Fn()) -> Result<(), String> {
    let button = gpio::Button::open(line).map_err(|error| error.to_string())?;
    loop {
        button.wait().map_err(|error| error.to_string())?;
        press();
    }
}

/// Takes each line that a program writes as a press.
fn of_program(command: &[String], press: &dyn Fn()) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut bytes = [0; 256];
    let told = loop {
        let Some(out) = &mut child.stdout else { break Ok(()) };
        match out.read(&mut bytes) {
            Ok(0) => break Ok(()),
            Ok(count) => bytes[..count].iter().filter(|byte| **byte == b'\n').for_each(|_| press()),
            Err(error) => break Err(error.to_string()),
        }
    };
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    told
}
