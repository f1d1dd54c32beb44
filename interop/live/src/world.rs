//! A group of members of several stacks, and the checks after each step.

use crate::failure::{Failure, failure};
use crate::feature::Feature;
use crate::known;
use crate::member::{
    Change, DICTIONARY, Extension, How, Member, Observe, REPLACES, Received, Result, SAFE_AAD, View,
};
use crate::rng::Dice;
use crate::stack::Stack;
use crate::suite::Suite;
use crate::tally::Tally;
use std::collections::BTreeSet;

/// The outcome of a step: whether it was possible, or what went wrong.
pub type Outcome<T = ()> = std::result::Result<T, Failure>;

/// A client that is in the group or about to join it.
pub struct Slot {
    /// Its stack.
    pub stack: Stack,
    /// Its name, which is its identity.
    pub name: String,
    /// The client.
    pub member: Box<dyn Member>,
    /// Its first epoch in the group.
    pub since: u64,
    /// How many of the PSKs it has been given.
    told: usize,
}

/// An application message that some members have yet to read.
struct Letter {
    from: String,
    stack: Stack,
    leaf: Option<u32>,
    epoch: u64,
    data: Vec<u8>,
    /// Whether the authenticated data is a SafeAAD.
    safe: bool,
    authenticated_data: Vec<u8>,
    message: Vec<u8>,
}

/// A group and its members.
pub struct World<'a> {
    /// Its suite.
    pub suite: Suite,
    /// The stacks that take part.
    pub stacks: Vec<Stack>,
    /// The source of random choices.
    pub dice: Dice,
    /// The counts of what happened.
    pub tally: &'a mut Tally,
    /// The members, in no order.
    pub members: Vec<Slot>,
    /// The group's identifier.
    pub group_id: Vec<u8>,
    /// What all members saw after the last commit.
    pub view: View,
    /// What was done, printed when the script fails.
    pub log: Vec<String>,
    /// Whether known differences are looked for instead of avoided.
    pub probing: bool,
    /// Clients that follow the group without being members, for a while.
    pub observers: Vec<(Stack, Box<dyn Observe>)>,
    /// The components whose secrets were exported, in whatever epoch.
    pub exported: BTreeSet<u16>,
    psks: Vec<(Vec<u8>, Vec<u8>)>,
    letters: Vec<Letter>,
    clients: usize,
}

/// The largest number of members of a group.
const MAX_MEMBERS: usize = 8;

impl<'a> World<'a> {
    /// A group created by a client of the first stack, which adds others until it has `each` members of every
    /// stack.
    pub fn new(
        suite: Suite,
        stacks: &[Stack],
        each: usize,
        seed: u64,
        tally: &'a mut Tally,
        probing: bool,
    ) -> Outcome<Self> {
        let mut dice = Dice::new(seed);
        let group_id = dice.bytes(16);
        let view = View {
            epoch: 0,
            authenticator: Vec::new(),
            exported: Vec::new(),
            roster: Vec::new(),
            extensions: Vec::new(),
        };

        let mut world = Self {
            suite,
            stacks: stacks.to_vec(),
            dice,
            tally,
            members: Vec::new(),
            group_id,
            view,
            log: Vec::new(),
            probing,
            observers: Vec::new(),
            exported: BTreeSet::new(),
            psks: Vec::new(),
            letters: Vec::new(),
            clients: 0,
        };

        world.open(each)?;
        Ok(world)
    }

    fn open(&mut self, each: usize) -> Outcome {
        let Some(&creator) = self.stacks.first() else { return Ok(()) };
        let mut first = self.client(creator)?;
        let group_id = self.group_id.clone();
        self.log.push(format!("{} creates the group", first.name));
        let created = first.member.create(&group_id, &[]);
        created.map_err(|e| failure(Feature::Create, creator, creator, &*e))?;
        self.members.push(first);
        self.agree(Feature::Create, 0)?;
        let mut joiners = Vec::new();
        for stack in self.stacks.clone() {
            for _ in usize::from(stack == creator)..each {
                joiners.push(self.client(stack)?);
            }
        }

        let stacks: Vec<Stack> = joiners.iter().map(|joiner| joiner.stack).collect();
        let path = self.dice.one_in(2) && self.paths();
        let how = How { private: false, path, tree: true };
        self.commit(Plan { joiners, how, ..Plan::new(0, Feature::Create) })?;
        for stack in stacks {
            self.tally.passed(Feature::Create, creator, stack, self.suite);
        }

        self.chatter()
    }

