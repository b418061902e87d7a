//! Messages to bytes and back. Everything that arrives is hostile until it was checked here.
//!
//! Unknown fields are passed over, so that a newer sender is understood; what must not be passed over is named in
//! [`Command::critical`].

use crate::said;
use crate::texts::Sentence;
use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::envelope::{self, Kind, malformed};
use super::messages::{
    BATCH_RECORDS_MAX, Body, Command, Heartbeat, Hello, LogAck, LogBatch, LogHead, Lost, MESSAGE_BYTES_MAX,
    Signed, TrustMessage, VERSION, Welcome,
};
use super::signing::{PublicKey, SecretKey};
use crate::domain::announcement::{Media, PlayPlan, PreparedItem, Repeats};
use crate::domain::authority::{Trust, count_people};
use crate::domain::ids::KeyId;
use crate::domain::local_emergency::LocalEmergency;
use crate::domain::playback::CommandRefusal;
use crate::domain::software::{Software, UpgradeTold};
use crate::domain::sound::Pattern;
use crate::domain::time::{Span, Wall};

/// Most groups that one command names.
pub const GROUPS_MAX: usize = 256;
/// Most names in `critical`.
pub const CRITICAL_MAX: usize = 32;
/// Longest title, author, approver, holder and software name, in bytes.
pub const LINE_BYTES_MAX: usize = 512;
/// Longest text to be spoken, in bytes: half an hour of Vietnamese speech.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Longest address, path or identifier from elsewhere, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Most audio files that a programme brings.
pub const PROGRAMME_MEDIA_MAX: usize = 1_024;
/// Most prepared messages in one list.
pub const PREPARED_ITEMS_MAX: usize = 64;
/// Most audio of all prepared messages together, in bytes: 64 messages of 90 s at 192 kbit/s, and as much again.
pub const PREPARED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Most architectures for which a release is built.
pub const BUILDS_MAX: usize = 16;
/// Largest program of a release, in bytes: four times what it is today.
pub const SOFTWARE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest audio file, in bytes: six hours at 192 kbit/s.
pub const MEDIA_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Most boxes in one `groups` command; a province sends several.
pub const MEMBERS_MAX: usize = 8_192;
/// Most groups that one box is in.
pub const GROUPS_OF_BOX_MAX: usize = 32;
/// Most tones in a siren pattern.
pub const TONES_MAX: usize = 64;
/// Longest siren pattern with its repeats.
pub const PATTERN_LENGTH_MAX: Span = Span::secs(1_800);
/// Longest silence between repetitions: a day.
pub const GAP_S_MAX: u32 = 86_400;
/// Most keys in a trust document.
pub const GRANTS_MAX: usize = 512;
/// Most groups in a trust document's nesting.
pub const NESTING_GROUPS_MAX: usize = 4_096;
/// Largest body of a log record, in bytes.
pub const LOG_BODY_BYTES_MAX: usize = 32 * 1024;
/// Largest envelope of a log head, in bytes.
pub const HEAD_BYTES_MAX: usize = 2_048;
/// Longest nonce of a hello, in bytes.
pub const NONCE_BYTES_MAX: usize = 64;
/// Most faults in a heartbeat.
pub const FAULTS_MAX: usize = 32;
/// Languages of a village.
pub const LANGUAGES_MAX: usize = 16;

/// Field names that this version understands, for [`Command::critical`].
pub const FIELDS_UNDERSTOOD: &[&str] = &[
    "allow_downgrade",
    "allowed",
    "approver",
    "at",
    "author",
    "body",
    "builds",
    "bytes",
    "cap",
    "channel",
    "class",
    "codec",
    "confirm_s",
    "critical",
    "day_minutes_max",
    "days",
    "expires",
    "from",
    "from_hz",
    "gap_ms",
    "gap_s",
    "groups",
    "id",
    "interruption",
    "issued_at",
    "issuer",
    "items",
    "kind",
    "language",
    "media",
    "members",
    "minutes_max",
    "mode",
    "ms",
    "not_before",
    "of",
    "open",
    "opening",
    "order",
    "path",
    "paused",
    "plan",
    "programme",
    "release",
    "repeats",
    "rest_dates",
    "rest_weekdays",
    "retry",
    "serial",
    "session",
    "session_minutes_max",
    "sha256",
    "silent_s",
    "siren",
    "supersedes",
    "text",
    "title",
    "to_hz",
    "toml",
    "tones",
    "until",
    "url",
    "version",
    "volume_day_percent_max",
    "volume_night_percent_max",
    "volume_percent",
    "volume_zone_percent_max",
    "window",
    "with_contact",
    "words",
];

