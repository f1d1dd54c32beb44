//! Tracked groups: real members, a service that watches.

mod golden;
mod joining;
mod links;
mod refusals;

use crate::service::Done;
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls as mls;
use conclave_mls::credential::CredentialRequest;
use conclave_mls::crypto::Secret;
use conclave_mls::group::{Answers, CommitOptions, Framing, GroupParams, NewProposal, TreeRead};
use conclave_mls::join::{
    ExternalJoinOptions, ExternalJoinStage, ExternalTarget, GroupInfoOptions, WelcomeStage,
};
use conclave_mls::key_package::{OwnKeyPackage, ValidKeyPackage};
use conclave_mls::storage::Outcome as StepOutcome;
use conclave_mls::wire::{
    Credential, Epoch, Extension, ExtensionType, ExternalSender, LeafIndex, PskType,
};
use conclave_mls::{Group, Received, Transition, Verdict};
use core::convert::Infallible;
use std::collections::BTreeMap;

pub(super) const ID: [u8; 16] = [3; 16];

/// A member: its device and its group.
pub(super) struct Member {
    pub(super) own: Own,
    pub(super) group: Group,
    pub(super) cursor: u64,
}

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) desk: Desk,
    pub(super) dice: Dice,
    suite: CipherSuite,
    /// Of groups that are created.
    pub(super) extensions: Vec<Extension>,
    /// The first device of each user, which adds the others.
    pub(super) first: BTreeMap<Name, Own>,
}

pub(super) fn stored<O: StepOutcome<mls::Event>>(
    group: &mut Group,
    step: Transition<Group, O>,
) -> O {
    mls::apply(group, step, |_| Ok::<_, Infallible>(())).unwrap()
}

fn accept(requests: &[CredentialRequest]) -> Vec<Verdict> {
    requests.iter().map(|_| Verdict::Accept).collect()
}

