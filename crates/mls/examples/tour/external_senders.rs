//! Proposals from outside the group: a moderation service that the group lists as an external
//! sender proposes to remove somebody, and a newcomer proposes to add herself. Members decide, and
//! commit.

use crate::common::{CRYPTO, Directory, Result, SUITE, key_package, new_signer, now};
use crate::member::{Member, agree};
use conclave_mls::credential::ExternalSender;
use conclave_mls::group::{
    CommitMessages, CommitOptions, Extension, ExtensionType, Proposal, Status,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::OwnKeyPackage;
use conclave_mls::{Config, Credential};

/// Commits what was proposed and lets the others follow.
fn commit(by: &mut Member, others: &mut [&mut Member], d: &Directory) -> Result<CommitMessages> {
    let messages = by.commit(CommitOptions::default())?;
    by.accepted()?;
    for other in others {
        other.receive(&messages.commit, d)?;
    }
    Ok(messages)
}

fn join(name: &str, own: &OwnKeyPackage, by: &CommitMessages, d: &Directory) -> Result<Member> {
    let welcome = by.welcomes.first().ok_or("a Welcome")?;
    let stage = WelcomeStage::open(&CRYPTO, Config::default(), &welcome.message, own)?;
    let join = stage.join(&CRYPTO, &[], None, None)?;
    let verdicts = d.judge_all(join.credentials());
    Member::store(name, join.resolve(&verdicts)?)
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();

    // Alice's group lists the service. Whoever joins judges its credential like a member's.
    let service = directory.register("moderation", SUITE)?;
    let senders = vec![ExternalSender {
        signature_key: service.public.clone(),
        credential: Credential::basic(b"moderation"),
    }];
    let extensions = vec![Extension::new(ExtensionType::EXTERNAL_SENDERS, &senders)?];
    let config = Config::default();
    let mut alice = Member::create("alice", b"moderated", extensions, &config, &mut directory)?;

    // Bob knocks: he proposes to add himself. What he has to know of the group (its identifier,
    // epoch and suite), a service that observes it can tell him. Alice judges his credential, and
    // commits.
    let bobs = key_package("bob", directory.register("bob", SUITE)?)?;
    let knock = alice.group.external_target().propose_self(&CRYPTO, now(), &bobs)?;
    alice.receive(&knock, &directory)?;
    let messages = commit(&mut alice, &mut [], &directory)?;
    let mut bob = join("bob", &bobs, &messages, &directory)?;
    println!("bob knocked and was let in");

    // The service proposes to add Carol: the same, signed by the service.
    let carols = key_package("carol", directory.register("carol", SUITE)?)?;
    let add = Proposal::Add(Box::new(carols.key_package().clone()));
    let proposal = alice.group.external_target().propose(&CRYPTO, 0, &service, add)?;
    for member in [&mut alice, &mut bob] {
        member.receive(&proposal, &directory)?;
    }
    let messages = commit(&mut bob, &mut [&mut alice], &directory)?;
    let mut carol = join("carol", &carols, &messages, &directory)?;
    agree(&[&alice, &bob, &carol])?;
    println!("the service proposed carol, bob committed it");

    // Somebody who only claims to be the service is refused.
    let remove = Proposal::Remove(carol.group.own_leaf());
    let forged =
        alice.group.external_target().propose(&CRYPTO, 0, &new_signer(SUITE)?, remove.clone())?;
    let Err(refused) = alice.receive(&forged, &directory) else {
        return Err("a forged proposal was taken".into());
    };
    println!("a forged proposal: {refused}");

    // The service proposes to remove Carol. It takes effect only when a member commits it.
    let proposal = alice.group.external_target().propose(&CRYPTO, 0, &service, remove)?;
    for member in [&mut alice, &mut bob, &mut carol] {
        member.receive(&proposal, &directory)?;
    }
    commit(&mut alice, &mut [&mut bob, &mut carol], &directory)?;
    agree(&[&alice, &bob])?;
    // For Carol the group is over; all her rows of it are deleted.
    assert_eq!(carol.group.status(), Status::Deleted);
    assert!(carol.rows.is_empty() && carol.encrypt("but").is_err());
    println!("the service proposed to remove carol, alice committed it");
    Ok(())
}
