use super::ratchet::RatchetKind;
use super::row::SecretTreeRow;
use conclave_crypto::CryptoError;
use conclave_wire::LeafIndex;
use core::fmt;

/// Why a secret tree has no key for a message. Nothing was changed by the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RatchetError {
    /// The tree has no such leaf.
    NoSuchLeaf(LeafIndex),
    /// The key was used already (the message is a replay), or was dropped with the oldest of too
    /// many skipped ones (section 9.2).
    KeyGone {
        /// The sender.
        leaf: LeafIndex,
        /// The message's generation.
        generation: u32,
    },
    /// The generation is too many steps ahead of the ratchet (section 15.3).
    TooFarAhead {
        /// The sender.
        leaf: LeafIndex,
        /// The message's generation.
        generation: u32,
        /// How many steps it is ahead.
        by: u32,
    },
    /// The ratchet is at its last generation, 2^32 - 1, which is not used.
    Exhausted {
        /// The sender.
        leaf: LeafIndex,
    },
    /// There is neither a ratchet of this leaf nor a secret above it. Not in a tree that was loaded:
    /// that is complete.
    SecretMissing(LeafIndex),
    /// A stored row does not decode, or contradicts another.
    DamagedRow(SecretTreeRow),
    /// A stored row is missing; for a node, it or some below it.
    MissingRow(SecretTreeRow),
    /// Of a ratchet's skipped keys not as many are stored as there should be.
    SkippedKeysMissing {
        /// The sender.
        leaf: LeafIndex,
        /// Which of its ratchets.
        kind: RatchetKind,
    },
    /// The crypto provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for RatchetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchLeaf(leaf) => write!(f, "the secret tree has no {leaf}"),
            Self::KeyGone { leaf, generation } => {
                write!(f, "the key of generation {generation} of {leaf} was used or dropped")
            }
            Self::TooFarAhead { leaf, generation, by } => {
                write!(f, "generation {generation} of {leaf} is {by} steps ahead, which is too far")
            }
            Self::Exhausted { leaf } => {
                write!(f, "the ratchet of {leaf} has no more generations in this epoch")
            }
            Self::SecretMissing(leaf) => write!(f, "no stored secret leads to {leaf}"),
            Self::DamagedRow(row) => write!(f, "the secret tree's row {row:?} is damaged"),
            Self::MissingRow(row) => write!(f, "the secret tree's row {row:?} is missing"),
            Self::SkippedKeysMissing { leaf, kind } => {
                write!(f, "skipped keys of the {kind:?} ratchet of {leaf} are missing")
            }
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for RatchetError {}

impl From<CryptoError> for RatchetError {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RatchetError as E;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn each_error_has_a_text_of_its_own_that_names_leaf_and_generation() {
        let (leaf, generation) = (LeafIndex(4711), 815);
        let (node, kind) = (SecretTreeRow::Node(4711), RatchetKind::Handshake);
        let errors = [
            (E::NoSuchLeaf(leaf), "has no leaf 4711"),
            (E::KeyGone { leaf, generation }, "generation 815 of leaf 4711 was used"),
            (E::TooFarAhead { leaf, generation, by: 33 }, "815 of leaf 4711 is 33 steps"),
            (E::Exhausted { leaf }, "leaf 4711 has no more"),
            (E::SecretMissing(leaf), "leads to leaf 4711"),
            (E::DamagedRow(node), "4711) is damaged"),
            (E::MissingRow(node), "4711) is missing"),
            (E::SkippedKeysMissing { leaf, kind }, "Handshake ratchet of leaf 4711"),
            (E::from(CryptoError::InvalidLength), "length"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
        for ((_, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
        }
    }
}
