//! HPKE's labelled derivations (RFC 9180 section 4; draft-ietf-hpke-hpke section 4).

use crate::{CryptoError, CryptoProvider, Kdf, Kem, Secret, SuiteParams};
use alloc::vec::Vec;

const VERSION: &[u8] = b"HPKE-v1";

/// RFC 9180's `suite_id` of a KEM or of a whole suite.
pub(crate) struct SuiteId {
    bytes: [u8; 10],
    len: usize,
}

impl SuiteId {
    pub(crate) fn kem(kem: Kem) -> Self {
        let [a, b] = kem.code_point().to_be_bytes();
        Self { bytes: [b'K', b'E', b'M', a, b, 0, 0, 0, 0, 0], len: 5 }
    }

    pub(crate) fn hpke(suite: &SuiteParams) -> Self {
        let [a, b] = suite.kem.code_point().to_be_bytes();
        let [c, d] = suite.kdf.code_point().to_be_bytes();
        let [e, f] = suite.aead.code_point().to_be_bytes();
        Self { bytes: [b'H', b'P', b'K', b'E', a, b, c, d, e, f], len: 10 }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Labelled derivations (RFC 9180 section 4): the provider, the KDF and the suite's identifier.
pub(crate) struct Labeled<'a> {
    pub(crate) provider: &'a dyn CryptoProvider,
    pub(crate) kdf: Kdf,
    pub(crate) suite_id: SuiteId,
}

impl Labeled<'_> {
    pub(crate) fn extract(
        &self,
        salt: &[u8],
        label: &[u8],
        ikm: &[u8],
    ) -> Result<Secret, CryptoError> {
        self.provider.extract(self.kdf, salt, &[VERSION, self.suite_id.as_slice(), label, ikm])
    }

    pub(crate) fn expand(
        &self,
        prk: &Secret,
        label: &[u8],
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let n = u16::try_from(length).map_err(|_| CryptoError::InvalidLength)?.to_be_bytes();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(info.len() + 4);
        parts.extend([n.as_slice(), VERSION, self.suite_id.as_slice(), label]);
        parts.extend_from_slice(info);
        self.provider.expand(self.kdf, prk, &parts, length)
    }
}

/// `SHAKE256.LabeledDerive(ikm, label, "", length)`: the single-stage KDF inside the KEMs beyond DHKEM.
pub(crate) fn labeled_derive(
    provider: &dyn CryptoProvider,
    suite_id: &SuiteId,
    ikm: &Secret,
    label: &[u8],
    length: usize,
) -> Result<Secret, CryptoError> {
    let prefix = |n: usize| u16::try_from(n).map(u16::to_be_bytes);
    let label_len = prefix(label.len()).map_err(|_| CryptoError::InvalidLength)?;
    let n = prefix(length).map_err(|_| CryptoError::InvalidLength)?;

    let parts = [ikm.expose(), VERSION, suite_id.as_slice(), &label_len, label, &n];
    provider.shake256(&parts, length)
}