const INFO: GroupInfoOptions = GroupInfoOptions { ratchet_tree: false, external_pub: true };

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::open(dir.path());
        let (extensions, first) = (Vec::new(), BTreeMap::new());
        Self { dir, desk, dice: Dice(77), suite: SUITE, extensions, first }
    }

    pub(super) fn device(&mut self, name: &str) -> Own {
        let id: DeviceId = name.parse().unwrap();
        let own = match self.first.get_mut(&id.user) {
            Some(first) => first.add(id.device.as_str(), &mut self.dice),
            None => {
                let first = Own::new(name, &mut self.dice);
                self.first.insert(id.user, first.clone());
                first
            }
        };
        self.desk.register(&own);
        own
    }

    pub(super) fn create(&mut self, name: &str) -> Member {
        let own = self.device(name);
        let params = GroupParams {
            group_id: ID.into(),
            cipher_suite: self.suite,
            extensions: self.extensions.clone(),
            leaf: own.leaf(),
            lifetime: Own::lifetime(NOW),
        };
        let config = mls::Config::default();
        let new = Group::create(&PROVIDER, &mut self.dice, config, params, own.keys.clone());
        let group = new.unwrap().store(|_| Ok::<_, Infallible>(())).unwrap();
        let kind = GroupKind::Tracked {
            group_info: group.group_info(&PROVIDER, INFO).unwrap().into(),
            ratchet_tree: group.tree().to_extension_bytes().unwrap().into(),
        };
        let created = self.desk.reply(&own, CreateGroup { group_id: ID.into(), kind });
        assert_eq!(created.receipt.position, LogPosition::beginning(0));
        Member { own, group, cursor: 0 }
    }

    /// Stages a commit.
    pub(super) fn staged(&mut self, by: &mut Member, proposals: Vec<NewProposal>) -> SubmitCommit {
        let options =
            CommitOptions { proposals, group_info: Some(INFO), ..CommitOptions::default() };
        let step = by.group.commit(&PROVIDER, &mut self.dice, NOW, options).unwrap();
        let messages = stored(&mut by.group, step);
        SubmitCommit {
            welcomes: messages.welcomes.into_iter().map(|w| w.message.into()).collect(),
            group_info: messages.group_info.map(Into::into),
            ..SubmitCommit::new(messages.commit.into())
        }
    }

    pub(super) fn submit(&mut self, by: &mut Member, request: SubmitCommit) -> u64 {
        self.submitted(by, request).reply.receipt().position.seq
    }

    pub(super) fn submitted(&mut self, by: &mut Member, request: SubmitCommit) -> Done<Outcome> {
        let done = self.desk.call(&by.own, request).unwrap();
        let Brief::Accepted { epoch, seq } = brief(&done.reply) else { panic!("{done:?}") };
        let id = by.group.pending_commit().unwrap().id.clone();
        let step = by.group.commit_accepted(&PROVIDER, NOW, &id).unwrap();
        stored(&mut by.group, step);
        assert_eq!(by.group.epoch(), Epoch(epoch));
        by.cursor = seq;
        done
    }

    /// Somebody's key package, claimed.
    fn invited(&mut self, by: &Member, own: &Own) -> (OwnKeyPackage, NewProposal) {
        let lifetime = Own::lifetime(NOW);
        let package = own.key_package_of(self.suite, false, lifetime, &mut self.dice);
        self.desk.publish(own, &[&package]);
        let claim = ClaimKeyPackages {
            user: own.id.user.clone(),
            cipher_suite: self.suite,
            devices: vec![own.id.device.clone()],
        };
        let claimed = self.desk.reply(&by.own, claim).devices.remove(0).key_package;
        assert_eq!(claimed, Some(key_package_message(package.key_package())));
        let config = mls::Config::default();
        let stage = ValidKeyPackage::check(&PROVIDER, NOW, &config, package.key_package().clone());
        let valid = stage.unwrap().resolve(Verdict::Accept).unwrap();
        (package, NewProposal::Add(Box::new(valid)))
    }

    fn join(&mut self, own: Own, package: &OwnKeyPackage) -> Member {
        let mut page = self.desk.reply(&own, FetchInbox { limit: 10 });
        let item = page.items.remove(0);
        let stage =
            WelcomeStage::open(&PROVIDER, mls::Config::default(), &item.welcome.welcome, package)
                .unwrap();
        let tree = item.welcome.ratchet_tree.as_deref();
        let stage = stage.join(&PROVIDER, &[], tree, None);
        let stage = stage.unwrap();
        let verdicts = accept(stage.credentials());
        let new = stage.resolve(&verdicts).unwrap();
        let group = new.store(|_| Ok::<_, Infallible>(())).unwrap();
        assert_eq!(group.epoch(), Epoch(item.welcome.position.epoch));
        self.desk.reply(&own, AckInbox { ids: vec![item.id] });
        Member { own, group, cursor: item.welcome.position.seq }
    }

    pub(super) fn add(&mut self, by: &mut Member, name: &str) -> Member {
        let own = self.device(name);
        let (package, add) = self.invited(by, &own);
        let request = self.staged(by, vec![add]);
        self.submit(by, request);
        self.join(own, &package)
    }

    /// Reads what is new in the log.
    pub(super) fn catch_up(&self, member: &mut Member) {
        let fetch = FetchLog { group_id: ID.into(), after: member.cursor, limit: 100 };
        for entry in self.desk.reply(&member.own, fetch).entries {
            member.cursor = entry.seq;
            match member.group.process(&PROVIDER, NOW, &entry.message).unwrap() {
                Received::Commit(stage) => {
                    let verdicts = accept(stage.credentials());
                    let answers = Answers { verdicts, ..Answers::default() };
                    let step = stage.resolve(&member.group, &PROVIDER, NOW, &answers).unwrap();
                    stored(&mut member.group, step);
                }
                Received::Proposal(stage) => {
                    let verdicts = accept(stage.credentials());
                    let step = stage.resolve(&member.group, &verdicts).unwrap();
                    stored(&mut member.group, step);
                }
                Received::Application(step) => drop(stored(&mut member.group, step)),
                Received::OwnCommit(step) => drop(stored(&mut member.group, step)),
                Received::Known => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The service as it is now, in the next life of its state.
    pub(super) fn next_life(&self) -> (tempfile::TempDir, Desk) {
        next_life(self.dir.path())
    }

    /// The next process opens what is on disk.
    pub(super) fn restart(&mut self) {
        self.dir = crash_copy(self.dir.path());
        self.desk = Desk::open(self.dir.path());
    }

    pub(super) fn state(&self, own: &Own) -> GroupState {
        self.desk.reply(own, FetchGroupInfo { group_id: ID.into() })
    }

    /// A device's external commit into a group, in place of an old leaf of its own if it has one;
    /// and the group as it then is.
    pub(super) fn joining(
        &mut self,
        own: &Own,
        state: &GroupState,
        replaces: Option<LeafIndex>,
    ) -> (SubmitCommit, Group) {
        let (config, tree) = (mls::Config::default(), Some(&*state.ratchet_tree));
        let stage = ExternalJoinStage::open(&PROVIDER, config, &state.group_info, tree);
        let stage = stage.unwrap();
        let verdicts = accept(stage.credentials());
        let options = ExternalJoinOptions {
            replaces,
            group_info: Some(INFO),
            ..ExternalJoinOptions::new(own.leaf(), own.keys.clone())
        };
        let joined = stage.commit(&PROVIDER, &mut self.dice, &verdicts, options).unwrap();
        let request = SubmitCommit {
            group_info: joined.group_info.clone().map(Into::into),
            ..SubmitCommit::new(joined.commit.clone().into())
        };
        (request, joined.group.store(|_| Ok::<_, Infallible>(())).unwrap())
    }
}

#[test]
fn the_service_follows_a_group_through_adds_restarts_and_removals() {
    follows(World::new());
}

#[test]
fn the_service_follows_a_post_quantum_group_over_restarts() {
    follows(World { suite: HYBRID, ..World::new() });
}

fn follows(mut w: World) {
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    w.restart();
    let mut carol = w.add(&mut bob, "carol/pc");
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), carol.group.epoch_authenticator());
    let state = w.state(&carol.own);
    assert_eq!(*state.ratchet_tree, *alice.group.tree().to_extension_bytes().unwrap());
    assert_eq!(state.receipt.position.epoch, 2);

    let leaf = bob.group.own_leaf();
    let request = w.staged(&mut carol, vec![NewProposal::Remove(leaf)]);
    let removal = w.submit(&mut carol, request);
    let fetch = FetchLog { group_id: ID.into(), after: bob.cursor, limit: 100 };
    let page = w.desk.reply(&bob.own, fetch.clone());
    assert_eq!((page.head, page.entries.len()), (removal, 1), "its own removal");

    let step = carol.group.encrypt(&PROVIDER, &mut w.dice, b"now", &Framing::default()).unwrap();
    let message = stored(&mut carol.group, step);
    let sent = w.desk.call(&carol.own, SendMessage { message: message.into() }).unwrap();
    assert!(!sent.seen.contains("now"), "{}", sent.seen);
    assert_eq!(w.desk.reply(&bob.own, fetch).entries, page.entries, "and nothing after");
    assert_eq!(
        w.desk.refused(&bob.own, FetchGroupInfo { group_id: ID.into() }),
        ErrorCode::NotMember
    );
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), carol.group.epoch_authenticator());
}

