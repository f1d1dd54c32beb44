//! Crafted signatures beside honest ones.

use crate::checks::Checks;
use crate::vectors::INVALID_PUBLIC_KEY;
use conclave_crypto::testing::TestRng;
use conclave_crypto::{SignatureScheme, VerifyItem};
use conclave_wire::SignaturePublicKey;
use std::fmt::Arguments;

/// A scheme, and honest signatures that a crafted one is verified among.
pub(super) struct Scene {
    pub(super) scheme: SignatureScheme,
    honest: Vec<(SignaturePublicKey, Vec<u8>)>,
}

const HONEST: &[u8] = b"what honest signers sign";

/// A signature to verify.
pub(super) struct Crafted<'a> {
    pub(super) key: &'a [u8],
    pub(super) message: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl Scene {
    pub(super) fn new(c: &mut Checks<'_>, scheme: SignatureScheme) -> Option<Self> {
        let p = c.provider;
        let mut rng = TestRng(99);
        let mut honest = Vec::new();
        for _ in 0..6 {
            let pair = p.signature_key_pair(scheme, &mut rng);
            let pair = c.ok(format_args!("an honest key pair"), pair)?;
            let signature = p.sign(scheme, &pair, HONEST);
            honest.push((pair.public, c.ok(format_args!("an honest signature"), signature)?));
        }
        Some(Self { scheme, honest })
    }

    /// Checks that a signature is accepted or refused, alone and in a batch of honest ones.
    pub(super) fn check(
        &self,
        c: &mut Checks<'_>,
        case: Arguments<'_>,
        crafted: &Crafted<'_>,
        accept: bool,
    ) {
        let p = c.provider;
        let key = crafted.key.to_vec().into();
        let alone = p.verify(self.scheme, &key, crafted.message, crafted.signature);
        c.accepted(case, alone, accept);

        let mut batch: Vec<_> =
            self.honest.iter().map(|(key, signature)| item(key, HONEST, signature)).collect();
        let at = batch.len() / 2;
        batch.insert(at, item(&key, crafted.message, crafted.signature));
        let expected = if accept { Ok(()) } else { Err(at) };
        let in_batch = p.verify_many(self.scheme, &batch);
        c.equal(format_args!("{case}, in a batch"), in_batch, expected);
    }

    /// Checks that a key is refused, whatever it is said to have signed.
    pub(super) fn refuses_key(
        &self,
        c: &mut Checks<'_>,
        case: Arguments<'_>,
        crafted: &Crafted<'_>,
    ) {
        let key = crafted.key.to_vec().into();
        let found = c.provider.verify(self.scheme, &key, crafted.message, crafted.signature);
        c.equal(case, found, Err(INVALID_PUBLIC_KEY));
    }
}

pub(super) fn item<'a>(
    public_key: &'a SignaturePublicKey,
    message: &'a [u8],
    signature: &'a [u8],
) -> VerifyItem<'a> {
    VerifyItem { public_key, message, signature }
}

/// Adds a little-endian number to another.
pub(super) fn add(a: &mut [u8], b: &[u8]) {
    let mut carry = 0;
    for (i, a) in a.iter_mut().enumerate() {
        carry += u16::from(*a) + u16::from(b.get(i).copied().unwrap_or(0));
        *a = carry as u8;
        carry >>= 8;
    }
}
