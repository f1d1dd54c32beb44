//! Alice and Carol, two of three members, open a group of their own that is bound to the first:
//! who joins it can be sure that all in it are members of the first group.

use crate::common::{CRYPTO, Directory, Result, SUITE, key_package, now, rng};
use crate::member::{Member, agree, group_of};
use conclave_mls::error::Rejection;
use conclave_mls::group::{CommitOptions, Framing, NewProposal};
use conclave_mls::join::WelcomeStage;
use conclave_mls::{Config, Error};

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [alice, bob, carol] = group_of(["alice", "bob", "carol"], &mut directory)?;

    // A branch has its own identifier, and the version and suite of its origin.
    let mut side =
        Member::create("alice", b"a side group", Vec::new(), &Config::default(), &mut directory)?;
    let own = key_package("carol", directory.register("carol", SUITE)?)?;
    let add = NewProposal::Add(Box::new(directory.valid(own.key_package())?));
    let options = CommitOptions {
        proposals: vec![add],
        link: Some(alice.group.branch_link()?),
        ..CommitOptions::default()
    };
    let messages = side.commit(options)?;
    side.accepted()?;

    // Carol is told by the Welcome which group it branches off, and needs her own link to it.
    let welcome = messages.welcomes.first().ok_or("a Welcome for carol")?;
    let stage = WelcomeStage::open(&CRYPTO, Config::default(), &welcome.message, &own)?;
    let origin = stage.linked_group().ok_or("the Welcome names the origin")?;
    assert_eq!(origin, carol.group.group_id());
    let link = carol.group.link_for(&stage)?;
    let join = stage.join(&CRYPTO, &[], None, Some(&link))?;
    // Everybody in it has the credential of a member of the first group: there is nobody to match.
    assert_eq!(join.unmatched(), None);
    let verdicts = directory.judge_all(join.credentials());
    let carol_aside = Member::store("carol", join.resolve(&verdicts)?)?;
    agree(&[&side, &carol_aside])?;
    println!("alice and carol have a side group of {} members", side.group.members().count());

    // The first group is as it was, and open.
    let step = bob.group.encrypt(&CRYPTO, &mut rng(), b"all", &Framing::default())?;
    assert!(!step.batch().rows.is_empty());
    agree(&[&alice, &bob, &carol])?;

    // Somebody who is not in the first group cannot be brought into a branch of it: Alice is told at
    // once, and Carol would refuse to join.
    let false_side =
        Member::create("alice", b"another", Vec::new(), &Config::default(), &mut directory)?;
    let mut proposals = Vec::new();
    for name in ["carol", "dave"] {
        let own = key_package(name, directory.register(name, SUITE)?)?;
        proposals.push(NewProposal::Add(Box::new(directory.valid(own.key_package())?)));
    }
    let link = Some(alice.group.branch_link()?);
    let options = CommitOptions { proposals, link, ..CommitOptions::default() };
    let Err(refused) = false_side.group.commit(&CRYPTO, &mut rng(), now(), options) else {
        return Err("a branch with a stranger".into());
    };
    println!("a branch with a stranger is refused: {refused}");
    assert!(matches!(refused, Error::Rejected(Rejection::LinkMismatch(_))));
    Ok(())
}
