//! Limits and policies of a validator.

use crate::ObjectIdentifier;

/// `id-kp-imUri` (RFC 9734): identities in instant messaging.
pub const EKU_IM_URI: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.40");
/// `id-kp-clientAuth` (RFC 5280 section 4.2.1.12).
pub const EKU_CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
/// `id-kp-emailProtection` (RFC 5280 section 4.2.1.12).
pub const EKU_EMAIL_PROTECTION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// `anyExtendedKeyUsage` (RFC 5280 section 4.2.1.12).
pub const EKU_ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// When a credential is judged, in Unix time. A `u64` is one: the time of judging alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of judging.
    pub(crate) now: u64,
    /// When the message that holds the credential was sent.
    pub(crate) sent: Option<u64>,
}

impl Moment {
    /// The time of judging alone: what has expired by then is refused.
    #[must_use]
    pub const fn now(now: u64) -> Self {
        Self { now, sent: None }
    }

    /// For the credentials in a message that was sent at a time and reaches this client late. A
    /// certificate that was valid then and has expired since is accepted, if the message is not
    /// older than [`Settings::max_delay`]: a client that was offline has to follow the others, who
    /// accepted it in time (section 5.3.2). Revocation lists are judged by now all the same.
    ///
    /// The time has to come from somebody who is trusted with it, such as the delivery service that
    /// took the message in. The sender's word is not enough: whoever stole an expired key would
    /// date messages back. A time in the future counts as now.
    #[must_use]
    pub const fn sent(self, sent: u64) -> Self {
        Self { sent: Some(sent), ..self }
    }
}

impl From<u64> for Moment {
    fn from(now: u64) -> Self {
        Self::now(now)
    }
}

/// What an [`X509Validator`](crate::X509Validator) accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// At most how many certificates a credential holds. Default 8; of more than 6 intermediate
    /// certificates no path is made.
    pub max_chain: usize,
    /// At most how many bytes a certificate has. Default 16 KiB; more than 64 KiB are refused
    /// whatever is set here.
    pub max_certificate_len: usize,
    /// At most how many identifiers an end entity presents. Default 64.
    pub max_identifiers: usize,
    /// At most how many signatures are verified for one credential, and again for one that it
    /// replaces. Default 32. Where the application knows several issuers of one name, as many more
    /// are allowed as share a name at most. Signatures of the application's own certificates and
    /// lists do not count. Those that are remembered from other credentials do, though they cost
    /// nothing: else the answer would depend on which credentials were judged before.
    pub max_signature_checks: usize,
    /// For how many seconds after its expiry the credential of a member is accepted that is in the
    /// tree already when this client joins, and that of an external sender of the group. Default 30
    /// days.
    ///
    /// Section 5.3.2 leaves this to the application: with 0, a member who is late with its update
    /// keeps others from joining; but whoever stole an expired key could make a group in its
    /// owner's name. Whatever is set here, other credentials that are new to a group have to be
    /// valid at the time of judging or of sending, and members who are in a group with this client
    /// are not judged again when theirs expire. A CA may take a revoked certificate off its lists
    /// once it has expired (RFC 5280 section 3.3): then nothing tells that it was revoked.
    pub member_grace: u64,
    /// For how many seconds after a message was sent the credentials in it are judged by that time;
    /// see [`Moment::sent`](crate::Moment::sent). Default 30 days.
    pub max_delay: u64,
    /// Whether a member whose certificate is revoked may be in the tree when this client joins.
    /// Default false: then one revoked member blocks every join until it is removed. If true,
    /// [`Authenticated::revoked`](crate::Authenticated::revoked) tells who it is, and removing it is
    /// up to the application.
    pub accept_revoked_members: bool,
    /// The extended key usages of which each certificate on a path has to name one, if it names
    /// any. MLS has none of its own. Default [`EKU_IM_URI`] and [`EKU_ANY`]; add
    /// [`EKU_CLIENT_AUTH`] or [`EKU_EMAIL_PROTECTION`] for a CA that issues nothing closer.
    pub key_purposes: Vec<ObjectIdentifier>,
    /// Whether an end entity's certificate without extended key usages is refused. Default false.
    pub require_key_purpose: bool,
    /// For how many seconds before it becomes valid a certificate is accepted, as its issuer's clock
    /// may be ahead. Default 0.
    pub clock_skew: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_chain: 8,
            max_certificate_len: 16 * 1024,
            max_identifiers: 64,
            max_signature_checks: 32,
            member_grace: 30 * 24 * 3600,
            max_delay: 30 * 24 * 3600,
            accept_revoked_members: false,
            key_purposes: vec![EKU_IM_URI, EKU_ANY],
            require_key_purpose: false,
            clock_skew: 0,
        }
    }
}

/// How revocation lists are used, once there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// Whether the certificates of intermediate CAs are looked up too, not only the end entity's.
    /// Default true.
    pub whole_chain: bool,
    /// Whether a certificate is accepted whose status no list tells: none is there that is current,
    /// covers the certificate, and is signed by its issuer. Default false. A certificate that an
    /// expired list names is refused all the same.
    pub accept_unknown: bool,
    /// Whether a list counts on after its successor was due. Default false.
    pub accept_expired_lists: bool,
}

impl Default for RevocationPolicy {
    fn default() -> Self {
        Self { whole_chain: true, accept_unknown: false, accept_expired_lists: false }
    }
}
