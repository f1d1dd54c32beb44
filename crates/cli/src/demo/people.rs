//! Devices that run in threads of this process, each as `conclave chat` would run it.

use crate::failure::Failure;
use crate::file_cipher::file_cipher;
use crate::provider::provider;
use conclave_client::{
    DeviceId, KeyPolicy, Message, Options, Render, Screen, Shown, open_device, run,
};
use conclave_store::SqliteStore;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long something that has to happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Mirror(Sender<Shown>);

impl Screen for Mirror {
    fn show(&mut self, shown: &[Shown]) -> std::io::Result<()> {
        let gone = |_| std::io::Error::other("nobody looks");
        shown.iter().try_for_each(|output| self.0.send(output.clone()).map_err(gone))
    }

    // Nobody asks for it.
    fn help(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn current_group(&mut self, _name: Option<&str>) {}
}

/// A device that is switched on.
pub(super) struct Device {
    pub(super) id: DeviceId,
    to: Sender<Message>,
    screen: Receiver<Shown>,
    thread: JoinHandle<Result<(), String>>,
    /// Whether what it shows is printed as it comes.
    pub(super) loud: bool,
}

/// Where a device's state is.
pub(super) fn state_file(folder: &Path, id: &str) -> PathBuf {
    folder.join(id.replace('/', "-") + ".sqlite")
}

impl Device {
    /// Switches a device on.
    pub(super) fn start(id: &str, url: &str, folder: &Path) -> Result<Self, Failure> {
        let id: DeviceId = id.parse()?;
        let store = SqliteStore::open(state_file(folder, &id.to_string()))?;
        let engine = open_device(id.clone(), provider(), store, KeyPolicy::default(), folder)?;
        let options = Options {
            url: url.to_string(),
            roots: None,
            in_turn: true,
            stay: false,
            linger: Duration::ZERO,
            patience: PATIENCE,
            folder: folder.to_path_buf(),
            cipher: file_cipher(),
        };
        let (to, inbox) = channel();
        let (mirror, screen) = channel();
        let sender = to.clone();
        let thread = std::thread::Builder::new().name(id.to_string()).spawn(move || {
            let mut mirror = Mirror(mirror);
            let ended = run(engine, &options, (sender, inbox), &mut mirror);
            ended.map(drop).map_err(|e| e.to_string())
        })?;
        Ok(Self { id, to, screen, thread, loud: true })
    }

    /// Its user writes a line.
    pub(super) fn write(&self, line: &str) -> Result<(), Failure> {
        if self.loud {
            super::print::line(&format!("{:>14} > {line}", self.id.to_string()))?;
        }
        Ok(self.to.send(Message::Line(line.to_string()))?)
    }

    /// Waits until something is shown, and returns it.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        mut wanted: impl FnMut(&Shown) -> Option<T>,
    ) -> Result<T, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let output = self
                .screen
                .recv_timeout(left)
                .map_err(|_| format!("{} waits in vain for {what}", self.id))?;
            let found = wanted(&output);
            // Only news are part of the story.
            if self.loud && matches!(output, Shown::News { .. } | Shown::Said(_)) {
                super::print::line(&format!("{:>14} | {}", self.id.to_string(), output.to_text()))?;
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// Waits until somebody is heard to say this; returns the message's number.
    pub(super) fn hears(&self, said: &str) -> Result<u64, Failure> {
        self.wait(&format!("{said:?}"), |output| match output {
            Shown::Said(message) if message.text.as_deref() == Some(said) => Some(message.number),
            _ => None,
        })
    }

    /// Switches the device off, whatever it has to do.
    pub(super) fn quit(self) -> Result<(), Failure> {
        let _ = self.to.send(Message::Line("/quit".into()));
        self.stop()
    }

    /// Switches the device off, after all that it has to do.
    pub(super) fn stop(self) -> Result<(), Failure> {
        // It ends by itself when it has ended already.
        let _ = self.to.send(Message::End);
        let ended = self.thread.join().map_err(|_| format!("{} broke down", self.id))?;
        Ok(ended?)
    }
}
