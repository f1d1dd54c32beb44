//! A team vault over a database that is awaited: two users, one of them with two devices, a lost race, a device
//! that loses its state.
//!
//! `Client` is all that an application writes around a [`Room`]; the rest is a delivery service and a database
//! in memory, each behind an `await`.

use conclave_device::{Device, JoinOptions, KEY_PACKAGES, Received, Room, Settings, WriteSet};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::error::Remedy;
use conclave_mls::group::{CommitId, GroupView};
use conclave_mls::{CipherSuite, Credential, Event, Identity, Verdict};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{MemoryStore, Store, StoreError};
use std::collections::BTreeMap;
use std::error::Error;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

/// Whom this team knows. An application asks its directory, with an `await`.
async fn judge(asked: &[CredentialRequest]) -> Vec<Verdict> {
    let known = |asked: &CredentialRequest| match asked.credential.identity() {
        Some(name) if name.starts_with(b"alice/") || name.starts_with(b"bob/") => Verdict::Accept,
        _ => Verdict::refuse("not of this team"),
    };
    asked.iter().map(known).collect()
}

// ── The client ────────────────────────────────────────────────────────────────────────────────────────────

struct Client {
    device: Device,
    me: Identity,
    database: Database,
    room: Option<Room>,
    cursor: usize,
}

impl Client {
    async fn new(name: &str) -> Result<Self> {
        let device = Device::new(Settings::new(RustCrypto::new()));
        let mut database = Database::default();
        let credential = Credential::basic(name.as_bytes());
        let me = device.new_identity("me", credential, SUITE)?;
        let me = me.write_with(async |set| database.write(set).await).await?;
        Ok(Self { device, me, database, room: None, cursor: 0 })
    }

    fn room(&mut self) -> Result<&mut Room> {
        self.room.as_mut().ok_or_else(|| "not in the vault".into())
    }

    async fn create(&mut self, id: &[u8]) -> Result {
        let room = self.device.create(&self.me, id.into())?;
        self.room = Some(room.write_with(async |set| self.database.write(set).await).await?);
        Ok(())
    }

    async fn publish(&mut self) -> Result<Vec<u8>> {
        let packages = self.device.key_packages(&self.me, 1)?;
        let mut packages = packages.write_with(async |set| self.database.write(set).await).await?;
        packages.pop().ok_or_else(|| "a key package".into())
    }

    /// Joins by the Welcome that the service holds for us, and reads from the first epoch that is ours.
    async fn join(&mut self, service: &Service) -> Result {
        let (at, welcome) = service.welcome().await.ok_or("a Welcome")?;
        for reference in Device::recipients(&welcome)? {
            let Some(stored) = self.database.get(KEY_PACKAGES, &reference.0).await? else {
                continue;
            };
            let joining = self.device.join_with(&stored, &welcome, JoinOptions::default())?;
            let verdicts = judge(joining.credentials()).await;
            let joined = joining.resolve(&verdicts)?;
            let (room, _from) =
                joined.write_with(async |set| self.database.write(set).await).await?;
            (self.room, self.cursor) = (Some(room), at);
        }
        Ok(())
    }

    /// Makes a change, however often it takes: after a lost race the intent is asked again.
    async fn change(
        &mut self,
        service: &mut Service,
        intent: impl Fn(GroupView<'_>, &mut conclave_device::Changes),
    ) -> Result {
        loop {
            let room = self.room.as_mut().ok_or("not in the vault")?;
            let Some(step) = room.change(&intent)? else { return Ok(()) };
            let sent = step.write_with(async |set, _| self.database.write(set).await).await?;
            // Whatever the answer, the log says what happened: our own commit, or another one.
            service.submit(room.epoch().0, &sent.id, &sent.commit, sent.welcomes.first()).await;
            self.read(service).await?;
        }
    }

    /// Reads the log from the cursor on. The cursor moves in the transaction that stores the step.
    async fn read(&mut self, service: &Service) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for message in service.after(self.cursor).await {
            let room = self.room.as_mut().ok_or("not in the vault")?;
            let received = match room.receive(&message)? {
                Received::Asks(asking) => {
                    let verdicts = judge(asking.credentials()).await;
                    asking.resolve(verdicts, Vec::new())
                }
                other => other,
            };
            self.cursor += 1;
            match received {
                Received::Step(step) => {
                    let step = step.put("app", "cursor", self.cursor.to_be_bytes());
                    let event =
                        step.write_with(async |set, _| self.database.write(set).await).await?;
                    if let Event::Application(read) = event {
                        texts.push(String::from_utf8(read.data)?);
                    }
                }
                Received::Refused(refusal) => {
                    if let Some(step) = refusal.step {
                        step.write_with(async |set, _| self.database.write(set).await).await?;
                    }
                    if refusal.error.remedy() != Remedy::Drop {
                        return Err(refusal.error.into());
                    }
                }
                _ => {}
            }
        }
        Ok(texts)
    }

    async fn send(&mut self, service: &mut Service, text: &str) -> Result {
        let room = self.room.as_mut().ok_or("not in the vault")?;
        let step = room.encrypt(text.as_bytes())?;
        let message = step.write_with(async |set, _| self.database.write(set).await).await?;
        service.send(message).await;
        Ok(())
    }

