//! What is published: each library has what the registry and its documentation pages show.

use super::manifests::{dependencies, folder, packages};
use conclave_testkit::docs::{source, workspace};
use serde_json::Value;
use std::collections::BTreeSet;

/// Whether a package may be published.
fn is_published(package: &Value) -> bool {
    // An empty list of registries is `publish = false`.
    package["publish"].as_array().is_none_or(|registries| !registries.is_empty())
}

#[test]
fn a_published_crate_has_all_that_its_page_shows() {
    let packages = packages();
    for package in packages.iter().filter(|package| is_published(package)) {
        let name = package["name"].as_str().expect("a name");
        let folder = folder(&package["manifest_path"]).expect("a crate of the workspace");
        for field in ["description", "repository", "license", "readme", "rust_version"] {
            assert!(package[field].as_str().is_some_and(|v| !v.is_empty()), "{name}: no {field}");
        }
        for (field, most) in [("keywords", 5), ("categories", 5)] {
            let count = package[field].as_array().map_or(0, Vec::len);
            assert!((1..=most).contains(&count), "{name}: {count} {field}");
        }
        assert!(package["metadata"]["docs"]["rs"].is_object(), "{name}: nothing for docs.rs");

        let readme = package["readme"].as_str().unwrap_or_default();
        let lines = source(&format!("{folder}/{readme}")).lines().count();
        assert!((5..=80).contains(&lines), "{name}: a readme of {lines} lines");
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let own = workspace().join(&folder).join(licence);
            assert!(own.is_file(), "{name}: no {licence}; ln -s ../../{licence} {folder}/");
            assert_eq!(source(&format!("{folder}/{licence}")), source(licence), "{name}");
        }
    }
}

/// The packages of this repository that a package is built from, itself included.
fn built_from<'a>(packages: &'a [Value], name: &'a str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let package = packages.iter().find(|package| package["name"] == name);
        let used = package.into_iter().flat_map(|package| dependencies(package, false));
        let own = used.filter(|used| !used["path"].is_null());
        open.extend(own.filter_map(|used| used["name"].as_str()).filter(|used| seen.insert(used)));
    }
    seen
}

#[test]
fn a_published_crate_depends_on_published_versions() {
    let packages = packages();
    let published = packages.iter().filter(|package| is_published(package));
    let published: BTreeSet<&str> = published.filter_map(|p| p["name"].as_str()).collect();
    assert!(published.len() >= 12, "{published:?}");
    for package in packages.iter().filter(|package| is_published(package)) {
        let name = package["name"].as_str().expect("a name");
        let own = dependencies(package, true).filter(|dependency| !dependency["path"].is_null());
        for dependency in own {
            let used = dependency["name"].as_str().expect("a name");
            let has_version = dependency["req"] != "*";
            if dependency["kind"] != "dev" {
                assert!(published.contains(used), "{name}: {used} is not published");
                assert!(has_version, "{name}: {used} has no version");
            } else if has_version {
                // Cargo leaves out what tests alone use, if it is given by its path alone.
                let path =
                    format!("say {{ path = \"../{}\" }}", used.trim_start_matches("conclave-"));
                assert!(published.contains(used), "{name}: {used} is not published; {path}");
                let circle = built_from(&packages, used).contains(name);
                assert!(!circle, "{name}: {used} is built from it, so neither comes first; {path}");
            }
        }
    }
}

#[test]
fn no_feature_is_on_by_default() {
    for package in packages() {
        let default = package["features"]["default"].as_array().map_or(0, Vec::len);
        assert_eq!(default, 0, "{}", package["name"]);
    }
}
