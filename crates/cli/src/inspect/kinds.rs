//! Kinds of things: how each is read, and which one bytes are of.

use super::checks::{Judged, judge};
use super::value::{Field, Value};
use super::walk::{Context, Found, Read, Stop, Walk};
use super::{account, content, leaf, mls};
use conclave_account::LinkCode;
use conclave_delivery_api::JoinLink;
use conclave_mls::UnixTime;

/// What a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// MLSMessages, one after another (RFC 9420 section 6).
    MlsMessage,
    /// A KeyPackage that is in no MLSMessage (section 10).
    KeyPackage,
    /// A GroupInfo that is in no MLSMessage (section 12.4.3).
    GroupInfo,
    /// A Welcome that is in no MLSMessage (section 12.4.3.1).
    Welcome,
    /// The data of a ratchet_tree extension (section 12.4.3.3).
    RatchetTree,
    /// A LeafNode (section 7.2).
    LeafNode,
    /// A Credential (section 5.3).
    Credential,
    /// A Proposal, which begins with its type (section 12.1); never recognised.
    Proposal,
    /// A Commit (section 12.4); never recognised.
    Commit,
    /// What a message says (draft-ietf-mimi-content-08).
    MimiContent,
    /// What became of messages (draft-mahy-mimi-message-status-01).
    MimiStatus,
    /// Entries of an account log, one after another.
    AccountEntry,
    /// An account log: a vector of entries.
    AccountLog,
    /// The signed root of a directory of accounts.
    DirectoryRoot,
    /// A file of evidence against a service, as `conclave audit` writes it.
    Evidence,
    /// A service's receipt for an entry of a group's log.
    Receipt,
    /// A join link.
    JoinLink,
    /// The code that links a device.
    LinkCode,
}

/// Those that are recognised by their bytes, the likeliest first.
const RECOGNISED: [Kind; 14] = [
    Kind::MlsMessage,
    Kind::Evidence,
    Kind::KeyPackage,
    Kind::GroupInfo,
    Kind::MimiContent,
    Kind::MimiStatus,
    Kind::AccountEntry,
    Kind::AccountLog,
    Kind::DirectoryRoot,
    Kind::Receipt,
    Kind::LeafNode,
    Kind::RatchetTree,
    Kind::Welcome,
    Kind::Credential,
];

/// A thing that was read, or as much of it as could be.
pub(super) struct Item {
    pub(super) at: usize,
    pub(super) bytes: usize,
    pub(super) fields: Vec<Field>,
    pub(super) judged: Judged,
}

/// What a file holds.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) kind: Option<Kind>,
    /// Other kinds that the bytes are of, too.
    pub(super) also: Vec<Kind>,
    pub(super) items: Vec<Item>,
    pub(super) stopped: Option<Stop>,
}

