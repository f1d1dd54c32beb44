//! The join links of a group, in the group's own state: who made each, until when and how often it may be used, and how
//! often it was.
//!
//! They are the data of an application component of the GroupContext, [`JOIN_LINKS`]. A member makes or revokes a link
//! by an AppDataUpdate in its commit, and whoever joins counts its use by an AppDataUpdate in its external commit (RFC
//! 9420 section 12.4.3.2, draft-ietf-mls-extensions-10). So the count is agreed as the rest of the epoch is, newcomers
//! have it from the GroupContext, and a service that follows the group judges by the same function as its members:
//! [`judge_commit`].
//!
//! The time that a link's end is compared with is when the service received the commit: the log's hash covers it, so
//! all members are shown the same.

use super::join_link::verify_use;
use super::{Bytes, Decode, DecodeError, DeviceId, Encode, EncodeError, Reader, Writer};
use conclave_mls::Credential;
use conclave_mls::component::{AppDataUpdate, AppDataUpdateOperation, ComponentId};
use conclave_mls::credential::{
    CredentialRequest, CredentialSubject, LeafParams, SignaturePublicKey,
};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::group::{GroupView, NewProposal, Proposal, ProposalType, Sender};
use conclave_room::{COMPONENTS, JoinLinkPolicy, LinkUse, Refusal, RoomPolicy, RoomState};
use core::fmt;

/// The component of a group's join links: for private use, until there is one in a standard that has uses and an end.
pub const JOIN_LINKS: ComponentId = ComponentId(0x8c01);
/// The most links that a group has at once, those that are over included.
pub const MAX_JOIN_LINKS: usize = 32;
const VERSION: u8 = 1;
/// The length of an Ed25519 public key.
const KEY: usize = 32;

structs! {
    /// One link, as a group's members know it.
    pub struct JoinLinkRecord {
        /// Its number in the group, from 1; no other link of the group has had it.
        pub number: u32,
        /// The link's public key, of Ed25519.
        pub key: SignaturePublicKey,
        /// Who made it. When that device is no longer in the group, the link is of no use.
        pub maker: DeviceId,
        /// When it ends, in seconds since 1970 by the service's clock.
        pub expires_at: u64,
        /// How many devices may join by it, at least 1.
        pub max_uses: u32,
        /// How many have.
        pub uses: u32,
    }
}

impl JoinLinkRecord {
    /// Whether nobody can join by it any more, at a time in seconds since 1970: it has ended, or is used up.
    #[must_use]
    pub fn is_over(&self, at: u64) -> bool {
        self.over(at).is_some()
    }

    fn over(&self, at: u64) -> Option<JoinLinkError> {
        if at >= self.expires_at {
            Some(JoinLinkError::Expired)
        } else if self.uses >= self.max_uses {
            Some(JoinLinkError::UsedUp)
        } else {
            None
        }
    }
}

/// All links of a group: the data of its component [`JOIN_LINKS`].
///
/// ```text
/// struct { uint8 version = 1; uint32 made; JoinLinkRecord links<V>; } JoinLinks;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinLinks {
    /// How many were made, ever.
    made: u32,
    links: Vec<JoinLinkRecord>,
}

impl Encode for JoinLinks {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.made.encode(w)?;
        self.links.encode(w)
    }
}

impl Decode for JoinLinks {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        Ok(Self { made: Decode::decode(r)?, links: Decode::decode(r)? })
    }
}

fn check_version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match u8::decode(r)? {
        VERSION => Ok(()),
        other => Err(DecodeError::InvalidValue { field: "JoinLinks", value: other.into() }),
    }
}

/// A change of a group's links: the body of an AppDataUpdate of [`JOIN_LINKS`].
///
/// ```text
/// enum { make(1), revoke(2), use(3), (255) } JoinLinksOperation;
///
/// struct {
///     uint8 version = 1;
///     JoinLinksOperation operation;
///     SignaturePublicKey key;
///     select (JoinLinksUpdate.operation) {
///         case make:   uint64 expires_at; uint32 max_uses;
///         case revoke: struct {};
///         case use:    opaque signature<V>;
///     };
/// } JoinLinksUpdate;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinLinksUpdate {
    /// A member makes a link.
    Make {
        /// The link's public key.
        key: SignaturePublicKey,
        /// When it ends, in seconds since 1970.
        expires_at: u64,
        /// How many devices may join by it.
        max_uses: u32,
    },
    /// A member, whichever, takes a link away.
    Revoke {
        /// The link's public key.
        key: SignaturePublicKey,
    },
    /// A device joins by a link.
    Use {
        /// The link's public key.
        key: SignaturePublicKey,
        /// By the link's key, over group, epoch and the key of the device's leaf.
        signature: Bytes,
    },
}

