//! Pre-shared keys, mixed into an epoch's secrets: one that the application knows from elsewhere
//! (a code that people exchanged, a post-quantum exchange), and the resumption PSK of a past
//! epoch, which proves that one was a member then.

use crate::common::{CRYPTO, Directory, Result, now, rng};
use crate::member::{Member, agree, group_of};
use conclave_mls::crypto::Secret;
use conclave_mls::group::Committed;
use conclave_mls::group::{Answers, CommitOptions, NewProposal, PskType};
use conclave_mls::wire::Bytes;
use conclave_mls::{Epoch, Received};

/// Receives a commit and gives it these PSKs.
fn follow(
    member: &mut Member,
    commit: &[u8],
    psks: &[(PskType, Secret)],
    directory: &Directory,
) -> Result<Committed> {
    let stage = match member.group.process(&CRYPTO, now(), commit) {
        Ok(Received::Commit(stage)) => stage,
        other => return Err(format!("not a commit: {other:?}").into()),
    };
    // `stage.psks()` names the PSKs to look up; here the caller did.
    assert_eq!(stage.psks().len(), 1);
    let verdicts = directory.judge_all(stage.credentials());
    let answers = Answers { verdicts, psks: psks.to_vec(), ..Answers::default() };
    match stage.resolve(&member.group, &CRYPTO, now(), &answers) {
        Ok(step) => member.take(step),
        Err(refused) => Err(member.refuse(refused)?.into()),
    }
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [mut alice, mut bob] = group_of(["alice", "bob"], &mut directory)?;

    // Alice and Bob met and exchanged a secret. Its name is not secret and goes into the commit.
    let psk_id = Bytes::from(b"from the cafe".as_slice());
    let external = PskType::External { psk_id: psk_id.clone() };
    let secret = Secret::random(32, &mut rng());
    let options = CommitOptions {
        proposals: vec![NewProposal::ExternalPsk { psk_id }],
        psks: vec![(external.clone(), secret.clone())],
        ..CommitOptions::default()
    };
    let messages = alice.commit(options)?;
    alice.accepted()?;

    // Without the PSK Bob cannot follow; nothing happened, he can ask for it and try again.
    let Err(missing) = follow(&mut bob, &messages.commit, &[], &directory) else {
        return Err("bob followed without the PSK".into());
    };
    println!("without the PSK: {missing}");
    // With a wrong one the new epoch's confirmation tag does not match.
    let wrong = [(external.clone(), Secret::random(32, &mut rng()))];
    let Err(refused) = follow(&mut bob, &messages.commit, &wrong, &directory) else {
        return Err("bob followed with a wrong PSK".into());
    };
    println!("with a wrong PSK: {refused}");
    follow(&mut bob, &messages.commit, &[(external, secret)], &directory)?;
    agree(&[&alice, &bob])?;
    println!("with the PSK bob is in epoch {}", bob.group.epoch());

    // The resumption PSK of an earlier epoch of this group. Both still have it, so that nobody
    // has to provide anything.
    let epoch = Epoch(bob.group.epoch().0 - 1);
    assert!(bob.group.resumption_psk(epoch).is_some());
    let group_id = bob.group.group_id().clone();
    let proposals = vec![NewProposal::ResumptionPsk { group_id, epoch }];
    let messages = bob.commit(CommitOptions { proposals, ..CommitOptions::default() })?;
    bob.accepted()?;
    follow(&mut alice, &messages.commit, &[], &directory)?;
    agree(&[&alice, &bob])?;
    println!("the PSK of epoch {epoch} is mixed into epoch {}", alice.group.epoch());
    Ok(())
}
