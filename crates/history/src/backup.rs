//! The whole history as a file under a passphrase.
//!
//! ```text
//! file  = key file of `conclave-store` ‖ chunk ‖ … ‖ chunk
//! chunk = AEAD(key of this file, nonce = number of the chunk ‖ whether it is the last, up to 64 KiB of plaintext)
//!         by the key file's AEAD
//! ```
//!
//! The key is random and of this file alone, and a chunk's nonce says its number and whether it is the last: a file
//! that was cut, or whose chunks changed places, opens only up to that place. The plaintext is records: a room,
//! then its rows. Rows that can be made again (the index of words, what is found by hashes, when messages expire) are
//! not in it, so a file says nothing of the store that it came from.

use crate::access::Access;
use crate::codec::{In, Out};
use crate::error::HistoryError;
use crate::history::History;
use crate::reading::Reading;
use crate::recording::Recording;
use crate::rows::{
    BODY, DRAFT, MESSAGE, Mark, MessageRow, REACTION, RECEIPT, ReactionRow, RoomRow, UNREAD_EXPIRY,
    decode_reactions, decode_receipts, encode_reactions, encode_receipts, number_of,
};
use crate::store::RowsMut;
use conclave_mls::crypto::{Aead, CryptoError, CryptoProvider};
use conclave_store::{GroupId, KeyFile, KeyFileError, Secret, StoreError};
use core::fmt;
use std::io::{self, Read, Write};

const VERSION: u8 = 1;
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// The longest record: a message of the greatest length with all that hangs on it.
const MAX_RECORD: usize = 4 << 20;
/// How many messages are restored in one write.
const BATCH: usize = 200;

/// Why a history was not backed up or restored.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupError {
    /// The history cannot be read.
    History(HistoryError),
    /// The store cannot be written.
    Store(StoreError),
    /// The file cannot be read or written.
    Io(io::Error),
    /// The passphrase is wrong, or the file is not a backup.
    Key(KeyFileError),
    /// The file was changed or cut, from this octet on.
    Damaged {
        /// The octet.
        at: u64,
    },
    /// The cryptography failed.
    Crypto(CryptoError),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History(e) => fmt::Display::fmt(e, f),
            Self::Store(e) => fmt::Display::fmt(e, f),
            Self::Io(e) => write!(f, "the backup cannot be read or written: {e}"),
            Self::Key(e) => fmt::Display::fmt(e, f),
            Self::Damaged { at } => {
                write!(
                    f,
                    "the backup was changed or cut at byte {at}: what comes before that is restored"
                )
            }
            Self::Crypto(e) => write!(f, "the cryptography failed: {e}"),
        }
    }
}

impl core::error::Error for BackupError {}

impl From<HistoryError> for BackupError {
    fn from(e: HistoryError) -> Self {
        Self::History(e)
    }
}

impl From<StoreError> for BackupError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<io::Error> for BackupError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// What was backed up or restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// How many rooms the file has.
    pub rooms: u64,
    /// How many messages were written: to the file, or to a store that did not have them.
    pub messages: u64,
}

fn nonce(number: u64, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().skip(3).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    if let Some(last) = nonce.last_mut() {
        *last = u8::from(is_last);
    }
    nonce
}

struct Sealing<'a> {
    provider: &'a dyn CryptoProvider,
    /// That of the key file.
    aead: Aead,
    key: Secret,
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    number: u64,
}

impl Sealing<'_> {
    fn record(&mut self, record: Out) -> Result<(), BackupError> {
        let record = record.finish();
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        self.buffer.extend_from_slice(&length.to_be_bytes());
        self.buffer.extend_from_slice(record.expose());
        while self.buffer.len() > CHUNK {
            let rest = self.buffer.split_off(CHUNK);
            let chunk = Secret::new(core::mem::replace(&mut self.buffer, rest));
            self.chunk(&chunk, false)?;
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Secret, is_last: bool) -> Result<(), BackupError> {
        let nonce = nonce(self.number, is_last);
        let sealed = self.provider.aead_seal(self.aead, &self.key, &nonce, &[], chunk.expose());
        self.out.write_all(&sealed.map_err(BackupError::Crypto)?)?;
        self.number += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<(), BackupError> {
        let chunk = Secret::new(core::mem::take(&mut self.buffer));
        self.chunk(&chunk, true)?;
        Ok(self.out.flush()?)
    }
}

const ROOM_RECORD: u8 = 0;
const MESSAGE_RECORD: u8 = 1;

impl Reading<'_> {
    /// Writes all rooms with all messages to a file under a passphrase, a chunk at a time.
    ///
    /// # Errors
    /// [`BackupError`], if the store cannot be read or the file cannot be written.
    pub fn back_up(
        &self,
        provider: &dyn CryptoProvider,
        passphrase: &Secret,
        out: &mut dyn Write,
    ) -> Result<Restored, BackupError> {
        let (file, key) = KeyFile::create(provider, passphrase).map_err(BackupError::Key)?;
        out.write_all(&file.to_bytes())?;
        let aead = file.aead();
        let mut sealing = Sealing { provider, aead, key, out, buffer: Vec::new(), number: 0 };

        let mut written = Restored::default();
        for (group, room) in self.access.rooms()? {
            let unsent = self.access.view.get(DRAFT, &room.number.key())?;
            let mut record = Out::new(VERSION);
            record.byte(ROOM_RECORD);
            record.bytes(group.as_ref());
            record.bytes(room.encode().expose());
            record.optional(unsent.as_ref().map(Secret::expose));
            sealing.record(record)?;
            written.rooms += 1;

            let mut next = 0;
            loop {
                let from = room.number.key_of(next);
                let rows = self.access.view.scan(MESSAGE, &room.number.key(), &from, BATCH)?;
                let Some((last, _)) = rows.last() else { break };
                next = number_of(last)?.saturating_add(1);
                for (key, row) in &rows {
                    sealing.record(self.message_record(key, row)?)?;
                    written.messages += 1;
                }
            }
        }
        sealing.finish()?;
        Ok(written)
    }

    fn message_record(&self, key: &[u8], row: &Secret) -> Result<Out, HistoryError> {
        let view = &self.access.view;
        let number = number_of(key)?;
        let mut record = Out::new(VERSION);
        record.byte(MESSAGE_RECORD);
        record.number(number);
        record.bytes(row.expose());
        for namespace in [BODY, REACTION, RECEIPT, UNREAD_EXPIRY] {
            record.optional(view.get(namespace, key)?.as_ref().map(Secret::expose));
        }
        Ok(record)
    }
}

