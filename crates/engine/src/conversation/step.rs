//! What a conversation does next: at most one call.

use super::call::{Call, Next};
use super::context::Context;
use super::phase::Phase;
use super::rules::PAGE;
use super::succession::reset_request;
use super::{Conversation, Standing};
use crate::book::Change;
use crate::error::EngineError;
use crate::record::Stage;
use conclave_delivery_api::{CreateGroup, Decode, FetchLog};
use conclave_mls::group::LeafUpdate;
use conclave_mls::storage::Outcome;
use conclave_mls::{Event, Group, Transition, apply};
use conclave_store::Store;

impl Conversation {
    /// The next call; none if there is nothing to do, or nothing that can be done now.
    pub(crate) fn next<S: Store>(&mut self, cx: &mut Context<'_, S>) -> Result<Next, EngineError> {
        self.resume_giving(cx.clock.now);
        let phase = self.phase(cx.book, cx.clock.now);
        if self.asks() {
            if cx.watching.holds() || !cx.lookups.is_empty() {
                return Ok(None);
            }
            self.standing = Standing::Follows;
        }

        match phase {
            Phase::Over | Phase::Stuck | Phase::Held | Phase::Committed => Ok(None),
            Phase::Creating => self.next_creation(cx),
            Phase::ComingBack => self.next_rejoin(cx),
            Phase::Reading => Ok(self.next_page(cx)),
            Phase::GivingBack => self.next_given_back(cx),
            Phase::Committing => {
                let commit = self.pending_commit(cx.book);
                Ok(commit.map(|request| (request.into(), Call::Commit)))
            }
            Phase::Open => self.next_of_own(cx),
        }
    }

    /// The call for what this device does of its own accord, or what the user has asked for.
    fn next_of_own<S: Store>(&mut self, cx: &mut Context<'_, S>) -> Result<Next, EngineError> {
        let delivered = self.attempt.delivered;
        if !delivered && let Some(next) = self.next_renewal(cx)? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_fresh_key(cx)? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_stale(cx)? {
            return Ok(Some(next));
        }
        self.invite_returned(cx)?;
        if !delivered && let Some(next) = self.next_item(cx)? {
            return Ok(Some(next));
        }
        if self.is_over() {
            return Ok(None);
        }
        self.next_auto_commit(cx)
    }

    /// The call that creates the group. It may put an end to the group's predecessor, so it is made alone.
    fn next_creation<S: Store>(&self, cx: &mut Context<'_, S>) -> Result<Next, EngineError> {
        if !cx.may_go_alone() {
            return Ok(None);
        }
        let Some(Stage::Creating(request)) = cx.book.record(&self.id).map(|record| &record.stage)
        else {
            return Ok(None);
        };
        if let Some(request) = reset_request(cx.book, cx.provider, &self.id, request)? {
            return Ok(Some((request.into(), Call::Create)));
        }
        let request = CreateGroup::from_bytes(request).map_err(conclave_mls::Error::from)?;
        Ok(Some((request.into(), Call::Create)))
    }

    /// The call that fetches the log.
    fn next_page<S: Store>(&mut self, cx: &Context<'_, S>) -> Next {
        let cursor = self.cursor(cx.book);
        self.log.asked_head = self.log.head;
        let after = self.restoring.compare.unwrap_or(cursor);
        let request = FetchLog { group_id: self.id.clone(), after, limit: PAGE };
        Some((request.into(), Call::Log))
    }

    /// Writes a step of the group with the changes that belong to it, takes the step, and returns its outcome.
    pub(crate) fn step<S: Store, O: Outcome<Event>>(
        &mut self,
        cx: &mut Context<'_, S>,
        step: Transition<Group, O>,
        changes: impl FnOnce(&Event) -> Vec<Change>,
    ) -> Result<O, EngineError> {
        let book = &mut *cx.book;
        Ok(apply(&mut self.group, step, |write| {
            let changes = write.events.first().map(changes).unwrap_or_default();
            book.commit(Some(write.batch), changes)
        })?)
    }

    /// What this device's leaf in the group lacks, if it is not up to date: after a renewal, the credential and perhaps the
    /// key.
    pub(crate) fn leaf_update<S: Store>(&self, cx: &Context<'_, S>) -> Option<LeafUpdate> {
        let signer = &cx.book.identity().signer;
        let own = self.group.own_member()?;
        let params = cx.leaf();
        let same = own.credential == params.credential && own.signature_key == signer.public;
        (!same).then(|| LeafUpdate { params, signer: signer.clone() })
    }
}
