//! Connections: so many at once, and none that waits for ever for what its client sends.

use axum::Router;
use futures_util::future::select;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long nobody is let in when the system cannot: it may be out of files.
const REST: Duration = Duration::from_secs(1);

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
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

/// Serves connections until it is to stop; then those that there are finish what they do.
///
/// `most` are open at once: one more waits in the system's queue until another ends. A connection
/// ends if the head of its next request has not come after `patience`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    patience: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience);
    let service = TowerToHyperService::new(router);
    let connections = GracefulShutdown::new();
    let free = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let serving = async {
        // The semaphore is never closed.
        while let Ok(place) = free.clone().acquire_owned().await {
            let stream = TokioIo::new(accept(&listener).await);
            let connection = builder.serve_connection(stream, service.clone());
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                // Whatever goes wrong with it is its client's affair.
                let _ = connection.await;
                drop(place);
            });
        }
    };
    select(pin!(serving), pin!(stop)).await;
    drop(listener);
    connections.shutdown().await;
}
