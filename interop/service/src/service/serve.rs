//! The socket.

use super::Service;
use crate::MESSAGE_BYTES;
use crate::proto::mls_client_server::MlsClientServer;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::sleep;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// How long calls may take that are under way at the end.
const GRACE: Duration = Duration::from_secs(1);

/// A socket that accepts connections, but does not answer them yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens a socket; port 0 stands for any free port.
///
/// # Errors
/// If the address is not available.
pub async fn listen(host: &str, port: u16) -> std::io::Result<Listening> {
    let listener = TcpListener::bind((host, port)).await?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address })
}

impl Listening {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers calls until `end`, and finishes calls under way within a grace period. An open connection does not
    /// keep the service running.
    ///
    /// # Errors
    /// If the socket fails.
    pub async fn serve(
        self,
        service: Service,
        end: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let service = MlsClientServer::new(service)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let server = Server::builder().add_service(service);
        let ending = Notify::new();
        let end = async {
            end.await;
            ending.notify_one();
        };

        let grace = async {
            ending.notified().await;
            sleep(GRACE).await;
        };

        tokio::select! {
            done = server.serve_with_incoming_shutdown(incoming, end) => done,
            () = grace => Ok(()),
        }
    }
}