    /// A new client that knows all PSKs.
    pub fn client(&mut self, stack: Stack) -> Outcome<Slot> {
        self.clients += 1;
        let name = format!("{stack}-{}", self.clients);
        let made = stack.client(&name, self.suite);
        let member = made.map_err(|e| failure(Feature::Create, stack, stack, &*e))?;
        let mut slot = Slot { stack, name, member, since: 0, told: 0 };
        slot.tell(&self.psks)?;
        Ok(slot)
    }

    /// An external PSK that all members know.
    pub fn new_psk(&mut self) -> Outcome<Vec<u8>> {
        let id = self.dice.bytes(8);
        let secret = self.dice.bytes(32);
        self.psks.push((id.clone(), secret));
        for slot in &mut self.members {
            slot.tell(&self.psks)?;
        }
        Ok(id)
    }

    /// Whether a member of this stack may do this in front of all others.
    pub fn allowed(&self, feature: Feature, actor: Stack) -> bool {
        // Whoever opens another group does not join it.
        let opens = feature.is_last() && self.of_stack(actor).len() == 1;
        let mut receivers = self.members.iter().map(|slot| slot.stack);
        receivers.all(|stack| opens && stack == actor || self.allowed_to(feature, actor, stack))
    }

    /// Whether the actor's stack may do this in front of the receiver's.
    pub fn allowed_to(&self, feature: Feature, actor: Stack, receiver: Stack) -> bool {
        match known::find((feature, actor, receiver, self.suite)) {
            None => true,
            Some(difference) => self.probing && difference.can_be_probed(),
        }
    }

    /// Whether all follow each other's paths, so that commits may have paths that they do not need.
    pub fn paths(&self) -> bool {
        let follows =
            |one, other| known::find((Feature::CommitUpdate, one, other, self.suite)).is_none();
        self.stacks.iter().all(|&one| self.stacks.iter().all(|&other| follows(one, other)))
    }

    /// Whether all follow each other's paths in a tree whose left half is empty.
    pub fn half_empty_followed(&self) -> bool {
        let all = || self.members.iter().map(|slot| slot.stack);
        all().all(|one| all().all(|other| self.allowed_to(Feature::HalfEmpty, one, other)))
    }

    /// The leaf of a member.
    pub fn leaf(&self, name: &str) -> Option<u32> {
        let found = self.view.roster.iter().find(|(_, identity)| identity == name.as_bytes());
        found.map(|(leaf, _)| *leaf)
    }

    /// The places of a stack's members.
    pub fn of_stack(&self, stack: Stack) -> Vec<usize> {
        (0..self.members.len()).filter(|&place| self.members[place].stack == stack).collect()
    }

    /// Whether there is room for more.
    pub fn has_room(&self) -> bool {
        self.members.len() < MAX_MEMBERS
    }

    /// The members that the group can spare: those whose stack has another member.
    pub fn spare(&self, but: &[usize]) -> Vec<usize> {
        let half_empty = self.half_empty_followed();
        let spare = |&place: &usize| {
            self.of_stack(self.members[place].stack).len() > 1
                && !but.contains(&place)
                && (half_empty || !self.empties_half(&[place]))
        };
        (0..self.members.len()).filter(spare).collect()
    }

    /// Whether the left half of the tree is empty once these are removed.
    pub fn empties_half(&self, gone: &[usize]) -> bool {
        let stays = |place: &usize| !gone.contains(place);
        let leaves: Vec<u32> = (0..self.members.len())
            .filter(stays)
            .filter_map(|place| self.leaf(&self.members[place].name))
            .collect();
        let size = leaves.iter().max().map_or(1, |leaf| (leaf + 1).next_power_of_two());
        size > 1 && leaves.iter().all(|leaf| *leaf >= size / 2)
    }

