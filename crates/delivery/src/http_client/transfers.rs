//! Attachments, part by part: what is cut off goes on from where it was.

use super::Client;
use crate::hashing::{hashed, next_part};
use conclave_delivery_api::{
    BeginUpload, CallError, FetchAttachment, MAX_PART, Upload, UploadPart,
};
use core::fmt;
use core::ops::ControlFlow;
use sha2::Digest;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Why a transfer has stopped. To call again goes on from where it was.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransferError {
    /// The service did not answer, or refused.
    Client(CallError),
    /// The local file cannot be read or written.
    File(io::Error),
    /// The local file is not what is transferred: it does not have the hash, or is longer or shorter.
    OtherFile,
    /// The caller has stopped it.
    Stopped,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(e) => fmt::Display::fmt(e, f),
            Self::File(e) => write!(f, "the file on this machine: {e}"),
            Self::OtherFile => {
                f.write_str("the file on this machine does not have the attachment's hash")
            }
            Self::Stopped => f.write_str("it was stopped"),
        }
    }
}

impl core::error::Error for TransferError {}

impl From<CallError> for TransferError {
    fn from(e: CallError) -> Self {
        Self::Client(e)
    }
}

impl From<io::Error> for TransferError {
    fn from(e: io::Error) -> Self {
        Self::File(e)
    }
}

/// Goes on unless the caller has stopped it.
fn unless_stopped(flow: ControlFlow<()>) -> Result<(), TransferError> {
    if flow.is_break() { Err(TransferError::Stopped) } else { Ok(()) }
}

/// SHA-256 of a whole file, by which an attachment is named, and the file's length in bytes. No more than a part of it
/// is in memory at once.
///
/// # Errors
/// If it cannot be read.
pub fn attachment_hash(file: &mut (impl Read + Seek)) -> io::Result<([u8; 32], u64)> {
    file.seek(SeekFrom::Start(0))?;
    let (hasher, length) = hashed(file)?;
    Ok((hasher.finalize().into(), length))
}

impl Client {
    /// Uploads a file of this hash and length, from where an earlier call has stopped. `progress` is told after each part
    /// how many bytes the service has, and may stop it.
    ///
    /// # Errors
    /// If the file is another one or cannot be read, the service does not answer or refuses, or `progress` stops it.
    pub fn upload(
        &self,
        file: &mut (impl Read + Seek),
        (hash, size): (&[u8; 32], u64),
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Upload, TransferError> {
        let mut upload = self.call(&BeginUpload { hash: (*hash).into(), size })?;
        unless_stopped(progress(upload.received))?;
        while upload.received < size {
            file.seek(SeekFrom::Start(upload.received))?;
            let content = next_part(file)?;
            if content.is_empty() {
                return Err(TransferError::OtherFile);
            }
            let (hash, offset) = ((*hash).into(), upload.received);
            upload = self.call(&UploadPart { hash, offset, content: content.into() })?;
            unless_stopped(progress(upload.received))?;
        }
        Ok(upload)
    }

    /// Fetches an attachment of at most so many bytes into a file, behind what is in it from an earlier call, and checks
    /// the whole. `progress` is told after each part how many bytes are there, and how many there are in all, and may
    /// stop it.
    ///
    /// # Errors
    /// If the file does not have the hash in the end or would be longer, or cannot be read or written, the service does
    /// not answer or refuses, or `progress` stops it.
    pub fn download(
        &self,
        (hash, most): (&[u8; 32], u64),
        file: &mut (impl Read + Write + Seek),
        mut progress: impl FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<u64, TransferError> {
        file.seek(SeekFrom::Start(0))?;
        let (mut hasher, mut offset) = hashed(file)?;
        loop {
            let length = MAX_PART as u32;
            let part = self.call(&FetchAttachment { hash: (*hash).into(), offset, length })?;
            // What a service gives without end must not fill the disk.
            if part.size > most || offset + part.content.len() as u64 > most {
                return Err(TransferError::OtherFile);
            }
            file.write_all(&part.content)?;
            hasher.update(&part.content);
            offset += part.content.len() as u64;
            unless_stopped(progress(offset, part.size))?;
            if offset >= part.size || part.content.is_empty() {
                break;
            }
        }

        file.flush()?;
        match hasher.finalize()[..] == hash[..] {
            true => Ok(offset),
            false => Err(TransferError::OtherFile),
        }
    }
}
