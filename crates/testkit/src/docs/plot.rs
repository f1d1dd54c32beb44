//! The plot of the cost of a commit, drawn from the figures in `docs/benchmarks.md`.

use std::fmt::Write as _;

/// The file of the plot.
pub const PICTURE: &str = "docs/plots/commit-cost.svg";

/// The stacks, in the order of the columns of `docs/benchmarks.md`.
const STACKS: [(&str, &str); 3] = [("Conclave", "own"), ("mls-rs", "first"), ("OpenMLS", "second")];

/// The panels: the name of a row in the tables, and the panel's title.
const PANELS: [(&str, &str); 2] = [
    ("self-update: create + merge + persist", "making a commit"),
    ("process + apply + persist", "receiving a commit"),
];

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 300.0;
const PANEL: f64 = 400.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 74.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 44.0;
/// The marked sizes, and the marked times in microseconds.
const SIZES: [(f64, &str); 5] =
    [(2.0, "2"), (100.0, "100"), (1e3, "1k"), (1e4, "10k"), (5e4, "50k")];
const TIMES: [(f64, &str); 5] =
    [(1e2, "0.1 ms"), (1e3, "1 ms"), (1e4, "10 ms"), (1e5, "100 ms"), (1e6, "1 s")];

/// Colours for light and for dark pages.
const STYLE: &str = "<style>
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 14px; fill: #1f2328 }
.card { fill: #ffffff } .grid { stroke: #d8dee4 }
polyline, circle { fill: none; stroke-width: 2 }
.own { stroke: #0a7d4f } .first { stroke: #bc4c00 } .second { stroke: #0969da }
text.own { fill: #0a7d4f; stroke: none; font-weight: 600 }
text.first { fill: #bc4c00; stroke: none } text.second { fill: #0969da; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title { fill: #f0f6fc }
.card { fill: #0d1117 } .grid { stroke: #2a313c }
.own { stroke: #3fb950 } .first { stroke: #f0883e } .second { stroke: #58a6ff }
text.own { fill: #3fb950 } text.first { fill: #f0883e } text.second { fill: #58a6ff }
}
</style>
";

/// A line of a panel: members and microseconds.
type Points = Vec<(f64, f64)>;

/// The plot.
///
/// # Errors
/// If the document lacks a figure for Conclave; the error names it.
pub fn svg(benchmarks: &str) -> Result<String, String> {
    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>\n\
         <title>CPU time of a commit from 2 to 50,000 members, both axes logarithmic</title>\n\
         {STYLE}<rect class='card' width='100%' height='100%' rx='6'/>\n"
    );
    for (at, (row, title)) in PANELS.iter().enumerate() {
        let lines = lines(benchmarks, row)?;
        panel(&mut out, at as f64 * PANEL, title, &lines);
    }
    out.push_str("</svg>\n");
    Ok(out)
}

/// The figures of a row, for each stack.
fn lines(benchmarks: &str, row: &str) -> Result<[Points; 3], String> {
    let mut lines: [Points; 3] = Default::default();
    let mut members = None;
    for line in benchmarks.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let number = heading.strip_suffix(" members").map(|n| n.replace(',', ""));
            members = number.and_then(|n| n.parse::<f64>().ok());
        }
        let (Some(members), Some(cells)) = (members, line.strip_prefix("| ")) else { continue };
        let mut cells = cells.split(" | ");
        if cells.next() == Some(row) {
            for (line, cell) in lines.iter_mut().zip(cells) {
                line.extend(microseconds(cell).map(|time| (members, time)));
            }
        }
    }

    if lines.first().is_some_and(|own| own.len() == SIZES.len()) {
        Ok(lines)
    } else {
        Err(format!("docs/benchmarks.md has no figure of each size for {row:?}"))
    }
}

/// The microseconds in a cell of the tables.
fn microseconds(cell: &str) -> Option<f64> {
    let (number, unit) = cell.trim().split_once(' ')?;
    let scale = match unit {
        "µs" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

fn panel(out: &mut String, left: f64, title: &str, lines: &[Points; 3]) {
    let along = |value: f64, from: f64, to: f64| (value / from).log10() / (to / from).log10();
    let x = |n: f64| left + LEFT + along(n, 2.0, 5e4) * (PANEL - LEFT - RIGHT);
    let y = |t: f64| HEIGHT - BOTTOM - along(t, 1e2, 1e6) * (HEIGHT - TOP - BOTTOM);
    let right = left + PANEL - RIGHT;
    let bottom = HEIGHT - BOTTOM;

    let _ = writeln!(out, "<text class='title' x='{}' y='24'>{title}</text>", left + LEFT);
    for (size, label) in SIZES {
        let at = x(size);
        let _ = writeln!(
            out,
            "<path class='grid' d='M{at:.1} {TOP}V{bottom}'/>\
             <text x='{at:.1}' y='{}' text-anchor='middle'>{label}</text>",
            bottom + 16.0
        );
    }
    for (time, label) in TIMES {
        let at = y(time);
        let from = left + LEFT;
        let end = left + LEFT - 6.0;
        let base = at + 4.0;
        let _ = writeln!(
            out,
            "<path class='grid' d='M{from} {at:.1}H{right}'/>\
             <text x='{end}' y='{base:.1}' text-anchor='end'>{label}</text>"
        );
    }
    let middle = (left + LEFT + right) / 2.0;
    let below = bottom + 34.0;
    let _ = writeln!(out, "<text x='{middle}' y='{below}' text-anchor='middle'>members</text>");

    for ((name, class), points) in STACKS.iter().zip(lines) {
        let shown = points.iter().map(|(n, t)| format!("{:.1},{:.1}", x(*n), y(*t)));
        let _ = writeln!(
            out,
            "<polyline class='{class}' points='{}'/>",
            shown.collect::<Vec<_>>().join(" ")
        );
        let Some((n, t)) = points.last().copied() else { continue };
        let (shift, anchor) = label(n, t, lines);
        let at = x(n) + 6.0;
        let base = y(t) + shift;
        let _ = writeln!(
            out,
            "<text class='{class}' x='{at:.1}' y='{base:.1}' text-anchor='{anchor}'>{name}</text>"
        );
    }
}

/// The place of a line's name relative to its last point: how far below, and on which side. A line that ends
/// before the others has its name where they do not pass.
fn label(n: f64, time: f64, lines: &[Points; 3]) -> (f64, &'static str) {
    let longer = lines.iter().flatten().any(|point| point.0 > n);
    let over = lines.iter().flatten().any(|point| point.0 == n && point.1 > time);
    match (longer, over) {
        (false, _) => (4.0, "start"),
        (true, true) => (16.0, "start"),
        (true, false) => (-10.0, "end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_tables_show_them() {
        for (cell, time) in [("318 µs", 318.0), ("1.58 ms", 1580.0), ("1.15 s |", 0.0)] {
            let read = microseconds(cell);
            assert_eq!(read, (time > 0.0).then_some(time), "{cell}");
        }
        assert_eq!(microseconds("–"), None);
    }

    #[test]
    fn a_table_that_lacks_a_size_is_an_error() {
        let text = crate::docs::source("docs/benchmarks.md");
        assert!(svg(&text).is_ok());
        assert!(svg(&text.replace("### 1,000 members", "### 1,000")).is_err());
    }
}
