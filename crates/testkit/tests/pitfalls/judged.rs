//! No credential enters a group without the application's verdict, and a value is trusted only after
//! its check.

use conclave_framing::{Verified, VerifiedApplication, VerifiedCommit, VerifiedProposal};
use conclave_group::{
    Answers, CommitOptions, Config, CredentialRequest, CredentialSubject, Error,
    ExternalJoinOptions, ExternalJoinStage, Framing, Group, JoinStage, LeafUpdate, Misuse,
    NewProposal, Observer, ObserverStage, Received, Rejection, ValidKeyPackage, Verdict,
    WelcomeStage,
};
use conclave_testkit::SeededRng;
use conclave_testkit::party::*;
use conclave_tree::RatchetTree;
use conclave_wire::{
    AuthenticatedCommit, AuthenticatedContent, Credential, Decode, Extension, ExtensionType,
    ExternalSender, KeyPackage, LeafIndex, LeafNode, Proposal, RatchetTreeExtension, Sender,
};
use std::marker::PhantomData;

/// Resolves a stage with too few verdicts, with too many, with a refusal at each place, and last with
/// acceptance of all, which alone succeeds.
fn judged<T>(wanted: usize, resolve: impl Fn(&[Verdict]) -> Result<T, Error>) -> T {
    assert!(wanted > 0, "nothing is asked for");
    for given in (0..wanted).chain([wanted + 1]) {
        let failed = resolve(&vec![Verdict::Accept; given]).err();
        assert_eq!(failed, Some(Misuse::VerdictCount { wanted, given }.into()));
    }

    for place in 0..wanted {
        let mut verdicts = vec![Verdict::Accept; wanted];
        verdicts[place] = Verdict::refuse("a stranger");
        match resolve(&verdicts).err() {
            Some(Error::Rejected(Rejection::CredentialRefused { reason, .. })) => {
                assert_eq!(&*reason, "a stranger");
            }
            other => panic!("{other:?}"),
        }
    }
    resolve(&vec![Verdict::Accept; wanted]).unwrap_or_else(|e| panic!("{e}"))
}

fn names(credentials: &[CredentialRequest]) -> Vec<String> {
    let name = |r: &CredentialRequest| r.credential.identity().unwrap().to_vec();
    credentials.iter().map(|r| String::from_utf8(name(r)).unwrap()).collect()
}

/// Checks that a message has an effect on a member and an observer only if all credentials are
/// accepted. Returns the names that it asks for.
fn message_is_judged(peer: &Peer, observer: &Observer, message: &[u8]) -> Vec<String> {
    let process = || peer.group.process(&PROVIDER, NOW, message).unwrap();
    let asked = match process() {
        Received::Proposal(stage) => names(stage.credentials()),
        Received::Commit(stage) => names(stage.credentials()),
        other => panic!("{other:?}"),
    };
    judged(asked.len(), |verdicts| {
        let resolved = match process() {
            Received::Proposal(stage) => stage.resolve(&peer.group, verdicts).map(drop),
            Received::Commit(stage) => {
                let answers = Answers { verdicts: verdicts.to_vec(), ..Answers::default() };
                stage.resolve(&peer.group, &PROVIDER, NOW, &answers).map(drop)
            }
            other => panic!("{other:?}"),
        };
        resolved.map_err(|refused| refused.error)
    });

    let observe = || observer.process(&PROVIDER, message).unwrap();
    assert_eq!(names(observe().credentials()), asked);
    drop(judged(asked.len(), |verdicts| {
        observe().resolve(observer, &PROVIDER, &verdicts.to_vec().into())
    }));
    asked
}

fn external_senders(name: &[u8]) -> NewProposal {
    let signature_key = signer(SUITE, 61).public;
    let credential = Credential::basic(name);
    let list = vec![ExternalSender { signature_key, credential }];
    let kind = ExtensionType::EXTERNAL_SENDERS;
    NewProposal::GroupContextExtensions(vec![Extension::new(kind, &list).unwrap()])
}

