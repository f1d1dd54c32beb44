//! Variants of a message that must be refused, and what shows that they were.

use crate::SeededRng;
use crate::world::archive::Archive;
use crate::world::peer::SECRET_TREE;
use crate::world::state::Peer;
use conclave_group::{Error, Group, Rejection, Transition};

/// The kind of what an observer refused, whatever it was.
pub(super) const OBSERVED: &str = "by the observer";

/// What must be seen of a refusal, beside that there is one.
pub(super) type Because = fn(&Rejection) -> bool;

/// A message that must be refused.
pub(super) struct Variant {
    pub(super) message: Vec<u8>,
    /// That it is refused for the right reason, if there is only one.
    pub(super) because: Option<Because>,
    /// Whether an observer must refuse it, too.
    pub(super) observable: bool,
    /// Whether its AEAD opens, so that its key is consumed.
    pub(super) opens: bool,
    /// Whether it may be known, so that nothing is to be done.
    pub(super) known: bool,
}

impl Variant {
    /// What nobody takes for a message.
    pub(super) fn of(message: Vec<u8>) -> Self {
        Self { message, because: None, observable: true, opens: false, known: false }
    }

    pub(super) fn because(self, because: Because) -> Self {
        Self { because: Some(because), ..self }
    }
}

/// What a variant is made from.
pub(super) struct Scene<'a> {
    pub(super) rng: &'a mut SeededRng,
    pub(super) now: u64,
    /// The message that will be delivered.
    pub(super) message: &'a [u8],
    /// Who gets the variant.
    pub(super) victim: &'a Peer,
    /// Whose message it is, if that is a member who has not taken it back.
    pub(super) sender: Option<&'a Peer>,
    pub(super) archive: &'a Archive,
}

/// A kind of variant: its name, and how to make one if the scene allows.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) make: fn(&mut Scene<'_>) -> Option<Variant>,
}

/// Whether an error says that the message is at fault.
pub(super) fn blames_the_message(error: &Error) -> bool {
    matches!(error, Error::Malformed(_) | Error::Rejected(_))
}

/// That a step writes no row but those of a secret tree.
pub(super) fn deletes_a_key_alone(who: &str, step: &Transition<Group>, epoch: u64) {
    let batch = step.batch();
    assert!(!batch.clear && batch.deleted_epochs.is_empty(), "{who}: it deletes more than a key");
    assert!(!batch.rows.is_empty(), "{who}: it deletes nothing");
    for key in batch.rows.keys() {
        let within = key.epoch == epoch && SECRET_TREE.contains(&key.table);
        assert!(within, "{who}: the deletion writes {key:?}");
    }
}
