//! AppDataUpdate and AppEphemeral (draft-ietf-mls-extensions-10, "Attaching Application Data to MLS
//! Messages" and the sections after it).

use super::draft_scene::*;
use super::fixture::*;
use crate::store::rows::Table;
use crate::{
    Answers, AppDataChange, CommitOptions, Config, EphemeralData, Error, ExternalJoinOptions,
    ExternalJoinStage, ExternalTarget, Framing, Group, Misuse, NewProposal, ObserverEvent,
    Received, Rejection, Rules, Verdict,
};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{
    AppDataUpdate, AppDataUpdateOperation, ComponentData, ComponentId, ComponentsList, Credential,
    Encode, Extension, ExtensionType, ExternalSender, LeafIndex, Proposal, ProposalOrRef,
    ProposalRef, ProposalType, Sender,
};

fn gce(extensions: Vec<Extension>) -> NewProposal {
    NewProposal::GroupContextExtensions(extensions)
}

fn by_value(component_id: ComponentId, operation: AppDataUpdateOperation) -> ProposalOrRef {
    ProposalOrRef::Proposal(Proposal::AppDataUpdate(AppDataUpdate { component_id, operation }))
}

fn references(peer: &Peer) -> Vec<ProposalRef> {
    peer.group.proposals().map(|pending| pending.reference.clone()).collect()
}

fn proposes(peers: &mut [Peer], who: usize, proposal: NewProposal) -> Vec<u8> {
    let message = peers[who].propose(proposal, &Framing::default());
    deliver(peers, who, &message);
    message
}

#[test]
fn updates_reach_their_component_in_the_commits_order() {
    let mut peers = scene(&[(TOPIC, b"tea"), (ComponentId(9), b"x")]);
    let mut observer = observer_of(&peers[0]);
    for (who, bytes) in [(1, b" and"), (2, b" mil")] {
        let message = proposes(&mut peers, who, update(TOPIC, bytes));
        observe(&mut observer, &message).unwrap();
    }
    let message = proposes(&mut peers, 1, removal(ComponentId(9)));
    observe(&mut observer, &message).unwrap();

    let options = commit_of(vec![update(ROLES, b"r"), update(TOPIC, b"k")]);
    let commit = peers[0].commit(options).commit;
    // No path is needed.
    assert!(peers[0].group.pending_commit.as_ref().unwrap().path.is_none());
    peers.iter_mut().for_each(Peer::reload);

    let change = |component_id, old: Option<&[u8]>, new: Option<&[u8]>| AppDataChange {
        component_id,
        old: old.map(Into::into),
        new: new.map(Into::into),
    };
    let expected = [
        change(ComponentId(9), Some(b"x"), None),
        change(TOPIC, Some(b"tea"), Some(b"tea and milk")),
        change(ROLES, None, Some(b"r")),
    ];
    for peer in &mut peers[1..] {
        let change = peer.follows(&commit);
        assert_eq!(change.app_data, expected);
        assert!(change.extensions_changed);
    }
    let event = observe(&mut observer, &commit).unwrap();
    assert!(matches!(event, ObserverEvent::Epoch(change) if change.app_data == expected));
    assert_eq!(peers[0].accepted().app_data, expected);
    agree(&peers);
    for peer in &mut peers {
        peer.reload();
        assert_eq!(data_of(&peer.group), [(TOPIC, b"tea and milk".into()), (ROLES, b"r".into())]);
    }
}

#[test]
fn the_first_update_adds_the_dictionary_at_the_end() {
    let mut peers =
        group_from(["alice", "bob"].map(able).into(), custom_extensions(), &Config::default());
    commits(&mut peers, 0, commit_of(vec![update(TOPIC, b"tea")]));
    agree(&peers);
    let types = peers[1].group.extensions().iter().map(|e| e.extension_type);
    assert!(types.eq([CUSTOM, ExtensionType::APP_DATA_DICTIONARY]));

    // When the last entry goes, the dictionary stays, empty.
    commits(&mut peers, 1, commit_of(vec![removal(TOPIC)]));
    agree(&peers);
    peers.iter_mut().for_each(Peer::reload);
    assert_eq!(peers[0].group.extensions()[1], dictionary(&[]));
}

