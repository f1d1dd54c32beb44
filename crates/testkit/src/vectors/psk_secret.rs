//! Combining pre-shared keys (RFC 9420 section 8.4).

use super::compare::same;
use super::hex::Hex;
use super::problem::Problem;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{Secret, Suite};
use conclave_schedule::psk_secret;
use conclave_wire::{Bytes, PreSharedKeyId, PskType};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct PskSecret {
    cipher_suite: u16,
    psks: Vec<Psk>,
    psk_secret: Hex,
}

#[derive(Serialize, Deserialize)]
struct Psk {
    psk_id: Hex,
    psk: Hex,
    psk_nonce: Hex,
}

impl Psk {
    fn id_and_key(&self) -> (PreSharedKeyId, Secret) {
        let psktype = PskType::External { psk_id: Bytes::from(&self.psk_id) };
        let id = PreSharedKeyId { psktype, psk_nonce: Bytes::from(&self.psk_nonce) };
        (id, self.psk.secret())
    }
}

fn compute(suite: &Suite<'_>, psks: &[Psk]) -> Result<Hex, Problem> {
    let psks: Vec<_> = psks.iter().map(Psk::id_and_key).collect();
    Ok(Hex::of(psk_secret(suite, &psks)?.expose()))
}

impl SuiteVector for PskSecret {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        same("psk_secret", &compute(suite, &self.psks)?, &self.psk_secret)
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let mut vectors = Vec::new();
        for n in [0, 1, 2, 5] {
            let psks: Vec<Psk> = (0..n)
                .map(|i| Psk {
                    // Of different lengths, one of them empty.
                    psk_id: Hex(rng.bytes(i * 10)),
                    psk: Hex(rng.bytes(suite.nh())),
                    psk_nonce: Hex(rng.bytes(suite.nh())),
                })
                .collect();
            let psk_secret = compute(suite, &psks)?;
            vectors.push(Self { cipher_suite: suite.cipher_suite().0, psks, psk_secret });
        }
        Ok(vectors)
    }
}
