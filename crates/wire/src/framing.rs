//! Message framing (section 6).

use crate::code_points::{ProtocolVersion, WireFormat};
use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec, small_enum};
use crate::epoch::Epoch;
use crate::group_info::{GroupContext, GroupInfo, Welcome};
use crate::ids::{Bytes, GroupId, Mac};
use crate::key_package::KeyPackage;
use crate::proposal::{Commit, Proposal};
use crate::targeted::TargetedMessage;
use crate::tree_math::LeafIndex;
use alloc::boxed::Box;
use core::fmt;
use zeroize::Zeroize;

small_enum! {
    /// The kind of content of a framed message.
    ContentType {
        /// Application data.
        Application = 1,
        /// A proposal.
        Proposal = 2,
        /// A commit.
        Commit = 3,
    }
}

small_enum! {
    /// The kind of sender of a message.
    SenderType {
        /// A member.
        Member = 1,
        /// A sender listed in `external_senders`.
        External = 2,
        /// A client that proposes its own addition.
        NewMemberProposal = 3,
        /// A client that joins by an external commit.
        NewMemberCommit = 4,
    }
}

/// The sender that a message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The member at a leaf.
    Member(LeafIndex),
    /// The sender at this index of the `external_senders` extension.
    External(u32),
    /// A client that proposes its own addition.
    NewMemberProposal,
    /// A client that joins by an external commit.
    NewMemberCommit,
}

impl Sender {
    /// The kind of sender.
    #[must_use]
    pub fn sender_type(self) -> SenderType {
        match self {
            Self::Member(_) => SenderType::Member,
            Self::External(_) => SenderType::External,
            Self::NewMemberProposal => SenderType::NewMemberProposal,
            Self::NewMemberCommit => SenderType::NewMemberCommit,
        }
    }
}

impl Encode for Sender {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.sender_type().encode(w)?;
        match self {
            Self::Member(leaf_index) => leaf_index.encode(w),
            Self::External(sender_index) => sender_index.encode(w),
            Self::NewMemberProposal | Self::NewMemberCommit => Ok(()),
        }
    }
}

impl Decode for Sender {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match SenderType::decode(r)? {
            SenderType::Member => Decode::decode(r).map(Self::Member),
            SenderType::External => Decode::decode(r).map(Self::External),
            SenderType::NewMemberProposal => Ok(Self::NewMemberProposal),
            SenderType::NewMemberCommit => Ok(Self::NewMemberCommit),
        }
    }
}

/// The content of a framed message. Application data is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Application data.
    Application(Bytes),
    /// A proposal.
    Proposal(Proposal),
    /// A commit.
    Commit(Commit),
}

impl Content {
    /// Wipes application data, which is always encrypted when sent. Proposals and commits may be
    /// sent unencrypted and are only dropped.
    pub fn wipe(self) {
        if let Self::Application(data) = self {
            data.into_vec().zeroize();
        }
    }

    /// The kind of content.
    #[must_use]
    pub fn content_type(&self) -> ContentType {
        match self {
            Self::Application(_) => ContentType::Application,
            Self::Proposal(_) => ContentType::Proposal,
            Self::Commit(_) => ContentType::Commit,
        }
    }

    /// Appends the encoded content without its type.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn encode_body(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Application(data) => data.encode(w),
            Self::Proposal(proposal) => proposal.encode(w),
            Self::Commit(commit) => commit.encode(w),
        }
    }

    /// Decodes content of a given type.
    ///
    /// # Errors
    /// If the bytes do not start with such content.
    pub fn decode_body(kind: ContentType, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            ContentType::Application => Decode::decode(r).map(Self::Application),
            ContentType::Proposal => Decode::decode(r).map(Self::Proposal),
            ContentType::Commit => Decode::decode(r).map(Self::Commit),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(data) => write!(f, "Application({} bytes)", data.len()),
            Self::Proposal(proposal) => f.debug_tuple("Proposal").field(proposal).finish(),
            Self::Commit(commit) => f.debug_tuple("Commit").field(commit).finish(),
        }
    }
}

