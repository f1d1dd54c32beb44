//! Certified devices: what a CA has signed is taken, and what it has revoked or has expired ends.

use super::authority::Authority;
use super::{Caller, Done, Notice, Operation, Service, ServiceError};
use crate::storage::{CertificateRecord, Certified, DeviceInfo, Storage};
use conclave_certificates::{EndEntity, Ended, Standing, X509Error, credential};
use conclave_delivery_api::{
    Bytes, CertificateChain, CertificateTaken, CertificatesPage, Decode, DeviceId, Encode,
    ErrorCode, Event, FetchCertificates, Mode, Name, SubmitCertificate,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::Hash;
use conclave_mls::{Credential, UnixTime};
use std::collections::BTreeSet;

/// The longest chain, in certificates and in bytes.
const MAX_CHAIN: usize = 8;
const MAX_CHAIN_BYTES: usize = 48 << 10;
/// How many certificates are looked at in one step.
const PAGE: u32 = 200;

/// What was done because of a new revocation list or the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Devices that have ended: whoever listens as one of them is to be cut off.
    pub ended: Vec<DeviceId>,
    /// What others get.
    pub notices: Vec<Notice>,
}

fn refused(e: &X509Error) -> ServiceError {
    match e {
        X509Error::Revoked => {
            ServiceError::new(ErrorCode::Revoked, "the certificate was revoked by its CA")
        }
        e if e.needs_revocation_list() => ServiceError::new(
            ErrorCode::Unavailable,
            format!("{e}: whoever runs the service has to give it a fresh one (conclave ca crl)"),
        ),
        e => ServiceError::new(
            ErrorCode::BadCertificate,
            format!("the certificate is not accepted: {e}"),
        ),
    }
}

fn stored(record: &CertificateRecord) -> Result<Credential, ServiceError> {
    Credential::from_bytes(&record.chain).map_err(|e| {
        let detail = format!("the certificate of {} is damaged: {e}", record.info.device);
        ServiceError::new(ErrorCode::Unavailable, detail)
    })
}

impl Operation for SubmitCertificate {
    const LONG: bool = true;
    const MODE: Option<Mode> = Some(Mode::Certificates);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<CertificateTaken>, ServiceError> {
        let bytes: usize = self.chain.iter().map(|certificate| certificate.len()).sum();
        if self.chain.len() > MAX_CHAIN || bytes > MAX_CHAIN_BYTES {
            return Err(ServiceError::new(ErrorCode::TooLarge, "the chain is too long"));
        }
        let credential = credential(&self.chain);
        let malformed = || {
            ServiceError::new(ErrorCode::Malformed, "the chain does not begin with a certificate")
        };
        let read = EndEntity::of(&credential).ok_or_else(malformed)?;
        let scheme = read.scheme.ok_or_else(|| {
            let detail = "the certificate's key is of an algorithm that MLS does not have";
            ServiceError::new(ErrorCode::BadCertificate, detail)
        })?;

        let request = CredentialRequest {
            subject: CredentialSubject::NewMember,
            credential: credential.clone(),
            signature_key: read.key.clone(),
            replaces: None,
        };
        let roots = service.certifiers()?.read();
        let device = roots
            .judge(&*service.provider, scheme, caller.now, &request)
            .map_err(|e| refused(&e))?;
        drop(roots);

        let before = service.storage.device(&device)?;
        let record = CertificateRecord {
            info: DeviceInfo {
                device: device.clone(),
                scheme,
                signature_key: read.key.clone(),
                active: true,
            },
            chain: credential.to_bytes().map_err(ServiceError::invalid)?.into(),
            not_before: read.not_before.as_secs(),
            not_after: read.not_after.as_secs(),
        };
        let reply = CertificateTaken { not_after: record.not_after };
        let mut done = Done::new(reply, format!("{device}, until {}", record.not_after));
        match service.storage.certify(record, service.limits.devices)? {
            Certified::Known => Ok(done),
            Certified::Superseded(newer) if newer.info.signature_key == read.key => Ok(done),
            Certified::Superseded(_) => {
                let detail =
                    format!("{device} has shown a certificate since that was issued later");
                Err(ServiceError::new(ErrorCode::BadCertificate, detail))
            }
            Certified::TooMany => {
                let most = service.limits.devices;
                let detail = format!("{} has {most} devices already", device.user);
                Err(ServiceError::too_many(detail))
            }
            Certified::Stored => {
                service.keep_sessions(&device.user)?;
                if before.as_ref().is_some_and(|before| before.signature_key != read.key) {
                    done.ended.push(device.clone());
                }
                let user = device.user.clone();
                let told = service.concerned(&service.storage.devices(&user)?)?;
                let event = Event::Certificates { user };
                done.notices.push(Notice { to: told.into_iter().collect(), event });
                Ok(done)
            }
        }
    }
}

