use super::ratchet::RatchetKind;
use super::row::SecretTreeRow;
use conclave_crypto::CryptoError;
use conclave_wire::LeafIndex;
use core::fmt;

/// The reason why a secret tree has no key for a message, or cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RatchetError {
    /// The tree has no such leaf.
    NoSuchLeaf(LeafIndex),
    /// The key was already used, so the message is a replay; or it was dropped as one of the oldest
    /// of too many skipped keys (section 9.2).
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
        /// The number of steps that it is ahead.
        by: u32,
    },
    /// The ratchet has reached its last generation, 2^32 - 1, which is not used.
    Exhausted {
        /// The sender.
        leaf: LeafIndex,
    },
    /// The tree has neither a ratchet of this leaf nor a secret above it. This cannot happen in a
    /// loaded tree, which is complete.
    SecretMissing(LeafIndex),
    /// A stored row cannot be decoded, or contradicts another one.
    DamagedRow(SecretTreeRow),
    /// A stored row is missing; for a node, this row or some below it.
    MissingRow(SecretTreeRow),
    /// Some of a ratchet's skipped keys are missing, or there are too many.
    SkippedKeysMissing {
        /// The sender.
        leaf: LeafIndex,
        /// The ratchet.
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
                write!(
                    f,
                    "the key of generation {generation} of {leaf} was already used or dropped"
                )
            }
            Self::TooFarAhead { leaf, generation, by } => {
                write!(f, "generation {generation} of {leaf} is {by} steps ahead, which is too far")
            }
            Self::Exhausted { leaf } => {
                write!(f, "the ratchet of {leaf} has no more generations in this epoch")
            }
            Self::SecretMissing(leaf) => write!(f, "no stored secret leads to {leaf}"),
            Self::DamagedRow(row) => write!(f, "the secret tree's row is damaged: {row}"),
            Self::MissingRow(row) => write!(f, "the secret tree's row is missing: {row}"),
            Self::SkippedKeysMissing { leaf, kind } => {
                write!(f, "the stored skipped keys of the {kind} ratchet of {leaf} are incomplete")
            }
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for RatchetError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Crypto(e) => Some(e),
            _ => None,
        }
    }
}

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
    fn each_error_has_its_own_text_with_leaf_and_generation() {
        let leaf = LeafIndex(4711);
        let generation = 815;
        let kind = RatchetKind::Handshake;
        let skipped = SecretTreeRow::Skipped { leaf, kind, generation };
        let errors = [
            (E::NoSuchLeaf(leaf), "has no leaf 4711"),
            (E::KeyGone { leaf, generation }, "generation 815 of leaf 4711 was already used"),
            (E::TooFarAhead { leaf, generation, by: 33 }, "815 of leaf 4711 is 33 steps"),
            (E::Exhausted { leaf }, "leaf 4711 has no more"),
            (E::SecretMissing(leaf), "leads to leaf 4711"),
            (E::DamagedRow(SecretTreeRow::Node(4711)), "damaged: the secret of node 4711"),
            (E::MissingRow(SecretTreeRow::Node(4711)), "missing: the secret of node 4711"),
            (
                E::MissingRow(SecretTreeRow::Ratchet { leaf, kind }),
                "missing: the handshake ratchet of leaf 4711",
            ),
            (E::MissingRow(skipped), "missing: skipped key 815 of the handshake ratchet"),
            (E::SkippedKeysMissing { leaf, kind }, "keys of the handshake ratchet of leaf 4711"),
            (E::from(CryptoError::InvalidLength), "length"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
        for ((_, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
        }
    }

    #[test]
    fn a_failure_of_the_provider_is_the_source() {
        use core::error::Error;

        let error = E::from(CryptoError::InvalidLength);
        assert_eq!(error.source().unwrap().to_string(), CryptoError::InvalidLength.to_string());
        assert!(E::NoSuchLeaf(LeafIndex(0)).source().is_none());
    }
}
