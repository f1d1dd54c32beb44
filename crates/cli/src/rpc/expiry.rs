//! Deletes the messages that a device's engine keeps when they expire, as a messenger does with its own.
//!
//! Each message that expires has a row, written before any client is given its event. The names of rows are not sealed: they
//! say when a message expires, and of which one no more than a hash.

use conclave_client::{
    AppRows, Engine, EngineError, Expired, GroupId, MimiMessage, News, Output, expires_at,
};
use conclave_delivery_api::sha256;
use conclave_store::Store;
use std::time::Duration;

/// The messages that expire: their rooms and numbers, by when.
const TABLE: &str = "bot.expiry";
const META: &str = "bot";
/// The row that is there once all that the engine had kept before has its rows.
const NOTED: &[u8] = b"expiry";
/// How many messages are deleted in one write.
const BATCH: usize = 256;

/// The messages that expire.
pub(super) struct Expiry {
    /// When the next one is to be deleted, in seconds since 1970.
    next: Option<u64>,
}

impl Expiry {
    /// Looks up when the next message expires. What earlier versions kept is gone through once.
    pub(super) fn load<S: Store>(engine: &mut Engine<S>) -> Result<Self, EngineError> {
        if engine.app_row(META, NOTED)?.is_none() {
            let mut rows = AppRows::new();
            for group in engine.groups() {
                for news in engine.history(&group.id, usize::MAX)? {
                    if let Some((_, row)) = noted(engine, &group.id, &news) {
                        rows.merge(row);
                    }
                }
            }
            rows.put(META, NOTED, vec![1]);
            engine.write_app_rows(rows)?;
        }
        Ok(Self { next: next(engine)? })
    }

    /// Takes note of the messages among events that expire.
    pub(super) fn note<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        events: &[Output],
    ) -> Result<(), EngineError> {
        let mut rows = AppRows::new();
        for output in events {
            let Output::News { group: Some(group), news, .. } = output else { continue };
            if let Some((at, row)) = noted(engine, group, news) {
                self.next = Some(self.next.map_or(at, |next| next.min(at)));
                rows.merge(row);
            }
        }
        engine.write_app_rows(rows)
    }

    /// How long it is until a message expires, at a time in seconds since 1970.
    pub(super) fn wait(&self, now: u64) -> Option<Duration> {
        Some(Duration::from_secs(self.next?.saturating_sub(now)))
    }

    /// Deletes the messages that have expired, with what their events say, which stay until a client acknowledges them.
    pub(super) fn run<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
    ) -> Result<(), EngineError> {
        while self.next.is_some_and(|at| at <= now) {
            let (mut rows, mut expired) = (AppRows::new(), Vec::new());
            for (key, message) in engine.app_rows(TABLE, &[], BATCH)? {
                let at = time_of(&key);
                if at > now {
                    break;
                }
                rows.delete(TABLE, key);
                expired.extend(message.expose().split_first_chunk().map(|(number, group)| {
                    let number = u64::from_be_bytes(*number);
                    Expired { group: GroupId::from(group), number, at }
                }));
            }
            engine.expire(&expired, rows)?;
            self.next = next(engine)?;
        }
        Ok(())
    }
}

/// When a message expires, in seconds since 1970, and the row that says so; none if it does not.
fn noted<S: Store>(engine: &Engine<S>, group: &GroupId, news: &News) -> Option<(u64, AppRows)> {
    let News::Message { seq, time, sender, expiration, content, .. } = news else { return None };
    let message = MimiMessage::read(engine, group, (sender, *time), content);
    let at = expires_at(message.as_ref(), *expiration, *time)?;

    let named = [&seq.to_be_bytes(), group.as_ref()].concat();
    let hash = sha256(&named);
    let (short, _) = hash.split_at(8);
    let mut rows = AppRows::new();
    rows.put(TABLE, [&at.to_be_bytes(), short].concat(), named);
    Some((at, rows))
}

/// When the next message expires.
fn next<S: Store>(engine: &Engine<S>) -> Result<Option<u64>, EngineError> {
    Ok(engine.app_rows(TABLE, &[], 1)?.first().map(|(key, _)| time_of(key)))
}

/// When the message of a row expires. A row that is damaged is deleted at once.
fn time_of(key: &[u8]) -> u64 {
    key.first_chunk().map(|at| u64::from_be_bytes(*at)).unwrap_or_default()
}
