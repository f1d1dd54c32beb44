//! How the files came about.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use super::{
    EXPORTED, FORMAT, Hex, KeyPackageState, MemberState, ObserverState, Row, States, Unread,
};
use crate::SeededRng;
use crate::party::{
    CUSTOM_PROPOSALS, LIFETIME, PROVIDER, Peer, Rows, add, agree, commit_of, commits, config,
    deliver, key_package_of, leaf_params, observe, signer, watch,
};
use conclave_group::{
    CommitOptions, Framing, Group, GroupParams, LeafParams, NewProposal, OwnKeyPackage,
};
use conclave_wire::{CipherSuite, Encode, LeafIndex};
use rand_core::Rng;

/// States in a suite, in the current format; the same seed makes the same ones.
///
/// # Panics
/// If the suite is not one of RFC 9420's.
#[must_use]
pub fn make(cipher_suite: u16, rng: &SeededRng) -> States {
    let suite = CipherSuite(cipher_suite);
    let scene = |what| Scene { suite, rng: rng.fork(&format!("{what}/{cipher_suite}")) };
    States {
        format: FORMAT,
        cipher_suite,
        members: vec![
            scene("every table").with_something_in_every_table(),
            scene("blank nodes").beside_blank_nodes(),
        ],
        observer: scene("observer").observer(),
        key_package: scene("key package").key_package(),
    }
}

struct Scene {
    suite: CipherSuite,
    rng: SeededRng,
}

/// Rows as they stand in a file.
fn to_rows(rows: &Rows) -> Vec<Row> {
    rows.iter().map(|(key, value)| Row { key: *key, value: value.expose().to_vec() }).collect()
}

fn authenticator(peer: &Peer) -> Hex {
    Hex::of(peer.group.epoch_authenticator().expect("a member").as_secret().expose())
}

fn context(peer: &Peer) -> Hex {
    peer.group.context().to_bytes().expect("an encoding").into()
}

/// What a member has stored; the commit is still to come.
fn member(what: &str, peer: &Peer, unread: &[(Vec<u8>, &[u8])]) -> MemberState {
    let (label, of, length) = EXPORTED;
    let exported = peer.group.export(peer.provider, label, of, length).expect("a member");
    let unread = unread.iter();
    MemberState {
        what: what.into(),
        rows: to_rows(&peer.rows),
        context: context(peer),
        epoch_authenticator: authenticator(peer),
        exported: Hex::of(exported.expose()),
        own_leaf: peer.group.own_leaf().0,
        unread: unread
            .map(|(message, data)| Unread { message: Hex::of(message), data: Hex::of(data) })
            .collect(),
        commit: None,
        next_epoch_authenticator: Hex::default(),
    }
}

fn custom() -> NewProposal {
    let body = b"\x06custom".as_slice().into();
    NewProposal::Custom { proposal_type: CUSTOM_PROPOSALS[0], body }
}

impl Scene {
    fn leaf(&self, name: &str) -> LeafParams {
        let mut leaf = leaf_params(name, self.suite);
        leaf.capabilities.proposals.push(CUSTOM_PROPOSALS[0]);
        leaf
    }

    fn client(&mut self, name: &str) -> OwnKeyPackage {
        key_package_of(self.leaf(name), self.suite, self.rng.next_u64())
    }

    fn group(&mut self, names: &[&str]) -> Vec<Peer> {
        let params = GroupParams {
            group_id: self.rng.bytes(16).into(),
            cipher_suite: self.suite,
            extensions: Vec::new(),
            leaf: self.leaf(names[0]),
            lifetime: LIFETIME,
        };
        let signer = signer(self.suite, self.rng.next_u64());
        let new = Group::create(&PROVIDER, &mut self.rng, config(), params, signer);
        let mut peers = vec![Peer::settle(new.expect("a group"), self.rng.next_u64())];
        let others: Vec<OwnKeyPackage> = names[1..].iter().map(|name| self.client(name)).collect();
        if !others.is_empty() {
            let adds = others.iter().map(add).collect();
            let messages = peers[0].commit(commit_of(adds)).expect("a commit");
            peers[0].accepted();
            let welcome = &messages.welcomes[0].message;
            peers.extend(
                others
                    .iter()
                    .map(|own| Peer::join(welcome, own, self.rng.next_u64()).expect("joins")),
            );
        }
        agree(&peers);
        peers
    }

