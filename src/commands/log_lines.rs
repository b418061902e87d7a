//! The daemons' log on standard error: one event, one line, whatever strangers put into it. Lines are for people, or JSON for
//! programs that collect them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;

use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::texts::{visible, visible_json};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that one place in a library may write in [`WINDOW`]. What strangers cause there is counted after that; our own
/// places count for themselves.
const LINES_MAX: u64 = 5;
const WINDOW: Span = Span::secs(60);

/// The variable of the environment that says how the log is written: `text`, or `json`.
const FORMAT: &str = "LOAXA_LOG_FORMAT";

/// The form of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

impl Format {
    /// Reads the name of a format. `None` where there is no such.
    fn of(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "text") => Some(Self::Text),
            Some("json") => Some(Self::Json),
            Some(_) => None,
        }
    }
}

/// Sends the log to standard error, where a supervisor collects it. Levels of targets, as in `warn,loaxa=info`, stand in a
/// variable of the environment, or else are the usual ones.
#[allow(dead_code, reason = "only daemons call it, and a feature set may have none")]
pub fn start((variable, usual): (&str, &str)) {
    let wanted = std::env::var(variable).ok();
    let named = std::env::var(FORMAT).ok();
    let format = Format::of(named.as_deref());
    let log = layer(format.unwrap_or(Format::Text), io::stderr);
    // A program that embeds this one may have set its own.
    let _ = tracing_subscriber::registry().with(log).with(levels(wanted.as_deref(), usual)).try_init();
    if let (None, Some(named)) = (format, named) {
        tracing::warn!("{FORMAT} is text or json, not {named}: the log is text");
    }
}

fn layer<S, M, W>(format: Format, to: M) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    M: Fn() -> W + Send + Sync + 'static,
    W: Write + 'static,
{
    let log = fmt::layer().with_ansi(false).with_writer(Lines::to(format, to));
    match format {
        Format::Text => log.boxed(),
        Format::Json => log.json().flatten_event(true).boxed(),
    }
}

fn levels(wanted: Option<&str>, usual: &str) -> Targets {
    wanted.and_then(|levels| levels.parse().ok()).or_else(|| usual.parse().ok()).unwrap_or_default()
}

/// Hands out writers for events, at a bounded rate for each place in the code of others.
struct Lines<M> {
    format: Format,
    make: M,
    places: Mutex<BTreeMap<(String, u32), Place>>,
}

/// The lines of one place in the last minute.
struct Place {
    since: Moment,
    lines: u64,
}

impl<M> Lines<M> {
    const fn to(format: Format, make: M) -> Self {
        Self { format, make, places: Mutex::new(BTreeMap::new()) }
    }

    /// Counts a line at a moment; tells whether it is written, and how many were left out of the minute before.
    fn count(&self, of: &Metadata<'_>, now: Moment) -> (bool, u64) {
        let is_ours = of.target().split("::").next().is_some_and(|krate| krate.starts_with("loaxa"));
        if is_ours {
            return (true, 0);
        }
        let mut places = self.places.lock().expect("nothing panics while it counts lines");
        let key = (of.file().unwrap_or(of.target()).to_owned(), of.line().unwrap_or(0));
        let place = places.entry(key).or_insert(Place { since: now, lines: 0 });
        let mut left_out = 0;
        if now.since(place.since) >= WINDOW {
            left_out = place.lines.saturating_sub(LINES_MAX);
            *place = Place { since: now, lines: 0 };
        }
        place.lines += 1;
        (place.lines <= LINES_MAX, left_out)
    }
}

impl<'a, M: Fn() -> W, W: Write> MakeWriter<'a> for Lines<M> {
    type Writer = OneLine<W>;

