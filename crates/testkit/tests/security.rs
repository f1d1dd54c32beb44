//! `SECURITY.md` against the sources: each promise says where it is kept and what shows it.
#![allow(clippy::panic)]

use conclave_testkit::docs::{all_tests_exist, code_spans, is_test_name, source, workspace};

const DOCUMENT: &str = "SECURITY.md";

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
fn every_test_that_is_named_exists() {
    assert!(all_tests_exist(DOCUMENT) >= 80);
}

#[test]
fn every_module_that_is_named_exists() {
    let text = source(DOCUMENT);
    let modules = modules(&text);
    assert!(modules.len() >= 30, "{modules:?}");
    for (folder, module) in modules {
        let src = workspace().join("crates").join(folder).join("src");
        let there = src.join(format!("{module}.rs")).is_file() || src.join(module).is_dir();
        assert!(there, "{DOCUMENT}: there is no module {folder}::{module}. Was it renamed?");
    }
}

#[test]
fn each_promise_says_under_which_condition_where_and_by_which_tests() {
    let text = source(DOCUMENT);
    for (n, promise) in (1..).zip(PROMISES) {
        let heading = format!("\n### {n}. {promise}\n");
        let Some((_, rest)) = text.split_once(&heading) else {
            panic!("no section {n}: {promise}")
        };
        let section = rest.split("\n#").next().unwrap_or_default();
        for part in ["**Promised.**", "**If**", "**Where.**", "**Shown by**"] {
            assert!(section.contains(part), "{promise}: no {part}");
        }
        assert!(!modules(section).is_empty(), "{promise}: no module is named");
        let tests = code_spans(section).filter(|span| is_test_name(span)).count();
        assert!(tests >= 6, "{promise}: {tests} tests");
    }
}
