//! What client and service say to each other.
//!
//! Each operation is a `POST` of an encoded request to [`Call::PATH`]; the reply's body is an
//! encoded [`Call::Reply`]. Both are [`Encode`]d as RFC 9420 encodes structures, as
//! `application/octet-stream`. A refusal has a status that is not 200, the stable name of its
//! [`ErrorCode`] in the header [`ERROR_HEADER`], and a sentence for people as its body. If there is something that a
//! client can act on, the body is an encoded [`Refusal`] instead, as `application/octet-stream`.
//!
//! All but the [anonymous](Call::ANONYMOUS) operations belong to a session, which [`OpenSession`] opens. They carry
//! its [`Token`] as `authorization: Bearer …`, and in the header [`PROOF_HEADER`] a [`Proof`]: a signature over
//! token, path, number and body by the session's key. Neither is worth anything without the other.
//!
//! Objects of MLS travel as encoded MLSMessages (`message/mls`), except the ratchet tree, which is
//! the data of a `ratchet_tree` extension.
//!
//! `GET` [`EVENTS_PATH`] is a stream of Server-Sent Events: see [`Event`].
//!
//! The crate has no I/O: service and client are written against it. For clients in other languages, `docs/api.md` has
//! every structure byte by byte; tests make it from this crate.
#![forbid(unsafe_code)]

/// Implements the codec for structures as their fields in order.
macro_rules! structs {
    ($($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$fmeta:meta])* pub $field:ident: $t:ty),* $(,)?
    })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fmeta])* pub $field: $t),*
        }
        impl Encode for $name {
            fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
                let _ = &w;
                $(self.$field.encode(w)?;)*
                Ok(())
            }
        }
        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let _ = &r;
                $(let $field = Decode::decode(r)?;)*
                Ok(Self { $($field),* })
            }
        }
        #[cfg(test)]
        impl crate::reference::Described for $name {
            const STRUCTURE: crate::reference::Structure = crate::reference::Structure {
                name: stringify!($name),
                docs: &[$(stringify!($meta)),*],
                fields: &[$((stringify!($field), stringify!($t), &[$(stringify!($fmeta)),*])),*],
            };
        }
        #[cfg(test)]
        impl crate::reference::Parts for $name {
            fn parts(&self) -> Vec<(&'static str, Vec<u8>)> {
                vec![$((stringify!($field), self.$field.to_bytes().unwrap())),*]
            }
        }
    )*};
}

mod accounts;
mod attachments;
mod call_error;
mod certificates;
mod chain;
mod directory;
mod ending;
mod entry;
mod error;
mod event;
mod groups;
mod hex;
mod inbox;
mod incarnation;
mod join_link;
mod join_links;
mod key_packages;
mod receipt;
mod refusal;
mod restored;
mod state_mark;
mod stream_event;
mod successor;
mod version;

pub use accounts::{
    AccountHead, AccountPage, DescribeService, FetchAccount, FetchRelay, Mode, OpenSession,
    OpenedSession, Proof, PutRelay, Registration, RelayContent, RelayStored, SESSION_SCHEME,
    ServiceInfo, SubmitAccount, Token, external_sender,
};
pub use attachments::{
    AttachmentPart, BeginUpload, DeleteAttachment, Deleted, FetchAttachment, MAX_PART, Upload,
    UploadPart,
};
pub use call_error::CallError;
pub use certificates::{
    CertificateChain, CertificateTaken, CertificatesPage, FetchCertificates, SubmitCertificate,
};
pub use chain::{ChainHash, ChainInput, LogPosition, sha256};
pub use conclave_account::{DeviceId, Name, NameError};
pub use conclave_directory::SignedRoot;
pub use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
pub use conclave_mls::wire::{
    Bytes, CipherSuite, ContentType, GroupId, KeyPackageRef, SignaturePublicKey,
};
pub use directory::{
    DirectoryPage, ExtensionProof, FetchExtension, FetchHistory, FetchRoots, RootsPage,
};
pub use ending::Ending;
pub use entry::{LogEntry, MAX_PAGE};
pub use error::ErrorCode;
pub use event::{Event, EventParser};
pub use groups::{
    CreateGroup, Created, FetchGroupInfo, FetchLinkedGroup, FetchLog, GroupKind, GroupState,
    LogPage, Outcome, ResetGroup, SendMessage, SendMessages, SentMessages, SubmitCommit,
    SubmitProposal, WasReset,
};
pub use hex::{parse_hex, to_hex};
pub use inbox::{AckInbox, Acknowledged, FetchInbox, InboxItem, InboxPage, WelcomeItem};
pub use incarnation::Incarnation;
pub use join_link::{JoinLink, NoJoinLink, verify_fetch, verify_use};
pub use join_links::{
    JOIN_LINKS, JoinLinkError, JoinLinkRecord, JoinLinks, JoinLinksUpdate, Judged, JudgedCommit,
    MAX_JOIN_LINKS, judge_commit, room_policy, supporting_join_links,
};
pub use key_packages::{
    ClaimKeyPackages, ClaimedKeyPackage, ClaimedKeyPackages, CountKeyPackages, KeyPackageCount,
    KeyPackageCounts, PublishKeyPackages, Published, ReplaceKeyPackages, WithdrawKeyPackages,
    Withdrawn,
};
pub use restored::{LogRestored, RestoreLog};
pub use state_mark::{MAX_MARKS, MarkState, StateMark, StateMarked};
pub use stream_event::StreamEvent;
pub use successor::{is_successor, successor_id};
pub use version::ClientVersion;

