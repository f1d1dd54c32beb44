//! The HTTP server: a thin shell around [`Service`].

#[cfg(feature = "acme")]
mod acme;
mod app;
mod clock;
mod compactor;
mod connections;
mod events;
mod expiry;
mod gate;
mod handlers;
mod health;
mod limits;
mod listeners;
mod memory;
mod metrics;
mod monitor;
mod observed;
mod places;
mod proxies;
mod publisher;
mod rates;
mod refusal;
mod repeat;
mod reply;
mod stall;
mod sweeper;
mod tls;
mod validity;

use crate::attachments::{AttachmentLimits, AttachmentStore};
use crate::service::{Act, Authority, Limits, OpenError, Report, Service, ServiceError};
use crate::storage::administration::Administration;
#[cfg(feature = "acme")]
pub use acme::{AcmeConfig, Contact, Domain};
use app::{App, Front};
use conclave_certificates::{Roots, RootsError};
use conclave_delivery_api::{ErrorCode, MAX_BODY, Mode, Registration};
use conclave_mls::crypto::CryptoProvider;
use connections::Door;
use core::fmt;
use futures_util::future::{Either, select};
use gate::Gate;
pub use limits::{FrontLimits, Rate};
use listeners::Listeners;
use monitor::Sources;
use observed::RequestIds;
pub use observed::{Observed, OnRequest, RequestId};
pub use proxies::{ForwardedHeader, Network, Proxies};
use stall::Pace;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
pub use tls::TlsFiles;
use tokio::sync::{Semaphore, watch};

/// How long the state has to be closed when all connections have ended.
const CLOSING: Duration = Duration::from_secs(5);

/// How often it is looked whether requests are still in work, and how long their replies have to be sent.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The most connections of those who watch the server.
const MONITORS: usize = 64;

/// How many long requests of callers without a session are read or worked on at once. Each holds up to 1 MiB, and
/// may ask for some thousand signatures to be checked.
const LONG_ANONYMOUS: usize = 16;

/// The CAs that certify a service's devices.
#[derive(Clone, Debug)]
pub struct CertifiersConfig {
    /// Their root certificates (DER).
    pub roots: Vec<Vec<u8>>,
    /// The file of their revocation lists (PEM). It is read again whenever it has changed.
    pub revocations: Option<PathBuf>,
}

/// How many requests are worked on at once: so many replies may be made before it is known whether there is room for
/// them.
const AT_ONCE: usize = 128;

/// How a server is set up.
#[derive(Clone)]
pub struct Config {
    /// Where it listens; port 0 picks a free one.
    pub addr: SocketAddr,
    /// What checks key packages and commits: only suites that it supports are served.
    pub provider: Arc<dyn CryptoProvider>,
    /// The longest body of a request, in bytes. Default [`MAX_BODY`].
    pub max_body: usize,
    /// The most connections at once. For one more, the one without a session that has waited longest ends; a quarter
    /// is kept back for those with a session. A client that listens has one for that. Default 10,000.
    pub connections: usize,
    /// How long a client may take to send the head of a request, and then its body. Default one
    /// minute.
    pub patience: Duration,
    /// What the service puts up with.
    pub limits: Limits,
    /// Where attachments are kept, and what of them. By default none are.
    pub attachments: Option<(Arc<dyn AttachmentStore>, AttachmentLimits)>,
    /// What the front puts up with.
    pub front: FrontLimits,
    /// TLS. By default the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// TLS with a certificate that the server gets and renews by itself, instead of [`Self::tls`]. By default it does
    /// not.
    #[cfg(feature = "acme")]
    pub acme: Option<AcmeConfig>,
    /// Which proxies are believed.
    pub proxies: Proxies,
    /// Who may create an account. By default anybody: a server on the loopback interface is this machine's.
    pub registration: Registration,
    /// The CAs that certify devices, instead of accounts. By default there are none.
    pub certifiers: Option<CertifiersConfig>,
    /// How often changes of accounts are published in the directory. Default ten seconds.
    pub publish_every: Duration,
    /// How often messages and Welcomes are dropped that are to be kept no longer, if [`Limits`] say of any. Default one
    /// hour.
    pub compact_every: Duration,
    /// Where the server's health and metrics are shown, in the clear. By default nowhere; health is shown where it
    /// listens, too.
    pub monitor: Option<SocketAddr>,
    /// How long requests in work have to finish when the server is stopped. Default ten seconds.
    pub grace: Duration,
    /// Whom to tell of each request, and of each batch that is published.
    pub on_request: Option<OnRequest>,
}

