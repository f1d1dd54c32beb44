//! Transitions: the result of every operation, and the only way in which a state changes.
//!
//! An operation takes `&self`. Its [`Transition`] holds the change (the delta), the rows to write
//! (the batch), and what may leave (the outcome). [`apply`] hands batch and outcome to the caller's
//! write. Only once that has succeeded does it move the delta in, which cannot fail, and give the
//! outcome out. A [`Fold`] does the same for many transitions with one write, and undoes them all
//! if the write fails. [`begin`] and [`Fold::begin`] are for writes that are awaited.

use crate::store::rows::Batch;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};

mod sealed {
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// A state that transitions change: a member's [`Group`](crate::Group) or an
/// [`Observer`](crate::Observer).
pub trait State: Sealed {
    /// The change that a transition moves in.
    #[doc(hidden)]
    type Delta;
    /// The outcomes of its transitions, as one type.
    type Event;

    /// Exchanges the delta's values with the state's. Doing it twice changes nothing.
    #[doc(hidden)]
    fn swap(&mut self, delta: &mut Self::Delta);
    /// The current one of its successive states.
    #[doc(hidden)]
    fn revision(&self) -> Revision;
    /// The same, to be changed.
    #[doc(hidden)]
    fn revision_mut(&mut self) -> &mut Revision;
}

/// Identifies one state that one value in memory goes through.
///
/// Steps and stages carry the revision that they were computed from, and fit no other: neither
/// another member's, nor that of the same rows loaded again, nor one that was rolled back.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Revision {
    /// The value: each one that is created, joined or loaded in this process has its own number.
    instance: usize,
    now: u64,
    last: u64,
    /// Whether the stored state may be ahead of the one in memory.
    lost: bool,
}

impl Revision {
    /// The first revision of a value that comes into being.
    pub(crate) fn first() -> Self {
        // Steps and stages cannot be stored, so a number that is unique in the process is enough.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let instance = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { instance, now: 0, last: 0, lost: false }
    }

    /// Whether both are the same state. Steps that were rolled back in between do not matter.
    pub(crate) fn is(self, other: Self) -> bool {
        self.instance == other.instance && self.now == other.now
    }

    /// Moves on to a number that was never used before: after a rollback the next state has a new
    /// one. Returns the old number.
    fn advance(&mut self) -> u64 {
        let before = self.now;
        self.last += 1;
        self.now = self.last;
        before
    }
}

/// The outcome of a transition: one of the state's events, as a type of its own.
///
/// [`apply`] returns it as this type. A write, and a [`Fold`] of many steps, see it as an event.
pub trait Outcome<E>: Sized {
    /// Takes the outcome out of the event that was made from it.
    #[doc(hidden)]
    fn from_event(event: E) -> Self;
}

impl<E> Outcome<E> for () {
    fn from_event(_: E) -> Self {}
}

/// One step of a state: computed, not yet written, not yet applied. Its outcome is sealed until it
/// is.
///
/// `O` is the outcome: a ciphertext, a commit's messages, a received message. [`apply`] returns it.
#[must_use = "a transition changes nothing until it is applied"]
pub struct Transition<S: State, O = ()> {
    revision: Revision,
    delta: S::Delta,
    batch: Batch,
    event: S::Event,
    outcome: PhantomData<fn() -> O>,
}

impl<S: State, O> fmt::Debug for Transition<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transition({} rows)", self.batch.rows.len())
    }
}

impl<S: State, O: Into<S::Event>> Transition<S, O> {
    pub(crate) fn new(state: &S, delta: S::Delta, batch: Batch, outcome: O) -> Self {
        Self::of_event(state, delta, batch, outcome.into())
    }
}

impl<S: State> Transition<S> {
    /// A step without an outcome. `event` says what happened.
    pub(crate) fn silent(state: &S, delta: S::Delta, batch: Batch, event: S::Event) -> Self {
        Self::of_event(state, delta, batch, event)
    }
}

impl<S: State, O> Transition<S, O> {
    fn of_event(state: &S, delta: S::Delta, batch: Batch, event: S::Event) -> Self {
        let outcome = PhantomData;
        Self { revision: state.revision(), delta, batch, event, outcome }
    }

    /// Checks that the step was computed from the current state.
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

    /// The outcome, without a write.
    #[cfg(test)]
    pub(crate) fn into_outcome(self) -> O
    where
        O: Outcome<S::Event>,
    {
        O::from_event(self.event)
    }

    /// The rows that it will write.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The same step with its outcome as an event, for code that takes steps of all kinds.
    pub fn untyped(self) -> Transition<S, S::Event>
    where
        S::Event: Outcome<S::Event>,
    {
        let Self { revision, delta, batch, event, .. } = self;
        Transition { revision, delta, batch, event, outcome: PhantomData }
    }
}

