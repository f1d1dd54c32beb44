//! Makes the files.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use super::{
    EXPORTED, ExternalCommitState, FORMAT, Hex, IdentityState, KeyPackageState, LinkState,
    MemberState, ObserverState, Row, States, Unread,
};
use crate::party::{
    ALL, CUSTOM_PROPOSALS, LIFETIME, PROVIDER, Peer, Rows, Setup, add, agree, commit_of, commits,
    config, deliver, encrypted, inviting, key_package_of, leaf_params, observe, rows_of, signer,
    supporting, watch,
};
use crate::{SeededRng, accepting};
use conclave_group::{
    CommitOptions, ExternalJoinOptions, Framing, Group, GroupParams, Identity, LeafParams, Link,
    NewProposal, OwnKeyPackage,
};
use conclave_wire::{
    CipherSuite, ComponentId, Credential, Encode, GroupId, LeafIndex, ProtocolVersion, ReInit,
};
use rand_core::Rng;

const COMPONENTS: [ComponentId; 2] = [ComponentId(0x8001), ComponentId(0x8002)];

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
            scene("drafts").with_components_and_targeted_messages(),
            scene("checkpoint").with_a_checkpoint(),
        ],
        observer: scene("observer").observer(),
        key_package: scene("key package").key_package(),
        links: vec![
            scene("successor").link_to_closed_group(),
            scene("branch").link_to_open_group(),
        ],
        external_commit: scene("external commit").external_commit(),
        identity: scene("identity").identity(),
    }
}

struct Scene {
    suite: CipherSuite,
    rng: SeededRng,
}

/// Rows in the form of a file.
fn to_rows(rows: &Rows) -> Vec<Row> {
    rows.iter().map(|(key, value)| Row { key: *key, value: value.expose().to_vec() }).collect()
}

fn authenticator(peer: &Peer) -> Hex {
    Hex::of(peer.group.epoch_authenticator().expect("a member").as_secret().expose())
}

fn context(peer: &Peer) -> Hex {
    peer.group.context().to_bytes().expect("an encoding").into()
}

/// The stored state of a member, without the commit that ends its epoch.
fn member(what: &str, peer: &Peer, unread: &[(Vec<u8>, &[u8])]) -> MemberState {
    let (label, of, length) = EXPORTED;
    let exported = peer.group.export(peer.provider, label, of, length).expect("a member");
    MemberState {
        what: what.into(),
        rows: to_rows(&peer.rows),
        context: context(peer),
        epoch_authenticator: authenticator(peer),
        exported: Hex::of(exported.expose()),
        own_leaf: peer.group.own_leaf().0,
        unread: unread.iter().map(|(message, data)| unread_of(message, data)).collect(),
        commit: None,
        next_epoch_authenticator: Hex::default(),
        since_checkpoint: Vec::new(),
    }
}