#[test]
fn a_commit_that_members_would_refuse_changes_nothing() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let request = w.staged(&mut bob, vec![]);
    let refused = |request| w.desk.call(&bob.own, request).unwrap_err();

    let mut bent = request.commit.clone().into_vec();
    // The last byte is the membership tag's, which only members can check; before it comes the
    // confirmation tag, and before that the signature.
    let place = bent.len() - 90;
    bent[place] ^= 1;
    let e = refused(SubmitCommit { commit: bent.into(), ..request.clone() });
    assert_eq!(e.code, ErrorCode::Invalid, "{e}");
    let e = w.desk.call(&alice.own, request.clone()).unwrap_err();
    assert_eq!(e.code, ErrorCode::NotMember, "somebody else's commit: {e}");
    let hidden = SubmitCommit::new(private(&ID.into(), 1, ContentType::Commit, b"?"));
    assert_eq!(refused(hidden).code, ErrorCode::Invalid, "cannot be followed");
    let strange = SubmitCommit { welcomes: vec![welcome(&[[7; 32].into()])], ..request.clone() };
    assert_eq!(refused(strange).code, ErrorCode::Invalid, "a Welcome for nobody");
    let old_info = Some(w.state(&bob.own).group_info);
    let stale = SubmitCommit { group_info: old_info, ..request.clone() };
    assert_eq!(refused(stale).code, ErrorCode::GroupInfoMismatch, "another epoch's GroupInfo");

    w.submit(&mut bob, request);
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), bob.group.epoch_authenticator());
}