#[test]
fn updates_and_removals_of_one_component_conflict() {
    let mut peers = scene(&[(TOPIC, b"tea")]);
    let mut observer = observer_of(&peers[0]);
    let add = || AppDataUpdateOperation::Update([1].into());
    let drop = || AppDataUpdateOperation::Remove;
    let conflict = Rejection::AppDataConflict(TOPIC);
    for pair in [[add(), drop()], [drop(), add()], [drop(), drop()]] {
        let list = pair.map(|operation| by_value(TOPIC, operation)).into();
        let forged = peers[1].forge_commit(list, &Framing::default());
        assert_eq!(rejection(peers[0].error(&forged)), conflict);
        assert_eq!(rejection(observe(&mut observer, &forged).unwrap_err()), conflict);
    }
    let own = peers[0].try_commit(commit_of(vec![update(TOPIC, b"x"), removal(TOPIC)]));
    assert_eq!(own.map(|_| ()).map_err(rejection), Err(conflict));

    // A committer takes what came last, and updates together.
    for (proposals, data) in [
        (vec![removal(TOPIC), update(TOPIC, b" 1"), update(TOPIC, b" 2")], Some(&b"tea 1 2"[..])),
        (vec![update(TOPIC, b" 3"), removal(TOPIC)], None),
    ] {
        for proposal in proposals {
            proposes(&mut peers, 1, proposal);
        }
        commits(&mut peers, 0, commit_of(vec![]));
        agree(&peers);
        let expected: Vec<_> = data.into_iter().map(|data| (TOPIC, data.to_vec())).collect();
        assert_eq!(data_of(&peers[2].group), expected);
    }
}

#[test]
fn data_that_is_not_there_cannot_be_removed() {
    let mut peers = scene(&[(TOPIC, b"tea")]);
    let missing = Rejection::AppDataMissing(ROLES);
    assert_eq!(rejection(cannot_propose(&mut peers[0], removal(ROLES))), missing);
    let list = vec![by_value(ROLES, AppDataUpdateOperation::Remove)];
    let forged = peers[1].forge_commit(list, &Framing::default());
    assert_eq!(rejection(peers[0].error(&forged)), missing);
}

#[test]
fn context_extensions_leave_the_dictionary_alone() {
    let mut peers = scene(&[(TOPIC, b"tea")]);
    let mut observer = observer_of(&peers[0]);
    let by_extensions = Rejection::AppDataByExtensions;
    for extensions in [
        vec![],
        vec![dictionary(&[])],
        vec![dictionary(&[(TOPIC, b"coffee")])],
        vec![dictionary(&[(TOPIC, b"tea"), (ROLES, b"all")])],
    ] {
        let proposal = Proposal::GroupContextExtensions(extensions.clone());
        let forged =
            peers[1].forge_commit(vec![ProposalOrRef::Proposal(proposal)], &Framing::default());
        assert_eq!(rejection(peers[0].error(&forged)), by_extensions);
        assert_eq!(rejection(observe(&mut observer, &forged).unwrap_err()), by_extensions);
        if !extensions.is_empty() {
            assert_eq!(rejection(cannot_propose(&mut peers[0], gce(extensions))), by_extensions);
        }
    }
    let mut without = scene(&[]);
    let added = gce(vec![dictionary(&[(TOPIC, b"coffee")])]);
    assert_eq!(rejection(cannot_propose(&mut without[0], added)), by_extensions);

    // Other extensions change beside an update, and the list need not repeat the dictionary.
    let options = commit_of(vec![gce(custom_extensions()), update(TOPIC, b"!")]);
    let messages = commits(&mut peers, 0, options);
    observe(&mut observer, &messages.commit).unwrap();
    agree(&peers);
    let expected = [custom_extensions()[0].clone(), dictionary(&[(TOPIC, b"tea!")])];
    assert_eq!(peers[2].group.extensions(), expected);
}

