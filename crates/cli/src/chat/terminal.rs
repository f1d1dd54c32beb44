//! At a terminal: a prompt that keeps what is being written when something comes in.

use crate::Failure;
use conclave_client::{
    Command, Ended, Engine, Message, Options, Output, Screen, run as run_engine,
};
use conclave_store::Store;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Editor, ExternalPrinter};
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The prompt, shared by the one who shows it and the one who knows it.
type Prompt = Arc<Mutex<String>>;

struct Terminal<P> {
    printer: P,
    prompt: Prompt,
    group: Option<String>,
}

impl<P: ExternalPrinter> Screen for Terminal<P> {
    fn show(&mut self, outputs: &[Output]) -> io::Result<()> {
        // While a line is being written, this hands the text to its reader, who prints it in a
        // moment: whoever kills the process just then does not see it, though it counts as shown.
        // What was said stays in /history.
        let text: String = outputs.iter().map(|output| output.to_text() + "\n").collect();
        self.printer.print(text).map_err(io::Error::other)
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

type Input = Editor<(), MemHistory>;

fn read_input(mut editor: Input, prompt: &Prompt, to: &Sender<Message>) {
    loop {
        let now = prompt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let message = match editor.readline(&now) {
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

/// Whether the messenger ends with this. Whoever reads on then has the terminal in raw mode when the
/// process ends, and leaves it so; so it is the messenger's own parser that says.
fn ends(message: &Message) -> bool {
    match message {
        Message::Line(line) => Command::parse(line) == Ok(Command::Quit),
        message => matches!(message, Message::End),
    }
}

pub(super) fn run<S: Store>(engine: Engine<S>, options: &Options) -> Result<Ended, Failure> {
    let config = rustyline::Config::default();
    let mut editor: Input = Editor::with_history(config, MemHistory::new())?;
    editor.set_auto_add_history(true);
    let printer = editor.create_external_printer()?;
    let prompt = Prompt::new(Mutex::new("> ".into()));
    let mut screen = Terminal { printer, prompt: prompt.clone(), group: None };
    let (to, inbox) = channel();
    let reader = to.clone();
    let input = std::thread::Builder::new()
        .name("conclave-input".into())
        .spawn(move || read_input(editor, &prompt, &reader))?;
    let ended = run_engine(engine, options, (to, inbox), &mut screen);
    if let Err(e) = &ended {
        // The one who reads has the terminal in its hands until the line that it reads is done.
        let _ = screen.printer.print(format!("! {e}\n! Press Enter to end.\n"));
        let _ = input.join();
    }
    Ok(ended?)
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
