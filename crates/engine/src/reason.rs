//! Why something does not come about, as values: what happened, a stable code, and what can be done.

mod field;
mod table;

use crate::who::Who;
use conclave_delivery_api::{CallError, DeviceId, Name};
use conclave_mls::CipherSuite;
pub(crate) use field::Field;
pub(crate) use table::table;

/// What can be done about a [`Reason`], a [`Warning`](crate::Warning) or an [`EngineError`](crate::EngineError). The host
/// knows by which of its commands or questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Remedy {
    /// Try again in a moment.
    Retry,
    /// Nothing: the engine tries again by itself.
    Wait,
    /// Accept the invitation into the group, or decline it.
    AnswerInvitation,
    /// Admit this device from another one of its user's, or by the recovery key.
    AdmitDevice,
    /// Choose another name.
    ChooseName,
    /// Choose another suite, or use another device.
    ChooseSuite,
    /// Leave the group.
    Leave,
    /// Begin the group anew, or leave it.
    Reset,
    /// Let another member begin the group anew.
    LetMemberReset,
    /// Let a member remove this device and invite it again.
    Rejoin,
    /// Use another device of the user's.
    UseOtherDevice,
    /// Begin the change of the account or the device again.
    StartOver,
    /// Ask the CA.
    AskAuthority,
    /// Take the user for who the service says, once that is known in another way.
    Acknowledge,
    /// Go on with the service as it is now, once its operator has said why.
    AcknowledgeService,
    /// Compare codes with people in another way.
    CompareCodes,
}

impl Remedy {
    /// A word that never changes.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Wait => "wait",
            Self::AnswerInvitation => "answer-invitation",
            Self::AdmitDevice => "admit-device",
            Self::ChooseName => "choose-name",
            Self::ChooseSuite => "choose-suite",
            Self::Leave => "leave",
            Self::Reset => "reset",
            Self::LetMemberReset => "let-member-reset",
            Self::Rejoin => "rejoin",
            Self::UseOtherDevice => "use-other-device",
            Self::StartOver => "start-over",
            Self::AskAuthority => "ask-authority",
            Self::Acknowledge => "acknowledge",
            Self::AcknowledgeService => "acknowledge-service",
            Self::CompareCodes => "compare-codes",
        }
    }
}

/// Number, code, text and remedy.
#[cfg(test)]
pub(crate) type Row = (u16, &'static str, &'static str, Option<Remedy>);

