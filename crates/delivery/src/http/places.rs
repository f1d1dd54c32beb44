//! So many of something for each owner.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of a kind.
#[derive(Debug)]
pub(super) struct Places<K: Hash + Eq> {
    taken: Mutex<HashMap<K, usize>>,
    most: usize,
}

impl<K: Hash + Eq + Clone> Places<K> {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), most })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, unless the owner has as many as there may be.
    pub(super) fn take(self: &Arc<Self>, owner: K) -> Option<Place<K>> {
        let mut taken = self.locked();
        let count = taken.get(&owner).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        taken.insert(owner.clone(), count + 1);
        Some(Place { places: self.clone(), owner })
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.locked().values().sum()
    }
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Hash + Eq + Clone> {
    places: Arc<Places<K>>,
    owner: K,
}

impl<K: Hash + Eq + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.locked();
        if let Some(count) = taken.get_mut(&self.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_has_so_many_and_gets_them_back() {
        let places = Places::new(2);
        let [first, second] = [(); 2].map(|()| places.take("a"));
        assert!(first.is_some() && second.is_some() && places.take("a").is_none());
        assert!(places.take("b").is_some());
        drop(first);
        assert!(places.take("a").is_some());
        drop(second);
        assert!(places.locked().is_empty());
    }
}
