//! The steps within a group.

use super::*;

impl World {
    pub(super) fn random_step(&mut self) {
        self.step += 1;
        let pause = Duration::from_secs(1 + self.rng.next_u64() % 600);
        self.now = self.now.saturating_add(pause);

        let n = self.peers.len();
        let full = n >= self.params.max_members;
        match self.below(116) {
            0..12 if !full => self.add(),
            12..20 if !full => self.propose_add(),
            20..26 if n > 2 => self.remove(),
            26..32 if n > 2 => self.propose_remove(),
            32..40 => self.renew(),
            40..50 if n > 1 => self.propose_updates(),
            50..55 => self.inject_psk(),
            55..60 if !full => self.external_join(),
            60..63 if n > 1 => self.resync(),
            63..67 => self.change_extensions(),
            67..70 if !full => self.propose_from_outside(),
            70..73 if n > 1 => self.branch(),
            73..75 if n > 1 && n < 12 => self.reinitialize(),
            75..80 => self.reload(),
            80..84 if n > 1 => self.commit_is_rejected(),
            100..106 => self.update_components(),
            106..112 if n > 2 => self.leave(),
            112..116 => self.rewind(),
            84..90 if n > 1 => self.whisper(),
            _ => self.talk(),
        }

        self.deliver_late();
        self.check();
    }

    pub(super) fn add(&mut self) {
        self.count("add");
        let most = (self.params.max_members - self.peers.len()).min(5);
        let n = 1 + self.below(most);
        let joiners = self.joiners(n);
        let mut proposals: Vec<NewProposal> =
            joiners.iter().map(|joiner| self.add_of(&joiner.own)).collect();

        let committer = self.some_peer();
        if self.peers.len() > 2 && self.chance(20) {
            let removed = self.some_peer();
            if removed != committer {
                proposals.push(NewProposal::Remove(self.peers[removed].group.own_leaf()));
            }
        }

        let messages =
            self.commit(committer, CommitOptions { proposals, ..CommitOptions::default() });
        let tree = self.tree_bytes();
        self.welcome(&messages, joiners, &tree);
    }

    pub(super) fn propose_add(&mut self) {
        self.count("add by reference");
        let joiners = self.joiners(1);
        let add = self.add_of(&joiners[0].own);
        let proposer = self.some_peer();
        self.propose(proposer, add);
        self.commit_proposals(joiners);
    }

    /// Lets a member commit the pending proposals. Until then it cannot send data.
    pub(super) fn commit_proposals(&mut self, joiners: Vec<Joiner>) {
        let i = self.some_peer();
        let peer = &self.peers[i];
        let sent = peer.group.encrypt(peer.provider, &mut self.rng, b"", &Framing::default());
        assert_eq!(sent.err(), Some(Error::Misuse(Misuse::ProposalsPending)));

        let messages = self.commit(i, CommitOptions::default());
        let tree = self.tree_bytes();
        self.welcome(&messages, joiners, &tree);
    }

    pub(super) fn remove(&mut self) {
        self.count("remove");
        let committer = self.some_peer();
        let n = 1 + self.below(2);
        let own = self.peers[committer].group.own_leaf();

        let mut leaves = Vec::new();
        for _ in 0..n {
            let removed = self.some_peer();
            leaves.push(self.peers[removed].group.own_leaf());
        }
        leaves.retain(|leaf| *leaf != own);
        leaves.sort_unstable();
        leaves.dedup();

        let proposals = leaves.into_iter().map(NewProposal::Remove).collect();
        self.commit(committer, CommitOptions { proposals, ..CommitOptions::default() });
    }

    pub(super) fn propose_remove(&mut self) {
        self.count("remove by reference");
        let proposer = self.some_peer();
        let removed = self.some_peer();
        let committer = self.some_peer();
        if removed == committer {
            return;
        }
        self.propose(proposer, NewProposal::Remove(self.peers[removed].group.own_leaf()));
        self.commit(committer, CommitOptions::default());
    }

    pub(super) fn renew(&mut self) {
        self.count("renew");
        let i = self.some_peer();
        let leaf = self.chance(30).then(|| self.new_leaf(i));
        self.commit(i, CommitOptions { leaf, ..CommitOptions::default() });
    }

