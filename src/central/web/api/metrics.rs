//! `GET /metrics`: the state of the centre for Prometheus, in the OpenMetrics text format.
//!
//! Deliberately absent: a line for each box. Who is silent stands on the overview; a series for each of 5,000 boxes would
//! cost more than it tells.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;
use crate::boxes::expiry;
use crate::boxes::state::BoxState;
use crate::store::{StoreError, TroubleKind};
use crate::web::problem::Problem;
use crate::web::words::code_of;

/// The media type that Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = [(&'static str, String); 1];

/// Gives everything that is watched.
pub async fn handle(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut metrics = Registry::with_prefix("loaxa");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    metrics.register("build", "The program", Info::new(version));
    register_boxes(&app, &mut metrics).await?;
    register_process(&app, &mut metrics);
    register_disk(&app, &mut metrics).await?;
    register_certificates(&app, &mut metrics);
    let mut text = String::new();
    // Writing into a text can't fail.
    let _ = encode(&mut text, &metrics);
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

async fn register_boxes(app: &App, metrics: &mut Registry) -> Result<(), Problem> {
    let (now, rows) = (app.now(), app.store.boxes().await?);
    let boxes = Family::<Labels, Gauge>::default();
    for state in BoxState::ALL {
        let count = rows.iter().filter(|row| BoxState::of(row, now) == state).count();
        boxes.get_or_create(&[("state", state_name(state).to_owned())]).set(count as i64);
    }
    metrics.register("boxes", "Boxes by what they do", boxes);
    let backlog: u64 = rows.iter().map(|row| row.backlog).sum();
    gauge(
        metrics,
        "log_backlog",
        "Log entries that boxes in contact hold and central does not",
        backlog as f64,
    );
    let seen = rows.iter().filter_map(|row| row.last_seen).max();
    let last = seen.map_or(0.0, |at| at.0 as f64 / 1e6);
    let help = "The last sign of life of any box, as Unix time";
    metrics.register_with_unit("last_sign_of_life_timestamp", help, Unit::Seconds, ConstGauge::new(last));
    let troubles = Family::<Labels, Gauge>::default();
    let of = |kind: TroubleKind| troubles.get_or_create_owned(&[("kind", code_of(&kind))]);
    // Those without any, too: an alert on what is absent would never ring.
    TROUBLES.into_iter().for_each(|kind| drop(of(kind)));
    for trouble in app.store.open_troubles().await? {
        of(trouble.kind).inc();
    }
    metrics.register("troubles", "Troubles that are open", troubles);
    Ok(())
}

fn register_process(app: &App, metrics: &mut Registry) {
    let connected = f64::from(u8::from(app.outbound.is_connected()));
    gauge(metrics, "broker_connected", "1 where central reaches its broker", connected);
    let counts = app.counts();
    for (name, help, count) in [
        ("log_entries", "Log entries taken in since the start", counts.entries_added),
        ("messages_refused", "Messages that were wrong, or of strangers", counts.messages_refused),
        ("log_batches_put_off", "Batches of logs that found no room", counts.batches_put_off),
        ("signs_dropped", "Messages of boxes that found no room, or no answer in time", counts.signs_dropped),
        ("messages_unsent", "Messages that the broker did not get at once", counts.messages_unsent),
        (
            "voice_pieces_dropped",
            "Pieces of live voices that slow boxes did not get",
            counts.voice_pieces_dropped,
        ),
        ("voice_listeners_refused", "Boxes that found no room at a live voice", counts.listeners_refused),
        (
            "http_methods_refused",
            "Requests whose method is not taken at their address",
            counts.methods_refused,
        ),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(count);
        metrics.register(name, help, counter);
    }
}

fn register_certificates(app: &App, metrics: &mut Registry) {
    let ends = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (of, at) in
        [("authority", expiry::of_authority(&app.settings)), ("page", expiry::of_page(&app.settings))]
    {
        if let Some(at) = at {
            ends.get_or_create(&[("of", of.to_owned())]).set(at.0 as f64 / 1e6);
        }
    }
    let help = "The end of the commune's authority, and of a page's certificate of files, as Unix time";
    metrics.register_with_unit("certificate_ends_timestamp", help, Unit::Seconds, ends);
}

async fn register_disk(app: &App, metrics: &mut Registry) -> Result<(), StoreError> {
    if let Some((free, whole)) = app.disk.room() {
        bytes(metrics, "disk_free", "Room on the disk of the database", free);
        bytes(metrics, "disk_size", "Size of that disk", whole);
    }
    let refuses = f64::from(u8::from(app.disk.state().is_full()));
    gauge(metrics, "disk_refuses", "1 while the disk refuses to keep things", refuses);
    let size = match app.settings.database.file() {
        Some(file) => std::fs::metadata(file).ok().map(|file| file.len()),
        None => app.store.bytes_on_server().await?,
    };
    if let Some(size) = size {
        bytes(metrics, "database", "Size of the database", size);
    }
    Ok(())
}

fn gauge(metrics: &mut Registry, name: &str, help: &str, value: f64) {
    metrics.register(name, help, ConstGauge::new(value));
}

fn bytes(metrics: &mut Registry, name: &str, help: &str, value: u64) {
    metrics.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value as f64));
}

const fn state_name(state: BoxState) -> &'static str {
    match state {
        BoxState::OutOfContact => "out_of_contact",
        BoxState::Faulty => "faulty",
        BoxState::OnAir => "on_air",
        BoxState::Quiet => "quiet",
    }
}

const TROUBLES: [TroubleKind; 4] =
    [TroubleKind::OutOfContact, TroubleKind::Fault, TroubleKind::Feedback, TroubleKind::Security];
