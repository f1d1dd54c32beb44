//! Revoked devices leave tracked groups that name the service.

use super::tracked::{ID, Member, World, stored};
use crate::service::Notice;
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::group::{NewProposal, Proposal};
use conclave_mls::join::ExternalTarget;
use conclave_mls::wire::{
    Credential, Epoch, Extension, ExtensionType, ExternalSender, LeafIndex, MlsMessage,
    MlsMessageBody, Sender,
};

fn senders(senders: &[ExternalSender]) -> Extension {
    Extension::new(ExtensionType::EXTERNAL_SENDERS, &senders.to_vec()).unwrap()
}

impl World {
    fn service(&self) -> ExternalSender {
        self.desk.anonymous(DescribeService {}).unwrap().reply.external_sender()
    }

    /// A group of alice/laptop, bob/pc and bob/phone; alice and the phone.
    fn with_phone(named: bool) -> (Self, Member, Member) {
        let mut world = Self::new();
        if named {
            world.extensions = vec![senders(&[world.service()])];
        }
        world.device("bob/pc");
        let mut alice = world.create("alice/laptop");
        let phone = world.add(&mut alice, "bob/phone");
        (world, alice, phone)
    }

    /// Bob revokes a device; who is told of the group.
    fn revoke(&mut self, device: &str) -> Vec<Notice> {
        let bob = self.first.get_mut(&"bob".parse().unwrap()).unwrap();
        bob.revoke(device);
        let submission = bob.submission();
        let done = self.desk.anonymous(submission).unwrap();
        let about = |notice: &Notice| matches!(notice.event, Event::Group { .. });
        done.notices.into_iter().filter(about).collect()
    }

    /// The log, whose hashes lead to the receipt that it ends with.
    fn log(&self, by: &Member) -> (Vec<LogEntry>, Receipt) {
        let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 100 };
        let page = self.desk.reply(&by.own, fetch);
        assert!(page.chains(&ID.into(), Some(ChainHash::EMPTY)).is_some(), "{page:?}");
        (page.entries, page.end)
    }

    fn entries(&self, by: &Member) -> Vec<LogEntry> {
        self.log(by).0
    }
}

/// Who proposes what.
fn proposed(entry: &LogEntry) -> Option<(Sender, Proposal)> {
    let MlsMessageBody::PublicMessage(message) =
        MlsMessage::from_bytes(&entry.message).unwrap().body
    else {
        return None;
    };
    match message.content.content {
        conclave_mls::wire::Content::Proposal(proposal) => Some((message.content.sender, proposal)),
        _ => None,
    }
}

#[test]
fn a_revoked_devices_removal_is_proposed_and_whoever_commits_removes_it() {
    let (mut w, mut alice, phone) = World::with_phone(true);
    let notices = w.revoke("phone");
    assert_eq!(notices.len(), 1);
    assert_eq!(*notices[0].to, [alice.own.id.clone()], "who is left in the group");
    let (entries, end) = w.log(&alice);
    let position = Event::Group { group_id: ID.into(), position: end.position };
    assert_eq!(notices[0].event, position, "where the log ends with the proposal");
    let removal = (Sender::External(0), Proposal::Remove(phone.group.own_leaf()));
    assert_eq!(entries.iter().filter_map(proposed).collect::<Vec<_>>(), [removal]);
    assert_eq!(entries.last().unwrap().sender, phone.own.id, "the one that it is about");

    // Once, also after a restart.
    assert_eq!(w.desk.service.propose_removals(NOW).unwrap(), []);
    w.restart();
    assert_eq!(w.desk.service.propose_removals(NOW).unwrap(), []);
    assert_eq!(w.entries(&alice), entries);

    w.catch_up(&mut alice);
    let request = w.staged(&mut alice, vec![]);
    w.submit(&mut alice, request);
    assert_eq!(alice.group.members().count(), 1);
    assert_eq!(w.entries(&alice).len(), entries.len() + 1, "there is nothing more to propose");
}

