use super::super::samples::{NOW, cut, hash};
use super::{Entry, Rules, call};
use crate::{
    AttachmentPart, BeginUpload, DeleteAttachment, Deleted, ErrorCode, FetchAttachment, Upload,
    UploadPart,
};

pub(super) fn calls() -> Vec<Entry> {
    let hash = || hash(0xaa).into();
    vec![
        call(
            Rules {
                errors: &[
                    ErrorCode::UnknownAttachment,
                    ErrorCode::Quota,
                    ErrorCode::HashMismatch,
                    ErrorCode::Invalid,
                ],
                limits: "by default 2 GiB each, 10 GiB of a user, 100 GiB in all; incomplete, it is kept for a day",
                again: "says how far the upload has come",
                ..Rules::ONCE
            },
            &BeginUpload { hash: hash(), size: 4 },
            &Upload { received: 0, expires_at: NOW + 86_400 },
        ),
        call(
            Rules {
                is_long: true,
                errors: &[
                    ErrorCode::UnknownAttachment,
                    ErrorCode::UploadGap,
                    ErrorCode::HashMismatch,
                    ErrorCode::Invalid,
                ],
                limits: "`MAX_PART` bytes; complete, an attachment is kept for 30 days by default",
                ..Rules::ONCE
            },
            &UploadPart { hash: hash(), offset: 0, content: cut(4) },
            &Upload { received: 4, expires_at: NOW + 30 * 86_400 },
        ),
        call(
            Rules {
                errors: &[ErrorCode::UnknownAttachment],
                limits: "`MAX_PART` bytes",
                ..Rules::READ
            },
            &FetchAttachment { hash: hash(), offset: 0, length: 1 << 20 },
            &AttachmentPart { size: 4, content: cut(4) },
        ),
        call(
            Rules {
                errors: &[ErrorCode::UnknownAttachment],
                again: "is refused as `unknown-attachment`",
                ..Rules::ONCE
            },
            &DeleteAttachment { hash: hash() },
            &Deleted {},
        ),
    ]
}
