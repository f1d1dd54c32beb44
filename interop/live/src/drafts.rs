//! The steps for draft-ietf-mls-extensions-10 and draft-ietf-mls-targeted-messages-02.

use crate::failure::{Failure, failure};
use crate::feature::Feature;
use crate::member::{APPENDS, Change, DICTIONARY, Extension, REPLACES, Received, SAFE_AAD};
use crate::stack::Stack;
use crate::world::{Outcome, Plan, Slot, World, list};
use conclave_mls::component::{AppDataDictionary, ComponentId, ComponentsList, Encode};

impl World<'_> {
    /// Takes a step that shows a feature of a draft.
    pub(crate) fn perform_draft(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        // What prepares a step begins an epoch, so it must be possible.
        let joins = [
            Feature::ExternalJoinSelfRemove,
            Feature::ExternalJoinAppData,
            Feature::ExternalJoinEphemeral,
            Feature::OutsideSafeAad,
        ];
        if self.of_stack(stack).is_empty() && !joins.contains(&feature) {
            return Ok(false);
        }

        match feature {
            Feature::SelfRemove => self.self_remove(stack),
            Feature::ExternalJoinSelfRemove
            | Feature::ExternalJoinAppData
            | Feature::ExternalJoinEphemeral => self.join_external_with(feature, stack),
            Feature::CommitAppData => self.app_data(stack),
            Feature::CommitAppDataRemoval => Ok(self.give_data()? && self.simple(feature, stack)?),
            Feature::ProposeAppDataRemoval => {
                Ok(self.give_data()? && self.propose_one(feature, stack)?)
            }
            Feature::ProposeAppData | Feature::ProposeApplicationPsk => {
                self.propose_one(feature, stack)
            }
            Feature::CommitApplicationPsk => self.simple(feature, stack),
            Feature::CommitEphemeral => {
                Ok(self.simple(feature, stack)? && self.same_ephemeral(feature, stack)?)
            }
            Feature::ProposeEphemeral => {
                Ok(self.propose_one(feature, stack)? && self.same_ephemeral(feature, stack)?)
            }
            Feature::DictionaryFirst => self.dictionary_first(stack),
            Feature::DataThenExtensions => self.data_then_extensions(stack),
            Feature::OutsideSafeAad => {
                Ok(self.require_safe_aad()? && self.outside(feature, stack)?)
            }
            Feature::ObserveAppData => self.observed(stack),
            Feature::DictionaryByExtensions => self.dictionary_by_extensions(stack),
            Feature::SafeExport => self.safe_export(stack),
            Feature::SafeAad => self.toggle_safe_aad(),
            Feature::MalformedSafeAad | Feature::SafeAadTail => self.unsafe_aad(feature, stack),
            Feature::LateSafeAad => self.late_safe_aad(stack),
            Feature::Targeted | Feature::TargetedMended => self.targeted(feature, stack),
            _ => Ok(false),
        }
    }

    /// The proposal that a feature of a draft shows, if it shows one.
    pub(crate) fn draft_change(&mut self, feature: Feature) -> Outcome<Option<Change>> {
        let length = 1 + self.dice.below(40);
        let component = if self.dice.one_in(2) { REPLACES } else { APPENDS };
        Ok(match feature {
            Feature::CommitAppData | Feature::ProposeAppData | Feature::ExternalJoinAppData => {
                Some(Change::AppData(component, self.dice.bytes(length)))
            }
            Feature::CommitAppDataRemoval | Feature::ProposeAppDataRemoval => {
                Some(Change::AppDataRemoval(REPLACES))
            }
            Feature::CommitEphemeral
            | Feature::ProposeEphemeral
            | Feature::ExternalJoinEphemeral => {
                Some(Change::Ephemeral(component, self.dice.bytes(length)))
            }
            Feature::CommitApplicationPsk | Feature::ProposeApplicationPsk => {
                Some(Change::ApplicationPsk(self.new_psk()?))
            }
            _ => None,
        })
    }

    /// A member whose stack may do this in front of all others.
    fn able(&mut self, feature: Feature, but: &[usize]) -> Option<usize> {
        let mut able: Vec<usize> = (0..self.members.len()).collect();
        able.retain(|p| !but.contains(p) && self.allowed(feature, self.members[*p].stack));
        self.dice.pick(&able).copied()
    }

    /// A member asks to leave, another commits it.
    fn self_remove(&mut self, stack: Stack) -> Outcome<bool> {
        let mut leaving = self.spare(&[]);
        leaving.retain(|&place| self.members[place].stack == stack);
        let Some(&from) = self.dice.pick(&leaving) else { return Ok(false) };
        let Some(by) = self.able(Feature::CommitByReference, &[from]) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitByReference) };
        let said = self.propose(Feature::SelfRemove, from, &mut plan)?;
        self.commit(plan)?;
        self.count(said.as_slice());
        Ok(true)
    }

    /// A client joins from outside, and its commit does something more.
    fn join_external_with(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let leaver = if feature == Feature::ExternalJoinSelfRemove {
            let mut spare = self.spare(&[]);
            spare.retain(|&p| self.allowed(Feature::SelfRemove, self.members[p].stack));
            let Some(&leaver) = self.dice.pick(&spare) else { return Ok(false) };
            Some(leaver)
        } else {
            None
        };
        let but: Vec<usize> = leaver.into_iter().collect();
        let Some(issuer) = self.able(Feature::GroupInfo, &but) else { return Ok(false) };
        if leaver.is_none() && !self.has_room() {
            return Ok(false);
        }

        let mut plan = Plan::new(issuer, feature);
        let mut leaving = Vec::new();
        let mut left = None;
        if let Some(place) = leaver {
            let slot = &mut self.members[place];
            let actor = slot.stack;
            self.log.push(format!("{} proposes to leave", slot.name));
            let made = slot.member.propose(&Change::SelfRemove, false);
            let message = made.map_err(|e| failure(Feature::SelfRemove, actor, actor, &*e))?;
            left = Some(slot.name.clone());
            let said = (Feature::SelfRemove, actor);
            self.deliver(&message, said, &[place], |_| Received::Proposal)?;
            leaving.push(message);
        } else {
            for _ in 0..2 {
                plan.changes.extend(self.draft_change(feature)?);
            }
        }

        let maker = &mut self.members[issuer];
        let actor = maker.stack;
        let info = maker.member.group_info(true);
        let info = info.map_err(|e| failure(Feature::GroupInfo, actor, actor, &*e))?;
        let mut slot = self.client(stack)?;
        self.log.push(format!("{} joins by itself with {}", slot.name, list(&plan.changes)));
        let joined = slot.member.join_external_with(&info, &plan.changes, &leaving);
        let commit = joined.map_err(|e| failure(feature, stack, stack, &*e))?;
        let expect = |slot: &Slot| {
            if left.as_ref() == Some(&slot.name) { Received::Removed } else { Received::Epoch }
        };
        self.deliver(&commit, (feature, stack), &[], expect)?;

        self.members.retain(|slot| left.as_ref() != Some(&slot.name));
        slot.since = self.view.epoch + 1;
        let name = slot.name.clone();
        self.members.push(slot);
        self.agree(feature, self.members.len() - 1)?;
        for receiver in self.others(&name) {
            self.tally.passed(feature, stack, receiver, self.suite);
        }
        Ok(feature != Feature::ExternalJoinEphemeral || self.same_ephemeral(feature, stack)?)
    }

    /// Several updates, two of one component, in a random order.
    fn app_data(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitAppData) };
        for component in [APPENDS, REPLACES, APPENDS] {
            plan.changes.push(Change::AppData(component, self.dice.bytes(5)));
        }
        self.commit(plan)?;
        Ok(true)
    }

    /// Gives the component that is going to be removed some data, if it has none.
    fn give_data(&mut self) -> Outcome<bool> {
        Ok(self.has_data(REPLACES) || self.set_data(REPLACES, b"some data".to_vec())?)
    }

    /// A member whose stack can do it updates the data of a component.
    fn set_data(&mut self, component: u16, data: Vec<u8>) -> Outcome<bool> {
        let Some(by) = self.able(Feature::CommitAppData, &[]) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::CommitAppData) };
        plan.changes.push(Change::AppData(component, data));
        self.commit(plan)?;
        Ok(true)
    }

    /// Updates data in a dictionary that is not the last extension of the GroupContext.
    fn dictionary_first(&mut self, stack: Stack) -> Outcome<bool> {
        if !self.give_data()? {
            return Ok(false);
        }
        self.all_letters()?;
        let mut list = self.new_extensions(true);
        list.reverse();
        let set = self.set_extensions(list)?;
        let Some(by) = self.one_of(stack).filter(|_| set) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::DictionaryFirst) };
        plan.changes.push(Change::AppData(REPLACES, self.dice.bytes(5)));
        self.commit(plan)?;
        self.all_letters()?;
        // Others may join that cannot follow this.
        let list = self.new_extensions(true);
        self.set_extensions(list)
    }

    /// One member updates data, another sets extensions, and a third commits both proposals.
    fn data_then_extensions(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let Some(one) = self.able(Feature::ProposeAppData, &[by]) else { return Ok(false) };
        let Some(other) = self.able(Feature::ProposeExtensions, &[by]) else { return Ok(false) };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, Feature::DataThenExtensions) };
        let mut said = Vec::new();
        said.extend(self.propose(Feature::ProposeAppData, one, &mut plan)?);
        said.extend(self.propose(Feature::ProposeExtensions, other, &mut plan)?);
        self.commit(plan)?;
        self.count(&said);
        Ok(true)
    }

    /// Checks that all members were given the same data with the last commit, and some.
    fn same_ephemeral(&mut self, feature: Feature, actor: Stack) -> Outcome<bool> {
        let mut first = None;
        for slot in self.members.iter_mut().filter(|slot| slot.since < self.view.epoch) {
            let receiver = slot.stack;
            let given = slot.member.ephemeral();
            let given = given.map_err(|e| failure(feature, actor, receiver, &*e))?;
            let expected = first.get_or_insert_with(|| given.clone());
            if given.is_empty() || given != *expected {
                let reason = format!("{} was given {given:?}, not {expected:?}", slot.name);
                return Err(Failure { feature, actor, receiver, reason });
            }
        }
        Ok(true)
    }

    /// Observers of both stacks follow a commit of AppDataUpdates by reference and by value.
    fn observed(&mut self, stack: Stack) -> Outcome<bool> {
        let feature = Feature::ObserveAppData;
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let Some(from) = self.able(Feature::ProposeAppData, &[by]) else { return Ok(false) };
        let info = self.members[by].member.group_info(true);
        let info = info.map_err(|e| failure(feature, stack, stack, &*e))?;
        for receiver in self.stacks.clone() {
            let made = receiver.observer(&info, self.suite);
            let made = made.map_err(|e| failure(feature, stack, receiver, &*e))?;
            self.observers.push((receiver, made));
        }

        let mut plan = Plan::new(by, Feature::CommitAppData);
        self.propose(Feature::ProposeAppData, from, &mut plan)?;
        plan.changes.push(Change::AppData(APPENDS, self.dice.bytes(3)));
        self.commit(plan)?;

        let seen = (self.view.epoch, self.view.extensions.clone());
        for (receiver, observer) in std::mem::take(&mut self.observers) {
            let state = observer.state().map_err(|e| failure(feature, stack, receiver, &*e))?;
            if state != seen {
                let reason = format!("the observer sees {state:?}, not {seen:?}");
                return Err(Failure { feature, actor: stack, receiver, reason });
            }
            self.tally.passed(feature, stack, receiver, self.suite);
        }
        Ok(true)
    }

    /// A GroupContextExtensions proposal sets the dictionary, in a group that does not require
    /// AppDataUpdate.
    fn dictionary_by_extensions(&mut self, stack: Stack) -> Outcome<bool> {
        let feature = Feature::DictionaryByExtensions;
        let Some(by) = self.one_of(stack).filter(|_| self.view.extensions.is_empty()) else {
            return Ok(false);
        };
        let data = AppDataDictionary::default().with(ComponentId(REPLACES), b"set".as_slice());
        let data = data.to_bytes().unwrap_or_default();
        // required_capabilities: the dictionary.
        let required = Extension { kind: 3, data: vec![2, 0, 6, 0, 2, 0, 1] };
        let mut plan = Plan { how: self.how(), ..Plan::new(by, feature) };
        plan.changes.push(Change::Extensions(vec![required, Extension { kind: DICTIONARY, data }]));
        self.commit(plan)?;
        Ok(true)
    }

    /// All members export the secret of a component, which is the same for all, and nobody can twice.
    fn safe_export(&mut self, stack: Stack) -> Outcome<bool> {
        let feature = Feature::SafeExport;
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        let component = 1 + self.dice.below(usize::from(u16::MAX)) as u16;
        if !self.exported.insert(component) {
            return Ok(false);
        }

        self.log.push(format!("all export the secret of component {component:#x}"));
        let name = self.members[by].name.clone();
        let own = self.members[by].member.safe_export(component);
        let own = own.map_err(|e| failure(feature, stack, stack, &*e))?;
        for slot in &mut self.members {
            let receiver = slot.stack;
            let failed = |reason: &str| Failure {
                feature,
                actor: stack,
                receiver,
                reason: format!("{}: {reason}", slot.name),
            };
            if slot.name != name {
                let secret = slot.member.safe_export(component);
                let secret = secret.map_err(|e| failure(feature, stack, receiver, &*e))?;
                if secret != own || secret.len() < 32 {
                    return Err(failed("another secret"));
                }
            }
            if slot.member.safe_export(component).is_ok() {
                return Err(failed("the secret can be exported twice"));
            }
        }

        for receiver in self.others(&name) {
            self.tally.passed(feature, stack, receiver, self.suite);
        }
        Ok(true)
    }

    /// Requires SafeAADs, or no longer. The messages that follow show them.
    fn toggle_safe_aad(&mut self) -> Outcome<bool> {
        if !self.has_safe_aad() {
            return self.require_safe_aad();
        }
        let Some(by) = self.able(Feature::CommitAppDataRemoval, &[]) else { return Ok(false) };
        let removal = Feature::CommitAppDataRemoval;
        let mut plan = Plan { how: self.how(), ..Plan::new(by, removal) };
        plan.changes.push(Change::AppDataRemoval(SAFE_AAD));
        self.commit(plan)?;
        Ok(true)
    }

    fn require_safe_aad(&mut self) -> Outcome<bool> {
        let list = ComponentsList::of(&[ComponentId(REPLACES)]).to_bytes().unwrap_or_default();
        Ok(self.has_safe_aad() || self.set_data(SAFE_AAD, list)?)
    }

    /// A member sends authenticated data that is no SafeAAD, which all others refuse.
    fn unsafe_aad(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        if !self.require_safe_aad()? {
            return Ok(false);
        }
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        // An item of component 1, then: of component 1 again; nothing; of component 0; a length too many.
        let malformed: &[&[u8]] = match feature {
            Feature::SafeAadTail => &[&[4, 0, 1, 1, 9, 7, 7]],
            _ => {
                &[&[], &[8, 0, 1, 1, 9, 0, 1, 1, 9], &[8, 0, 1, 1, 9, 0, 0, 1, 9], &[5, 0, 1, 1, 9]]
            }
        };

        for data in malformed {
            let slot = &mut self.members[by];
            let name = slot.name.clone();
            self.log.push(format!("{name} sends authenticated data {data:?}"));
            let message = slot.member.with_authenticated_data(data);
            let message = message.map_err(|e| failure(feature, stack, stack, &*e))?;
            for place in (0..self.members.len()).filter(|&place| place != by) {
                let receiver = self.members[place].stack;
                if !self.allowed_to(feature, stack, receiver) {
                    continue;
                }
                if let Ok(received) = self.members[place].member.receive(&message) {
                    let reason = format!("accepted {data:?}: {received:?}");
                    return Err(Failure { feature, actor: stack, receiver, reason });
                }
                self.tally.passed(feature, stack, receiver, self.suite);
            }
        }
        Ok(true)
    }

    /// A member sends a message, and the others read it once the group requires SafeAADs.
    fn late_safe_aad(&mut self, stack: Stack) -> Outcome<bool> {
        let Some(place) = self.one_of(stack) else { return Ok(false) };
        if self.has_safe_aad() {
            return Ok(false);
        }
        self.forget_letters();
        self.write_late_plain(place)?;
        let done = self.require_safe_aad()?;
        self.all_letters()?;
        Ok(done)
    }

    /// A member sends a message to each other member alone.
    fn targeted(&mut self, feature: Feature, stack: Stack) -> Outcome<bool> {
        let Some(by) = self.one_of(stack) else { return Ok(false) };
        if feature == Feature::TargetedMended {
            self.members.iter_mut().for_each(|slot| slot.member.mend_targeted(true));
        }

        for to in (0..self.members.len()).filter(|&to| to != by) {
            let name = self.members[to].name.clone();
            let Some(leaf) = self.leaf(&name) else { return Ok(false) };
            let data = self.dice.bytes(20);
            let authenticated_data = self.dice.bytes(4);
            self.log.push(format!("{} sends to {name} alone", self.members[by].name));
            let sent = self.members[by].member.send_to(leaf, &data, &authenticated_data);
            let message = sent.map_err(|e| failure(feature, stack, stack, &*e))?;

            let receiver = self.members[to].stack;
            let received = self.members[to].member.receive(&message);
            let received = received.map_err(|e| failure(feature, stack, receiver, &*e))?;
            let authenticated_data = Some(authenticated_data);
            let expected = Received::Data { data, authenticated_data };
            if received != expected {
                let reason = format!("read something else: {received:?}");
                return Err(Failure { feature, actor: stack, receiver, reason });
            }
            self.tally.passed(feature, stack, receiver, self.suite);
        }

        self.members.iter_mut().for_each(|slot| slot.member.mend_targeted(false));
        Ok(true)
    }
}