    pub(super) fn propose_updates(&mut self) {
        self.count("updates by reference");
        let n = 1 + self.below(3);
        for _ in 0..n {
            let i = self.some_peer();
            let change = self.chance(30).then(|| self.new_leaf(i));
            let framing = self.framing();
            let peer = &mut self.peers[i];
            let step = peer.group.propose_update(peer.provider, &mut self.rng, change, &framing);
            let message = peer.take(step.expect("an Update")).message;
            peer.past.sent(&message);
            self.spread_proposal(Some(i), &message);
            if self.chance(20) {
                let j = self.some_peer();
                self.peers[j].reload();
            }
        }
        let committer = self.some_peer();
        self.commit(committer, CommitOptions::default());
    }

    pub(super) fn inject_psk(&mut self) {
        self.count("psk");
        let i = self.some_peer();

        // A resumption PSK that all members have, or an external PSK.
        let epoch = self.peers[i].group.epoch();
        let oldest = self.peers.iter().map(|p| p.group.epoch()).min().unwrap_or(epoch);
        let all_know =
            |epoch| self.peers.iter().all(|peer| peer.group.resumption_psk(epoch).is_some());
        let past = (oldest.0.saturating_sub(3)..=epoch.0).map(Epoch).find(|epoch| all_know(*epoch));
        let proposal = match past {
            Some(epoch) if self.chance(50) => NewProposal::ResumptionPsk {
                group_id: self.peers[i].group.group_id().clone(),
                epoch,
            },
            _ => {
                let id = self.bytes(8);
                let psk = Secret::new(self.bytes(32));
                self.psks.insert(id.clone(), psk);
                NewProposal::ExternalPsk { psk_id: id.into() }
            }
        };
        self.commit_by_value_or_reference(i, proposal);
    }

    /// Commits a proposal of a member's: by reference, or by value.
    fn commit_by_value_or_reference(&mut self, i: usize, proposal: NewProposal) {
        if self.chance(50) {
            self.propose(i, proposal);
            let committer = self.some_peer();
            self.commit(committer, CommitOptions::default());
        } else {
            let proposals = vec![proposal];
            self.commit(i, CommitOptions { proposals, ..CommitOptions::default() });
        }
    }

    pub(super) fn change_extensions(&mut self) {
        self.count("context extensions");
        let i = self.some_peer();
        let mut extensions = Vec::new();

        self.external = None;
        if self.chance(60) {
            let signer = self.signer(provider_for(self.suite, true));
            let sender = ExternalSender {
                signature_key: signer.public.clone(),
                credential: Credential::basic(b"service"),
            };
            let senders = vec![sender];
            extensions.push(Extension::new(ExtensionType::EXTERNAL_SENDERS, &senders).unwrap());
            self.external = Some(signer);
        }
        if self.chance(50) {
            let data = self.bytes(10).into();
            extensions.push(Extension { extension_type: CUSTOM_EXTENSION, extension_data: data });
        }
        if self.chance(50) {
            let required = RequiredCapabilities {
                extension_types: vec![CUSTOM_EXTENSION],
                proposal_types: Vec::new(),
                credential_types: vec![CredentialType::BASIC],
            };
            let kind = ExtensionType::REQUIRED_CAPABILITIES;
            extensions.push(Extension::new(kind, &required).unwrap());
        }
        self.commit_by_value_or_reference(i, NewProposal::GroupContextExtensions(extensions));
    }

    pub(super) fn propose_from_outside(&mut self) {
        let group = &self.peers[0].group;
        let target = ExternalTarget::new(group.group_id().clone(), group.epoch(), self.suite);
        let joiners = self.joiners(1);
        let own = &joiners[0].own;

        let provider = provider_for(self.suite, true);
        let message = match &self.external {
            Some(signer) => {
                let add = Proposal::Add(Box::new(own.key_package().clone()));
                target.propose(provider, 0, signer, add).expect("an external proposal")
            }
            None => target.propose_self(provider, self.now, own).expect("a proposal"),
        };
        self.count(if self.external.is_some() { "external sender" } else { "new member proposal" });
        self.spread_proposal(None, &message);
        self.commit_proposals(joiners);
    }

    pub(super) fn reload(&mut self) {
        self.count("reload");
        for i in 0..self.peers.len() {
            if self.chance(50) {
                self.peers[i].reload();
            }
        }
        if let Some(watcher) = &mut self.watcher {
            watcher.reload(provider_for(self.suite, true));
        }
    }

