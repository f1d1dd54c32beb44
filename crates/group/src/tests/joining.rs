//! Joining by Welcome and from outside, links, observers (sections 11 and 12.4.3).

use super::fixture::*;
use crate::{
    CommitMessages, CommitOptions, Config, Error, ExternalJoinOptions, ExternalJoinStage,
    ExternalTarget, Framing, Group, GroupInfoOptions, GroupParams, JoinStage, LeafParams, Link,
    LinkFault, Misuse, NewProposal, ObserverEvent, ObserverStage, OwnKeyPackage, Received,
    Rejection, ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::CryptoRng;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Credential, Epoch, Extension, LeafIndex, Lifetime, PreSharedKeyId,
    ProtocolVersion, ReInit, Sender,
};
use core::convert::Infallible;
use core::time::Duration;
use rand_core::{TryCryptoRng, TryRng};

fn joins(welcome: &[u8], own: &OwnKeyPackage, link: Option<&Link>) -> Result<JoinStage, Error> {
    WelcomeStage::open(&PROVIDER, Config::default(), welcome, own)?.join(&PROVIDER, &[], None, link)
}

#[test]
fn a_client_can_join_without_a_path_secret() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let dave = key_package("dave", 40);
    let options = commit_of(vec![NewProposal::Add(valid(&dave))]);
    let messages = peers[0].commit(options);
    assert!(peers[0].group.pending_commit.as_ref().unwrap().path.is_none());

    deliver(&mut peers, 0, &messages.commit);
    peers[0].accepted();
    let dave = Peer::join(&messages.welcomes[0].message, &dave, Config::default(), 6);
    assert_eq!(dave.group.private_keys.len(), 1);

    peers.push(dave);
    agree(&peers);
    for place in [0, 3, 1] {
        commits(&mut peers, place, CommitOptions::default());
        agree(&peers);
    }
}

#[test]
fn clients_added_beside_removals_agree() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave", "eve"]);
    // Removing Eve halves the tree. Adding two clients doubles it again.
    let new = [key_package("fay", 41), key_package("gil", 42)];
    let mut proposals: Vec<_> = new.iter().map(|own| NewProposal::Add(valid(own))).collect();
    proposals.push(NewProposal::Remove(LeafIndex(4)));
    let options = CommitOptions { welcome_recipients: 1, ..commit_of(proposals) };
    peers.truncate(4);

    let messages = commits(&mut peers, 1, options);
    assert_eq!(messages.welcomes.len(), 2);
    for (own, welcome) in new.iter().zip(&messages.welcomes) {
        assert_eq!(welcome.recipients, [own.reference().clone()]);
        peers.push(Peer::join(&welcome.message, own, Config::default(), 30));
    }
    agree(&peers);

    commits(&mut peers, 5, CommitOptions::default());
    agree(&peers);

    // Another client's entry is useless.
    let other =
        WelcomeStage::open(&PROVIDER, Config::default(), &messages.welcomes[0].message, &new[1]);
    assert_eq!(rejection(other.unwrap_err()), Rejection::WelcomeNotForKeyPackage);
}

#[test]
fn a_client_that_joins_below_a_path_opens_the_next_path() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let eve = key_package("eve", 43);
    let proposals = vec![NewProposal::Remove(LeafIndex(1)), NewProposal::Add(valid(&eve))];
    let messages = commits(&mut peers, 0, commit_of(proposals));
    peers[1] = Peer::join(&messages.welcomes[0].message, &eve, Config::default(), 31);
    agree(&peers);
    // The path is encrypted to Eve with the key of the node above her and Alice.
    commits(&mut peers, 2, CommitOptions::default());
    agree(&peers);
}

fn external(
    peers: &[Peer],
    seed: u64,
    removes: Option<LeafIndex>,
) -> Result<(Peer, Vec<u8>), Error> {
    external_with(peers, seed, removes, &mut TestRng(seed + 1))
}

