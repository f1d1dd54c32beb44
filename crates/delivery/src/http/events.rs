//! Pushing: each listener has a slot where events gather until its connection takes them. A slot
//! holds the last head of each group, so a slow listener costs no more than its groups.

use super::App;
use crate::api::{DeviceId, Event, GroupId};
use crate::service::Notice;
use futures_util::stream::{Stream, unfold};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often a line comes when nothing happens, so that both sides notice a dead connection.
const PING: Duration = Duration::from_secs(10);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Waiting {
    groups: BTreeMap<GroupId, (u64, u64)>,
    inbox: bool,
    ready: bool,
}

/// One connection's slot.
#[derive(Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

impl Slot {
    fn put(&self, event: &Event) {
        let mut waiting = locked(&self.waiting);
        match event {
            Event::Group { group_id, epoch, head } => {
                let known = waiting.groups.entry(group_id.clone()).or_default();
                // Notices of two requests can overtake each other.
                *known = (*known).max((*epoch, *head));
            }
            Event::Inbox => waiting.inbox = true,
            Event::Ready => waiting.ready = true,
        }
        drop(waiting);
        self.wake.notify_one();
    }

    fn take(&self) -> String {
        let Waiting { groups, inbox, ready } = core::mem::take(&mut *locked(&self.waiting));
        let mut text = String::new();
        for (group_id, (epoch, head)) in groups {
            text += &Event::Group { group_id, epoch, head }.to_text();
        }
        if inbox {
            text += &Event::Inbox.to_text();
        }
        if ready {
            text += &Event::Ready.to_text();
        }
        text
    }
}

/// Who listens.
#[derive(Default)]
pub(super) struct Listeners {
    slots: Mutex<HashMap<DeviceId, Vec<Weak<Slot>>>>,
}

impl Listeners {
    pub(super) fn tell(&self, notice: &Notice) {
        let mut slots = locked(&self.slots);
        for device in &notice.to {
            let Some(listening) = slots.get_mut(device) else { continue };
            listening.retain(|slot| match slot.upgrade() {
                Some(slot) => {
                    slot.put(&notice.event);
                    true
                }
                None => false,
            });
            if listening.is_empty() {
                slots.remove(device);
            }
        }
    }

    fn listen(&self, device: DeviceId) -> Arc<Slot> {
        let slot = Arc::new(Slot::default());
        let mut slots = locked(&self.slots);
        let listening = slots.entry(device).or_default();
        listening.retain(|slot| slot.strong_count() > 0);
        listening.push(Arc::downgrade(&slot));
        slot
    }
}

struct Listening {
    app: Arc<App>,
    slot: Arc<Slot>,
    stopping: watch::Receiver<bool>,
    begun: Option<DeviceId>,
}

/// What a device is told from now on, beginning with what there is.
pub(super) fn event_stream(
    app: Arc<App>,
    device: DeviceId,
) -> impl Stream<Item = Result<String, Infallible>> {
    // Listening comes before looking, so that nothing falls between.
    let slot = app.listeners.listen(device.clone());
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
        let text = me.slot.take();
        if !text.is_empty() {
            return Some((Ok(text), me));
        }
        let mut stopping = me.stopping.clone();
        let stop = stopping.wait_for(|stop| *stop);
        let text = tokio::time::timeout(PING, async {
            let (stop, wake) = (std::pin::pin!(stop), std::pin::pin!(me.slot.wake.notified()));
            match futures_util::future::select(stop, wake).await {
                futures_util::future::Either::Left(_) => None,
                futures_util::future::Either::Right(_) => Some(me.slot.take()),
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