pub use refusal::{
    Details, DeviceRemedy, FieldMisfit, MAX_LISTED, MAX_REFUSAL, MAX_SHOWN, MissingProposal,
    OutdatedDevice, Refusal,
};

pub use receipt::{Link, LogEvidence, LogEvidenceError, MAX_LOG_EVIDENCE, Receipt};

/// The first bytes of a group's identifier in hexadecimal, for people.
#[must_use]
pub fn short_group(group: &GroupId) -> String {
    let mut text = to_hex(group.get(..4).unwrap_or(group));
    if group.len() > 4 {
        text.push('…');
    }
    text
}

/// The header of a request for events that carries the last `id:` that the device received.
pub const LAST_EVENT_HEADER: &str = "last-event-id";

/// The media type of requests and replies.
pub const CONTENT_TYPE: &str = "application/octet-stream";
/// The header that names a refusal's [`ErrorCode`].
pub const ERROR_HEADER: &str = "x-conclave-error";
/// The header that holds a request's [`Proof`].
pub const PROOF_HEADER: &str = "x-conclave-proof";
/// The header that names a client and its version: a [`ClientVersion`] as text. A service may serve some clients from a
/// version on alone ([`ServiceInfo::minimum_clients`]), and clients that do not say what they are not at all; but for
/// [`DescribeService`], which it answers to all.
pub const CLIENT_HEADER: &str = "x-conclave-client";
/// Where the event stream is.
pub const EVENTS_PATH: &str = "/v1/events";
/// The longest body of a request, in bytes, unless the service is set up otherwise.
pub const MAX_BODY: usize = 16 << 20;
/// A page ends with the entry that makes its messages at least this long, in bytes.
pub const PAGE_BYTES: usize = 4 << 20;

/// An operation of the service.
pub trait Call: Encode + Decode {
    /// Its name, the end of its path.
    const NAME: &'static str;
    /// Where it is posted to.
    const PATH: &'static str;
    /// Whether it takes no token. One that comes with it is not looked at.
    const ANONYMOUS: bool;
    /// What comes back.
    type Reply: Encode + Decode;
}

macro_rules! calls {
    ($all:ident $anonymous:literal: $($name:literal $request:ty => $reply:ty;)*) => {
        $(impl Call for $request {
            const NAME: &'static str = $name;
            const PATH: &'static str = concat!("/v1/", $name);
            const ANONYMOUS: bool = $anonymous;
            type Reply = $reply;
        })*
        /// The names of these calls.
        #[cfg(test)]
        const $all: &[&str] = &[$($name),*];
    };
}

calls! {
    ANONYMOUS_CALLS true:
    "describe-service" DescribeService => ServiceInfo;
    "submit-account" SubmitAccount => AccountHead;
    "submit-certificate" SubmitCertificate => CertificateTaken;
    "open-session" OpenSession => OpenedSession;
    "put-relay" PutRelay => RelayStored;
    "fetch-relay" FetchRelay => RelayContent;
    "fetch-roots" FetchRoots => RootsPage;
    "fetch-extension" FetchExtension => ExtensionProof;
}

calls! {
    SESSION_CALLS false:
    "mark-state" MarkState => StateMarked;
    "fetch-account" FetchAccount => AccountPage;
    "fetch-history" FetchHistory => DirectoryPage;
    "fetch-certificates" FetchCertificates => CertificatesPage;
    "publish-key-packages" PublishKeyPackages => Published;
    "replace-key-packages" ReplaceKeyPackages => Published;
    "count-key-packages" CountKeyPackages => KeyPackageCounts;
    "withdraw-key-packages" WithdrawKeyPackages => Withdrawn;
    "claim-key-packages" ClaimKeyPackages => ClaimedKeyPackages;
    "create-group" CreateGroup => Created;
    "reset-group" ResetGroup => WasReset;
    "restore-log" RestoreLog => LogRestored;
    "submit-commit" SubmitCommit => Outcome;
    "submit-proposal" SubmitProposal => Outcome;
    "send-message" SendMessage => Outcome;
    "send-messages" SendMessages => SentMessages;
    "fetch-log" FetchLog => LogPage;
    "fetch-group-info" FetchGroupInfo => GroupState;
    "fetch-linked-group" FetchLinkedGroup => GroupState;
    "fetch-inbox" FetchInbox => InboxPage;
    "ack-inbox" AckInbox => Acknowledged;
    "begin-upload" BeginUpload => Upload;
    "upload-part" UploadPart => Upload;
    "fetch-attachment" FetchAttachment => AttachmentPart;
    "delete-attachment" DeleteAttachment => Deleted;
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