impl Config {
    /// The port that the service listens on by default.
    pub const PORT: u16 = 4820;
    /// The default of [`Self::connections`].
    pub const CONNECTIONS: usize = 10_000;
    /// The default of [`Self::patience`].
    pub const PATIENCE: Duration = Duration::from_secs(60);
    /// The default of [`Self::grace`].
    pub const GRACE: Duration = Duration::from_secs(10);
    /// The default of [`Self::publish_every`].
    pub const PUBLISH_EVERY: Duration = Duration::from_secs(10);
    /// The default of [`Self::compact_every`].
    pub const COMPACT_EVERY: Duration = Duration::from_secs(60 * 60);

    /// A server on the loopback interface, so that nobody but this machine's users can reach it: it speaks plain
    /// HTTP. One that others reach needs [`Self::tls`], or a proxy or VPN that encrypts.
    #[must_use]
    pub fn new(provider: Arc<dyn CryptoProvider>) -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, Self::PORT)),
            provider,
            max_body: MAX_BODY,
            connections: Self::CONNECTIONS,
            patience: Self::PATIENCE,
            limits: Limits::default(),
            attachments: None,
            front: FrontLimits::default(),
            tls: None,
            #[cfg(feature = "acme")]
            acme: None,
            proxies: Proxies::default(),
            registration: Registration::Open,
            certifiers: None,
            publish_every: Self::PUBLISH_EVERY,
            compact_every: Self::COMPACT_EVERY,
            monitor: None,
            grace: Self::GRACE,
            on_request: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("addr", &self.addr)
            .field("provider", &self.provider.name())
            .finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The state cannot be read.
    Service(OpenError),
    /// The CAs' certificates cannot be trusted.
    Roots(RootsError),
    /// The file of revocation lists cannot be used.
    Revocations(String),
    /// The certificate and key for TLS cannot be used.
    Tls(String),
    /// The threads cannot be started.
    Threads(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(addr, e) => write!(f, "cannot listen on {addr}: {e}"),
            Self::Service(e) => fmt::Display::fmt(e, f),
            Self::Roots(e) => fmt::Display::fmt(e, f),
            Self::Revocations(what) | Self::Tls(what) => f.write_str(what),
            Self::Threads(e) => write!(f, "cannot start the server's threads: {e}"),
        }
    }
}

impl core::error::Error for StartError {}

/// A running server. Dropped, it stops.
pub struct Server {
    addr: SocketAddr,
    monitored: Option<SocketAddr>,
    leave: Box<dyn Fn() + Send + Sync>,
    gate: Arc<Gate>,
    grace: Duration,
    scheme: &'static str,
    stop: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
    serving: Option<tokio::task::JoinHandle<()>>,
    administer: Administer,
}

/// Asks a running server what an administrator asks. It keeps nothing alive.
#[derive(Clone)]
pub struct Administer(Arc<dyn Fn(Act) -> Result<Report, ServiceError> + Send + Sync>);

impl fmt::Debug for Administer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Administer")
    }
}

impl Administer {
    fn of<S: Administration>(app: &Arc<App<S>>) -> Self {
        let app = Arc::downgrade(app);
        Self(Arc::new(move |act| {
            let stopped = "the service is being stopped";
            let app =
                app.upgrade().ok_or_else(|| ServiceError::new(ErrorCode::Unavailable, stopped))?;
            let done = app.service.administer(act, clock::now())?;
            done.ended.iter().for_each(|device| app.listeners.end(device));
            done.notices.iter().for_each(|notice| app.listeners.tell(notice));
            Ok(done.reply)
        }))
    }

