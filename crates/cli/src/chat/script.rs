//! Without a terminal: lines in, events out, one a line.

use crate::Failure;
use conclave_client::{Ended, Engine, Message, Options, Output, Screen, run as run_engine};
use conclave_store::Store;
use std::io::{BufRead, Stdout, Write, stdin, stdout};
use std::sync::mpsc::{Sender, channel};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 64 * 1024;

struct Lines(Stdout);

impl Screen for Lines {
    fn show(&mut self, outputs: &[Output]) -> std::io::Result<()> {
        // One write, so that a reader sees whole lines.
        let lines: String = outputs.iter().map(|output| output.to_line() + "\n").collect();
        self.0.write_all(lines.as_bytes())?;
        self.0.flush()
    }

    fn current_group(&mut self, _name: Option<&str>) {}
}

fn read_input(to: &Sender<Message>) {
    let mut input = stdin().lock();
    loop {
        let mut line = Vec::new();
        match std::io::Read::take(&mut input, MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if to.send(Message::Line(line)).is_err() {
            return;
        }
    }
    let _ = to.send(Message::End);
}

pub(super) fn run<S: Store>(engine: Engine<S>, options: &Options) -> Result<Ended, Failure> {
    let (to, inbox) = channel();
    let reader = to.clone();
    std::thread::Builder::new().name("conclave-input".into()).spawn(move || read_input(&reader))?;
    Ok(run_engine(engine, options, (to, inbox), &mut Lines(stdout()))?)
}
