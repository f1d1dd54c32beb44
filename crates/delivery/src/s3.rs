//! The contents of attachments in a bucket of an object store that speaks S3: Amazon's, or one of those that are
//! compatible.
//!
//! Uploads are put together in a folder on this machine, so that they can go on from where they were. A complete one is
//! sent in one request, whose hash the store compares, under a name of its own; when it becomes the attachment, the
//! store copies it to the attachment's name, which is its hash. Requests are signed by AWS Signature Version 4, and
//! buckets are named in the path.

mod place;
mod requests;
mod signing;

use crate::attachments::{AttachmentStore, FolderStore};
use crate::http_client::TlsRoots;
use conclave_delivery_api::{Name, to_hex};
use conclave_mls::crypto::CryptoProvider;
pub use place::Place;
use requests::{Bucket, Sent, text};
pub use signing::Credentials;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};
use ureq::http::StatusCode;

/// The longest attachment that one request takes, in bytes: S3's limit.
pub const MAX_SIZE: u64 = 5 << 30;

/// Keeps contents in a bucket.
#[derive(Debug)]
pub struct S3Store {
    bucket: Bucket,
    uploads: FolderStore,
    sending: Mutex<BTreeSet<String>>,
}

/// An upload that is being sent to the store: whoever asks meanwhile, as its client was tired of waiting, sends it no
/// second time.
struct Sending<'a> {
    all: &'a Mutex<BTreeSet<String>>,
    name: &'a str,
}

impl<'a> Sending<'a> {
    fn begin(all: &'a Mutex<BTreeSet<String>>, name: &'a str) -> io::Result<Self> {
        if all.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into()) {
            return Ok(Self { all, name });
        }
        Err(io::Error::other("the upload is on its way to the object store: ask again in a while"))
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(self.name);
    }
}

impl S3Store {
    /// A store in this bucket; uploads that are not complete are in the folder. Nothing is asked yet.
    ///
    /// A store at `https://` has to have a certificate from one of the system's roots.
    #[must_use]
    pub fn new(
        place: Place,
        credentials: Credentials,
        provider: Arc<dyn CryptoProvider>,
        uploads: FolderStore,
    ) -> Self {
        let agent = TlsRoots::of_system().agent(None);
        Self {
            bucket: Bucket::new(place, credentials, provider, agent),
            uploads,
            sending: Mutex::default(),
        }
    }

    /// Checks that the bucket can be read.
    ///
    /// # Errors
    /// If it does not answer, is not there, or the credentials are no good for it.
    pub fn check(&self) -> io::Result<()> {
        let answer = self.bucket.ask("GET", "check", &[], &Sent::Nothing)?;
        if answer.status() == StatusCode::OK {
            return Ok(());
        }
        match self.bucket.refusal("look up", answer) {
            e if e.kind() == ErrorKind::NotFound => Ok(()),
            e => Err(e),
        }
    }

    /// The length of an object; none if it is not there.
    fn size(&self, name: &str) -> io::Result<Option<u64>> {
        let answer = self.bucket.ask("HEAD", name, &[], &Sent::Nothing)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => {
                let length = answer.headers().get("content-length").and_then(|l| l.to_str().ok());
                let length = length.and_then(|length| length.parse().ok());
                let unknown =
                    || io::Error::other("the object store did not say how long the object is");
                length.ok_or_else(unknown).map(Some)
            }
            _ => Err(self.bucket.refusal("look up", answer)),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let answer = self.bucket.ask("DELETE", name, &[], &Sent::Nothing)?;
        match answer.status() {
            StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.bucket.refusal("delete", answer)),
        }
    }
}

/// The name of what is complete and not an attachment yet.
fn complete(hash: &[u8; 32], user: &Name) -> String {
    format!("{}-{}", to_hex(hash), to_hex(user.as_str().as_bytes()))
}

impl AttachmentStore for S3Store {
    fn write(&self, hash: &[u8; 32], user: &Name, offset: u64, content: &[u8]) -> io::Result<()> {
        self.uploads.write(hash, user, offset, content)
    }

    fn verify(&self, hash: &[u8; 32], user: &Name, size: u64) -> io::Result<bool> {
        if size > 0 && !self.uploads.has_part(hash, user)? {
            // One that was published before the process ended.
            return match self.size(&to_hex(hash))? {
                Some(length) if length == size => Ok(true),
                _ => Err(ErrorKind::NotFound.into()),
            };
        }
        if !self.uploads.verify(hash, user, size)? {
            return Ok(false);
        }

        let name = complete(hash, user);
        let _sending = Sending::begin(&self.sending, &name)?;
        let path = self.uploads.part(hash, user);
        let answer = self.bucket.ask("PUT", &name, &[], &Sent::File(&path, &to_hex(hash)))?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            _ => Err(self.bucket.refusal("write", answer)),
        }
    }

    fn publish(&self, hash: &[u8; 32], user: &Name) -> io::Result<()> {
        let (name, from) = (to_hex(hash), complete(hash, user));
        if self.size(&name)?.is_none() {
            let source = ("x-amz-copy-source", self.bucket.place().path(&from));
            let answer = self.bucket.ask("PUT", &name, &[source], &Sent::Empty)?;
            if answer.status() != StatusCode::OK {
                return Err(self.bucket.refusal("copy", answer));
            }
            // An error that comes later stands in the body.
            let said = text(answer)?;
            if !said.contains("<CopyObjectResult") {
                return Err(io::Error::other(format!(
                    "the object store did not copy: {said:.200}"
                )));
            }
        }
        self.discard(hash, user)
    }

    fn contains(&self, hash: &[u8; 32]) -> io::Result<bool> {
        self.size(&to_hex(hash)).map(|size| size.is_some())
    }

    fn read(&self, hash: &[u8; 32], offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let Some(behind) = (length as u64).checked_sub(1) else { return Ok(Vec::new()) };
        let range = format!("bytes={offset}-{}", offset.saturating_add(behind));
        let answer = self.bucket.ask("GET", &to_hex(hash), &[("range", range)], &Sent::Nothing)?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {}
            // Nothing is there, which is no range.
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Vec::new()),
            _ => return Err(self.bucket.refusal("read", answer)),
        }
        let mut content = Vec::new();
        answer.into_body().into_reader().take(length as u64).read_to_end(&mut content)?;
        Ok(content)
    }

    fn discard(&self, hash: &[u8; 32], user: &Name) -> io::Result<()> {
        self.remove(&complete(hash, user))?;
        self.uploads.discard(hash, user)
    }

    fn delete(&self, hash: &[u8; 32]) -> io::Result<()> {
        self.remove(&to_hex(hash))
    }
}

#[cfg(test)]
mod tests;
