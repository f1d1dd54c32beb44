//! Circles in a graph of files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::modules::Edge;

/// The files that each file uses.
type Uses<'a> = BTreeMap<&'a Path, BTreeSet<&'a Path>>;

/// All that can be reached from a file, in one step or more.
fn reached<'a>(uses: &Uses<'a>, from: &'a Path) -> BTreeSet<&'a Path> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        let next = uses.get(file).into_iter().flatten();
        open.extend(next.filter(|file| seen.insert(**file)));
    }
    seen
}

/// The largest sets of files in which each uses each, by whatever way.
pub(crate) fn circles(edges: &BTreeSet<Edge>) -> Vec<BTreeSet<PathBuf>> {
    let mut uses = Uses::new();
    for edge in edges {
        uses.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reached: BTreeMap<_, _> = uses.keys().map(|file| (*file, reached(&uses, file))).collect();
    let back = |from: &Path, to: &Path| reached.get(to).is_some_and(|files| files.contains(from));
    let circle = |from: &Path, all: &BTreeSet<&Path>| {
        all.iter().filter(|to| back(from, to)).map(|to| to.to_path_buf()).collect()
    };
    let circles: BTreeSet<BTreeSet<PathBuf>> =
        reached.iter().map(|(from, all)| circle(from, all)).collect();
    circles.into_iter().filter(|circle| circle.len() > 1).collect()
}

/// A circle as a reader wants it: its files, and what ties them.
pub(crate) fn describe(circle: &BTreeSet<PathBuf>, edges: &BTreeSet<Edge>) -> String {
    let mut lines = vec![format!("{} files use each other in a circle:", circle.len())];
    let inside = |edge: &&Edge| circle.contains(&edge.from) && circle.contains(&edge.to);
    for Edge { from, to, path } in edges.iter().filter(inside) {
        lines.push(format!("  {} uses {} ({path})", from.display(), to.display()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Crate;

    /// The circles of a crate whose files are these, each as its files' names.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &Path| {
            let file = files.iter().find(|(name, _)| path == Path::new(name));
            file.map(|(_, text)| (*text).to_owned())
        };
        let edges = Crate::read(Path::new("lib.rs"), &read).edges().into_iter().collect();
        let names = |circle: BTreeSet<PathBuf>| {
            circle.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        circles(&edges).into_iter().map(names).collect()
    }

    #[test]
    fn a_circle_is_found_however_it_is_tied() {
        let root = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;");
        for (a, b) in [
            ("use crate::b::B; pub struct A;", "use super::a::A; pub struct B;"),
            // By what the root hands on.
            ("use crate::B; pub struct A;", "use crate::{A as Other}; pub struct B;"),
            ("pub struct A(crate::B);", "pub fn B() { let _ = format!(\"{:?}\", crate::A); }"),
            (
                "use crate::{self as all, b}; pub struct A; fn f(_: b::B) {}",
                "use super::*; pub struct B(A);",
            ),
            (
                "pub struct A; mod inner { use super::super::b::made_by_a_macro; }",
                "use crate::a; pub type B = a::A;",
            ),
        ] {
            assert_eq!(found(&[root, ("a.rs", a), ("b.rs", b)]), ["a.rs b.rs"], "{a} {b}");
        }
    }

    #[test]
    fn a_circle_is_found_among_folders_and_over_several_files() {
        let files = [
            ("lib.rs", "mod a; mod c;"),
            ("a/mod.rs", "mod b; pub(crate) use b::B;"),
            ("a/b.rs", "use crate::c::d::D; pub(crate) struct B;"),
            ("c.rs", "pub(crate) mod d; pub(crate) struct C(crate::a::B);"),
            ("c/d.rs", "use super::C; pub(crate) struct D;"),
        ];
        assert_eq!(found(&files), ["a/b.rs c/d.rs c.rs"]);
    }

    #[test]
    fn a_module_and_what_it_uses_of_its_child_are_a_circle() {
        let uses = ("lib.rs", "mod a; use a::f; struct S; fn g() { f(); }");
        let declares = ("lib.rs", "mod a; pub use a::f; struct S;");
        let child = ("a.rs", "use super::S; pub fn f() -> S { S }");
        assert_eq!(found(&[uses, child]), ["a.rs lib.rs"]);
        assert_eq!(found(&[declares, child]), [""; 0]);
    }

    #[test]
    fn tests_and_other_crates_tie_nothing() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use elsewhere::Foreign; struct S;"),
            (
                "a.rs",
                "use crate::Foreign; pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
            ),
            ("b.rs", "use crate::a::A; use ::a::C; pub struct B; // crate::S"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
