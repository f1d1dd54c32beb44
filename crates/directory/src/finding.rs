//! What a service is convicted of, in words.

use crate::error::ProofError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What evidence proves that a service did. An honest service does none of it, in no order of requests, under
/// no failure of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The service signed two roots for one epoch.
    TwoRoots {
        /// The epoch.
        epoch: u64,
    },
    /// The service signed a wrong proof that its directory only grew.
    BrokenExtension {
        /// The epoch that the proof starts from.
        from: u64,
        /// The epoch that it leads to.
        to: u64,
        /// What is wrong.
        why: ProofError,
    },
    /// The service hid names with two keys, so that one name had two places in the tree.
    TwoNameKeys {
        /// The epoch of the first root.
        first: u64,
        /// The epoch of the second.
        second: u64,
    },
    /// The service proved, for one epoch, that two versions of an entry were the newest.
    TwoEntries {
        /// The name.
        user: Vec<u8>,
        /// The epoch.
        epoch: u64,
        /// The version of the first proof; 0 if it says that there is no entry.
        first: u64,
        /// The version of the second.
        second: u64,
    },
    /// The service proved two values of one version.
    EntryChanged {
        /// The name.
        user: Vec<u8>,
        /// The version.
        version: u64,
    },
    /// The service proved that a name had an entry, and later that it never had one.
    EntryRemoved {
        /// The name.
        user: Vec<u8>,
        /// The epoch in which it had one.
        had: u64,
        /// The later epoch in which it had none.
        lacks: u64,
    },
    /// The service went back to an earlier version of an entry.
    RolledBack {
        /// The name.
        user: Vec<u8>,
        /// The version that was shown first.
        from: u64,
        /// The earlier version that was shown later.
        to: u64,
    },
    /// The service put an entry into the past.
    Backdated {
        /// The name.
        user: Vec<u8>,
        /// The version.
        version: u64,
        /// The epoch in which it is said to be published.
        claimed: u64,
        /// An epoch, not before that one, in which it was not there.
        lacking: u64,
    },
    /// The service published an account log that is not longer than the one before.
    LogShrank {
        /// The name.
        user: Vec<u8>,
        /// The length of the earlier version.
        from: u64,
        /// The length of the later one.
        to: u64,
    },
}

/// A name for people to read: anything odd in it is escaped.
fn shown(user: &[u8]) -> String {
    String::from_utf8_lossy(user).escape_debug().collect()
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoRoots { epoch } => write!(
                f,
                "The service signed two different directories as its directory number {epoch}. \
                 People who were shown different directories may have been shown different keys \
                 for the same person."
            ),
            Self::BrokenExtension { from, to, why } => write!(
                f,
                "The service signed a proof that its directory number {to} holds all that number \
                 {from} held, and the proof is wrong: {why}."
            ),
            Self::TwoNameKeys { first, second } => write!(
                f,
                "The service used two different keys to find names in its directories number \
                 {first} and {second}. The same name may have led to different entries."
            ),
            Self::TwoEntries { user, epoch, first, second } => write!(
                f,
                "The service proved of its directory number {epoch} both that {} is the newest \
                 entry of \"{}\" and that {} is.",
                version(*first),
                shown(user),
                version(*second)
            ),
            Self::EntryChanged { user, version } => write!(
                f,
                "The service replaced an entry that cannot change: version {version} of \"{}\" \
                 had two values.",
                shown(user)
            ),
            Self::EntryRemoved { user, had, lacks } => write!(
                f,
                "The service removed \"{}\" from its directory: the name had an entry in number \
                 {had}, and number {lacks} says that it never had one.",
                shown(user)
            ),
            Self::RolledBack { user, from, to } => write!(
                f,
                "The service went back to an earlier entry of \"{}\": version {to}, after \
                 version {from}. A device that was revoked since may count again.",
                shown(user)
            ),
            Self::Backdated { user, version, claimed, lacking } => write!(
                f,
                "The service put an entry into the past: version {version} of \"{}\" is said to \
                 be in its directory since number {claimed}, and was not in number {lacking}.",
                shown(user)
            ),
            Self::LogShrank { user, from, to } => write!(
                f,
                "The service published an account log of \"{}\" with {to} entries after one with \
                 {from}. An account's log only grows.",
                shown(user)
            ),
        }
    }
}

/// A version, or that there is none.
fn version(number: u64) -> String {
    if number == 0 {
        return String::from("none");
    }
    alloc::format!("version {number}")
}
