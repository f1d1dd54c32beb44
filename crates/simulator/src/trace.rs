//! What happens, one line for each event, in columns that an eye can follow.

use conclave_engine::GroupId;

/// A group's identifier in a few characters.
pub(crate) fn short(id: &GroupId) -> String {
    id.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Where something happened in a group, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The group, in short.
    pub(crate) group: String,
    /// Its epoch.
    pub(crate) epoch: Option<u64>,
    /// The number in its log.
    pub(crate) seq: Option<u64>,
}

impl Place {
    /// A group, of which no more is known.
    pub(crate) fn group(id: &GroupId) -> Self {
        Self { group: short(id), ..Self::default() }
    }
}

/// The lines of a world.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    begun: u64,
}

/// The names of the columns.
pub const COLUMNS: &str =
    "     time  device          what         group        epoch    seq  detail";

impl Trace {
    /// The lines from a time on, in milliseconds; none are kept unless `kept`.
    pub(crate) fn new(begun: u64, kept: bool) -> Self {
        Self { lines: kept.then(Vec::new), begun }
    }

    /// Whether lines are kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds an event.
    pub(crate) fn add(&mut self, now: u64, who: &str, what: &str, place: &Place, detail: &str) {
        let Some(lines) = &mut self.lines else { return };
        let since = now.saturating_sub(self.begun);
        let number = |n: Option<u64>| n.map_or_else(|| "-".into(), |n| n.to_string());
        let group = if place.group.is_empty() { "-" } else { &place.group };
        let (epoch, seq) = (number(place.epoch), number(place.seq));
        let (seconds, millis) = (since / 1000, since % 1000);
        lines.push(format!(
            "{seconds:>5}.{millis:03}  {who:<14}  {what:<11}  {group:<11}  {epoch:>5}  {seq:>5}  {detail}"
        ));
    }

    /// All lines.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
