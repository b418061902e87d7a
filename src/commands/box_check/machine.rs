//! Checks of the machine: clock, storage, sound, amplifier, microphone.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::{Finding, has_fault};
use loaxa_adapters::clock::{self, Clock};
use loaxa_box::status::{MicrophoneStatus, Status};
use loaxa_heart::config::box_file::{BoxConfig, Rtc};
use loaxa_heart::domain::time::ClockQuality;
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use loaxa_sound::hearing::microphone as input;
use loaxa_sound::output::sink::{SinkSpec, device};

/// The user under which the unit runs the daemon.
const SERVICE_USER: &str = "loaxa";
/// Free room on the disk below which the log is in danger, and below which audio is, in megabytes.
const FREE_MB_MIN: u64 = 50;
const FREE_MB_WANTED: u64 = 500;

pub fn clock(config: &BoxConfig, status: Option<&Status>) -> Finding {
    let at = clock::wall().local().format("%H:%M:%S %d/%m/%Y");
    let quality = status.map(|status| status.clock);
    let has_battery = match config.rtc {
        Rtc::Auto => Clock::battery_is_there(),
        Rtc::Yes => true,
        Rtc::No => false,
    };
    if clock::kernel_sync().synced || quality == Some(ClockQuality::Synced) {
        return Finding::good("clock", said!("box_check.clock", at));
    }
    let remedy = said!("box_check.mend_clock");
    if has_battery && quality != Some(ClockQuality::None) {
        return Finding::doubtful("clock", said!("box_check.clock_battery", at), remedy);
    }
    Finding::bad("clock", said!("box_check.clock_unknown", at), remedy)
}

pub fn storage(config: &BoxConfig, status: Option<&Status>) -> Finding {
    let path = config.state_dir.display();
    let remedy = || said!("box_check.mend_storage", path = config.state_dir.display(), user = SERVICE_USER);
    if has_fault(status, "disk_full") {
        return Finding::bad("storage", said!("box_check.disk_full", path), said!("box_check.free_storage"));
    }
    let (owner, disk) =
        match (std::fs::metadata(&config.state_dir), nix::sys::statvfs::statvfs(&config.state_dir)) {
            (Ok(owner), Ok(disk)) => (owner, disk),
            (Err(error), _) => {
                return Finding::bad("storage", said!("box_check.no_storage", path, error), remedy());
            }
            (_, Err(error)) => {
                let error = Sentence::from_outside(error.to_string());
                return Finding::bad("storage", said!("box_check.no_storage", path, error), remedy());
            }
        };
    if disk.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
        let said = said!("box_check.readonly_storage", path);
        return Finding::bad("storage", said, said!("box_check.mend_readonly"));
    }
    if let Some(stranger) = stranger(owner.uid()) {
        return Finding::bad("storage", said!("box_check.foreign_storage", path, user = stranger), remedy());
    }
    if status.is_none() && nix::unistd::access(&config.state_dir, nix::unistd::AccessFlags::W_OK).is_err() {
        return Finding::bad("storage", said!("box_check.closed_storage", path), remedy());
    }
    #[allow(clippy::useless_conversion, reason = "boards of 32 bits count in smaller numbers")]
    let free_mb =
        u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())) / 1_000_000;
    let said = said!("box_check.storage", path, free_mb);
    match free_mb {
        ..FREE_MB_MIN => Finding::bad("storage", said, said!("box_check.free_storage")),
        FREE_MB_MIN..FREE_MB_WANTED => Finding::doubtful("storage", said, said!("box_check.free_storage")),
        _ => Finding::good("storage", said),
    }
}

/// The owner of the state, if the service has a user of its own, and that is another one.
fn stranger(uid: u32) -> Option<String> {
    let service = nix::unistd::User::from_name(SERVICE_USER).ok().flatten()?;
    if service.uid.as_raw() == uid {
        return None;
    }
    let owner = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    Some(owner.map_or_else(|| uid.to_string(), |owner| owner.name))
}

pub fn sound(config: &BoxConfig, status: Option<&Status>) -> Finding {
    let name = &config.sound.output;
    let remedy = || said!("box_check.mend_sound");
    if has_fault(status, "device_lost") {
        return Finding::bad("sound", said!("box_check.sound_lost", name), remedy());
    }
    match (name.parse::<SinkSpec>(), status) {
        (Err(error), _) => Finding::bad("sound", error.say(), remedy()),
        (Ok(SinkSpec::Alsa(_)), Some(_)) => Finding::good("sound", said!("box_check.sound", name)),
        (Ok(SinkSpec::Alsa(pcm)), None) => match device::output(&pcm) {
            Ok(_) => Finding::good("sound", said!("box_check.sound", name)),
            Err(error) => Finding::bad("sound", said!("box_check.no_sound", name, error), remedy()),
        },
        (Ok(SinkSpec::Wav(_) | SinkSpec::Fifo(_) | SinkSpec::Null), _) => {
            Finding::doubtful("sound", said!("box_check.no_loudspeaker", name), remedy())
        }
    }
}

pub fn amplifier(config: &BoxConfig, status: Option<&Status>) -> Finding {
    let amplifier = &config.amplifier;
    if has_fault(status, "amplifier_fault") {
        return Finding::bad(
            "amplifier",
            said!("box_check.amplifier_fault"),
            said!("box_check.mend_amplifier"),
        );
    }
    if let Some(line) = &amplifier.gpio {
        // The daemon holds the line while it runs, so that only the chip can be looked at.
        return match std::fs::OpenOptions::new().read(true).write(true).open(&line.chip) {
            Ok(_) => Finding::good("amplifier", said!("box_check.amplifier_line", line)),
            Err(error) => {
                let said = said!("box_check.no_line", line, error);
                Finding::bad("amplifier", said, said!("box_check.mend_line"))
            }
        };
    }
    let programs = amplifier.on.first().into_iter().chain(amplifier.off.first());
    for program in programs {
        if program.starts_with('/') && !Path::new(program).exists() {
            let said = said!("box_check.no_program", program);
            return Finding::bad("amplifier", said, said!("box_check.mend_amplifier"));
        }
    }
    match amplifier.on.first() {
        Some(program) => Finding::good("amplifier", said!("box_check.amplifier_program", program)),
        None => Finding::good("amplifier", said!("box_check.amplifier_none")),
    }
}

pub fn microphone(config: &BoxConfig, status: Option<&Status>) -> Finding {
    let Some(name) = &config.sound.microphone else {
        return Finding::good("microphone", said!("box_check.microphone_none"));
    };
    let remedy = || said!("box_check.mend_microphone");
    match status.map(|status| &status.microphone) {
        Some(MicrophoneStatus::Failed { why }) => {
            let why = Sentence::from_outside(why.clone());
            Finding::bad("microphone", said!("box_check.no_microphone", name, why), remedy())
        }
        Some(MicrophoneStatus::NotSet) => Finding::doubtful(
            "microphone",
            said!("box_check.microphone_new"),
            said!("box_check.start_daemon"),
        ),
        Some(_) => Finding::good("microphone", said!("box_check.microphone", name)),
        None => match input::record(name.strip_prefix("alsa:").unwrap_or(name)) {
            Ok(_) => Finding::good("microphone", said!("box_check.microphone", name)),
            Err(error) => {
                Finding::bad("microphone", said!("box_check.no_microphone", name, why = error), remedy())
            }
        },
    }
}