#[test]
fn a_commit_waits_for_the_answer_of_each_component() {
    let mut peers = scene(&[(TOPIC, b"tea")]);
    let options = || commit_of(vec![update(TOPIC, b"!")]);
    let count = |wanted, given| Error::from(Misuse::AppDataCount { wanted, given });
    let plain = peers[0].group.commit(&PROVIDER, &mut TestRng(1), NOW, options());
    assert_eq!(plain.unwrap_err(), count(1, 0));

    let commit = peers[0].commit(options()).commit;
    let stage = || match peers[1].group.process(&PROVIDER, NOW, &commit) {
        Ok(Received::Commit(stage)) => stage,
        other => panic!("no commit: {other:?}"),
    };
    let asked = stage();
    let request = &asked.app_data()[0];
    assert_eq!(request.component_id, TOPIC);
    assert_eq!(request.current.as_deref(), Some(&b"tea"[..]));
    assert_eq!(request.updates, [(Sender::Member(LeafIndex(0)), b"!".as_slice().into())]);

    let resolve = |app_data: &[&[u8]]| {
        let app_data = app_data.iter().map(|data| (*data).into()).collect();
        let answers = Answers { app_data, ..Answers::default() };
        let stage = stage();
        stage.resolve(&peers[1].group, &PROVIDER, NOW, &answers).map_err(|refused| refused.error)
    };
    assert_eq!(resolve(&[]).unwrap_err(), count(1, 0));
    assert_eq!(resolve(&[b"a", b"b"]).unwrap_err(), count(1, 2));
    // A member whose component decides otherwise than the committer's does not follow.
    assert_eq!(rejection(resolve(&[b"coffee"]).unwrap_err()), Rejection::ConfirmationTag);
    assert!(resolve(&[b"tea!"]).is_ok());
    let refused = stage().refuse(&peers[1].group, "an invalid topic");
    assert!(matches!(rejection(refused.error), Rejection::RefusedByPolicy { .. }));
}

#[test]
fn a_committer_leaves_out_what_a_component_finds_invalid() {
    let mut peers = scene(&[(TOPIC, b"tea")]);
    proposes(&mut peers, 1, update(TOPIC, b"?"));
    proposes(&mut peers, 2, update(TOPIC, b"!"));
    let invalid = references(&peers[0])[0].clone();
    let options = CommitOptions { leave_out: vec![invalid], ..commit_of(vec![]) };
    commits(&mut peers, 0, options);
    agree(&peers);
    assert_eq!(data_of(&peers[1].group), [(TOPIC, b"tea!".to_vec())]);
}

