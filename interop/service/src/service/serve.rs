//! The socket.

use super::Service;
use crate::MESSAGE_BYTES;
use crate::proto::mls_client_server::MlsClientServer;
use std::future::Future;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// A socket that accepts connections, which are not answered yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens a socket; port 0 is any that is free.
///
/// # Errors
/// If the address cannot be had.
pub async fn listen(host: &str, port: u16) -> std::io::Result<Listening> {
    let listener = TcpListener::bind((host, port)).await?;
    let address = listener.local_addr()?;
    Ok(Listening { listener, address })
}

impl Listening {
    /// Where.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers calls until `end`, and those that are under way then.
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
        server.serve_with_incoming_shutdown(incoming, end).await
    }
}
