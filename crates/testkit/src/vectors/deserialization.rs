//! Headers of variable-length vectors (RFC 9420 section 2.1.2).

use super::PlainVector;
use super::compare::same_value;
use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use crate::SeededRng;
use conclave_wire::Reader;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Deserialization {
    vlbytes_header: Hex,
    length: u64,
}

impl PlainVector for Deserialization {
    fn check(&self) -> Result<(), Problem> {
        let mut r = Reader::new(&self.vlbytes_header);
        let length = r.length().at("vlbytes_header does not decode")?;
        ensure(r.is_empty(), format_args!("{} bytes follow the header", r.rest().len()))?;
        same_value("the decoded length", &(length as u64), &self.length)
    }

    fn generate(rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        // Both sides of each limit, and some lengths between them.
        const LIMITS: [u32; 3] = [1 << 6, 1 << 14, 1 << 30];
        let mut lengths = vec![0, 1];
        for limit in LIMITS {
            let random = rng.below(u64::from(limit)) as u32;
            lengths.extend([random, limit - 1, limit]);
        }
        lengths.pop();
        Ok(lengths.into_iter().map(Self::of_length).collect())
    }
}

impl Deserialization {
    fn of_length(length: u32) -> Self {
        let header = match length {
            ..0x40 => vec![length as u8],
            0x40..0x4000 => (length as u16 | 0x4000).to_be_bytes().to_vec(),
            _ => (length | 0x8000_0000).to_be_bytes().to_vec(),
        };
        Self { vlbytes_header: header.into(), length: length.into() }
    }
}