table! {
    /// Why something that was asked for is not done, or a group cannot be followed. Its text
    /// ([`Display`](core::fmt::Display)) is for people and may change; its [code](Self::code) does not.
    Reason, "reason";

    /// What an earlier version has stored, in its words.
    0 "text" Text { /** The words. */ what: String } "{what}";
    /// This device is not one of its user's yet.
    1 "awaits-admission" AwaitsAdmission
        "this device waits until another one of its user's admits it, and can do nothing before that" AdmitDevice;
    /// A device cannot remove itself.
    2 "removes-itself" RemovesItself "a device cannot remove itself: it leaves the group" Leave;
    /// Users cannot block themselves.
    3 "blocks-itself" BlocksItself "nobody can block themselves";
    /// There is nothing to accept or decline.
    4 "no-invitation" NoInvitation "no invitation into this group waits for an answer";
    /// The user has not accepted the group.
    5 "not-accepted" NotAccepted {
        /// Who has brought this device in.
        by: DeviceId,
    } "{by} has brought this device into the group: nothing can be said or done there until the user accepts \
       that" AnswerInvitation;
    /// This device is not a member.
    6 "not-a-member" NotMember "this device is not a member of the group";
    /// This device is to leave the group.
    7 "is-leaving" Leaving "this device is leaving the group";
    /// No group can be called like this.
    8 "unusable-name" UnusableName
        "a group's name has at most 64 bytes, letters among them, and no characters that are invisible or turn the text \
         around them" ChooseName;
    /// This device does not use the suite.
    9 "suite-not-used" SuiteNotUsed {
        /// The suite.
        suite: CipherSuite,
    } "this device does not use {suite}" ChooseSuite;
    /// Another group is called like this, or looks like it.
    10 "name-taken" NameTaken {
        /// That group's name.
        taken: String,
    } "another group has this name, or one that looks like it: {taken}" ChooseName;
    /// A message is too long.
    11 "message-too-long" TooLong {
        /// How many bytes it has.
        len: u64,
    } "a message has at most 1048576 bytes, and this has {len}";
    /// The group's state cannot be loaded, so that its members are not known.
    12 "state-unreadable" StateUnreadable
        "the group's state cannot be loaded, so its members are not known" LetMemberReset;
    /// The group is being begun anew already.
    13 "reset-under-way" ResetUnderWay "the group is being begun anew";
    /// This device is a member already.
    14 "already-a-member" AlreadyMember "this device is a member of the group already";
    /// This device is joining already.
    15 "already-joining" AlreadyJoining "this device is joining the group already";
    /// The own account is what the own devices have made of it.
    16 "own-account" OwnAccount "this is the user's own account: it is what their devices have made of it";
    /// There was no warning.
    17 "nothing-to-acknowledge" NothingToAcknowledge "there is no warning to acknowledge";
    /// Another change of the account is under way.
    18 "account-busy" AccountBusy "another change of the account is under way" Retry;
    /// A device cannot revoke itself.
    19 "revokes-itself" RevokesItself "a device cannot revoke itself" UseOtherDevice;
    /// The user has no such device.
    20 "no-such-device" NoSuchDevice {
        /// Its name.
        device: Name,
    } "the user has no device {device}";
    /// The account has a recovery key, whose words have to be given.
    21 "has-recovery-key" HasRecoveryKey "the account has a recovery key: its words are needed to replace it";
    /// These are not as many words as a recovery key has.
    22 "word-count" WordCount {
        /// How many there are.
        count: u64,
    } "a recovery key has 12 words, and these are {count}";
    /// The words do not fit together.
    23 "words-mistyped" WordsMistyped
        "one of these words is mistyped, or they are in another order: they do not fit together";
    /// These are the words of another key.
    24 "words-of-another-key" WordsOfAnotherKey "these are not the words of the account's recovery key";
    /// No words wait to be confirmed.
    25 "no-words-to-confirm" NoWordsToConfirm "there are no words to confirm" StartOver;
    /// The words typed back are others.
    26 "words-not-repeated" WordsNotRepeated {
        /// The place of one of the words, from 1.
        first: u64,
        /// The place of the other.
        second: u64,
    } "these are not words {first} and {second}" Retry;
    /// Only a new device is added by the recovery key.
    27 "has-account" HasAccount "this device has an account: only a new device can recover one" UseOtherDevice;
    /// Devices are certified by a CA here: there are no accounts.
    28 "certified" Certified "devices are certified by a CA here: there are no accounts" AskAuthority;

    /// The group's state cannot be loaded: the engine goes on without it.
    40 "group-left-out" GroupLeftOut {
        /// Why.
        why: String,
    } "the group cannot be loaded and is left out: {why}" Leave;
    /// The service refuses something.
    41 "service-refuses" ServiceRefuses {
        /// What it says.
        why: String,
    } "{why}";
    /// The service's log is shorter than it was.
    42 "log-shorter" LogShorter {
        /// The number of its last message.
        end: u64,
        /// The number of a message that this device has seen.
        seen: u64,
    } "the service has lost data: its log ends with message {end}, and this device has seen message {seen}" Reset;
    /// The service's log lacks a message.
    43 "log-gap" LogGap {
        /// Its number.
        seq: u64,
    } "the service has lost message {seq} of its log" Reset;
    /// The service was restored, and the group went on in another way than before.
    44 "log-forked" LogForked
        "the service was restored from a backup, and members who did not know the last epoch have gone on in another way \
         before it was given back" Reset;
    /// The service has changed the order of messages of this device's.
    45 "log-reordered" LogReordered "the service has put what this device sent into another order" Reset;
    /// What the service shows of its log contradicts itself.
    46 "log-inconsistent" LogInconsistent {
        /// After which message.
        seq: u64,
    } "what the service shows of its log after message {seq} does not add up" Reset;
    /// The service's log is another one than before.
    47 "log-replaced" LogReplaced {
        /// Up to which message.
        seq: u64,
    } "the service's log up to message {seq} is not the one that it has shown this device before" Reset;
    /// A later version has made a message that has to be read to follow the group.
    48 "message-of-later-version" LaterVersion {
        /// Its number.
        seq: u64,
    } "this version cannot read message {seq}" Reset;
    /// A commit that others may have accepted is refused here.
    49 "commit-refused" CommitRefused {
        /// Its number.
        seq: u64,
        /// Who submitted it, as the service says.
        sender: DeviceId,
        /// Why.
        why: String,
    } "commit {seq} by {sender} is refused: {why}" Reset;
    /// The service was restored from before what this device has, and cannot be compared with it.
    50 "log-behind" LogBehind {
        /// The number of the log's last message.
        end: u64,
        /// That of the last one that this device has processed.
        seen: u64,
    } "the service was restored from a time before what this device has of the group's log, which it shows up to message \
       {end} and not to {seen} as before: a member who has what is missing has to come back first, or to remove this \
       device and invite it again" Rejoin;
    /// The service was restored from before this device came in.
    51 "membership-lost" MembershipLost
        "the service was restored from a time before this device was in the group: a member who was in it before has to \
         come back first" Wait;
    /// The service has deleted messages that this device has not read.
    52 "log-truncated" LogTruncated
        "the service keeps messages for some time only, and this device was away for longer: a member has to remove it and \
         invite it again" Rejoin;
    /// The service does not take back yet what it has lost.
    53 "not-taken-back" NotTakenBack {
        /// Why.
        why: String,
    } "the service does not take back yet what it has lost: {why}" Wait;
    /// The service is in an earlier epoch than this device.
    54 "epoch-lost" EpochLost {
        /// The service's epoch.
        epoch: u64,
        /// This device's.
        own: u64,
    } "the service has lost data: it is in epoch {epoch} and this device in {own}" Reset;
    /// This device cannot come back into the group in place of its former leaf.
    55 "not-back" NotBack {
        /// Why.
        why: String,
    } "this device cannot come back in place of its former leaf: {why}" Rejoin;

    /// A message was not sent before this device was out of the group.
    60 "not-sent" NotSent {
        /// What it says; its size and media type, if that is no text.
        content: String,
    } "not sent, as this device is out of the group: {content}";
    /// A message is not sent.
    61 "message-refused" MessageRefused {
        /// Why.
        why: String,
    } "a message is not sent: {why}";
    /// A user or device is not invited.
    62 "not-invited" NotInvited {
        /// Who.
        who: String,
        /// Why.
        why: String,
    } "{who} is not invited: {why}";
    /// No device of a user's can be added.
    63 "not-addable" NotAddable {
        /// Who.
        who: Who,
        /// Why.
        why: String,
    } "{who} cannot be added: {why}";
    /// The service does not know a user or device.
    64 "unknown-user" UnknownUser {
        /// Who.
        who: Who,
    } "the service knows no {who}";
    /// The service has no key package of a device.
    65 "no-key-package" NoKeyPackage {
        /// Which device.
        device: DeviceId,
        /// The group's suite.
        suite: CipherSuite,
    } "{device} is not invited: the service has no key package of it for this group's suite, {suite}: it does not use that \
       suite, was away for long, or the service holds it back";
    /// A user or device is not removed.
    66 "not-removed" NotRemoved {
        /// Who.
        who: Who,
        /// Why.
        why: String,
    } "{who} is not removed: {why}";
    /// Somebody who is to be removed or given a role is no member.
    67 "not-in-the-group" NotInGroup {
        /// Who.
        who: Who,
    } "{who} is not in the group";
    /// This device has not left, nor the user's others.
    68 "not-left" NotLeft {
        /// Why.
        why: String,
    } "this device has not left the group: {why}";
    /// The user's other devices have not left with this one.
    69 "own-devices-stay" OwnDevicesStay {
        /// Why.
        why: String,
    } "the user's other devices stay: {why}";
    /// No join link is made.
    70 "link-not-made" LinkNotMade {
        /// Why.
        why: String,
    } "no link is made: {why}";
    /// There is no such join link.
    71 "unknown-link" UnknownLink {
        /// Its number.
        number: u32,
    } "there is no link {number} into the group";
    /// A join link is not revoked.
    72 "link-not-revoked" LinkNotRevoked {
        /// Its number.
        number: u32,
        /// Why.
        why: String,
    } "link {number} is not revoked: {why}";
    /// A group is not joined by its link.
    73 "not-joined" NotJoined {
        /// The group, as the link calls it, or the beginning of its identifier.
        group: String,
        /// Why.
        why: String,
    } "the group {group} is not joined: {why}";
    /// A Welcome is for a key package that is gone.
    74 "key-package-gone" KeyPackageGone {
        /// Who has invited this device.
        by: DeviceId,
        /// The beginning of the group's identifier.
        group: String,
    } "{by}'s invitation to group {group} is for a key package that this device no longer has, so it cannot come in, though \
       the others see it there" Rejoin;
    /// A Welcome is refused.
    75 "invitation-refused" InvitationRefused {
        /// Who has invited this device.
        by: DeviceId,
        /// The beginning of the group's identifier.
        group: String,
        /// Why.
        why: String,
    } "{by}'s invitation to group {group} is refused: {why}";
    /// A commit that nobody has asked for is refused.
    76 "commit-failed" CommitFailed {
        /// Why.
        why: String,
    } "a commit failed: {why}";
    /// What members have proposed is left to others to commit.
    77 "proposals-left-out" ProposalsLeftOut {
        /// Why.
        why: String,
    } "cannot commit the members' proposals: {why}";
    /// This device's new certificate is not in the group yet.
    78 "certificate-not-shown" CertificateNotShown {
        /// Why.
        why: String,
    } "the renewed certificate cannot be shown yet: {why}" Wait;
    /// The service takes no key packages of a suite.
    79 "key-packages-refused" KeyPackagesRefused {
        /// The suite.
        suite: CipherSuite,
        /// Why.
        why: String,
    } "the service does not take key packages of {suite}, so nobody can invite this device to groups of that suite: {why}";

    /// Nobody new is invited while the service is convicted of two directories.
    80 "service-convicted" ServiceConvicted {
        /// Who is not invited.
        who: Who,
    } "{who} is not invited: the service has shown two directories, and the user has not acknowledged that" AcknowledgeService;
    /// What the user said is not sent.
    81 "content-refused" ContentRefused {
        /// What it says; its size and media type, if that is no text.
        content: String,
        /// Why.
        why: String,
    } "not sent, as {why}: {content}";

    /// The own account is not changed.
    90 "account-unchanged" AccountUnchanged {
        /// Why.
        why: String,
    } "the account stays as it is: {why}";
    /// No device is admitted.
    91 "not-admitted" NotAdmitted {
        /// Why.
        why: String,
    } "nothing is admitted: {why}" StartOver;
    /// No device shows the code.
    92 "no-device-waits" NoDeviceWaits
        "no device waits with this code: it is mistyped, was shown more than ten minutes ago, or at another service" StartOver;
    /// The code is that of a device of somebody else's.
    93 "code-of-another-user" CodeOfAnotherUser {
        /// Whose.
        user: Name,
    } "nothing is admitted: this code is for a device of {user}";
    /// A device is admitted, and has not come up.
    94 "admitted-not-up" AdmittedNotUp {
        /// Which.
        device: DeviceId,
    } "{device} is one of the user's devices now, and has not come up yet: invite it into the groups later";
    /// What an admitted device left at the service was changed.
    95 "admitted-changed" AdmittedChanged {
        /// Which.
        who: Who,
    } "the service has changed what {who} left there. That is one of the user's devices now: invite it into the \
       groups by hand";
    /// The service did not answer, and the change of the account may have come about.
    96 "perhaps-not-admitted" PerhapsNotAdmitted
        "perhaps the device is not admitted, as the service does not answer" StartOver;
    /// The service did not answer.
    97 "not-admitted-offline" NotAdmittedOffline
        "no device is admitted, as the service does not answer" StartOver;
    /// What came back to this device, which waits to be admitted, is another account's.
    98 "log-of-another-account" LogOfAnotherAccount "what came back is another account's log" StartOver;
    /// What came back to this device cannot be read.
    99 "admission-unreadable" AdmissionUnreadable {
        /// Why.
        why: String,
    } "what came back cannot be read: {why}" StartOver;
    /// This device is not added by the recovery key.
    100 "not-added" NotAdded {
        /// Why.
        why: String,
    } "this device cannot be added: {why}";
    /// The account is not recovered.
    101 "not-recovered" NotRecovered {
        /// Why.
        why: String,
    } "the account is not recovered: {why}";
    /// The account's log, as the service shows it, is not valid.
    102 "account-log-invalid" AccountLogInvalid {
        /// Why.
        why: String,
    } "the log that the service shows is not valid: {why}";
    /// The account's log has another recovery key.
    103 "other-recovery-key" OtherRecoveryKey "the log that the service shows has another recovery key";
    /// The service keeps a part of the account's log back.
    104 "account-log-incomplete" AccountLogIncomplete "the service does not show all of the log";

    /// The group is not a room.
    120 "not-a-room" NotRoom "the group is not a room: it has no topic, picture or roles";
    /// The user's role does not allow something.
    121 "role-does-not-allow" NotAllowed {
        /// The role.
        role: String,
        /// What it does not allow: a gerund.
        what: String,
    } "the role {role} does not allow {what}";
    /// The room has no such role.
    122 "no-such-role" NoSuchRole {
        /// What it was called.
        role: String,
        /// Those that there are.
        roles: String,
    } "there is no role {role}: the roles are {roles}";
    /// A room is not changed.
    123 "room-unchanged" RoomUnchanged {
        /// Why.
        why: String,
    } "nothing is changed: {why}";
    /// Users cannot make a direct chat with themselves.
    124 "direct-with-itself" DirectWithItself "a direct chat is with somebody else";
    /// There is a direct chat with somebody.
    125 "direct-chat-exists" DirectChatExists {
        /// With whom.
        user: Name,
    } "there is a direct chat with {user} already";
    /// A direct chat has no name of its own.
    126 "direct-chat-has-no-name" DirectHasNoName "a direct chat has no name of its own";

    /// Nobody answers at the service's address.
    140 "service-unreachable" ServiceUnreachable {
        /// The call's error, in words.
        why: String,
    } "{why}" Wait;
    /// The service cannot serve this device just now.
    141 "service-unavailable" ServiceUnavailable {
        /// The call's error, in words.
        why: String,
    } "{why}" Wait;
    /// What answers at the service's address is no Conclave service, or one of another version.
    142 "service-strange" ServiceStrange {
        /// The call's error, in words.
        why: String,
    } "{why}" Wait;
    /// The service opens no session for this device.
    143 "no-session" NoSession "the service takes no session of this device" Wait;
    /// A call to the service cannot be made.
    144 "call-not-made" CallNotMade {
        /// Why.
        why: String,
    } "{why}" Wait;
}

impl Reason {
    /// Why a call to the service has failed. The engine makes it again.
    pub(crate) fn of_call(error: &CallError) -> Self {
        let why = error.to_string();
        match error {
            CallError::Unreachable { .. } => Self::ServiceUnreachable { why },
            CallError::Refused { .. } | CallError::Postponed { .. } => {
                Self::ServiceUnavailable { why }
            }
            CallError::Strange(_) => Self::ServiceStrange { why },
            _ => Self::CallNotMade { why },
        }
    }
}