/// What to write in one atomic, durable step.
#[derive(Debug)]
pub struct Write<'a, E> {
    /// The rows of the group.
    pub batch: &'a Batch,
    /// The outcomes that are given out once the write has succeeded, so that an outbox or a history
    /// can be written in the same step. Nothing of them may leave before.
    pub events: &'a [E],
}

/// What a state must know about a failed write.
pub trait WriteError {
    /// Whether the batch or a part of it may have been stored despite the error: after a time-out,
    /// a lost connection, a failed sync. If in doubt, say yes.
    ///
    /// If so, memory may be behind the store, and going on could use a key a second time. So the
    /// state takes no more steps until it is loaded again.
    fn may_have_written(&self) -> bool;
}

impl WriteError for Infallible {
    fn may_have_written(&self) -> bool {
        match *self {}
    }
}

/// A transition that was not applied. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyError<E> {
    /// The transition was computed from another state: the state has changed since, or was loaded
    /// again. Compute the transition again.
    Stale,
    /// An earlier write may have been stored although it failed. Load the state again.
    Reload,
    /// The write failed.
    Write(E),
}

impl<E: fmt::Display> fmt::Display for ApplyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the step was computed from another state of the group"),
            Self::Reload => f.write_str(
                "an earlier write may have been stored although it failed: load the group again",
            ),
            Self::Write(e) => write!(f, "the step could not be stored: {e}"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for ApplyError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            Self::Stale | Self::Reload => None,
        }
    }
}

impl ApplyError<Infallible> {
    /// The same error for an operation in which a write could fail too.
    #[must_use]
    pub fn without_write<E>(self) -> ApplyError<E> {
        match self {
            Self::Stale => ApplyError::Stale,
            Self::Reload => ApplyError::Reload,
            Self::Write(never) => match never {},
        }
    }
}

/// Writes a transition, applies it, and returns its outcome.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::group::Framing;
///
/// let step = alice.encrypt(&provider, &mut rng, b"hello", &Framing::default())?;
/// let message = apply(&mut alice, step, |write| {
///     // In one transaction: the rows, and the message in the application's outbox.
/// #   let outbox = |_: &[Event]| ();
///     outbox(write.events);
///     store.write(write)
/// })?;
/// # Done::Ok(())
/// ```
///
/// # Errors
/// If the transition does not start from this state, or the write fails. The state is as it was. If
/// the batch [may have been written](WriteError::may_have_written), the state takes no more
/// transitions.
pub fn apply<S: State, O: Outcome<S::Event>, E: WriteError>(
    state: &mut S,
    transition: Transition<S, O>,
    write: impl FnOnce(Write<'_, S::Event>) -> Result<(), E>,
) -> Result<O, ApplyError<E>> {
    transition.check_start(state)?;
    let writing = Writing::new(state, transition);
    match write(writing.write()) {
        Ok(()) => Ok(writing.written()),
        Err(error) => {
            writing.failed(&error);
            Err(ApplyError::Write(error))
        }
    }
}

/// Begins to write a transition: [`apply`] for a write that is awaited.
///
/// ```
#[doc = client!()]
/// use conclave_mls::Transition;
/// use conclave_mls::storage::{ApplyError, Outcome, Write, WriteError, begin};
///
/// async fn apply_async<O: Outcome<Event>, E: WriteError>(
///     group: &mut Group,
///     step: Transition<Group, O>,
///     database: impl AsyncFnOnce(Write<'_, Event>) -> Result<(), E>,
/// ) -> Result<O, ApplyError<E>> {
///     let writing = begin(group, step).map_err(ApplyError::without_write)?;
///     match database(writing.write()).await {
///         Ok(()) => Ok(writing.written()),
///         Err(error) => {
///             writing.failed(&error);
///             Err(ApplyError::Write(error))
///         }
///     }
/// }
/// ```
///
/// # Errors
/// [`ApplyError::Stale`] or [`ApplyError::Reload`]. The state is as it was.
pub fn begin<S: State, O: Outcome<S::Event>>(
    state: &mut S,
    transition: Transition<S, O>,
) -> Result<Writing<'_, S, O>, ApplyError<Infallible>> {
    transition.check_start(state)?;
    Ok(Writing::new(state, transition))
}

/// A transition whose write is under way.
///
/// [`Self::written`] or [`Self::failed`] ends it. If it is dropped without either, as when a future
/// is cancelled or the write panics, the batch may be stored or not, so the state takes no more
/// steps until it is loaded again.
#[must_use = "a write that was begun must be ended"]
pub struct Writing<'s, S: State, O> {
    state: &'s mut S,
    was_lost: bool,
    transition: Transition<S, O>,
}

