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
    /// For how many seconds after its expiry the credential of a member is accepted that is in the
    /// tree already when this client joins. Default 30 days.
    ///
    /// Section 5.3.2 leaves this to the application: with 0, a member who is late with its update
    /// keeps others from joining; but whoever stole an expired key could make a group in its
    /// owner's name. Whatever is set here, credentials that are new to a group have to be valid at
    /// the time of judging, and members who are in a group with this client are not judged again
    /// when theirs expire. A CA may take a revoked certificate off its lists once it has expired (RFC
    /// 5280 section 3.3): then nothing tells that it was revoked.
    pub member_grace: u64,
    /// The extended key usages of which each certificate on a path has to name one, if it names
    /// any. MLS has none of its own. Default [`EKU_IM_URI`] and [`EKU_ANY`]; add
    /// [`EKU_CLIENT_AUTH`] or [`EKU_EMAIL_PROTECTION`] for a CA that issues nothing closer.
    pub key_purposes: Vec<ObjectIdentifier>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_chain: 8,
            max_certificate_len: 16 * 1024,
            max_identifiers: 64,
            member_grace: 30 * 24 * 3600,
            key_purposes: vec![EKU_IM_URI, EKU_ANY],
        }
    }
}

/// How revocation lists are used, once there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// Whether the certificates of intermediate CAs are looked up too, not only the end entity's.
    /// Default true.
    pub whole_chain: bool,
    /// Whether a certificate is accepted for which there is no list. Default false.
    pub accept_unknown: bool,
    /// Whether a list counts on after its successor was due. Default false; then a list that has
    /// expired is none for a member whose own certificate has, too.
    pub accept_expired_lists: bool,
}

impl Default for RevocationPolicy {
    fn default() -> Self {
        Self { whole_chain: true, accept_unknown: false, accept_expired_lists: false }
    }
}
