//! Proposals of types that RFC 9420 does not define (sections 12.1, 12.2, 12.4 and 13.2).

use super::fixture::*;
use crate::{
    CommitOptions, Config, CustomChange, Error, ExternalJoinOptions, ExternalJoinStage,
    ExternalTarget, Framing, Group, LeafParams, LeafUpdate, Misuse, NewProposal, Observer,
    ObserverEvent, OwnKeyPackage, ProposalMessage, Rejection, Rules, Verdict, WelcomeStage,
};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::SignatureKeyPair;
use conclave_wire::{
    AuthenticatedContent, Content, Credential, CredentialType, CustomProposal, Decode, DecodeError,
    Extension, ExtensionType, ExternalSender, LeafIndex, MlsMessage, Proposal, ProposalOrRef,
    ProposalRules, ProposalType, Reader, RequiredCapabilities, Sender,
};

/// One number, followed by as many vectors.
const OWN: ProposalType = ProposalType(0xf001);
const EMPTY: ProposalType = ProposalType(0xf002);
/// A vector. A commit of it has a path.
const HEAVY: ProposalType = ProposalType(0xf003);
/// A vector. External senders may propose it.
const OPEN: ProposalType = ProposalType(0xf004);
/// Nobody implements it.
const ALIEN: ProposalType = ProposalType(0xf00f);

fn read_own(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    for _ in 0..u8::decode(r)? {
        r.opaque()?;
    }
    Ok(())
}

fn formats() -> Vec<CustomProposal> {
    vec![
        CustomProposal::new(OWN, read_own),
        CustomProposal::empty(EMPTY),
        CustomProposal::vector(HEAVY)
            .with_rules(ProposalRules { path_required: true, ..ProposalRules::default() }),
        CustomProposal::vector(OPEN)
            .with_rules(ProposalRules { external_senders: true, ..ProposalRules::default() }),
    ]
}

fn config() -> Config {
    Config { proposals: formats(), ..Config::default() }
}

fn able(name: &str) -> LeafParams {
    let mut leaf = leaf_params(name);
    leaf.capabilities.proposals = vec![OWN, EMPTY, HEAVY, OPEN];
    leaf
}

fn custom(proposal_type: ProposalType, body: &[u8]) -> NewProposal {
    NewProposal::Custom { proposal_type, body: body.into() }
}

fn by_value(proposal_type: ProposalType, body: &[u8]) -> ProposalOrRef {
    ProposalOrRef::Proposal(Proposal::Custom { proposal_type, body: body.into() })
}

fn change(leaf: u32, proposal_type: ProposalType, body: &[u8]) -> CustomChange {
    let sender = Sender::Member(LeafIndex(leaf));
    CustomChange { sender, proposal_type, body: body.into() }
}

fn add(own: &OwnKeyPackage) -> NewProposal {
    NewProposal::Add(valid_under(own, &config()))
}

/// Members with these leaves, in order.
fn group(leaves: Vec<LeafParams>, extensions: Vec<Extension>) -> Vec<Peer> {
    group_from(leaves, extensions, &config())
}

fn able_group() -> Vec<Peer> {
    group(["alice", "bob", "carol"].map(able).into(), Vec::new())
}

/// Checks that all members and an observer refuse a message with the same error.
#[track_caller]
fn refused_by_all(peers: &[Peer], observer: &mut Observer, message: &[u8], error: &Error) {
    for peer in peers {
        assert_eq!(peer.error(message), *error);
    }
    let before = observer.rows().unwrap();
    assert_eq!(observe(observer, message).unwrap_err(), *error);
    assert_eq!(observer.rows().unwrap(), before);
}

fn unknown(t: ProposalType) -> Error {
    let value = t.0.into();
    Error::Malformed(DecodeError::InvalidValue { field: "ProposalType", value })
}

