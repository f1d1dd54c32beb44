//! A provider that fails once, at any one of its calls. The operation then returns the provider's
//! error, blames no peer, consumes no message's key, and leaves everything as it was, so that it
//! succeeds when it is tried again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::testing::{Hook, Hooked, Operation};
use conclave_crypto::{CryptoError, CryptoProvider, Kem, Secret, kem};
use conclave_group::{
    CommitMessages, CommitOptions, Error, Event, ExternalJoinOptions, Framing, Group,
    GroupInfoOptions, GroupParams, KeyPackageParams, LeafParams, NewProposal, Observer,
    ObserverEvent, Outcome, OwnKeyPackage, Refused, Transition, ValidKeyPackage, Verdict,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::party::*;
use conclave_testkit::{SeededRng, accepting};
use conclave_wire::{
    CipherSuite, Credential, Extension, ExtensionType, ExternalSender, LeafIndex, Proposal, PskType,
};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Fails at one call, counted from 0, and at no other.
struct FailAt {
    call: usize,
    calls: AtomicUsize,
}

impl Hook for FailAt {
    fn before(&self, _: Operation) -> Result<(), CryptoError> {
        if self.calls.fetch_add(1, Relaxed) == self.call {
            Err(CryptoError::Provider("a failure on purpose"))
        } else {
            Ok(())
        }
    }
}

/// Runs an operation with a provider that fails at its first call, then at its second, and so on until
/// the operation makes too few calls to fail. `unchanged` runs after every failure.
#[track_caller]
fn survives<T>(
    what: &str,
    unchanged: impl Fn(),
    operation: impl Fn(&dyn CryptoProvider) -> Result<T, Refused>,
) -> T {
    for call in 0.. {
        let hook = FailAt { call, calls: AtomicUsize::new(0) };
        let provider = Hooked::new(RustCrypto::new(), hook);
        let result = operation(&provider);
        let failed = provider.hook.calls.load(Relaxed) > call;

        match result {
            Ok(result) if !failed => {
                assert!(call > 0, "{what} does not call the provider");
                return result;
            }
            Ok(_) => panic!("{what} ignores the failure of call {call}"),
            Err(Refused { error, key_deletion }) => {
                // The error need not be the hook's: a batch of signatures says only that one fails.
                let of_provider = matches!(error, Error::Crypto(CryptoError::Provider(_)));
                assert!(of_provider, "{what}, call {call}: {error}");
                assert!(key_deletion.is_none(), "{what}, call {call}: a key would be deleted");
            }
        }
        unchanged();
    }
    unreachable!("an operation makes finitely many calls")
}

/// Runs an operation that has no state yet.
#[track_caller]
fn comes_to_be<T>(
    what: &str,
    operation: impl Fn(&dyn CryptoProvider, &mut SeededRng) -> Result<T, Error>,
) -> T {
    survives(what, || (), |p| Ok(operation(p, &mut SeededRng::from_u64(1))?))
}

/// Runs an operation that computes a step of a member, which the member then takes.
#[track_caller]
fn step<O: Outcome<Event>>(
    what: &str,
    peer: &mut Peer,
    operation: impl Fn(
        &Group,
        &dyn CryptoProvider,
        &mut SeededRng,
    ) -> Result<Transition<Group, O>, Refused>,
) -> O {
    let seed = peer.rng.below(u64::MAX);
    let unchanged = || assert_eq!(peer.all_rows(), peer.rows, "{what}");
    let operation =
        |p: &dyn CryptoProvider| operation(&peer.group, p, &mut SeededRng::from_u64(seed));
    let step = survives(what, unchanged, operation);
    peer.take(step)
}

fn commit(peer: &mut Peer, options: &CommitOptions) -> CommitMessages {
    step("making a commit", peer, |group, p, rng| Ok(group.commit(p, rng, NOW, options.clone())?))
}

fn accepted(peer: &mut Peer) {
    step("applying an own commit", peer, |group, p, _| {
        Ok(group.commit_accepted(p, NOW, &pending_id(group))?)
    });
}

fn receive(what: &str, peer: &mut Peer, message: &[u8]) -> Event {
    let psks = peer.psks.clone();
    step(what, peer, |group, p, _| {
        let step = accepting::process(group, p, NOW, message, accepting::known(&psks))?;
        Ok(step.expect("new"))
    })
}

fn watches(what: &str, observer: &mut Observer, message: &[u8]) -> ObserverEvent {
    let before = observer.rows().unwrap();
    let unchanged = || assert_eq!(observer.rows().unwrap(), before, "{what}");
    let step = survives(what, unchanged, |p| Ok(accepting::observe(observer, p, message)?));
    take_unstored(observer, step)
}

fn psk() -> (PskType, Secret) {
    (PskType::External { psk_id: b"psk".as_slice().into() }, Secret::copy_from(&[7; 32]))
}

/// Members and an observer that do everything under failures.
struct Life {
    suite: CipherSuite,
    peers: Vec<Peer>,
    observer: Observer,
}

impl Life {
    fn key_package(suite: CipherSuite, name: &str) -> OwnKeyPackage {
        let own = comes_to_be("making a key package", |p, rng| {
            let leaf = inviting(leaf_params(name, suite));
            let params = KeyPackageParams::new(suite, leaf, LIFETIME);
            let signer = signer(suite, name.len() as u64);
            OwnKeyPackage::generate(p, &mut rng.fork(name), params, signer)
        });

        let stored = own.to_secret().unwrap();
        comes_to_be("loading a key package", |p, _| OwnKeyPackage::from_secret(p, &stored));
        own
    }

    fn add(own: &OwnKeyPackage) -> NewProposal {
        let stage = comes_to_be("checking a key package", |p, _| {
            ValidKeyPackage::check(p, NOW, &config(), own.key_package().clone())
        });
        NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).unwrap()))
    }

    fn join(welcome: &[u8], own: &OwnKeyPackage, seed: u64) -> Peer {
        let new = comes_to_be("joining by a Welcome", |p, _| {
            let psks = [psk()];
            accepting::join(p, config(), welcome, own, accepting::known(&psks), None, None)
        });
        Peer { psks: vec![psk()], ..Peer::settle(new, seed) }
    }

    /// A founder, who adds two members with a PSK and a path.
    fn begin(suite: CipherSuite) -> Self {
        let sender = ExternalSender {
            signature_key: signer(suite, 77).public,
            credential: Credential::basic(b"the service"),
        };
        let senders = Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![sender]).unwrap();
        let new = comes_to_be("founding a group", |p, rng| {
            let group_id = b"a group".as_slice().into();
            let leaf = leaf_params("alice", suite);
            let params = GroupParams {
                extensions: vec![senders.clone()],
                ..GroupParams::new(group_id, suite, leaf, LIFETIME)
            };
            Group::create(p, rng, config(), params, signer(suite, 6))
        });
        let mut alice = Peer { psks: vec![psk()], ..Peer::settle(new, 1) };

        let info = comes_to_be("making a GroupInfo", |p, _| alice.group.group_info(p, ALL));
        let observer =
            comes_to_be("beginning to observe", |p, _| accepting::watch(p, config(), &info));

        let owns = ["bob", "carol"].map(|name| Self::key_package(suite, name));
        let mut proposals: Vec<NewProposal> = owns.iter().map(Self::add).collect();
        proposals.push(NewProposal::ExternalPsk { psk_id: b"psk".as_slice().into() });
        let options = CommitOptions { force_path: true, psks: vec![psk()], ..commit_of(proposals) };
        let messages = commit(&mut alice, &options);
        accepted(&mut alice);

        let welcome = &messages.welcomes[0].message;
        let mut peers = vec![alice];
        peers.extend(owns.iter().zip(2..).map(|(own, seed)| Self::join(welcome, own, seed)));
        let mut life = Self { suite, peers, observer };
        watches("observing a commit", &mut life.observer, &messages.commit);
        life.agree();
        life
    }

    fn agree(&self) {
        agree(&self.peers);
        assert_eq!(self.observer.context(), self.peers[0].group.context());
    }

    /// Delivers a message to all members but one, and to the observer if the message is in the clear.
    fn deliver(&mut self, what: &str, from: usize, message: &[u8], clear: bool) {
        for place in (0..self.peers.len()).filter(|place| *place != from) {
            receive(what, &mut self.peers[place], message);
        }
        if clear {
            watches(&format!("observing: {what}"), &mut self.observer, message);
        }
    }

    fn commits(&mut self, who: usize, options: &CommitOptions) {
        let messages = commit(&mut self.peers[who], options);
        self.deliver("processing a commit", who, &messages.commit, !options.framing.encrypt);
        accepted(&mut self.peers[who]);
        self.agree();
    }

    fn proposals_and_their_commit(&mut self) {
        let update = step("proposing an Update", &mut self.peers[1], |group, p, rng| {
            Ok(group.propose_update(p, rng, None, &Framing::default())?)
        });
        self.deliver("processing an Update", 1, &update.message, true);

        let psk_id = b"psk".as_slice().into();
        let proposal = NewProposal::ExternalPsk { psk_id };
        let proposal = step("proposing a PSK", &mut self.peers[2], |group, p, rng| {
            Ok(group.propose(p, rng, NOW, proposal.clone(), &Framing::default())?)
        });
        self.deliver("processing a PSK", 2, &proposal.message, true);

        let target = self.peers[0].group.external_target();
        let service = signer(self.suite, 77);
        let remove = Proposal::Remove(LeafIndex(3));
        let refused = comes_to_be("proposing from outside", |p, _| {
            target.propose(p, 0, &service, remove.clone())
        });
        assert!(self.peers[0].process(&refused).is_err(), "no member has that leaf");

        let own = key_package_of(leaf_params("dave", self.suite), self.suite, 40);
        let message =
            comes_to_be("proposing its own addition", |p, _| target.propose_self(p, NOW, &own));
        self.deliver("processing a newcomer's proposal", usize::MAX, &message, true);

        let options = CommitOptions { psks: vec![psk()], ..CommitOptions::default() };
        let messages = commit(&mut self.peers[0], &options);
        self.deliver("processing a commit of proposals", 0, &messages.commit, true);
        accepted(&mut self.peers[0]);
        self.peers.push(Self::join(&messages.welcomes[0].message, &own, 4));
        self.agree();
    }

    fn encrypted_handshake(&mut self) {
        let framing = encrypted();
        let update = step("encrypting an Update", &mut self.peers[1], |group, p, rng| {
            Ok(group.propose_update(p, rng, None, &framing)?)
        });
        self.deliver("opening an encrypted Update", 1, &update.message, false);

        let options = CommitOptions { framing: encrypted(), ..CommitOptions::default() };
        let messages = commit(&mut self.peers[2], &options);
        self.deliver("opening an encrypted commit", 2, &messages.commit, false);
        accepted(&mut self.peers[2]);
        agree(&self.peers);
    }

    fn messages(&mut self) {
        let mut said = Vec::new();
        for _ in 0..3 {
            said.push(step("encrypting", &mut self.peers[0], |group, p, rng| {
                Ok(group.encrypt(p, rng, b"hello", &Framing::default())?)
            }));
        }

        let bob = &mut self.peers[1];
        let hears = |bob: &mut Peer, what: &str, message: &[u8]| {
            let Event::Application(read) = receive(what, bob, message) else { panic!("no data") };
            assert_eq!(read.data, b"hello");
        };
        hears(bob, "decrypting ahead", &said[2]);
        hears(bob, "decrypting late", &said[0]);

        let to = bob.group.own_leaf();
        let group = &self.peers[0].group;
        let told = [1, 2].map(|seed| {
            comes_to_be("encrypting to one member", |p, _| {
                let rng = &mut SeededRng::from_u64(seed);
                group.encrypt_to(p, rng, to, b"psst", &Framing::default())
            })
        });
        let is_told = |bob: &mut Peer, what: &str, message: &[u8]| {
            let Event::Targeted(read) = receive(what, bob, message) else { panic!("no data") };
            assert_eq!(read.data, b"psst");
        };
        is_told(&mut self.peers[1], "decrypting a targeted message", &told[0]);
        for place in 2..self.peers.len() {
            self.peers[place].receive(&said[1]);
        }

        self.commits(3, &CommitOptions::default());
        hears(&mut self.peers[1], "decrypting in a past epoch", &said[1]);
        is_told(&mut self.peers[1], "decrypting a targeted message of a past epoch", &told[1]);
    }

    fn outsider(&mut self) {
        let info = self.peers[0].group_info();
        let suite = self.suite;
        let new = comes_to_be("joining from outside", |p, rng| {
            let options = ExternalJoinOptions {
                psks: vec![psk()],
                group_info: Some(GroupInfoOptions::default()),
                ..ExternalJoinOptions::new(leaf_params("eve", suite), signer(suite, 60))
            };
            accepting::join_from_outside(p, rng, config(), &info, None, options)
        });
        self.deliver("processing an external commit", usize::MAX, &new.commit, true);
        self.peers.push(Peer { psks: vec![psk()], ..Peer::settle(new.group, 8) });
        self.agree();

        let info = self.peers[4].group_info();
        let observer = &self.observer;
        drop(survives("taking a GroupInfo", || (), |p| Ok(observer.take_group_info(p, &info)?)));
    }

    /// Two proposals, each valid alone, that cannot be committed together. The committer leaves one out;
    /// it does not mistake a failure of the provider for a fault of a proposal.
    fn misfits(&mut self) {
        let extension_data = b"custom".as_slice().into();
        let extensions = vec![Extension { extension_type: CUSTOM, extension_data }];
        let poor = LeafParams::new(Credential::basic(b"poor"), &[self.suite]);
        let poor = key_package_of(poor, self.suite, 90);
        let changes = [NewProposal::GroupContextExtensions(extensions), add(&poor)];
        for (who, change) in (1..).zip(changes) {
            let message = self.peers[who].propose(change, &Framing::default());
            deliver(&mut self.peers, who, &message);
        }

        let messages = commit(&mut self.peers[0], &CommitOptions::default());
        deliver(&mut self.peers, 0, &messages.commit);
        let change = self.peers[0].accepted();
        let both = change.added.len() + usize::from(change.extensions_changed);
        assert_eq!(both, 1, "one was left out");
        agree(&self.peers);
    }

    fn stored(&self) {
        let rows = || self.peers[1].rows.clone();
        comes_to_be("loading a group", |p, _| Group::load(p, config(), rows()));
        let rows = rows_of(self.observer.rows());
        comes_to_be("loading an observer", |p, _| Observer::load(p, config(), rows.clone()));
        let group = &self.peers[1].group;
        comes_to_be("exporting", |p, _| group.export(p, b"label", b"context", 32));
    }
}

