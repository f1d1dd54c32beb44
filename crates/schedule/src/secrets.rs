//! One type for each secret of the key schedule.

use conclave_crypto::{Secret, Suite};
use core::fmt;

macro_rules! secrets {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        ///
        /// It is wiped when dropped, compared in constant time and never printed.
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Secret);

        impl $name {
            /// Names a secret that was stored or received.
            #[must_use]
            pub fn from_secret(secret: Secret) -> Self {
                Self(secret)
            }

            /// The secret without its name, borrowed.
            #[must_use]
            pub fn as_secret(&self) -> &Secret {
                &self.0
            }

            /// The secret without its name, moved out.
            #[must_use]
            pub fn into_secret(self) -> Secret {
                self.0
            }

            /// The bytes. Do not copy them to a place where they are not wiped.
            #[must_use]
            pub fn expose(&self) -> &[u8] {
                self.0.expose()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}

secrets! {
    /// `init_secret`: with the next commit secret, the origin of the next epoch (section 8).
    InitSecret;
    /// `commit_secret`: the contribution of a commit's path to the next epoch (section 7.4).
    CommitSecret;
    /// `psk_secret`: the contribution of all PSKs of a commit to the next epoch (section 8.4).
    PskSecret;
    /// `joiner_secret`: the secret in a Welcome from which new members derive the epoch (section
    /// 8).
    JoinerSecret;
    /// `welcome_secret`: the origin of the key of the GroupInfo in a Welcome (section 12.4.3.1).
    WelcomeSecret;
    /// `sender_data_secret`: the origin of the keys that encrypt the senders of private messages
    /// (section 6.3.2).
    SenderDataSecret;
    /// `encryption_secret`: the root of the secret tree (section 9).
    EncryptionSecret;
    /// `exporter_secret`: the origin of exported secrets for the application (section 8.5).
    ExporterSecret;
    /// `external_secret`: the origin of the key pair for external commits (section 8).
    ExternalSecret;
    /// `confirmation_key`: the key of confirmation tags (section 6.1).
    ConfirmationKey;
    /// `membership_key`: the key of membership tags (section 6.2).
    MembershipKey;
    /// `resumption_psk`: injected into a later epoch or another group, it proves membership in this
    /// epoch (section 8.6).
    ResumptionPsk;
    /// `epoch_authenticator`: equal for two clients in the same epoch of the same group, so that
    /// they can compare it over another channel (section 8.7).
    EpochAuthenticator;
    /// `application_export_secret`: the root of the [`ExporterTree`](crate::ExporterTree)
    /// (draft-ietf-mls-extensions-10, "Exported Secrets").
    ApplicationExportSecret;
}

impl CommitSecret {
    /// The commit secret of a commit without a path: all zeros (section 12.4.1).
    #[must_use]
    pub fn zero(suite: &Suite<'_>) -> Self {
        Self(Secret::zero(suite.nh()))
    }
}

impl PskSecret {
    /// The PSK secret of a commit without PSKs: all zeros (section 8.4).
    #[must_use]
    pub fn zero(suite: &Suite<'_>) -> Self {
        Self(Secret::zero(suite.nh()))
    }
}
