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
        }
    };
}

codes! {
    /// The request is no encoding of what belongs to its path, or an MLS message in it is none.
    Malformed = "malformed", 400;
    /// The token is missing or wrong: register first.
    Unauthorized = "unauthorized", 401;
    /// A registration's signature does not verify.
    BadProof = "bad-proof", 403;
    /// A registration was signed too long ago or ahead: a clock is wrong.
    Clock = "clock", 403;
    /// The caller may not do this: it is not, or no longer, in the group.
    NotMember = "not-member", 403;
    /// There is no such operation.
    UnknownOperation = "unknown-operation", 404;
    /// There is no such user.
    UnknownUser = "unknown-user", 404;
    /// There is no such group.
    UnknownGroup = "unknown-group", 404;
    /// The last commit came without a GroupInfo.
    NoGroupInfo = "no-group-info", 404;
    /// The device is registered with another key.
    DeviceExists = "device-exists", 409;
    /// The group exists, and was created by another request.
    GroupExists = "group-exists", 409;
    /// An init key was published before in another key package.
    InitKeyReused = "init-key-reused", 409;
    /// There would be more of something than the service keeps.
    TooMany = "too-many", 409;
    /// The request is longer than the service takes.
    TooLarge = "too-large", 413;
    /// A rule of RFC 9420 or of the service is broken.
    Invalid = "invalid", 422;
    /// The service does not know the cipher suite.
    UnsupportedSuite = "unsupported-suite", 422;
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
