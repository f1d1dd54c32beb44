//! The loop around the conversations: whose turn it is, and what the engine lends each for its decision.

use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::clock::Clock;
use crate::conversation::Conversation;
use crate::conversation::context::Context;
use crate::request::Request;
use conclave_delivery_api::DeviceId;
use conclave_mls::credential::{CredentialRequest, SignaturePublicKey};
use conclave_mls::{GroupId, UnixTime, Verdict};
use conclave_store::Store;
use std::collections::BTreeMap;

impl<S: Store> Engine<S> {
    pub(super) fn clock(&self) -> Clock {
        Clock { now: self.now, service_ahead: self.service_ahead }
    }

    /// The conversations, and what they decide with, to be borrowed together.
    pub(super) fn split(&mut self) -> (&mut BTreeMap<GroupId, Conversation>, Context<'_, S>) {
        let context = Context {
            clock: self.clock(),
            provider: &*self.provider,
            key_policy: &self.keys,
            service_key: self.service_key.as_ref(),
            was_restored: self.was_restored,
            evidence_place: &self.evidence_place,
            is_idle: self.under_way.is_empty(),
            rng: &mut *self.rng,
            book: &mut self.book,
            authority: &mut self.authority,
            lookups: &mut self.lookups,
            removals: &mut self.removals,
            watching: &mut self.watching,
            answers: &mut self.answers,
            waits_for_idle: false,
        };
        (&mut self.conversations, context)
    }

    /// What conversations decide with, for a decision that concerns none of them alone.
    pub(super) fn context(&mut self) -> Context<'_, S> {
        self.split().1
    }

    /// Lets a group's conversation act, if there is one. Drops it if this device is out of the group after that.
    pub(super) fn with<T: Default>(
        &mut self,
        id: &GroupId,
        act: impl FnOnce(&mut Conversation, &mut Context<'_, S>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let (conversations, mut cx) = self.split();
        let Some(conversation) = conversations.get_mut(id) else { return Ok(T::default()) };
        let since = cx.book.key_packages_since();
        let done = act(conversation, &mut cx);
        let (is_over, waits_for_idle) = (conversation.is_over(), cx.waits_for_idle);
        if is_over {
            self.conversations.remove(id);
        }
        if self.book.key_packages_since() != since {
            self.count_at = 0;
        }
        if waits_for_idle {
            self.under_way.wait_alone(id);
        }
        done
    }

    /// The call of the next conversation that needs one and has none under way.
    pub(super) fn next_of_conversations(
        &mut self,
    ) -> Result<Option<(Request, Purpose)>, EngineError> {
        self.plan_renewals()?;
        let ids: Vec<GroupId> = self.conversations.keys().cloned().collect();
        // The one after the last served comes first, so that a busy group does not hold up others.
        let after = |id: &&GroupId| self.last_group.as_ref().is_some_and(|last| **id > *last);
        let start = ids.iter().position(|id| after(&id)).unwrap_or(0);
        let (first, second) = ids.split_at(start);
        let waiting = self.under_way.take_waiting();
        for id in waiting.iter().chain(second).chain(first) {
            if self.under_way.is_of(id) {
                continue;
            }
            if let Some((request, call)) = self.with(id, Conversation::next)? {
                self.last_group = Some(id.clone());
                return Ok(Some((request, Purpose::Of(id.clone(), call))));
            }
            if !self.under_way.takes_another() {
                // This group has to make its call alone: no other begins one before that.
                break;
            }
        }
        Ok(None)
    }

    /// Plans when this device's keys are replaced, in the groups where that is not known.
    fn plan_renewals(&mut self) -> Result<(), EngineError> {
        let now = self.now;
        let (conversations, mut cx) = self.split();
        let dated = conversations
            .values_mut()
            .filter_map(|conversation| conversation.date_key(cx.book, now));
        let changes: Vec<Change> = dated.collect();
        if !changes.is_empty() {
            cx.book.commit(None, changes)?;
        }
        conversations.values_mut().for_each(|conversation| conversation.plan_renewal(&mut cx));
        Ok(())
    }

    /// Plans the removal of a group's devices that are no longer active.
    pub(super) fn plan_removals(&mut self, id: &GroupId) {
        let (conversations, mut cx) = self.split();
        if let Some(conversation) = conversations.get_mut(id) {
            conversation.plan_removals(&mut cx);
        }
    }

    /// The devices of a group and their keys; none if this device is not in it.
    pub(super) fn devices_in(&self, group: &GroupId) -> Vec<(DeviceId, SignaturePublicKey)> {
        self.conversations.get(group).map(Conversation::devices).unwrap_or_default()
    }

    /// Judges credentials; none if accounts have to be fetched first, which is then planned.
    pub(super) fn judge(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>> {
        self.context().judge(requests)
    }

    /// As [`Clock::time`].
    pub(super) fn time(&self) -> UnixTime {
        self.clock().time()
    }

    /// As [`Clock::service_time`].
    pub(super) fn service_time(&self) -> UnixTime {
        self.clock().service_time()
    }

    /// As [`Clock::seen_day`].
    pub(super) fn seen_day(&self) -> u32 {
        self.clock().seen_day()
    }
}
