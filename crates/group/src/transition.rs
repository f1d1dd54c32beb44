//! Transitions: what every operation yields, and the only way in which a state changes.
//!
//! Staging takes `&self`. A [`Transition`] holds what is new (the delta), the rows to write (the
//! batch), and what may leave (the event). [`apply`] hands batch and event to the caller's write,
//! and only when that has succeeded moves the delta in and gives the event out. Moving cannot
//! fail. A [`Fold`] does the same for many transitions with one write, and undoes them all if the
//! write fails.

use crate::rows::Batch;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

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
    /// Which of its successive states this is.
    #[doc(hidden)]
    fn revision(&self) -> Revision;
    /// Where the revision is kept.
    #[doc(hidden)]
    fn revision_mut(&mut self) -> &mut Revision;
}

/// Identifies one state that one value in memory goes through.
///
/// Steps and stages carry the revision that they were computed from, and fit no other: not that of
/// another member, not that of the same rows loaded once more, and not a state that was rolled back.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Revision {
    /// Which value: each that is created, joined or loaded in this process has a number of its own.
    instance: usize,
    now: u64,
    last: u64,
    /// Whether what is stored may be ahead of what is in memory.
    lost: bool,
}

impl Revision {
    /// The first revision of a value that comes into being.
    pub(crate) fn first() -> Self {
        // Steps and stages cannot be stored, so that a number that is unique in the process is enough.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let instance = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { instance, now: 0, last: 0, lost: false }
    }

    /// Whether both are the same state. What was rolled back in between does not matter.
    pub(crate) fn is(self, other: Self) -> bool {
        self.instance == other.instance && self.now == other.now
    }

    /// Moves on, to a number that was never given before: after a rollback the next state has a new
    /// one. Returns the number until now.
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
    revision: Revision,
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
        Self { revision: state.revision(), delta, batch, event }
    }

    /// Checks that the step was computed from the state as it is.
    fn check_start<E>(&self, state: &S) -> Result<(), ApplyError<E>> {
        let revision = state.revision();
        if revision.lost {
            return Err(ApplyError::Reload);
        }
        if !revision.is(self.revision) {
            return Err(ApplyError::Stale);
        }
        Ok(())
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

/// Why a write failed, as far as the state has to know it.
pub trait WriteError {
    /// Whether the batch, or a part of it, may have been stored all the same: a time-out, a lost
    /// connection, a failed sync. If in doubt, say yes.
    ///
    /// What is in memory may then be behind what is stored, and going on with it could use a key a
    /// second time. So the state takes no more steps until it is loaded anew.
    fn may_have_written(&self) -> bool;
}

impl WriteError for core::convert::Infallible {
    fn may_have_written(&self) -> bool {
        match *self {}
    }
}

/// Why a transition was not applied. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError<E> {
    /// The transition was computed from another state than this one: the state has changed in
    /// between, or was loaded anew. Compute the transition again.
    Stale,
    /// An earlier write may have been stored although it failed. Load the state anew.
    Reload,
    /// The write failed.
    Write(E),
}

impl<E: fmt::Display> fmt::Display for ApplyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the step was computed from another state of the group"),
            Self::Reload => f.write_str(
                "an earlier write may have been stored although it failed: load the group anew",
            ),
            Self::Write(e) => write!(f, "the step could not be stored: {e}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for ApplyError<E> {}

/// Writes something of a state, which is lost if it may have been written although it failed. What a
/// write that panics has done, nobody knows.
fn write_to<S: State, E: WriteError>(
    state: &mut S,
    write: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let before = core::mem::replace(&mut state.revision_mut().lost, true);
    let written = write();
    let lost = written.as_ref().is_err_and(E::may_have_written);
    state.revision_mut().lost = before || lost;
    written
}

/// Writes a transition, applies it, and gives out its event.
///
/// # Errors
/// If the transition does not start from this state, or the write fails. The state is as it was; if
/// the batch [may have been written](WriteError::may_have_written), it takes no more transitions.
pub fn apply<S: State, E: WriteError>(
    state: &mut S,
    transition: Transition<S>,
    write: impl FnOnce(Write<'_, S::Event>) -> Result<(), E>,
) -> Result<S::Event, ApplyError<E>> {
    transition.check_start(state)?;
    let Transition { mut delta, batch, event, .. } = transition;

    let events = core::slice::from_ref(&event);
    write_to(state, || write(Write { batch: &batch, events })).map_err(ApplyError::Write)?;

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
    /// [`ApplyError::Stale`] if it was not computed from [`Self::state`], [`ApplyError::Reload`] if
    /// the state takes no more steps; the fold is as it was.
    pub fn push(
        &mut self,
        transition: Transition<S>,
    ) -> Result<(), ApplyError<core::convert::Infallible>> {
        transition.check_start(self.state)?;
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
    /// If the write fails; the state is as it was before the fold. If the batch
    /// [may have been written](WriteError::may_have_written), it takes no more transitions.
    pub fn commit<E: WriteError>(
        mut self,
        write: impl FnOnce(Write<'_, S::Event>) -> Result<(), E>,
    ) -> Result<Vec<S::Event>, E> {
        let whole = Write { batch: &self.batch, events: &self.events };
        write_to(self.state, || write(whole))?;
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
