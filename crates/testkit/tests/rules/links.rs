//! Groups that replace another or branch off it (sections 11.2, 11.3 and 12.4.3.1).

use conclave_crypto::{Secret, Suite};
use conclave_group::{
    CommitOptions, Error, Group, GroupParams, JoinStage, LeafParams, Link, LinkFault, Misuse,
    NewProposal, OwnKeyPackage, Rejection, WelcomeStage,
};
use conclave_testkit::forge::OpenWelcome;
use conclave_testkit::party::*;
use conclave_testkit::{SeededRng, accepting};
use conclave_wire::{
    Certificate, CipherSuite, Credential, Extension, LeafIndex, PreSharedKeyId, ProtocolVersion,
    PskType, ReInit, ResumptionPskUsage,
};

const MISSING: Rejection = Rejection::LinkMismatch(LinkFault::MemberMissing);
const STRANGER: Rejection = Rejection::LinkMismatch(LinkFault::Stranger);

fn announced(cipher_suite: CipherSuite) -> ReInit {
    ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite,
        extensions: Vec::new(),
    }
}

/// A new group of one, as announced.
fn founded(leaf: LeafParams, suite: CipherSuite) -> Peer {
    let params = GroupParams::new(b"next".as_slice().into(), suite, leaf, LIFETIME);
    let rng = &mut SeededRng::from_u64(5);
    let new = Group::create(&PROVIDER, rng, config(), params, signer(suite, 50)).unwrap();
    Peer::settle(new, 3)
}

fn adds(owns: &[OwnKeyPackage], link: Option<Link>) -> CommitOptions {
    CommitOptions { link, ..commit_of(owns.iter().map(add).collect()) }
}

/// A Welcome to a new group of alice and these clients. It names the old group, although the new group does
/// not continue it correctly; its maker's library does not check that.
fn false_welcome(old: &Peer, usage: ResumptionPskUsage, owns: &[OwnKeyPackage]) -> Vec<u8> {
    let mut next = founded(leaf_params("alice", SUITE), SUITE);
    let messages = next.commit(adds(owns, None)).unwrap();
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let own = &owns[0];
    let mut welcome =
        OpenWelcome::of(&PROVIDER, &messages.welcomes[0].message, own, &Secret::default());
    let psk_group_id = old.group.group_id().clone();
    let psk_epoch = old.group.epoch();
    let psktype = PskType::Resumption { usage, psk_group_id, psk_epoch };
    let id = PreSharedKeyId { psktype, psk_nonce: vec![1; hash_len()].into() };
    let psk = old.group.resumption_psk(psk_epoch).unwrap().as_secret().clone();

    welcome.secrets.psks = vec![id.clone()];
    welcome.psks = vec![(id, psk)];
    welcome.confirm(&suite);
    welcome.sign(&suite, &signer(SUITE, 50));
    welcome.seal(&suite, &mut SeededRng::from_u64(4))
}

fn opened(welcome: &[u8], own: &OwnKeyPackage) -> WelcomeStage {
    WelcomeStage::open(&PROVIDER, config(), welcome, own).unwrap()
}

/// Joins by a Welcome, with the link that the old group gives for it.
fn staged(old: &Peer, welcome: &[u8], own: &OwnKeyPackage) -> Result<JoinStage, Error> {
    let stage = opened(welcome, own);
    let link = old.group.link_for(&stage)?;
    stage.join(&PROVIDER, &[], None, Some(&link))
}

fn settled(stage: JoinStage) -> Result<Peer, Error> {
    let verdicts = accepting::all(stage.credentials());
    Ok(Peer::settle(stage.resolve(&verdicts)?, 9))
}

/// The members without a counterpart, and the members that can be one.
fn unmatched(stage: &JoinStage) -> [Vec<LeafIndex>; 2] {
    let unmatched = stage.unmatched().expect("a member to match");
    [&unmatched.asked, &unmatched.others].map(|list| list.iter().map(|m| m.index).collect())
}

