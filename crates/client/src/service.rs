//! The threads between an engine and its service: some make its calls, one listens to what the service pushes.

use crate::connection::Connection;
use crate::error::RunError;
use crate::files::write_private;
use conclave_delivery::http_client::{Client, Events, Session, Stop, TlsRoots};
use conclave_delivery_api::Call;
use conclave_engine::{
    CallError, CallId, Engine, Evidence, MAX_CALLS, Reply, Request, StreamEvent, Transport,
};
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair};
use conclave_store::Store;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What comes from the service.
#[derive(Debug)]
pub enum Arrived {
    /// Its answer to a call.
    Reply(CallId, Result<Reply, CallError>),
    /// What it pushes.
    Heard(StreamEvent),
}

/// A taker of what comes from the service, such as the sending end of a channel.
pub trait Take: Send + Sync + 'static {
    /// Takes it; false if nobody wants it any more.
    fn take(&self, arrived: Arrived) -> bool;
}

impl<M: From<Arrived> + Send + 'static> Take for Sender<M> {
    fn take(&self, arrived: Arrived) -> bool {
        self.send(arrived.into()).is_ok()
    }
}

#[cfg(feature = "tokio")]
impl<M: From<Arrived> + Send + 'static> Take for tokio::sync::mpsc::UnboundedSender<M> {
    fn take(&self, arrived: Arrived) -> bool {
        self.send(arrived.into()).is_ok()
    }
}

/// The service, as one engine reaches it.
pub(crate) struct Service {
    requests: Sender<Asked>,
    callers: Callers,
    /// How many threads make calls.
    threads: usize,
}

impl Service {
    /// Prepares to reach a service. What comes from it is given to `to`.
    pub(crate) fn start(
        url: &str,
        roots: Option<&TlsRoots>,
        to: impl Take,
    ) -> Result<Self, RunError> {
        let (requests, asked) = channel();
        let line = Line { connection: Connection::new(client(url, roots)), listening: None };
        let callers = Callers {
            asked: Arc::new(Mutex::new(asked)),
            connection: line.connection.clone(),
            line: Arc::new(Mutex::new(line)),
            to: Arc::new(to),
            idle: Arc::new(AtomicUsize::new(0)),
        };
        let mut service = Self { requests, callers, threads: 0 };
        service.start_caller()?;
        Ok(service)
    }

    /// The service, for calls beside the engine's.
    pub(crate) fn connection(&self) -> &Connection {
        &self.callers.connection
    }

    fn start_caller(&mut self) -> Result<(), RunError> {
        let callers = self.callers.clone();
        self.callers.idle.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::Builder::new().name("conclave-caller".into());
        thread.spawn(move || callers.run()).map_err(RunError::Threads)?;
        self.threads += 1;
        Ok(())
    }

    /// Makes all calls that an engine wants now.
    ///
    /// # Errors
    /// As of [`Engine::next`], and [`RunError::Threads`].
    pub(crate) fn make_calls<S: Store>(&mut self, engine: &mut Engine<S>) -> Result<(), RunError> {
        while let Some((call, request)) = engine.next(now())? {
            // A device in one conversation needs one thread.
            if self.callers.idle.load(Ordering::Relaxed) == 0 && self.threads < MAX_CALLS {
                self.start_caller()?;
            }
            let (provider, session_key) = (engine.provider(), engine.session_key().cloned());
            self.callers.idle.fetch_sub(1, Ordering::Relaxed);
            // The threads live as long as this end of the channel.
            let _ = self.requests.send(Asked { call, request, provider, session_key });
        }
        Ok(())
    }
}

/// Writes evidence against the service to files of a folder, before the user is told of them.
pub(crate) fn write_evidence<S: Store>(
    engine: &mut Engine<S>,
    folder: &Path,
) -> Result<(), RunError> {
    while let Some(Evidence { file_name, bytes }) = engine.next_evidence()? {
        let file = folder.join(file_name);
        if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
            write_private(&file, &bytes).map_err(|e| RunError::Evidence(file, e))?;
        }
    }
    Ok(())
}

/// The operating system's randomness.
#[must_use]
pub fn os_rng() -> Box<dyn CryptoRng + Send> {
    // Without randomness there is nothing that could be done safely.
    Box::new(rand_core::UnwrapErr(getrandom::SysRng))
}

/// The time as the engine wants it, in milliseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A client of the service at an address, whose certificate is from these roots or, if there are none, the system's.
#[must_use]
pub fn client(url: &str, roots: Option<&TlsRoots>) -> Client {
    match roots {
        Some(roots) => Client::with_roots(url, roots),
        None => Client::new(url),
    }
}

/// The service over HTTP.
pub(crate) struct Http<'a>(pub(crate) &'a Client);