#[test]
fn custom_proposals_reach_everyone_in_the_commits_order() {
    let bodies: [(ProposalType, &[u8]); 4] =
        [(OWN, &[2, 1, 9, 0]), (EMPTY, &[]), (OPEN, &[3, 1, 2, 3]), (OWN, &[0])];
    for framing in [Framing::default(), encrypted()] {
        let mut peers = able_group();
        let mut observer = observer_of(&peers[0]);
        let mut expected = Vec::new();
        for (n, (t, body)) in bodies.into_iter().enumerate() {
            let who = n % 2 + 1;
            let message = peers[who].propose(custom(t, body), &framing);
            deliver(&mut peers, who, &message);
            if !framing.encrypt {
                let event = observe(&mut observer, &message).unwrap();
                assert!(matches!(
                    event,
                    ObserverEvent::ProposalReceived(cached) if cached.proposal_type == t
                ));
            }
            expected.push(change(who as u32, t, body));
        }
        let options = CommitOptions {
            framing: framing.clone(),
            ..commit_of(vec![custom(OPEN, &[1, 7]), custom(EMPTY, &[])])
        };
        expected.extend([change(0, OPEN, &[1, 7]), change(0, EMPTY, &[])]);
        // Waiting proposals are read back from their rows.
        peers.iter_mut().for_each(Peer::reload);
        let commit = peers[0].commit(options).commit;
        peers[0].reload();
        // None of these types requires a path.
        assert!(peers[0].group.pending_commit.as_ref().unwrap().path.is_none());
        for peer in &mut peers[1..] {
            let change = peer.follows(&commit);
            assert_eq!(change.custom, expected);
        }
        if !framing.encrypt {
            let rows = observer.rows().unwrap().rows.into_iter();
            let rows = rows.filter_map(|(key, row)| Some((key, row?)));
            observer = Observer::load(&PROVIDER, config(), rows).unwrap();
            let event = observe(&mut observer, &commit).unwrap();
            assert!(matches!(event, ObserverEvent::Epoch(c) if c.custom == expected));
        }
        assert_eq!(peers[0].accepted().custom, expected);
        agree(&peers);
    }
}

#[test]
fn a_custom_type_can_require_a_path() {
    let mut peers = able_group();
    let mut observer = observer_of(&peers[0]);
    let missing = Error::from(Rejection::PathMissing);
    let framing = Framing::default();
    let forged = peers[0].forge_commit(vec![by_value(HEAVY, &[0])], &framing);
    refused_by_all(&peers[1..], &mut observer, &forged, &missing);

    let proposal = peers[1].propose(custom(HEAVY, &[0]), &framing);
    deliver(&mut peers, 1, &proposal);
    observe(&mut observer, &proposal).unwrap();
    let reference = peers[0].group.public.proposals.iter().next().unwrap().1.reference.clone();
    let forged =
        peers[0].forge_commit(vec![ProposalOrRef::Reference(reference.unwrap())], &framing);
    refused_by_all(&peers[1..], &mut observer, &forged, &missing);

    // Commits of other types have no path, and then only the tag is wrong.
    let forged = peers[0].forge_commit(vec![by_value(OPEN, &[0])], &framing);
    assert_eq!(peers[1].error(&forged), Rejection::ConfirmationTag.into());
    for options in [CommitOptions::default(), commit_of(vec![custom(HEAVY, &[1, 1])])] {
        let commit = peers[0].commit(options).commit;
        assert!(peers[0].group.pending_commit.as_ref().unwrap().path.is_some());
        deliver(&mut peers, 0, &commit);
        peers[0].accepted();
        observe(&mut observer, &commit).unwrap();
    }
    agree(&peers);
}

#[test]
fn external_senders_propose_only_the_types_registered_for_them() {
    let service: SignatureKeyPair = signer(&mut TestRng(90));
    let credential = Credential::basic(b"the service");
    let listed = ExternalSender { signature_key: service.public.clone(), credential };
    let extension = Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![listed]).unwrap();
    let mut peers = group(["alice", "bob"].map(able).into(), vec![extension]);
    let mut observer = observer_of(&peers[0]);
    let target = ExternalTarget::new(observer.group_id().clone(), observer.epoch(), SUITE);

    let sent = |proposal_type, body: &[u8]| {
        let proposal = Proposal::Custom { proposal_type, body: body.into() };
        target.propose(&PROVIDER, 0, &service, proposal).unwrap()
    };
    for (t, body) in [(OWN, &[0][..]), (EMPTY, &[]), (HEAVY, &[0])] {
        let rule = Rejection::ExternalSenderProposal(t).into();
        refused_by_all(&peers, &mut observer, &sent(t, body), &rule);
    }
    refused_by_all(&peers, &mut observer, &sent(ALIEN, &[0]), &unknown(ALIEN));

    let message = sent(OPEN, &[2, 5, 6]);
    for peer in &mut peers {
        peer.receive(&message);
        peer.reload();
    }

    observe(&mut observer, &message).unwrap();
    let commit = peers[1].commit(CommitOptions::default()).commit;
    let change = peers[0].follows(&commit);
    let expected =
        CustomChange { sender: Sender::External(0), proposal_type: OPEN, body: [2, 5, 6].into() };
    assert_eq!(change.custom, [expected]);
}

