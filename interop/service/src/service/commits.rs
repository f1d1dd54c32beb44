//! Commits: one's own, from the request to the new epoch, and others'.

use super::Server;
use super::failure::Failure;
use super::member::Member;
use super::proposals::described;
use super::tools::{Tools, group_info, now, rng};
use crate::proto::*;
use conclave_mls::wire::ProposalRef;
use conclave_mls::{
    CommitMessages, CommitOptions, Event, ExtensionType, GroupInfoOptions, Link, NewProposal,
};

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

/// Goes into the epoch of a commit with the proposals that it refers to.
pub(crate) fn follow(
    tools: &Tools,
    member: &mut Member,
    request: &HandleCommitRequest,
) -> Result<(), Failure> {
    // The own commit's proposals are known; after it they are of a past epoch.
    for message in &request.proposal {
        member.hear(tools, message)?;
    }
    member.follow(tools, &request.commit)
}

/// What a commit is to hold.
pub(crate) struct Order {
    pub(crate) proposals: Vec<NewProposal>,
    /// The proposals of before that must be in it.
    pub(crate) references: Vec<ProposalRef>,
    pub(crate) force_path: bool,
    pub(crate) external_tree: bool,
    pub(crate) link: Option<Link>,
}

/// Makes a commit, which is then pending, in place of one that may have been before.
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
        // The tree of the new epoch, before that has begun.
        group_info: external_tree
            .then_some(GroupInfoOptions { ratchet_tree: true, external_pub: false }),
        psks: member.psks().clone(),
        link,
        ..CommitOptions::default()
    };
    let step = member.group().commit(tools.crypto(), &mut rng(), now(), options)?;
    let Event::Commit(messages) = member.take(tools, step)? else {
        return Err(Failure::internal("no commit came of committing"));
    };
    let committed: Vec<&ProposalRef> = member.group().pending_commit_references().collect();
    let left_out = references.iter().filter(|reference| !committed.contains(reference)).count();
    if left_out > 0 {
        // The library leaves out what is not valid together. Here all of it was asked for.
        let step = member.group().commit_rejected(&messages.id)?;
        member.take(tools, step)?;
        let why = format!("{left_out} of the proposals by reference cannot be committed");
        return Err(Failure::not_now(why));
    }
    Ok(messages)
}

/// The Welcome; empty if nobody is added.
pub(crate) fn welcome(messages: &CommitMessages) -> Vec<u8> {
    messages.welcomes.first().map(|welcome| welcome.message.clone()).unwrap_or_default()
}

/// The tree of the new epoch; empty if it was not asked for.
fn tree_of(messages: &CommitMessages) -> Result<Vec<u8>, Failure> {
    let Some(message) = &messages.group_info else { return Ok(Vec::new()) };
    let extensions = group_info(message)?.extensions;
    let tree = extensions.into_iter().find(|e| e.extension_type == ExtensionType::RATCHET_TREE);
    let tree = tree.ok_or_else(|| Failure::internal("a GroupInfo without its tree"))?;
    Ok(tree.extension_data.into_vec())
}
