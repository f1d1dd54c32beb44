//! Join links: making and revoking them, and what commits do to them.

use super::Conversation;
use super::call::Next;
use super::context::Context;
use crate::error::EngineError;
use crate::notice::Notice;
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::{Item, Who, Work};
use conclave_certificates::device_of;
use conclave_delivery_api::{
    Bytes, JoinLinkError, JoinLinkRecord, JoinLinks, JoinLinksUpdate, Judged, JudgedCommit,
    judge_commit,
};
use conclave_mls::component::CommitDraft;
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::error::Rejection;
use conclave_mls::group::{CommitStage, NewProposal, Sender};
use conclave_mls::{Error, Group};
use conclave_store::Store;

/// What a commit of others that the service received at a time does to a group's links.
pub(crate) fn judge_received(
    provider: &dyn CryptoProvider,
    group: &Group,
    stage: &CommitStage,
    received_at: u64,
) -> Result<Judged, JoinLinkError> {
    let commit = JudgedCommit {
        sender: stage.sender(),
        proposals: stage.proposals().collect(),
        credentials: stage.credentials(),
        received_at,
    };
    judge_commit(provider, group.view(), &commit, device_of)
}

/// What components answer to a commit of our own.
pub(crate) fn judge_own(
    provider: &dyn CryptoProvider,
    group: &Group,
    draft: &CommitDraft<'_>,
) -> Result<Vec<Bytes>, Error> {
    let commit = JudgedCommit {
        sender: Sender::Member(group.own_leaf()),
        proposals: draft.proposals().collect(),
        credentials: &[],
        // It uses no link, so it does not matter when links end.
        received_at: 0,
    };
    let judged = judge_commit(provider, group.view(), &commit, device_of);
    judged.map(|judged| judged.app_data).map_err(|e| refused_by_policy(&e))
}

/// The error of a commit whose changes of components are refused.
pub(crate) fn refused_by_policy(e: &JoinLinkError) -> Error {
    Rejection::RefusedByPolicy { reason: e.to_string().into() }.into()
}

/// The credentials of a commit as they are judged: a link stands for a member's word, by which others are added.
pub(crate) fn credentials_to_judge(
    credentials: &[CredentialRequest],
    joins_by_link: bool,
) -> Vec<CredentialRequest> {
    let mut credentials = credentials.to_vec();
    if joins_by_link {
        credentials.iter_mut().for_each(|c| c.subject = CredentialSubject::NewMember);
    }
    credentials
}

impl Conversation {
    /// The links into the group.
    pub(crate) fn links(&self) -> JoinLinks {
        JoinLinks::of(self.group.view()).unwrap_or_default()
    }

    /// The commit that makes a link. Links that are over make room for it.
    pub(crate) fn make_link<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        item: &Item,
    ) -> Result<Next, EngineError> {
        let Work::MakeLink { link, expires_at, max_uses, .. } = item.work.clone() else {
            return Ok(None);
        };
        let now = cx.clock.service_time().as_secs();
        let links = self.links();
        let over = links.links().iter().filter(|link| link.is_over(now));
        let mut updates: Vec<JoinLinksUpdate> =
            over.map(|link| JoinLinksUpdate::Revoke { key: link.key.clone() }).collect();
        let public = link.key_pair(cx.provider)?.public;
        updates.push(JoinLinksUpdate::Make { key: public, expires_at, max_uses });
        let work = Work::MakeLink { link, expires_at, max_uses, committing: true };
        self.change_links(cx, key, &updates, work, |why| Reason::LinkNotMade { why })
    }

    /// The commit that revokes a link.
    pub(crate) fn revoke_link<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        number: u32,
    ) -> Result<Next, EngineError> {
        let links = self.links();
        let Some(link) = links.links().iter().find(|link| link.number == number) else {
            return self.cannot(cx, key, Reason::UnknownLink { number });
        };
        let update = JoinLinksUpdate::Revoke { key: link.key.clone() };
        let work = Work::Unlink { number, committing: true };
        let unchanged = |why| Reason::LinkNotRevoked { number, why };
        self.change_links(cx, key, &[update], work, unchanged)
    }

    fn change_links<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        updates: &[JoinLinksUpdate],
        work: Work,
        unchanged: impl FnOnce(String) -> Reason,
    ) -> Result<Next, EngineError> {
        let proposals: Result<Vec<NewProposal>, _> =
            updates.iter().map(JoinLinksUpdate::proposal).collect();
        let proposals = proposals.map_err(Error::from)?;
        let item = Item { group: self.id.clone(), work };
        match self.commit(cx, proposals, Some((key, item)), Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => self.cannot(cx, key, unchanged(e.to_string())),
        }
    }

    /// Warns that links lead into the group, of which `who`, who is being removed, may know one. Links that `who` has made
    /// are no longer of use.
    pub(crate) fn warn_of_links<S: Store>(&mut self, cx: &mut Context<'_, S>, who: &Who) {
        let now = cx.clock.service_time().as_secs();
        let links = self.links();
        let is_open = |link: &&JoinLinkRecord| !link.is_over(now) && !who.includes(&link.maker);
        if links.links().iter().any(|link| is_open(&link)) {
            let (group, notice) = (Some(self.id.clone()), Notice::LinksLeadIn { who: who.clone() });
            cx.answers.push_back(Answer::Note { group, notice });
        }
    }
}
