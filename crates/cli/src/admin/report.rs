//! Answers, as people and as programs read them.

use conclave_delivery::service::{Field, Report};
use core::fmt::Write;

/// How an answer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Columns under their names.
    Table,
    /// One JSON object a line.
    Json,
    /// The first value alone.
    First,
}

impl Shape {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::First => "first",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Table, Self::Json, Self::First].into_iter().find(|shape| shape.name() == name)
    }

    pub(super) fn show(self, report: &Report) -> String {
        match self {
            Self::Table => table(report),
            Self::Json => report.iter().map(|row| json(row) + "\n").collect(),
            Self::First => report
                .first()
                .and_then(|row| row.first())
                .map(|(_, value)| shown(value))
                .unwrap_or_default(),
        }
    }
}

fn shown(value: &Field) -> String {
    match value {
        Field::Text(text) => text.clone(),
        Field::Number(number) => number.to_string(),
        Field::Flag(true) => "yes".into(),
        Field::Flag(false) => "no".into(),
    }
}

/// One row is shown as a list of names and values, several as a table.
fn table(report: &Report) -> String {
    let mut text = String::new();
    let [row] = report.as_slice() else {
        let Some(first) = report.first() else { return "there are none\n".into() };
        let names = first.iter().map(|(name, _)| (*name).to_string()).collect();
        let rows = report.iter().map(|row| row.iter().map(|(_, value)| shown(value)).collect());
        let lines: Vec<Vec<String>> = core::iter::once(names).chain(rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> =
            (0..first.len()).map(|column| width(column).unwrap_or(0)).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        return text;
    };
    let width = row.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in row {
        let _ = writeln!(text, "{name:width$}  {}", shown(value));
    }
    text
}

fn json(row: &[(&'static str, Field)]) -> String {
    let members = row.iter().map(|(name, value)| {
        let value = match value {
            Field::Text(text) => quoted(text),
            Field::Number(number) => number.to_string(),
            Field::Flag(flag) => flag.to_string(),
        };
        format!("{}:{value}", quoted(name))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_tables_lists_and_json() {
        let row = |name: &str, n, flag| {
            vec![
                ("name", Field::Text(name.into())),
                ("count", Field::Number(n)),
                ("on", Field::Flag(flag)),
            ]
        };
        let two = vec![row("alice", 7, true), row("a\"\\\n", 123_456, false)];
        assert_eq!(Shape::Table.show(&two[..1].to_vec()), "name   alice\ncount  7\non     yes\n");
        assert_eq!(
            Shape::Json.show(&two),
            "{\"name\":\"alice\",\"count\":7,\"on\":true}\n\
             {\"name\":\"a\\\"\\\\\\u000a\",\"count\":123456,\"on\":false}\n"
        );
        let table = Shape::Table.show(&two);
        assert!(table.starts_with("name   count   on\nalice  7       yes\n"), "{table}");
        assert_eq!(Shape::First.show(&two), "alice");
        assert_eq!(Shape::Table.show(&vec![]), "there are none\n");
    }
}
