//! The checks after each step.

use super::*;
use conclave_group::rows::content;

impl Peer {
    /// Checks that the stored rows are those of the state, and that cached values are right.
    pub(super) fn check(&self) {
        let memory = rows_of(self.group.rows());
        for (key, row) in &memory {
            assert_eq!(self.rows.get(key), Some(row), "{}: stored {key:?} differs", self.name);
        }
        assert_eq!(memory.len(), self.rows.len(), "{}: surplus rows are stored", self.name);

        let suite = Suite::new(self.provider, self.group.cipher_suite()).expect("supported");
        self.group.tree().check_caches(&suite).expect("cached values equal recomputed ones");
    }

    /// Checks the tree invariant (section 4.2): the stored private keys are those of nodes above its
    /// own leaf, and belong to the public keys there. Checks the limit of past epochs, too.
    pub(super) fn check_secrets(&self, config: &Config) {
        let suite = Suite::new(self.provider, self.group.cipher_suite()).expect("supported");
        let tree = self.group.tree();
        let own = self.group.own_leaf().node();

        let mut past = 0;
        for (key, row) in &self.rows {
            match key.table {
                Table::PrivateKey => {
                    let node = NodeIndex(key.index as u32);
                    assert!(node.covers(own), "{}: knows the key of {node}", self.name);
                    let private = Secret::copy_from(content(row).expect("a whole row"));
                    let public = suite.hpke_public_key(&HpkePrivateKey(private)).ok();
                    assert_eq!(public, tree.encryption_key(node), "{}: {node}", self.name);
                }
                Table::PastEpoch => past += 1,
                _ => {}
            }
        }
        assert!(past <= config.limits.past_epochs, "{}: {past} past epochs are kept", self.name);
    }
}

impl Watcher {
    /// Checks that it agrees with a member on everything public, and that its stored rows are those
    /// of its state.
    fn check(&self, peer: &Peer) {
        let observer = &self.observer;
        let group = &peer.group;
        assert_eq!(observer.context(), group.context());
        assert_eq!(observer.tree().tree_hash(), group.tree().tree_hash());
        assert!(observer.members().eq(group.members()), "the observer sees other members");
        assert_eq!(self.memory(), self.rows, "the observer's stored rows differ");

        let nodes = |rows: &Rows| -> Rows {
            let tree = rows.iter().filter(|(key, _)| key.table == Table::Tree);
            tree.map(|(key, row)| (*key, row.clone())).collect()
        };
        assert!(nodes(&self.rows) == nodes(&peer.rows), "the observer's tree differs");
        let suite = Suite::new(peer.provider, group.cipher_suite()).expect("supported");
        observer.tree().check_caches(&suite).expect("cached values equal recomputed ones");
    }
}

impl World {
    /// Checks that all members and the observer agree, and each of them.
    pub(super) fn check(&self) {
        let first = &self.peers[0].group;
        let authenticator = first.epoch_authenticator().expect("a member");
        let export = |peer: &Peer| {
            peer.group.export(peer.provider, b"world", b"context", 40).expect("exported")
        };
        let exported = export(&self.peers[0]);

        for peer in &self.peers {
            assert_eq!(peer.group.epoch(), first.epoch());
            assert_eq!(peer.group.tree().tree_hash(), first.tree().tree_hash());
            assert_eq!(peer.group.context(), first.context());
            assert_eq!(peer.group.epoch_authenticator().expect("a member"), authenticator);
            assert_eq!(export(peer), exported);
            peer.check();
        }

        let deep = self.step as usize % self.peers.len();
        self.peers[deep].check_secrets(&self.config);
        assert_eq!(first.tree().member_count() as usize, self.peers.len());
        if let Some(watcher) = &self.watcher {
            watcher.check(&self.peers[0]);
        }
    }
}
