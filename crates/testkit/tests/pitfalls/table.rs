//! The table in `docs/pitfalls.md`: every test that it names exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files in which a module may be: `tests::steps` in `src/tests/steps.rs` or `src/tests.rs`;
/// an integration test is named by its target, `pitfalls::mix`.
fn sources_of(path: &str) -> Vec<PathBuf> {
    let Some((package, rest)) = path.split_once("::") else { return Vec::new() };
    let Some(folder) = package.strip_prefix("conclave_") else { return Vec::new() };
    let folder = root().join("crates").join(folder.replace('_', "-"));
    let modules: Vec<&str> = rest.split("::").collect();
    let mut found = vec![folder.join("src/lib.rs")];
    for n in 1..=modules.len() {
        let inner = modules[..n].join("/");
        for base in [folder.join("src"), folder.join("tests")] {
            found.push(base.join(format!("{inner}.rs")));
            found.extend(["mod.rs", "main.rs"].map(|file| base.join(&inner).join(file)));
        }
    }
    found.retain(|file| file.is_file());
    found
}

/// The names of the functions in a source that are marked as tests.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        match line.strip_prefix("fn ").and_then(|rest| rest.split('(').next()) {
            Some(name) if marked => {
                found.insert(name);
                marked = false;
            }
            Some(_) => marked = false,
            None => marked |= line == "#[test]",
        }
    }
    found
}

/// The tests that a line of the document names, in backquotes.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|name| name.starts_with("conclave_"))
}

#[test]
fn every_class_has_a_test_and_every_test_exists() {
    let text = std::fs::read_to_string(root().join("docs/pitfalls.md")).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .filter(|line| !line.starts_with("| class |"))
        .collect();
    assert!(rows.len() >= 30, "{} classes", rows.len());
    let mut missing = Vec::new();
    for row in rows {
        assert!(named(row).next().is_some(), "no test: {row}");
        for test in named(row) {
            let (module, name) = test.rsplit_once("::").unwrap();
            let has =
                |file: &PathBuf| tests_in(&std::fs::read_to_string(file).unwrap()).contains(name);
            if !sources_of(module).iter().any(has) {
                missing.push(test);
            }
        }
    }
    assert!(missing.is_empty(), "these tests do not exist: {missing:#?}");
}
