//! Webhooks: events are posted in order, signed, and again until they are taken.

use crate::caller::{CallFailed, Caller};
use crate::failure::{Failure, complain};
use crate::folders::read_file;
use crate::provider::provider;
use crate::rpc::Devices;
use conclave_client::now;
use conclave_delivery::http_client::{Poster, TlsRoots};
use conclave_delivery_api::to_hex;
use conclave_mls::crypto::{CryptoProvider, Hash};
use conclave_store::Secret;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The shortest key, in bytes.
const MIN_KEY: usize = 16;
/// The wait before an event is posted again the first time. It doubles each time, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Takes an address that can be posted to.
pub(crate) fn parse_target(url: &str) -> Result<String, String> {
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    match is_http && url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some()) {
        true => Ok(url.to_string()),
        false => Err("it must be an https:// or http:// address".into()),
    }
}

/// The address that events are posted to.
#[derive(Clone)]
pub(crate) struct Webhook {
    poster: Poster,
    url: String,
    key: Arc<Secret>,
}

impl Webhook {
    /// A webhook, with the key that is the first line of a file.
    pub(crate) fn new(url: String, key: &Path, roots: Option<&TlsRoots>) -> Result<Self, Failure> {
        let file = Secret::new(read_file(key)?);
        let line = file.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() < MIN_KEY {
            return Err(
                format!("the key in {} has fewer than {MIN_KEY} bytes", key.display()).into()
            );
        }
        let secret = Arc::new(Secret::new(line.to_vec()));
        Ok(Self { poster: Poster::new(&url, roots), url, key: secret })
    }

    /// Posts the events of all devices from now on: those of each on a thread of its own.
    pub(crate) fn start(&self, devices: &Devices) -> Result<(), Failure> {
        for name in devices.names() {
            let mut caller = Caller::of(Arc::new(devices.only(&name)))?;
            let webhook = self.clone();
            std::thread::Builder::new().name("conclave-webhook".into()).spawn(move || {
                // A device that cannot go on ends the process.
                let _ = webhook.run(&mut caller);
            })?;
        }
        Ok(())
    }

    fn run(&self, caller: &mut Caller) -> Result<(), CallFailed> {
        caller.call("subscribe", &json!({}), None)?;
        loop {
            let event = caller.event(None)?;
            self.deliver(&event);
            caller.tell("acknowledge", &json!({ "only": [event.get("cursor")] }))?;
        }
    }

    /// Posts an event until it is taken.
    fn deliver(&self, event: &Value) {
        let body = event.to_string();
        let mut wait = FIRST_WAIT;
        loop {
            let why = match self.post(&body) {
                Ok(200..300) => return,
                Ok(status) => format!("it answers {status}"),
                Err(why) => why,
            };
            let again = format!("tried again in {} ms", wait.as_millis());
            complain(&format!("the webhook does not take an event: {why}; {again}"));
            std::thread::sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn post(&self, body: &str) -> Result<u16, String> {
        let time = (now() / 1000).to_string();
        let parts = [time.as_bytes(), b".", body.as_bytes()];
        let mac = provider().hmac(Hash::Sha256, &self.key, &parts).map_err(|e| e.to_string())?;
        let signature = format!("v1={}", to_hex(mac.as_ref()));
        let headers = [
            ("content-type", "application/json"),
            ("conclave-timestamp", &time),
            ("conclave-signature", &signature),
        ];
        self.poster.post(&self.url, &headers, body.as_bytes())
    }
}
