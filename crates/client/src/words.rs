//! The engine's reasons in the words of this messenger, with its commands.
//!
//! The engine's own tests include this file, too: see `messenger`.

use conclave_engine::{
    CLASSIC, Command as Wish, Engine, HYBRID, Notice, Reason, Warning, is_post_quantum, suite_name,
    suite_number,
};
use conclave_mls::GroupId;
use conclave_store::Store;

/// Why a command was refused.
pub(crate) fn refusal<S: Store>(engine: &Engine<S>, wish: &Wish, reason: &Reason) -> String {
    match (reason, wish) {
        (Reason::NotMember, Wish::Reset(group)) => {
            let name = engine.group_name(group);
            format!("you are not in {name} any more: a member has to begin it anew")
        }
        (Reason::AlreadyMember, Wish::Join(link)) => {
            let name = engine.group_name(link.group_id());
            format!("you are in {name} already: /switch {name} to talk there")
        }
        (Reason::NameTaken { taken }, Wish::New { name, .. }) if taken == name => {
            format!("you have a group {name} already: /switch {name}")
        }
        (Reason::NameTaken { taken }, Wish::New { name, .. }) => {
            format!("{name} looks like your group {taken}: take another name")
        }
        (Reason::NothingToAcknowledge, Wish::Acknowledge(user)) => {
            format!("there is nothing to acknowledge of {user}")
        }
        (Reason::Certified, wish) => certified(engine, wish),
        (reason, wish) => about_group(engine, group_of(wish), reason),
    }
}

/// The group that a command is about.
fn group_of(wish: &Wish) -> Option<&GroupId> {
    match wish {
        Wish::Invite { group, .. }
        | Wish::Remove { group, .. }
        | Wish::InviteLink { group, .. }
        | Wish::Unlink { group, .. }
        | Wish::Leave(group)
        | Wish::Reset(group)
        | Wish::Accept(group)
        | Wish::Decline(group) => Some(group),
        _ => None,
    }
}

/// Why something is not done, in a group if it is about one.
pub(crate) fn about_group<S: Store>(
    engine: &Engine<S>,
    group: Option<&GroupId>,
    reason: &Reason,
) -> String {
    let name = group.map_or_else(|| "the group".to_string(), |group| engine.group_name(group));
    match reason {
        Reason::AwaitsAdmission => {
            "this device waits until another one of yours admits it, and can do nothing before that".into()
        }
        Reason::RemovesItself => "you cannot remove yourself: /leave".into(),
        Reason::BlocksItself => "you cannot block yourself".into(),
        Reason::NoInvitation => format!("no invitation to {name} waits for an answer"),
        Reason::NotAccepted { by } => format!(
            "{by} has brought you into {name}: /accept {name} lets you talk there, /decline {name} leaves it"
        ),
        Reason::NotMember => format!(
            "you are no longer in {name}; /groups lists where you are, /switch NAME goes there"
        ),
        Reason::Leaving => format!("you are leaving {name}"),
        Reason::SuiteNotUsed { suite } => {
            let option = match *suite {
                // What a new device has by itself.
                HYBRID => String::new(),
                other => format!(" --suite {}", suite_number(other)),
            };
            let own: Vec<String> = engine.suites().map(suite_name).collect();
            format!(
                "this device uses {} only. Another device can use {}: conclave chat {} --device NAME{option}",
                own.join(" and "),
                suite_name(*suite),
                engine.device().user,
            )
        }
        Reason::StateUnreadable => format!(
            "{name} cannot be loaded, so that its members are not known: another member has to begin it anew"
        ),
        Reason::ResetUnderWay => format!("{name} is being begun anew"),
        Reason::AlreadyJoining => "you are joining this group already".into(),
        Reason::OwnAccount => {
            "this is your own account: it is what your devices have made of it".into()
        }
        Reason::NothingToAcknowledge => "there is nothing to acknowledge of the service".into(),
        Reason::AccountBusy => {
            "another change of your account is under way: try again in a moment".into()
        }
        Reason::RevokesItself => {
            "this is the device that you are using: revoke it from another one".into()
        }
        Reason::NoSuchDevice { device } => {
            format!("you have no device {device}; /devices lists them")
        }
        Reason::HasRecoveryKey => {
            "your account has a recovery key already. To replace it takes its words: /recovery WORD...".into()
        }
        Reason::WordsOfAnotherKey => {
            "these are not the words of your account's recovery key".into()
        }
        Reason::NoWordsToConfirm => "there are no words to confirm: /recovery makes some".into(),
        Reason::WordsNotRepeated { first, second } => format!(
            "these are not words {first} and {second}: look at what you wrote down, and type them again"
        ),
        // What names no command needs no other words.
        other => other.to_string(),
    }
}

