//! The whole history as a file under a passphrase.
//!
//! ```text
//! file = key file of `conclave-store` ‖ records, sealed in chunks by the key file's AEAD
//! ```
//!
//! The records are a room, then its rows. Rows that can be made again (the index of words, what is found by hashes, when
//! messages expire) are not in it, so a file says nothing of the store that it came from.

use crate::codec::{In, Out};
use crate::error::HistoryError;
use crate::history::History;
use crate::reading::Reading;
use crate::recording::Recording;
use crate::records::{MESSAGE_RECORD, MessageRecord, ROOM_RECORD, VERSION};
use crate::rows::{BATCH, DRAFT, MESSAGE, RoomRow, number_of};
use crate::store::RowsMut;
use crate::stream::{Opening, Sealing, StreamError, fill};
use conclave_mls::crypto::{CryptoError, CryptoProvider};
use conclave_store::{GroupId, KeyFile, KeyFileError, Secret, StoreError};
use core::fmt;
use std::io::{self, Read, Write};

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

impl From<StreamError> for BackupError {
    fn from(e: StreamError) -> Self {
        match e {
            StreamError::History(e) => Self::History(e),
            StreamError::Store(e) => Self::Store(e),
            StreamError::Io(e) => Self::Io(e),
            StreamError::Damaged { at } => Self::Damaged { at },
            StreamError::Crypto(e) => Self::Crypto(e),
        }
    }
}

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
        let mut sealing = Sealing::new(file.aead(), key);

        let mut written = Restored::default();
        for (group, room) in self.access.rooms()? {
            let unsent = self.access.view.get(DRAFT, &room.number.key())?;
            let mut record = Out::new(VERSION);
            record.byte(ROOM_RECORD);
            record.bytes(group.as_ref());
            record.bytes(room.encode().expose());
            record.optional(unsent.as_ref().map(Secret::expose));
            sealing.record(record, (provider, &mut *out))?;
            written.rooms += 1;

            let mut next = 0;
            loop {
                let from = room.number.key_of(next);
                let rows = self.access.view.scan(MESSAGE, &room.number.key(), &from, BATCH)?;
                let Some((last, _)) = rows.last() else { break };
                next = number_of(last)?.saturating_add(1);
                for (key, row) in &rows {
                    sealing.record(self.access.message_record(key, row)?, (provider, &mut *out))?;
                    written.messages += 1;
                }
            }
        }
        sealing.finish((provider, &mut *out))?;
        Ok(written)
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
        let mut opening = Opening::new(file.aead(), key, KeyFile::LEN as u64);

        let mut restored = Restored::default();
        let mut room: Option<GroupId> = None;
        let mut is_over = false;
        while !is_over {
            let mut recording = self.record(&*store, now);
            let mut failed = None;
            for _ in 0..BATCH {
                let record = match opening.record((provider, &mut *input)) {
                    Ok(Some(record)) => record,
                    Ok(None) => {
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
                return Err(e.into());
            }
        }
        Ok(restored)
    }
}

impl Recording<'_> {
    fn take_record(
        &mut self,
        current: &mut Option<GroupId>,
        record: &Secret,
        restored: &mut Restored,
    ) -> Result<(), HistoryError> {
        let mut record = In::new("a record of a backup", VERSION, record.expose())?;
        match record.byte()? {
            ROOM_RECORD => {
                let group = GroupId::from(record.bytes()?);
                let was = RoomRow::decode(&Secret::copy_from(record.bytes()?))?;
                let unsent = record.optional()?;
                let mut room = self.room_or_new(&group, &was.uri)?;
                // A room of which nothing was taken may be here for a draft.
                if room.last == 0 && room.messages == 0 {
                    (room.last, room.read, room.since) = (was.last, was.read, was.since);
                    let key = room.number.key();
                    if let Some(unsent) = unsent
                        && self.access.view.get(DRAFT, &key)?.is_none()
                    {
                        self.access.view.put(DRAFT, key, Secret::copy_from(unsent));
                    }
                    self.put_room(&group, &room);
                }
                *current = Some(group);
                restored.rooms += 1;
                record.finish()
            }
            MESSAGE_RECORD => {
                let group = current.as_ref().ok_or_else(|| record.damaged())?;
                restored.messages += u64::from(self.take_message(group, &mut record)?);
                record.finish()
            }
            _ => Err(record.damaged()),
        }
    }

    /// Takes a message, if the store has none of that number; returns whether it did.
    fn take_message(&mut self, group: &GroupId, record: &mut In<'_>) -> Result<bool, HistoryError> {
        let message = MessageRecord::read(record)?;
        let MessageRecord { number, row, .. } = &message;
        let mut room = self.access.room(group)?;
        let is_over = row.deadline > 0 && row.deadline <= self.now;
        if is_over || self.access.message_head(room.number, *number)?.is_some() {
            return Ok(false);
        }

        self.add_record(&mut room, message)?;
        self.put_room(group, &room);
        Ok(true)
    }
}
