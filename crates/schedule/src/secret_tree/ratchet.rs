use conclave_crypto::{CryptoError, Secret, Suite};
use conclave_wire::{ContentType, LeafIndex};
use core::fmt;

/// The two ratchets of a sender (section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RatchetKind {
    /// The ratchet of proposals and commits.
    Handshake = 0,
    /// The ratchet of application messages.
    Application = 1,
}

impl RatchetKind {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Handshake => Self::Application,
            Self::Application => Self::Handshake,
        }
    }

    fn label(self) -> &'static [u8] {
        match self {
            Self::Handshake => b"handshake",
            Self::Application => b"application",
        }
    }
}

impl fmt::Display for RatchetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::Application => "application",
        })
    }
}

impl From<ContentType> for RatchetKind {
    fn from(content_type: ContentType) -> Self {
        match content_type {
            ContentType::Application => Self::Application,
            ContentType::Proposal | ContentType::Commit => Self::Handshake,
        }
    }
}

/// A key and nonce for one message. They are wiped when dropped and never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageKey {
    /// The key, `AEAD.Nk` bytes.
    pub key: Secret,
    /// The nonce, `AEAD.Nn` bytes. A ratchet's nonce is not yet XORed with a reuse guard.
    pub nonce: Secret,
}

/// Limits on how far messages may be out of order (section 15.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatchetLimits {
    /// How many generations a message may be ahead of its ratchet. This bounds the cost of a
    /// message.
    pub max_forward: u32,
    /// How many skipped keys each ratchet keeps. The oldest are dropped.
    pub max_skipped: u32,
    /// How many skipped keys all ratchets of an epoch keep in total. Beyond that, the ratchets that
    /// keep most drop their oldest, so that no member takes the room of the others.
    pub max_skipped_in_epoch: u32,
}

impl Default for RatchetLimits {
    /// 2000 generations ahead, 2000 skipped keys per ratchet, 8192 per epoch.
    fn default() -> Self {
        Self { max_forward: 2000, max_skipped: 2000, max_skipped_in_epoch: 8192 }
    }
}

/// One ratchet of one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RatchetId {
    pub(super) leaf: LeafIndex,
    pub(super) kind: RatchetKind,
}

/// The head of a ratchet: `ratchet_secret_[next]`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Ratchet {
    pub(super) next: u32,
    /// The number of its skipped keys that are kept.
    pub(super) skipped: u32,
    pub(super) secret: Secret,
}

impl Ratchet {
    pub(super) fn first(
        suite: &Suite<'_>,
        leaf_secret: &Secret,
        kind: RatchetKind,
    ) -> Result<Self, CryptoError> {
        let secret = suite.expand_with_label(leaf_secret, kind.label(), &[], suite.nh())?;
        Ok(Self { next: 0, skipped: 0, secret })
    }

    /// The key and nonce of the generation at the head, and the ratchet at the next generation. Callers stop
    /// before the last.
    pub(super) fn message_key(&self, suite: &Suite<'_>) -> Result<(MessageKey, Self), CryptoError> {
        let aead = suite.params().aead;
        let labels: [(&[u8], usize); 3] =
            [(b"key", aead.key_len()), (b"nonce", aead.nonce_len()), (b"secret", suite.nh())];
        let [key, nonce, secret] =
            suite.expand_with_labels(&self.secret, labels, &self.next.to_be_bytes())?;

        let next = self.next.saturating_add(1);
        Ok((MessageKey { key, nonce }, Self { next, skipped: self.skipped, secret }))
    }

    /// The ratchet at the next generation, without the key of this one.
    pub(super) fn step(&self, suite: &Suite<'_>) -> Result<Self, CryptoError> {
        let secret = suite.derive_tree_secret(&self.secret, b"secret", self.next, suite.nh())?;
        Ok(Self { next: self.next.saturating_add(1), skipped: self.skipped, secret })
    }
}
