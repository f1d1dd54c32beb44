//! What the tests of this crate share: devices with keys and key packages, and made-up messages.

use crate::api::*;
use crate::service::{Caller, Done, Limits, Operation, Service, ServiceError};
use crate::storage::SqliteStorage;
use conclave_mls::credential::LeafParams;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, Suite, Suites};
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage};
use conclave_mls::wire::{
    Credential, EncryptedGroupSecrets, Epoch, HpkeCiphertext, KeyPackage, Lifetime, MlsMessage,
    MlsMessageBody, PrivateMessage, UnixTime, Welcome,
};
use conclave_provider_rustcrypto::RustCrypto;
use core::convert::Infallible;
use core::time::Duration;
use rand_core::{TryCryptoRng, TryRng};
use std::path::Path;
use std::sync::Arc;

pub(crate) const PROVIDER: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);
pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
/// `MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519`, whose signature scheme is that of [`SUITE`].
pub(crate) const HYBRID: CipherSuite = CipherSuite(0xf0c2);
/// A moment of the tests.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000).unwrap();

/// Numbers that follow from a seed. Good for tests and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, n: usize) -> usize {
        (self.step() % n as u64) as usize
    }

    fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

impl TryRng for Dice {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.step() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.step())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.step() as u8);
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

pub(crate) fn suite() -> Suite<'static> {
    Suite::new(&PROVIDER, SUITE).unwrap()
}

pub(crate) fn provider() -> Arc<dyn CryptoProvider> {
    Arc::new(PROVIDER)
}

/// A device as its owner has it.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) id: DeviceId,
    pub(crate) keys: SignatureKeyPair,
}

impl Own {
    pub(crate) fn new(id: &str, dice: &mut Dice) -> Self {
        Self { id: id.parse().unwrap(), keys: suite().signature_key_pair(dice).unwrap() }
    }

    pub(crate) fn registration(&self, now: UnixTime) -> Register {
        Register::signed(&suite(), self.id.clone(), &self.keys, now).unwrap()
    }

    pub(crate) fn leaf(&self) -> LeafParams {
        LeafParams::new(Credential::basic(&self.id.identity()), &[SUITE, HYBRID])
    }

    pub(crate) fn lifetime(now: UnixTime) -> Lifetime {
        let start = now.saturating_sub(Duration::from_secs(3600));
        Lifetime::starting_at(start, Duration::from_secs(1_000_000))
    }

    pub(crate) fn key_package(
        &self,
        last_resort: bool,
        lifetime: Lifetime,
        dice: &mut Dice,
    ) -> OwnKeyPackage {
        self.key_package_of(SUITE, last_resort, lifetime, dice)
    }

    pub(crate) fn key_package_of(
        &self,
        cipher_suite: CipherSuite,
        last_resort: bool,
        lifetime: Lifetime,
        dice: &mut Dice,
    ) -> OwnKeyPackage {
        let params = KeyPackageParams {
            cipher_suite,
            leaf: self.leaf(),
            lifetime,
            extensions: vec![],
            last_resort,
        };
        OwnKeyPackage::generate(&PROVIDER, dice, params, self.keys.clone()).unwrap()
    }
}

fn message(body: MlsMessageBody) -> Bytes {
    MlsMessage { body }.to_bytes().unwrap().into()
}

pub(crate) fn key_package_message(key_package: &KeyPackage) -> Bytes {
    message(MlsMessageBody::KeyPackage(Box::new(key_package.clone())))
}

/// A PrivateMessage whose ciphertext is made up, which the service cannot know.
pub(crate) fn private(
    group: &GroupId,
    epoch: u64,
    content_type: ContentType,
    data: &[u8],
) -> Bytes {
    message(MlsMessageBody::PrivateMessage(PrivateMessage {
        group_id: group.clone(),
        epoch: Epoch(epoch),
        content_type,
        authenticated_data: Bytes::default(),
        encrypted_sender_data: Bytes::default(),
        ciphertext: data.into(),
    }))
}

/// A Welcome for the owners of these key packages, that nobody can open.
pub(crate) fn welcome(to: &[KeyPackageRef]) -> Bytes {
    let nothing = || HpkeCiphertext { kem_output: Bytes::default(), ciphertext: Bytes::default() };
    let secrets = to.iter().map(|reference| EncryptedGroupSecrets {
        new_member: reference.clone(),
        encrypted_group_secrets: nothing(),
    });
    message(MlsMessageBody::Welcome(Welcome {
        cipher_suite: SUITE,
        secrets: secrets.collect(),
        encrypted_group_info: Bytes::default(),
    }))
}

/// A service in a directory, and calls to it.
pub(crate) struct Desk {
    pub(crate) service: Service<SqliteStorage>,
    pub(crate) now: UnixTime,
}

impl Desk {
    pub(crate) fn open(directory: &Path) -> Self {
        Self::with_limits(directory, Limits::default())
    }

    pub(crate) fn with_limits(directory: &Path, limits: Limits) -> Self {
        let storage = SqliteStorage::open(directory).unwrap();
        let service = Service::new(storage, provider(), limits).unwrap();
        Self { service, now: NOW }
    }

    /// Time goes by.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
    }

    pub(crate) fn anonymous<O: Operation>(&self, op: O) -> Result<Done<O::Reply>, ServiceError> {
        op.run(&self.service, &Caller { device: None, now: self.now })
    }

    pub(crate) fn register(&self, own: &Own) -> Token {
        self.anonymous(own.registration(self.now)).unwrap().reply.token
    }

    /// Calls with the token that registering gives.
    pub(crate) fn call<O: Operation>(
        &self,
        own: &Own,
        op: O,
    ) -> Result<Done<O::Reply>, ServiceError> {
        let token = self.register(own);
        let device = Some(self.service.authenticate(token.expose())?);
        op.run(&self.service, &Caller { device, now: self.now })
    }

    pub(crate) fn reply<O: Operation>(&self, own: &Own, op: O) -> O::Reply {
        self.call(own, op).unwrap().reply
    }

    pub(crate) fn refused<O: Operation>(&self, own: &Own, op: O) -> ErrorCode {
        self.call(own, op).map(|_| ()).unwrap_err().code
    }

    pub(crate) fn publish(&self, own: &Own, packages: &[&OwnKeyPackage]) -> Published {
        let key_packages = packages.iter().map(|p| key_package_message(p.key_package()));
        self.reply(own, PublishKeyPackages { key_packages: key_packages.collect() })
    }
}

/// What the disk would hold if the process died now.
pub(crate) fn crash_copy(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["delivery.db", "delivery.db-wal"] {
        std::fs::copy(from.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

pub(crate) fn commit(commit: Bytes) -> SubmitCommit {
    SubmitCommit {
        commit,
        welcomes: vec![],
        group_info: None,
        ratchet_tree: None,
        added: vec![],
        removed: vec![],
    }
}