/// What did not come about, and why; the group by its name, if it is about one.
pub(crate) fn failure<S: Store>(
    engine: &Engine<S>,
    group: Option<&GroupId>,
    reason: &Reason,
) -> String {
    let name = group.map(|group| engine.group_name(group)).unwrap_or_default();
    match reason {
        Reason::GroupLeftOut { .. } => {
            reason.to_string().replacen("group", &format!("group {name}"), 1)
        }
        Reason::CertificateNotShown { .. } | Reason::ProposalsLeftOut { .. } => {
            format!("{name}: {reason}")
        }
        Reason::NotSent { content } => format!("not sent, as you are out: {content}"),
        Reason::NoKeyPackage { suite, .. } => {
            let classic = is_post_quantum(*suite) && engine.suites().any(|suite| suite == CLASSIC);
            let hint = match classic {
                true => {
                    ". Only if it does not matter who can read it later: /new NAME classic makes a group that is NOT \
                     post-quantum, and invite it there"
                }
                false => "",
            };
            format!("{reason}{hint}")
        }
        Reason::ServiceConvicted { who } => format!(
            "{who} is not invited: the service has shown two directories, and you have not said /acknowledge service"
        ),
        Reason::NotLeft { why } => format!("you are not out: {why}"),
        Reason::OwnDevicesStay { why } => format!("your other devices stay: {why}"),
        Reason::UnknownLink { .. } => format!("{reason}: /links lists them"),
        Reason::NotJoined { group, why } => {
            let group = if group.is_empty() { "the group" } else { group };
            format!("you have not joined {group}: {why}")
        }
        Reason::KeyPackageGone { by, .. } => {
            let me = engine.device();
            format!(
                "{reason}. It has made new ones: ask {by} to /remove {me} and then to /invite {me}"
            )
        }
        Reason::KeyPackagesRefused { suite, why } => format!(
            "the service does not take key packages of {}, so nobody can invite you to groups of that suite: {why}",
            suite_name(*suite)
        ),
        Reason::AccountUnchanged { why } => format!("your account stays as it is: {why}"),
        Reason::AdmittedNotUp { device } => format!(
            "{device} is one of your devices now, and has not come up yet: /invite {device} into your groups later"
        ),
        Reason::AdmittedChanged { who } => format!(
            "the service has changed what {who} left there, which is one of your devices now: /invite {who} into your \
             groups yourself"
        ),
        Reason::PerhapsNotAdmitted | Reason::NotAdmittedOffline => format!("{reason}: /link again"),
        Reason::LogOfAnotherAccount => format!("{reason}: here is another code"),
        Reason::AdmissionUnreadable { .. } => format!("{reason}. Here is another code"),
        Reason::NotRecovered { why } => format!("your account is not recovered: {why}"),
        other => other.to_string(),
    }
}

/// Why a group cannot be followed.
pub(crate) fn stuck(reason: &Reason) -> String {
    let text = reason.to_string();
    match reason {
        Reason::LogBehind { .. } => text.replace(
            "or to remove this device and invite it again",
            "or to /remove this device and /invite it again",
        ),
        Reason::LogTruncated => text.replace(
            "has to remove it and invite it again",
            "has to /remove it and /invite it again",
        ),
        _ => text,
    }
}

/// That nothing can be said or done in a group.
pub(crate) fn cannot_go_on(group: &str, reason: &Reason) -> String {
    let why = stuck(reason);
    format!(
        "{group} cannot go on: {why}. /reset begins it anew with the same members, /leave forgets it here"
    )
}

/// That a group waits for something.
pub(crate) fn waits(group: &str, reason: &Reason) -> String {
    match reason {
        Reason::NotTakenBack { why } => format!(
            "{group} waits: the service was restored from a backup, and does not take back yet what it lost: {why}. It is \
             tried again; /reset begins the group anew, /leave forgets it here"
        ),
        reason => {
            let why = stuck(reason);
            format!("{group} waits: {why}. /reset begins it anew, /leave forgets it here")
        }
    }
}

