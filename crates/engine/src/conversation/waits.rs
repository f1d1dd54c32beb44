//! Waiting times of conversations, and two of the engine.

use core::time::Duration;

/// How long the claim of a key package waits because the service asks it to. An invitation that would wait for longer
/// fails.
pub(crate) const LONGEST_CLAIM_WAIT: Duration = Duration::from_secs(30);

/// How often key packages are counted even if no Welcome came, in milliseconds: somebody may take them and
/// invite nobody.
pub(crate) const COUNT_INTERVAL: u64 = 60 * 60 * 1000;

/// How long others' proposals wait for somebody to commit them, in milliseconds. Members take turns: the one with the
/// lowest leaf comes first, then two, then four and so on, each for this long, and within a turn at random. So one
/// commits if it is there, few do at once if many are away, and a large group waits little longer than a small one.
pub(crate) const COMMIT_WAIT: u64 = 200;
pub(crate) const COMMIT_TURN: u64 = 400;
/// The wait for the first turn of one who wants to leave, too.
pub(crate) const LEAVER_WAIT: u64 = 4_000;
/// The last turn, for all whom the others leave over: from the 4,096th member on.
pub(crate) const LAST_TURN: u32 = 12;
pub(crate) const LONGEST_COMMIT_WAIT: u64 = LEAVER_WAIT + (LAST_TURN as u64 + 1) * COMMIT_TURN;

/// The time over which the devices that may remove stale members spread their commits, in milliseconds: at least, and
/// more for each member of the group.
pub(crate) const STALE_SPREAD: u64 = 30_000;
pub(crate) const STALE_TURN: u64 = 1_000;
