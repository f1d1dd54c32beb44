//! Linking a group to the one that it replaces or branches off (sections 11.2 and 11.3).

use crate::error::reasons::{LinkFault, Obstacle};
use crate::error::{Error, Misuse, Rejection};
use crate::event::Member;
use crate::state::group::{Group, Status};
use crate::store::row_codec::{named, nothing_left, put_secret, take_secret};
use crate::store::rows::Stored;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Credential, Decode, Encode, Epoch, GroupContext, GroupId, LeafIndex, LeafNode,
    PreSharedKeyId, ProtocolVersion, PskType, ReInit, Reader, ResumptionPskUsage, Writer,
};
use core::fmt;

/// What another group needs to continue this one: the resumption PSK, the parameters, and the
/// members of an epoch.
///
/// It holds a secret. [`Self::to_secret`] stores it, so that it outlives the group's rows.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::join::Link;
///
/// let link = alice.branch_link()?;
/// let stored = link.to_secret()?;
/// assert_eq!(Link::from_secret(&stored)?, link);
/// # Done::Ok(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    usage: ResumptionPskUsage,
    group_id: GroupId,
    epoch: Epoch,
    psk: Secret,
    version: ProtocolVersion,
    cipher_suite: CipherSuite,
    /// For a successor: what was announced.
    reinit: Option<ReInit>,
    own_leaf: LeafIndex,
    members: Vec<Member>,
    /// The new credentials of members of the old group.
    known_as: BTreeMap<LeafIndex, Credential>,
}

/// Members of one of two linked groups that are not found in the other by their credentials. The
/// application says who is whom (sections 11.3 and 12.4.3.1).
///
/// We are matched with ourselves, and members with the same credential in both groups with each
/// other: one to one in a successor, while in a branch several may have the credential of one
/// member of the old group. The others are listed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    usage: ResumptionPskUsage,
    /// The members that need a counterpart. In a successor they are members of the old group, as
    /// none may be missing. In a branch they are members of the branch, as none may be a stranger.
    pub asked: Vec<Member>,
    /// The possible counterparts. In a successor these are the members of the new group that are
    /// not matched yet, each for one member only. In a branch these are all members of the old
    /// group.
    pub others: Vec<Member>,
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

/// # Linking
impl Group {
    /// The link from a new group of some of our members to this group (section 11.3).
    ///
    /// Create the new group with [`Group::create`] and give the link to its first commit.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::CommitOptions;
    ///
    /// # let client = identity(b"alice");
    /// # let params = client.group_params(b"branch".as_slice().into(), lifetime);
    /// # let new = Group::create(&provider, &mut rng, Config::default(), params, client.signer)?;
    /// # let mut branch = new.store(|batch| store.create(batch))?;
    /// # let bob = key_package_of(b"bob");
    /// let link = alice.branch_link()?;
    /// let proposals = vec![add(&bob)]; // a fresh key package of Bob's
    /// let options = CommitOptions { proposals, link: Some(link), ..CommitOptions::default() };
    /// let step = branch.commit(&provider, &mut rng, now, options)?;
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted or closed.
    pub fn branch_link(&self) -> Result<Link, Error> {
        self.active()?;
        self.link(ResumptionPskUsage::Branch)
    }

