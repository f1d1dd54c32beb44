//! Changes of the own account that take several calls: what is under way.

use crate::words::Words;
use conclave_account::{self as account, Account, Entry, LinkCode};
use conclave_delivery_api::Name;
use conclave_mls::crypto::SignatureKeyPair;

/// A new device that waits to be admitted.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) code: LinkCode,
    /// The offer as it lies at the relay.
    pub(super) sealed: Vec<u8>,
    /// Whether the offer lies at the relay, so that the code can be shown.
    pub(super) placed: bool,
    pub(super) expires: u64,
    pub(super) look_at: u64,
}

/// A change of the own account under way.
#[derive(Debug)]
pub(super) struct OwnChange {
    pub(super) change: account::Change,
    /// The code by which a device is admitted.
    pub(super) code: Option<LinkCode>,
    /// The recovery key, if it has to sign instead of this device.
    pub(super) recovery: Option<SignatureKeyPair>,
    pub(super) tries: u32,
}

/// The admission of a device: what comes before and after the change of the account.
#[derive(Debug)]
pub(super) enum Admission {
    /// Its offer is to be fetched.
    Offer(LinkCode),
    /// It is in the log, and is to be told.
    Tell(LinkCode, Name),
    /// It is to say that it can be invited.
    Ready { code: LinkCode, device: Name, look_at: u64, until: u64 },
}

/// A recovery key that the user is writing down.
#[derive(Debug)]
pub(super) struct NewWords {
    pub(super) words: Words,
    /// The places of the words that are to be typed back, from 1.
    pub(super) places: [usize; 2],
    /// The key that it replaces, which has to sign.
    pub(super) old: Option<SignatureKeyPair>,
}

/// How far this device has come in adding itself to the account by the recovery key.
#[derive(Debug)]
pub(super) struct Recovering {
    pub(super) key: SignatureKeyPair,
    /// Whether there is a session.
    pub(super) open: bool,
    pub(super) entries: Vec<Entry>,
    pub(super) account: Option<Account>,
    /// Whether all of the log is here.
    pub(super) complete: bool,
}
