//! Publishing: what has changed in accounts goes into the directory in batches. And what is left of proposing the
//! removal of revoked devices.

use super::app::App;
use super::clock::now;
use super::observed::Observed;
use super::repeat::repeat;
use crate::storage::Storage;
use std::sync::Arc;
use std::time::Duration;

/// The shortest time between two batches.
const SHORTEST: Duration = Duration::from_millis(10);

/// Publishes at once what is left from before, and then in intervals, until the server is stopped.
pub(super) async fn publish<S: Storage>(app: Arc<App<S>>, every: Duration) {
    repeat(app, every.max(SHORTEST), publish_now).await;
}

fn publish_now<S: Storage>(app: &App<S>) {
    // What fails is tried again the next time.
    let notices = app.service.propose_removals(now()).unwrap_or_default();
    notices.iter().for_each(|notice| app.listeners.tell(notice));
    let (status, summary) = match app.service.publish(now()) {
        Ok(None) => return app.metrics.has_published(),
        Ok(Some(published)) => {
            app.metrics.has_published();
            let (epoch, changes) = (published.root.epoch, published.changes);
            (200, format!("directory {epoch}, {changes} users changed"))
        }
        // It is tried again the next time.
        Err(e) => (e.code.status(), e.to_string()),
    };
    app.observe(&Observed::of_server("publish", status, summary));
}
