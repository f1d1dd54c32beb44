//! A random script: a group that grows, shrinks and exchanges messages for many epochs, by all kinds of
//! proposals, and ends in a branch and a successor. It is a function of its seed.

use super::script::Script;
use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A random script with a number of commits, in a group of limited size.
///
/// # Errors
/// If the script cannot be parsed, which would be a bug.
pub fn deep_random(seed: u64, commits: u32, members: usize) -> Result<Script, String> {
    let mut world = World::new(seed, members.max(3));
    for _ in 0..commits {
        world.round();
    }
    world.end();
    let script = Script::new("random", &world.steps)?;
    Ok(Script { note: format!("seed {seed}, "), ..script })
}

/// The group that the script has built so far.
struct World {
    rng: ChaCha20Rng,
    steps: Vec<Value>,
    most: usize,
    people: u32,
    epoch: u64,
    members: Vec<String>,
    /// The epoch in which each member joined: it has the resumption PSKs from then on.
    since: BTreeMap<String, u64>,
    signers: Vec<String>,
    /// Messages that some member has not read yet.
    unread: Vec<(usize, String)>,
}

/// A commit in the making.
#[derive(Default)]
struct Draft {
    committer: String,
    leavers: BTreeSet<String>,
    updaters: BTreeSet<String>,
    joiners: Vec<String>,
    by_reference: Vec<usize>,
    by_value: Vec<Value>,
    /// The external senders from the next epoch on, if they change.
    signers: Option<Vec<String>>,
}

impl World {
    fn new(seed: u64, most: usize) -> Self {
        let first = "a0".to_owned();
        let others = ["a1", "a2"].map(str::to_owned);
        let create = json!({"action": "createGroup", "actor": first, "members": others});
        let members: Vec<String> = [first].into_iter().chain(others).collect();
        let since = members.iter().map(|who| (who.clone(), 1)).collect();
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            steps: vec![create],
            most,
            people: 3,
            epoch: 1,
            members,
            since,
            signers: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// A number below `n`; 0 if `n` is 0.
    fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.rng.next_u64() % n).unwrap_or_default()
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn one_of(&mut self, people: &[String]) -> String {
        let place = self.below(people.len());
        people.get(place).cloned().unwrap_or_default()
    }

    fn anybody(&mut self) -> String {
        let members = self.members.clone();
        self.one_of(&members)
    }

    fn push(&mut self, step: Value) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    fn newcomer(&mut self) -> String {
        let name = format!("a{}", self.people);
        self.people += 1;
        name
    }

    fn others(&self, without: &[&str]) -> Vec<String> {
        let kept = self.members.iter().filter(|who| !without.contains(&who.as_str()));
        kept.cloned().collect()
    }

    /// Some messages, a step into the next epoch, and messages that are read late.
    fn round(&mut self) {
        self.talk();
        match self.below(8) {
            0 if self.members.len() < self.most => self.join_from_outside(),
            1 => self.come_back(),
            _ => self.commit(),
        }
        self.read_late();
        if self.once_in(3) {
            self.agree();
        }
    }

    fn agree(&mut self) {
        self.push(json!({"action": "agree", "members": self.members}));
    }

    fn talk(&mut self) {
        for _ in 0..self.below(4) {
            let who = self.anybody();
            let text = format!("{} bytes", self.rng.next_u32());
            let data = if self.once_in(2) { "seen by all" } else { "" };
            let step = self.push(json!({
                "action": "protect", "actor": who, "plaintext": text, "authenticatedData": data
            }));
            let readers = self.others(&[&who]);
            self.unread.extend(readers.into_iter().map(|reader| (step, reader)));
        }

        for _ in 0..self.unread.len() / 2 {
            self.read_one();
        }
    }

    fn read_late(&mut self) {
        for _ in 0..self.unread.len() / 3 {
            self.read_one();
        }
    }

    /// A member reads messages, in random order.
    fn read_one(&mut self) {
        let place = self.below(self.unread.len());
        if place < self.unread.len() {
            let (ciphertext, who) = self.unread.swap_remove(place);
            self.push(json!({"action": "unprotect", "actor": who, "ciphertext": ciphertext}));
        }
    }

