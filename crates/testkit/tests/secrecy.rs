//! Forward secrecy, post-compromise security and removal, on the stored rows: the powers of a thief that
//! copies a member's rows at one moment and sees all messages before and after.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{CryptoProvider, HpkeKeyPair, HpkePrivateKey, Secret, Suite};
use conclave_group::rows::{Table, content};
use conclave_group::{
    CommitOptions, Config, Error, Event, Framing, Limits, NewProposal, RatchetError, Rejection,
};
use conclave_schedule::{
    CommitSecret, EncryptionSecret, EpochSecrets, InitSecret, JoinerSecret, MemberSecret,
    MessageKey, PskSecret, RatchetKind, SecretTree,
};
use conclave_testkit::forge::Insider;
use conclave_testkit::party::*;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Content, Decode, Encode, GroupContext, LeafIndex, MlsMessage, MlsMessageBody,
    NodeIndex, TreeSize, UpdatePath,
};

type Maker = fn() -> &'static dyn CryptoProvider;

/// Suites with X25519, P-256 and X448, each with a provider.
const SUITES: [(u16, Maker); 4] = [(1, portable), (1, native), (2, native), (6, native)];

fn group(suite: u16, provider: Maker, members: usize) -> Vec<Peer> {
    let limits = Limits { past_epochs: 1, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    Setup { suite: CipherSuite(suite), config, provider: provider() }.members(members)
}

fn framing(encrypt: bool) -> Framing {
    Framing { encrypt, ..Framing::default() }
}

fn path(encrypt: bool) -> CommitOptions {
    let framing = framing(encrypt);
    CommitOptions { force_path: true, framing, ..CommitOptions::default() }
}

// ── forward secrecy ──────────────────────────────────────────────────────────────────────────

/// The number of generations that the burglar tries of each ratchet that it finds or guesses.
const BOUND: u32 = 4;

/// A thief of a member's rows that derives every message key that it can. It takes every stretch of
/// bytes in any row for every kind of secret.
struct Burglar<'a> {
    suite: &'a Suite<'a>,
    size: TreeSize,
    wanted: &'a MessageKey,
}

impl Burglar<'_> {
    fn is_wanted(&self, key: &MessageKey) -> bool {
        *key == *self.wanted
    }

    /// Whether a ratchet leads to the key, if this is its secret of generation `from`.
    fn ratchet(&self, secret: &Secret, from: u32) -> bool {
        let suite = self.suite;
        let aead = suite.params().aead;
        let mut secret = secret.clone();
        for generation in from..from + BOUND {
            let derive = |label: &[u8], n| {
                suite.derive_tree_secret(&secret, label, generation, n).expect("derived")
            };
            let key = derive(b"key", aead.key_len());
            let nonce = derive(b"nonce", aead.nonce_len());
            if self.is_wanted(&MessageKey { key, nonce }) {
                return true;
            }
            secret = derive(b"secret", suite.nh());
        }
        false
    }

    /// Whether a node leads to the key, if this is its secret: by all leaves below and their ratchets.
    fn node(&self, secret: &Secret, node: NodeIndex) -> bool {
        let expand = |label: &[u8], context: &[u8]| {
            self.suite.expand_with_label(secret, label, context, self.suite.nh()).expect("derived")
        };
        match node.children() {
            Some((left, right)) => {
                self.node(&expand(b"tree", b"left"), left)
                    || self.node(&expand(b"tree", b"right"), right)
            }
            None => [b"handshake".as_slice(), b"application"]
                .iter()
                .any(|label| self.ratchet(&expand(label, &[]), 0)),
        }
    }

    /// Whether a secret of any kind leads to the key: of a node, of a generation, of the epoch.
    fn any(&self, secret: &Secret) -> bool {
        let as_epoch = EpochSecrets::from_epoch_secret(self.suite, secret.clone());
        let encryption = as_epoch.expect("derived").encryption.into_secret();
        (0..BOUND).any(|generation| self.ratchet(secret, generation))
            || self.node(secret, self.size.root())
            || self.node(secret, LeafIndex(0).node())
            || self.node(&encryption, self.size.root())
    }

    /// Whether these rows lead to the key: as it is, by the loaded secret tree, or from any stretch of
    /// bytes.
    fn finds_key_in(&self, peer: &Peer, rows: &Rows) -> bool {
        let loaded = peer.load(rows).expect("stored rows load");
        let tree = Insider::of(&loaded);

        let ids = (0..self.size.leaf_count()).flat_map(|leaf| {
            [RatchetKind::Handshake, RatchetKind::Application].map(|kind| (LeafIndex(leaf), kind))
        });
        let mut known = ids.flat_map(|(leaf, kind)| {
            let generations = 0..2 * BOUND;
            generations.map(move |generation| (leaf, kind, generation))
        });
        let by_tree = known.any(|(leaf, kind, generation)| {
            let key = tree.secret_tree().leaf_keys(self.suite, leaf, kind, generation);
            key.is_ok_and(|key| self.is_wanted(&key))
        });

        let stored = row_with(rows, self.wanted.key.expose()).is_some();
        let secret_rows = rows.iter().filter(|(key, _)| key.table != Table::Tree);
        let by_guessing = || {
            let mut stretches =
                secret_rows.flat_map(|(_, row)| row.expose().windows(self.suite.nh()));
            stretches.any(|stretch| self.any(&Secret::copy_from(stretch)))
        };
        by_tree || stored || by_guessing()
    }
}