#[test]
fn a_client_that_joins_from_outside_updates_components() {
    let mut peers = scene(&[(TOPIC, b"tea"), (ROLES, b"all")]);
    let mut observer = observer_of(&peers[0]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let stage = || ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let options = || ExternalJoinOptions::new(able("dave"), signer(&mut TestRng(77)));
    let commit = |stage: ExternalJoinStage| {
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        stage.commit(&PROVIDER, &mut TestRng(78), &verdicts, options())
    };
    let bytes = |data: &[u8]| conclave_wire::Bytes::from(data);

    let both = stage().with_app_data_removal(TOPIC).with_app_data_update(
        TOPIC,
        bytes(b"!"),
        bytes(b"tea!"),
    );
    assert_eq!(rejection(commit(both).unwrap_err()), Rejection::AppDataConflict(TOPIC));

    let joined = stage()
        .with_app_data_update(TOPIC, bytes(b"!"), bytes(b"tea!"))
        .with_app_data_removal(ROLES)
        .with_app_ephemeral(ROLES, bytes(b"hello"));
    let joined = commit(joined).unwrap();
    let dave = Peer::settle(joined.group, 79);
    for peer in &mut peers {
        let change = peer.follows(&joined.commit);
        assert_eq!(change.app_data.len(), 2);
        assert_eq!(change.ephemeral[0].sender, Sender::NewMemberCommit);
    }
    observe(&mut observer, &joined.commit).unwrap();
    peers.push(dave);
    agree(&peers);
    peers.iter_mut().for_each(Peer::reload);
    assert_eq!(data_of(&peers[3].group), [(TOPIC, b"tea!".to_vec())]);
}

#[test]
fn external_senders_propose_updates_and_ephemeral_data() {
    let service = signer(&mut TestRng(90));
    let credential = Credential::basic(b"the service");
    let listed = ExternalSender { signature_key: service.public.clone(), credential };
    let extension = Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![listed]).unwrap();
    let leaves = ["alice", "bob"].map(able).into();
    let mut peers = group_from(leaves, vec![extension], &Config::default());
    let target =
        ExternalTarget::new(peers[0].group.group_id().clone(), peers[0].group.epoch(), SUITE);

    let operation = AppDataUpdateOperation::Update([7].into());
    let proposals = [
        Proposal::AppDataUpdate(AppDataUpdate { component_id: TOPIC, operation }),
        Proposal::AppEphemeral(ComponentData { component_id: ROLES, data: [9].into() }),
    ];
    for proposal in proposals {
        let message = target.propose(&PROVIDER, 0, &service, proposal).unwrap();
        for peer in &mut peers {
            peer.receive(&message);
            peer.reload();
        }
    }
    let commit = peers[1].commit(commit_of(vec![])).commit;
    let change = peers[0].follows(&commit);
    assert_eq!(change.app_data[0].new.as_deref(), Some(&[7][..]));
    assert_eq!(change.ephemeral[0].sender, Sender::External(0));
}

#[test]
fn ephemeral_data_is_given_out_in_order_and_changes_nothing() {
    let mut peers = scene(&[]);
    let say =
        |component_id, data: &[u8]| NewProposal::AppEphemeral { component_id, data: data.into() };
    proposes(&mut peers, 1, say(TOPIC, b"one"));
    let commit = peers[0].commit(commit_of(vec![say(ROLES, b"two"), say(TOPIC, b"three")])).commit;
    assert!(peers[0].group.pending_commit.as_ref().unwrap().path.is_none());
    let expected = [(1, TOPIC, &b"one"[..]), (0, ROLES, b"two"), (0, TOPIC, b"three")].map(
        |(leaf, component_id, data)| EphemeralData {
            sender: Sender::Member(LeafIndex(leaf)),
            component_id,
            data: data.into(),
        },
    );
    for peer in &mut peers[1..] {
        let change = peer.follows(&commit);
        assert_eq!(change.ephemeral, expected);
        assert!(!change.extensions_changed);
    }
}

#[test]
fn all_members_must_support_the_proposals() {
    let mut leaf = able("carol");
    leaf.capabilities.proposals.clear();
    let leaves = vec![able("alice"), able("bob"), leaf];
    let mut peers = group_from(leaves, vec![dictionary(&[(TOPIC, b"tea")])], &Config::default());
    let ephemeral = NewProposal::AppEphemeral { component_id: TOPIC, data: [1].into() };
    for (proposal, t) in [
        (update(TOPIC, b"!"), ProposalType::APP_DATA_UPDATE),
        (ephemeral, ProposalType::APP_EPHEMERAL),
    ] {
        let unsupported = Rejection::UnsupportedProposal(t);
        assert_eq!(rejection(cannot_propose(&mut peers[0], proposal.clone())), unsupported);
        let own = peers[0].try_commit(commit_of(vec![proposal]));
        assert_eq!(own.map(|_| ()).map_err(rejection), Err(unsupported));
    }
    let list = vec![by_value(TOPIC, AppDataUpdateOperation::Update([1].into()))];
    let forged = peers[1].forge_commit(list, &Framing::default());
    let unsupported = Rejection::UnsupportedProposal(ProposalType::APP_DATA_UPDATE);
    assert_eq!(rejection(peers[0].error(&forged)), unsupported);

    // Once Carol is gone, the others can.
    commits(
        &mut peers[..2],
        0,
        commit_of(vec![NewProposal::Remove(LeafIndex(2)), update(TOPIC, b"!")]),
    );
}

