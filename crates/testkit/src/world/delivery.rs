//! What the delivery service does: everybody gets what was sent, in any order, some of it late.

use super::*;
use crate::party::pending_id;

impl World {
    /// Opens the group to an observer, if it can follow.
    pub(super) fn watch(&mut self) {
        self.watcher = None;
        if self.params.encrypt {
            return;
        }
        let peer = &self.peers[0];
        let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        let info = peer.group.group_info(&*peer.provider, options).expect("a GroupInfo");
        let stage = ObserverStage::open(&*peer.provider, Config::default(), &info, None)
            .expect("an observer");
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let observer = stage.resolve(&verdicts).expect("accepted");
        self.watcher = Some(Watcher::of(observer));
    }

    pub(super) fn known_psks(&self) -> Vec<(PskType, Secret)> {
        let external = |id: &Vec<u8>| PskType::External { psk_id: id.as_slice().into() };
        self.psks.iter().map(|(id, psk)| (external(id), psk.clone())).collect()
    }

    pub(super) fn observe(&mut self, message: &[u8]) {
        let provider = provider_for(self.suite, true);
        let Some(watcher) = &mut self.watcher else { return };
        let step = watcher.probe(&*provider, message).expect("the observer follows");
        watcher.take(step);
    }

    /// The members in random order.
    pub(super) fn shuffled(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.peers.len()).collect();
        for i in (1..order.len()).rev() {
            let j = self.below(i + 1);
            order.swap(i, j);
        }
        order
    }

    /// Sends a proposal to everybody.
    pub(super) fn spread_proposal(&mut self, sender: Option<usize>, message: &[u8]) {
        self.harass_somebody(sender, message);
        let now = self.now;
        for i in self.shuffled() {
            self.peers[i].receive(now, message, &[]);
        }
        self.observe(message);
        self.hostile.archive.keep(message);
    }

    pub(super) fn propose(&mut self, i: usize, proposal: NewProposal) {
        let framing = self.framing();
        let peer = &mut self.peers[i];
        let step = peer.group.propose(&*peer.provider, &mut self.rng, self.now, proposal, &framing);
        let Event::Proposal { message, .. } = peer.take(step.expect("a proposal")) else {
            panic!("no proposal")
        };
        peer.past.sent(&message);
        self.spread_proposal(Some(i), &message);
    }

    /// Lets a member commit and everybody follow. Returns the messages.
    pub(super) fn commit(&mut self, i: usize, mut options: CommitOptions) -> CommitMessages {
        options.framing = self.framing();
        options.psks = self.known_psks();
        options.force_path |= self.chance(20);
        options.welcome_ratchet_tree = self.chance(50);
        options.welcome_recipients = if self.chance(50) { usize::MAX } else { 1 };
        options.group_info =
            self.chance(50).then_some(GroupInfoOptions { ratchet_tree: false, external_pub: true });
        let peer = &mut self.peers[i];
        let step = peer.group.commit(&*peer.provider, &mut self.rng, self.now, options);
        let step = step.unwrap_or_else(|e| panic!("{}: {e}", peer.name));
        let Event::Commit(messages) = peer.take(step) else { panic!("no commit") };
        self.spread_commit(i, &messages);
        messages
    }

    pub(super) fn spread_commit(&mut self, committer: usize, messages: &CommitMessages) {
        let (now, psks) = (self.now, self.known_psks());
        let rival = self.chance(15).then(|| self.some_peer()).filter(|r| *r != committer);
        if let Some(rival) = rival {
            self.rival_commit(rival);
        }
        self.harass_somebody(Some(committer), &messages.commit);
        for i in self.shuffled() {
            if i == committer {
                if self.chance(30) {
                    // It crashed before it heard the verdict.
                    self.peers[i].reload();
                    assert_eq!(self.peers[i].group.pending_commit(), Some(messages));
                }
                if self.chance(50) {
                    let provider = &*self.peers[i].provider;
                    let step = self.peers[i]
                        .group
                        .commit_accepted(provider, now, &pending_id(&self.peers[i].group))
                        .expect("own");
                    self.peers[i].take(step);
                    continue;
                }
            }
            let event = self.peers[i].receive(now, &messages.commit, &psks);
            match event {
                Some(Event::Epoch(change)) => {
                    assert_eq!(change.own, i == committer);
                    assert_eq!(change.discarded_own_commit, Some(i) == rival);
                }
                // The order of the world is that of the delivery service: it is true.
                Some(Event::Removal(_)) => {
                    let step = self.peers[i].group.delete().expect("a member");
                    self.peers[i].take(step);
                }
                other => panic!("no new epoch: {other:?}"),
            }
        }
        self.observe(&messages.commit);
        self.hostile.archive.keep(&messages.commit);
        if let (Some(info), Some(watcher)) = (&messages.group_info, &mut self.watcher) {
            let provider = provider_for(self.suite, true);
            let step = watcher.observer.take_group_info(&*provider, info).expect("a member's");
            watcher.take(step);
        }
        for peer in &self.peers {
            if peer.group.status() == Status::Deleted {
                assert!(peer.rows.is_empty(), "{}: removed, and rows are left", peer.name);
            }
        }
        self.peers.retain(|peer| peer.group.status() != Status::Deleted);
    }

    /// A commit by another member for the same epoch, which loses.
    pub(super) fn rival_commit(&mut self, i: usize) {
        self.count("rival commit");
        let options = CommitOptions { framing: self.framing(), ..CommitOptions::default() };
        let options = CommitOptions { psks: self.known_psks(), ..options };
        let peer = &mut self.peers[i];
        let step =
            peer.group.commit(&*peer.provider, &mut self.rng, self.now, options).expect("a commit");
        let Event::Commit(messages) = peer.take(step) else { panic!("no commit") };
        peer.past.gave_up(&messages.commit);
    }

    /// Lets the owners of key packages join by the Welcomes of a commit.
    pub(super) fn welcome(
        &mut self,
        messages: &CommitMessages,
        joiners: Vec<(String, Box<dyn CryptoProvider>, OwnKeyPackage)>,
        tree: &[u8],
    ) {
        let psks = self.joiner_psks();
        for (name, provider, own) in joiners {
            let welcome = messages
                .welcomes
                .iter()
                .find(|welcome| welcome.recipients.contains(own.reference()))
                .expect("a Welcome for everybody");
            self.hostile.archive.keep(&welcome.message);
            self.spoil_welcome(&*provider, &own, &welcome.message, tree);
            let stage = WelcomeStage::open(&*provider, self.config.clone(), &welcome.message, &own)
                .expect("for it");
            let join = stage
                .join(&*provider, &psks, Some(tree), None)
                .unwrap_or_else(|e| panic!("{name} cannot join: {e}"));
            let verdicts = vec![Verdict::Accept; join.credentials().len()];
            let new = join.resolve(&verdicts).expect("accepted");
            self.settle(name, provider, new);
        }
    }

    /// External PSKs, and the resumption PSKs that an old member tells a new one.
    pub(super) fn joiner_psks(&self) -> Vec<(PskType, Secret)> {
        let mut psks = self.known_psks();
        let group = &self.peers[0].group;
        let now = group.epoch().0;
        for epoch in (now.saturating_sub(4)..=now).map(Epoch) {
            let from = self.peers.iter().find_map(|peer| peer.group.resumption_psk(epoch));
            if let Some(psk) = from {
                let psktype = PskType::Resumption {
                    usage: conclave_wire::ResumptionPskUsage::Application,
                    psk_group_id: group.group_id().clone(),
                    psk_epoch: epoch,
                };
                psks.push((psktype, psk.as_secret().clone()));
            }
        }
        psks
    }

    pub(super) fn tree_bytes(&self) -> Vec<u8> {
        self.peers[0].group.tree().to_extension_bytes().expect("a tree")
    }

    /// Delivers some of what was held back, in any order; some of it twice.
    pub(super) fn deliver_late(&mut self) {
        for i in 0..self.peers.len() {
            while !self.peers[i].held.is_empty() && self.chance(60) {
                let at = self.below(self.peers[i].held.len());
                let held = self.peers[i].held.swap_remove(at);
                self.deliver_held(i, &held);
            }
        }
    }

    pub(super) fn deliver_held(&mut self, i: usize, held: &Held) {
        let now = self.now;
        if self.hostile.rng.one_in(3) {
            let sender = self.peers.iter().position(|p| p.group.own_leaf() == held.sender);
            self.harass(i, sender, &held.message);
            self.answer_badly(i, &held.message);
        }
        let twice = self.chance(20);
        let peer = &mut self.peers[i];
        if peer.group.epoch().0 - held.epoch.0 > self.config.limits.past_epochs as u64 {
            let refused = peer.group.process(&*peer.provider, now, &held.message);
            let error = refused.expect_err("too old").error;
            assert!(matches!(error, Error::Rejected(Rejection::WrongEpoch { .. })), "{error}");
            *self.counts.entry("message too late").or_default() += 1;
            return;
        }
        let event = peer.receive(now, &held.message, &[]);
        let Some(Event::Application(read)) = event else { panic!("no message: {event:?}") };
        assert_eq!((read.epoch, read.sender.index), (held.epoch, held.sender));
        assert_eq!(read.data, held.data);
        peer.past.read(&held.message);
        *self.counts.entry("message read").or_default() += 1;
        if twice {
            peer.reload();
            let refused = peer.group.process(&*peer.provider, now, &held.message);
            let error = refused.expect_err("a replay").error;
            let gone =
                matches!(error, Error::Rejected(Rejection::Ratchet(RatchetError::KeyGone { .. })));
            assert!(gone, "{error}");
            *self.counts.entry("replay refused").or_default() += 1;
        }
    }
}