    /// A commit that the delivery service rejects.
    pub(super) fn commit_is_rejected(&mut self) {
        self.count("rejected commit");
        let options = CommitOptions { framing: self.framing(), ..CommitOptions::default() };
        let i = self.some_peer();
        let epoch = self.peers[i].group.epoch();
        let messages = self.peers[i].commit(&mut self.rng, self.now, options);

        if self.chance(50) {
            self.peers[i].reload();
        }
        self.peers[i].rejected();
        self.peers[i].past.gave_up(&messages.commit);
        assert_eq!(self.peers[i].group.epoch(), epoch);
    }

    /// A member commits and speaks on a branch of its own, learns that the group has not taken it, and goes back.
    pub(super) fn rewind(&mut self) {
        self.count("rewind");
        let i = self.some_peer();
        // The branch's epochs push out old ones, in which messages to this member may still be under way.
        while let Some(held) = self.peers[i].held.pop() {
            self.deliver_held(i, &held);
        }

        let before = self.peers[i].seen();
        let epoch = self.peers[i].group.epoch();
        let step = self.peers[i].group.checkpoint();
        self.peers[i].take(step.expect("a checkpoint"));
        for _ in 0..1 + self.below(3) {
            let options = CommitOptions { framing: self.framing(), ..CommitOptions::default() };
            self.peers[i].commit(&mut self.rng, self.now, options);
            self.peers[i].accepted(self.now);
            let framing = self.framing();
            self.peers[i].say(&mut self.rng, b"on a branch", &framing);
        }
        if self.chance(50) {
            self.peers[i].reload();
        }

        let peer = &mut self.peers[i];
        assert!(peer.group.epoch() > epoch && !peer.seen().is_in_the_epoch_of(&before));
        let step = peer.group.rewind(peer.provider, epoch);
        peer.take(step.expect("its checkpoint is there"));
        if self.chance(50) {
            self.peers[i].reload();
        }

        let peer = &mut self.peers[i];
        let step = peer.group.drop_checkpoint(epoch);
        peer.take(step.expect("a rewind keeps its checkpoint"));
        assert!(peer.seen().is_in_the_epoch_of(&before), "{}: another epoch", peer.name);
    }

    /// Application messages, which are held back to come late, reordered or twice.
    pub(super) fn talk(&mut self) {
        self.count("messages");
        let n = 1 + self.below(4);
        for _ in 0..n {
            let sender = self.some_peer();
            let size = self.below(100);
            let framing = self.framing();
            let data = self.bytes(size);

            let peer = &mut self.peers[sender];
            let message = peer.say(&mut self.rng, &data, &framing);
            peer.past.sent(&message);
            let epoch = peer.group.epoch();
            let leaf = peer.group.own_leaf();

            for i in 0..self.peers.len() {
                if i == sender {
                    assert_eq!(self.peers[i].receive(self.now, &message, &[]), None);
                    continue;
                }
                let message = message.clone();
                let data = data.clone();
                let held = Held { epoch, message, data, sender: leaf, targeted: false };
                self.peers[i].held.push(held);
            }
        }
    }

    /// Messages to one member, if its leaf invites them, which are held back like all others.
    pub(super) fn whisper(&mut self) {
        self.count("targeted messages");
        let n = 1 + self.below(4);
        for _ in 0..n {
            let sender = self.some_peer();
            let recipient = self.some_peer();
            if sender == recipient {
                continue;
            }
            let size = self.below(100);
            let framing = self.framing();
            let data = self.bytes(size);

            let to = self.peers[recipient].group.own_leaf();
            let peer = &self.peers[sender];
            let leaf = peer.group.tree().leaf(to).expect("a member");
            let invited = find_extension::<Vec<WireFormat>>(
                &leaf.extensions,
                ExtensionType::SUPPORTED_WIRE_FORMATS,
            );
            let sent = peer.group.encrypt_to(peer.provider, &mut self.rng, to, &data, &framing);
            let message = match invited.expect("an encoding") {
                Some(_) => sent.expect("a member who takes it"),
                None => {
                    let obstacle = Misuse::NotPossible(Obstacle::TargetedUnsupported);
                    assert_eq!(sent, Err(Error::Misuse(obstacle)));
                    continue;
                }
            };

            let epoch = peer.group.epoch();
            let sender = peer.group.own_leaf();
            for other in self.peers.iter().filter(|peer| peer.group.own_leaf() != to) {
                let refused = other.group.process(other.provider, self.now, &message);
                let error = refused.expect_err("for another member").error;
                assert_eq!(error, Error::Rejected(Rejection::NotRecipient(to)));
            }
            let held = Held { epoch, message, data, sender, targeted: true };
            self.peers[recipient].held.push(held);
        }
    }
}
