//! Alice creates a group and adds Bob, who joins by a Welcome. Both judge each other's credential;
//! there is no way around that. Somebody who only says that he is Bob is not let in.

use crate::common::{CRYPTO, Directory, Result, Rows, SUITE, leaf, lifetime, new_signer, now, rng};
use conclave_mls::error::Rejection;
use conclave_mls::group::{CommitOptions, GroupParams, NewProposal};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage, ValidKeyPackage};
use conclave_mls::storage::Batch;
use conclave_mls::{Config, Epoch, Error, Group, apply};
use std::convert::Infallible;

/// The write of an application with a database. Here it is a map.
fn write(rows: &mut Rows, batch: &Batch) -> std::result::Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

pub(crate) fn run() -> Result {
    let (mut directory, mut rng) = (Directory::default(), rng());

    // Bob makes a key package. He stores its private keys before he publishes it.
    let params = KeyPackageParams::new(SUITE, leaf("bob"), lifetime());
    let signer = directory.register("bob", SUITE)?;
    let own = OwnKeyPackage::generate(&CRYPTO, &mut rng, params.clone(), signer)?;
    let mut stored_key_package = Some(own.to_secret()?);
    let published = own.key_package().clone();
    println!("bob publishes a key package of {} bytes", own.encoded().len());

    // Alice creates the group; she is its only member, in epoch 0.
    let group_id = b"friends".as_slice().into();
    let params_of_group = GroupParams::new(group_id, SUITE, leaf("alice"), lifetime());
    let signer = directory.register("alice", SUITE)?;
    let mut alices_rows = Rows::new();
    let new = Group::create(&CRYPTO, &mut rng, Config::default(), params_of_group, signer)?;
    let mut alice = new.store(|batch| write(&mut alices_rows, batch))?;

    // Mallory publishes a key package with Bob's name. It is valid, but the key is not Bob's.
    let mallory = OwnKeyPackage::generate(&CRYPTO, &mut rng, params, new_signer(SUITE)?)?;
    let key_package = mallory.key_package().clone();
    let stage = ValidKeyPackage::check(&CRYPTO, now(), &Config::default(), key_package)?;
    let verdict = directory.judge(stage.credential());
    let Err(refused) = stage.resolve(verdict) else { return Err("mallory was let in".into()) };
    println!("alice refuses mallory: {refused}");
    assert!(matches!(refused, Error::Rejected(Rejection::CredentialRefused { .. })));

    // The real Bob is accepted. Only a ValidKeyPackage can be added.
    let stage = ValidKeyPackage::check(&CRYPTO, now(), &Config::default(), published)?;
    let verdict = directory.judge(stage.credential());
    let bob = stage.resolve(verdict)?;
    let proposals = vec![NewProposal::Add(Box::new(bob))];
    let options = CommitOptions { proposals, ..CommitOptions::default() };
    let step = alice.commit(&CRYPTO, &mut rng, now(), options)?;
    let messages = apply(&mut alice, step, |w| write(&mut alices_rows, w.batch))?;
    assert_eq!(alice.epoch(), Epoch(0), "the commit is pending");

    // The delivery service accepts the commit. Only now Alice moves on and the Welcome may go out.
    let step = alice.commit_accepted(&CRYPTO, now(), &messages.id)?;
    let change = apply(&mut alice, step, |w| write(&mut alices_rows, w.batch))?;
    println!("alice is in epoch {}, {} client was added", change.epoch, change.added.len());

    // Bob opens the Welcome with the private keys that he stored, and judges all members.
    let stored = stored_key_package.as_ref().ok_or("the key package is stored")?;
    let own = OwnKeyPackage::from_secret(&CRYPTO, stored)?;
    let welcome = messages.welcomes.first().ok_or("a Welcome for bob")?;
    assert_eq!(welcome.recipients, [own.reference().clone()]);
    let stage = WelcomeStage::open(&CRYPTO, Config::default(), &welcome.message, &own)?;
    let join = stage.join(&CRYPTO, &[], None, None)?;
    let verdicts = directory.judge_all(join.credentials());
    println!("bob judges {} other member(s)", verdicts.len());

    // The group is stored and the key package deleted in one write: it serves once.
    let mut bobs_rows = Rows::new();
    let bob = join.resolve(&verdicts)?.store(|batch| {
        stored_key_package = None;
        write(&mut bobs_rows, batch)
    })?;
    assert!(stored_key_package.is_none());
    assert_eq!(bob.members().count(), 2);
    // Equal for equal views of the group; people can compare it by other means.
    assert_eq!(alice.epoch_authenticator()?, bob.epoch_authenticator()?);
    // A secret for another protocol (a call, say) that all members of this epoch share.
    let exported = alice.export(&CRYPTO, b"call", b"", 32)?;
    assert_eq!(exported, bob.export(&CRYPTO, b"call", b"", 32)?);
    println!("alice and bob are in one epoch and share a secret");
    Ok(())
}
