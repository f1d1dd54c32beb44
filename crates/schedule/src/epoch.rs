//! From one epoch's `init_secret` to the next epoch's secrets (section 8).

use crate::{
    ApplicationExportSecret, CommitSecret, ConfirmationKey, EncryptionSecret, EpochAuthenticator,
    ExporterSecret, ExternalSecret, InitSecret, JoinerSecret, MembershipKey, PskSecret,
    ResumptionPsk, SenderDataSecret, WelcomeSecret,
};
use conclave_crypto::{CryptoError, Secret, Suite};
use core::fmt;

impl JoinerSecret {
    /// Derives the `joiner_secret` of the epoch that a commit starts.
    ///
    /// `init` is the previous epoch's secret, or the one of an ExternalInit proposal;
    /// `group_context` is the new epoch's encoded GroupContext.
    ///
    /// # Errors
    /// If the context is too long to encode, or the provider fails.
    pub fn derive(
        suite: &Suite<'_>,
        init: &InitSecret,
        commit: &CommitSecret,
        group_context: &[u8],
    ) -> Result<Self, CryptoError> {
        let extracted = suite.extract(init.as_secret(), commit.as_secret())?;
        let joiner = suite.expand_with_label(&extracted, b"joiner", group_context, suite.nh())?;
        Ok(Self::from_secret(joiner))
    }
}

/// The secret between `joiner_secret` and `epoch_secret`, unnamed in the RFC: anyone with the
/// joiner secret and all PSKs can derive it. It is wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MemberSecret(Secret);

impl fmt::Debug for MemberSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberSecret(..)")
    }
}

impl MemberSecret {
    /// Extracts the PSK secret under the joiner secret.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn derive(
        suite: &Suite<'_>,
        joiner: &JoinerSecret,
        psk: &PskSecret,
    ) -> Result<Self, CryptoError> {
        suite.extract(joiner.as_secret(), psk.as_secret()).map(Self)
    }

    /// Derives the `welcome_secret`.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn welcome_secret(&self, suite: &Suite<'_>) -> Result<WelcomeSecret, CryptoError> {
        suite.derive_secret(&self.0, b"welcome").map(WelcomeSecret::from_secret)
    }

    /// Derives `welcome_key` (`AEAD.Nk` bytes) and `welcome_nonce` (`AEAD.Nn` bytes), which encrypt
    /// the GroupInfo in a Welcome (section 12.4.3.1).
    ///
    /// # Errors
    /// If the provider fails.
    pub fn welcome_key(&self, suite: &Suite<'_>) -> Result<(Secret, Secret), CryptoError> {
        let secret = self.welcome_secret(suite)?;
        let aead = suite.params().aead;

        let labels: [(&[u8], usize); 2] = [(b"key", aead.key_len()), (b"nonce", aead.nonce_len())];
        let [key, nonce] = suite.expand_with_labels(secret.as_secret(), labels, &[])?;
        Ok((key, nonce))
    }

    /// Derives the secrets of the epoch with this encoded GroupContext.
    ///
    /// # Errors
    /// If the context is too long to encode, or the provider fails.
    pub fn epoch(
        self,
        suite: &Suite<'_>,
        group_context: &[u8],
    ) -> Result<EpochSecrets, CryptoError> {
        EpochSecrets::from_epoch_secret(suite, self.epoch_secret(suite, group_context)?)
    }

    /// [`Self::epoch`] with [`EpochSecrets::application_export`].
    ///
    /// # Errors
    /// As [`Self::epoch`].
    pub fn epoch_with_application_export(
        self,
        suite: &Suite<'_>,
        group_context: &[u8],
    ) -> Result<EpochSecrets, CryptoError> {
        EpochSecrets::with_application_export(suite, self.epoch_secret(suite, group_context)?)
    }

    fn epoch_secret(&self, suite: &Suite<'_>, group_context: &[u8]) -> Result<Secret, CryptoError> {
        suite.expand_with_label(&self.0, b"epoch", group_context, suite.nh())
    }
}