    /// A new PSK that some members know.
    fn psk(&mut self, people: &[String]) -> usize {
        self.push(json!({"action": "installExternalPSK", "clients": people}))
    }

    fn join_from_outside(&mut self) {
        let joiner = self.newcomer();
        let adder = self.anybody();
        let mut psks = Vec::new();
        if self.once_in(2) {
            let members = self.members.clone();
            psks.push(self.psk(&members));
        }

        let members = self.others(&[&adder]);
        self.push(json!({
            "action": "externalJoin", "actor": adder, "joiner": joiner, "members": members,
            "psks": psks
        }));
        self.epoch += 1;
        self.since.insert(joiner.clone(), self.epoch);
        self.members.push(joiner);
    }

    /// A member joins again in place of its old leaf.
    fn come_back(&mut self) {
        let joiner = self.anybody();
        let others = self.others(&[&joiner]);
        let adder = self.one_of(&others);
        let members = self.others(&[&joiner, &adder]);
        self.push(json!({
            "action": "externalJoin", "actor": adder, "joiner": joiner, "members": members,
            "removePrior": true
        }));
        self.epoch += 1;
        self.unread.retain(|(_, reader)| *reader != joiner);
        self.since.insert(joiner, self.epoch);
    }

    fn commit(&mut self) {
        let mut draft = Draft { committer: self.anybody(), ..Draft::default() };
        self.adds(&mut draft);
        self.removes(&mut draft);
        self.updates(&mut draft);
        self.psks(&mut draft);
        self.extensions(&mut draft);
        if self.once_in(6) {
            // A commit by another member, which loses.
            let others = self.others(&[&draft.committer]);
            let loser = self.one_of(&others);
            self.push(json!({"action": "commit", "actor": loser, "force_path": true}));
        }

        let gone = |who: &String| draft.leavers.contains(who);
        let staying: Vec<String> = self.members.iter().filter(|who| !gone(who)).cloned().collect();
        let others: Vec<_> = staying.iter().filter(|who| **who != draft.committer).collect();
        let force_path = self.once_in(2);
        self.push(json!({
            "action": "fullCommit", "actor": draft.committer, "byReference": draft.by_reference,
            "byValue": draft.by_value, "members": others, "joiners": draft.joiners,
            "force_path": force_path
        }));
        self.epoch += 1;
        self.unread.retain(|(_, reader)| !draft.leavers.contains(reader));
        self.members = staying;
        for joiner in draft.joiners {
            self.since.insert(joiner.clone(), self.epoch);
            self.members.push(joiner);
        }

        if let Some(signers) = draft.signers {
            self.signers = signers;
        }
    }

    /// Places a proposal in a random way: by value, by a member, or by an external signer.
    fn place(&mut self, draft: &mut Draft, description: Value, member: Value) {
        let way = self.below(3);
        if way == 0 {
            draft.by_value.push(description);
            return;
        }

        let signers = self.signers.clone();
        let step = if way == 1 && !signers.is_empty() {
            let signer = self.one_of(&signers);
            let member = self.anybody();
            self.push(json!({
                "action": "externalSignerProposal", "actor": signer, "member": member,
                "description": description
            }))
        } else {
            let mut step = member;
            let who = self.anybody();
            if let Some(fields) = step.as_object_mut() {
                fields.insert("actor".to_owned(), who.into());
            }
            self.push(step)
        };

        draft.by_reference.push(step);
    }

    fn adds(&mut self, draft: &mut Draft) {
        let room = self.most.saturating_sub(self.members.len());
        for _ in 0..self.below(room.min(3) + 1) {
            let joiner = self.newcomer();
            if self.once_in(4) {
                let member = self.anybody();
                let step = self.push(json!({
                    "action": "newMemberAddProposal", "actor": member, "joiner": joiner
                }));
                draft.by_reference.push(step);
            } else {
                let step = self.push(json!({"action": "createKeyPackage", "actor": joiner}));
                let description = json!({"proposalType": "add", "keyPackage": step});
                self.place(
                    draft,
                    description,
                    json!({"action": "addProposal", "keyPackage": step}),
                );
            }
            draft.joiners.push(joiner);
        }
    }

