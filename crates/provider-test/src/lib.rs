//! A conformance kit for crypto providers: known answers, hostile inputs, one rule for signatures.
//!
//! Run it from a test of the crate that implements [`CryptoProvider`]:
//!
//! ```no_run
//! # use conclave_provider_rustcrypto::RustCrypto as MyProvider;
//! // #[test]
//! fn my_provider_conforms() {
//!     conclave_provider_test::check(&MyProvider::new());
//! }
//! ```
//!
//! A failed check is reported with the primitive, the vector or case, what was expected and what was found.
//! [`Kit`] runs a part of it, or a provider whose private signature keys are handles. The kit checks what a
//! provider says it has, and its [`Report`] lists what was left out.
//!
//! It cannot show that secrets are wiped, that operations take constant time, or that randomness of the
//! provider's own is good.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "its own vectors are well-formed, and a failed check is reported by a panic"
)]

mod aeads;
mod agreement;
mod batches;
mod checks;
mod crafted;
mod hashes;
mod hpke;
mod ml_kem;
mod report;
mod show;
mod signatures;
mod suites;
mod vectors;

pub use report::{Area, Failure, Report};

use checks::Checks;
use conclave_crypto::CryptoProvider;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Runs all checks on a provider.
///
/// # Panics
/// If a check fails, with a report of all failures.
pub fn check(provider: &dyn CryptoProvider) {
    Kit::new(provider).run().assert();
}

/// A run of the kit: which provider, which areas, and what the provider does not promise.
#[derive(Clone, Copy)]
pub struct Kit<'a> {
    provider: &'a dyn CryptoProvider,
    areas: &'a [Area],
    opaque_signature_keys: bool,
    primitive: Option<&'a str>,
}

impl<'a> Kit<'a> {
    /// A run of all areas.
    #[must_use]
    pub fn new(provider: &'a dyn CryptoProvider) -> Self {
        Self { provider, areas: Area::ALL, opaque_signature_keys: false, primitive: None }
    }

    /// Restricts the run to some areas.
    #[must_use]
    pub fn areas(mut self, areas: &'a [Area]) -> Self {
        self.areas = areas;
        self
    }

    /// Restricts the run to one primitive, by the name that a report gives it, such as `AES-128-GCM`.
    #[must_use]
    pub fn primitive(mut self, name: &'a str) -> Self {
        self.primitive = Some(name);
        self
    }

    /// Says that the private halves of signature keys are not the seeds and scalars of the standards but, for
    /// example, handles of a key store. Checks that pass in a private signature key are left out.
    #[must_use]
    pub fn opaque_signature_keys(mut self) -> Self {
        self.opaque_signature_keys = true;
        self
    }

    /// Runs the checks, the areas in parallel, and returns what failed.
    #[must_use]
    pub fn run(self) -> Report {
        let mut report = Report::new(self.provider.name());
        thread::scope(|scope| {
            let areas: Vec<_> =
                self.areas.iter().map(|area| scope.spawn(move || self.run_area(*area))).collect();
            for area in areas {
                report.add(area.join().expect("the area's panics are caught"));
            }
        });
        report
    }

    fn run_area(self, area: Area) -> Checks<'a> {
        let mut checks =
            Checks::new(self.provider, area, self.opaque_signature_keys, self.primitive);
        let run = match area {
            Area::Suites => suites::run,
            Area::Hashes => hashes::run,
            Area::Aeads => aeads::run,
            Area::KeyAgreement => agreement::run,
            Area::MlKem => ml_kem::run,
            Area::Hpke => hpke::run,
            Area::Signatures => signatures::run,
            Area::CraftedSignatures => crafted::run,
            Area::Batches => batches::run,
        };

        // A provider that panics fails the check at hand, and the rest of the area is not run.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&mut checks))) {
            checks.panicked(&message(&*panic));
        }
        checks
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
