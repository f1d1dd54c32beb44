//! The directory: what is published, and the proofs of it.

use super::accounts::stored_account;
use super::sessions::Holder;
use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::Storage;
use conclave_delivery_api::{
    DirectoryPage, ErrorCode, ExtensionProof, FetchExtension, FetchHistory, FetchRoots, Mode, Name,
    RootsPage, SignedRoot,
};
use conclave_directory::server::{DirectoryError, Page};
use conclave_directory::{Depth, Head};
use conclave_mls::UnixTime;
use core::time::Duration;

/// The most names of a batch. What is left makes the next one.
const MAX_BATCH: u32 = 10_000;
/// How old the newest root is when the service signs it again, to say that nothing has happened since.
const REFRESH_AFTER: Duration = Duration::from_secs(60 * 60);

/// A batch that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The new root.
    pub root: SignedRoot,
    /// How many users' entries changed.
    pub changes: usize,
}

impl From<DirectoryError> for ServiceError {
    fn from(e: DirectoryError) -> Self {
        let code = match e {
            DirectoryError::NoEntry => ErrorCode::NotPublished,
            DirectoryError::NoEpoch => ErrorCode::UnknownEpoch,
            DirectoryError::TooLarge => ErrorCode::TooLarge,
            _ => ErrorCode::Unavailable,
        };
        Self::new(code, e.to_string())
    }
}

/// A page of the directory as a reply holds it.
fn replied(page: Page) -> DirectoryPage {
    DirectoryPage { root: page.root, proof: page.proof.into() }
}

impl<S: Storage> Service<S> {
    /// Publishes what has changed in accounts as the next batch of the directory, up to 10,000 users at once; the
    /// result is none if nothing has. If nothing has for an hour, the newest root is signed again.
    ///
    /// What fails, or is cut off by the end of the process, is done by the next call.
    ///
    /// # Errors
    /// If the storage fails, or another process publishes.
    pub fn publish(&self, now: UnixTime) -> Result<Option<Published>, ServiceError> {
        let now = now.as_secs();
        let changed = self.storage.unpublished(MAX_BATCH)?;
        if changed.is_empty() {
            let published_at = self.directory.root()?.published_at;
            if now >= published_at.saturating_add(REFRESH_AFTER.as_secs()) {
                self.directory.refresh(now)?;
            }
            return Ok(None);
        }

        let mut batch = Vec::with_capacity(changed.len());
        let mut lengths = Vec::with_capacity(changed.len());
        for (user, record) in changed {
            let head = stored_account(&user, &record)?.head();
            batch.push((directory_name(&user), Head { length: head.length, hash: head.hash }));
            lengths.push((user, head.length));
        }

        let before = self.directory.root()?.epoch;
        let root = self.directory.publish(&batch, now)?;
        // If this is not written, the same heads are published again, which changes nothing.
        self.storage.mark_published(lengths)?;
        Ok((root.epoch > before).then_some(Published { root, changes: batch.len() }))
    }

    /// What the directory says about a user.
    pub(super) fn directory_page(&self, user: &Name) -> Result<DirectoryPage, ServiceError> {
        Ok(replied(self.directory.lookup(&directory_name(user))?))
    }
}

/// The name by which the directory has a user.
fn directory_name(user: &Name) -> Vec<u8> {
    user.as_str().as_bytes().to_vec()
}

impl Operation for FetchRoots {
    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        _: &Caller,
    ) -> Result<Done<RootsPage>, ServiceError> {
        let roots = service.directory.roots(self.from)?;
        let newest = service.directory.root()?.epoch;
        let seen = format!("{} roots from {} on, of {newest}", roots.len(), self.from);
        Ok(Done::new(RootsPage { roots, newest }, seen))
    }
}

impl Operation for FetchExtension {
    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        _: &Caller,
    ) -> Result<Done<ExtensionProof>, ServiceError> {
        let _turn = service.long_proofs.begin()?;
        let proof = service.directory.append_only(self.from, self.to)?;
        let seen = format!("from {} to {}, {} bytes", self.from, self.to, proof.len());
        Ok(Done::new(ExtensionProof { proof: proof.into() }, seen))
    }
}

impl Operation for FetchHistory {
    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<DirectoryPage>, ServiceError> {
        let user = match &caller.holder {
            Some(Holder::Device(info)) => &info.device.user,
            Some(Holder::Recovery(user)) => user,
            None => {
                let detail = "this takes a session";
                return Err(ServiceError::new(ErrorCode::Unauthorized, detail));
            }
        };
        let _turn = service.long_proofs.begin()?;
        let page = service.directory.history(&directory_name(user), Depth::Complete)?;
        let seen = format!("{user}, {} bytes", page.proof.len());
        Ok(Done::new(replied(page), seen))
    }
}
