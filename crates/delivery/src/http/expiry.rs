//! Attachments whose time is over are deleted.

use super::app::App;
use super::clock::now;
use super::observed::Observed;
use super::repeat::repeat;
use crate::storage::Storage;
use std::sync::Arc;
use std::time::Duration;

/// How often expired attachments are looked for.
const LOOK: Duration = Duration::from_secs(60);

/// Looks at once, and then in intervals, until the server is stopped.
pub(super) async fn sweep<S: Storage>(app: Arc<App<S>>) {
    repeat(app, LOOK, sweep_now).await;
}

fn sweep_now<S: Storage>(app: &App<S>) {
    let (status, summary) = match app.service.sweep_attachments(now()) {
        Ok(0) => return,
        Ok(deleted) => (200, format!("{deleted} uploads have expired")),
        // It is tried again the next time.
        Err(e) => (e.code.status(), e.to_string()),
    };
    app.observe(&Observed::of_server("attachments", status, summary));
}
