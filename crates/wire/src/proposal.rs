//! Proposals and commits (sections 12.1 and 12.4).

use crate::code_points::{CipherSuite, ProposalType, ProtocolVersion};
use crate::codec::{
    CustomProposal, Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec,
};
use crate::extension::Extension;
use crate::ids::{Bytes, GroupId, ProposalRef};
use crate::key_package::KeyPackage;
use crate::leaf_node::LeafNode;
use crate::proposal_rules::ProposalRules;
use crate::psk::PreSharedKeyId;
use crate::tree_math::LeafIndex;
use crate::update_path::UpdatePath;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// ReInit: closes the group and announces the one that replaces it (section 12.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReInit {
    /// The new group's identifier.
    pub group_id: GroupId,
    /// The new group's protocol version.
    pub version: ProtocolVersion,
    /// The new group's cipher suite.
    pub cipher_suite: CipherSuite,
    /// The new group's GroupContext extensions.
    pub extensions: Vec<Extension>,
}
codec!(ReInit { group_id, version, cipher_suite, extensions });

/// A proposed change to a group (section 12.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Adds a client.
    Add(Box<KeyPackage>),
    /// Replaces the sender's leaf node.
    Update(Box<LeafNode>),
    /// Removes a member.
    Remove(LeafIndex),
    /// Injects a pre-shared key.
    PreSharedKey(PreSharedKeyId),
    /// Closes the group and announces its successor.
    ReInit(ReInit),
    /// Joins by an external commit; holds the `kem_output`.
    ExternalInit(Bytes),
    /// Replaces the GroupContext's extensions.
    GroupContextExtensions(Vec<Extension>),
    /// A proposal of a type beyond RFC 9420's. It decodes only if the reader knows the type as a
    /// [`CustomProposal`](crate::CustomProposal).
    Custom {
        /// The type, which is none of RFC 9420's.
        proposal_type: ProposalType,
        /// The encoded body, including its length header if it has one.
        body: Bytes,
    },
}

impl Proposal {
    /// The proposal's type.
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

    /// The rules for proposals of this type (section 17.4); `custom` lists the types beyond RFC 9420's that
    /// are known. None if the type is not known.
    #[must_use]
    pub fn rules(&self, custom: &[CustomProposal]) -> Option<ProposalRules> {
        let [external_senders, path_required, external_commit] = match self {
            Self::Add(_) => [true, false, false],
            Self::Update(_) => [false, true, false],
            Self::Remove(_) => [true, true, true],
            Self::PreSharedKey(_) => [true, false, true],
            Self::ReInit(_) => [true, false, false],
            Self::ExternalInit(_) => [false, true, true],
            Self::GroupContextExtensions(_) => [true, true, false],
            Self::Custom { proposal_type, .. } => {
                let known = custom.iter().find(|known| known.proposal_type == *proposal_type)?;
                return Some(known.rules);
            }
        };
        Some(ProposalRules { external_senders, path_required, external_commit })
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

    /// Decodes the body of a proposal of the given type.
    ///
    /// # Errors
    /// If the type is unknown, or the bytes do not start with such a body.
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

/// A proposal in a commit: the proposal itself, or the hash of the message that carried it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposalOrRef {
    /// A proposal by value.
    Proposal(Proposal),
    /// A proposal by reference.
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
    /// The committed proposals, in order.
    pub proposals: Vec<ProposalOrRef>,
    /// New keys for the committer and its direct path.
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
