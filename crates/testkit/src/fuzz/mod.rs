//! The functions that a fuzzer feeds: decoders, a live member, an observer, joiners, and the loader
//! of stored state.
//!
//! Each function takes any bytes and panics if an invariant does not hold. The fuzz targets in
//! `fuzz/` call them with bytes that a fuzzer finds, the tests here with bytes that a fuzzer has
//! found before and with random ones.
//!
//! A signature, a MAC, an AEAD or a row's checksum refuses random bytes before anything else looks at
//! them. So most functions take the bytes as what lies behind these checks: an
//! [`Insider`](crate::forge::Insider), a member that breaks rules, signs and seals them.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod built;
mod forged;
mod input;
mod join;
mod load;
mod messages;
mod seeds;
mod stage;
#[cfg(test)]
mod tests;

pub use join::join;
pub use load::load;
pub use messages::{insider, observer, process};
pub use seeds::seeds;

use crate::party::{PROVIDER, SUITE};
use conclave_crypto::Suite;
use conclave_tree::{TreeRead, UnverifiedTree};
use conclave_wire::{
    Commit, Decode, Encode, GroupContext, GroupInfo, GroupSecrets, KeyPackage, LeafNode,
    MlsMessage, PrivateMessageContent, Proposal, RatchetTreeExtension, Reader, SenderData,
    TargetedMessageContent, TargetedMessageSenderAuthData, Welcome, Writer,
};

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: [(&str, Target); 6] = [
    ("decode", decode),
    ("process", process),
    ("insider", insider),
    ("observer", observer),
    ("join", join),
    ("load", load),
];

/// Decodes the bytes after the first, which chooses one of the structures that come from outside.
/// A value that decodes encodes to the same bytes, and does not decode with one byte more.
pub fn decode(bytes: &[u8]) {
    fn canonical<T: Decode + Encode>(bytes: &[u8]) {
        let config = stage::config();
        let Ok(value) = T::from_reader(Reader::with_proposals(bytes, &config.proposals)) else {
            return;
        };
        assert_eq!(value.to_bytes().as_deref(), Ok(bytes), "not canonical");
        let longer = [bytes, &[0]].concat();
        let longer = Reader::with_proposals(&longer, &config.proposals);
        assert!(T::from_reader(longer).is_err(), "a trailing byte was ignored");
    }

    let Some((kind, bytes)) = bytes.split_first() else { return };
    // Above the others, whose numbers the kept inputs have.
    match kind {
        254 => return canonical::<TargetedMessageSenderAuthData>(bytes),
        255 => return targeted_plaintext(bytes),
        _ => {}
    }
    match kind % 14 {
        0 => canonical::<MlsMessage>(bytes),
        1 => canonical::<Welcome>(bytes),
        2 => canonical::<GroupInfo>(bytes),
        3 => canonical::<GroupContext>(bytes),
        4 => canonical::<GroupSecrets>(bytes),
        5 => canonical::<KeyPackage>(bytes),
        6 => canonical::<LeafNode>(bytes),
        7 => canonical::<Proposal>(bytes),
        8 => canonical::<Commit>(bytes),
        9 => canonical::<RatchetTreeExtension>(bytes),
        10 => canonical::<SenderData>(bytes),
        11 => tree(bytes),
        kind => plaintext(kind, bytes),
    }
}

/// Verifies a ratchet tree. A tree that verifies encodes to the same bytes.
fn tree(bytes: &[u8]) {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    let Ok(tree) = UnverifiedTree::decode(&suite, bytes) else { return };
    let Ok(tree) = tree.verify(&suite, &stage::GROUP.into()) else { return };
    assert_eq!(tree.to_extension_bytes().as_deref(), Ok(bytes));
    tree.check_caches(&suite).expect("cached values are right");
}

/// Decodes the plaintext of a targeted message: data and padding.
fn targeted_plaintext(bytes: &[u8]) {
    let Ok(content) = TargetedMessageContent::from_plaintext(bytes) else { return };
    assert_eq!(content.to_bytes().as_deref(), Ok(bytes), "not canonical");
}

/// Decodes the plaintext of a PrivateMessage: content without its type, and padding.
fn plaintext(kind: u8, bytes: &[u8]) {
    let kind = forged::content_type(kind);
    let config = stage::config();
    let reader = Reader::with_proposals(bytes, &config.proposals);
    let Ok(content) = PrivateMessageContent::decode_padded(kind, reader) else { return };

    let mut w = Writer::new();
    content.encode_padded(0, &mut w).expect("an encoding");
    let again = w.finish();
    let padding = bytes.strip_prefix(&*again).expect("not canonical");
    assert!(padding.iter().all(|byte| *byte == 0), "padding that is not zero");
}
