//! `box.toml` to a checked [`BoxConfig`].

use crate::said;
use std::path::{Path, PathBuf};

use chrono::{NaiveTime, Weekday};

use super::box_panel::{PanelConfig, panel};
use super::day_rules::WEEKDAYS;
use super::fields::{Fields, Reader, Value};
use super::files::{is_a_file, read_text};
use super::gpio_line::{GpioLine, command, gpio};
use super::problem::{Problem, Problems};
use super::shaping::{Shaping, shaping};
use crate::domain::ids::{BoxId, GroupId};
use crate::domain::policy::{Policy, Window};
use crate::domain::software::CHANNEL;
use crate::wire::broker_address::BrokerAddress;
use crate::wire::codec::LANGUAGES_MAX;
use crate::wire::signing::PublicKey;

/// The state directory of the settings that are shipped.
const STATE_DIR: &str = "/var/lib/loaxa";

/// Most bytes of a configuration file.
pub(super) const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The settings that a box is started with, from `box.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxConfig {
    pub id: BoxId,
    /// Groups of this box, the smallest first; central can change them.
    pub groups: Vec<GroupId>,
    /// BCP 47 tags; an item with versions sounds once in each of these that it has, in this order.
    pub languages: Vec<String>,
    pub state_dir: PathBuf,
    pub programmes: Vec<PathBuf>,
    pub sound: SoundConfig,
    pub amplifier: AmplifierConfig,
    /// Button, lights and status page.
    pub panel: PanelConfig,
    /// Text on stdin; `{language}` and `{out}`, the WAV to be written, are put in.
    pub speech: Vec<String>,
    /// Limits in force until a signed policy replaces them.
    pub guard: Policy,
    /// `None` for a box that plays on its own.
    pub central: Option<CentralLink>,
    /// `None` for a box that obeys nobody.
    pub trust: Option<TrustConfig>,
    pub rtc: Rtc,
    pub media: MediaConfig,
    /// The channel of releases that the box follows.
    pub channel: String,
}

/// `[sound]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundConfig {
    /// `alsa:NAME`, `wav:PATH`, `fifo:PATH` or `null`.
    pub output: String,
    pub volume_percent: u8,
    pub loudness_lufs: f32,
    /// ALSA name of the input that hears the loudspeakers.
    pub microphone: Option<String>,
    /// Delay of what sounds in time with other boxes, for the way of the sound to the listeners; negative for earlier.
    pub delay_ms: i32,
    pub shaping: Shaping,
}

/// `[amplifier]`; an empty command is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AmplifierConfig {
    pub on: Vec<String>,
    pub off: Vec<String>,
    /// Switch that is thrown before the command for on, and after the one for off.
    pub gpio: Option<GpioLine>,
    pub warm_up_ms: u32,
    pub off_delay_ms: u32,
}

/// `[media]`: audio that is fetched and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaConfig {
    /// Megabytes (10^6 bytes) in a calendar month; `None` for no limit.
    pub month_mb_max: Option<u32>,
    /// Daily window in local time for audio that can wait; `None` for any time.
    pub night: Option<(NaiveTime, NaiveTime)>,
    /// Megabytes on the disk.
    pub disk_mb_max: u32,
}

/// `[central]` of a box.
#[derive(Debug, Clone, PartialEq)]
pub struct CentralLink {
    pub broker: BrokerAddress,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub tls: TlsFiles,
    /// Base address of media, where central's own word is not to be waited for.
    pub media: Option<String>,
}

/// Certificates, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    pub ca: Option<PathBuf>,
    /// Certificate and key of one's own.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// `[trust]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustConfig {
    pub root: RootKey,
    /// A sealed trust document to start from.
    pub trust: Option<PathBuf>,
    /// The box's own secret key; made at the first start where it is absent.
    pub key: PathBuf,
}

/// The place of the pinned root key: in the file itself, or in one of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum RootKey {
    Written(PublicKey),
    File(PathBuf),
}

