//! A disk that outlives processes, and on which a process can die at any write.

use crate::sealing::Provider;
use conclave_mls::GroupId;
use conclave_mls::storage::RowKey;
use conclave_store::{MemoryStore, Secret, Store, StoreError, WriteSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device's disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    provider: Arc<Provider>,
}

/// When a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// At which write from now on, from 1.
    pub at_write: u32,
    /// Whether that write has taken effect.
    pub written: bool,
}

#[derive(Debug, Default)]
struct State {
    store: MemoryStore,
    armed: Option<Death>,
    died: bool,
}

impl Disk {
    /// An empty disk, which tells the cryptography what is stored.
    pub(crate) fn new(provider: Arc<Provider>) -> Self {
        Self { state: Arc::default(), provider }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk with a copy of what is on this one.
    pub(crate) fn copied(&self) -> Self {
        let store = self.state().store.clone();
        let state = Arc::new(Mutex::new(State { store, ..State::default() }));
        Self { state, provider: self.provider.clone() }
    }

    /// Puts back what another disk holds.
    pub(crate) fn restore(&self, from: &Self) {
        let store = from.state().store.clone();
        self.state().store = store;
    }

    /// Lets the process die at a write.
    pub(crate) fn arm(&self, death: Option<Death>) {
        self.state().armed = death;
    }

    /// How many bytes were written.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.state().store.bytes_written()
    }

    /// How many bytes the groups' rows have that are there now.
    pub(crate) fn bytes_held(&self) -> usize {
        let state = self.state();
        let groups = Store::groups(&state.store).unwrap_or_default();
        let rows = groups.iter().filter_map(|group| state.store.load(group).ok()).flatten();
        rows.map(|(_, value)| value.len()).sum()
    }

    /// Whether the process has died since this was asked last.
    pub(crate) fn take_death(&self) -> bool {
        core::mem::take(&mut self.state().died)
    }
}

impl Store for Disk {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        self.state().store.load(group)
    }

    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        let mut state = self.state();
        let death = state.armed.as_mut().and_then(|death| {
            death.at_write = death.at_write.saturating_sub(1);
            (death.at_write == 0).then_some(*death)
        });
        if let Some(Death { written: false, .. }) = death {
            (state.armed, state.died) = (None, true);
            return Err(StoreError::failed("the process died before this write"));
        }

        state.store.write(set)?;
        self.provider.hook.stored();
        if death.is_some() {
            (state.armed, state.died) = (None, true);
            return Err(StoreError::unknown("the process died after this write"));
        }
        Ok(())
    }

    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        Store::groups(&self.state().store)
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        self.state().store.get(namespace, key)
    }

    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        self.state().store.scan(namespace, from, limit)
    }
}
