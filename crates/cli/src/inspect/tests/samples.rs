//! One thing of each kind.

use crate::inspect::kinds::Kind;
use crate::inspect::walk::Context;
use crate::provider::provider;
use conclave_account::{
    Account, Author, Change, DeviceId, DeviceKey, Entry, LinkCode, Offer, RecoveryKey,
};
use conclave_content::{
    Disposition, Draft, Extensions, ExternalPart, Limits, MessageId, MessageStatus,
    MessageStatusReport, MimiContent, NestedPart, PartSemantics, Picture, Profile, Salt, Secret,
};
use conclave_delivery_api::{
    ChainHash, ContentType, Incarnation, JoinLink, Link, LogEvidence, LogPosition, Receipt,
    parse_hex,
};
use conclave_directory::{Claim, Evidence, Signer, Statement};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_mls::wire::{
    CipherSuite, Credential, CredentialBinding, Decode, Encode, MlsMessage, MlsMessageBody,
    MultiCredential, Proposal,
};
use conclave_testkit::SeededRng;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// When they are judged: in the lifetime of the vectors' key packages, or not, but always then.
const NOW: u64 = 1_800_000_000;

pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) bytes: Vec<u8>,
    pub(super) given: Context,
}

pub(super) fn now() -> UnixTime {
    UnixTime::from_secs(NOW).unwrap()
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of vectors in a folder.
pub(super) fn vectors(folder: &Path, file: &str) -> Json {
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

fn hex(vector: &Json, field: &str) -> Vec<u8> {
    parse_hex(vector[field].as_str().unwrap()).unwrap()
}

fn rng(seed: u64) -> SeededRng {
    SeededRng::from_u64(seed)
}

fn key_pair(seed: u64) -> SignatureKeyPair {
    provider().signature_key_pair(SignatureScheme::Ed25519, &mut rng(seed)).unwrap()
}

/// One of each kind: of MLS from this project's vectors, of the others made here.
pub(super) fn samples() -> Vec<Sample> {
    let mut samples = of_mls();
    let given = Context::default;
    let mut add = |name, kind, bytes| samples.push(Sample { name, kind, bytes, given: given() });
    add("mimi-content", Kind::MimiContent, content());
    add("mimi-profile", Kind::MimiContent, profile());
    add("mimi-status", Kind::MimiStatus, status());
    let log = account_log();
    let chain: Vec<u8> = log.iter().flat_map(|entry| entry.to_bytes().unwrap()).collect();
    add("account-entry", Kind::AccountEntry, chain);
    let log: Vec<conclave_mls::wire::Bytes> =
        log.iter().map(|entry| entry.to_bytes().unwrap().into()).collect();
    add("account-log", Kind::AccountLog, log.to_bytes().unwrap());
    let signer = Signer::new(SignatureScheme::Ed25519, key_pair(3));
    let root = |byte| signer.root(&*provider(), 7, [byte; 32], NOW).unwrap();
    add("directory-root", Kind::DirectoryRoot, root(1).to_bytes().unwrap());
    let key = || Arc::new(signer.key());
    let of = |byte, claim| Statement { root: root(byte), claim };
    let (lookup, history) = (Claim::Lookup(vec![1; 3]), Claim::History(vec![2; 3]));
    for (name, evidence) in [
        ("evidence", Evidence::two_roots(key(), root(1), root(2))),
        ("evidence-extension", Evidence::broken_extension(key(), root(1), root(2), vec![3; 4])),
        (
            "evidence-statements",
            Evidence::statements(key(), b"alice", of(1, lookup), of(2, history)),
        ),
    ] {
        add(name, Kind::Evidence, evidence.to_bytes().unwrap());
    }
    add("log-evidence", Kind::Evidence, log_evidence());
    add("receipt", Kind::Receipt, receipt(9, 5).to_bytes().unwrap());
    let link = JoinLink::new(&mut rng(5), b"lunch".as_slice().into(), "lunch \u{1b}[2J\u{202e}");
    add("join-link", Kind::JoinLink, link.to_text().unwrap().into_bytes());
    add("link-code", Kind::LinkCode, link_code().into_bytes());
    samples
}

/// Of RFC 9420, from this project's vectors.
fn of_mls() -> Vec<Sample> {
    let folder = root().join("vectors");
    let messages = &vectors(&folder, "messages.json")[0];
    let mut samples = Vec::new();
    let mut add = |name, kind, bytes: Vec<u8>, given: Context| {
        samples.push(Sample { name, kind, bytes, given });
    };
    let suite = Context { suite: Some(CipherSuite(1)), ..Context::default() };
    for (name, field) in [
        ("welcome-message", "mls_welcome"),
        ("group-info-message", "mls_group_info"),
        ("key-package-message", "mls_key_package"),
        ("public-application", "public_message_application"),
        ("public-proposal", "public_message_proposal"),
        ("public-commit", "public_message_commit"),
        ("private-message", "private_message"),
    ] {
        add(name, Kind::MlsMessage, hex(messages, field), suite.clone());
    }
    let targeted = &vectors(&folder, "targeted-messages.json")[0];
    let targeted = hex(targeted, "targeted_message");
    let two = [targeted, hex(messages, "private_message")].concat();
    add("two-messages", Kind::MlsMessage, two, Context::default());

    let inner = |field: &str| hex(messages, field)[4..].to_vec();
    add("key-package", Kind::KeyPackage, inner("mls_key_package"), Context::default());
    add("group-info", Kind::GroupInfo, inner("mls_group_info"), Context::default());
    add("welcome", Kind::Welcome, inner("mls_welcome"), Context::default());
    let tree = &vectors(&folder, "tree-validation.json")[5];
    let given = Context {
        suite: Some(CipherSuite(tree["cipher_suite"].as_u64().unwrap() as u16)),
        group: Some(Arc::new(hex(tree, "group_id").into())),
        sender: None,
    };
    add("ratchet-tree", Kind::RatchetTree, hex(tree, "tree"), given);
    add("leaf-node", Kind::LeafNode, hex(messages, "update_proposal"), suite.clone());
    add("credential", Kind::Credential, credential(), Context::default());
    add("commit", Kind::Commit, hex(messages, "commit"), suite);
    let reinit = Proposal::decode_body(
        conclave_mls::wire::ProposalType::REINIT,
        &mut conclave_mls::wire::Reader::new(&hex(messages, "re_init_proposal")),
    );
    add("proposal", Kind::Proposal, reinit.unwrap().to_bytes().unwrap(), Context::default());
    samples
}

/// Two credentials as one; one of them has a name that would clear a screen.
fn credential() -> Vec<u8> {
    let binding = |identity: &[u8]| CredentialBinding {
        cipher_suite: CipherSuite(1),
        credential: Credential::basic(identity),
        credential_key: vec![7; 32].into(),
        signature: [8; 64].into(),
    };
    let bindings = vec![binding("al\u{1b}[2Jice\u{9b}".as_bytes()), binding(b"\xff\xfe")];
    MultiCredential { weak: true, bindings }.to_credential().unwrap().to_bytes().unwrap()
}

fn content() -> Vec<u8> {
    let external = ExternalPart {
        content_type: "image/png".into(),
        url: "https://example.com/1".into(),
        expires: 0,
        size: 9,
        enc_alg: 1,
        key: Secret::new(b"sixteen secrets!".to_vec()),
        nonce: vec![2; 12],
        aad: Vec::new(),
        hash_alg: 1,
        content_hash: vec![3; 32],
        description: "a\u{1b}[2Jb".into(),
        filename: "cat.png".into(),
    };
    let parts = vec![
        NestedPart::single(Disposition::RENDER, "text/plain;charset=utf-8", b"Hungry?"),
        NestedPart::external(Disposition::ATTACHMENT, external),
    ];
    let sent = Draft::plain("x").finish(Salt([7; 16]), "mimi://a/u/alice", "mimi://a/r/lunch");
    let mut content = MimiContent::decode(&sent.unwrap().bytes, &Limits::default()).unwrap();
    content.mimi_extensions = Extensions::of("mimi://a/u/alice", "mimi://a/r/lunch");
    content.nested_part = NestedPart::multi(PartSemantics::ProcessAll, parts);
    content.in_reply_to = Some(MessageId([1; 32]));
    content.encode().unwrap()
}

fn profile() -> Vec<u8> {
    let picture = Picture::new(b"\x89PNG\r\n\x1a\n\x1b[2J".to_vec()).unwrap();
    let profile = Profile::new(1_800_000_000_123, "Alice L.", Some(picture)).unwrap();
    let draft = Draft::profile(&profile);
    draft.finish(Salt([7; 16]), "mimi://a/u/alice", "mimi://a/r/lunch").unwrap().bytes
}

fn status() -> Vec<u8> {
    let mut report = MessageStatusReport::of(MessageStatus::READ, [MessageId([1; 32])]);
    report.0.extend(MessageStatusReport::of(MessageStatus(77), [MessageId([2; 32])]).0);
    report.encode()
}

/// A log with each change, and with both kinds of authors.
pub(super) fn account_log() -> Vec<Entry> {
    let provider = provider();
    let (laptop, phone, newer, saved) = (key_pair(1), key_pair(2), key_pair(6), key_pair(7));
    let scheme = SignatureScheme::Ed25519;
    let alice = "alice".parse().unwrap();
    let device = |name: &str, pair| {
        DeviceKey::proved(&*provider, &alice, name.parse().unwrap(), scheme, pair).unwrap()
    };
    let create =
        Account::draft_creation(&*provider, &alice, device("laptop", &laptop), &laptop, now());
    let create = create.unwrap();
    let mut account = Account::create(&*provider, &create).unwrap();
    let mut log = vec![create];
    let by = |device: &str| Author::Device(device.parse().unwrap());
    let recovery = RecoveryKey::proved(&*provider, &alice, scheme, &saved).unwrap();
    for (author, pair, change) in [
        (by("laptop"), &laptop, Change::AddDevice(device("phone", &phone))),
        (by("phone"), &phone, Change::RotateKey(device("phone", &newer))),
        (by("laptop"), &laptop, Change::ReplaceRecovery(Some(recovery))),
        (Author::Recovery, &saved, Change::RevokeDevice("phone".parse().unwrap())),
        (Author::Recovery, &saved, Change::ReplaceRecovery(None)),
    ] {
        let entry = account.draft(&*provider, author, pair, change, now()).unwrap();
        account.apply(&*provider, &entry).unwrap();
        log.push(entry);
    }
    log
}

fn receipt(seq: u64, chain: u8) -> Receipt {
    let incarnation = Incarnation { id: [4; 16], number: 2 };
    let position = LogPosition { seq, epoch: 3, chain: ChainHash([chain; 32]) };
    let of = (b"lunch".as_slice().into(), position);
    Receipt::signed(&*provider(), &key_pair(3), incarnation, of, now()).unwrap()
}

/// Evidence with a link, which does not lead from one receipt to the other.
fn log_evidence() -> Vec<u8> {
    let link = Link {
        epoch: 3,
        content_type: ContentType::Commit,
        sender: DeviceId::new("alice".parse().unwrap(), "phone".parse().unwrap()),
        received_at: NOW,
        message_hash: ChainHash([6; 32]),
    };
    let evidence = LogEvidence {
        service_key: key_pair(3).public,
        first: receipt(8, 5),
        second: receipt(9, 7),
        before: ChainHash([8; 32]),
        links: vec![link],
    };
    evidence.to_bytes().unwrap()
}

pub(super) fn link_code() -> String {
    let pair = key_pair(2);
    let alice = "alice".parse().unwrap();
    let scheme = SignatureScheme::Ed25519;
    let device =
        DeviceKey::proved(&*provider(), &alice, "phone".parse().unwrap(), scheme, &pair).unwrap();
    let offer = Offer { user: alice, device };
    LinkCode::new(&*provider(), &mut rng(9), &offer).unwrap().to_string()
}

/// Whether the library's own decoder takes bytes as of a kind.
pub(super) fn library_reads(kind: Kind, bytes: &[u8]) -> bool {
    use conclave_mls::wire;
    fn one<T: Decode>(bytes: &[u8]) -> bool {
        T::from_bytes(bytes).is_ok()
    }
    match kind {
        Kind::MlsMessage => many::<MlsMessage>(bytes),
        Kind::KeyPackage => one::<wire::KeyPackage>(bytes),
        Kind::GroupInfo => one::<wire::GroupInfo>(bytes),
        Kind::Welcome => one::<wire::Welcome>(bytes),
        Kind::RatchetTree => one::<wire::RatchetTreeExtension>(bytes),
        Kind::LeafNode => one::<wire::LeafNode>(bytes),
        Kind::Credential => one::<Credential>(bytes),
        Kind::Proposal => one::<Proposal>(bytes),
        Kind::Commit => one::<wire::Commit>(bytes),
        Kind::AccountEntry => many::<Entry>(bytes),
        Kind::AccountLog => one::<Vec<wire::Bytes>>(bytes),
        Kind::DirectoryRoot => one::<conclave_directory::SignedRoot>(bytes),
        Kind::Evidence => one::<Evidence>(bytes) || one::<LogEvidence>(bytes),
        Kind::Receipt => one::<Receipt>(bytes),
        Kind::MimiContent => MimiContent::decode(bytes, &Limits::default()).is_ok(),
        Kind::MimiStatus => MessageStatusReport::decode(bytes, &Limits::default()).is_ok(),
        Kind::JoinLink => text(bytes).parse::<JoinLink>().is_ok(),
        Kind::LinkCode => text(bytes).parse::<LinkCode>().is_ok(),
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default().trim()
}

/// One or more, one after another.
fn many<T: Decode>(bytes: &[u8]) -> bool {
    let mut r = conclave_mls::wire::Reader::new(bytes);
    loop {
        if T::decode(&mut r).is_err() {
            return false;
        }
        if r.is_empty() {
            return true;
        }
    }
}

/// The official vectors, of each structure the first three; none if they are not there.
pub(super) fn official() -> Vec<(Kind, Vec<u8>)> {
    let Some(folder) = std::env::var_os("MLS_VECTORS").map(PathBuf::from) else {
        eprintln!("MLS_VECTORS is not set: the official vectors are left out");
        return Vec::new();
    };
    let mut all = Vec::new();
    for vector in vectors(&folder, "messages.json").as_array().unwrap().iter().take(3) {
        for (field, value) in vector.as_object().unwrap() {
            let kind = match field.as_str() {
                "ratchet_tree" => Kind::RatchetTree,
                "commit" => Kind::Commit,
                "add_proposal" => Kind::KeyPackage,
                "update_proposal" => Kind::LeafNode,
                field if field.starts_with("mls_") || field.contains("_message") => {
                    Kind::MlsMessage
                }
                _ => continue,
            };
            all.push((kind, parse_hex(value.as_str().unwrap()).unwrap()));
        }
    }
    let trees = vectors(&folder, "tree-validation.json");
    all.extend(
        trees.as_array().unwrap().iter().take(40).map(|v| (Kind::RatchetTree, hex(v, "tree"))),
    );
    let is_message = |body| matches!(body, MlsMessageBody::KeyPackage(_));
    assert!(all.iter().any(|(_, b)| MlsMessage::from_bytes(b).is_ok_and(|m| is_message(m.body))));
    all
}