fn external_with(
    peers: &[Peer],
    seed: u64,
    removes: Option<LeafIndex>,
    rng: &mut dyn CryptoRng,
) -> Result<(Peer, Vec<u8>), Error> {
    let info = peers[0].group.group_info(&PROVIDER, ALL)?;
    let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let options = ExternalJoinOptions {
        leaf: leaf_params("newcomer"),
        signer: signer(&mut TestRng(seed)),
        replaces: removes,
        psks: Vec::new(),
        authenticated_data: Vec::new(),
        group_info: None,
    };

    let made = stage.commit(&PROVIDER, rng, &verdicts, options)?;
    Ok((Peer::settle(made.group, seed), made.commit))
}

#[test]
fn an_external_commit_can_replace_the_joiners_old_leaf() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    peers[1].commit(CommitOptions::default());
    let (new, commit) = external(&peers, 60, Some(LeafIndex(1))).unwrap();
    assert_eq!(new.group.own_leaf(), LeafIndex(1));
    assert!(peers[1].is_removed(&commit).external);
    assert!(peers[1].rows.is_empty());

    peers[1] = new;
    for place in [0, 2] {
        // The joiner is judged together with the member that it replaces.
        let received = peers[place].group.process(&PROVIDER, NOW, &commit).unwrap();
        let Received::Commit(stage) = received else { panic!("no commit") };
        let asked: Vec<_> = stage.credentials().iter().map(|r| r.replaces.clone()).collect();
        assert_eq!(asked, [Some(Credential::basic(b"bob"))]);
        let change = peers[place].follows(&commit);
        assert_eq!((change.added.len(), change.removed.len()), (1, 1));
    }
    agree(&peers);

    // The new member can commit.
    commits(&mut peers, 1, CommitOptions::default());
    agree(&peers);
}

/// Randomness with one draw from another source.
struct OneDrawOf {
    of: Vec<u8>,
    at: u32,
    rest: TestRng,
}

impl TryRng for OneDrawOf {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.rest.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.rest.try_next_u64()
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.rest.try_fill_bytes(to)?;
        if self.at == 0 && to.len() == self.of.len() {
            to.copy_from_slice(&self.of);
        }
        self.at = self.at.wrapping_sub(1);
        Ok(())
    }
}

impl TryCryptoRng for OneDrawOf {}

#[test]
fn an_external_commit_cannot_keep_the_removed_encryption_key() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let old = peers[1].group.tree().leaf(LeafIndex(1)).unwrap().encryption_key;

    // Bob's leaf key is the third draw for his key package: signature, init, leaf.
    let mut bobs = TestRng(100);
    let mut of = vec![0; 32];
    for _ in 0..3 {
        bobs.try_fill_bytes(&mut of).unwrap();
    }

    let mut kept = 0;
    for at in 0..6 {
        let mut rng = OneDrawOf { of: of.clone(), at, rest: TestRng(61) };
        let made = external_with(&peers, 60, Some(LeafIndex(1)), &mut rng);
        let (new, commit) = made.unwrap();
        if new.group.tree().leaf(LeafIndex(1)).unwrap().encryption_key == old {
            kept += 1;
            assert_eq!(rejection(peers[0].error(&commit)), Rejection::ExternalKeyUnchanged);
        } else {
            peers[0].process(&commit).unwrap();
        }
    }
    assert_eq!(kept, 1);
}

#[test]
fn an_external_commit_for_an_old_epoch_is_refused() {
    let mut peers = group_of(&["alice", "bob"]);
    let (_, commit) = external(&peers, 60, None).unwrap();
    commits(&mut peers, 0, CommitOptions::default());
    let wrong = Rejection::WrongEpoch { message: Epoch(1), current: Epoch(2) };
    assert_eq!(rejection(peers[1].error(&commit)), wrong);
}

