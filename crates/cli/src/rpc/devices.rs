//! The devices of a daemon: each on a thread of its own.

use super::ask::Ask;
use super::fault::Fault;
use super::files::Files;
use super::host::{Host, Input};
use super::outbox::Outbox;
use crate::failure::{Failure, complain};
use crate::file_cipher::file_cipher;
use conclave_client::{Engine, Headless, TransferSetup};
use conclave_delivery::http_client::TlsRoots;
use conclave_store::SqliteStore;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// The exit code when a device cannot go on.
const FAILED: i32 = 1;

/// Where requests go, by the names of devices.
pub(crate) struct Devices(BTreeMap<String, Sender<Input>>);

/// A device, open.
pub(crate) struct Opened {
    pub(crate) engine: Engine<SqliteStore>,
    pub(crate) folder: PathBuf,
}

impl Devices {
    /// Starts the threads of some devices. If one of them cannot go on, the process ends: its supervisor restarts it, and
    /// its state is on the disk.
    pub(crate) fn start(
        opened: Vec<Opened>,
        url: &str,
        roots: Option<&TlsRoots>,
    ) -> Result<Arc<Self>, Failure> {
        let mut devices = BTreeMap::new();
        for Opened { engine, folder } in opened {
            let name = engine.device().to_string();
            let (to, inbox) = channel();
            let mut device = Headless::start(engine, url, roots, folder, to.clone())?;
            let reports = to.clone();
            let transfers = device.transfers(TransferSetup {
                cipher: file_cipher(),
                // Its thread ends with the process.
                to: Arc::new(move |report| drop(reports.send(Input::Transfer(report)))),
            })?;
            let mut host = Host::new(device, Files::new(transfers), inbox)?;
            let named = name.clone();
            std::thread::Builder::new().name("conclave-device".into()).spawn(move || {
                if let Err(e) = host.run() {
                    complain(&format!("{named}: {e}"));
                    std::process::exit(FAILED);
                }
            })?;
            if devices.insert(name.clone(), to).is_some() {
                return Err(format!("{name} is named twice").into());
            }
        }
        Ok(Arc::new(Self(devices)))
    }

    /// The device of this name alone.
    pub(crate) fn only(&self, name: &str) -> Self {
        let of = self.0.get(name).map(|to| (name.to_string(), to.clone()));
        Self(of.into_iter().collect())
    }

    /// A queue for a client of theirs.
    pub(super) fn outbox(&self) -> Arc<Outbox> {
        let all: Vec<Sender<Input>> = self.0.values().cloned().collect();
        Arc::new(Outbox::new(move || all.iter().for_each(|to| drop(to.send(Input::Drained)))))
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn list(&self) -> Value {
        json!({ "devices": self.names() })
    }

    /// Hands a request to the device of this name, or to the only one. If there is none, it answers the request.
    pub(super) fn ask(&self, device: Option<&str>, ask: Ask) {
        let found = match device {
            Some(name) => self.0.get(name),
            None if self.0.len() == 1 => self.0.values().next(),
            None => None,
        };
        let Some(to) = found else {
            let why = match device {
                Some(_) => "the daemon has no such device",
                None => "the daemon has several devices: say which, with device",
            };
            return ask.answer(&Err(Fault::refused("unknown-device", why)));
        };
        // Its thread ends with the process.
        let _ = to.send(Input::Ask(ask));
    }
}
