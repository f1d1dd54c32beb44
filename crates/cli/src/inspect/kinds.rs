//! Kinds of things: how each is read, and which one bytes are of.

use super::checks::{Judged, judge};
use super::value::{Field, Value};
use super::walk::{Context, Found, Stop, Walk};
use super::{account, content, leaf, mls};
use conclave_account::LinkCode;
use conclave_delivery_api::JoinLink;
use conclave_mls::UnixTime;

/// What a file can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// MLSMessages, one behind the other (RFC 9420 section 6).
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
    /// Entries of an account log, one behind the other.
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

type Read = fn(&mut Walk<'_>) -> Result<(), Stop>;

impl Kind {
    pub(super) fn name(self) -> String {
        let value = clap::ValueEnum::to_possible_value(&self);
        value.map(|value| value.get_name().to_string()).unwrap_or_default()
    }

    /// How its fields are read one by one, and whether several may stand one behind the other.
    fn reader(self) -> Option<(Read, bool)> {
        Some(match self {
            Self::MlsMessage => (mls::message, true),
            Self::KeyPackage => (leaf::key_package, false),
            Self::GroupInfo => (mls::group_info, false),
            Self::Welcome => (mls::welcome, false),
            Self::RatchetTree => (leaf::ratchet_tree, false),
            Self::LeafNode => (leaf::leaf_node, false),
            Self::Credential => (leaf::credential, false),
            Self::Proposal => (mls::proposal, false),
            Self::Commit => (mls::commit, false),
            Self::AccountEntry => (account::entry, true),
            Self::AccountLog => (account::log, false),
            Self::DirectoryRoot => (account::signed_root, false),
            Self::Evidence => (account::evidence, false),
            Self::Receipt => (account::receipt, false),
            Self::MimiContent | Self::MimiStatus | Self::JoinLink | Self::LinkCode => return None,
        })
    }
}

/// Reads a file's text or bytes as of one kind.
pub(super) fn read_as(kind: Kind, bytes: &[u8], given: &Context, now: UnixTime) -> Contents {
    let (items, stopped) = match (kind.reader(), kind) {
        (Some((read, many)), _) => walk(kind, bytes, (read, many), given, now),
        (None, Kind::MimiContent) => whole(bytes, content::message(bytes)),
        (None, Kind::MimiStatus) => whole(bytes, content::status(bytes)),
        (None, Kind::JoinLink) => whole(bytes, join_link(bytes)),
        (None, _) => whole(bytes, link_code(bytes)),
    };
    Contents { kind: Some(kind), also: Vec::new(), items, stopped }
}

/// What a decoder gives at once.
fn whole(bytes: &[u8], read: Result<Vec<Field>, Stop>) -> (Vec<Item>, Option<Stop>) {
    match read {
        Ok(fields) => {
            let item = Item { at: 0, bytes: bytes.len(), fields, judged: Judged::default() };
            (vec![item], None)
        }
        Err(stop) => (Vec::new(), Some(stop)),
    }
}

fn walk(
    kind: Kind,
    bytes: &[u8],
    (read, many): (Read, bool),
    given: &Context,
    now: UnixTime,
) -> (Vec<Item>, Option<Stop>) {
    let mut w = Walk::new(bytes, given);
    let mut items: Vec<Item> = Vec::new();
    let stopped = loop {
        let at = w.at();
        let done = read(&mut w);
        let (fields, found): (Vec<Field>, Vec<Found>) = w.take();
        let length = if done.is_ok() { w.at() - at } else { bytes.len() - at };
        let judged = judge(bytes, &found, now);
        items.push(Item { at, bytes: length, fields, judged });
        if let Err(stop) = done {
            break Some(stop);
        }
        if w.is_at_end() || !many {
            break w.finish().err();
        }
    };

    if stopped.is_none() {
        let encoded = |item: &Item| bytes.get(item.at..item.at + item.bytes).unwrap_or_default();
        let said = match kind {
            Kind::AccountEntry => {
                Some(account::judge_chain(&items.iter().map(encoded).collect::<Vec<_>>()))
            }
            Kind::AccountLog => Some(account::judge_log(bytes)),
            Kind::Evidence => Some(account::judge_evidence(bytes)),
            Kind::DirectoryRoot | Kind::Receipt => Some(account::unsigned()),
            _ => None,
        };
        if let (Some(said), Some(last)) = (said, items.last_mut()) {
            last.judged = said;
        }
    }
    (items, stopped)
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
    if begins(file.get(..64).unwrap_or(file)).starts_with(b"conclave-join-") {
        return Some(Kind::JoinLink);
    }
    let text = std::str::from_utf8(file).ok().filter(|text| text.len() < 100)?;
    let is_code = text.contains('-') && text.trim().parse::<LinkCode>().is_ok();
    is_code.then_some(Kind::LinkCode)
}

/// Finds the kind of bytes: the likeliest of those that they are of to the last byte.
pub(super) fn recognise(bytes: &[u8], given: &Context, now: UnixTime) -> Contents {
    // What has its own beginning is of that kind, whole or not.
    let marked = [account::EVIDENCE, account::LOG_EVIDENCE];
    if marked.iter().any(|mark| bytes.starts_with(mark)) {
        return read_as(Kind::Evidence, bytes, given, now);
    }
    let reads = |kind: &Kind| stop_of(*kind, bytes, given).is_none();
    let mut kinds = RECOGNISED.into_iter().filter(reads);
    if let Some(kind) = kinds.next() {
        let also = kinds.collect();
        return Contents { also, ..read_as(kind, bytes, given, now) };
    }
    if let [0, 1, 0, 1..=6, ..] = bytes {
        return read_as(Kind::MlsMessage, bytes, given, now);
    }

    // Where each of them stops says which one was meant.
    let mut stops: Vec<(Kind, Stop)> = RECOGNISED
        .into_iter()
        .filter_map(|kind| Some((kind, stop_of(kind, bytes, given)?)))
        .collect();
    stops.sort_by_key(|(_, stop)| std::cmp::Reverse(stop.at));
    let furthest: Vec<String> =
        stops.iter().take(3).map(|(kind, stop)| format!("as {} {stop}", kind.name())).collect();
    let reason = format!(
        "this is none of the kinds that are recognised; --as names one. Reading stops, {}",
        furthest.join("; ")
    );
    Contents { stopped: Some(Stop::new(0, "", reason)), ..Contents::default() }
}

/// Where reading bytes as of a kind stops, if it does before their end.
fn stop_of(kind: Kind, bytes: &[u8], given: &Context) -> Option<Stop> {
    let Some((read, many)) = kind.reader() else {
        return match kind {
            Kind::MimiContent => content::message(bytes).err(),
            _ => content::status(bytes).err(),
        };
    };
    let mut w = Walk::new(bytes, given);
    loop {
        if let Err(stop) = read(&mut w) {
            return Some(stop);
        }
        w.take();
        if w.is_at_end() || !many {
            return w.finish().err();
        }
    }
}
