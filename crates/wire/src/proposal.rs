//! Proposals and commits (sections 12.1 and 12.4).

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::extension::Extension;
use crate::ids::{Bytes, CipherSuite, GroupId, ProposalRef, ProposalType, ProtocolVersion};
use crate::key_package::KeyPackage;
use crate::leaf_node::LeafNode;
use crate::psk::PreSharedKeyId;
use crate::tree_math::LeafIndex;
use crate::update_path::UpdatePath;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// ReInit: close the group and open another in its place (section 12.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReInit {
    /// The new group's identifier.
    pub group_id: GroupId,
    /// Its protocol version.
    pub version: ProtocolVersion,
    /// Its cipher suite.
    pub cipher_suite: CipherSuite,
    /// Its GroupContext extensions.
    pub extensions: Vec<Extension>,
}
codec!(ReInit { group_id, version, cipher_suite, extensions });

/// A proposed change to a group (section 12.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Add a client.
    Add(Box<KeyPackage>),
    /// Replace the sender's leaf node.
    Update(Box<LeafNode>),
    /// Remove a member.
    Remove(LeafIndex),
    /// Inject a pre-shared key.
    PreSharedKey(PreSharedKeyId),
    /// Close the group and open another.
    ReInit(ReInit),
    /// Join by an external commit: the `kem_output`.
    ExternalInit(Bytes),
    /// Replace the GroupContext's extensions.
    GroupContextExtensions(Vec<Extension>),
    /// A proposal of a type that RFC 9420 does not define. It decodes only where the reader knows
    /// the type, as a [`CustomProposal`](crate::CustomProposal).
    Custom {
        /// The type; none of RFC 9420's.
        proposal_type: ProposalType,
        /// The body as it is encoded, its own length header included if it has one.
        body: Bytes,
    },
}

impl Proposal {
    /// The type of this proposal.
    #[must_use]
    pub fn proposal_type(&self) -> ProposalType {
        match self {
            Self::Add(_) => ProposalType::ADD,
            Self::Update(_) => ProposalType::UPDATE,
            Self::Remove(_) => ProposalType::REMOVE,
            Self::PreSharedKey(_) => ProposalType::PSK,
            Self::ReInit(_) => ProposalType::REINIT,
            Self::ExternalInit(_) => ProposalType::EXTERNAL_INIT,
            Self::GroupContextExtensions(_) => ProposalType::GROUP_CONTEXT_EXTENSIONS,
            Self::Custom { proposal_type, .. } => *proposal_type,
        }
    }

    /// The encoding of the proposal's body, without its type.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn encode_body(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Add(key_package) => key_package.encode(w),
            Self::Update(leaf_node) => leaf_node.encode(w),
            Self::Remove(removed) => removed.encode(w),
            Self::PreSharedKey(psk) => psk.encode(w),
            Self::ReInit(reinit) => reinit.encode(w),
            Self::ExternalInit(kem_output) => kem_output.encode(w),
            Self::GroupContextExtensions(extensions) => extensions.encode(w),
            Self::Custom { body, .. } => {
                w.put(body);
                Ok(())
            }
        }
    }

    /// Decodes the body of a proposal of a type.
    ///
    /// # Errors
    /// If the type is unknown or the bytes are no encoding of its body.
    pub fn decode_body(kind: ProposalType, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            ProposalType::ADD => Decode::decode(r).map(Self::Add),
            ProposalType::UPDATE => Decode::decode(r).map(Self::Update),
            ProposalType::REMOVE => Decode::decode(r).map(Self::Remove),
            ProposalType::PSK => Decode::decode(r).map(Self::PreSharedKey),
            ProposalType::REINIT => Decode::decode(r).map(Self::ReInit),
            ProposalType::EXTERNAL_INIT => Decode::decode(r).map(Self::ExternalInit),
            ProposalType::GROUP_CONTEXT_EXTENSIONS => {
                Decode::decode(r).map(Self::GroupContextExtensions)
            }
            proposal_type => {
                let value = proposal_type.0.into();
                let unknown = DecodeError::InvalidValue { field: "ProposalType", value };
                let known = r.custom_proposal(proposal_type).ok_or(unknown)?;
                let before = r.rest();
                (known.read)(r)?;
                let used = before.len() - r.rest().len();
                let body = before.get(..used).unwrap_or_default().into();
                Ok(Self::Custom { proposal_type, body })
            }
        }
    }
}

impl Encode for Proposal {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.proposal_type().encode(w)?;
        self.encode_body(w)
    }
}

impl Decode for Proposal {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = ProposalType::decode(r)?;
        Self::decode_body(kind, r)
    }
}

/// A proposal in a commit: itself, or the hash of the message that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalOrRef {
    /// By value.
    Proposal(Proposal),
    /// By reference.
    Reference(ProposalRef),
}

impl Encode for ProposalOrRef {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Proposal(proposal) => {
                1u8.encode(w)?;
                proposal.encode(w)
            }
            Self::Reference(reference) => {
                2u8.encode(w)?;
                reference.encode(w)
            }
        }
    }
}

impl Decode for ProposalOrRef {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Proposal(Decode::decode(r)?)),
            2 => Ok(Self::Reference(Decode::decode(r)?)),
            other => {
                Err(DecodeError::InvalidValue { field: "ProposalOrRefType", value: other.into() })
            }
        }
    }
}

/// A commit: the step to the next epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// What changes.
    pub proposals: Vec<ProposalOrRef>,
    /// New keys for the committer.
    pub path: Option<Box<UpdatePath>>,
}
codec!(Commit { proposals, path });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CustomProposal;

    const EMPTY: ProposalType = ProposalType(0xf003);
    const VECTOR: ProposalType = ProposalType(0xf004);

    fn decode(bytes: &[u8]) -> Result<Vec<ProposalOrRef>, DecodeError> {
        let formats = [CustomProposal::empty(EMPTY), CustomProposal::vector(VECTOR)];
        Vec::from_reader(Reader::with_proposals(bytes, &formats))
    }

    #[test]
    fn custom_proposals_decode_where_their_format_is_known() {
        let list: Vec<ProposalOrRef> = [
            Proposal::Custom { proposal_type: EMPTY, body: Bytes::default() },
            Proposal::Custom { proposal_type: VECTOR, body: [2, 7, 8].into() },
            Proposal::Remove(LeafIndex(3)),
        ]
        .map(ProposalOrRef::Proposal)
        .into();
        let bytes = list.to_bytes().unwrap();
        assert_eq!(decode(&bytes), Ok(list));
        let unknown = DecodeError::InvalidValue { field: "ProposalType", value: 0xf003 };
        assert_eq!(Vec::<ProposalOrRef>::from_bytes(&bytes), Err(unknown));
        for n in 0..bytes.len() {
            assert!(decode(bytes.get(..n).unwrap()).is_err());
        }
    }

    #[test]
    fn a_format_cannot_redefine_a_proposal_of_the_rfc() {
        let formats = [CustomProposal::empty(ProposalType::REMOVE)];
        let bytes = Proposal::Remove(LeafIndex(3)).to_bytes().unwrap();
        let decoded = Proposal::from_reader(Reader::with_proposals(&bytes, &formats));
        assert_eq!(decoded, Ok(Proposal::Remove(LeafIndex(3))));
    }
}
