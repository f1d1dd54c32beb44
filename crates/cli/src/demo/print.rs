//! The story on standard output, in 80 columns, at a pace for reading if somebody reads.

use crate::failure::Failure;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

const COLUMNS: usize = 80;

/// One line, cut into several if it is long; those that follow begin under the text.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let indent = text.find(['|', '>']).map_or(0, |at| at + 2);
    wrapped(text, indent)
}

/// A line as it is.
pub(super) fn plain(text: &str) -> Result<(), Failure> {
    Ok(writeln!(stdout(), "{text}")?)
}

/// A paragraph.
pub(super) fn tell(text: &str) -> Result<(), Failure> {
    wrapped(text, 0)
}

fn wrapped(text: &str, indent: usize) -> Result<(), Failure> {
    let mut out = stdout().lock();
    let mut column = 0;
    let begins = text.len() - text.trim_start().len();
    write!(out, "{:begins$}", "")?;
    column += begins;
    for (i, word) in text.split_whitespace().enumerate() {
        let width = word.chars().count();
        if i > 0 && column + 1 + width > COLUMNS {
            write!(out, "\n{:indent$}{word}", "")?;
            column = indent + width;
        } else if i > 0 {
            write!(out, " {word}")?;
            column += 1 + width;
        } else {
            write!(out, "{word}")?;
            column += width;
        }
    }
    writeln!(out)?;
    out.flush()?;
    if out.is_terminal() {
        std::thread::sleep(Duration::from_millis(180));
    }
    Ok(())
}

/// The heading of a step.
pub(super) fn step(number: u32, what: &str) -> Result<(), Failure> {
    tell("")?;
    let heading = format!("-- {number}. {what} ");
    let rest = COLUMNS.saturating_sub(heading.chars().count());
    tell(&format!("{heading}{}", "-".repeat(rest)))
}
