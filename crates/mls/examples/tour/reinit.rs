//! Alice closes the group, to continue with another cipher suite. Bob opens the successor and adds
//! everybody; that it is the successor is proved by a secret of the old group.

use crate::common::{CRYPTO, Directory, Result, key_package_for, leaf, lifetime, now, rng};
use crate::member::{Member, agree, group_of};
use conclave_mls::group::{
    CommitOptions, GroupParams, NewProposal, ProtocolVersion, ReInit, Status,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::{CipherSuite, Config, Group};

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [mut alice, mut bob, mut carol] = group_of(["alice", "bob", "carol"], &mut directory)?;

    // The commit says what the successor is to be: everybody can check it.
    let reinit = ReInit {
        group_id: b"the successor".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: CipherSuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
        extensions: Vec::new(),
    };
    let proposals = vec![NewProposal::ReInit(reinit)];
    let messages = alice.commit(CommitOptions { proposals, ..CommitOptions::default() })?;
    alice.accepted()?;
    for member in [&mut bob, &mut carol] {
        member.receive(&messages.commit, &directory)?;
        assert_eq!(member.group.status(), Status::Reinitialized);
    }
    let Err(closed) = bob.encrypt("too late") else { return Err("the group is open".into()) };
    println!("epoch {} is the last: {closed}", bob.group.epoch());

    // Whoever comes first creates the successor as announced. New keys: the suite is another one.
    let announced = bob.group.reinit().ok_or("it was closed by a ReInit")?.clone();
    let suite = announced.cipher_suite;
    let mut packages = Vec::new();
    for name in ["alice", "carol"] {
        let own = key_package_for(suite, name, directory.register(name, suite)?)?;
        packages.push((name, own));
    }
    let params = GroupParams {
        extensions: announced.extensions,
        ..GroupParams::new(announced.group_id, suite, leaf("bob"), lifetime())
    };
    let signer = directory.register("bob", suite)?;
    let new = Group::create(&CRYPTO, &mut rng(), Config::default(), params, signer)?;
    let mut successor = Member::store("bob", new)?;

    // Its first commit adds all members and carries the link to the old group.
    let mut proposals = Vec::new();
    for (_, own) in &packages {
        proposals.push(NewProposal::Add(Box::new(directory.valid(own.key_package())?)));
    }
    let link = Some(bob.group.reinit_link()?);
    let options = CommitOptions { proposals, link, ..CommitOptions::default() };
    let messages = successor.commit(options)?;
    let step = successor.group.commit_accepted(&CRYPTO, now(), &messages.id)?;
    successor.take(step)?;

    // Everybody joins with the link of their own state of the old group, which checks that the
    // new group is the announced one and that nobody was left out.
    let welcome = messages.welcomes.first().ok_or("a Welcome")?;
    for ((name, own), old) in packages.iter().zip([&alice, &carol]) {
        let stage = WelcomeStage::open(&CRYPTO, Config::default(), &welcome.message, own)?;
        assert_eq!(stage.linked_group(), Some(old.group.group_id()));
        let link = old.group.link_for(&stage)?;
        let join = stage.join(&CRYPTO, &[], None, Some(&link))?;
        let verdicts = directory.judge_all(join.credentials());
        let joined = Member::store(name, join.resolve(&verdicts)?)?;
        agree(&[&successor, &joined])?;
        println!("{name} is in the successor, with {:?}", joined.group.cipher_suite());
    }
    // Now the old group's rows can be deleted: `Batch { clear: true, .. }`.
    Ok(())
}
