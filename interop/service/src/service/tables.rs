//! The state that the service keeps between calls, by ids that are unique over all tables.

use super::failure::Failure;
use super::member::{Member, Psks};
use conclave_mls::crypto::SignatureKeyPair;
use conclave_mls::group::ReInit;
use conclave_mls::join::Link;
use conclave_mls::key_package::OwnKeyPackage;
use std::collections::BTreeMap;

/// A key package that waits for its Welcome.
pub(crate) struct Join {
    /// The key package.
    pub(crate) own: OwnKeyPackage,
    /// The PSKs of its client.
    pub(crate) psks: Psks,
}

/// A member of a closed group on its way to the successor.
pub(crate) struct Successor {
    /// The closed group. It is forgotten once this member is in the successor.
    pub(crate) closed: u32,
    /// The key package for the successor.
    pub(crate) own: OwnKeyPackage,
    /// The proof that the group is the successor.
    pub(crate) link: Link,
    /// The parameters of the successor.
    pub(crate) reinit: ReInit,
    /// The PSKs of the closed group's member.
    pub(crate) psks: Psks,
    /// Whether its handshakes are encrypted.
    pub(crate) encrypt: bool,
}

/// All tables.
#[derive(Default)]
pub(crate) struct Tables {
    last: u32,
    members: BTreeMap<u32, Member>,
    joins: BTreeMap<u32, Join>,
    successors: BTreeMap<u32, Successor>,
    signers: BTreeMap<u32, SignatureKeyPair>,
}

impl Tables {
    /// A new id; never 0, which means no id to the test runner.
    fn id(&mut self) -> Result<u32, Failure> {
        let next = self.last.checked_add(1);
        self.last = next.ok_or_else(|| Failure::internal("there are no more ids"))?;
        Ok(self.last)
    }

    pub(crate) fn add_member(&mut self, member: Member) -> Result<u32, Failure> {
        let id = self.id()?;
        self.members.insert(id, member);
        Ok(id)
    }

    pub(crate) fn add_join(&mut self, join: Join) -> Result<u32, Failure> {
        let id = self.id()?;
        self.joins.insert(id, join);
        Ok(id)
    }

    pub(crate) fn add_successor(&mut self, successor: Successor) -> Result<u32, Failure> {
        let id = self.id()?;
        self.successors.insert(id, successor);
        Ok(id)
    }

    pub(crate) fn add_signer(&mut self, signer: SignatureKeyPair) -> Result<u32, Failure> {
        let id = self.id()?;
        self.signers.insert(id, signer);
        Ok(id)
    }

    pub(crate) fn member(&mut self, id: u32) -> Result<&mut Member, Failure> {
        self.members.get_mut(&id).ok_or_else(|| Failure::unknown("state", id))
    }

    pub(crate) fn join(&self, id: u32) -> Result<&Join, Failure> {
        self.joins.get(&id).ok_or_else(|| Failure::unknown("transaction", id))
    }

    pub(crate) fn successor(&self, id: u32) -> Result<&Successor, Failure> {
        self.successors.get(&id).ok_or_else(|| Failure::unknown("reinit", id))
    }

    pub(crate) fn signer(&self, id: u32) -> Result<&SignatureKeyPair, Failure> {
        self.signers.get(&id).ok_or_else(|| Failure::unknown("external signer", id))
    }

    /// Forgets a key package that was used.
    pub(crate) fn joined(&mut self, id: u32) {
        self.joins.remove(&id);
    }

    /// Forgets a closed group whose member is in the successor.
    pub(crate) fn succeeded(&mut self, id: u32) {
        if let Some(successor) = self.successors.remove(&id) {
            self.members.remove(&successor.closed);
        }
    }

    /// The PSKs of a member, or of a client that is about to join.
    pub(crate) fn psks(&mut self, id: u32) -> Result<&mut Psks, Failure> {
        let join = self.joins.get_mut(&id).map(|join| &mut join.psks);
        let psks = join.or_else(|| self.members.get_mut(&id).map(Member::psks_mut));
        psks.ok_or_else(|| Failure::unknown("state or transaction", id))
    }

    /// Forgets the value that an id names.
    pub(crate) fn free(&mut self, id: u32) -> Result<(), Failure> {
        let found = [
            self.members.remove(&id).is_some(),
            self.joins.remove(&id).is_some(),
            self.successors.remove(&id).is_some(),
            self.signers.remove(&id).is_some(),
        ];
        if found.contains(&true) { Ok(()) } else { Err(Failure::unknown("state", id)) }
    }
}