/// A message of the protocol.
pub trait Message: Serialize + DeserializeOwned {
    /// Checks bounds and sense of a message of this version.
    ///
    /// # Errors
    /// Says what is out of bounds.
    fn check(&self) -> Result<(), CommandRefusal>;
}

/// A message that travels in an envelope.
pub trait Sealed: Message {
    /// The kind that the envelope of this message names.
    const KIND: Kind;
}

/// Writes a message as bytes.
pub fn encode<M: Message>(message: &M) -> Vec<u8> {
    serde_json::to_vec(message).expect("messages are JSON: their map keys are names")
}

/// Reads and checks a message that stands alone, without a signature.
///
/// # Errors
/// Fails when the message is too large, of another version, or out of bounds.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, CommandRefusal> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(CommandRefusal::TooLarge { max: MESSAGE_BYTES_MAX as u64 });
    }
    let unreadable = |error: serde_json::Error| malformed(error.to_string());
    let OfVersion { v } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if v != VERSION {
        return Err(CommandRefusal::UnknownVersion { version: v });
    }
    let message: M = serde_json::from_slice(bytes).map_err(unreadable)?;
    message.check()?;
    Ok(message)
}

#[derive(Deserialize)]
struct OfVersion {
    v: u32,
}

/// Signs a message with each of `keys`.
pub fn seal<M: Sealed>(message: &M, keys: &[&SecretKey]) -> Vec<u8> {
    envelope::seal(M::KIND, &encode(message), keys)
}

/// Opens an envelope and reads the message in it.
///
/// # Errors
/// Fails as [`envelope::open`] and [`decode`] do.
pub fn open<M: Sealed>(
    bytes: &[u8],
    keys: &impl Fn(&KeyId) -> Option<PublicKey>,
) -> Result<Signed<M>, CommandRefusal> {
    let signed = envelope::open(M::KIND, bytes, keys)?;
    let payload = decode(&signed.payload)?;
    Ok(Signed { signers: signed.signers, digest: signed.digest, payload })
}

/// Opens a command. Authority, target, serial and time are judged by the box's inbox.
///
/// # Errors
/// Fails as [`open`] does; and when the issuer, whose serial the command carries, has not signed.
pub fn open_command(
    bytes: &[u8],
    keys: &impl Fn(&KeyId) -> Option<PublicKey>,
) -> Result<Signed<Command>, CommandRefusal> {
    let signed = envelope::open(Kind::Command, bytes, keys)?;
    let command: Command = decode(&signed.payload)?;
    if !signed.signers.contains(&command.issuer) {
        let detail = said!("detail.issuer");
        return Err(CommandRefusal::NotAllowed { key: command.issuer, detail });
    }
    Ok(Signed { signers: signed.signers, digest: signed.digest, payload: command })
}

fn impossible(detail: Sentence) -> CommandRefusal {
    CommandRefusal::Impossible { detail }
}

pub(super) fn at_most(what: &str, found: usize, max: usize) -> Result<(), CommandRefusal> {
    if found > max { Err(malformed(format!("{what}: {found}, at most {max}"))) } else { Ok(()) }
}

pub(super) fn line(what: &str, text: &str) -> Result<(), CommandRefusal> {
    at_most(what, text.len(), LINE_BYTES_MAX)?;
    if text.chars().any(char::is_control) {
        Err(malformed(format!("{what} holds control characters")))
    } else {
        Ok(())
    }
}

fn http_address(what: &str, url: &str) -> Result<(), CommandRefusal> {
    at_most(what, url.len(), URL_BYTES_MAX)?;
    let http = url.starts_with("http://") || url.starts_with("https://");
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if http && plain { Ok(()) } else { Err(malformed(format!("{what} is no http address"))) }
}

