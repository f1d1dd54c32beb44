//! Limits and policies of a validator.

use crate::ObjectIdentifier;
use conclave_mls::UnixTime;
use core::time::Duration;

/// `id-kp-imUri` (RFC 9734): identities in instant messaging.
pub const EKU_IM_URI: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.40");
/// `id-kp-clientAuth` (RFC 5280 section 4.2.1.12).
pub const EKU_CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// `id-kp-emailProtection` (RFC 5280 section 4.2.1.12).
pub const EKU_EMAIL_PROTECTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// `anyExtendedKeyUsage` (RFC 5280 section 4.2.1.12).
pub const EKU_ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The times by which a credential is judged. A [`UnixTime`] converts to one: the time of judging alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of judging.
    pub(crate) now: UnixTime,
    /// When the message with the credential was sent.
    pub(crate) sent: Option<UnixTime>,
}

impl Moment {
    /// The time of judging alone: certificates that have expired by then are refused.
    #[must_use]
    pub const fn now(now: UnixTime) -> Self {
        Self { now, sent: None }
    }

    /// Adds the time at which a message was sent that reaches this client late. A certificate that was valid
    /// then and has expired since is accepted, unless the message is older than [`Settings::max_delay`]: a
    /// client that was offline must be able to follow members who accepted the certificate in time (section
    /// 5.3.2). Revocation lists are still judged by the time of judging.
    ///
    /// The time must come from a source that is trusted with it, such as the delivery service that accepted
    /// the message. The sender's word is not enough: a thief of an expired key would backdate messages. A
    /// time in the future counts as now.
    #[must_use]
    pub const fn sent(self, sent: UnixTime) -> Self {
        Self { sent: Some(sent), ..self }
    }
}

impl From<UnixTime> for Moment {
    fn from(now: UnixTime) -> Self {
        Self::now(now)
    }
}

/// What an [`X509Validator`](crate::X509Validator) accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most certificates in a credential. Default 8. A path has at most 6 intermediate certificates,
    /// whatever is set here.
    pub max_chain: usize,
    /// The most bytes in a certificate. Default 16 KiB. Certificates over 64 KiB are refused, whatever is set
    /// here.
    pub max_certificate_len: usize,
    /// The most identifiers that an end entity presents. Default 64.
    pub max_identifiers: usize,
    /// The most signatures that are verified for one credential, and again for one that it replaces. Default
    /// 32. If the application knows several issuers of one name, the largest number of issuers that share a
    /// name is added. Signatures of the application's own certificates and lists do not count. Those that are
    /// remembered from other credentials do, although they cost nothing: otherwise the answer would depend on
    /// which credentials were judged before.
    pub max_signature_checks: usize,
    /// For how long after their expiry credentials are accepted of members who are in the tree when this client
    /// joins, and of the group's external senders. Counted in whole seconds. Default 30 days.
    ///
    /// Section 5.3.2 leaves this to the application. With none, a member who is late with its update keeps
    /// others from joining; with a grace period, a thief of an expired key can create a group in its owner's
    /// name. Whatever is set here, all other credentials that are new to a group must be valid at the time of
    /// judging or of sending, and members are not judged again when their credentials expire. A CA may take a
    /// revoked certificate off its lists once it has expired (RFC 5280 section 3.3); nothing shows then that
    /// it was revoked.
    pub member_grace: Duration,
    /// For how long after a message was sent its credentials are judged by the time of sending; see
    /// [`Moment::sent`](crate::Moment::sent). Default 30 days.
    pub max_delay: Duration,
    /// Whether members whose certificates are revoked may be in the tree when this client joins. Default
    /// false: one revoked member blocks every join until it is removed. If true,
    /// [`Authenticated::revoked`](crate::Authenticated::revoked) identifies the member, and the application
    /// decides whether to remove it.
    pub accept_revoked_members: bool,
    /// The accepted extended key usages: each certificate on a path that names any must name one of them. MLS
    /// has none of its own. Default [`EKU_IM_URI`] and [`EKU_ANY`]; add [`EKU_CLIENT_AUTH`] or
    /// [`EKU_EMAIL_PROTECTION`] for a CA that issues nothing closer.
    pub key_purposes: Vec<ObjectIdentifier>,
    /// Whether an end entity's certificate without extended key usages is refused. Default false.
    pub require_key_purpose: bool,
    /// For how long before it becomes valid a certificate is accepted, since its issuer's clock may be ahead.
    /// Default zero.
    pub clock_skew: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_chain: 8,
            max_certificate_len: 16 * 1024,
            max_identifiers: 64,
            max_signature_checks: 32,
            member_grace: DAY.saturating_mul(30),
            max_delay: DAY.saturating_mul(30),
            accept_revoked_members: false,
            key_purposes: vec![EKU_IM_URI, EKU_ANY],
            require_key_purpose: false,
            clock_skew: Duration::ZERO,
        }
    }
}

/// The use of revocation lists, once there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// Whether the certificates of intermediate CAs are looked up as well as the end entity's. Default true.
    pub whole_chain: bool,
    /// Whether a certificate of unknown status is accepted: one for which there is no current list that covers
    /// it and is signed by its issuer. Default false. A certificate that an expired list revokes is refused
    /// in any case.
    pub accept_unknown: bool,
    /// Whether a list still counts after its successor was due. Default false.
    pub accept_expired_lists: bool,
}

impl Default for RevocationPolicy {
    fn default() -> Self {
        Self { whole_chain: true, accept_unknown: false, accept_expired_lists: false }
    }
}
