//! Taking connections.

use super::gate::{Connection, Gate, NoRoom};
use super::proxies::Proxies;
use super::stall::{Pace, Stalling, Traffic};
use super::tls::{CHALLENGE_PROTOCOL, Tls};
use axum::Router;
use conclave_delivery_api::{ERROR_HEADER, ErrorCode};
use futures_util::future::select;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How long nobody is let in when the system cannot: it may be out of files.
const REST: Duration = Duration::from_secs(1);

/// The most bytes that wait in a connection's buffers, each way. The head of a request fits.
const BUFFER: usize = 64 << 10;

/// How much of what is sent to a client the system keeps for it, in bytes: for whoever reads slowly it would take
/// megabytes. A reader 100 ms away still gets more than 2 MB a second.
const SEND_BUFFER: u32 = 256 << 10;

/// How many connections the system lets wait to be taken.
const BACKLOG: u32 = 1024;

/// Listens at an address. Connections inherit the socket's settings.
pub(super) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a server before it may still be closing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What connections are taken by.
pub(super) struct Door {
    pub(super) gate: Arc<Gate>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) proxies: Arc<Proxies>,
    /// How long a client may take for the head of a request.
    pub(super) patience: Duration,
    pub(super) pace: Pace,
    /// Unless it speaks plain HTTP.
    pub(super) tls: Option<Arc<Tls>>,
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // That one client has gone already.
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Tells a client for whom there is no room, as far as its system takes that at once.
fn turn_away(stream: &TcpStream, NoRoom(limit): NoRoom) {
    let code = ErrorCode::Overloaded;
    let (status, name) = (code.status(), code.name());
    let detail = format!("there are too many connections ({limit}): try again in 1 s\n");
    let length = detail.len();
    let reply = format!(
        "HTTP/1.1 {status} Service Unavailable\r\n{ERROR_HEADER}: {name}\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{detail}"
    );
    let _ = stream.try_write(reply.as_bytes());
}

/// Serves connections until it is to stop; then those that there are finish what they do.
///
/// A connection ends if the head of its next request has not come in time, if its client takes what it is sent too
/// slowly, or if it has to go for others.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    door: Door,
    stop: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let service = TowerToHyperService::new(router);
    let serving = async {
        loop {
            let (stream, from) = accept(&listener).await;
            let is_proxy = door.proxies.trusts(from.ip());
            let entered = match door.gate.enter(from.ip(), is_proxy) {
                Ok(entered) => entered,
                Err(limit) => {
                    turn_away(&stream, limit);
                    continue;
                }
            };
            // Replies are written whole: nothing is gained by waiting for more.
            let _ = stream.set_nodelay(true);
            let stream = Stalling::new(stream, door.pace, door.traffic.clone());
            let serving = Serving {
                service: service.clone(),
                connection: entered.connection.clone(),
                watcher: connections.watcher(),
                patience: door.patience,
            };
            let acceptor = door.tls.as_ref().map(|tls| tls.acceptor());
            tokio::spawn(async move {
                let connection = entered.connection.clone();
                let served = async move {
                    let Some(acceptor) = acceptor else { return serving.serve(stream).await };
                    let shaking = tokio::time::timeout(serving.patience, acceptor.accept(stream));
                    // Whatever goes wrong with it is its client's affair.
                    if let Ok(Ok(stream)) = shaking.await {
                        // The CA's has seen all that it came for.
                        if stream.get_ref().1.alpn_protocol() != Some(CHALLENGE_PROTOCOL) {
                            serving.serve(stream).await;
                        }
                    }
                };
                select(pin!(served), pin!(connection.evicted())).await;
                drop(entered);
            });
        }
    };
    select(pin!(serving), pin!(stop)).await;
    drop(listener);
    connections.shutdown().await;
}

/// What serves one connection.
struct Serving {
    service: TowerToHyperService<Router>,
    connection: Arc<Connection>,
    watcher: Watcher,
    patience: Duration,
}

impl Serving {
    async fn serve<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: T) {
        let Self { service, connection, watcher, patience } = self;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(connection.clone());
            service.call(request)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(BUFFER);
        let _ = watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await;
    }
}
