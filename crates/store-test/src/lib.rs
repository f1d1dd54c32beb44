#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod atomicity;
mod contents;
mod durability;
mod place;
mod report;
mod sets;

use conclave_store::Store;
pub use place::Place;
use place::Unplaced;
pub use report::{Failure, Report};

/// Checks a store. `open` returns a new, empty one at each call.
///
/// # Panics
/// If a check fails, with all that do.
pub fn check<S: Store + 'static>(open: impl Fn() -> S) {
    report(open).assert_passed();
}

/// Checks a store, and whether it finds after reopening what it has written. `new` returns a place at each
/// call in which there is no store yet.
///
/// # Panics
/// If a check fails, with all that do.
pub fn check_place<P: Place>(new: impl Fn() -> P) {
    report_place(new).assert_passed();
}

/// As [`check`], and returns what came out.
pub fn report<S: Store + 'static>(open: impl Fn() -> S) -> Report {
    let new = || Unplaced::new(open());
    let mut report = Report::default();
    report.run(contents::checks(), &new);
    report.run(atomicity::checks(), &new);
    report.skip(&durability::checks::<Unplaced<S>>());
    report
}

/// As [`check_place`], and returns what came out.
pub fn report_place<P: Place>(new: impl Fn() -> P) -> Report {
    let mut report = Report::default();
    report.run(contents::checks(), &new);
    report.run(atomicity::checks(), &new);
    report.run(durability::checks(), &new);
    report
}
