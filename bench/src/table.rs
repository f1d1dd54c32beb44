//! The results, as Markdown and as JSON.

use crate::measure::{Sample, median};
use crate::op::{Op, Unit};
use crate::stack::Stack;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The measurements of one stack at one operation and size.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    cpu: Vec<f64>,
    wall: Vec<f64>,
    /// The floor of every repetition: their work can differ.
    floor: Vec<f64>,
    bytes: u64,
}

impl Cell {
    /// Median CPU time in microseconds, or bytes.
    pub fn value(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Time => median(self.cpu.iter().copied()),
            Unit::Bytes => self.bytes as f64,
        }
    }

    pub fn floor(&self) -> Option<f64> {
        (!self.floor.is_empty()).then(|| median(self.floor.iter().copied()))
    }
}

/// All results.
#[derive(Default)]
pub struct Table {
    pub cells: BTreeMap<(Op, usize, Stack), Cell>,
}

impl Table {
    pub fn put(&mut self, op: Op, members: usize, stack: Stack, time: Sample, floor: Option<f64>) {
        let cell = self.cells.entry((op, members, stack)).or_default();
        cell.cpu.push(time.cpu);
        cell.wall.push(time.wall);
        cell.floor.extend(floor);
    }

    pub fn put_bytes(&mut self, op: Op, members: usize, stack: Stack, bytes: u64) {
        self.cells.entry((op, members, stack)).or_default().bytes = bytes;
    }

    fn value(&self, op: Op, members: usize, stack: Stack) -> Option<f64> {
        Some(self.cells.get(&(op, members, stack))?.value(op.unit()))
    }

    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.cells.keys().map(|(_, members, _)| *members).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// The better peer's value.
    fn peer(&self, op: Op, members: usize) -> Option<f64> {
        [Stack::MlsRs, Stack::OpenMls]
            .into_iter()
            .filter_map(|stack| self.value(op, members, stack))
            .min_by(f64::total_cmp)
    }

    /// One Markdown table for each size: medians of CPU time, or bytes; the better peer's value divided by
    /// Conclave's; the floor, and Conclave's value divided by it.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for members in self.sizes() {
            let _ = writeln!(out, "\n### {} members\n", thousands(members));
            out.push_str("| operation | Conclave | mls-rs | OpenMLS | better peer / Conclave |");
            out.push_str(" floor | Conclave / floor |\n|---|--:|--:|--:|--:|--:|--:|\n");
            for (op, ..) in Op::ALL {
                out.push_str(&self.line(op, members).unwrap_or_default());
            }
        }
        out
    }

    fn line(&self, op: Op, members: usize) -> Option<String> {
        let ours = self.cells.get(&(op, members, Stack::Conclave));
        let peer = self.peer(op, members);
        if ours.is_none() && peer.is_none() {
            return None;
        }

        let show = |value: Option<f64>| value.map_or("–".into(), |v| shown(op.unit(), v));
        let times = |value: Option<f64>| value.map_or("–".into(), |v| format!("{v:.2}"));

        let own = ours.map(|cell| cell.value(op.unit()));
        let floor = ours.and_then(Cell::floor);
        let ratio = own.zip(peer).map(|(own, peer)| peer / own);
        let over = own.zip(floor).map(|(own, floor)| own / floor);
        Some(format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            op.title(),
            show(own),
            show(self.value(op, members, Stack::MlsRs)),
            show(self.value(op, members, Stack::OpenMls)),
            times(ratio),
            show(floor),
            times(over),
        ))
    }

    /// A JSON array with one object for each operation, size and stack.
    pub fn json(&self) -> serde_json::Value {
        let rows = self.cells.iter().map(|((op, members, stack), cell)| {
            let mut row = serde_json::json!({
                "operation": op.name(), "members": members, "stack": stack.name(),
            });
            let figures = match op.unit() {
                Unit::Bytes => serde_json::json!({ "bytes": cell.bytes }),
                Unit::Time => serde_json::json!({
                    "cpu_us": cell.value(Unit::Time),
                    "wall_us": median(cell.wall.iter().copied()),
                    "samples": cell.cpu.len(),
                    "floor_us": cell.floor(),
                }),
            };
            if let (Some(row), Some(figures)) = (row.as_object_mut(), figures.as_object()) {
                row.extend(figures.clone());
            }
            row
        });

        rows.collect()
    }
}

/// A value with three digits and a unit.
pub fn shown(unit: Unit, value: f64) -> String {
    let (scale, units): (f64, &[&str]) = match unit {
        Unit::Time => (1000.0, &["µs", "ms", "s"]),
        Unit::Bytes => (1024.0, &["B", "KiB", "MiB", "GiB"]),
    };

    let mut value = value;
    let mut at = 0;
    while value >= scale && at + 1 < units.len() {
        value /= scale;
        at += 1;
    }

    let digits = match value {
        v if v >= 100.0 || (unit == Unit::Bytes && at == 0) => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };

    format!("{value:.digits$} {}", units[at])
}

/// A number with commas between thousands.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_three_digits_and_a_unit() {
        assert_eq!(shown(Unit::Time, 0.5), "0.50 µs");
        assert_eq!(shown(Unit::Time, 1500.0), "1.50 ms");
        assert_eq!(shown(Unit::Time, 123_456_789.0), "123 s");
        assert_eq!(shown(Unit::Bytes, 800.0), "800 B");
        assert_eq!(shown(Unit::Bytes, 2048.0), "2.00 KiB");
        assert_eq!(thousands(1_000_000), "1,000,000");
        assert_eq!(thousands(100), "100");
    }
}
