//! Refusals that say what is missing.

use super::*;
use conclave_mls::wire::ProposalRef;

/// The details of a refusal with a code.
fn details(w: &World, by: &Own, request: SubmitCommit, code: ErrorCode) -> Details {
    let refused = w.desk.call(by, request).unwrap_err();
    assert_eq!(refused.code, code, "{refused}");
    *refused.details.expect("details")
}

/// How a commit refers to a member's pending proposals, in their order.
fn references(member: &Member) -> Vec<ProposalRef> {
    member.group.view().proposals().map(|pending| pending.reference.clone()).collect()
}

fn rejected(member: &mut Member) {
    let id = member.group.pending_commit().unwrap().id.clone();
    let step = member.group.commit_rejected(&id).unwrap();
    stored(&mut member.group, step);
}

/// A departure that crosses a commit is not put off.
#[test]
fn a_commit_that_crosses_a_departure_is_told_to_take_it() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let mut carol = w.add(&mut alice, "carol/pc");
    w.catch_up(&mut bob);
    let early = w.staged(&mut carol, vec![]);
    // What concerns nobody's departure may be left out.
    w.propose(&mut alice, NewProposal::Remove(carol.group.own_leaf()));
    let own = NewProposal::Remove(bob.group.own_leaf());
    let seq = w.propose(&mut bob, own);

    let said = details(&w, &carol.own, early.clone(), ErrorCode::ProposalsMissing);
    let reference = references(&bob)[0].0.clone();
    let missing = vec![MissingProposal { reference: reference.clone(), seq }];
    let fetch = FetchLog { group_id: ID.into(), after: 0, limit: 100 };
    let end = w.desk.reply(&carol.own, fetch).end.position;
    assert_eq!(said, Details::Proposals { end, missing, total: 1 });
    assert_eq!(end.seq, seq, "where the log ends");
    w.restart();
    assert_eq!(details(&w, &carol.own, early, ErrorCode::ProposalsMissing), said, "again");

    // Carol takes it. By reference or by value does not matter.
    rejected(&mut carol);
    w.catch_up(&mut carol);
    let referring = w.staged(&mut carol, vec![]);
    rejected(&mut carol);
    let step = carol.group.discard_proposals().unwrap();
    stored(&mut carol.group, step);
    let by_value = w.staged(&mut carol, vec![NewProposal::Remove(bob.group.own_leaf())]);
    assert_ne!(referring.commit, by_value.commit);
    w.submit(&mut carol, by_value);
    let left = FetchGroupInfo { group_id: ID.into() };
    assert_eq!(w.desk.refused(&bob.own, left), ErrorCode::NotMember, "bob is out");
}

/// Members may be unable to take one, if its membership tag is wrong, which the service cannot see.
#[test]
fn a_departure_is_left_out_by_whoever_says_so() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let early = w.staged(&mut alice, vec![]);
    w.propose(&mut bob, NewProposal::SelfRemove);
    let reference = references(&bob)[0].0.clone();
    let another = SubmitCommit { leaves_out: vec![Bytes::from([7; 32])], ..early.clone() };
    details(&w, &alice.own, another, ErrorCode::ProposalsMissing);
    let many = SubmitCommit { leaves_out: vec![reference.clone(); 1001], ..early.clone() };
    assert_eq!(w.desk.refused(&alice.own, many), ErrorCode::TooMany);
    w.submit(&mut alice, SubmitCommit { leaves_out: vec![reference], ..early });
    assert_eq!(w.state(&bob.own).pending, 0);
}

#[test]
fn whoever_joins_from_outside_takes_the_self_removes() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let mut bob = w.add(&mut alice, "bob/phone");
    let seq = w.propose(&mut bob, NewProposal::SelfRemove);
    let state = w.state(&alice.own);
    let (request, _) = w.joining(&alice.own, &state, Some(alice.group.own_leaf()));
    let said = details(&w, &alice.own, request, ErrorCode::ProposalsMissing);
    let Details::Proposals { missing, .. } = said else { panic!("{said:?}") };
    assert_eq!(missing.iter().map(|one| one.seq).collect::<Vec<_>>(), [seq]);
    w.catch_up(&mut alice);
}

