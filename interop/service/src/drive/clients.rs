//! The services that scripts run between: given ones, or two processes of our own.

use crate::MESSAGE_BYTES;
use crate::proto::mls_client_client::MlsClientClient;
use crate::proto::{NameRequest, SupportedCiphersuitesRequest};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// A connection to a service.
pub(super) type Stub = MlsClientClient<Channel>;

/// A service that answers.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) stub: Stub,
    pub(super) suites: Vec<u32>,
}

/// A process of our own; it ends with this value.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) address: String,
}

impl Process {
    /// Starts this program as a service.
    pub(super) fn start(provider: &str, reload: bool) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = Command::new(program);
        command.args(["--port", "0", "--provider", provider]);
        command.args(reload.then_some("--reload"));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("a service does not start: {e}"))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
        }

        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        let process = Self { child, address };
        if process.address.is_empty() {
            Err("a service does not report its address".to_owned())
        } else {
            Ok(process)
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    /// Connects to `host:port` and asks for the service's name.
    pub(super) async fn connect(address: &str) -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("{address}: {e}");
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|e| failed(&e))?;
        let endpoint = endpoint.timeout(Duration::from_secs(120)).tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|e| failed(&e))?;
        let mut stub = Stub::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let name = stub.name(NameRequest {}).await.map_err(|e| failed(&e))?.into_inner().name;
        let suites = stub.supported_ciphersuites(SupportedCiphersuitesRequest {}).await;
        let suites = suites.map_err(|e| failed(&e))?.into_inner().ciphersuites;
        Ok(Self { name: format!("{name} at {address}"), stub, suites })
    }
}

/// The suites that all clients support.
pub(super) fn common_suites(clients: &[Client]) -> Vec<u32> {
    let first = clients.first().map(|client| client.suites.clone()).unwrap_or_default();
    let all_have = |suite: &u32| clients.iter().all(|client| client.suites.contains(suite));
    let mut suites: Vec<u32> = first.into_iter().filter(all_have).collect();
    suites.sort_unstable();
    suites
}