fn message_key(group: &Peer, leaf: u32, kind: RatchetKind, generation: u32) -> MessageKey {
    let tree = Insider::of(&group.group);
    let key = tree.secret_tree().leaf_keys(&group.suite(), LeafIndex(leaf), kind, generation);
    key.expect("not consumed yet")
}

fn assert_key_gone(peer: &Peer, message: &[u8]) {
    let refused = peer.process(message).expect_err("a replay");
    let gone =
        matches!(refused.error, Error::Rejected(Rejection::Ratchet(RatchetError::KeyGone { .. })));
    assert!(gone && refused.key_deletion.is_none(), "{}", refused.error);
}

#[test]
fn stored_state_does_not_open_a_message_that_was_read_or_sent() {
    for (suite, provider) in SUITES {
        let mut peers = group(suite, provider, 3);
        for generation in 0..2 {
            let kind = RatchetKind::Application;
            let key = message_key(&peers[1], 0, kind, generation);
            let before: Vec<Rows> = peers.iter().map(|peer| peer.rows.clone()).collect();
            let message = peers[0].say(b"hello");
            assert_eq!(peers[1].reads(&message).data, b"hello");

            let suite = peers[1].suite();
            let burglar =
                Burglar { suite: &suite, size: peers[0].group.tree().size(), wanted: &key };
            for (i, before) in before.iter().enumerate().take(2) {
                assert!(
                    burglar.finds_key_in(&peers[i], before),
                    "the burglar does not find a key that is there"
                );
                assert!(!burglar.finds_key_in(&peers[i], &peers[i].rows), "member {i}");
                peers[i].reload();
            }
            assert_key_gone(&peers[1], &message);
            // The sender knows its own message, and does not read it.
            assert!(peers[0].process(&message).expect("known").is_none());
            // A member that has not read it yet can.
            assert!(burglar.finds_key_in(&peers[2], &peers[2].rows));
            assert_eq!(peers[2].thief().reads(&message).data, b"hello");
        }
    }
}

#[test]
fn the_burglar_finds_a_key_from_any_secret_above_it() {
    let suite = Suite::new(&PROVIDER, CipherSuite(1)).unwrap();
    let size = TreeSize::for_leaves(4).unwrap();
    let epoch = Secret::copy_from(&[7; 32]);
    let root = EpochSecrets::from_epoch_secret(&suite, epoch.clone()).unwrap().encryption;
    let tree = SecretTree::new(size, EncryptionSecret::from_secret(root.as_secret().clone()));
    let wanted = tree.leaf_keys(&suite, LeafIndex(3), RatchetKind::Handshake, 2).unwrap();
    let burglar = Burglar { suite: &suite, size, wanted: &wanted };
    assert!(burglar.any(&epoch) && burglar.any(root.as_secret()));
    assert!(!burglar.any(&Secret::copy_from(&[8; 32])));
}

