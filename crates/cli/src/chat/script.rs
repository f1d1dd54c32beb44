//! Without a terminal: lines in, events out, one a line.

use super::lines;
use crate::failure::Failure;
use conclave_client::{
    Ended, Engine, Options, Render, Screen, Shown, help_line, run as run_engine,
};
use conclave_store::Store;
use std::io::{Stdout, Write, stdout};
use std::sync::mpsc::channel;

struct Lines(Stdout);

impl Lines {
    fn write(&mut self, lines: &str) -> std::io::Result<()> {
        self.0.write_all(lines.as_bytes())?;
        self.0.flush()
    }
}

impl Screen for Lines {
    fn show(&mut self, shown: &[Shown]) -> std::io::Result<()> {
        // One write, so that a reader sees whole lines.
        let lines: String = shown
            .iter()
            .filter(|shown| !shown.is_minor())
            .map(|shown| shown.to_line() + "\n")
            .collect();
        self.write(&lines)
    }

    fn help(&mut self) -> std::io::Result<()> {
        self.write(&(help_line() + "\n"))
    }

    fn current_group(&mut self, _name: Option<&str>) {}
}

pub(super) fn run<S: Store>(engine: Engine<S>, options: &Options) -> Result<Ended, Failure> {
    let (to, inbox) = channel();
    let reader = to.clone();
    std::thread::Builder::new()
        .name("conclave-input".into())
        .spawn(move || lines::read_all(&reader))?;
    Ok(run_engine(engine, options, (to, inbox), &mut Lines(stdout()))?)
}