    /// The link from the successor of this group to it, once a ReInit has closed it (section 11.2).
    ///
    /// Create the successor with [`Group::create`] as [`Group::reinit`] says, add all members, and
    /// give the link to its first commit.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let reinit = conclave_mls::NewProposal::ReInit(conclave_mls::ReInit {
    /// #     group_id: b"next".as_slice().into(),
    /// #     version: conclave_mls::ProtocolVersion::MLS_1_0,
    /// #     cipher_suite: suite,
    /// #     extensions: Vec::new(),
    /// # });
    /// # let options = conclave_mls::CommitOptions { proposals: vec![reinit], ..Default::default() };
    /// # let step = alice.commit(&provider, &mut rng, now, options)?;
    /// # let sent = apply(&mut alice, step, |write| store.write(write))?;
    /// # let step = alice.commit_accepted(&provider, now, &sent.id)?;
    /// # apply(&mut alice, step, |write| store.write(write))?;
    /// // The group was closed:
    /// let announced = alice.reinit().ok_or("still open")?;
    /// let link = alice.reinit_link()?;
    /// assert_eq!(link.members().len(), 2);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted, or was not closed.
    pub fn reinit_link(&self) -> Result<Link, Error> {
        match self.status() {
            Status::Reinitialized => self.link(ResumptionPskUsage::Reinit),
            Status::Deleted => Err(Misuse::Deleted.into()),
            Status::Active => Err(Misuse::NotPossible(Obstacle::NotClosed).into()),
        }
    }

    fn link(&self, usage: ResumptionPskUsage) -> Result<Link, Error> {
        let reinit = self.reinit().filter(|_| usage == ResumptionPskUsage::Reinit);
        Ok(Link {
            usage,
            group_id: self.group_id().clone(),
            epoch: self.epoch(),
            psk: self.secrets()?.resumption_psk.as_secret().clone(),
            version: self.context().version,
            cipher_suite: self.cipher_suite(),
            reinit: reinit.cloned(),
            own_leaf: self.own_leaf,
            members: self.members().collect(),
            known_as: BTreeMap::new(),
        })
    }

    pub(crate) fn past_branch_link(&self, epoch: Epoch) -> Result<Link, Error> {
        self.secrets()?;
        let past = self.past.get(&epoch);
        let past = past.ok_or(Misuse::NotPossible(Obstacle::EpochNotKept))?;
        let member = |leaf: LeafIndex| {
            let encoded = self.leaf_in_epoch(epoch, leaf)?;
            LeafNode::from_bytes(encoded).ok().map(|node| Member::of(leaf, &node))
        };

        Ok(Link {
            usage: ResumptionPskUsage::Branch,
            group_id: self.group_id().clone(),
            epoch,
            psk: past.resumption_psk.as_secret().clone(),
            version: past.context.version,
            cipher_suite: past.context.cipher_suite,
            reinit: None,
            own_leaf: self.own_leaf,
            members: (0..past.tree_size.leaf_count()).map(LeafIndex).filter_map(member).collect(),
            known_as: BTreeMap::new(),
        })
    }
}