#[test]
fn late_messages_verify_under_the_dictionary_of_their_epoch() {
    let mut peers = scene(&[(TOPIC, b"tea"), (ROLES, b"all")]);
    let first = peers[1].say(b"before both");
    commits(&mut peers, 0, commit_of(vec![update(TOPIC, b"!"), removal(ROLES)]));
    let second = peers[1].say(b"between");
    commits(&mut peers, 0, commit_of(vec![update(ROLES, b"one")]));
    peers[2].reload();
    assert_eq!(peers[2].reads(&first).data, b"before both");
    assert_eq!(peers[2].reads(&second).data, b"between");
}

#[test]
fn rows_of_components_that_are_missing_or_strange_are_noticed() {
    let mut peers = scene(&[(TOPIC, b"tea"), (ROLES, b"all")]);
    commits(&mut peers, 0, commit_of(vec![update(TOPIC, b"!")]));
    let peer = &peers[1];
    let load = |rows: Rows| Group::load(&PROVIDER, Config::default(), rows).map(|_| ());
    let mut tables = Vec::new();
    for key in
        peer.rows.keys().filter(|key| matches!(key.table, Table::AppData | Table::PastAppData))
    {
        let mut rows = peer.rows.clone();
        let row = rows.remove(key).unwrap();
        tables.push(key.table);
        let missing = load(rows.clone());
        assert!(matches!(missing, Err(Error::Storage(_))), "{key}");
        let elsewhere = crate::rows::RowKey { index: 0x1_0000, ..*key };
        rows.insert(elsewhere, row);
        assert!(matches!(load(rows), Err(Error::Storage(_))), "{key}");
    }
    assert!(tables.contains(&Table::AppData) && tables.contains(&Table::PastAppData));
}

#[test]
fn an_update_of_a_small_component_writes_little_in_a_large_dictionary() {
    let entries: Vec<(ComponentId, Vec<u8>)> =
        (0..1000).map(|n| (ComponentId(0x8000 + n), vec![n as u8; 100])).collect();
    let entries: Vec<(ComponentId, &[u8])> =
        entries.iter().map(|(id, data)| (*id, data.as_slice())).collect();
    let mut peers = scene(&entries);
    let written = |peers: &mut [Peer], proposals: Vec<NewProposal>| {
        let commit = peers[0].commit(commit_of(proposals)).commit;
        let step = peers[1].process(&commit).unwrap().unwrap();
        let before = peers[1].rows.clone();
        peers[1].take(step);
        peers[2].receive(&commit);
        peers[0].accepted();
        let rows = peers[1].rows.iter().filter(|(key, row)| before.get(key) != Some(*row));
        rows.map(|(_, row)| row.len()).sum::<usize>()
    };
    let empty = NewProposal::AppEphemeral { component_id: TOPIC, data: [].into() };
    let without = written(&mut peers, vec![empty]);
    let with = written(&mut peers, vec![update(ComponentId(0x8000 + 500), &[])]);
    // The new value and the old one, each with its trailer.
    assert!(with - without < 250, "{without} bytes without the change, {with} with it");
    assert!(with < 1024 + 200, "{with} bytes");
}

