//! Whom to believe where a CA certifies devices: its roots, this device's certificate, and the revocation lists that
//! the service passes on and cannot make.

use crate::directory::{Judged, NOBODY_FROM_OUTSIDE, is_history};
use conclave_certificates::{EndEntity, Moment, Roots, Standing, credential, device_of};
use conclave_delivery_api::{
    Bytes, CertificatesPage, Decode, DecodeError, DeviceId, Encode, EncodeError, Name, Reader,
    Writer,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject, SignaturePublicKey};
use conclave_mls::crypto::{CryptoError, CryptoProvider, Hash, SignatureScheme};
use conclave_mls::group::LeafIndex;
use conclave_mls::{Credential, UnixTime, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// The most devices of a user that are kept in memory.
const MAX_DEVICES: usize = 200;

/// What is stored of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CertifiedRecord {
    /// This device's chain in DER, its own certificate first; empty as long as it waits for it.
    pub(crate) chain: Vec<Bytes>,
    /// The roots in DER.
    pub(crate) roots: Vec<Bytes>,
    /// The newest revocation lists in DER.
    pub(crate) lists: Vec<Bytes>,
}

impl Encode for CertifiedRecord {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        1u8.encode(w)?;
        self.chain.encode(w)?;
        self.roots.encode(w)?;
        self.lists.encode(w)
    }
}

impl Decode for CertifiedRecord {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self {
                chain: Decode::decode(r)?,
                roots: Decode::decode(r)?,
                lists: Decode::decode(r)?,
            }),
            other => Err(DecodeError::InvalidValue { field: "certificates", value: other.into() }),
        }
    }
}

/// A device whose certificate was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertifiedDevice {
    pub(crate) device: DeviceId,
    pub(crate) key: SignaturePublicKey,
    /// From when to when its certificate is valid, in seconds since 1970.
    pub(crate) valid: (u64, u64),
}

/// What is trusted, and what is known by it.
#[derive(Debug)]
pub(crate) struct Certified {
    roots: Roots,
    chain: Vec<Bytes>,
    scheme: SignatureScheme,
    /// The devices of users, as the service has shown their certificates.
    devices: BTreeMap<Name, Vec<CertifiedDevice>>,
    /// Why a certificate that the service has shown of a user is not accepted.
    refused: BTreeMap<Name, String>,
    /// Devices that were seen to have ended.
    ended: BTreeSet<DeviceId>,
    /// Whether the service was asked for fresh lists since credentials were last judged.
    asked: bool,
}

impl Certified {
    pub(crate) fn new(roots: Roots, chain: Vec<Bytes>, scheme: SignatureScheme) -> Self {
        let (devices, refused, ended) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { roots, chain, scheme, devices, refused, ended, asked: false }
    }

    pub(crate) fn record(&self) -> CertifiedRecord {
        let bytes = |all: &[Vec<u8>]| all.iter().map(|der| der.as_slice().into()).collect();
        CertifiedRecord {
            chain: self.chain.clone(),
            roots: bytes(self.roots.certificates()),
            lists: bytes(self.roots.lists()),
        }
    }

    /// This device's chain in DER.
    pub(crate) fn chain(&self) -> &[Bytes] {
        &self.chain
    }

    /// This device's credential.
    pub(crate) fn credential(&self) -> Credential {
        credential(&self.chain)
    }

    /// From when to when this device's certificate is valid, in seconds since 1970.
    pub(crate) fn valid(&self) -> Option<(u64, u64)> {
        let read = EndEntity::of(&self.credential())?;
        Some((read.not_before.as_secs(), read.not_after.as_secs()))
    }

    /// Judges this device's own certificate.
    ///
    /// # Errors
    /// Why its own roots do not accept it.
    pub(crate) fn judge_own(
        &self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        key: &SignaturePublicKey,
    ) -> Result<(), String> {
        let request = CredentialRequest {
            subject: CredentialSubject::KeyPackage,
            credential: self.credential(),
            signature_key: key.clone(),
            replaces: None,
        };
        match self.roots.judge(provider, self.scheme, now, &request) {
            Ok(_) => Ok(()),
            // A fresh list may come from the service.
            Err(e) if e.needs_revocation_list() => Ok(()),
            Err(e) => Err(e.to_string()),
        }
    }