#[test]
fn an_unimplemented_type_is_neither_read_nor_sent() {
    let mut peers = able_group();
    let mut observer = observer_of(&peers[0]);
    let framing = Framing::default();
    let forged = peers[0].forge_commit(vec![by_value(ALIEN, &[0])], &framing);
    refused_by_all(&peers[1..], &mut observer, &forged, &unknown(ALIEN));

    // A message that cannot be read cannot be verified, so it consumes no key.
    let forged = peers[0].forge_commit(vec![by_value(ALIEN, &[0])], &encrypted());
    assert!(peers[1].refuses(&forged).key_deletion.is_none());
    for t in [ALIEN, ProposalType::REMOVE, ProposalType::EXTERNAL_INIT] {
        let peer = &peers[0].group;
        let rng = &mut TestRng(3);
        let sent = peer.propose(&PROVIDER, rng, NOW, custom(t, &[0, 0, 0, 1]), &framing);
        assert_eq!(sent.err(), Some(Rejection::UnsupportedProposal(t).into()));
        let sent = peers[0].try_commit(commit_of(vec![custom(t, &[0, 0, 0, 1])]));
        assert_eq!(sent.err(), Some(Rejection::UnsupportedProposal(t).into()));
    }
}

#[test]
fn a_body_is_sent_only_if_it_reads_back() {
    let mut peers = able_group();
    let short = DecodeError::Truncated;
    let long = DecodeError::TrailingBytes;
    for (t, body, error) in [
        (OWN, &[][..], short),
        (OWN, &[1], short),
        (OWN, &[2, 1, 0], short),
        (OWN, &[1, 0, 0], long(1)),
        (EMPTY, &[0, 0], long(2)),
        (OPEN, &[], short),
        (OPEN, &[2, 1], short),
        (OPEN, &[1, 1, 1], long(1)),
        (OPEN, b"body without a header", short),
    ] {
        let peer = &peers[0].group;
        let rng = &mut TestRng(3);
        let sent = peer.propose(&PROVIDER, rng, NOW, custom(t, body), &Framing::default());
        assert_eq!(sent.err(), Some(Error::Malformed(error)), "{body:?}");
        let sent = peers[0].try_commit(commit_of(vec![custom(t, body)]));
        assert_eq!(sent.err(), Some(Error::Malformed(error)), "{body:?}");
    }
}

/// A signed message with any body. The signature covers that body.
fn with_body(peer: &mut Peer, t: ProposalType, body: &[u8]) -> Vec<u8> {
    let content = Content::Proposal(Proposal::Custom { proposal_type: t, body: body.into() });
    let framing = Framing::default();
    let signed: AuthenticatedContent = peer.group.sign(&suite(), content, &framing).unwrap();
    peer.forge(signed, &framing)
}

#[test]
fn a_body_with_missing_or_trailing_bytes_is_refused() {
    let mut peers = able_group();
    let mut observer = observer_of(&peers[0]);
    let good: [(ProposalType, &[u8]); 3] =
        [(OWN, &[2, 1, 9, 2, 7, 7]), (EMPTY, &[]), (OPEN, &[3, 1, 2, 3])];
    for (t, body) in good {
        let message = with_body(&mut peers[0], t, body);
        assert!(MlsMessage::from_reader(Reader::with_proposals(&message, &formats())).is_ok());
        for peer in &peers[1..] {
            assert!(peer.process(&message).is_ok());
        }
        for cut in 0..message.len() {
            for peer in &peers[1..] {
                assert!(matches!(peer.error(&message[..cut]), Error::Malformed(_)));
            }
            assert!(observer.process(&PROVIDER, &message[..cut]).is_err());
        }
        // Bytes that are cut from or added to the body shift what follows it. Then the message is
        // malformed, or its signature covers something else.
        let bodies = (0..body.len()).map(|n| body[..n].to_vec());
        for bad in bodies.chain([[body, &[0]].concat(), [body, &[0x40; 70]].concat()]) {
            let message = with_body(&mut peers[0], t, &bad);
            for peer in &peers[1..] {
                peer.error(&message);
            }
            let before = observer.rows().unwrap();
            assert!(observe(&mut observer, &message).is_err());
            assert_eq!(observer.rows().unwrap(), before);
        }
    }
}

