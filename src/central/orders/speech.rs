//! Words that are spoken into the media folder.

use std::sync::Arc;

use super::pronunciation::pronounce;
use super::refused::Refused;
use crate::app::App;
use crate::media::MediaRefusal;
use crate::store::{Errand, MediaRow, or_nothing};
use loaxa_heart::domain::sound::Fault;
use loaxa_sound::tts::Speech;

/// Longest time that a speech engine may take.
const SPEECH_MS_MAX: u64 = 60_000;
/// Room for the words of an emergency, as the engine writes them and as they are kept.
const SPEECH_BYTES_MAX: u64 = 8 << 20;

/// Speaks a text into the media folder, its words as the commune's list has them, on a thread of its own, as an engine takes its
/// time.
///
/// # Errors
/// Fails when the engine fails, or the disk or the store refuses.
pub async fn speak(app: &Arc<App>, text: &str, language: String) -> Result<MediaRow, Refused> {
    let text = pronounce(text, &or_nothing(app.store.pronunciations().await)?);
    let (app, is_urgent) = (Arc::clone(app), Errand::of_now().is_urgent);
    let spoken = tokio::task::spawn_blocking(move || {
        if is_urgent {
            app.disk.make_room(SPEECH_BYTES_MAX);
        }
        speak_here(&app, &text, &language, is_urgent)
    });
    let spoken = spoken.await;
    spoken.unwrap_or_else(|panic| Err(Refused::NotSpoken(Fault::NoSpeech { detail: panic.to_string() })))
}

fn speak_here(app: &App, text: &str, language: &str, is_urgent: bool) -> Result<MediaRow, Refused> {
    let speech = Speech {
        command: app.settings.speech.clone(),
        timeout_ms: SPEECH_MS_MAX,
        cache_dir: app.settings.data_dir.join("speech"),
    };
    let wav = speech.speak(text, language).map_err(Refused::NotSpoken)?;
    let incoming = if is_urgent { app.media.begin_anyhow() } else { app.media.begin() };
    let mut incoming = incoming.map_err(MediaRefusal::from)?;
    let bytes = std::fs::read(&wav).map_err(MediaRefusal::from)?;
    incoming.write(&bytes)?;
    Ok(app.media.finish(incoming, "may-doc.wav", app.now())?)
}
