use crate::device::{Device, REJOINS};
use crate::error::Error;
use crate::room::Room;
use crate::settings::{Settings, rng};
use crate::step::Prepared;
use conclave_mls::credential::CredentialRequest;
use conclave_mls::crypto::Secret;
use conclave_mls::group::Member;
use conclave_mls::join::{ExternalCommit, ExternalJoinStage};
use conclave_mls::{GroupId, Identity, Verdict};
use conclave_store::{Store, WriteSet};

impl Device {
    /// Joins a room from outside, by a GroupInfo (an encoded MLSMessage) that one of its members has given. If
    /// this identity's key is in the room already, its leaf is replaced: for a device that has lost its state,
    /// or has fallen behind for good.
    ///
    /// # Errors
    /// If the GroupInfo breaks a rule, or lets nobody join.
    pub fn rejoin(&self, identity: &Identity, group_info: &[u8]) -> Result<Rejoining, Error> {
        let Settings { provider, config, .. } = &*self.settings;
        let stage = ExternalJoinStage::open(&**provider, config.clone(), group_info, None)?;
        Ok(Rejoining { device: self.clone(), identity: identity.clone(), stage })
    }

    /// The rejoin of a room that waits for its verdict, after a restart.
    ///
    /// # Errors
    /// If the store fails or what it holds is damaged.
    pub fn pending_rejoin(
        &self,
        store: &(impl Store + ?Sized),
        id: &GroupId,
    ) -> Result<Option<PendingRejoin>, Error> {
        match store.get(REJOINS, id)? {
            Some(stored) => self.load_rejoin(&stored).map(Some),
            None => Ok(None),
        }
    }

    /// A rejoin as it is stored in [`REJOINS`]: for a database that is awaited.
    ///
    /// # Errors
    /// If the bytes are damaged.
    pub fn load_rejoin(&self, stored: &Secret) -> Result<PendingRejoin, Error> {
        let Settings { provider, config, .. } = &*self.settings;
        let commit = ExternalCommit::from_secret(&**provider, config.clone(), stored)?;
        Ok(PendingRejoin { device: self.clone(), commit })
    }
}

/// A room to be joined from outside, verified but for the credentials of its members.
#[derive(Debug)]
pub struct Rejoining {
    device: Device,
    identity: Identity,
    stage: ExternalJoinStage,
}

impl Rejoining {
    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.stage.members()
    }

    /// The credentials to judge: of all members.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        self.stage.credentials()
    }

    /// The commit that joins, to be sent once it is stored.
    ///
    /// # Errors
    /// If a verdict, one for each of [`Self::credentials`], does not accept.
    pub fn resolve(self, verdicts: &[Verdict]) -> Result<Prepared<PendingRejoin>, Error> {
        let Self { device, identity, stage } = self;
        let own_key = &identity.signer.public;
        let old = stage.members().find(|member| member.signature_key == *own_key);

        let mut options = identity.external_join_options();
        options.replaces = old.map(|member| member.index);
        let provider = &*device.settings.provider;
        let commit = stage.commit(provider, &mut rng(), verdicts, options)?;

        let mut set = WriteSet::new();
        let id = commit.group.peek().group_id();
        set.put_secret(REJOINS, id.as_ref(), commit.to_secret()?);
        Ok(Prepared::new(PendingRejoin { device, commit }, set))
    }

    /// [`Self::resolve`] with one answer to all credentials' questions.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn judge(
        self,
        judge: impl FnMut(&CredentialRequest) -> Verdict,
    ) -> Result<Prepared<PendingRejoin>, Error> {
        let verdicts: Vec<Verdict> = self.credentials().iter().map(judge).collect();
        self.resolve(&verdicts)
    }
}

/// A rejoin that waits for the delivery service's verdict. It survives a restart:
/// [`Device::pending_rejoin`].
#[derive(Debug)]
pub struct PendingRejoin {
    device: Device,
    commit: ExternalCommit,
}

impl PendingRejoin {
    /// The commit to send: an encoded MLSMessage.
    #[must_use]
    pub fn commit(&self) -> &[u8] {
        &self.commit.commit
    }

    /// The delivery service accepted the commit: the room, which replaces an older state of it.
    pub fn accepted(self) -> Prepared<Room> {
        let Self { device, commit } = self;
        let mut set = WriteSet::new();
        set.delete(REJOINS, commit.group.peek().group_id().as_ref());
        device.room(commit.group, set)
    }

    /// The delivery service rejected the commit: forget it, and try again with a newer GroupInfo.
    pub fn rejected(self) -> Prepared<()> {
        let mut set = WriteSet::new();
        set.delete(REJOINS, self.commit.group.peek().group_id().as_ref());
        Prepared::new((), set)
    }
}
