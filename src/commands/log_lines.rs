//! The daemons' log on standard error: one event, one line, whatever strangers put into it.

use std::io::{self, Write};

use loaxa_heart::texts::visible;
use tracing_subscriber::EnvFilter;

/// Sends the log to standard error, where a supervisor collects it; `filter` chooses what.
#[allow(dead_code, reason = "only daemons call it, and a feature set may have none")]
pub fn start(filter: EnvFilter) {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // A program that embeds this one may have set its own.
    let _ = log.with_writer(|| OneLine(io::stderr())).try_init();
}

/// A writer that makes one line of each event: controls and line ends within are written out.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Takes a whole event, as the formatter hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        self.0.write_all(format!("{}\n", visible(line)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
    fn a_stranger_writes_no_line_of_his_own() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || OneLine(writer.clone()));
        tracing::subscriber::with_default(log.finish(), || {
            let client = "loa-1\n2026-11-26 ERROR the siren sounds\u{1b}[2J\u{9b}2J";
            tracing::warn!("refused {client}");
            tracing::warn!(client, shown = %client, "refused");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.contains("WARN") && !line.contains(char::is_control)), "{text}");
    }
}
