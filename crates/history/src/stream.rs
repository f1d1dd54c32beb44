//! Records in a file that is sealed chunk by chunk: however long it is, little of it is in memory.
//!
//! ```text
//! chunk = AEAD(key of this file, nonce = number of the chunk ‖ whether it is the last, up to 64 KiB of plaintext)
//! ```
//!
//! The key is of this file alone. A nonce says the number of its chunk and whether that is the last: a file that was cut,
//! or whose chunks changed places, opens only up to that place.

use crate::codec::Out;
use crate::error::HistoryError;
use conclave_mls::crypto::{Aead, CryptoError, CryptoProvider};
use conclave_store::{Secret, StoreError};
use core::fmt;
use std::io::{self, Read, Write};

const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// The longest record: a message of the greatest length with all that hangs on it.
const MAX_RECORD: usize = 4 << 20;

/// Why messages were not written to a file, or taken from one.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// The history cannot be read.
    History(HistoryError),
    /// The store cannot be written.
    Store(StoreError),
    /// The file cannot be read or written.
    Io(io::Error),
    /// The file is not what its key belongs to, from this octet on: it was changed, cut, or never was.
    Damaged {
        /// The octet.
        at: u64,
    },
    /// The cryptography failed.
    Crypto(CryptoError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History(e) => fmt::Display::fmt(e, f),
            Self::Store(e) => fmt::Display::fmt(e, f),
            Self::Io(e) => write!(f, "the file cannot be read or written: {e}"),
            Self::Damaged { at } => write!(f, "the file makes no sense at byte {at}"),
            Self::Crypto(e) => write!(f, "the cryptography failed: {e}"),
        }
    }
}

impl core::error::Error for StreamError {}

impl From<HistoryError> for StreamError {
    fn from(e: HistoryError) -> Self {
        Self::History(e)
    }
}

impl From<StoreError> for StreamError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<io::Error> for StreamError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

fn nonce(number: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(3).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    if let Some(last) = nonce.last_mut() {
        *last = u8::from(is_last);
    }
    nonce
}

/// A file that is being written.
pub(crate) struct Sealing {
    aead: Aead,
    key: Secret,
    buffer: Vec<u8>,
    number: u64,
}

impl Sealing {
    pub(crate) fn new(aead: Aead, key: Secret) -> Self {
        Self { aead, key, buffer: Vec::new(), number: 0 }
    }

    pub(crate) fn record(
        &mut self,
        record: Out,
        (provider, out): (&dyn CryptoProvider, &mut dyn Write),
    ) -> Result<(), StreamError> {
        let record = record.finish();
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(record.expose());
        while self.buffer.len() > CHUNK {
            let rest = self.buffer.split_off(CHUNK);
            let chunk = Secret::new(core::mem::replace(&mut self.buffer, rest));
            self.chunk(&chunk, false, (provider, &mut *out))?;
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        chunk: &Secret,
        is_last: bool,
        (provider, out): (&dyn CryptoProvider, &mut dyn Write),
    ) -> Result<(), StreamError> {
        let nonce = nonce(self.number, is_last);
        let sealed = provider.aead_seal(self.aead, &self.key, &nonce, &[], chunk.expose());
        out.write_all(&sealed.map_err(StreamError::Crypto)?)?;
        self.number += 1;
        Ok(())
    }

    /// Writes the end.
    pub(crate) fn finish(
        &mut self,
        (provider, out): (&dyn CryptoProvider, &mut dyn Write),
    ) -> Result<(), StreamError> {
        let chunk = Secret::new(core::mem::take(&mut self.buffer));
        self.chunk(&chunk, true, (provider, &mut *out))?;
        Ok(out.flush()?)
    }
}

/// A file that is being opened.
pub(crate) struct Opening {
    aead: Aead,
    key: Secret,
    /// What was opened; the first `taken` bytes of it are taken.
    plain: Vec<u8>,
    taken: usize,
    /// What was read beyond the chunk that was opened: a chunk is the last if nothing follows.
    ahead: Vec<u8>,
    number: u64,
    at: u64,
    is_over: bool,
}

/// Fills a buffer as far as there is something to read.
pub(crate) fn fill(input: &mut dyn Read, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
    let missing = wanted.saturating_sub(buffer.len()) as u64;
    Read::take(input, missing).read_to_end(buffer).map(|_| ())
}

impl Opening {
    /// A file whose first chunk begins at an octet.
    pub(crate) fn new(aead: Aead, key: Secret, at: u64) -> Self {
        let (plain, ahead) = (Vec::new(), Vec::new());
        Self { aead, key, plain, taken: 0, ahead, number: 0, at, is_over: false }
    }

    /// The error of a file that makes no sense here.
    pub(crate) fn damaged(&self) -> StreamError {
        StreamError::Damaged { at: self.at }
    }

    /// Opens another chunk, if there is one.
    fn chunk(
        &mut self,
        (provider, input): (&dyn CryptoProvider, &mut dyn Read),
    ) -> Result<(), StreamError> {
        const SEALED: usize = CHUNK + TAG;
        fill(input, &mut self.ahead, SEALED + 1)?;
        let is_last = self.ahead.len() <= SEALED;
        let rest = self.ahead.split_off(self.ahead.len().min(SEALED));
        let sealed = core::mem::replace(&mut self.ahead, rest);
        let nonce = nonce(self.number, is_last);
        let opened = provider.aead_open(self.aead, &self.key, &nonce, &[], &sealed);
        let opened = opened.map_err(|e| match e {
            CryptoError::OpenFailed => self.damaged(),
            e => StreamError::Crypto(e),
        })?;
        self.plain.drain(..self.taken);
        self.taken = 0;
        self.plain.extend_from_slice(opened.expose());
        self.number += 1;
        self.at += sealed.len() as u64;
        self.is_over = is_last;
        Ok(())
    }

    fn bytes(
        &mut self,
        wanted: usize,
        (provider, input): (&dyn CryptoProvider, &mut dyn Read),
    ) -> Result<Option<Secret>, StreamError> {
        while self.plain.len() - self.taken < wanted {
            if self.is_over {
                let is_end = self.plain.len() == self.taken;
                return if is_end { Ok(None) } else { Err(self.damaged()) };
            }
            self.chunk((provider, &mut *input))?;
        }
        let bytes = self.plain.get(self.taken..self.taken + wanted).unwrap_or_default();
        self.taken += wanted;
        Ok(Some(Secret::copy_from(bytes)))
    }

    /// The next record; none at the end.
    pub(crate) fn record(
        &mut self,
        (provider, input): (&dyn CryptoProvider, &mut dyn Read),
    ) -> Result<Option<Secret>, StreamError> {
        let Some(length) = self.bytes(4, (provider, &mut *input))? else { return Ok(None) };
        let length = length.expose().try_into().map(u32::from_be_bytes).unwrap_or_default();
        match usize::try_from(length) {
            Ok(length) if length <= MAX_RECORD => {
                let record = self.bytes(length, (provider, input))?;
                record.ok_or_else(|| self.damaged()).map(Some)
            }
            _ => Err(self.damaged()),
        }
    }
}
