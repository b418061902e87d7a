//! The settings of the daemon, checked.

use std::path::{Path, PathBuf};

use loaxa_adapters::slots::SlotsDir;
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::box_panel::PanelConfig;
use loaxa_heart::config::shaping::Shaping;
use loaxa_heart::decide::downloads::Rules;
use loaxa_heart::domain::ids::{BoxId, ContentHash, GroupId};
use loaxa_heart::domain::policy::Policy;
use loaxa_heart::domain::software::Release;
use loaxa_heart::wire::broker_address::BrokerAddress;
use loaxa_heart::wire::signing::{PublicKey, SecretKey};
use loaxa_sound::output::sink::SinkSpec;

/// The settings of one box.
pub struct Settings {
    pub box_id: BoxId,
    /// All groups, those above included.
    pub groups: Vec<GroupId>,
    pub languages: Vec<String>,
    pub state_dir: PathBuf,
    pub programmes: Vec<PathBuf>,
    pub sink: SinkSpec,
    /// The installer's setting, 0 to 100: what "full volume" means for this amplifier and these horns.
    pub volume_percent: u8,
    pub target_lufs: Option<f32>,
    pub shaping: Shaping,
    pub amplifier: AmplifierConfig,
    /// Button, lights and status page.
    pub panel: PanelConfig,
    /// ALSA name of the microphone.
    pub microphone: Option<String>,
    /// Plays in time with others sound this much later, or earlier.
    pub delay_ms: i32,
    /// Program and arguments of the speech engine.
    pub speech: Vec<String>,
    /// The limits that are in force until a signed policy arrives.
    pub policy: Policy,
    pub central: Option<CentralSettings>,
    /// Pinned: the only key whose trust documents are believed.
    pub root: Option<PublicKey>,
    /// Envelope of the trust document to begin with.
    pub trust: Option<Vec<u8>>,
    /// Signs this box's log.
    pub key: SecretKey,
    /// The rules by which audio is fetched and kept.
    pub media: Rules,
    /// The channel of releases that the box follows.
    pub channel: String,
    /// The way in which the program was launched; `None` where nobody would start another release.
    pub launched: Option<Launched>,
    /// The system clock survives a power cut.
    pub has_battery_clock: bool,
}

/// A program that a launcher started.
pub struct Launched {
    /// The folder of the versions.
    pub dir: SlotsDir,
    /// The version that runs; none for the program of the package.
    pub sha256: Option<ContentHash>,
    /// Release of the package.
    pub installed: Release,
}

impl Launched {
    /// Stands for a program that was started by itself: it has no versions.
    pub fn by_nobody() -> Self {
        Self {
            dir: SlotsDir::below(Path::new("/nonexistent")),
            sha256: None,
            installed: Release::of_this_program(),
        }
    }
}

/// The addresses and certificates by which central is reached.
#[derive(Debug, Clone)]
pub struct CentralSettings {
    pub broker: BrokerAddress,
    pub ca: Option<PathBuf>,
    /// Certificate and key of this box.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Base address of media; `welcome` names it, too.
    pub media: Option<String>,
}