impl Operation for FetchCertificates {
    const MODE: Option<Mode> = Some(Mode::Certificates);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<CertificatesPage>, ServiceError> {
        caller.device()?;
        let lists = service.certifiers()?.read().lists().to_vec();
        let parts: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
        let hash = service.provider.hash(Hash::Sha256, &parts);
        let hash = hash.map_err(super::error::provider_error)?;
        let is_known = !lists.is_empty() && *hash == *self.known;

        let mut devices = Vec::new();
        for record in service.storage.certificates(&self.user)? {
            let Credential::X509 { certificates } = stored(&record)? else { continue };
            let certificates = certificates.into_iter().map(|c| c.cert_data).collect();
            devices.push(CertificateChain { certificates });
        }
        let seen = format!("{}, {} devices, {} lists", self.user, devices.len(), lists.len());
        let lists = lists.into_iter().map(Bytes::from).collect();
        Ok(Done::new(CertificatesPage { devices, lists: (!is_known).then_some(lists) }, seen))
    }
}

impl<S: Storage> Service<S> {
    /// Ends the sessions of a user that are not of its active devices.
    fn keep_sessions(&self, user: &Name) -> Result<(), ServiceError> {
        let mut active = self.storage.devices(user)?;
        active.retain(|device| device.active);
        self.sessions.keep(user, &active, false);
        Ok(())
    }

    /// Takes revocation lists (DER). Returns whether one is newer than those that are known; those that no root has
    /// signed are passed over. [`Self::sweep`] does what follows of it.
    pub fn set_revocation_lists(&self, lists: &[Vec<u8>]) -> bool {
        match &self.authority {
            Authority::Certificates(certifiers) => certifiers.write().learn(&*self.provider, lists),
            Authority::Accounts(_) => false,
        }
    }

    /// Ends the devices whose certificates were revoked or have expired by now: their sessions, key packages, inboxes
    /// and memberships.
    ///
    /// # Errors
    /// If the storage fails; what is left is done by the next call.
    pub fn sweep(&self, now: UnixTime) -> Result<Swept, ServiceError> {
        let mut swept = Swept::default();
        let Authority::Certificates(certifiers) = &self.authority else { return Ok(swept) };
        let mut after = i64::MIN;
        loop {
            let page = self.storage.all_certificates(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(swept) };
            after = *last;
            for (_, record) in page {
                let key = &record.info.signature_key;
                let credential = stored(&record)?;
                let standing = certifiers.read().standing(&*self.provider, now, &credential, key);
                if matches!(standing, Standing::Ended(Ended::Revoked | Ended::Expired(_))) {
                    self.end_device(record, &mut swept)?;
                }
            }
        }
    }

    fn end_device(&self, record: CertificateRecord, swept: &mut Swept) -> Result<(), ServiceError> {
        let device = record.info.device.clone();
        // Whom it shares groups with is forgotten together with the device.
        let told: BTreeSet<DeviceId> = self.concerned(std::slice::from_ref(&record.info))?;
        self.storage.end_certified(record)?;
        self.keep_sessions(&device.user)?;
        let event = Event::Certificates { user: device.user.clone() };
        swept.notices.push(Notice { to: told.into_iter().collect(), event });
        swept.ended.push(device);
        Ok(())
    }

    /// The device that a request for a session is signed by, if the service knows its certificate.
    pub(super) fn certified_device(&self, device: &DeviceId) -> Result<DeviceInfo, ServiceError> {
        match self.storage.device(device)? {
            Some(info) if info.active => Ok(info),
            Some(_) => Err(ServiceError::revoked(device)),
            None => {
                let detail = format!("{device} has not shown its certificate");
                Err(ServiceError::new(ErrorCode::UnknownDevice, detail))
            }
        }
    }
}
