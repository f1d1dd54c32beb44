//! Messages as networks deliver them: out of order, twice, after the group has moved on, so late
//! that their keys are gone, and damaged. What is refused changes nothing.

use crate::common::{CRYPTO, Directory, Result, now, rng};
use crate::member::{agree, group_of};
use conclave_mls::error::Rejection;
use conclave_mls::group::{CommitOptions, Framing, Padding};
use conclave_mls::{Config, Epoch, Error, Event, Received};

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [mut alice, mut bob] = group_of(["alice", "bob"], &mut directory)?;

    // A message: encrypted, padded so that its length tells little, with data that the delivery
    // service can read and cannot change.
    let framing = Framing {
        padding: Padding::Padme,
        authenticated_data: b"priority: low".to_vec(),
        ..Framing::default()
    };
    let step = alice.group.encrypt(&CRYPTO, &mut rng(), b"one", &framing)?;
    let one = alice.take(step)?;
    let two = alice.encrypt("two")?;
    let three = alice.encrypt("three")?;

    // The last comes first. The keys of the others are kept until they come, up to the limits of
    // `Limits::ratchet`.
    let step = match bob.group.process(&CRYPTO, now(), &three) {
        Ok(Received::Application(step)) => step,
        other => return Err(format!("no application message: {other:?}").into()),
    };
    let read = bob.take(step)?;
    assert_eq!((read.data.as_slice(), read.generation), (b"three".as_slice(), 2));
    let Some(Event::Application(read)) = bob.receive(&one, &directory)? else {
        return Err("a text".into());
    };
    assert_eq!(&*read.authenticated_data, b"priority: low");
    println!("bob reads 'three' before 'one', from leaf {}", read.sender.index.0);

    // Bob does not get his own messages back, should the service echo them.
    let own = bob.encrypt("hello myself")?;
    assert!(matches!(bob.group.process(&CRYPTO, now(), &own), Ok(Received::Known)));

    // A second copy: the key was deleted when the first was read, on disk too.
    let Err(refused) = bob.group.process(&CRYPTO, now(), &three) else {
        return Err("a replay was accepted".into());
    };
    println!("a second copy is refused: {refused}");

    // A damaged copy does not use up the key of the good one.
    let mut damaged = two.clone();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    let before = bob.rows.clone();
    let Err(refused) = bob.group.process(&CRYPTO, now(), &damaged) else {
        return Err("a damaged message was accepted".into());
    };
    // Only of a message that opens and is refused all the same the key has to go (section 9.2):
    // then this is a step to be applied like any other.
    assert!(refused.key_deletion.is_none());
    println!("a damaged copy is refused: {refused}");
    assert_eq!(bob.rows, before);

    // The group moves on; 'two' is still under way. Past epochs are kept for that.
    for _ in 0..Config::default().limits.past_epochs {
        let messages = bob.commit(CommitOptions::default())?;
        bob.accepted()?;
        alice.receive(&messages.commit, &directory)?;
    }
    agree(&[&alice, &bob])?;
    let Some(Event::Application(read)) = bob.receive(&two, &directory)? else {
        return Err("a late text".into());
    };
    println!("in epoch {} bob reads 'two' of epoch {}", bob.group.epoch(), read.epoch);
    assert_eq!((read.epoch, read.data.as_slice()), (Epoch(1), b"two".as_slice()));

    // Later than that, the epoch's keys are gone for good: that is forward secrecy.
    let four = alice.encrypt("four")?;
    for _ in 0..=Config::default().limits.past_epochs {
        let messages = bob.commit(CommitOptions::default())?;
        bob.accepted()?;
        alice.receive(&messages.commit, &directory)?;
    }
    let Err(refused) = bob.group.process(&CRYPTO, now(), &four) else {
        return Err("a message of a forgotten epoch was read".into());
    };
    println!("too late: {refused}");
    assert!(matches!(refused.error, Error::Rejected(Rejection::WrongEpoch { .. })));
    Ok(())
}