impl Message for Command {
    fn check(&self) -> Result<(), CommandRefusal> {
        at_most("groups", self.groups.len(), GROUPS_MAX)?;
        at_most("critical", self.critical.len(), CRITICAL_MAX)?;
        if let Some(name) = self.critical.iter().find(|name| !FIELDS_UNDERSTOOD.contains(&name.as_str())) {
            return Err(malformed(format!("the critical field {name:?} is not understood")));
        }
        line("author", &self.author)?;
        self.approver.iter().try_for_each(|approver| line("approver", approver))?;
        let days = Wall(0)..=Wall::MAX;
        if ![self.issued_at, self.not_before, self.expires].iter().all(|wall| days.contains(wall)) {
            return Err(impossible(said!("detail.times")));
        }
        if self.not_before >= self.expires {
            return Err(impossible(said!("detail.backward")));
        }
        self.body.check()
    }
}

impl Sealed for Command {
    const KIND: Kind = Kind::Command;
}

impl Body {
    fn check(&self) -> Result<(), CommandRefusal> {
        match self {
            Body::Announce { title, plan, media, words, cap, .. } => {
                line("title", title)?;
                check_plan(plan)?;
                media.iter().try_for_each(check_media)?;
                if let Some(words) = words {
                    at_most("text", words.text.len(), TEXT_BYTES_MAX)?;
                    line("language", &words.language)?;
                }
                at_most("cap", cap.as_ref().map_or(0, String::len), URL_BYTES_MAX)
            }
            Body::Programme { media, .. } => {
                at_most("media", media.len(), PROGRAMME_MEDIA_MAX)?;
                media.iter().try_for_each(|(path, media)| {
                    at_most("path of media", path.len(), URL_BYTES_MAX)?;
                    check_media(media)
                })
            }
            Body::Policy(policy) => {
                at_most("allowed", policy.allowed.len(), LISTED_IN_POLICY_MAX)?;
                at_most("rest_dates", policy.rest_dates.len(), LISTED_IN_POLICY_MAX)?;
                match policy.allowed.iter().find(|window| window.from >= window.until) {
                    Some(window) => {
                        Err(impossible(said!("detail.window", from = window.from, until = window.until)))
                    }
                    None => Ok(()),
                }
            }
            Body::Groups { members, .. } => {
                at_most("members", members.len(), MEMBERS_MAX)?;
                members
                    .values()
                    .try_for_each(|groups| at_most("groups of a box", groups.len(), GROUPS_OF_BOX_MAX))
            }
            Body::Prepared { items, .. } => check_prepared(items),
            Body::Software(software) => check_software(software),
            Body::LocalEmergency { order, .. } => order.as_ref().map_or(Ok(()), check_local),
            Body::Live { voice, url, .. } => {
                line("session", voice)?;
                http_address("url", url)
            }
            Body::Cancel { .. } | Body::Test => Ok(()),
        }
    }
}

/// Longest silence of the centre that a standing order may ask for.
pub const SILENT_S_MAX: u32 = 86_400;

/// Bounds of the time between the two presses: a person runs to no button twice in a second.
pub const CONFIRM_S: std::ops::RangeInclusive<u32> = 3..=60;

/// Longest time that one release of a local emergency may sound.
pub const LOCAL_MINUTES_MAX: u32 = 240;

fn check_local(order: &LocalEmergency) -> Result<(), CommandRefusal> {
    line("title", &order.title)?;
    check_plan(&order.plan)?;
    order.media.iter().try_for_each(check_media)?;
    if let Some(words) = &order.words {
        at_most("text", words.text.len(), TEXT_BYTES_MAX)?;
        line("language", &words.language)?;
    }
    let bounded = order.silent_s <= SILENT_S_MAX
        && CONFIRM_S.contains(&order.confirm_s)
        && (1..=LOCAL_MINUTES_MAX).contains(&order.minutes_max);
    if order.plan.at.is_some() || !bounded {
        return Err(impossible(said!("detail.local_bounds")));
    }
    Ok(())
}

/// Most windows and most rest days in a policy.
const LISTED_IN_POLICY_MAX: usize = 400;

