//! The floor of an operation: the time of the primitives that no implementation of it can avoid, measured in
//! the same run with Conclave's provider on one thread.
//!
//! It counts signatures, seals, opens, key derivations, the key schedule, tree and parent hashes, and the bytes
//! of long messages that are signed, hashed and encrypted. It does not count encoding, copying, storing and
//! looking up.

use crate::client::Result;
use crate::conclave;
use crate::measure::{median, timed};
use crate::op::Op;
use crate::rng;
use conclave_mls::crypto::{CryptoProvider, Secret, Suite, Suites, VerifyItem};
use conclave_mls::wire::{Content, Decode, HpkePublicKey, MlsMessage, MlsMessageBody};
use conclave_provider_aws_lc::AwsLc;
use std::hint::black_box;

/// The time that each primitive takes, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Primitives {
    sign: f64,
    verify: f64,
    /// One of a batch of signatures, each by a key of its own.
    verify_many: f64,
    /// Two signatures by the same key, in a batch of such pairs.
    verify_pairs: f64,
    /// A secret sealed to one of many recipients.
    seal: f64,
    open: f64,
    key_pair: f64,
    expand: f64,
    hash_leaf: f64,
    hash_parent: f64,
    aead_message: f64,
    /// Per byte.
    sign_byte: f64,
    hash_byte: f64,
    aead_byte: f64,
}

/// The time of one call: the median of several loops.
fn each<T>(n: usize, mut f: impl FnMut() -> T) -> f64 {
    median((0..9).map(|_| {
        let ((), time) = timed(|| (0..n).for_each(|_| drop(black_box(f()))));
        time.cpu / n as f64
    }))
}

impl Primitives {
    pub fn measure() -> Result<Self> {
        let provider = AwsLc::with_threads(1).with_suites(Suites::CONCLAVE);
        let suite = Suite::new(&provider, conclave::suite())?;
        let mut rng = rng::seeded(0);
        let signer = provider.signature_key_pair(suite.params().signature, &mut rng)?;
        let pair = suite.hpke_key_pair(&mut rng)?;
        let secret = Secret::random(32, &mut rng);
        let key = Secret::random(suite.params().aead.key_len(), &mut rng);

        let leaf = [7; 220];
        let parent = [7; 170];
        let message = [7; 1024];
        let long = vec![7; 1 << 20];
        let signature = suite.sign_with_label(&signer, b"x", &leaf)?;
        let tbs = Suite::sign_content(b"x", &leaf)?;

        let mut signed = Vec::new();
        for _ in 0..1000 {
            let signer = provider.signature_key_pair(suite.params().signature, &mut rng)?;
            let signature = suite.sign_with_label(&signer, b"x", &leaf)?;
            signed.push((signer.public, signature));
        }

        let items: Vec<VerifyItem<'_>> = signed
            .iter()
            .map(|(public_key, signature)| VerifyItem { public_key, message: &tbs, signature })
            .collect();
        let twice: Vec<VerifyItem<'_>> = items.iter().flat_map(|item| [*item; 2]).collect();

        let recipients: Vec<(&HpkePublicKey, &[u8])> =
            (0..100).map(|_| (&pair.public, secret.expose())).collect();
        let sealed = suite.encrypt_many_with_label(&recipients[..1], b"x", &leaf, &mut rng)?;

        let per_byte = |time: f64| time / long.len() as f64;
        Ok(Self {
            sign: each(200, || suite.sign_with_label(&signer, b"x", &leaf)),
            verify: each(100, || suite.verify_with_label(&signer.public, b"x", &leaf, &signature)),
            verify_many: each(1, || suite.verify_many(&items)) / items.len() as f64,
            verify_pairs: each(1, || suite.verify_many(&twice)) / items.len() as f64,
            seal: each(1, || suite.encrypt_many_with_label(&recipients, b"x", &leaf, &mut rng))
                / recipients.len() as f64,
            open: each(100, || suite.decrypt_with_label(&pair, b"x", &leaf, &sealed[0])),
            key_pair: each(100, || suite.derive_key_pair(&secret)),
            expand: each(1000, || suite.derive_secret(&secret, b"path")),
            hash_leaf: each(1000, || suite.hash(&[&leaf])),
            hash_parent: each(1000, || suite.hash(&[&parent])),
            aead_message: each(1000, || suite.aead_seal(&key, &[7; 12], &[7; 40], &message)),
            sign_byte: per_byte(each(1, || suite.sign_with_label(&signer, b"x", &long))),
            hash_byte: per_byte(each(1, || suite.hash(&[&long]))),
            aead_byte: per_byte(each(1, || suite.aead_seal(&key, &[7; 12], &[], &long))),
        })
    }