impl JoinLinksUpdate {
    fn key(&self) -> &SignaturePublicKey {
        match self {
            Self::Make { key, .. } | Self::Revoke { key } | Self::Use { key, .. } => key,
        }
    }

    /// What it does, for the policy of rooms; none if it is malformed.
    fn link_use(update: &[u8]) -> Option<LinkUse> {
        Some(match Self::from_bytes(update).ok()? {
            Self::Make { .. } => LinkUse::Make,
            Self::Revoke { .. } => LinkUse::Revoke,
            Self::Use { .. } => LinkUse::Join,
        })
    }

    /// The proposal that makes this change, for a commit of a member's own.
    ///
    /// # Errors
    /// None for keys and signatures of any usual length.
    pub fn proposal(&self) -> Result<NewProposal, EncodeError> {
        let update = self.to_bytes()?.into();
        Ok(NewProposal::AppDataUpdate { component_id: JOIN_LINKS, update })
    }
}

impl Encode for JoinLinksUpdate {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        let operation = match self {
            Self::Make { .. } => 1u8,
            Self::Revoke { .. } => 2,
            Self::Use { .. } => 3,
        };
        operation.encode(w)?;
        self.key().encode(w)?;
        match self {
            Self::Make { expires_at, max_uses, .. } => {
                expires_at.encode(w)?;
                max_uses.encode(w)
            }
            Self::Revoke { .. } => Ok(()),
            Self::Use { signature, .. } => signature.encode(w),
        }
    }
}

impl Decode for JoinLinksUpdate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        let (operation, key) = (u8::decode(r)?, SignaturePublicKey::decode(r)?);
        match operation {
            1 => Ok(Self::Make { key, expires_at: Decode::decode(r)?, max_uses: u32::decode(r)? }),
            2 => Ok(Self::Revoke { key }),
            3 => Ok(Self::Use { key, signature: Decode::decode(r)? }),
            other => {
                Err(DecodeError::InvalidValue { field: "JoinLinksOperation", value: other.into() })
            }
        }
    }
}

/// Why a change of a group's links is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinLinkError {
    /// It was revoked, or never was.
    Unknown,
    /// It has ended.
    Expired,
    /// As many have joined by it as may.
    UsedUp,
    /// Whoever made it is no longer in the group.
    MakerGone,
    /// Its key has not signed this use.
    BadSignature,
    /// The update, or the data that it changes, is none.
    Malformed(DecodeError),
    /// The group has as many links as it can.
    TooMany,
    /// The new link has no uses, a key that is none, or another's.
    BadLink,
    /// A change that this sender may not make, or not beside the rest of the commit.
    NotAllowed(&'static str),
    /// A change of a room's components that leads to no room, or a link that the room's policy does not allow.
    Room(Refusal),
}

