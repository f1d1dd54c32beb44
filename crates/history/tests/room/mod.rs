//! A room as bob's device has it, in a store in memory.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use conclave_content::{Draft, ExpiryPolicy, MIMI_CONTENT, MessageId, Outgoing, Replacing, Salt};
use conclave_history::{
    Cursor, Entry, Event, GroupId, History, HistoryError, Page, Room, Taken, nobody,
};
use conclave_store::{MemoryStore, Store};

pub(crate) const ALICE: &str = "mimi://example.com/u/alice";
pub(crate) const BOB: &str = "mimi://example.com/u/bob";
pub(crate) const CATHY: &str = "mimi://example.com/u/cathy";
pub(crate) const ROOM: &str = "mimi://example.com/r/lunch";
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn group() -> GroupId {
    GroupId::from(b"lunch".as_slice())
}

/// Whether a moderator may delete.
fn cathy_deletes(replacing: &Replacing<'_>) -> bool {
    replacing.deletes && replacing.by == CATHY
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) history: History,
    pub(crate) now: u64,
    /// The number of the log's last entry.
    pub(crate) last: u64,
    /// Whether cathy moderates.
    pub(crate) moderated: bool,
    /// What the room's policy says of expiry.
    pub(crate) expiry: ExpiryPolicy,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut store = MemoryStore::new();
        let mut rng = conclave_crypto::testing::TestRng(1);
        let history = History::open(&mut store, &mut rng).unwrap();
        let expiry = ExpiryPolicy::Open;
        Self { store, history, now: NOW, last: 0, moderated: false, expiry }
    }

    pub(crate) fn draft(&self, user: &str, draft: Draft) -> Outgoing {
        let salt = Salt(u128::from(self.last + 1).to_be_bytes());
        draft.finish(salt, user, ROOM).unwrap()
    }

    /// Takes bytes of a media type as the next entry of the log.
    pub(crate) fn take(&mut self, user: &str, media_type: &str, bytes: &[u8]) -> Taken {
        self.last += 1;
        self.take_at(self.last, user, media_type, bytes).unwrap()
    }

    pub(crate) fn take_at(
        &mut self,
        number: u64,
        user: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Taken, HistoryError> {
        let name = user.rsplit('/').next().unwrap();
        let (group, device) = (group(), format!("{name}/pc"));
        let mut recording = self.history.record(&self.store, self.now);
        let taken = recording.take(&Event {
            group: &group,
            room: ROOM,
            me: BOB,
            number,
            time: self.now,
            user,
            device: &device,
            media_type,
            bytes,
            may_replace: if self.moderated { &cathy_deletes } else { &nobody },
            expiry: self.expiry,
        })?;
        let set = recording.finish();
        self.store.write(&set).unwrap();
        Ok(taken)
    }

    /// Somebody says something.
    pub(crate) fn say(&mut self, user: &str, draft: Draft) -> (MessageId, Taken) {
        let sent = self.draft(user, draft);
        let taken = self.take(user, MIMI_CONTENT, &sent.bytes);
        (sent.id, taken)
    }

    pub(crate) fn said(&mut self, user: &str, text: &str) -> MessageId {
        self.say(user, Draft::plain(text)).0
    }

    pub(crate) fn room(&self) -> Room {
        self.history.read(&self.store).room(&group()).unwrap().unwrap()
    }

    /// How much is unread, and how much of that mentions bob.
    pub(crate) fn unread(&self) -> (u64, u64) {
        let room = self.room();
        (room.unread, room.mentions)
    }

    pub(crate) fn read_up_to(&mut self, number: u64) -> bool {
        let mut recording = self.history.record(&self.store, self.now);
        let further = recording.mark_read(&group(), number).unwrap();
        let set = recording.finish();
        self.store.write(&set).unwrap();
        further
    }

    pub(crate) fn expire(&mut self) -> Vec<u64> {
        let mut recording = self.history.record(&self.store, self.now);
        let expired = recording.expire(1000).unwrap();
        let set = recording.finish();
        self.store.write(&set).unwrap();
        expired.into_iter().map(|expired| expired.number).collect()
    }

    pub(crate) fn entry(&self, number: u64) -> Option<Entry> {
        self.history.read(&self.store).entry(&group(), number).unwrap()
    }

    pub(crate) fn text(&self, number: u64) -> String {
        self.entry(number).expect("a message").body.text().to_owned()
    }

    pub(crate) fn before(&self, before: Cursor, limit: usize) -> Page {
        self.history.read(&self.store).before(&group(), before, limit).unwrap()
    }

    pub(crate) fn after(&self, after: Cursor, limit: usize) -> Page {
        self.history.read(&self.store).after(&group(), after, limit).unwrap()
    }

    /// The numbers of all messages.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        numbers(&self.before(Cursor::LAST, 500).entries)
    }

    /// The numbers of the messages that a query finds, the latest first.
    pub(crate) fn search(&self, query: &str) -> Vec<u64> {
        let reading = self.history.read(&self.store);
        numbers(&reading.search(&group(), query, Cursor::LAST, 100).unwrap().entries)
    }

    /// Whether any row of the history holds these bytes.
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        let found = |row: &[u8]| row.windows(bytes.len()).any(|window| window == bytes);
        NAMESPACES.iter().any(|namespace| {
            let rows = self.store.scan(namespace, &[], usize::MAX).unwrap();
            rows.iter().any(|(key, row)| found(key) || found(row.expose()))
        })
    }

    /// How many rows there are of each kind.
    pub(crate) fn rows(&self) -> Vec<(&'static str, usize)> {
        let count = |namespace| self.store.scan(namespace, &[], usize::MAX).unwrap().len();
        NAMESPACES.iter().map(|namespace| (*namespace, count(namespace))).collect()
    }
}

const NAMESPACES: [&str; 15] = [
    "h.meta",
    "h.room",
    "h.number",
    "h.message",
    "h.body",
    "h.mark",
    "h.reaction",
    "h.receipt",
    "h.words",
    "h.order",
    "h.expiry",
    "h.unread",
    "h.topic",
    "h.pending",
    "h.draft",
];

pub(crate) fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.number).collect()
}