/// The epoch of a proposal ends with any commit, and an external one may not refer to a Remove.
#[test]
fn a_removal_that_a_commit_left_out_is_proposed_again() {
    let (mut w, alice, _) = World::with_phone(true);
    w.revoke("phone");
    let state = w.state(&alice.own);
    let (request, group) = w.joining(&alice.own, &state, Some(alice.group.own_leaf()));
    let done = w.desk.call(&alice.own, request).unwrap();
    let mut alice = Member { group, ..alice };
    let (entries, end) = w.log(&alice);
    let proposals: Vec<(u64, u64)> =
        entries.iter().filter(|e| proposed(e).is_some()).map(|e| (e.seq, e.epoch)).collect();
    assert_eq!(proposals, [(2, 1), (4, 2)]);

    // The commit's receipt is of its own place; who is left hears of the proposal, too.
    let commit = done.reply.receipt().position;
    assert_eq!((commit.seq, commit.epoch, end.position.seq), (3, 2, 4));
    let event = |position| Event::Group { group_id: ID.into(), position };
    let told: Vec<_> = done.notices.into_iter().map(|notice| notice.event).collect();
    assert_eq!(told, [event(commit), event(end.position)]);
    alice.cursor = 3;
    w.catch_up(&mut alice);
    let request = w.staged(&mut alice, vec![]);
    w.submit(&mut alice, request);
    assert_eq!(alice.group.members().count(), 1);
}

/// Two removals of one leaf could not be committed together.
#[test]
fn what_a_member_has_proposed_the_service_does_not_propose_again() {
    let (mut w, mut alice, phone) = World::with_phone(true);
    let remove = NewProposal::Remove(phone.group.own_leaf());
    let framing = conclave_mls::group::Framing::default();
    let step = alice.group.propose(&PROVIDER, &mut w.dice, NOW, remove, &framing).unwrap();
    let message = stored(&mut alice.group, step).message;
    w.desk.reply(&alice.own, SubmitProposal { proposal: message.into() });
    assert_eq!(w.revoke("phone"), []);
    assert_eq!(w.entries(&alice).iter().filter_map(proposed).count(), 1);
}

#[test]
fn a_group_that_does_not_name_the_service_hears_nothing_of_it_until_it_does() {
    let (mut w, mut alice, _) = World::with_phone(false);
    assert_eq!(w.revoke("phone"), []);
    assert_eq!(w.entries(&alice).iter().filter_map(proposed).count(), 0);

    let context = NewProposal::GroupContextExtensions(vec![senders(&[w.service()])]);
    let request = w.staged(&mut alice, vec![context]);
    w.submit(&mut alice, request);
    assert_eq!(w.entries(&alice).iter().filter_map(proposed).count(), 1);
}

#[test]
fn no_external_sender_but_this_service_is_taken() {
    let (w, mallory) = (World::new(), Own::new("mallory/pc", &mut Dice(5)));
    let service = w.service();
    let key = mallory.keys.public.clone();
    let false_ones = [
        ExternalSender { signature_key: key.clone(), ..service.clone() },
        ExternalSender { credential: Credential::basic(b"service"), ..service.clone() },
        ExternalSender { credential: Credential::basic(b"bob/pc"), signature_key: key },
    ];
    for other in false_ones {
        let mut w = World::new();
        let mut alice = w.create("alice/laptop");
        let context = NewProposal::GroupContextExtensions(vec![senders(&[service.clone(), other])]);
        let request = w.staged(&mut alice, vec![context]);
        assert_eq!(w.desk.refused(&alice.own, request), ErrorCode::Invalid);
    }
}

/// Somebody has the service's key, or the service has a fault: the rules of the group hold all the same.
#[test]
fn the_service_takes_nothing_from_itself_but_removals_of_revoked_devices() {
    let (mut w, alice, phone) = World::with_phone(true);
    let key = w.desk.service.sender().clone();
    let target = ExternalTarget::new(ID.into(), Epoch(1), SUITE);
    let package = phone.own.key_package(false, Own::lifetime(NOW), &mut w.dice);
    let wanted = [
        Proposal::Remove(LeafIndex(0)),
        Proposal::Remove(phone.group.own_leaf()),
        Proposal::Add(Box::new(package.key_package().clone())),
        Proposal::GroupContextExtensions(vec![]),
    ];
    for proposal in wanted {
        let message = target.propose(&PROVIDER, 0, &key, proposal.clone()).unwrap();
        let submit = SubmitProposal { proposal: message.into() };
        assert_eq!(w.desk.refused(&alice.own, submit), ErrorCode::Invalid, "{proposal:?}");
    }
    assert_eq!(w.entries(&alice).len(), 1, "the commit that added the phone");
}
