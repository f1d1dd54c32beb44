//! The documents of this repository, rendered from tables and checked against the sources.
//!
//! A document names a test in a code span of its own as `crate::module::name`: the crate's folder in `crates`
//! or `interop`; the module in `src`, or the name of a test binary and the module in it; the function.
#![allow(clippy::panic)]

pub mod links;
pub mod pages;
pub mod plot;
pub mod tables;
pub mod terminal;

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the workspace.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn source(file: &str) -> String {
    let path = workspace().join(file);
    read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All documents, by their paths in the workspace: those of the repository, of each crate, of the
/// workspaces beside it, and the chapters of the guide.
///
/// # Panics
/// If a folder cannot be read.
#[must_use]
pub fn documents() -> Vec<String> {
    let entries = |folder: &str| -> Vec<String> {
        let path = workspace().join(folder);
        let entries = read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        entries.flatten().map(|e| format!("{folder}/{}", e.file_name().display())).collect()
    };
    let mut folders: Vec<String> =
        [".", "docs", "crates/mls/src/guide", "bench", "fuzz", "interop"].map(str::to_owned).into();
    folders.extend(entries("crates").into_iter().filter(|path| workspace().join(path).is_dir()));

    let files = folders.iter().flat_map(|folder| entries(folder));
    let documents = files.filter(|file| Path::new(file).extension().is_some_and(|e| e == "md"));
    let mut documents: Vec<String> =
        documents.map(|file| file.trim_start_matches("./").to_owned()).collect();
    documents.sort_unstable();
    documents
}

/// The lines of a document outside fenced blocks, with their numbers.
pub fn outside_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    })
}

/// The text between backticks.
pub fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether this has the form of a test's name: at least three names in lower case. (`crate::` stands for any
/// crate where a document explains how tests are named.)
#[must_use]
pub fn is_test_name(span: &str) -> bool {
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    let parts: Vec<&str> = span.split("::").collect();
    let names = parts.iter().all(|part| !part.is_empty() && part.chars().all(of_name));
    names && parts.len() > 2 && !span.starts_with("crate::")
}

/// Whether a text has `#[test]`, other attributes, and then this function.
fn has_test(text: &str, name: &str) -> bool {
    let wanted = format!("fn {name}()");
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let marked = |before: &[&str]| {
        let attributes = before.iter().rev().take_while(|line| line.starts_with("#["));
        attributes.copied().any(|line| line == "#[test]")
    };
    let mut numbered = lines.iter().enumerate();
    numbered.any(|(n, line)| line.starts_with(&wanted) && lines.get(..n).is_some_and(marked))
}

/// Looks for the test with this name. The last modules of its path may be inside a file.
///
/// # Errors
/// If the test does not exist; the error lists the files that were searched.
pub fn find_test(test: &str) -> Result<(), String> {
    let parts: Vec<&str> = test.split("::").collect();
    let [folder, modules @ .., name] = &parts[..] else {
        return Err("a test is named crate::module::name".to_owned());
    };

    let roots = ["crates", "interop"].map(|group| workspace().join(group).join(folder));
    let root = roots.into_iter().find(|root| root.is_dir());
    let Some(root) = root.filter(|_| !modules.is_empty()) else {
        return Err(format!("there is no crate {folder}"));
    };

    let mut tried = Vec::new();
    for split in (0..=modules.len()).rev() {
        let (path, inside) = modules.split_at_checked(split).unwrap_or_default();
        let path = path.join("/");
        let files = match split {
            0 => vec![root.join("src/lib.rs")],
            _ => ["src", "tests"]
                .map(|side| root.join(side))
                .iter()
                .flat_map(|side| {
                    ["rs", "mod", "main"].map(|kind| match kind {
                        "rs" => side.join(format!("{path}.rs")),
                        kind => side.join(&path).join(format!("{kind}.rs")),
                    })
                })
                .collect(),
        };
        for file in files {
            let Ok(text) = read_to_string(&file) else { continue };
            let module = |module: &&str| text.contains(&format!("mod {module} {{"));
            if inside.iter().all(module) && has_test(&text, name) {
                return Ok(());
            }
            tried.push(file.display().to_string());
        }
    }
    Err(format!("no #[test] fn {name}() was found in {tried:?}"))
}

/// The errors in a table's list of tests: malformed names, and missing tests.
#[must_use]
pub fn wrong_tests(names: &[String]) -> Vec<String> {
    let wrong = |name: &String| {
        if is_test_name(name) {
            find_test(name).err().map(|why| format!("{name}: {why}"))
        } else {
            Some(format!("{name}: this is not the name of a test"))
        }
    };
    names.iter().filter_map(wrong).collect()
}

/// The errors in a document's names of tests: missing tests, and code spans that cross the end of a line,
/// whose names would be overlooked.
#[must_use]
pub fn wrong_spans(document: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, text) in outside_fences(text) {
        if text.matches('`').count() % 2 == 1 {
            wrong.push(format!("{document}:{line}: a code span that does not end in its line"));
            continue;
        }
        let missing = code_spans(text).filter(|span| is_test_name(span)).filter_map(|test| {
            find_test(test).err().map(|why| format!("{document}:{line}: {test}: {why}"))
        });
        wrong.extend(missing);
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_in_every_place() {
        for there in [
            "testkit::docs::tests::tests_are_found_in_every_place",
            "testkit::docs::pages::tests::rendering_changes_only_the_blocks",
            "wire::codec::tests::trailing_bytes_are_refused",
            "provider-aws-lc::conformance::differential::each_verifies_what_the_other_signs",
            "testkit::crash::a_crash_before_a_write_leaves_the_state_before_it",
            "testkit::rules::lists::more_psks_than_can_be_counted_are_refused",
            "live::ratchets::tests::the_other_stacks_lose_what_the_page_says",
        ] {
            assert_eq!(find_test(there), Ok(()));
        }

        for missing in [
            "testkit::docs::a_test_is_found_wherever_it_may_be_",
            "testkit::docs::elsewhere::tests_are_found_in_every_place",
            "testkit::docs::find_test",
            "testkit::docs::workspace",
            "testkit::a_test_is_found",
            "nowhere::tests::trailing_bytes_are_refused",
        ] {
            assert!(find_test(missing).is_err(), "{missing}");
        }
    }

    #[test]
    fn tests_are_distinguished_from_other_functions() {
        for test in
            ["group::tests::stored::a_row", "provider-aws-lc::tests::nist::z_9", "grup::a::b"]
        {
            assert!(is_test_name(test), "{test}");
        }
        for other in
            ["group::rows", "Rejection::A::B", "group::rows::FORMAT", "crate::path::name", "a::::b"]
        {
            assert!(!is_test_name(other), "{other}");
        }
    }

    #[test]
    fn spans_that_name_no_test_are_found() {
        let good = "`testkit::docs::tests::spans_that_name_no_test_are_found` `group::rows`\n```\n`\n```\n";
        assert_eq!(wrong_spans("a.md", good), [""; 0]);
        for bad in ["`testkit::docs::tests::none`", "a span that `goes\non`"] {
            assert!(!wrong_spans("a.md", bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn all_kinds_of_documents_are_found() {
        let documents = documents();
        for document in ["README.md", "docs/style.md", "bench/README.md"] {
            assert!(documents.iter().any(|found| found == document), "{document}: {documents:?}");
        }
    }
}
