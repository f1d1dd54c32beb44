//! No type that holds a secret prints it, neither in hexadecimal nor in decimal digits.

use conclave_crypto::{HpkePrivateKey, SealItem, Secret, Suite, VerifyItem};
use conclave_group::rows::{Table, content};
use conclave_group::{
    Answers, CommitOptions, Config, ExternalJoinOptions, ExternalJoinStage, Framing, LeafUpdate,
    NewProposal, OwnKeyPackage, Received, WelcomeStage,
};
use conclave_schedule::{
    CommitSecret, EpochSecrets, InitSecret, JoinerSecret, MemberSecret, PskSecret, RatchetKind,
    RatchetLimits, SecretTree,
};
use conclave_testkit::forge::Insider;
use conclave_testkit::party::*;
use conclave_testkit::{SeededRng, accepting};
use conclave_tree::{StagedTree, TreeRead, create_path};
use conclave_wire::{
    Bytes, Content, Decode, FramedContentAuthData, GroupSecrets, LeafIndex, PathSecret,
    PrivateMessageContent, PskType, Reader, Sender, TreeSize,
};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// The output of each type, and the secrets that must not be in it.
#[derive(Default)]
struct Printed {
    shown: Vec<(&'static str, String)>,
    secrets: Vec<(&'static str, Vec<u8>)>,
}

/// Whether bytes are part of a secret, and not a counter or a length beside it.
fn tells_something(bytes: &[u8]) -> bool {
    bytes.iter().collect::<BTreeSet<_>>().len() > 3
}

impl Printed {
    fn show(&mut self, what: &'static str, value: &dyn Debug) {
        self.shown.push((what, format!("{value:?}")));
        self.shown.push((what, format!("{value:#?}")));
    }

    fn secret(&mut self, what: &'static str, bytes: &[u8]) {
        assert!(bytes.len() >= 8, "{what} is too short to search for");
        self.secrets.push((what, bytes.to_vec()));
    }

    /// Checks that no six consecutive bytes of a secret were printed, however they are separated.
    fn check(&self) {
        for (what, shown) in &self.shown {
            let decimal: String = shown
                .replace('[', ",")
                .chars()
                .filter(|c| c.is_ascii_digit() || *c == ',')
                .collect();
            let hex: String = shown
                .to_lowercase()
                .replace("0x", "")
                .chars()
                .filter(char::is_ascii_hexdigit)
                .collect();
            for (name, secret) in &self.secrets {
                for some in secret.windows(6).filter(|some| tells_something(some)) {
                    let in_hex: String = some.iter().map(|b| format!("{b:02x}")).collect();
                    let in_decimal: String = some.iter().map(|b| format!("{b},")).collect();
                    let in_decimal = format!(",{in_decimal}");
                    let found = hex.contains(&in_hex) || decimal.contains(&in_decimal);
                    assert!(!found, "{what} prints of {name}: {shown}");
                }
            }
        }
    }
}

/// The signature key and the secrets of an epoch, as a member's rows hold them.
fn secrets_of(peer: &Peer, into: &mut Printed) {
    into.secret("a signature key", Insider::of(&peer.group).signer.private.expose());
    into.secret("an epoch authenticator", peer.group.epoch_authenticator().unwrap().expose());
    for (key, row) in &peer.rows {
        let name = match key.table {
            Table::PrivateKey => "a private key",
            Table::SecretTreeNode | Table::Ratchet | Table::SkippedKey => "the secret tree",
            _ => continue,
        };
        into.secret(name, content(row).unwrap());
    }
}

/// The private keys of a stored key package.
fn secrets_of_key_package(own: &OwnKeyPackage, into: &mut Printed) {
    let stored = own.to_secret().unwrap();
    let mut r = Reader::new(stored.expose());
    r.opaque().unwrap();
    for name in ["an init key", "a leaf key", "a signature key"] {
        into.secret(name, r.opaque().unwrap());
    }
}

#[test]
fn a_group_and_its_outputs_print_no_secret() {
    let mut p = Printed::default();
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let psk = Secret::new(SeededRng::from_u64(1).bytes(32));
    let psktype = PskType::External { psk_id: b"shared".as_slice().into() };
    p.secret("a PSK", psk.expose());
    let said = b"nobody else's business";
    p.secret("what was said", said);

    let dave = key_package("dave", 70);
    secrets_of_key_package(&dave, &mut p);
    p.show("OwnKeyPackage", &dave);
    p.show("SignatureKeyPair", dave.signer());
    let change = LeafUpdate { params: leaf_params("bob", SUITE), signer: signer(SUITE, 71) };
    p.secret("a new signature key", change.signer.private.expose());
    p.show("LeafUpdate", &change);
    peers[1].propose_update(Some(change.clone()), &Framing::default());

    let message = peers[0].say(said);
    let received = peers[1].group.process(&PROVIDER, NOW, &message).unwrap();
    p.show("Received", &received);
    let Received::Application(step) = received else { panic!("no data") };
    p.show("Batch", step.batch());
    let event = peers[1].take(step);
    p.show("Event", &event);

    let psks = vec![(psktype.clone(), psk.clone())];
    let options = CommitOptions {
        leaf: Some(change),
        psks: psks.clone(),
        framing: encrypted(),
        link: Some(peers[0].group.branch_link().unwrap()),
        ..commit_of(vec![add(&dave), NewProposal::ExternalPsk { psk_id: b"shared"[..].into() }])
    };
    p.show("CommitOptions", &options);
    let step = peers[0].group.commit(
        &PROVIDER,
        &mut SeededRng::from_u64(2),
        NOW,
        CommitOptions { link: None, leaf: None, ..options },
    );
    p.show("Transition", &step);
    let messages = peers[0].take(step.unwrap());
    p.show("CommitMessages", &messages);
    let received = peers[1].group.process(&PROVIDER, NOW, &messages.commit).unwrap();
    p.show("CommitStage", &received);
    let Received::Commit(stage) = received else { panic!("no commit") };
    let answers =
        Answers { verdicts: accepting::all(stage.credentials()), psks, ..Answers::default() };
    p.show("Answers", &answers);
    let refused = stage.resolve(&peers[1].group, &PROVIDER, NOW, &Answers::default());
    p.show("Refused", &refused);

    let welcome =
        WelcomeStage::open(&PROVIDER, Config::default(), &messages.welcomes[0].message, &dave)
            .unwrap();
    p.show("WelcomeStage", &welcome);
    let join = welcome.join(&PROVIDER, &answers.psks, None, None).unwrap();
    p.show("JoinStage", &join);
    let verdicts = accepting::all(join.credentials());
    let new = join.resolve(&verdicts).unwrap();
    p.show("NewGroup", &new);
    peers.push(Peer::settle(new, 9));

    let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &peers[1].group_info(), None)
        .unwrap();
    p.show("ExternalJoinStage", &stage);
    let options = ExternalJoinOptions {
        psks: vec![(psktype, psk)],
        ..ExternalJoinOptions::new(leaf_params("eve", SUITE), signer(SUITE, 72))
    };
    p.secret("the joiner's signature key", options.signer.private.expose());
    p.show("ExternalJoinOptions", &options);
    let verdicts = accepting::all(stage.credentials());
    let rng = &mut SeededRng::from_u64(3);
    let made = stage.commit(&PROVIDER, rng, &verdicts, options).unwrap();
    p.show("ExternalCommit", &made);

    for peer in &peers {
        secrets_of(peer, &mut p);
        p.show("Group", &peer.group);
        p.show("Batch", &peer.group.rows());
        p.show("rows", &peer.rows);
        p.show("Link", &peer.group.branch_link());
        p.show("EpochAuthenticator", &peer.group.epoch_authenticator());
        p.show("Insider", &Insider::of(&peer.group));
        p.show("Exported", &peer.group.export(&PROVIDER, b"label", b"", 32));
    }
    p.check();
}

#[test]
fn keys_paths_and_the_key_schedule_print_no_secret() {
    let mut p = Printed::default();
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let mut rng = SeededRng::from_u64(4);
    let mut random = |p: &mut Printed, name| {
        let secret = Secret::random(32, &mut rng);
        p.secret(name, secret.expose());
        secret
    };
    let init = InitSecret::from_secret(random(&mut p, "init"));
    let commit = CommitSecret::from_secret(random(&mut p, "commit"));
    let psk = PskSecret::from_secret(random(&mut p, "psk"));

    let joiner = JoinerSecret::derive(&suite, &init, &commit, b"context").unwrap();
    p.secret("joiner", joiner.expose());
    let member = MemberSecret::derive(&suite, &joiner, &psk).unwrap();
    let (key, nonce) = member.welcome_key(&suite).unwrap();
    p.show("MemberSecret", &member);
    let epoch: EpochSecrets = member.epoch(&suite, b"context").unwrap();
    for secret in [key.expose(), nonce.expose(), epoch.exporter.expose(), epoch.external.expose()] {
        p.secret("an epoch secret", secret);
    }
    for (what, value) in [
        ("InitSecret", &init as &dyn Debug),
        ("CommitSecret", &commit),
        ("JoinerSecret", &joiner),
        ("PskSecret", &psk),
        ("EpochSecrets", &epoch),
        ("Secret", &key),
    ] {
        p.show(what, value);
    }

    p.secret("encryption secret", epoch.encryption.expose());
    let tree = SecretTree::new(TreeSize::for_leaves(4).unwrap(), epoch.encryption);
    let kind = RatchetKind::Application;
    let (key, delta) =
        tree.receive(&suite, LeafIndex(2), kind, 2, RatchetLimits::default()).unwrap();
    p.secret("a message key", key.key.expose());
    p.secret("a message nonce", key.nonce.expose());
    for (what, value) in
        [("SecretTree", &tree as &dyn Debug), ("SecretTreeDelta", &delta), ("MessageKey", &key)]
    {
        p.show(what, value);
    }

    let pair = suite.hpke_key_pair(&mut SeededRng::from_u64(5)).unwrap();
    p.secret("an HPKE key", pair.private.0.expose());
    p.show("HpkeKeyPair", &pair);
    p.show("HpkePrivateKey", &HpkePrivateKey(pair.private.0.clone()));

    let peers = group_of(&["alice", "bob", "carol", "dave"]);
    let alice = Insider::of(&peers[0].group);
    let mut staged = StagedTree::new(peers[0].group.tree());
    let template = staged.leaf(LeafIndex(0)).unwrap();
    let rng = &mut SeededRng::from_u64(6);
    let group_id = peers[0].group.group_id();
    let path =
        create_path(&suite, &mut staged, LeafIndex(0), template, &alice.signer, group_id, rng)
            .unwrap();
    p.secret("a leaf key", path.leaf_key.private.0.expose());
    p.secret("a commit secret", path.keys.commit_secret.expose());
    for ((_, secret), (_, key)) in path.keys.secrets.iter().zip(&path.keys.keys) {
        p.secret("a path secret", secret.expose());
        p.secret("a path key", key.0.expose());
        let seed = Secret::copy_from(&[0xe5; 32]);
        p.secret("a seed", seed.expose());
        let item = SealItem { public_key: &pair.public, plaintext: secret.expose(), seed: &seed };
        p.show("SealItem", &item);
    }
    p.show("NewPath", &path);
    p.show("StagedTree", &staged);
    p.show(
        "SharedInfo",
        &conclave_crypto::hpke::SharedInfo::new(&PROVIDER, suite.params(), b"info"),
    );
    p.check();
}

#[test]
fn wire_structures_print_no_secret_or_plaintext() {
    let mut p = Printed::default();
    let joiner = SeededRng::from_u64(7).bytes(32);
    let path = SeededRng::from_u64(8).bytes(32);
    p.secret("a joiner secret", &joiner);
    p.secret("a path secret", &path);
    let said = Bytes::from(b"nobody else's business".as_slice());
    p.secret("what was said", &said);
    let secrets = GroupSecrets {
        joiner_secret: joiner,
        path_secret: Some(PathSecret { path_secret: path }),
        psks: Vec::new(),
    };
    p.show("GroupSecrets", &secrets);
    p.show("PathSecret", &secrets.path_secret);

    let content = Content::Application(said.clone());
    p.show("Content", &content);
    let signature = Bytes::from([1; 64]);
    let auth = FramedContentAuthData { signature, confirmation_tag: None };
    p.show("PrivateMessageContent", &PrivateMessageContent { content, auth });

    let peers = group_of(&["alice", "bob"]);
    let insider = Insider::of(&peers[0].group);
    let content = insider.framed(Content::Application(said.clone()));
    assert_eq!(content.sender, Sender::Member(LeafIndex(0)));
    p.show("FramedContent", &content);
    let wire_format = conclave_wire::WireFormat::PRIVATE_MESSAGE;
    p.show("AuthenticatedContent", &insider.sign(&PROVIDER, wire_format, content));

    // Decoders read secrets, and signed bytes may be for members alone.
    let mut reader = Reader::new(&said);
    p.show("Reader", &reader);
    u8::decode(&mut reader).unwrap();
    p.show("Reader", &reader);
    let public_key = &insider.signer.public;
    p.show("VerifyItem", &VerifyItem { public_key, message: &said, signature: &[] });
    p.check();
}
