//! What an operator's tools ask: health, and metrics on a listener of their own.

use super::app::App;
use super::metrics::{Sources, page};
use crate::storage::Storage;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

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
