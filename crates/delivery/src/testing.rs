//! What the tests of this crate share: devices with keys and key packages, and made-up messages.

use crate::service::{Caller, Done, Holder, Limits, Operation, Service, ServiceError};
use crate::storage::DeviceInfo;
use crate::storage::SqliteStorage;
use conclave_account::{Account, Author, Change, DeviceKey, Entry, RecoveryKey};
use conclave_certificates::Roots;
use conclave_delivery_api::*;
use conclave_mls::credential::LeafParams;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme, Suite, Suites};
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage};
use conclave_mls::wire::{
    Credential, EncryptedGroupSecrets, Epoch, HpkeCiphertext, KeyPackage, LeafIndex, Lifetime,
    MlsMessage, MlsMessageBody, PrivateMessage, ProposalType, TargetedMessage, UnixTime, Welcome,
};
use conclave_provider_rustcrypto::RustCrypto;
use core::convert::Infallible;
use core::time::Duration;
use rand_core::{TryCryptoRng, TryRng};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const PROVIDER: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);
pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
/// `MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519`, whose signature scheme is that of [`SUITE`].
pub(crate) const HYBRID: CipherSuite = CipherSuite(0xf0c2);
/// The signature scheme of both.
pub(crate) const SCHEME: SignatureScheme = SignatureScheme::Ed25519;
/// When entries of account logs were signed.
pub(crate) const BEGUN: UnixTime = UnixTime::from_secs(1_700_000_000).unwrap();
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

/// A device as its owner has it, with what it knows of its user's account log.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) id: DeviceId,
    pub(crate) keys: SignatureKeyPair,
    pub(crate) account: Account,
    pub(crate) log: Vec<Entry>,
}

fn key_pair(dice: &mut Dice) -> SignatureKeyPair {
    PROVIDER.signature_key_pair(SCHEME, dice).unwrap()
}

impl Own {
    /// The first device of a user.
    pub(crate) fn new(id: &str, dice: &mut Dice) -> Self {
        let id: DeviceId = id.parse().unwrap();
        let keys = key_pair(dice);
        let device = DeviceKey::proved(&PROVIDER, &id.user, id.device.clone(), SCHEME, &keys);
        let entry = Account::draft_creation(&PROVIDER, &id.user, device.unwrap(), &keys, BEGUN);
        let log = vec![entry.unwrap()];
        let account = Account::from_entries(&PROVIDER, &log).unwrap();
        Self { id, keys, account, log }
    }

    /// A key of this user's, with the proof that its device has it.
    pub(crate) fn proved(&self, device: &str, keys: &SignatureKeyPair) -> DeviceKey {
        let name = device.parse().unwrap();
        DeviceKey::proved(&PROVIDER, &self.id.user, name, SCHEME, keys).unwrap()
    }

    pub(crate) fn author(&self) -> Author {
        Author::Device(self.id.device.clone())
    }

    /// An entry that this device signs, whether or not it may.
    pub(crate) fn entry(&self, change: Change) -> Entry {
        let head = self.account.head();
        let entry = Entry {
            user: self.id.user.clone(),
            sequence: head.length,
            previous: Some(head.hash),
            issued_at: self.account.last_change(),
            change,
            author: self.author(),
            signature: Bytes::default(),
        };
        entry.signed(&PROVIDER, SCHEME, &self.keys).unwrap()
    }

    /// Takes an entry into the log.
    pub(crate) fn take(&mut self, entry: Entry) {
        self.account.apply(&PROVIDER, &entry).unwrap();
        self.log.push(entry);
    }

    /// Signs an entry and takes it.
    pub(crate) fn change(&mut self, change: Change) {
        self.take(self.entry(change));
    }

    /// A further device of the same user, which this one adds.
    pub(crate) fn add(&mut self, device: &str, dice: &mut Dice) -> Self {
        let keys = key_pair(dice);
        self.change(Change::AddDevice(self.proved(device, &keys)));
        let id = DeviceId::new(self.id.user.clone(), device.parse().unwrap());
        Self { id, keys, account: self.account.clone(), log: self.log.clone() }
    }

