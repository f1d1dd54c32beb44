//! What the server's front puts up with, before anything of the service's rules is asked.

use std::time::Duration;

/// How much of something may come in a second, on the average. For a while more is taken: see
/// [`FrontLimits::burst`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second.
    pub requests: u64,
    /// Bytes a second, of requests and replies together.
    pub bytes: u64,
}

impl Rate {
    /// More than any machine serves: for measurements.
    pub const UNLIMITED: Self = Self { requests: 1_000_000_000, bytes: 1 << 40 };
}

/// What the server's front puts up with. An address is an IPv4 address, or the first 64 bits of an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontLimits {
    /// For one device. Default 50 requests and 4 MiB a second.
    pub device: Rate,
    /// For all devices of one user, and whoever has the recovery key. Default 100 requests and 8 MiB a second.
    pub user: Rate,
    /// For all sessions at one address. Default 1,000 requests and 64 MiB a second.
    pub address: Rate,
    /// For all that comes from one address without a session. Default 50 requests and 1 MiB a second.
    pub anonymous: Rate,
    /// How many seconds' worth of a rate may come at once. Default ten seconds.
    pub burst: Duration,
    /// The most connections of one address. Default 1,000.
    pub connections_of_address: usize,
    /// The most event streams in all. Default 10,000.
    pub streams: usize,
    /// The most event streams of one address. Default 1,000.
    pub streams_of_address: usize,
    /// The most event streams of one user. Default 100.
    pub streams_of_user: usize,
    /// The most event streams of one device. One more ends the oldest, which may be of a network that the device has
    /// left. Default 4.
    pub streams_of_device: usize,
    /// The most bytes of bodies and replies that are held in memory at once. One address may hold a quarter of it,
    /// one user an eighth. Default 256 MiB.
    pub memory: usize,
    /// How long a connection may take no byte of what is sent to it. Default 30 seconds.
    pub stall: Duration,
    /// The fewest bytes a second that a client takes of what is sent to it. Default 16 KiB.
    pub minimum_rate: u64,
}

impl Default for FrontLimits {
    fn default() -> Self {
        Self {
            device: Rate { requests: 50, bytes: 4 << 20 },
            user: Rate { requests: 100, bytes: 8 << 20 },
            address: Rate { requests: 1000, bytes: 64 << 20 },
            anonymous: Rate { requests: 50, bytes: 1 << 20 },
            burst: Duration::from_secs(10),
            connections_of_address: 1000,
            streams: 10_000,
            streams_of_address: 1000,
            streams_of_user: 100,
            streams_of_device: 4,
            memory: 256 << 20,
            stall: Duration::from_secs(30),
            minimum_rate: 16 << 10,
        }
    }
}

impl FrontLimits {
    /// None that a measurement on one machine would meet.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            device: Rate::UNLIMITED,
            user: Rate::UNLIMITED,
            address: Rate::UNLIMITED,
            anonymous: Rate::UNLIMITED,
            connections_of_address: usize::MAX,
            streams: usize::MAX,
            streams_of_address: usize::MAX,
            streams_of_user: usize::MAX,
            memory: usize::MAX,
            ..Self::default()
        }
    }
}