impl Transport for Http<'_> {
    type Error = CallError;

    fn call<C: Call>(&mut self, request: &C) -> Result<C::Reply, CallError> {
        self.0.call(request)
    }
}

/// A call to be made.
struct Asked {
    call: CallId,
    request: Request,
    provider: Arc<dyn CryptoProvider>,
    /// The key of the session that is to be opened.
    session_key: Option<SignatureKeyPair>,
}

/// The connection to the service, and the thread that listens there.
struct Line {
    connection: Connection,
    /// What ends the thread that listens.
    listening: Option<Stop>,
}

type Taker = Arc<dyn Take>;

/// What the threads that make calls share.
#[derive(Clone)]
struct Callers {
    asked: Arc<Mutex<Receiver<Asked>>>,
    connection: Connection,
    line: Arc<Mutex<Line>>,
    to: Taker,
    /// How many threads have no call to make.
    idle: Arc<AtomicUsize>,
}

impl Callers {
    /// Makes calls, one after another, and hands on the answers.
    fn run(&self) {
        loop {
            let asked = locked(&self.asked).recv();
            let Ok(Asked { call, request, provider, session_key }) = asked else { return };
            let client = self.connection.current();
            let reply = request.call(&mut Http(&client));
            if let (Ok(Reply::OpenSession(opened)), Some(key)) = (&reply, session_key) {
                let session = Session::new(provider, key, opened.token.clone());
                locked(&self.line).open(session, &self.to);
            }
            // The answer may lead to a call at once.
            self.idle.fetch_add(1, Ordering::Relaxed);
            if !self.to.take(Arrived::Reply(call, reply)) {
                return;
            }
        }
    }
}

impl Line {
    /// From now on calls are made in this session, and somebody listens to what the service pushes in it.
    fn open(&mut self, session: Session, to: &Taker) {
        // A listener lives on for a while after it was stopped: a new one only for a new session.
        let client = self.connection.current();
        if client.session().map(Session::token) == Some(session.token()) {
            return;
        }
        let client = client.with_session(session);
        self.connection.renew(&client);
        if let Some(stop) = self.listening.take() {
            stop.stop();
        }
        let (events, to) = (client.events(), to.clone());
        self.listening = Some(events.stop_handle());
        // Without it the messenger works, but hears of news only when it asks.
        let _ = std::thread::Builder::new()
            .name("conclave-listener".into())
            .spawn(move || listener(events, &to));
    }
}

/// What is locked is whole even if a thread has panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listener(events: Events, to: &Taker) {
    for heard in events {
        if !to.take(Arrived::Heard(heard)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_delivery_api::{ErrorCode, MAX_BODY, SendMessage, Token};
    use conclave_mls::crypto::SignatureScheme;
    use conclave_provider_rustcrypto::RustCrypto;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// Answers one request with an event stream.
    fn answer(stream: &mut TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    }

    #[test]
    fn there_is_one_listener_for_each_session() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in server.incoming().flatten() {
                answer(&mut stream);
                open.push(stream);
            }
        });
        let (to, inbox) = channel();
        let mut line = Line { connection: Connection::new(Client::new(&url)), listening: None };
        let to: Taker = Arc::new(to);
        let provider: Arc<dyn CryptoProvider> = Arc::new(RustCrypto::new());
        let key_pair =
            provider.signature_key_pair(SignatureScheme::Ed25519, &mut *os_rng()).unwrap();
        for (token, connected) in [("1", 1), ("1", 0), ("1", 0), ("2", 1), ("2", 0)] {
            let token = Token::new(token.to_string());
            line.open(Session::new(provider.clone(), key_pair.clone(), token), &to);
            let next = |ms| inbox.recv_timeout(Duration::from_millis(ms));
            let mut heard: Vec<Arrived> = (0..connected).map(|_| next(10_000).unwrap()).collect();
            heard.extend(core::iter::from_fn(|| next(200).ok()));
            let is_connected = |m: &&Arrived| matches!(m, Arrived::Heard(StreamEvent::Connected));
            let count = heard.iter().filter(is_connected).count();
            assert_eq!(count, connected, "{heard:?}");
        }
    }

    /// Sent, it would be cut off on the way, which looks as if nobody answered.
    #[test]
    fn what_no_service_takes_is_refused_before_it_is_sent() {
        let nobody = Client::new("http://127.0.0.1:1");
        let send = |len| {
            let message = vec![0; len].into();
            Request::from(SendMessage { message }).call(&mut Http(&nobody)).unwrap_err()
        };
        assert_eq!(send(MAX_BODY).code(), Some(ErrorCode::TooLarge));
        assert!(send(1).is_temporary());
    }
}