fn check_prepared(items: &[PreparedItem]) -> Result<(), CommandRefusal> {
    at_most("items", items.len(), PREPARED_ITEMS_MAX)?;
    let mut seen = BTreeSet::new();
    for PreparedItem { id, title, language, media, siren } in items {
        line("title", title)?;
        line("language", language)?;
        check_media(media)?;
        siren.iter().try_for_each(check_pattern)?;
        if !seen.insert(id) {
            return Err(impossible(said!("detail.prepared_twice", id)));
        }
    }
    let bytes: u64 = items.iter().map(|item| item.media.bytes).sum();
    if bytes > PREPARED_BYTES_MAX {
        return Err(impossible(said!("detail.prepared_large", bytes, max = PREPARED_BYTES_MAX)));
    }
    Ok(())
}

/// Checks the bounds of an order to run a release.
///
/// # Errors
/// Says what is out of bounds.
pub fn check_software(software: &Software) -> Result<(), CommandRefusal> {
    line("channel", &software.channel)?;
    at_most("builds", software.builds.len(), BUILDS_MAX)?;
    for (architecture, build) in &software.builds {
        line("architecture", architecture)?;
        if build.bytes == 0 || build.bytes > SOFTWARE_BYTES_MAX {
            let max = SOFTWARE_BYTES_MAX;
            return Err(impossible(said!("detail.software_size", bytes = build.bytes, max)));
        }
    }
    Ok(())
}

fn check_upgrade(upgrade: Option<&UpgradeTold>) -> Result<(), CommandRefusal> {
    upgrade.and_then(|told| told.why.as_ref()).map_or(Ok(()), |why| line("why", why))
}

fn check_plan(plan: &PlayPlan) -> Result<(), CommandRefusal> {
    plan.opening.iter().try_for_each(check_pattern)?;
    if plan.repeats == Repeats::Times(0) {
        return Err(impossible(said!("detail.never")));
    }
    if plan.gap_s > GAP_S_MAX {
        return Err(impossible(said!("detail.gap")));
    }
    if plan.volume_percent > 100 { Err(impossible(said!("detail.volume"))) } else { Ok(()) }
}

fn check_pattern(pattern: &Pattern) -> Result<(), CommandRefusal> {
    at_most("tones", pattern.tones.len(), TONES_MAX)?;
    let audible = |hz: f32| (20.0..=20_000.0).contains(&hz);
    if !pattern.tones.iter().all(|tone| audible(tone.from_hz) && audible(tone.to_hz)) {
        return Err(impossible(said!("detail.tone")));
    }
    if pattern.length() > PATTERN_LENGTH_MAX {
        return Err(impossible(said!("detail.siren")));
    }
    Ok(())
}

fn check_media(media: &Media) -> Result<(), CommandRefusal> {
    line("codec", &media.codec)?;
    at_most("path", media.path.len(), URL_BYTES_MAX)?;
    let plain = |level: &str| !level.is_empty() && level != "." && level != "..";
    let graphic = media.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b':');
    if !graphic || !media.path.split('/').all(plain) {
        return Err(malformed("the path of the media is not relative"));
    }
    if media.bytes > MEDIA_BYTES_MAX {
        return Err(impossible(said!("detail.audio", bytes = media.bytes, max = MEDIA_BYTES_MAX)));
    }
    Ok(())
}

impl Message for TrustMessage {
    fn check(&self) -> Result<(), CommandRefusal> {
        check_trust(&self.trust)
    }
}

impl Sealed for TrustMessage {
    const KIND: Kind = Kind::Trust;
}

