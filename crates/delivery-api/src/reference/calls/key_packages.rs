use super::super::samples::{NOW, alice, cut, device, hash};
use super::{Entry, Rules, call};
use crate::{
    CipherSuite, ClaimKeyPackages, ClaimedKeyPackage, ClaimedKeyPackages, CountKeyPackages,
    ErrorCode, KeyPackageCount, KeyPackageCounts, PublishKeyPackages, Published,
    ReplaceKeyPackages, WithdrawKeyPackages, Withdrawn,
};

/// What key packages are refused with.
const OF_KEY_PACKAGES: &[ErrorCode] = &[
    ErrorCode::InitKeyReused,
    ErrorCode::TooMany,
    ErrorCode::UnsupportedSuite,
    ErrorCode::Invalid,
    ErrorCode::Revoked,
];

pub(super) fn calls() -> Vec<Entry> {
    let reference = || hash(0x4b).to_vec().into();
    let cipher_suite = CipherSuite(1);
    vec![
        call(
            Rules {
                is_long: true,
                errors: OF_KEY_PACKAGES,
                limits: "by default 200 of a device and suite",
                again: "stores those that are missing: none",
                ..Rules::ONCE
            },
            &PublishKeyPackages { key_packages: vec![cut(5)] },
            &Published { stored: 1 },
        ),
        call(
            Rules {
                is_long: true,
                errors: OF_KEY_PACKAGES,
                limits: "by default 200 of a device and suite",
                again: "stores those that are missing: none; one that was claimed meanwhile does not come back",
                ..Rules::ONCE
            },
            &ReplaceKeyPackages { cipher_suite, key_packages: vec![cut(5)] },
            &Published { stored: 1 },
        ),
        call(
            Rules::READ,
            &CountKeyPackages {},
            &KeyPackageCounts {
                now: NOW,
                counts: vec![KeyPackageCount {
                    cipher_suite,
                    available: 1,
                    last_resort: 0,
                    references: vec![reference()],
                }],
            },
        ),
        call(
            Rules { again: "changes nothing more, and counts none", ..Rules::ONCE },
            &WithdrawKeyPackages { references: vec![reference()] },
            &Withdrawn { withdrawn: 1 },
        ),
        call(
            Rules {
                errors: &[ErrorCode::UnknownUser, ErrorCode::Blocked, ErrorCode::TooMany],
                limits: "as many devices are named as a user may have, by default 50; by default one user claims another's 30 times an \
                         hour, and all others' 1,000 times; after 200 claims an hour of one user's only packages of \
                         last resort are given",
                again: "claims another package of each device",
                ..Rules::ONCE
            },
            &ClaimKeyPackages { user: alice(), cipher_suite, devices: vec![] },
            &ClaimedKeyPackages {
                devices: vec![ClaimedKeyPackage {
                    device: device("alice/pc"),
                    key_package: Some(cut(5)),
                }],
            },
        ),
    ]
}