    /// All state but the identity is lost: join from outside in place of the old leaf.
    async fn rejoin(&mut self, service: &mut Service, group_info: &[u8]) -> Result {
        self.room = None;
        let rejoining = self.device.rejoin(&self.me, group_info)?;
        let verdicts = judge(rejoining.credentials()).await;
        let pending = rejoining.resolve(&verdicts)?;
        let pending = pending.write_with(async |set| self.database.write(set).await).await?;
        service.send(pending.commit().to_vec()).await;
        let room = pending.accepted();
        self.room = Some(room.write_with(async |set| self.database.write(set).await).await?);
        self.cursor = service.log.len();
        Ok(())
    }
}

// ── A story ───────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let mut service = Service::default();
    let mut alice = Client::new("alice/phone").await?;
    let mut bob = Client::new("bob/pc").await?;
    let mut tablet = Client::new("bob/tablet").await?;

    // Alice creates the vault and adds both of Bob's devices.
    alice.create(b"vault").await?;
    for client in [&mut bob, &mut tablet] {
        let published = client.publish().await?;
        let stage = alice.device.check_key_package(&published)?;
        let verdict = judge(std::slice::from_ref(stage.credential())).await.pop();
        let newcomer = stage.resolve(verdict.ok_or("a verdict")?)?;
        let credential = newcomer.key_package().leaf_node.credential.clone();
        let add = |room: GroupView<'_>, changes: &mut conclave_device::Changes| {
            if room.find(&credential).is_none() {
                changes.add(&newcomer);
            }
        };
        alice.change(&mut service, add).await?;
        client.join(&service).await?;
    }
    bob.read(&service).await?;
    assert_eq!(alice.room()?.group().members().count(), 3);

    // A message, read by both of Bob's devices.
    alice.send(&mut service, "the code is 4711").await?;
    assert_eq!(bob.read(&service).await?, ["the code is 4711"]);
    assert_eq!(tablet.read(&service).await?, ["the code is 4711"]);

    // Two clients renew their keys in the same epoch. Alice's commit loses; her intent is asked again.
    let first = alice.room()?.epoch();
    let renewed = move |room: GroupView<'_>, changes: &mut conclave_device::Changes| {
        if room.epoch() < conclave_mls::Epoch(first.0 + 2) {
            changes.renew();
        }
    };
    bob.change(&mut service, renewed).await?;
    alice.change(&mut service, renewed).await?;
    bob.read(&service).await?;
    tablet.read(&service).await?;
    assert_eq!(alice.room()?.epoch(), bob.room()?.epoch());

    // The tablet loses its state, and comes back in place of its old leaf.
    let info = alice.room()?.group_info()?;
    tablet.rejoin(&mut service, &info).await?;
    alice.read(&service).await?;
    bob.read(&service).await?;
    assert_eq!(alice.room()?.group().members().count(), 3);
    tablet.send(&mut service, "back again").await?;
    assert_eq!(bob.read(&service).await?, ["back again"]);

    // All agree, by the secret that is made for comparing.
    let authenticator = alice.room()?.group().epoch_authenticator()?.clone();
    for client in [&mut bob, &mut tablet] {
        assert_eq!(*client.room()?.group().epoch_authenticator()?, authenticator);
    }
    Ok(())
}

// ── A delivery service and a database, in memory ──────────────────────────────────────────────────────────

/// One ordered log. The first commit of an epoch is taken.
#[derive(Default)]
struct Service {
    log: Vec<Vec<u8>>,
    taken: BTreeMap<u64, CommitId>,
    welcome: Option<(usize, Vec<u8>)>,
}

impl Service {
    async fn submit(
        &mut self,
        epoch: u64,
        id: &CommitId,
        commit: &[u8],
        welcome: Option<&conclave_mls::group::WelcomeMessage>,
    ) {
        if self.taken.contains_key(&epoch) {
            return;
        }
        self.taken.insert(epoch, id.clone());
        self.send(commit.to_vec()).await;
        // The newcomer reads from behind the commit that added it.
        if let Some(welcome) = welcome {
            self.welcome = Some((self.log.len(), welcome.message.clone()));
        }
    }

    async fn send(&mut self, message: Vec<u8>) {
        self.log.push(message);
    }

    async fn welcome(&self) -> Option<(usize, Vec<u8>)> {
        self.welcome.clone()
    }

    async fn after(&self, cursor: usize) -> Vec<Vec<u8>> {
        self.log.iter().skip(cursor).cloned().collect()
    }
}

#[derive(Default)]
struct Database(MemoryStore);

impl Database {
    async fn write(&mut self, set: &WriteSet) -> std::result::Result<(), StoreError> {
        tokio::task::yield_now().await;
        self.0.write(set)
    }

    async fn get(
        &self,
        namespace: &str,
        key: &[u8],
    ) -> std::result::Result<Option<conclave_store::Secret>, StoreError> {
        tokio::task::yield_now().await;
        self.0.get(namespace, key)
    }
}
