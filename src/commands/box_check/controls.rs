//! Check of the sound card's controls. A muted one is no error for any program that plays, and nobody hears it.

use super::finding::Finding;
use loaxa_heart::config::box_file::BoxConfig;
use loaxa_heart::said;
use loaxa_sound::output::sink::SinkSpec;
use loaxa_sound::output::sink::controls::{self, Card, Control, Volume};

/// Names of controls that all sound of a card passes, by the kernel's rules (`sound/designs/control-names`) and by the drivers
/// of boards' converters.
const COMMON: [&str; 7] = ["master", "pcm", "digital", "dac", "playback", "softvol", "analogue"];
/// Beginnings of the names of single plugs. An amplifier hangs on one of them; nothing says on which.
const PLUGS: [&str; 8] = ["headphone", "headset", "speaker", "line out", "lineout", "front", "hdmi", "hpout"];
/// Gain at which nobody hears an amplifier that is set for full level, and the place of a control that doesn't tell its gain.
const GAIN_DB_LEAST: f32 = -40.0;
const PERCENT_LEAST: u8 = 5;

pub fn controls(config: &BoxConfig) -> Finding {
    let card = match config.sound.output.parse::<SinkSpec>() {
        Ok(SinkSpec::Alsa(name)) => controls::of_output(&name),
        _ => None,
    };
    judge(card.as_ref())
}

fn judge(card: Option<&Card>) -> Finding {
    let Some(card) = card.filter(|card| !card.controls.is_empty()) else {
        return Finding::good("controls", said!("box_check.controls_none"));
    };
    let closed = closed(&card.controls);
    if closed.is_empty() {
        return Finding::good("controls", said!("box_check.controls", card = card.number));
    }
    let remedy = said!("box_check.mend_controls", card = card.number, first = closed[0]);
    let said = said!("box_check.controls_closed", card = card.number, controls = closed.join(", "));
    Finding::doubtful("controls", said, remedy)
}

/// Names of the controls that keep all sound from the amplifier: each common one that is closed; plugs only where all are.
fn closed(controls: &[Control]) -> Vec<&str> {
    let named = |names: &[&str], control: &Control, whole: bool| {
        let name = control.name.to_lowercase();
        names.iter().any(|known| if whole { name == *known } else { name.starts_with(known) })
    };
    let common = controls.iter().filter(|control| named(&COMMON, control, true) && is_closed(control));
    let plugs: Vec<&Control> = controls.iter().filter(|control| named(&PLUGS, control, false)).collect();
    let all_plugs = if plugs.iter().all(|plug| is_closed(plug)) { plugs } else { Vec::new() };
    common.chain(all_plugs).map(|control| control.name.as_str()).collect()
}

fn is_closed(control: &Control) -> bool {
    let is_low = |volume: Volume| match volume.gain_db {
        Some(gain_db) => gain_db <= GAIN_DB_LEAST,
        None => volume.percent <= PERCENT_LEAST,
    };
    control.is_on == Some(false) || control.volume.is_some_and(is_low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::box_check::finding::Grade;
    use loaxa_heart::texts::Lang;

    fn control(name: &str, is_on: Option<bool>, volume: Option<(u8, Option<f32>)>) -> Control {
        let volume = volume.map(|(percent, gain_db)| Volume { percent, gain_db });
        Control { name: name.to_owned(), is_on, volume }
    }

    #[test]
    fn what_keeps_all_sound_back_is_named() {
        let check =
            |controls: &[Control], expected: &[&str]| assert_eq!(closed(controls), expected, "{controls:?}");
        check(&[], &[]);
        check(&[control("Master", Some(true), Some((80, Some(-6.0))))], &[]);
        check(&[control("Master", Some(false), Some((80, Some(-6.0))))], &["Master"]);
        check(&[control("PCM", None, Some((0, None)))], &["PCM"]);
        check(&[control("PCM", None, Some((5, None)))], &["PCM"]);
        check(&[control("PCM", None, Some((6, None)))], &[]);
        check(&[control("Digital", Some(true), Some((40, Some(-62.0))))], &["Digital"]);
        // Its lowest place is loud.
        check(&[control("Analogue", None, Some((0, Some(-6.0))))], &[]);
        check(
            &[control("Headphone", Some(false), None), control("Speaker", Some(true), Some((70, None)))],
            &[],
        );
        check(
            &[control("Headphone", Some(false), None), control("Line Out", Some(true), Some((0, None)))],
            &["Headphone", "Line Out"],
        );
        check(
            &[control("Master", Some(true), None), control("Headphone+LO", Some(false), None)],
            &["Headphone+LO"],
        );
        // What is mixed in from an input, and a plug for data.
        check(&[control("Mic", Some(false), Some((0, None))), control("IEC958", Some(false), None)], &[]);
    }

    #[test]
    fn a_closed_card_is_told_with_what_opens_it() {
        let muted = Card { number: 2, controls: vec![control("Master", Some(false), None)] };
        let found = judge(Some(&muted));
        assert_eq!(found.grade, Grade::Doubtful);
        assert!(found.said.to(Lang::En).contains("Master"));
        let remedy = found.remedy.unwrap().to(Lang::En);
        assert!(remedy.contains("amixer -c 2 sset 'Master' 80% unmute"), "{remedy}");
        let open = Card { number: 2, controls: vec![control("Master", Some(true), None)] };
        let bare = Card { number: 2, controls: Vec::new() };
        for card in [None, Some(&open), Some(&bare)] {
            assert_eq!(judge(card).grade, Grade::Good);
        }
    }
}
