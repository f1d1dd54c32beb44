//! The secret tree and the keys of sender data (RFC 9420 sections 6.3.2 and 9).

use super::compare::same;
use super::hex::Hex;
use super::problem::{At, Problem};
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::Suite;
use conclave_schedule::{
    EncryptionSecret, MessageKey, RatchetKind, RatchetLimits, SecretTree as Tree, SenderDataSecret,
    sender_data_key_nonce,
};
use conclave_wire::{LeafIndex, TreeSize};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct SecretTree {
    cipher_suite: u16,
    sender_data: SenderData,
    encryption_secret: Hex,
    leaves: Vec<Vec<Generation>>,
}

#[derive(Serialize, Deserialize)]
struct SenderData {
    sender_data_secret: Hex,
    ciphertext: Hex,
    key: Hex,
    nonce: Hex,
}

#[derive(Serialize, Deserialize)]
struct Generation {
    generation: u32,
    handshake_key: Hex,
    handshake_nonce: Hex,
    application_key: Hex,
    application_nonce: Hex,
}

impl SenderData {
    fn compute(suite: &Suite<'_>, secret: &Hex, ciphertext: &[u8]) -> Result<MessageKey, Problem> {
        let secret = SenderDataSecret::from_secret(secret.secret());
        Ok(sender_data_key_nonce(suite, &secret, ciphertext)?)
    }

    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        let computed = Self::compute(suite, &self.sender_data_secret, &self.ciphertext)?;
        same_key("", &computed, &self.key, &self.nonce)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let sender_data_secret = Hex(rng.bytes(suite.nh()));
        let ciphertext = Hex(rng.bytes(77));
        let MessageKey { key, nonce } = Self::compute(suite, &sender_data_secret, &ciphertext)?;
        let key = Hex::of(key.expose());
        let nonce = Hex::of(nonce.expose());
        Ok(Self { sender_data_secret, ciphertext, key, nonce })
    }
}

fn same_key(prefix: &str, computed: &MessageKey, key: &Hex, nonce: &Hex) -> Result<(), Problem> {
    same(format_args!("{prefix}key"), computed.key.expose(), key)?;
    same(format_args!("{prefix}nonce"), computed.nonce.expose(), nonce)
}

impl Generation {
    fn check(&self, handshake: &MessageKey, application: &MessageKey) -> Result<(), Problem> {
        same_key("handshake_", handshake, &self.handshake_key, &self.handshake_nonce)?;
        same_key("application_", application, &self.application_key, &self.application_nonce)
    }
}

impl SecretTree {
    fn tree(&self) -> Result<Tree, Problem> {
        let size = u32::try_from(self.leaves.len()).ok().and_then(TreeSize::for_leaves);
        let secret = EncryptionSecret::from_secret(self.encryption_secret.secret());
        Ok(Tree::new(size.at("no tree has this many leaves")?, secret))
    }

    /// Both keys of a generation. The tree stays as it is.
    fn keys(
        tree: &Tree,
        suite: &Suite<'_>,
        leaf: LeafIndex,
        generation: u32,
    ) -> Result<(MessageKey, MessageKey), Problem> {
        Ok((
            tree.leaf_keys(suite, leaf, RatchetKind::Handshake, generation)?,
            tree.leaf_keys(suite, leaf, RatchetKind::Application, generation)?,
        ))
    }

    /// Both keys of a generation as a receiver gets them. The tree consumes them.
    fn receive(
        tree: &mut Tree,
        suite: &Suite<'_>,
        leaf: LeafIndex,
        generation: u32,
    ) -> Result<(MessageKey, MessageKey), Problem> {
        let mut take = |kind| -> Result<MessageKey, Problem> {
            let limits = RatchetLimits { max_forward: u32::MAX, ..RatchetLimits::default() };
            let (key, mut delta) = tree.receive(suite, leaf, kind, generation, limits)?;
            tree.swap(&mut delta);
            Ok(key)
        };
        Ok((take(RatchetKind::Handshake)?, take(RatchetKind::Application)?))
    }
}

impl SuiteVector for SecretTree {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        self.sender_data.check(suite).at("sender_data")?;
        let fresh = self.tree()?;
        let mut used = fresh.clone();
        for (leaf, generations) in (0..).map(LeafIndex).zip(&self.leaves) {
            let mut last = None;
            for entry in generations {
                let place = format_args!("leaf {}, generation {}", leaf.0, entry.generation);
                let (handshake, application) =
                    Self::keys(&fresh, suite, leaf, entry.generation).at(place)?;
                entry.check(&handshake, &application).at(place)?;
                // Message by message, too, unless a generation comes twice or late.
                if last < Some(entry.generation) {
                    last = Some(entry.generation);
                    let (handshake, application) =
                        Self::receive(&mut used, suite, leaf, entry.generation).at(place)?;
                    entry.check(&handshake, &application).at("received in turn").at(place)?;
                }
            }
        }
        Ok(())
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let mut vectors = Vec::new();
        // The last number is not a power of two: leaves on the right of the tree are missing.
        for n in [1, 2, 5] {
            let mut vector = Self {
                cipher_suite: suite.cipher_suite().0,
                sender_data: SenderData::generate(suite, rng)?,
                encryption_secret: Hex(rng.bytes(suite.nh())),
                leaves: (0..n).map(|_| Vec::new()).collect(),
            };
            let tree = vector.tree()?;
            for (leaf, generations) in (0..).map(LeafIndex).zip(&mut vector.leaves) {
                for generation in [0, 1, 15] {
                    let (handshake, application) = Self::keys(&tree, suite, leaf, generation)?;
                    generations.push(Generation {
                        generation,
                        handshake_key: Hex::of(handshake.key.expose()),
                        handshake_nonce: Hex::of(handshake.nonce.expose()),
                        application_key: Hex::of(application.key.expose()),
                        application_nonce: Hex::of(application.nonce.expose()),
                    });
                }
            }
            vectors.push(vector);
        }
        Ok(vectors)
    }
}
