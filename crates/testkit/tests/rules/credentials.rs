//! The application is asked for every credential that is new to a group (section 5.3.1).

use super::scene::*;
use conclave_group::{
    Answers, CommitOptions, Config, CredentialRequest, CredentialSubject, ExternalJoinOptions,
    ExternalJoinStage, JoinStage, LeafUpdate, NewProposal, ObserverStage, Received, Rejection,
    Verdict, WelcomeStage,
};
use conclave_testkit::accepting;
use conclave_wire::{Content, Credential, LeafIndex, Proposal};

/// The credentials that a valid message asks for, at members and observers alike. Refusing them by
/// verdict changes nothing.
fn asked(scene: &Scene, message: &[u8]) -> Vec<CredentialRequest> {
    let refusals = |n: usize| vec![Verdict::refuse("a stranger"); n];
    let judge = &scene.judges[0];
    let before = judge.rows().unwrap();

    let (requests, error) = match judge.process(&PROVIDER, NOW, message).unwrap() {
        Received::Proposal(stage) => {
            let requests = stage.credentials().to_vec();
            let verdicts = refusals(requests.len());
            (requests, stage.resolve(judge, &verdicts).unwrap_err().error)
        }
        Received::Commit(stage) => {
            let requests = stage.credentials().to_vec();
            let answers = Answers { verdicts: refusals(requests.len()), ..Answers::default() };
            (requests, stage.resolve(judge, &PROVIDER, NOW, &answers).unwrap_err().error)
        }
        other => panic!("{other:?}"),
    };
    let refused = |subject| Rejection::CredentialRefused { subject, reason: "a stranger".into() };
    assert_eq!(rejection(error), refused(requests[0].subject));
    assert_eq!(judge.rows().unwrap(), before);

    let before = scene.observer.rows().unwrap();
    let stage = scene.observer.process(&PROVIDER, message).unwrap();
    assert_eq!(stage.credentials(), requests);
    let failed =
        stage.resolve(&scene.observer, &PROVIDER, &refusals(requests.len()).into()).unwrap_err();
    assert_eq!(rejection(failed), refused(requests[0].subject));
    assert_eq!(scene.observer.rows().unwrap(), before);
    requests
}

fn rotated(name: &str, seed: u64) -> Option<LeafUpdate> {
    Some(LeafUpdate { params: leaf_params(name), signer: signer(seed) })
}

#[test]
fn a_new_members_credential_is_asked_for_in_proposals_and_commits() {
    let mut scene = Scene::new();
    let frank = key_package("frank", 40);
    let proposal = scene.insider.public(&PROVIDER, Content::Proposal(add(&frank)));
    let commit = commits(&mut scene.alice, commit_of(vec![new_add(&frank)])).commit;

    for message in [proposal, commit] {
        let requests = asked(&scene, &message);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].subject, CredentialSubject::NewMember);
        assert_eq!(requests[0].credential, Credential::basic(b"frank"));
        assert_eq!(requests[0].signature_key, frank.signer().public);
    }
}

#[test]
fn a_changed_credential_is_asked_for_beside_the_replaced_one() {
    let mut scene = Scene::new();
    let change = rotated("alice the second", 71);
    let step = scene.alice.propose_update(&PROVIDER, &mut rng(70), change, &clear()).unwrap();
    let update = take_unstored(&mut scene.alice, step).message;
    let step = scene.alice.discard_proposals().unwrap();
    take_unstored(&mut scene.alice, step);

    let leaf = rotated("alice the second", 72);
    let options = CommitOptions { leaf, ..CommitOptions::default() };
    let commit = commits(&mut scene.alice, options).commit;

    for message in [update, commit] {
        let requests = asked(&scene, &message);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].subject, CredentialSubject::Member(LeafIndex(0)));
        assert_eq!(requests[0].credential, Credential::basic(b"alice the second"));
        assert_eq!(requests[0].replaces, Some(Credential::basic(b"alice")));
    }
}

#[test]
fn external_senders_are_asked_for_when_they_are_new() {
    let mut scene = Scene::new();
    let second = signer(90);
    let both = external_senders(&[&scene.service, &second]);
    let proposal = Proposal::GroupContextExtensions(both.clone());
    let proposal = scene.insider.public(&PROVIDER, Content::Proposal(proposal));
    let changed = commit_of(vec![NewProposal::GroupContextExtensions(both)]);
    let commit = commits(&mut scene.alice, changed).commit;

    for message in [proposal, commit] {
        let requests = asked(&scene, &message);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].subject, CredentialSubject::ExternalSender(1));
        assert_eq!(requests[0].signature_key, second.public);
    }
}

#[test]
fn an_external_joiners_credential_is_asked_for_beside_the_replaced_one() {
    let scene = Scene::new();
    let info = scene.alice.group_info(&PROVIDER, ALL).unwrap();
    use CredentialSubject::{ExternalJoiner, ExternalReplacement};
    for (replaces, subject, replaced) in [
        (None, ExternalJoiner, None),
        (Some(EVE), ExternalReplacement(EVE), Some(Credential::basic(b"eve"))),
    ] {
        let options = ExternalJoinOptions {
            replaces,
            ..ExternalJoinOptions::new(leaf_params("eve again"), signer(90))
        };
        let rng = &mut rng(91);
        let config = Config::default();
        let made =
            accepting::join_from_outside(&PROVIDER, rng, config, &info, None, options).unwrap();

        let requests = asked(&scene, &made.commit);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].subject, subject);
        assert_eq!(requests[0].credential, Credential::basic(b"eve again"));
        assert_eq!(requests[0].replaces, replaced);
    }
}

#[test]
fn a_newcomer_is_asked_about_all_members_and_external_senders() {
    let mut scene = Scene::new();
    let info = scene.alice.group_info(&PROVIDER, ALL).unwrap();
    let names = |requests: &[CredentialRequest]| -> Vec<Vec<u8>> {
        requests.iter().map(|r| r.credential.identity().unwrap().to_vec()).collect()
    };
    let members = ["alice", "bob", "carol", "dave", "eve", "the service"];
    let members = members.map(|name| name.as_bytes().to_vec());

    let outside = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    assert_eq!(names(outside.credentials()), members);
    let watch = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    assert_eq!(names(watch.credentials()), members);

    let refused = |mut verdicts: Vec<Verdict>| {
        *verdicts.last_mut().unwrap() = Verdict::refuse("a stranger");
        let watch = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        rejection(watch.resolve(&verdicts).unwrap_err())
    };
    let subject = CredentialSubject::ExternalSender(0);
    let wanted = Rejection::CredentialRefused { subject, reason: "a stranger".into() };
    assert_eq!(refused(vec![Verdict::Accept; members.len()]), wanted);

    // By Welcome: all but the newcomer itself.
    let frank = key_package("frank", 40);
    let welcome = commits(&mut scene.alice, commit_of(vec![new_add(&frank)])).welcomes.remove(0);
    let join = || -> JoinStage {
        let stage =
            WelcomeStage::open(&PROVIDER, Config::default(), &welcome.message, &frank).unwrap();
        stage.join(&PROVIDER, &[], None, None).unwrap()
    };
    let mut asked = names(join().credentials());
    asked.sort();
    let mut expected = members.to_vec();
    expected.sort();
    assert_eq!(asked, expected);

    let mut verdicts = vec![Verdict::Accept; members.len()];
    verdicts[2] = Verdict::refuse("a stranger");
    let refused = rejection(join().resolve(&verdicts).unwrap_err());
    assert!(matches!(refused, Rejection::CredentialRefused { .. }));
}
