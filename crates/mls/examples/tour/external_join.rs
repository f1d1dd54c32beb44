//! Carol joins without an invitation, by an external commit to a GroupInfo that a member has
//! published. Then Bob loses his state and joins again in place of his old self ("resync").

use crate::common::{CRYPTO, Directory, Result, SUITE, leaf, rng};
use crate::member::{Member, agree, group_of};
use conclave_mls::crypto::SignatureKeyPair;
use conclave_mls::group::LeafIndex;
use conclave_mls::join::{
    ExternalCommit, ExternalJoinOptions, ExternalJoinStage, GroupInfoOptions,
};
use conclave_mls::{Config, Credential, Event};

/// Joins a group from outside: the commit is sent to the delivery service, and the group is stored
/// only when the service has accepted it.
fn join(
    name: &str,
    signer: SignatureKeyPair,
    group_info: &[u8],
    resync: bool,
    directory: &Directory,
) -> Result<(ExternalCommit, Option<LeafIndex>)> {
    let stage = ExternalJoinStage::open(&CRYPTO, Config::default(), group_info, None)?;
    // Nobody vouches for a GroupInfo but a member's signature: judge who is in there.
    let verdicts = directory.judge_all(stage.credentials());
    let own = Credential::basic(name.as_bytes());
    let old = stage.members().find(|member| resync && member.credential == own);
    let replaces = old.map(|member| member.index);
    let options = ExternalJoinOptions {
        replaces,
        // For the next one who comes.
        group_info: Some(GroupInfoOptions { ratchet_tree: true, external_pub: true }),
        ..ExternalJoinOptions::new(leaf(name), signer)
    };
    let joined = stage.commit(&CRYPTO, &mut rng(), &verdicts, options)?;
    Ok((joined, replaces))
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [mut alice, mut bob] = group_of(["alice", "bob"], &mut directory)?;

    // A GroupInfo without `external_pub` lets nobody in: publishing the key is a decision.
    let info = alice.group.group_info(&CRYPTO, GroupInfoOptions::default())?;
    let Err(refused) = ExternalJoinStage::open(&CRYPTO, Config::default(), &info, None) else {
        return Err("a closed group was opened".into());
    };
    println!("a closed group: {refused}");

    let open = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = alice.group.group_info(&CRYPTO, open)?;
    let signer = directory.register("carol", SUITE)?;
    let (joined, _) = join("carol", signer, &info, false, &directory)?;
    // The delivery service accepts the commit: the members follow, and Carol stores her group. Had
    // it come too late, she would drop `joined` and try again with a newer GroupInfo.
    for member in [&mut alice, &mut bob] {
        let event = member.receive(&joined.commit, &directory)?;
        let Some(Event::Epoch(change)) = event else { return Err("a new epoch".into()) };
        assert!(change.external);
    }
    let mut carol = Member::store("carol", joined.group)?;
    agree(&[&alice, &bob, &carol])?;
    println!("carol joined by herself in epoch {}", carol.group.epoch());

    // Bob's disk dies. He has a new key pair that the directory knows, and takes his own place.
    drop(bob);
    let signer = directory.register("bob", SUITE)?;
    let info = joined.group_info.ok_or("carol made a GroupInfo")?;
    let (joined, old) = join("bob", signer, &info, true, &directory)?;
    let event = alice.receive(&joined.commit, &directory)?;
    let Some(Event::Epoch(change)) = event else { return Err("a new epoch".into()) };
    carol.receive(&joined.commit, &directory)?;
    let mut bob = Member::store("bob", joined.group)?;
    agree(&[&alice, &bob, &carol])?;
    assert_eq!(change.removed.first().map(|member| member.index), old);
    assert_eq!(bob.group.members().count(), 3);
    println!("bob is back in epoch {}, his old self is gone", bob.group.epoch());

    let message = alice.encrypt("welcome back")?;
    assert_eq!(bob.read(&message, &directory)?, "welcome back");
    Ok(())
}
