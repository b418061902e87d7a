//! The state of the box for Prometheus, in its text format: what a technician reads on the page, as numbers.

use std::fmt::{Display, Write};

use crate::status::{LocalState, MicrophoneStatus, Status};
use loaxa_heart::domain::time::ClockQuality;

/// The media type of the text.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text so far.
struct Metrics(String);

impl Metrics {
    fn add(&mut self, name: &str, kind: &str, help: &str, values: &[(String, &dyn Display)]) {
        // Writing into a text can't fail.
        let _ = writeln!(self.0, "# HELP loaxa_box_{name} {help}\n# TYPE loaxa_box_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "loaxa_box_{name}{labels} {value}");
        }
    }

    fn gauge(&mut self, name: &str, help: &str, value: &dyn Display) {
        self.add(name, "gauge", help, &[(String::new(), value)]);
    }
}

/// Writes one label; a value may hold anything.
fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{{name}=\"{value}\"}}")
}

/// Writes all metrics of a box.
pub fn write(status: &Status) -> String {
    let mut metrics = Metrics(String::new());
    let build = format!("{{box=\"{}\",version=\"{}\"}}", status.box_id, status.software);
    metrics.add("build_info", "gauge", "The box and its program", &[(build, &1)]);
    metrics.gauge("time_seconds", "The box's own time, since 1970", &(status.wall.0 as f64 / 1e6));
    let clock = [ClockQuality::None, ClockQuality::Floor, ClockQuality::Synced]
        .iter()
        .position(|quality| *quality == status.clock)
        .unwrap_or_default();
    metrics.gauge("clock_quality", "How far the time is known: 0 not, 1 no earlier than, 2 set", &clock);
    metrics.gauge("connected", "Whether the centre is in contact", &u8::from(status.connected));
    metrics.gauge("on_air", "Whether something sounds", &u8::from(status.on_air.is_some()));
    metrics.gauge("log_backlog", "Log entries that the centre does not have", &status.backlog);
    let sounds = matches!(status.local_emergency, LocalState::Sounds { .. });
    metrics.gauge("local_emergency", "Whether the local emergency sounds", &u8::from(sounds));
    let failed = matches!(status.microphone, MicrophoneStatus::Failed { .. });
    metrics.gauge("microphone_failed", "Whether a microphone is set and can't be used", &u8::from(failed));
    let faults: Vec<_> =
        status.faults.iter().map(|fault| (label("fault", fault), &1 as &dyn Display)).collect();
    metrics.add("fault", "gauge", "Faults that the box has now", &faults);
    metrics.gauge("media_month_bytes", "Audio over the network in this month", &status.media_month_bytes);
    if let Some(max) = &status.media_month_bytes_max {
        metrics.gauge("media_month_bytes_max", "Limit of that audio", max);
    }
    metrics.gauge("media_waiting", "Files that are waited for", &status.media_waiting);
    for (name, help, key, counts) in [
        ("refused_total", "Messages refused since the start", "reason", &status.refused),
        ("lost_total", "Losses since the start", "kind", &status.lost),
    ] {
        let values: Vec<_> =
            counts.iter().map(|(of, count)| (label(key, of), count as &dyn Display)).collect();
        metrics.add(name, "counter", help, &values);
    }
    metrics.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use loaxa_heart::domain::time::Wall;

    #[test]
    fn what_a_box_is_and_lacks_is_told_in_numbers() {
        let status = Status {
            box_id: "thon-1".parse().unwrap(),
            software: "0.1.0".to_owned(),
            upgrade: None,
            wall: Wall(1_764_000_000_500_000),
            clock: ClockQuality::Floor,
            on_air: Some("Bản tin".to_owned()),
            connected: false,
            backlog: 17,
            local_emergency: LocalState::Sounds { title: "Lũ".to_owned() },
            faults: vec!["no_\"device\"\n".to_owned()],
            media_month_bytes: 5,
            media_month_bytes_max: Some(9),
            media_waiting: 2,
            refused: [("expired".to_owned(), 3)].into(),
            microphone: MicrophoneStatus::Failed { why: String::new() },
            lost: [("visits".to_owned(), 4)].into(),
        };
        let text = write(&status);
        for line in [
            "loaxa_box_build_info{box=\"thon-1\",version=\"0.1.0\"} 1",
            "loaxa_box_time_seconds 1764000000.5",
            "loaxa_box_clock_quality 1",
            "loaxa_box_connected 0",
            "loaxa_box_on_air 1",
            "loaxa_box_log_backlog 17",
            "loaxa_box_local_emergency 1",
            "loaxa_box_microphone_failed 1",
            "loaxa_box_fault{fault=\"no_\\\"device\\\"\\n\"} 1",
            "loaxa_box_media_month_bytes 5",
            "loaxa_box_media_month_bytes_max 9",
            "loaxa_box_media_waiting 2",
            "loaxa_box_refused_total{reason=\"expired\"} 3",
            "loaxa_box_lost_total{kind=\"visits\"} 4",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
        let well = Status {
            local_emergency: LocalState::NoOrder,
            connected: true,
            media_month_bytes_max: None,
            ..status
        };
        let text = write(&well);
        assert!(text.contains("local_emergency 0\n") && text.contains("connected 1\n"), "{text}");
        assert!(!text.contains("bytes_max"), "no limit is none: {text}");
    }
}
