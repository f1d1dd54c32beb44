//! The steps into a group, and from one group to another: external commits, branches, successors.

use super::*;

impl World {
    pub(super) fn external_join(&mut self) {
        self.count("external join");
        let (name, provider) = self.new_client();
        self.join_externally(name, provider, None);
    }

    pub(super) fn resync(&mut self) {
        self.count("resync");
        let i = self.some_peer();
        let lost = self.peers.remove(i);
        // One of the others gives it the GroupInfo.
        self.join_externally(lost.name, lost.provider, Some(lost.group.own_leaf()));
    }

    pub(super) fn join_externally(
        &mut self,
        name: String,
        provider: &'static dyn CryptoProvider,
        replaces: Option<LeafIndex>,
    ) {
        // The GroupInfo, with the ratchet tree inside or apart.
        let i = self.some_peer();
        let inside = self.chance(50);
        let options = GroupInfoOptions { ratchet_tree: inside, external_pub: true };
        let info = self.peers[i].group.group_info(self.peers[i].provider, options).unwrap();
        let tree = (!inside).then(|| self.tree_bytes());
        self.hostile.archive.keep(&info);
        self.spoil_group_info(provider, &info, tree.as_deref());

        // The commit.
        let psks = if self.chance(30) { self.known_psks() } else { Vec::new() };
        let signer = self.signer(provider);
        let options = ExternalJoinOptions {
            replaces,
            psks: psks.into_iter().take(2).collect(),
            group_info: Some(GroupInfoOptions { ratchet_tree: false, external_pub: true }),
            ..ExternalJoinOptions::new(self.leaf_params(&name), signer)
        };
        let config = self.config.clone();
        let tree = tree.as_deref();
        let joined =
            accepting::join_from_outside(provider, &mut self.rng, config, &info, tree, options)
                .unwrap_or_else(|error| panic!("{name} cannot join: {error}"));

        self.follow_joiner(&joined.commit, &[]);
        self.settle(name, provider, joined.group);
    }

    /// All follow an external commit. `left` are the members who leave by it.
    pub(super) fn follow_joiner(&mut self, commit: &[u8], left: &[LeafIndex]) {
        self.harass_somebody(None, commit);
        let psks = self.known_psks();
        for i in self.shuffled() {
            let leaves = left.contains(&self.peers[i].group.own_leaf());
            let change = match self.peers[i].receive(self.now, commit, &psks) {
                Some(Event::Epoch(change)) if !leaves => change,
                Some(Event::Removal(change)) if leaves => change,
                other => panic!("no new epoch: {other:?}"),
            };
            assert!(change.external && change.added.len() == 1);
            assert_eq!(change.left, left);
        }
        self.peers.retain(|peer| !left.contains(&peer.group.own_leaf()));
        self.hostile.archive.keep(commit);
        // An external commit is public even if the members' messages are encrypted.
        self.observe(commit);
    }

    /// Branches off a second group of some members, which is dropped again.
    pub(super) fn branch(&mut self) {
        self.count("branch");
        let founder = self.some_peer();
        // Credentials may have been renewed: a branch presents those that the group knows.
        let own = self.peers[founder].group.own_leaf();
        let name = self.name_of(own).unwrap_or_else(|| self.peers[founder].name.clone());
        let provider = provider_for(self.suite, true);
        let group_id = self.bytes(16).into();
        let new = self.found(&name, provider, group_id, Vec::new());
        let mut branch = Peer::of(name, provider, new);

        let others: Vec<usize> = (0..self.peers.len()).filter(|i| *i != founder).take(4).collect();
        self.link_members(&mut branch, &others, founder);
        self.overhear(&mut branch);
    }

    /// Keeps messages of a member in another group, to replay them in this one.
    fn overhear(&mut self, other: &mut Peer) {
        let now = self.now;
        for encrypt in [false, true] {
            let framing = Framing { encrypt, ..Framing::default() };
            let data = other.say(&mut self.rng, b"other", &framing);

            let options = CommitOptions { framing: framing.clone(), ..CommitOptions::default() };
            let commit = other.commit(&mut self.rng, now, options).commit;
            other.rejected();

            let psk = NewProposal::ExternalPsk { psk_id: b"other".as_slice().into() };
            let proposal = other.propose(&mut self.rng, now, psk, &framing);
            let step = other.group.discard_proposals();
            other.take(step.expect("no commit is pending"));

            for message in [data, commit, proposal] {
                self.hostile.archive.keep_foreign(message);
            }
        }
    }