#[test]
fn what_messengers_cannot_follow_is_refused() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let sender = ExternalSender {
        signature_key: alice.own.keys.public.clone(),
        credential: Credential::basic(&alice.own.id.identity()),
    };
    let extension = Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![sender]).unwrap();
    let secret = (PskType::External { psk_id: [7].into() }, Secret::zero(32));
    let proposals = [
        (NewProposal::GroupContextExtensions(vec![extension]), ErrorCode::Invalid),
        (NewProposal::ExternalPsk { psk_id: [7].into() }, ErrorCode::NotAllowed),
        (
            NewProposal::ResumptionPsk { group_id: ID.into(), epoch: Epoch(0) },
            ErrorCode::NotAllowed,
        ),
    ];
    for (proposal, code) in proposals {
        let options = CommitOptions {
            proposals: vec![proposal.clone()],
            psks: vec![secret.clone()],
            ..CommitOptions::default()
        };
        let framing = Framing::default();
        let step =
            alice.group.propose(&PROVIDER, &mut w.dice, NOW, proposal.clone(), &framing).unwrap();
        let proposed = stored(&mut alice.group, step);
        let submit = SubmitProposal { proposal: proposed.message.into() };
        assert_eq!(w.desk.refused(&alice.own, submit), code, "{proposal:?}");
        let step = alice.group.discard_proposals().unwrap();
        stored(&mut alice.group, step);
        let step = alice.group.commit(&PROVIDER, &mut w.dice, NOW, options).unwrap();
        let messages = stored(&mut alice.group, step);
        let refused = w.desk.refused(&alice.own, SubmitCommit::new(messages.commit.into()));
        assert_eq!(refused, code, "{proposal:?}");
        let step = alice.group.commit_rejected(&messages.id).unwrap();
        stored(&mut alice.group, step);
    }
    w.add(&mut alice, "bob/phone");
}

#[test]
fn of_two_commits_one_wins_and_the_other_is_made_again() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let (mine, his) = (w.staged(&mut alice, vec![]), w.staged(&mut bob, vec![]));
    let first = w.submit(&mut alice, mine.clone());
    let lost = w.desk.reply(&bob.own, his);
    assert_eq!(brief(&lost), Brief::WrongEpoch { epoch: 2, head: first });
    let id = bob.group.pending_commit().unwrap().id.clone();
    let step = bob.group.commit_rejected(&id).unwrap();
    stored(&mut bob.group, step);
    w.catch_up(&mut bob);
    let again = w.staged(&mut bob, vec![]);
    w.submit(&mut bob, again);
    let repeated = w.desk.reply(&alice.own, mine);
    assert_eq!(brief(&repeated), Brief::Accepted { epoch: 2, seq: first }, "the answer was lost");
}

#[test]
fn a_commit_names_proposals_that_the_service_has_seen() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let mut carol = w.add(&mut alice, "carol/pc");
    w.catch_up(&mut bob);
    let remove = NewProposal::Remove(carol.group.own_leaf());
    let framing = Framing::default();
    let step = bob.group.propose(&PROVIDER, &mut w.dice, NOW, remove, &framing).unwrap();
    let proposed = stored(&mut bob.group, step);
    let submit = SubmitProposal { proposal: proposed.message.into() };
    assert_eq!(w.desk.refused(&carol.own, submit.clone()), ErrorCode::NotMember);
    let by_reference = w.staged(&mut bob, vec![]);
    let unseen = w.desk.call(&bob.own, by_reference.clone()).unwrap_err();
    assert_eq!(unseen.code, ErrorCode::Invalid, "{unseen}");

    let accepted = w.desk.reply(&bob.own, submit.clone());
    assert_eq!(brief(&accepted), Brief::Accepted { epoch: 2, seq: 3 });
    assert_eq!(w.desk.reply(&bob.own, submit), accepted, "repeated");
    w.restart();
    let removal = w.submit(&mut bob, by_reference);
    assert_eq!(removal, 4);
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), bob.group.epoch_authenticator());
    let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 100 };
    assert_eq!(w.desk.reply(&carol.own, fetch).head, removal);
    carol.cursor = removal;
}