#[test]
fn a_policy_that_wants_all_covered_knows_what_components_are_required() {
    let required = ComponentsList { component_ids: vec![TOPIC] }.to_bytes().unwrap();
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let leaves = ["alice", "bob"].map(able).into();
    let dictionary = dictionary(&[(ComponentId::APP_COMPONENTS, &required)]);
    let mut peers = group_from(leaves, vec![dictionary], &config);
    let mut without = able("dave");
    without.extensions.clear();
    let knows_nothing = ComponentsList::default().to_bytes().unwrap();
    let own = [(ComponentId::APP_COMPONENTS, &knows_nothing[..])];
    without.extensions.push(super::draft_scene::dictionary(&own));

    // Carol fits and must be covered, Dave does not and may be left out.
    let carol = key_package_of(able("carol"), &mut TestRng(300));
    let dave = key_package_of(without, &mut TestRng(301));
    let nothing =
        || CommitOptions { received: false, force_path: true, ..CommitOptions::default() };
    proposes(&mut peers, 1, add_with(&dave, &config));
    assert!(peers[0].try_commit(nothing()).is_ok());
    proposes(&mut peers, 1, add_with(&carol, &config));
    let error = peers[0].try_commit(nothing()).map(|_| ()).map_err(rejection);
    assert!(matches!(error, Err(Rejection::RefusedByPolicy { .. })));
    let messages = commits(&mut peers, 0, commit_of(vec![]));
    assert_eq!(messages.welcomes[0].recipients, [carol.reference().clone()]);

    // What components make of their data cannot be seen, so an AppDataUpdate may be left out.
    proposes(&mut peers, 1, update(TOPIC, b"!"));
    assert!(peers[0].try_commit(nothing()).is_ok());
}

#[test]
fn what_an_update_makes_required_need_not_be_covered() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let leaves = ["alice", "bob"].map(able).into();
    let mut peers = group_from(leaves, Vec::new(), &config);
    let mut without = able("dave");
    without.extensions.clear();
    let knows_nothing = ComponentsList::default().to_bytes().unwrap();
    without.extensions.push(dictionary(&[(ComponentId::APP_COMPONENTS, &knows_nothing)]));
    let dave = key_package_of(without, &mut TestRng(301));
    proposes(&mut peers, 1, add_with(&dave, &config));

    // Dave fits before this commit, and does not after it.
    let required = ComponentsList::of(&[TOPIC]).to_bytes().unwrap();
    let proposals = vec![update(ComponentId::APP_COMPONENTS, &required)];
    let options = CommitOptions { received: false, ..commit_of(proposals) };
    commits(&mut peers, 0, options);
}

#[test]
fn a_dictionary_can_be_immutable() {
    let immutable_extensions = vec![ExtensionType::APP_DATA_DICTIONARY];
    let rules = Rules { immutable_extensions, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let leaves = ["alice", "bob"].map(able).into();
    let mut peers = group_from(leaves, vec![dictionary(&[(TOPIC, b"tea")])], &config);
    for change in [update(TOPIC, b"!"), update(ROLES, b"!"), removal(TOPIC)] {
        let refused = rejection(cannot_propose(&mut peers[1], change));
        assert!(matches!(refused, Rejection::RefusedByPolicy { .. }), "{refused}");
    }
}

#[test]
fn a_commit_that_requires_less_adds_who_fits_then() {
    let required = ComponentsList::of(&[TOPIC]).to_bytes().unwrap();
    let leaves = ["alice", "bob"].map(able).into();
    let lists = dictionary(&[(ComponentId::APP_COMPONENTS, &required)]);
    let config = Config::default();
    let mut peers = group_from(leaves, vec![lists], &config);
    let mut without = able("dave");
    without.extensions.clear();
    let knows_nothing = ComponentsList::default().to_bytes().unwrap();
    without.extensions.push(dictionary(&[(ComponentId::APP_COMPONENTS, &knows_nothing)]));
    let dave = key_package_of(without, &mut TestRng(301));

    let alone = peers[0].try_commit(commit_of(vec![add_with(&dave, &config)]));
    assert_eq!(rejection(alone.unwrap_err()), Rejection::UnsupportedComponent(TOPIC));
    let lowered = removal(ComponentId::APP_COMPONENTS);
    commits(&mut peers, 0, commit_of(vec![lowered, add_with(&dave, &config)]));

    // One that requires more is checked against that.
    let more = update(ComponentId::APP_COMPONENTS, &required);
    let error = peers[0].try_commit(commit_of(vec![more])).unwrap_err();
    assert_eq!(rejection(error), Rejection::UnsupportedComponent(TOPIC));
}
