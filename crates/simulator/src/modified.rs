//! The client of a member, modified: what it makes of the member's own state is validly signed and framed, and wrong.

use crate::crypto::WorldCrypto;
use conclave_certificates::device_of;
use conclave_crypto::testing::TestRng;
use conclave_delivery_api::{
    Bytes, DeviceId, JudgedCommit, SendMessage, SubmitCommit, SubmitProposal, judge_commit,
};
use conclave_engine::Request;
use conclave_mls::component::{Decode, Encode};
use conclave_mls::credential::LeafParams;
use conclave_mls::crypto::{Secret, SignatureKeyPair, Suite};
use conclave_mls::group::{
    CommitMessages, CommitOptions, Framing, GroupParams, LeafIndex, LeafUpdate, NewProposal,
    ProtocolVersion, PskType, ReInit, Sender, Status, TreeRead,
};
use conclave_mls::join::GroupInfoOptions;
use conclave_mls::key_package::{
    KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::storage::{Outcome, RowKey};
use conclave_mls::wire::{
    AuthenticatedContent, MlsMessage, MlsMessageBody, PublicMessage, WireFormat,
};
use conclave_mls::{
    CipherSuite, Config, Credential, Error, Event, Group, Transition, UnixTime, Verdict, apply,
};
use conclave_room::standard::{MEMBER, OWNER};
use conclave_room::{PARTICIPANT_LIST, ROLES_LIST, RoleIndex, RoomState};
use conclave_testkit::forge::Insider;
use core::convert::Infallible;
use core::time::Duration;

/// What a modified client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misdeed {
    /// It makes its user an owner.
    TakesOwnership,
    /// It removes an owner.
    RemovesOwner,
    /// It adds a device with a key of its own making, which no account has: one more of its user's, or in another
    /// member's name.
    AddsStranger,
    /// Its leaf takes the name of another member's device.
    TakesName,
    /// It drops the extensions of the group's context.
    DropsExtensions,
    /// It drops what the group says of its users or their roles.
    DropsRoom,
    /// It puts an end to the group, in favour of one that is not there.
    Reinitializes,
    /// Its commit needs a PSK that nobody else has.
    NeedsUnknownPsk,
    /// Its commit refers to a proposal that nobody else has.
    RefersToUnknownProposal,
    /// Its commit has another epoch's confirmation tag.
    WrongTag,
    /// Some members, or all, cannot open what its commit has for them.
    GarbledPath,
    /// Its commit comes with a GroupInfo that is damaged, or with none.
    WrongGroupInfo,
    /// It breaks a rule of the room in the epoch after a commit that some members, or all, cannot open.
    BuriesBreach,
    /// It adds somebody, with a Welcome that does not open, leads elsewhere, or comes twice.
    FalseWelcome,
    /// It makes two commits in one epoch, and sends the second twice.
    TwoCommits,
    /// It proposes what its user may not do.
    Proposes,
    /// It sends a message whose content makes no sense.
    SendsNonsense,
}

impl Misdeed {
    pub(crate) const ALL: [Self; 17] = [
        Self::TakesOwnership,
        Self::RemovesOwner,
        Self::AddsStranger,
        Self::TakesName,
        Self::DropsExtensions,
        Self::DropsRoom,
        Self::Reinitializes,
        Self::NeedsUnknownPsk,
        Self::RefersToUnknownProposal,
        Self::WrongTag,
        Self::GarbledPath,
        Self::WrongGroupInfo,
        Self::BuriesBreach,
        Self::FalseWelcome,
        Self::TwoCommits,
        Self::Proposes,
        Self::SendsNonsense,
    ];
}

/// What is false about a Welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Falsehood {
    /// It is damaged.
    Damaged,
    /// It leads into a group of another name.
    OtherGroup,
    /// It leads into the same group after another commit, which nobody is ever shown.
    OtherTree,
    /// It comes twice.
    Repeated,
}

impl Falsehood {
    pub(crate) const ALL: [Self; 4] =
        [Self::Damaged, Self::OtherGroup, Self::OtherTree, Self::Repeated];
}

/// A member's state in its modified client.
pub(crate) struct Modified {
    group: Group,
    crypto: WorldCrypto,
    rng: TestRng,
    now: UnixTime,
}