/// Also no other device of a member's user, which whoever has the recovery key could have added.
#[test]
fn nobody_joins_from_outside_but_a_device_in_its_own_place() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let (tablet, mallory) = (w.device("alice/tablet"), w.device("mallory/pc"));
    let info = FetchGroupInfo { group_id: ID.into() };
    let state = w.state(&alice.own);
    for stranger in [&tablet, &mallory] {
        assert_eq!(w.desk.refused(stranger, info.clone()), ErrorCode::NotMember);
        // Somebody has handed it the GroupInfo.
        for replaces in [None, Some(alice.group.own_leaf())] {
            let (request, _) = w.joining(stranger, &state, replaces);
            let e = w.desk.call(stranger, request.clone()).unwrap_err();
            assert_eq!(e.code, ErrorCode::NotMember, "{e}");
            assert!(e.detail.contains("a member has to invite it"), "{e}");
            let carried = w.desk.refused(&alice.own, request);
            assert!(matches!(carried, ErrorCode::NotMember | ErrorCode::Invalid), "{carried}");
        }
    }

    // Who is in, and has fallen behind, takes its own place. (Beside it there is no second one: two
    // leaves have no signature key in common.)
    let bob = w.add(&mut alice, "bob/phone");
    let state = w.state(&bob.own);
    let (request, group) = w.joining(&bob.own, &state, Some(bob.group.own_leaf()));
    let accepted = w.desk.reply(&bob.own, request);
    assert_eq!(brief(&accepted), Brief::Accepted { epoch: 2, seq: 2 });
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), group.epoch_authenticator());
}

/// Members commit what others propose, so that a proposal would be as good as a commit.
#[test]
fn nobody_proposes_itself_from_outside() {
    let mut w = World::new();
    w.create("alice/laptop");
    let tablet = w.device("alice/tablet");
    let package = tablet.key_package(false, Own::lifetime(NOW), &mut w.dice);
    let target = ExternalTarget::new(ID.into(), Epoch(0), SUITE);
    let proposal = target.propose_self(&PROVIDER, NOW, &package).unwrap();
    let submit = SubmitProposal { proposal: proposal.into() };
    assert_eq!(w.desk.refused(&tablet, submit), ErrorCode::NotMember);
}

#[test]
fn a_removed_device_comes_back_by_invitation_alone() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let tablet = w.add(&mut alice, "alice/tablet");
    // Whoever is in and has fallen behind helps itself.
    let (request, group) =
        w.joining(&tablet.own, &w.state(&tablet.own), Some(tablet.group.own_leaf()));
    let accepted = w.desk.reply(&tablet.own, request);
    assert_eq!(brief(&accepted), Brief::Accepted { epoch: 2, seq: 2 });
    w.catch_up(&mut alice);
    assert_eq!(alice.group.epoch_authenticator(), group.epoch_authenticator());

    let request = w.staged(&mut alice, vec![NewProposal::Remove(group.own_leaf())]);
    w.submit(&mut alice, request);
    let (own, state) = (tablet.own, w.state(&alice.own));
    let info = FetchGroupInfo { group_id: ID.into() };
    assert_eq!(w.desk.refused(&own, info), ErrorCode::NotMember);
    let (request, _) = w.joining(&own, &state, None);
    assert_eq!(w.desk.refused(&own, request), ErrorCode::NotMember);

    let (package, add) = w.invited(&alice, &own);
    let request = w.staged(&mut alice, vec![add]);
    w.submit(&mut alice, request);
    let tablet = w.join(own, &package);
    assert_eq!(alice.group.epoch_authenticator(), tablet.group.epoch_authenticator());
    assert_eq!(w.state(&tablet.own).receipt.position.epoch, 4);
}

#[test]
fn a_tracked_group_is_created_by_a_member_with_the_accounts_keys() {
    let mut w = World::new();
    let alice = w.create("alice/laptop");
    let mallory = w.device("mallory/pc");
    let state = w.state(&alice.own);
    let kind = GroupKind::Tracked {
        group_info: state.group_info.clone(),
        ratchet_tree: state.ratchet_tree.clone(),
    };
    let mut fresh = World::new();
    fresh.desk.register(&mallory);
    let create = CreateGroup { group_id: ID.into(), kind: kind.clone() };
    let e = fresh.desk.call(&mallory, create.clone()).unwrap_err();
    assert_eq!(e.code, ErrorCode::Invalid, "alice has no account there: {e}");
    fresh.desk.register(&alice.own);
    assert_eq!(fresh.desk.refused(&mallory, create), ErrorCode::NotMember);
    let other = CreateGroup { group_id: [4; 16].into(), kind };
    assert_eq!(fresh.desk.refused(&alice.own, other), ErrorCode::Invalid, "another group");
    let _ = fresh.device("x/y");
}