/// FramedContent: a message without its authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramedContent {
    /// The group.
    pub group_id: GroupId,
    /// The epoch that it was sent in.
    pub epoch: Epoch,
    /// The sender.
    pub sender: Sender,
    /// Application data that is authenticated but not encrypted.
    pub authenticated_data: Bytes,
    /// The content.
    pub content: Content,
}

impl Encode for FramedContent {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.group_id.encode(w)?;
        self.epoch.encode(w)?;
        self.sender.encode(w)?;
        self.authenticated_data.encode(w)?;
        self.content.content_type().encode(w)?;
        self.content.encode_body(w)
    }
}

impl Decode for FramedContent {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group_id: Decode::decode(r)?,
            epoch: Decode::decode(r)?,
            sender: Decode::decode(r)?,
            authenticated_data: Decode::decode(r)?,
            content: {
                let kind = ContentType::decode(r)?;
                Content::decode_body(kind, r)?
            },
        })
    }
}

/// FramedContentAuthData: the signature of a message, and the confirmation tag of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramedContentAuthData {
    /// `SignWithLabel(., "FramedContentTBS", FramedContentTBS)`.
    pub signature: Bytes,
    /// For a commit, `MAC(confirmation_key, confirmed_transcript_hash)`; otherwise none.
    pub confirmation_tag: Option<Mac>,
}

impl FramedContentAuthData {
    fn encode(&self, kind: ContentType, w: &mut Writer) -> Result<(), EncodeError> {
        self.signature.encode(w)?;
        match (kind, &self.confirmation_tag) {
            (ContentType::Commit, Some(tag)) => tag.encode(w),
            (ContentType::Commit, None) => Mac::default().encode(w),
            (ContentType::Application | ContentType::Proposal, _) => Ok(()),
        }
    }

    fn decode(kind: ContentType, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            signature: Decode::decode(r)?,
            confirmation_tag: match kind {
                ContentType::Commit => Some(Decode::decode(r)?),
                ContentType::Application | ContentType::Proposal => None,
            },
        })
    }
}

/// AuthenticatedContent: a signed message with its wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedContent {
    /// PublicMessage or PrivateMessage.
    pub wire_format: WireFormat,
    /// The message.
    pub content: FramedContent,
    /// Its signature and confirmation tag.
    pub auth: FramedContentAuthData,
}

impl Encode for AuthenticatedContent {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.wire_format.encode(w)?;
        self.content.encode(w)?;
        self.auth.encode(self.content.content.content_type(), w)
    }
}

impl Decode for AuthenticatedContent {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let wire_format = WireFormat::decode(r)?;
        let content = FramedContent::decode(r)?;
        let auth = FramedContentAuthData::decode(content.content.content_type(), r)?;
        Ok(Self { wire_format, content, auth })
    }
}

/// FramedContent with a commit as its content. It encodes like the [`FramedContent`] with the same
/// parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramedCommit {
    /// The group.
    pub group_id: GroupId,
    /// The epoch that it was sent in.
    pub epoch: Epoch,
    /// The sender.
    pub sender: Sender,
    /// Application data that is authenticated but not encrypted.
    pub authenticated_data: Bytes,
    /// The commit.
    pub commit: Commit,
}

impl Encode for FramedCommit {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.group_id.encode(w)?;
        self.epoch.encode(w)?;
        self.sender.encode(w)?;
        self.authenticated_data.encode(w)?;
        ContentType::Commit.encode(w)?;
        self.commit.encode(w)
    }
}

/// AuthenticatedContent with a commit as its content, and the commit's confirmation tag. It encodes
/// like the [`AuthenticatedContent`] with the same parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedCommit {
    /// PublicMessage or PrivateMessage.
    pub wire_format: WireFormat,
    /// The message.
    pub content: FramedCommit,
    /// `SignWithLabel(., "FramedContentTBS", FramedContentTBS)`.
    pub signature: Bytes,
    /// `MAC(confirmation_key, confirmed_transcript_hash)`.
    pub confirmation_tag: Mac,
}
codec!(encode AuthenticatedCommit { wire_format, content, signature, confirmation_tag });

impl Decode for AuthenticatedCommit {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        AuthenticatedContent::decode(r)?.try_into()
    }
}