    /// All members but these receive a message and report its effect.
    pub fn deliver(
        &mut self,
        message: &[u8],
        (feature, actor): (Feature, Stack),
        but: &[usize],
        expect: impl Fn(&Slot) -> Received,
    ) -> Outcome {
        let mut order: Vec<usize> =
            (0..self.members.len()).filter(|place| !but.contains(place)).collect();
        self.dice.shuffle(&mut order);
        for place in order {
            let slot = &mut self.members[place];
            let expected = expect(slot);
            match slot.member.receive(message) {
                Ok(received) if received == expected => {}
                Ok(received) => {
                    let reason = format!("{received:?} instead of {expected:?}");
                    return Err(Failure { feature, actor, receiver: slot.stack, reason });
                }
                Err(e) => return Err(failure(feature, actor, slot.stack, &*e)),
            }
        }

        for (stack, observer) in &mut self.observers {
            let followed = observer.follow(message);
            followed.map_err(|e| failure(Feature::ObserveAppData, actor, *stack, &*e))?;
        }
        Ok(())
    }

    /// Checks that all members see the same group as the one at `actor`.
    pub fn agree(&mut self, feature: Feature, actor: usize) -> Outcome {
        let context = self.dice.bytes(5);
        let stack = self.members[actor].stack;
        let seen = self.members[actor].member.view(&context);
        let own = seen.map_err(|e| failure(feature, stack, stack, &*e))?;
        for slot in &mut self.members {
            let seen = slot.member.view(&context);
            let view = seen.map_err(|e| failure(feature, stack, slot.stack, &*e))?;
            if view != own {
                let reason = format!("{} sees another group: {}", slot.name, differ(&own, &view));
                return Err(Failure { feature, actor: stack, receiver: slot.stack, reason });
            }
        }

        let mut names: Vec<&[u8]> = self.members.iter().map(|slot| slot.name.as_bytes()).collect();
        let mut roster: Vec<&[u8]> = own.roster.iter().map(|(_, name)| name.as_slice()).collect();
        names.sort_unstable();
        roster.sort_unstable();
        if names != roster {
            let reason = format!("the roster is {} members", roster.len());
            return Err(Failure { feature, actor: stack, receiver: stack, reason });
        }

        self.view = own;
        self.tally.epochs += 1;
        Ok(())
    }

    /// Commits, delivers, lets the new members join, and checks that all agree.
    pub fn commit(&mut self, mut plan: Plan) -> Outcome {
        let by = plan.by;
        let feature = plan.feature;
        let actor = self.members[by].stack;
        let own = |e: &dyn std::error::Error| failure(feature, actor, actor, e);
        let mut changes = std::mem::take(&mut plan.changes);
        for joiner in &mut plan.joiners {
            let made = joiner.member.key_package();
            let made = made.map_err(|e| failure(feature, joiner.stack, joiner.stack, &*e))?;
            changes.push(Change::Add(made));
        }

        let leaves: Vec<Option<u32>> =
            plan.removes.iter().map(|&gone| self.leaf(&self.members[gone].name)).collect();
        changes.extend(leaves.into_iter().flatten().map(Change::Remove));
        self.dice.shuffle(&mut changes);
        self.log.push(format!(
            "{} commits {} ({feature}), {:?}",
            self.members[by].name,
            list(&changes),
            plan.how
        ));
        let made = self.members[by].member.commit(&changes, plan.how);
        let made = made.map_err(|e| own(&*e))?;
        let mut joiners = plan.joiners;
        joiners.append(&mut plan.waiting);
        let gone = plan.removes.iter().chain(&plan.removes_by_reference);
        let gone: Vec<String> = gone.map(|&place| self.members[place].name.clone()).collect();
        let expect = |slot: &Slot| {
            if gone.contains(&slot.name) { Received::Removed } else { Received::Epoch }
        };

        self.deliver(&made.commit, (feature, actor), &[by], expect)?;
        let accepted = self.members[by].member.accept();
        accepted.map_err(|e| own(&*e))?;

        let name = self.members[by].name.clone();
        let mut features = plan.along;
        features.push(feature);
        features.push(if plan.how.private {
            Feature::CommitPrivate
        } else {
            Feature::CommitPublic
        });
        let removed = if joiners.is_empty() { Feature::Removed } else { Feature::RemovedReplaced };
        for slot in self.members.iter().filter(|slot| gone.contains(&slot.name)) {
            self.tally.passed(removed, actor, slot.stack, self.suite);
        }

        self.members.retain(|slot| !gone.contains(&slot.name));
        let receivers: Vec<Stack> = self.others(&name);

        let by = self.place(&name);
        let welcome = if plan.how.tree { Feature::Welcome } else { Feature::WelcomeTreeApart };
        let mut joined = Vec::new();
        for mut joiner in joiners {
            joiner.tell(&self.psks)?;
            let message = made.welcome.as_ref().ok_or("no Welcome".into());
            let message: Result<&Vec<u8>> = message;
            let message = message.map_err(|e| own(&*e))?;
            let tree = if plan.how.tree {
                None
            } else {
                let tree = self.members[by].member.tree();
                Some(tree.map_err(|e| own(&*e))?)
            };
            let entered = joiner.member.join(message, tree.as_deref());
            entered.map_err(|e| failure(welcome, actor, joiner.stack, &*e))?;
            joiner.since = self.view.epoch + 1;
            joined.push(joiner.stack);
            self.members.push(joiner);
        }

        self.agree(feature, by)?;
        for receiver in receivers {
            for &feature in &features {
                self.tally.passed(feature, actor, receiver, self.suite);
            }
        }

        for joiner in joined {
            self.tally.passed(welcome, actor, joiner, self.suite);
        }
        Ok(())
    }

