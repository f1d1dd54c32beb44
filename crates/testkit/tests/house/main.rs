//! How the house is built: no circle of imports among files, no crate that imports one from a floor
//! above, and nothing missing in what is published.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod circles;
mod floors;
mod manifests;
mod modules;
mod published;
mod tokens;

use circles::{circles, describe};
use conclave_testkit::docs::workspace;
use modules::Crate;
use std::collections::BTreeSet;
use std::fs::read_dir;
use std::path::{Path, PathBuf};

/// What is in a folder, if there is one, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// The roots of a package's library, programs and examples.
fn roots(package: &Path) -> Vec<PathBuf> {
    let mut roots = vec![package.join("src/lib.rs"), package.join("src/main.rs")];
    for folder in ["src/bin", "examples", "fuzz_targets"] {
        for entry in entries(&package.join(folder)) {
            roots.extend([entry.join("main.rs"), entry]);
        }
    }
    roots.retain(|root| root.is_file() && root.extension().is_some_and(|e| e == "rs"));
    roots
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let folder = workspace();
    let read = |path: &Path| std::fs::read_to_string(folder.join(path)).ok();
    let mut packages = entries(&folder.join("crates"));
    packages.extend(entries(&folder.join("interop")));
    packages.extend([folder.join("bench"), folder.join("fuzz")]);

    let mut files = BTreeSet::new();
    let mut edges = BTreeSet::new();
    for root in packages.iter().flat_map(|package| roots(package)) {
        let root = root.strip_prefix(&folder).expect("a file of the workspace");
        let found = Crate::read(root, &read);
        edges.extend(found.edges());
        files.extend(found.files().iter().cloned());
    }
    // Less would mean that little of it is read.
    assert!(files.len() > 300 && edges.len() > 1000, "{} files, {}", files.len(), edges.len());

    let found: Vec<String> =
        circles(&edges).iter().map(|circle| describe(circle, &edges)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