    /// The hash that names the lists which are known, for the service.
    pub(crate) fn known_lists(&self, provider: &dyn CryptoProvider) -> Result<Bytes, CryptoError> {
        if self.roots.lists().is_empty() {
            return Ok(Bytes::default());
        }
        let parts: Vec<&[u8]> = self.roots.lists().iter().map(Vec::as_slice).collect();
        Ok((*provider.hash(Hash::Sha256, &parts)?).into())
    }

    /// Notes that the service was asked.
    pub(crate) fn answered(&mut self) {
        self.asked = true;
    }

    /// Takes what the service shows of a user. Returns whether there is a newer revocation list.
    pub(crate) fn learn(
        &mut self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        user: &Name,
        page: &CertificatesPage,
    ) -> bool {
        let lists = page.lists.iter().flatten().map(|list| list.to_vec());
        let is_new = self.roots.learn(provider, &lists.collect::<Vec<_>>());

        self.refused.remove(user);
        let mut devices = Vec::new();
        for chain in page.devices.iter().take(MAX_DEVICES) {
            let credential = credential(&chain.certificates);
            let Some(read) = EndEntity::of(&credential) else { continue };
            let Some(scheme) = read.scheme else { continue };
            let request = CredentialRequest {
                subject: CredentialSubject::NewMember,
                credential,
                signature_key: read.key.clone(),
                replaces: None,
            };
            match self.roots.judge(provider, scheme, now, &request) {
                Ok(device) if device.user == *user => {
                    let valid = (read.not_before.as_secs(), read.not_after.as_secs());
                    devices.push(CertifiedDevice { device, key: read.key, valid });
                }
                Ok(_) => {}
                Err(e) => {
                    self.refused.insert(user.clone(), e.to_string());
                }
            }
        }
        self.devices.insert(user.clone(), devices);
        is_new
    }

    /// The devices of a user whose certificates count.
    pub(crate) fn devices_of(&self, user: &Name) -> &[CertifiedDevice] {
        self.devices.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// Why a certificate of a user is not accepted, if that is so of one that the service has shown.
    pub(crate) fn refusal(&self, user: &Name) -> Option<&str> {
        self.refused.get(user).map(String::as_str)
    }

    /// Judges credentials. If all that is missing is a fresh revocation list, the service is asked for it once.
    pub(crate) fn judge(
        &mut self,
        provider: &dyn CryptoProvider,
        (now, sent): (UnixTime, UnixTime),
        requests: &[CredentialRequest],
    ) -> Judged {
        let moment = Moment::now(now).sent(sent);
        let mut verdicts = Vec::new();
        for request in requests {
            let from_outside = match request.subject {
                CredentialSubject::ExternalSender(_) => Some("proposals come from members alone"),
                CredentialSubject::ExternalJoiner => Some(NOBODY_FROM_OUTSIDE),
                _ => None,
            };
            if let Some(reason) = from_outside {
                verdicts.push(Verdict::refuse(reason));
                continue;
            }
            let mut judged = self.roots.judge(provider, self.scheme, moment, request);
            if matches!(judged, Err(conclave_certificates::X509Error::Revoked))
                && is_history(request)
            {
                // The others have gone on: it is removed at once.
                let subject = CredentialSubject::Member(LeafIndex(0));
                let member = CredentialRequest { subject, replaces: None, ..request.clone() };
                judged = self.roots.judge(provider, self.scheme, moment, &member);
            }
            match judged {
                Ok(_) => verdicts.push(Verdict::Accept),
                Err(e) if e.needs_revocation_list() && !self.asked => {
                    let user = device_of(&request.credential).map(|device| device.user);
                    return Judged::Ask(user.into_iter().collect());
                }
                Err(e) => verdicts.push(Verdict::refuse(&match device_of(&request.credential) {
                    Some(device) => format!("the certificate of {device}: {e}"),
                    None => e.to_string(),
                })),
            }
        }
        self.asked = false;
        Judged::Verdicts(verdicts)
    }

    /// Whether a member's certificate counts no more: it was revoked, or has expired by this device's clock and the
    /// service's.
    pub(crate) fn has_ended(
        &mut self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        credential: &Credential,
        key: &SignaturePublicKey,
    ) -> bool {
        let standing = self.roots.standing(provider, now, credential, key);
        let has_ended = matches!(standing, Standing::Ended(_));
        if let (true, Some(device)) = (has_ended, device_of(credential)) {
            self.ended.insert(device);
        }
        has_ended
    }

    /// Whether a device was seen to have ended.
    pub(crate) fn was_ended(&self, device: &DeviceId) -> bool {
        self.ended.contains(device)
    }
}
