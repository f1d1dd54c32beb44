//! A recorder of `passive-client` vectors. It follows each member that joins by a Welcome, with its private keys,
//! its PSKs and the messages that it receives, until the member sends a proposal or commit: a passive client
//! could not follow from then on.

use conclave_mls::group::Proposal;
use conclave_mls::wire::{Content, Decode, Encode, MlsMessage, MlsMessageBody};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Vectors in the format of their files.
pub(super) type Vectors = Vec<Value>;

/// A key package with its private keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) key_package: Vec<u8>,
    pub(super) init_priv: Vec<u8>,
    pub(super) encryption_priv: Vec<u8>,
    pub(super) signature_priv: Vec<u8>,
}

/// How a member joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) suite: u32,
    pub(super) welcome: &'a [u8],
    /// Empty if the Welcome holds it.
    pub(super) ratchet_tree: &'a [u8],
    pub(super) authenticator: &'a [u8],
}

/// The record of one member in a group.
#[derive(Debug)]
struct Life {
    suite: u32,
    keys: Keys,
    welcome: String,
    ratchet_tree: Option<String>,
    authenticator: String,
    epochs: Vec<Value>,
}

/// The recorder of one run.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    psks: BTreeMap<String, Vec<Value>>,
    lives: BTreeMap<String, Life>,
    finished: Vec<Value>,
}

impl Recorder {
    /// Notes that a client received a PSK.
    pub(super) fn psk(&mut self, who: &str, id: &[u8], secret: &[u8]) {
        let psk = json!({ "psk_id": hex(id), "psk": hex(secret) });
        self.psks.entry(who.to_owned()).or_default().push(psk);
    }

    /// Notes that a member joined by a Welcome.
    pub(super) fn joined(&mut self, who: &str, keys: Keys, entry: Entry<'_>) {
        self.over(who);
        let tree = Some(entry.ratchet_tree).filter(|tree| !tree.is_empty());
        let life = Life {
            suite: entry.suite,
            keys,
            welcome: hex(entry.welcome),
            ratchet_tree: tree.map(hex),
            authenticator: hex(entry.authenticator),
            epochs: Vec::new(),
        };
        self.lives.insert(who.to_owned(), life);
    }

    /// Notes that a member entered the epoch of a peer's commit.
    pub(super) fn followed(
        &mut self,
        who: &str,
        proposals: &[Vec<u8>],
        commit: &[u8],
        authenticator: &[u8],
    ) {
        if let Some(life) = self.lives.get_mut(who) {
            let proposals: Vec<String> = proposals.iter().map(|p| hex(p)).collect();
            life.epochs.push(json!({
                "proposals": proposals,
                "commit": hex(commit),
                "epoch_authenticator": hex(authenticator),
            }));
        }
    }

    /// Ends the record of a member that is no longer passive, or no longer in the group.
    pub(super) fn over(&mut self, who: &str) {
        let Some(life) = self.lives.remove(who) else { return };
        let psks = self.psks.get(who).cloned().unwrap_or_default();
        self.finished.push(json!({
            "cipher_suite": life.suite,
            "external_psks": psks,
            "key_package": hex(&life.keys.key_package),
            "signature_priv": hex(&life.keys.signature_priv),
            "encryption_priv": hex(&life.keys.encryption_priv),
            "init_priv": hex(&life.keys.init_priv),
            "welcome": life.welcome,
            "ratchet_tree": life.ratchet_tree,
            "initial_epoch_authenticator": life.authenticator,
            "epochs": life.epochs,
        }));
    }

    /// The vectors, at the end of the run.
    pub(super) fn finish(mut self) -> Vec<Value> {
        let people: Vec<String> = self.lives.keys().cloned().collect();
        people.iter().for_each(|who| self.over(who));
        self.finished
    }
}

/// The key package in a new member's proposal to add itself, as a message.
pub(super) fn key_package_of(proposal: &[u8]) -> Result<Vec<u8>, String> {
    let message = MlsMessage::from_bytes(proposal).map_err(|e| e.to_string())?;
    let MlsMessageBody::PublicMessage(message) = message.body else {
        return Err("a newcomer's proposal is no PublicMessage".to_owned());
    };
    let Content::Proposal(Proposal::Add(key_package)) = message.content.content else {
        return Err("a newcomer proposes something else than to be added".to_owned());
    };
    let body = MlsMessageBody::KeyPackage(key_package);
    MlsMessage::from(body).to_bytes().map_err(|e| e.to_string())
}

/// Writes a scenario's vectors into a file in the working group's format; no file without vectors.
pub(super) fn write(folder: &Path, scenario: &str, vectors: Vectors) -> Result<(), String> {
    if vectors.is_empty() {
        return Ok(());
    }
    let path = folder.join(format!("passive-client-{scenario}.json"));
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    println!("  {} vectors in {}", vectors.len(), path.display());
    std::fs::write(&path, Value::Array(vectors).to_string()).map_err(failed)
}

/// Bytes as hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