impl Link {
    /// The group that is continued.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.group_id
    }

    /// The epoch in which it is continued.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Its members in that epoch, by ascending leaf.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Says that a member of the old group has another credential in the new one. In a branch it
    /// may have both.
    ///
    /// The creator of the new group says so of all members whose credentials change: a certificate
    /// changes with its key. A client that joins is asked, with the credentials that it finds
    /// ([`JoinStage::unmatched`](crate::JoinStage::unmatched)).
    #[must_use]
    pub fn known_as(mut self, old: LeafIndex, credential: Credential) -> Self {
        self.known_as.insert(old, credential);
        self
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

    /// Checks that a new group of ours continues the old one, as every joiner will check.
    pub(crate) fn check_own(
        &self,
        context: &GroupContext,
        tree: &impl TreeRead,
        own_leaf: LeafIndex,
    ) -> Result<(), Error> {
        match self.unmatched(context, tree, own_leaf)? {
            Some(unmatched) => Err(unmatched.refusal()),
            None => Ok(()),
        }
    }

    /// Checks that a new group continues the old one as the link says (section 12.4.3.1). Returns
    /// the members that the application has to match.
    pub(crate) fn check(
        &self,
        psk: &PreSharedKeyId,
        context: &GroupContext,
        tree: &impl TreeRead,
        own_leaf: LeafIndex,
    ) -> Result<Option<Unmatched>, Error> {
        if psk.psktype != self.psk_type() {
            return mismatch(LinkFault::OtherLink);
        }
        self.unmatched(context, tree, own_leaf)
    }

    fn unmatched(
        &self,
        context: &GroupContext,
        tree: &impl TreeRead,
        own_leaf: LeafIndex,
    ) -> Result<Option<Unmatched>, Error> {
        if context.epoch != Epoch(1) {
            return mismatch(LinkFault::NotEpochOne);
        }

        // Sections 11.2 and 11.3: the parameters.
        match &self.reinit {
            Some(reinit) => {
                if context.group_id != reinit.group_id {
                    return mismatch(LinkFault::AnnouncedGroupId);
                }
                if context.version != reinit.version || context.cipher_suite != reinit.cipher_suite
                {
                    return mismatch(LinkFault::AnnouncedVersionOrSuite);
                }
                if context.extensions != reinit.extensions {
                    return mismatch(LinkFault::AnnouncedExtensions);
                }
            }
            None => {
                if context.version != self.version || context.cipher_suite != self.cipher_suite {
                    return mismatch(LinkFault::VersionOrSuite);
                }
            }
        }

        // The members.
        let members = tree.members().filter(|leaf| *leaf != own_leaf);
        let members = members.filter_map(|leaf| Some(Member::of(leaf, &tree.leaf(leaf)?)));
        let (asked, others) = match self.usage {
            ResumptionPskUsage::Reinit => self.without_counterpart(members)?,
            ResumptionPskUsage::Branch | ResumptionPskUsage::Application => {
                (self.strangers(members)?, self.members.clone())
            }
        };
        let unmatched = Unmatched { usage: self.usage, asked, others };
        if unmatched.asked.is_empty() {
            return Ok(None);
        }
        // No answer can fill the place of members that are missing.
        if unmatched.one_to_one() && unmatched.asked.len() > unmatched.others.len() {
            return Err(unmatched.refusal());
        }
        Ok(Some(unmatched))
    }

    /// The members of the old group and of its successor that are left when those with the same
    /// credential are matched, one to one. We are in neither list.
    fn without_counterpart(
        &self,
        new: impl Iterator<Item = Member>,
    ) -> Result<(Vec<Member>, Vec<Member>), Error> {
        let mut by_credential: BTreeMap<Vec<u8>, Vec<Member>> = BTreeMap::new();
        for member in new {
            let credential = member.credential.to_bytes()?;
            by_credential.entry(credential).or_default().push(member);
        }

        let mut left = Vec::new();
        for member in self.members.iter().filter(|member| member.index != self.own_leaf) {
            let credential = self.known_as.get(&member.index).unwrap_or(&member.credential);
            let alike = by_credential.get_mut(&credential.to_bytes()?);
            if alike.and_then(Vec::pop).is_none() {
                left.push(member.clone());
            }
        }

        let mut new: Vec<Member> = by_credential.into_values().flatten().collect();
        new.sort_by_key(|member| member.index);
        Ok((left, new))
    }

    /// The members of a branch whose credentials no member of the old group has.
    fn strangers(&self, new: impl Iterator<Item = Member>) -> Result<Vec<Member>, Error> {
        let old = self.members.iter().map(|member| &member.credential);
        let known: BTreeSet<Vec<u8>> =
            old.chain(self.known_as.values()).map(Encode::to_bytes).collect::<Result<_, _>>()?;

        let mut strangers = Vec::new();
        for member in new {
            if !known.contains(&member.credential.to_bytes()?) {
                strangers.push(member);
            }
        }
        Ok(strangers)
    }

    /// The link as bytes, for storage: content, [format](crate::rows::FORMAT), and a checksum that
    /// tells it from everything else that is stored, as a [row](crate::rows) has. It holds a
    /// secret.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn to_secret(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        self.usage.encode(&mut w)?;
        self.group_id.encode(&mut w)?;
        self.epoch.encode(&mut w)?;
        put_secret(&mut w, &self.psk)?;
        self.version.encode(&mut w)?;
        self.cipher_suite.encode(&mut w)?;
        self.reinit.encode(&mut w)?;
        self.own_leaf.encode(&mut w)?;

        w.put_vector(|w| {
            for Member { index, credential, signature_key } in &self.members {
                index.encode(w)?;
                credential.encode(w)?;
                signature_key.encode(w)?;
            }
            Ok(())
        })?;
        w.put_vector(|w| {
            for (old, credential) in &self.known_as {
                old.encode(w)?;
                credential.encode(w)?;
            }
            Ok(())
        })?;
        let content = Secret::new(w.finish());
        Ok(Stored::Link.seal(content.expose()))
    }

    /// The link that [`Self::to_secret`] stored.
    ///
    /// # Errors
    /// [`Error::Storage`] if the bytes are damaged, of another format, or something else that was
    /// stored.
    pub fn from_secret(bytes: &Secret) -> Result<Self, Error> {
        named(&"link", Stored::Link.open(bytes).and_then(Self::from_content))
    }

    fn from_content(content: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(content);
        let mut link = Self {
            usage: Decode::decode(&mut r)?,
            group_id: Decode::decode(&mut r)?,
            epoch: Decode::decode(&mut r)?,
            psk: take_secret(&mut r)?,
            version: Decode::decode(&mut r)?,
            cipher_suite: Decode::decode(&mut r)?,
            reinit: Decode::decode(&mut r)?,
            own_leaf: Decode::decode(&mut r)?,
            members: Vec::new(),
            known_as: BTreeMap::new(),
        };

        let mut members = r.vector()?;
        while !members.is_empty() {
            link.members.push(Member {
                index: Decode::decode(&mut members)?,
                credential: Decode::decode(&mut members)?,
                signature_key: Decode::decode(&mut members)?,
            });
        }

        let mut known_as = r.vector()?;
        while !known_as.is_empty() {
            let old = Decode::decode(&mut known_as)?;
            link.known_as.insert(old, Decode::decode(&mut known_as)?);
        }
        nothing_left(&r)?;
        Ok(link)
    }
}