impl TryFrom<AuthenticatedContent> for AuthenticatedCommit {
    type Error = DecodeError;

    /// # Errors
    /// If the content is not a commit, or the confirmation tag is missing.
    fn try_from(message: AuthenticatedContent) -> Result<Self, DecodeError> {
        let AuthenticatedContent { wire_format, content, auth } = message;
        let FramedContent { group_id, epoch, sender, authenticated_data, content } = content;

        match (content, auth.confirmation_tag) {
            (Content::Commit(commit), Some(confirmation_tag)) => {
                let content = FramedCommit { group_id, epoch, sender, authenticated_data, commit };
                Ok(Self { wire_format, content, signature: auth.signature, confirmation_tag })
            }
            (Content::Commit(_), None) => Err(DecodeError::Truncated),
            (other @ (Content::Application(_) | Content::Proposal(_)), _) => {
                let value = other.content_type() as u64;
                other.wipe();
                Err(DecodeError::InvalidValue { field: "ContentType of a commit", value })
            }
        }
    }
}

impl From<AuthenticatedCommit> for AuthenticatedContent {
    fn from(message: AuthenticatedCommit) -> Self {
        let AuthenticatedCommit { wire_format, content, signature, confirmation_tag } = message;
        let FramedCommit { group_id, epoch, sender, authenticated_data, commit } = content;
        let content = Content::Commit(commit);
        Self {
            wire_format,
            content: FramedContent { group_id, epoch, sender, authenticated_data, content },
            auth: FramedContentAuthData { signature, confirmation_tag: Some(confirmation_tag) },
        }
    }
}

/// FramedContentTBS: the input of a message's signature.
#[derive(Clone, Copy, Debug)]
pub struct FramedContentTbs<'a> {
    /// The wire format that the message is sent in.
    pub wire_format: WireFormat,
    /// The message.
    pub content: &'a FramedContent,
    /// The group's context. It is covered if the sender is a member or joins by an external commit.
    pub context: &'a GroupContext,
}

impl Encode for FramedContentTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        ProtocolVersion::MLS_1_0.encode(w)?;
        self.wire_format.encode(w)?;
        self.content.encode(w)?;
        match self.content.sender {
            Sender::Member(_) | Sender::NewMemberCommit => self.context.encode(w),
            Sender::External(_) | Sender::NewMemberProposal => Ok(()),
        }
    }
}

/// AuthenticatedContentTBM: the input of a membership tag.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticatedContentTbm<'a> {
    /// The input of the signature.
    pub content_tbs: FramedContentTbs<'a>,
    /// The signature, and the confirmation tag of a commit.
    pub auth: &'a FramedContentAuthData,
}

impl Encode for AuthenticatedContentTbm<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.content_tbs.encode(w)?;
        self.auth.encode(self.content_tbs.content.content.content_type(), w)
    }
}

/// PublicMessage: a signed message without encryption (section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicMessage {
    /// The message.
    pub content: FramedContent,
    /// Its signature and confirmation tag.
    pub auth: FramedContentAuthData,
    /// For a member's message, `MAC(membership_key, AuthenticatedContentTBM)`; otherwise none.
    pub membership_tag: Option<Mac>,
}

impl Encode for PublicMessage {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.content.encode(w)?;
        self.auth.encode(self.content.content.content_type(), w)?;
        match self.content.sender {
            Sender::Member(_) => match &self.membership_tag {
                Some(tag) => tag.encode(w),
                None => Mac::default().encode(w),
            },
            Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => Ok(()),
        }
    }
}

impl Decode for PublicMessage {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let content = FramedContent::decode(r)?;
        let auth = FramedContentAuthData::decode(content.content.content_type(), r)?;
        let membership_tag = match content.sender {
            Sender::Member(_) => Some(Decode::decode(r)?),
            Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => None,
        };
        Ok(Self { content, auth, membership_tag })
    }
}

