//! The delivery service: every member receives what was sent, in any order, some of it late.

use super::*;

impl World {
    /// Opens the group to an observer, if an observer can follow it.
    pub(super) fn watch(&mut self) {
        self.watcher = None;
        if self.params.encrypt {
            return;
        }
        let peer = &self.peers[0];
        let info = peer.group.group_info(peer.provider, ALL).expect("a GroupInfo");
        let observer = accepting::watch(peer.provider, Config::default(), &info);
        self.watcher = Some(Watcher::of(observer.expect("an observer")));
    }

    pub(super) fn known_psks(&self) -> Vec<(PskType, Secret)> {
        let external = |id: &Vec<u8>| PskType::External { psk_id: id.as_slice().into() };
        self.psks.iter().map(|(id, psk)| (external(id), psk.clone())).collect()
    }

    pub(super) fn observe(&mut self, message: &[u8]) {
        let provider = provider_for(self.suite, true);
        let Some(watcher) = &mut self.watcher else { return };
        let step = watcher.probe(provider, message).expect("the observer follows");
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

    // ── proposals ────────────────────────────────────────────────────────────────────────────

    /// Sends a proposal to all.
    pub(super) fn spread_proposal(&mut self, sender: Option<usize>, message: &[u8]) {
        self.harass_somebody(sender, message);
        for i in self.shuffled() {
            self.peers[i].receive(self.now, message, &[]);
        }
        self.observe(message);
        self.hostile.archive.keep(message);
    }

    pub(super) fn propose(&mut self, i: usize, proposal: NewProposal) {
        let framing = self.framing();
        let message = self.peers[i].propose(&mut self.rng, self.now, proposal, &framing);
        self.peers[i].past.sent(&message);
        self.spread_proposal(Some(i), &message);
    }

    // ── commits ──────────────────────────────────────────────────────────────────────────────

    /// Lets a member commit and all follow. Returns the messages.
    pub(super) fn commit(&mut self, i: usize, mut options: CommitOptions) -> CommitMessages {
        options.framing = self.framing();
        options.psks = self.known_psks();
        options.force_path |= self.chance(20);
        options.welcome_ratchet_tree = self.chance(50);
        options.welcome_recipients = if self.chance(50) { usize::MAX } else { 1 };
        options.group_info =
            self.chance(50).then_some(GroupInfoOptions { ratchet_tree: false, external_pub: true });

        let messages = self.peers[i].commit(&mut self.rng, self.now, options);
        self.spread_commit(i, &messages);
        messages
    }

    pub(super) fn spread_commit(&mut self, committer: usize, messages: &CommitMessages) {
        let rival = self.chance(15).then(|| self.some_peer()).filter(|r| *r != committer);
        if let Some(rival) = rival {
            self.rival_commit(rival);
        }
        self.harass_somebody(Some(committer), &messages.commit);

        for i in self.shuffled() {
            if i == committer && self.verdict(i, messages) {
                continue;
            }
            self.deliver_commit(i, committer, rival, &messages.commit);
        }
        self.observe(&messages.commit);
        self.hostile.archive.keep(&messages.commit);

        let provider = provider_for(self.suite, true);
        if let Some(info) = &messages.group_info {
            self.spoil_observed_info(provider, info);
        }
        if let (Some(info), Some(watcher)) = (&messages.group_info, &mut self.watcher) {
            let step = watcher.observer.take_group_info(provider, info).expect("a member's");
            watcher.take(step);
        }
        for peer in &self.peers {
            if peer.group.status() == Status::Deleted {
                assert!(peer.rows.is_empty(), "{}: removed, and rows are left", peer.name);
            }
        }
        self.peers.retain(|peer| peer.group.status() != Status::Deleted);
    }

    /// Gives the committer its verdict, perhaps after a crash. If not, it gets its own commit back.
    fn verdict(&mut self, committer: usize, messages: &CommitMessages) -> bool {
        if self.chance(30) {
            self.peers[committer].reload();
            assert_eq!(self.peers[committer].group.pending_commit(), Some(messages));
        }
        let verdict = self.chance(50);
        if verdict {
            self.peers[committer].accepted(self.now);
        }
        verdict
    }

    fn deliver_commit(&mut self, i: usize, committer: usize, rival: Option<usize>, commit: &[u8]) {
        let psks = self.known_psks();
        match self.peers[i].receive(self.now, commit, &psks) {
            Some(Event::Epoch(change)) => {
                assert_eq!(change.own, i == committer);
                assert_eq!(change.discarded_own_commit, Some(i) == rival);
            }
            // The world's order is the delivery service's, so this commit is the epoch's.
            Some(Event::Removal(_)) => {
                let step = self.peers[i].group.delete().expect("a member");
                self.peers[i].take(step);
            }
            other => panic!("no new epoch: {other:?}"),
        }
    }

    /// A commit by another member for the same epoch, which loses.
    pub(super) fn rival_commit(&mut self, i: usize) {
        self.count("rival commit");
        let options = CommitOptions { framing: self.framing(), ..CommitOptions::default() };
        let options = CommitOptions { psks: self.known_psks(), ..options };
        let messages = self.peers[i].commit(&mut self.rng, self.now, options);
        self.peers[i].past.gave_up(&messages.commit);
    }

    // ── Welcomes ─────────────────────────────────────────────────────────────────────────────

    /// Lets the owners of key packages join by the Welcomes of a commit.
    pub(super) fn welcome(&mut self, messages: &CommitMessages, joiners: Vec<Joiner>, tree: &[u8]) {
        let psks = self.joiner_psks();
        for Joiner { name, provider, own } in joiners {
            let welcome = messages
                .welcomes
                .iter()
                .find(|welcome| welcome.recipients.contains(own.reference()))
                .expect("a Welcome for each");
            self.hostile.archive.keep(&welcome.message);
            self.spoil_welcome(provider, &own, &welcome.message, tree);

            let config = self.config.clone();
            let psks = accepting::known(&psks);
            let new =
                accepting::join(provider, config, &welcome.message, &own, psks, Some(tree), None)
                    .unwrap_or_else(|error| panic!("{name} cannot join: {error}"));
            self.settle(name, provider, new);
        }
    }

    /// The external PSKs, and the resumption PSKs that an old member gives a new one.
    pub(super) fn joiner_psks(&self) -> Vec<(PskType, Secret)> {
        let mut psks = self.known_psks();
        let group = &self.peers[0].group;
        let now = group.epoch().0;
        for epoch in (now.saturating_sub(4)..=now).map(Epoch) {
            let from = self.peers.iter().find_map(|peer| peer.group.resumption_psk(epoch));
            if let Some(psk) = from {
                let psktype = PskType::Resumption {
                    usage: ResumptionPskUsage::Application,
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

    // ── application messages ─────────────────────────────────────────────────────────────────

    /// Delivers some of the messages that were held back, in any order; some of them twice.
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
        if held.targeted || self.hostile.rng.one_in(3) {
            let sender = self.peers.iter().position(|p| p.group.own_leaf() == held.sender);
            self.harass(i, sender, &held.message);
            self.answer_badly(i, &held.message);
        }

        let twice = self.chance(20);
        let peer = &mut self.peers[i];
        if peer.group.epoch().0 - held.epoch.0 > self.config.limits.past_epochs as u64 {
            let refused = peer.group.process(peer.provider, now, &held.message);
            let error = refused.expect_err("too old").error;
            assert!(matches!(error, Error::Rejected(Rejection::WrongEpoch { .. })), "{error}");
            self.count("message too late");
            return;
        }

        let event = peer.receive(now, &held.message, &[]);
        let (epoch, sender, data) = match event {
            Some(Event::Application(read)) if !held.targeted => {
                (read.epoch, read.sender.index, read.data)
            }
            Some(Event::Targeted(read)) if held.targeted => {
                (read.epoch, read.sender.index, read.data)
            }
            other => panic!("no message: {other:?}"),
        };
        assert_eq!((epoch, sender), (held.epoch, held.sender));
        assert_eq!(data, held.data);
        peer.past.read(&held.message);
        self.count(if held.targeted { "targeted message read" } else { "message read" });

        if twice {
            let peer = &mut self.peers[i];
            peer.reload();
            let refused = peer.group.process(peer.provider, now, &held.message);
            let error = refused.expect_err("a replay").error;
            let gone = match &error {
                Error::Rejected(Rejection::Ratchet(RatchetError::KeyGone { .. })) => !held.targeted,
                Error::Rejected(Rejection::ReplayedTargetedMessage) => held.targeted,
                _ => false,
            };
            assert!(gone, "{error}");
            self.count("replay refused");
        }
    }
}