#[test]
fn nobody_can_join_by_a_group_info_without_external_pub() {
    let peers = group_of(&["alice", "bob"]);
    let options = GroupInfoOptions { external_pub: false, ..ALL };
    let info = peers[0].group.group_info(&PROVIDER, options).unwrap();
    let failed = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap_err();
    assert_eq!(rejection(failed), Rejection::ExternalPubMissing);

    let options = GroupInfoOptions { ratchet_tree: false, ..ALL };
    let info = peers[0].group.group_info(&PROVIDER, options).unwrap();
    let failed = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap_err();
    assert_eq!(failed, Misuse::TreeMissing.into());

    let tree = peers[0].group.tree().to_extension_bytes().unwrap();
    ExternalJoinStage::open(&PROVIDER, Config::default(), &info, Some(&tree)).unwrap();
    let other = group_of(&["alice", "carol", "dave"]);
    let tree = other[0].group.tree().to_extension_bytes().unwrap();
    let failed =
        ExternalJoinStage::open(&PROVIDER, Config::default(), &info, Some(&tree)).unwrap_err();
    assert_eq!(rejection(failed), Rejection::TreeHash);
}

/// A new group that Alice creates, with key packages for these names.
fn successor(
    names: &[&str],
    params: (&[u8], Vec<Extension>),
    link: Option<Link>,
) -> Result<(Vec<OwnKeyPackage>, CommitMessages, Peer), Error> {
    let mut rng = TestRng(900);
    let params = GroupParams {
        group_id: params.0.into(),
        cipher_suite: SUITE,
        extensions: params.1,
        leaf: leaf_params("alice"),
        lifetime: LIFETIME,
    };

    let key = signer(&mut rng);
    let new = Group::create(&PROVIDER, &mut rng, Config::default(), params, key).unwrap();
    let mut founder = Peer::settle(new, 901);
    let owns: Vec<_> =
        names.iter().zip(910..).map(|(name, seed)| key_package(name, seed)).collect();
    let adds = owns.iter().map(|own| NewProposal::Add(valid(own))).collect();
    let step = founder.try_commit(CommitOptions { link, ..commit_of(adds) })?;

    let messages = founder.take(step);
    founder.accepted();
    Ok((owns, messages, founder))
}

#[test]
fn a_branch_must_fit_the_group_that_it_names() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let link = peers[0].group.branch_link().unwrap();
    let with = |names: &[&str]| successor(names, (b"branch", Vec::new()), Some(link.clone()));
    let mismatch = |result: Result<JoinStage, Error>| match rejection(result.unwrap_err()) {
        Rejection::LinkMismatch(what) => what,
        other => panic!("{other}"),
    };

    let (owns, messages, founder) = with(&["bob"]).unwrap();
    let welcome = &messages.welcomes[0].message;
    let bobs = peers[1].group.branch_link().unwrap();
    let joined = joins(welcome, &owns[0], Some(&bobs)).unwrap();
    assert_eq!(joined.context(), founder.group.context());

    // The link is missing, or of another group.
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &owns[0]).unwrap();
    assert_eq!(stage.linked_group(), Some(peers[0].group.group_id()));

    let missing = joins(welcome, &owns[0], None).unwrap_err();
    assert!(matches!(missing, Error::Misuse(Misuse::PskUnavailable(_))), "{missing}");
    let other = Peer::found_with("bob", Config::default(), b"another group");
    let others = other.group.branch_link().unwrap();
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &owns[0]).unwrap();
    let psks = [bobs.provided()];
    let failed = stage.join(&PROVIDER, &psks, None, Some(&others));
    assert_eq!(mismatch(failed), LinkFault::OtherLink);

    // The creator of a branch with a stranger fails at once.
    let failed = rejection(with(&["bob", "mallory"]).map(drop).unwrap_err());
    assert_eq!(failed, Rejection::LinkMismatch(LinkFault::Stranger));

    // A link that the Welcome does not ask for.
    let (owns, messages, _) = successor(&["bob"], (b"branch", Vec::new()), None).unwrap();
    let failed = joins(&messages.welcomes[0].message, &owns[0], Some(&bobs));
    assert_eq!(mismatch(failed), LinkFault::NoGroupNamed);
}

