//! Deletes the messages that a device's engine keeps when they expire, as a messenger does with its own.

use conclave_client::{
    AppRows, Engine, EngineError, GroupId, MimiMessage, News, Phase, expires_at,
};
use conclave_store::Store;
use std::collections::BTreeSet;
use std::time::Duration;

/// The messages that expire.
pub(super) struct Expiry {
    /// When each is to be deleted, in seconds since 1970, and which it is: its room and number.
    due: BTreeSet<(u64, GroupId, u64)>,
}

impl Expiry {
    /// Finds the messages that expire among those that the engine keeps. In rooms without a policy for expiry none does.
    pub(super) fn load<S: Store>(engine: &Engine<S>) -> Result<Self, EngineError> {
        let mut expiry = Self { due: BTreeSet::new() };
        for group in engine.groups() {
            let is_member = matches!(group.phase, Phase::Member);
            if is_member && engine.message_expiration(&group.id).is_none() {
                continue;
            }
            for news in engine.history(&group.id, usize::MAX)? {
                expiry.note(engine, &group.id, &news);
            }
        }
        Ok(expiry)
    }

    /// Takes note of a message that has come in, if it expires.
    pub(super) fn note<S: Store>(&mut self, engine: &Engine<S>, group: &GroupId, news: &News) {
        let News::Message { seq, time, sender, expiration, content, .. } = news else { return };
        if expiration.is_none() {
            return;
        }
        let message = MimiMessage::read(engine, group, (sender, *time), content);
        if let Some(at) = expires_at(message.as_ref(), *expiration, *time) {
            self.due.insert((at, group.clone(), *seq));
        }
    }

    /// How long it is until a message expires, at a time in seconds since 1970.
    pub(super) fn wait(&self, now: u64) -> Option<Duration> {
        let (at, ..) = self.due.first()?;
        Some(Duration::from_secs(at.saturating_sub(now)))
    }

    /// Deletes the messages that have expired. Their events stay until a client acknowledges them.
    pub(super) fn run<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
    ) -> Result<(), EngineError> {
        let mut expired = Vec::new();
        while self.due.first().is_some_and(|(at, ..)| *at <= now) {
            expired.extend(self.due.pop_first().map(|(_, group, seq)| (group, seq)));
        }
        engine.acknowledge_adopting(&[], AppRows::new(), &expired)
    }
}
