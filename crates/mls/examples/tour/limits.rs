//! Bounds on what others can make grow: messages, trees, lists, and the keys that are kept for what
//! comes late. They stand in `Config::limits`; what is over one is refused and changes nothing.

use crate::common::{Directory, Result, SUITE, key_package};
use crate::member::{Member, agree, group_with};
use conclave_mls::error::Rejection;
use conclave_mls::group::{CommitOptions, NewProposal};
use conclave_mls::limits::{Limit, Limits, RatchetLimits};
use conclave_mls::{Config, Error};

/// The limit that a refusal names.
fn limit_of<T>(step: Result<T>) -> Result<Limit> {
    let Err(error) = step else { return Err("nothing was over a limit".into()) };
    println!("refused: {error}");
    match error.downcast_ref::<Error>() {
        Some(Error::Rejected(Rejection::OverLimit { limit, .. })) => Ok(*limit),
        _ => Err(error),
    }
}

fn add(name: &str, directory: &mut Directory) -> Result<CommitOptions> {
    let own = key_package(name, directory.register(name, SUITE)?)?;
    let proposals = vec![NewProposal::Add(Box::new(directory.valid(own.key_package())?))];
    Ok(CommitOptions { proposals, ..CommitOptions::default() })
}

fn commits(by: &mut Member, other: &mut Member, directory: &Directory) -> Result {
    let messages = by.commit(CommitOptions::default())?;
    by.accepted()?;
    other.receive(&messages.commit, directory)?;
    agree(&[by, other])
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    // Small ones, for the example. All members of a group should have the same: a member that
    // refuses a commit which the others accept is parted from the group.
    let limits = Limits {
        tree_leaves: 2,
        message_bytes: 4096,
        past_epochs: 1,
        ratchet: RatchetLimits { max_forward: 10, max_skipped: 5, ..RatchetLimits::default() },
        ..Limits::default()
    };
    let config = Config { limits, ..Config::default() };
    let [mut alice, mut bob] = group_with(&config, ["alice", "bob"], &mut directory)?;

    // A third member needs a tree of four leaves. Alice's own client does not make such a commit.
    let third = add("carol", &mut directory)?;
    assert_eq!(limit_of(alice.commit(third.clone()))?, Limit::TreeLeaves);
    // Had hers no such limit, bob's would refuse it.
    let mut rebuilt = alice.restarted(&Config::default())?;
    let messages = rebuilt.commit(third)?;
    let before = bob.rows.clone();
    assert_eq!(limit_of(bob.receive(&messages.commit, &directory))?, Limit::TreeLeaves);

    // A message that is too long is not even decoded.
    let long = rebuilt.encrypt(&"x".repeat(5000))?;
    assert_eq!(limit_of(bob.receive(&long, &directory))?, Limit::MessageBytes);
    assert_eq!(bob.rows, before);

    // Nobody makes Bob derive keys without end: ten messages may be missing, eleven not.
    let mut messages = Vec::new();
    for n in 0..=11 {
        messages.push(alice.encrypt(&format!("message {n}"))?);
    }
    let [first, .., tenth_ahead, eleventh_ahead] = messages.as_slice() else {
        return Err("twelve messages".into());
    };
    let Err(error) = bob.receive(eleventh_ahead, &directory) else {
        return Err("bob skipped eleven messages".into());
    };
    println!("refused: {error}");
    assert_eq!(bob.read(tenth_ahead, &directory)?, "message 10");
    // Nor keep keys without end: those of the last five that he skipped.
    let Err(error) = bob.receive(first, &directory) else {
        return Err("bob kept the key of the first message".into());
    };
    println!("refused: {error}");
    let kept = messages.get(5).ok_or("the sixth message")?;
    assert_eq!(bob.read(kept, &directory)?, "message 5");

    // One past epoch is kept for what is under way: the next but one is too late.
    let late = alice.encrypt("late")?;
    commits(&mut bob, &mut alice, &directory)?;
    let too_late = late.clone();
    assert_eq!(bob.read(&late, &directory)?, "late");
    let unread = alice.encrypt("unread")?;
    commits(&mut bob, &mut alice, &directory)?;
    commits(&mut bob, &mut alice, &directory)?;
    for message in [&too_late, &unread] {
        assert!(bob.receive(message, &directory).is_err());
    }
    println!("what is two epochs late is gone");
    Ok(())
}
