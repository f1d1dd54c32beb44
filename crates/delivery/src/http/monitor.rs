//! What an operator's tools ask: health, and metrics on a listener of their own.

use super::app::App;
use super::gate::Gate;
use super::metrics::{Page, process, requests, writer};
use super::observed::Observed;
use super::repeat::repeat;
use super::stall::Traffic;
use super::tls::Tls;
use crate::storage::Storage;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the storage is tried.
const EVERY: Duration = Duration::from_secs(5);
type Shared<S> = State<Arc<App<S>>>;

async fn live() -> &'static str {
    "ok\n"
}

async fn ready<S: Storage>(State(app): Shared<S>) -> Response {
    match app.health.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// `/health/live`: whether the process answers. `/health/ready`: whether it can do its work, and why not.
pub(super) fn health<S: Storage>() -> Router<Arc<App<S>>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready::<S>))
}

/// The same, and `/metrics`.
pub(super) fn router<S: Storage>(app: Arc<App<S>>, sources: Sources) -> Router {
    let metrics = async move |State(app): Shared<S>| {
        let page = tokio::task::spawn_blocking(move || page(&app, &sources)).await;
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.unwrap_or_default())
    };
    health().route("/metrics", get(metrics)).with_state(app)
}

/// What connections are counted by.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) gate: Arc<Gate>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) tls: Option<Arc<Tls>>,
}

/// All that there is to count, now.
fn page<S: Storage>(app: &App<S>, sources: &Sources) -> String {
    let mut page = Page::default();
    requests(&mut page, &app.metrics);

    let (connections, without_session) = sources.gate.count();
    let (refused, evicted) = sources.gate.turned_away();
    page.single("connections", "gauge", "Open connections.", connections);
    let help = "Open connections without a session.";
    page.single("connections_without_session", "gauge", help, without_session);
    page.single("connections_refused_total", "counter", "Connections that found no room.", refused);
    let help = "Connections without a session that made room for others.";
    page.single("connections_evicted_total", "counter", help, evicted);
    page.single("event_streams", "gauge", "Open event streams.", app.front.streams.taken());
    page.single("sessions", "gauge", "Open sessions.", app.service.open_sessions());
    let help = "Memory held by bodies and replies, in bytes.";
    page.single("held_memory_bytes", "gauge", help, app.front.memory.held());
    let (received, sent) = (&sources.traffic.received, &sources.traffic.sent);
    let help = "Bytes that came through connections, TLS included.";
    page.single("received_bytes_total", "counter", help, received.load(Ordering::Relaxed));
    let help = "Bytes that went through connections, TLS included.";
    page.single("sent_bytes_total", "counter", help, sent.load(Ordering::Relaxed));

    if let Some(at) = sources.tls.as_ref().and_then(|tls| tls.validity.not_after()) {
        let help = "Until when the certificate for TLS is valid, in seconds since 1970.";
        page.single("certificate_expiry_seconds", "gauge", help, at);
    }
    let help = "How long ago all changes of accounts had been published, in seconds.";
    let since = app.metrics.since_published().as_secs_f64();
    page.single("publish_age_seconds", "gauge", help, since);
    let ready = u8::from(app.health.ready().is_ok());
    page.single("ready", "gauge", "Whether the service can do its work: 1 or 0.", ready);
    let up = app.metrics.begun.elapsed().as_secs();
    page.single("uptime_seconds", "counter", "How long the server has been running.", up);
    if let Some(load) = app.service.writer_load() {
        writer(&mut page, &load);
    }
    process(&mut page);
    page.0
}

/// Tries the storage in intervals, until the server is stopped. A panic is no answer, so what was known grows stale.
pub(super) async fn watch<S: Storage>(app: Arc<App<S>>) {
    repeat(app, EVERY, try_now).await;
}

pub(super) fn try_now<S: Storage>(app: &App<S>) {
    let result = app.service.probe().map_err(|e| e.to_string());
    let (status, summary) = match &result {
        Ok(()) => (200, "the storage answers".to_string()),
        Err(e) => (503, format!("the storage fails: {e}")),
    };
    if app.health.tried(result) {
        app.observe(&Observed::of_server("health", status, summary));
    }
}