impl RootKey {
    /// Reads the key, from its file where it stands in one.
    ///
    /// # Errors
    /// Fails when the file of the key can't be read or holds no public key.
    pub fn read(&self) -> Result<PublicKey, Problems> {
        match self {
            RootKey::Written(key) => Ok(*key),
            RootKey::File(path) => {
                let file = path.display().to_string();
                let wrong = |said| Problem::of_file(&file, said);
                let text = read_text(path, CONFIG_BYTES_MAX).map_err(wrong)?;
                // Of `loaxa key new`: "public <base64>", or the base64 alone.
                let key = text.split_whitespace().find_map(|word| word.parse().ok());
                key.ok_or_else(|| wrong(said!("problem.holds_no_public_key")).into())
            }
        }
    }
}

/// The kind of the machine's clock: one that goes on without power, or one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rtc {
    Auto,
    Yes,
    No,
}

/// The treatment of files that a configuration names: sought, or left unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedFiles {
    MustExist,
    /// For a file that is meant for another machine.
    Unseen,
}

/// Reads `box.toml`.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn read(path: &Path, named: NamedFiles) -> Result<BoxConfig, Problems> {
    let file = path.display().to_string();
    let text = read_text(path, CONFIG_BYTES_MAX).map_err(|said| Problem::of_file(&file, said))?;
    parse(&text, &file, path.parent().unwrap_or(Path::new("")), named)
}

/// Reads the state directory of a `box.toml` whatever else is wrong with the file: a launcher must not stumble over
/// settings that only a newer release knows. Where the file names none, the directory is the one that is shipped.
pub fn state_dir(path: &Path) -> PathBuf {
    let text = read_text(path, CONFIG_BYTES_MAX).unwrap_or_default();
    let (_, table) = Reader::new("", &text);
    let head = table.as_ref().get("box").and_then(|value| value.get_ref().as_table());
    let named = head.and_then(|head| head.get("state_dir")?.get_ref().as_str());
    let base = path.parent().unwrap_or(Path::new(""));
    named.map_or_else(|| PathBuf::from(STATE_DIR), |named| base.join(named))
}

/// Reads the text of a `box.toml`; relative paths are seen from `base`.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn parse(text: &str, file: &str, base: &Path, named: NamedFiles) -> Result<BoxConfig, Problems> {
    let (reader, table) = Reader::new(file, text);
    let mut root = reader.root(&table);
    let paths = Paths { base, named };
    let config = box_config(&mut root, &paths);
    root.finish();
    match config {
        Some(config) if reader.is_clean() => Ok(config),
        _ => Err(reader.into_problems()),
    }
}

/// The base of relative paths in a configuration, and the treatment of the files behind them.
pub(super) struct Paths<'p> {
    pub base: &'p Path,
    pub named: NamedFiles,
}

impl Paths<'_> {
    /// Reads a path of something that is made when it is absent.
    pub fn path(&self, value: &Value<'_>) -> Option<PathBuf> {
        Some(self.base.join(value.words()?))
    }

    /// Reads a path of a file that must be there.
    pub fn existing(&self, value: &Value<'_>) -> Option<PathBuf> {
        let path = self.path(value)?;
        if self.named == NamedFiles::Unseen {
            return Some(path);
        }
        let found = path.metadata().map_err(|_| said!("problem.no_file", path = path.display()));
        let named = |wrong| said!("problem.of_named_file", path = path.display(), wrong);
        match found.and_then(|found| is_a_file(&found).map_err(named)) {
            Ok(()) => Some(path),
            Err(said) => {
                value.problem(said);
                None
            }
        }
    }

    /// Reads `ca`, `cert` and `key`.
    pub fn tls(&self, fields: &mut Fields<'_>, tls: bool) -> TlsFiles {
        let (ca, cert, key) = (fields.get("ca"), fields.get("cert"), fields.get("key"));
        for value in [&ca, &cert, &key].into_iter().flatten() {
            if !tls {
                value.problem(said!("problem.no_tls"));
            }
        }
        if let (Some(lonely), None) | (None, Some(lonely)) = (&cert, &key) {
            lonely.problem(said!("problem.cert_and_key"));
        }
        let existing = |value: Option<Value<'_>>| value.and_then(|value| self.existing(&value));
        TlsFiles { ca: existing(ca), identity: existing(cert).zip(existing(key)) }
    }
}

