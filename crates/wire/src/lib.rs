//! Every structure that RFC 9420 and the working group's extensions put on the wire, as plain data.
//!
//! Nothing here is trusted: a value of these types only shows that its bytes had the right shape.
//! The floors above check signatures, MACs, hashes and the rules of the protocol, and wrap what
//! they have checked in types of their own.
//!
//! * [`codec`]: the presentation language of section 2.1, decoded by exact consumption;
//! * [`tree_math`]: node indices and their relations (Appendix C);
//! * [`Epoch`] and [`UnixTime`]: numbers that cannot be confused with others;
//! * the rest: one module per group of sections, with the RFC's names.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod app_ack;
mod code_points;
pub mod codec;
mod component;
mod credential;
mod epoch;
mod extension;
mod framing;
mod group_info;
mod ids;
mod key_package;
mod leaf_node;
mod media_type;
mod multi_credential;
mod proposal;
mod proposal_rules;
mod psk;
mod ratchet_tree;
mod safe_aad;
mod targeted;
mod time;
mod transcript;
pub mod tree_math;
mod update_path;

pub use app_ack::{AppAck, MessageRange};
pub use code_points::{
    CipherSuite, ComponentId, CredentialType, ExtensionType, ProposalType, ProtocolVersion,
    WireFormat, grease, is_grease,
};
pub use codec::{CustomProposal, Decode, DecodeError, Encode, EncodeError, Reader, Writer};
pub use component::{AppDataDictionary, ComponentData, ComponentOperationLabel, ComponentsList};
pub use credential::{Certificate, Credential};
pub use epoch::Epoch;
pub use extension::{
    Extension, ExternalSender, RequiredCapabilities, WireFormats, duplicate_extension,
    extension_of_type, find_extension, put_extension,
};
pub use framing::{
    AuthenticatedCommit, AuthenticatedContent, AuthenticatedContentTbm, Content, ContentType,
    FramedCommit, FramedContent, FramedContentAuthData, FramedContentTbs, MlsMessage,
    MlsMessageBody, PrivateContentAad, PrivateMessage, PrivateMessageContent, PublicMessage,
    Sender, SenderData, SenderDataAad, SenderType,
};
pub use group_info::{
    EncryptedGroupSecrets, GroupContext, GroupInfo, GroupInfoTbs, GroupSecrets, PathSecret, Welcome,
};
pub use ids::{
    Bytes, GroupId, HashReference, HpkePublicKey, KeyPackageRef, Mac, ProposalRef,
    SignaturePublicKey,
};
pub use key_package::{KeyPackage, KeyPackageTbs};
pub use leaf_node::{
    Capabilities, LeafNode, LeafNodeContext, LeafNodeSource, LeafNodeTbs, Lifetime,
};
pub use media_type::{ApplicationFraming, MediaType, MediaTypeList, Parameter};
pub use multi_credential::{CredentialBinding, CredentialBindingTbs, MultiCredential};
pub use proposal::{
    AppDataUpdate, AppDataUpdateOperation, Commit, Proposal, ProposalOrRef, ReInit,
};
pub use proposal_rules::{ProposalRules, SelfRemove};
pub use psk::{PreSharedKeyId, PskLabel, PskType, ResumptionPskUsage};
pub use ratchet_tree::{
    LeafNodeHashInput, Node, NodeType, ParentHashInput, ParentNode, ParentNodeHashInput,
    RatchetTreeExtension,
};
pub use safe_aad::{SafeAad, SafeAadItem};
pub use targeted::{
    PskId, SenderAuthDataAad, TargetedMessage, TargetedMessageContent, TargetedMessageContext,
    TargetedMessageContextData, TargetedMessageSenderAuthData, TargetedMessageTbs,
};
#[cfg(feature = "std")]
pub use time::TimeOutOfRange;
pub use time::UnixTime;
pub use transcript::{ConfirmedTranscriptHashInput, InterimTranscriptHashInput};
pub use tree_math::{LeafIndex, NodeIndex, TreeSize};
pub use update_path::{HpkeCiphertext, UpdatePath, UpdatePathNode};
