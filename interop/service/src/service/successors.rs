//! Groups that continue others: after a ReInit, and branches.

use super::Server;
use super::commits::{Order, follow, make_commit, welcome};
use super::failure::Failure;
use super::member::{Member, Psks, join};
use super::tables::{Join, Successor, Tables};
use super::tools::{Tools, extensions, given, lifetime, rng};
use crate::proto::*;
use conclave_mls::group::{Extension, GroupParams, NewProposal, TreeRead};
use conclave_mls::join::Link;
use conclave_mls::{CipherSuite, Credential, Group, GroupId};

/// A new group that continues another.
struct Continuation {
    group_id: GroupId,
    suite: CipherSuite,
    extensions: Vec<Extension>,
    creator: Credential,
    link: Link,
    psks: Psks,
    encrypt: bool,
}

/// How the members of a new group join it.
struct Invitation<'a> {
    key_packages: &'a [Vec<u8>],
    force_path: bool,
    external_tree: bool,
}

impl Server {
    /// Commits as [`Server::commit`] does. Whether the commit closes the group shows when it takes effect.
    pub(crate) fn re_init_commit(
        &mut self,
        request: CommitRequest,
    ) -> Result<CommitResponse, Failure> {
        self.commit(request)
    }

    pub(crate) fn handle_pending_re_init_commit(
        &mut self,
        request: HandlePendingCommitRequest,
    ) -> Result<HandleReInitCommitResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        member.accepted(&self.tools)?;
        closed(&self.tools, &mut self.tables, request.state_id)
    }

    pub(crate) fn handle_re_init_commit(
        &mut self,
        request: HandleCommitRequest,
    ) -> Result<HandleReInitCommitResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        follow(&self.tools, member, &request)?;
        closed(&self.tools, &mut self.tables, request.state_id)
    }

    pub(crate) fn re_init_welcome(
        &mut self,
        request: ReInitWelcomeRequest,
    ) -> Result<CreateSubgroupResponse, Failure> {
        let it = self.tables.successor(request.reinit_id)?;
        let new = Continuation {
            group_id: it.reinit.group_id.clone(),
            suite: it.reinit.cipher_suite,
            extensions: it.reinit.extensions.clone(),
            creator: it.own.key_package().leaf_node.credential.clone(),
            link: it.link.clone(),
            psks: it.psks.clone(),
            encrypt: it.encrypt,
        };

        let invitation = Invitation {
            key_packages: &request.key_package,
            force_path: request.force_path,
            external_tree: request.external_tree,
        };

        let response = self.open(new, &invitation)?;
        self.tables.succeeded(request.reinit_id);
        Ok(response)
    }

    pub(crate) fn handle_re_init_welcome(
        &mut self,
        request: HandleReInitWelcomeRequest,
    ) -> Result<JoinGroupResponse, Failure> {
        let it = self.tables.successor(request.reinit_id)?;
        let tree = given(&request.ratchet_tree);
        let new = join(&self.tools, &it.own, &request.welcome, tree, &it.psks, Some(&it.link))?;
        let member = Member::new(&self.tools, new, it.psks.clone(), it.encrypt);
        let epoch_authenticator = member.authenticator()?;
        self.tables.succeeded(request.reinit_id);
        Ok(JoinGroupResponse { state_id: self.tables.add_member(member)?, epoch_authenticator })
    }

    pub(crate) fn create_branch(
        &mut self,
        request: CreateBranchRequest,
    ) -> Result<CreateSubgroupResponse, Failure> {
        let member = self.tables.member(request.state_id)?;
        let new = Continuation {
            group_id: request.group_id.as_slice().into(),
            suite: member.group().cipher_suite(),
            extensions: extensions(request.extensions)?,
            creator: member.credential()?,
            link: member.group().branch_link()?,
            psks: member.psks().clone(),
            encrypt: member.encrypts(),
        };

        let invitation = Invitation {
            key_packages: &request.key_packages,
            force_path: request.force_path,
            external_tree: request.external_tree,
        };

        self.open(new, &invitation)
    }

    pub(crate) fn handle_branch(
        &mut self,
        request: HandleBranchRequest,
    ) -> Result<HandleBranchResponse, Failure> {
        let origin = self.tables.member(request.state_id)?;
        let link = origin.group().branch_link()?;
        let encrypt = origin.encrypts();
        let mut psks = origin.psks().clone();
        let Join { own, psks: more } = self.tables.join(request.transaction_id)?;
        psks.extend(more.iter().cloned());
        let tree = given(&request.ratchet_tree);
        let new = join(&self.tools, own, &request.welcome, tree, &psks, Some(&link))?;
        let member = Member::new(&self.tools, new, psks, encrypt);
        let epoch_authenticator = member.authenticator()?;
        self.tables.joined(request.transaction_id);
        Ok(HandleBranchResponse { state_id: self.tables.add_member(member)?, epoch_authenticator })
    }

    /// Creates a group, adds all other members in its first commit, and keeps its state.
    fn open(
        &mut self,
        new: Continuation,
        invitation: &Invitation<'_>,
    ) -> Result<CreateSubgroupResponse, Failure> {
        let tools = &self.tools;
        let mut proposals = Vec::new();
        for message in invitation.key_packages {
            proposals.push(NewProposal::Add(Box::new(tools.valid(message)?)));
        }

        let params = GroupParams {
            extensions: new.extensions,
            ..GroupParams::new(new.group_id, new.suite, tools.leaf(new.creator), lifetime())
        };

        let config = tools.config.clone();
        let signer = tools.signer(new.suite)?;
        let group = Group::create(tools.crypto(), &mut rng(), config, params, signer)?;
        let mut member = Member::new(tools, group, new.psks, new.encrypt);

        let Invitation { force_path, external_tree, .. } = *invitation;
        let order = Order {
            proposals,
            references: Vec::new(),
            force_path,
            external_tree,
            link: Some(new.link),
        };

        let messages = make_commit(tools, &mut member, order)?;
        member.accepted(tools)?;
        let ratchet_tree =
            if external_tree { member.group().tree().to_extension_bytes()? } else { Vec::new() };
        let epoch_authenticator = member.authenticator()?;
        let state_id = self.tables.add_member(member)?;
        let welcome = welcome(&messages);
        Ok(CreateSubgroupResponse { state_id, welcome, ratchet_tree, epoch_authenticator })
    }
}

/// Prepares the successor of a group that was closed.
fn closed(
    tools: &Tools,
    tables: &mut Tables,
    state_id: u32,
) -> Result<HandleReInitCommitResponse, Failure> {
    let member = tables.member(state_id)?;
    let reinit = member.group().reinit().cloned();
    let reinit = reinit.ok_or_else(|| Failure::not_now("the commit has not closed the group"))?;
    let own = tools.key_package(reinit.cipher_suite, member.credential()?)?;
    let key_package = own.message()?;
    let epoch_authenticator = member.authenticator()?;
    let successor = Successor {
        closed: state_id,
        own,
        link: member.group().reinit_link()?,
        reinit,
        psks: member.psks().clone(),
        encrypt: member.encrypts(),
    };

    let reinit_id = tables.add_successor(successor)?;
    Ok(HandleReInitCommitResponse { reinit_id, key_package, epoch_authenticator })
}
