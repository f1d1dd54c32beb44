//! Links among documents.

use super::{outside_fences, workspace};
use std::path::Path;

/// The links of a document that lead to a missing file or heading.
///
/// Links to other hosts are not followed. Paths of Rust items are left to rustdoc, except those of chapters
/// of the guide beside the document, `super::chapter`.
#[must_use]
pub fn broken(document: &str, document_text: &str) -> Vec<String> {
    let folder = workspace().join(document).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut broken = Vec::new();
    for (line, text) in outside_fences(document_text) {
        for target in targets(text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            // A chapter of the guide is a module: rustdoc checks that it exists, and ignores headings.
            let chapter = file.strip_prefix("super::").map(|chapter| format!("{chapter}.md"));
            if chapter.is_none() && target.contains("::") {
                continue;
            }
            let file = chapter.as_deref().unwrap_or(file);
            let path = folder.join(file);
            let known = match (file, heading) {
                (_, "") => path.exists(),
                ("", _) => has_heading(document_text, heading),
                _ => std::fs::read_to_string(path).is_ok_and(|text| has_heading(&text, heading)),
            };
            if !known {
                broken.push(format!("{document}:{line}: {target}"));
            }
        }
    }
    broken
}

/// The targets of a line's links and pictures, except those in code spans.
fn targets(line: &str) -> Vec<&str> {
    let prose =
        |at: usize| line.get(..at).is_some_and(|before| before.matches('`').count() % 2 == 0);
    let starts = line.match_indices("](").filter(|(at, _)| prose(*at));
    let inline = starts.filter_map(|(at, _)| line.get(at + 2..)?.split_once(')').map(|(to, _)| to));
    let defined =
        line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, to)| to.trim());
    inline.chain(defined).collect()
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let mut headings = outside_fences(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then(|| anchor(title))
    });
    headings.any(|heading| heading == wanted)
}

/// The anchor that GitHub gives a heading.
fn anchor(title: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    let title = title.trim().to_lowercase();
    title.chars().filter(|c| kept(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "# A heading: *with* `code`\n[a](SECURITY.md) and [b](docs/style.md#prose)\n\
            [c](#a-heading-with-code) ![d](docs/plots/join.svg) [e](https://example.org/x.md)\n\
            [f](crate::Group) `[g](none.md)`\n```\n[h](none.md)\n```\n";
        assert_eq!(broken("README.md", text), [""; 0]);
        for bad in [
            "[x](none.md)",
            "[x](SECURITY.md#none)",
            "[x](#none)",
            "![x](none.svg)",
            "[x]: none.md",
        ] {
            assert_eq!(broken("README.md", bad).len(), 1, "{bad}");
        }

        let chapter = "crates/mls/src/guide/index.md";
        assert_eq!(broken(chapter, "[x](super::storage#sqlite) [y](super::storage)"), [""; 0]);
        assert_eq!(broken(chapter, "[x](super::storage#none) [y](super::none)").len(), 2);
        assert_eq!(broken("docs/style.md", "[x](../README.md) [y](README.md)").len(), 1);
    }
}