    /// The place of a member.
    pub fn place(&self, name: &str) -> usize {
        self.members.iter().position(|slot| slot.name == name).unwrap_or_default()
    }

    /// The stacks of all other members.
    pub fn others(&self, name: &str) -> Vec<Stack> {
        self.members.iter().filter(|slot| slot.name != name).map(|slot| slot.stack).collect()
    }

    /// A member of each stack sends messages; all others read them, some out of order, some in a later epoch.
    pub fn chatter(&mut self) -> Outcome {
        self.late_letters()?;
        let mut letters = Vec::new();
        for stack in self.stacks.clone() {
            let Some(&place) = self.dice.pick(&self.of_stack(stack)) else { continue };
            for _ in 0..=self.dice.below(3) {
                letters.push(self.write(place)?);
            }
        }

        let mut kept = Vec::new();
        letters.retain_mut(|letter| {
            let late = self.dice.one_in(4) && self.allowed(Feature::Late, letter.stack);
            if late {
                kept.push(std::mem::replace(letter, Letter::empty(letter.stack)));
            }
            !late
        });

        for place in 0..self.members.len() {
            let mut order: Vec<usize> = (0..letters.len()).collect();
            self.dice.shuffle(&mut order);
            let mut newest: Vec<usize> = Vec::new();
            for number in order {
                // Out of order if a later message from the same sender was read before.
                let letter = &letters[number];
                let late = newest.iter().any(|&n| n > number && letters[n].from == letter.from);
                newest.push(number);
                let feature = if late { Feature::OutOfOrder } else { Feature::Message };
                self.read(place, letter, feature)?;
            }
        }

        self.letters.append(&mut kept);
        Ok(())
    }

    fn write(&mut self, place: usize) -> Outcome<Letter> {
        let length = self.dice.below(300);
        let aad = self.dice.below(20);
        let data = self.dice.bytes(length);
        let authenticated_data = self.dice.bytes(aad);
        self.write_data(place, data, authenticated_data)
    }

    fn write_data(
        &mut self,
        place: usize,
        data: Vec<u8>,
        mut authenticated_data: Vec<u8>,
    ) -> Outcome<Letter> {
        let safe = self.has_safe_aad();
        if safe {
            authenticated_data = safe_aad(&authenticated_data);
        }
        let leaf = self.leaf(&self.members[place].name);
        let slot = &mut self.members[place];
        let sent = slot.member.send(&data, &authenticated_data);
        let message = sent.map_err(|e| failure(Feature::Message, slot.stack, slot.stack, &*e))?;
        let from = slot.name.clone();
        let stack = slot.stack;
        let epoch = self.view.epoch;
        Ok(Letter { from, stack, leaf, epoch, data, safe, authenticated_data, message })
    }

    fn read(&mut self, place: usize, letter: &Letter, feature: Feature) -> Outcome {
        let slot = &mut self.members[place];
        if slot.name == letter.from || slot.since > letter.epoch {
            return Ok(());
        }

        let actor = letter.stack;
        let receiver = slot.stack;
        let received = slot.member.receive(&letter.message);
        match received.map_err(|e| failure(feature, actor, receiver, &*e))? {
            Received::Data { data, authenticated_data }
                if data == letter.data
                    && authenticated_data
                        .as_ref()
                        .is_none_or(|aad| *aad == letter.authenticated_data) => {}
            other => {
                let reason = format!("read something else: {other:?}");
                return Err(Failure { feature, actor, receiver, reason });
            }
        }

        self.tally.messages += 1;
        self.tally.passed(feature, actor, receiver, self.suite);
        if letter.safe {
            self.tally.passed(Feature::SafeAad, actor, receiver, self.suite);
        }
        Ok(())
    }

