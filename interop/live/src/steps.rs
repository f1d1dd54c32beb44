//! One step of a script for each feature. A step that is impossible in this group, for lack of members or
//! because a stack lacks something, does nothing and returns false.

use crate::failure::{Failure, failure};
use crate::feature::Feature;
use crate::member::{APPENDS, Change, Extension, How, Outside, ReInit, Received};
use crate::stack::Stack;
use crate::suite::Suite;
use crate::world::{Outcome, Plan, Slot, World, list};

/// `external_senders` (section 12.1.8.1).
const EXTERNAL_SENDERS: u16 = 5;

impl World<'_> {
    /// Takes a step that shows a feature, by a member or client of this stack.
    pub fn perform(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        // Some messages are delivered only to members that can read them, or refuse them; of half a tree, only the other half
        // follows the commit.
        let some = matches!(
            feature,
            Feature::LateLeft | Feature::HalfEmpty | Feature::LateSafeAad | Feature::SafeAadTail
        );
        if !feature.fits(self.suite) || !some && !self.allowed(feature, stack) {
            return Ok(false);
        }

        let before = self.view.authenticator.clone();
        let done = match feature {
            Feature::CommitAdd | Feature::WelcomeTreeApart => self.add(feature, stack)?,
            Feature::CommitRemove | Feature::CommitRemoveAdd => self.remove(feature, stack)?,
            Feature::CommitUpdate
            | Feature::CommitExternalPsk
            | Feature::CommitResumptionPsk
            | Feature::CommitExtensions
            | Feature::UnlistedExtensions
            | Feature::ClearExtensions => self.simple(feature, stack)?,
            Feature::HalfEmpty => self.half_empty(stack)?,
            Feature::CommitPsksBoth => self.psks_both(stack)?,
            Feature::LateLeft => self.late_left(stack)?,
            Feature::StackKeys => self.stack_keys(stack)?,
            Feature::CommitByReference => self.by_reference(stack)?,
            Feature::LostCommit => self.lost(stack)?,
            Feature::ProposeAdd
            | Feature::ProposeRemove
            | Feature::ProposeUpdate
            | Feature::ProposeExternalPsk
            | Feature::ProposeResumptionPsk
            | Feature::ProposeExtensions => self.propose_one(feature, stack)?,
            Feature::ExternalJoin
            | Feature::ExternalJoinPsk
            | Feature::Resync
            | Feature::GroupInfo
            | Feature::GroupInfoTreeApart => self.join_external(feature, stack)?,
            Feature::Late => self.late(stack)?,
            Feature::ExternalSenderAdd
            | Feature::ExternalSenderRemove
            | Feature::ExternalSenderPsk
            | Feature::ExternalSenderAppData
            | Feature::NewMemberProposal => self.outside(feature, stack)?,
            Feature::ReInit | Feature::ReInitSuite => self.reinit(feature, stack)?,
            Feature::Branch | Feature::BranchExtensions => self.branch(feature, stack)?,
            feature if feature.is_draft() => self.perform_draft(feature, stack)?,
            other => self.perform(other.step(), stack)?,
        };

        // Not in the same epoch again: OpenMLS keeps only few keys for late messages.
        if done && self.view.authenticator != before {
            self.chatter()?;
        }

        Ok(done)
    }

    pub(crate) fn one_of(&mut self, stack: Stack) -> Option<usize> {
        let all = self.of_stack(stack);
        self.dice.pick(&all).copied()
    }

    pub(crate) fn how(&mut self) -> How {
        let private = self.dice.one_in(2);
        let path = self.dice.one_in(2);
        How { private, path: path && self.paths(), tree: true }
    }

    /// A commit that starts an epoch: with a path, or with a PSK where paths are not followed.
    fn next_epoch(&mut self, by: usize) -> Outcome<Plan> {
        let feature = if self.paths() { Feature::CommitUpdate } else { Feature::CommitExternalPsk };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, feature) };
        plan.how.path = feature == Feature::CommitUpdate;
        plan.changes.extend(self.change(feature)?);
        Ok(plan)
    }

    /// Whether a client of this stack can join, with external senders in the group or without.
    fn can_join(&self, feature: Feature, by: Stack, stack: Stack) -> bool {
        let senders = self.view.extensions.iter().any(|e| e.kind == EXTERNAL_SENDERS);
        self.allowed_to(feature, by, stack)
            && (!senders || self.allowed_to(Feature::ExternalSenderRemove, by, stack))
    }

    /// A new client that can join by what this stack sends.
    fn joiner(&mut self, by: Stack, feature: Feature) -> Outcome<Option<Slot>> {
        let mut able = self.stacks.clone();
        able.retain(|&stack| self.can_join(feature, by, stack));
        match self.dice.pick(&able).copied() {
            Some(stack) => self.client(stack).map(Some),
            None => Ok(None),
        }
    }

    fn add(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack).filter(|_| self.has_room()) else { return Ok(false) };
        let tree = feature != Feature::WelcomeTreeApart;
        let welcome = if tree { Feature::Welcome } else { feature };
        let mut joiners = Vec::new();
        for _ in 0..=self.dice.below(2) {
            joiners.extend(self.joiner(stack, welcome)?);
        }

        if joiners.is_empty() {
            return Ok(false);
        }

        let how = How { tree, ..self.how() };
        self.commit(Plan { joiners, how, ..Plan::new(by, Feature::CommitAdd) })?;
        Ok(true)
    }

    fn remove(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let mut spare = self.spare(&[by]);
        if feature == Feature::CommitRemoveAdd {
            spare.retain(|&place| self.replaceable(stack, place));
        }

        let Some(&victim) = self.dice.pick(&spare) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, feature) };
        plan.removes.push(victim);
        if feature == Feature::CommitRemoveAdd {
            // A new member takes the leaf that became free in the same commit.
            plan.joiners.extend(self.joiner(stack, Feature::Welcome)?);
        }

        self.commit(plan)?;
        Ok(true)
    }

    /// A member of the right half removes the whole left half, so that the root is on nobody's filtered
    /// direct path.
    fn half_empty(&mut self, stack: Stack) -> Outcome<bool> {
        let leaf = |place: usize| self.leaf(&self.members[place].name).unwrap_or_default();
        let last = (0..self.members.len()).map(leaf).max().unwrap_or_default();
        let half = (last + 1).next_power_of_two() / 2;
        let (left, right): (Vec<usize>, Vec<usize>) =
            (0..self.members.len()).partition(|&place| leaf(place) < half);
        let mut able = self.of_stack(stack);
        able.retain(|place| right.contains(place));
        let Some(&by) = self.dice.pick(&able) else { return Ok(false) };
        // ts-mls 2.0 makes a path only if it removes several.
        let removable = left.len() > 1 || self.allowed(Feature::CommitRemove, stack);
        let mut followers = right.iter().filter(|&&place| place != by);
        let followed = followers
            .all(|&place| self.allowed_to(Feature::HalfEmpty, stack, self.members[place].stack));
        if right.len() < 2 || !removable || !followed || !self.empties_half(&left) {
            return Ok(false);
        }

        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::HalfEmpty) };
        plan.removes = left;
        let name = self.members[by].name.clone();
        self.commit(plan)?;

        if !self.half_empty_followed() {
            // Not every member that followed this path could follow those of the others.
            self.fill_left_half(&name)?;
        }

        Ok(true)
    }

    /// A member adds a client, which takes the first leaf.
    fn fill_left_half(&mut self, name: &str) -> Outcome {
        let by = self.place(name);
        let Some(joiner) = self.joiner(self.members[by].stack, Feature::Welcome)? else {
            return Ok(());
        };

        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitAdd) };
        plan.joiners.push(joiner);
        self.commit(plan)
    }

    /// Whether a member notices its removal if another takes its leaf in the same commit.
    fn replaceable(&self, by: Stack, place: usize) -> bool {
        self.allowed_to(Feature::RemovedReplaced, by, self.members[place].stack)
    }

    pub(crate) fn change(&mut self, feature: Feature) -> Outcome<Option<Change>> {
        Ok(Some(match feature {
            Feature::CommitExternalPsk | Feature::ProposeExternalPsk => {
                Change::ExternalPsk(self.new_psk()?)
            }
            Feature::CommitResumptionPsk | Feature::ProposeResumptionPsk => {
                Change::ResumptionPsk(self.resumable())
            }
            Feature::CommitExtensions | Feature::ProposeExtensions => {
                Change::Extensions(self.new_extensions(true))
            }
            Feature::UnlistedExtensions => Change::Extensions(self.new_extensions(false)),
            Feature::ClearExtensions => Change::Extensions(self.cleared_extensions()),
            draft => return self.draft_change(draft),
        }))
    }

    pub(crate) fn simple(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let topic = self.view.extensions.iter().any(|e| e.kind == crate::member::TOPIC);
        if feature == Feature::ClearExtensions && !topic {
            let list = self.new_extensions(true);
            if !self.set_extensions(list)? {
                return Ok(false);
            }
        }

        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, feature) };
        plan.how.path |= feature == Feature::CommitUpdate;
        plan.changes.extend(self.change(feature)?);
        let add = feature == Feature::CommitExternalPsk && self.has_room() && self.dice.one_in(3);
        if add && self.allowed(Feature::CommitAdd, stack) {
            // The Welcome names the PSK too.
            plan.joiners.extend(self.joiner(stack, Feature::Welcome)?);
        }

        self.commit(plan)?;
        Ok(true)
    }

    /// A member whose stack can do it sets the extensions.
    pub(crate) fn set_extensions(&mut self, list: Vec<Extension>) -> Outcome<bool> {
        let mut able: Vec<usize> = (0..self.members.len()).collect();
        able.retain(|&p| self.allowed(Feature::CommitExtensions, self.members[p].stack));
        let Some(&by) = self.dice.pick(&able) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitExtensions) };
        plan.changes.push(Change::Extensions(list));
        self.commit(plan)?;
        Ok(true)
    }

    /// What a commit that covers a proposal shows: a stack that cannot commit it is not asked to.
    fn committed(feature: Feature) -> Feature {
        match feature {
            Feature::ProposeAdd => Feature::CommitAdd,
            Feature::ProposeRemove => Feature::CommitRemove,
            Feature::ProposeExternalPsk => Feature::CommitExternalPsk,
            Feature::ProposeResumptionPsk => Feature::CommitResumptionPsk,
            Feature::ProposeExtensions => Feature::CommitExtensions,
            Feature::ProposeAppData => Feature::CommitAppData,
            Feature::ProposeAppDataRemoval => Feature::CommitAppDataRemoval,
            Feature::ProposeEphemeral => Feature::CommitEphemeral,
            Feature::ProposeApplicationPsk => Feature::CommitApplicationPsk,
            _ => Feature::CommitByReference,
        }
    }

    /// Whether a member of this stack can commit such a proposal in front of all others. An Update needs a
    /// path, as a Remove does.
    fn can_commit(&self, proposal: Feature, stack: Stack) -> bool {
        let path = proposal != Feature::ProposeUpdate || self.allowed(Feature::CommitRemove, stack);
        path && self.allowed(Self::committed(proposal), stack)
    }

    pub(crate) fn propose_one(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let Some(from) = self.one_of(stack) else { return Ok(false) };
        let mut able: Vec<usize> = (0..self.members.len()).filter(|&p| p != from).collect();
        able.retain(|&p| {
            let stack = self.members[p].stack;
            self.can_commit(feature, stack) && self.allowed(Feature::CommitByReference, stack)
        });
        let Some(&by) = self.dice.pick(&able) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitByReference) };
        let Some(said) = self.propose(feature, from, &mut plan)? else { return Ok(false) };
        self.commit(plan)?;
        self.count(&[said]);
        Ok(true)
    }

    /// Several members propose, one commits.
    fn by_reference(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let mut from: Vec<usize> = (0..self.members.len()).filter(|&p| p != by).collect();
        self.dice.shuffle(&mut from);
        let mut kinds = vec![
            Feature::ProposeAdd,
            Feature::ProposeRemove,
            Feature::ProposeUpdate,
            Feature::ProposeUpdate,
            Feature::ProposeExternalPsk,
            Feature::ProposeExtensions,
        ];
        if matches!(self.suite, Suite::Extended(_)) {
            let drafts = [Feature::ProposeAppData, Feature::ProposeEphemeral];
            kinds.extend(drafts.iter().chain(&drafts));
        }
        self.dice.shuffle(&mut kinds);
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitByReference) };
        let mut said = Vec::new();
        let wanted = 1 + self.dice.below(3);
        for feature in kinds {
            let Some(&place) = from.last() else { break };
            let behind = feature == Feature::ProposeExtensions
                && plan.along.contains(&Feature::CommitAppData);
            let can = self.allowed(feature, self.members[place].stack)
                && self.can_commit(feature, stack)
                && (!behind || self.allowed(Feature::DataThenExtensions, stack));
            if said.len() == wanted || !can || plan.removes_by_reference.contains(&place) {
                continue;
            }
            if let Some(one) = self.propose(feature, place, &mut plan)? {
                said.push(one);
                from.pop();
            }
        }

        if said.is_empty() {
            return Ok(false);
        }

        // And something by value.
        let psk = plan.along.contains(&Feature::CommitExternalPsk);
        if self.dice.one_in(2) && !psk && self.allowed(Feature::CommitExternalPsk, stack) {
            plan.changes.extend(self.change(Feature::CommitExternalPsk)?);
            plan.along.push(Feature::CommitExternalPsk);
        }

        let data = Feature::CommitAppData;
        if plan.along.contains(&data) && self.dice.one_in(2) && self.allowed(data, stack) {
            plan.changes.extend(self.change(data)?);
        }

        self.commit(plan)?;
        self.count(&said);
        Ok(true)
    }

    /// Counts proposals that have taken effect.
    pub(crate) fn count(&mut self, said: &[Said]) {
        for one in said {
            for &receiver in &one.receivers {
                for feature in one.features {
                    self.tally.passed(feature, one.actor, receiver, self.suite);
                }
            }
        }
    }

    /// A member proposes and all others keep the proposal; its effect goes into the plan.
    pub(crate) fn propose(
        &mut self,
        feature: Feature,
        from: usize,
        plan: &mut Plan,
    ) -> Outcome<Option<Said>> {
        let change = match feature {
            Feature::ProposeAdd => {
                let by = self.members[plan.by].stack;
                let room = self.has_room()
                    && plan.removes_by_reference.iter().all(|&gone| self.replaceable(by, gone));
                let Some(mut joiner) = self.joiner(by, Feature::Welcome)?.filter(|_| room) else {
                    return Ok(None);
                };
                let made = joiner.member.key_package();
                let made = made.map_err(|e| failure(feature, joiner.stack, joiner.stack, &*e))?;
                plan.waiting.push(joiner);
                Change::Add(made)
            }
            Feature::ProposeRemove => {
                // Spare members that have proposed in this epoch: nobody can be updated and removed at once.
                let but = [from, plan.by];
                let mut spare = if plan.along.is_empty() { self.spare(&but) } else { Vec::new() };
                let by = self.members[plan.by].stack;
                spare.retain(|&gone| plan.waiting.is_empty() || self.replaceable(by, gone));
                let Some(&victim) = self.dice.pick(&spare) else { return Ok(None) };
                let Some(leaf) = self.leaf(&self.members[victim].name) else { return Ok(None) };
                plan.removes_by_reference.push(victim);
                Change::Remove(leaf)
            }
            Feature::ProposeUpdate => Change::Update,
            Feature::SelfRemove => {
                plan.removes_by_reference.push(from);
                Change::SelfRemove
            }
            other => match self.change(other)? {
                Some(change) => change,
                None => return Ok(None),
            },
        };

        let secret = change != Change::SelfRemove && self.observers.is_empty();
        let private = secret && self.dice.one_in(2);
        let slot = &mut self.members[from];
        let actor = slot.stack;
        self.log.push(format!("{} proposes {}", slot.name, list(std::slice::from_ref(&change))));
        let made = slot.member.propose(&change, private);
        let message = made.map_err(|e| failure(feature, actor, actor, &*e))?;
        self.deliver(&message, (feature, actor), &[from], |_| Received::Proposal)?;
        plan.along.push(Self::committed(feature));
        let framing = if private { Feature::ProposePrivate } else { Feature::ProposePublic };
        let receivers = self.others(&self.members[from].name.clone());
        Ok(Some(Said { actor, receivers, features: [feature, framing] }))
    }

    /// A member proposes a PSK; another commits it and one more by value.
    fn psks_both(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let mut from: Vec<usize> = (0..self.members.len()).filter(|&p| p != by).collect();
        from.retain(|&p| self.allowed(Feature::ProposeExternalPsk, self.members[p].stack));
        let Some(&from) = self.dice.pick(&from) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitPsksBoth) };
        let said = self.propose(Feature::ProposeExternalPsk, from, &mut plan)?;
        plan.changes.extend(self.change(Feature::CommitExternalPsk)?);
        plan.along.push(Feature::CommitByReference);
        self.commit(plan)?;
        self.count(said.as_slice());
        Ok(true)
    }

    /// A member sends a message and is removed before the others read it.
    fn late_left(&mut self, stack: Stack) -> Outcome<bool> {
        let mut leaving = self.spare(&[]);
        leaving.retain(|&place| self.members[place].stack == stack);
        let Some(&place) = self.dice.pick(&leaving) else { return Ok(false) };
        let mut able: Vec<usize> = (0..self.members.len()).filter(|&p| p != place).collect();
        able.retain(|&p| self.allowed(Feature::CommitRemove, self.members[p].stack));
        let Some(&by) = self.dice.pick(&able) else { return Ok(false) };
        self.write_late(place)?;
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitRemove) };
        plan.removes.push(place);
        self.commit(plan)?;
        self.all_letters()?;
        Ok(true)
    }

    /// Adds a client whose signature keys its stack generated.
    fn stack_keys(&mut self, stack: Stack) -> Outcome<bool> {
        let feature = Feature::StackKeys;
        let mut able: Vec<usize> = (0..self.members.len()).collect();
        able.retain(|&p| {
            let by = self.members[p].stack;
            self.allowed(Feature::CommitAdd, by) && self.can_join(Feature::Welcome, by, stack)
        });

        let Some(&by) = self.dice.pick(&able).filter(|_| self.has_room()) else {
            return Ok(false);
        };

        let mut client = self.client(stack)?;
        client.member.stack_keys().map_err(|e| failure(feature, stack, stack, &*e))?;
        let receivers: Vec<Stack> = self.members.iter().map(|slot| slot.stack).collect();
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitAdd) };
        plan.joiners.push(client);
        self.commit(plan)?;
        for receiver in receivers {
            self.tally.passed(feature, stack, receiver, self.suite);
        }
        Ok(true)
    }

    /// Two members commit in the same epoch; the other's commit is dropped.
    fn lost(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let others: Vec<usize> = (0..self.members.len()).filter(|&p| p != by).collect();
        let Some(&loser) = self.dice.pick(&others) else { return Ok(false) };
        let how = How { path: true, ..self.how() };
        let slot = &mut self.members[loser];
        let receiver = slot.stack;
        self.log.push(format!("{} commits in vain", slot.name));
        let own = |e: &dyn std::error::Error| failure(Feature::LostCommit, receiver, receiver, e);
        slot.member.commit(&[], how).map_err(|e| own(&*e))?;
        slot.member.discard().map_err(|e| own(&*e))?;
        let plan = self.next_epoch(by)?;
        self.commit(plan)?;
        self.tally.passed(Feature::LostCommit, stack, receiver, self.suite);
        Ok(true)
    }

    fn join_external(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let resync = feature == Feature::Resync;
        let apart = feature == Feature::GroupInfoTreeApart;
        // The actor is the issuer if the GroupInfo is tried, and otherwise the joiner.
        let issued = apart || feature == Feature::GroupInfo;
        let (issuers, joiner) = if issued {
            (self.of_stack(stack), self.dice.pick(&self.stacks.clone()).copied())
        } else {
            ((0..self.members.len()).collect(), Some(stack))
        };

        let Some(joining) = joiner else { return Ok(false) };
        let join = if issued { Feature::ExternalJoin } else { feature };
        if !self.allowed(join, joining) || !resync && !self.has_room() {
            return Ok(false);
        }

        let old = if resync {
            match self.one_of(stack) {
                Some(place) => Some(place),
                None => return Ok(false),
            }
        } else {
            None
        };

        let info = if issued { feature } else { Feature::GroupInfo };
        let mut issuers: Vec<usize> = issuers;
        issuers.retain(|&place| {
            Some(place) != old && self.allowed_to(info, self.members[place].stack, joining)
        });

        let Some(&issuer) = self.dice.pick(&issuers) else { return Ok(false) };
        let psk = match feature {
            Feature::ExternalJoinPsk => Some(self.new_psk()?),
            _ => None,
        };

        let maker = &mut self.members[issuer];
        let actor = maker.stack;
        let own = |e: &dyn std::error::Error| failure(info, actor, actor, e);
        let group_info = maker.member.group_info(!apart).map_err(|e| own(&*e))?;
        let tree = if apart { Some(maker.member.tree().map_err(|e| own(&*e))?) } else { None };
        let mut slot = match old {
            Some(place) => self.members.swap_remove(place),
            None => self.client(joining)?,
        };

        self.log.push(format!("{} joins by itself ({feature})", slot.name));
        let joined =
            slot.member.join_external(&group_info, tree.as_deref(), psk.as_deref(), resync);
        let commit = joined.map_err(|e| {
            let by = if matches!(join, Feature::ExternalJoin) { actor } else { joining };
            let what = if by == joining { join } else { info };
            failure(what, by, joining, &*e)
        })?;

        let receivers: Vec<Stack> = self.members.iter().map(|slot| slot.stack).collect();
        self.deliver(&commit, (join, joining), &[], |_| Received::Epoch)?;
        slot.since = self.view.epoch + 1;
        self.members.push(slot);
        self.agree(join, self.members.len() - 1)?;
        self.tally.passed(info, actor, joining, self.suite);
        for receiver in receivers {
            self.tally.passed(join, joining, receiver, self.suite);
        }
        Ok(true)
    }

    fn late(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(place) = self.one_of(stack) else { return Ok(false) };
        self.write_late(place)?;
        for _ in 0..2 {
            let mut able: Vec<usize> = (0..self.members.len()).collect();
            able.retain(|&p| self.allowed(Feature::CommitExternalPsk, self.members[p].stack));
            let Some(&by) = self.dice.pick(&able) else { return Ok(false) };
            let plan = self.next_epoch(by)?;
            self.commit(plan)?;
            self.late_letters()?;
        }
        Ok(true)
    }

    /// An outsider proposes, a member commits.
    pub(crate) fn outside(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let newcomer = matches!(feature, Feature::NewMemberProposal | Feature::OutsideSafeAad);
        if self.has_safe_aad() && !self.allowed(Feature::OutsideSafeAad, stack) {
            return Ok(false);
        }
        let mut able: Vec<usize> = (0..self.members.len()).collect();
        able.retain(|&p| self.allowed(Feature::CommitByReference, self.members[p].stack));
        if able.is_empty() || !self.has_room() {
            return Ok(false);
        }

        let mut client = self.client(stack)?;
        if !newcomer {
            let sender = client.member.external_sender();
            let mut sender = sender.map_err(|e| failure(feature, stack, stack, &*e))?;
            // external_senders<V>, with one sender.
            let Ok(length) = u16::try_from(sender.len()) else { return Ok(false) };
            let mut data = (length | 0x4000).to_be_bytes().to_vec();
            if length < 64 {
                data = vec![length as u8];
            }
            data.append(&mut sender);
            let mut list = self.new_extensions(true);
            // The dictionary stays the last.
            list.insert(0, Extension { kind: EXTERNAL_SENDERS, data });
            if !self.set_extensions(list)? {
                return Ok(false);
            }
        }

        let Some(&by) = self.dice.pick(&able) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitByReference) };
        let what = match feature {
            Feature::ExternalSenderRemove => {
                let spare = self.spare(&[by]);
                let Some(&victim) = self.dice.pick(&spare) else { return Ok(false) };
                let Some(leaf) = self.leaf(&self.members[victim].name) else { return Ok(false) };
                plan.removes_by_reference.push(victim);
                Outside::Remove(leaf)
            }
            Feature::ExternalSenderAdd => {
                let by = self.members[by].stack;
                let Some(mut joiner) = self.joiner(by, Feature::Welcome)? else {
                    return Ok(false);
                };
                let made = joiner.member.key_package();
                let made = made.map_err(|e| failure(feature, joiner.stack, joiner.stack, &*e))?;
                plan.waiting.push(joiner);
                Outside::Add(made)
            }
            Feature::ExternalSenderPsk => {
                plan.along.push(Feature::CommitExternalPsk);
                Outside::ExternalPsk(self.new_psk()?)
            }
            Feature::ExternalSenderAppData => {
                plan.along.push(Feature::CommitAppData);
                Outside::AppData(APPENDS, self.dice.bytes(4))
            }
            _ => Outside::Itself,
        };

        let mut makers: Vec<usize> = (0..self.members.len()).collect();
        makers.retain(|&p| self.allowed_to(Feature::GroupInfo, self.members[p].stack, stack));
        let Some(&maker) = self.dice.pick(&makers) else { return Ok(false) };
        let info = self.members[maker].member.group_info(true);
        let actor = self.members[maker].stack;
        let info = info.map_err(|e| failure(Feature::GroupInfo, actor, actor, &*e))?;
        self.log.push(format!("{} proposes from outside ({feature})", client.name));
        let made = client.member.propose_outside(&info, &what);
        let message = made.map_err(|e| failure(feature, stack, stack, &*e))?;
        if newcomer {
            plan.waiting.push(client);
        }

        let receivers: Vec<Stack> = self.members.iter().map(|slot| slot.stack).collect();
        self.deliver(&message, (feature, stack), &[], |_| Received::Proposal)?;
        self.commit(plan)?;
        for receiver in receivers {
            self.tally.passed(feature, stack, receiver, self.suite);
        }
        Ok(true)
    }

    /// A member closes the group and opens its successor, which all join.
    fn reinit(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let mut suite = self.suite;
        if feature == Feature::ReInitSuite {
            let mut shared = Suite::all();
            shared.retain(|&s| {
                s != self.suite
                    && s.is_alike(self.suite)
                    && crate::known::company(&self.stacks, s) == self.stacks
            });
            let Some(&other) = self.dice.pick(&shared) else { return Ok(false) };
            suite = other;
        }

        let group_id = self.dice.bytes(16);
        let extensions = self.new_extensions(true);
        let next = ReInit { group_id, suite, extensions };
        let change = Change::ReInit(next.clone());
        let own = |e: &dyn std::error::Error| failure(feature, stack, stack, e);
        let private = self.dice.one_in(2);
        let how = How { private, path: false, tree: true };
        let name = self.members[by].name.clone();
        self.log.push(format!("{name} commits {}", list(std::slice::from_ref(&change))));
        let made = self.members[by].member.commit(&[change], how).map_err(|e| own(&*e))?;
        self.deliver(&made.commit, (feature, stack), &[by], |_| Received::Closed)?;
        self.members[by].member.accept().map_err(|e| own(&*e))?;
        let mut key_packages = Vec::new();
        for slot in self.members.iter_mut().filter(|slot| slot.name != name) {
            let made = slot.member.reinit_key_package(suite);
            key_packages.push(made.map_err(|e| failure(feature, slot.stack, slot.stack, &*e))?);
        }

        self.log.push(format!("{name} opens the successor"));
        let opened = self.members[by].member.reinit(&next, &key_packages);
        let linked = opened.map_err(|e| own(&*e))?;
        for slot in self.members.iter_mut().filter(|slot| slot.name != name) {
            let joined = slot.member.join_reinit(&linked.welcome, linked.tree.as_deref());
            joined.map_err(|e| failure(feature, stack, slot.stack, &*e))?;
        }

        self.linked(feature, by)
    }

    fn branch(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let name = self.members[by].name.clone();
        if self.members.len() > 2 && self.dice.one_in(2) {
            // One of the spare members stays behind.
            let spare = self.spare(&[by]);
            if let Some(&behind) = self.dice.pick(&spare) {
                self.members.remove(behind);
            }
        }

        let by = self.place(&name);
        let mut key_packages = Vec::new();
        for slot in self.members.iter_mut().filter(|slot| slot.name != name) {
            let made = slot.member.key_package();
            key_packages.push(made.map_err(|e| failure(feature, slot.stack, slot.stack, &*e))?);
        }

        let group_id = self.dice.bytes(16);
        let other = (feature == Feature::BranchExtensions).then(|| self.new_extensions(true));
        self.log.push(format!("{name} opens a branch"));
        let opened = self.members[by].member.branch(&group_id, other.as_deref(), &key_packages);
        let linked = opened.map_err(|e| failure(feature, stack, stack, &*e))?;
        for slot in self.members.iter_mut().filter(|slot| slot.name != name) {
            let joined = slot.member.join_branch(&linked.welcome, linked.tree.as_deref());
            joined.map_err(|e| failure(feature, stack, slot.stack, &*e))?;
        }

        self.linked(feature, by)
    }

    /// All members are in another group now.
    fn linked(&mut self, feature: Feature, by: usize) -> Outcome<bool> {
        self.forget_letters();
        for slot in &mut self.members {
            slot.since = 1;
        }

        self.agree(feature, by)?;
        let actor = self.members[by].stack;
        let name = self.members[by].name.clone();
        for receiver in self.others(&name) {
            self.tally.passed(feature, actor, receiver, self.suite);
        }

        if self.view.epoch == 1 {
            return Ok(true);
        }

        let reason = format!("it starts in epoch {}", self.view.epoch);
        Err(Failure { feature, actor, receiver: actor, reason })
    }
}

/// A proposal that awaits its commit.
pub(crate) struct Said {
    actor: Stack,
    receivers: Vec<Stack>,
    features: [Feature; 2],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    /// Whether the left half is still empty in the epoch in which a step that empties it ends. The members
    /// of the right half are Conclave's, but count as of these stacks; the first of them commits.
    fn left_half_stays_empty(right: [Stack; 2]) -> bool {
        let mut tally = Tally::default();
        let stacks = [Stack::Conclave];
        let mut world = World::new(Suite::Rfc(1), &stacks, 4, 1, &mut tally, false).unwrap();
        for (leaf, stack) in (2..).zip(right) {
            let name = world.view.roster[leaf].1.clone();
            let name = String::from_utf8(name).unwrap();
            let place = world.place(&name);
            world.members[place].stack = stack;
        }

        assert!(world.perform(Feature::HalfEmpty, right[0]).unwrap());
        world.empties_half(&[])
    }

    #[test]
    fn a_half_that_some_cannot_leave_empty_is_filled_again() {
        assert!(!left_half_stays_empty([Stack::TsMls2, Stack::Conclave]));
        assert!(left_half_stays_empty([Stack::OpenMls, Stack::Conclave]));
    }
}
