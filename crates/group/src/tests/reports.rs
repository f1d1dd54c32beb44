//! What groups and stages report, and what they ask the application to judge.

use super::fixture::*;
use crate::{
    CommitOptions, Config, CredentialSubject, Error, ExternalJoinStage, Framing, GroupInfoOptions,
    LeafUpdate, Member, Misuse, NewProposal, ObserverStage, Received, Verdict, WelcomeStage,
    welcome_recipients,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{
    Credential, Encode, Extension, ExtensionType, ExternalSender, LeafIndex, Proposal, PskType,
    ResumptionPskUsage, Sender,
};

fn about(data: &[u8]) -> Framing {
    Framing { authenticated_data: data.into(), ..encrypted() }
}

#[test]
fn a_stage_reports_who_proposes_or_commits_what() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let message = peers[1].propose(NewProposal::Remove(LeafIndex(3)), &about(b"a request"));
    let received = peers[0].group.process(&PROVIDER, NOW, &message).unwrap();
    let Received::Proposal(stage) = received else { panic!("no proposal") };
    assert_eq!(stage.sender(), Sender::Member(LeafIndex(1)));
    assert_eq!(stage.proposal(), &Proposal::Remove(LeafIndex(3)));
    assert_eq!(stage.authenticated_data(), b"a request");
    assert!(stage.credentials().is_empty());

    deliver(&mut peers[..3], 1, &message);
    let options = CommitOptions { framing: about(b"a deed"), ..CommitOptions::default() };
    let commit = peers[2].commit(options).commit;
    let received = peers[0].group.process(&PROVIDER, NOW, &commit).unwrap();
    let Received::Commit(stage) = received else { panic!("no commit") };
    assert_eq!(stage.sender(), Sender::Member(LeafIndex(2)));

    let proposals: Vec<_> = stage.proposals().collect();
    let removal = Proposal::Remove(LeafIndex(3));
    assert_eq!(proposals, [(Sender::Member(LeafIndex(1)), &removal)]);
    assert!(stage.removes().eq([LeafIndex(3)]));
    assert_eq!(stage.authenticated_data(), b"a deed");
}

#[test]
fn proposals_are_pending_until_the_epoch_ends() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    assert_eq!(peers[0].group.pending_proposals(), 0);
    for (who, pending) in [(1, 1), (2, 2)] {
        let message = peers[who].propose_update(None, &Framing::default());
        deliver(&mut peers, who, &message);
        assert!(peers.iter().all(|peer| peer.group.pending_proposals() == pending));
    }
    commits(&mut peers, 0, CommitOptions::default());
    assert!(peers.iter().all(|peer| peer.group.pending_proposals() == 0));
}

#[test]
fn members_export_the_same_secret_per_label_context_and_epoch() {
    let mut peers = group_of(&["alice", "bob"]);
    let export = |peer: &Peer, label: &[u8], context: &[u8]| {
        let secret = peer.group.export(&PROVIDER, label, context, 20).unwrap();
        assert_eq!(secret.len(), 20);
        secret
    };
    let mut seen: Vec<Secret> = Vec::new();

    for _ in 0..2 {
        for (label, context) in [(b"a", b"x"), (b"a", b"y"), (b"b", b"x")] {
            let secret = export(&peers[0], label, context);
            assert_eq!(secret, export(&peers[1], label, context));
            assert!(!seen.contains(&secret));
            seen.push(secret);
        }
        commits(&mut peers, 0, CommitOptions::default());
    }
}

#[test]
fn members_are_listed_and_looked_up_by_leaf() {
    let peers = group_of(&["alice", "bob"]);
    let member = peers[0].group.member(LeafIndex(1)).unwrap();
    assert_eq!(member.index, LeafIndex(1));
    assert_eq!(member.credential.identity(), Some(b"bob".as_slice()));
    assert!(peers[0].group.member(LeafIndex(2)).is_none());
}

#[test]
fn members_are_found_by_their_credential() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let find = |peer: &Peer, name: &[u8]| {
        let credential = Credential::basic(name);
        let found = peer.group.find(&credential);
        assert_eq!(found, peer.group.view().find(&credential));
        assert!(found.iter().all(|member| member.credential == credential));
        found.map(|member| member.index)
    };
    assert_eq!(find(&peers[0], b"bob"), Some(LeafIndex(1)));
    assert_eq!(find(&peers[0], b"bo"), None);
    assert_eq!(find(&peers[0], b"mallory"), None);

    // Of several members with one credential, the first is found.
    let params = leaf_params("bob");
    let leaf = Some(LeafUpdate { params, signer: signer(&mut TestRng(77)) });
    commits(&mut peers, 2, CommitOptions { leaf, ..CommitOptions::default() });
    assert_eq!(find(&peers[0], b"bob"), Some(LeafIndex(1)));
    assert_eq!(find(&peers[0], b"carol"), None);

    peers.remove(1);
    commits(&mut peers, 0, commit_of(vec![NewProposal::Remove(LeafIndex(1))]));
    assert_eq!(find(&peers[0], b"bob"), Some(LeafIndex(2)));
}

#[test]
fn members_observers_and_joiners_see_the_same_members() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    commits(&mut peers[..2], 0, commit_of(vec![NewProposal::Remove(LeafIndex(1))]));
    let group = &peers[0].group;
    let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = group.group_info(&PROVIDER, options).unwrap();
    let joins = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let observes = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();

    let observer = observes.resolve(&[Verdict::Accept, Verdict::Accept]).unwrap();
    let seen: [Vec<Member>; 3] =
        [group.members().collect(), observer.members().collect(), joins.members().collect()];
    for members in seen {
        let named: Vec<_> = members.iter().map(|m| (m.index, m.credential.identity())).collect();
        let alice = b"alice".as_slice();
        let carol = b"carol".as_slice();
        assert_eq!(named, [(LeafIndex(0), Some(alice)), (LeafIndex(2), Some(carol))]);
    }
}

