//! What of a message can be seen without any key.

use super::ServiceError;
use super::error::provider_error;
use conclave_delivery_api::ErrorCode;
use conclave_mls::crypto::Suite;
use conclave_mls::wire::{
    AuthenticatedContent, ContentType, Decode, Encode, GroupId, MlsMessage, MlsMessageBody,
    ProposalRef, PublicMessage, Sender, WireFormat,
};

/// An MLSMessage from outside.
pub(super) fn decode_message(bytes: &[u8]) -> Result<MlsMessageBody, ServiceError> {
    let message = MlsMessage::from_bytes(bytes);
    message
        .map(|m| m.body)
        .map_err(|e| ServiceError::new(ErrorCode::Malformed, format!("the MLSMessage: {e}")))
}

/// How a commit refers to a proposal that came as a PublicMessage (RFC 9420 section 5.2).
pub(super) fn proposal_ref(suite: &Suite<'_>, message: &[u8]) -> Result<ProposalRef, ServiceError> {
    let MlsMessageBody::PublicMessage(message) = decode_message(message)? else {
        return Err(ServiceError::invalid("a proposal in the log is no PublicMessage"));
    };
    let PublicMessage { content, auth, .. } = *message;
    let wire_format = WireFormat::PUBLIC_MESSAGE;
    let content = AuthenticatedContent { wire_format, content, auth };
    let encoded = content.to_bytes().map_err(ServiceError::invalid)?;
    suite.proposal_ref(&encoded).map_err(provider_error)
}

/// The visible part of a PublicMessage or PrivateMessage.
pub(super) struct Framed {
    pub(super) group_id: GroupId,
    pub(super) epoch: u64,
    pub(super) content_type: ContentType,
    /// The message, if it is public.
    pub(super) public: Option<Box<PublicMessage>>,
}

impl Framed {
    pub(super) fn decode(bytes: &[u8], wanted: ContentType) -> Result<Self, ServiceError> {
        let framed = match decode_message(bytes)? {
            MlsMessageBody::PublicMessage(m) => Self {
                group_id: m.content.group_id.clone(),
                epoch: m.content.epoch.0,
                content_type: m.content.content.content_type(),
                public: Some(m),
            },
            MlsMessageBody::PrivateMessage(m) => Self {
                group_id: m.group_id,
                epoch: m.epoch.0,
                content_type: m.content_type,
                public: None,
            },
            _ => return Err(ServiceError::invalid("neither PublicMessage nor PrivateMessage")),
        };
        if framed.content_type != wanted {
            let detail = format!("the message holds {}", framed.kind());
            return Err(ServiceError::invalid(detail));
        }
        if wanted == ContentType::Application && framed.public.is_some() {
            // Section 6.2.
            return Err(ServiceError::invalid("application data in a PublicMessage"));
        }
        Ok(framed)
    }

    /// Whether somebody who is no member may send it.
    pub(super) fn is_from_outside(&self) -> bool {
        let sender = self.public.as_ref().map(|m| m.content.sender);
        sender.is_some_and(|s| !matches!(s, Sender::Member(_)))
    }

    fn kind(&self) -> &'static str {
        match self.content_type {
            ContentType::Application => "application data",
            ContentType::Proposal => "a proposal",
            ContentType::Commit => "a commit",
        }
    }

    /// For people: `a commit as PublicMessage, epoch 3`.
    pub(super) fn seen(&self) -> String {
        let how = if self.public.is_some() { "PublicMessage" } else { "PrivateMessage" };
        format!("{} as {how}, epoch {}", self.kind(), self.epoch)
    }
}