#[test]
fn a_successor_must_be_as_the_reinit_announced() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    assert!(matches!(peers[0].group.reinit_link(), Err(Error::Misuse(Misuse::NotPossible(_)))));
    let reinit = ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: custom_extensions(),
    };
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(reinit)]));

    let link = peers[0].group.reinit_link().unwrap();
    let bobs = peers[1].group.reinit_link().unwrap();
    let extensions = custom_extensions;
    for (names, id, extensions, wanted) in [
        (vec!["bob", "carol"], b"next", extensions(), None),
        (vec!["bob", "carol", "dave"], b"next", extensions(), None),
        (vec!["bob"], b"next", extensions(), Some(LinkFault::MemberMissing)),
        (vec!["bob", "carol"], b"else", extensions(), Some(LinkFault::AnnouncedGroupId)),
        (vec!["bob", "carol"], b"next", Vec::new(), Some(LinkFault::AnnouncedExtensions)),
    ] {
        let params = (id.as_slice(), extensions);
        match (successor(&names, params, Some(link.clone())), wanted) {
            (made, None) => {
                let (owns, messages, _) = made.unwrap();
                joins(&messages.welcomes[0].message, &owns[0], Some(&bobs)).unwrap();
            }
            // The creator fails at once.
            (made, Some(what)) => {
                let failed = rejection(made.map(drop).unwrap_err());
                assert_eq!(failed, Rejection::LinkMismatch(what));
            }
        }
    }
}

#[test]
fn a_linked_group_has_the_version_and_suite_its_link_says() {
    let mut peers = group_of(&["alice"]);
    let branch = peers[0].group.branch_link().unwrap();
    let announced = ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite(3),
        extensions: Vec::new(),
    };
    commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(announced)]));

    let successor = peers[0].group.reinit_link().unwrap();
    let tree = peers[0].group.tree();
    let alice = LeafIndex(0);
    for (link, suite, what) in [
        (branch, SUITE, LinkFault::VersionOrSuite),
        (successor, CipherSuite(3), LinkFault::AnnouncedVersionOrSuite),
    ] {
        let psk = PreSharedKeyId { psktype: link.psk_type(), psk_nonce: [1; 32].into() };
        let mut good = peers[0].group.context().clone();
        good.group_id = b"next".as_slice().into();
        good.epoch = Epoch(1);
        good.cipher_suite = suite;
        assert_eq!(link.check(&psk, &good, tree, alice), Ok(None));
        let mut version = good.clone();
        let mut cipher_suite = good;
        version.version = ProtocolVersion(2);
        cipher_suite.cipher_suite = CipherSuite(2);
        for bad in [version, cipher_suite] {
            let failed = link.check(&psk, &bad, tree, alice).unwrap_err();
            assert_eq!(rejection(failed), Rejection::LinkMismatch(what));
        }
    }
}

#[test]
fn only_a_groups_first_commit_can_link_it() {
    let mut peers = group_of(&["alice", "bob"]);
    let link = Some(peers[0].group.branch_link().unwrap());
    let failed = peers[0].try_commit(CommitOptions { link, ..CommitOptions::default() });
    assert!(matches!(failed, Err(Error::Misuse(Misuse::NotPossible(_)))));
}

#[test]
fn an_observer_follows_a_linked_group_from_its_first_commit() {
    let peers = group_of(&["alice", "bob"]);
    let mut founder = Peer::found_with("alice", Config::default(), b"branch");
    let info = founder.group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let mut observer = stage.resolve(&[Verdict::Accept]).unwrap();
    let link = Some(peers[0].group.branch_link().unwrap());
    let bob = key_package("bob", 33);

    let add = commit_of(vec![NewProposal::Add(valid(&bob))]);
    let commit = founder.commit(CommitOptions { link, ..add }).commit;
    founder.accepted();
    let stage = observer.process(&PROVIDER, &commit).unwrap();
    let step = stage.resolve(&observer, &PROVIDER, &vec![Verdict::Accept].into()).unwrap();
    let event = apply(&mut observer, step, |_| Ok::<_, Infallible>(())).unwrap();
    assert!(matches!(event, ObserverEvent::Epoch(_)));
    assert_eq!(observer.tree().tree_hash(), founder.group.tree().tree_hash());

    // Later commits cannot link the group.
    let late = founder.forge_commit(
        vec![conclave_wire::ProposalOrRef::Proposal(conclave_wire::Proposal::PreSharedKey(
            PreSharedKeyId {
                psktype: peers[0].group.branch_link().unwrap().psk_type(),
                psk_nonce: [1; 32].into(),
            },
        ))],
        &Framing::default(),
    );

    let failed = observer.process(&PROVIDER, &late).unwrap_err();
    assert_eq!(rejection(failed), Rejection::PskUsage);
}

