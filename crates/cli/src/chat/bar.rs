//! How far a file is, as a line that is redrawn in place.

use conclave_client::{FileShown, Shown};
use std::io::stdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Goes up one line, to its beginning, and clears it.
const OVER_LINE_BEFORE: &str = "\u{1b}[1A\r\u{1b}[2K";
/// The assumed width of a terminal that does not report its own.
const USUAL_COLUMNS: usize = 80;

/// The bar that was drawn last, if nothing has come below it since.
pub(super) struct Bar {
    /// How many lines the user has entered. Each stands below what was there before.
    entered: Arc<AtomicU64>,
    /// Which transfer is on the line above the prompt, and how many lines were entered then.
    above: Option<(u64, u64)>,
}

impl Bar {
    pub(super) fn new(entered: Arc<AtomicU64>) -> Self {
        Self { entered, above: None }
    }

    /// Something else comes below it.
    pub(super) fn is_behind(&mut self) {
        self.above = None;
    }

    /// The text that draws this; none if it is not a bar.
    pub(super) fn draw(&mut self, shown: &Shown) -> Option<String> {
        // The first line of a transfer is no bar: it says how to stop it.
        let Shown::File { file: file @ FileShown::Moved { id, percent: 1.., .. }, .. } = shown
        else {
            self.above = None;
            return None;
        };
        let here = Some((*id, self.entered.load(Ordering::Relaxed)));
        let is_above = self.above == here;
        if !is_above && shown.is_minor() {
            return Some(String::new());
        }

        self.above = here;
        let bar = file.to_bar(columns())?;
        let over = if is_above { OVER_LINE_BEFORE } else { "" };
        Some(format!("{over}{bar}\n"))
    }
}

/// The width of the terminal without the last column, after which some begin a new line.
fn columns() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(stdout())
        && size.ws_col > 1
    {
        return usize::from(size.ws_col) - 1;
    }
    let _ = stdout;
    USUAL_COLUMNS - 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn moved(id: u64, percent: u8) -> Shown {
        let is_step = percent.is_multiple_of(10) && percent < 100;
        let name = "a.png".into();
        let file = FileShown::Moved { id, sends: true, name, percent, size: 1000, is_step };
        Shown::File { group: "g".into(), file }
    }

    #[test]
    fn a_bar_is_drawn_over_itself_and_over_nothing_else() {
        let entered = Arc::new(AtomicU64::new(0));
        let mut bar = Bar::new(entered.clone());
        let mut is_over =
            |shown: &Shown| bar.draw(shown).map(|text| text.starts_with(OVER_LINE_BEFORE));
        assert_eq!(is_over(&moved(1, 0)), None, "a line says how to stop it");
        assert_eq!(is_over(&moved(1, 10)), Some(false));
        assert_eq!(is_over(&moved(1, 11)), Some(true));

        // The user has entered a line, or something was shown, or another file goes on.
        entered.fetch_add(1, Ordering::Relaxed);
        assert_eq!(is_over(&moved(1, 20)), Some(false));
        let note = Shown::Note { group: "g".into(), what: "hi".into() };
        assert_eq!(is_over(&note), None);
        assert_eq!(is_over(&moved(1, 30)), Some(false));
        assert_eq!(is_over(&moved(2, 40)), Some(false));
        assert_eq!(is_over(&moved(2, 100)), Some(true));
        // Between steps, a bar is not drawn again below other lines.
        assert_eq!(bar.draw(&moved(1, 31)), Some(String::new()));
    }
}