#[test]
fn whoever_is_added_with_what_counts_no_more_is_named() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let (pc, phone) = (w.device("bob/pc"), w.device("bob/phone"));
    let (_, add_pc) = w.invited(&alice, &pc);
    let (_, add_phone) = w.invited(&alice, &phone);
    let framing = Framing::default();
    let step = alice.group.propose(&PROVIDER, &mut w.dice, NOW, add_pc.clone(), &framing).unwrap();
    let proposal: Bytes = stored(&mut alice.group, step).message.into();
    let step = alice.group.discard_proposals().unwrap();
    stored(&mut alice.group, step);
    let request = w.staged(&mut alice, vec![add_pc, add_phone]);

    let bob = w.first.get_mut(&pc.id.user).unwrap();
    bob.revoke("phone");
    bob.rotate(&mut w.dice);
    let submission = bob.submission();
    w.desk.anonymous(submission).unwrap();

    let device = |own: &Own, remedy| OutdatedDevice { device: own.id.clone(), remedy };
    let renew = device(&pc, DeviceRemedy::Renew);
    let devices = vec![renew.clone(), device(&phone, DeviceRemedy::Remove)];
    let said = details(&w, &alice.own, request, ErrorCode::DevicesOutdated);
    assert_eq!(said, Details::Devices { devices, total: 2 });
    let refused = w.desk.call(&alice.own, SubmitProposal { proposal }).unwrap_err();
    let wanted = Details::Devices { devices: vec![renew], total: 1 };
    assert_eq!((refused.code, refused.details), (ErrorCode::DevicesOutdated, Some(wanted.into())));

    // What counts now is taken.
    rejected(&mut alice);
    let now = w.first[&pc.id.user].clone();
    let (_, add) = w.invited(&alice, &now);
    let request = w.staged(&mut alice, vec![add]);
    w.submit(&mut alice, request);
}

#[test]
fn a_group_info_that_does_not_fit_is_refused_field_by_field() {
    let mut w = World::new();
    let mut alice = w.create("alice/laptop");
    let other = w.staged(&mut alice, vec![]);
    rejected(&mut alice);
    let request = w.staged(&mut alice, vec![]);
    let misfits = |w: &World, request: SubmitCommit| {
        let said = details(w, &alice.own, request, ErrorCode::GroupInfoMismatch);
        let Details::GroupInfo(misfits) = said else { panic!("{said:?}") };
        misfits
    };
    let names = |misfits: &[FieldMisfit]| -> Vec<String> {
        misfits.iter().map(|m| String::from_utf8(m.field.to_vec()).unwrap()).collect()
    };

    // That of another commit of the same epoch.
    let found = misfits(&w, SubmitCommit { group_info: other.group_info, ..request.clone() });
    let expected = ["tree_hash", "confirmed_transcript_hash", "confirmation_tag"];
    assert_eq!(names(&found)[..3], expected);
    let tree_hash = found[0].clone();

    // That of the epoch before, and no GroupInfo at all.
    let state = w.state(&alice.own);
    let old = SubmitCommit { group_info: Some(state.group_info), ..request.clone() };
    let found = misfits(&w, old);
    assert_eq!(names(&found), ["epoch", "tree_hash", "confirmed_transcript_hash"]);
    let epoch = FieldMisfit::of("epoch", Some(&[0, 0, 0, 0, 0, 0, 0, 1]), Some(&[0; 8]));
    assert_eq!(found[0], epoch);
    let none = SubmitCommit { group_info: Some(request.commit.clone()), ..request.clone() };
    assert_eq!(w.desk.refused(&alice.own, none), ErrorCode::Invalid);

    // A tree that those who are welcomed could not use.
    let tree = Some(state.ratchet_tree.clone());
    let found = misfits(&w, SubmitCommit { ratchet_tree: tree, ..request.clone() });
    assert_eq!(names(&found), ["ratchet_tree"]);
    let hash = sha256(&state.ratchet_tree);
    assert_eq!(found[0].found, Some(hash.into()), "too long to be shown");

    w.submit(&mut alice, request);
    let hash = alice.group.context().tree_hash.to_bytes().unwrap();
    assert_eq!(tree_hash.expected, Some(hash.into()), "what the group has");
    assert_ne!(tree_hash.found, tree_hash.expected);
}
