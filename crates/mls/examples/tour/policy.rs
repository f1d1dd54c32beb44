//! Who may do what. The protocol lets every member do everything; an application's rules stand in
//! `Config::policy`, which judges what is sent and what is received alike. Here: only Alice, the
//! admin, changes who is in the group; the others may renew their keys; nobody changes names.

use crate::common::{Directory, Result, SUITE, leaf};
use crate::member::{Member, agree, group_with};
use conclave_mls::error::Rejection;
use conclave_mls::group::{CommitOptions, LeafUpdate, NewProposal, ProposalType};
use conclave_mls::policy::{Action, Actor, Permission, Rules};
use conclave_mls::{Config, Credential, Error};
use std::sync::Arc;

/// The rules. `Rules` are ready-made; anything else is an `impl Policy`, as in `custom_proposal`.
fn rules() -> Rules {
    let admins = || Actor::Credentials(vec![Credential::basic(b"alice")]);
    let all = |actor| Permission { actor, action: Action::Everything };
    // Updates, and commits that only renew keys: an empty list of types would leave just those.
    let own_keys =
        || Permission { actor: Actor::Members, action: Action::Types(vec![ProposalType::UPDATE]) };
    Rules {
        propose: vec![all(admins()), own_keys()],
        commit: vec![all(admins()), own_keys()],
        // A leaf keeps its credential, whatever an authentication service would say.
        keep_identity: true,
        ..Rules::default()
    }
}

/// What a policy says to a step that it refuses.
fn refused<T>(step: Result<T>, what: &str) -> Result {
    let Err(error) = step else { return Err(format!("{what}: nobody minded").into()) };
    match error.downcast_ref::<Error>() {
        Some(Error::Rejected(Rejection::RefusedByPolicy { .. })) => println!("{what}: {error}"),
        _ => return Err(error),
    }
    Ok(())
}

fn remove(member: &Member) -> CommitOptions {
    let proposals = vec![NewProposal::Remove(member.group.own_leaf())];
    CommitOptions { proposals, ..CommitOptions::default() }
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let config = Config { policy: Arc::new(rules()), ..Config::default() };
    let people = ["alice", "bob", "carol"];
    let [mut alice, mut bob, mut carol] = group_with(&config, people, &mut directory)?;

    // Bob's own client does not even make the commit: no message, no change of state.
    let before = bob.rows.clone();
    refused(bob.commit(remove(&carol)), "bob removes carol")?;
    assert_eq!(bob.rows, before);

    // He may renew his keys.
    let messages = bob.commit(CommitOptions::default())?;
    bob.accepted()?;
    for member in [&mut alice, &mut carol] {
        member.receive(&messages.commit, &directory)?;
    }
    agree(&[&alice, &bob, &carol])?;
    println!("bob renewed his keys: epoch {}", bob.group.epoch());

    // And he may change his signature key, but not his name, were it known to the directory.
    let signer = directory.register("robert", SUITE)?;
    let change = LeafUpdate { params: leaf("robert"), signer };
    let options = CommitOptions { leaf: Some(change), ..CommitOptions::default() };
    refused(bob.commit(options), "bob becomes robert")?;

    // A configuration is not stored, but the policy's name is: a client that is started without the
    // rules does not load the group.
    let Err(forgot) = bob.restarted(&Config::default()) else { return Err("it loads".into()) };
    println!("bob's client forgets the rules: {forgot}");

    // Bob builds a client that has none on purpose. All others refuse what it makes, and a service
    // that observes the group with the same policy would not even deliver it.
    let lawless = Config { adopt_policy: true, ..Config::default() };
    let mut rebuilt = bob.restarted(&lawless)?;
    let messages = rebuilt.commit(remove(&carol))?;
    for member in [&mut alice, &mut carol] {
        let answer = member.receive(&messages.commit, &directory);
        refused(answer, &format!("bob removes carol by force, at {}", member.name))?;
    }
    agree(&[&alice, &carol])?;

    // Alice may.
    let messages = alice.commit(remove(&carol))?;
    alice.accepted()?;
    bob.receive(&messages.commit, &directory)?;
    carol.receive(&messages.commit, &directory)?;
    agree(&[&alice, &bob])?;
    assert_eq!(carol.group.own_member(), None);
    println!("alice removed carol: epoch {}", alice.group.epoch());
    Ok(())
}
