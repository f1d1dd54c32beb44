//! What a user is told though nothing has failed, and what a user is warned of, as values.

use crate::reason::table;
use crate::who::Who;
use conclave_delivery_api::{DeviceId, Name};

table! {
    /// Something worth knowing. Its text ([`Display`](core::fmt::Display)) is for people and may change; its
    /// [code](Self::code) does not.
    Notice, "notice";

    /// What an earlier version has stored, in its words.
    0 "text" Text { /** The words. */ what: String } "{what}";
    /// The service was restored from a backup.
    1 "service-restored" ServiceRestored
        "the service was restored from a backup, and may have lost what it had taken: this device compares the logs of all \
         its groups with what it holds";
    /// The service was set up anew.
    2 "service-set-up-anew" ServiceSetUpAnew
        "the service was set up anew, and may have lost what it had taken: this device compares the logs of all its groups \
         with what it holds";
    /// A group that this device could not follow is forgotten here.
    3 "group-forgotten" GroupForgotten
        "the group is forgotten here. If others are in it, they still count this device among them: ask them to remove it";
    /// Somebody is blocked.
    4 "blocked" Blocked {
        /// Who.
        who: Who,
    } "invitations from {who} are not taken until the user invites them";
    /// A member proposes to remove another one.
    5 "removal-proposed" RemovalProposed {
        /// The member.
        by: DeviceId,
        /// The other one.
        who: DeviceId,
    } "{by} proposes to remove {who}";
    /// A member proposes to add a device.
    6 "addition-proposed" AdditionProposed {
        /// The member.
        by: DeviceId,
        /// The device.
        who: DeviceId,
    } "{by} proposes to add {who}";
    /// The service proposes to remove a member whom nobody has revoked.
    7 "removal-doubted" RemovalDoubted {
        /// The member.
        who: String,
    } "the service proposes to remove {who}, which nobody has revoked as far as this device knows: this device does not \
       commit that";
    /// A member has closed the group.
    8 "group-closed" GroupClosed {
        /// The member.
        by: DeviceId,
    } "{by} has closed this group to begin another instead: nothing can be said here any more";
    /// A join link is revoked.
    9 "link-revoked" LinkRevoked {
        /// Its number.
        number: u32,
    } "link {number} is revoked: nobody joins by it any more";
    /// There is nobody to invite.
    10 "all-are-members" AllAreMembers {
        /// Whose devices are in the group.
        who: Who,
    } "all devices of {who} are in the group; remove and invite again any that never came in";
    /// A user has a new device.
    11 "new-device" NewDevice {
        /// The device.
        device: DeviceId,
        /// The beginning of its verification code.
        code: String,
        /// The device that has added it, or the recovery key.
        by: String,
    } "{device} ({code}) is a new device of this user, added by {by}";
    /// A device was revoked.
    12 "device-revoked" DeviceRevoked {
        /// The device.
        device: DeviceId,
        /// The device that has revoked it, or the recovery key.
        by: String,
    } "{device} was revoked by {by}";
    /// A user's device has another key.
    40 "new-key" NewKey {
        /// The device.
        device: DeviceId,
        /// The beginning of its verification code.
        code: String,
    } "{device} has another key from now on: {code}";
    /// A user has another recovery key.
    13 "recovery-key-replaced" RecoveryKeyReplaced {
        /// The user.
        user: Name,
    } "{user} has another recovery key from now on";
    /// A user is taken for another one from now on.
    14 "user-acknowledged" UserAcknowledged {
        /// The user.
        user: Name,
    } "{user} is taken for who the service says from now on: compare codes";
    /// The service is taken for the user's, as it is now.
    15 "service-acknowledged" ServiceAcknowledged {
        /// The beginning of its key.
        key: String,
    } "the service with the key {key}… is taken for the user's from now on, with what it shows now: compare codes \
       with the people who matter";
    /// The service contradicts what it has shown before it went back.
    16 "contradicts-before" ContradictsBefore {
        /// Where the evidence is, in words.
        evidence: String,
    } "what the service shows since it went back contradicts what it has shown before. {evidence}";
    /// The service shows after all that its directory is the one of before.
    17 "directory-shown" DirectoryShown
        "the service shows that its directory is the one of before: the warning is settled";
    /// The service says of a user again what it said before.
    18 "user-settled" UserSettled {
        /// The user.
        user: Name,
    } "the service says of {user} again what it said before: the warning is settled";
    /// The service has lost messages for good.
    19 "messages-lost" MessagesLost {
        /// How many.
        count: u64,
        /// Why.
        why: String,
    } "the service has lost messages of this group ({count}), and does not take them back: {why}. Whoever has not read them \
       yet will not see them";
    /// The service has back what it had lost.
    20 "given-back" GivenBack "the service has back what it had lost of this group";
    /// A member passes on a root that it has made up.
    21 "unsigned-root" UnsignedRoot {
        /// The member.
        by: DeviceId,
    } "{by} passes on a root of the directory that the service has not signed: that says nothing about the service";

    /// The code of this device, which waits to be admitted, was not used in time.
    30 "code-expired" CodeExpired "nobody has used the code in time; here is a new one";
    /// A device that was admitted is no longer waited for.
    31 "no-longer-waiting" NoLongerWaiting {
        /// The device.
        device: DeviceId,
    } "no longer waiting for {device}: invite it once it is ready";
    /// A device is revoked later.
    32 "revoked-later" RevokedLater {
        /// The device.
        device: Name,
    } "{device} is revoked as soon as the service answers";
    /// A device that is to be admitted was so before.
    33 "already-admitted" AlreadyAdmitted {
        /// The device.
        device: DeviceId,
        /// The beginning of its verification code.
        code: String,
    } "{device} ({code}) is one of the user's devices already";
    /// This device is in its user's account again.
    34 "recovered" Recovered
        "this device is in its user's account again: revoke lost devices, and ask others to invite the user to \
         their groups again";
    /// Links lead into the group, of which somebody who is to be removed may know.
    35 "links-lead-in" LinksLeadIn {
        /// Who.
        who: Who,
    } "links still lead into the group, and {who} may know one";
    /// The service was replaced, and the user has not acknowledged that.
    36 "service-replaced" ServiceReplaced
        "the service was set up anew or set back, or it lies, as the warning said";
    /// A device was not seen in the group for long, and is removed.
    38 "stale-device" StaleDevice {
        /// Which.
        who: DeviceId,
        /// How many days ago it was seen.
        days: u32,
    } "{who} was not seen here for {days} days: this device removes it, as it may still hold old keys. Its user has another \
       device here, which brings it back when it runs again";
    /// This device was removed from a group when it had been away for long.
    39 "removed-while-away" RemovedWhileAway {
        /// For how many days it had replaced no key of its own.
        days: u32,
    } "this device had been away for {days} days when it was removed: another device of its user's brings it back while both \
       run, or a member can invite it again";
    /// The service has shown two directories, and the user has not acknowledged that.
    37 "service-convicted" ServiceConvicted
        "the service has shown two directories: no device that was not known before is believed until the user acknowledges \
         that";
}

