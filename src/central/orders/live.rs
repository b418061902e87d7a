//! Live voices of staff: the boxes are told to listen, and what is spoken is passed on as it comes.

use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::issue::{Draft, issue};
use super::outlook;
use super::refused::{Refused, known_groups};
use crate::app::App;
use crate::foreseen::Foreseen;
use crate::store::at_once;
use crate::voices::{TooManyVoices, Voices};
use loaxa_adapters::clock::monotonic;
use loaxa_heart::decide::delivery::CommandKind;
use loaxa_heart::domain::authority::Power;
use loaxa_heart::domain::ids::{CommandId, GroupId};
use loaxa_heart::domain::time::Span;
use loaxa_heart::wire::messages::Body;
use loaxa_heart::wire::voice::VOICE_HZ;

/// Longest session.
const SESSION_MAX: Span = Span::secs(2 * 3_600);
/// A speaker of whom nothing comes this long has gone.
const SILENT_MAX: Duration = Duration::from_secs(3);
/// A voice is passed on no more than this ahead of its own time; whoever sends it faster waits.
const AHEAD_MAX: Span = Span::secs(10);
/// Title of a live voice.
const VOICE_TITLE: &str = "Phát trực tiếp";

/// A voice as it is spoken: 16-bit PCM of one channel at 16 kHz, in pieces of any length.
pub trait VoiceSource: Send {
    /// Waits for the next bytes; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// The reasons for which a voice is not heard.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
pub enum NotLive {
    TooMany(#[from] TooManyVoices),
    NoVoice,
    Refused(#[from] Refused),
}

impl Say for NotLive {
    fn say(&self) -> Sentence {
        match self {
            NotLive::TooMany(error) => error.say(),
            NotLive::NoVoice => said!("live.no_voice"),
            NotLive::Refused(error) => error.say(),
        }
    }
}

/// A voice that was heard to its end.
pub struct Spoken {
    /// The command that opened it.
    pub id: CommandId,
    pub session: String,
    pub seconds: f64,
}

/// Takes a voice from its first piece to its end. The boxes are told when there is something to hear, and when that
/// is over, however it ends.
///
/// # Errors
/// Fails when it may not be heard.
pub async fn speak(
    app: Arc<App>,
    to: Vec<GroupId>,
    author: Option<String>,
    mut source: impl VoiceSource,
) -> Result<Spoken, NotLive> {
    // Before anything of the voice is read, so that the refusal reaches whoever is about to send it.
    known_groups(&app, &to)?;
    app.keyring.signers(Power::Live, &to, app.now()).map_err(Refused::Authority)?;
    let session = app.voices.open()?;
    let Some(first) = next_piece(&mut source).await else {
        app.voices.close(&session);
        return Err(NotLive::NoVoice);
    };
    let url = format!("{}/live/{session}", app.public_url);
    app.note_voice(&session).await;
    let opened = voice(&app, &to, (&session, &url, true), author.clone()).await;
    let id = opened.inspect_err(|_| app.voices.close(&session))?;
    let bytes = pass_on(&app.voices, &session, first, &mut source).await;
    app.voices.close(&session);
    app.forget_voice(&session).await;
    // A box that does not get this command notices that its stream has ended.
    if let Err(error) = voice(&app, &to, (&session, &url, false), author).await {
        tracing::error!(%error, "the end of a live voice could not be told");
    }
    Ok(Spoken { id, session, seconds: bytes as f64 / f64::from(2 * VOICE_HZ) })
}

/// Foresees what would become of a voice that began now. Nothing is opened or sent.
///
/// # Errors
/// Fails when it may not be heard.
pub async fn foresee(app: &App, to: &[GroupId], author: Option<String>) -> Result<Option<Foreseen>, NotLive> {
    known_groups(app, to)?;
    Ok(outlook::foresee_draft(
        app,
        &draft(app, to, ("foreseen", &format!("{}/live/foreseen", app.public_url), true), author),
    )
    .await?)
}

/// Passes pieces on in whole samples, at the pace of speech; returns the number of bytes.
async fn pass_on(voices: &Voices, session: &str, first: Bytes, source: &mut impl VoiceSource) -> u64 {
    let most = SESSION_MAX.0 / 1_000_000 * u64::from(2 * VOICE_HZ);
    let (mut waiting, mut bytes, begun) = (BytesMut::new(), 0, monotonic());
    let mut piece = Some(first);
    while let Some(fresh) = piece {
        waiting.extend_from_slice(&fresh);
        let whole = waiting.split_to(waiting.len() / 2 * 2).freeze();
        bytes += whole.len() as u64;
        if bytes > most || !voices.pass_on(session, &whole) {
            break;
        }
        let early = too_early(bytes, monotonic().since(begun));
        if early > Span(0) {
            tokio::time::sleep(early.into()).await;
        }
        piece = next_piece(source).await;
    }
    bytes
}

/// Returns how much too early the next bytes of a voice would be.
fn too_early(bytes: u64, took: Span) -> Span {
    let spoken = Span(bytes.saturating_mul(1_000_000) / u64::from(2 * VOICE_HZ));
    spoken.saturating_sub(took).saturating_sub(AHEAD_MAX)
}

/// Waits for the next bytes; `None` at the end, or where the speaker has been silent for too long.
async fn next_piece(source: &mut impl VoiceSource) -> Option<Bytes> {
    tokio::time::timeout(SILENT_MAX, source.next()).await.ok().flatten()
}

/// Opens or closes the live voice of a session on the boxes of its groups.
async fn voice(
    app: &App,
    to: &[GroupId],
    (session, url, open): (&str, &str, bool),
    author: Option<String>,
) -> Result<CommandId, Refused> {
    known_groups(app, to)?;
    at_once(issue(app, draft(app, to, (session, url, open), author))).await
}

fn draft(
    app: &App,
    to: &[GroupId],
    (session, url, open): (&str, &str, bool),
    author: Option<String>,
) -> Draft {
    let now = app.now();
    Draft {
        kind: CommandKind::Other,
        groups: to.to_vec(),
        now,
        expires: now.plus(SESSION_MAX),
        author: author.unwrap_or_default(),
        approver: None,
        title: VOICE_TITLE.to_owned(),
        document: None,
        moves: Vec::new(),
        body: Body::Live { voice: session.to_owned(), open, url: url.to_owned() },
        ends: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A speaker who has a second of voice at any moment, and counts the seconds.
    struct Hasty(u64);

    impl VoiceSource for Hasty {
        async fn next(&mut self) -> Option<Bytes> {
            self.0 += 1;
            Some(Bytes::from(vec![0; 2 * VOICE_HZ as usize]))
        }
    }

    #[tokio::test]
    async fn a_voice_comes_no_faster_than_it_is_spoken() {
        let (voices, mut source) = (Voices::default(), Hasty(0));
        let session = voices.open().unwrap();
        let first = source.next().await.unwrap();
        tokio::select! {
            biased;
            bytes = pass_on(&voices, &session, first, &mut source) => panic!("it ended after {bytes}"),
            () = std::future::ready(()) => {}
        }
        assert!((10..=12).contains(&source.0), "{} s at once", source.0);
    }

    #[test]
    fn only_what_is_far_ahead_waits() {
        let second = u64::from(2 * VOICE_HZ);
        let check = |s: u64, took, expected| {
            assert_eq!(too_early(s * second, Span::secs(took)), Span::secs(expected))
        };
        check(10, 0, 0);
        check(11, 0, 1);
        check(100, 95, 0);
        check(7_200, 60, 7_130);
    }
}