/// How things of a kind are read.
enum Reader {
    /// Field by field.
    Fields(fn(&mut Walk<'_>) -> Read),
    /// Field by field; several may stand one after another.
    Several(fn(&mut Walk<'_>) -> Read),
    /// At once, by a decoder.
    Whole(fn(&[u8]) -> Result<Vec<Field>, Stop>),
}

impl Kind {
    pub(super) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    /// Whether it is text that people copy or type, rather than bytes.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::JoinLink | Self::LinkCode)
    }

    fn reader(self) -> Reader {
        match self {
            Self::MlsMessage => Reader::Several(mls::message),
            Self::KeyPackage => Reader::Fields(leaf::key_package),
            Self::GroupInfo => Reader::Fields(mls::group_info),
            Self::Welcome => Reader::Fields(mls::welcome),
            Self::RatchetTree => Reader::Fields(leaf::ratchet_tree),
            Self::LeafNode => Reader::Fields(leaf::leaf_node),
            Self::Credential => Reader::Fields(leaf::credential),
            Self::Proposal => Reader::Fields(mls::proposal),
            Self::Commit => Reader::Fields(mls::commit),
            Self::AccountEntry => Reader::Several(account::entry),
            Self::AccountLog => Reader::Fields(account::log),
            Self::DirectoryRoot => Reader::Fields(account::signed_root),
            Self::Evidence => Reader::Fields(account::evidence),
            Self::Receipt => Reader::Fields(account::receipt),
            Self::MimiContent => Reader::Whole(content::message),
            Self::MimiStatus => Reader::Whole(content::status),
            Self::JoinLink => Reader::Whole(join_link),
            Self::LinkCode => Reader::Whole(link_code),
        }
    }

    /// How it is read to find out whether bytes are of it.
    fn strict_reader(self) -> Reader {
        match self {
            // Any list of bytes could be a log whose entries are malformed.
            Self::AccountLog => Reader::Fields(account::whole_log),
            kind => kind.reader(),
        }
    }
}

/// A thing that was read, before it is judged.
struct Unjudged {
    at: usize,
    bytes: usize,
    fields: Vec<Field>,
    found: Vec<Found>,
}

/// What was read of a file.
struct Reading {
    items: Vec<Unjudged>,
    stopped: Option<Stop>,
}

impl Reader {
    fn read(&self, bytes: &[u8], given: &Context) -> Reading {
        match self {
            Self::Fields(read) => walk(bytes, *read, false, given),
            Self::Several(read) => walk(bytes, *read, true, given),
            Self::Whole(read) => match read(bytes) {
                Ok(fields) => {
                    let item = Unjudged { at: 0, bytes: bytes.len(), fields, found: Vec::new() };
                    Reading { items: vec![item], stopped: None }
                }
                Err(stop) => Reading { items: Vec::new(), stopped: Some(stop) },
            },
        }
    }
}

fn walk(bytes: &[u8], read: fn(&mut Walk<'_>) -> Read, many: bool, given: &Context) -> Reading {
    let mut w = Walk::new(bytes, given);
    let mut items = Vec::new();
    loop {
        let at = w.at();
        let done = read(&mut w);
        let (fields, found) = w.take();
        let length = if done.is_ok() { w.at() - at } else { bytes.len() - at };
        items.push(Unjudged { at, bytes: length, fields, found });

        if let Err(stop) = done {
            return Reading { items, stopped: Some(stop) };
        }
        if w.is_at_end() || !many {
            return Reading { items, stopped: w.finish().err() };
        }
    }
}

/// Reads a file's text or bytes as of one kind.
pub(super) fn read_as(kind: Kind, bytes: &[u8], given: &Context, now: UnixTime) -> Contents {
    judged(kind, bytes, kind.reader().read(bytes, given), now)
}

/// Judges what was read.
fn judged(kind: Kind, bytes: &[u8], reading: Reading, now: UnixTime) -> Contents {
    let Reading { items, stopped } = reading;
    let judged = |Unjudged { at, bytes: length, fields, found }| Item {
        at,
        bytes: length,
        fields,
        judged: judge(bytes, &found, now),
    };
    let mut items: Vec<Item> = items.into_iter().map(judged).collect();

    if stopped.is_none() {
        let said = of_the_whole(kind, bytes, &items);
        if let (Some(said), Some(last)) = (said, items.last_mut()) {
            last.judged = said;
        }
    }
    Contents { kind: Some(kind), also: Vec::new(), items, stopped }
}

/// What is said of a file that is one thing, or belongs together.
fn of_the_whole(kind: Kind, bytes: &[u8], items: &[Item]) -> Option<Judged> {
    match kind {
        Kind::AccountEntry => {
            let encoded = |item: &Item| bytes.get(item.at..item.at + item.bytes);
            let entries: Vec<&[u8]> = items.iter().filter_map(encoded).collect();
            Some(account::judge_chain(&entries))
        }
        Kind::AccountLog => Some(account::judge_log(bytes)),
        Kind::Evidence => Some(account::judge_evidence(bytes)),
        Kind::DirectoryRoot | Kind::Receipt => Some(account::unsigned()),
        _ => None,
    }
}

/// A link as people copy it. Its secret is not shown.
fn join_link(bytes: &[u8]) -> Result<Vec<Field>, Stop> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    let link: JoinLink = text.parse().map_err(|e| Stop::new(0, "", format!("{e}")))?;
    let public = link.key_pair(&*crate::provider::provider()).map(|pair| pair.public);
    let public = public.map_or(Value::Absent, |key| Value::Bytes(key.to_vec()));
    Ok(vec![
        Field { name: "group_id", value: Value::Text(link.group_id().to_vec()) },
        Field { name: "name", value: Value::Words(link.name().to_string()) },
        Field { name: "public_key", value: public },
        Field { name: "secret", value: Value::Secret(JoinLink::SECRET_BYTES) },
    ])
}

/// A code as people type it. All of it is a secret.
fn link_code(bytes: &[u8]) -> Result<Vec<Field>, Stop> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    let _: LinkCode = text.parse().map_err(|e| Stop::new(0, "", format!("{e}")))?;
    Ok(vec![Field { name: "code", value: Value::Secret(LinkCode::BYTES) }])
}

/// Whether a file is the text of a link or a code.
pub(super) fn recognise_text(file: &[u8]) -> Option<Kind> {
    let begins = |bytes: &[u8]| bytes.trim_ascii_start().to_ascii_lowercase();
    if begins(file.get(..64).unwrap_or(file)).starts_with(JoinLink::PREFIX.as_bytes()) {
        return Some(Kind::JoinLink);
    }
    let text = std::str::from_utf8(file).ok().filter(|text| text.len() < 100)?;
    let is_code = text.contains('-') && text.trim().parse::<LinkCode>().is_ok();
    is_code.then_some(Kind::LinkCode)
}

/// Finds the kind of bytes: the likeliest of those that they are of to the last byte.
pub(super) fn recognise(bytes: &[u8], given: &Context, now: UnixTime) -> Contents {
    // What has its own beginning is of that kind, whole or not.
    if account::is_evidence(bytes) {
        return read_as(Kind::Evidence, bytes, given, now);
    }

    let mut first: Option<(Kind, Reading)> = None;
    let mut also = Vec::new();
    let mut stops: Vec<(Kind, Stop)> = Vec::new();
    let mut message = None;
    for kind in RECOGNISED {
        let mut reading = kind.strict_reader().read(bytes, given);
        match reading.stopped.take() {
            None if first.is_none() => first = Some((kind, reading)),
            None => also.push(kind),
            Some(stop) => {
                if kind == Kind::MlsMessage && matches!(bytes, [0, 1, 0, 1..=6, ..]) {
                    message = Some(Reading { stopped: Some(stop.clone()), ..reading });
                }
                stops.push((kind, stop));
            }
        }
    }
    if let Some((kind, reading)) = first {
        return Contents { also, ..judged(kind, bytes, reading, now) };
    }
    match message {
        Some(reading) => judged(Kind::MlsMessage, bytes, reading, now),
        None => not_recognised(stops),
    }
}

/// Where each of the kinds stops says which one was meant.
fn not_recognised(mut stops: Vec<(Kind, Stop)>) -> Contents {
    stops.sort_by_key(|(_, stop)| std::cmp::Reverse(stop.at));
    let furthest: Vec<String> =
        stops.iter().take(3).map(|(kind, stop)| format!("as {} {stop}", kind.name())).collect();
    let reason = format!(
        "this is none of the kinds that are recognised; --as names one. Reading stops, {}",
        furthest.join("; ")
    );
    Contents { stopped: Some(Stop::new(0, "", reason)), ..Contents::default() }
}
