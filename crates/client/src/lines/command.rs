//! What a user can say.

use super::chat::{ChatCommand, parse_chat};
use super::files::{FileCommand, parse_files};
use super::profiles::{ProfileCommand, parse_profile};
use super::rooms::{ALL_TIME, parse_expiry, parse_preauth, parse_reports};
use super::suites::{SuiteError, find_suite};
use super::text::unescaped;
use super::time::{DAY, parse_duration};
use conclave_delivery_api::{DeviceId, Name};
use conclave_engine::{Command as Wish, Content, RoomChange, RoomPolicy, Who};
use core::fmt;

/// The longest line that a user can write, in bytes, without its end.
pub const MAX_LINE: usize = 64 * 1024;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A command, or something to say.
    Command(Command),
    /// Show what can be said.
    Help,
    /// End.
    Quit,
}

/// What a user asks for. Groups are called by their names, or are the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Something that the engine does, and that is not about a group that this device knows.
    Wish(Wish),
    /// Add devices to the current group.
    Invite(Vec<Who>),
    /// Remove devices from the current group.
    Remove(Vec<Who>),
    /// Make a link into the current group.
    InviteLink {
        /// How many devices may join by it.
        max_uses: u32,
        /// For how many seconds.
        lifetime: u64,
    },
    /// List the links into the current group.
    Links,
    /// Revoke a link into the current group, by its number.
    Unlink(u32),
    /// Show the current room: its name, topic, picture, and who has which role.
    Room,
    /// List the preauthorized users of the current room, who join by a link in the role of that list.
    Preauthorized,
    /// Change the current room.
    ChangeRoom(RoomChange),
    /// List the current group's members.
    Members,
    /// List all groups.
    Groups,
    /// Make another group the current one.
    Switch(String),
    /// Leave the current group.
    Leave,
    /// Begin the current group anew.
    Reset,
    /// Accept a group that somebody has brought this device into; the only such group, if none is named.
    Accept(Option<String>),
    /// Leave such a group with this device.
    Decline(Option<String>),
    /// Show the codes to compare with somebody.
    Verify(Who),
    /// List a user's devices; the own ones, if nobody is named.
    Devices(Option<Name>),
    /// Something about what was said in the current group.
    Chat(ChatCommand),
    /// Something about files in the current group.
    File(FileCommand),
    /// Something about what users say of themselves.
    Profile(ProfileCommand),
    /// Show the last messages of the current group.
    History(usize),
    /// Ask the user's other devices in the current group for what was said before this one came in.
    AskHistory,
    /// Give that to another device, by its name.
    GiveHistory(Name),
    /// Say something in the current group.
    Send(Content),
    /// Send what was kept to be sent in the current group.
    SendDraft,
}