    /// Delivers messages held back in past epochs: all from two epochs ago, half of those from the last.
    pub fn late_letters(&mut self) -> Outcome {
        let now = self.view.epoch;
        let mut due = Vec::new();
        let mut wait = Vec::new();
        for letter in std::mem::take(&mut self.letters) {
            let age = now - letter.epoch;
            if age >= 2 || age == 1 && self.dice.one_in(2) {
                due.push(letter);
            } else {
                wait.push(letter);
            }
        }

        self.letters = wait;
        for letter in due {
            let stays = letter.leaf.is_some() && self.leaf(&letter.from) == letter.leaf;
            let feature = match stays {
                _ if self.has_safe_aad() && !letter.safe => Feature::LateSafeAad,
                true => Feature::Late,
                false => Feature::LateLeft,
            };
            for place in 0..self.members.len() {
                let stack = self.members[place].stack;
                if self.allowed_to(feature, letter.stack, stack) {
                    self.read(place, &letter, feature)?;
                }
            }
        }
        Ok(())
    }

    /// A member sends a message that the others read only in a later epoch.
    pub fn write_late(&mut self, place: usize) -> Outcome {
        let letter = self.write(place)?;
        self.letters.push(letter);
        Ok(())
    }

    /// The same, without authenticated data.
    pub fn write_late_plain(&mut self, place: usize) -> Outcome {
        let letter = self.write_data(place, b"plain".to_vec(), Vec::new())?;
        self.letters.push(letter);
        Ok(())
    }

    /// Delivers all messages held back in past epochs.
    pub fn all_letters(&mut self) -> Outcome {
        while self.letters.iter().any(|letter| letter.epoch < self.view.epoch) {
            self.late_letters()?;
        }
        Ok(())
    }

    /// Drops held-back messages when another group takes this one's place.
    pub fn forget_letters(&mut self) {
        self.letters.clear();
    }

    /// Extensions for a GroupContext: one of a private type and, if `listed`, one that requires that type.
    /// The dictionary of components stays as it is.
    pub fn new_extensions(&mut self, listed: bool) -> Vec<Extension> {
        let length = 1 + self.dice.below(20);
        let topic = Extension { kind: crate::member::TOPIC, data: self.dice.bytes(length) };
        let mut list = vec![topic];
        if listed {
            list.push(self.required_capabilities());
        }
        list.extend(self.dictionary());
        list
    }

    /// The dictionary of components, if there is one, with what OpenMLS wants for it; otherwise nothing.
    pub fn cleared_extensions(&mut self) -> Vec<Extension> {
        let Some(dictionary) = self.dictionary() else { return Vec::new() };
        vec![self.required_capabilities(), dictionary]
    }

    fn required_capabilities(&mut self) -> Extension {
        // required_capabilities: extension types, proposal types, credential types.
        let [high, low] = crate::member::TOPIC.to_be_bytes();
        let data = match self.suite {
            // The dictionary, and AppDataUpdate, AppEphemeral and SelfRemove.
            Suite::Extended(_) if self.dice.one_in(2) => {
                vec![4, high, low, 0, 6, 6, 0, 8, 0, 9, 0, 10, 2, 0, 1]
            }
            Suite::Extended(_) => vec![4, high, low, 0, 6, 0, 2, 0, 1],
            _ => vec![2, high, low, 0, 2, 0, 1],
        };
        Extension { kind: 3, data }
    }

    /// The dictionary of components, if the group has one.
    pub fn dictionary(&self) -> Option<Extension> {
        self.view.extensions.iter().find(|e| e.kind == DICTIONARY).cloned()
    }

    /// Whether the group's dictionary has data of a component.
    pub fn has_data(&self, component: u16) -> bool {
        use conclave_mls::component::{AppDataDictionary, ComponentId, Decode};
        let dictionary =
            self.dictionary().and_then(|e| AppDataDictionary::from_bytes(&e.data).ok());
        dictionary.is_some_and(|dictionary| dictionary.get(ComponentId(component)).is_some())
    }

    /// Whether all authenticated data is a SafeAAD.
    pub fn has_safe_aad(&self) -> bool {
        self.has_data(SAFE_AAD)
    }

