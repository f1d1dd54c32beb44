//! The inputs of the transcript hashes (section 8.2).

use crate::code_points::WireFormat;
use crate::codec::{Encode, EncodeError, Writer, codec};
use crate::framing::{AuthenticatedCommit, AuthenticatedContent, FramedCommit, FramedContent};
use crate::ids::{Bytes, Mac};

/// ConfirmedTranscriptHashInput (section 8.2).
#[derive(Clone, Copy, Debug)]
pub struct ConfirmedTranscriptHashInput<'a, C = FramedContent> {
    /// The wire format that the commit was sent in.
    pub wire_format: WireFormat,
    /// The commit: a [`FramedContent`] or a [`FramedCommit`].
    pub content: &'a C,
    /// The commit's signature.
    pub signature: &'a Bytes,
}

impl<C: Encode> Encode for ConfirmedTranscriptHashInput<'_, C> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.wire_format.encode(w)?;
        self.content.encode(w)?;
        self.signature.encode(w)
    }
}

/// InterimTranscriptHashInput (section 8.2).
#[derive(Clone, Copy, Debug)]
pub struct InterimTranscriptHashInput<'a> {
    /// The commit's confirmation tag.
    pub confirmation_tag: &'a Mac,
}
codec!(encode InterimTranscriptHashInput<'a> { confirmation_tag });

impl AuthenticatedContent {
    /// The input of the confirmed transcript hash, if this message is a commit (section 8.2).
    #[must_use]
    pub fn transcript_hash_input(&self) -> ConfirmedTranscriptHashInput<'_> {
        let (content, signature) = (&self.content, &self.auth.signature);
        ConfirmedTranscriptHashInput { wire_format: self.wire_format, content, signature }
    }
}

impl AuthenticatedCommit {
    /// The input of the confirmed transcript hash (section 8.2).
    #[must_use]
    pub fn transcript_hash_input(&self) -> ConfirmedTranscriptHashInput<'_, FramedCommit> {
        let (content, signature) = (&self.content, &self.signature);
        ConfirmedTranscriptHashInput { wire_format: self.wire_format, content, signature }
    }
}