table! {
    /// Something that a user must know of, and decide on. Its text ([`Display`](core::fmt::Display)) is for people and may
    /// change; its [code](Self::code) does not.
    Warning, "warning";

    /// What an earlier version has stored, in its words.
    0 "text" Text { /** The words. */ what: String } "{what}";
    /// The service shows another log under the user's name than the user's devices have made.
    1 "own-log-contradicted" OwnLogContradicted {
        /// How.
        why: String,
    } "the service shows another account log under your name than your devices have made: {why}. Nothing of it is believed. \
       Others may be shown it, too: warn them";
    /// The service contradicts what it said of a user.
    2 "user-contradicted" UserContradicted {
        /// The user.
        user: Name,
        /// How.
        why: String,
    } "what the service says of {user} contradicts what it said before: {why}. Somebody may be putting themselves in \
       {user}'s place. Nothing new of {user} is believed. Ask {user} in another way" Acknowledge;
    /// What the service publishes of the user is not what the user's devices have made.
    3 "own-entry-contradicted" OwnEntryContradicted {
        /// How.
        why: String,
    } "what the service publishes under your name is not what your devices have made: {why}. Others may be shown keys that \
       are not yours. Warn them, and compare codes" CompareCodes;
    /// What the service shows of a user is not what it publishes.
    4 "user-published-differently" UserPublishedDifferently {
        /// The user.
        user: Name,
        /// How.
        why: String,
    } "what the service shows of {user} and what it publishes differ: {why}. Somebody may be putting themselves in {user}'s \
       place. Ask {user} in another way" Acknowledge;
    /// The service has another key, or its directory went back.
    5 "service-replaced" ServiceReplaced {
        /// What has changed.
        what: String,
    } "{what}. It was set up anew or restored from a backup, or it lies, or somebody else answers in its place. This device \
       goes on with it, and believes nothing that contradicts what it knows of accounts. Ask whoever runs the service, and \
       compare codes with people who are new to you" AcknowledgeService;
    /// The service does not show that its directory is the one of before.
    6 "directory-withheld" DirectoryWithheld {
        /// What it does not show.
        why: String,
    } "the service does not show that its directory is the one of before: {why}. That may be a fault, and proves nothing. \
       Until it does, nothing new that it says of anybody's devices is believed; all else goes on. It is asked again" AcknowledgeService;
    /// There is proof that the service has shown two directories.
    7 "two-directories" TwoDirectories {
        /// What was found.
        finding: String,
        /// Where the evidence is, in words.
        evidence: String,
    } "THE SERVICE HAS SHOWN TWO DIRECTORIES, or somebody else has its key. {finding}. Devices that you did not know before \
       are not believed, and do not come into your groups. {evidence}. Show it to the others and to whoever runs the \
       service, and compare codes with whom it matters" AcknowledgeService;
    /// There is proof that the service has gone on with the group's log in two ways.
    8 "two-logs" TwoLogs {
        /// Where the evidence is, in words.
        evidence: String,
    } "THE SERVICE HAS GONE ON WITH THE LOG OF THIS GROUP IN TWO WAYS, or somebody else has its key. What it shows others \
       here is not what it has shown this device. {evidence}. Show it to the others and to whoever runs the service";
    /// A member knows the service by another key.
    9 "other-service-key" OtherServiceKey {
        /// The member.
        by: DeviceId,
    } "{by} knows the service by another key than this device: somebody stands between one of you and the service, or it was \
       set up anew and one of you has not heard of it. Ask {by} in another way, and compare codes" CompareCodes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::MAX_CONTENT;
    use crate::engine::EngineError;
    use crate::names::MAX_GROUP_NAME;
    use crate::reason::{Reason, Remedy, Row};
    use crate::words::WORDS;
    use std::collections::BTreeSet;

    const TABLES: [(&str, &str, &[Row]); 3] = [
        (
            "Reasons",
            "Why a command is refused, something fails, or a group cannot be followed: `Reason`.",
            Reason::TABLE,
        ),
        ("Warnings", "What a user must know of, and decide on: `Warning`.", Warning::TABLE),
        ("Notices", "What else is worth knowing: `Notice`.", Notice::TABLE),
    ];

    /// With `CONCLAVE_RENDER=1` it writes the page instead.
    #[test]
    fn the_page_of_what_is_said_is_as_the_code_has_it() {
        let mut page = include_str!("reason/page.md").to_string();
        for (title, what, table) in TABLES {
            page += &format!("\n## {title}\n\n{what}\n\n| code | text | remedy |\n|---|---|---|\n");
            for (_, code, text, remedy) in table {
                let remedy = remedy.map_or("", Remedy::code);
                page += &format!("| `{code}` | {text} | {remedy} |\n");
            }
        }
        page += "\n## Errors\n\nWhy the engine cannot go on: `EngineError`. It is opened anew from its store, if it can be.\n\n\
                 | code | when | remedy |\n|---|---|---|\n";
        for (error, when) in EngineError::each() {
            let remedy = error.remedy().map_or("", Remedy::code);
            page += &format!("| `{}` | {when} | {remedy} |\n", error.code());
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/engine-reasons.md");
        if std::env::var_os("CONCLAVE_RENDER").is_some() {
            return std::fs::write(path, page).unwrap();
        }
        let is_current = std::fs::read_to_string(path).is_ok_and(|written| written == page);
        let how = "CONCLAVE_RENDER=1 cargo test -p conclave-engine the_page";
        assert!(is_current, "docs/engine-reasons.md is behind the code: {how}");
    }

    #[test]
    fn no_two_rows_of_a_table_have_one_code_or_number() {
        for (_, _, table) in TABLES {
            let numbers: BTreeSet<u16> = table.iter().map(|row| row.0).collect();
            let codes: BTreeSet<&str> = table.iter().map(|row| row.1).collect();
            assert_eq!((numbers.len(), codes.len()), (table.len(), table.len()));
        }
    }

    #[test]
    fn each_error_that_ends_the_engine_has_a_code_of_its_own() {
        let codes: BTreeSet<&str> = EngineError::each().iter().map(|(e, _)| e.code()).collect();
        assert_eq!(codes.len(), EngineError::each().len());
    }

    #[test]
    fn texts_name_the_bounds_that_hold() {
        let texts = [
            (Reason::UnusableName, format!("at most {MAX_GROUP_NAME} bytes")),
            (Reason::TooLong { len: 1 }, format!("at most {MAX_CONTENT} bytes")),
            (Reason::WordCount { count: 1 }, format!("has {WORDS} words")),
        ];
        for (reason, bound) in texts {
            assert!(reason.to_string().contains(&bound), "{reason}");
        }
    }

    /// A host's users know no command of another host's.
    #[test]
    fn no_text_names_a_command_of_the_messengers() {
        for (_, code, text, _) in TABLES.iter().flat_map(|(_, _, table)| *table) {
            assert!(!text.contains(" /") && !text.contains("conclave "), "{code}: {text}");
            assert!(!text.contains("  ") && !text.ends_with('.'), "{code}: {text}");
        }
    }
}
