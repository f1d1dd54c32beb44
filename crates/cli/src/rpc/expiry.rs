//! When the messages that a device's engine keeps are over: they are deleted then, as a messenger does.

use conclave_client::{
    AppRows, Engine, EngineError, GroupId, MimiMessage, News, Phase, expires_at,
};
use conclave_store::Store;
use std::collections::BTreeSet;
use std::time::Duration;

/// What is to be deleted.
pub(super) struct Expiry {
    /// When, in seconds since 1970, and what: a room and a number.
    due: BTreeSet<(u64, GroupId, u64)>,
}

impl Expiry {
    /// Finds what the engine keeps that is to be deleted. In rooms without a policy for expiry all stays.
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

    /// Takes note of what has come in.
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

    /// How long it is until something is over, at a time in seconds since 1970.
    pub(super) fn wait(&self, now: u64) -> Option<Duration> {
        let (at, ..) = self.due.first()?;
        Some(Duration::from_secs(at.saturating_sub(now)))
    }

    /// Deletes what is over. Events of it that no client has acknowledged stay until one does.
    pub(super) fn run<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
    ) -> Result<(), EngineError> {
        let mut over = Vec::new();
        while self.due.first().is_some_and(|(at, ..)| *at <= now) {
            over.extend(self.due.pop_first().map(|(_, group, seq)| (group, seq)));
        }
        engine.acknowledge_adopting(&[], AppRows::new(), &over)
    }
}