#[test]
fn members_of_a_successor_may_have_new_certificates() {
    // A certificate contains a key, and so differs in another suite.
    let leaf = |name: &str, suite: u16| {
        let cert_data = format!("{name}'s key of suite {suite}").into_bytes().into();
        let certificates = vec![Certificate { cert_data }];
        LeafParams::new(Credential::X509 { certificates }, &[CipherSuite(1), CipherSuite(2)])
    };
    let names = ["alice", "bob", "carol"];
    let mut peers = Setup::of(CipherSuite(1)).group(names.map(|name| leaf(name, 1)).into());
    let reinit = NewProposal::ReInit(announced(CipherSuite(2)));
    commits(&mut peers, 0, commit_of(vec![reinit]));

    let mut next = founded(leaf("alice", 2), CipherSuite(2));
    let owns: Vec<_> = names[1..]
        .iter()
        .zip(501..)
        .map(|(name, seed)| key_package_of(leaf(name, 2), CipherSuite(2), seed))
        .collect();
    let link = peers[0].group.reinit_link().unwrap();

    // Alice has to match the others, but not herself.
    let unmatched_yet =
        next.group.commit(&PROVIDER, &mut next.rng, NOW, adds(&owns, Some(link.clone())));
    assert_eq!(rejection(unmatched_yet.unwrap_err()), MISSING);
    let link = link
        .known_as(LeafIndex(1), leaf("bob", 2).credential)
        .known_as(LeafIndex(2), leaf("carol", 2).credential);
    let welcome = next.commit(adds(&owns, Some(link))).unwrap().welcomes.remove(0).message;
    next.accepted();

    // Bob has to match alice and carol.
    let join = || staged(&peers[1], &welcome, &owns[0]).unwrap();
    let alice = LeafIndex(0);
    let carol = LeafIndex(2);
    assert_eq!(unmatched(&join()), [[alice, carol], [alice, carol]]);
    assert_eq!(rejection(settled(join()).unwrap_err()), MISSING);

    let mut half = join();
    half.match_members(&[(alice, alice)]).unwrap();
    assert_eq!(unmatched(&half), [[carol], [carol]]);
    assert_eq!(rejection(settled(half).unwrap_err()), MISSING);

    for wrong in [
        [(alice, alice), (carol, alice)],
        [(alice, alice), (alice, carol)],
        [(alice, LeafIndex(1)), (carol, carol)],
        [(LeafIndex(1), alice), (carol, carol)],
    ] {
        let mut stage = join();
        let failed = stage.match_members(&wrong).unwrap_err();
        assert!(matches!(failed, Error::Misuse(Misuse::NotPossible(_))), "{failed}");
        assert_eq!(
            unmatched(&stage),
            [[alice, carol], [alice, carol]],
            "a wrong match changed something"
        );
    }

    let mut stage = join();
    stage.match_members(&[(carol, carol), (alice, alice)]).unwrap();
    assert_eq!(stage.unmatched(), None);
    let joined = settled(stage).unwrap();
    assert_eq!(joined.group.epoch_authenticator(), next.group.epoch_authenticator());
}

#[test]
fn a_successor_that_leaves_a_device_out_is_refused() {
    let mut peers = group_of(&["alice", "bob", "bob", "carol"]);
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(announced(SUITE))]));
    let bob = key_package("bob", 501);
    let carol = key_package("carol", 502);

    // Its maker refuses it.
    let mut next = founded(leaf_params("alice", SUITE), SUITE);
    let link = peers[0].group.reinit_link().unwrap();
    let owns = [carol, bob];
    let refused = next.group.commit(&PROVIDER, &mut next.rng, NOW, adds(&owns, Some(link.clone())));
    assert_eq!(rejection(refused.unwrap_err()), MISSING);

    // Newcomers refuse it.
    let welcome = false_welcome(&peers[0], ResumptionPskUsage::Reinit, &owns);
    let refused = staged(&peers[3], &welcome, &owns[0]);
    assert_eq!(rejection(refused.unwrap_err()), MISSING);

    // A stranger does not replace the device, unless the application says so.
    let [carol, bob] = owns;
    let owns = [carol, bob, key_package("mallory", 503)];
    let welcome = false_welcome(&peers[0], ResumptionPskUsage::Reinit, &owns);
    let stage = staged(&peers[3], &welcome, &owns[0]).unwrap();
    assert_eq!(unmatched(&stage).map(|list| list.len()), [1, 1]);
    assert_eq!(rejection(settled(stage).unwrap_err()), MISSING);

    // All devices are there.
    let [carol, bob, _] = owns;
    let owns = [carol, bob, key_package("bob", 504)];
    let welcome = next.commit(adds(&owns, Some(link))).unwrap().welcomes.remove(0).message;
    next.accepted();
    let joined = settled(staged(&peers[3], &welcome, &owns[0]).unwrap()).unwrap();
    assert_eq!(joined.group.epoch_authenticator(), next.group.epoch_authenticator());
}

