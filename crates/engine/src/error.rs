//! Why an engine ends, and why it refuses a command.

use crate::reason::{Reason, Remedy};
use crate::suites::suite_names;
use conclave_account::EntryError;
use conclave_delivery_api::{DeviceId, ErrorCode};
use conclave_mls::CipherSuite;
use conclave_mls::crypto::CryptoError;
use conclave_mls::error::Misuse;
use conclave_mls::storage::ApplyError;
use conclave_store::StoreError;
use core::fmt;

/// Why the engine cannot go on: it is to be dropped, and opened anew from its store.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// The state cannot be read or written.
    Store(StoreError),
    /// The state is another device's.
    OtherDevice {
        /// Whose it is.
        found: DeviceId,
    },
    /// The state is of other cipher suites.
    OtherSuite {
        /// Which.
        found: Vec<CipherSuite>,
    },
    /// The service does not take this device.
    NotRegistered {
        /// Which.
        device: DeviceId,
        /// Why.
        code: ErrorCode,
        /// Why, for people.
        detail: String,
    },
    /// Another process has gone on from a copy of this device's state and has given it a new key: this state is of no
    /// further use.
    Superseded {
        /// Which device.
        device: DeviceId,
    },
    /// The service serves no client as old as this one: why, for people. Nothing is sent to it any more.
    Outdated(String),
    /// This device's certificate is missing or cannot be used: why, and what to do.
    Certificate(String),
    /// The user's account cannot be created or changed.
    Account(EntryError),
    /// The cryptography does not do what is needed.
    Crypto(CryptoError),
    /// MLS does not do what it must always be able to do.
    Mls(conclave_mls::Error),
}

impl EngineError {
    /// A word that never changes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(_) => "store-failed",
            Self::OtherDevice { .. } => "other-device",
            Self::OtherSuite { .. } => "other-suite",
            Self::NotRegistered { .. } => "not-registered",
            Self::Superseded { .. } => "superseded",
            Self::Outdated(_) => "outdated",
            Self::Certificate(_) => "certificate-unusable",
            Self::Account(_) => "account-invalid",
            Self::Crypto(_) => "crypto-failed",
            Self::Mls(_) => "mls-failed",
        }
    }

    /// What this device's user can do; none if that is nothing.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::OtherSuite { .. } => Some(Remedy::ChooseSuite),
            Self::NotRegistered { .. } | Self::Superseded { .. } => Some(Remedy::UseOtherDevice),
            Self::Certificate(_) => Some(Remedy::AskAuthority),
            Self::Store(_)
            | Self::OtherDevice { .. }
            | Self::Outdated(_)
            | Self::Account(_)
            | Self::Crypto(_)
            | Self::Mls(_) => None,
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(e) => fmt::Display::fmt(e, f),
            Self::OtherDevice { found } => {
                write!(f, "the state in this folder is that of {found}: use another folder")
            }
            Self::OtherSuite { found } => write!(
                f,
                "this device uses {}, which cannot be changed: take another device name",
                suite_names(found.iter().copied())
            ),
            Self::NotRegistered { device, code, detail } => {
                write!(f, "the service does not take {device} ({code}): {detail}")?;
                match code {
                    ErrorCode::Revoked => f.write_str(
                        ". If it is yours, move its folder away and link it anew, under another name if this one is \
                         in use elsewhere",
                    ),
                    ErrorCode::AccountForked | ErrorCode::BadProof => f.write_str(
                        ". Nothing more is sent to this service: it shows an account under your name that \
                         your devices did not make",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Superseded { device } => write!(
                f,
                "this folder is a copy: another process has gone on as {device}, and has taken a new key for it. Use that \
                 one and move this folder away. To have two devices, start anew with another device name and link it"
            ),
            Self::Outdated(why) => {
                write!(f, "this messenger is too old: {why}. What is not sent yet is kept")
            }
            Self::Certificate(what) => f.write_str(what),
            Self::Account(e) => fmt::Display::fmt(e, f),
            Self::Crypto(e) => fmt::Display::fmt(e, f),
            Self::Mls(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for EngineError {}

impl From<StoreError> for EngineError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<CryptoError> for EngineError {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

impl From<conclave_mls::Error> for EngineError {
    fn from(e: conclave_mls::Error) -> Self {
        Self::Mls(e)
    }
}

impl From<ApplyError<StoreError>> for EngineError {
    fn from(e: ApplyError<StoreError>) -> Self {
        match e {
            ApplyError::Write(e) => Self::Store(e),
            ApplyError::Stale | ApplyError::Reload => Self::Mls(Misuse::Stale.into()),
        }
    }
}

#[cfg(test)]
impl EngineError {
    /// One of each, and when the engine ends with it.
    pub(crate) fn each() -> Vec<(Self, &'static str)> {
        let device = || "user/device".parse::<DeviceId>().unwrap();
        let why = String::new;
        let fault = conclave_account::EntryFault::TooLong;
        vec![
            (Self::Store(StoreError::InUse(why().into())), "the state cannot be read or written"),
            (Self::OtherDevice { found: device() }, "the state is another device's"),
            (Self::OtherSuite { found: Vec::new() }, "the state is of other cipher suites"),
            (
                Self::NotRegistered { device: device(), code: ErrorCode::Revoked, detail: why() },
                "the service does not take this device",
            ),
            (
                Self::Superseded { device: device() },
                "the state is a copy, and another process has gone on",
            ),
            (Self::Outdated(why()), "the service serves no client as old as this one"),
            (Self::Certificate(why()), "the device's certificate is missing or unusable"),
            (
                Self::Account(EntryError { sequence: 0, fault }),
                "the user's account cannot be created or changed",
            ),
            (Self::Crypto(CryptoError::InvalidLength), "the cryptography fails"),
            (Self::Mls(Misuse::Deleted.into()), "an MLS operation fails that must always succeed"),
        ]
    }
}

/// Why a command is not done.
#[derive(Debug)]
pub enum CommandError {
    /// It is refused, and has changed nothing.
    Refused(Reason),
    /// The engine cannot go on.
    Engine(EngineError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => fmt::Display::fmt(reason, f),
            Self::Engine(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for CommandError {}

impl From<Reason> for CommandError {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

macro_rules! ends {
    ($($error:ty),*) => {
        $(impl From<$error> for CommandError {
            fn from(e: $error) -> Self {
                Self::Engine(e.into())
            }
        })*
    };
}

ends!(EngineError, StoreError, CryptoError, conclave_mls::Error);
