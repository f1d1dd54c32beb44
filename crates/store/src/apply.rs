//! Writing the steps of groups to a store.

use crate::{Batch, Store, StoreError, WriteSet};
use conclave_mls::group::NewGroup;
use conclave_mls::storage::{ApplyError, Fold, Outcome, State, Write};
use conclave_mls::{Group, Transition};

impl From<&Batch> for WriteSet {
    /// A set that changes one group.
    fn from(batch: &Batch) -> Self {
        Self { batches: vec![batch.clone()], app: Vec::new() }
    }
}

/// Writes a step of a group to a store, applies it, and gives out its outcome.
///
/// `beside` adds what the application writes in the same atomic step: an outbox, a history, a cursor. It
/// sees what the step will give out; nothing of it may leave before this returns.
///
/// ```
/// # use conclave_mls::group::Framing;
/// # use conclave_mls::key_package::Lifetime;
/// # use conclave_mls::{CipherSuite, Config, Credential, Event, Group, Identity};
/// # use conclave_provider_rustcrypto::RustCrypto;
/// # use conclave_store::{MemoryStore, Store};
/// # let provider = RustCrypto::new();
/// # let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
/// # let credential = Credential::basic(b"alice");
/// # let alice = Identity::generate(&provider, &mut rng, credential, CipherSuite(1))?;
/// # let lifetime = Lifetime { not_before: 0, not_after: 1_000 };
/// # let params = alice.group_params(b"a group".as_slice().into(), lifetime);
/// # let new = Group::create(&provider, &mut rng, Config::default(), params, alice.signer)?;
/// let mut store = MemoryStore::new(); // or `SqliteStore::open_encrypted`
/// let mut group = conclave_store::apply_new(&mut store, new, |_, _| {})?;
///
/// let step = group.encrypt(&provider, &mut rng, b"hello", &Framing::default())?;
/// let message = conclave_store::apply(&mut store, &mut group, step, |set, event| {
///     if let Event::Message(message) = event {
///         set.put("outbox", 0u64.to_be_bytes(), message.as_slice());
///     }
/// })?;
/// assert_eq!(store.get("outbox", &0u64.to_be_bytes())?.unwrap().expose(), message);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`conclave_mls::apply`]. After a write whose outcome is unknown, open the store again and load the
/// group anew.
pub fn apply<S: State, O: Outcome<S::Event>>(
    store: &mut (impl Store + ?Sized),
    state: &mut S,
    step: Transition<S, O>,
    beside: impl FnMut(&mut WriteSet, &S::Event),
) -> Result<O, ApplyError<StoreError>> {
    conclave_mls::apply(state, step, |write| store.write(&set_of(&write, beside)))
}

/// Writes all steps of a fold to a store in one atomic step, and applies them. `beside` is called for each
/// of them, in order.
///
/// # Errors
/// As [`Fold::commit`]; the group is as it was before the fold.
pub fn apply_fold<S: State>(
    store: &mut (impl Store + ?Sized),
    fold: Fold<'_, S>,
    beside: impl FnMut(&mut WriteSet, &S::Event),
) -> Result<Vec<S::Event>, StoreError> {
    fold.commit(|write| store.write(&set_of(&write, beside)))
}

/// Writes a group that was created or joined to a store, and gives it out.
///
/// `beside` adds what the application writes in the same atomic step, such as where to begin reading the
/// group's messages; it sees the group.
///
/// # Errors
/// If the group cannot be written. [`StoreError::GroupExists`] if the store has a group of its identifier and
/// this one does not [replace](NewGroup::replacing) it.
pub fn apply_new(
    store: &mut (impl Store + ?Sized),
    new: NewGroup,
    beside: impl FnOnce(&mut WriteSet, &Group),
) -> Result<Group, StoreError> {
    let mut set = WriteSet::from(new.batch());
    beside(&mut set, new.peek());
    new.store(|_| store.write(&set))
}

fn set_of<E>(write: &Write<'_, E>, mut beside: impl FnMut(&mut WriteSet, &E)) -> WriteSet {
    let mut set = WriteSet::from(write.batch);
    for event in write.events {
        beside(&mut set, event);
    }
    set
}
