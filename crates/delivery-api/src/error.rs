use core::fmt;

macro_rules! codes {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// Why the service refused a request. Nothing was changed by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* $variant),*
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }

            /// The HTTP status that it comes with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status),*
                }
            }

            /// The lines of its documentation.
            #[cfg(test)]
            pub(crate) fn docs(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$(stringify!($meta)),*]),*
                }
            }
        }
    };
}

codes! {
    /// The request is no encoding of what belongs to its path, or an MLS message in it is none.
    Malformed = "malformed", 400;
    /// The client is older than the service accepts, or does not name its version: update it. Retrying does not help.
    ClientOutdated = "client-outdated", 403;
    /// The token is missing, or names no session, or one that is over: open a session.
    Unauthorized = "unauthorized", 401;
    /// A signature does not verify: that of a request, or the one that opens a session.
    BadProof = "bad-proof", 403;
    /// A request of this number has come in this session, or so many of higher numbers that nobody can tell.
    Replayed = "replayed", 403;
    /// The device was revoked, or has another key now.
    Revoked = "revoked", 403;
    /// The account's log has no such active device.
    UnknownDevice = "unknown-device", 403;
    /// The account's log has another history than the service's.
    AccountForked = "account-forked", 409;
    /// An entry breaks a rule of account logs.
    BadEntry = "bad-entry", 422;
    /// A certificate is not one of a CA that the service trusts, or has expired, or breaks another rule.
    BadCertificate = "bad-certificate", 403;
    /// The service has accounts and was asked about certificates, or the other way round: see
    /// [`Mode`](super::Mode).
    WrongMode = "wrong-mode", 409;
    /// The service takes no new accounts, or takes them by invitation alone.
    RegistrationClosed = "registration-closed", 403;
    /// The invitation is not one of this service's, or was used, or has expired.
    BadInvitation = "bad-invitation", 403;
    /// Another account has this name or one that looks like it.
    NameTaken = "name-taken", 409;
    /// A request was signed too long ago or ahead: a clock is wrong.
    Clock = "clock", 403;
    /// The caller may not do this: it is not, or no longer, in the group.
    NotMember = "not-member", 403;
    /// Nobody can join by the link: it was revoked, has expired or is used up, whoever made it has left, or the group
    /// has no such link. The service knows only the links of tracked groups.
    BadLink = "bad-link", 403;
    /// The sender's role in the room does not allow what the message does, or the room's policy or the service's rules for
    /// tracked groups allow it to nobody: the text says what.
    NotAllowed = "not-allowed", 403;
    /// An administrator of the service has blocked the user.
    Blocked = "blocked", 403;
    /// There is no such operation.
    UnknownOperation = "unknown-operation", 404;
    /// There is no such user.
    UnknownUser = "unknown-user", 404;
    /// The directory has no entry of this user yet: the next batch publishes it.
    NotPublished = "not-published", 404;
    /// There is no directory of this epoch.
    UnknownEpoch = "unknown-epoch", 404;
    /// There is no such group.
    UnknownGroup = "unknown-group", 404;
    /// The group has ended, and takes nothing more: a member or the administrator has reset it.
    GroupEnded = "group-ended", 410;
    /// There is no such attachment, or no longer; or the service keeps none.
    UnknownAttachment = "unknown-attachment", 404;
    /// The bytes before these are missing: ask how far the upload has come.
    UploadGap = "upload-gap", 409;
    /// What was uploaded does not have the hash. It was thrown away.
    HashMismatch = "hash-mismatch", 422;
    /// The user's uploads, or all, would be more than the service keeps.
    Quota = "quota", 413;
    /// The last commit came without a GroupInfo.
    NoGroupInfo = "no-group-info", 404;
    /// A GroupInfo, or a ratchet tree, does not fit the group as it is after the commit: the details say where.
    GroupInfoMismatch = "group-info-mismatch", 422;
    /// The commit leaves out pending proposals that it has to cover: removals of revoked devices, which the service
    /// proposed, and of members who asked to leave. The details list them.
    ProposalsMissing = "proposals-missing", 409;
    /// A message holds a credential or key that is no longer a device's: the details list the devices, and what is
    /// expected of them.
    DevicesOutdated = "devices-outdated", 409;
    /// The group exists, and was created by another request.
    GroupExists = "group-exists", 409;
    /// An init key was published before in another key package.
    InitKeyReused = "init-key-reused", 409;
    /// There would be more of something than the service keeps.
    TooMany = "too-many", 409;
    /// The beginning of the group's log is kept no longer, and the caller asks for a part of it.
    LogTruncated = "log-truncated", 410;
    /// The request is longer than the service takes.
    TooLarge = "too-large", 413;
    /// A rule of RFC 9420 or of the service is broken.
    Invalid = "invalid", 422;
    /// The service does not know the cipher suite.
    UnsupportedSuite = "unsupported-suite", 422;
    /// More requests, bytes or claims of key packages came than the service takes of a device, user or address in that
    /// time: wait for as long as `retry-after` says.
    RateLimited = "rate-limited", 429;
    /// The service holds as much as it can, or as much as it does for one user or address: wait for as long as
    /// `retry-after` says.
    Overloaded = "overloaded", 503;
    /// The service cannot do this now; try again.
    Unavailable = "unavailable", 503;
}

impl ErrorCode {
    /// The code of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