    /// An epoch whose resumption PSK all members have: the current one or one of the two before.
    pub fn resumable(&mut self) -> u64 {
        let since = self.members.iter().map(|slot| slot.since).max().unwrap_or_default();
        let now = self.view.epoch;
        let back = self.dice.below(3) as u64;
        now.saturating_sub(back).max(since).min(now)
    }
}

impl Slot {
    fn tell(&mut self, psks: &[(Vec<u8>, Vec<u8>)]) -> Outcome {
        for (id, secret) in psks.get(self.told..).unwrap_or_default() {
            let told = self.member.know_psk(id, secret);
            told.map_err(|e| failure(Feature::CommitExternalPsk, self.stack, self.stack, &*e))?;
        }
        self.told = psks.len();
        Ok(())
    }
}

impl Letter {
    fn empty(stack: Stack) -> Self {
        let data = Vec::new();
        let authenticated_data = Vec::new();
        let message = Vec::new();
        let from = String::new();
        let leaf = None;
        let epoch = 0;
        let safe = false;
        Self { from, stack, leaf, epoch, data, safe, authenticated_data, message }
    }
}

/// The plan of a commit.
pub struct Plan {
    /// The committer's place.
    pub by: usize,
    /// What the commit is made for.
    pub feature: Feature,
    /// What else it shows.
    pub along: Vec<Feature>,
    /// Proposals by value, apart from adds and removes.
    pub changes: Vec<Change>,
    /// The clients added by value.
    pub joiners: Vec<Slot>,
    /// The clients whose addition was proposed before.
    pub waiting: Vec<Slot>,
    /// The members removed by value.
    pub removes: Vec<usize>,
    /// The members whose removal was proposed before.
    pub removes_by_reference: Vec<usize>,
    /// How it is framed.
    pub how: How,
}

impl Plan {
    /// An empty commit.
    pub fn new(by: usize, feature: Feature) -> Self {
        Self {
            by,
            feature,
            along: Vec::new(),
            changes: Vec::new(),
            joiners: Vec::new(),
            waiting: Vec::new(),
            removes: Vec::new(),
            removes_by_reference: Vec::new(),
            how: How { private: false, path: false, tree: true },
        }
    }
}

/// A SafeAAD with one item for some data, and none for no data.
fn safe_aad(data: &[u8]) -> Vec<u8> {
    use conclave_mls::component::{ComponentId, Encode, SafeAad};
    let mut aad = SafeAad::default();
    if !data.is_empty() {
        aad = aad.with(ComponentId(REPLACES), data);
    }
    aad.to_bytes().unwrap_or_default()
}

/// Changes without their bytes.
pub fn list(changes: &[Change]) -> String {
    let one = |change: &Change| match change {
        Change::Add(_) => "add".to_owned(),
        Change::Remove(leaf) => format!("remove {leaf}"),
        Change::Update => "update".to_owned(),
        Change::ExternalPsk(_) => "external PSK".to_owned(),
        Change::ResumptionPsk(epoch) => format!("resumption PSK of {epoch}"),
        Change::Extensions(list) => {
            format!("extensions {:?}", list.iter().map(|e| e.kind).collect::<Vec<_>>())
        }
        Change::ReInit(next) => format!("reinit into suite {}", next.suite),
        Change::SelfRemove => "self remove".to_owned(),
        Change::AppData(component, _) => format!("data of {component:#x}"),
        Change::AppDataRemoval(component) => format!("no data of {component:#x}"),
        Change::Ephemeral(component, _) => format!("ephemeral data of {component:#x}"),
        Change::ApplicationPsk(_) => "application PSK".to_owned(),
    };

    let all: Vec<String> = changes.iter().map(one).collect();
    format!("[{}]", all.join(", "))
}

fn differ(a: &View, b: &View) -> String {
    let mut what = Vec::new();
    if a.epoch != b.epoch {
        what.push(format!("epoch {} and {}", a.epoch, b.epoch));
    }

    if a.roster != b.roster {
        what.push("the roster".to_owned());
    }

    if a.extensions != b.extensions {
        what.push("the extensions".to_owned());
    }

    if a.authenticator != b.authenticator {
        what.push("the epoch authenticator".to_owned());
    }

    if a.exported != b.exported {
        what.push("the exported secret".to_owned());
    }

    what.join(", ")
}
