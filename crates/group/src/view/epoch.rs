//! The public part of an epoch.

use crate::error::{Error, Rejection};
use crate::store::context_codec::put_context;
use alloc::vec::Vec;
use conclave_wire::{
    Bytes, Decode, Encode, GroupContext, Mac, ProtocolVersion, ReInit, Reader, Writer,
};

/// The public part of an epoch, apart from the tree and the proposals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicEpoch {
    pub(crate) context: GroupContext,
    pub(crate) interim_transcript_hash: Bytes,
    pub(crate) confirmation_tag: Mac,
    /// The ReInit in the commit that began this epoch: the group is closed.
    pub(crate) reinit: Option<ReInit>,
    /// The [name](crate::Policy::id) of the policy that the epoch began under. It has a row of its
    /// own.
    pub(crate) policy: Vec<u8>,
}

impl PublicEpoch {
    pub(crate) fn encode(&self, w: &mut Writer) -> Result<(), Error> {
        put_context(w, &self.context, 0)?;
        self.interim_transcript_hash.encode(w)?;
        self.confirmation_tag.encode(w)?;
        self.reinit.encode(w)?;
        Ok(())
    }

    /// Decodes an epoch. Its context still lacks the data of components, which has rows of its own.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
        let epoch = Self {
            context: Decode::decode(r)?,
            interim_transcript_hash: Decode::decode(r)?,
            confirmation_tag: Decode::decode(r)?,
            reinit: Decode::decode(r)?,
            policy: Vec::new(),
        };
        if epoch.context.version != ProtocolVersion::MLS_1_0 {
            return Err(Rejection::WrongVersion(epoch.context.version).into());
        }
        Ok(epoch)
    }
}
