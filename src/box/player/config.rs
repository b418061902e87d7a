//! Settings of the player.

use std::path::PathBuf;

use loaxa_adapters::authorities::Authorities;
use loaxa_heart::config::box_file::AmplifierConfig;
use loaxa_heart::config::shaping::Shaping;
use loaxa_sound::output::sink::SinkSpec;
use loaxa_sound::tts::Speech;

/// Settings of the player.
#[derive(Debug, Clone)]
pub struct PlayerConfig {
    pub sink: SinkSpec,
    /// Files named by path are found here, unless the path is absolute.
    pub programme_dir: PathBuf,
    /// Files named by hash are found here, as `ab/ab12...`.
    pub media_dir: PathBuf,
    /// Measured loudness is kept here.
    pub state_dir: PathBuf,
    pub speech: Speech,
    /// Level in LUFS that files are brought to; `None` leaves them as they are.
    pub target_lufs: Option<f32>,
    pub shaping: Shaping,
    pub amplifier: AmplifierConfig,
    /// ALSA name of the microphone, where there is one.
    pub microphone: Option<String>,
    /// Authorities that central's server is checked against.
    pub ca: Option<Authorities>,
    /// Plays that keep to the shared clock sound this much later, or earlier where negative.
    pub delay_ms: i32,
}
