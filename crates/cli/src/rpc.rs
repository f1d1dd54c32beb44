//! Devices for programs, by JSON-RPC over lines: each device on a thread of its own.

mod ask;
mod connection;
mod devices;
mod event;
mod expiry;
mod fault;
mod files;
mod host;
mod outbox;
mod params;
mod request;
mod sent;
#[cfg(unix)]
mod socket;

use crate::failure::{Failure, complain};
use conclave_delivery::http_client::TlsRoots;
pub(crate) use connection::{serve, serve_apart};
pub(crate) use devices::{Devices, Opened};
pub(crate) use event::{waiting, waiting_besides};
pub(crate) use fault::{NOT_SENT, REFUSED};
#[cfg(unix)]
pub(crate) use socket::{listen, of_device};
use std::path::PathBuf;
use std::sync::Arc;

/// Starts devices. Each also has a socket in its folder, where other commands about the device reach this process.
pub(crate) fn start(
    opened: Vec<Opened>,
    url: &str,
    roots: Option<&TlsRoots>,
) -> Result<Arc<Devices>, Failure> {
    let folders: Vec<(String, PathBuf)> =
        opened.iter().map(|one| (one.engine.device().to_string(), one.folder.clone())).collect();
    let devices = Devices::start(opened, url, roots)?;
    for (device, folder) in folders {
        if let Err(e) = open_door(&devices, &device, &folder) {
            complain(&e.to_string());
        }
    }
    Ok(devices)
}

#[cfg(unix)]
fn open_door(devices: &Devices, device: &str, folder: &std::path::Path) -> Result<(), Failure> {
    listen(&of_device(folder), Arc::new(devices.only(device)))
}

#[cfg(not(unix))]
fn open_door(_: &Devices, _: &str, _: &std::path::Path) -> Result<(), Failure> {
    Ok(())
}