    /// A member with past epochs, skipped keys, proposals, an Update of its own, and its commit.
    fn with_something_in_every_table(mut self) -> MemberState {
        let mut peers = self.group(&["alice", "bob", "carol"]);
        commits(&mut peers, 2, CommitOptions::default());
        let past = [peers[0].say(b"late, of a past epoch"), peers[0].say(b"read")];
        peers[1].reads(&past[1]);
        commits(&mut peers, 0, CommitOptions::default());
        let current = [b"late".as_slice(), b"read", b"next"].map(|data| peers[2].say(data));
        peers[1].reads(&current[1]);
        let proposal = peers[0].propose(custom(), &Framing::default());
        deliver(&mut peers, 0, &proposal);
        let update = peers[1].propose_update(None, &Framing::default());
        deliver(&mut peers, 1, &update);
        // An encrypted commit is stored otherwise than one in the clear: there are files of both.
        let framing = Framing { encrypt: self.suite.0.is_multiple_of(2), ..Framing::default() };
        let dave = CommitOptions { framing, ..commit_of(vec![add(&self.client("dave"))]) };
        let commit = peers[1].commit(dave).expect("a commit").commit;
        let [early, _] = past;
        let [late, _, next] = current;
        let unread =
            [(early, b"late, of a past epoch".as_slice()), (late, b"late"), (next, b"next")];
        let state = member("something in every table", &peers[1], &unread);
        peers[0].receive(&commit);
        MemberState { next_epoch_authenticator: authenticator(&peers[0]), ..state }
    }

    /// A member whose neighbours have been removed, with one who has joined without a path since.
    fn beside_blank_nodes(mut self) -> MemberState {
        let mut peers = self.group(&["alice", "bob", "carol", "dave", "erin"]);
        let removes = [1, 3].map(|leaf| NewProposal::Remove(LeafIndex(leaf)));
        commits(&mut peers, 4, commit_of(removes.into()));
        let (_dave, _bob) = (peers.remove(3), peers.remove(1));
        let frank = commit_of(vec![add(&self.client("frank"))]);
        commits(&mut peers, 0, frank);
        let unread = [(peers[2].say(b"hello"), b"hello".as_slice())];
        let state = member("blank nodes and an unmerged leaf", &peers[1], &unread);
        let commit = peers[2].commit(CommitOptions::default()).expect("a commit").commit;
        peers[2].accepted();
        MemberState {
            commit: Some(commit.into()),
            next_epoch_authenticator: authenticator(&peers[2]),
            ..state
        }
    }

    fn observer(mut self) -> ObserverState {
        let mut peers = self.group(&["alice", "bob", "carol"]);
        let info = peers[0].group_info();
        let mut observer = watch(&info);
        for proposal in [NewProposal::Remove(LeafIndex(2)), custom()] {
            let message = peers[0].propose(proposal, &Framing::default());
            observe(&mut observer, &message).expect("a proposal");
            peers[1].receive(&message);
        }
        let mut rows = Rows::new();
        observer.rows().expect("rows").apply_to(&mut rows);
        let before = context(&peers[1]);
        let commit = peers[1].commit(CommitOptions::default()).expect("a commit").commit;
        peers[1].accepted();
        ObserverState {
            rows: to_rows(&rows),
            context: before,
            group_info: info.into(),
            commit: commit.into(),
            next_context: context(&peers[1]),
        }
    }

    fn key_package(mut self) -> KeyPackageState {
        let mut peers = self.group(&["alice"]);
        let bob = self.client("bob");
        let messages = commits(&mut peers, 0, commit_of(vec![add(&bob)]));
        KeyPackageState {
            stored: Hex::of(bob.to_secret().expect("stored").expose()),
            reference: Hex::of(bob.reference()),
            welcome: Hex::of(&messages.welcomes[0].message),
            epoch_authenticator: authenticator(&peers[0]),
        }
    }
}
