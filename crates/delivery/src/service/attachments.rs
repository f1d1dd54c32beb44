//! Attachments: uploaded in parts, kept for a while, given to whoever knows their hash.

use super::{Caller, Done, Operation, Service, ServiceError};
use crate::attachments::Attachments;
use crate::storage::{NewUpload, Quota, Storage, UploadBegun, UploadRecord};
use conclave_delivery_api::{
    AttachmentPart, BeginUpload, Bytes, DeleteAttachment, Deleted, ErrorCode, FetchAttachment,
    MAX_PART, Name, Upload, UploadPart, to_hex,
};
use conclave_mls::UnixTime;

/// How many uploads that have expired are deleted in one go.
const MAX_SWEPT: u32 = 1_000;

fn hash_of(hash: &Bytes) -> Result<[u8; 32], ServiceError> {
    <[u8; 32]>::try_from(&**hash)
        .map_err(|_| ServiceError::new(ErrorCode::Malformed, "an attachment's hash has 32 bytes"))
}

fn unknown() -> ServiceError {
    ServiceError::new(
        ErrorCode::UnknownAttachment,
        "there is no such attachment, or it has expired: begin to upload it",
    )
}

fn failed(e: std::io::Error) -> ServiceError {
    ServiceError::new(ErrorCode::Unavailable, format!("the attachment's content: {e}"))
}

fn said(record: UploadRecord) -> Upload {
    Upload { received: record.received, expires_at: record.expires_at }
}

/// What an operator sees of an attachment.
fn short(hash: &[u8; 32]) -> String {
    to_hex(hash.get(..4).unwrap_or_default())
}

impl<S: Storage> Service<S> {
    fn attachments(&self) -> Result<&Attachments, ServiceError> {
        let none = || {
            let detail = "this service keeps no attachments";
            ServiceError::new(ErrorCode::UnknownAttachment, detail)
        };
        self.attachments.as_ref().ok_or_else(none)
    }

    /// Deletes uploads whose time is over; how many. Some may be left, for another call.
    ///
    /// # Errors
    /// If the storage fails, or contents cannot be deleted.
    pub fn sweep_attachments(&self, now: UnixTime) -> Result<usize, ServiceError> {
        let Some(attachments) = &self.attachments else { return Ok(0) };
        let expired = self.storage.expired_uploads(now.as_secs(), MAX_SWEPT)?;
        for (hash, user) in &expired {
            self.forget(attachments, hash, user)?;
        }
        Ok(expired.len())
    }

    /// Forgets an upload, and deletes what nobody else has uploaded.
    fn forget(
        &self,
        attachments: &Attachments,
        hash: &[u8; 32],
        user: &Name,
    ) -> Result<bool, ServiceError> {
        let _changing = attachments.changing();
        // The record goes last: what is cut off here is done again.
        attachments.store.discard(hash, user).map_err(failed)?;
        let was_complete = self.storage.upload(hash, user)?.is_some_and(|upload| upload.complete);
        let known = self.storage.remove_upload(*hash, user)?;
        if was_complete && self.storage.attachment(hash)?.is_none() {
            attachments.store.delete(hash).map_err(failed)?;
        }
        Ok(known)
    }

    /// Checks an upload of which all bytes are there, and makes it the attachment.
    fn complete(
        &self,
        attachments: &Attachments,
        (hash, user): (&[u8; 32], &Name),
        size: u64,
        now: UnixTime,
    ) -> Result<UploadRecord, ServiceError> {
        if !attachments.store.verify(hash, user, size).map_err(failed)? {
            self.forget(attachments, hash, user)?;
            let detail =
                "what was uploaded does not have the hash, and was thrown away: upload it again";
            return Err(ServiceError::new(ErrorCode::HashMismatch, detail));
        }

        let expires_at = now.saturating_add(attachments.limits.lifetime).as_secs();
        let _changing = attachments.changing();
        attachments.store.publish(hash, user).map_err(failed)?;
        if !self.storage.complete_upload(*hash, user, expires_at)? {
            if self.storage.attachment(hash)?.is_none() {
                attachments.store.delete(hash).map_err(failed)?;
            }
            return Err(unknown());
        }
        Ok(UploadRecord { size, received: size, complete: true, expires_at })
    }
}