#[test]
fn stored_state_does_not_open_a_processed_handshake_message() {
    for (suite, provider) in SUITES {
        let mut peers = group(suite, provider, 3);
        let size = peers[0].group.tree().size();
        let suite = peers[0].suite();
        let kind = RatchetKind::Handshake;
        for generation in 0..2 {
            let key = message_key(&peers[1], 0, kind, generation);
            let burglar = Burglar { suite: &suite, size, wanted: &key };
            assert!(burglar.finds_key_in(&peers[1], &peers[1].rows));

            let message = match generation {
                0 => {
                    let message = peers[0].propose_update(None, &framing(true));
                    deliver(&mut peers, 0, &message);
                    message
                }
                _ => commits(&mut peers, 0, path(true)).commit,
            };
            for peer in &mut peers {
                assert!(!burglar.finds_key_in(peer, &peer.rows), "{peer:?}");
                peer.reload();
            }
            match generation {
                0 => assert_key_gone(&peers[1], &message),
                // A past epoch takes no handshake message.
                _ => assert!(peers[1].process(&message).is_err()),
            }
        }
        agree(&peers);
    }
}

#[test]
fn a_skipped_message_is_read_late_and_only_once() {
    let mut peers = group(1, portable, 2);
    let key = message_key(&peers[1], 0, RatchetKind::Application, 0);
    let messages = [peers[0].say(b"first"), peers[0].say(b"second")];
    let suite = Suite::new(&PROVIDER, CipherSuite(1)).unwrap();
    let burglar = Burglar { suite: &suite, size: peers[0].group.tree().size(), wanted: &key };

    peers[1].reads(&messages[1]);
    peers[1].reload();
    assert!(burglar.finds_key_in(&peers[1], &peers[1].rows));
    commits(&mut peers, 0, path(false));
    peers[1].reload();
    assert_eq!(peers[1].reads(&messages[0]).data, b"first");
    peers[1].reload();
    assert_eq!(row_with(&peers[1].rows, key.key.expose()), None);
    assert!(!burglar.finds_key_in(&peers[1], &peers[1].rows));
    assert_key_gone(&peers[1], &messages[0]);
    assert_key_gone(&peers[1], &messages[1]);
}

// ── post-compromise security ─────────────────────────────────────────────────────────────────

/// Lets a thief of a member's rows process a message and take the step that results.
fn follow(thief: &mut Peer, message: &[u8]) -> Result<Option<Event>, Error> {
    match thief.process(message) {
        Ok(Some(step)) => Ok(Some(thief.take(step))),
        Ok(None) => Ok(None),
        Err(refused) => Err(refused.error),
    }
}

fn path_of(commit: &[u8]) -> UpdatePath {
    let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(commit).unwrap().body
    else {
        panic!("not public")
    };
    let Content::Commit(commit) = message.content.content else { panic!("no commit") };
    *commit.path.expect("a path")
}

/// Whether any private key in the stolen rows opens any path secret of a commit. `context` is the
/// encoded provisional GroupContext.
fn opens_a_path_secret(thief: &Peer, commit: &[u8], context: &[u8]) -> bool {
    let suite = thief.suite();
    let keys = thief.rows.iter().filter(|(key, _)| key.table == Table::PrivateKey);
    let pairs: Vec<HpkeKeyPair> = keys
        .map(|(_, row)| {
            let private = HpkePrivateKey(Secret::copy_from(content(row).unwrap()));
            let public = suite.hpke_public_key(&private).expect("a private key");
            HpkeKeyPair { private, public }
        })
        .collect();
    assert!(!pairs.is_empty());

    let path = path_of(commit);
    let mut sealed = path.nodes.iter().flat_map(|node| &node.encrypted_path_secret);
    sealed.any(|sealed| {
        let label = b"UpdatePathNode";
        pairs.iter().any(|pair| suite.decrypt_with_label(pair, label, context, sealed).is_ok())
    })
}

/// The encoded provisional GroupContext of the last commit, which ended the epoch of `old`.
fn provisional(peer: &Peer, old: &GroupContext) -> Vec<u8> {
    let mut context = peer.group.context().clone();
    context.confirmed_transcript_hash = old.confirmed_transcript_hash.clone();
    context.to_bytes().expect("encoded")
}