    pub(crate) fn revoke(&mut self, device: &str) {
        self.change(Change::RevokeDevice(device.parse().unwrap()));
    }

    /// Gives this device another key.
    pub(crate) fn rotate(&mut self, dice: &mut Dice) {
        let keys = key_pair(dice);
        self.change(Change::RotateKey(self.proved(self.id.device.as_str(), &keys)));
        self.keys = keys;
    }

    fn recovery_change(&self, keys: &SignatureKeyPair) -> Change {
        let key = RecoveryKey::proved(&PROVIDER, &self.id.user, SCHEME, keys).unwrap();
        Change::ReplaceRecovery(Some(key))
    }

    /// Sets the recovery key.
    pub(crate) fn recovery(&mut self, dice: &mut Dice) -> SignatureKeyPair {
        let keys = key_pair(dice);
        self.change(self.recovery_change(&keys));
        keys
    }

    /// Replaces the recovery key, by means of the former one.
    pub(crate) fn replace_recovery(
        &mut self,
        former: &SignatureKeyPair,
        dice: &mut Dice,
    ) -> SignatureKeyPair {
        let keys = key_pair(dice);
        let (change, now) = (self.recovery_change(&keys), self.account.last_change());
        let entry = self.account.draft(&PROVIDER, Author::Recovery, former, change, now);
        self.take(entry.unwrap());
        keys
    }

    /// The same device with a key that its account does not have.
    pub(crate) fn thief(&self, dice: &mut Dice) -> Self {
        Self { keys: key_pair(dice), ..self.clone() }
    }

    /// The whole log, to be submitted.
    pub(crate) fn submission(&self) -> SubmitAccount {
        submission(&self.id.user, &self.log)
    }

    pub(crate) fn info(&self) -> DeviceInfo {
        let (device, signature_key) = (self.id.clone(), self.keys.public.clone());
        DeviceInfo { device, scheme: SCHEME, signature_key, active: true }
    }

