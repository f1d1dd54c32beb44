//! Whose word counts on which key is whose. All that depends on it asks here.

use crate::certified::Certified;
use crate::directory::{Directory, Judged};
use crate::error::EngineError;
use crate::record::Identity;
use crate::request::Request;
use crate::who::Who;
use conclave_account::Account;
use conclave_delivery_api::{
    DeviceId, FetchAccount, FetchCertificates, Mode, Name, supporting_join_links,
};
use conclave_mls::credential::{CredentialRequest, ExternalSender, LeafParams, SignaturePublicKey};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::{CipherSuite, Credential, UnixTime};
use std::collections::BTreeMap;

/// The request for what is new in a user's log, with the last known entry before it.
pub(crate) fn new_entries(accounts: &BTreeMap<Name, Account>, user: Name) -> FetchAccount {
    let known = accounts.get(&user).map_or(0, |account| account.head().length);
    let after = known.saturating_sub(1);
    FetchAccount { user, after }
}

/// Whose word counts.
pub(crate) enum Authority {
    /// The users' own devices: their account logs, in the service's directory.
    Accounts(Directory),
    /// That of CAs.
    Certificates(Box<Certified>),
}

impl Authority {
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Accounts(_) => Mode::Accounts,
            Self::Certificates(_) => Mode::Certificates,
        }
    }

    pub(crate) fn certified(&self) -> Option<&Certified> {
        match self {
            Self::Accounts(_) => None,
            Self::Certificates(certified) => Some(certified),
        }
    }

    /// The own leaf: who this is, and what it supports. That is what the device uses, not all that its provider has: others
    /// can rely on it.
    pub(crate) fn own_leaf(&self, identity: &Identity) -> LeafParams {
        let suites: Vec<CipherSuite> = identity.suites().collect();
        let leaf = LeafParams::new(self.own_credential(&identity.device), &suites);
        // A new leaf has no components that could be malformed.
        supporting_join_links(leaf.clone(), &conclave_room::COMPONENTS).unwrap_or(leaf)
    }

    /// The request for what is new of a user.
    pub(crate) fn request_for(
        &self,
        accounts: &BTreeMap<Name, Account>,
        provider: &dyn CryptoProvider,
        user: Name,
    ) -> Result<Request, EngineError> {
        match self {
            Self::Accounts(_) => Ok(new_entries(accounts, user).into()),
            Self::Certificates(certified) => {
                let known = certified.known_lists(provider)?;
                Ok(FetchCertificates { user, known }.into())
            }
        }
    }

    /// Whether no device of this name is active, and one was.
    pub(crate) fn is_ended(&self, accounts: &BTreeMap<Name, Account>, who: &Who) -> bool {
        let Some(device) = &who.device else { return false };
        let id = DeviceId::new(who.user.clone(), device.clone());
        if self.certified().is_some_and(|certified| certified.was_ended(&id)) {
            return true;
        }
        let Some(account) = accounts.get(&who.user) else { return false };
        account.active().all(|active| active.name != *device)
            && account.devices().iter().any(|ended| ended.name == *device)
    }

    /// This device's credential.
    pub(crate) fn own_credential(&self, device: &DeviceId) -> Credential {
        match self {
            Self::Accounts(_) => Credential::basic(&device.identity()),
            Self::Certificates(certified) => certified.credential(),
        }
    }

    /// The active devices of a user, as far as they are known.
    pub(crate) fn devices_of(
        &self,
        accounts: &BTreeMap<Name, Account>,
        user: &Name,
    ) -> Vec<(DeviceId, SignaturePublicKey)> {
        match self {
            Self::Accounts(_) => {
                let active = accounts.get(user).into_iter().flat_map(Account::active);
                active
                    .map(|active| {
                        (DeviceId::new(user.clone(), active.name.clone()), active.key.clone())
                    })
                    .collect()
            }
            Self::Certificates(certified) => {
                let devices = certified.devices_of(user).iter();
                devices.map(|known| (known.device.clone(), known.key.clone())).collect()
            }
        }
    }

    /// Notes that the service was asked for a user.
    pub(crate) fn answered(&mut self, user: Name) {
        match self {
            Self::Accounts(directory) => directory.answered(user),
            Self::Certificates(certified) => certified.answered(),
        }
    }

    /// Notes what the service is as an external sender.
    pub(crate) fn set_sender(&mut self, sender: ExternalSender) {
        if let Self::Accounts(directory) = self {
            directory.set_sender(sender);
        }
    }

    /// The service as an external sender; none if it has not said its key, or proposes nothing as CAs revoke devices.
    pub(crate) fn sender(&self) -> Option<&ExternalSender> {
        match self {
            Self::Accounts(directory) => directory.sender(),
            Self::Certificates(_) => None,
        }
    }

    /// Whether a device's key was revoked by its user; none if the service has to be asked first.
    pub(crate) fn judge_revoked(
        &mut self,
        accounts: &BTreeMap<Name, Account>,
        device: &DeviceId,
        key: &SignaturePublicKey,
    ) -> Option<bool> {
        match self {
            Self::Accounts(directory) => directory.judge_revoked(accounts, device, key),
            Self::Certificates(_) => Some(false),
        }
    }

    /// Judges credentials, which were sent at a time by the service's clock.
    pub(crate) fn judge(
        &mut self,
        provider: &dyn CryptoProvider,
        accounts: &BTreeMap<Name, Account>,
        times: (UnixTime, UnixTime),
        requests: &[CredentialRequest],
    ) -> Judged {
        match self {
            Self::Accounts(directory) => directory.judge(accounts, requests),
            Self::Certificates(certified) => certified.judge(provider, times, requests),
        }
    }
}
