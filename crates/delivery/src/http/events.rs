//! The event stream of one connection.

use super::app::App;
use super::listeners::Slot;
use crate::storage::DeviceInfo;
use crate::storage::Storage;
use futures_util::stream::{Stream, unfold};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a line comes when nothing happens, so that both sides notice a dead connection.
const PING: Duration = Duration::from_secs(10);

struct Listening<S> {
    app: Arc<App<S>>,
    slot: Arc<Slot>,
    stopping: watch::Receiver<bool>,
    begun: Option<DeviceInfo>,
}

/// What a device is told from now on, beginning with what there is.
pub(super) fn event_stream<S: Storage>(
    app: Arc<App<S>>,
    device: DeviceInfo,
) -> impl Stream<Item = Result<String, Infallible>> {
    // Listening comes before looking, so that nothing falls between: no event, and no revocation.
    let slot = app.listeners.listen(device.device.clone());
    let stopping = app.stopping.clone();
    let listening = Listening { app, slot, stopping, begun: Some(device) };
    unfold(listening, |mut me| async move {
        if let Some(device) = me.begun.take() {
            let app = me.app.clone();
            let look = move || app.service.current_events(&device);
            // On failure the stream ends, and the client tries again.
            let current = tokio::task::spawn_blocking(look).await.ok()?.ok()?;
            current.iter().for_each(|event| me.slot.put(event));
        }
        let text = me.slot.take()?;
        if !text.is_empty() {
            return Some((Ok(text), me));
        }
        let mut stopping = me.stopping.clone();
        let stop = stopping.wait_for(|stop| *stop);
        let text = tokio::time::timeout(PING, async {
            let (stop, wake) = (std::pin::pin!(stop), std::pin::pin!(me.slot.changed()));
            match futures_util::future::select(stop, wake).await {
                futures_util::future::Either::Left(_) => None,
                futures_util::future::Either::Right(_) => me.slot.take(),
            }
        });
        match text.await {
            Ok(Some(text)) if text.is_empty() => Some((Ok(":\n".into()), me)),
            Ok(Some(text)) => Some((Ok(text), me)),
            Ok(None) => None,
            Err(_) => Some((Ok(":\n".into()), me)),
        }
    })
}
