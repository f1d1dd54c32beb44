//! One run of a script: the state that its steps share, and the dispatch of steps.

use super::clients::{Client, Stub, common_suites};
use super::record::Recorder;
use super::script::{Fields, Script, ScriptedExtension, Step};
use super::tally::Tally;
use crate::proto::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use tonic::{Code, Request, Response, Status};

/// How a ratchet tree is transported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tree {
    /// As in the script.
    Script,
    /// In Welcomes and GroupInfos.
    Inside,
    /// Separately.
    Outside,
}

/// The parameters of one run.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) script: Arc<Script>,
    pub(super) suite: u32,
    pub(super) encrypt: bool,
    pub(super) tree: Tree,
    /// The client of each actor, by the actor's place in the script.
    pub(super) roles: Vec<usize>,
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// The step that failed, and the reason.
    pub(super) failure: Option<(String, String)>,
    pub(super) vectors: Vec<Value>,
}

/// The runs of a scenario's scripts, by script and suite.
pub(super) type Results = BTreeMap<(String, u32), Vec<(Cell, Outcome)>>;

/// A run under way.
pub(super) struct Run {
    cell: Cell,
    clients: Arc<Vec<Client>>,
    /// The current suite, which a ReInit changes.
    pub(super) suite: u32,
    pub(super) tally: Tally,
    pub(super) recorder: Recorder,
    pub(super) states: BTreeMap<String, u32>,
    pub(super) joins: BTreeMap<String, u32>,
    pub(super) signers: BTreeMap<String, u32>,
    /// Unused key packages, with their private keys.
    pub(super) keys: BTreeMap<String, super::record::Keys>,
    /// The results of each step, by name.
    memory: Vec<BTreeMap<&'static str, Vec<u8>>>,
    place: usize,
}

/// A step's failure.
pub(super) type Failed = String;

impl Cell {
    /// Runs the script.
    pub(super) async fn run(self, clients: Arc<Vec<Client>>) -> Outcome {
        let script = self.script.clone();
        let suite = self.suite;
        let mut run = Run {
            cell: self,
            clients,
            suite,
            tally: Tally { runs: 1, ..Tally::default() },
            recorder: Recorder::default(),
            states: BTreeMap::new(),
            joins: BTreeMap::new(),
            signers: BTreeMap::new(),
            keys: BTreeMap::new(),
            memory: vec![BTreeMap::new(); script.steps.len()],
            place: 0,
        };

        let mut failure = None;
        for (place, step) in script.steps.iter().enumerate() {
            run.place = place;
            if let Err(why) = run.step(step).await {
                failure = Some((format!("step {place}: {}", step.text), why));
                break;
            }
        }

        if let Err(why) = run.free_all().await {
            failure.get_or_insert(("at the end".to_owned(), why));
        }

        Outcome { tally: run.tally, failure, vectors: run.recorder.finish() }
    }
}