/// Whether a thief can derive the others' epoch from the `init_secret` of the epoch before, with zeros
/// or any stretch of its rows as the `commit_secret`.
fn derives_epoch(thief: &Peer, honest: &Peer) -> bool {
    let suite = thief.suite();
    let init = Insider::of(&thief.group).stored_secret("init_secret").clone();
    let context = honest.group.context().to_bytes().expect("encoded");
    let wanted = honest.group.epoch_authenticator().expect("a member");
    let secret_rows = thief.rows.iter().filter(|(key, _)| key.table != Table::Tree);
    let stretches = secret_rows.flat_map(|(_, row)| row.expose().windows(suite.nh()));
    let guesses = stretches.map(Secret::copy_from).chain([Secret::zero(suite.nh())]);
    let mut epochs = guesses.map(|guess| {
        let init = InitSecret::from_secret(init.clone());
        let guess = CommitSecret::from_secret(guess);
        let joiner = JoinerSecret::derive(&suite, &init, &guess, &context).expect("derived");
        let member = MemberSecret::derive(&suite, &joiner, &PskSecret::zero(&suite));
        member.expect("derived").epoch(&suite, &context).expect("derived")
    });
    epochs.any(|epoch| epoch.epoch_authenticator == *wanted)
}

/// A thief that follows the group until the victim heals: it opens all messages and enters all epochs.
fn thief_that_follows(peers: &mut [Peer], victim: usize, encrypt: bool) -> Peer {
    let mut thief = peers[victim].thief();
    let message = peers[0].say(b"before");
    deliver(peers, 0, &message);
    assert_eq!(thief.reads(&message).data, b"before");
    for committer in [0, 2] {
        let old = thief.group.context().clone();
        let rows_before = thief.thief();
        let commit = commits(peers, committer, path(encrypt)).commit;
        if !encrypt {
            let context = provisional(&peers[0], &old);
            assert!(
                opens_a_path_secret(&rows_before, &commit, &context),
                "the test does not find a secret that is there"
            );
        }
        assert!(matches!(follow(&mut thief, &commit), Ok(Some(Event::Epoch(_)))));
        let message = peers[0].say(b"in the next epoch");
        deliver(peers, 0, &message);
        assert_eq!(thief.reads(&message).data, b"in the next epoch");
    }
    thief
}

/// Checks that the thief is stuck from the healing commit on: nothing opens, neither with its state as
/// it is nor with the rows as they were stolen.
fn assert_locked_out(peers: &mut [Peer], thief: &mut Peer, healing: &[u8], encrypt: bool) {
    let epoch = thief.group.epoch();
    let error = follow(thief, healing).expect_err("the thief cannot follow");
    assert!(matches!(error, Error::Rejected(_)), "{error}");
    assert_eq!(thief.group.epoch(), epoch, "the thief is stuck");
    assert!(!derives_epoch(thief, &peers[0]), "the thief can derive the healed epoch");

    for committer in [1, 0, 2, 1] {
        for sender in [1, 0, 2] {
            let message = peers[sender].say(b"after");
            deliver(peers, sender, &message);
            let error = follow(thief, &message).expect_err("the thief reads nothing");
            assert!(matches!(error, Error::Rejected(Rejection::WrongEpoch { .. })), "{error}");
        }

        let old = peers[0].group.context().clone();
        let commit = commits(peers, committer, path(encrypt)).commit;
        assert!(follow(thief, &commit).is_err());
        if !encrypt {
            assert!(!opens_a_path_secret(thief, &commit, &provisional(&peers[0], &old)));
        }
    }

    agree(peers);
    let ours = peers[0].group.epoch_authenticator().unwrap();
    assert_ne!(thief.group.epoch_authenticator().unwrap(), ours);
}

#[test]
fn a_members_path_locks_out_a_thief_of_its_rows() {
    for (suite, provider) in SUITES {
        for encrypt in [false, true] {
            let mut peers = group(suite, provider, 4);
            let mut thief = thief_that_follows(&mut peers, 1, encrypt);
            let old = thief.group.context().clone();
            let healing = commits(&mut peers, 1, path(encrypt)).commit;
            if !encrypt {
                let context = provisional(&peers[0], &old);
                assert!(!opens_a_path_secret(&thief, &healing, &context));
            }
            assert_locked_out(&mut peers, &mut thief, &healing, encrypt);
        }
    }
}