#[test]
fn applications_may_disagree_about_a_types_format() {
    let mut peers = able_group();
    let other = vec![CustomProposal::vector(OWN)];
    peers[1].group.public.config.proposals = other;
    // One vector of two bytes, or two vectors of which the second is cut off.
    let message = with_body(&mut peers[0], OWN, &[2, 1, 7, 0]);
    peers[1].error(&message);
    peers[2].process(&message).unwrap();
    // Both can read this. Each interprets the same body in its own way.
    let message = with_body(&mut peers[0], OWN, &[1, 0]);
    for place in [1, 2] {
        peers[place].process(&message).unwrap();
    }
}

#[test]
fn a_type_that_a_member_does_not_support_is_not_committed() {
    let plain = leaf_params("carol");
    let mut peers = group(vec![able("alice"), able("bob"), plain], Vec::new());
    let mut observer = observer_of(&peers[0]);
    let unsupported = Error::from(Rejection::UnsupportedProposal(OPEN));
    let framing = Framing::default();
    let wanted = commit_of(vec![custom(OPEN, &[0])]);
    assert_eq!(peers[0].try_commit(wanted.clone()).err(), Some(unsupported.clone()));

    let forged = peers[0].forge_commit(vec![by_value(OPEN, &[0])], &framing);
    refused_by_all(&peers[1..], &mut observer, &forged, &unsupported);

    // It may wait as a proposal, and does not block the commit of others.
    let proposal = peers[1].propose(custom(OPEN, &[0]), &framing);
    deliver(&mut peers, 1, &proposal);
    observe(&mut observer, &proposal).unwrap();
    let reference = peers[1].group.public.proposals.iter().next().unwrap().1.reference.clone();
    let forged =
        peers[0].forge_commit(vec![ProposalOrRef::Reference(reference.unwrap())], &framing);
    refused_by_all(&peers[1..], &mut observer, &forged, &unsupported);

    let commit = peers[0].commit(CommitOptions::default()).commit;
    assert!(peers[0].accepted().custom.is_empty());
    deliver(&mut peers, 0, &commit);
    observe(&mut observer, &commit).unwrap();

    // Members that are removed or added in the same commit do not count.
    let dave = key_package("dave", 60);
    let proposals = vec![custom(OPEN, &[0]), NewProposal::Remove(LeafIndex(2)), add(&dave)];
    let messages = peers[0].commit(commit_of(proposals));
    assert_eq!(peers[0].accepted().custom.len(), 1);

    let followed = peers[1].follows(&messages.commit);
    for change in [followed, peers[2].is_removed(&messages.commit)] {
        assert_eq!(change.custom, [self::change(0, OPEN, &[0])]);
    }
    assert!(matches!(observe(&mut observer, &messages.commit), Ok(ObserverEvent::Epoch(_))));

    // From then on Dave counts.
    let dave = Peer::join(&messages.welcomes[0].message, &dave, config(), 9);
    peers[2] = dave;
    agree(&peers);
    assert_eq!(peers[0].try_commit(wanted.clone()).err(), Some(unsupported.clone()));

    let forged = peers[1].forge_commit(vec![by_value(OPEN, &[0])], &framing);
    refused_by_all(&[peers.remove(0), peers.remove(1)], &mut observer, &forged, &unsupported);
}

#[test]
fn only_what_all_members_support_can_be_required() {
    let mut peers = able_group();
    let alien = ExtensionType(0xf0f0);
    let no_credential = CredentialType(0xf0f0);
    let required = |extension, proposal, credential| RequiredCapabilities {
        extension_types: vec![extension],
        proposal_types: vec![proposal],
        credential_types: vec![credential],
    };

    let basic = CredentialType::BASIC;
    for (required, rule) in [
        (required(alien, OWN, basic), Some(Rejection::UnsupportedExtension(alien))),
        (required(CUSTOM, ALIEN, basic), Some(Rejection::UnsupportedProposal(ALIEN))),
        (
            required(CUSTOM, OWN, no_credential),
            Some(Rejection::UnsupportedCredential(no_credential)),
        ),
        (required(CUSTOM, OWN, basic), None),
    ] {
        let kind = ExtensionType::REQUIRED_CAPABILITIES;
        let extensions = vec![Extension::new(kind, &required).unwrap()];
        let options = commit_of(vec![NewProposal::GroupContextExtensions(extensions)]);
        assert_eq!(peers[0].try_commit(options).err(), rule.map(Error::from));
    }
}

