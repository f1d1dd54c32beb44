//! The steps into a group, and from one to another: external commits, branches, successors.

use super::*;
use crate::party::pending_id;

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
        // Whoever stays tells it the GroupInfo.
        self.join_externally(lost.name, lost.provider, Some(lost.group.own_leaf()));
    }

    pub(super) fn join_externally(
        &mut self,
        name: String,
        provider: Box<dyn CryptoProvider>,
        removes: Option<LeafIndex>,
    ) {
        let i = self.some_peer();
        let inside = self.chance(50);
        let options = GroupInfoOptions { ratchet_tree: inside, external_pub: true };
        let info = self.peers[i].group.group_info(&*self.peers[i].provider, options).unwrap();
        let tree = (!inside).then(|| self.tree_bytes());
        self.hostile.archive.keep(&info);
        self.spoil_group_info(&*provider, &info, tree.as_deref());
        let stage =
            ExternalJoinStage::open(&*provider, self.config.clone(), &info, tree.as_deref())
                .expect("open");
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let psks = match self.chance(30) {
            true => self.known_psks().into_iter().take(2).collect(),
            false => Vec::new(),
        };
        let signer = self.signer(&*provider);
        let options = ExternalJoinOptions {
            leaf: self.leaf_params(&name),
            signer,
            removes,
            psks,
            authenticated_data: Vec::new(),
            group_info: Some(GroupInfoOptions { ratchet_tree: false, external_pub: true }),
        };
        let joined = stage
            .commit(&*provider, &mut self.rng, &verdicts, options)
            .unwrap_or_else(|e| panic!("{name} cannot join: {e}"));
        self.harass_somebody(None, &joined.commit);
        let (now, psks) = (self.now, self.known_psks());
        for i in self.shuffled() {
            let event = self.peers[i].receive(now, &joined.commit, &psks);
            let Some(Event::Epoch(change)) = event else { panic!("no new epoch") };
            assert!(change.external && change.added.len() == 1);
        }
        self.hostile.archive.keep(&joined.commit);
        // An external commit is public; where the rest is encrypted nobody observes.
        self.observe(&joined.commit);
        self.settle(name, provider, joined.group);
    }

    /// A second group of some members, linked to this one; it is dropped again.
    pub(super) fn branch(&mut self) {
        self.count("branch");
        let founder = self.some_peer();
        let name = self.peers[founder].name.clone();
        // Credentials may have been renewed: a branch presents those that the group knows.
        let own = self.peers[founder].group.own_leaf();
        let name = self.name_of(own).unwrap_or(name);
        let provider = provider_for(self.suite, true);
        let group_id = self.bytes(16).into();
        let extensions = Vec::new();
        let (new, _) = self.found(&name, &*provider, group_id, extensions);
        let mut branch = Peer::of(name, provider, new);
        let others: Vec<usize> = (0..self.peers.len()).filter(|i| *i != founder).take(4).collect();
        self.link_members(&mut branch, &others, founder);
        self.overhear(&mut branch);
    }

    /// What a member says in another group may come up in this one.
    fn overhear(&mut self, other: &mut Peer) {
        for encrypt in [false, true] {
            let framing = Framing { encrypt, ..Framing::default() };
            let proposal = NewProposal::ExternalPsk { psk_id: b"other".as_slice().into() };
            let (group, provider, rng) = (&other.group, &*other.provider, &mut self.rng);
            let step = group.encrypt(provider, rng, b"other", &framing);
            let data = other.take(step.expect("an epoch to send in"));
            let (group, provider, rng) = (&other.group, &*other.provider, &mut self.rng);
            let options = CommitOptions { framing: framing.clone(), ..CommitOptions::default() };
            let step = group.commit(provider, rng, self.now, options);
            let commit = other.take(step.expect("a commit"));
            let step = other.group.commit_rejected(&pending_id(&other.group));
            other.take(step.expect("pending"));
            let (group, provider, rng) = (&other.group, &*other.provider, &mut self.rng);
            let step = group.propose(provider, rng, self.now, proposal, &framing);
            let proposed = other.take(step.expect("a proposal"));
            let step = other.group.discard_proposals();
            other.take(step.expect("none is pending"));
            for event in [data, commit, proposed] {
                self.hostile.archive.keep_foreign(match event {
                    Event::Message(message) | Event::Proposal { message, .. } => message,
                    Event::Commit(messages) => messages.commit,
                    other => panic!("{other:?}"),
                });
            }
        }
    }

    /// Adds members of this group to a linked new one; returns their states of it.
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
            let own = self.key_package(&name, &*provider);
            joiners.push((*i, name, provider, own));
        }
        let link = |group: &Group| match group.status() {
            Status::Reinitialized => group.reinit_link().expect("closed"),
            _ => group.branch_link().expect("open"),
        };
        let proposals = joiners
            .iter()
            .map(|(_, _, _, own)| NewProposal::Add(Box::new(self.valid(own))))
            .collect();
        let options = CommitOptions {
            proposals,
            link: Some(link(&self.peers[founder].group)),
            ..CommitOptions::default()
        };
        let step = first.group.commit(&*first.provider, &mut self.rng, self.now, options);
        let Event::Commit(messages) = first.take(step.expect("the first commit")) else {
            panic!("no commit")
        };
        let step = first
            .group
            .commit_accepted(&*first.provider, self.now, &pending_id(&first.group))
            .expect("accepted");
        first.take(step);
        let mut states = Vec::new();
        for (i, name, provider, own) in joiners {
            let welcome = &messages.welcomes[0].message;
            let open = || {
                WelcomeStage::open(&*provider, self.config.clone(), welcome, &own).expect("for it")
            };
            let link =
                self.peers[i].group.link_for(&open()).expect("a member of the group it names");
            let stored = link.to_secret().expect("an encoding");
            let link = Link::from_secret(&stored).expect("what was stored");
            assert_eq!(open().linked_group(), Some(self.peers[i].group.group_id()));
            assert!(open().join(&*provider, &[], None, None).is_err());
            let join = open().join(&*provider, &[], None, Some(&link));
            let join = join.unwrap_or_else(|e| panic!("{name} cannot join: {e}"));
            let verdicts = vec![Verdict::Accept; join.credentials().len()];
            let peer = Peer::of(name, provider, join.resolve(&verdicts).expect("accepted"));
            assert_eq!(
                peer.group.epoch_authenticator().unwrap(),
                first.group.epoch_authenticator().unwrap()
            );
            peer.check();
            states.push(peer);
        }
        states
    }

    /// Closes the group and continues in another, perhaps of another suite.
    pub(super) fn reinitialize(&mut self) {
        self.count("reinit");
        let suites: Vec<CipherSuite> = SUITES.iter().map(|s| s.cipher_suite).collect();
        let registered = self.params.cipher_suite.0 <= 7;
        let next = suites[self.below(if registered { 7 } else { suites.len() })];
        let reinit = ReInit {
            group_id: self.bytes(16).into(),
            version: ProtocolVersion::MLS10,
            cipher_suite: next,
            extensions: Vec::new(),
        };
        let i = self.some_peer();
        let proposals = vec![NewProposal::ReInit(reinit.clone())];
        self.commit(i, CommitOptions { proposals, ..CommitOptions::default() });
        for peer in &self.peers {
            assert_eq!(peer.group.status(), Status::Reinitialized);
            assert_eq!(peer.group.reinit(), Some(&reinit));
            let sent = peer.group.encrypt(&*peer.provider, &mut self.rng, b"", &Framing::default());
            assert_eq!(sent.err(), Some(Error::Misuse(Misuse::Reinitialized)));
        }
        if self.chance(50) {
            self.reload();
        }
        self.suite = next;
        let founder = self.some_peer();
        let name = self.name_of(self.peers[founder].group.own_leaf()).expect("a member");
        let coin = self.chance(80);
        let provider = provider_for(next, coin);
        let (new, _) =
            self.found(&name, &*provider, reinit.group_id.clone(), reinit.extensions.clone());
        let mut first = Peer::of(name, provider, new);
        let others: Vec<usize> = (0..self.peers.len()).filter(|i| *i != founder).collect();
        let mut states = self.link_members(&mut first, &others, founder);
        states.push(first);
        self.peers = states;
        self.external = None;
        self.hostile.archive.the_group_is_another();
        self.watch();
    }
}
