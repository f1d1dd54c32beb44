//! The application's own rows.

use super::{CommandError, Engine, EngineError};
use crate::book::Change;
use crate::content::Content;
use crate::output::{Answer, Output};
use crate::record::{Line, News};
use crate::rows::{AppRows, namespace};
use conclave_mls::GroupId;
use conclave_room::MessageExpiration;
use conclave_store::{Secret, Store};
use core::ops::Bound;
use std::collections::BTreeMap;

/// A message that has expired, for [`Engine::expire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its group.
    pub group: GroupId,
    /// Its number there.
    pub number: u64,
    /// When it expired, in seconds since 1970.
    pub at: u64,
}

/// The changes that note that the host has taken these, and that write its rows.
fn taken(outputs: &[Output], rows: AppRows) -> Vec<Change> {
    let taken = outputs.iter().filter_map(|output| match output {
        Output::News { key, .. } => Some(Change::Acknowledged(*key)),
        Output::Answer(_) => None,
    });
    let mut changes: Vec<Change> = taken.collect();
    if !rows.is_empty() {
        changes.push(Change::App(rows));
    }
    changes
}

/// The event of a message that expired at a time in seconds since 1970, without what it said.
fn without_content(news: &News, at: u64) -> News {
    let mut left = news.clone();
    if let News::Message { time, expiration, content, .. } = &mut left {
        let seconds = u32::try_from(at.saturating_sub(*time)).unwrap_or(u32::MAX);
        (*expiration, *content) = (Some(MessageExpiration::after(seconds)), Content::from_text(""));
    }
    left
}

/// A stored event, as the host gets it.
fn event((key, line): (&u64, &Line)) -> Output {
    Output::News { key: *key, group: line.group.clone(), news: line.news.clone() }
}

impl<S: Store> Engine<S> {
    /// What the engine has to say, in order. News are numbered, kept until [`Self::acknowledge`] takes note of them, and
    /// given again until then, by each call and after a crash. Answers are given once.
    pub fn outputs(&mut self, now: u64) -> Vec<Output> {
        self.now = now;
        let visible = self.book.lines().iter().filter(|(_, l)| self.hidden_until(l).is_none());
        let mut outputs: Vec<Output> = visible.map(event).collect();
        outputs.extend(self.answers.drain(..).map(Output::Answer));
        outputs
    }

    /// Takes note that the host has taken these: shown or stored them. Their events are not given again.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn acknowledge(&mut self, outputs: &[Output]) -> Result<(), EngineError> {
        self.acknowledge_with(outputs, AppRows::new())
    }

    /// Does as [`Self::acknowledge`], and writes rows of the application's in the same atomic write.
    ///
    /// So a host that stores what an event leads to (a message in its history, a reply to be sent, how many are unread)
    /// does it exactly once: whenever the process ends, either the rows are written and the event is not given again, or
    /// neither.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn acknowledge_with(
        &mut self,
        outputs: &[Output],
        rows: AppRows,
    ) -> Result<(), EngineError> {
        self.acknowledge_adopting(outputs, rows, &[])
    }

    /// The same for an application that keeps messages itself: the engine deletes these, which are named by group and
    /// number, from its history, and [`Engine::history`] lacks them. What the application then deletes is gone.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn acknowledge_adopting(
        &mut self,
        outputs: &[Output],
        rows: AppRows,
        adopted: &[(GroupId, u64)],
    ) -> Result<(), EngineError> {
        let mut changes = taken(outputs, rows);
        let adopted = adopted.iter().map(|(group, seq)| Change::Adopted(group.clone(), *seq));
        changes.extend(adopted);
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.book.commit(None, changes)?)
    }

    /// Deletes the content of expired messages, and writes rows of the application's in the same atomic write. The messages
    /// are deleted from the history, and [`Engine::history`] lacks them. Their events are kept until the host has taken them,
    /// with an empty text and a policy by which that expires when the message did.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn expire(&mut self, expired: &[Expired], rows: AppRows) -> Result<(), EngineError> {
        let ends: BTreeMap<(&GroupId, u64), u64> =
            expired.iter().map(|one| ((&one.group, one.number), one.at)).collect();
        let mut changes = taken(&[], rows);
        for (key, line) in self.book.lines() {
            let (Some(group), News::Message { seq, .. }) = (&line.group, &line.news) else {
                continue;
            };
            if let Some(at) = ends.get(&(group, *seq)) {
                let (group, news) = (line.group.clone(), without_content(&line.news, *at));
                changes.push(Change::Line(*key, Line { group, news }));
            }
        }
        let adopted = expired.iter().map(|one| Change::Adopted(one.group.clone(), one.number));
        changes.extend(adopted);
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.book.commit(None, changes)?)
    }

    /// Says something in a group, as [`Self::send`], and takes note of events and writes rows of the application's, as
    /// [`Self::acknowledge_with`]: all in one atomic write.
    ///
    /// So a host that answers events answers each exactly once: whenever the process ends, either the answer is kept to
    /// be sent and the event is not given again, or neither.
    ///
    /// # Errors
    /// As of [`Self::command`].
    pub fn send_with(
        &mut self,
        now: u64,
        group: &GroupId,
        content: Content,
        outputs: &[Output],
        rows: AppRows,
    ) -> Result<(), CommandError> {
        self.send_and(now, group, vec![content], taken(outputs, rows))
    }

    /// The events after the one of this number, in order and at most `limit`, up to the first that waits for the name of
    /// its group: for a host that remembers how far it is and does not take all that [`Self::outputs`] gives.
    #[must_use]
    pub fn events_after(&self, number: u64, limit: usize) -> Vec<Output> {
        let after = (Bound::Excluded(number), Bound::Unbounded);
        let lines = self.book.lines().range(after).take(limit);
        let visible = lines.take_while(|(_, line)| self.hidden_until(line).is_none());
        visible.map(event).collect()
    }

    /// The answers that [`Self::outputs`] would give. Each is given once.
    pub fn answers(&mut self) -> Vec<Answer> {
        self.answers.drain(..).collect()
    }

    /// Writes rows of the application's, in one atomic write of their own.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn write_app_rows(&mut self, rows: AppRows) -> Result<(), EngineError> {
        self.acknowledge_with(&[], rows)
    }

    /// The value of a row of the application's.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn app_row(&self, table: &str, key: &[u8]) -> Result<Option<Secret>, EngineError> {
        Ok(self.book.store().get(&namespace(table), key)?)
    }

    /// The rows of one of the application's tables, ascending by key as bytes, from `from` on (inclusive; the empty key
    /// is before all others), `limit` of them at most.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn app_rows(
        &self,
        table: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, EngineError> {
        Ok(self.book.store().scan(&namespace(table), from, limit)?)
    }
}
