//! How long an engine waits for what.

/// How often key packages are counted even if no Welcome came, in milliseconds: somebody may take them and
/// invite nobody.
pub(super) const COUNT_INTERVAL: u64 = 60 * 60 * 1000;

/// How long others' proposals wait for somebody to commit them, in milliseconds: so long at
/// least, and up to this much more, at random, so that not all members do it at once.
pub(super) const COMMIT_WAIT: u64 = 200;
pub(super) const COMMIT_SPREAD: u64 = 1_000;
/// The same for one who wants to leave, too.
pub(super) const LEAVER_WAIT: u64 = 4_000;
pub(super) const LONGEST_COMMIT_WAIT: u64 = LEAVER_WAIT + COMMIT_SPREAD;
