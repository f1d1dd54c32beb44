//! How much memory bodies and replies hold: in all, for one address, and for one user.

use conclave_delivery_api::Name;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whose bytes they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Address(IpAddr),
    User(Name),
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    of: HashMap<Owner, usize>,
}

/// The memory of a server.
#[derive(Debug)]
pub(super) struct Memory {
    state: Mutex<State>,
    most: usize,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), most }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds nothing yet.
    pub(super) fn hold(self: &Arc<Self>, owner: Owner) -> Held {
        Held { memory: self.clone(), owner, bytes: 0 }
    }

    /// How many bytes are held.
    pub(super) fn held(&self) -> usize {
        self.locked().held
    }

    fn share(&self, owner: &Owner) -> usize {
        match owner {
            Owner::Address(_) => self.most / 4,
            Owner::User(_) => self.most / 8,
        }
    }
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Arc<Memory>,
    owner: Owner,
    bytes: usize,
}

impl Held {
    /// Holds more, if there is room.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let memory = self.memory.clone();
        let mut state = memory.locked();
        let own = state.of.get(&self.owner).copied().unwrap_or(0);
        let is_over = |held: usize, most: usize| held.saturating_add(bytes) > most;
        if is_over(state.held, memory.most) || is_over(own, memory.share(&self.owner)) {
            return Err(Full);
        }
        self.add(&mut state, bytes);
        Ok(())
    }

    /// Holds more, room or not: what is little, and has happened already.
    pub(super) fn grow_anyway(&mut self, bytes: usize) {
        let memory = self.memory.clone();
        self.add(&mut memory.locked(), bytes);
    }

    fn add(&mut self, state: &mut State, bytes: usize) {
        state.held = state.held.saturating_add(bytes);
        let own = state.of.entry(self.owner.clone()).or_default();
        *own = own.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Holds nothing any more.
    pub(super) fn release(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut state = self.memory.locked();
        state.held = state.held.saturating_sub(self.bytes);
        if let Some(own) = state.of.get_mut(&self.owner) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                state.of.remove(&self.owner);
            }
        }
        drop(state);
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_has_an_end_in_all_and_for_each_owner() {
        let memory = Arc::new(Memory::new(80));
        let address = |n| Owner::Address([127, 0, 0, n].into());
        let mut first = memory.hold(address(1));
        assert_eq!((first.grow(20), first.grow(1)), (Ok(()), Err(Full)), "a quarter");
        assert_eq!(memory.hold(address(1)).grow(1), Err(Full), "nor by another connection");
        let mut user = memory.hold(Owner::User("alice".parse().unwrap()));
        assert_eq!((user.grow(10), user.grow(1)), (Ok(()), Err(Full)), "an eighth");

        let mut others: Vec<Held> = (2..=3).map(|n| memory.hold(address(n))).collect();
        assert!(others.iter_mut().all(|held| held.grow(20).is_ok()));
        let mut last = memory.hold(address(4));
        assert_eq!((last.grow(10), last.grow(1)), (Ok(()), Err(Full)), "all of it");
        last.grow_anyway(5);
        assert_eq!(memory.held(), 85);

        drop(first);
        assert_eq!((last.grow(5), last.grow(1)), (Ok(()), Err(Full)));
        drop((user, others, last));
        let state = memory.locked();
        assert_eq!((state.held, state.of.len()), (0, 0), "nothing is left behind");
    }
}
