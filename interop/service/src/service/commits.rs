//! Commits: our own, from the request to the new epoch, and those of peers.

use super::Server;
use super::failure::Failure;
use super::member::Member;
use super::proposals::described;
use super::tools::{Tools, group_info, now, rng};
use crate::proto::*;
use conclave_mls::group::{CommitMessages, CommitOptions, ExtensionType, NewProposal};
use conclave_mls::join::{GroupInfoOptions, Link};
use conclave_mls::wire::ProposalRef;

impl Server {
    pub(crate) fn commit(&mut self, request: CommitRequest) -> Result<CommitResponse, Failure> {
        let tools = &self.tools;
        let member = self.tables.member(request.state_id)?;
        let mut references = Vec::new();
        for message in &request.by_reference {
            references.push(member.hear(tools, message)?);
        }

        let by_value = request.by_value.into_iter();
        let by_value = by_value.map(|description| described(tools, member, description));
        let order = Order {
            proposals: by_value.collect::<Result<_, _>>()?,
            references,
            force_path: request.force_path,
            external_tree: request.external_tree,
            link: None,
        };

        let messages = make_commit(tools, member, order)?;
        Ok(CommitResponse {
            welcome: welcome(&messages),
            ratchet_tree: tree_of(&messages)?,
            commit: messages.commit,
        })
    }

    pub(crate) fn handle_commit(
        &mut self,
        request: HandleCommitRequest,
    ) -> Result<HandleCommitResponse, Failure> {
        let state_id = request.state_id;
        let member = self.tables.member(state_id)?;
        follow(&self.tools, member, &request)?;
        Ok(HandleCommitResponse { state_id, epoch_authenticator: member.authenticator()? })
    }

    pub(crate) fn handle_pending_commit(
        &mut self,
        request: HandlePendingCommitRequest,
    ) -> Result<HandleCommitResponse, Failure> {
        let state_id = request.state_id;
        let member = self.tables.member(state_id)?;
        member.accepted(&self.tools)?;
        Ok(HandleCommitResponse { state_id, epoch_authenticator: member.authenticator()? })
    }
}

/// Enters the epoch of a commit, with the proposals that it refers to.
pub(crate) fn follow(
    tools: &Tools,
    member: &mut Member,
    request: &HandleCommitRequest,
) -> Result<(), Failure> {
    // The proposals of our own commit are known already.
    for message in &request.proposal {
        member.hear(tools, message)?;
    }
    member.follow(tools, &request.commit)
}

/// The content of a commit.
pub(crate) struct Order {
    pub(crate) proposals: Vec<NewProposal>,
    /// The received proposals that it must hold.
    pub(crate) references: Vec<ProposalRef>,
    pub(crate) force_path: bool,
    pub(crate) external_tree: bool,
    pub(crate) link: Option<Link>,
}

/// Makes a commit, which replaces a pending one and is then pending itself.
pub(crate) fn make_commit(
    tools: &Tools,
    member: &mut Member,
    order: Order,
) -> Result<CommitMessages, Failure> {
    if let Some(pending) = member.group().pending_commit() {
        let step = member.group().commit_rejected(&pending.id)?;
        member.take(tools, step)?;
    }

    let Order { proposals, references, force_path, external_tree, link } = order;
    let options = CommitOptions {
        proposals,
        force_path,
        framing: member.framing(),
        welcome_ratchet_tree: !external_tree,
        // It holds the tree of the new epoch, before that epoch begins.
        group_info: external_tree
            .then_some(GroupInfoOptions { ratchet_tree: true, external_pub: false }),
        psks: member.psks().clone(),
        link,
        ..CommitOptions::default()
    };

    let step = member.group().commit(tools.crypto(), &mut rng(), now(), options)?;
    let messages = member.take(tools, step)?;

    let committed: Vec<&ProposalRef> = member.group().pending_commit_references().collect();
    let left_out = references.iter().filter(|reference| !committed.contains(reference)).count();
    if left_out > 0 {
        // The library leaves out proposals that are not valid together; the harness asks for all of them.
        let step = member.group().commit_rejected(&messages.id)?;
        member.take(tools, step)?;
        let why = format!("{left_out} of the proposals by reference cannot be committed");
        return Err(Failure::not_now(why));
    }

    Ok(messages)
}

/// The Welcome; empty if no member is added.
pub(crate) fn welcome(messages: &CommitMessages) -> Vec<u8> {
    messages.welcomes.first().map(|welcome| welcome.message.clone()).unwrap_or_default()
}

/// The tree of the new epoch; empty if it was not requested.
fn tree_of(messages: &CommitMessages) -> Result<Vec<u8>, Failure> {
    let Some(message) = &messages.group_info else { return Ok(Vec::new()) };
    let extensions = group_info(message)?.extensions;
    let tree = extensions.into_iter().find(|e| e.extension_type == ExtensionType::RATCHET_TREE);
    let tree = tree.ok_or_else(|| Failure::internal("a GroupInfo without its tree"))?;
    Ok(tree.extension_data.into_vec())
}