fn unread_of(message: &[u8], data: &[u8]) -> Unread {
    Unread { message: Hex::of(message), data: Hex::of(data) }
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

    fn found(&mut self, group_id: GroupId, name: &str) -> Peer {
        let params = GroupParams::new(group_id, self.suite, self.leaf(name), LIFETIME);
        let signer = signer(self.suite, self.rng.next_u64());
        let new = Group::create(&PROVIDER, &mut self.rng, config(), params, signer);
        Peer::settle(new.expect("a group"), self.rng.next_u64())
    }

    fn group(&mut self, names: &[&str]) -> Vec<Peer> {
        let group_id = self.rng.bytes(16).into();
        let mut peers = vec![self.found(group_id, names[0])];
        let others: Vec<OwnKeyPackage> = names[1..].iter().map(|name| self.client(name)).collect();
        if !others.is_empty() {
            let adds = others.iter().map(add).collect();
            let messages = peers[0].commit(commit_of(adds)).expect("a commit");
            peers[0].accepted();
            for own in &others {
                let welcome = &messages.welcomes[0].message;
                peers.push(Peer::join(welcome, own, self.rng.next_u64()).expect("joins"));
            }
        }
        agree(&peers);
        peers
    }

    /// A member with past epochs, skipped keys, proposals, an Update of its own, and a pending commit.
    fn with_something_in_every_table(mut self) -> MemberState {
        let mut peers = self.group(&["alice", "bob", "carol"]);

        // Messages of a past epoch and of this one, some of them read.
        commits(&mut peers, 2, CommitOptions::default());
        let past = [peers[0].say(b"late, of a past epoch"), peers[0].say(b"read")];
        peers[1].reads(&past[1]);
        commits(&mut peers, 0, CommitOptions::default());
        let current = [b"late".as_slice(), b"read", b"next"].map(|data| peers[2].say(data));
        peers[1].reads(&current[1]);

        // Proposals, and a commit.
        let proposal = peers[0].propose(custom(), &Framing::default());
        deliver(&mut peers, 0, &proposal);
        let update = peers[1].propose_update(None, &Framing::default());
        deliver(&mut peers, 1, &update);
        // An encrypted commit is stored differently from a public one: there are files with each.
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

    /// A member whose neighbours have been removed. Another member has joined without a path since.
    fn beside_blank_nodes(mut self) -> MemberState {
        let mut peers = self.group(&["alice", "bob", "carol", "dave", "erin"]);
        let removes = [1, 3].map(|leaf| NewProposal::Remove(LeafIndex(leaf)));
        commits(&mut peers, 4, commit_of(removes.into()));
        peers.remove(3);
        peers.remove(1);
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

    /// A member with data of components, one of which has exported its secret; with targeted messages, read
    /// and to come; with a SelfRemove and an AppDataUpdate that its pending commit takes.
    fn with_components_and_targeted_messages(mut self) -> MemberState {
        let mut peers = self.able_group(&["alice", "bob", "carol"]);
        let update = |update: &[u8]| NewProposal::AppDataUpdate {
            component_id: COMPONENTS[0],
            update: update.into(),
        };
        let other = NewProposal::AppDataUpdate {
            component_id: COMPONENTS[1],
            update: b"other".as_slice().into(),
        };
        commits(&mut peers, 0, commit_of(vec![update(b"one, "), other]));
        let past = peers[0].say(b"under the old dictionary");
        let removal = NewProposal::AppDataRemoval { component_id: COMPONENTS[1] };
        commits(&mut peers, 2, commit_of(vec![update(b"two, "), removal]));

        let bob = peers[1].group.own_leaf();
        let targeted = peers[0].tell(bob, b"read");
        peers[1].receive(&targeted);
        let step = peers[1].group.component(COMPONENTS[0]).export_secret(peers[1].provider);
        let _ = peers[1].take(step.expect("not exported yet"));

        for (who, proposal) in [(2, NewProposal::SelfRemove), (0, update(b"three"))] {
            let message = peers[who].propose(proposal, &Framing::default());
            deliver(&mut peers, who, &message);
        }
        let commit = peers[1].commit(CommitOptions::default()).expect("a commit").commit;

        let unread = [(past, b"under the old dictionary".as_slice())];
        let state = member("components and targeted messages", &peers[1], &unread);
        peers[0].receive(&commit);
        MemberState { next_epoch_authenticator: authenticator(&peers[0]), ..state }
    }

    /// A member with a checkpoint, since which it has proposed, followed a commit and made one.
    fn with_a_checkpoint(mut self) -> MemberState {
        let mut peers = self.group(&["alice", "bob", "carol"]);
        let step = peers[1].group.checkpoint().expect("a member");
        peers[1].take(step);

        let update = peers[1].propose_update(None, &encrypted());
        deliver(&mut peers, 1, &update);
        let theirs = commits(&mut peers, 0, CommitOptions::default()).commit;
        let ours = commits(&mut peers, 1, CommitOptions::default()).commit;

        let unread = [(peers[2].say(b"on this branch"), b"on this branch".as_slice())];
        let state = member("a checkpoint", &peers[1], &unread);
        let commit = peers[2].commit(CommitOptions::default()).expect("a commit").commit;
        peers[2].accepted();
        MemberState {
            commit: Some(commit.into()),
            next_epoch_authenticator: authenticator(&peers[2]),
            since_checkpoint: [update, theirs, ours].map(Hex::from).into(),
            ..state
        }
    }

    /// A group of clients that support components and take targeted messages.
    fn able_group(&mut self, names: &[&str]) -> Vec<Peer> {
        let setup = Setup::of(self.suite);
        let leaves = names
            .iter()
            .map(|name| inviting(supporting(leaf_params(name, self.suite), &COMPONENTS)));
        setup.group(leaves.collect())
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

        let rows = rows_of(observer.rows());
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

    /// Bob's link to a closed group, and his Welcome to its successor.
    fn link_to_closed_group(mut self) -> LinkState {
        let mut peers = self.group(&["alice", "bob"]);
        let reinit = ReInit {
            group_id: self.rng.bytes(16).into(),
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: self.suite,
            extensions: Vec::new(),
        };
        commits(&mut peers, 0, commit_of(vec![NewProposal::ReInit(reinit.clone())]));

        let next = self.found(reinit.group_id, "alice");
        let [alices, bobs] = [0, 1].map(|place| peers[place].group.reinit_link().expect("closed"));
        self.linked("a closed group", next, alices, &bobs)
    }

    /// Bob's link to an open group, and his Welcome to a branch in which alice has another name.
    fn link_to_open_group(mut self) -> LinkState {
        let peers = self.group(&["alice", "bob"]);
        let name = "alice the second";
        let group_id = self.rng.bytes(16).into();
        let next = self.found(group_id, name);
        let [alices, bobs] = [0, 1].map(|place| peers[place].group.branch_link().expect("open"));
        let bobs = bobs.known_as(LeafIndex(0), Credential::basic(name.as_bytes()));
        self.linked("an open group, with a renamed member", next, alices, &bobs)
    }

    /// Lets alice add bob to a group that continues another.
    fn linked(&mut self, what: &str, mut next: Peer, alices: Link, bobs: &Link) -> LinkState {
        let bob = self.client("bob");
        let options = CommitOptions { link: Some(alices), ..commit_of(vec![add(&bob)]) };
        let messages = next.commit(options).expect("a commit");
        next.accepted();
        LinkState {
            what: what.into(),
            stored: Hex::of(bobs.to_secret().expect("stored").expose()),
            group_id: Hex::of(&bobs.group_id().0),
            key_package: Hex::of(bob.to_secret().expect("stored").expose()),
            welcome: Hex::of(&messages.welcomes[0].message),
            epoch_authenticator: authenticator(&next),
        }
    }

    /// Carol joins from outside in place of bob.
    fn external_commit(mut self) -> ExternalCommitState {
        let mut peers = self.group(&["alice", "bob"]);
        let info = peers[0].group_info();
        let options = ExternalJoinOptions {
            replaces: Some(LeafIndex(1)),
            group_info: Some(ALL),
            ..ExternalJoinOptions::new(self.leaf("carol"), signer(self.suite, self.rng.next_u64()))
        };
        let rng = &mut self.rng;
        let config = config();
        let made = accepting::join_from_outside(&PROVIDER, rng, config, &info, None, options)
            .expect("an external commit");
        let stored = made.to_secret().expect("stored");

        peers[0].receive(&made.commit);
        ExternalCommitState {
            stored: Hex::of(stored.expose()),
            commit: made.commit.into(),
            group_info: made.group_info.expect("a GroupInfo").into(),
            epoch_authenticator: authenticator(&peers[0]),
            unread: unread_of(&peers[0].say(b"hello"), b"hello"),
        }
    }

    fn identity(mut self) -> IdentityState {
        let credential = Credential::basic(b"carol");
        let identity = Identity::generate(&PROVIDER, &mut self.rng, credential, self.suite);
        let identity = Identity { leaf: self.leaf("carol"), ..identity.expect("an identity") };
        let params = identity.key_package_params(LIFETIME);
        let signer = identity.signer.clone();
        let own = OwnKeyPackage::generate(&PROVIDER, &mut self.rng, params, signer);
        IdentityState {
            stored: Hex::of(identity.to_secret().expect("stored").expose()),
            key_package: own.expect("valid").message().expect("an encoding").into(),
        }
    }
}
