//! `docs/threat-model.toml` against the sources: each promise says where it is kept and what shows it.

use conclave_testkit::docs::tables::Tables;
use conclave_testkit::docs::{code_spans, source, workspace, wrong_tests};
use std::collections::BTreeSet;

const PROMISES: [&str; 7] = [
    "Confidentiality",
    "Integrity and authentication",
    "Membership authentication",
    "Asynchrony",
    "Forward secrecy",
    "Post-compromise security",
    "Scalability",
];

/// The code spans that name a module, `crate::module`.
fn modules(text: &str) -> Vec<(&str, &str)> {
    let lower = |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || "_-".contains(c));
    let parts = code_spans(text).filter_map(|span| span.split_once("::"));
    parts.filter(|(folder, module)| lower(folder) && lower(module)).collect()
}

#[test]
fn every_promise_and_claim_is_shown_by_tests() {
    let model = Tables::load().threat_model;
    let titles: Vec<&str> = model.promise.iter().map(|promise| promise.title.as_str()).collect();
    assert_eq!(titles, PROMISES);

    let mut named = 0;
    for promise in &model.promise {
        let shown = promise.tests.len();
        assert!(shown >= 6, "{}: {shown} tests", promise.title);
        assert!(!promise.modules.is_empty(), "{}: no module is named", promise.title);
        named += shown;
    }
    for claim in model.claims.iter().flat_map(|claims| &claims.claim) {
        assert!(!claim.tests.is_empty(), "no test: {}", claim.text);
        named += claim.tests.len();
    }
    assert!(named >= 80, "{named} tests");
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let model = Tables::load().threat_model;
    let promised = model.promise.iter().map(|promise| &promise.tests);
    let claimed = model.claims.iter().flat_map(|claims| &claims.claim).map(|claim| &claim.tests);
    let wrong: Vec<String> = promised.chain(claimed).flat_map(|tests| wrong_tests(tests)).collect();
    assert!(wrong.is_empty(), "docs/threat-model.toml: renamed or moved?\n{}", wrong.join("\n"));
}

#[test]
fn every_module_that_the_threat_model_names_exists() {
    let page = source("docs/threat-model.md");
    let model = Tables::load().threat_model;
    let promised = model.promise.iter().flat_map(|promise| &promise.modules);
    let promised = promised.map(|module| module.split_once("::").expect("crate::module"));
    let modules: BTreeSet<(&str, &str)> = modules(&page).into_iter().chain(promised).collect();
    assert!(modules.len() >= 25, "{modules:?}");

    for (folder, module) in modules {
        let src = workspace().join("crates").join(folder).join("src");
        let there = src.join(format!("{module}.rs")).is_file() || src.join(module).is_dir();
        assert!(there, "the threat model: there is no module {folder}::{module}. Was it renamed?");
    }
}