    pub fn describe(&self) -> String {
        format!(
            "sign {:.1}, verify {:.1} ({:.1} in a \
             batch, {:.1} two of a key), seal {:.1}, open {:.1}, derive a key pair \
             {:.1}, expand {:.2}, hash a leaf {:.2}, hash a parent {:.2} µs; SHA-256 {:.0}, \
             AES-GCM {:.0} µs per MB",
            self.sign,
            self.verify,
            self.verify_many,
            self.verify_pairs,
            self.seal,
            self.open,
            self.key_pair,
            self.expand,
            self.hash_leaf,
            self.hash_parent,
            self.hash_byte * 1e6,
            self.aead_byte * 1e6,
        )
    }
}

/// The amount of work in an operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    pub members: usize,
    /// Nodes of the update path.
    pub nodes: usize,
    /// Ciphertexts of the update path.
    pub seals: usize,
    /// Nodes of the path whose keys the receiver derives from its secrets.
    pub derived: usize,
    /// Bytes of the commit.
    pub commit: usize,
    /// Bytes of the Welcome's GroupInfo.
    pub group_info: usize,
}

impl Work {
    /// The work of a commit and its receipt; the receiver derives the keys of `derived` nodes.
    pub fn of(members: usize, commit: &[u8], derived: usize) -> Result<Self> {
        let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(commit)?.body else {
            return Err("no PublicMessage".into());
        };
        let Content::Commit(content) = &message.content.content else {
            return Err("no commit".into());
        };

        let nodes = content.path.as_ref().map(|path| &path.nodes[..]).unwrap_or_default();
        let seals = nodes.iter().map(|node| node.encrypted_path_secret.len()).sum();
        let nodes = nodes.len();
        Ok(Self { members, nodes, seals, derived, commit: commit.len(), group_info: 0 })
    }
}

impl Primitives {
    /// The floor of an operation in microseconds; none for an operation that needs no primitive.
    pub fn floor(&self, op: Op, work: &Work) -> Option<f64> {
        /// Derivations of the key schedule: from the init secret to an epoch's secrets, confirmation and
        /// membership tags, transcript hashes.
        const SCHEDULE: f64 = 16.0;

        let n = work.members as f64;
        let nodes = work.nodes as f64;
        let levels = n.log2().ceil();

        let schedule = SCHEDULE * self.expand;
        let rehash = self.hash_leaf + 2.0 * nodes * self.hash_parent;
        let path = (nodes + 1.0) * self.key_pair + 2.0 * nodes * self.expand;

        let commit_bytes = work.commit as f64 * (self.sign_byte + 2.0 * self.hash_byte);
        let commit = 2.0 * self.sign
            + path
            + work.seals as f64 * self.seal
            + rehash
            + schedule
            + commit_bytes;

        let process = 2.0 * self.verify
            + self.open
            + work.derived as f64 * (self.key_pair + 2.0 * self.expand)
            + rehash
            + schedule
            + work.commit as f64 * (self.sign_byte / 2.0 + 2.0 * self.hash_byte);

        let group_info = work.group_info as f64;
        let info_made = self.sign + group_info * (self.sign_byte + self.hash_byte + self.aead_byte);
        let key_package = 2.0 * self.verify + self.hash_leaf;
        let message = self.aead_message + 6.0 * self.expand;
        let tree = 2.0 * levels * self.expand;

        Some(match op {
            Op::Create => {
                (n - 1.0)
                    * (self.verify_pairs + 2.0 * self.hash_leaf + self.hash_parent + self.seal)
                    + commit
                    + info_made
            }
            Op::Join => {
                n * (self.verify_many + self.hash_leaf + 2.0 * self.hash_parent)
                    + self.open
                    + self.verify
                    + group_info * (self.sign_byte / 2.0 + self.hash_byte + self.aead_byte)
                    + work.derived as f64 * (self.key_pair + 2.0 * self.expand)
                    + schedule
            }
            Op::Update | Op::UpdateBare | Op::Remove => commit,
            Op::Process | Op::ProcessBare | Op::RemoveProcess => process,
            Op::Add | Op::AddApart => commit + key_package + info_made + self.seal,
            Op::AddProcess => process + key_package,
            Op::EncryptFirst => self.sign + message + tree,
            Op::Encrypt => self.sign + message,
            Op::DecryptFirst => self.verify + message + tree,
            Op::Decrypt => self.verify + message,
            _ => return None,
        })
    }
}
