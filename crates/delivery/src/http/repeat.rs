//! What the server does by itself, again and again.

use super::app::App;
use std::sync::Arc;
use std::time::Duration;

/// Does something at once, and then in intervals, until the server is stopped. A panic in it does not end that.
pub(super) async fn repeat<S: Send + Sync + 'static>(
    app: Arc<App<S>>,
    every: Duration,
    work: fn(&App<S>),
) {
    let mut stopping = app.stopping.clone();
    loop {
        let working = app.clone();
        let _ = tokio::task::spawn_blocking(move || work(&working)).await;

        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(every, stop).await.is_ok() {
            return;
        }
    }
}
