//! Our own key packages, and checks of others'.

use super::fixture::{
    CUSTOM, LIFETIME, NOW, PROVIDER, Peer, SUITE, TestRng, at, key_package, leaf_params, rejection,
    signer, valid,
};
use crate::{
    Config, Error, GroupInfoOptions, KeyPackageParams, OwnKeyPackage, Rejection, ValidKeyPackage,
    Verdict, key_package_from_message,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{Encode, Extension, ExtensionType, Lifetime};

#[test]
fn the_parts_of_a_key_package_must_belong_together() {
    let own = key_package("alice", 1);
    let other = key_package("alice", 2);
    let parts = |p: &OwnKeyPackage| {
        [&p.init_key().0, &p.leaf_key().0, &p.signer().private].map(Clone::clone)
    };
    let assemble = |[init, leaf, signature]: [Secret; 3]| {
        OwnKeyPackage::from_parts(&PROVIDER, own.key_package().clone(), init, leaf, signature)
    };

    let again = assemble(parts(&own)).unwrap();
    assert_eq!(again.reference(), own.reference());
    assert_eq!(again.encoded(), own.key_package().to_bytes().unwrap());
    assert_eq!(again.to_secret().unwrap(), own.to_secret().unwrap());
    for foreign in 0..3 {
        let mut mixed = parts(&own);
        mixed[foreign] = parts(&other)[foreign].clone();
        assert!(assemble(mixed).is_err(), "{foreign}");
    }
}

#[test]
fn a_key_package_is_published_as_an_mls_message() {
    let own = key_package("alice", 1);
    let message = own.message().unwrap();
    assert_eq!(key_package_from_message(&message).as_ref(), Ok(own.key_package()));

    // A bare KeyPackage, a cut message and one with trailing bytes are malformed.
    for bytes in [own.encoded(), &message[..message.len() - 1], &[&message[..], &[0]].concat()] {
        let failed = key_package_from_message(bytes);
        assert!(matches!(failed, Err(Error::Malformed(_))), "{failed:?}");
    }

    // Another kind of message is not a key package.
    let mut peer = Peer::found_with("alice", Config::default(), b"a group");
    let info = peer.group.group_info(&PROVIDER, GroupInfoOptions::default()).unwrap();
    for message in [peer.say(b"hello"), info] {
        let failed = key_package_from_message(&message).unwrap_err();
        assert_eq!(rejection(failed), Rejection::UnexpectedMessage);
    }
}

#[test]
fn a_new_key_package_lists_each_non_default_extension_once() {
    let mut rng = TestRng(3);
    let other = ExtensionType(0xf0a0);
    let extension = |extension_type| Extension { extension_type, extension_data: vec![1].into() };
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: leaf_params("alice"),
        lifetime: LIFETIME,
        extensions: [CUSTOM, other, ExtensionType::APPLICATION_ID].map(extension).into(),
        last_resort: true,
    };

    let key = signer(&mut rng);
    let own = OwnKeyPackage::generate(&PROVIDER, &mut rng, params, key).unwrap();
    let kp = own.key_package();
    assert!(kp.extensions.iter().any(|e| e.extension_type == ExtensionType::LAST_RESORT));

    let listed = &kp.leaf_node.capabilities.extensions;
    let times = |wanted| listed.iter().filter(|t| **t == wanted).count();
    assert_eq!([CUSTOM, other, ExtensionType::LAST_RESORT].map(times), [1, 1, 1]);
    assert_eq!(times(ExtensionType::APPLICATION_ID), 0);
}

#[test]
fn a_batch_of_key_packages_is_checked_as_each_is_alone() {
    let config = Config::default();
    let good = [1, 2, 3].map(|seed| key_package("alice", seed).key_package().clone());

    // More key packages than one batch of signatures.
    let list: Vec<_> = good.iter().cycle().take(2200).cloned().collect();
    let staged = ValidKeyPackage::check_many(&PROVIDER, NOW, &config, list.clone()).unwrap();
    assert_eq!(staged.len(), list.len());
    for (kp, stage) in good.iter().zip(staged) {
        let alone = ValidKeyPackage::check(&PROVIDER, NOW, &config, kp.clone()).unwrap();
        assert_eq!(alone.credential(), stage.credential());
        assert_eq!(alone.resolve(Verdict::Accept), stage.resolve(Verdict::Accept));
    }
    for place in [0, 1023, 1024, 2047, 2199] {
        for damage in 0..4 {
            let mut list = list.clone();
            let kp = &mut list[place];
            match damage {
                0 => kp.signature = vec![0; 64].into(),
                1 => kp.leaf_node.signature = vec![0; 64].into(),
                2 => kp.init_key = kp.leaf_node.encryption_key.clone(),
                _ => kp.cipher_suite.0 = 0x7777,
            }
            let alone = ValidKeyPackage::check(&PROVIDER, NOW, &config, kp.clone()).unwrap_err();
            let (named, error) =
                ValidKeyPackage::check_many(&PROVIDER, NOW, &config, list).unwrap_err();
            assert_eq!((named, error), (place, alone), "damage {damage}");
        }
    }

    let mut rng = TestRng(4);
    let not_after = NOW.as_secs() + 1;
    let lifetime = Lifetime { not_after, ..LIFETIME };
    let params = KeyPackageParams::new(SUITE, leaf_params("alice"), lifetime);
    let key = signer(&mut rng);
    let short = OwnKeyPackage::generate(&PROVIDER, &mut rng, params, key).unwrap();
    let list = vec![good[0].clone(), short.key_package().clone()];

    let expired = Error::Rejected(Rejection::LifetimeExpired { not_after });
    let late = ValidKeyPackage::check_many(&PROVIDER, at(not_after + 1), &config, list);
    assert_eq!(late.unwrap_err(), (1, expired));
}

#[test]
fn a_last_resort_key_package_is_marked_once() {
    let generate = |extensions| {
        let mut rng = TestRng(3);
        let params = KeyPackageParams {
            last_resort: true,
            extensions,
            ..KeyPackageParams::new(SUITE, leaf_params("alice"), LIFETIME)
        };
        let key = signer(&mut rng);
        OwnKeyPackage::generate(&PROVIDER, &mut rng, params, key)
    };

    let own = generate(vec![]).unwrap();
    assert!(own.key_package().is_last_resort());
    assert_eq!(valid(&own).reference(), own.reference());

    let extension_type = ExtensionType::LAST_RESORT;
    let extension_data = vec![].into();
    let twice = generate(vec![Extension { extension_type, extension_data }]).unwrap_err();
    assert_eq!(rejection(twice), Rejection::DuplicateExtension(ExtensionType::LAST_RESORT));
}
