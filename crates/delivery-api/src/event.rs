use super::{ChainHash, Ending, GroupId, Incarnation, LogPosition, Name, parse_hex, to_hex};
use core::fmt::Write;

/// What the service pushes: hints. The log and the inbox are the truth.
///
/// On the wire a Server-Sent Event: `event: group` with `data: GROUP EPOCH HEAD CHAIN`, the group's
/// identifier and the hash of its log in hexadecimal, `event: ended` with `data: GROUP SUCCESSOR`, both in hexadecimal, or `-` for no successor,
/// `event: account` with `data: USER LENGTH`, `event: certificates` with `data: USER`, `event: inbox`, or
/// `event: incarnation` with `data: ID NUMBER`, the identifier in hexadecimal. A stream begins with the incarnation, one
/// event for the user's own account and for that of each user in a common group, one for each of the device's groups,
/// and one for its inbox unless that is empty, so nothing is missed between two streams; then comes `event: ready`. A
/// comment line comes at least every ten seconds.
///
/// `ready` may have an `id:`. A client that comes back with it in the header
/// [`LAST_EVENT_HEADER`](super::LAST_EVENT_HEADER) is told only of those groups whose logs have grown since; if the service
/// cannot tell, of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The incarnation of the service's state. It comes first, and once.
    Incarnation(Incarnation),
    /// A group's log has grown, or had grown when the stream began.
    Group {
        /// The group.
        group_id: GroupId,
        /// Where it ends.
        position: LogPosition,
    },
    /// A group has ended: it takes nothing more.
    Ended {
        /// The group.
        group_id: GroupId,
        /// How.
        ending: Ending,
    },
    /// A user's account log has grown, or had grown when the stream began: the device's own, or that of somebody it
    /// shares a group with.
    Account {
        /// Whose.
        user: Name,
        /// How many entries it has.
        length: u64,
    },
    /// A user's device has another certificate, or one of them counts no more: the device's own user, or one that
    /// it shares a group with.
    Certificates {
        /// Whose.
        user: Name,
    },
    /// There is something in the inbox.
    Inbox,
    /// All that was there when the stream began has been told.
    Ready,
}

impl Event {
    /// The event as it is sent, with the empty line that ends it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Incarnation(Incarnation { id, number }) => {
                write!(text, "event: incarnation\ndata: {} {number}\n\n", to_hex(id))
            }
            Self::Group { group_id, position: LogPosition { seq, epoch, chain } } => {
                let group = to_hex(group_id);
                write!(text, "event: group\ndata: {group} {epoch} {seq} {chain}\n\n")
            }
            Self::Ended { group_id, ending } => {
                let group = to_hex(group_id);
                let successor = ending.successor().map_or("-".into(), |id| to_hex(id));
                write!(text, "event: ended\ndata: {group} {successor}\n\n")
            }
            Self::Account { user, length } => {
                write!(text, "event: account\ndata: {user} {length}\n\n")
            }
            Self::Certificates { user } => {
                write!(text, "event: certificates\ndata: {user}\n\n")
            }
            Self::Inbox => write!(text, "event: inbox\ndata: -\n\n"),
            Self::Ready => write!(text, "event: ready\ndata: -\n\n"),
        };
        text
    }
}

/// Reads events from the lines of a stream. What it does not know it passes over.
#[derive(Clone, Debug, Default)]
pub struct EventParser {
    event: String,
    data: String,
    id: Option<String>,
    last_id: Option<String>,
}

/// The longest identifier of an event that is kept, in bytes.
const MAX_ID: usize = 128;

impl EventParser {
    /// The identifier of the last event that had one: up to where all is told. An identifier that a header cannot hold is
    /// dropped.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Takes one line, without its end, and gives the event that it completes.
    pub fn line(&mut self, line: &str) -> Option<Event> {
        if let Some(event) = line.strip_prefix("event: ") {
            self.event = event.into();
        } else if let Some(data) = line.strip_prefix("data: ") {
            self.data = data.into();
        } else if let Some(id) = line.strip_prefix("id: ") {
            self.id = Some(id.into());
        } else if line.is_empty() {
            let Self { event, data, id, last_id } = core::mem::take(self);
            let fits = |id: &String| {
                (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
            };
            self.last_id = if id.is_some() { id.filter(fits) } else { last_id };
            return match event.as_str() {
                "incarnation" => parse_incarnation(&data),
                "group" => parse_group(&data),
                "ended" => parse_ended(&data),
                "account" => parse_account(&data),
                "certificates" => Some(Event::Certificates { user: data.parse().ok()? }),
                "inbox" => Some(Event::Inbox),
                "ready" => Some(Event::Ready),
                _ => None,
            };
        }
        None
    }
}

fn parse_group(data: &str) -> Option<Event> {
    let mut words = data.split(' ');
    // An empty identifier is an empty word.
    let group_id = parse_hex(words.next()?)?.into();
    let epoch = words.next()?.parse().ok()?;
    let seq = words.next()?.parse().ok()?;
    let chain = ChainHash(parse_hex(words.next()?)?.try_into().ok()?);
    Some(Event::Group { group_id, position: LogPosition { seq, epoch, chain } })
}

fn parse_incarnation(data: &str) -> Option<Event> {
    let (id, number) = data.split_once(' ')?;
    let id = parse_hex(id)?.try_into().ok()?;
    Some(Event::Incarnation(Incarnation { id, number: number.parse().ok()? }))
}

fn parse_ended(data: &str) -> Option<Event> {
    let (group, successor) = data.split_once(' ')?;
    let ending = match successor {
        "-" => Ending::Unsucceeded,
        // An empty one is none.
        successor => GroupId::from(parse_hex(successor)?).into(),
    };
    Some(Event::Ended { group_id: parse_hex(group)?.into(), ending })
}

fn parse_account(data: &str) -> Option<Event> {
    let (user, length) = data.split_once(' ')?;
    Some(Event::Account { user: user.parse().ok()?, length: length.parse().ok()? })
}
