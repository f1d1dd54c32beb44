//! The threads between an engine and its service: one makes its calls, one listens to what the service pushes.

use crate::connection::Connection;
use crate::error::RunError;
use crate::files::write_private;
use conclave_delivery::http_client::{Client, Events, Session, Stop, TlsRoots};
use conclave_delivery_api::Call;
use conclave_engine::{CallError, Engine, Evidence, Reply, Request, StreamEvent, Transport};
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair};
use conclave_store::Store;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

/// What comes from the service.
#[derive(Debug)]
pub enum Arrived {
    /// Its answer.
    Reply(Result<Reply, CallError>),
    /// What it pushes.
    Heard(StreamEvent),
}

/// The service, as one engine reaches it.
pub(crate) struct Service {
    requests: Sender<Asked>,
    connection: Connection,
}

impl Service {
    /// Starts the threads. What comes from the service goes to `to`.
    pub(crate) fn start<M: From<Arrived> + Send + 'static>(
        url: &str,
        roots: Option<&TlsRoots>,
        to: Sender<M>,
    ) -> Result<Self, RunError> {
        let (requests, asked) = channel();
        let client = client(url, roots);
        let connection = Connection::new(client.clone());
        let renewed = connection.clone();
        std::thread::Builder::new()
            .name("conclave-caller".into())
            .spawn(move || caller(client, &renewed, &asked, &to))
            .map_err(RunError::Threads)?;
        Ok(Self { requests, connection })
    }

    /// The service, for calls beside the engine's.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes a call of an engine's.
    pub(crate) fn ask<S: Store>(&self, engine: &Engine<S>, request: Request) {
        let session_key = engine.session_key().cloned();
        let provider = engine.provider();
        // The thread lives as long as this end of the channel.
        let _ = self.requests.send(Asked { request, provider, session_key });
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
pub(crate) fn client(url: &str, roots: Option<&TlsRoots>) -> Client {
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
    request: Request,
    provider: Arc<dyn CryptoProvider>,
    /// The key of the session that is to be opened.
    session_key: Option<SignatureKeyPair>,
}

/// Makes calls, one after another, and hands on the answers; the first of them open a session, which
/// is what the listener needs.
fn caller<M>(client: Client, connection: &Connection, requests: &Receiver<Asked>, to: &Sender<M>)
where
    M: From<Arrived> + Send + 'static,
{
    let mut client = client;
    let mut listening: Option<Stop> = None;
    for Asked { request, provider, session_key } in requests {
        let reply = request.call(&mut Http(&client));
        if let (Ok(Reply::OpenSession(opened)), Some(key)) = (&reply, session_key) {
            // A listener lives on for a while after it was stopped: a new one only for a new session.
            if client.session().map(Session::token) != Some(&opened.token) {
                client = client.with_session(Session::new(provider, key, opened.token.clone()));
                connection.renew(&client);
                if let Some(stop) = listening.take() {
                    stop.stop();
                }
                let (events, to) = (client.events(), to.clone());
                listening = Some(events.stop_handle());
                // Without it the messenger works, but hears of news only when it asks.
                let _ = std::thread::Builder::new()
                    .name("conclave-listener".into())
                    .spawn(move || listener(events, &to));
            }
        }
        if to.send(Arrived::Reply(reply).into()).is_err() {
            return;
        }
    }
}

fn listener<M: From<Arrived>>(events: Events, to: &Sender<M>) {
    for heard in events {
        if to.send(Arrived::Heard(heard).into()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_account::Author;
    use conclave_delivery_api::{
        Bytes, Decode, Encode, ErrorCode, Incarnation, MAX_BODY, OpenSession, OpenedSession,
        SendMessage, Token,
    };
    use conclave_mls::crypto::SignatureScheme;
    use conclave_provider_rustcrypto::RustCrypto;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    /// Answers one request: a session with a token that is its time, anything else with an event
    /// stream.
    fn answer(stream: &mut TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().to_lowercase().split_once(": ") {
                Some(("content-length", n)) => length = n.parse().unwrap(),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body).unwrap();
        let (mut head, mut reply) = ("HTTP/1.1 200 OK\r\n".to_string(), Vec::new());
        if let Ok(open) = OpenSession::from_bytes(&body) {
            let token = Token::new(open.issued_at.to_string());
            let incarnation = Incarnation { id: [1; 16], number: 1 };
            reply = OpenedSession { token, lifetime: 3600, incarnation }.to_bytes().unwrap();
            head += &format!("connection: close\r\ncontent-length: {}\r\n", reply.len());
        }
        stream.write_all(&[head.as_bytes(), b"\r\n", &reply].concat()).unwrap();
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
        let ((requests, asked), (to, inbox)) = (channel(), channel());
        let client = Client::new(&url);
        let connection = Connection::new(client.clone());
        std::thread::spawn(move || caller(client, &connection, &asked, &to));
        let provider: Arc<dyn CryptoProvider> = Arc::new(RustCrypto::new());
        let session_key =
            provider.signature_key_pair(SignatureScheme::Ed25519, &mut *os_rng()).unwrap();
        for (issued_at, connected) in [(1, true), (1, false), (1, false), (2, true), (2, false)] {
            let open = OpenSession {
                user: "a".parse().unwrap(),
                author: Author::Recovery,
                key: vec![1].into(),
                session_key: session_key.public.clone(),
                issued_at,
                signature: Bytes::default(),
            };
            let (request, provider) = (open.into(), provider.clone());
            let session_key = Some(session_key.clone());
            requests.send(Asked { request, provider, session_key }).unwrap();
            let next = |ms| inbox.recv_timeout(Duration::from_millis(ms));
            let expected = 0..=usize::from(connected);
            let mut heard: Vec<Arrived> = expected.map(|_| next(10_000).unwrap()).collect();
            heard.extend(core::iter::from_fn(|| next(200).ok()));
            let is_connected = |m: &&Arrived| matches!(m, Arrived::Heard(StreamEvent::Connected));
            let count = heard.iter().filter(is_connected).count();
            assert_eq!(count, usize::from(connected), "{heard:?}");
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