/// A file that is being opened.
struct Opening<'a> {
    provider: &'a dyn CryptoProvider,
    aead: Aead,
    key: Secret,
    input: &'a mut dyn Read,
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
fn fill(input: &mut dyn Read, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
    let missing = wanted.saturating_sub(buffer.len()) as u64;
    Read::take(input, missing).read_to_end(buffer).map(|_| ())
}

impl Opening<'_> {
    /// Opens another chunk, if there is one.
    fn chunk(&mut self) -> Result<(), BackupError> {
        const SEALED: usize = CHUNK + TAG;
        let damaged = BackupError::Damaged { at: self.at };
        fill(self.input, &mut self.ahead, SEALED + 1)?;
        let is_last = self.ahead.len() <= SEALED;
        let rest = self.ahead.split_off(self.ahead.len().min(SEALED));
        let sealed = core::mem::replace(&mut self.ahead, rest);
        let nonce = nonce(self.number, is_last);
        let opened = self.provider.aead_open(self.aead, &self.key, &nonce, &[], &sealed);
        let opened = opened.map_err(|e| match e {
            CryptoError::OpenFailed => damaged,
            e => BackupError::Crypto(e),
        })?;
        self.plain.drain(..self.taken);
        self.taken = 0;
        self.plain.extend_from_slice(opened.expose());
        self.number += 1;
        self.at += sealed.len() as u64;
        self.is_over = is_last;
        Ok(())
    }

    fn bytes(&mut self, wanted: usize) -> Result<Option<Secret>, BackupError> {
        while self.plain.len() - self.taken < wanted {
            if self.is_over {
                let is_end = self.plain.len() == self.taken;
                return if is_end { Ok(None) } else { Err(BackupError::Damaged { at: self.at }) };
            }
            self.chunk()?;
        }
        let bytes = self.plain.get(self.taken..self.taken + wanted).unwrap_or_default();
        self.taken += wanted;
        Ok(Some(Secret::copy_from(bytes)))
    }

    fn record(&mut self) -> Result<Option<Secret>, BackupError> {
        let damaged = BackupError::Damaged { at: self.at };
        let Some(length) = self.bytes(4)? else { return Ok(None) };
        let length = length.expose().try_into().map(u32::from_be_bytes).unwrap_or_default();
        match usize::try_from(length) {
            Ok(length) if length <= MAX_RECORD => {
                self.bytes(length)?.ok_or(BackupError::Damaged { at: self.at }).map(Some)
            }
            _ => Err(damaged),
        }
    }
}

impl History {
    /// Restores what a file has and the store lacks, in as many writes as it takes. What the store has stays as it is;
    /// a restoration that was interrupted is begun again and goes on.
    ///
    /// # Errors
    /// [`BackupError`]. What was restored until then is written.
    pub fn restore(
        &self,
        store: &mut dyn RowsMut,
        (provider, passphrase): (&dyn CryptoProvider, &Secret),
        input: &mut dyn Read,
        now: u64,
    ) -> Result<Restored, BackupError> {
        let mut head = Vec::new();
        fill(input, &mut head, KeyFile::LEN)?;
        let file = KeyFile::from_bytes(&head).map_err(BackupError::Key)?;
        let key = file.open(provider, passphrase).map_err(BackupError::Key)?;
        let (at, number) = (KeyFile::LEN as u64, 0);
        let (plain, ahead, taken, is_over) = (Vec::new(), Vec::new(), 0, false);
        let mut opening = Opening {
            provider,
            aead: file.aead(),
            key,
            input,
            plain,
            taken,
            ahead,
            number,
            at,
            is_over,
        };

        let mut restored = Restored::default();
        let mut room: Option<Current> = None;
        let mut is_over = false;
        while !is_over {
            let mut recording = self.record(&*store, now);
            let mut failed = None;
            for _ in 0..BATCH {
                let record = match opening.record() {
                    Ok(Some(record)) => record,
                    Ok(None) => {
                        recording.end_room(&mut room)?;
                        is_over = true;
                        break;
                    }
                    Err(e) => {
                        failed = Some(e);
                        break;
                    }
                };
                recording.take_record(&mut room, &record, &mut restored)?;
            }
            let set = recording.finish();
            store.write(&set)?;
            if let Some(e) = failed {
                return Err(e);
            }
        }
        Ok(restored)
    }
}