#[test]
fn no_credential_enters_a_group_without_a_verdict() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let observer = watch(&peers[0].group_info());
    let dave = key_package("dave", 60);

    // A key package, before it is used.
    let check = || {
        let kp = dave.key_package().clone();
        ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp).unwrap()
    };
    assert!(check().resolve(Verdict::refuse("a stranger")).is_err());
    assert_eq!(check().credential().credential.identity(), Some(b"dave".as_slice()));

    // Proposals, as messages and in a commit, and the committer's own new leaf.
    let rotated =
        |name| Some(LeafUpdate { params: leaf_params(name, SUITE), signer: signer(SUITE, 62) });
    let public = Framing::default();
    let message = peers[0].propose(add(&dave), &public);
    assert_eq!(message_is_judged(&peers[1], &observer, &message), ["dave"]);
    let message = peers[0].propose(external_senders(b"a service"), &public);
    assert_eq!(message_is_judged(&peers[1], &observer, &message), ["a service"]);
    let message = peers[2].propose_update(rotated("carol the second"), &public);
    assert_eq!(message_is_judged(&peers[1], &observer, &message), ["carol the second"]);
    let options = CommitOptions {
        received: false,
        leaf: rotated("alice the second"),
        ..commit_of(vec![add(&dave), external_senders(b"a service")])
    };
    let messages = peers[0].commit(options).unwrap();
    let asked = message_is_judged(&peers[1], &observer, &messages.commit);
    assert_eq!(asked, ["dave", "a service", "alice the second"]);

    // A newcomer judges all members, and is judged.
    let welcome = &messages.welcomes[0].message;
    let join = || -> JoinStage {
        let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, &dave).unwrap();
        stage.join(&PROVIDER, &[], None, None).unwrap()
    };
    let asked = names(join().credentials());
    assert_eq!(asked, ["alice the second", "bob", "carol", "a service"]);
    drop(judged(asked.len(), |verdicts| join().resolve(verdicts)));

    let info = peers[1].group_info();
    let outside = || ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    assert_eq!(names(outside().credentials()), ["alice", "bob", "carol"]);
    let joined = judged(3, |verdicts| {
        let options = ExternalJoinOptions::new(leaf_params("eve", SUITE), signer(SUITE, 63));
        let rng = &mut SeededRng::from_u64(1);
        outside().commit(&PROVIDER, rng, verdicts, options)
    });
    assert_eq!(message_is_judged(&peers[1], &observer, &joined.commit), ["eve"]);
    let watch = || ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    drop(judged(3, |verdicts| watch().resolve(verdicts)));
}

#[test]
fn a_changed_identity_is_judged_beside_the_old_one() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mallory =
        || Some(LeafUpdate { params: leaf_params("bob", SUITE), signer: signer(SUITE, 64) });
    let update = peers[2].propose_update(mallory(), &Framing::default());
    let leaf = mallory();
    let options = CommitOptions { received: false, leaf, ..CommitOptions::default() };
    let path = peers[2].commit(options).unwrap().commit;
    let info = peers[0].group_info();
    let leaf = leaf_params("bob", SUITE);
    let (_, resync) = Peer::join_from_outside(&info, leaf, Some(LeafIndex(2)), 65).unwrap();

    for (message, subject) in [
        (update, CredentialSubject::Member(LeafIndex(2))),
        (path, CredentialSubject::Member(LeafIndex(2))),
        (resync, CredentialSubject::ExternalReplacement(LeafIndex(2))),
    ] {
        let credentials = match peers[0].group.process(&PROVIDER, NOW, &message).unwrap() {
            Received::Proposal(stage) => stage.credentials().to_vec(),
            Received::Commit(stage) => stage.credentials().to_vec(),
            other => panic!("{other:?}"),
        };
        let [request] = &credentials[..] else { panic!("{credentials:?}") };
        assert_eq!(request.subject, subject);
        assert_eq!(request.credential.identity(), Some(b"bob".as_slice()));
        let replaced = request.replaces.as_ref().and_then(|old| old.identity());
        assert_eq!(replaced, Some(b"carol".as_slice()), "{subject:?}");
    }
}