/// PrivateMessage: a signed and encrypted message (section 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateMessage {
    /// The group.
    pub group_id: GroupId,
    /// The epoch that it was sent in.
    pub epoch: Epoch,
    /// The kind of the encrypted content.
    pub content_type: ContentType,
    /// Application data that is authenticated but not encrypted.
    pub authenticated_data: Bytes,
    /// The encrypted [`SenderData`].
    pub encrypted_sender_data: Bytes,
    /// The encrypted [`PrivateMessageContent`].
    pub ciphertext: Bytes,
}
codec!(PrivateMessage {
    group_id,
    epoch,
    content_type,
    authenticated_data,
    encrypted_sender_data,
    ciphertext
});

/// PrivateMessageContent: the plaintext of a PrivateMessage (section 6.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateMessageContent {
    /// The content.
    pub content: Content,
    /// Its signature and confirmation tag.
    pub auth: FramedContentAuthData,
}

impl PrivateMessageContent {
    /// Appends the encoding and this many zero bytes of padding.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn encode_padded(&self, padding: usize, w: &mut Writer) -> Result<(), EncodeError> {
        self.content.encode_body(w)?;
        self.auth.encode(self.content.content_type(), w)?;

        const ZEROS: [u8; 64] = [0; 64];
        let mut left = padding;
        while left > 0 {
            let n = left.min(ZEROS.len());
            w.put(ZEROS.get(..n).unwrap_or_default());
            left -= n;
        }
        Ok(())
    }

    /// Decodes all bytes that a reader has left as content of a type, followed by padding.
    ///
    /// # Errors
    /// If the bytes do not start with such content, or the padding holds a non-zero byte.
    pub fn decode_padded(kind: ContentType, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        let content = Content::decode_body(kind, &mut r)?;
        let auth = FramedContentAuthData::decode(kind, &mut r).and_then(|auth| {
            if r.rest().iter().all(|b| *b == 0) {
                Ok(auth)
            } else {
                Err(DecodeError::NonZeroPadding)
            }
        });

        match auth {
            Ok(auth) => Ok(Self { content, auth }),
            Err(e) => {
                // Decrypted content that nobody will receive.
                content.wipe();
                Err(e)
            }
        }
    }
}

/// PrivateContentAAD (section 6.3.1).
#[derive(Clone, Copy, Debug)]
pub struct PrivateContentAad<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The epoch.
    pub epoch: Epoch,
    /// The kind of the encrypted content.
    pub content_type: ContentType,
    /// Application data that is authenticated but not encrypted.
    pub authenticated_data: &'a Bytes,
}
codec!(encode PrivateContentAad<'a> { group_id, epoch, content_type, authenticated_data });

/// SenderDataAAD (section 6.3.2).
#[derive(Clone, Copy, Debug)]
pub struct SenderDataAad<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The epoch.
    pub epoch: Epoch,
    /// The kind of the encrypted content.
    pub content_type: ContentType,
}
codec!(encode SenderDataAad<'a> { group_id, epoch, content_type });

/// SenderData: names the key that opens a PrivateMessage (section 6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderData {
    /// The sender.
    pub leaf_index: LeafIndex,
    /// The step of the sender's ratchet.
    pub generation: u32,
    /// The bytes that are XORed into the nonce.
    pub reuse_guard: [u8; 4],
}

impl Encode for SenderData {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.leaf_index.encode(w)?;
        self.generation.encode(w)?;
        w.put(&self.reuse_guard);
        Ok(())
    }
}

impl Decode for SenderData {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            leaf_index: Decode::decode(r)?,
            generation: Decode::decode(r)?,
            reuse_guard: r.take_array()?,
        })
    }
}

/// The body of an MLSMessage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MlsMessageBody {
    /// A signed message.
    PublicMessage(Box<PublicMessage>),
    /// A signed and encrypted message.
    PrivateMessage(PrivateMessage),
    /// A Welcome.
    Welcome(Welcome),
    /// A GroupInfo.
    GroupInfo(Box<GroupInfo>),
    /// A KeyPackage.
    KeyPackage(Box<KeyPackage>),
    /// A message to one member.
    TargetedMessage(TargetedMessage),
}

/// MLSMessage: the outermost structure of everything that is sent (section 6). Its media type is
/// `message/mls`, its protocol version always MLS 1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlsMessage {
    /// The message.
    pub body: MlsMessageBody,
}