    fn make_writer(&'a self) -> OneLine<W> {
        OneLine { format: self.format, to: Some((self.make)()), left_out: 0 }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> OneLine<W> {
        let (is_written, left_out) = self.count(of, monotonic());
        OneLine { format: self.format, to: is_written.then(|| (self.make)()), left_out }
    }
}

/// A writer that makes one line of each event: controls and line ends within are written out.
struct OneLine<W> {
    format: Format,
    /// `None` where the line is left out.
    to: Option<W>,
    /// Lines of the same place that were left out before.
    left_out: u64,
}

impl<W: Write> Write for OneLine<W> {
    /// Takes a whole event, as the formatter hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if let Some(to) = &mut self.to {
            let line = match (self.format, self.left_out) {
                (Format::Text, 0) => visible(line),
                (Format::Text, left_out) => format!("{} left_out={left_out}", visible(line)).into(),
                (Format::Json, 0) => visible_json(line),
                (Format::Json, left_out) => {
                    let object = visible_json(line);
                    let open = object.strip_suffix('}').unwrap_or(&object);
                    format!("{open},\"left_out\":{left_out}}}").into()
                }
            };
            to.write_all(format!("{line}\n").as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn levels_are_those_that_are_wanted_where_they_can_be_read() {
        use tracing::Level;
        let usual = "warn,loaxa=info";
        let shown = |wanted, target, level: Level| levels(wanted, usual).would_enable(target, &level);
        for wanted in [None, Some(""), Some("loaxa=much")] {
            assert!(shown(wanted, "loaxa_sound::decode", Level::INFO) || wanted == Some(""), "{wanted:?}");
            assert!(!shown(wanted, "loaxa_sound::decode", Level::DEBUG), "{wanted:?}");
        }
        assert!(shown(None, "rumqttc", Level::WARN) && !shown(None, "rumqttc", Level::INFO));
        let wanted = Some("error,loaxa_sound=debug");
        assert!(shown(wanted, "loaxa_sound", Level::DEBUG) && !shown(wanted, "loaxa_box", Level::WARN));
    }

    /// Runs with a log in this format, and returns what is written.
    fn written(format: Format, run: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::registry().with(layer(format, move || writer.clone()));
        tracing::subscriber::with_default(log, run);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_stranger_writes_no_line_of_his_own() {
        for format in [Format::Text, Format::Json] {
            let text = written(format, || {
                let client = "loa-1\n2026-11-26 ERROR the siren sounds\u{1b}[2J\u{9b}2J";
                tracing::warn!("refused {client}");
                tracing::warn!(client, shown = %client, "refused");
            });
            assert_eq!(text.lines().count(), 2, "{text}");
            assert!(
                text.lines().all(|line| line.contains("WARN") && !line.contains(char::is_control)),
                "{text}"
            );
        }
    }

    #[test]
    fn json_keeps_the_values_of_each_event() {
        let client = "thôn Đông \"1\"\n\u{9b}\u{202e}";
        let text = written(Format::Json, || tracing::warn!(client, times = 3, "refused"));
        let event: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields = ["level", "client", "times", "message"].map(|name| &event[name]);
        assert_eq!(serde_json::json!(fields), serde_json::json!(["WARN", client, 3, "refused"]));
        assert!(event["timestamp"].is_string() && event["target"].is_string(), "{text}");
    }

    #[test]
    fn a_format_that_nobody_knows_is_none() {
        let formats = [None, Some(""), Some("text"), Some("json"), Some("xml")].map(Format::of);
        let (text, json) = (Some(Format::Text), Some(Format::Json));
        assert_eq!(formats, [text, text, text, json, None]);
    }

    #[test]
    fn a_place_in_a_library_writes_a_few_lines_a_minute() {
        let text = written(Format::Text, || {
            for n in 0..300 {
                tracing::warn!(target: "mqtt5::broker", n, "not authorized");
                tracing::warn!(target: "loaxa_central", n, "counted elsewhere");
            }
        });
        let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!((count("not authorized"), count("counted elsewhere")), (LINES_MAX as usize, 300));
    }

    #[test]
    fn what_was_left_out_is_told_with_the_next_line() {
        let told = |format, event: &[u8]| {
            let mut line = OneLine { format, to: Some(Vec::new()), left_out: 295 };
            line.write_all(event).unwrap();
            String::from_utf8(line.to.unwrap()).unwrap()
        };
        assert_eq!(told(Format::Text, b"WARN not authorized\n"), "WARN not authorized left_out=295\n");
        assert_eq!(told(Format::Json, b"{\"level\":\"WARN\"}\n"), "{\"level\":\"WARN\",\"left_out\":295}\n");
    }
}
