//! What one device of a user's gives another: messages of rooms, as a sealed file that is written batch by batch.

use crate::codec::Out;
use crate::error::HistoryError;
use crate::reading::Reading;
use crate::records::{GIVEN_ROOM_RECORD, VERSION};
use crate::rows::{BATCH, MESSAGE, MessageRow, RoomNumber, number_of};
use crate::stream::{Sealing, StreamError};
use conclave_mls::crypto::{Aead, CryptoProvider};
use conclave_store::{GroupId, Secret};
use core::fmt;
use std::collections::VecDeque;
use std::io::Write;

/// The AEAD that seals such a file.
pub(crate) const AEAD: Aead = Aead::ChaCha20Poly1305;
/// The length of the key of a file that one device gives another, in octets.
pub const GIVEN_KEY_LEN: usize = 32;

/// A room of which messages are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomToGive {
    /// Its group.
    pub group: GroupId,
    /// Messages that the service accepted before this time, in seconds since 1970, are not given.
    pub since: u64,
}

/// How much was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// In how many rooms.
    pub rooms: u64,
    /// How many messages: those that were written, or those that were missing where they came.
    pub messages: u64,
    /// How many were not taken because their identifiers belong to other messages.
    pub left_out: u64,
}

/// A file that is being written for another device.
pub struct Giving {
    sealing: Sealing,
    rooms: VecDeque<RoomToGive>,
    current: Option<Current>,
    given: Given,
}

/// The room that is being written.
struct Current {
    room: RoomNumber,
    /// The number from which to go on.
    next: u64,
    /// [`RoomToGive::since`].
    since: u64,
}

impl fmt::Debug for Giving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Giving").field("given", &self.given).finish_non_exhaustive()
    }
}

impl Giving {
    /// Begins a file under a key that is used for it alone, of [`GIVEN_KEY_LEN`] octets.
    #[must_use]
    pub fn new(key: Secret, rooms: Vec<RoomToGive>) -> Self {
        let sealing = Sealing::new(AEAD, key);
        Self { sealing, rooms: rooms.into(), current: None, given: Given::default() }
    }

    /// How much was written so far.
    #[must_use]
    pub fn given(&self) -> Given {
        self.given
    }

    /// Writes the next messages, as they are at a time in seconds since 1970. Returns whether the file is complete.
    ///
    /// # Errors
    /// [`StreamError`], if the history cannot be read or the file cannot be written.
    pub fn step(
        &mut self,
        reading: &Reading<'_>,
        (provider, out): (&dyn CryptoProvider, &mut dyn Write),
        now: u64,
    ) -> Result<bool, StreamError> {
        let Some(Current { room, next, since }) = self.current else {
            let Some(room) = self.rooms.pop_front() else {
                self.sealing.finish((provider, out))?;
                return Ok(true);
            };
            self.begin(reading, &room, (provider, out))?;
            return Ok(false);
        };

        let view = &reading.access.view;
        let rows = view.scan(MESSAGE, &room.key(), &room.key_of(next), BATCH)?;
        for (key, row) in &rows {
            if is_given(row, since, now)? {
                let record = reading.access.message_record(key, row)?;
                self.sealing.record(record, (provider, &mut *out))?;
                self.given.messages += 1;
            }
        }
        self.current = match rows.last() {
            Some((last, _)) => {
                Some(Current { room, next: number_of(last)?.saturating_add(1), since })
            }
            None => None,
        };
        Ok(false)
    }

    fn begin(
        &mut self,
        reading: &Reading<'_>,
        room: &RoomToGive,
        (provider, out): (&dyn CryptoProvider, &mut dyn Write),
    ) -> Result<(), StreamError> {
        let Some(row) = reading.access.find_room(&room.group)? else { return Ok(()) };
        let mut record = Out::new(VERSION);
        record.byte(GIVEN_ROOM_RECORD);
        record.bytes(room.group.as_ref());
        record.bytes(row.uri.as_bytes());
        self.sealing.record(record, (provider, out))?;
        self.current = Some(Current { room: row.number, next: 0, since: room.since });
        self.given.rooms += 1;
        Ok(())
    }
}

fn is_given(row: &Secret, since: u64, now: u64) -> Result<bool, HistoryError> {
    let row = MessageRow::decode(row, || Ok(Some(Secret::default())))?;
    let is_over = row.deadline > 0 && row.deadline <= now;
    Ok(row.time >= since && !is_over)
}
