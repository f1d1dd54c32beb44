//! `docs/pitfalls.toml` against the sources: every class has tests, and they exist.

use conclave_testkit::docs::tables::Tables;
use conclave_testkit::docs::wrong_tests;

#[test]
fn every_class_of_pitfalls_has_tests_that_exist() {
    let pitfalls = Tables::load().pitfalls;
    let classes: Vec<_> = pitfalls.part.iter().flat_map(|part| &part.pitfall).collect();
    assert!(classes.len() >= 30, "{} classes", classes.len());
    for pitfall in classes {
        assert!(!pitfall.tests.is_empty(), "no test: {}", pitfall.class);
        let wrong = wrong_tests(&pitfall.tests);
        assert!(wrong.is_empty(), "{}: renamed or moved?\n{}", pitfall.class, wrong.join("\n"));
    }
}
