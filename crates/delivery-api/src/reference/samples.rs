//! Values that examples are made of. Objects of MLS, signatures and proofs are cut to a few bytes in them.

use crate::{
    Bytes, ChainHash, ClientVersion, DeviceId, DirectoryPage, GroupId, Incarnation, LogPosition,
    Name, Receipt, SignedRoot,
};

/// 2026-11-29, 12:00:00 UTC, in seconds since 1970.
pub(super) const NOW: u64 = 1_795_953_600;

/// The first life of a service's state.
pub(super) const INCARNATION: Incarnation = Incarnation { id: [0x1d; 16], number: 1 };

pub(super) fn alice() -> Name {
    "alice".parse().unwrap()
}

/// A version of a client.
pub(super) fn client() -> ClientVersion {
    "conclave/0.4.0".parse().unwrap()
}

pub(super) fn device(text: &str) -> DeviceId {
    text.parse().unwrap()
}

pub(super) fn group() -> GroupId {
    core::array::from_fn::<u8, 16, _>(|i| i as u8).into()
}

/// Stands for the group that takes the place of [`group`].
pub(super) fn successor() -> GroupId {
    [0x5a; 32].into()
}

/// A few bytes that stand for an object.
pub(super) fn cut(n: u8) -> Bytes {
    [n, 1, 2, 3].into()
}

pub(super) fn hash(n: u8) -> [u8; 32] {
    [n; 32]
}

pub(super) fn position() -> LogPosition {
    LogPosition { seq: 7, epoch: 2, chain: ChainHash(hash(0xcc)) }
}

pub(super) fn receipt() -> Receipt {
    Receipt {
        incarnation: INCARNATION,
        group_id: group(),
        position: position(),
        issued_at: NOW,
        signature: vec![0x51; 64],
    }
}

pub(super) fn root() -> SignedRoot {
    SignedRoot { epoch: 3, root: hash(0xdd), published_at: NOW, signature: vec![0x51; 64] }
}

pub(super) fn directory() -> DirectoryPage {
    DirectoryPage { root: root(), proof: cut(0xf0) }
}
