//! The group's log: each entry is processed once, in order, and a page of them is one write.

use super::context::Context;
use super::entries::{Effect, Halt, Judge, chained, process, sealed_in};
use super::kept::{keep, keep_nothing};
use super::leaves::{own_leaf, size_of};
use super::report::{Planned, Report, noted};
use super::rooms::room_of;
use super::{Conversation, Standing};
use crate::error::EngineError;
use crate::reason::Reason;
use crate::record::{GroupRecord, OwnKey};
use conclave_certificates::device_of;
use conclave_delivery_api::{ContentType, LogPage, sha256};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::group::{Member, Status};
use conclave_mls::storage::Fold;
use conclave_mls::{Group, Transition, UnixTime, Verdict};
use conclave_store::{Store, StoreError};
use std::collections::{BTreeSet, VecDeque};

/// What processing a page has led to.
#[derive(Default)]
struct Taken {
    /// Why the rest of the page is not processed, if it is not.
    halt: Option<Halt>,
    /// Whether what was under way in the group is over: our message has arrived, or an epoch has begun.
    ends_attempt: bool,
    /// Whether the page has a message of this device's leaf that this state has not sent.
    copy_has_sent: bool,
}

/// What is known of accounts, to judge an entry that was sent at a time by the service's clock.
pub(crate) struct JudgeOf<'a, 'c, S> {
    pub(crate) cx: &'a mut Context<'c, S>,
    pub(crate) sent: UnixTime,
}

impl<S: Store> Judge for JudgeOf<'_, '_, S> {
    fn verdicts(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>> {
        self.cx.judge_sent(requests, self.sent)
    }

    fn is_revoked(&mut self, member: &Member) -> Option<bool> {
        let Context { authority, book, lookups, .. } = &mut *self.cx;
        let Some(device) = device_of(&member.credential) else { return Some(false) };
        let revoked = authority.judge_revoked(book.accounts(), &device, &member.signature_key);
        if revoked.is_none() {
            lookups.insert(device.user);
        }
        revoked
    }
}

impl Conversation {
    /// Processes a page of the log, from the cursor on, and plans what follows from it.
    pub(crate) fn take_page<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        page: &LogPage,
    ) -> Result<(), EngineError> {
        let Some(mut record) = cx.book.record(&self.id).cloned() else { return Ok(()) };
        record.receipt = self.receipt.clone();
        self.missed = None;
        let Taken { halt, ends_attempt, copy_has_sent } = self.take_entries(cx, &record, page)?;
        if self.group.status() == Status::Deleted {
            self.standing = Standing::Over;
        }
        if ends_attempt {
            self.end_attempt();
        }

        let (is_whole, comes_back) = (halt.is_none(), matches!(halt, Some(Halt::ComesBack)));
        if !is_whole {
            self.restoring.waits = false;
        } else if page.entries.is_empty() && self.log.head <= self.log.asked_head {
            // The service has no more to give than this.
            self.log.head = record.cursor;
        }
        if matches!(halt, Some(Halt::Ask)) {
            self.log.sync = true;
            self.standing = Standing::Asks;
        }
        match halt {
            Some(Halt::Stuck(reason)) => self.stick(cx, reason)?,
            _ if copy_has_sent && !self.is_over() => self.copy_has_sent(cx)?,
            _ => {}
        }
        if comes_back {
            self.come_back(cx)?;
        }

        self.note_found(cx, page, record.cursor)?;
        if ends_attempt {
            self.plan_removals(cx);
        }
        if self.is_over() {
            return Ok(());
        }
        self.plan_auto_commit(cx);
        if is_whole {
            self.plan_stale(cx)?;
            self.plan_returns(cx);
        }
        Ok(())
    }

