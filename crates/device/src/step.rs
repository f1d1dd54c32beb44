use crate::error::Error;
use conclave_mls::storage::{ApplyError, Outcome, WriteError, begin};
use conclave_mls::{Event, Group, Transition};
use conclave_store::{Store, StoreError, WriteSet};
use core::fmt;

/// A step of a room: computed, not written yet. Dropped, it leaves no trace.
#[must_use = "a step changes nothing until it is written"]
pub struct Step<'r, O> {
    group: &'r mut Group,
    transition: Transition<Group, O>,
    beside: WriteSet,
}

impl<O> fmt::Debug for Step<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("transition", &self.transition).finish_non_exhaustive()
    }
}

impl<'r, O> Step<'r, O> {
    pub(crate) fn new(group: &'r mut Group, transition: Transition<Group, O>) -> Self {
        Self { group, transition, beside: WriteSet::new() }
    }

    pub(crate) fn untyped(self) -> Step<'r, Event> {
        let Self { group, transition, beside } = self;
        Step { group, transition: transition.untyped(), beside }
    }
}

impl<O: Outcome<Event>> Step<'_, O> {
    /// Writes one of the application's keys in the same atomic write: a cursor, say.
    pub fn put(
        mut self,
        namespace: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        self.beside.put(namespace, key, value);
        self
    }

    /// Writes the step to a store, applies it, and gives out its outcome.
    ///
    /// # Errors
    /// [`Error::Store`]; the room is as it was. If the write may have happened all the same, the room takes no
    /// more steps ([`Error::Reload`]) until it is loaded again.
    pub fn write(self, store: &mut (impl Store + ?Sized)) -> Result<O, Error> {
        self.write_beside(store, |_, _| {})
    }

    /// [`Self::write`] that also writes what depends on the outcome, an outbox or a history, in the same atomic
    /// write. `beside` sees the outcome as an event; nothing of it may leave before this returns.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_beside(
        self,
        store: &mut (impl Store + ?Sized),
        mut beside: impl FnMut(&mut WriteSet, &Event),
    ) -> Result<O, Error> {
        let Self { group, transition, beside: mut set } = self;
        let writing = begin(group, transition).map_err(ApplyError::without_write)?;
        let write = writing.write();
        set.batches.push(write.batch.clone());
        write.events.iter().for_each(|event| beside(&mut set, event));
        match store.write(&set) {
            Ok(()) => Ok(writing.written()),
            Err(error) => {
                writing.failed(&error);
                Err(error.into())
            }
        }
    }

    /// [`Self::write`] for a database that is awaited. `write` stores the set in one transaction, with whatever
    /// depends on the events.
    ///
    /// Its future may be dropped before it is polled without a trace. Dropped later, the write may have happened:
    /// the room then takes no more steps until it is loaded again.
    ///
    /// # Errors
    /// As [`Self::write`], with the error of `write`.
    pub async fn write_with<E: WriteError>(
        self,
        write: impl AsyncFnOnce(&WriteSet, &[Event]) -> Result<(), E>,
    ) -> Result<O, ApplyError<E>> {
        let Self { group, transition, beside: mut set } = self;
        let writing = begin(group, transition).map_err(ApplyError::without_write)?;
        set.batches.push(writing.write().batch.clone());
        match write(&set, writing.write().events).await {
            Ok(()) => Ok(writing.written()),
            Err(error) => {
                writing.failed(&error);
                Err(ApplyError::Write(error))
            }
        }
    }
}

/// A value that is given out once what belongs to it is stored: an identity, key packages, a new room.
#[must_use = "it is not stored yet"]
pub struct Prepared<T> {
    value: T,
    set: WriteSet,
}

impl<T> fmt::Debug for Prepared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl<T> Prepared<T> {
    pub(crate) fn new(value: T, set: WriteSet) -> Self {
        Self { value, set }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Prepared<U> {
        Prepared { value: f(self.value), set: self.set }
    }

    /// Writes one of the application's keys in the same atomic write.
    pub fn put(
        mut self,
        namespace: impl Into<String>,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Self {
        self.set.put(namespace, key, value);
        self
    }

    /// Writes it to a store and gives the value out.
    ///
    /// # Errors
    /// [`StoreError`] of the store. After an unknown outcome, read the store again.
    pub fn write(self, store: &mut (impl Store + ?Sized)) -> Result<T, StoreError> {
        store.write(&self.set)?;
        Ok(self.value)
    }

    /// [`Self::write`] for a database that is awaited.
    ///
    /// # Errors
    /// The error of `write`.
    pub async fn write_with<E>(
        self,
        write: impl AsyncFnOnce(&WriteSet) -> Result<(), E>,
    ) -> Result<T, E> {
        write(&self.set).await?;
        Ok(self.value)
    }
}
