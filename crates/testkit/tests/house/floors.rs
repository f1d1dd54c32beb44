//! The table of floors in `ARCHITECTURE.md` against the manifests.

use super::manifests::{dependencies, folder, packages};
use conclave_testkit::docs::{code_spans, source};

/// The folders that the table lists, from the lowest floor up.
fn floors() -> Vec<String> {
    let text = source("ARCHITECTURE.md");
    let table = text.split_once("\n## Floors\n").expect("a section on floors").1;
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let folders = rows.filter_map(|row| row.split('|').nth(1));
    folders.flat_map(code_spans).map(str::to_owned).collect()
}

#[test]
fn a_crate_imports_only_what_stands_above_it_in_the_table() {
    let floors = floors();
    let floor = |folder: &str| floors.iter().position(|other| other == folder);
    for package in packages() {
        let this = folder(&package["manifest_path"]).expect("a crate of the workspace");
        let at = floor(&this).unwrap_or_else(|| panic!("ARCHITECTURE.md does not list {this}"));
        for dependency in dependencies(&package, false) {
            let Some(used) = folder(&dependency["path"]) else { continue };
            let below = floor(&used).is_some_and(|floor| floor < at);
            assert!(below, "{this} imports {used}, which ARCHITECTURE.md has on no lower floor");
        }
    }
}