    /// Processes the entries of a page, in one write.
    fn take_entries<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        record: &GroupRecord,
        page: &LogPage,
    ) -> Result<Taken, EngineError> {
        let Self { id, group, .. } = self;
        let (provider, now) = (cx.provider, cx.clock.time());
        let mut own = VecDeque::from(sealed_in(cx.book, id));
        // What this device has read in a log that the service has lost.
        let lost = cx.book.missing(id).map(|lost| lost.values().copied().collect::<BTreeSet<_>>());
        let lost = lost.unwrap_or_default();
        let mut chains = match chained(id, record.place(), page) {
            Ok(chains) => chains,
            Err(halt) => return Ok(Taken { halt: Some(halt), ..Taken::default() }),
        };
        let room = room_of(group);
        let leaf = own_leaf(group).map(<[u8]>::to_vec);
        let members = size_of(group);

        // Each entry's step is taken in memory.
        let (mut plan, mut halt) = (Vec::new(), None);
        let (mut cursor, mut epoch) = (record.cursor, group.epoch());
        let mut fold = group.fold();
        for entry in page.entries.iter().filter(|entry| entry.seq > record.cursor) {
            let effect = if !lost.is_empty() && lost.contains(&sha256(&entry.message)) {
                Effect::Nothing
            } else if !lost.is_empty()
                && entry.content_type == ContentType::Commit
                && entry.epoch < epoch.0
            {
                halt = Some(Halt::Stuck(Reason::LogForked));
                break;
            } else if own.pop_front_if(|own| **own == *entry.message).is_some() {
                Effect::Own
            } else if entry.sender == *cx.device() && own.iter().any(|own| **own == *entry.message)
            {
                halt = Some(Halt::Stuck(Reason::LogReordered));
                break;
            } else {
                let sent = UnixTime::from_secs(entry.received_at).unwrap_or(UnixTime::MAX);
                let mut judge = JudgeOf { cx, sent };
                match process(provider, fold.state(), now, entry, &mut judge) {
                    Ok((effect, transition)) => {
                        if let Some(transition) = transition {
                            push(&mut fold, transition)?;
                        }
                        effect
                    }
                    Err(stop) => {
                        halt = Some(stop);
                        break;
                    }
                }
            };
            cursor = entry.seq;
            let out = matches!(effect, Effect::Out);
            plan.push(Planned { seq: entry.seq, time: entry.received_at, effect });
            if out {
                let deletion = fold.state().delete()?;
                push(&mut fold, deletion)?;
                halt = Some(Halt::Out);
                break;
            }
            epoch = fold.state().epoch();
        }
        if plan.is_empty() {
            return Ok(Taken { halt, ..Taken::default() });
        }

        // What belongs to all of them is written at once.
        let changes = match halt {
            Some(Halt::Out) => keep_nothing(cx.book, id)?,
            _ => keep(cx.book, id, page, (record.cursor, cursor), &chains)?,
        };
        let chain = chains.remove(&cursor);
        let today = cx.clock.seen_day();
        let absence = cx.key_policy.absence_in(members);
        let awaited_after = cx.key_policy.awaited_after(members);
        let own_key = if own_leaf(fold.state()) == leaf.as_deref() {
            let sent = plan.iter().filter(|planned| matches!(planned.effect, Effect::Own)).count();
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            OwnKey { sent: record.own_key.sent.saturating_add(sent), ..record.own_key }
        } else {
            OwnKey::new(cx.clock.now)
        };
        let record = GroupRecord { cursor, chain, epoch: epoch.0, own_key, ..record.clone() };

        let (mut ends_attempt, mut copy_has_sent) = (false, false);
        let (book, watching, place) = (&mut *cx.book, &mut *cx.watching, cx.evidence_place);
        fold.commit(|write| {
            let mut report = Report::new(provider, book, id, record, (changes, room));
            report.absence = absence;
            report.awaited_after = awaited_after;
            let mut events = write.events.iter();
            for planned in plan {
                report.tell(book, planned, &mut events);
            }

            (ends_attempt, copy_has_sent) = (report.ends_attempt, report.copy_has_sent);
            let heard = core::mem::take(&mut report.heard);
            let gossip = watching.hear(provider, place, book, (id, heard));
            let seen = core::mem::take(&mut report.seen);
            let mut changes = report.finish();
            changes.extend(noted(book, id, &seen, today));
            changes.extend(gossip.map_err(StoreError::failed)?);
            book.commit(Some(write.batch), changes)
        })?;
        Ok(Taken { halt, ends_attempt, copy_has_sent })
    }

    /// The log has a message that this device's leaf has sent and this state has not: the state is a copy. If the leaf has
    /// the device's current key, the other copy has it too. If not, this device is already on its way back into the group.
    fn copy_has_sent<S: Store>(&mut self, cx: &mut Context<'_, S>) -> Result<(), EngineError> {
        let current = &cx.book.identity().signer.public;
        let own = self.group.member(self.group.own_leaf());
        if own.is_some_and(|own| own.signature_key == *current) {
            cx.found_copied(None)?;
        }
        Ok(())
    }
}

fn push<O>(fold: &mut Fold<'_, Group>, step: Transition<Group, O>) -> Result<(), EngineError> {
    fold.push(step).map_err(|e| e.without_write().into())
}