/// Checks that a trust document makes sense.
///
/// # Errors Fails when the document is out of bounds, a key stands in it twice or under another's id, or more people
/// must sign than can.
pub fn check_trust(trust: &Trust) -> Result<(), CommandRefusal> {
    at_most("grants", trust.grants.len(), GRANTS_MAX)?;
    at_most("nesting", trust.nesting.len(), NESTING_GROUPS_MAX)?;
    let mut seen = BTreeSet::new();
    for grant in &trust.grants {
        line("holder", &grant.holder)?;
        at_most("groups", grant.groups.len(), GROUPS_MAX)?;
        let public: PublicKey = grant
            .public
            .parse()
            .map_err(|error| impossible(said!("detail.bad_key", key = grant.key, error)))?;
        if public.key_id() != grant.key {
            return Err(impossible(said!("detail.other_id", key = grant.key, id = public.key_id())));
        }
        if !seen.insert(&grant.key) {
            return Err(impossible(said!("detail.key_twice", key = grant.key)));
        }
    }
    let mut powers = BTreeSet::new();
    for threshold in &trust.thresholds {
        if !powers.insert(threshold.power) {
            return Err(impossible(said!("detail.two_thresholds", power = format!("{:?}", threshold.power))));
        }
        let granted = trust.grants.iter().filter(|grant| grant.powers.contains(&threshold.power));
        let people = count_people(granted);
        let needed = threshold.signatures as usize;
        if needed == 0 || needed > envelope::SIGNATURES_MAX || (people > 0 && people < needed) {
            let power = format!("{:?}", threshold.power);
            return Err(impossible(said!("detail.too_few_people", power, needed, can = people)));
        }
    }
    Ok(())
}

impl Message for Welcome {
    fn check(&self) -> Result<(), CommandRefusal> {
        at_most("nonce", self.nonce.len(), NONCE_BYTES_MAX)?;
        http_address("media_base", &self.media_base)?;
        if (Wall(0)..=Wall::MAX).contains(&self.time) {
            Ok(())
        } else {
            Err(impossible(said!("detail.no_time")))
        }
    }
}

impl Sealed for Welcome {
    const KIND: Kind = Kind::Welcome;
}

impl Message for Hello {
    fn check(&self) -> Result<(), CommandRefusal> {
        line("software", &self.software)?;
        at_most("languages", self.languages.len(), LANGUAGES_MAX)?;
        self.languages.iter().try_for_each(|tag| line("language", tag))?;
        self.key.iter().try_for_each(|key| line("key", key))?;
        check_upgrade(self.upgrade.as_ref())?;
        at_most("nonce", self.nonce.len(), NONCE_BYTES_MAX)?;
        at_most("programmes", self.holds.programmes.len(), GROUPS_MAX)
    }
}

impl Message for Heartbeat {
    fn check(&self) -> Result<(), CommandRefusal> {
        at_most("programmes", self.holds.as_ref().map_or(0, |holds| holds.programmes.len()), GROUPS_MAX)?;
        at_most("held", self.held.as_ref().map_or(0, String::len), LINE_BYTES_MAX)?;
        at_most("faults", self.faults.len(), FAULTS_MAX)?;
        self.faults.iter().try_for_each(|fault| line("fault", fault))?;
        check_upgrade(self.upgrade.as_ref())?;
        self.on_air.iter().try_for_each(|on_air| line("title", &on_air.title))
    }
}

impl Message for LogBatch {
    fn check(&self) -> Result<(), CommandRefusal> {
        at_most("records", self.records.len(), BATCH_RECORDS_MAX)?;
        at_most("head", self.head.as_ref().map_or(0, String::len), HEAD_BYTES_MAX)?;
        self.records.iter().try_for_each(|record| at_most("body", record.body.len(), LOG_BODY_BYTES_MAX))?;
        if self.records.is_empty() {
            return Err(impossible(said!("detail.empty_batch")));
        }
        let in_turn = |pair: &[super::messages::LogRecord]| pair[0].seq.checked_add(1) == Some(pair[1].seq);
        if self.records.windows(2).all(in_turn) {
            Ok(())
        } else {
            Err(impossible(said!("detail.out_of_turn")))
        }
    }
}

impl Sealed for LogBatch {
    const KIND: Kind = Kind::LogBatch;
}

impl Message for LogHead {
    fn check(&self) -> Result<(), CommandRefusal> {
        Ok(())
    }
}

impl Sealed for LogHead {
    const KIND: Kind = Kind::LogHead;
}

impl Message for LogAck {
    fn check(&self) -> Result<(), CommandRefusal> {
        Ok(())
    }
}

impl Sealed for LogAck {
    const KIND: Kind = Kind::LogAck;
}

impl Message for Lost {
    fn check(&self) -> Result<(), CommandRefusal> {
        Ok(())
    }
}