/// Something worth knowing.
pub(crate) fn notice<S: Store>(
    engine: &Engine<S>,
    group: Option<&GroupId>,
    notice: &Notice,
) -> String {
    match notice {
        Notice::GroupForgotten => format!(
            "the group is forgotten here. If others are in it, they still count {} among them: ask them to /remove it",
            engine.device()
        ),
        Notice::Blocked { who } => {
            format!("no invitation of {who} is taken any more; to /invite {who} undoes it")
        }
        Notice::AllAreMembers { who } => format!(
            "all devices of {who} are in the group; if one of them never came in: /remove it, then /invite it again"
        ),
        Notice::NewDevice { device, code, by } => {
            format!("{device} ({code}) is a new device of {}, added by {by}", device.user)
        }
        Notice::UserAcknowledged { user } => format!(
            "{user} is taken for who the service says from now on. Compare codes: /verify {user}"
        ),
        Notice::ServiceAcknowledged { key } => format!(
            "the service with the key {key}… is taken for yours from now on, with what it shows now. Compare codes with \
             whom it matters: /verify USER"
        ),
        Notice::NoLongerWaiting { device } => {
            format!("no longer waiting for {device}: /invite {device} once it is ready")
        }
        Notice::AlreadyAdmitted { device, code } => {
            format!("{device} ({code}) is one of your devices already")
        }
        Notice::Recovered => "this device is in your account again. /devices lists the others: /revoke what is lost. Ask the \
                              others to invite you to your groups again"
            .into(),
        Notice::LinksLeadIn { who } => {
            let group = group.map(|group| engine.group_name(group)).unwrap_or_default();
            format!(
                "links still lead into {group}, and {who} may know one: /links lists them, /unlink N revokes one"
            )
        }
        Notice::ServiceReplaced => format!("{notice}; /acknowledge service ends this reminder"),
        Notice::ServiceConvicted => {
            "the service has shown two directories: no device that you did not know before is believed until you \
             /acknowledge service"
                .into()
        }
        other => other.to_string(),
    }
}

/// Something that the user must decide on.
pub(crate) fn warning(warning: &Warning) -> String {
    let what_to_do = match warning {
        Warning::UserContradicted { user, .. } | Warning::UserPublishedDifferently { user, .. } => {
            format!("; if all is well, /acknowledge {user}")
        }
        Warning::OwnEntryContradicted { .. } => ": /verify USER".into(),
        Warning::ServiceReplaced { .. } => {
            ": /verify USER. /acknowledge service ends this warning".into()
        }
        Warning::DirectoryWithheld { .. } => {
            "; to go on with what it shows now, /acknowledge service".into()
        }
        Warning::TwoDirectories { .. } => {
            ": /verify USER. To go on with the service as it is now: /acknowledge service".into()
        }
        Warning::OtherServiceKey { by } => format!(": /verify {}", by.user),
        _ => String::new(),
    };
    format!("{warning}{what_to_do}")
}

/// What members are told of a group that has ended.
pub(crate) fn ended(group: &str, succeeded: bool) -> String {
    match succeeded {
        true => format!(
            "a member begins {group} anew, as it could not go on for somebody: nothing can be said here any more, \
             and what you write is sent there as soon as that member has invited you"
        ),
        false => format!(
            "the administrator of the service has ended {group}: nothing can be said here any more. /reset begins \
             it anew with the same members, unless one of them is faster; what you write is sent there"
        ),
    }
}

pub(crate) fn replaces(old: &str) -> String {
    format!("this group takes the place of {old}, where what was said before is: /switch {old}")
}

/// What takes the place of a command about accounts where a CA certifies devices.
fn certified<S: Store>(engine: &Engine<S>, wish: &Wish) -> String {
    let user = &engine.device().user;
    let what = match wish {
        Wish::Link(_) => format!(
            "the new device makes a request (conclave certificate request {user} --device NAME), and the CA issues its \
             certificate"
        ),
        Wish::Revoke(device) => {
            let what = format!("conclave ca revoke {user}/{device}");
            return format!("devices are certified by a CA here, and the CA revokes them: {what}");
        }
        Wish::Recovery(_) | Wish::ConfirmRecovery(_) | Wish::Recover(_) => {
            return "devices are certified by a CA here, so there is no recovery key: for a new device the CA issues a \
                    new certificate"
                .into();
        }
        _ => "the service has no directory whose contradictions could be acknowledged".into(),
    };
    format!("devices are certified by a CA here: {what}")
}