#[test]
fn a_stranger_in_a_branch_is_refused_unless_the_application_knows_it() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let owns = [key_package("bob", 501), key_package("mallory", 502), key_package("bob", 503)];
    let mut next = founded(leaf_params("alice", SUITE), SUITE);
    let link = peers[0].group.branch_link().unwrap();
    let refused = next.group.commit(&PROVIDER, &mut next.rng, NOW, adds(&owns, Some(link)));
    assert_eq!(rejection(refused.unwrap_err()), STRANGER);

    let welcome = false_welcome(&peers[0], ResumptionPskUsage::Branch, &owns);
    let join = || staged(&peers[1], &welcome, &owns[0]).unwrap();
    let bob = LeafIndex(1);
    let mallory = LeafIndex(2);
    assert_eq!(unmatched(&join()), [vec![mallory], vec![LeafIndex(0), bob, LeafIndex(2)]]);
    assert_eq!(rejection(settled(join()).unwrap_err()), STRANGER);

    // Several leaves of a branch may match one leaf of the old group.
    let mut stage = join();
    stage.match_members(&[(mallory, bob)]).unwrap();
    settled(stage).unwrap();
}

#[test]
fn a_member_may_have_several_leaves_in_a_branch() {
    // Section 11.3: each leaf of the branch matches some leaf of the old group.
    let peers = group_of(&["alice", "bob", "carol"]);
    let owns = ["bob", "bob", "alice", "robert"].iter().zip(501..).map(|(n, i)| key_package(n, i));
    let owns: Vec<_> = owns.collect();
    let mut next = founded(leaf_params("alice", SUITE), SUITE);
    let link = peers[0].group.branch_link().unwrap();
    let link = link.known_as(LeafIndex(1), Credential::basic(b"robert"));
    let welcome = next.commit(adds(&owns, Some(link))).unwrap().welcomes.remove(0).message;
    next.accepted();

    let mut stage = staged(&peers[1], &welcome, &owns[0]).unwrap();
    let robert = LeafIndex(4);
    assert_eq!(unmatched(&stage)[0], [robert]);
    stage.match_members(&[(robert, LeafIndex(1))]).unwrap();
    let joined = settled(stage).unwrap();
    assert_eq!(joined.group.epoch_authenticator(), next.group.epoch_authenticator());
}

#[test]
fn a_branch_can_be_joined_after_the_old_group_has_moved_on() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let link = peers[0].group.branch_link().unwrap();
    let mut side = founded(leaf_params("alice", SUITE), SUITE);
    let owns = [key_package("bob", 401), key_package("carol", 402)];
    let welcome = side.commit(adds(&owns, Some(link))).unwrap().welcomes.remove(0).message;
    side.accepted();

    // Carol leaves, eve comes, and the group is closed: three epochs. Bob keeps three.
    let carol = peers.remove(2);
    let remove = NewProposal::Remove(carol.group.own_leaf());
    commits(&mut peers, 2, commit_of(vec![remove]));
    commits(&mut peers, 0, commit_of(vec![add(&key_package("eve", 403))]));
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(announced(SUITE))]));
    peers[1].reload();
    let joined = settled(staged(&peers[1], &welcome, &owns[0]).unwrap()).unwrap();
    assert_eq!(joined.group.epoch_authenticator(), side.group.epoch_authenticator());
    let link = peers[1].group.link_for(&opened(&welcome, &owns[0])).unwrap();
    let names: Vec<_> = link.members().iter().map(|m| m.credential.clone()).collect();
    assert_eq!(names, ["alice", "bob", "carol", "dave"].map(|n| Credential::basic(n.as_bytes())));

    // There is no link from another group, or in an epoch that is not kept.
    let not_possible = |peer: &Peer| {
        let failed = peer.group.link_for(&opened(&welcome, &owns[0])).unwrap_err();
        assert!(matches!(failed, Error::Misuse(Misuse::NotPossible(_))), "{failed}");
    };
    not_possible(&side);
    let mut others = group_of(&["alice", "bob"]);
    for _ in 0..5 {
        commits(&mut others, 0, CommitOptions { force_path: true, ..CommitOptions::default() });
    }
    not_possible(&others[1]);
}