#[test]
fn an_update_in_the_commit_decides_what_its_member_supports() {
    for (before, after, good) in
        [(leaf_params("bob"), able("bob"), true), (able("bob"), leaf_params("bob"), false)]
    {
        let mut peers = group(vec![able("alice"), before], Vec::new());
        let leaf = LeafUpdate { params: after, signer: signer(&mut TestRng(70)) };
        let update = peers[1].propose_update(Some(leaf), &Framing::default());
        peers[0].receive(&update);
        let message = peers[1].propose(custom(OPEN, &[0]), &Framing::default());
        peers[0].receive(&message);
        let commit = peers[0].commit(CommitOptions::default()).commit;
        let change = peers[0].accepted();
        assert_eq!((change.updated.len(), change.custom.len()), (1, usize::from(good)));
        peers[1].receive(&commit);
        agree(&peers);
    }
}

#[test]
fn rows_of_a_type_no_longer_implemented_are_named() {
    let mut peers = able_group();
    let none = Config::default;
    let named = |peer: &Peer, row: &str| {
        let failed = Group::load(&PROVIDER, none(), peer.rows.clone()).unwrap_err();
        let Error::Storage(what) = failed else { panic!("{failed}") };
        assert!(what.contains(row) && what.contains("ProposalType"), "{what}");
    };
    peers[0].commit(commit_of(vec![custom(EMPTY, &[])]));
    named(&peers[0], "PendingCommit");

    let message = peers[1].propose(custom(EMPTY, &[]), &Framing::default());
    named(&peers[1], "Proposal");
    let mut observer = observer_of(&peers[2]);
    observe(&mut observer, &message).unwrap();
    let rows = observer.rows().unwrap().rows.into_iter();
    let rows = rows.filter_map(|(key, row)| Some((key, row?)));
    let failed = Observer::load(&PROVIDER, none(), rows).unwrap_err();
    assert!(matches!(failed, Error::Storage(what) if what.contains("Proposal")));
}

/// Types as in [`formats`], of which external commits may hold [`OPEN`].
fn open_to_joiners() -> Config {
    let joining = ProposalRules { external_commit: true, ..ProposalRules::default() };
    let proposals = formats().into_iter().map(|known| match known.proposal_type {
        OPEN => known.with_rules(joining),
        _ => known,
    });
    Config { proposals: proposals.collect(), ..Config::default() }
}

#[test]
fn an_external_commit_holds_a_custom_type_only_if_allowed() {
    let joins = |peers: &[Peer], config, body: &[u8]| {
        let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
        let stage = ExternalJoinStage::open(&PROVIDER, config, &info, None).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let options = ExternalJoinOptions::new(able("eve"), signer(&mut TestRng(600)));
        let stage = stage.with_custom_proposal(OPEN, body.into());
        stage.commit(&PROVIDER, &mut TestRng(601), &verdicts, options)
    };

    let mut peers = able_group();
    let mut observer = observer_of(&peers[0]);

    // If its rules do not allow it, it is neither sent nor received.
    let rule = Error::from(Rejection::ExternalProposal(OPEN));
    assert_eq!(joins(&peers, config(), &[0]).err(), Some(rule.clone()));

    let made = joins(&peers, open_to_joiners(), &[2, 1, 7]).unwrap();
    refused_by_all(&peers, &mut observer, &made.commit, &rule);

    // If they do, everybody sees it, provided that its body is well-formed.
    for peer in &mut peers {
        peer.group.public.config = open_to_joiners();
    }

    observer.public.config = open_to_joiners();
    let malformed = joins(&peers, open_to_joiners(), &[2, 1]).err();
    assert_eq!(malformed, Some(Error::Malformed(DecodeError::Truncated)));

    let sender = Sender::NewMemberCommit;
    let body = [2, 1, 7].into();
    let custom = [CustomChange { sender, proposal_type: OPEN, body }];
    for peer in &mut peers {
        let change = peer.follows(&made.commit);
        assert!(change.external);
        assert_eq!(change.custom, custom);
    }

    let event = observe(&mut observer, &made.commit).unwrap();
    assert!(matches!(event, ObserverEvent::Epoch(change) if change.custom == custom));
    peers.push(Peer::settle(made.group, 602));
    agree(&peers);
}

