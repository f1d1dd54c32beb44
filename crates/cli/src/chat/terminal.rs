//! At a terminal: a prompt that keeps what is being written when something comes in; without
//! editing, if the terminal cannot move its cursor.

use super::bar::Bar;
use super::{lines, qr};
use crate::failure::Failure;
use crate::restore::Restore;
use conclave_client::{
    Answer, Ended, Engine, Message, News, Options, Render, Screen, Shown, help_text, parse_line,
    run as run_engine,
};
use conclave_store::Store;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Editor, ExternalPrinter};
use std::io::{self, Stdout, Write, stdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Turns bracketed paste off, which the line editor turns on.
const BRACKETED_PASTE_OFF: &[u8] = b"\x1b[?2004l";

/// The prompt, shared by the one who shows it and the one who knows it.
type Prompt = Arc<Mutex<String>>;

struct Terminal<P> {
    printer: P,
    prompt: Prompt,
    group: Option<String>,
    bar: Option<Bar>,
}

impl<P: ExternalPrinter> Screen for Terminal<P> {
    fn show(&mut self, shown: &[Shown]) -> io::Result<()> {
        // While a line is being written, this hands the text to its reader, who prints it in a
        // moment: whoever kills the process just then does not see it, though it counts as shown.
        // What was said stays in /history.
        let text = match &mut self.bar {
            Some(bar) => {
                shown.iter().map(|one| bar.draw(one).unwrap_or_else(|| with_picture(one))).collect()
            }
            None => shown.iter().map(with_picture).collect::<String>(),
        };
        if text.is_empty() {
            return Ok(());
        }
        self.printer.print(text).map_err(io::Error::other)
    }

    fn help(&mut self) -> io::Result<()> {
        if let Some(bar) = &mut self.bar {
            bar.is_behind();
        }
        self.printer.print(help_text() + "\n").map_err(io::Error::other)
    }

    fn current_group(&mut self, name: Option<&str>) {
        if self.group.as_deref() == name {
            return;
        }
        self.group = name.map(str::to_string);
        // It is seen with the next line: a line that is being written keeps its prompt.
        let mut prompt = self.prompt.lock().unwrap_or_else(PoisonError::into_inner);
        *prompt = name.map_or("> ".into(), |name| format!("{name}> "));
    }
}

/// A terminal that shows lines and can do nothing else.
struct Teletype(Stdout);

impl Screen for Teletype {
    fn show(&mut self, shown: &[Shown]) -> io::Result<()> {
        self.0.write_all(text_of(shown).as_bytes())?;
        self.0.flush()
    }

    fn help(&mut self) -> io::Result<()> {
        writeln!(self.0, "{}", help_text())?;
        self.0.flush()
    }

    // Whatever is shown names its group, and a prompt could not be taken back.
    fn current_group(&mut self, _name: Option<&str>) {}
}

fn text_of(shown: &[Shown]) -> String {
    let worthy = shown.iter().filter(|shown| !shown.is_minor());
    worthy.map(|shown| shown.to_text() + "\n").collect()
}

/// Something as text, and each code for linking, and each link into a group, as a picture, too.
fn with_picture(shown: &Shown) -> String {
    match shown {
        Shown::Answer(Answer::Link { code, .. }) => {
            text_of(core::slice::from_ref(shown)) + &qr::picture(code).unwrap_or_default()
        }
        Shown::News { news: News::LinkMade { text, .. }, .. } => {
            text_of(core::slice::from_ref(shown)) + &qr::picture(text).unwrap_or_default()
        }
        shown => text_of(core::slice::from_ref(shown)),
    }
}

type Input = Editor<(), MemHistory>;

fn read_input(mut editor: Input, prompt: &Prompt, lines: &AtomicU64, to: &Sender<Message>) {
    loop {
        let now = prompt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = editor.readline(&now);
        lines.fetch_add(1, Ordering::Relaxed);
        let message = match read {
            Ok(line) => Message::Line(line),
            Err(ReadlineError::Interrupted) => Message::Line("/quit".into()),
            Err(_) => Message::End,
        };
        let end = ends(&message);
        if to.send(message).is_err() || end {
            return;
        }
    }
}

/// Whether the messenger ends with this. The reader must stop then, so that it does not put the
/// terminal into raw mode after that was restored; hence it asks the messenger's own parser.
fn ends(message: &Message) -> bool {
    match message {
        Message::Line(line) => parse_line(line) == Ok(conclave_client::Input::Quit),
        message => matches!(message, Message::End),
    }
}

pub(super) fn run<S: Store>(
    engine: Engine<S>,
    options: &Options,
    has_bar: bool,
) -> Result<Ended, Failure> {
    let config = rustyline::Config::default();
    let mut editor: Input = Editor::with_history(config, MemHistory::new())?;
    editor.set_auto_add_history(true);
    let Ok(printer) = editor.create_external_printer() else {
        return run_teletype(engine, options);
    };
    let restore = Restore::at_end(BRACKETED_PASTE_OFF)?;
    let prompt = Prompt::new(Mutex::new("> ".into()));
    let lines = Arc::new(AtomicU64::new(0));
    let bar = has_bar.then(|| Bar::new(lines.clone()));
    let mut screen = Terminal { printer, prompt: prompt.clone(), group: None, bar };
    let (to, inbox) = channel();
    let reader = to.clone();
    std::thread::Builder::new()
        .name("conclave-input".into())
        .spawn(move || read_input(editor, &prompt, &lines, &reader))?;
    let ended = run_engine(engine, options, (to, inbox), &mut screen);
    drop(restore);
    Ok(ended?)
}

/// The terminal says by TERM that it cannot edit: Emacs' shell, say.
fn run_teletype<S: Store>(engine: Engine<S>, options: &Options) -> Result<Ended, Failure> {
    let (to, inbox) = channel();
    let reader = to.clone();
    std::thread::Builder::new()
        .name("conclave-input".into())
        .spawn(move || lines::read_all(&reader))?;
    Ok(run_engine(engine, options, (to, inbox), &mut Teletype(stdout()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_ends_with_the_messenger_and_not_before() {
        let ends = |line: &str| ends(&Message::Line(line.into()));
        assert!(ends("/quit") && ends("/exit") && ends("/exit ") && super::ends(&Message::End));
        // These are said, answered with an error, or nothing.
        assert!(!ends(" /quit") && !ends("//quit") && !ends("/quit now") && !ends(""));
    }
}
