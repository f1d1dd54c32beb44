//! What a device asks for that has just come in.

use conclave_delivery_api::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use conclave_mls::CipherSuite;
use conclave_mls::wire::HpkePublicKey;

/// The name of a question.
pub(crate) type AskId = [u8; 16];

/// A question: the answer is encrypted to its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) id: AskId,
    pub(crate) suite: CipherSuite,
    pub(crate) key: HpkePublicKey,
}

impl Encode for Ask {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.id);
        self.suite.encode(w)?;
        self.key.encode(w)
    }
}

impl Decode for Ask {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (id, suite) = (r.take_array()?, CipherSuite::decode(r)?);
        Ok(Self { id, suite, key: HpkePublicKey::decode(r)? })
    }
}
