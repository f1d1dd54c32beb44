//! A picture of a terminal, drawn from a program's output.

use std::fmt::Write as _;

/// The file of the demonstration's picture.
pub const PICTURE: &str = "docs/plots/demo.svg";

/// The parts of the demonstration that the picture shows.
pub const PARTS: [usize; 3] = [4, 7, 8];

/// A character's width and a line's height, and the margin.
const ADVANCE: f64 = 7.83;
const LINE: f64 = 17.0;
const MARGIN: f64 = 14.0;

const STYLE: &str = "<style>
text { font: 13px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre; fill: #d1d7e0 }
.heading { fill: #58a6ff; font-weight: 600 } .typed { fill: #3fb950 } .service { fill: #d29922 }
.prompt, .gap { fill: #7d8590 }
</style>
";

/// Some parts of a text, each from a line `-- N. title ---` to the next empty line, with a mark where others
/// are left out.
#[must_use]
pub fn excerpt(text: &str, parts: &[usize]) -> String {
    let number =
        |line: &str| -> Option<usize> { line.strip_prefix("-- ")?.split_once('.')?.0.parse().ok() };
    let mut out = String::new();
    let mut shown = false;
    let mut gap = false;
    for line in text.lines() {
        if let Some(number) = number(line) {
            shown = parts.contains(&number);
            if shown && !out.is_empty() {
                out.push_str(if gap { "\n…\n\n" } else { "\n" });
            }
            gap = !shown;
        }
        shown &= !line.is_empty();
        if shown {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// The output of a command as a picture.
#[must_use]
pub fn svg(command: &str, output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(40);
    let width = columns as f64 * ADVANCE + 2.0 * MARGIN;
    let height = (lines.len() + 2) as f64 * LINE + 2.0 * MARGIN;

    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0} {height:.0}' role='img' xml:space='preserve'>\n\
         <title>{}</title>\n{STYLE}\
         <rect width='100%' height='100%' rx='8' fill='#0d1117' stroke='#30363d'/>\n\
         <text x='{MARGIN}' y='{:.0}' class='prompt'>$ {}</text>\n",
        escaped(command),
        MARGIN + 12.0,
        escaped(command)
    );
    let mut class = "";
    for (at, line) in (2..).zip(&lines) {
        class = class_of(line, class);
        let y = MARGIN + 12.0 + f64::from(at) * LINE;
        let _ =
            writeln!(out, "<text x='{MARGIN}' y='{y:.0}' class='{class}'>{}</text>", escaped(line));
    }
    out.push_str("</svg>\n");
    out
}

/// The style of a line. A continued line has the style of the one before.
fn class_of(line: &str, before: &'static str) -> &'static str {
    let who = line.get(..15).unwrap_or_default();
    if line.starts_with("-- ") {
        "heading"
    } else if line.starts_with('…') {
        "gap"
    } else if who.trim().is_empty() && line.len() > 15 {
        before
    } else if line.starts_with("  service sees |") {
        "service"
    } else if line.get(15..17) == Some("> ") {
        "typed"
    } else {
        "text"
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "intro\n\n-- 1. One ---\na\n\n-- 2. Two ---\nb\n\n-- 3. Three ---\n  \
        alice/laptop > a < b\n  service sees | a long\n                 line\n\nThe end.\n";

    #[test]
    fn an_excerpt_has_its_parts_and_marks_the_rest() {
        assert_eq!(excerpt(OUTPUT, &[2]), "-- 2. Two ---\nb\n");
        assert_eq!(excerpt(OUTPUT, &[1, 2]), "-- 1. One ---\na\n\n-- 2. Two ---\nb\n");
        assert!(
            excerpt(OUTPUT, &[1, 3]).starts_with("-- 1. One ---\na\n\n…\n\n-- 3. Three ---\n  a")
        );
        assert!(excerpt(OUTPUT, &[3]).ends_with("                 line\n"));
        assert_eq!(excerpt(OUTPUT, &[9]), "");
    }

    #[test]
    fn a_picture_escapes_and_colours_its_lines() {
        let svg = svg("cargo run -- demo", &excerpt(OUTPUT, &[3]));
        assert!(svg.contains("class='typed'>  alice/laptop &gt; a &lt; b</text>"), "{svg}");
        assert_eq!(svg.matches("class='service'").count(), 2);
        assert_eq!(svg.matches("class='heading'").count(), 1);
    }
}
