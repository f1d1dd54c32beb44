//! Certified devices, where a service trusts a CA instead of account logs.

use super::{Bytes, Decode, DecodeError, Encode, EncodeError, Name, Reader, Writer};

structs! {
    /// Shows the certificate of a device, which the service knows from then on.
    ///
    /// Whoever has the certificate may show it: its CA has signed it. Of two certificates of one device the one that
    /// was issued later counts; with another key it takes the place of the former key, whose sessions end and whose
    /// key packages are deleted. A request can be repeated.
    pub struct SubmitCertificate {
        /// The certificates of the chain in DER, the device's first.
        pub chain: Vec<Bytes>,
    }

    /// The reply to [`SubmitCertificate`].
    pub struct CertificateTaken {
        /// The last second at which the certificate is valid, in seconds since 1970.
        pub not_after: u64,
    }

    /// Asks for the certificates of a user's devices, and for the revocation lists.
    pub struct FetchCertificates {
        /// Whose.
        pub user: Name,
        /// SHA-256 of the lists that the caller has, one after another as they came; empty if it has none.
        pub known: Bytes,
    }

    /// The reply to [`FetchCertificates`].
    pub struct CertificatesPage {
        /// The devices whose certificates count: each a chain in DER, the device's certificate first.
        pub devices: Vec<CertificateChain>,
        /// The newest revocation lists in DER; none if they are those that the caller has.
        pub lists: Option<Vec<Bytes>>,
    }

    /// A device's certificate, and those between it and a root.
    pub struct CertificateChain {
        /// DER, the device's first.
        pub certificates: Vec<Bytes>,
    }
}
