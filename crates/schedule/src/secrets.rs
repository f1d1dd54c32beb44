//! One type for each secret of the key schedule.

use conclave_crypto::{Secret, Suite};
use core::fmt;

macro_rules! secrets {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        ///
        /// Wiped when dropped, compared in constant time, never printed.
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Secret);

        impl $name {
            /// Says that a secret is this one: for secrets that were stored or received.
            #[must_use]
            pub fn from_secret(secret: Secret) -> Self {
                Self(secret)
            }

            /// The secret without its name.
            #[must_use]
            pub fn as_secret(&self) -> &Secret {
                &self.0
            }

            /// The secret without its name, moved out.
            #[must_use]
            pub fn into_secret(self) -> Secret {
                self.0
            }

            /// The bytes. Do not let them get anywhere they are not wiped.
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
    /// `init_secret`: what the next epoch is derived from, with its commit secret (section 8).
    InitSecret;
    /// `commit_secret`: what a commit's path adds to the next epoch (section 7.4).
    CommitSecret;
    /// `psk_secret`: what all PSKs of a commit add to the next epoch (section 8.4).
    PskSecret;
    /// `joiner_secret`: what a Welcome tells new members (section 8).
    JoinerSecret;
    /// `welcome_secret`: what the GroupInfo in a Welcome is encrypted with (section 12.4.3.1).
    WelcomeSecret;
    /// `sender_data_secret`: what the senders of private messages are encrypted with
    /// (section 6.3.2).
    SenderDataSecret;
    /// `encryption_secret`: the root of the secret tree (section 9).
    EncryptionSecret;
    /// `exporter_secret`: what secrets for the application are derived from (section 8.5).
    ExporterSecret;
    /// `external_secret`: what the key pair for external commits is derived from (section 8).
    ExternalSecret;
    /// `confirmation_key`: the key of confirmation tags (section 6.1).
    ConfirmationKey;
    /// `membership_key`: the key of membership tags (section 6.2).
    MembershipKey;
    /// `resumption_psk`: proves, injected into a later epoch or another group, that one was a
    /// member in this epoch (section 8.6).
    ResumptionPsk;
    /// `epoch_authenticator`: equal for two clients that are in the same epoch of the same group,
    /// for comparison by other means (section 8.7).
    EpochAuthenticator;
}

impl CommitSecret {
    /// The commit secret of a commit without a path: zeros (section 12.4.1).
    #[must_use]
    pub fn zero(suite: &Suite<'_>) -> Self {
        Self(Secret::zero(suite.nh()))
    }
}

impl PskSecret {
    /// The PSK secret of a commit without PSKs: zeros (section 8.4).
    #[must_use]
    pub fn zero(suite: &Suite<'_>) -> Self {
        Self(Secret::zero(suite.nh()))
    }
}
