use super::super::samples::{NOW, alice, cut, directory, root};
use super::{Entry, Rules, Who, call};
use crate::{
    Bytes, CertificateChain, CertificateTaken, CertificatesPage, ErrorCode, ExtensionProof,
    FetchCertificates, FetchExtension, FetchHistory, FetchRoots, Mode, RootsPage,
    SubmitCertificate,
};

pub(super) fn calls() -> Vec<Entry> {
    let of_accounts = |who| Rules { who, mode: Some(Mode::Accounts), ..Rules::READ };
    let two_at_once =
        "the service makes two such proofs at once, and refuses more as `unavailable`";
    vec![
        call(
            Rules { limits: "256 roots at most", ..of_accounts(Who::Anybody) },
            &FetchRoots { from: 3 },
            &RootsPage { roots: vec![root()], newest: 3 },
        ),
        call(
            Rules {
                errors: &[ErrorCode::UnknownEpoch],
                limits: two_at_once,
                ..of_accounts(Who::Anybody)
            },
            &FetchExtension { from: 1, to: 3 },
            &ExtensionProof { proof: cut(0xf1) },
        ),
        call(
            Rules {
                errors: &[ErrorCode::NotPublished],
                limits: two_at_once,
                ..of_accounts(Who::DeviceOrRecovery)
            },
            &FetchHistory {},
            &directory(),
        ),
        call(
            Rules {
                who: Who::Anybody,
                mode: Some(Mode::Certificates),
                is_long: true,
                errors: &[ErrorCode::BadCertificate, ErrorCode::Revoked, ErrorCode::TooMany],
                limits: "8 certificates and 48 KiB; by default 50 devices of a user",
                ..Rules::ONCE
            },
            &SubmitCertificate { chain: vec![cut(0x30), cut(0x31)] },
            &CertificateTaken { not_after: NOW + 86_400 },
        ),
        call(
            Rules { mode: Some(Mode::Certificates), ..Rules::READ },
            &FetchCertificates { user: alice(), known: Bytes::default() },
            &CertificatesPage {
                devices: vec![CertificateChain { certificates: vec![cut(0x30), cut(0x31)] }],
                lists: Some(vec![cut(0x32)]),
            },
        ),
    ]
}
