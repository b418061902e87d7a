//! `loaxa box setup`: a short menu on the console of a box that has no settings yet.

use std::io::Read;
use std::process::ExitCode;

use super::box_enrol::{self, Newcomer, Places};
use super::console::{Console, ask_for_central};
use super::language::{Failure, Outcome, complain, tell};
use super::test_tone::{self, Test};
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::wire::enrolment::EnrolmentCode;

/// Length and volume of the tone.
const TONE_SECONDS: u32 = 3;
const VOLUME_PERCENT: u8 = 80;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
}

/// Shows the menu until this box is enrolled, or somebody leaves.
pub fn run(args: &Args) -> Outcome {
    let mut console = Console::stdin();
    menu(&mut console, &args.places)?;
    Ok(ExitCode::SUCCESS)
}

/// Does what is chosen; gives whether the box was enrolled.
fn menu<R: Read>(console: &mut Console<R>, places: &Places) -> Result<bool, Failure> {
    loop {
        tell!("setup.menu");
        let Some(chosen) = console.line()? else { return Ok(false) };
        match chosen.as_str() {
            "1" if enrol(console, places)? => return Ok(true),
            "1" => {}
            "2" => tone(),
            "3" => return Ok(false),
            _ => complain!("setup.unknown", chosen),
        }
    }
}

/// Asks for address and code; gives whether central took this box in.
fn enrol<R: Read>(console: &mut Console<R>, places: &Places) -> Result<bool, Failure> {
    let Some(central) = ask_for_central(console)? else { return Ok(false) };
    tell!("setup.ask_code");
    let Some(typed) = console.line()? else { return Ok(false) };
    let code: EnrolmentCode = match typed.parse() {
        Ok(code) => code,
        Err(why) => {
            complain!("setup.failed", why);
            return Ok(false);
        }
    };
    let (central, output) = (box_enrol::address(&central), box_enrol::OUTPUT.to_owned());
    match box_enrol::take_in(&Newcomer { central, code, places: places.clone(), output }) {
        Ok(_) => Ok(true),
        Err(why) => {
            complain!("setup.failed", why);
            Ok(false)
        }
    }
}

fn tone() {
    let test = |output| Test {
        seconds: TONE_SECONDS,
        output,
        amplifier: AmplifierConfig::default(),
        volume_percent: VOLUME_PERCENT,
        microphone: None,
        verify: false,
    };
    let played = box_enrol::OUTPUT.parse().map_err(Failure::from).map(test).and_then(test_tone::run);
    if let Err(Failure(why)) = played {
        complain!("setup.failed", why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(typed: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { dir: folder.path().join("etc"), state_dir: folder.path().join("state") };
        let mut console = Console::new(typed.as_bytes());
        menu(&mut console, &places).unwrap()
    }

    #[test]
    fn the_menu_is_left_by_its_last_entry_and_by_the_end_of_the_console() {
        for typed in ["3\n", "", "x\n", "1\n", "1\n\n3\n", "1\n10.77.0.1\nno code\n3\n", "no end of line"] {
            assert!(!choose(typed), "{typed}");
        }
        assert!(!choose(&"9".repeat(1 << 20)));
    }
}