    pub(crate) fn leaf(&self) -> LeafParams {
        let mut leaf = LeafParams::new(Credential::basic(&self.id.identity()), &[SUITE, HYBRID]);
        leaf.capabilities.proposals.push(ProposalType::SELF_REMOVE);
        supporting_join_links(leaf, &[]).unwrap()
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

/// A message to one member, made up likewise.
pub(crate) fn targeted(group: &GroupId, epoch: u64) -> Bytes {
    message(MlsMessageBody::TargetedMessage(TargetedMessage {
        group_id: group.clone(),
        epoch: Epoch(epoch),
        recipient_leaf_index: LeafIndex(0),
        authenticated_data: Bytes::default(),
        encrypted_sender_auth_data: Bytes::default(),
        ciphertext: Bytes::default(),
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

/// Entries of an account log, to be submitted.
pub(crate) fn submission(user: &Name, entries: &[Entry]) -> SubmitAccount {
    let entries = entries.iter().map(|entry| entry.to_bytes().unwrap().into()).collect();
    SubmitAccount { user: user.clone(), entries, invitation: None }
}

/// A session as its device has it.
#[derive(Clone, Debug)]
pub(crate) struct OwnSession {
    pub(crate) token: Token,
    pub(crate) pair: SignatureKeyPair,
    pub(crate) lifetime: u64,
}

/// A key pair for a session, each time another one.
pub(crate) fn session_pair() -> SignatureKeyPair {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
    let seed = NEXT.fetch_add(1, Ordering::Relaxed);
    PROVIDER.signature_key_pair(SESSION_SCHEME, &mut Dice(seed)).unwrap()
}

impl Own {
    /// The request for a session with this key.
    pub(crate) fn opening(
        &self,
        service_key: &SignaturePublicKey,
        session_key: &SignatureKeyPair,
        now: UnixTime,
    ) -> OpenSession {
        let who = (self.id.user.clone(), self.author());
        let (key, session_key) = ((SCHEME, &self.keys), session_key.public.clone());
        OpenSession::signed(&PROVIDER, service_key, who, key, session_key, now).unwrap()
    }
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
        Self::new(directory, limits, Registration::Open)
    }

    pub(crate) fn new(directory: &Path, limits: Limits, registration: Registration) -> Self {
        let storage = SqliteStorage::open(directory).unwrap();
        let service = Service::new(storage, provider(), limits, registration, NOW).unwrap();
        Self { service, now: NOW }
    }

    /// A service that trusts CAs.
    pub(crate) fn trusting(directory: &Path, roots: Roots) -> Self {
        let storage = SqliteStorage::open(directory).unwrap();
        let service = Service::new(storage, provider(), Limits::default(), roots, NOW).unwrap();
        Self { service, now: NOW }
    }

    pub(crate) fn with_provider(directory: &Path, provider: Arc<dyn CryptoProvider>) -> Self {
        let storage = SqliteStorage::open(directory).unwrap();
        let limits = Limits::default();
        let service = Service::new(storage, provider, limits, Registration::Open, NOW).unwrap();
        Self { service, now: NOW }
    }

    /// Time goes by.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds));
    }

    pub(crate) fn run<O: Operation>(
        &self,
        holder: Option<Holder>,
        op: O,
    ) -> Result<Done<O::Reply>, ServiceError> {
        self.service.run(op, &Caller::new(holder, self.now))
    }

    pub(crate) fn anonymous<O: Operation>(&self, op: O) -> Result<Done<O::Reply>, ServiceError> {
        self.run(None, op)
    }

    /// Submits the device's account log.
    pub(crate) fn register(&self, own: &Own) -> AccountHead {
        self.anonymous(own.submission()).unwrap().reply
    }

    /// Calls as a device, whether or not it has a session.
    pub(crate) fn call<O: Operation>(
        &self,
        own: &Own,
        op: O,
    ) -> Result<Done<O::Reply>, ServiceError> {
        self.run(Some(Holder::Device(own.info())), op)
    }

    pub(crate) fn service_key(&self) -> SignaturePublicKey {
        self.anonymous(DescribeService {}).unwrap().reply.key
    }

    pub(crate) fn open_session(&self, own: &Own) -> Result<OwnSession, ServiceError> {
        let pair = session_pair();
        let opened = self.anonymous(own.opening(&self.service_key(), &pair, self.now))?.reply;
        Ok(OwnSession { token: opened.token, pair, lifetime: opened.lifetime })
    }

    /// Whom the service takes for the sender of a session's request of this number.
    pub(crate) fn request(
        &self,
        session: &OwnSession,
        number: u64,
    ) -> Result<Holder, ServiceError> {
        let request = (FetchInbox::PATH, b"a body".as_slice());
        let OwnSession { token, pair, .. } = session;
        let proof = Proof::signed(&PROVIDER, pair, token, number, request).unwrap();
        let caller = self.service.authenticate(token.expose(), &proof, request, self.now)?;
        Ok(caller.holder.unwrap())
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

/// What an outcome says of epochs and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brief {
    Accepted { epoch: u64, seq: u64 },
    WrongEpoch { epoch: u64, head: u64 },
}

pub(crate) fn brief(outcome: &Outcome) -> Brief {
    let LogPosition { seq, epoch, .. } = outcome.receipt().position;
    match outcome {
        Outcome::Accepted { .. } => Brief::Accepted { epoch, seq },
        Outcome::WrongEpoch { .. } => Brief::WrongEpoch { epoch, head: seq },
    }
}

/// A copy of a service, in the next life of its state.
pub(crate) fn next_life(dir: &Path) -> (tempfile::TempDir, Desk) {
    let dir = crash_copy(dir);
    SqliteStorage::open(dir.path()).unwrap().begin_incarnation().unwrap();
    let desk = Desk::open(dir.path());
    (dir, desk)
}
