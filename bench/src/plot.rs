//! A plot of each operation over the number of members, both axes logarithmic.

use crate::op::Op;
use crate::stack::Stack;
use crate::table::{Cell, Table, shown, thousands};
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 20.0;
/// Room for the half of the last label that extends beyond the axis.
const BEYOND: f64 = 24.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

struct Line {
    name: &'static str,
    style: &'static str,
    points: Vec<(f64, f64)>,
}

fn lines(table: &Table, op: Op) -> Vec<Line> {
    let of = |stack: Stack, value: &dyn Fn(&Cell) -> Option<f64>| -> Vec<(f64, f64)> {
        let cells = table.cells.iter().filter(|((o, _, s), _)| *o == op && *s == stack);
        cells.filter_map(|((_, n, _), cell)| Some((*n as f64, value(cell)?))).collect()
    };

    let value = |cell: &Cell| Some(cell.value(op.unit()).max(1e-3));
    let lines = [
        Line {
            name: "Conclave",
            style: "stroke='#0a6' stroke-width='2.5'",
            points: of(Stack::Conclave, &value),
        },
        Line {
            name: "mls-rs",
            style: "stroke='#c60' stroke-width='1.5'",
            points: of(Stack::MlsRs, &value),
        },
        Line {
            name: "OpenMLS",
            style: "stroke='#36c' stroke-width='1.5'",
            points: of(Stack::OpenMls, &value),
        },
        Line {
            name: "floor",
            style: "stroke='#888' stroke-dasharray='5 4'",
            points: of(Stack::Conclave, &Cell::floor),
        },
    ];
    lines.into_iter().filter(|line| !line.points.is_empty()).collect()
}

/// The exponents of the powers of ten that enclose some values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let low = low.log10().floor();
    (low, high.log10().ceil().max(low + 1.0))
}

/// The SVG of an operation; none with fewer than two sizes.
pub fn svg(table: &Table, op: Op) -> Option<String> {
    let lines = lines(table, op);
    let all = || lines.iter().flat_map(|line| &line.points);
    if lines.iter().all(|line| line.points.len() < 2) {
        return None;
    }

    let (x_low, x_high) = decades(all().map(|p| p.0));
    let (y_low, y_high) = decades(all().map(|p| p.1));
    let x = |v: f64| LEFT + (v.log10() - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT);
    let y =
        |v: f64| HEIGHT - BOTTOM - (v.log10() - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM);

    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {} {HEIGHT}' \
         font-family='sans-serif' font-size='12'>\n<rect width='100%' height='100%' fill='#fff'/>\n\
         <text x='{LEFT}' y='20' font-size='15'>{}</text>\n",
        WIDTH + BEYOND,
        op.title()
    );

    for exponent in x_low as i32..=x_high as i32 {
        let at = x(10f64.powi(exponent));
        let end = HEIGHT - BOTTOM;
        let label = end + 18.0;
        let n = thousands(10usize.pow(exponent.max(0) as u32));
        let _ = writeln!(
            out,
            "<path d='M{at:.1} {TOP}V{end}' stroke='#ddd'/><text x='{at:.1}' y='{label}' text-anchor='middle'>{n}</text>"
        );
    }

    for exponent in y_low as i32..=y_high as i32 {
        let at = y(10f64.powi(exponent));
        let end = WIDTH - RIGHT;
        let label = LEFT - 8.0;
        let figure = shown(op.unit(), 10f64.powi(exponent));
        let _ = writeln!(
            out,
            "<path d='M{LEFT} {at:.1}H{end}' stroke='#ddd'/><text x='{label}' y='{:.1}' text-anchor='end'>{figure}</text>",
            at + 4.0
        );
    }

    let _ = writeln!(
        out,
        "<text x='{}' y='{}' text-anchor='middle'>members</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0
    );

    for (place, line) in lines.iter().enumerate() {
        let points: Vec<String> =
            line.points.iter().map(|p| format!("{:.1},{:.1}", x(p.0), y(p.1))).collect();
        let _ =
            writeln!(out, "<polyline points='{}' fill='none' {}/>", points.join(" "), line.style);
        let at = TOP + 16.0 + 18.0 * place as f64;
        let from = LEFT + 12.0;
        let to = LEFT + 42.0;
        let _ = writeln!(
            out,
            "<path d='M{from} {at}H{to}' {}/><text x='{}' y='{}'>{}</text>",
            line.style,
            to + 6.0,
            at + 4.0,
            line.name
        );
    }

    out.push_str("</svg>\n");
    Some(out)
}