impl fmt::Display for JoinLinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the link was revoked, or is not one of this group's"),
            Self::Expired => f.write_str("the link has expired"),
            Self::UsedUp => f.write_str("the link is used up: as many have joined by it as may"),
            Self::MakerGone => f.write_str("the member who made the link is no longer in the group"),
            Self::BadSignature => f.write_str("the link's key has not signed this"),
            Self::Malformed(e) => write!(f, "the join link data is malformed: {e}"),
            Self::TooMany => write!(f, "a group has {MAX_JOIN_LINKS} join links at most"),
            Self::BadLink => {
                f.write_str("a new join link must allow at least one use and have an Ed25519 key that no other link has")
            }
            Self::NotAllowed(what) => f.write_str(what),
            Self::Room(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for JoinLinkError {}

impl JoinLinkError {
    /// Whether it is the link that nobody can join by, and not the message that is wrong.
    #[must_use]
    pub fn is_of_link(&self) -> bool {
        match self {
            Self::Unknown | Self::Expired | Self::UsedUp | Self::MakerGone | Self::BadSignature => {
                true
            }
            Self::Malformed(_)
            | Self::TooMany
            | Self::BadLink
            | Self::NotAllowed(_)
            | Self::Room(_) => false,
        }
    }
}

impl From<DecodeError> for JoinLinkError {
    fn from(e: DecodeError) -> Self {
        Self::Malformed(e)
    }
}

impl JoinLinks {
    /// The links of a group.
    ///
    /// # Errors
    /// [`JoinLinkError::Malformed`]: then members have let in data that is none.
    pub fn of(group: GroupView<'_>) -> Result<Self, JoinLinkError> {
        match group.component_data(JOIN_LINKS) {
            Ok(Some(data)) => Ok(Self::from_bytes(&data)?),
            // A dictionary was checked when it came in.
            Ok(None) | Err(_) => Ok(Self::default()),
        }
    }

    /// Those of a component's data; none if there is no such data, or it is malformed.
    #[must_use]
    pub fn of_data(data: Option<&Bytes>) -> Self {
        data.and_then(|data| Self::from_bytes(data).ok()).unwrap_or_default()
    }

    /// All links, by ascending number.
    #[must_use]
    pub fn links(&self) -> &[JoinLinkRecord] {
        &self.links
    }

    /// The link by which somebody joined, if these are a group's links after it, and `before` those before.
    #[must_use]
    pub fn used_since(&self, before: &Self) -> Option<&JoinLinkRecord> {
        let uses = |key| before.links.iter().find(|link| link.key == key).map(|link| link.uses);
        self.links.iter().find(|link| uses(link.key.clone()).is_some_and(|uses| uses < link.uses))
    }

    /// The link of a key, if somebody can join by it at a time, in seconds since 1970.
    ///
    /// # Errors
    /// Why nobody can.
    pub fn usable(
        &self,
        key: &SignaturePublicKey,
        mut members: impl Iterator<Item = DeviceId>,
        at: u64,
    ) -> Result<&JoinLinkRecord, JoinLinkError> {
        let link = self.links.iter().find(|link| link.key == *key).ok_or(JoinLinkError::Unknown)?;
        if let Some(over) = link.over(at) {
            return Err(over);
        }
        if !members.any(|member| member == link.maker) {
            return Err(JoinLinkError::MakerGone);
        }
        Ok(link)
    }

    /// Makes a member's changes, if the room's policy for links, where it has one, allows all of them. `is_member` says whether
    /// a device is in the group: nobody can join by a link whose maker has left, and it does not count.
    fn change_under(
        &mut self,
        policy: Option<&JoinLinkPolicy>,
        (maker, received_at): (&DeviceId, u64),
        is_member: impl Fn(&DeviceId) -> bool,
        updates: Vec<JoinLinksUpdate>,
    ) -> Result<(), JoinLinkError> {
        let Some(policy) = policy else { return self.change(maker, updates) };
        updates.iter().try_for_each(|update| check_policy(policy, update, received_at))?;

        let makes = updates.iter().any(|update| matches!(update, JoinLinksUpdate::Make { .. }));
        self.change(maker, updates)?;
        let is_good = |link: &&JoinLinkRecord| !link.is_over(received_at) && is_member(&link.maker);
        let good = self.links.iter().filter(is_good).count();
        if policy.on_request && makes && good > 1 {
            return Err(JoinLinkError::NotAllowed(
                "the room's policy allows one link at a time: revoke the other one first",
            ));
        }
        Ok(())
    }

    /// Makes a member's changes.
    fn change(
        &mut self,
        maker: &DeviceId,
        updates: Vec<JoinLinksUpdate>,
    ) -> Result<(), JoinLinkError> {
        for update in updates {
            match update {
                JoinLinksUpdate::Make { key, expires_at, max_uses } => {
                    self.make(maker.clone(), key, (expires_at, max_uses))?;
                }
                JoinLinksUpdate::Revoke { key } => self.revoke(&key)?,
                JoinLinksUpdate::Use { .. } => {
                    return Err(JoinLinkError::NotAllowed("a member cannot use a join link"));
                }
            }
        }
        Ok(())
    }

    fn make(
        &mut self,
        maker: DeviceId,
        key: SignaturePublicKey,
        (expires_at, max_uses): (u64, u32),
    ) -> Result<(), JoinLinkError> {
        let is_known = self.links.iter().any(|link| link.key == key);
        if max_uses == 0 || key.len() != KEY || is_known {
            return Err(JoinLinkError::BadLink);
        }
        if self.links.len() >= MAX_JOIN_LINKS {
            return Err(JoinLinkError::TooMany);
        }
        self.made = self.made.checked_add(1).ok_or(JoinLinkError::TooMany)?;
        let number = self.made;
        self.links.push(JoinLinkRecord { number, key, maker, expires_at, max_uses, uses: 0 });
        Ok(())
    }

    fn revoke(&mut self, key: &SignaturePublicKey) -> Result<(), JoinLinkError> {
        let before = self.links.len();
        self.links.retain(|link| link.key != *key);
        if self.links.len() < before { Ok(()) } else { Err(JoinLinkError::Unknown) }
    }

    /// The data of the component after one more use of a link.
    ///
    /// # Errors
    /// None for data that was decoded.
    pub fn after_use(&self, key: &SignaturePublicKey) -> Result<Bytes, EncodeError> {
        let mut links = self.clone();
        links.count_use(key);
        Ok(links.to_bytes()?.into())
    }

    fn count_use(&mut self, key: &SignaturePublicKey) {
        for link in self.links.iter_mut().filter(|link| link.key == *key) {
            link.uses = link.uses.saturating_add(1);
        }
    }
}

/// A commit, as far as it matters to a group's links: what a stage shows of it.
pub struct JudgedCommit<'a> {
    /// Who commits.
    pub sender: Sender,
    /// The proposals, each with its proposer.
    pub proposals: Vec<(Sender, &'a Proposal)>,
    /// The credentials that are to be judged, a joiner's among them.
    pub credentials: &'a [CredentialRequest],
    /// When the service received it, in seconds since 1970.
    pub received_at: u64,
}

impl fmt::Debug for JudgedCommit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgedCommit").field("sender", &self.sender).finish_non_exhaustive()
    }
}