fn mismatch<T>(fault: LinkFault) -> Result<T, Error> {
    Err(Rejection::LinkMismatch(fault).into())
}

impl Unmatched {
    /// Whether each of the others can be the counterpart of one member only. Each member of a
    /// closed group must be in the successor (section 12.4.3.1). Several leaves of a branch can
    /// belong to one member, as each must match some leaf of the old group (section 11.3).
    fn one_to_one(&self) -> bool {
        self.usage == ResumptionPskUsage::Reinit
    }

    pub(crate) fn refusal(&self) -> Error {
        let fault = match self.usage {
            ResumptionPskUsage::Reinit => LinkFault::MemberMissing,
            ResumptionPskUsage::Branch | ResumptionPskUsage::Application => LinkFault::Stranger,
        };
        Rejection::LinkMismatch(fault).into()
    }

    /// What is left once the application has named some counterparts.
    pub(crate) fn without(self, same: &[(LeafIndex, LeafIndex)]) -> Result<Self, Error> {
        let one_to_one = self.one_to_one();
        let by_leaf = |list: Vec<Member>| -> BTreeMap<LeafIndex, Member> {
            list.into_iter().map(|member| (member.index, member)).collect()
        };
        let mut asked = by_leaf(self.asked);
        let mut others = by_leaf(self.others);
        for (leaf, other) in same {
            let is_other = if one_to_one {
                others.remove(other).is_some()
            } else {
                others.contains_key(other)
            };
            if asked.remove(leaf).is_none() || !is_other {
                return Err(Misuse::NotPossible(Obstacle::NoCounterpart).into());
            }
        }

        let asked = asked.into_values().collect();
        let others = others.into_values().collect();
        Ok(Self { usage: self.usage, asked, others })
    }
}

/// The PSK of a list that links the group to another.
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
    if found.next().is_some() {
        return Err(Rejection::LinkNotAlone.into());
    }
    Ok(first)
}
