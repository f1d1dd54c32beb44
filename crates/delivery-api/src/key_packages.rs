//! Key packages: each given out once, so that nobody's init key serves twice.

use super::{
    Bytes, CipherSuite, Decode, DecodeError, DeviceId, Encode, EncodeError, KeyPackageRef, Name,
    Reader, Writer,
};

structs! {
    /// Publishes key packages of the caller's. All of them are taken, or none.
    ///
    /// Each must be valid (RFC 9420 section 10.1) with the caller's registered key and identity,
    /// and its init key must not be that of another one that was published before, as long as that has not expired. To
    /// publish the same package again does nothing, so a request whose reply was lost can be repeated.
    pub struct PublishKeyPackages {
        /// MLSMessages that hold a KeyPackage each. One of last resort replaces the one before.
        pub key_packages: Vec<Bytes>,
    }

    /// Replaces all key packages of the caller's of one suite, in one step: those that are not
    /// among these are given out no more, the last resort included. Without any, the device cannot
    /// be invited into groups of the suite.
    ///
    /// Each is checked as in [`PublishKeyPackages`]. One that was published before is kept, unless
    /// it was claimed, so a request whose reply was lost can be repeated.
    pub struct ReplaceKeyPackages {
        /// The suite.
        pub cipher_suite: CipherSuite,
        /// MLSMessages that hold a KeyPackage of this suite each.
        pub key_packages: Vec<Bytes>,
    }

    /// The reply to [`PublishKeyPackages`] and [`ReplaceKeyPackages`].
    pub struct Published {
        /// How many were stored: those that were not published before.
        pub stored: u32,
    }

    /// Asks which key packages of the caller's are left.
    pub struct CountKeyPackages {}

    /// The reply to [`CountKeyPackages`].
    pub struct KeyPackageCounts {
        /// The service's time, in seconds since 1970: by it packages expire here.
        pub now: u64,
        /// One for each suite that the caller has a package of.
        pub counts: Vec<KeyPackageCount>,
    }

    /// What is left of one suite.
    pub struct KeyPackageCount {
        /// The suite.
        pub cipher_suite: CipherSuite,
        /// How many are left to be claimed and have not expired, the last resort not counted.
        pub available: u32,
        /// How many there are of last resort that have not expired: 0 or 1.
        pub last_resort: u32,
        /// Which they are, the last resort included. A device withdraws those whose private keys it
        /// no longer has, since whoever is invited by one of them never comes in.
        pub references: Vec<KeyPackageRef>,
    }

    /// Withdraws key packages of the caller's: they are given out no more. Those that the service
    /// does not hold are passed over, so the request can be repeated.
    pub struct WithdrawKeyPackages {
        /// Which.
        pub references: Vec<KeyPackageRef>,
    }

    /// The reply to [`WithdrawKeyPackages`].
    pub struct Withdrawn {
        /// How many were still there.
        pub withdrawn: u32,
    }

    /// Claims a key package of each of a user's devices but the caller's own.
    ///
    /// A package is given out once. When a device has none left, its package of last resort is
    /// given, if it has one.
    ///
    /// The service limits how often one user claims another's, and all others'. If all others together
    /// claim one user's too often, that user's devices give only packages of last resort for a while; a
    /// claim is refused if there are none. The user's own devices may claim as they like.
    pub struct ClaimKeyPackages {
        /// Whose.
        pub user: Name,
        /// Of which suite.
        pub cipher_suite: CipherSuite,
        /// Only of these devices; empty for all.
        pub devices: Vec<Name>,
    }

    /// The reply to [`ClaimKeyPackages`].
    pub struct ClaimedKeyPackages {
        /// One for each device.
        pub devices: Vec<ClaimedKeyPackage>,
    }

    /// What was claimed of one device.
    pub struct ClaimedKeyPackage {
        /// The device.
        pub device: DeviceId,
        /// An MLSMessage that holds the KeyPackage; none if the device has none left.
        pub key_package: Option<Bytes>,
    }
}