/// A leaf that supports join links, beside the components of `others`. All members of a group with links have one.
///
/// # Errors
/// If what the leaf says of components already is malformed.
pub fn supporting_join_links(
    leaf: LeafParams,
    others: &[ComponentId],
) -> Result<LeafParams, conclave_mls::Error> {
    let components = [&[JOIN_LINKS], others].concat();
    let mut leaf = leaf.with_components(&components)?;
    leaf.capabilities.proposals.push(ProposalType::APP_DATA_UPDATE);
    Ok(leaf)
}

/// The rules of rooms: who may do what. `user_of` says which user a credential names.
#[must_use]
pub fn room_policy(user_of: fn(&Credential) -> Option<String>) -> RoomPolicy {
    RoomPolicy { user_of, links: JOIN_LINKS, link_use: JoinLinksUpdate::link_use }
}

/// What a commit does to the data of components, which is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The answer to each of the commit's questions about components.
    pub app_data: Vec<Bytes>,
    /// Whether its sender joins by a link. Then its credential is to be judged as one that a member adds.
    pub joins_by_link: bool,
}

/// Judges what a commit does to the data of components: it may change the group's links and, if the group is a room, the
/// room's components, and nothing else. A member makes and revokes links; a device that joins from outside uses one, and
/// does nothing beside.
///
/// Whose role allows it is judged by the [room's policy](room_policy), which the group has in its configuration. An
/// external commit that uses no link is not judged here, but by its sender's credential.
///
/// `device_of` says whose a credential is. `provider` verifies the signature of a use.
///
/// # Errors
/// Why the commit is to be refused.
pub fn judge_commit(
    provider: &dyn CryptoProvider,
    group: GroupView<'_>,
    commit: &JudgedCommit<'_>,
    device_of: impl Fn(&Credential) -> Option<DeviceId>,
) -> Result<Judged, JoinLinkError> {
    let Updates { links: updates, room: of_room } = updates_of(commit)?;
    if updates.is_empty() && of_room.is_empty() {
        return Ok(Judged::default());
    }
    let room = RoomState::of(group).map_err(|e| JoinLinkError::Room(e.into()))?;
    let mut answers = room_answers(room.as_ref(), &of_room)?;
    if updates.is_empty() {
        return Ok(Judged { app_data: in_order(answers), joins_by_link: false });
    }

    let mut links = JoinLinks::of(group)?;
    match commit.sender {
        Sender::Member(leaf) => {
            let maker = group.credential(leaf).and_then(|credential| device_of(&credential));
            let nobody = JoinLinkError::NotAllowed("the committer's credential names no device");
            let policy = room.as_ref().and_then(|room| room.join_links.as_ref());
            let maker = (&maker.ok_or(nobody)?, commit.received_at);
            let is_member = |who: &DeviceId| {
                group.members().any(|member| device_of(&member.credential).as_ref() == Some(who))
            };
            links.change_under(policy, maker, is_member, updates)?;
        }
        Sender::NewMemberCommit => {
            let key = judge_use(provider, group, commit, (&links, updates), device_of)?;
            links.count_use(&key);
        }
        Sender::External(_) | Sender::NewMemberProposal => {
            return Err(JoinLinkError::NotAllowed("only members and joiners commit"));
        }
    }
    let data = links.to_bytes().map_err(|_| JoinLinkError::TooMany)?;
    answers.push((JOIN_LINKS, data.into()));
    let joins_by_link = commit.sender == Sender::NewMemberCommit;
    Ok(Judged { app_data: in_order(answers), joins_by_link })
}

