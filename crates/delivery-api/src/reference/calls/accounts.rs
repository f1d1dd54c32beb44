use super::super::samples::{INCARNATION, NOW, alice, client, cut, device, directory, hash};
use super::{Entry, Rules, Who, call};
use crate::{
    AccountHead, AccountPage, DescribeService, ErrorCode, FetchAccount, FetchRelay, MarkState,
    Mode, OpenSession, OpenedSession, PutRelay, Registration, RelayContent, RelayStored,
    ServiceInfo, StateMark, StateMarked, SubmitAccount, Token,
};
use conclave_account::Author;

pub(super) fn calls() -> Vec<Entry> {
    let anybody = |rules| Rules { who: Who::Anybody, ..rules };
    let of_accounts = |rules| Rules { mode: Some(Mode::Accounts), ..rules };
    let slot = core::array::from_fn::<u8, 16, _>(|i| 0xa0 + i as u8);
    vec![
        call(
            anybody(Rules::READ),
            &DescribeService {},
            &ServiceInfo {
                key: vec![0x6b; 32].into(),
                sender_key: vec![0x6c; 32].into(),
                mode: Mode::Accounts,
                registration: Registration::Open,
                now: NOW,
                minimum_clients: vec![client()],
                incarnation: INCARNATION,
                domain: "example.org".try_into().ok(),
            },
        ),
        call(
            Rules {
                is_long: true,
                errors: &[
                    ErrorCode::AccountForked,
                    ErrorCode::BadEntry,
                    ErrorCode::UnsupportedSuite,
                    ErrorCode::RegistrationClosed,
                    ErrorCode::BadInvitation,
                    ErrorCode::NameTaken,
                    ErrorCode::Clock,
                    ErrorCode::TooMany,
                    ErrorCode::Invalid,
                ],
                limits: "1 to 1,024 entries, none signed in the future (by default, more than ten minutes ahead)",
                ..anybody(of_accounts(Rules::ONCE))
            },
            &SubmitAccount { user: alice(), entries: vec![cut(1)], invitation: None },
            &AccountHead { length: 1, hash: hash(0xee).into() },
        ),
        call(
            Rules {
                who: Who::DeviceOrRecovery,
                errors: &[ErrorCode::UnknownUser],
                limits: "a page has 256 entries at most, and ends with the one that makes it 1 MiB or longer; a recovery \
                         key may fetch its own user's log",
                ..of_accounts(Rules::READ)
            },
            &FetchAccount { user: alice(), after: 0 },
            &AccountPage { entries: vec![cut(1)], length: 1, directory: directory() },
        ),
        call(
            Rules {
                errors: &[
                    ErrorCode::BadProof,
                    ErrorCode::Clock,
                    ErrorCode::Revoked,
                    ErrorCode::UnknownDevice,
                    ErrorCode::UnknownUser,
                    ErrorCode::Blocked,
                    ErrorCode::WrongMode,
                ],
                limits: "a device has 8 sessions that have shown no mark of its state, and the next one ends the oldest of \
                         them; a user has 100 sessions, and the next one ends the oldest without a mark, or the oldest \
                         of all if each has one; a session lasts an hour unless the service is set up otherwise, \
                         and ends with the service's process",
                again: "gives the same token while the session is open",
                ..anybody(Rules::ONCE)
            },
            &OpenSession {
                user: alice(),
                author: Author::Device(device("alice/pc").device),
                key: vec![0x6d; 32].into(),
                session_key: vec![0x6e; 32].into(),
                issued_at: NOW,
                signature: vec![0x51; 64].into(),
            },
            &OpenedSession {
                token: Token::new("3f".repeat(32)),
                lifetime: 3600,
                incarnation: INCARNATION,
            },
        ),
        call(
            Rules {
                is_long: true,
                errors: &[ErrorCode::Invalid],
                limits: "64 KiB at a place, for ten minutes; when there is too much in all, the oldest goes",
                again: "changes nothing more; other content for the same place is refused",
                ..anybody(of_accounts(Rules::ONCE))
            },
            &PutRelay { slot: slot.into(), content: cut(2) },
            &RelayStored { lifetime: 600 },
        ),
        call(
            anybody(of_accounts(Rules::READ)),
            &FetchRelay { slot: slot.into() },
            &RelayContent { content: Some(cut(2)) },
        ),
        call(
            Rules {
                errors: &[ErrorCode::Invalid, ErrorCode::Revoked],
                limits: "16 marks before",
                again: "gives the same answer, until another process has marked the state",
                ..Rules::ONCE
            },
            &MarkState {
                before: vec![StateMark { number: 4, id: [0x3a; 16] }],
                mark: StateMark { number: 5, id: [0x3b; 16] },
            },
            &StateMarked { latest: StateMark { number: 5, id: [0x3b; 16] }, marked_at: NOW },
        ),
    ]
}
