//! What logs and inboxes are set to keep no longer is dropped.

use super::app::App;
use super::clock::now;
use super::observed::Observed;
use super::repeat::repeat;
use crate::storage::administration::{Administration, Compacted};
use std::sync::Arc;
use std::time::Duration;

/// Drops at once what is to be kept no longer, and then in intervals, until the server is stopped.
pub(super) async fn compact<S: Administration>(app: Arc<App<S>>, every: Duration) {
    repeat(app, every, compact_now).await;
}

fn compact_now<S: Administration>(app: &App<S>) {
    let (status, summary) = match app.service.compact(now()) {
        Ok(Compacted { entries: 0, welcomes: 0, .. }) => return,
        Ok(Compacted { entries, groups, welcomes }) => {
            (200, format!("{entries} messages of {groups} groups and {welcomes} Welcomes dropped"))
        }
        // It is tried again the next time.
        Err(e) => (e.code.status(), e.to_string()),
    };
    app.observe(&Observed::of_server("compact", status, summary));
}