/// The data of a room's components after a commit's updates of them.
fn room_answers(
    room: Option<&RoomState>,
    updates: &[(ComponentId, &[u8])],
) -> Result<Vec<(ComponentId, Bytes)>, JoinLinkError> {
    if updates.is_empty() {
        return Ok(Vec::new());
    }
    let room = room.ok_or(JoinLinkError::NotAllowed("the commit changes an unknown component"))?;
    let (_, answers) = room.updated(updates).map_err(|e| JoinLinkError::Room(e.into()))?;
    Ok(answers)
}

/// Answers in the order in which a group asks for them: by ascending component.
fn in_order(mut answers: Vec<(ComponentId, Bytes)>) -> Vec<Bytes> {
    answers.sort_by_key(|(id, _)| *id);
    answers.into_iter().map(|(_, data)| data).collect()
}

/// Checks a new link by the room's policy for links. A commit of our own has not been received yet, so that its end
/// cannot be compared.
fn check_policy(
    policy: &JoinLinkPolicy,
    update: &JoinLinksUpdate,
    received_at: u64,
) -> Result<(), JoinLinkError> {
    let JoinLinksUpdate::Make { expires_at, max_uses, .. } = update else { return Ok(()) };
    let latest = received_at.saturating_add(policy.expiration.into());
    if *max_uses > 1 && !policy.multiuser || received_at > 0 && *expires_at > latest {
        return Err(JoinLinkError::NotAllowed("the room's policy does not allow such a link"));
    }
    Ok(())
}

/// The changes of components in a commit.
#[derive(Default)]
struct Updates<'a> {
    links: Vec<JoinLinksUpdate>,
    room: Vec<(ComponentId, &'a [u8])>,
}

/// The changes of join links and of a room's components in a commit, which changes no other component.
fn updates_of<'a>(commit: &JudgedCommit<'a>) -> Result<Updates<'a>, JoinLinkError> {
    let changes = commit.proposals.iter().filter_map(|(by, proposal)| match proposal {
        Proposal::AppDataUpdate(update) => Some((by, update)),
        _ => None,
    });
    let mut updates = Updates::default();
    for (by, AppDataUpdate { component_id, operation }) in changes {
        let AppDataUpdateOperation::Update(update) = operation else {
            return Err(JoinLinkError::NotAllowed("nobody may remove a component's data"));
        };
        if *by != commit.sender {
            return Err(JoinLinkError::NotAllowed("only a committer changes a component's data"));
        }
        if *component_id == JOIN_LINKS {
            updates.links.push(JoinLinksUpdate::from_bytes(update)?);
        } else if COMPONENTS.contains(component_id) {
            updates.room.push((*component_id, update));
        } else {
            return Err(JoinLinkError::NotAllowed("the commit changes an unknown component"));
        }
    }
    Ok(updates)
}