/// Steps are applied to a copy of the state that nobody stores.
fn applied<T: Outcome<Event>>(group: &mut Group, step: Transition<Group, T>) -> Option<T> {
    apply(group, step, |_| Ok::<_, Infallible>(())).ok()
}

fn first_welcome(commit: CommitMessages) -> Option<Vec<u8>> {
    commit.welcomes.into_iter().next().map(|welcome| welcome.message)
}

impl Modified {
    /// Loads a member's group from its rows, but not the rules of the engine; none if the member cannot commit there.
    pub(crate) fn new(
        rows: Vec<(RowKey, Secret)>,
        crypto: WorldCrypto,
        rng: TestRng,
        now: UnixTime,
    ) -> Option<Self> {
        let config = Config { adopt_policy: true, ..Config::default() };
        let group = Group::load(&crypto, config, rows).ok()?;
        let is_free = group.status() == Status::Active && group.pending_commit().is_none();
        is_free.then_some(Self { group, crypto, rng, now })
    }

    /// The requests of a misdeed, in their order; none if it cannot be done in this group.
    pub(crate) fn requests(&mut self, misdeed: Misdeed) -> Option<Vec<Request>> {
        let crypto = match misdeed {
            Misdeed::GarbledPath => self.crypto.garbling(self.rng.below(u64::MAX)),
            _ => self.crypto,
        };

        let commit = match misdeed {
            // It needs a key package, see `false_welcome`.
            Misdeed::FalseWelcome => return None,
            Misdeed::BuriesBreach => return self.breach_after_garbage(),
            Misdeed::TwoCommits => return self.two_commits(),
            Misdeed::Proposes => return self.proposal(),
            Misdeed::SendsNonsense => return self.nonsense(),
            Misdeed::RefersToUnknownProposal => {
                let proposal = self.some_proposal()?;
                self.propose(proposal)?;
                let options = CommitOptions { received: true, ..Self::options() };
                self.commit(&crypto, options)?
            }
            Misdeed::TakesName => {
                let leaf = Some(self.other_name()?);
                self.commit(&crypto, CommitOptions { leaf, ..Self::options() })?
            }
            Misdeed::NeedsUnknownPsk => {
                let psk_id: Bytes = self.rng.bytes(8).into();
                let proposals = vec![NewProposal::ExternalPsk { psk_id: psk_id.clone() }];
                let psks = vec![(PskType::External { psk_id }, Secret::new(self.rng.bytes(32)))];
                self.commit(&crypto, CommitOptions { proposals, psks, ..Self::options() })?
            }
            Misdeed::WrongTag | Misdeed::GarbledPath | Misdeed::WrongGroupInfo => {
                self.commit(&crypto, CommitOptions { force_path: true, ..Self::options() })?
            }
            _ => {
                let proposals = self.proposals(misdeed)?;
                self.commit(&crypto, CommitOptions { proposals, ..Self::options() })?
            }
        };

        let mut submitted = submission(&commit);
        match misdeed {
            Misdeed::WrongTag => {
                let tag = self.rng.bytes(32);
                submitted.commit = self.with_tag(&commit.commit, &tag)?.into();
                submitted.group_info = self.info_with_tag(&commit, &tag);
            }
            Misdeed::WrongGroupInfo => submitted.group_info = self.wrong_group_info(&commit),
            _ => {}
        }
        Some(vec![submitted.into()])
    }

    /// The group's suite.
    pub(crate) fn suite(&self) -> CipherSuite {
        self.group.cipher_suite()
    }

