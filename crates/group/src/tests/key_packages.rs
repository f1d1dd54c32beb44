//! Key packages of one's own.

use super::fixture::{
    CUSTOM, LIFETIME, PROVIDER, SUITE, TestRng, key_package, leaf_params, signer,
};
use crate::{KeyPackageParams, OwnKeyPackage};
use alloc::vec;
use conclave_crypto::Secret;
use conclave_wire::{Encode, Extension, ExtensionType};

#[test]
fn the_parts_of_a_key_package_must_belong_together() {
    let (own, other) = (key_package("alice", 1), key_package("alice", 2));
    let parts =
        |p: &OwnKeyPackage| [&p.init_key.0, &p.leaf_key.0, &p.signer.private].map(Clone::clone);
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
fn a_new_key_package_lists_its_extensions_once_and_only_those_that_are_not_default() {
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