fn box_config(root: &mut Fields<'_>, paths: &Paths<'_>) -> Option<BoxConfig> {
    let mut head = root.need("box")?.table()?;
    let id = head.need("id").and_then(|value| value.parse());
    let groups = names(&mut head, "groups");
    if groups.is_empty() {
        head.problem(said!("problem.no_groups"));
    }
    let languages = head.get("languages").map(|value| value.list());
    let languages: Option<Vec<_>> = languages.map_or(Some(vec!["vi".to_owned()]), |values| {
        values.iter().map(super::sound_fields::language).collect()
    });
    if languages.as_ref().is_some_and(|languages| languages.len() > LANGUAGES_MAX) {
        head.problem(said!("problem.languages", most = LANGUAGES_MAX));
    }
    let state_dir = head.need("state_dir").and_then(|value| paths.path(&value));
    head.finish();
    let mut programme = root.section("programme");
    let files = programme.get("files").map(|value| value.list()).unwrap_or_default();
    let programmes = files.iter().filter_map(|value| paths.existing(value)).collect();
    programme.finish();
    let sound = sound(root.section("sound"));
    let amplifier = amplifier(root.section("amplifier"));
    let panel = panel(root, paths.base);
    let speech = speech(root.section("speech"));
    let guard = guard(root.section("guard"));
    let central = root.get("central").map(|value| link(value.table()?, paths));
    let trust = root.get("trust").map(|value| trust(value.table()?, paths));
    let mut clock = root.section("clock");
    let rtc = clock.get("rtc").map_or(Some(Rtc::Auto), |value| {
        value.choice(&[("auto", Rtc::Auto), ("yes", Rtc::Yes), ("no", Rtc::No)])
    });
    clock.finish();
    let media = media(root.section("media"));
    let mut software = root.section("software");
    let channel =
        software.get("channel").map_or(Some(CHANNEL.to_owned()), |value| value.text().map(str::to_owned));
    software.finish();
    Some(BoxConfig {
        id: id?,
        groups,
        languages: languages?,
        state_dir: state_dir?,
        programmes,
        sound: sound?,
        amplifier: amplifier?,
        panel: panel?,
        speech: speech?,
        guard: guard?,
        central: absent_or(central)?,
        trust: absent_or(trust)?,
        rtc: rtc?,
        media: media?,
        channel: channel?,
    })
}