#[test]
fn a_key_package_is_checked_and_judged_before_it_is_used() {
    let own = key_package("dave", 44);
    let config = Config::default();
    let check = |now, kp: &conclave_wire::KeyPackage| {
        ValidKeyPackage::check(&PROVIDER, now, &config, kp.clone())
    };
    let kp = own.key_package();
    let Lifetime { not_before, not_after } = LIFETIME;

    let earliest = not_before - config.clock_skew.as_secs();
    check(at(not_after), kp).unwrap();
    check(at(earliest), kp).unwrap();
    let failed = check(at(not_after + 1), kp).unwrap_err();
    assert_eq!(rejection(failed), Rejection::LifetimeExpired { not_after });

    let failed = check(at(earliest - 1), kp).unwrap_err();
    assert_eq!(rejection(failed), Rejection::LifetimeNotBegun { not_before });
    let stage = check(NOW, kp).unwrap();
    let refused = stage.resolve(Verdict::refuse("unknown")).unwrap_err();
    assert!(matches!(rejection(refused), Rejection::CredentialRefused { .. }));

    // A key package that others would refuse is not even made.
    let mut leaf = LeafParams::new(Credential::basic(b"x"), &[]);
    leaf.capabilities.credentials.clear();
    let params = crate::KeyPackageParams {
        cipher_suite: SUITE,
        leaf,
        lifetime: LIFETIME,
        extensions: Vec::new(),
        last_resort: false,
    };

    let mut rng = TestRng(3);
    let key = signer(&mut rng);
    let failed = OwnKeyPackage::generate(&PROVIDER, &mut rng, params, key).unwrap_err();
    assert!(matches!(rejection(failed), Rejection::LeafRule(_)));
}

#[test]
fn an_outsider_proposes_itself_to_the_target_it_is_given() {
    let mut peers = group_of(&["alice", "bob"]);
    commits(&mut peers, 1, CommitOptions::default());
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let observer = stage.resolve(&[Verdict::Accept, Verdict::Accept]).unwrap();
    let target = peers[0].group.external_target();
    assert_eq!(observer.external_target(), target);
    let knock = target.propose_self(&PROVIDER, NOW, &key_package("carol", 34)).unwrap();
    assert_eq!(peers[1].caches(&knock).sender, Sender::NewMemberProposal);
}

#[test]
fn a_removed_member_has_no_own_member() {
    let mut peers = group_of(&["alice", "bob"]);
    let bob = peers[0].group.member(peers[1].group.own_leaf());
    assert_eq!(peers[1].group.own_member(), bob);
    // Another client gets the leaf in the same commit.
    let add = NewProposal::Add(valid(&key_package("carol", 35)));
    let commit = peers[0].commit(commit_of(vec![NewProposal::Remove(LeafIndex(1)), add])).commit;
    peers[0].accepted();
    peers[1].is_removed(&commit);
    assert!(peers[0].group.member(LeafIndex(1)).is_some());
    assert_eq!(peers[1].group.own_member(), None);
}

#[test]
fn a_default_group_info_has_the_tree_and_no_external_pub() {
    let peers = group_of(&["alice", "bob"]);
    let info = peers[0].group.group_info(&PROVIDER, GroupInfoOptions::default()).unwrap();
    ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let refused = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap_err();
    assert_eq!(rejection(refused), Rejection::ExternalPubMissing);
}

