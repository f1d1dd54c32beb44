use super::super::samples::{NOW, cut, device, group, hash, position, receipt, successor};
use super::{Entry, Rules, Who, call};
use crate::{
    AckInbox, Acknowledged, ChainHash, ContentType, CreateGroup, Created, ErrorCode,
    FetchGroupInfo, FetchInbox, FetchLinkedGroup, FetchLog, GroupKind, GroupState, InboxItem,
    InboxPage, LogEntry, LogPage, LogPosition, LogRestored, Outcome, Receipt, ResetGroup,
    RestoreLog, SendMessage, SendMessages, SentMessages, SubmitCommit, SubmitProposal, WasReset,
    WelcomeItem,
};

const SUBMITTED: Rules = Rules {
    who: Who::Member,
    is_long: true,
    errors: &[ErrorCode::GroupEnded, ErrorCode::Invalid, ErrorCode::DevicesOutdated],
    again: "changes nothing more; of a message in the log it gives the place, to its sender even after it was removed",
    ..Rules::ONCE
};

pub(super) fn calls() -> Vec<Entry> {
    let accepted = || Outcome::Accepted { receipt: receipt(), received_at: NOW };
    let entry = || LogEntry {
        seq: 7,
        epoch: 1,
        content_type: ContentType::Commit,
        sender: device("alice/pc"),
        received_at: NOW,
        message: cut(6),
    };
    let proposal =
        || LogEntry { epoch: 2, content_type: ContentType::Proposal, message: cut(5), ..entry() };
    let state = || GroupState {
        receipt: receipt(),
        group_info: cut(8),
        ratchet_tree: cut(9),
        proposals: vec![proposal()],
        pending: 1,
    };
    vec![
        call(
            Rules {
                is_long: true,
                errors: &[
                    ErrorCode::GroupExists,
                    ErrorCode::NotMember,
                    ErrorCode::TooMany,
                    ErrorCode::Invalid,
                    ErrorCode::DevicesOutdated,
                ],
                limits: "by default 10,000 groups of a device, and 1 to 128 bytes of an identifier; the caller is a \
                         member of a tracked group's tree",
                ..Rules::ONCE
            },
            &CreateGroup { group_id: group(), kind: GroupKind::Opaque { epoch: 0 } },
            &Created { receipt: Receipt { position: LogPosition::beginning(0), ..receipt() } },
        ),
        call(
            Rules {
                who: Who::Member,
                is_long: true,
                errors: &[
                    ErrorCode::GroupExists,
                    ErrorCode::TooMany,
                    ErrorCode::Invalid,
                    ErrorCode::DevicesOutdated,
                ],
                limits: "those of `create-group`, for the successor",
                ..Rules::ONCE
            },
            &ResetGroup {
                group_id: group(),
                successor: CreateGroup {
                    group_id: successor(),
                    kind: GroupKind::Opaque { epoch: 0 },
                },
            },
            &WasReset {
                successor: successor(),
                receipt: Some(Receipt { group_id: successor(), ..receipt() }),
            },
        ),
        call(
            Rules {
                is_long: true,
                errors: &[
                    ErrorCode::BadProof,
                    ErrorCode::UnknownGroup,
                    ErrorCode::UnknownDevice,
                    ErrorCode::GroupEnded,
                    ErrorCode::Invalid,
                ],
                limits: "1 to `MAX_PAGE` entries",
                ..Rules::ONCE
            },
            &RestoreLog {
                group_id: group(),
                before: ChainHash(hash(0xcb)),
                entries: vec![entry()],
                end: receipt(),
            },
            &LogRestored { receipt: receipt(), taken: 1 },
        ),
        call(
            Rules {
                errors: &[
                    ErrorCode::GroupEnded,
                    ErrorCode::BadLink,
                    ErrorCode::NotAllowed,
                    ErrorCode::InitKeyReused,
                    ErrorCode::Invalid,
                    ErrorCode::GroupInfoMismatch,
                    ErrorCode::ProposalsMissing,
                    ErrorCode::DevicesOutdated,
                    ErrorCode::Revoked,
                    ErrorCode::TooMany,
                    ErrorCode::UnsupportedSuite,
                ],
                limits: "by default 50,000 devices are named, 1,000 Welcomes or 128 MiB wait in an inbox, and a device \
                         has 200 key packages of a suite; `MAX_PAGE` proposals are left out",
                who: Who::MemberOrJoiner,
                ..SUBMITTED
            },
            &SubmitCommit {
                commit: cut(6),
                welcomes: vec![cut(7)],
                group_info: Some(cut(8)),
                ratchet_tree: Some(cut(9)),
                added: vec![device("bob/pc")],
                removed: vec![],
                key_packages: vec![cut(5)],
                leaves_out: vec![],
            },
            &accepted(),
        ),
        call(
            Rules {
                errors: &[
                    ErrorCode::GroupEnded,
                    ErrorCode::NotAllowed,
                    ErrorCode::Invalid,
                    ErrorCode::DevicesOutdated,
                ],
                ..SUBMITTED
            },
            &SubmitProposal { proposal: cut(6) },
            &accepted(),
        ),
        call(
            Rules {
                limits: "by default 3 epochs after its own, and a day after its own has ended",
                ..SUBMITTED
            },
            &SendMessage { message: cut(6) },
            &Outcome::WrongEpoch { receipt: receipt() },
        ),
        call(
            Rules {
                limits: "1 to `MAX_PAGE` messages of one group and epoch; each as by `send-message`",
                ..SUBMITTED
            },
            &SendMessages { messages: vec![cut(6), cut(7)] },
            &SentMessages { taken: 2, outcome: accepted() },
        ),
        call(
            Rules {
                who: Who::MemberOrFormer,
                errors: &[ErrorCode::LogTruncated],
                limits: "`MAX_PAGE` entries; a page ends with the one that makes its messages `PAGE_BYTES` or longer",
                ..Rules::READ
            },
            &FetchLog { group_id: group(), after: 6, limit: 100 },
            &LogPage {
                entries: vec![entry()],
                head: 7,
                before: Some(ChainHash(hash(0xcb))),
                end: receipt(),
                ending: None,
            },
        ),
        call(
            Rules {
                who: Who::Member,
                errors: &[ErrorCode::NoGroupInfo, ErrorCode::Invalid],
                limits: "`MAX_PAGE` proposals, up to the one that makes their messages `PAGE_BYTES` or longer",
                ..Rules::READ
            },
            &FetchGroupInfo { group_id: group() },
            &state(),
        ),
        call(
            Rules {
                errors: &[ErrorCode::BadLink, ErrorCode::NoGroupInfo, ErrorCode::Invalid],
                ..Rules::READ
            },
            &FetchLinkedGroup {
                group_id: group(),
                key: hash(0x4b).to_vec().into(),
                signature: [0x51; 64].into(),
            },
            &state(),
        ),
    ]
}

pub(super) fn inbox() -> Vec<Entry> {
    let welcome = WelcomeItem {
        group_id: group(),
        position: position(),
        sender: device("alice/pc"),
        welcome: cut(7),
        ratchet_tree: Some(cut(9)),
    };
    vec![
        call(
            Rules {
                limits: "`MAX_PAGE` items; a page ends with the one that makes them `PAGE_BYTES` or longer",
                ..Rules::READ
            },
            &FetchInbox { limit: 100 },
            &InboxPage { items: vec![InboxItem { id: 41, welcome }], total: 1 },
        ),
        call(
            Rules { errors: &[ErrorCode::TooMany], limits: "`MAX_PAGE` items", ..Rules::ONCE },
            &AckInbox { ids: vec![41] },
            &Acknowledged {},
        ),
    ]
}
