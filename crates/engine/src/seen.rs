//! When members were last seen in a group's log.

use std::collections::BTreeMap;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// When members were last seen in a group, by their leaves, in days since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// On which day this device began to look: when it last came into the group, or later; none if it has not. Nobody
    /// counts as seen earlier than that, as it has read nothing of what they said while it was out.
    pub(crate) begun: Option<u32>,
    pub(crate) days: BTreeMap<u32, u32>,
}

impl Seen {
    /// On which day a leaf was last seen; none if this device has not looked.
    pub(crate) fn day_of(&self, leaf: u32) -> Option<u32> {
        let day = self.days.get(&leaf).copied().unwrap_or_default();
        self.begun.map(|begun| begun.max(day))
    }
}

/// The day since 1970 of a time in milliseconds.
pub(crate) fn day(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds / DAY).unwrap_or(u32::MAX)
}
