//! Variants of a message that must be refused, and the checks of their refusal.

use crate::SeededRng;
use crate::world::archive::Archive;
use crate::world::peer::SECRET_TREE;
use crate::world::state::Peer;
use conclave_group::{Error, Group, Rejection, Transition};
use conclave_wire::UnixTime;

/// The kind under which all messages count that an observer refused.
pub(super) const OBSERVED: &str = "by the observer";

/// A check of the rule that a refusal names.
pub(super) type Because = fn(&Rejection) -> bool;

/// A message that must be refused.
pub(super) struct Variant {
    pub(super) message: Vec<u8>,
    /// Checks the reason of the refusal, if only one is right.
    pub(super) because: Option<Because>,
    /// Whether an observer must refuse it, too.
    pub(super) observable: bool,
    /// Whether its AEAD opens, so that its key is consumed.
    pub(super) opens: bool,
    /// Whether the member may know it already, and do nothing.
    pub(super) known: bool,
}

impl Variant {
    /// A variant that members and observers must refuse, for whatever reason.
    pub(super) fn of(message: Vec<u8>) -> Self {
        Self { message, because: None, observable: true, opens: false, known: false }
    }

    pub(super) fn because(self, because: Because) -> Self {
        Self { because: Some(because), ..self }
    }
}

/// The material for a variant.
pub(super) struct Scene<'a> {
    pub(super) rng: &'a mut SeededRng,
    pub(super) now: UnixTime,
    /// The message that will be delivered.
    pub(super) message: &'a [u8],
    /// The member that receives the variant.
    pub(super) victim: &'a Peer,
    /// The sender of the message, if it is a member.
    pub(super) sender: Option<&'a Peer>,
    pub(super) archive: &'a Archive,
}

/// A kind of variant: its name, and a function that makes one if the scene allows it.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) make: fn(&mut Scene<'_>) -> Option<Variant>,
}

/// Whether an error says that the message is at fault.
pub(super) fn blames_the_message(error: &Error) -> bool {
    matches!(error, Error::Malformed(_) | Error::Rejected(_))
}

/// Checks that a step writes rows of a secret tree, and no others.
pub(super) fn deletes_a_key_alone(who: &str, step: &Transition<Group>, epoch: u64) {
    let batch = step.batch();
    assert!(!batch.clear && batch.deleted_epochs.is_empty(), "{who}: it deletes more than a key");
    assert!(!batch.rows.is_empty(), "{who}: it deletes nothing");
    for key in batch.rows.keys() {
        let within = key.epoch == epoch && SECRET_TREE.contains(&key.table);
        assert!(within, "{who}: the deletion writes {key:?}");
    }
}