#[test]
fn each_commit_changes_the_confirmed_transcript_hash() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut hashes = vec![peers[0].group.context().confirmed_transcript_hash.clone()];
    for who in [0, 1, 0] {
        commits(&mut peers, who, CommitOptions::default());
        let hash = peers[0].group.context().confirmed_transcript_hash.clone();
        assert_eq!(hash.len(), suite().nh());
        assert!(!hashes.contains(&hash));
        hashes.push(hash);
    }
}

#[test]
fn a_welcome_names_the_key_packages_that_it_is_for() {
    let mut founder = Peer::found_with("alice", Default::default(), b"a group");
    let owns = [key_package("bob", 2), key_package("carol", 3)];
    let adds = owns.iter().map(|own| NewProposal::Add(valid(own))).collect();
    let messages = founder.commit(commit_of(adds));
    let named = welcome_recipients(&messages.welcomes[0].message).unwrap();
    assert_eq!(named, owns.each_ref().map(|own| own.reference().clone()));
    assert!(welcome_recipients(&messages.commit).is_err());
}

#[test]
fn a_welcome_names_the_psks_that_it_takes() {
    let mut founder = Peer::found_with("alice", Default::default(), b"a group");
    let bob = key_package("bob", 2);
    let names = [b"one".as_slice(), b"two"];
    let kind = |name: &[u8]| PskType::External { psk_id: name.into() };
    let mut proposals = vec![NewProposal::Add(valid(&bob))];
    proposals.extend(names.map(|name| NewProposal::ExternalPsk { psk_id: name.into() }));
    let psks = names.map(|name| (kind(name), Secret::new(vec![1; 32]))).into();
    let messages = founder.commit(CommitOptions { psks, ..commit_of(proposals) });
    let welcome = &messages.welcomes[0].message;
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &bob).unwrap();
    assert!(stage.psks().iter().map(|id| id.psktype.clone()).eq(names.map(kind)));
}

#[test]
fn an_update_is_judged_if_credential_or_signature_key_changes() {
    let mut peers = group_of(&["alice", "bob"]);
    let old = Credential::basic(b"bob");
    let same = peers[1].group.signer.clone();
    let new = signer(&mut TestRng(7));
    for (name, signer, changed) in [
        ("bob", None, false),
        ("bob", Some(same.clone()), false),
        ("bob", Some(new.clone()), true),
        ("robert", Some(same), true),
        ("robert", Some(new), true),
    ] {
        let change = signer.map(|signer| LeafUpdate { params: leaf_params(name), signer });
        let message = peers[1].propose_update(change, &Framing::default());
        let received = peers[0].group.process(&PROVIDER, NOW, &message).unwrap();
        let Received::Proposal(stage) = received else { panic!("no proposal") };
        let asked: Vec<_> =
            stage.credentials().iter().map(|r| (r.subject, &r.credential)).collect();
        let new = Credential::basic(name.as_bytes());
        let wanted = [(CredentialSubject::Member(LeafIndex(1)), &new)];
        assert_eq!(asked, if changed { &wanted[..] } else { &[] });
        assert!(stage.credentials().iter().all(|r| r.replaces.as_ref() == Some(&old)));
    }
}

#[test]
fn external_senders_are_judged_when_they_are_new() {
    let mut peers = group_of(&["alice", "bob"]);
    let sender = |name: &str, seed| ExternalSender {
        signature_key: signer(&mut TestRng(seed)).public,
        credential: Credential::basic(name.as_bytes()),
    };
    let first = sender("one", 1);
    let second = sender("two", 2);

    let list = |senders: &[&ExternalSender]| {
        let list: Vec<ExternalSender> = senders.iter().copied().cloned().collect();
        let extension_data = list.to_bytes().unwrap().into();
        vec![Extension { extension_type: ExtensionType::EXTERNAL_SENDERS, extension_data }]
    };

    for (senders, new) in [
        (vec![&first], vec![(0, &first)]),
        (vec![&first], vec![]),
        (vec![&second, &first], vec![(0, &second)]),
    ] {
        let change = NewProposal::GroupContextExtensions(list(&senders));
        let commit = peers[0].commit(commit_of(vec![change])).commit;
        let received = peers[1].group.process(&PROVIDER, NOW, &commit).unwrap();
        let Received::Commit(stage) = received else { panic!("no commit") };
        let asked = stage.credentials().iter().map(|r| (r.subject, &r.credential));
        let wanted =
            new.iter().map(|(i, s)| (CredentialSubject::ExternalSender(*i), &s.credential));
        assert!(asked.eq(wanted));
        peers[1].receive(&commit);
        peers[0].accepted();
    }
}

#[test]
fn a_resumption_psk_of_another_group_is_not_one_of_ours() {
    let mut peers = group_of(&["alice", "bob"]);
    let epoch = peers[0].group.epoch();
    let psk = || NewProposal::ResumptionPsk { group_id: b"another".as_slice().into(), epoch };
    let failed = peers[0].try_commit(commit_of(vec![psk()])).unwrap_err();
    assert!(matches!(failed, Error::Misuse(Misuse::PskUnavailable(_))), "{failed}");

    let psktype = PskType::Resumption {
        usage: ResumptionPskUsage::Application,
        psk_group_id: b"another".as_slice().into(),
        psk_epoch: epoch,
    };
    let psks = vec![(psktype, Secret::new(vec![1; 32]))];
    peers[1].psks = psks.clone();
    commits(&mut peers, 0, CommitOptions { psks, ..commit_of(vec![psk()]) });
    agree(&peers);
}
