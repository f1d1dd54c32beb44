//! What the application decides for a group, with defaults that suit a messenger.

use conclave_schedule::RatchetLimits;

/// Settings of one member's group. Not stored: given when a group is created, joined or loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many past epochs are kept, so that late messages still open and their resumption PSKs
    /// can be used. Default 3.
    pub past_epochs: usize,
    /// How long a past epoch is kept, in seconds. Default one week.
    pub past_epoch_age: u64,
    /// How far a sender's ratchet may be moved, and how many skipped keys are kept.
    pub ratchet: RatchetLimits,
    /// The longest lifetime of a leaf node that is accepted, in seconds. Default 400 days.
    pub max_lifetime: u64,
    /// How much the clocks of two clients may differ, in seconds. Default one hour.
    pub clock_skew: u64,
}

impl Default for Config {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            past_epochs: 3,
            past_epoch_age: 7 * DAY,
            ratchet: RatchetLimits::default(),
            max_lifetime: 400 * DAY,
            clock_skew: 60 * 60,
        }
    }
}
