//! All documents of the repository: rendered from their tables, with links that lead somewhere, naming tests
//! that exist.

use conclave_testkit::docs::tables::Tables;
use conclave_testkit::docs::{
    code_spans, documents, find_test, links, outside_fences, pages, plot, source, workspace,
    wrong_spans,
};

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