impl<'s, S: State, O> Writing<'s, S, O> {
    fn new(state: &'s mut S, transition: Transition<S, O>) -> Self {
        let was_lost = core::mem::replace(&mut state.revision_mut().lost, true);
        Self { state, was_lost, transition }
    }

    /// What to write.
    pub fn write(&self) -> Write<'_, S::Event> {
        let events = core::slice::from_ref(&self.transition.event);
        Write { batch: &self.transition.batch, events }
    }

    /// Applies the step, which is stored now, and returns its outcome.
    pub fn written(self) -> O
    where
        O: Outcome<S::Event>,
    {
        let Self { state, was_lost, transition } = self;
        let Transition { mut delta, event, .. } = transition;
        state.swap(&mut delta);
        let revision = state.revision_mut();
        revision.advance();
        revision.lost = was_lost;
        O::from_event(event)
    }

    /// Gives the step up because the write failed.
    pub fn failed(self, error: &impl WriteError) {
        self.state.revision_mut().lost = self.was_lost || error.may_have_written();
    }
}

/// Many transitions with one write: [`Group::fold`](crate::Group::fold) begins it. If it is dropped
/// without [`Fold::commit`] or [`Fold::begin`], it undoes them all.
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

    /// The state after all steps so far, from which to compute the next.
    #[must_use]
    pub fn state(&self) -> &S {
        self.state
    }

    /// Adds a step.
    ///
    /// # Errors
    /// [`ApplyError::Stale`] if it was not computed from [`Self::state`], [`ApplyError::Reload`] if
    /// the state takes no more steps. The fold is as it was.
    pub fn push<O>(&mut self, transition: Transition<S, O>) -> Result<(), ApplyError<Infallible>> {
        transition.check_start(self.state)?;
        let Transition { mut delta, batch, event, .. } = transition;

        self.state.swap(&mut delta);
        let before = self.state.revision_mut().advance();
        self.undo.push((before, delta));
        self.batch.merge(batch);
        self.events.push(event);
        Ok(())
    }

    /// Writes all steps and returns their events.
    ///
    /// # Errors
    /// If the write fails. The state is as it was before the fold. If the batch
    /// [may have been written](WriteError::may_have_written), the state takes no more transitions.
    pub fn commit<E: WriteError>(
        self,
        write: impl FnOnce(Write<'_, S::Event>) -> Result<(), E>,
    ) -> Result<Vec<S::Event>, E> {
        let writing = self.begin();
        match write(writing.write()) {
            Ok(()) => Ok(writing.written()),
            Err(error) => {
                writing.failed(&error);
                Err(error)
            }
        }
    }

    /// Begins to write all steps: [`Self::commit`] for a write that is awaited.
    pub fn begin(self) -> FoldWriting<'s, S> {
        let was_lost = core::mem::replace(&mut self.state.revision_mut().lost, true);
        FoldWriting { fold: self, was_lost }
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

/// A fold whose write is under way. It ends as a [`Writing`] does.
#[must_use = "a write that was begun must be ended"]
pub struct FoldWriting<'s, S: State> {
    fold: Fold<'s, S>,
    was_lost: bool,
}

impl<S: State> FoldWriting<'_, S> {
    /// What to write.
    pub fn write(&self) -> Write<'_, S::Event> {
        Write { batch: &self.fold.batch, events: &self.fold.events }
    }

    /// Keeps all steps, which are stored now, and returns their events.
    pub fn written(mut self) -> Vec<S::Event> {
        self.fold.state.revision_mut().lost = self.was_lost;
        self.fold.undo.clear();
        core::mem::take(&mut self.fold.events)
    }

    /// Undoes all steps because the write failed.
    pub fn failed(self, error: &impl WriteError) {
        self.fold.state.revision_mut().lost = self.was_lost || error.may_have_written();
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

/// A change of a value that may be absent.
#[derive(Debug, Default)]
pub(crate) enum Change<T> {
    #[default]
    Keep,
    Set(T),
    Remove,
}

impl<T> Change<T> {
    /// Exchanges the change with the value, if there is a change. Doing it twice changes nothing.
    pub(crate) fn swap(&mut self, state: &mut Option<T>) {
        let before = match core::mem::take(self) {
            Self::Keep => return,
            Self::Set(new) => state.replace(new),
            Self::Remove => state.take(),
        };
        *self = before.map_or(Self::Remove, Self::Set);
    }

    /// Whether there is a value after the change. `now` says whether there is one before it.
    pub(crate) fn is_some_after(&self, now: bool) -> bool {
        match self {
            Self::Keep => now,
            Self::Set(_) => true,
            Self::Remove => false,
        }
    }
}

/// Exchanges a value with the delta's, if the delta has one.
pub(crate) fn swap_value<T>(state: &mut T, delta: &mut Option<T>) {
    if let Some(value) = delta {
        core::mem::swap(state, value);
    }
}
