//! Attachments: encrypted files that messages name by their hash.

use super::{Bytes, Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The most bytes that one [`UploadPart`] or [`AttachmentPart`] holds.
pub const MAX_PART: usize = 1 << 20;

structs! {
    /// Begins to upload an attachment, or asks how far the upload has come. A request can be repeated.
    ///
    /// The service sees a hash, a length and who uploads: members encrypt an attachment, and say its key and hash in a
    /// message. Whoever knows the hash may fetch it.
    pub struct BeginUpload {
        /// SHA-256 of the content: 32 bytes.
        pub hash: Bytes,
        /// Its length, in bytes. As long as it is not complete, it counts in full against the user's quota.
        pub size: u64,
    }

    /// Uploads the bytes that follow on those which are there, [`MAX_PART`] of them at most. Those that are there already
    /// are passed over, so a request can be repeated.
    pub struct UploadPart {
        /// The attachment.
        pub hash: Bytes,
        /// Where the bytes belong.
        pub offset: u64,
        /// The bytes.
        pub content: Bytes,
    }

    /// The reply to both: how far it has come.
    pub struct Upload {
        /// How many bytes are there, from the first on. If these are all, they have the hash, and the attachment can be
        /// fetched.
        pub received: u64,
        /// Until when it is kept, in seconds since 1970: a complete attachment is kept longer.
        pub expires_at: u64,
    }

    /// Fetches a part of an attachment.
    pub struct FetchAttachment {
        /// The attachment.
        pub hash: Bytes,
        /// From which byte on.
        pub offset: u64,
        /// How many bytes, at most; the service gives no more than [`MAX_PART`].
        pub length: u32,
    }

    /// The reply to [`FetchAttachment`].
    pub struct AttachmentPart {
        /// The length of the whole attachment, in bytes.
        pub size: u64,
        /// The bytes: none behind the end.
        pub content: Bytes,
    }

    /// Takes back an upload of this user's, complete or not, so that it does not count any more. The attachment is gone
    /// unless another user has uploaded it, too.
    pub struct DeleteAttachment {
        /// The attachment.
        pub hash: Bytes,
    }

    /// The reply to [`DeleteAttachment`].
    pub struct Deleted {}
}
