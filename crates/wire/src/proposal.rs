//! Proposals and commits (sections 12.1 and 12.4, and draft-ietf-mls-extensions-10).

use crate::code_points::{CipherSuite, ComponentId, ProposalType, ProtocolVersion};
use crate::codec::{
    CustomProposal, Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec,
};
use crate::component::ComponentData;
use crate::extension::Extension;
use crate::ids::{Bytes, GroupId, ProposalRef};
use crate::key_package::KeyPackage;
use crate::leaf_node::LeafNode;
use crate::proposal_rules::{ProposalRules, SelfRemove};
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

/// AppDataUpdate: changes the data of one component in the GroupContext
/// (draft-ietf-mls-extensions-10, "Updating Application Data in the GroupContext").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDataUpdate {
    /// The component.
    pub component_id: ComponentId,
    /// The change.
    pub operation: AppDataUpdateOperation,
}
codec!(AppDataUpdate { component_id, operation });

/// What an AppDataUpdate does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppDataUpdateOperation {
    /// Changes the component's data as the component itself defines.
    Update(Bytes),
    /// Removes the component's data.
    Remove,
}

impl Encode for AppDataUpdateOperation {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Update(update) => {
                1u8.encode(w)?;
                update.encode(w)
            }
            Self::Remove => 2u8.encode(w),
        }
    }
}

impl Decode for AppDataUpdateOperation {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Update(Decode::decode(r)?)),
            2 => Ok(Self::Remove),
            other => {
                let value = other.into();
                Err(DecodeError::InvalidValue { field: "AppDataUpdateOperation", value })
            }
        }
    }
}

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
    /// Changes a component's data in the GroupContext (draft-ietf-mls-extensions-10).
    AppDataUpdate(AppDataUpdate),
    /// Gives a component data that belongs to the commit alone (draft-ietf-mls-extensions-10).
    AppEphemeral(ComponentData),
    /// Removes the sender (draft-ietf-mls-extensions-10).
    SelfRemove(SelfRemove),
    /// A proposal of another type. It decodes only if the reader knows the type as a
    /// [`CustomProposal`](crate::CustomProposal).
    Custom {
        /// The type, which is none of those above.
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
            Self::AppDataUpdate(_) => ProposalType::APP_DATA_UPDATE,
            Self::AppEphemeral(_) => ProposalType::APP_EPHEMERAL,
            Self::SelfRemove(format) => format.proposal_type,
            Self::Custom { proposal_type, .. } => *proposal_type,
        }
    }

    /// The rules for proposals of this type (section 17.4); `custom` lists the types beyond those of this
    /// library that are known. None if the type is not known.
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
            Self::AppDataUpdate(_) | Self::AppEphemeral(_) => [true, false, true],
            Self::SelfRemove(_) => return Some(SelfRemove::RULES),
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
            Self::AppDataUpdate(update) => update.encode(w),
            Self::AppEphemeral(data) => data.encode(w),
            Self::SelfRemove(format) if format.length_prefixed => 0u8.encode(w),
            Self::SelfRemove(_) => Ok(()),
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
            ProposalType::APP_DATA_UPDATE => Decode::decode(r).map(Self::AppDataUpdate),
            ProposalType::APP_EPHEMERAL => Decode::decode(r).map(Self::AppEphemeral),
            proposal_type => {
                let known = match r.custom_proposal(proposal_type) {
                    Some(CustomProposal { self_remove: Some(format), read, .. }) => {
                        read(r)?;
                        return Ok(Self::SelfRemove(*format));
                    }
                    _ if proposal_type == ProposalType::SELF_REMOVE => {
                        return Ok(Self::SelfRemove(SelfRemove::DRAFT));
                    }
                    Some(known) => known,
                    None => {
                        let value = proposal_type.0.into();
                        return Err(DecodeError::InvalidValue { field: "ProposalType", value });
                    }
                };

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
    fn components_proposals_and_self_removes_round_trip() {
        let id = ComponentId(0x8001);
        let update = AppDataUpdateOperation::Update([7].into());
        let remove = AppDataUpdateOperation::Remove;
        let cases = [
            (
                Proposal::AppDataUpdate(AppDataUpdate { component_id: id, operation: update }),
                &[0, 8, 0x80, 1, 1, 1, 7][..],
            ),
            (
                Proposal::AppDataUpdate(AppDataUpdate { component_id: id, operation: remove }),
                &[0, 8, 0x80, 1, 2],
            ),
            (
                Proposal::AppEphemeral(ComponentData { component_id: id, data: [9].into() }),
                &[0, 9, 0x80, 1, 1, 9],
            ),
            (Proposal::SelfRemove(SelfRemove::DRAFT), &[0, 10]),
        ];
        for (proposal, bytes) in cases {
            assert_eq!(proposal.to_bytes().unwrap(), bytes);
            assert_eq!(Proposal::from_bytes(bytes), Ok(proposal));
        }

        for operation in [0, 3] {
            let value = operation.into();
            let error = DecodeError::InvalidValue { field: "AppDataUpdateOperation", value };
            assert_eq!(Proposal::from_bytes(&[0, 8, 0x80, 1, operation, 0]), Err(error));
        }
    }

    #[test]
    fn self_removes_have_the_code_point_and_body_of_the_profile() {
        let bare = SelfRemove { proposal_type: EMPTY, length_prefixed: false };
        let prefixed = SelfRemove { proposal_type: VECTOR, length_prefixed: true };
        let draft = SelfRemove { length_prefixed: true, ..SelfRemove::DRAFT };
        let formats = [bare, prefixed, draft].map(CustomProposal::self_remove);
        for (format, bytes) in
            [(bare, &[0xf0, 3][..]), (prefixed, &[0xf0, 4, 0]), (draft, &[0, 10, 0])]
        {
            let proposal = Proposal::SelfRemove(format);
            assert_eq!(proposal.to_bytes().unwrap(), bytes);
            assert_eq!(
                Proposal::from_reader(Reader::with_proposals(bytes, &formats)),
                Ok(proposal)
            );
        }

        let filled = Reader::with_proposals(&[0xf0, 4, 1, 0], &formats);
        assert_eq!(Proposal::from_reader(filled), Err(DecodeError::TrailingBytes(1)));
    }

    #[test]
    fn a_format_cannot_redefine_a_proposal_of_the_library() {
        let formats = [CustomProposal::empty(ProposalType::REMOVE)];
        let bytes = Proposal::Remove(LeafIndex(3)).to_bytes().unwrap();
        let decoded = Proposal::from_reader(Reader::with_proposals(&bytes, &formats));
        assert_eq!(decoded, Ok(Proposal::Remove(LeafIndex(3))));

        let formats = [CustomProposal::vector(ProposalType::SELF_REMOVE)];
        let decoded = Proposal::from_reader(Reader::with_proposals(&[0, 10], &formats));
        assert_eq!(decoded, Ok(Proposal::SelfRemove(SelfRemove::DRAFT)));
    }
}