    /// Adds a device by its key package, with a false Welcome.
    pub(crate) fn false_welcome(
        &mut self,
        device: &DeviceId,
        key_package: &[u8],
        falsehood: Falsehood,
    ) -> Option<Request> {
        let package = key_package_from_message(key_package).ok()?;
        let stage = ValidKeyPackage::check(&self.crypto, self.now, &Config::default(), package);
        let package = Box::new(stage.ok()?.resolve(Verdict::Accept).ok()?);
        let mut proposals = vec![NewProposal::Add(package.clone())];
        let room = RoomState::of(self.group.view()).ok()??;
        if room.role_of(device.user.as_str()).is_none_or(|role| role.index == RoleIndex::NONE) {
            proposals.push(self.role(device, MEMBER)?);
        }

        let false_one = match falsehood {
            Falsehood::OtherTree => {
                let proposals = [&proposals[..], &[self.stranger()?]].concat();
                let commit = self.withdrawn(CommitOptions { proposals, ..Self::options() })?;
                Some(first_welcome(commit)?)
            }
            Falsehood::OtherGroup => Some(self.elsewhere(package)?),
            Falsehood::Damaged | Falsehood::Repeated => None,
        };
        let crypto = self.crypto;
        let commit = self.commit(&crypto, CommitOptions { proposals, ..Self::options() })?;
        let mut submitted = submission(&commit);
        match falsehood {
            Falsehood::Damaged => {
                let mut welcome = submitted.welcomes.pop()?.into_vec();
                // Where the encrypted GroupInfo is, or the secrets.
                let at = welcome.len() - 1 - self.rng.below(welcome.len() as u64 / 2) as usize;
                welcome[at] ^= 1;
                submitted.welcomes.push(welcome.into());
            }
            Falsehood::Repeated => submitted.welcomes.push(submitted.welcomes.first()?.clone()),
            Falsehood::OtherTree | Falsehood::OtherGroup => {
                submitted.welcomes = vec![false_one?.into()];
            }
        }
        Some(submitted.into())
    }

    /// A commit that is withdrawn: the next one is of the same epoch.
    fn withdrawn(&mut self, options: CommitOptions) -> Option<CommitMessages> {
        let crypto = self.crypto;
        let step = self.draft(&crypto, options).ok()?;
        let commit = applied(&mut self.group, step)?;
        let step = self.group.commit_rejected(&commit.id).ok()?;
        applied(&mut self.group, step)?;
        Some(commit)
    }

    /// A Welcome into another group, which has the same extensions.
    fn elsewhere(&mut self, package: Box<ValidKeyPackage>) -> Option<Vec<u8>> {
        let own = self.device_at(self.group.own_leaf())?;
        let params = GroupParams {
            group_id: self.rng.bytes(16).into(),
            cipher_suite: self.group.cipher_suite(),
            extensions: self.group.extensions().to_vec(),
            leaf: self.leaf_named(&own)?,
            lifetime: Lifetime::starting_at(self.now, Duration::from_secs(24 * 60 * 60)),
        };
        let signer = self.new_key()?;
        let new = Group::create(&self.crypto, &mut self.rng, Config::default(), params, signer);
        let mut other = new.ok()?.stored();
        let proposals = vec![NewProposal::Add(package)];
        let options = CommitOptions { proposals, ..Self::options() };
        let step = other.commit(&self.crypto, &mut self.rng, self.now, options).ok()?;
        first_welcome(applied(&mut other, step)?)
    }

    /// How an honest client commits.
    fn options() -> CommitOptions {
        let group_info = Some(GroupInfoOptions { ratchet_tree: false, external_pub: true });
        CommitOptions { received: false, group_info, ..CommitOptions::default() }
    }

    /// Makes a commit, which is then pending in the state.
    fn commit(&mut self, crypto: &WorldCrypto, options: CommitOptions) -> Option<CommitMessages> {
        let step = self.draft(crypto, options).ok()?;
        applied(&mut self.group, step)
    }

    fn draft(
        &mut self,
        crypto: &WorldCrypto,
        options: CommitOptions,
    ) -> Result<Transition<Group, CommitMessages>, Error> {
        let draft = self.group.draft_commit(crypto, &mut self.rng, self.now, options)?;
        let commit = JudgedCommit {
            sender: Sender::Member(self.group.own_leaf()),
            proposals: draft.proposals().collect(),
            credentials: &[],
            received_at: 0,
        };
        let judged = judge_commit(crypto, self.group.view(), &commit, device_of);
        let app_data = judged.map(|judged| judged.app_data).unwrap_or_default();
        draft.seal(&mut self.rng, app_data)
    }

