//! What the service holds of groups in memory: a lock for each, and the public state of tracked
//! ones.

use conclave_delivery_api::GroupId;
use conclave_mls::observe::Observer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a group: loaded when it is first needed, dropped when in doubt.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The observer of a tracked group, as of the handshake message of this number.
    pub(super) loaded: Option<(u64, Observer)>,
}

/// The views of the groups that were in use lately.
#[derive(Debug)]
pub(super) struct Views {
    groups: Mutex<HashMap<GroupId, Arc<Mutex<View>>>>,
    most: usize,
}

/// A view behind its lock. Who holds it is the only one who changes the group.
pub(super) type SharedView = Arc<Mutex<View>>;

impl Views {
    pub(super) fn new(most: usize) -> Self {
        Self { groups: Mutex::default(), most }
    }

    /// The view of a group.
    pub(super) fn of(&self, group: &GroupId) -> SharedView {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = groups.get(group) {
            return view.clone();
        }
        if groups.len() >= self.most {
            // Those in use stay: to take one away would give the group two locks.
            groups.retain(|_, view| Arc::strong_count(view) > 1);
        }
        groups.entry(group.clone()).or_default().clone()
    }
}

/// Takes a view's lock. If whoever had it panicked, what it holds is loaded again.
pub(super) fn lock(view: &SharedView) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(|poisoned| {
        view.clear_poison();
        let mut guard = poisoned.into_inner();
        guard.loaded = None;
        guard
    })
}
