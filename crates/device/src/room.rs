use crate::change::Changes;
use crate::error::Error;
use crate::receive::{Asking, Received, Stage, refused};
use crate::settings::{Settings, rng};
use crate::step::Step;
use conclave_mls::component::ComponentId;
use conclave_mls::crypto::{CryptoRng, Secret};
use conclave_mls::group::{
    CommitId, CommitMessages, EpochChange, Framing, GroupView, NewProposal, Padding, Proposal,
    ProposalMessage,
};
use conclave_mls::join::GroupInfoOptions;
use conclave_mls::wire::ProposalRef;
use conclave_mls::{Epoch, Group, GroupId};
use std::sync::Arc;

/// A group of this device.
#[derive(Debug)]
pub struct Room {
    pub(crate) settings: Arc<Settings>,
    pub(crate) group: Group,
}

impl Room {
    /// The group, for everything that reads it: members, extensions, epoch authenticator.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The room's identifier.
    #[must_use]
    pub fn id(&self) -> &GroupId {
        self.group.group_id()
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.group.epoch()
    }

    /// Encrypts a message to the members, padded so that its length tells little.
    ///
    /// # Errors
    /// If received proposals wait: commit them first ([`Changes::commit_received`]).
    pub fn encrypt(&mut self, data: &[u8]) -> Result<Step<'_, Vec<u8>>, Error> {
        let framing = Framing { padding: Padding::Padme, ..Framing::default() };
        let step = self.group.encrypt(&*self.settings.provider, &mut rng(), data, &framing)?;
        Ok(Step::new(&mut self.group, step))
    }

    /// Makes a change by a commit. `intent` looks at the room as it is and says what is left to do; none if it
    /// says nothing.
    ///
    /// The commit waits for the delivery service's verdict: [`Self::accepted`], [`Self::rejected`]. If another
    /// commit comes first, it is discarded, and the same intent is asked again in the new epoch, where it may
    /// find nothing left to do.
    ///
    /// # Errors
    /// If the change breaks a rule, a component finds its own update invalid, or a commit is pending.
    pub fn change(
        &mut self,
        intent: impl FnOnce(GroupView<'_>, &mut Changes),
    ) -> Result<Option<Step<'_, CommitMessages>>, Error> {
        let mut changes = Changes::default();
        intent(self.group.view(), &mut changes);
        let Some(mut options) = changes.into_options() else { return Ok(None) };

        let Settings { provider, .. } = &*self.settings;
        let rng = &mut rng();
        let draft = |rng: &mut dyn CryptoRng, options| {
            self.group.draft_commit(&**provider, rng, self.settings.now(), options)
        };

        // Others' updates that their component finds invalid are left out. If one of ours is, there is no
        // answer, and sealing says so.
        let mut drafted = draft(rng, options.clone())?;
        let mut app_data = self.settings.decide(drafted.app_data());
        if let Err(invalid) = app_data {
            options.leave_out.extend(self.waiting_updates(&invalid));
            drafted = draft(rng, options)?;
            app_data = self.settings.decide(drafted.app_data());
        }

        let step = drafted.seal(rng, app_data.unwrap_or_default())?;
        Ok(Some(Step::new(&mut self.group, step)))
    }

    /// The waiting proposals that change the data of these components.
    fn waiting_updates(&self, components: &[ComponentId]) -> impl Iterator<Item = ProposalRef> {
        let changes = |proposal: &Proposal| match proposal {
            Proposal::AppDataUpdate(update) => components.contains(&update.component_id),
            _ => false,
        };
        let waiting = self.group.proposals().filter(move |waiting| changes(waiting.proposal));
        waiting.map(|waiting| waiting.reference.clone())
    }

    /// The messages of the commit that waits for its verdict: after a restart, send them again.
    #[must_use]
    pub fn pending(&self) -> Option<&CommitMessages> {
        self.group.pending_commit()
    }

    /// The delivery service accepted this commit: into the new epoch. Now its Welcomes may be delivered.
    ///
    /// # Errors
    /// If the verdict is about another commit than the pending one.
    pub fn accepted(&mut self, id: &CommitId) -> Result<Step<'_, EpochChange>, Error> {
        let Settings { provider, .. } = &*self.settings;
        let step = self.group.commit_accepted(&**provider, self.settings.now(), id)?;
        Ok(Step::new(&mut self.group, step))
    }

    /// The delivery service rejected this commit: it is forgotten. A time-out is no rejection.
    ///
    /// # Errors
    /// If the verdict is about another commit than the pending one.
    pub fn rejected(&mut self, id: &CommitId) -> Result<Step<'_, ()>, Error> {
        let step = self.group.commit_rejected(id)?;
        Ok(Step::new(&mut self.group, step))
    }

    /// Proposes a change, for some member to commit.
    ///
    /// # Errors
    /// If the proposal breaks a rule.
    pub fn propose(&mut self, proposal: NewProposal) -> Result<Step<'_, ProposalMessage>, Error> {
        let (now, framing) = (self.settings.now(), Framing::default());
        let Settings { provider, .. } = &*self.settings;
        let step = self.group.propose(&**provider, &mut rng(), now, proposal, &framing)?;
        Ok(Step::new(&mut self.group, step))
    }

    /// Takes a message from the delivery service, in its order: an encoded MLSMessage.
    ///
    /// A room that was joined starts to read at the epoch that [`Joining`](crate::Joining) gave. Messages of
    /// earlier epochs are refused, with [`Remedy::Drop`](conclave_mls::error::Remedy::Drop).
    ///
    /// # Errors
    /// Only for what is this device's own fault; a message at fault is [`Received::Refused`].
    pub fn receive(&mut self, message: &[u8]) -> Result<Received<'_>, Error> {
        use conclave_mls::Received as Mls;
        let (provider, now) = (&*self.settings.provider, self.settings.now());
        let received = match self.group.process(provider, now, message) {
            Ok(received) => received,
            Err(refusal) => return refused(&mut self.group, refusal),
        };

        let settings = Arc::clone(&self.settings);
        let group = &mut self.group;
        Ok(match received {
            Mls::Application(step) => Received::Step(Step::new(group, step).untyped()),
            Mls::Targeted(step) => Received::Step(Step::new(group, step).untyped()),
            Mls::OwnCommit(step) => Received::Step(Step::new(group, step).untyped()),
            Mls::OwnProposal(step) => Received::Step(Step::new(group, step).untyped()),
            Mls::Proposal(stage) => {
                Received::Asks(Asking::new(group, settings, Stage::Proposal(stage)))
            }
            Mls::Commit(stage) => {
                Received::Asks(Asking::new(group, settings, Stage::Commit(stage)))
            }
            _ => Received::Nothing,
        })
    }

    /// Takes a checkpoint of the current epoch, for a room whose commits no service orders.
    /// [`Group::checkpoint`] says what it costs.
    ///
    /// # Errors
    /// If the room was deleted or closed.
    pub fn checkpoint(&mut self) -> Result<Step<'_, ()>, Error> {
        let step = self.group.checkpoint()?;
        Ok(Step::new(&mut self.group, step))
    }

    /// Goes back to a checkpoint, to follow another branch from there: [`Group::rewind`].
    ///
    /// # Errors
    /// If there is no checkpoint of this epoch.
    pub fn rewind(&mut self, epoch: Epoch) -> Result<Step<'_, ()>, Error> {
        let step = self.group.rewind(&*self.settings.provider, epoch)?;
        Ok(Step::new(&mut self.group, step))
    }

    /// Drops a checkpoint, once no other branch can win.
    ///
    /// # Errors
    /// If there is no checkpoint of this epoch.
    pub fn drop_checkpoint(&mut self, epoch: Epoch) -> Result<Step<'_, ()>, Error> {
        let step = self.group.drop_checkpoint(epoch)?;
        Ok(Step::new(&mut self.group, step))
    }

    /// A GroupInfo of the current epoch, by which others can join from outside: an encoded MLSMessage.
    ///
    /// # Errors
    /// If the room was deleted or closed.
    pub fn group_info(&self) -> Result<Vec<u8>, Error> {
        let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        Ok(self.group.group_info(&*self.settings.provider, options)?)
    }

    /// A secret that the members of this epoch share, for the application: a file key, say.
    ///
    /// # Errors
    /// If the room was deleted, or `length` is over the KDF's limit.
    pub fn export(&self, label: &[u8], context: &[u8], length: usize) -> Result<Secret, Error> {
        Ok(self.group.export(&*self.settings.provider, label, context, length)?)
    }

    /// Deletes the room, in memory and stored: after a removal that the service's order confirms, or to leave.
    ///
    /// # Errors
    /// If it was deleted before.
    pub fn delete(&mut self) -> Result<Step<'_, ()>, Error> {
        let step = self.group.delete()?;
        Ok(Step::new(&mut self.group, step))
    }
}
