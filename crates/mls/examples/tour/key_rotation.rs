//! Members renew their keys: the encryption key in any commit, the signature key and credential
//! when the application says so. Whoever receives that judges the new credential against the one
//! that it replaces: here, a name must stay.

use crate::common::{CRYPTO, Directory, Result, SUITE, leaf, rng};
use crate::member::{agree, group_of};
use conclave_mls::Event;
use conclave_mls::group::{CommitOptions, Framing, LeafUpdate};

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [mut alice, mut bob] = group_of(["alice", "bob"], &mut directory)?;

    // An empty commit renews the path: whoever had stolen Alice's keys is locked out again.
    let messages = alice.commit(CommitOptions::default())?;
    alice.accepted()?;
    bob.receive(&messages.commit, &directory)?;
    println!("alice has renewed her encryption keys: epoch {}", alice.group.epoch());

    // A new signature key, by a commit. The directory knows it before the group sees it.
    let under_way = alice.encrypt("signed with the old key")?;
    let old = alice.group.own_member().ok_or("alice is a member")?;
    let signer = directory.register("alice", SUITE)?;
    let update = LeafUpdate { params: leaf("alice"), signer };
    let options = CommitOptions { leaf: Some(update), ..CommitOptions::default() };
    let messages = alice.commit(options)?;
    alice.accepted()?;
    bob.receive(&messages.commit, &directory)?;
    agree(&[&alice, &bob])?;
    let new = alice.group.own_member().ok_or("alice is a member")?;
    assert_ne!(old.signature_key, new.signature_key);
    println!("alice has a new signature key: epoch {}", alice.group.epoch());
    // A late message is verified by the key, and shown with the credential, of its own epoch.
    let Some(Event::Application(read)) = bob.receive(&under_way, &directory)? else {
        return Err("a late text".into());
    };
    assert_eq!(read.sender, old);
    let message = alice.encrypt("signed with the new key")?;
    assert_eq!(bob.read(&message, &directory)?, "signed with the new key");

    // The same by a proposal, which somebody else commits. Until then the old key is in use.
    let signer = directory.register("bob", SUITE)?;
    let update = Some(LeafUpdate { params: leaf("bob"), signer });
    let step = bob.group.propose_update(&CRYPTO, &mut rng(), update, &Framing::default())?;
    let proposal = bob.take(step)?;
    alice.receive(&proposal.message, &directory)?;
    // No application data while a proposal waits: it is to take effect soon (section 12.4).
    assert!(matches!(alice.encrypt("not now"), Err(e) if e.to_string().contains("proposals")));
    let messages = alice.commit(CommitOptions::default())?;
    alice.accepted()?;
    let event = bob.receive(&messages.commit, &directory)?;
    let Some(Event::Epoch(change)) = event else { return Err("a new epoch".into()) };
    assert_eq!(change.updated.len(), 1);
    agree(&[&alice, &bob])?;
    println!("bob has a new signature key: epoch {}", bob.group.epoch());

    // Bob tries to become "alice", with a key that belongs to her as far as the directory knows.
    let signer = directory.register("alice", SUITE)?;
    let update = LeafUpdate { params: leaf("alice"), signer };
    let options = CommitOptions { leaf: Some(update), ..CommitOptions::default() };
    let messages = bob.commit(options)?;
    let before = alice.rows.clone();
    let Err(refused) = alice.receive(&messages.commit, &directory) else {
        return Err("bob took alice's name".into());
    };
    println!("alice refuses: {refused}");
    assert_eq!(alice.rows, before);
    // A service that judges by the same rules refuses it for all; then Bob is back as well.
    let step = bob.group.commit_rejected(&messages.id)?;
    bob.take(step)?;
    agree(&[&alice, &bob])?;
    Ok(())
}
