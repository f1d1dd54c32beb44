//! Linking a group to the one that it replaces or branches off (sections 11.2 and 11.3).

use crate::error::{Error, Misuse, Rejection};
use crate::state::{Group, Status};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Credential, Encode, GroupContext, GroupId, PreSharedKeyId, ProtocolVersion,
    PskType, ReInit, ResumptionPskUsage,
};
use core::fmt;

/// What the members of a group know of it in an epoch, by which another group can continue it:
/// the resumption PSK, the parameters, and who the members were.
#[derive(Clone)]
pub struct Link {
    usage: ResumptionPskUsage,
    group_id: GroupId,
    epoch: u64,
    psk: Secret,
    version: ProtocolVersion,
    cipher_suite: CipherSuite,
    reinit: Option<ReInit>,
    members: Vec<Credential>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("usage", &self.usage)
            .field("group_id", &self.group_id)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Group {
    /// What links a new group of some of this group's members to this group (section 11.3).
    ///
    /// Create the group with [`Group::create`] and give the link to its first commit.
    ///
    /// # Errors
    /// If this client was removed, or the group closed.
    pub fn branch_link(&self) -> Result<Link, Error> {
        self.active()?;
        self.link(ResumptionPskUsage::Branch)
    }

    /// What links the successor of this group, which a ReInit has closed, to it (section 11.2).
    ///
    /// Create the successor with [`Group::create`] as [`Group::reinit`] says, add all members, and
    /// give the link to its first commit.
    ///
    /// # Errors
    /// If this client was removed, or the group was not closed.
    pub fn reinit_link(&self) -> Result<Link, Error> {
        match self.status() {
            Status::Reinitialized => self.link(ResumptionPskUsage::Reinit),
            Status::Deleted => Err(Misuse::Deleted.into()),
            Status::Active => Err(Misuse::NotPossible("the group was not closed").into()),
        }
    }

    fn link(&self, usage: ResumptionPskUsage) -> Result<Link, Error> {
        let tree = &self.public.tree;
        let credentials = tree.members().filter_map(|leaf| tree.leaf(leaf));
        Ok(Link {
            usage,
            group_id: self.group_id().clone(),
            epoch: self.epoch(),
            psk: self.secrets()?.resumption_psk.as_secret().clone(),
            version: self.context().version,
            cipher_suite: self.cipher_suite(),
            reinit: self.reinit().cloned(),
            members: credentials.map(|leaf| leaf.credential).collect(),
        })
    }
}

impl Link {
    /// The group that is continued.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.group_id
    }

    pub(crate) fn psk_type(&self) -> PskType {
        PskType::Resumption {
            usage: self.usage,
            psk_group_id: self.group_id.clone(),
            psk_epoch: self.epoch,
        }
    }

    pub(crate) fn provided(&self) -> (PskType, Secret) {
        (self.psk_type(), self.psk.clone())
    }

    /// Whether a new group continues the old one as the link says (section 12.4.3.1).
    pub(crate) fn check(
        &self,
        psk: &PreSharedKeyId,
        context: &GroupContext,
        members: &[Credential],
    ) -> Result<(), Error> {
        let fail = |what| Err(Rejection::LinkMismatch(what).into());
        if psk.psktype != self.psk_type() {
            return fail("it names another group, epoch or use");
        }
        if context.epoch != 1 {
            return fail("its epoch is not 1");
        }
        let encoded = |list: &[Credential]| -> Result<BTreeSet<Vec<u8>>, Error> {
            Ok(list.iter().map(Encode::to_bytes).collect::<Result<_, _>>()?)
        };
        let (old, new) = (encoded(&self.members)?, encoded(members)?);
        match &self.reinit {
            // Of a closed group: there is no branch of one.
            Some(reinit) => {
                if context.group_id != reinit.group_id {
                    return fail("its identifier is not the announced one");
                }
                if context.version != reinit.version || context.cipher_suite != reinit.cipher_suite
                {
                    return fail("its version or cipher suite is not the announced one");
                }
                if context.extensions != reinit.extensions {
                    return fail("its extensions are not the announced ones");
                }
                if !old.is_subset(&new) {
                    return fail("a member of the old group is missing");
                }
            }
            None => {
                if context.version != self.version || context.cipher_suite != self.cipher_suite {
                    return fail("its version or cipher suite is not the old group's");
                }
                if !new.is_subset(&old) {
                    return fail("it has a member that the old group has not");
                }
            }
        }
        Ok(())
    }
}

/// The one PSK of a list that links the group to another.
///
/// # Errors
/// If there are several (section 12.4.3.1).
pub(crate) fn linking_psk(psks: &[PreSharedKeyId]) -> Result<Option<&PreSharedKeyId>, Error> {
    let links = |id: &&PreSharedKeyId| {
        matches!(
            id.psktype,
            PskType::Resumption {
                usage: ResumptionPskUsage::Reinit | ResumptionPskUsage::Branch,
                ..
            }
        )
    };
    let mut found = psks.iter().filter(links);
    let first = found.next();
    match found.next() {
        Some(_) => Err(Rejection::LinkNotAlone.into()),
        None => Ok(first),
    }
}