    fn removes(&mut self, draft: &mut Draft) {
        let surplus = self.members.len().saturating_sub(3);
        for _ in 0..self.below(surplus.min(3) + 1) {
            let who = self.anybody();
            if who == draft.committer || !draft.leavers.insert(who.clone()) {
                continue;
            }
            let description = json!({"proposalType": "remove", "removed": who});
            self.place(draft, description, json!({"action": "removeProposal", "removed": who}));
        }
    }

    fn updates(&mut self, draft: &mut Draft) {
        for _ in 0..self.below(4) {
            let who = self.anybody();
            let busy = who == draft.committer || draft.leavers.contains(&who);
            if !busy && draft.updaters.insert(who.clone()) {
                let step = self.push(json!({"action": "updateProposal", "actor": who}));
                draft.by_reference.push(step);
            }
        }
    }

    fn psks(&mut self, draft: &mut Draft) {
        for _ in 0..self.below(3) {
            let all: Vec<String> = self.members.iter().chain(&draft.joiners).cloned().collect();
            let psk = self.psk(&all);
            let description = json!({"proposalType": "externalPSK", "pskID": psk});
            self.place(draft, description, json!({"action": "externalPSKProposal", "pskID": psk}));
        }

        // New members have no resumption PSK of a past epoch.
        if draft.joiners.is_empty() && self.once_in(2) {
            let of = |who: &String| self.since.get(who).copied();
            let first = self.members.iter().filter_map(of).max().unwrap_or(self.epoch);
            let age = usize::try_from(self.epoch - first).unwrap_or_default().min(20);
            let epoch = self.epoch - self.below(age + 1) as u64;
            let description = json!({"proposalType": "resumptionPSK", "epochID": epoch});
            let member = json!({"action": "resumptionPSKProposal", "epochID": epoch});
            self.place(draft, description, member);
        }
    }

    fn extensions(&mut self, draft: &mut Draft) {
        if !self.once_in(4) {
            return;
        }

        if self.signers.len() < 2 && !self.once_in(3) {
            let signer = self.newcomer();
            let member = self.anybody();
            let step = self.push(json!({
                "action": "addExternalSigner", "actor": member, "signer": signer
            }));
            draft.by_reference.push(step);
            let all = self.signers.iter().cloned().chain([signer]);
            draft.signers = Some(all.collect());
        } else {
            // Empty required capabilities, and no external senders any more.
            let extensions = json!([{"extension_type": 3, "extension_data": "AAAA"}]);
            let description =
                json!({"proposalType": "groupContextExtensions", "extensions": extensions});
            let member =
                json!({"action": "groupContextExtensionsProposal", "extensions": extensions});
            self.place(draft, description, member);
            draft.signers = Some(Vec::new());
        }
    }

    /// A branch with all members, and its successor.
    fn end(&mut self) {
        while !self.unread.is_empty() {
            self.read_one();
        }

        self.agree();
        let creator = self.anybody();
        let members = self.others(&[&creator]);
        let force_path = self.once_in(2);
        self.push(json!({
            "action": "branch", "actor": creator, "members": members, "force_path": force_path
        }));
        self.agree();
        let [proposer, committer, welcomer] = [(); 3].map(|()| self.anybody());
        let force_path = self.once_in(2);
        self.push(json!({
            "action": "reinit", "proposer": proposer, "committer": committer,
            "welcomer": welcomer, "members": self.members, "changeCipherSuite": true,
            "changeGroupID": true, "forcePath": force_path,
            "extensions": [{"extension_type": 3, "extension_data": "AAAA"}]
        }));
        self.agree();
        self.talk();
        while !self.unread.is_empty() {
            self.read_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::deep_random;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_is_a_script_and_many_seeds_use_every_action() {
        let text = |seed| {
            let script = deep_random(seed, 20, 8).unwrap();
            script.steps.iter().map(|step| step.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        let actions: BTreeSet<String> = (0..10)
            .flat_map(|seed| deep_random(seed, 20, 8).unwrap().steps)
            .map(|step| step.action)
            .collect();
        // The other actions are parts of these: commits and joins step by step, and a GroupInfo.
        assert_eq!(actions.len(), 20, "{actions:?}");
    }
}
