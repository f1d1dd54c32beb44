//! One device without a screen: for bots, and for whatever else has its own idea of input and output.

use crate::attachments::{TransferSetup, Transfers};
use crate::error::RunError;
use crate::service::{Arrived, Service, Take, now, os_rng, write_evidence};
use conclave_delivery::http_client::TlsRoots;
use conclave_engine::{
    AppRows, CertificateFiles, CommandError, Content, DeviceId, Engine, EngineError, GroupId,
    KeyPolicy, Output, Setup,
};
use conclave_mls::crypto::CryptoProvider;
use conclave_store::Store;
use core::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Opens a device from its store, or makes it: with the default suites, and neither an invitation nor a certificate. It keeps
/// the keys of its groups fresh as `keys` says. The evidence against its service is kept in `folder`.
///
/// # Errors
/// As of [`Engine::open`].
pub fn open_device<S: Store>(
    device: DeviceId,
    provider: Arc<dyn CryptoProvider>,
    store: S,
    keys: KeyPolicy,
    folder: &Path,
) -> Result<Engine<S>, EngineError> {
    Engine::open(Setup {
        device,
        cipher_suite: None,
        provider,
        rng: os_rng(),
        store,
        invitation: None,
        certificates: CertificateFiles::default(),
        keys,
        evidence_place: folder.display().to_string(),
    })
}

/// An engine with the threads that reach its service.
///
/// The loop: [advance](Self::advance) it, look at what its engine says, wait for an [`Arrived`] or until
/// [`Self::wake_in`] is over, [take](Self::take) what came.
pub struct Headless<S> {
    engine: Engine<S>,
    service: Service,
    folder: PathBuf,
}

impl<S> fmt::Debug for Headless<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headless").field("engine", &self.engine).finish_non_exhaustive()
    }
}

impl<S: Store> Headless<S> {
    /// Connects an engine to the service at an address, whose certificate is from these roots or, if there are none, the
    /// system's. What comes from there goes to `to`; evidence against the service goes into files of `folder`.
    ///
    /// # Errors
    /// [`RunError::Threads`].
    pub fn start(
        mut engine: Engine<S>,
        url: &str,
        roots: Option<&TlsRoots>,
        folder: PathBuf,
        to: impl Take,
    ) -> Result<Self, RunError> {
        engine.reached_at(url);
        Ok(Self { engine, service: Service::start(url, roots, to)?, folder })
    }

    /// Opens a device from its store, or makes it, and connects it to the service at an address, which has a
    /// certificate from one of the system's roots. It keeps to the default [`KeyPolicy`].
    ///
    /// # Errors
    /// As of [`open_device`] and [`Self::start`].
    pub fn open(
        device: DeviceId,
        provider: Arc<dyn CryptoProvider>,
        store: S,
        url: &str,
        folder: PathBuf,
        to: impl Take,
    ) -> Result<Self, RunError> {
        let engine = open_device(device, provider, store, KeyPolicy::default(), &folder)?;
        Self::start(engine, url, None, folder, to)
    }

    /// The files that the device sends and saves. Those that were under way go on.
    ///
    /// # Errors
    /// If the state cannot be read, or the folder of the device cannot be used.
    pub fn transfers(&mut self, setup: TransferSetup) -> Result<Transfers, RunError> {
        Transfers::open(&mut self.engine, &self.folder, self.service.connection(), setup)
    }

    /// The engine.
    pub fn engine(&mut self) -> &mut Engine<S> {
        &mut self.engine
    }

    /// What the engine has to say: events come until they are acknowledged.
    pub fn outputs(&mut self) -> Vec<Output> {
        self.engine.outputs(now())
    }

    /// Says something in a group and acknowledges events in the same step: [`Engine::send_with`].
    ///
    /// # Errors
    /// As of [`Engine::send_with`].
    pub fn send_with(
        &mut self,
        group: &GroupId,
        content: Content,
        outputs: &[Output],
        rows: AppRows,
    ) -> Result<(), CommandError> {
        self.engine.send_with(now(), group, content, outputs, rows)
    }

    /// Takes what came from the service.
    ///
    /// # Errors
    /// [`RunError::Engine`].
    pub fn take(&mut self, arrived: Arrived) -> Result<(), RunError> {
        match arrived {
            Arrived::Reply(call, reply) => self.engine.reply(now(), call, reply)?,
            Arrived::Heard(heard) => self.engine.heard(now(), heard),
        }
        Ok(())
    }

    /// Makes the calls that are next, as [`Self::advance`], then waits until something comes from the service, and takes
    /// it, or until there may be something to do.
    ///
    /// # Errors
    /// As of [`Self::advance`].
    pub fn wait(&mut self, inbox: &Receiver<Arrived>) -> Result<(), RunError> {
        // What was said since the last call is sent now.
        self.advance()?;
        let arrived = match self.wake_in() {
            Some(timeout) => inbox.recv_timeout(timeout).ok(),
            None => inbox.recv().ok(),
        };
        arrived.map_or(Ok(()), |arrived| self.take(arrived))
    }

    /// Makes the calls that are next, and writes evidence down.
    ///
    /// # Errors
    /// If the state cannot be read or written, or the evidence.
    pub fn advance(&mut self) -> Result<(), RunError> {
        self.service.make_calls(&mut self.engine)?;
        write_evidence(&mut self.engine, &self.folder)
    }

    /// After how long [`Self::advance`] may have something to do even if nothing comes: a millisecond at least.
    #[must_use]
    pub fn wake_in(&self) -> Option<Duration> {
        let wait = |at: u64| Duration::from_millis(at.saturating_sub(now()).max(1));
        self.engine.wake_at().map(wait)
    }
}
