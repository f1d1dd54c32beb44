//! All documents of the repository: they are as rendered from their tables, their links lead somewhere, and the
//! tests that they name exist.

use conclave_testkit::docs::tables::Tables;
use conclave_testkit::docs::{
    code_spans, documents, find_test, links, outside_fences, pages, plot, source, workspace,
    wrong_spans,
};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn pages_are_as_rendered_from_their_tables() {
    let tables = Tables::load();
    let mut found: Vec<String> = Vec::new();
    for document in documents() {
        let page = source(&document);
        let blocks = pages::blocks(&page);
        if !blocks.is_empty() {
            let rendered = pages::render(&page, &tables);
            assert!(
                rendered.as_ref() == Ok(&page),
                "{document} differs from its tables; run `cargo docs render`. {:?}",
                rendered.err()
            );
        }
        found.extend(blocks.into_iter().map(str::to_owned));
    }

    found.sort_unstable();
    let mut known = pages::known_blocks(&tables);
    known.sort_unstable();
    assert_eq!(found, known, "each table is on one page");
}

#[test]
fn the_plot_shows_the_figures_of_the_benchmarks() {
    let drawn = plot::svg(&source("docs/benchmarks.md"));
    let same = drawn.as_ref() == Ok(&source(plot::PICTURE));
    assert!(same, "{} differs; run `cargo docs render`. {:?}", plot::PICTURE, drawn.err());
}

#[test]
fn links_lead_to_files_and_headings() {
    let broken: Vec<String> = documents()
        .iter()
        .flat_map(|document| links::broken(document, &source(document)))
        .collect();
    assert!(broken.is_empty(), "these lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn files_that_documents_name_exist() {
    let folders =
        ["crates/", "docs/", "bench/", "fuzz/", "interop/", "vectors/", ".ci/", ".cargo/"];
    let of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    // As in `fuzz/corpus/TARGET`.
    let placeholder = |path: &&str| {
        path.split('/').any(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase()))
    };

    let mut missing = Vec::new();
    for document in documents() {
        let text = source(&document);
        for (line, text) in outside_fences(&text) {
            let paths = code_spans(text).filter(|span| span.chars().all(of_path));
            let paths = paths.filter(|span| folders.iter().any(|folder| span.starts_with(folder)));
            let paths = paths.filter(|path| !placeholder(path));
            let gone = paths.filter(|path| !workspace().join(path).exists());
            missing.extend(gone.map(|path| format!("{document}:{line}: {path}")));
        }
    }
    assert!(missing.is_empty(), "were they renamed or moved?\n{}", missing.join("\n"));
}

#[test]
fn tests_that_documents_name_exist() {
    let wrong: Vec<String> =
        documents().iter().flat_map(|document| wrong_spans(document, &source(document))).collect();
    assert!(wrong.is_empty(), "were they renamed or moved?\n{}", wrong.join("\n"));
}

/// The crates of this workspace that a crate's library or binary depends on, by their folders.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let manifest = source(&format!("crates/{folder}/Cargo.toml"));
    let sections = manifest.split("\n[").skip(1);
    let wanted = |section: &&str| {
        let head = section.split(']').next().unwrap_or_default();
        head.ends_with("dependencies") && !head.contains("dev-") && !head.contains("build-")
    };
    let lines = sections.filter(wanted).flat_map(str::lines);
    let crates = lines.filter_map(|line| line.strip_prefix("conclave-"));
    crates.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned()).collect()
}

/// The floors of ARCHITECTURE.md: each crate, and those that its row says it imports.
fn floors() -> Vec<(String, BTreeSet<String>)> {
    let page = source("ARCHITECTURE.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `crates/"));
    rows.map(|row| {
        let (folder, _) = row.split_once('`').unwrap_or_default();
        let imports = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        (folder.to_owned(), code_spans(imports).map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn the_floors_of_the_architecture_are_those_of_the_crates() {
    let floors = floors();
    let folders = std::fs::read_dir(workspace().join("crates")).unwrap();
    let crates: BTreeSet<String> = folders
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    let named: BTreeSet<String> = floors.iter().map(|(folder, _)| folder.clone()).collect();
    assert_eq!(named, crates);

    // A row names what its crate imports, apart from what those import in turn.
    let mut reached: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (folder, imports) in &floors {
        let direct = dependencies(folder);
        let mut below = imports.clone();
        for import in imports {
            let above = reached.get(import.as_str());
            let above = above.unwrap_or_else(|| panic!("{import} is not above {folder}"));
            assert!(direct.contains(import), "{folder} does not import {import}");
            below.extend(above.clone());
        }
        let missing: Vec<&String> = direct.difference(&below).collect();
        assert!(missing.is_empty(), "{folder} also imports {missing:?}");
        reached.insert(folder, below);
    }
}

#[test]
fn functions_with_surviving_mutants_exist() {
    for floor in Tables::load().mutants.floor {
        for mutant in &floor.mutant {
            let file = format!("crates/{}/src/{}", floor.folder, mutant.file);
            assert!(workspace().join(&file).is_file(), "docs/mutants.toml: there is no {file}");
            let text = source(&file);
            for function in &mutant.functions {
                let (owner, name) = function.split_once("::").unwrap_or(("", function));
                let defined =
                    ["(", "<"].iter().any(|end| text.contains(&format!("fn {name}{end}")));
                let there = defined && text.contains(owner);
                assert!(there, "docs/mutants.toml: {file} has no {function}");
            }
        }
    }
}

#[test]
fn a_document_that_names_a_missing_test_is_noticed() {
    assert!(
        find_test("testkit::documents::a_document_that_names_a_missing_test_is_noticed").is_ok()
    );
    let page = "See `testkit::documents::no_such_test`.";
    assert_eq!(wrong_spans("docs/page.md", page).len(), 1);
}
