//! One device of an asynchronous program, on tokio.

use crate::error::RunError;
use crate::headless::Headless;
use crate::service::Arrived;
use conclave_delivery::http_client::TlsRoots;
use conclave_engine::{Engine, Output};
use conclave_store::Store;
use core::fmt;
use std::path::PathBuf;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A [`Headless`] device that is awaited.
///
/// Threads make the calls, so it needs nothing of the runtime but its clock. The engine's steps are done where it is
/// polled, and may write to the store, which on a disk blocks for as long as that takes: a program whose other tasks
/// cannot wait for that gives it a task of a multi-threaded runtime.
pub struct AsyncDevice<S> {
    device: Headless<S>,
    arrived: UnboundedReceiver<Arrived>,
}

impl<S> fmt::Debug for AsyncDevice<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncDevice").field(&self.device).finish()
    }
}

impl<S: Store> AsyncDevice<S> {
    /// Connects an engine to the service at an address, as [`Headless::start`] does.
    ///
    /// # Errors
    /// [`RunError::Threads`].
    pub fn start(
        engine: Engine<S>,
        url: &str,
        roots: Option<&TlsRoots>,
        folder: PathBuf,
    ) -> Result<Self, RunError> {
        let (to, arrived) = unbounded_channel::<Arrived>();
        Ok(Self { device: Headless::start(engine, url, roots, folder, to)?, arrived })
    }

    /// The device, to say something, to command its engine and to acknowledge what [`Self::outputs`] gave out.
    pub fn device(&mut self) -> &mut Headless<S> {
        &mut self.device
    }

    /// Waits until the engine has something to say, and returns it: at least one event or answer.
    ///
    /// Events are returned until they are acknowledged, so acknowledge them before this is called again. If the future is
    /// dropped before it is done, nothing is lost.
    ///
    /// # Errors
    /// As of [`Headless::advance`]. Then the engine is to be dropped.
    pub async fn outputs(&mut self) -> Result<Vec<Output>, RunError> {
        loop {
            self.device.advance()?;
            let outputs = self.device.outputs();
            if !outputs.is_empty() {
                return Ok(outputs);
            }
            let arrived = match self.device.wake_in() {
                Some(wait) => tokio::time::timeout(wait, self.arrived.recv()).await.ok().flatten(),
                None => self.arrived.recv().await,
            };
            if let Some(arrived) = arrived {
                self.device.take(arrived)?;
            }
        }
    }
}
