//! Steps into groups, and commits from epoch to epoch.

use super::record::{Entry, Keys};
use super::run::{Failed, Run, same};
use super::script::Step;
use crate::proto::*;

impl Run {
    pub(super) async fn create_group(&mut self, step: &Step) -> Result<(), Failed> {
        let group_id = super::fresh_id();
        let who = &step.actor;
        let request = CreateGroupRequest {
            group_id: group_id.clone(),
            cipher_suite: self.suite,
            encrypt_handshake: self.encrypt(),
            identity: who.as_bytes().to_vec(),
        };

        let made =
            self.call(who, request, |mut c, r| async move { c.create_group(r).await }).await?;
        self.tally.groups += 1;
        self.states.insert(who.clone(), made.state_id);
        self.keep("group_id", &group_id);
        let members = step.texts("members");
        if members.is_empty() {
            return Ok(());
        }

        let mut by_value = Vec::new();
        for member in &members {
            let key_package = self.create_key_package(member).await?;
            let proposal_type = b"add".to_vec();
            by_value.push(ProposalDescription { proposal_type, key_package, ..Default::default() });
        }

        let request = CommitRequest { by_value, ..self.commit_request(step)? };
        let made = self.send_commit(who, request).await?;
        let authenticator = self.accept(who).await?;
        for member in &members {
            self.welcome(member, &made, &authenticator).await?;
        }
        Ok(())
    }

    /// A new key package, which is kept.
    pub(super) async fn create_key_package(&mut self, who: &str) -> Result<Vec<u8>, Failed> {
        let identity = who.as_bytes().to_vec();
        let request = CreateKeyPackageRequest { cipher_suite: self.suite, identity };
        let made = self
            .call(who, request, |mut c, r| async move { c.create_key_package(r).await })
            .await?;
        self.joins.insert(who.to_owned(), made.transaction_id);
        self.keep("key_package", &made.key_package);
        let keys = Keys {
            key_package: made.key_package.clone(),
            init_priv: made.init_priv,
            encryption_priv: made.encryption_priv,
            signature_priv: made.signature_priv,
        };

        self.keys.insert(who.to_owned(), keys);
        Ok(made.key_package)
    }

    pub(super) async fn join_group(&mut self, step: &Step) -> Result<(), Failed> {
        let commit = step.step("welcome");
        let made = CommitResponse {
            welcome: self.made(commit, "welcome")?,
            ratchet_tree: self.made(commit, "ratchet_tree")?,
            commit: Vec::new(),
        };
        let authenticator = self.made(commit, "epoch_authenticator").unwrap_or_default();
        self.welcome(&step.actor, &made, &authenticator).await
    }

    /// Joins by a Welcome, into the committer's epoch if that is known.
    pub(super) async fn welcome(
        &mut self,
        who: &str,
        made: &CommitResponse,
        authenticator: &[u8],
    ) -> Result<(), Failed> {
        let request = JoinGroupRequest {
            transaction_id: self.transaction(who)?,
            welcome: made.welcome.clone(),
            encrypt_handshake: self.encrypt(),
            identity: who.as_bytes().to_vec(),
            ratchet_tree: made.ratchet_tree.clone(),
        };

        let joined =
            self.call(who, request, |mut c, r| async move { c.join_group(r).await }).await?;
        if !authenticator.is_empty() {
            same(who, &joined.epoch_authenticator, authenticator)?;
        }

        self.tally.welcomes += 1;
        self.tally.steps += 1;
        self.states.insert(who.to_owned(), joined.state_id);
        if let Some(keys) = self.keys.remove(who) {
            let entry = Entry {
                suite: self.suite,
                welcome: &made.welcome,
                ratchet_tree: &made.ratchet_tree,
                authenticator: &joined.epoch_authenticator,
            };
            self.recorder.joined(who, keys, entry);
        }
        Ok(())
    }

