//! The daemons' log on standard error: one event, one line, whatever strangers put into it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;

use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::texts::visible;
use tracing::Metadata;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that one place in a library may write in [`WINDOW`]. What strangers cause there is counted after that; our own
/// places count for themselves.
const LINES_MAX: u64 = 5;
const WINDOW: Span = Span::secs(60);

/// Sends the log to standard error, where a supervisor collects it. Levels of targets, as in `warn,loaxa=info`, stand in a
/// variable of the environment, or else are the usual ones.
#[allow(dead_code, reason = "only daemons call it, and a feature set may have none")]
pub fn start((variable, usual): (&str, &str)) {
    let wanted = std::env::var(variable).ok();
    let log = fmt::layer().with_ansi(false).with_writer(Lines::to(io::stderr));
    // A program that embeds this one may have set its own.
    let _ = tracing_subscriber::registry().with(log).with(levels(wanted.as_deref(), usual)).try_init();
}

fn levels(wanted: Option<&str>, usual: &str) -> Targets {
    wanted.and_then(|levels| levels.parse().ok()).or_else(|| usual.parse().ok()).unwrap_or_default()
}

/// Hands out writers for events, at a bounded rate for each place in the code of others.
struct Lines<M> {
    make: M,
    places: Mutex<BTreeMap<(String, u32), Place>>,
}

/// The lines of one place in the last minute.
struct Place {
    since: Moment,
    lines: u64,
}

impl<M> Lines<M> {
    const fn to(make: M) -> Self {
        Self { make, places: Mutex::new(BTreeMap::new()) }
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
        OneLine { to: Some((self.make)()), left_out: 0 }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> OneLine<W> {
        let (is_written, left_out) = self.count(of, monotonic());
        OneLine { to: is_written.then(|| (self.make)()), left_out }
    }
}

/// A writer that makes one line of each event: controls and line ends within are written out.
struct OneLine<W> {
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
            let more = if self.left_out > 0 { format!(" left_out={}", self.left_out) } else { String::new() };
            to.write_all(format!("{}{more}\n", visible(line)).as_bytes())?;
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

    #[test]
    fn a_stranger_writes_no_line_of_his_own() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Lines::to(move || writer.clone()));
        tracing::subscriber::with_default(log.finish(), || {
            let client = "loa-1\n2026-11-26 ERROR the siren sounds\u{1b}[2J\u{9b}2J";
            tracing::warn!("refused {client}");
            tracing::warn!(client, shown = %client, "refused");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.contains("WARN") && !line.contains(char::is_control)), "{text}");
    }

    #[test]
    fn a_place_in_a_library_writes_a_few_lines_a_minute() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(Lines::to(move || writer.clone()));
        tracing::subscriber::with_default(log.finish(), || {
            for n in 0..300 {
                tracing::warn!(target: "mqtt5::broker", n, "not authorized");
                tracing::warn!(target: "loaxa_central", n, "counted elsewhere");
            }
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!((count("not authorized"), count("counted elsewhere")), (LINES_MAX as usize, 300));
    }

    #[test]
    fn what_was_left_out_is_told_with_the_next_line() {
        let mut line = OneLine { to: Some(Vec::new()), left_out: 295 };
        line.write_all(b"WARN not authorized\n").unwrap();
        assert_eq!(line.to.unwrap(), b"WARN not authorized left_out=295\n");
    }
}