fn live(suite: u16) {
    let mut life = Life::begin(CipherSuite(suite));
    life.proposals_and_their_commit();
    life.messages();
    life.outsider();
    life.stored();
    life.peers.remove(2);
    life.commits(0, &commit_of(vec![NewProposal::Remove(LeafIndex(2))]));
    // The observer cannot follow the rest.
    life.encrypted_handshake();
    life.misfits();
}

#[test]
fn a_failing_provider_changes_nothing_and_blames_nobody_in_suite_1() {
    live(1);
}

#[test]
fn a_failing_provider_changes_nothing_and_blames_nobody_in_suite_2() {
    live(2);
}

/// Reports this many private keys, the first ones, as out of range.
struct OutOfRange(AtomicUsize);

impl Hook for OutOfRange {
    fn before(&self, operation: Operation) -> Result<(), CryptoError> {
        let once_less = |n: usize| n.checked_sub(1);
        let out = operation == Operation::DhPublicKey
            && self.0.fetch_update(Relaxed, Relaxed, once_less).is_ok();
        if out { Err(CryptoError::InvalidPrivateKey) } else { Ok(()) }
    }
}

/// `DeriveKeyPair` of RFC 9180 section 7.1.3: for the NIST curves, 256 candidates.
#[test]
fn key_derivation_skips_candidates_that_are_out_of_range() {
    let ikm = Secret::copy_from(&[7; 32]);
    let derive = |kem, out_of_range| {
        let hook = OutOfRange(AtomicUsize::new(out_of_range));
        kem::derive_key_pair(&Hooked::new(RustCrypto::new(), hook), kem, &ikm)
    };

    for kem in [Kem::DhP256, Kem::DhP384, Kem::DhP521] {
        let plain = kem::derive_key_pair(&PROVIDER, kem, &ikm).unwrap();
        let candidates = [0, 1, 2, 255].map(|n| derive(kem, n).unwrap());
        assert_eq!(candidates[0], plain);
        for (i, pair) in candidates.iter().enumerate() {
            assert_eq!(kem::public_key(&PROVIDER, kem, &pair.private), Ok(pair.public.clone()));
            assert!(candidates[..i].iter().all(|other| other.private != pair.private));
        }
        assert_eq!(derive(kem, 256), Err(CryptoError::KeyDerivationFailed));
    }

    for kem in [Kem::DhX25519, Kem::DhX448] {
        assert_eq!(derive(kem, 1), Err(CryptoError::InvalidPrivateKey));
    }
}