/// Turns a value that may be absent, but must be right where it is there, inside out.
pub(super) fn absent_or<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    match found {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

/// Reads a list of names, none twice.
pub(super) fn names(fields: &mut Fields<'_>, key: &'static str) -> Vec<GroupId> {
    let mut names: Vec<GroupId> = Vec::new();
    for value in fields.get(key).map(|value| value.list()).unwrap_or_default() {
        match value.parse::<GroupId>() {
            Some(name) if names.contains(&name) => value.problem(said!("problem.name_twice", name)),
            name => names.extend(name),
        }
    }
    names
}

fn sound(mut fields: Fields<'_>) -> Option<SoundConfig> {
    let output = fields.get("output").map_or(Some("alsa:default"), |value| {
        let output = value.words()?;
        let known = output == "null"
            || ["alsa:", "wav:", "fifo:"]
                .iter()
                .any(|kind| output.len() > kind.len() && output.starts_with(kind));
        if !known {
            value.problem(said!("problem.no_output", output = output.escape_debug()));
        }
        Some(output)
    });
    let volume = fields.get("volume_percent").map_or(Some(80), |value| value.integer(0..=100));
    // EBU R128 asks for -23; speech on horn loudspeakers is set louder.
    let loudness = fields.get("loudness_lufs").map_or(Some(-18.0), |value| value.number(-40.0..=-8.0));
    let microphone = fields.get("microphone").map(|value| {
        let name = value.words()?.strip_prefix("alsa:").filter(|name| !name.is_empty());
        if name.is_none() {
            value.problem(said!("problem.no_input"));
        }
        name.map(str::to_owned)
    });
    let delay = fields.get("delay_ms").map_or(Some(0), |value| value.integer(-500..=500));
    let shaping = shaping(&mut fields, loudness.unwrap_or(-18.0));
    fields.finish();
    Some(SoundConfig {
        output: output?.to_owned(),
        volume_percent: volume?,
        loudness_lufs: loudness?,
        microphone: absent_or(microphone)?,
        delay_ms: delay?,
        shaping: shaping?,
    })
}

fn amplifier(mut fields: Fields<'_>) -> Option<AmplifierConfig> {
    let on = fields.get("on").map_or(Some(Vec::new()), |value| command(&value));
    let off = fields.get("off").map_or(Some(Vec::new()), |value| command(&value));
    let warm_up = fields.get("warm_up_ms").map_or(Some(0), |value| value.integer(0..=30_000));
    let off_delay = fields.get("off_delay_ms").map_or(Some(2_000), |value| value.integer(0..=600_000));
    let (on, off) = (on?, off?);
    if on.is_empty() != off.is_empty() {
        fields.problem(said!("problem.on_and_off"));
    }
    let gpio = gpio(&mut fields);
    fields.finish();
    Some(AmplifierConfig { on, off, gpio: gpio?, warm_up_ms: warm_up?, off_delay_ms: off_delay? })
}

/// Reads `[speech]` of a box or of central.
pub(super) fn speech(mut fields: Fields<'_>) -> Option<Vec<String>> {
    let value = fields.get("command");
    fields.finish();
    let Some(value) = value else {
        return Some(["espeak-ng", "-v", "{language}", "-w", "{out}"].map(str::to_owned).to_vec());
    };
    let command = command(&value)?;
    if !command.is_empty() && !command.iter().any(|part| part.contains("{out}")) {
        value.problem(said!("problem.no_out", out = "{out}"));
    }
    Some(command)
}

/// Reads limits from a file of their own: the keys of `[guard]`, and `version`, 0 where there is none.
///
/// # Errors
/// Lists all that is wrong with the file.
pub fn read_policy(path: &Path) -> Result<Policy, Problems> {
    let file = path.display().to_string();
    let text = read_text(path, CONFIG_BYTES_MAX).map_err(|said| Problem::of_file(&file, said))?;
    let (reader, table) = Reader::new(&file, &text);
    let mut root = reader.root(&table);
    let version = root.get("version").map_or(Some(0), |value| value.integer(1..=u32::MAX));
    match guard(root).zip(version) {
        Some((policy, version)) if reader.is_clean() => Ok(Policy { version, ..policy }),
        _ => Err(reader.into_problems()),
    }
}

fn guard(mut fields: Fields<'_>) -> Option<Policy> {
    let usual = Policy::default();
    let allowed = match fields.get("allowed") {
        Some(value) => value.list().iter().map(|value| window(value.table()?)).collect(),
        None => Some(usual.allowed),
    };
    let weekdays = fields.get("rest_weekdays").map(|value| value.list()).unwrap_or_default();
    let rest_weekdays: Option<Vec<Weekday>> = weekdays.iter().map(|value| value.choice(&WEEKDAYS)).collect();
    let dates = fields.get("rest_dates").map(|value| value.list()).unwrap_or_default();
    let rest_dates: Option<Vec<_>> = dates.iter().map(Value::date).collect();
    let mut minutes = |key, usual| fields.get(key).map_or(Some(usual), |value| value.integer(1..=1_440));
    let session = minutes("session_minutes_max", usual.session_minutes_max);
    let day = minutes("day_minutes_max", usual.day_minutes_max);
    let mut percent = |key, usual| fields.get(key).map_or(Some(usual), |value| value.integer(0..=100));
    let by_day = percent("volume_day_percent_max", usual.volume_day_percent_max);
    let by_night = percent("volume_night_percent_max", usual.volume_night_percent_max);
    let zone = percent("volume_zone_percent_max", usual.volume_zone_percent_max);
    fields.finish();
    Some(Policy {
        version: usual.version,
        allowed: allowed?,
        rest_weekdays: rest_weekdays?,
        rest_dates: rest_dates?,
        session_minutes_max: session?,
        day_minutes_max: day?,
        volume_day_percent_max: by_day?,
        volume_night_percent_max: by_night?,
        volume_zone_percent_max: zone?,
    })
}

fn media(mut fields: Fields<'_>) -> Option<MediaConfig> {
    // Two hours of speech a day at 64 kbit/s are 1.7 GB a month; prepaid 4G plans begin at 3 GB.
    let month = fields.get("month_mb_max").map_or(Some(3_000), |value| value.integer(0..=1_000_000));
    let disk = fields.get("disk_mb_max").map_or(Some(2_000), |value| value.integer(10..=1_000_000));
    let at = |hour, minute| NaiveTime::from_hms_opt(hour, minute, 0).expect("an hour of the day");
    let night = match fields.get("night") {
        None => Some(Some((at(23, 0), at(4, 30)))),
        Some(value) if value.is_text() => value.choice(&[("any", None)]),
        Some(value) => night(&value),
    };
    fields.finish();
    Some(MediaConfig { month_mb_max: Some(month?).filter(|mb| *mb > 0), night: night?, disk_mb_max: disk? })
}

fn night(value: &Value<'_>) -> Option<Option<(NaiveTime, NaiveTime)>> {
    let mut fields = value.table()?;
    let (from, until) = (fields.need("from"), fields.need("until"));
    fields.finish();
    let (from, until) = (from?.time()?, until?.time()?);
    if from == until {
        value.problem(said!("problem.empty_night"));
    }
    Some(Some((from, until)))
}

fn window(mut fields: Fields<'_>) -> Option<Window> {
    let days = fields.get("days").map(|value| value.list()).unwrap_or_default();
    let days: Option<Vec<Weekday>> = days.iter().map(|value| value.choice(&WEEKDAYS)).collect();
    let from: Option<NaiveTime> = fields.need("from").and_then(|value| value.time());
    let until_value = fields.need("until");
    let until = until_value.as_ref().and_then(Value::end_time);
    fields.finish();
    let window = Window { days: days?, from: from?, until: until? };
    if window.until <= window.from {
        until_value?.problem(said!("problem.backward_hours"));
    }
    Some(window)
}

fn link(mut fields: Fields<'_>, paths: &Paths<'_>) -> Option<CentralLink> {
    let broker: Option<BrokerAddress> = fields.need("broker").and_then(|value| value.parse());
    let username = fields.get("username").and_then(|value| Some(value.words()?.to_owned()));
    let password_file = fields.get("password_file").and_then(|value| paths.existing(&value));
    let tls = paths.tls(&mut fields, broker.as_ref().is_none_or(|broker| broker.tls));
    let media = fields.get("media").and_then(|value| web_address(&value));
    fields.finish();
    Some(CentralLink { broker: broker?, username, password_file, tls, media })
}

/// Reads an address of the web that ends with a slash.
pub(super) fn web_address(value: &Value<'_>) -> Option<String> {
    let address = value.words()?;
    if !(address.starts_with("http://") || address.starts_with("https://")) {
        value.problem(said!("problem.no_web_address", address = address.escape_debug()));
        return None;
    }
    Some(format!("{}/", address.trim_end_matches('/')))
}

fn trust(mut fields: Fields<'_>, paths: &Paths<'_>) -> Option<TrustConfig> {
    let root = fields.need("root").and_then(|value| root_key(&value, paths));
    let trust = fields.get("trust").and_then(|value| paths.existing(&value));
    let key = fields.need("key").and_then(|value| paths.path(&value));
    fields.finish();
    Some(TrustConfig { root: root?, trust, key: key? })
}

pub(super) fn root_key(value: &Value<'_>, paths: &Paths<'_>) -> Option<RootKey> {
    let text = value.words()?;
    if let Ok(key) = text.parse() {
        return Some(RootKey::Written(key));
    }
    // Base64 has no dot, and is not as short as a file's name.
    if text.contains('.') || text.starts_with('/') {
        return paths.existing(value).map(RootKey::File);
    }
    value.problem(said!("problem.no_public_key"));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_launcher_finds_the_state_directory_beside_what_it_does_not_know() {
        let dir = std::env::temp_dir().join(format!("loaxa-state-dir-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("box.toml");
        let check = |text: &str, expected: PathBuf| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(state_dir(&path), expected, "{text}");
        };
        check("[box]\nid = 7\nstate_dir = 'state'\ncolour = 'red'\n[future]\nx = 1\n", dir.join("state"));
        check("[box]\nstate_dir = '/data'\n[sound\n", PathBuf::from("/data"));
        check("state_dir = 'x'\n", PathBuf::from(STATE_DIR));
        check("[box]\nstate_dir = 7\n", PathBuf::from(STATE_DIR));
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(state_dir(&path), PathBuf::from(STATE_DIR));
    }

    fn read(text: &str) -> Result<BoxConfig, Problems> {
        parse(text, "box.toml", Path::new("/etc/loaxa"), NamedFiles::Unseen)
    }

    const HEAD: &str = "[box]\nid = 'thon-1'\ngroups = ['thon-1', 'xa']\nstate_dir = 'state'\n";

    fn check_bad(rest: &str, line: usize, says: &str) {
        let Problems(problems) = read(&format!("{HEAD}{rest}")).expect_err("a problem");
        assert_eq!(problems.len(), 1, "{}", Problems(problems.clone()));
        let shown = problems[0].to_string();
        assert!(problems[0].line == line && shown.contains(says), "{shown}");
    }

    #[test]
    fn little_is_needed() {
        let config = read(HEAD).unwrap();
        assert_eq!(config.guard, Policy::default());
        assert_eq!(config.state_dir, Path::new("/etc/loaxa/state"));
        assert_eq!((config.central, config.trust), (None, None));
        assert_eq!(config.sound.output, "alsa:default");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_bad("[sound]\noutput = 'jack'", 6, "alsa:NAME");
        check_bad("[sound]\nmicrophone = 'hw:1'", 6, "alsa:NAME");
        check_bad("[amplifier]\ngpio = '17'", 6, "CHIP:LINE");
        check_bad("[amplifier]\ngpio = 'gpiochip0:x'", 6, "CHIP:LINE");
        check_bad("[sound]\nloudspeaker = 'tin'", 6, "horn");
        check_bad("[sound]\nnight = { loudness_lufs = -9 }", 6, "at most loudness_lufs");
        check_bad("[sound]\nnight = { loudnes = -9 }", 6, "loudness_lufs");
        check_bad("[guard]\nallowed = [{ from = '04:45', until = '25:00' }]", 6, "25:00");
        check_bad("[guard]\nallowed = [{ from = '05:00', until = '04:45' }]", 6, "ends before it begins");
        check_bad("[guard]\nrest_weekdays = ['sunday']", 6, "mon, tue");
        check_bad("[central]\nbroker = 'http://a'", 6, "mqtt://");
        check_bad("[central]\nbroker = 'mqtt://a'\nca = 'a.pem'", 7, "without TLS");
        check_bad("[central]\nbroker = 'mqtts://a'\ncert = 'a.pem'", 7, "cert and key belong together");
        check_bad("[trust]\nroot = 'abc'\nkey = 'k'", 6, "no public key");
        check_bad("[speech]\ncommand = ['say']", 6, "{out}");
        check_bad("[amplifier]\non = 'a b'", 5, "both commands or none");
        check_bad("[clock]\nrtc = true", 6, "a boolean where a text is expected");
        check_bad("[media]\nmonth_mb_max = -1", 6, "0 to 1000000");
        check_bad("[media]\ndisk_mb_max = 1", 6, "10 to 1000000");
        check_bad("[media]\nnight = 'never'", 6, "one of: any");
        check_bad("[media]\nnight = { from = '23:00', until = '23:00' }", 6, "night = \"any\"");
        check_bad("[media]\nnight = { from = '23:00' }", 6, "media.night.until: is missing");
        check_bad("[gaurd]\n", 5, "did you mean \"guard\"?");
    }

    #[test]
    fn named_files_are_looked_for_on_the_machine_itself() {
        let text = format!("{HEAD}[programme]\nfiles = ['none.toml']\n");
        let problems = parse(&text, "box.toml", Path::new("/nowhere"), NamedFiles::MustExist).unwrap_err();
        assert!(
            problems.to_string().contains("box.toml:6: programme.files: there is no file /nowhere/none.toml")
        );
    }

    #[test]
    fn the_shipped_file_is_right() {
        let text = include_str!("../../../firmware-config/box.toml");
        let config = read(text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((config.guard, config.media), (Policy::default(), read(HEAD).unwrap().media));
        assert!(config.central.is_some_and(|central| central.tls.identity.is_some()));
    }
}