/// All secrets that are derived from an epoch's `epoch_secret` (section 8, table 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochSecrets {
    /// `sender_data_secret`.
    pub sender_data: SenderDataSecret,
    /// `encryption_secret`, the root of the epoch's [`SecretTree`](crate::SecretTree).
    pub encryption: EncryptionSecret,
    /// `exporter_secret`.
    pub exporter: ExporterSecret,
    /// `external_secret`.
    pub external: ExternalSecret,
    /// `confirmation_key`.
    pub confirmation_key: ConfirmationKey,
    /// `membership_key`.
    pub membership_key: MembershipKey,
    /// `resumption_psk`.
    pub resumption_psk: ResumptionPsk,
    /// `epoch_authenticator`.
    pub epoch_authenticator: EpochAuthenticator,
    /// `init_secret`, for the next epoch.
    pub init: InitSecret,
    /// `application_export_secret`, the root of the epoch's [`ExporterTree`](crate::ExporterTree), if
    /// [it was asked for](Self::with_application_export): RFC 9420 does not have it.
    pub application_export: Option<ApplicationExportSecret>,
}

impl EpochSecrets {
    /// Derives the secrets from an `epoch_secret`. Call this directly only to create a group: its
    /// first `epoch_secret` is `KDF.Nh` random bytes (section 11).
    ///
    /// # Errors
    /// If the provider fails.
    pub fn from_epoch_secret(suite: &Suite<'_>, epoch: Secret) -> Result<Self, CryptoError> {
        Self::derive(suite, &epoch)
    }

    /// [`Self::from_epoch_secret`] with [`Self::application_export`].
    ///
    /// # Errors
    /// If the provider fails.
    pub fn with_application_export(suite: &Suite<'_>, epoch: Secret) -> Result<Self, CryptoError> {
        let export = suite.derive_secret(&epoch, b"application_export")?;
        let application_export = Some(ApplicationExportSecret::from_secret(export));
        Ok(Self { application_export, ..Self::derive(suite, &epoch)? })
    }

    fn derive(suite: &Suite<'_>, epoch: &Secret) -> Result<Self, CryptoError> {
        let labels: [&[u8]; 9] = [
            b"sender data",
            b"encryption",
            b"exporter",
            b"external",
            b"confirm",
            b"membership",
            b"resumption",
            b"authentication",
            b"init",
        ];
        let labels = labels.map(|label| (label, suite.nh()));
        let [
            sender_data,
            encryption,
            exporter,
            external,
            confirmation_key,
            membership_key,
            resumption_psk,
            epoch_authenticator,
            init,
        ] = suite.expand_with_labels(epoch, labels, &[])?;

        Ok(Self {
            sender_data: SenderDataSecret::from_secret(sender_data),
            encryption: EncryptionSecret::from_secret(encryption),
            exporter: ExporterSecret::from_secret(exporter),
            external: ExternalSecret::from_secret(external),
            confirmation_key: ConfirmationKey::from_secret(confirmation_key),
            membership_key: MembershipKey::from_secret(membership_key),
            resumption_psk: ResumptionPsk::from_secret(resumption_psk),
            epoch_authenticator: EpochAuthenticator::from_secret(epoch_authenticator),
            init: InitSecret::from_secret(init),
            application_export: None,
        })
    }
}

/// `MLS-Exporter(label, context, length)`: derives a secret of `length` bytes for the application
/// (section 8.5).
///
/// # Errors
/// If the length exceeds the KDF's limit, or the label is too long to encode.
pub fn export(
    suite: &Suite<'_>,
    exporter: &ExporterSecret,
    label: &[u8],
    context: &[u8],
    length: usize,
) -> Result<Secret, CryptoError> {
    let derived = suite.derive_secret(exporter.as_secret(), label)?;
    let context = suite.hash(&[context])?;
    suite.expand_with_label(&derived, b"exported", &context, length)
}