    /// Proposals by value of a commit that consists of them.
    fn proposals(&mut self, misdeed: Misdeed) -> Option<Vec<NewProposal>> {
        let proposals = match misdeed {
            Misdeed::TakesOwnership => {
                let me = self.device_at(self.group.own_leaf())?;
                vec![self.role(&me, OWNER)?]
            }
            Misdeed::RemovesOwner => {
                let (owner, leaf) = self.other_owner()?;
                vec![self.role(&owner, RoleIndex::NONE)?, NewProposal::Remove(leaf)]
            }
            Misdeed::AddsStranger => vec![self.stranger()?],
            Misdeed::DropsExtensions => vec![NewProposal::GroupContextExtensions(Vec::new())],
            Misdeed::DropsRoom => {
                let component_id =
                    if self.rng.below(2) == 0 { PARTICIPANT_LIST } else { ROLES_LIST };
                vec![NewProposal::AppDataRemoval { component_id }]
            }
            Misdeed::Reinitializes => vec![NewProposal::ReInit(ReInit {
                group_id: self.rng.bytes(16).into(),
                version: ProtocolVersion::MLS_1_0,
                cipher_suite: self.group.cipher_suite(),
                extensions: Vec::new(),
            })],
            _ => return None,
        };
        Some(proposals)
    }

    /// A proposal of what its user may not do, or of what nobody may.
    fn some_proposal(&mut self) -> Option<NewProposal> {
        let misdeed = match self.rng.below(6) {
            0 => Misdeed::TakesOwnership,
            1 => Misdeed::AddsStranger,
            2 => Misdeed::DropsExtensions,
            3 => Misdeed::DropsRoom,
            4 => Misdeed::Reinitializes,
            _ => return Some(NewProposal::Remove(self.other_owner()?.1)),
        };
        self.proposals(misdeed)?.pop()
    }

    fn propose(&mut self, proposal: NewProposal) -> Option<Vec<u8>> {
        let framing = Framing::default();
        let Self { group, crypto, rng, now } = self;
        let step = group.propose(crypto, rng, *now, proposal, &framing).ok()?;
        Some(applied(group, step)?.message)
    }

    fn proposal(&mut self) -> Option<Vec<Request>> {
        let proposal = self.some_proposal()?;
        let proposal = self.propose(proposal)?.into();
        Some(vec![SubmitProposal { proposal }.into()])
    }

    fn breach_after_garbage(&mut self) -> Option<Vec<Request>> {
        let garbling = self.crypto.garbling(self.rng.below(u64::MAX));
        let first =
            self.commit(&garbling, CommitOptions { force_path: true, ..Self::options() })?;
        let step = self.group.commit_accepted(&self.crypto, self.now, &first.id).ok()?;
        applied(&mut self.group, step)?;
        let breach = match self.rng.below(3) {
            0 => Misdeed::TakesOwnership,
            1 => Misdeed::DropsExtensions,
            _ => Misdeed::DropsRoom,
        };
        let (crypto, proposals) = (self.crypto, self.proposals(breach)?);
        let second = self.commit(&crypto, CommitOptions { proposals, ..Self::options() })?;
        Some(vec![submission(&first).into(), submission(&second).into()])
    }

    fn two_commits(&mut self) -> Option<Vec<Request>> {
        let mut commits = Vec::new();
        for _ in 0..2 {
            let commit = self.withdrawn(CommitOptions { force_path: true, ..Self::options() })?;
            commits.push(Request::from(submission(&commit)));
        }
        let again = commits.last()?.clone();
        commits.push(again);
        Some(commits)
    }

    fn nonsense(&mut self) -> Option<Vec<Request>> {
        let len = 1 + self.rng.below(200) as usize;
        let data = self.rng.bytes(len);
        let Self { group, crypto, rng, .. } = self;
        let step = group.encrypt(crypto, rng, &data, &Framing::default()).ok()?;
        let message = applied(group, step)?.into();
        Some(vec![SendMessage { message }.into()])
    }

    /// The same commit with another confirmation tag, and the membership tag of that.
    fn with_tag(&self, commit: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(commit).ok()?.body
        else {
            return None;
        };
        let PublicMessage { content, mut auth, .. } = *message;
        auth.confirmation_tag = Some(tag.to_vec().into());
        let wire_format = WireFormat::PUBLIC_MESSAGE;
        let signed = AuthenticatedContent { wire_format, content, auth };
        Some(Insider::of(&self.group).tagged(&self.crypto, signed))
    }

    /// The GroupInfo of a commit with another confirmation tag, signed by the member.
    fn info_with_tag(&self, commit: &CommitMessages, tag: &[u8]) -> Option<Bytes> {
        let info = MlsMessage::from_bytes(commit.group_info.as_deref()?).ok()?.body;
        let MlsMessageBody::GroupInfo(mut info) = info else { return None };
        info.confirmation_tag = tag.to_vec().into();
        Some(Insider::of(&self.group).group_info(&self.crypto, *info).into())
    }

