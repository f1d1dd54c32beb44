//! What clients have sent, by their own names for it: so that a message is sent once, however often a client asks for
//! it.
//!
//! One row each, written with the message. Rows are numbered, as the names of rows are not sealed.

use super::fault::Fault;
use conclave_client::{AppRows, Content, Engine, EngineError, GroupId};
use conclave_delivery_api::{parse_hex, sha256, to_hex};
use conclave_store::Store;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TABLE: &str = "bot.sent";
const META: &str = "bot";
/// The number of the last event of an own message that was compared with what was sent.
const OBSERVED: &[u8] = b"observed";
/// How many messages that have arrived or failed are remembered.
const MAX_REMEMBERED: usize = 4096;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The engine has it, and sends it.
    Queued,
    /// It is in the room's log.
    Arrived { seq: u64, time: u64 },
    /// It is not sent: why.
    Failed(String),
}

impl Fate {
    /// The answer to a client that asks about the message.
    pub(super) fn answer(&self) -> Result<Value, Fault> {
        match self {
            Self::Queued => Ok(json!({ "state": "queued", "seq": null, "time": null })),
            Self::Arrived { seq, time } => Ok(json!({ "state": "sent", "seq": seq, "time": time })),
            Self::Failed(why) => Err(Fault::not_sent(why.clone())),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) id: Option<String>,
    pub(super) room: GroupId,
    /// The hash of what the client has asked for.
    pub(super) asked: String,
    /// The hash of what is sent for that.
    pub(super) digest: String,
    /// Whether it causes no event.
    pub(super) quiet: bool,
    pub(super) fate: Fate,
}

/// The hash of what a message says.
pub(super) fn digest(content: &Content) -> String {
    let mut all = content.media_type().as_bytes().to_vec();
    all.push(0);
    all.extend_from_slice(content.bytes());
    to_hex(&sha256(&all))
}

impl Sent {
    /// A message that the engine is to send, and that was asked for as it is sent.
    pub(super) fn queued(
        id: Option<String>,
        room: &GroupId,
        content: &Content,
        quiet: bool,
    ) -> Self {
        let digest = digest(content);
        Self { id, room: room.clone(), asked: digest.clone(), digest, quiet, fate: Fate::Queued }
    }

    fn to_row(&self) -> Vec<u8> {
        let (seq, time, why) = match &self.fate {
            Fate::Queued => (None, None, None),
            Fate::Arrived { seq, time } => (Some(seq), Some(time), None),
            Fate::Failed(why) => (None, None, Some(why)),
        };
        let row = json!({
            "id": self.id, "room": to_hex(&self.room), "asked": self.asked, "digest": self.digest,
            "quiet": self.quiet, "seq": seq, "time": time, "failed": why,
        });
        row.to_string().into_bytes()
    }

    fn from_row(row: &[u8]) -> Option<Self> {
        let row: Value = serde_json::from_slice(row).ok()?;
        let text = |name: &str| row.get(name)?.as_str().map(str::to_string);
        let number = |name: &str| row.get(name)?.as_u64();
        let fate = match (number("seq"), text("failed")) {
            (_, Some(why)) => Fate::Failed(why),
            (Some(seq), None) => Fate::Arrived { seq, time: number("time")? },
            (None, None) => Fate::Queued,
        };
        Some(Self {
            id: text("id"),
            room: GroupId::from(parse_hex(&text("room")?)?.as_slice()),
            // Earlier versions sent what they were asked for.
            asked: text("asked").or_else(|| text("digest"))?,
            digest: text("digest")?,
            quiet: row.get("quiet")?.as_bool()?,
            fate,
        })
    }
}

/// All that is remembered, by number.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    rows: BTreeMap<u64, Sent>,
    next: u64,
    observed: u64,
}

impl Outgoing {
    pub(super) fn load<S: Store>(engine: &Engine<S>) -> Result<Self, EngineError> {
        let mut outgoing = Self::default();
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
        if let Some(observed) = engine.app_row(META, OBSERVED)? {
            outgoing.observed = number(observed.expose());
        }
        for (key, row) in engine.app_rows(TABLE, &[], usize::MAX)? {
            let key = number(&key);
            outgoing.next = outgoing.next.max(key.saturating_add(1));
            if let Some(sent) = Sent::from_row(row.expose()) {
                outgoing.rows.insert(key, sent);
            }
        }
        Ok(outgoing)
    }

    /// The message that a client has called by this name.
    pub(super) fn find(&self, id: &str) -> Option<(u64, &Sent)> {
        let mut rows = self.rows.iter();
        rows.find(|(_, sent)| sent.id.as_deref() == Some(id)).map(|(key, sent)| (*key, sent))
    }

    pub(super) fn get(&self, key: u64) -> Option<&Sent> {
        self.rows.get(&key)
    }

    /// The rows that a new message is written with, and its number.
    pub(super) fn plan(&self, sent: &Sent) -> (u64, AppRows) {
        let mut rows = AppRows::new();
        rows.put(TABLE, self.next.to_be_bytes(), sent.to_row());
        for key in self.forgotten() {
            rows.delete(TABLE, key.to_be_bytes());
        }
        (self.next, rows)
    }

    /// Takes what was planned and is written.
    pub(super) fn add(&mut self, key: u64, sent: Sent) {
        self.next = key.saturating_add(1);
        self.rows.insert(key, sent);
        for key in self.forgotten() {
            self.rows.remove(&key);
        }
    }

    /// The numbers of the oldest messages, which are forgotten when a new one comes.
    fn forgotten(&self) -> Vec<u64> {
        let settled = self.rows.iter().filter(|(_, sent)| sent.fate != Fate::Queued);
        let settled: Vec<u64> = settled.map(|(key, _)| *key).collect();
        let excess = settled.len().saturating_sub(MAX_REMEMBERED);
        settled.into_iter().take(excess).collect()
    }

    /// The number of the last event that was compared with what was sent.
    pub(super) fn observed(&self) -> u64 {
        self.observed
    }

    /// The message that has arrived as one of ours in a room's log: the first that says the same. A message for a room
    /// that has ended is sent to its successor.
    pub(super) fn arrived(&self, room: &GroupId, content: &Content) -> Option<u64> {
        let digest = digest(content);
        let same = |sent: &Sent| sent.fate == Fate::Queued && sent.digest == digest;
        let here = self.rows.iter().find(|(_, sent)| same(sent) && sent.room == *room);
        here.or_else(|| self.rows.iter().find(|(_, sent)| same(sent))).map(|(key, _)| *key)
    }

    /// The message that failed, when the engine says that one has in a room: the first that waits.
    pub(super) fn failed(&self, room: &GroupId) -> Option<u64> {
        let waits = |sent: &Sent| sent.fate == Fate::Queued && sent.room == *room;
        self.rows.iter().find(|(_, sent)| waits(sent)).map(|(key, _)| *key)
    }

    /// Notes what became of messages, as an event says. Returns the rows that are to be written.
    pub(super) fn settle(&mut self, event: u64, settled: Option<(u64, Fate)>) -> AppRows {
        let mut rows = AppRows::new();
        self.observed = self.observed.max(event);
        rows.put(META, OBSERVED, self.observed.to_be_bytes());
        let Some((key, fate)) = settled else { return rows };
        let Some(sent) = self.rows.get_mut(&key) else { return rows };
        sent.fate = fate;
        match sent.id {
            Some(_) => rows.put(TABLE, key.to_be_bytes(), sent.to_row()),
            None => {
                // Nobody can ask for it again.
                rows.delete(TABLE, key.to_be_bytes());
                self.rows.remove(&key);
            }
        }
        rows
    }
}