#[test]
fn the_psk_of_a_link_does_not_stand_for_the_link() {
    let peers = group_of(&["alice", "bob"]);
    let link = peers[0].group.branch_link().unwrap();
    assert_eq!(link.group_id(), peers[0].group.group_id());
    let params = (b"branch".as_slice(), Vec::new());
    let (owns, messages, _) = successor(&["bob"], params, Some(link)).unwrap();
    let welcome = &messages.welcomes[0].message;
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &owns[0]).unwrap();
    // The PSK opens everything, but the members would not be checked against the old group.
    let psks = [peers[1].group.branch_link().unwrap().provided()];
    let failed = stage.join(&PROVIDER, &psks, None, None).unwrap_err();
    assert_eq!(failed, Misuse::LinkMissing.into());
}

#[test]
fn a_removed_member_gets_no_link() {
    let mut peers = group_of(&["alice", "bob"]);
    let removal = vec![NewProposal::Remove(LeafIndex(1))];
    let commit = peers[0].commit(commit_of(removal)).commit;
    peers[1].is_removed(&commit);
    for link in [peers[1].group.reinit_link(), peers[1].group.branch_link()] {
        assert_eq!(link.map(drop), Err(Misuse::Deleted.into()));
    }
}

#[test]
fn external_joins_take_only_a_group_info() {
    let mut peers = group_of(&["alice", "bob"]);
    let message = peers[0].say(b"hello");
    let failed = ExternalJoinStage::open(&PROVIDER, Config::default(), &message, None);
    assert_eq!(rejection(failed.unwrap_err()), Rejection::UnexpectedMessage);
    let failed = ObserverStage::open(&PROVIDER, Config::default(), &message, None);
    assert_eq!(rejection(failed.unwrap_err()), Rejection::UnexpectedMessage);
}

#[test]
fn external_joiners_and_observers_see_all_members() {
    let peers = group_of(&["alice", "bob", "carol"]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let members: Vec<_> = peers[1].group.members().collect();
    assert_eq!(members.len(), 3);
    assert!(stage.members().eq(members.iter().cloned()));
    let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    assert!(stage.resolve(&verdicts).unwrap().members().eq(members));
}

#[test]
fn an_outsider_proposes_itself_within_the_clock_skew() {
    let skew = Config::default().clock_skew;
    let later = NOW.saturating_add(skew.saturating_mul(2));
    let lifetime = Lifetime::starting_at(later, Duration::from_secs(1000));
    let params = crate::KeyPackageParams::new(SUITE, leaf_params("carol"), lifetime);
    let key = signer(&mut TestRng(1));
    let carol = OwnKeyPackage::generate(&PROVIDER, &mut TestRng(2), params, key).unwrap();
    let early = Error::from(Rejection::LifetimeNotBegun { not_before: later.as_secs() });
    let knocks = |target: &ExternalTarget| target.propose_self(&PROVIDER, NOW, &carol).map(drop);

    let mut peer = Peer::found_with("alice", Config::default(), b"a group");
    let target = peer.group.external_target();
    assert_eq!(knocks(&target), Err(early.clone()));
    let wide = skew.saturating_mul(2);
    assert_eq!(knocks(&target.clone().with_clock_skew(wide)), Ok(()));
    let narrow = wide.saturating_sub(Duration::from_secs(1));
    assert_eq!(knocks(&target.with_clock_skew(narrow)), Err(early));

    // A group's target has the group's setting.
    peer.group.public.config.clock_skew = wide;
    assert_eq!(knocks(&peer.group.external_target()), Ok(()));
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    let config = Config { clock_skew: wide, ..Config::default() };
    let stage = ObserverStage::open(&PROVIDER, config, &info, None).unwrap();
    let observer = stage.resolve(&[Verdict::Accept]).unwrap();
    assert_eq!(knocks(&observer.external_target()), Ok(()));
}

#[test]
fn an_outsider_cannot_propose_itself_in_another_suite() {
    let peers = group_of(&["alice"]);
    let mut target = peers[0].group.external_target();
    let own = key_package("bob", 5);
    target.propose_self(&PROVIDER, NOW, &own).unwrap();
    target.cipher_suite = CipherSuite(3);
    let failed = target.propose_self(&PROVIDER, NOW, &own).unwrap_err();
    assert!(matches!(failed, Error::Misuse(Misuse::NotPossible(_))), "{failed}");
}
