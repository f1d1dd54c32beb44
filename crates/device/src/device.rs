use crate::error::Error;
use crate::room::Room;
use crate::settings::{Settings, rng};
use crate::step::Prepared;
use conclave_mls::credential::CredentialRequest;
use conclave_mls::crypto::Secret;
use conclave_mls::group::{GroupParams, Member, PskType};
use conclave_mls::join::{JoinStage, Link, WelcomeStage, welcome_recipients};
use conclave_mls::key_package::{
    KeyPackageRef, KeyPackageStage, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::storage::RowKey;
use conclave_mls::{CipherSuite, Credential, Epoch, Group, GroupId, Identity, Verdict};
use conclave_store::{Store, WriteSet};
use std::sync::Arc;

/// The namespace of stored identities, by name.
pub const IDENTITIES: &str = "mls.identity";
/// The namespace of stored key packages, by reference.
pub const KEY_PACKAGES: &str = "mls.key_package";
/// The namespace of rejoins that wait for their verdict, by group.
pub const REJOINS: &str = "mls.rejoin";

/// One device of a user: what all its rooms have in common. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) settings: Arc<Settings>,
}

/// What joining by a Welcome may need beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct JoinOptions<'a> {
    /// The PSKs that the Welcome names, by where they come from.
    pub psks: &'a [(PskType, Secret)],
    /// The ratchet tree, if the Welcome does not hold it.
    pub ratchet_tree: Option<&'a [u8]>,
    /// The link to the group that this one continues.
    pub link: Option<&'a Link>,
}

impl Device {
    /// A device with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The identity that is stored under a name, or a new one. `name` is the application's: a device that has one
    /// identity needs one name.
    ///
    /// # Errors
    /// [`Error::OtherIdentity`] if the stored one has another credential or cipher suite.
    pub fn identity(
        &self,
        store: &mut (impl Store + ?Sized),
        name: &str,
        credential: Credential,
        cipher_suite: CipherSuite,
    ) -> Result<Identity, Error> {
        let Some(stored) = store.get(IDENTITIES, name.as_bytes())? else {
            let identity = self.new_identity(name, credential, cipher_suite)?;
            return Ok(identity.write(store)?);
        };
        let identity = Identity::from_secret(&stored)?;
        if identity.leaf.credential != credential || identity.cipher_suite != cipher_suite {
            return Err(Error::OtherIdentity);
        }
        Ok(identity)
    }

    /// A new identity, to be stored under a name in the place of an older one.
    ///
    /// # Errors
    /// If the provider does not support the suite.
    pub fn new_identity(
        &self,
        name: &str,
        credential: Credential,
        cipher_suite: CipherSuite,
    ) -> Result<Prepared<Identity>, Error> {
        let provider = &*self.settings.provider;
        let identity = Identity::generate(provider, &mut rng(), credential, cipher_suite)?;
        self.store_identity(name, identity)
    }

