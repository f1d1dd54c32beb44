//! Steps into groups that continue others.

use super::run::{Failed, Run, extensions, same};
use super::script::Step;
use crate::proto::*;
use std::collections::BTreeMap;

/// Members that are about to join a successor, with their references to it and their key packages.
type Ways = BTreeMap<String, (u32, Vec<u8>)>;

impl Run {
    pub(super) async fn reinit(&mut self, step: &Step) -> Result<(), Failed> {
        let proposer = step.text("proposer");
        let proposal = match proposer {
            "" => self.made(step.step("externalReinitProposal"), "proposal")?,
            who => self.propose_reinit(who, step).await?,
        };
        let ways = self.close(step, proposal).await?;
        self.open_successor(step, &ways).await
    }

    async fn propose_reinit(&mut self, who: &str, step: &Step) -> Result<Vec<u8>, Failed> {
        if step.flag("changeCipherSuite") {
            self.change_suite()?;
        }

        let request = ReInitProposalRequest {
            state_id: self.state(who)?,
            cipher_suite: self.suite,
            group_id: self.group_id(step.flag("changeGroupID"))?,
            extensions: extensions(step)?,
        };

        let made =
            self.call(who, request, |mut c, r| async move { c.re_init_proposal(r).await }).await?;
        self.tally.proposals += 1;
        self.recorder.over(who);
        Ok(made.proposal)
    }

    /// The commit that closes the group, processed by every member.
    async fn close(&mut self, step: &Step, proposal: Vec<u8>) -> Result<Ways, Failed> {
        let committer = step.text("committer");
        let state_id = self.state(committer)?;
        let by_reference = vec![proposal.clone()];
        let request = CommitRequest { state_id, by_reference, ..CommitRequest::default() };
        let made = self
            .call(committer, request, |mut c, r| async move { c.re_init_commit(r).await })
            .await?;
        self.tally.commits += 1;
        self.recorder.over(committer);
        let request = HandlePendingCommitRequest { state_id };
        let closed =
            self.call(committer, request, |mut c, r| async move {
                c.handle_pending_re_init_commit(r).await
            })
            .await?;
        self.tally.epochs += 1;
        self.tally.steps += 1;
        let authenticator = closed.epoch_authenticator;
        let mut ways = Ways::from([(committer.to_owned(), (closed.reinit_id, closed.key_package))]);
        let mut others = step.texts("members");
        others.push(step.text("welcomer").to_owned());
        others.push(step.text("proposer").to_owned());
        for who in others {
            if who.is_empty() || ways.contains_key(&who) {
                continue;
            }
            let request = HandleCommitRequest {
                state_id: self.state(&who)?,
                proposal: vec![proposal.clone()],
                commit: made.commit.clone(),
            };
            let closed = self
                .call(&who, request, |mut c, r| async move { c.handle_re_init_commit(r).await })
                .await?;
            same(&who, &closed.epoch_authenticator, &authenticator)?;
            self.tally.steps += 1;
            let proposals = std::slice::from_ref(&proposal);
            self.recorder.followed(&who, proposals, &made.commit, &authenticator);
            self.recorder.over(&who);
            ways.insert(who, (closed.reinit_id, closed.key_package));
        }

        Ok(ways)
    }

    async fn open_successor(&mut self, step: &Step, ways: &Ways) -> Result<(), Failed> {
        let welcomer = step.text("welcomer");
        let (reinit_id, _) = ways.get(welcomer).ok_or("the welcomer is no member")?;
        let others = ways.iter().filter(|(who, _)| *who != welcomer);
        let request = ReInitWelcomeRequest {
            reinit_id: *reinit_id,
            key_package: others.clone().map(|(_, (_, key_package))| key_package.clone()).collect(),
            force_path: step.flag("forcePath"),
            external_tree: self.outside(step.flag("externalTree")),
        };

        let opened = self
            .call(welcomer, request, |mut c, r| async move { c.re_init_welcome(r).await })
            .await?;
        self.opened(welcomer, &opened);
        for (who, (reinit_id, _)) in others {
            let request = HandleReInitWelcomeRequest {
                reinit_id: *reinit_id,
                welcome: opened.welcome.clone(),
                ratchet_tree: opened.ratchet_tree.clone(),
            };
            let joined = self
                .call(who, request, |mut c, r| async move { c.handle_re_init_welcome(r).await })
                .await?;
            same(who, &joined.epoch_authenticator, &opened.epoch_authenticator)?;
            self.welcomed(who, joined.state_id);
        }
        Ok(())
    }

    pub(super) async fn branch(&mut self, step: &Step) -> Result<(), Failed> {
        let who = &step.actor;
        let members = step.texts("members");
        let mut key_packages = Vec::new();
        for member in &members {
            key_packages.push(self.create_key_package(member).await?);
            // A passive client cannot follow a branch: its first epoch needs secrets of the origin.
            self.keys.remove(member);
            self.recorder.over(member);
        }

        let origin = self.state(who)?;
        let request = CreateBranchRequest {
            state_id: origin,
            group_id: super::fresh_id(),
            extensions: extensions(step)?,
            key_packages,
            force_path: step.flag("force_path"),
            external_tree: self.outside(step.flag("external_tree")),
        };

        let opened =
            self.call(who, request, |mut c, r| async move { c.create_branch(r).await }).await?;
        self.recorder.over(who);
        self.opened(who, &opened);
        let mut left = vec![(who.clone(), origin)];
        for member in &members {
            let state_id = self.state(member)?;
            let request = HandleBranchRequest {
                state_id,
                transaction_id: self.transaction(member)?,
                welcome: opened.welcome.clone(),
                ratchet_tree: opened.ratchet_tree.clone(),
            };
            let joined = self
                .call(member, request, |mut c, r| async move { c.handle_branch(r).await })
                .await?;
            same(member, &joined.epoch_authenticator, &opened.epoch_authenticator)?;
            self.welcomed(member, joined.state_id);
            left.push((member.clone(), state_id));
        }

        // The script continues in the branch. The origin must still be open.
        for (who, state_id) in left {
            let request =
                ProtectRequest { state_id, plaintext: b"here".to_vec(), ..Default::default() };
            self.call(&who, request, |mut c, r| async move { c.protect(r).await }).await?;
            self.free(&who, state_id).await?;
        }
        Ok(())
    }

    fn opened(&mut self, who: &str, opened: &CreateSubgroupResponse) {
        self.tally.groups += 1;
        self.tally.commits += 1;
        self.tally.epochs += 1;
        self.tally.steps += 1;
        self.states.insert(who.to_owned(), opened.state_id);
    }

    fn welcomed(&mut self, who: &str, state_id: u32) {
        self.tally.welcomes += 1;
        self.tally.steps += 1;
        self.states.insert(who.to_owned(), state_id);
    }
}
