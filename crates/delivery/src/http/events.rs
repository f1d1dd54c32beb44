//! The event stream of one connection.

use super::app::App;
use super::gate::Busy;
use super::listeners::Slot;
use super::places::Place;
use super::refusal::Refusal;
use crate::storage::DeviceInfo;
use crate::storage::Storage;
use conclave_delivery_api::Name;
use futures_util::stream::{Stream, unfold};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a line comes when nothing happens, so that both sides notice a dead connection.
const PING: Duration = Duration::from_secs(10);

struct Listening<S> {
    app: Arc<App<S>>,
    slot: Arc<Slot>,
    stopping: watch::Receiver<bool>,
    /// The device, and the place it resumes from. Taken when the first events are sent.
    begun: Option<(DeviceInfo, Option<String>)>,
    /// Whether all has been said.
    is_last: bool,
    _places: (StreamPlaces, Busy),
}

/// A stream's places among those of all, of its address and of its user.
pub(super) struct StreamPlaces {
    _all: Place<()>,
    _address: Place<IpAddr>,
    _user: Place<Name>,
}

impl StreamPlaces {
    /// Places for one more stream.
    pub(super) fn take<S>(app: &App<S>, address: IpAddr, user: &Name) -> Result<Self, Refusal> {
        let none = |limit| move || Refusal::overloaded(limit, "too many event streams are open");
        let front = &app.front;
        let of_address = front.streams_of_address.take(address);
        let of_user = front.streams_of_user.take(user.clone());
        Ok(Self {
            _all: front.streams.take(()).ok_or_else(none("streams"))?,
            _address: of_address.ok_or_else(none("streams of an address"))?,
            _user: of_user.ok_or_else(none("streams of a user"))?,
        })
    }
}

/// When to come back after the server has stopped: not all at the same moment.
fn retry() -> String {
    let spread = getrandom::u32().unwrap_or_default() % 2500;
    format!("retry: {}\n\n", 500 + spread)
}

/// What a device is told from now on, beginning with what there is; or, if it says up to where it was told before, with
/// what is new since.
pub(super) fn event_stream<S: Storage>(
    app: Arc<App<S>>,
    device: DeviceInfo,
    last: Option<String>,
    places: (StreamPlaces, Busy),
) -> impl Stream<Item = Result<String, Infallible>> {
    // Listening comes before looking, so that nothing falls between: no event, and no revocation.
    let slot = app.listeners.listen(device.device.clone(), app.front.streams_of_device);
    let stopping = app.stopping.clone();
    let begun = Some((device, last));
    let listening = Listening { app, slot, stopping, begun, is_last: false, _places: places };
    unfold(listening, |mut me| async move {
        if me.is_last {
            return None;
        }
        if let Some((device, last)) = me.begun.take() {
            let app = me.app.clone();
            let look = move || app.service.events_since(&device, last.as_deref());
            // On failure the stream ends, and the client tries again.
            let current = tokio::task::spawn_blocking(look).await.ok()?.ok()?;
            me.slot.begin(&current);
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
                futures_util::future::Either::Left(_) => {
                    me.is_last = true;
                    Some(retry())
                }
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