impl Operation for BeginUpload {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Upload>, ServiceError> {
        let me = caller.id()?;
        let (attachments, hash) = (service.attachments()?, hash_of(&self.hash)?);
        let limits = &attachments.limits;
        if self.size > limits.size {
            let detail = format!("an attachment has at most {} bytes", limits.size);
            return Err(ServiceError::new(ErrorCode::TooLarge, detail));
        }
        let quota = service.most(&me.user, Quota::Attachments, limits.quota)?;
        let begun = {
            // Else the same attachment of another user could be deleted meanwhile.
            let _changing = attachments.changing();
            let new = NewUpload {
                hash,
                user: me.user.clone(),
                size: self.size,
                // A service that was restored from a backup has records without contents: they are uploaded again.
                is_there: attachments.store.contains(&hash).map_err(failed)?,
                expires_at: caller.now.saturating_add(limits.unfinished).as_secs(),
                complete_expires_at: caller.now.saturating_add(limits.lifetime).as_secs(),
            };
            service.storage.begin_upload(new, quota, limits.total)?
        };
        let mut record = match begun {
            UploadBegun::There(record) if record.size != self.size => {
                let detail = format!("the upload was begun with {} bytes", record.size);
                return Err(ServiceError::invalid(detail));
            }
            UploadBegun::There(record) => record,
            UploadBegun::OverQuota => {
                let detail = format!(
                    "the attachments of {} would have more than {} bytes: delete some, or wait until some expire",
                    me.user, quota
                );
                return Err(ServiceError::new(ErrorCode::Quota, detail));
            }
            UploadBegun::Full => {
                let detail = "the service has no room for more attachments: try again tomorrow";
                return Err(ServiceError::new(ErrorCode::Quota, detail));
            }
        };
        // Nothing else may come for it.
        if !record.complete && record.received == record.size {
            let upload = (&hash, &me.user);
            record = service.complete(attachments, upload, record.size, caller.now)?;
        }
        let seen = format!("{me} uploads {} bytes as {}", self.size, short(&hash));
        Ok(Done::new(said(record), seen))
    }
}

impl Operation for UploadPart {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Upload>, ServiceError> {
        let me = caller.id()?;
        let (attachments, hash) = (service.attachments()?, hash_of(&self.hash)?);
        if self.content.len() > MAX_PART {
            let detail = format!("a part has at most {MAX_PART} bytes");
            return Err(ServiceError::new(ErrorCode::TooLarge, detail));
        }
        let user = &me.user;
        let mut record = service.storage.upload(&hash, user)?.ok_or_else(unknown)?;
        let end = self.offset.saturating_add(self.content.len() as u64);
        if end > record.size {
            let detail = format!("the upload was begun with {} bytes", record.size);
            return Err(ServiceError::invalid(detail));
        }
        if self.offset > record.received {
            let detail = format!("the bytes from {} on are missing", record.received);
            return Err(ServiceError::new(ErrorCode::UploadGap, detail));
        }

        if end > record.received {
            let known = usize::try_from(record.received - self.offset).unwrap_or(usize::MAX);
            let content = self.content.get(known..).unwrap_or_default();
            attachments.store.write(&hash, user, record.received, content).map_err(failed)?;
            service.storage.advance_upload(hash, user, end)?;
            record.received = end;
        }
        if !record.complete && record.received == record.size {
            record = service.complete(attachments, (&hash, user), record.size, caller.now)?;
        }
        let seen = format!("{me} has uploaded {} of {} bytes", record.received, record.size);
        Ok(Done::new(said(record), seen))
    }
}

impl Operation for FetchAttachment {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<AttachmentPart>, ServiceError> {
        let me = caller.id()?;
        let (attachments, hash) = (service.attachments()?, hash_of(&self.hash)?);
        let size = service.storage.attachment(&hash)?.ok_or_else(unknown)?;
        let behind = size.saturating_sub(self.offset).min(u64::from(self.length));
        let length = usize::try_from(behind).unwrap_or(MAX_PART).min(MAX_PART);
        let offset = self.offset.min(size);
        let content = match attachments.store.read(&hash, offset, length) {
            // It was deleted meanwhile.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(unknown()),
            content => content.map_err(failed)?,
        };
        let seen = format!("{me} fetches {} bytes of {}", content.len(), short(&hash));
        Ok(Done::new(AttachmentPart { size, content: content.into() }, seen))
    }
}

impl Operation for DeleteAttachment {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Deleted>, ServiceError> {
        let me = caller.id()?;
        let (attachments, hash) = (service.attachments()?, hash_of(&self.hash)?);
        if !service.forget(attachments, &hash, &me.user)? {
            return Err(unknown());
        }
        Ok(Done::new(Deleted {}, format!("{me} takes back {}", short(&hash))))
    }
}