#[test]
fn a_members_committed_update_locks_out_a_thief_of_its_rows() {
    for (suite, provider) in SUITES {
        for encrypt in [false, true] {
            let mut peers = group(suite, provider, 4);
            let mut thief = thief_that_follows(&mut peers, 1, encrypt);
            let old = thief.group.context().clone();
            let proposal = peers[1].propose_update(None, &framing(encrypt));
            deliver(&mut peers, 1, &proposal);
            // The thief sees the proposal and can cache it, but lacks the new private key.
            let _ = follow(&mut thief, &proposal);
            let healing = commits(&mut peers, 2, path(encrypt)).commit;
            if !encrypt {
                let context = provisional(&peers[0], &old);
                assert!(!opens_a_path_secret(&thief, &healing, &context));
            }
            assert_locked_out(&mut peers, &mut thief, &healing, encrypt);
        }
    }
}

#[test]
fn a_commit_without_a_path_locks_out_no_thief() {
    // An Add heals nothing, which is why the tests above commit paths.
    let mut peers = group(1, portable, 3);
    let mut thief = peers[1].thief();
    let options = commit_of(vec![add(&key_package("new", 99))]);
    let commit = commits(&mut peers, 1, options).commit;
    assert!(derives_epoch(&thief, &peers[0]), "the test does not find a secret that is there");
    assert!(matches!(follow(&mut thief, &commit), Ok(Some(Event::Epoch(_)))));
    let message = peers[1].say(b"still read");
    assert_eq!(thief.reads(&message).data, b"still read");
}

// ── removal ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_removed_member_that_keeps_its_rows_cannot_read_the_new_epoch() {
    for (suite, provider) in SUITES {
        for encrypt in [false, true] {
            let mut peers = group(suite, provider, 4);
            let mut thief = thief_that_follows(&mut peers, 3, encrypt);
            let old = thief.group.context().clone();
            let stolen = thief.rows.clone();
            let proposals = vec![NewProposal::Remove(LeafIndex(3))];
            let removal = commits(&mut peers, 0, CommitOptions { proposals, ..path(encrypt) });
            let removed = peers.pop().expect("the removed member");
            assert!(removed.rows.is_empty(), "a removed member stores something");
            assert!(removed.all_rows().is_empty());
            if !encrypt {
                let context = provisional(&peers[0], &old);
                assert!(!opens_a_path_secret(&thief, &removal.commit, &context));
            }
            assert!(!derives_epoch(&thief, &peers[0]));
            for _ in 0..2 {
                for sender in 0..3 {
                    let message = peers[sender].say(b"among us");
                    deliver(&mut peers, sender, &message);
                    // The thief has ignored the removal and stays in its epoch.
                    let error = follow(&mut thief, &message).expect_err("of another epoch");
                    assert!(matches!(error, Error::Rejected(Rejection::WrongEpoch { .. })));
                    assert!(removed.process(&message).is_err());
                }
                let commit = commits(&mut peers, 1, path(encrypt)).commit;
                assert!(follow(&mut thief, &commit).is_err());
            }
            assert!(thief.rows == stolen, "a refused message changes something");

            // If it processes the removal and believes it, it deletes everything.
            let Ok(Some(Event::Removal(_))) = follow(&mut thief, &removal.commit) else {
                panic!("the removal is valid")
            };
            let deletion = thief.group.delete().unwrap();
            thief.take(deletion);
            assert!(thief.rows.is_empty());
        }
    }
}

#[test]
fn a_removed_members_rows_lead_to_no_key_of_the_new_epoch() {
    let mut peers = group(1, portable, 4);
    let thief = peers[3].thief();
    let proposals = vec![NewProposal::Remove(LeafIndex(3))];
    commits(&mut peers, 0, CommitOptions { proposals, ..CommitOptions::default() });
    let suite = Suite::new(&PROVIDER, CipherSuite(1)).unwrap();
    let size = peers[0].group.tree().size();
    for (leaf, kind) in [(0, RatchetKind::Application), (1, RatchetKind::Handshake)] {
        let key = message_key(&peers[0], leaf, kind, 0);
        let burglar = Burglar { suite: &suite, size, wanted: &key };
        assert!(burglar.finds_key_in(&peers[0], &peers[0].rows));
        assert!(!burglar.finds_key_in(&thief, &thief.rows));
    }
}