impl Run {
    async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        match step.action.as_str() {
            "createGroup" => self.create_group(step).await,
            "createKeyPackage" => self.create_key_package(&step.actor).await.map(drop),
            "joinGroup" => self.join_group(step).await,
            "externalJoin" => self.external_join(step).await,
            "installExternalPSK" => self.install_psk(step).await,
            "groupInfo" => self.keep_group_info(step).await,
            "addProposal" => self.add_proposal(step).await,
            "updateProposal" => self.update_proposal(step).await,
            "removeProposal" => self.remove_proposal(step).await,
            "externalPSKProposal" => self.external_psk_proposal(step).await,
            "resumptionPSKProposal" => self.resumption_psk_proposal(step).await,
            "groupContextExtensionsProposal" => self.extensions_proposal(step).await,
            "fullCommit" => self.full_commit(step).await,
            "commit" => self.commit(step).await.map(drop),
            "handleCommit" => self.handle_commit(step).await,
            "handlePendingCommit" => self.accept(&step.actor).await.map(drop),
            "protect" => self.protect(step).await,
            "unprotect" => self.unprotect(step).await,
            "reinit" => self.reinit(step).await,
            "branch" => self.branch(step).await,
            "newMemberAddProposal" => self.new_member_add_proposal(step).await,
            "addExternalSigner" => self.add_external_signer(step).await,
            "externalSignerProposal" => self.external_signer_proposal(step).await,
            "agree" => self.agree(step).await,
            other => Err(format!("there is no action {other:?}")),
        }
    }

    /// Calls the client of an actor.
    pub(super) async fn call<Q, R, F>(
        &mut self,
        who: &str,
        request: Q,
        call: impl FnOnce(Stub, Request<Q>) -> F,
    ) -> Result<R, Failed>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let actors = &self.cell.script.actors;
        let role = actors.iter().position(|actor| actor == who);
        let client = role.and_then(|role| self.clients.get(*self.cell.roles.get(role)?));
        let client = client.ok_or_else(|| format!("nobody plays {who:?}"))?;
        self.tally.calls += 1;
        let name = client.name.clone();
        let answer = call(client.stub.clone(), Request::new(request)).await;
        let failed = |status: Status| {
            format!("{who} ({name}) answers {:?}: {}", status.code(), status.message())
        };

        answer.map(Response::into_inner).map_err(failed)
    }

    /// Keeps a result of a step.
    pub(super) fn keep(&mut self, what: &'static str, bytes: &[u8]) {
        if let Some(memory) = self.memory.get_mut(self.place) {
            memory.insert(what, bytes.to_vec());
        }
    }

    /// A result of a step.
    pub(super) fn made(&self, step: usize, what: &'static str) -> Result<Vec<u8>, Failed> {
        let made = self.memory.get(step).and_then(|memory| memory.get(what));
        made.cloned().ok_or_else(|| format!("step {step} made no {what}"))
    }

    /// The proposals of some steps.
    pub(super) fn proposals(&self, steps: &[usize]) -> Result<Vec<Vec<u8>>, Failed> {
        steps.iter().map(|step| self.made(*step, "proposal")).collect()
    }

    pub(super) fn state(&self, who: &str) -> Result<u32, Failed> {
        self.states.get(who).copied().ok_or_else(|| format!("{who:?} is in no group"))
    }

    pub(super) fn transaction(&self, who: &str) -> Result<u32, Failed> {
        self.joins.get(who).copied().ok_or_else(|| format!("{who:?} has no key package"))
    }

    pub(super) fn encrypt(&self) -> bool {
        self.cell.encrypt
    }

    /// Whether the tree is transported separately.
    pub(super) fn outside(&self, scripted: bool) -> bool {
        match self.cell.tree {
            Tree::Script => scripted,
            Tree::Inside => false,
            Tree::Outside => true,
        }
    }

    /// Changes to the next suite that all clients support.
    pub(super) fn change_suite(&mut self) -> Result<(), Failed> {
        let common = common_suites(&self.clients);
        let later = common.iter().find(|suite| **suite > self.suite);
        let next = later.or(common.first()).filter(|suite| **suite != self.suite);
        self.suite = *next.ok_or("all clients together have one suite only")?;
        Ok(())
    }

    /// The identifier of the group that the first step made, or of one after it.
    pub(super) fn group_id(&self, change: bool) -> Result<Vec<u8>, Failed> {
        let mut group_id = self.made(0, "group_id")?;
        if change {
            group_id.extend(b"++");
        }
        Ok(group_id)
    }

    /// A proposal's description, in the form of calls.
    pub(super) fn description(&mut self, it: &Fields) -> Result<ProposalDescription, Failed> {
        let kind = it.text("proposalType");
        let mut made = ProposalDescription {
            proposal_type: kind.as_bytes().to_vec(),
            extensions: extensions(it)?,
            ..ProposalDescription::default()
        };

        match kind {
            "add" => made.key_package = self.made(it.step("keyPackage"), "key_package")?,
            "remove" => made.removed_id = it.text("removed").as_bytes().to_vec(),
            "externalPSK" => made.psk_id = self.made(it.step("pskID"), "psk_id")?,
            "resumptionPSK" => made.epoch_id = it.number("epochID"),
            "reinit" => {
                if it.flag("changeCipherSuite") {
                    self.change_suite()?;
                }
                made.group_id = self.group_id(it.flag("changeGroupID"))?;
                made.cipher_suite = self.suite;
            }
            _ => {}
        }

        Ok(made)
    }

    /// Frees all states.
    async fn free_all(&mut self) -> Result<(), Failed> {
        for (who, state_id) in std::mem::take(&mut self.states) {
            self.free(&who, state_id).await?;
        }
        Ok(())
    }

    /// Frees a state. Some clients lack this call.
    pub(super) async fn free(&mut self, who: &str, state_id: u32) -> Result<(), Failed> {
        let request = FreeRequest { state_id };
        let freed = |mut c: Stub, r| async move {
            match c.free(r).await {
                Err(status) if status.code() == Code::Unimplemented => {
                    Ok(Response::new(FreeResponse {}))
                }
                other => other,
            }
        };
        self.call(who, request, freed).await.map(drop)
    }
}

/// The extensions of a step or description, in the form of calls.
pub(super) fn extensions(of: &Fields) -> Result<Vec<Extension>, Failed> {
    let one =
        |it: ScriptedExtension| Extension { extension_type: it.kind, extension_data: it.data };
    Ok(of.extensions()?.into_iter().map(one).collect())
}

/// Checks that two views of an epoch are equal.
pub(super) fn same(who: &str, found: &[u8], wanted: &[u8]) -> Result<(), Failed> {
    if found == wanted && !wanted.is_empty() {
        Ok(())
    } else {
        Err(format!("{who} is in another epoch than the committer"))
    }
}
