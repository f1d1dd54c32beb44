//! The native provider: by the kit for all providers, beside the portable one, and beside another
//! implementation of HPKE.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod differential;
mod other_hpke;

use conclave_crypto::{CryptoProvider, Suites};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_provider_test::{Area, Kit, check};
use std::fmt::Debug;

#[test]
fn the_native_provider_conforms() {
    check(&AwsLc::with_threads(2).with_suites(Suites::CONCLAVE));
}

#[test]
fn batches_conform_on_any_number_of_threads() {
    for threads in [1, 7] {
        Kit::new(&AwsLc::with_threads(threads)).areas(&[Area::Batches]).run().assert();
    }
}

/// Both providers. The native one may use two threads.
fn providers() -> [Box<dyn CryptoProvider>; 2] {
    let native = AwsLc::with_threads(2).with_suites(Suites::CONCLAVE);
    [Box::new(native), Box::new(RustCrypto::new().with_suites(Suites::CONCLAVE))]
}

/// The result of an operation, which must be the same with both providers.
fn same<R: PartialEq + Debug>(operation: impl Fn(&dyn CryptoProvider) -> R) -> R {
    let [native, portable] = providers().map(|p| operation(&*p));
    assert_eq!(native, portable);
    native
}
