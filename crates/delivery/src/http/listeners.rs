//! Pushing: each listener has a slot where events gather until its connection takes them. A slot
//! holds the last head of each group, so a slow listener costs no more than its groups.

use crate::service::{CurrentEvents, Notice};
use conclave_delivery_api::{DeviceId, Ending, Event, GroupId, Incarnation, LogPosition, Name};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Waiting {
    incarnation: Option<Incarnation>,
    groups: BTreeMap<GroupId, LogPosition>,
    /// Groups that have ended.
    reset: BTreeMap<GroupId, Ending>,
    accounts: BTreeMap<Name, u64>,
    certificates: BTreeSet<Name>,
    inbox: bool,
    ready: bool,
    /// The name of the place up to which all is told when it is ready.
    place: Option<String>,
    ended: bool,
}

/// One connection's slot.
#[derive(Default)]
pub(super) struct Slot {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

impl Slot {
    pub(super) fn put(&self, event: &Event) {
        let mut waiting = locked(&self.waiting);
        match event {
            Event::Incarnation(incarnation) => waiting.incarnation = Some(*incarnation),
            Event::Group { group_id, position } => {
                let known = waiting.groups.entry(group_id.clone()).or_insert(*position);
                // Notices of two requests can overtake each other.
                *known = (*known).max(*position);
            }
            Event::Account { user, length } => {
                let known = waiting.accounts.entry(user.clone()).or_default();
                *known = (*known).max(*length);
            }
            Event::Certificates { user } => {
                waiting.certificates.insert(user.clone());
            }
            Event::Ended { group_id, ending } => {
                let known = waiting.reset.entry(group_id.clone()).or_insert(ending.clone());
                // Notices of two requests can overtake each other, and a successor is never taken back.
                if *known == Ending::Unsucceeded {
                    known.clone_from(ending);
                }
            }
            Event::Inbox => waiting.inbox = true,
            Event::Ready => waiting.ready = true,
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// What there was when the connection began.
    pub(super) fn begin(&self, current: &CurrentEvents) {
        locked(&self.waiting).place.clone_from(&current.place);
        current.events.iter().for_each(|event| self.put(event));
    }

    /// Waits until something is put in.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Says nothing more, as the device is no longer active.
    fn end(&self) {
        locked(&self.waiting).ended = true;
        self.wake.notify_one();
    }

    /// What has gathered, as text; none if there will be nothing more.
    pub(super) fn take(&self) -> Option<String> {
        let mut waiting = locked(&self.waiting);
        if waiting.ended {
            return None;
        }
        let Waiting {
            incarnation, groups, reset, accounts, certificates, inbox, ready, place, ..
        } = core::mem::take(&mut *waiting);
        drop(waiting);

        let mut text = String::new();
        if let Some(incarnation) = incarnation {
            text += &Event::Incarnation(incarnation).to_text();
        }
        for (user, length) in accounts {
            text += &Event::Account { user, length }.to_text();
        }
        for user in certificates {
            text += &Event::Certificates { user }.to_text();
        }
        for (group_id, position) in groups {
            text += &Event::Group { group_id, position }.to_text();
        }
        for (group_id, ending) in reset {
            text += &Event::Ended { group_id, ending }.to_text();
        }
        if inbox {
            text += &Event::Inbox.to_text();
        }
        if ready {
            if let Some(place) = place {
                text += &format!("id: {place}\n");
            }
            text += &Event::Ready.to_text();
        }
        Some(text)
    }
}

/// How many devices are told of something in one go.
const PART: usize = 128;

type Slots = HashMap<DeviceId, Vec<Weak<Slot>>>;

/// Who listens.
#[derive(Default)]
pub(super) struct Listeners {
    slots: Arc<Mutex<Slots>>,
}

fn tell(slots: &Mutex<Slots>, devices: &[DeviceId], event: &Event) {
    let mut slots = locked(slots);
    for device in devices {
        let Some(listening) = slots.get_mut(device) else { continue };
        listening.retain(|slot| match slot.upgrade() {
            Some(slot) => {
                slot.put(event);
                true
            }
            None => false,
        });
        if listening.is_empty() {
            slots.remove(device);
        }
    }
}

impl Listeners {
    /// Tells everybody before it returns.
    pub(super) fn tell(&self, notice: &Notice) {
        tell(&self.slots, &notice.to, &notice.event);
    }

    /// Tells few at once, and many in a task of its own: whoever has sent a message to a large group does not wait
    /// until all have been told, and others are served meanwhile.
    pub(super) fn spread(&self, notices: Vec<Notice>) {
        for notice in notices {
            if notice.to.len() <= PART {
                self.tell(&notice);
                continue;
            }
            let slots = self.slots.clone();
            tokio::spawn(async move {
                for devices in notice.to.chunks(PART) {
                    tell(&slots, devices, &notice.event);
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    /// Cuts a device off.
    pub(super) fn end(&self, device: &DeviceId) {
        let listening = locked(&self.slots).remove(device);
        listening.iter().flatten().filter_map(Weak::upgrade).for_each(|slot| slot.end());
    }

    /// A slot for one more connection of a device. If it has `most` already, the oldest ends: the device may have left
    /// the network that it was of.
    pub(super) fn listen(&self, device: DeviceId, most: usize) -> Arc<Slot> {
        let slot = Arc::new(Slot::default());
        let mut slots = locked(&self.slots);
        let listening = slots.entry(device).or_default();
        listening.retain(|slot| slot.strong_count() > 0);
        while listening.len() >= most.max(1) {
            listening.remove(0).upgrade().iter().for_each(|oldest| oldest.end());
        }
        listening.push(Arc::downgrade(&slot));
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_to_many_does_not_wait_until_all_have_been_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let listeners = Listeners::default();
            let devices: Vec<DeviceId> =
                (0..3 * PART + 1).map(|n| format!("user-{n}/pc").parse().unwrap()).collect();
            let slots: Vec<Arc<Slot>> =
                devices.iter().map(|device| listeners.listen(device.clone(), 1)).collect();
            let told = || slots.iter().filter(|slot| locked(&slot.waiting).inbox).count();
            let notice = |to: &[DeviceId]| Notice { to: to.into(), event: Event::Inbox };

            listeners.spread(vec![notice(&devices)]);
            assert_eq!(told(), 0, "the sender waits");
            listeners.spread(vec![notice(&devices[..2])]);
            assert_eq!(told(), 2, "few are told at once");
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert_eq!(told(), slots.len());
        });
    }
}