impl MlsMessage {
    /// The kind of this message.
    #[must_use]
    pub fn wire_format(&self) -> WireFormat {
        match self.body {
            MlsMessageBody::PublicMessage(_) => WireFormat::PUBLIC_MESSAGE,
            MlsMessageBody::PrivateMessage(_) => WireFormat::PRIVATE_MESSAGE,
            MlsMessageBody::Welcome(_) => WireFormat::WELCOME,
            MlsMessageBody::GroupInfo(_) => WireFormat::GROUP_INFO,
            MlsMessageBody::KeyPackage(_) => WireFormat::KEY_PACKAGE,
            MlsMessageBody::TargetedMessage(_) => WireFormat::TARGETED_MESSAGE,
        }
    }

    /// The group and epoch of a PublicMessage, PrivateMessage, TargetedMessage or GroupInfo.
    #[must_use]
    pub fn group_and_epoch(&self) -> Option<(&GroupId, Epoch)> {
        match &self.body {
            MlsMessageBody::PublicMessage(m) => Some((&m.content.group_id, m.content.epoch)),
            MlsMessageBody::PrivateMessage(m) => Some((&m.group_id, m.epoch)),
            MlsMessageBody::TargetedMessage(m) => Some((&m.group_id, m.epoch)),
            MlsMessageBody::GroupInfo(g) => {
                Some((&g.group_context.group_id, g.group_context.epoch))
            }
            MlsMessageBody::Welcome(_) | MlsMessageBody::KeyPackage(_) => None,
        }
    }

    /// The kind of content of a PublicMessage or PrivateMessage.
    #[must_use]
    pub fn content_type(&self) -> Option<ContentType> {
        match &self.body {
            MlsMessageBody::PublicMessage(m) => Some(m.content.content.content_type()),
            MlsMessageBody::PrivateMessage(m) => Some(m.content_type),
            MlsMessageBody::Welcome(_)
            | MlsMessageBody::GroupInfo(_)
            | MlsMessageBody::KeyPackage(_)
            | MlsMessageBody::TargetedMessage(_) => None,
        }
    }
}

impl From<MlsMessageBody> for MlsMessage {
    fn from(body: MlsMessageBody) -> Self {
        Self { body }
    }
}

impl Encode for MlsMessage {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        ProtocolVersion::MLS_1_0.encode(w)?;
        self.wire_format().encode(w)?;
        match &self.body {
            MlsMessageBody::PublicMessage(m) => m.encode(w),
            MlsMessageBody::PrivateMessage(m) => m.encode(w),
            MlsMessageBody::Welcome(m) => m.encode(w),
            MlsMessageBody::GroupInfo(m) => m.encode(w),
            MlsMessageBody::KeyPackage(m) => m.encode(w),
            MlsMessageBody::TargetedMessage(m) => m.encode(w),
        }
    }
}

impl Decode for MlsMessage {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = ProtocolVersion::decode(r)?;
        if version != ProtocolVersion::MLS_1_0 {
            return Err(DecodeError::InvalidValue {
                field: "ProtocolVersion",
                value: version.0.into(),
            });
        }
        let body = match WireFormat::decode(r)? {
            WireFormat::PUBLIC_MESSAGE => MlsMessageBody::PublicMessage(Decode::decode(r)?),
            WireFormat::PRIVATE_MESSAGE => MlsMessageBody::PrivateMessage(Decode::decode(r)?),
            WireFormat::WELCOME => MlsMessageBody::Welcome(Decode::decode(r)?),
            WireFormat::GROUP_INFO => MlsMessageBody::GroupInfo(Decode::decode(r)?),
            WireFormat::KEY_PACKAGE => MlsMessageBody::KeyPackage(Decode::decode(r)?),
            WireFormat::TARGETED_MESSAGE => MlsMessageBody::TargetedMessage(Decode::decode(r)?),
            WireFormat(value) => {
                return Err(DecodeError::InvalidValue { field: "WireFormat", value: value.into() });
            }
        };
        Ok(Self { body })
    }
}

#[cfg(test)]
mod tests;
