//! No delivery service that orders commits: members follow what reaches them first, and their branches part.
//! Once they have seen the same messages, each goes back to a checkpoint and follows the commits that a rule
//! chooses, its own among them.

use crate::common::{CRYPTO, Directory, Result};
use crate::member::{Member, agree, group_with};
use conclave_mls::group::CommitOptions;
use conclave_mls::limits::Limits;
use conclave_mls::{Config, Epoch, Event};
use std::collections::BTreeMap;

/// The commits that a member has seen, by digest. All members come to have the same.
type Seen = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes a commit and goes on with it at once: there is nobody to ask.
fn commit(member: &mut Member, seen: &mut Seen) -> Result {
    let messages = member.commit(CommitOptions { force_path: true, ..CommitOptions::default() })?;
    member.accepted()?;
    seen.insert(messages.id.0.into_vec(), messages.commit);
    Ok(())
}

/// The rule: from the checkpoint on, each epoch ends with the commit of the lowest digest of those that fit.
fn converge(member: &mut Member, base: Epoch, seen: &Seen, directory: &Directory) -> Result {
    let step = member.group.rewind(&CRYPTO, base)?;
    member.take(step)?;
    let mut follows = |commit: &Vec<u8>| {
        // A commit of another epoch or branch is refused, and changes nothing.
        let received = member.receive(commit, directory);
        matches!(received, Ok(Some(Event::Epoch(_))))
    };
    while seen.values().any(&mut follows) {}
    println!("{} is in epoch {}", member.name, member.group.epoch());
    Ok(())
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let limits = Limits { checkpoints: 1, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let mut members = group_with(&config, ["alice", "bob", "carol"], &mut directory)?;

    // A checkpoint where all agree. As long as it is there, what is said can be read by anybody who gets at
    // the disk.
    let base = members[0].group.epoch();
    for member in &mut members {
        let step = member.group.checkpoint()?;
        member.take(step)?;
    }

    // The network falls apart: alice commits twice, bob once; each hears only itself.
    let [alice, bob, carol] = &mut members;
    let mut seen = Seen::new();
    commit(alice, &mut seen)?;
    alice.encrypt("is anybody there?")?;
    commit(alice, &mut seen)?;
    commit(bob, &mut seen)?;
    assert_ne!(alice.group.epoch_authenticator()?, bob.group.epoch_authenticator()?);

    // It comes together: all have all three commits, and members on another branch leave it.
    for member in [&mut *alice, &mut *bob, &mut *carol] {
        *member = member.restarted(&config)?;
        converge(member, base, &seen, &directory)?;
    }
    agree(&[alice, bob, carol])?;

    // Alice has used no key again, so members who heard her before can hear her now.
    let hello = alice.encrypt("there you are")?;
    assert_eq!(bob.read(&hello, &directory)?, "there you are");
    assert_eq!(carol.read(&hello, &directory)?, "there you are");

    // Nothing older can win any more: forward secrecy begins again.
    for member in [alice, bob, carol] {
        let step = member.group.drop_checkpoint(base)?;
        member.take(step)?;
        assert_eq!(member.group.checkpoints().count(), 0);
    }
    Ok(())
}