/// Why a line is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// There is nothing on it.
    Empty,
    /// It is longer than [`MAX_LINE`].
    TooLong,
    /// It begins with a command, and has more lines.
    Lines,
    /// There is no such command.
    Unknown(String),
    /// The command is written otherwise: how.
    Usage(&'static str),
    /// A name cannot be one.
    Name(String),
    /// A word names no suite, or several.
    Suite(SuiteError),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing to do"),
            Self::TooLong => {
                write!(f, "the line is longer than {MAX_LINE} bytes: nothing of it is said or done")
            }
            Self::Lines => f.write_str(
                "a command takes one line, and this has several: nothing of it is said or done",
            ),
            Self::Unknown(what) => write!(f, "there is no command {what}; /help lists them"),
            Self::Usage(usage) => write!(f, "usage: {usage}"),
            Self::Name(what) => f.write_str(what),
            Self::Suite(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for LineError {}

/// The commands, for people.
const HELP: &[(&str, &str)] = &[
    ("/new NAME [SUITE]", "make a group; classic as SUITE: for those without post-quantum suites"),
    ("/invite USER...", "add all devices of users that are not in yet"),
    (
        "/invite-link",
        "make a link: who has it joins; --uses 1 --expires 7d, if you say nothing else",
    ),
    ("/links", "list the links into the group"),
    ("/unlink N", "revoke a link"),
    ("/join LINK", "join a group by a link"),
    ("/remove USER...", "remove users; USER/DEVICE, here too, is one device"),
    ("/direct USER", "make a direct chat with USER: nobody else is ever added"),
    ("/room", "show the group's topic, picture and policies, and who has which role"),
    ("/rename NAME", "give the group another name; the service can read it"),
    ("/topic [TEXT]", "set the topic, none without TEXT; the service can read it"),
    ("/picture [URI]", "set the picture, none without URI; the service can read it"),
    ("/role USER ROLE", "give USER a role: visitor, member, moderator, admin, owner or banned"),
    ("/preauth", "list users who join by a link in another role; add USER [ROLE], remove USER"),
    ("/expiry TIME", "let messages disappear after TIME, as 12h or 7d; off: each sender chooses"),
    ("/expiry forbid", "let no message disappear by itself"),
    (
        "/reports require",
        "have members report what they received and read; or allow it, or forbid it",
    ),
    ("/members", "list members, each with its verification code"),
    ("/profile name TEXT", "be shown as TEXT beside your name, in all your groups"),
    ("/profile picture FILE", "give yourself a picture: PNG, JPEG or WebP, 32 KiB at most"),
    ("/profile remove", "remove both; /profile alone shows them"),
    ("/profile USER", "show what USER says of themselves; save PATH after it saves the picture"),
    ("/verify USER", "show the code that you and USER should both see"),
    ("/groups", "list groups"),
    ("/switch NAME", "talk in another group"),
    ("/reply N TEXT", "answer message N; each message is shown with its number"),
    ("/react N SYMBOL...", "react to message N; /unreact N takes it back"),
    ("/edit N TEXT", "say TEXT instead of what you said as message N"),
    ("/delete N", "delete what you said as message N, for everybody"),
    ("/expire TIME TEXT", "say TEXT, which disappears after TIME; read TIME counts from reading"),
    ("/draft [TEXT]", "keep TEXT without sending it; without TEXT: show what you kept"),
    ("/draft send", "send what you kept; clear: throw it away; -- TEXT: keep any TEXT"),
    ("/send FILE [TEXT]", "send a file, encrypted; quotes go around a name with spaces"),
    ("/send --expires TIME", "... a file that disappears; FILE [TEXT] follow"),
    ("/save N [PATH]", "save the file of message N, here or under PATH"),
    ("/cancel [N]", "stop sending or saving a file; N is the number that it began with"),
    ("/history [N] [before M]", "show the last N messages (20), or those before number M"),
    ("/history ask", "on a new device: ask your others for what was said before it came in"),
    ("/history give DEVICE", "give that to a device of yours that asks, as far as groups allow it"),
    ("/history allow [TIME]", "let new devices be given all of the group, or of the last 30d"),
    ("/history forbid", "let new devices be given nothing of what was said in the group"),
    ("/mentions [before M]", "show the last messages that mention you by @NAME"),
    ("/search WORDS [before M]", "show messages that have all these words, the latest first"),
    ("/unread", "how many messages you have not read, in each group"),
    ("/read [N]", "mark all messages as read, or those up to message N"),
    ("/receipts on", "tell others what you have received and read; off by default"),
    (
        "/export FILE",
        "write all that was said here to FILE: as JSON if it ends in .json, as text if not",
    ),
    ("/accept [NAME]", "take an invitation: talk in that group, and trust whoever invited you"),
    ("/decline [NAME]", "refuse an invitation: this device leaves that group"),
    ("/block USER", "take no invitations of USER's; to /invite USER undoes it"),
    ("/link CODE", "admit your device that shows this code, here and to all your groups"),
    ("/devices [USER]", "list your devices, or USER's: since when, and added by which"),
    ("/revoke DEVICE", "shut out a device of yours for good"),
    ("/recovery", "make a recovery key: words on paper, for when all your devices are lost"),
    ("/recover WORD...", "on a new device that shows a code: get your account back by those words"),
    ("/acknowledge USER", "after a warning: take USER for who the service says now"),
    ("/acknowledge service", "after a warning about the service: go on with it as it is now"),
    ("/leave", "leave the group; forget it, if the service has lost it"),
    ("/reset", "begin the group anew with the same members, if it cannot go on"),
    ("/quit", "end; what could not be sent is sent next time"),
    ("anything else", "say it in the current group (//text says /text)"),
    ("/say TEXT", r"say it, with \n for a line end, \t, \\ for \ and \u{1F35C} for a character"),
];

/// The commands, as one line for scripts.
#[must_use]
pub fn help_line() -> String {
    let commands: Vec<&str> = HELP.iter().map(|(command, _)| *command).collect();
    format!("help {}", commands.join("; "))
}

/// The commands, for people.
#[must_use]
pub fn help_text() -> String {
    let line = |(command, what): &(&str, &str)| format!("  {command:<18} {what}");
    HELP.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn parse_who(word: &str) -> Result<Who, LineError> {
    let named = |e| LineError::Name(format!("{word:?}: {e}"));
    match word.contains('/') {
        true => {
            let DeviceId { user, device } = word.parse().map_err(named)?;
            Ok(Who { user, device: Some(device) })
        }
        false => Ok(Who { user: word.parse::<Name>().map_err(named)?, device: None }),
    }
}

fn parse_name(word: &str) -> Result<Name, LineError> {
    word.parse().map_err(|e| LineError::Name(format!("{word:?}: {e}")))
}

/// Has a policy of the current room say something.
fn set_policy(policy: RoomPolicy) -> Command {
    Command::ChangeRoom(RoomChange::Policy(policy))
}

fn parse_all(words: &[&str], usage: &'static str) -> Result<Vec<Who>, LineError> {
    match words {
        [] => Err(LineError::Usage(usage)),
        words => words.iter().map(|word| parse_who(word)).collect(),
    }
}

/// How many devices join by a link, if nothing else is said: whoever passes it on does not let others in besides.
const USUAL_USES: u32 = 1;
const MAX_USES: u32 = 10_000;
/// For how long a link is good, if nothing else is said, and at most, in seconds.
const USUAL_LIFETIME: u64 = 7 * DAY;
const MAX_LIFETIME: u64 = 90 * DAY;

fn parse_lifetime(word: &str) -> Option<u64> {
    parse_duration(word).filter(|seconds| *seconds <= MAX_LIFETIME)
}

fn parse_invite_link(words: &[&str]) -> Result<Command, LineError> {
    const USAGE: LineError = LineError::Usage(
        "/invite-link [--uses N] [--expires TIME]: N up to 10000, TIME as 30s, 30m, 12h, 7d or 4w, up to 90d",
    );
    let (mut max_uses, mut lifetime) = (USUAL_USES, USUAL_LIFETIME);
    for option in words.chunks(2) {
        match option {
            ["--uses", n] => {
                let n = n.parse().ok().filter(|n| (1..=MAX_USES).contains(n));
                max_uses = n.ok_or(USAGE)?;
            }
            ["--expires", time] => lifetime = parse_lifetime(time).ok_or(USAGE)?,
            _ => return Err(USAGE),
        }
    }
    Ok(Command::InviteLink { max_uses, lifetime })
}

fn said(text: impl Into<String>) -> Input {
    Input::Command(Command::Send(Content::from_text(text)))
}

/// Reads a command.
fn parse_command(command: &str, words: &[&str]) -> Result<Command, LineError> {
    match (command, words) {
        ("/new", [name, suite @ ..]) if suite.len() <= 1 => {
            let suite = suite.first().map(|word| find_suite(word)).transpose();
            let suite = suite.map_err(LineError::Suite)?;
            Ok(Command::Wish(Wish::New { name: (*name).to_string(), suite }))
        }
        ("/new", _) => Err(LineError::Usage("/new NAME [SUITE], the name being one word")),
        ("/invite", words) => Ok(Command::Invite(parse_all(words, "/invite USER...")?)),
        ("/invite-link", words) => parse_invite_link(words),
        ("/links", []) => Ok(Command::Links),
        ("/unlink", [number]) => match number.parse() {
            Ok(number) => Ok(Command::Unlink(number)),
            Err(_) => Err(LineError::Usage("/unlink N; /links lists them")),
        },
        ("/unlink", _) => Err(LineError::Usage("/unlink N; /links lists them")),
        ("/join", [link]) => match link.parse() {
            Ok(link) => Ok(Command::Wish(Wish::Join(link))),
            Err(e) => Err(LineError::Name(format!("{e}"))),
        },
        ("/join", _) => Err(LineError::Usage("/join LINK, as you were given it")),
        ("/remove", words) => Ok(Command::Remove(parse_all(words, "/remove USER...")?)),
        ("/direct", [user]) => {
            Ok(Command::Wish(Wish::Direct { user: parse_name(user)?, suite: None }))
        }
        ("/direct", _) => Err(LineError::Usage("/direct USER")),
        ("/room", []) => Ok(Command::Room),
        ("/rename", [name]) => Ok(Command::ChangeRoom(RoomChange::Name((*name).to_string()))),
        ("/rename", _) => Err(LineError::Usage("/rename NAME, the name being one word")),
        ("/topic", words) => Ok(Command::ChangeRoom(RoomChange::Topic(words.join(" ")))),
        ("/picture", []) => Ok(Command::ChangeRoom(RoomChange::Picture(String::new()))),
        ("/picture", [uri]) => Ok(Command::ChangeRoom(RoomChange::Picture((*uri).to_string()))),
        ("/picture", _) => Err(LineError::Usage("/picture [URI]")),
        ("/role", [user, role]) => {
            let (user, role) = (parse_name(user)?, (*role).to_string());
            Ok(Command::ChangeRoom(RoomChange::Role { user, role }))
        }
        ("/role", _) => Err(LineError::Usage("/role USER ROLE; /room lists them")),
        ("/preauth", []) => Ok(Command::Preauthorized),
        ("/preauth", words) => parse_preauth(words).map(Command::ChangeRoom).ok_or(
            LineError::Usage("/preauth, /preauth add USER [ROLE] or /preauth remove USER"),
        ),
        ("/expiry", words) => parse_expiry(words).map(set_policy).ok_or(LineError::Usage(
            "/expiry TIME, off or forbid; TIME as 30s, 30m, 12h, 7d or 4w, up to 52w; before it the shortest time, if senders may choose",
        )),
        ("/reports", words) => parse_reports(words).map(set_policy).ok_or(
            LineError::Usage("/reports DELIVERED [READ], each of them allow, require or forbid"),
        ),
        ("/members", []) => Ok(Command::Members),
        ("/groups", []) => Ok(Command::Groups),
        ("/switch", [name]) => Ok(Command::Switch((*name).to_string())),
        ("/switch", _) => Err(LineError::Usage("/switch NAME; /groups lists them")),
        ("/leave", []) => Ok(Command::Leave),
        ("/reset", []) => Ok(Command::Reset),
        ("/accept", []) => Ok(Command::Accept(None)),
        ("/accept", [name]) => Ok(Command::Accept(Some((*name).to_string()))),
        ("/accept", _) => Err(LineError::Usage("/accept [NAME]; /groups lists them")),
        ("/decline", []) => Ok(Command::Decline(None)),
        ("/decline", [name]) => Ok(Command::Decline(Some((*name).to_string()))),
        ("/decline", _) => Err(LineError::Usage("/decline [NAME]; /groups lists them")),
        ("/block", [who]) => Ok(Command::Wish(Wish::Block(parse_who(who)?))),
        ("/block", _) => Err(LineError::Usage("/block USER")),
        ("/verify", [who]) => Ok(Command::Verify(parse_who(who)?)),
        ("/verify", _) => Err(LineError::Usage("/verify USER")),
        ("/link", words @ [_, ..]) => {
            let code = words.concat().parse();
            let code = code.map_err(|e| LineError::Name(format!("{e}")))?;
            Ok(Command::Wish(Wish::Link(code)))
        }
        ("/link", _) => Err(LineError::Usage("/link CODE, as the new device shows it")),
        ("/revoke", [device]) => Ok(Command::Wish(Wish::Revoke(parse_name(device)?))),
        ("/revoke", _) => Err(LineError::Usage("/revoke DEVICE; /devices lists them")),
        ("/recovery", []) => Ok(Command::Wish(Wish::Recovery(None))),
        ("/recovery", ["confirm", one, two]) => {
            let words = [(*one).to_string(), (*two).to_string()];
            Ok(Command::Wish(Wish::ConfirmRecovery(words)))
        }
        ("/recovery", ["confirm", ..]) => {
            Err(LineError::Usage("/recovery confirm WORD WORD: the two that were asked for"))
        }
        ("/recovery", words) => Ok(Command::Wish(Wish::Recovery(Some(words.join(" "))))),
        ("/recover", words @ [_, ..]) => Ok(Command::Wish(Wish::Recover(words.join(" ")))),
        ("/recover", _) => Err(LineError::Usage("/recover WORD..., as you wrote them down")),
        ("/devices", []) => Ok(Command::Devices(None)),
        ("/devices", [user]) => Ok(Command::Devices(Some(parse_name(user)?))),
        ("/devices", _) => Err(LineError::Usage("/devices [USER]")),
        ("/acknowledge", ["service"]) => Ok(Command::Wish(Wish::AcknowledgeService)),
        ("/acknowledge", [user]) => Ok(Command::Wish(Wish::Acknowledge(parse_name(user)?))),
        ("/acknowledge", _) => Err(LineError::Usage("/acknowledge USER, or /acknowledge service")),
        ("/draft", ["send"]) => Ok(Command::SendDraft),
        ("/history", []) => Ok(Command::History(20)),
        ("/history", ["ask"]) => Ok(Command::AskHistory),
        ("/history", ["give", device]) => Ok(Command::GiveHistory(parse_name(device)?)),
        ("/history", ["forbid"]) => Ok(set_policy(RoomPolicy::History(None))),
        ("/history", ["allow"]) => Ok(set_policy(RoomPolicy::History(Some(ALL_TIME)))),
        ("/history", ["allow", time]) => {
            let seconds = parse_duration(time).and_then(|seconds| u32::try_from(seconds).ok());
            let usage = LineError::Usage("/history allow [TIME], TIME as 30s, 30m, 12h, 30d or 52w");
            let seconds = seconds.ok_or(usage)?;
            Ok(set_policy(RoomPolicy::History(Some(seconds))))
        }
        ("/history", [n]) => match n.parse() {
            Ok(n) => Ok(Command::History(n)),
            Err(_) => Err(LineError::Usage("/history [N]")),
        },
        ("/say", _) => Err(LineError::Usage("/say TEXT")),
        ("/members" | "/room" | "/groups" | "/links" | "/leave" | "/quit" | "/exit", _) => {
            Err(LineError::Usage("this command stands alone"))
        }
        (other, _) => Err(LineError::Unknown(other.to_string())),
    }
}

/// Reads a line. Text may hold line ends: a terminal gives them out where several lines were
/// pasted.
///
/// # Errors
/// If it begins with `/` and is no command, or is empty or too long.
pub fn parse_line(line: &str) -> Result<Input, LineError> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.len() > MAX_LINE {
        return Err(LineError::TooLong);
    }
    if line.trim().is_empty() {
        return Err(LineError::Empty);
    }

    if let Some(text) = line.strip_prefix("//") {
        return Ok(said(format!("/{text}")));
    }
    if !line.starts_with('/') {
        return Ok(said(line.to_string()));
    }

    if line.contains(['\r', '\n']) {
        return Err(LineError::Lines);
    }
    if let Some(text) = line.strip_prefix("/say ") {
        let text = unescaped(text).filter(|text| !text.trim().is_empty());
        let usage =
            LineError::Usage(r"/say TEXT, with \\ for each \ that is not \n, \t or \u{HEX}");
        return text.map(said).ok_or(usage);
    }

    if let Some(parsed) = parse_chat(line) {
        let command = parsed.map_err(LineError::Usage)?;
        return Ok(Input::Command(Command::Chat(command)));
    }

    if let Some(parsed) = parse_files(line) {
        let command = parsed.map_err(LineError::Usage)?;
        return Ok(Input::Command(Command::File(command)));
    }

    if let Some(parsed) = parse_profile(line) {
        let command = parsed.map_err(LineError::Usage)?;
        return Ok(Input::Command(Command::Profile(command)));
    }

    let mut words = line.split_whitespace();
    let command = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    match (command, words.as_slice()) {
        ("/help", _) => Ok(Input::Help),
        ("/quit" | "/exit", []) => Ok(Input::Quit),
        (command, words) => parse_command(command, words).map(Input::Command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_engine::MessageExpiration;
    use conclave_mls::CipherSuite;

    fn command(line: &str) -> Result<Command, LineError> {
        parse_line(line).map(|input| match input {
            Input::Command(command) => command,
            other => panic!("{line:?}: {other:?}"),
        })
    }

    #[test]
    fn what_begins_with_a_slash_is_a_command_and_all_else_is_said() {
        let lunch = |suite| Ok(Command::Wish(Wish::New { name: "lunch".into(), suite }));
        assert_eq!(command("/new lunch\n"), lunch(None));
        assert_eq!(command("/new lunch classic"), lunch(Some(CipherSuite(1))));
        assert!(matches!(command("/new lunch at noon"), Err(LineError::Usage(_))));
        assert!(matches!(command("/new lunch noon"), Err(LineError::Suite(_))));
        assert_eq!(command(" /new lunch"), Ok(Command::Send(Content::from_text(" /new lunch"))));
        assert_eq!(
            command("//etc is a folder"),
            Ok(Command::Send(Content::from_text("/etc is a folder")))
        );
        assert_eq!(command("/nwe x"), Err(LineError::Unknown("/nwe".into())));
        assert_eq!(command("  "), Err(LineError::Empty));
    }

    #[test]
    fn say_reads_the_escapes_that_scripts_are_shown() {
        let text = |text: &str| Ok(Command::Send(Content::from_text(text)));
        assert_eq!(command(r"/say foo\nbar\\n"), text("foo\nbar\\n"));
        assert_eq!(command(r"foo\nbar"), text(r"foo\nbar"));
        assert_eq!(command("/say  /leave"), text(" /leave"));
        for wrong in ["/say", "/say ", r"/say \n", r"/say a\b", "/say a\\"] {
            assert!(matches!(command(wrong), Err(LineError::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn a_command_has_one_line_and_no_line_is_too_long() {
        assert_eq!(command("/leave\n/leave"), Err(LineError::Lines));
        assert_eq!(command("//a\nb"), Ok(Command::Send(Content::from_text("/a\nb"))));
        let longest = "x".repeat(MAX_LINE);
        assert_eq!(
            command(&format!("{longest}\r\n")),
            Ok(Command::Send(Content::from_text(longest.clone())))
        );
        assert_eq!(command(&(longest + "x")), Err(LineError::TooLong));
    }

    #[test]
    fn a_link_is_good_once_and_for_a_week_unless_something_else_is_said() {
        let link = |max_uses, lifetime| Ok(Command::InviteLink { max_uses, lifetime });
        assert_eq!(command("/invite-link"), link(1, 604_800));
        assert_eq!(command("/invite-link --uses 20"), link(20, 604_800));
        assert_eq!(command("/invite-link --expires 90m --uses 2"), link(2, 5_400));
        assert_eq!(command("/invite-link --expires 12w"), link(1, 12 * 604_800));
        for wrong in [
            "--uses",
            "--uses 0",
            "--uses 10001",
            "--uses -1",
            "--expires 0d",
            "--expires 91d",
            "--expires 7",
            "--expires d",
            "--expires ü",
            "--expires 9999999999999999999d",
            "bob",
        ] {
            let parsed = command(&format!("/invite-link {wrong}"));
            assert!(matches!(parsed, Err(LineError::Usage(_))), "{wrong}");
        }
        assert!(matches!(command("/join conclave-join-0"), Err(LineError::Name(_))));
        assert_eq!(command("/unlink 3"), Ok(Command::Unlink(3)));
    }

    #[test]
    fn a_room_is_changed_by_one_line_each() {
        let change = |line: &str| match command(line) {
            Ok(Command::ChangeRoom(change)) => change,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(change("/topic soup at  noon"), RoomChange::Topic("soup at noon".into()));
        assert_eq!(change("/topic"), RoomChange::Topic(String::new()));
        assert_eq!(change("/rename dinner"), RoomChange::Name("dinner".into()));
        assert_eq!(change("/picture"), RoomChange::Picture(String::new()));
        let role = RoomChange::Role { user: "bob".parse().unwrap(), role: "admin".into() };
        assert_eq!(change("/role bob admin"), role);
        let policy = MessageExpiration::after(604_800);
        assert_eq!(change("/expiry 7d"), RoomChange::Policy(RoomPolicy::Expiry(policy)));
        let (user, role) = ("bob".parse().unwrap(), Some("admin".into()));
        let preauthorized = RoomChange::Preauthorized { user, role };
        assert_eq!(change("/preauth add bob admin"), preauthorized);
        assert_eq!(command("/preauth"), Ok(Command::Preauthorized));
        let open = RoomPolicy::Expiry(MessageExpiration::OPEN);
        assert_eq!(change("/expiry off"), RoomChange::Policy(open));
        let wrong = ["/rename", "/rename a b", "/role bob", "/room x", "/direct", "/picture a b"];
        for wrong in wrong.into_iter().chain(["/expiry", "/expiry 7", "/reports", "/reports on"]) {
            assert!(matches!(command(wrong), Err(LineError::Usage(_))), "{wrong}");
        }
    }

    #[test]
    fn users_and_single_devices_can_be_named() {
        let Ok(Command::Invite(who)) = command("/invite bob carol/phone") else { panic!() };
        assert_eq!(who.iter().map(ToString::to_string).collect::<Vec<_>>(), ["bob", "carol/phone"]);
        assert!(matches!(command("/invite Bob"), Err(LineError::Name(_))));
        assert!(matches!(command("/invite"), Err(LineError::Usage(_))));
    }
}
