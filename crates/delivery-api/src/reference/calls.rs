//! What is written of each call: the one table from which the page and the OpenAPI file are made.
//!
//! A new call gets an entry in the file of its topic. What `crates/delivery/src/service` refuses it with goes there.

mod accounts;
mod attachments;
mod directory;
mod groups;
mod key_packages;

use super::described::{Described, Parts, Structure};
use crate::{Call, Decode, DescribeService, Encode, ErrorCode, Mode};
use core::fmt::Debug;

/// What comes with details.
pub(super) const WITH_DETAILS: &[ErrorCode] =
    &[ErrorCode::GroupInfoMismatch, ErrorCode::ProposalsMissing, ErrorCode::DevicesOutdated];

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Without a session.
    Anybody,
    /// With the session of a device.
    Device,
    /// With the session of a device or of a recovery key.
    DeviceOrRecovery,
    /// With the session of a device that is in the group.
    Member,
    /// With the session of a device that is or was in the group.
    MemberOrFormer,
    /// With the session of a device that is in the group, or joins it by a link.
    MemberOrJoiner,
}

impl Who {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Anybody => "anybody, without a session",
            Self::Device => "a device",
            Self::DeviceOrRecovery => "a device, or the recovery key",
            Self::Member => "a device in the group",
            Self::MemberOrFormer => "a device in the group, or removed from it",
            Self::MemberOrJoiner => "a device in the group, or one that joins it by a link",
        }
    }

    /// What everybody else with a session is refused with.
    fn errors(self) -> &'static [ErrorCode] {
        match self {
            Self::Anybody | Self::Device | Self::DeviceOrRecovery => &[],
            Self::Member | Self::MemberOrFormer | Self::MemberOrJoiner => {
                &[ErrorCode::NotMember, ErrorCode::UnknownGroup]
            }
        }
    }
}

/// What every call may be refused with.
pub(super) const ALWAYS: &[ErrorCode] = &[
    ErrorCode::Malformed,
    ErrorCode::TooLarge,
    ErrorCode::RateLimited,
    ErrorCode::Overloaded,
    ErrorCode::Unavailable,
];
/// What every call but `describe-service` may be refused with.
pub(super) const OF_CLIENTS: &[ErrorCode] = &[ErrorCode::ClientOutdated];
/// What every call of a session may be refused with.
pub(super) const OF_SESSIONS: &[ErrorCode] =
    &[ErrorCode::Unauthorized, ErrorCode::BadProof, ErrorCode::Replayed];
/// What comes for a path or a method that the service does not have.
pub(super) const OF_OTHER_PATHS: &[ErrorCode] = &[ErrorCode::UnknownOperation];

/// What holds for a call and its declaration does not say.
struct Rules {
    who: Who,
    /// The only mode of the service that has it; none if both do.
    mode: Option<Mode>,
    /// Whether its body may be longer than 64 KiB.
    is_long: bool,
    /// Errors beside those of all calls.
    errors: &'static [ErrorCode],
    limits: &'static str,
    /// What becomes of the same request, sent again.
    again: &'static str,
}

impl Rules {
    /// Of a call of a device that only reads.
    const READ: Self = Self {
        who: Who::Device,
        mode: None,
        is_long: false,
        errors: &[],
        limits: "",
        again: "reads only",
    };
    /// Of one that changes something the first time.
    const ONCE: Self =
        Self { again: "changes nothing more, and gets an answer as before", ..Self::READ };
}

/// An example: the parts of a value, encoded.
pub(super) type Example = Vec<(&'static str, Vec<u8>)>;

/// A call with all that is said of it.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) is_anonymous: bool,
    pub(super) who: Who,
    pub(super) mode: Option<Mode>,
    pub(super) is_long: bool,
    own_errors: &'static [ErrorCode],
    pub(super) limits: &'static str,
    pub(super) again: &'static str,
    pub(super) request: Structure,
    pub(super) reply: &'static str,
    pub(super) request_example: Example,
    pub(super) reply_example: Example,
}

impl Entry {
    /// Whether clients may call it that are too old for everything else.
    fn takes_any_client(&self) -> bool {
        self.name == DescribeService::NAME
    }

    /// All that it may be refused with.
    pub(super) fn errors(&self) -> Vec<ErrorCode> {
        let of_session = if self.is_anonymous { &[] } else { OF_SESSIONS };
        let of_client = if self.takes_any_client() { &[] } else { OF_CLIENTS };
        let of_mode: &[ErrorCode] = if self.mode.is_some() { &[ErrorCode::WrongMode] } else { &[] };
        let all =
            [ALWAYS, of_client, of_session, of_mode, self.who.errors(), self.own_errors].concat();
        ErrorCode::ALL.iter().copied().filter(|code| all.contains(code)).collect()
    }

    /// The same without those of all calls, or of all calls of a session.
    pub(super) fn further_errors(&self) -> Vec<ErrorCode> {
        let mut errors = self.errors();
        let of_session = if self.is_anonymous { &[] } else { OF_SESSIONS };
        errors.retain(|code| ![ALWAYS, OF_CLIENTS, of_session].concat().contains(code));
        errors
    }
}

/// A call with an example of its request and its reply.
fn call<C>(rules: Rules, request: &C, reply: &C::Reply) -> Entry
where
    C: Call + Described + Parts + PartialEq + Debug,
    C::Reply: Parts + PartialEq + Debug,
{
    assert_eq!(C::ANONYMOUS, rules.who == Who::Anybody, "{}", C::NAME);
    Entry {
        name: C::NAME,
        path: C::PATH,
        is_anonymous: C::ANONYMOUS,
        who: rules.who,
        mode: rules.mode,
        is_long: rules.is_long,
        own_errors: rules.errors,
        limits: rules.limits,
        again: rules.again,
        request: C::STRUCTURE,
        reply: core::any::type_name::<C::Reply>().rsplit("::").next().unwrap(),
        request_example: example(request),
        reply_example: example(reply),
    }
}

/// The parts of a value, which together decode to it.
fn example<T: Encode + Decode + Parts + PartialEq + Debug>(value: &T) -> Example {
    let parts = value.parts();
    let bytes: Vec<u8> = parts.iter().flat_map(|(_, part)| part.clone()).collect();
    assert_eq!(&T::from_bytes(&bytes).unwrap(), value);
    parts
}

/// Calls that belong together.
pub(super) struct Topic {
    pub(super) title: &'static str,
    pub(super) calls: Vec<Entry>,
}

pub(super) fn topics() -> Vec<Topic> {
    let topic = |title, calls| Topic { title, calls };
    vec![
        topic("The service and accounts", accounts::calls()),
        topic("Directory and certificates", directory::calls()),
        topic("Key packages", key_packages::calls()),
        topic("Groups", groups::calls()),
        topic("The inbox", groups::inbox()),
        topic("Attachments", attachments::calls()),
    ]
}
