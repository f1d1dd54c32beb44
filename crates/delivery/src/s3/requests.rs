//! Requests to a bucket, and what its answers mean.

use super::place::Place;
use super::signing::{Credentials, NO_BODY, Request, signed};
use conclave_mls::crypto::CryptoProvider;
use core::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, AsSendBody, Body};

/// How long a request waits before it is sent again, if the store could not answer it.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// How long a request takes at most, besides what its body takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many bytes of a body a second has to take at least.
const SLOWEST: u64 = 256 << 10;
/// The most that is read of an answer that is no content, in bytes.
const MAX_ANSWER: u64 = 16 << 10;

/// What is sent.
pub(super) enum Sent<'a> {
    /// No body.
    Nothing,
    /// A body of no bytes.
    Empty,
    /// A file, and SHA-256 of it in hexadecimal, which the store compares.
    File(&'a Path, &'a str),
}

/// A bucket, as its requests see it.
pub(super) struct Bucket {
    place: Place,
    credentials: Credentials,
    provider: Arc<dyn CryptoProvider>,
    agent: Agent,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Bucket {
    pub(super) fn new(
        place: Place,
        credentials: Credentials,
        provider: Arc<dyn CryptoProvider>,
        agent: Agent,
    ) -> Self {
        Self { place, credentials, provider, agent }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The answer to a request. What fails on the way or in the store is sent again: all that is asked here can be
    /// repeated.
    pub(super) fn ask(
        &self,
        method: &'static str,
        name: &str,
        headers: &[(&'static str, String)],
        sent: &Sent<'_>,
    ) -> io::Result<Response<Body>> {
        let mut pauses = PAUSES.iter();
        loop {
            let answer = self.ask_once(method, name, headers, sent);
            let is_over = match &answer {
                Ok(answer) => {
                    let status = answer.status();
                    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
                }
                // Our own file, or a request that cannot be made.
                Err(e) => e.kind() != ErrorKind::Other,
            };
            match pauses.next() {
                Some(pause) if !is_over => sleep(*pause),
                _ => return answer,
            }
        }
    }

    fn ask_once(
        &self,
        method: &'static str,
        name: &str,
        headers: &[(&'static str, String)],
        sent: &Sent<'_>,
    ) -> io::Result<Response<Body>> {
        let (body_hash, file) = match sent {
            Sent::Nothing | Sent::Empty => (NO_BODY, None),
            Sent::File(path, hash) => (*hash, Some(File::open(path)?)),
        };
        let length = file.as_ref().map_or(Ok(0), |file| file.metadata().map(|m| m.len()))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let path = self.place.path(name);
        let headers = headers.to_vec();
        let request = Request { method, host: &self.place.host, path: &path, body_hash, headers };
        let provider = &*self.provider;
        let headers =
            signed(provider, &self.credentials, &self.place.region, now.as_secs(), request)
                .map_err(|e| io::Error::new(ErrorKind::InvalidInput, e.to_string()))?;

        let mut builder = ureq::http::Request::builder().method(method).uri(self.place.url(name));
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let patience = PATIENCE + Duration::from_secs(length / SLOWEST);
        match (sent, file) {
            (Sent::Nothing, _) => self.send(builder.body(()), patience),
            (_, None) => self.send(builder.body(&[][..]), patience),
            (_, Some(file)) => self.send(builder.body(file), patience),
        }
    }

    fn send<B: AsSendBody>(
        &self,
        request: Result<ureq::http::Request<B>, ureq::http::Error>,
        patience: Duration,
    ) -> io::Result<Response<Body>> {
        let request =
            request.map_err(|e| io::Error::new(ErrorKind::InvalidInput, e.to_string()))?;
        let request = self.agent.configure_request(request).timeout_global(Some(patience)).build();
        let origin = self.place.origin();
        self.agent
            .run(request)
            .map_err(|e| io::Error::other(format!("{origin} does not answer: {e}")))
    }

    /// What an answer says that is none of those that were asked for.
    pub(super) fn refusal(&self, what: &str, answer: Response<Body>) -> io::Error {
        let status = answer.status();
        let text = text(answer).unwrap_or_default();
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        let code = code.map_or("without a code", |(code, _)| code);
        let origin = self.place.origin();
        let bucket = &self.place.bucket;
        let kind = match status {
            // Not if the bucket is missing.
            StatusCode::NOT_FOUND if code == "NoSuchKey" => ErrorKind::NotFound,
            StatusCode::FORBIDDEN => ErrorKind::PermissionDenied,
            _ => ErrorKind::Other,
        };
        io::Error::new(
            kind,
            format!(
                "{origin} refused to {what} an object in bucket {bucket}: {status}, {code:.80}"
            ),
        )
    }
}

/// The text of an answer, as far as it is not too long.
pub(super) fn text(answer: Response<Body>) -> io::Result<String> {
    let mut text = Vec::new();
    answer.into_body().into_reader().take(MAX_ANSWER).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
