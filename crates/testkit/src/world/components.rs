//! The steps of draft-ietf-mls-extensions-10: component data, and members who leave by themselves.

use super::*;

impl World {
    /// Updates and removals of component data, some by reference, and data that belongs to the commit.
    pub(super) fn update_components(&mut self) {
        self.count("component data");
        let n = 1 + self.below(3);
        for _ in 0..n {
            let i = self.some_peer();
            let proposal = self.component_proposal(i);
            self.propose(i, proposal);
        }

        let committer = self.some_peer();
        if self.chance(30) {
            self.peers[committer].reload();
        }
        let size = self.below(20);
        let data = self.bytes(size).into();
        let by_value = NewProposal::AppEphemeral { component_id: COMPONENTS[0], data };
        let proposals = if self.chance(50) { vec![by_value] } else { Vec::new() };
        self.commit(committer, CommitOptions { proposals, ..CommitOptions::default() });
    }

    fn component_proposal(&mut self, i: usize) -> NewProposal {
        let component_id = COMPONENTS[self.below(COMPONENTS.len())];
        let size = self.below(40);
        let data: Bytes = self.bytes(size).into();
        let dictionary = AppDataDictionary::find(self.peers[i].group.extensions());
        let has_data = dictionary.unwrap().is_some_and(|d| d.get(component_id).is_some());
        match self.below(4) {
            0 if has_data => NewProposal::AppDataRemoval { component_id },
            1 => NewProposal::AppEphemeral { component_id, data },
            _ => NewProposal::AppDataUpdate { component_id, update: data },
        }
    }

    /// A member leaves by a SelfRemove, which another member commits, or a client that joins.
    pub(super) fn leave(&mut self) {
        let i = self.some_peer();
        let leaf = self.peers[i].group.own_leaf();
        let leave = NewProposal::SelfRemove;
        let message = self.peers[i].propose(&mut self.rng, self.now, leave, &Framing::default());
        self.peers[i].past.sent(&message);
        self.spread_proposal(Some(i), &message);

        if self.chance(50) {
            self.count("leave");
            let committer = self.some_peer();
            if committer == i {
                // Nobody can commit its own departure, so the SelfRemove ends with the epoch.
                self.commit(committer, CommitOptions::default());
                assert!(self.peers.iter().any(|peer| peer.group.own_leaf() == leaf));
                return;
            }
            self.commit(committer, CommitOptions::default());
            assert!(self.peers.iter().all(|peer| peer.group.own_leaf() != leaf));
        } else {
            self.count("leave by a joiner");
            self.join_with_self_remove(&message, leaf);
        }
    }

    fn join_with_self_remove(&mut self, self_remove: &[u8], leaf: LeafIndex) {
        let (name, provider) = self.new_client();
        let info = self.peers[0].group.group_info(self.peers[0].provider, ALL).unwrap();
        self.spoil_group_info(provider, &info, None);
        let mut stage =
            ExternalJoinStage::open(provider, self.config.clone(), &info, None).unwrap();
        stage.take_self_remove(provider, self_remove).expect("a valid SelfRemove");
        let data: Bytes = self.bytes(8).into();
        if self.chance(50) {
            let request = AppDataRequest {
                component_id: COMPONENTS[1],
                current: AppDataDictionary::find(&stage.context().extensions)
                    .unwrap()
                    .and_then(|dictionary| dictionary.get(COMPONENTS[1]).cloned()),
                updates: vec![(Sender::NewMemberCommit, data.clone())],
            };
            let new = accepting::app_data(&[request]).remove(0);
            stage = stage.with_app_data_update(COMPONENTS[1], data, new);
        }

        let signer = self.signer(provider);
        let options = ExternalJoinOptions::new(self.leaf_params(&name), signer);
        let verdicts = accepting::all(stage.credentials());
        let joined = stage.commit(provider, &mut self.rng, &verdicts, options);
        let joined = joined.unwrap_or_else(|error| panic!("{name} cannot join: {error}"));
        self.follow_joiner(&joined.commit, &[leaf]);
        self.settle(name, provider, joined.group);
    }
}
