//! Controls of a sound card: one that is closed swallows everything that is played, and reports no error.

use std::ffi::CString;
use std::path::Path;

use ::alsa::mixer::{Mixer, Selem, SelemChannelId};
use ::alsa::{Direction, Output, PCM};

/// Folder in which the kernel names cards and what is open on them.
const CARDS: &str = "/proc/asound";

/// A sound card with its controls for what is played.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    pub number: u32,
    pub controls: Vec<Control>,
}

/// A control for what is played, by its loudest channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    pub name: String,
    /// `None` where it has no switch.
    pub is_on: Option<bool>,
    pub volume: Option<Volume>,
}

/// The place of a control between its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Volume {
    pub percent: u8,
    /// `None` where the card doesn't tell.
    pub gain_db: Option<f32>,
}

/// Reads the controls of the card behind an ALSA output. `None` where no card is behind it, as with a sound server.
pub fn of_output(name: &str) -> Option<Card> {
    // The library prints what it can't open, also where that is expected.
    let _unprinted = Output::local_error_handler().ok();
    let number = match PCM::open(&CString::new(name).ok()?, Direction::Playback, true) {
        Ok(device) => u32::try_from(device.info().ok()?.get_card()).ok()?,
        // Whoever holds it plays through the card that is asked for.
        Err(error) if error.errno() == nix::libc::EBUSY => card_in_use(Path::new(CARDS))?,
        Err(_) => return None,
    };
    let mixer = Mixer::new(&format!("hw:{number}"), true).ok()?;
    let controls = mixer.iter().filter_map(Selem::new).filter_map(|control| read(&control)).collect();
    Some(Card { number, controls })
}

/// The first card of which something plays.
fn card_in_use(cards: &Path) -> Option<u32> {
    let inside = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let is_open = |part: &Path| {
        std::fs::read_to_string(part.join("status")).is_ok_and(|status| !status.starts_with("closed"))
    };
    let plays = |card: &Path| {
        let outputs = inside(card)
            .into_iter()
            .filter(|device| name(device).is_some_and(|name| name.starts_with("pcm") && name.ends_with('p')));
        outputs.flat_map(|device| inside(&device)).any(|part| is_open(&part))
    };
    inside(cards).into_iter().find_map(|card| {
        let number = name(&card)?.strip_prefix("card")?.parse().ok()?;
        plays(&card).then_some(number)
    })
}

fn read(control: &Selem) -> Option<Control> {
    let channels = || SelemChannelId::all().iter().filter(|channel| control.has_playback_channel(**channel));
    let is_on = control
        .has_playback_switch()
        .then(|| channels().any(|channel| control.get_playback_switch(*channel).is_ok_and(|on| on != 0)));
    let volume = || {
        let (least, most) = control.get_playback_volume_range();
        let at = channels().filter_map(|channel| control.get_playback_volume(*channel).ok()).max()?;
        let gain = channels().filter_map(|channel| control.get_playback_vol_db(*channel).ok());
        let percent = (at - least) * 100 / (most - least).max(1);
        Some(Volume {
            percent: percent.clamp(0, 100) as u8,
            gain_db: gain.map(|gain| gain.to_db()).max_by(f32::total_cmp),
        })
    };
    let volume = control.has_playback_volume().then(volume).flatten();
    let name = control.get_id().get_name().ok()?.to_owned();
    (is_on.is_some() || volume.is_some()).then_some(Control { name, is_on, volume })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_that_plays_is_found() {
        let cards = tempfile::tempdir().unwrap();
        let lay = |part: &str, status: &str| {
            let part = cards.path().join(part);
            std::fs::create_dir_all(&part).unwrap();
            std::fs::write(part.join("status"), status).unwrap();
        };
        lay("card0/pcm0p/sub0", "closed\n");
        lay("card0/pcm0c/sub0", "state: RUNNING\nowner_pid   : 17\n");
        assert_eq!(card_in_use(cards.path()), None);
        lay("card2/pcm1p/sub0", "state: RUNNING\nowner_pid   : 17\n");
        std::fs::write(cards.path().join("cards"), "").unwrap();
        assert_eq!(card_in_use(cards.path()), Some(2));
    }
}