    fn wrong_group_info(&mut self, commit: &CommitMessages) -> Option<Bytes> {
        let mut info = commit.group_info.clone()?;
        let at = self.rng.below(info.len() as u64) as usize;
        info[at] ^= 1;
        (self.rng.below(3) > 0).then(|| info.into())
    }

    fn device_at(&self, leaf: LeafIndex) -> Option<DeviceId> {
        device_of(&self.group.member(leaf)?.credential)
    }

    fn others(&self) -> Vec<LeafIndex> {
        let own = self.group.own_leaf();
        self.group.members().map(|member| member.index).filter(|leaf| *leaf != own).collect()
    }

    fn other(&mut self) -> Option<LeafIndex> {
        let others = self.others();
        self.rng.pick(&others).copied()
    }

    /// A device of an owner who is another user.
    fn other_owner(&self) -> Option<(DeviceId, LeafIndex)> {
        let me = self.device_at(self.group.own_leaf())?.user;
        let room = RoomState::of(self.group.view()).ok()??;
        let is_owner = |device: &DeviceId| {
            let uri = room.uri_of(device.user.as_str());
            let role = uri.map(|uri| room.participants.role_of(uri.as_str()));
            role == Some(OWNER) && device.user != me
        };
        let devices =
            self.others().into_iter().filter_map(|leaf| Some((self.device_at(leaf)?, leaf)));
        devices.into_iter().find(|(device, _)| is_owner(device))
    }

    /// An update of the participant list that gives a user a role.
    fn role(&self, device: &DeviceId, role: RoleIndex) -> Option<NewProposal> {
        let room = RoomState::of(self.group.view()).ok()??;
        let list = room.participants.with(&room.uri_of(device.user.as_str())?, role);
        let update = room.participants.update_to(&list).to_bytes().ok()?;
        Some(NewProposal::AppDataUpdate { component_id: PARTICIPANT_LIST, update: update.into() })
    }

    /// The contents of this member's leaf, with another name.
    fn leaf_named(&self, device: &DeviceId) -> Option<LeafParams> {
        let leaf = self.group.tree().leaf(self.group.own_leaf())?;
        Some(LeafParams {
            credential: Credential::basic(&device.identity()),
            capabilities: leaf.capabilities.clone(),
            extensions: leaf.extensions.to_vec(),
        })
    }

    fn new_key(&mut self) -> Option<SignatureKeyPair> {
        let suite = Suite::new(&self.crypto, self.group.cipher_suite()).ok()?;
        suite.signature_key_pair(&mut self.rng).ok()
    }

    fn other_name(&mut self) -> Option<LeafUpdate> {
        let other = self.other()?;
        let params = self.leaf_named(&self.device_at(other)?)?;
        Some(LeafUpdate { params, signer: self.new_key()? })
    }

    /// Adds a device that no account has.
    fn stranger(&mut self) -> Option<NewProposal> {
        let leaf = if self.rng.below(2) == 0 { self.group.own_leaf() } else { self.other()? };
        let user = self.device_at(leaf)?.user;
        let device = format!("{user}/ghost").parse().ok()?;
        let params = KeyPackageParams::new(
            self.group.cipher_suite(),
            self.leaf_named(&device)?,
            Lifetime::starting_at(self.now, Duration::from_secs(30 * 24 * 60 * 60)),
        );
        let signer = self.new_key()?;
        let own = OwnKeyPackage::generate(&self.crypto, &mut self.rng, params, signer).ok()?;
        let config = Config::default();
        let stage =
            ValidKeyPackage::check(&self.crypto, self.now, &config, own.key_package().clone());
        Some(NewProposal::Add(Box::new(stage.ok()?.resolve(Verdict::Accept).ok()?)))
    }
}

/// A commit as it is submitted.
fn submission(commit: &CommitMessages) -> SubmitCommit {
    SubmitCommit {
        welcomes: commit.welcomes.iter().map(|one| one.message.as_slice().into()).collect(),
        group_info: commit.group_info.as_deref().map(Into::into),
        ..SubmitCommit::new(commit.commit.as_slice().into())
    }
}