    /// An identity that was changed or [renewed](Identity::renewed), to be stored under a name.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn store_identity(
        &self,
        name: &str,
        identity: Identity,
    ) -> Result<Prepared<Identity>, Error> {
        let mut set = WriteSet::new();
        set.put_secret(IDENTITIES, name, identity.to_secret()?);
        Ok(Prepared::new(identity, set))
    }

    /// New key packages, to be published once they are stored: encoded MLSMessages. Each serves for one Welcome.
    ///
    /// # Errors
    /// If the provider does not support the suite.
    pub fn key_packages(
        &self,
        identity: &Identity,
        count: usize,
    ) -> Result<Prepared<Vec<Vec<u8>>>, Error> {
        let provider = &*self.settings.provider;
        let mut set = WriteSet::new();
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            let params = identity.key_package_params(self.settings.lifetime());
            let signer = identity.signer.clone();
            let own = OwnKeyPackage::generate(provider, &mut rng(), params, signer)?;
            set.put_secret(KEY_PACKAGES, own.reference().0.as_ref(), own.to_secret()?);
            messages.push(own.message()?);
        }
        Ok(Prepared::new(messages, set))
    }

    /// Checks another client's key package, an encoded MLSMessage. Its credential is still to be judged.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_key_package(&self, message: &[u8]) -> Result<KeyPackageStage, Error> {
        let Settings { provider, config, .. } = &*self.settings;
        let key_package = key_package_from_message(message)?;
        Ok(ValidKeyPackage::check(&**provider, self.settings.now(), config, key_package)?)
    }

    /// A new room with this device as its only member.
    ///
    /// # Errors
    /// If the provider does not support the suite.
    pub fn create(&self, identity: &Identity, id: GroupId) -> Result<Prepared<Room>, Error> {
        self.create_with(identity, identity.group_params(id, self.settings.lifetime()))
    }

    /// [`Self::create`] with GroupContext extensions.
    ///
    /// # Errors
    /// If the provider does not support the suite, or the identity's leaf not the extensions.
    pub fn create_with(
        &self,
        identity: &Identity,
        params: GroupParams,
    ) -> Result<Prepared<Room>, Error> {
        let Settings { provider, config, .. } = &*self.settings;
        let (config, signer) = (config.clone(), identity.signer.clone());
        let new = Group::create(&**provider, &mut rng(), config, params, signer)?;
        Ok(self.room(new, WriteSet::new()))
    }

    /// A stored room; none if the store does not have it.
    ///
    /// # Errors
    /// If the store fails, a row is damaged, or the room was stored under another policy.
    pub fn load(&self, store: &(impl Store + ?Sized), id: &GroupId) -> Result<Option<Room>, Error> {
        let rows = store.load(id)?;
        if rows.is_empty() {
            return Ok(None);
        }
        self.load_rows(rows).map(Some)
    }

    /// A room from its rows, in any order: [`Self::load`] for a database that is awaited.
    ///
    /// # Errors
    /// If a row is damaged or missing, or the room was stored under another policy.
    pub fn load_rows(&self, rows: Vec<(RowKey, Secret)>) -> Result<Room, Error> {
        let Settings { provider, config, .. } = &*self.settings;
        let group = Group::load(&**provider, config.clone(), rows)?;
        Ok(Room { settings: Arc::clone(&self.settings), group })
    }

    /// The key packages that a Welcome is for, by which a delivery service routes it and an awaited database
    /// finds the stored one.
    ///
    /// # Errors
    /// If the bytes are no Welcome.
    pub fn recipients(welcome: &[u8]) -> Result<Vec<KeyPackageRef>, Error> {
        Ok(welcome_recipients(welcome)?)
    }

    /// Opens a Welcome, an encoded MLSMessage, with the stored key package that it is for.
    ///
    /// # Errors
    /// [`Error::NoKeyPackage`]; or if the Welcome breaks a rule.
    pub fn join(
        &self,
        store: &(impl Store + ?Sized),
        welcome: &[u8],
        options: JoinOptions<'_>,
    ) -> Result<Joining, Error> {
        for reference in welcome_recipients(welcome)? {
            if let Some(stored) = store.get(KEY_PACKAGES, &reference.0)? {
                return self.join_with(&stored, welcome, options);
            }
        }
        Err(Error::NoKeyPackage)
    }

    /// [`Self::join`] with the key package as it is stored in [`KEY_PACKAGES`]: for a database that is awaited.
    ///
    /// # Errors
    /// If the stored bytes are damaged, or the Welcome breaks a rule.
    pub fn join_with(
        &self,
        key_package: &Secret,
        welcome: &[u8],
        options: JoinOptions<'_>,
    ) -> Result<Joining, Error> {
        let Settings { provider, config, .. } = &*self.settings;
        let own = OwnKeyPackage::from_secret(&**provider, key_package)?;
        let stage = WelcomeStage::open(&**provider, config.clone(), welcome, &own)?;
        let JoinOptions { psks, ratchet_tree, link } = options;
        let stage = stage.join(&**provider, psks, ratchet_tree, link)?;
        Ok(Joining { device: self.clone(), stage, used: own.reference().clone() })
    }

    /// A room that is stored with its first write.
    pub(crate) fn room(
        &self,
        new: conclave_mls::group::NewGroup,
        mut set: WriteSet,
    ) -> Prepared<Room> {
        set.batches.insert(0, new.batch().clone());
        let group = new.stored();
        Prepared::new(Room { settings: Arc::clone(&self.settings), group }, set)
    }
}

/// A room that a Welcome invites to, verified but for the credentials of its members.
#[derive(Debug)]
pub struct Joining {
    device: Device,
    stage: JoinStage,
    used: KeyPackageRef,
}

impl Joining {
    /// The member that invites.
    #[must_use]
    pub fn inviter(&self) -> &Member {
        self.stage.inviter()
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.stage.members()
    }

    /// The credentials to judge: of all members.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        self.stage.credentials()
    }

    /// The room, with the first epoch to read: the delivery service may have messages of earlier ones, which
    /// are not for this device. Its write deletes the key package, which has served.
    ///
    /// # Errors
    /// If a verdict, one for each of [`Self::credentials`], does not accept.
    pub fn resolve(self, verdicts: &[Verdict]) -> Result<Prepared<(Room, Epoch)>, Error> {
        let Self { device, stage, used } = self;
        let new = stage.resolve(verdicts)?;
        let mut set = WriteSet::new();
        set.delete(KEY_PACKAGES, used.0.as_ref());
        Ok(device.room(new, set).map(|room| {
            let from = room.epoch();
            (room, from)
        }))
    }

    /// [`Self::resolve`] with one answer to all credentials' questions.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn judge(
        self,
        judge: impl FnMut(&CredentialRequest) -> Verdict,
    ) -> Result<Prepared<(Room, Epoch)>, Error> {
        let verdicts: Vec<Verdict> = self.credentials().iter().map(judge).collect();
        self.resolve(&verdicts)
    }
}
