//! The deletion schedule (RFC 9420 section 9.2), value by value, on the stored rows. The test derives
//! each value itself. Before the step that consumes it, the rows hold the value or its source; after
//! the step, no row holds it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{CryptoProvider, HpkeKeyPair, HpkePrivateKey, Secret, Suite};
use conclave_framing::TargetedSecrets;
use conclave_group::rows::{RowKey, Table, content};
use conclave_group::{
    CommitOptions, Config, Event, Framing, Limits, NewProposal, OwnKeyPackage, RatchetLimits,
};
use conclave_schedule::{
    CommitSecret, EpochSecrets, ExporterSecret, InitSecret, JoinerSecret, RatchetKind, psk_secret,
};
use conclave_testkit::forge::Insider;
use conclave_testkit::party::*;
use conclave_wire::{
    CipherSuite, Content, Decode, Encode, GroupSecrets, LeafIndex, MlsMessage, MlsMessageBody,
    Proposal, PskType, Reader, UpdatePath, Welcome,
};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

type Maker = fn() -> &'static dyn CryptoProvider;

fn setup(suite: u16, past_epochs: usize, provider: Maker) -> Setup {
    let limits = Limits { past_epochs, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    Setup { suite: CipherSuite(suite), config, provider: provider() }
}

fn path() -> CommitOptions {
    CommitOptions { force_path: true, ..CommitOptions::default() }
}

fn assert_stored(rows: &Rows, secret: &Secret, what: &str) {
    assert!(row_with(rows, secret.expose()).is_some(), "{what} is in no row: the test is void");
}

fn assert_gone(peer: &Peer, secret: &Secret, what: &str) {
    let found = row_with(&peer.rows, secret.expose());
    assert_eq!(found, None, "{what} is stored by {peer:?}");
    // The rows are those of the state; search both all the same.
    assert_eq!(row_with(&peer.all_rows(), secret.expose()), None, "{what} is in memory");
}

fn private_key(rows: &Rows, node: u64) -> Secret {
    let row = rows.get(&RowKey::new(Table::PrivateKey, node)).expect("a private key");
    Secret::copy_from(content(row).expect("a whole row"))
}

/// The secrets in a client's entry of a Welcome, and the client's init key.
fn group_secrets(
    suite: &Suite<'_>,
    client: &OwnKeyPackage,
    welcome: &[u8],
) -> (GroupSecrets, Secret) {
    let own = client.to_secret().expect("encoded");
    let mut r = Reader::new(own.expose());
    let _key_package = r.opaque().unwrap();
    let init = Secret::copy_from(r.opaque().unwrap());

    let welcome = MlsMessage::from_bytes(welcome).expect("an MLSMessage");
    let MlsMessageBody::Welcome(Welcome { secrets, encrypted_group_info, .. }) = welcome.body
    else {
        panic!("no Welcome")
    };
    let entry = secrets.iter().find(|entry| entry.new_member == *client.reference());
    let public = client.key_package().init_key.clone();
    let pair = HpkeKeyPair { private: HpkePrivateKey(init.clone()), public };
    let sealed = &entry.expect("for this client").encrypted_group_secrets;
    let opened = suite.decrypt_with_label(&pair, b"Welcome", &encrypted_group_info, sealed);
    let opened = opened.expect("it opens");
    (GroupSecrets::from_bytes(opened.expose()).expect("GroupSecrets"), init)
}

fn path_of(commit: &[u8]) -> UpdatePath {
    let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(commit).unwrap().body
    else {
        panic!("not public")
    };
    let Content::Commit(commit) = message.content.content else { panic!("no commit") };
    *commit.path.expect("a path")
}

/// A step into a new epoch with everything that it consumes: member 0 adds a fourth member, injects a
/// PSK and renews its path.
struct Step {
    /// The three members' rows before the step.
    before: Vec<Rows>,
    /// The committer's rows while its commit was pending.
    pending: Rows,
    /// The members after the step, the new one last.
    peers: Vec<Peer>,
    /// The values that nobody may store any more, with their names.
    consumed: Vec<(&'static str, Secret)>,
    /// Values that some row holds before the step, so that the test of their deletion is not vacuous.
    sources: Vec<(&'static str, Secret)>,
    /// The new epoch's `encryption_secret`, not consumed yet.
    encryption: Secret,
    /// The secrets that a past epoch keeps: `sender_data_secret`, `resumption_psk` and
    /// `encryption_secret` of the old epoch.
    of_past: Vec<(&'static str, Secret)>,
}

/// The secrets between the old `init_secret` and the new epoch's.
struct Derived {
    epoch: EpochSecrets,
    consumed: Vec<(&'static str, Secret)>,
}

fn derive(suite: &Suite<'_>, joiner: &Secret, psk: &Secret, context: &[u8]) -> Derived {
    let member = suite.extract(joiner, psk).unwrap();
    let welcome = suite.derive_secret(&member, b"welcome").unwrap();
    let aead = suite.params().aead;
    let expand = |label: &[u8], n| suite.expand_with_label(&welcome, label, &[], n).unwrap();
    let key = expand(b"key", aead.key_len());
    let nonce = expand(b"nonce", aead.nonce_len());
    let epoch = suite.expand_with_label(&member, b"epoch", context, suite.nh()).unwrap();
    let secrets = EpochSecrets::from_epoch_secret(suite, epoch.clone()).unwrap();
    let consumed = vec![
        ("intermediate secret", member),
        ("welcome_secret", welcome),
        ("welcome_key", key),
        ("welcome_nonce", nonce),
        ("epoch_secret", epoch),
        ("confirmation_key", secrets.confirmation_key.as_secret().clone()),
    ];
    Derived { epoch: secrets, consumed }
}

fn step(suite: u16, past_epochs: usize, provider: Maker) -> Step {
    let setup = setup(suite, past_epochs, provider);
    let mut peers = setup.members(3);
    // All parents above the committer are populated.
    commits(&mut peers, 0, path());
    let psk = Secret::new((0..32).map(|i| 0xa0 ^ i).collect());
    let psks = vec![(PskType::External { psk_id: b"psk".as_slice().into() }, psk.clone())];
    peers.iter_mut().for_each(|peer| peer.psks = psks.clone());
    let before: Vec<Rows> = peers.iter().map(|peer| peer.rows.clone()).collect();
    let old = Insider::of(&peers[1].group);
    let old_confirmed = peers[1].group.context().confirmed_transcript_hash.clone();

    // The step.
    let client = setup.key_package(leaf_params("newcomer", setup.suite), 77);
    let psk_proposal = NewProposal::ExternalPsk { psk_id: b"psk".as_slice().into() };
    let options = CommitOptions { proposals: vec![add(&client), psk_proposal], ..path() };
    let messages = peers[0].commit(options).unwrap();
    let pending = peers[0].rows.clone();
    deliver(&mut peers, 0, &messages.commit);
    peers[0].accepted();

    let suite = peers[0].suite();
    let (secrets, init_key) = group_secrets(&suite, &client, &messages.welcomes[0].message);
    peers.push(setup.join(&messages.welcomes[0].message, &client, &psks, 77).unwrap());
    agree(&peers);

    // The secrets of its key schedule.
    let context = peers[1].group.context();
    let joiner = Secret::copy_from(&secrets.joiner_secret);
    let root_path = Secret::copy_from(&secrets.path_secret.as_ref().unwrap().path_secret);
    let commit_secret = suite.derive_secret(&root_path, b"path").unwrap();
    let init = old.stored_secret("init_secret").clone();
    let again = JoinerSecret::derive(
        &suite,
        &InitSecret::from_secret(init.clone()),
        &CommitSecret::from_secret(commit_secret.clone()),
        &context.to_bytes().unwrap(),
    );
    assert!(again.unwrap().as_secret() == &joiner, "the test derives what the group does");

    let ids = [(secrets.psks[0].clone(), psk.clone())];
    let psk_secret = psk_secret(&suite, &ids).unwrap().into_secret();
    let derived = derive(&suite, &joiner, &psk_secret, &context.to_bytes().unwrap());
    assert!(
        Some(&derived.epoch.epoch_authenticator) == peers[1].group.epoch_authenticator().ok(),
        "the test derives what the group does"
    );

    // The lower path secret, as member 1 opens it.
    let mut provisional = context.clone();
    provisional.confirmed_transcript_hash = old_confirmed;
    let leaf_key = HpkePrivateKey(private_key(&before[1], 2));
    let public = suite.hpke_public_key(&leaf_key).unwrap();
    let pair = HpkeKeyPair { private: leaf_key, public };
    let sealed = &path_of(&messages.commit).nodes[0].encrypted_path_secret[0];
    let provisional = provisional.to_bytes().unwrap();
    let lower_path = suite.decrypt_with_label(&pair, b"UpdatePathNode", &provisional, sealed);
    let lower_path = lower_path.expect("it opens with the stored key");
    assert!(suite.derive_secret(&lower_path, b"path").unwrap() == root_path);
    let node_secret = |path: &Secret| suite.derive_secret(path, b"node").unwrap();

    let mut consumed = derived.consumed;
    consumed.extend([
        ("init_secret", init.clone()),
        ("commit_secret", commit_secret.clone()),
        ("joiner_secret", joiner),
        ("psk_secret", psk_secret),
        ("external PSK", psk.clone()),
        ("init key of the key package", init_key),
        ("node secret of the lower node", node_secret(&lower_path)),
        ("node secret of the root", node_secret(&root_path)),
        ("path secret of the lower node", lower_path),
        ("path secret of the root", root_path),
        ("replaced leaf private key", private_key(&before[0], 0)),
        ("replaced private key of the lower node", private_key(&before[0], 1)),
        ("replaced private key of the root", private_key(&before[0], 3)),
    ]);
    let of_epoch = ["exporter_secret", "external_secret", "membership_key", "epoch_authenticator"];
    consumed.extend(of_epoch.map(|name| (name, old.stored_secret(name).clone())));
    let sources = vec![("commit_secret", commit_secret), ("external PSK", psk)];
    let root = before[1].iter().find(|(key, _)| {
        key.table == Table::SecretTreeNode && key.epoch == old.context.epoch.0 && key.index == 3
    });
    let mut of_past =
        vec![("encryption_secret", Secret::copy_from(&root.unwrap().1.expose()[..32]))];
    if suite.nh() != 32 {
        of_past.clear();
    }
    of_past.extend(
        ["sender_data_secret", "resumption_psk"].map(|n| (n, old.stored_secret(n).clone())),
    );
    let encryption = derived.epoch.encryption.into_secret();
    Step { before, pending, peers, consumed, sources, encryption, of_past }
}

fn consumed_by_a_commit(suite: u16, provider: Maker) {
    for past_epochs in [0, 2] {
        let step = step(suite, past_epochs, provider);
        // The old epoch's secrets and keys were stored, and so were the sources of the others.
        let stored = |secret: &Secret| {
            let mut all = step.before.iter().chain([&step.pending]);
            all.any(|rows| row_with(rows, secret.expose()).is_some())
        };
        let old = [
            "init_secret",
            "exporter_secret",
            "external_secret",
            "membership_key",
            "epoch_authenticator",
            "replaced leaf private key",
            "replaced private key of the lower node",
            "replaced private key of the root",
        ];
        for (name, secret) in &step.consumed {
            assert!(!old.contains(name) || stored(secret), "{name} was not stored");
        }
        for (name, secret) in &step.sources {
            assert_stored(&step.pending, secret, name);
        }

        for peer in &step.peers {
            for (name, secret) in &step.consumed {
                assert_gone(peer, secret, name);
            }
            assert_stored(&peer.rows, &step.encryption, "the new encryption_secret");
        }
    }
}

#[test]
fn a_commit_deletes_consumed_secrets_and_replaced_keys_in_suite_1() {
    consumed_by_a_commit(1, portable);
    consumed_by_a_commit(1, native);
}

#[test]
fn a_commit_deletes_consumed_secrets_and_replaced_keys_in_suite_2() {
    consumed_by_a_commit(2, native);
}

#[test]
fn a_commit_deletes_consumed_secrets_and_replaced_keys_in_suite_6() {
    consumed_by_a_commit(6, native);
}

#[test]
fn the_secrets_of_a_past_epoch_are_deleted_with_it() {
    for past_epochs in 0..3 {
        let Step { mut peers, before, of_past, .. } = step(1, past_epochs, portable);
        assert_eq!(of_past.len(), 3);
        for round in 0..3 {
            for (name, secret) in &of_past {
                assert_stored(&before[1], secret, name);
                for peer in &peers[..3] {
                    if round < past_epochs {
                        assert_stored(&peer.rows, secret, name);
                    } else {
                        assert_gone(peer, secret, name);
                    }
                }
                assert_gone(&peers[3], secret, name);
            }
            commits(&mut peers, 1, CommitOptions::default());
        }
    }
}

#[test]
fn what_opens_targeted_messages_of_a_past_epoch_is_deleted_with_it() {
    for past_epochs in 0..3 {
        let setup = setup(1, past_epochs, portable);
        let leaf = |name: &&str| inviting(leaf_params(name, setup.suite));
        let mut peers = setup.group(["alice", "bob", "carol"].iter().map(leaf).collect());
        let suite = Suite::new(setup.provider, setup.suite).unwrap();

        let insider = Insider::of(&peers[1].group);
        let exporter = insider.stored_secret("exporter_secret");
        let secrets =
            TargetedSecrets::derive(&suite, &ExporterSecret::from_secret(exporter.clone()));
        let TargetedSecrets { psk, sender_auth_data } = secrets.unwrap();
        let leaf_key = private_key(&peers[1].rows, 2);
        assert_stored(&peers[1].rows, exporter, "exporter_secret");
        let kept = [
            ("targeted_message_psk", psk),
            ("sender_auth_data_secret", sender_auth_data.into_secret()),
            ("the leaf's private key", leaf_key),
        ];

        commits(&mut peers, 1, path());
        for round in 0..3 {
            assert_gone(&peers[1], exporter, "exporter_secret");
            for (name, secret) in &kept {
                if round < past_epochs {
                    assert_stored(&peers[1].rows, secret, name);
                } else {
                    assert_gone(&peers[1], secret, name);
                }
            }
            commits(&mut peers, 0, CommitOptions::default());
        }
    }
}

#[test]
fn an_aged_past_epoch_is_deleted_with_its_secrets() {
    let Step { mut peers, of_past, .. } = step(1, 2, portable);
    let late = NOW.saturating_add(8 * DAY);
    let gone = peers[1].group.expire_past_epochs(late).expect("an old epoch");
    for (name, secret) in &of_past {
        assert_stored(&peers[1].rows, secret, name);
    }
    peers[1].take(gone);
    for (name, secret) in &of_past {
        assert_gone(&peers[1], secret, name);
    }
}

/// The secret tree of four leaves, derived from its root by the test.
struct Tree {
    nodes: Vec<Secret>,
}

impl Tree {
    fn of(suite: &Suite<'_>, encryption: &Secret) -> Self {
        let child = |secret: &Secret, side: &[u8]| {
            suite.expand_with_label(secret, b"tree", side, suite.nh()).unwrap()
        };
        let left = child(encryption, b"left");
        let right = child(encryption, b"right");
        let leaves = [&left, &right].map(|n| [child(n, b"left"), child(n, b"right")]);
        let [[n0, n2], [n4, n6]] = leaves;
        Self { nodes: vec![n0, left, n2, encryption.clone(), n4, right, n6] }
    }

    /// The ratchet secrets of the first generations, with the keys and nonces derived from them.
    fn ratchet(
        &self,
        suite: &Suite<'_>,
        node: usize,
        kind: &[u8],
        n: u32,
    ) -> Vec<(Secret, Secret, Secret)> {
        let nh = suite.nh();
        let mut secret = suite.expand_with_label(&self.nodes[node], kind, &[], nh).unwrap();
        let aead = suite.params().aead;
        let mut steps = Vec::new();
        for g in 0..n {
            let derive = |label: &[u8], n| suite.derive_tree_secret(&secret, label, g, n).unwrap();
            let key = derive(b"key", aead.key_len());
            let nonce = derive(b"nonce", aead.nonce_len());
            let next = derive(b"secret", nh);
            steps.push((std::mem::replace(&mut secret, next), key, nonce));
        }
        steps
    }
}

/// The example of section 9.2, with D as the sender of generations 0 and 1, of which 1 arrives
/// first.
fn secret_tree_example(suite: u16, provider: Maker) {
    let Step { mut peers, encryption, .. } = step(suite, 1, provider);
    let suite = peers[0].suite();
    let tree = Tree::of(&suite, &encryption);
    let ar = tree.ratchet(&suite, 6, b"application", 4);
    let hr = tree.ratchet(&suite, 6, b"handshake", 1);
    let messages = [peers[3].say(b"zero"), peers[3].say(b"one")];
    let path = [("G", 3), ("F", 5), ("D", 6)];

    // The sender has used both keys.
    for (name, node) in path {
        assert_gone(&peers[3], &tree.nodes[node], name);
    }
    for (generation, (ratchet, key, nonce)) in ar[..2].iter().enumerate() {
        assert_gone(&peers[3], ratchet, &format!("AR{generation}"));
        assert_gone(&peers[3], key, &format!("K{generation}"));
        assert_gone(&peers[3], nonce, &format!("N{generation}"));
    }
    assert_stored(&peers[3].rows, &ar[2].0, "AR2");

    for peer in &mut peers[..3] {
        assert_stored(&peer.rows, &encryption, "the encryption_secret");
        assert_eq!(peer.reads(&messages[1]).data, b"one");

        // Generation 1 was read.
        for (name, node) in path {
            assert_gone(peer, &tree.nodes[node], name);
        }
        for (name, secret) in
            [("K1", &ar[1].1), ("N1", &ar[1].2), ("AR0", &ar[0].0), ("AR1", &ar[1].0)]
        {
            assert_gone(peer, secret, name);
        }
        for (name, secret) in [
            ("K0", &ar[0].1),
            ("N0", &ar[0].2),
            ("AR2", &ar[2].0),
            ("HR0", &hr[0].0),
            ("E", &tree.nodes[1]),
            ("C", &tree.nodes[4]),
        ] {
            assert_stored(&peer.rows, secret, name);
        }

        // Generation 0 follows.
        assert_eq!(peer.reads(&messages[0]).data, b"zero");
        assert_gone(peer, &ar[0].1, "K0");
        assert_gone(peer, &ar[0].2, "N0");
    }
}

#[test]
fn a_message_deletes_its_key_and_sources_as_in_the_rfcs_example() {
    secret_tree_example(1, portable);
    secret_tree_example(2, native);
    secret_tree_example(6, native);
}

#[test]
fn encrypted_handshake_messages_delete_their_keys() {
    let Step { mut peers, encryption, .. } = step(1, 1, portable);
    let suite = peers[0].suite();
    let tree = Tree::of(&suite, &encryption);
    let hr = tree.ratchet(&suite, 0, b"handshake", 3);
    let proposal = peers[0].propose_update(None, &encrypted());
    deliver(&mut peers, 0, &proposal);
    let options = CommitOptions { framing: encrypted(), received: false, ..path() };
    for peer in &peers {
        assert_gone(peer, &hr[0].0, "HR0");
        assert_gone(peer, &hr[0].1, "the key of the proposal");
        assert_gone(peer, &hr[0].2, "the nonce of the proposal");
        assert_stored(&peer.rows, &hr[1].0, "HR1");
    }

    commits(&mut peers, 0, options);
    for peer in &peers {
        // The epoch is past now, and kept.
        assert_gone(peer, &hr[1].0, "HR1");
        assert_gone(peer, &hr[1].1, "the key of the commit");
        assert_gone(peer, &hr[1].2, "the nonce of the commit");
        assert_stored(&peer.rows, &hr[2].0, "HR2");
    }
}

#[test]
fn a_skipped_key_beyond_the_limit_is_deleted() {
    let ratchet = RatchetLimits { max_forward: 100, max_skipped: 2, ..RatchetLimits::default() };
    let config = Config { limits: Limits { ratchet, ..Limits::default() }, ..Config::default() };
    let mut peers = Setup { config, ..Setup::of(SUITE) }.members(2);
    let messages: Vec<Vec<u8>> = (0..6).map(|i| peers[0].say(&[i])).collect();
    let tree = Insider::of(&peers[1].group);
    let suite = peers[1].suite();
    let key = |generation| {
        let kind = RatchetKind::Application;
        tree.secret_tree().leaf_keys(&suite, LeafIndex(0), kind, generation).unwrap()
    };
    let keys: Vec<_> = (0..6).map(key).collect();

    peers[1].reads(&messages[2]);
    assert_stored(&peers[1].rows, &keys[0].key, "key 0");
    peers[1].reads(&messages[4]);
    assert_gone(&peers[1], &keys[0].key, "key 0");
    for kept in [1, 3] {
        assert_stored(&peers[1].rows, &keys[kept].key, "a skipped key");
    }
}

#[test]
fn a_refused_but_verified_message_has_a_step_that_deletes_its_key() {
    let peers = &mut setup(1, 1, portable).members(2);
    let insider = Insider::of(&peers[0].group);
    let tree = Insider::of(&peers[1].group);
    let kind = RatchetKind::Handshake;
    let key = tree.secret_tree().leaf_keys(&peers[1].suite(), LeafIndex(0), kind, 0).unwrap();

    let [a, b] = peers.as_mut_slice() else { panic!("two members") };
    let before = b.rows.clone();
    let content = Insider::commit(vec![Proposal::Remove(LeafIndex(0))], None);
    let message = insider.private(a.provider, &mut a.rng, content, 0);
    let refused = b.process(&message).expect_err("nobody removes itself");
    let step = refused.key_deletion.expect("its sender is verified");
    assert_eq!(b.rows, before);

    b.take(*step);
    assert_gone(b, &key.key, "the key of the refused message");
    assert_gone(b, &key.nonce, "the nonce of the refused message");
    assert!(row_with(&b.rows, tree.stored_secret("init_secret").expose()).is_some());
}

/// The leaf key of the one pending Update, which comes first in its row.
fn pending_leaf_key(rows: &Rows) -> Secret {
    let row = rows.iter().find(|(key, _)| key.table == Table::PendingUpdate).expect("an update").1;
    let mut r = Reader::new(row.expose());
    Secret::copy_from(r.opaque().unwrap())
}

#[test]
fn a_committed_update_replaces_and_deletes_the_old_leaf_key() {
    let mut peers = setup(1, 2, portable).members(3);
    let proposal = peers[2].propose_update(None, &Framing::default());
    deliver(&mut peers, 2, &proposal);
    let old = private_key(&peers[2].rows, 4);
    let new = pending_leaf_key(&peers[2].rows);
    commits(&mut peers, 0, CommitOptions::default());
    assert_gone(&peers[2], &old, "the replaced leaf key");
    assert_eq!(private_key(&peers[2].rows, 4), new);
    assert!(peers[2].rows.keys().all(|key| key.table != Table::PendingUpdate));
}

#[test]
fn the_keys_of_blanked_nodes_are_deleted() {
    // An Update blanks the path of its proposer, and a removal that of the removed member.
    for update in [true, false] {
        let mut peers = setup(1, 2, portable).members(4);
        commits(&mut peers, 2, path());
        let key = private_key(&peers[2].rows, 5);
        assert_stored(&peers[3].rows, &key, "the key of the node above both");
        let mut options = CommitOptions::default();
        if update {
            let proposal = peers[3].propose_update(None, &Framing::default());
            deliver(&mut peers, 3, &proposal);
        } else {
            options.proposals.push(NewProposal::Remove(LeafIndex(3)));
        }
        commits(&mut peers, 0, options);
        for peer in &peers {
            assert_gone(peer, &key, "the key of a blank node");
        }
    }
}

#[test]
fn the_key_of_an_uncommitted_update_is_deleted() {
    for discard in [true, false] {
        let mut peers = setup(1, 2, portable).members(3);
        // No other member receives it.
        peers[2].propose_update(None, &Framing::default());
        let key = pending_leaf_key(&peers[2].rows);
        assert_stored(&peers[2].rows, &key, "the pending key");

        if discard {
            let step = peers[2].group.discard_proposals().expect("no commit is pending");
            peers[2].take(step);
        } else {
            commits(&mut peers, 0, path());
        }
        assert_gone(&peers[2], &key, "the key of an uncommitted Update");
    }
}

/// The secrets of member 0's pending commit: PSK, keys of its path, and new signature key.
fn pending_commit_secrets(peers: &mut [Peer]) -> Vec<(&'static str, Secret)> {
    let psk = Secret::new((0..32).map(|i| 0x51 ^ i).collect());
    let kind = PskType::External { psk_id: b"psk".as_slice().into() };
    peers.iter_mut().for_each(|peer| peer.psks = vec![(kind.clone(), psk.clone())]);
    let leaf = peers[0].new_leaf("renamed");
    let signature = leaf.signer.private.clone();
    let proposals = vec![NewProposal::ExternalPsk { psk_id: b"psk".as_slice().into() }];
    let thief = peers[0].rows.clone();
    let options = CommitOptions { leaf: Some(leaf), proposals, ..path() };
    let messages = peers[0].commit(options).unwrap();

    // A copy of the member applies the commit and shows the keys.
    let mut twin = peers[0].thief();
    let pending = twin.rows.clone();
    assert_eq!(twin.group.pending_commit(), Some(&messages));
    twin.accepted();
    let mut secrets = vec![("PSK", psk), ("signature key", signature)];
    for (key, row) in &twin.rows {
        if key.table == Table::PrivateKey && thief.get(key) != Some(row) {
            let key = Secret::copy_from(content(row).expect("a whole row"));
            secrets.push(("private key of the path", key));
        }
    }
    assert!(secrets.len() >= 4, "a leaf key and one above it");
    for (name, secret) in &secrets {
        assert_stored(&pending, secret, name);
    }
    secrets
}

#[test]
fn a_rejected_or_lost_commit_deletes_its_secrets() {
    for rejected in [true, false] {
        let mut peers = setup(1, 2, portable).members(3);
        let secrets = pending_commit_secrets(&mut peers);
        if rejected {
            peers[0].rejected();
        } else {
            commits(&mut peers, 1, path());
        }
        for (name, secret) in &secrets {
            assert_gone(&peers[0], secret, name);
        }
    }
}

#[test]
fn a_replaced_signature_key_is_deleted() {
    for by_commit in [true, false] {
        let mut peers = setup(1, 2, portable).members(3);
        let old = Insider::of(&peers[2].group).stored_secret("signature private key").clone();
        let leaf = peers[2].new_leaf("renamed");
        let new = leaf.signer.private.clone();
        assert_stored(&peers[2].rows, &old, "the old signature key");
        if by_commit {
            commits(&mut peers, 2, CommitOptions { leaf: Some(leaf), ..CommitOptions::default() });
        } else {
            let proposal = peers[2].propose_update(Some(leaf), &Framing::default());
            deliver(&mut peers, 2, &proposal);
            commits(&mut peers, 0, CommitOptions::default());
        }
        assert_gone(&peers[2], &old, "the replaced signature key");
        assert_stored(&peers[2].rows, &new, "the new signature key");
    }
}

#[test]
fn the_first_path_of_a_member_deletes_its_key_packages_leaf_key() {
    let mut peers = setup(1, 2, portable).members(3);
    let key = private_key(&peers[1].rows, 2);
    commits(&mut peers, 0, path());
    assert_stored(&peers[1].rows, &key, "the leaf key of the key package");
    commits(&mut peers, 1, path());
    assert_gone(&peers[1], &key, "the leaf key of the key package");
}

#[test]
fn a_removed_member_deletes_all_its_rows() {
    let mut peers = setup(1, 2, portable).members(3);
    peers[2].propose_update(None, &Framing::default());
    let proposals = vec![NewProposal::Remove(LeafIndex(2))];
    assert!(peers[2].rows.len() > 5);
    let messages = commits(&mut peers, 0, CommitOptions { proposals, ..CommitOptions::default() });
    assert!(peers[2].rows.is_empty() && peers[2].all_rows().is_empty());
    assert!(peers[2].process(&messages.commit).is_err());
}

#[test]
fn nobody_stores_the_external_init_secret() {
    use conclave_schedule::{ExternalSecret, external_init_from, external_key_pair};
    use conclave_wire::{Proposal, ProposalOrRef};
    let mut peers = setup(1, 2, portable).members(2);
    let suite = peers[0].suite();
    let info = peers[0].group_info();
    let outsider = leaf_params("outsider", SUITE);
    let (joined, commit) = Peer::join_from_outside(&info, outsider, None, 9).unwrap();
    let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(&commit).unwrap().body
    else {
        panic!("not public")
    };
    let Content::Commit(list) = &message.content.content else { panic!("no commit") };
    let Some(ProposalOrRef::Proposal(Proposal::ExternalInit(kem_output))) = list.proposals.first()
    else {
        panic!("no ExternalInit")
    };

    let external = Insider::of(&peers[0].group).stored_secret("external_secret").clone();
    let pair = external_key_pair(&suite, &ExternalSecret::from_secret(external.clone())).unwrap();
    let init = external_init_from(&suite, &pair, kem_output).unwrap().into_secret();
    let old_init = Insider::of(&peers[0].group).stored_secret("init_secret").clone();

    for peer in &mut peers {
        assert_stored(&peer.rows, &external, "external_secret");
        assert_stored(&peer.rows, &old_init, "the unused init_secret");
        assert!(matches!(peer.receive(&commit), Event::Epoch(_)));
        for (name, secret) in [
            ("external_secret", &external),
            ("external_priv", &pair.private.0),
            ("the external init secret", &init),
            ("the unused init_secret", &old_init),
        ] {
            assert_gone(peer, secret, name);
        }
    }
    assert_eq!(row_with(&joined.rows, init.expose()), None);
    assert_eq!(row_with(&joined.rows, external.expose()), None);
}