/// The key of the link by which a device joins.
fn judge_use(
    provider: &dyn CryptoProvider,
    group: GroupView<'_>,
    commit: &JudgedCommit<'_>,
    (links, updates): (&JoinLinks, Vec<JoinLinksUpdate>),
    device_of: impl Fn(&Credential) -> Option<DeviceId>,
) -> Result<SignaturePublicKey, JoinLinkError> {
    let Ok([JoinLinksUpdate::Use { key, signature }]) = <[JoinLinksUpdate; 1]>::try_from(updates)
    else {
        let what = "a device that joins from outside uses one join link and changes none";
        return Err(JoinLinkError::NotAllowed(what));
    };
    let members = || group.members().filter_map(|member| device_of(&member.credential));
    links.usable(&key, members(), commit.received_at)?;

    let joiner = joiner_of(commit)?;
    let device = device_of(&joiner.credential);
    if device.is_none_or(|device| members().any(|member| member == device)) {
        let what = "a device that joins by a link must be new to the group";
        return Err(JoinLinkError::NotAllowed(what));
    }
    let about = (group.group_id(), group.epoch().0, &joiner.signature_key);
    verify_use(provider, &key, about, &signature).map_err(|_| JoinLinkError::BadSignature)?;
    Ok(key)
}

/// Whoever joins by a commit, which does nothing but that.
fn joiner_of<'a>(commit: &JudgedCommit<'a>) -> Result<&'a CredentialRequest, JoinLinkError> {
    // An external commit has to take the SelfRemoves of those who have asked to leave.
    let is_needed = |proposal: &Proposal| {
        matches!(
            proposal,
            Proposal::ExternalInit(_) | Proposal::AppDataUpdate(_) | Proposal::SelfRemove(_)
        )
    };
    let joiner = commit
        .credentials
        .iter()
        .find(|request| matches!(request.subject, CredentialSubject::ExternalJoiner));
    match joiner {
        Some(joiner) if commit.proposals.iter().all(|(_, proposal)| is_needed(proposal)) => {
            Ok(joiner)
        }
        _ => Err(JoinLinkError::NotAllowed("a device that joins by a link does nothing else")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SignaturePublicKey {
        vec![n; KEY].into()
    }

    fn device(id: &str) -> DeviceId {
        id.parse().unwrap()
    }

    /// Links of alice's with these numbers of uses, which end at 100.
    fn links(uses: &[u32]) -> JoinLinks {
        let mut links = JoinLinks::default();
        for (n, max_uses) in (0..).zip(uses) {
            links.make(device("alice/pc"), key(n), (100, *max_uses)).unwrap();
        }
        links
    }

    #[test]
    fn a_link_is_good_until_it_ends_is_used_up_or_loses_its_maker() {
        let mut links = links(&[2, 1]);
        let usable = |links: &JoinLinks, at, members: &[&str]| {
            let members = members.iter().map(|id| device(id));
            links.usable(&key(0), members, at).map(|link| link.number)
        };
        assert_eq!(usable(&links, 99, &["bob/pc", "alice/pc"]), Ok(1));
        assert_eq!(usable(&links, 100, &["alice/pc"]), Err(JoinLinkError::Expired));
        assert_eq!(usable(&links, 99, &["alice/phone"]), Err(JoinLinkError::MakerGone));
        for _ in 0..2 {
            assert_eq!(usable(&links, 99, &["alice/pc"]), Ok(1));
            let before = links.clone();
            links.count_use(&key(0));
            assert_eq!(links.used_since(&before).map(|link| link.number), Some(1));
        }
        assert_eq!(usable(&links, 99, &["alice/pc"]), Err(JoinLinkError::UsedUp));
        links.revoke(&key(0)).unwrap();
        assert_eq!(usable(&links, 99, &["alice/pc"]), Err(JoinLinkError::Unknown));
        assert_eq!(links.revoke(&key(0)), Err(JoinLinkError::Unknown));
        assert_eq!(links.used_since(&links.clone()), None);
    }

    #[test]
    fn a_link_beyond_the_rooms_policy_is_refused() {
        let policy = |on_request, multiuser| JoinLinkPolicy {
            on_request,
            join_link: conclave_room::Text::default(),
            multiuser,
            expiration: 60,
        };
        let make =
            |n, expires_at, max_uses| JoinLinksUpdate::Make { key: key(n), expires_at, max_uses };
        // Beside a link of alice's that ends at 100.
        let changed_among = |members: &[&str], policy: &JoinLinkPolicy, at, updates| {
            let mut links = links(&[1]);
            let is_member = |who: &DeviceId| members.iter().any(|id| device(id) == *who);
            let maker = device("bob/pc");
            let changed = links.change_under(Some(policy), (&maker, at), is_member, updates);
            changed.map(|()| links.links().len())
        };
        let changed = |policy: &JoinLinkPolicy, at, updates: Vec<JoinLinksUpdate>| {
            changed_among(&["alice/pc", "bob/pc"], policy, at, updates)
        };
        let refused = |changed| matches!(changed, Err(JoinLinkError::NotAllowed(_)));

        let many = policy(false, true);
        assert_eq!(changed(&many, 50, vec![make(1, 110, 2), make(2, 110, 1)]), Ok(3));
        assert!(refused(changed(&many, 50, vec![make(1, 111, 1)])), "it lasts too long");
        assert!(refused(changed(&policy(false, false), 50, vec![make(1, 110, 2)])), "two users");

        // One at a time: a link that is revoked or over does not count.
        let one = policy(true, true);
        let revoke = || JoinLinksUpdate::Revoke { key: key(0) };
        assert!(refused(changed(&one, 50, vec![make(1, 110, 1)])), "there is one");
        assert!(refused(changed(&one, 50, vec![revoke(), make(1, 110, 1), make(2, 110, 1)])));
        assert_eq!(changed(&one, 50, vec![revoke(), make(1, 110, 1)]), Ok(1));
        assert_eq!(changed(&one, 50, vec![make(1, 110, 1), revoke()]), Ok(1));
        assert_eq!(changed(&one, 100, vec![make(1, 160, 1)]), Ok(2));
        assert_eq!(changed(&one, 50, vec![revoke()]), Ok(0));
        // Nor does one whose maker has left.
        let new = || vec![make(1, 110, 1)];
        assert_eq!(changed_among(&["alice/phone", "bob/pc"], &one, 50, new()), Ok(2));
        let two = vec![make(1, 110, 1), make(2, 110, 1)];
        assert!(refused(changed_among(&["bob/pc"], &one, 50, two)));
    }

    #[test]
    fn a_number_is_given_once_and_a_key_stands_once() {
        let mut links = links(&[1, 1]);
        links.revoke(&key(1)).unwrap();
        links.make(device("bob/pc"), key(1), (100, 1)).unwrap();
        assert_eq!(links.links().iter().map(|link| link.number).collect::<Vec<_>>(), [1, 3]);
        for (key, uses) in [(key(0), 1), (key(9), 0), (vec![9; KEY - 1].into(), 1)] {
            let made = links.make(device("bob/pc"), key, (100, uses));
            assert_eq!(made, Err(JoinLinkError::BadLink));
        }
    }

    #[test]
    fn a_group_has_so_many_links_and_no_more() {
        let mut links = links(&[1; MAX_JOIN_LINKS]);
        let made = links.make(device("bob/pc"), key(99), (100, 1));
        assert_eq!(made, Err(JoinLinkError::TooMany));
    }

    #[test]
    fn links_and_updates_are_read_as_they_were_written_and_no_others() {
        let all = links(&[1, 2]);
        let bytes = all.to_bytes().unwrap();
        assert_eq!(JoinLinks::from_bytes(&bytes).unwrap(), all);
        assert_eq!(JoinLinks::of_data(Some(&bytes.clone().into())), all);
        assert_eq!(JoinLinks::of_data(Some(&[7].into())), JoinLinks::default());
        let updates = [
            JoinLinksUpdate::Make { key: key(1), expires_at: 7, max_uses: 3 },
            JoinLinksUpdate::Revoke { key: key(1) },
            JoinLinksUpdate::Use { key: key(1), signature: [5; 64].into() },
        ];
        for update in updates {
            let bytes = update.to_bytes().unwrap();
            assert_eq!(JoinLinksUpdate::from_bytes(&bytes).unwrap(), update);
            for wrong in [[&bytes[..], &[0]].concat(), bytes[..bytes.len() - 1].to_vec()] {
                assert!(JoinLinksUpdate::from_bytes(&wrong).is_err());
            }
            for (at, byte) in [(0, 2), (1, 4), (1, 0)] {
                let mut wrong = bytes.clone();
                wrong[at] = byte;
                assert!(JoinLinksUpdate::from_bytes(&wrong).is_err(), "{at} {byte}");
            }
        }
    }
}
