//! Unix sockets of the daemon: a process that can open one speaks for its devices, so only the owner can.

use super::connection::serve_apart;
use super::devices::Devices;
use crate::failure::Failure;
use crate::private_socket;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many clients are served at once at one socket; further ones are turned away.
const MAX_CLIENTS: usize = 64;

/// The socket in a device's folder.
pub(crate) fn of_device(folder: &Path) -> PathBuf {
    folder.join("bot.sock")
}

/// Serves clients at a socket, each on a thread of its own. A socket that is there already is replaced, as one of a
/// daemon that died.
pub(crate) fn listen(path: &Path, devices: Arc<Devices>) -> Result<(), Failure> {
    let failed = |e: std::io::Error| -> Failure {
        format!("the socket {} cannot be opened: {e}", path.display()).into()
    };
    let listener = private_socket::bind(path).map_err(failed)?;
    let clients = Arc::new(AtomicUsize::new(0));
    std::thread::Builder::new()
        .name("conclave-socket".into())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                if clients.fetch_add(1, Ordering::SeqCst) >= MAX_CLIENTS {
                    clients.fetch_sub(1, Ordering::SeqCst);
                    continue;
                }
                let place = Place(clients.clone());
                // If it cannot be served, it is closed.
                let _ = serve(stream, place, devices.clone());
            }
        })
        .map_err(failed)?;
    Ok(())
}

/// The place of a client among those that are served.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn serve(stream: UnixStream, place: Place, devices: Arc<Devices>) -> std::io::Result<()> {
    let output = Output { stream: stream.try_clone()?, _place: place };
    serve_apart(stream, output, devices)
}

/// The output to a client. Once nothing more is written, nothing more is read.
struct Output {
    stream: UnixStream,
    _place: Place,
}

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
