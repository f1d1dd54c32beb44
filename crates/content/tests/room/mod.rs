//! A room as a client keeps it: it receives messages, asks what they mean, and remembers them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use crate::common::encoded;
use conclave_content::{
    Arrival, Draft, History, KnownMessage, Limits, Meaning, MessageId, MimiContent, Replacing,
    Salt, interpret, text_rank,
};
use std::collections::BTreeMap;

pub(crate) const ALICE: &str = "mimi://example.com/u/alice-smith";
pub(crate) const BOB: &str = "mimi://example.com/u/bob-jones";
pub(crate) const CATHY: &str = "mimi://example.com/u/cathy-washington";
pub(crate) const ROOM: &str = "mimi://example.com/r/engineering_team";

/// When messages are accepted, in seconds since 1970: in the time of the draft's examples.
pub(crate) const NOW: u64 = 1_644_387_300;

pub(crate) fn salt(n: u64) -> Salt {
    let mut salt = [0; 16];
    salt[8..].copy_from_slice(&n.to_be_bytes());
    Salt(salt)
}

/// An example of the draft.
pub(crate) fn example(name: &str) -> MimiContent {
    let path = format!("{}/tests/vectors/{name}.edn", env!("CARGO_MANIFEST_DIR"));
    let bytes = encoded(&std::fs::read_to_string(path).unwrap());
    MimiContent::decode(&bytes, &Limits::default()).unwrap()
}

/// The identifier of an example, whose sender and room it names.
pub(crate) fn id_of(name: &str) -> MessageId {
    let content = example(name);
    id(content.mimi_extensions.sender_uri().unwrap(), &content)
}

fn id(sender: &str, content: &MimiContent) -> MessageId {
    MessageId::derive(sender, ROOM, &content.encode().unwrap(), &content.salt).unwrap()
}

/// The text of a message's first part.
pub(crate) fn body_text(meaning: &Meaning<'_>) -> String {
    let chosen = match meaning {
        Meaning::Text(body) | Meaning::Reply { body, .. } | Meaning::Edit { body, .. } => body,
        other => panic!("no text: {other:?}"),
    };
    chosen.leaves[0].text().expect("text").to_owned()
}

struct Stored {
    author: String,
    replaces: Option<MessageId>,
    in_reply_to: Option<MessageId>,
    is_deleted: bool,
}

#[derive(Default)]
pub(crate) struct Room {
    messages: BTreeMap<MessageId, Stored>,
    /// The last message's sender and identifier. It is remembered when the next one comes.
    last: Option<(String, MessageId)>,
    pub(crate) content: Option<MimiContent>,
    /// Who may delete what others wrote.
    pub(crate) moderator: Option<&'static str>,
    salts: u64,
}

impl History for Room {
    fn message(&self, id: &MessageId) -> Option<KnownMessage<'_>> {
        self.messages.get(id).map(|stored| KnownMessage {
            author: &stored.author,
            replaces: stored.replaces,
            in_reply_to: stored.in_reply_to,
            is_deleted: stored.is_deleted,
        })
    }

    fn authorizes(&self, replacing: &Replacing<'_>) -> bool {
        replacing.deletes && self.moderator == Some(replacing.by)
    }
}

impl Room {
    /// What the last message means.
    pub(crate) fn last(&self) -> Meaning<'_> {
        let (sender, id) = self.last.as_ref().expect("a message");
        let arrival = Arrival { id: *id, sender, room: ROOM, accepted_at: NOW };
        interpret(self.content.as_ref().expect("a message"), &arrival, self, &text_rank)
    }

    pub(crate) fn forget_last(&mut self) {
        (self.last, self.content) = (None, None);
    }

    /// Takes what somebody sent, whatever it says of its sender.
    pub(crate) fn take(&mut self, sender: &str, content: MimiContent) -> MessageId {
        self.remember_last();
        let id = id(sender, &content);
        self.last = Some((sender.to_owned(), id));
        self.content = Some(content);
        id
    }

    fn remember_last(&mut self) {
        if self.last.is_none() {
            return;
        }
        let deleted = if let Meaning::Delete { of } = self.last() { Some(of.id) } else { None };
        let (Some((author, id)), Some(content)) = (self.last.take(), self.content.take()) else {
            return;
        };
        if let Some(deleted) = deleted.and_then(|id| self.messages.get_mut(&id)) {
            deleted.is_deleted = true;
        }
        let MimiContent { replaces, in_reply_to, .. } = content;
        self.messages.insert(id, Stored { author, replaces, in_reply_to, is_deleted: false });
    }

    /// Puts a message into the history that refers to these.
    pub(crate) fn know(&mut self, id: MessageId, author: &str, refers: [Option<MessageId>; 2]) {
        let [replaces, in_reply_to] = refers;
        let author = author.to_owned();
        self.messages.insert(id, Stored { author, replaces, in_reply_to, is_deleted: false });
    }

    /// Somebody says something.
    pub(crate) fn say(&mut self, sender: &str, draft: Draft) -> MessageId {
        self.salts += 1;
        let sent = draft.finish(salt(self.salts), sender, ROOM).unwrap();
        let content = MimiContent::decode(&sent.bytes, &Limits::default()).unwrap();
        assert_eq!(content, sent.content);
        assert_eq!(self.take(sender, content), sent.id);
        sent.id
    }

    /// Somebody sends an example of the draft.
    pub(crate) fn receive(&mut self, sender: &str, name: &str) -> Meaning<'_> {
        self.take(sender, example(name));
        self.last()
    }
}