#[test]
fn a_link_is_stored_and_outlives_its_group() {
    let mut peers = group_of(&["alice", "bob"]);
    let branch = peers[1].group.branch_link().unwrap();
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(announced(SUITE))]));
    let link = peers[0].group.reinit_link().unwrap();
    let renamed = link.clone().known_as(LeafIndex(1), Credential::basic(b"robert"));
    for link in [&branch, &link, &renamed] {
        assert_eq!(Link::from_secret(&link.to_secret().unwrap()).as_ref(), Ok(link));
    }
    assert_ne!(link, renamed);
    let stored = peers[1].group.reinit_link().unwrap().to_secret().unwrap();

    let mut next = founded(leaf_params("alice", SUITE), SUITE);
    let owns = [key_package("bob", 501)];
    let welcome = next.commit(adds(&owns, Some(link))).unwrap().welcomes.remove(0).message;
    next.accepted();
    drop(peers);
    let link = Link::from_secret(&stored).unwrap();
    let stage = opened(&welcome, &owns[0]).join(&PROVIDER, &[], None, Some(&link)).unwrap();
    let joined = settled(stage).unwrap();
    assert_eq!(joined.group.epoch_authenticator(), next.group.epoch_authenticator());

    // Damaged or truncated bytes and other stored values are no link.
    let storage = |bytes: &[u8]| {
        let failed = Link::from_secret(&Secret::copy_from(bytes)).unwrap_err();
        assert!(matches!(failed, Error::Storage(_)), "{failed}");
    };
    for at in 0..stored.len() {
        let mut damaged = stored.expose().to_vec();
        damaged[at] ^= 1;
        storage(&damaged);
        storage(&stored.expose()[..at]);
    }
    storage(owns[0].to_secret().unwrap().expose());
    let other = OwnKeyPackage::from_secret(&PROVIDER, &stored).unwrap_err();
    assert!(matches!(other, Error::Storage(_)), "{other}");
}

#[test]
fn the_creator_of_a_linked_group_learns_at_once_that_it_does_not_fit() {
    let mut peers = group_of(&["alice", "bob"]);
    let extension = Extension { extension_type: CUSTOM, extension_data: b"x".as_slice().into() };
    let reinit = ReInit { extensions: vec![extension], ..announced(SUITE) };
    let branch = peers[0].group.branch_link().unwrap();
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(reinit.clone())]));
    let link = peers[0].group.reinit_link().unwrap();
    let refused = |id: &[u8], suite, extensions: &[Extension], link: &Link| {
        let leaf = leaf_params("alice", suite);
        let params = GroupParams {
            extensions: extensions.into(),
            ..GroupParams::new(id.into(), suite, leaf, LIFETIME)
        };
        let rng = &mut SeededRng::from_u64(5);
        let new = Group::create(&PROVIDER, rng, config(), params, signer(suite, 50)).unwrap();
        let mut next = Peer::settle(new, 3);
        let bob = key_package_of(leaf_params("bob", suite), suite, 501);
        let before = next.all_rows();
        let options = adds(&[bob], Some(link.clone()));
        let refused = next.group.commit(&PROVIDER, &mut next.rng, NOW, options).err();
        assert_eq!(next.all_rows(), before);
        refused.map(rejection)
    };

    let other = CipherSuite(if SUITE.0 == 3 { 1 } else { 3 });
    let mismatch = |what| Some(Rejection::LinkMismatch(what));
    for (id, suite, extensions, link, rule) in [
        ("next", SUITE, &*reinit.extensions, &link, None),
        ("else", SUITE, &reinit.extensions, &link, mismatch(LinkFault::AnnouncedGroupId)),
        ("next", SUITE, &[], &link, mismatch(LinkFault::AnnouncedExtensions)),
        ("next", other, &reinit.extensions, &link, mismatch(LinkFault::AnnouncedVersionOrSuite)),
        ("branch", SUITE, &[], &branch, None),
        ("branch", other, &[], &branch, mismatch(LinkFault::VersionOrSuite)),
    ] {
        assert_eq!(refused(id.as_bytes(), suite, extensions, link), rule, "{id} {suite:?}");
    }
}