    /// Adds members of this group to a linked new one; returns their states in the new group.
    pub(super) fn link_members(
        &mut self,
        first: &mut Peer,
        others: &[usize],
        founder: usize,
    ) -> Vec<Peer> {
        let mut joiners = Vec::new();
        for i in others {
            let name = self.name_of(self.peers[*i].group.own_leaf()).expect("a member");
            let coin = self.chance(80);
            let provider = provider_for(self.suite, coin);
            let own = self.key_package(&name, provider);
            joiners.push((*i, Joiner { name, provider, own }));
        }

        // The first commit, which carries the link.
        let group = &self.peers[founder].group;
        let link = if group.status() == Status::Reinitialized {
            group.reinit_link().expect("closed")
        } else {
            group.branch_link().expect("open")
        };
        let options = CommitOptions {
            proposals: joiners.iter().map(|(_, joiner)| self.add_of(&joiner.own)).collect(),
            link: Some(link),
            ..CommitOptions::default()
        };
        let messages = first.commit(&mut self.rng, self.now, options);
        first.accepted(self.now);

        // The others join, each with a link of its own.
        let welcome = &messages.welcomes[0].message;
        let mut states = Vec::new();
        for (i, joiner) in joiners {
            let peer = self.join_linked(i, joiner, welcome);
            assert_eq!(
                peer.group.epoch_authenticator().unwrap(),
                first.group.epoch_authenticator().unwrap()
            );
            peer.check();
            states.push(peer);
        }
        states
    }

    /// Lets a member of this group join a linked one, by a link that was stored in the meantime.
    fn join_linked(&self, i: usize, joiner: Joiner, welcome: &[u8]) -> Peer {
        let Joiner { name, provider, own } = joiner;
        let group = &self.peers[i].group;
        let open =
            || WelcomeStage::open(provider, self.config.clone(), welcome, &own).expect("a Welcome");
        assert_eq!(open().linked_group(), Some(group.group_id()));
        assert!(open().join(provider, &[], None, None).is_err());

        let link = group.link_for(&open()).expect("a member of the linked group");
        let stored = link.to_secret().expect("an encoding");
        let link = Link::from_secret(&stored).expect("a stored link");
        let none = accepting::known(&[]);
        let config = self.config.clone();
        let new = accepting::join(provider, config, welcome, &own, none, None, Some(&link))
            .unwrap_or_else(|error| panic!("{name} cannot join: {error}"));
        Peer::of(name, provider, new)
    }

    /// Closes the group and continues in another, perhaps of another suite.
    pub(super) fn reinitialize(&mut self) {
        self.count("reinit");
        let suites: Vec<CipherSuite> = SUITES.iter().map(|s| s.cipher_suite).collect();
        let registered = self.params.cipher_suite.0 <= 7;
        let next = suites[self.below(if registered { 7 } else { suites.len() })];
        let reinit = ReInit {
            group_id: self.bytes(16).into(),
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: next,
            extensions: Vec::new(),
        };

        // The old group is closed.
        let i = self.some_peer();
        let proposals = vec![NewProposal::ReInit(reinit.clone())];
        self.commit(i, CommitOptions { proposals, ..CommitOptions::default() });
        for peer in &self.peers {
            assert_eq!(peer.group.status(), Status::Reinitialized);
            assert_eq!(peer.group.reinit(), Some(&reinit));
            let sent = peer.group.encrypt(peer.provider, &mut self.rng, b"", &Framing::default());
            assert_eq!(sent.err(), Some(Error::Misuse(Misuse::Reinitialized)));
        }
        if self.chance(50) {
            self.reload();
        }

        // Its successor has the same members.
        self.suite = next;
        let founder = self.some_peer();
        let name = self.name_of(self.peers[founder].group.own_leaf()).expect("a member");
        let coin = self.chance(80);
        let provider = provider_for(next, coin);
        let new = self.found(&name, provider, reinit.group_id, reinit.extensions);
        let mut first = Peer::of(name, provider, new);
        let others: Vec<usize> = (0..self.peers.len()).filter(|i| *i != founder).collect();
        let mut states = self.link_members(&mut first, &others, founder);
        states.push(first);

        self.peers = states;
        self.external = None;
        self.hostile.archive.replace_group();
        self.watch();
    }
}