/// The room whose messages are being restored.
struct Current {
    group: GroupId,
    /// Whether the store had it: then messages come between those that are there.
    was_here: bool,
}

impl Recording<'_> {
    /// Makes the index anew if messages came between others.
    fn end_room(&mut self, current: &mut Option<Current>) -> Result<(), HistoryError> {
        if let Some(Current { group, was_here: true }) = current.take() {
            let mut room = self.access.room(&group)?;
            self.access.reindex(&mut room)?;
            self.put_room(&group, &room);
        }
        Ok(())
    }

    fn take_record(
        &mut self,
        current: &mut Option<Current>,
        record: &Secret,
        restored: &mut Restored,
    ) -> Result<(), HistoryError> {
        let mut record = In::new("a record of a backup", VERSION, record.expose())?;
        match record.byte()? {
            ROOM_RECORD => {
                self.end_room(current)?;
                let group = GroupId::from(record.bytes()?);
                let was = RoomRow::decode(&Secret::copy_from(record.bytes()?))?;
                let unsent = record.optional()?;
                let was_here = self.access.find_room(&group)?.is_some();
                if !was_here {
                    let mut room = self.room_or_new(&group, &was.uri)?;
                    (room.last, room.read) = (was.last, was.read);
                    if let Some(unsent) = unsent {
                        let unsent = Secret::copy_from(unsent);
                        self.access.view.put(DRAFT, room.number.key(), unsent);
                    }
                    self.put_room(&group, &room);
                }
                *current = Some(Current { group, was_here });
                restored.rooms += 1;
                record.finish()
            }
            MESSAGE_RECORD => {
                let room = current.as_ref().ok_or_else(|| record.damaged())?;
                restored.messages += u64::from(self.take_message(&room.group, &mut record)?);
                record.finish()
            }
            _ => Err(record.damaged()),
        }
    }

    /// Takes a message, if the store has none of that number; returns whether it did.
    fn take_message(&mut self, group: &GroupId, record: &mut In<'_>) -> Result<bool, HistoryError> {
        let number = record.number()?;
        let row = Secret::copy_from(record.bytes()?);
        let [body, reactions, receipts, seconds] =
            [record.optional()?, record.optional()?, record.optional()?, record.optional()?]
                .map(|row| row.map(Secret::copy_from));
        let row = MessageRow::decode(&row, || Ok(body))?;
        let reactions = reactions.as_ref().map(decode_reactions).transpose()?.unwrap_or_default();
        let receipts = receipts.as_ref().map(decode_receipts).transpose()?.unwrap_or_default();

        let mut room = self.access.room(group)?;
        let is_over = row.deadline > 0 && row.deadline <= self.now;
        if is_over || self.access.message_head(room.number, number)?.is_some() {
            return Ok(false);
        }

        let key = room.number.key_of(number);
        if row.deadline > 0 {
            self.access.put_expiry(&room, number, row.deadline);
        }
        if let Some(seconds) = seconds.filter(|seconds| seconds.len() == 4) {
            self.access.view.put(UNREAD_EXPIRY, key.clone(), seconds);
        }
        self.put_marks(&room, number, &row, &reactions);
        if !reactions.is_empty() {
            self.access.view.put(REACTION, key.clone(), encode_reactions(&reactions));
        }
        if !receipts.is_empty() {
            self.access.view.put(RECEIPT, key, encode_receipts(&receipts));
        }
        self.access.insert(&mut room, number, &row)?;
        self.put_room(group, &room);
        Ok(true)
    }

    fn put_marks(
        &mut self,
        room: &RoomRow,
        number: u64,
        row: &MessageRow,
        reactions: &[ReactionRow],
    ) {
        let access: &mut Access<'_> = &mut self.access;
        let first = row.envelope.id;
        access.put_mark(room, &first, &Mark::Said(number));
        for id in &row.edits {
            // Who made the edit is not in the backup. The author of the message may edit it again.
            let (id, author) = (*id, row.user.clone());
            access.put_mark(room, &id, &Mark::Edited { number, id, author, first });
        }
        for reaction in reactions {
            let (id, author) = (reaction.by, reaction.user.clone());
            access.put_mark(room, &id, &Mark::Reacted { number, id, author });
        }
        if !row.envelope.topic.is_empty() {
            access.put_topic(room, &row.envelope.topic, number);
        }
    }
}