#[test]
fn a_commit_shows_its_effects_before_it_has_any() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let message = peers[2].propose(NewProposal::Remove(LeafIndex(3)), &Framing::default());
    deliver(&mut peers, 2, &message);
    let eve = key_package("eve", 66);
    let commit = peers[0].commit(commit_of(vec![add(&eve)])).unwrap().commit;
    let Received::Commit(stage) = peers[1].group.process(&PROVIDER, NOW, &commit).unwrap() else {
        panic!("no commit")
    };
    assert_eq!(stage.sender(), Sender::Member(LeafIndex(0)));
    let done: Vec<_> = stage.proposals().collect();
    let [(carol, Proposal::Remove(LeafIndex(3))), (alice, Proposal::Add(_))] = done[..] else {
        panic!("{done:?}")
    };
    assert_eq!((carol, alice), (Sender::Member(LeafIndex(2)), Sender::Member(LeafIndex(0))));
    assert!(stage.removes().eq([LeafIndex(3)]));

    // A refusal by policy is final, and changes nothing.
    let refused = stage.refuse(&peers[1].group, "carol may not remove");
    assert!(matches!(refused.error, Error::Rejected(Rejection::RefusedByPolicy { .. })));
    peers[1].check();
}

/// Probes whether a type can be made without a check.
struct Made<T>(PhantomData<T>);

impl<T: Decode> Made<T> {
    const BY_DECODING: bool = true;
}
trait NotByDecoding {
    const BY_DECODING: bool = false;
}
impl<T> NotByDecoding for Made<T> {}

struct Conversion<T, F>(PhantomData<(T, F)>);

impl<T: From<F>, F> Conversion<T, F> {
    const CONVERTED: bool = true;
}
trait NotConverted {
    const CONVERTED: bool = false;
}
impl<T, F> NotConverted for Conversion<T, F> {}

struct Of<T>(PhantomData<T>);

impl<T: Default> Of<T> {
    const NOTHING: bool = true;
}
trait NotOfNothing {
    const NOTHING: bool = false;
}
impl<T> NotOfNothing for Of<T> {}

#[test]
fn a_verified_type_comes_from_its_check_alone() {
    // The probes notice a type that can be made.
    const { assert!(Made::<KeyPackage>::BY_DECODING && Of::<Config>::NOTHING) };
    const { assert!(Conversion::<Error, Rejection>::CONVERTED) };
    let found = [
        Made::<ValidKeyPackage>::BY_DECODING,
        Made::<Verified>::BY_DECODING,
        Made::<VerifiedProposal>::BY_DECODING,
        Made::<VerifiedCommit>::BY_DECODING,
        Made::<VerifiedApplication>::BY_DECODING,
        Made::<RatchetTree>::BY_DECODING,
        Made::<Group>::BY_DECODING,
        Made::<Observer>::BY_DECODING,
        Conversion::<ValidKeyPackage, KeyPackage>::CONVERTED,
        Conversion::<Verified, AuthenticatedContent>::CONVERTED,
        Conversion::<VerifiedCommit, AuthenticatedCommit>::CONVERTED,
        Conversion::<VerifiedProposal, Proposal>::CONVERTED,
        Conversion::<RatchetTree, RatchetTreeExtension>::CONVERTED,
        Conversion::<RatchetTree, LeafNode>::CONVERTED,
        Of::<ValidKeyPackage>::NOTHING,
        Of::<Verified>::NOTHING,
        Of::<VerifiedProposal>::NOTHING,
        Of::<VerifiedCommit>::NOTHING,
        Of::<VerifiedApplication>::NOTHING,
        Of::<RatchetTree>::NOTHING,
    ];
    assert!(!found.contains(&true), "{found:?}");
}
