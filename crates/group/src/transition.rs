//! Transitions: what every operation yields, and the only way in which a state changes.
//!
//! Staging takes `&self`. A [`Transition`] holds what is new (the delta), the rows to write (the
//! batch), and what may leave (the event). [`apply`] hands batch and event to the caller's write,
//! and only when that has succeeded moves the delta in and gives the event out. Moving cannot
//! fail. A [`Fold`] does the same for many transitions with one write, and undoes them all if the
//! write fails.

use crate::rows::Batch;
use alloc::vec::Vec;
use conclave_wire::GroupId;
use core::fmt;

mod sealed {
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// A state that transitions change: a member's [`Group`](crate::Group) or an
/// [`Observer`](crate::Observer).
pub trait State: Sealed {
    /// What a transition moves in.
    #[doc(hidden)]
    type Delta;
    /// What a transition gives out.
    type Event;

    /// Exchanges the delta's values with the state's; twice is the identity.
    #[doc(hidden)]
    fn swap(&mut self, delta: &mut Self::Delta);
    /// The group that it is a state of.
    #[doc(hidden)]
    fn state_of(&self) -> &GroupId;
    /// Which of its successive states this is.
    #[doc(hidden)]
    fn revision(&self) -> Revision;
    /// Where the revision is kept.
    #[doc(hidden)]
    fn revision_mut(&mut self) -> &mut Revision;
}

/// Identifies one of the successive states of a value in memory. A number is given once: after a
/// rollback the next state has a new one.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Revision {
    now: u64,
    last: u64,
}

impl Revision {
    /// Whether both are of the same state. What was rolled back in between does not matter.
    pub(crate) fn is(self, other: Self) -> bool {
        self.now == other.now
    }

    fn advance(&mut self) -> u64 {
        let before = self.now;
        self.last += 1;
        self.now = self.last;
        before
    }
}

/// One step of a state: computed, not yet written, not yet applied. Its outputs are sealed.
#[must_use = "a transition changes nothing until it is applied"]
pub struct Transition<S: State> {
    revision: u64,
    delta: S::Delta,
    batch: Batch,
    event: S::Event,
}

impl<S: State> fmt::Debug for Transition<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transition({} rows)", self.batch.rows.len())
    }
}

impl<S: State> Transition<S> {
    pub(crate) fn new(state: &S, delta: S::Delta, batch: Batch, event: S::Event) -> Self {
        Self { revision: state.revision().now, delta, batch, event }
    }

    /// Whether it was computed from the state as it is.
    fn starts_from(&self, state: &S) -> bool {
        self.revision == state.revision().now && self.batch.group_id == *state.state_of()
    }

    /// What it would give out.
    #[cfg(test)]
    pub(crate) fn into_event(self) -> S::Event {
        self.event
    }

    /// The rows that it will write.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }
}

/// What has to be written in one atomic, durable step.
#[derive(Debug)]
pub struct Write<'a, E> {
    /// The rows of the group.
    pub batch: &'a Batch,
    /// What will be given out when the write has succeeded, so that an outbox or a history can be
    /// written in the same step. Nothing of it may leave before.
    pub events: &'a [E],
}

/// Why a transition was not applied. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError<E> {
    /// The state has changed since the transition was computed.
    Stale,
    /// The write failed.
    Write(E),
}

impl<E: fmt::Display> fmt::Display for ApplyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the group has changed since the step was computed"),
            Self::Write(e) => write!(f, "the step could not be stored: {e}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ApplyError<E> {}

/// Writes a transition, applies it, and gives out its event.
///
/// # Errors
/// If the transition does not start from this state, or the write fails. The state is as it was.
pub fn apply<S: State, E>(
    state: &mut S,
    transition: Transition<S>,
    write: impl FnOnce(Write<'_, S::Event>) -> Result<(), E>,
) -> Result<S::Event, ApplyError<E>> {
    if !transition.starts_from(state) {
        return Err(ApplyError::Stale);
    }
    let Transition { mut delta, batch, event, .. } = transition;
    let events = core::slice::from_ref(&event);
    write(Write { batch: &batch, events }).map_err(ApplyError::Write)?;
    state.swap(&mut delta);
    state.revision_mut().advance();
    Ok(event)
}

/// Many transitions with one write. Dropped without [`Fold::commit`], it undoes them all.
pub struct Fold<'s, S: State> {
    state: &'s mut S,
    undo: Vec<(u64, S::Delta)>,
    batch: Batch,
    events: Vec<S::Event>,
}

impl<'s, S: State> Fold<'s, S> {
    pub(crate) fn new(state: &'s mut S, batch: Batch) -> Self {
        Self { state, undo: Vec::new(), batch, events: Vec::new() }
    }

    /// The state with all steps so far, from which to compute the next.
    #[must_use]
    pub fn state(&self) -> &S {
        self.state
    }

    /// Adds a step.
    ///
    /// # Errors
    /// [`ApplyError::Stale`] if it was not computed from [`Self::state`]; the fold is as it was.
    pub fn push(
        &mut self,
        transition: Transition<S>,
    ) -> Result<(), ApplyError<core::convert::Infallible>> {
        if !transition.starts_from(self.state) {
            return Err(ApplyError::Stale);
        }
        let Transition { mut delta, batch, event, .. } = transition;
        self.state.swap(&mut delta);
        let before = self.state.revision_mut().advance();
        self.undo.push((before, delta));
        self.batch.merge(batch);
        self.events.push(event);
        Ok(())
    }

    /// Writes all steps and gives out their events.
    ///
    /// # Errors
    /// If the write fails; the state is as it was before the fold.
    pub fn commit<E>(
        mut self,
        write: impl FnOnce(Write<'_, S::Event>) -> Result<(), E>,
    ) -> Result<Vec<S::Event>, E> {
        write(Write { batch: &self.batch, events: &self.events })?;
        self.undo.clear();
        Ok(core::mem::take(&mut self.events))
    }
}

impl<S: State> Drop for Fold<'_, S> {
    fn drop(&mut self) {
        for (revision, mut delta) in core::mem::take(&mut self.undo).into_iter().rev() {
            self.state.swap(&mut delta);
            self.state.revision_mut().now = revision;
        }
    }
}

/// Exchanges the values of a map with those of a delta.
pub(crate) fn swap_map<K: Ord + Clone, V>(
    state: &mut alloc::collections::BTreeMap<K, V>,
    delta: &mut alloc::collections::BTreeMap<K, Option<V>>,
) {
    for (key, value) in delta.iter_mut() {
        *value = match value.take() {
            Some(new) => state.insert(key.clone(), new),
            None => state.remove(key),
        };
    }
}

/// Exchanges a value with that of a delta, if the delta has one.
pub(crate) fn swap_value<T>(state: &mut T, delta: &mut Option<T>) {
    if let Some(value) = delta {
        core::mem::swap(state, value);
    }
}