    pub(super) async fn external_join(&mut self, step: &Step) -> Result<(), Failed> {
        let outside = self.outside(step.flag("externalTree"));
        let info = self.group_info(&step.actor, outside).await?;
        let mut psks = Vec::new();
        for psk in step.steps("psks") {
            let psk_id = self.made(psk, "psk_id")?;
            let psk_secret = self.made(psk, "psk_secret")?;
            psks.push(PreSharedKey { psk_id, psk_secret });
        }

        let joiner = step.text("joiner");
        let request = ExternalJoinRequest {
            group_info: info.group_info,
            ratchet_tree: info.ratchet_tree,
            encrypt_handshake: self.encrypt(),
            identity: joiner.as_bytes().to_vec(),
            remove_prior: step.flag("removePrior"),
            psks,
        };

        let made =
            self.call(joiner, request, |mut c, r| async move { c.external_join(r).await }).await?;
        self.tally.commits += 1;
        self.tally.epochs += 1;
        self.tally.steps += 1;
        self.recorder.over(joiner);
        if let Some(state_id) = self.states.insert(joiner.to_owned(), made.state_id) {
            // The client's old leaf, which this commit removes.
            self.free(joiner, state_id).await?;
        }

        self.keep("commit", &made.commit);
        self.keep("epoch_authenticator", &made.epoch_authenticator);
        let mut members = step.texts("members");
        members.push(step.actor.clone());
        for member in &members {
            self.follow(member, &[], &made.commit, &made.epoch_authenticator).await?;
        }
        Ok(())
    }

    /// The part that all commit requests share.
    pub(super) fn commit_request(&self, step: &Step) -> Result<CommitRequest, Failed> {
        Ok(CommitRequest {
            state_id: self.state(&step.actor)?,
            by_reference: self.proposals(&step.steps("byReference"))?,
            by_value: Vec::new(),
            force_path: step.flag("force_path"),
            external_tree: self.outside(step.flag("external_tree")),
        })
    }

    pub(super) async fn commit(&mut self, step: &Step) -> Result<CommitResponse, Failed> {
        let mut request = self.commit_request(step)?;
        for description in step.descriptions("byValue") {
            request.by_value.push(self.description(&description)?);
        }
        let made = self.send_commit(&step.actor, request).await?;
        self.keep("commit", &made.commit);
        self.keep("welcome", &made.welcome);
        self.keep("ratchet_tree", &made.ratchet_tree);
        Ok(made)
    }

    pub(super) async fn send_commit(
        &mut self,
        who: &str,
        request: CommitRequest,
    ) -> Result<CommitResponse, Failed> {
        let made = self.call(who, request, |mut c, r| async move { c.commit(r).await }).await?;
        self.tally.commits += 1;
        self.recorder.over(who);
        Ok(made)
    }

    /// Accepts our own pending commit, and returns the authenticator of the new epoch.
    pub(super) async fn accept(&mut self, who: &str) -> Result<Vec<u8>, Failed> {
        let request = HandlePendingCommitRequest { state_id: self.state(who)? };
        let made = self
            .call(who, request, |mut c, r| async move { c.handle_pending_commit(r).await })
            .await?;
        self.tally.epochs += 1;
        self.tally.steps += 1;
        self.states.insert(who.to_owned(), made.state_id);
        self.keep("epoch_authenticator", &made.epoch_authenticator);
        Ok(made.epoch_authenticator)
    }

    /// Enters the epoch that a peer's commit began.
    pub(super) async fn follow(
        &mut self,
        who: &str,
        proposals: &[Vec<u8>],
        commit: &[u8],
        authenticator: &[u8],
    ) -> Result<(), Failed> {
        let request = HandleCommitRequest {
            state_id: self.state(who)?,
            proposal: proposals.to_vec(),
            commit: commit.to_vec(),
        };

        let made =
            self.call(who, request, |mut c, r| async move { c.handle_commit(r).await }).await?;
        if !authenticator.is_empty() {
            same(who, &made.epoch_authenticator, authenticator)?;
        }

        self.tally.steps += 1;
        self.states.insert(who.to_owned(), made.state_id);
        self.recorder.followed(who, proposals, commit, &made.epoch_authenticator);
        Ok(())
    }

    pub(super) async fn full_commit(&mut self, step: &Step) -> Result<(), Failed> {
        let made = self.commit(step).await?;
        let proposals = self.proposals(&step.steps("byReference"))?;
        let authenticator = self.accept(&step.actor).await?;
        for member in step.texts("members") {
            self.follow(&member, &proposals, &made.commit, &authenticator).await?;
        }
        for joiner in step.texts("joiners") {
            self.welcome(&joiner, &made, &authenticator).await?;
        }
        Ok(())
    }

    pub(super) async fn handle_commit(&mut self, step: &Step) -> Result<(), Failed> {
        let commit = step.step("commit");
        let message = self.made(commit, "commit")?;
        let authenticator = self.made(commit, "epoch_authenticator").unwrap_or_default();
        let proposals = self.proposals(&step.steps("byReference"))?;
        self.follow(&step.actor, &proposals, &message, &authenticator).await
    }
}