    /// Does what is asked, on this thread.
    ///
    /// # Errors
    /// If there is no such user or group, or the storage fails, or the server has stopped.
    pub fn run(&self, act: Act) -> Result<Report, ServiceError> {
        (self.0)(act)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Starts a server on threads of its own. When this returns, it takes connections.
///
/// What is answered is in the storage, so the process may be killed at any moment. Do not call this
/// from asynchronous code, nor drop the [`Server`] there: both block.
///
/// ```no_run
/// use conclave_delivery::http::Config;
/// use conclave_delivery::serve;
/// use conclave_delivery::storage::SqliteStorage;
/// # use conclave_provider_rustcrypto::RustCrypto;
/// # use std::sync::Arc;
/// # let provider = Arc::new(RustCrypto::new());
///
/// let storage = SqliteStorage::open("service".as_ref())?;
/// let server = serve(Config::new(provider), storage)?;
/// println!("listening on {}", server.url());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the state cannot be read or the address cannot be listened on.
pub fn serve(config: Config, storage: impl Administration) -> Result<Server, StartError> {
    let (provider, limits) = (config.provider.clone(), config.limits.clone());
    let mut revocations = None;
    let authority = match config.certifiers {
        None => config.registration.into(),
        Some(CertifiersConfig { roots, revocations: file }) => {
            let mut roots = Roots::new(roots).map_err(StartError::Roots)?;
            if let Some(file) = file {
                let (file, lists) =
                    sweeper::ListFile::open(file).map_err(StartError::Revocations)?;
                roots.learn(&*provider, &lists);
                if roots.lists().is_empty() {
                    let what = format!("{file}: no list in it is signed by a root of --trust");
                    return Err(StartError::Revocations(what));
                }
                revocations = Some(file);
            }
            Authority::from(roots)
        }
    };
    let mut service = Service::new(storage, provider, limits, authority, clock::now())
        .map_err(StartError::Service)?;
    let keeps_attachments = config.attachments.is_some();
    if let Some((store, limits)) = config.attachments {
        service = service.with_attachments(store, limits);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().max(2)))
        .max_blocking_threads(AT_ONCE)
        .thread_name("conclave-server")
        .enable_all()
        .build()
        .map_err(StartError::Threads)?;
    let cannot = |e| StartError::Listen(config.addr, e);
    let listener = runtime.block_on(async { connections::listen(config.addr) }).map_err(cannot)?;
    let addr = listener.local_addr().map_err(cannot)?;
    let (stop, stopping) = watch::channel(false);
    let proxies = Arc::new(config.proxies);
    let app = App {
        service,
        listeners: Listeners::default(),
        on_request: config.on_request,
        stopping: stopping.clone(),
        max_body: config.max_body,
        patience: config.patience,
        long_anonymous: Arc::new(Semaphore::new(LONG_ANONYMOUS)),
        front: Front::new(&config.front, proxies.clone()),
        metrics: metrics::Metrics::new(),
        health: health::Health::new(),
        ids: RequestIds::new(),
    };
    let app = Arc::new(app);
    let administer = Administer::of(&app);
    #[cfg(feature = "acme")]
    let by_acme = with_acme(config.acme, config.tls.is_some(), &runtime, &app)?;
    #[cfg(not(feature = "acme"))]
    let by_acme = None;
    let by_files = config.tls.map(tls::Tls::open).transpose().map_err(StartError::Tls)?;
    let by_files = by_files.map(|(tls, watched)| {
        runtime.spawn(tls::watch(app.clone(), tls.clone(), watched));
        tls
    });
    let tls = by_files.or(by_acme);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let FrontLimits { connections_of_address, stall, minimum_rate, .. } = config.front;
    let door = Door {
        gate: Gate::new(config.connections, connections_of_address),
        traffic: Arc::default(),
        proxies,
        patience: config.patience,
        pace: Pace { stall, minimum_rate },
        tls,
    };
    // Whoever starts it is told whether it is ready.
    monitor::try_now(&app);
    runtime.spawn(monitor::watch(app.clone()));
    let gate = door.gate.clone();
    let (traffic, tls) = (door.traffic.clone(), door.tls.clone());
    let sources = Sources { gate: door.gate.clone(), traffic, tls };
    let monitored = config.monitor.map(|address| {
        let router = monitor::router(app.clone(), sources);
        monitor_at(&runtime, address, router, stopping.clone())
    });
    let monitored = monitored.transpose()?;
    let router = handlers::router(app.clone());
    let leaving = app.clone();
    let leave = Box::new(move || leaving.health.leave());
    if keeps_attachments {
        runtime.spawn(expiry::sweep(app.clone()));
    }
    if app.service.forgets() {
        runtime.spawn(compactor::compact(app.clone(), config.compact_every));
    }
    match app.service.mode() {
        Mode::Accounts => runtime.spawn(publisher::publish(app, config.publish_every)),
        Mode::Certificates => runtime.spawn(sweeper::sweep(app, revocations)),
    };
    let mut stopped = stopping;
    let serving = runtime.spawn(async move {
        let until = async move {
            // An error is the end of the sender, which is a stop too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        connections::serve(listener, router, door, until).await;
    });
    Ok(Server {
        addr,
        gate,
        monitored,
        leave,
        grace: config.grace,
        scheme,
        stop,
        runtime: Some(runtime),
        serving: Some(serving),
        administer,
    })
}

/// TLS with a certificate that the server gets by itself, if it is to.
#[cfg(feature = "acme")]
fn with_acme<S: Administration>(
    config: Option<AcmeConfig>,
    has_files: bool,
    runtime: &tokio::runtime::Runtime,
    app: &Arc<App<S>>,
) -> Result<Option<Arc<tls::Tls>>, StartError> {
    let Some(config) = config else { return Ok(None) };
    if has_files {
        let what = "a certificate comes from files or by ACME, not both";
        return Err(StartError::Tls(what.into()));
    }
    let acme = acme::Acme::open(config).map_err(StartError::Tls)?;
    let tls = acme.tls();
    app.health.needs_certificate(tls.validity.clone());
    runtime.spawn(acme::Renewals::new(acme).run(app.clone()));
    Ok(Some(tls))
}

/// Listens for those who watch the server.
fn monitor_at(
    runtime: &tokio::runtime::Runtime,
    address: SocketAddr,
    router: axum::Router,
    mut stopping: watch::Receiver<bool>,
) -> Result<SocketAddr, StartError> {
    let cannot = |e| StartError::Listen(address, e);
    let listener = runtime.block_on(async { connections::listen(address) }).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let FrontLimits { stall, minimum_rate, .. } = FrontLimits::default();
    let door = Door {
        gate: Gate::new(MONITORS, MONITORS),
        traffic: Arc::default(),
        proxies: Arc::default(),
        patience: Config::PATIENCE,
        pace: Pace { stall, minimum_rate },
        tls: None,
    };
    runtime.spawn(async move {
        let until = async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        connections::serve(listener, router, door, until).await;
    });
    Ok(address)
}

impl Server {
    /// Where it is watched, if it is.
    #[must_use]
    pub fn monitor_addr(&self) -> Option<SocketAddr> {
        self.monitored
    }

    /// Says to whoever asks that it is not ready any more, and goes on serving.
    pub fn leave(&self) {
        (self.leave)();
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// What administers it.
    #[must_use]
    pub fn administer(&self) -> Administer {
        self.administer.clone()
    }

    /// Its address for clients: `http://127.0.0.1:4820`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// Stops: no new requests; those in work are finished, event streams are ended, and say when to come back, the
    /// state is closed. Returns whether all of that was done within [`Config::grace`].
    pub fn shutdown(mut self) -> bool {
        self.stop_now()
    }

    fn stop_now(&mut self) -> bool {
        (self.leave)();
        let _ = self.stop.send(true);
        let Some(runtime) = self.runtime.take() else { return true };
        let finished = self.serving.take().is_none_or(|serving| {
            runtime.block_on(async {
                let mut serving = pin!(serving);
                let idle = pin!(async {
                    while self.gate.in_work() > 0 {
                        tokio::time::sleep(BETWEEN_LOOKS).await;
                    }
                });
                let done = tokio::time::timeout(self.grace, select(serving.as_mut(), idle));
                let Ok(done) = done.await.map(|done| matches!(done, Either::Left(_))) else {
                    return false;
                };
                // Nothing is in work any more. What is left of replies goes out; of those who have not said what they
                // want, nobody waits.
                if !done {
                    let _ = tokio::time::timeout(LAST_WORDS, serving).await;
                }
                true
            })
        });
        runtime.shutdown_timeout(CLOSING);
        finished
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_now();
    }
}

#[cfg(test)]
#[cfg(feature = "client")]
mod tests;