#[test]
fn a_leaf_advertises_only_what_its_client_implements() {
    let mut peers = able_group();
    let own = key_package_of(able("dave"), &mut TestRng(80));
    let messages = peers[0].commit(commit_of(vec![add(&own)]));
    let not = |t| Some(Error::from(Misuse::NotImplemented(t)));
    let welcome = &messages.welcomes[0].message;
    let failed = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &own);
    assert_eq!(failed.err(), not(OWN));

    let mut params = able("bob");
    params.capabilities.proposals.push(ALIEN);
    let leaf = LeafUpdate { params, signer: signer(&mut TestRng(81)) };
    let bob = &peers[1].group;
    let rng = &mut TestRng(3);
    let failed = bob.propose_update(&PROVIDER, rng, Some(leaf.clone()), &Framing::default());
    assert_eq!(failed.err(), not(ALIEN));

    let options = CommitOptions { leaf: Some(leaf), ..CommitOptions::default() };
    assert_eq!(peers[1].try_commit(options).err(), not(ALIEN));

    // GREASE values need no implementation (section 13.5).
    let mut params = able("bob");
    params.capabilities.proposals.push(ProposalType(0x1a1a));
    let leaf = LeafUpdate { params, signer: signer(&mut TestRng(82)) };
    let options = CommitOptions { leaf: Some(leaf), ..CommitOptions::default() };
    commits(&mut peers[..2], 1, options);
}

#[test]
fn an_equal_custom_proposal_of_its_sender_covers_it() {
    let mut peers = able_group();
    let policy = Arc::new(Rules { cover_all_pending: true, ..Rules::default() });
    for peer in &mut peers {
        peer.group.public.config.policy = policy.clone();
    }

    let proposal = || custom(OWN, &[0]);
    let pending = peers[0].propose(proposal(), &Framing::default());
    deliver(&mut peers, 0, &pending);
    for (who, proposals, covered) in [
        (0, vec![proposal()], true),
        (0, vec![], false),
        (0, vec![custom(OWN, &[1, 0])], false),
        (1, vec![proposal()], false),
    ] {
        let options = CommitOptions { received: false, ..commit_of(proposals) };
        match peers[who].try_commit(options) {
            Ok(_) => assert!(covered),
            Err(error) => {
                let refused = rejection(error);
                assert!(matches!(refused, Rejection::RefusedByPolicy { .. }), "{refused}");
                assert!(!covered);
            }
        }
    }
    commits(&mut peers, 1, CommitOptions::default());
}

/// No type that RFC 9420 defines can be in a list twice (section 12.2). It says nothing about
/// others. But a short reference can stand for a long proposal.
#[test]
fn a_commit_may_refer_twice_to_a_custom_proposal() {
    let mut peers = able_group();
    let mut observer = observer_of(&peers[0]);
    let step = peers[0].group.propose(
        &PROVIDER,
        &mut TestRng(1),
        NOW,
        custom(OPEN, &[3, 1, 2, 3]),
        &Framing::default(),
    );
    let ProposalMessage { message, reference } = peers[0].take(step.unwrap());
    deliver(&mut peers, 0, &message);
    observe(&mut observer, &message).unwrap();

    let twice = vec![ProposalOrRef::Reference(reference); 2];
    let commit = peers[0].forge_commit(twice, &Framing::default());
    // Only the tag is wrong, and the observer cannot see that.
    let tag = Error::Rejected(Rejection::ConfirmationTag);
    assert_eq!([&peers[1], &peers[2]].map(|peer| peer.error(&commit)), [tag.clone(), tag]);
    let ObserverEvent::Epoch(epoch) = observe(&mut observer, &commit).unwrap() else { panic!() };
    assert_eq!(epoch.custom, vec![change(0, OPEN, &[3, 1, 2, 3]); 2]);

    // Each reference counts like a waiting proposal.
    let length = Proposal::Custom { proposal_type: OPEN, body: [3, 1, 2, 3].into() };
    let length = conclave_wire::Encode::to_bytes(&length).unwrap().len();
    for (allowed, over) in [(2 * length, false), (2 * length - 1, true)] {
        peers[1].group.public.config.limits.pending_bytes = allowed;
        let limit = crate::Limit::PendingBytes;
        let over_limit = Rejection::OverLimit { limit, found: 2 * length, allowed };
        let wanted = if over { over_limit } else { Rejection::ConfirmationTag };
        assert_eq!(peers[1].error(&commit), Error::Rejected(wanted));
    }
}
