//! What the engine has to say.

use crate::record::News;
use conclave_delivery_api::DeviceId;
use conclave_mls::CipherSuite;

/// Something that the engine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An event: something that happened. It is numbered and stored until
    /// [`Engine::acknowledge`](crate::Engine::acknowledge) takes note of it, and given again until then, after a crash,
    /// too.
    News {
        /// Its number, which grows and is never given to another event.
        key: u64,
        /// The group's name; empty for news of no group.
        group: String,
        /// What happened.
        news: News,
    },
    /// An answer to a command, or the state of the connection. Not stored.
    Answer(Answer),
}

/// An answer to a command, or the state of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The device is registered at the service, and its key packages are there, of all suites that
    /// the service takes: it can be invited.
    Ready {
        /// Which device.
        device: DeviceId,
    },
    /// The service does not answer. What is to be sent is kept.
    Offline {
        /// What happened, and what will.
        reason: String,
    },
    /// The service answers again.
    Online,
    /// This device waits until another one of the user's admits it by this code.
    Link {
        /// This device.
        device: DeviceId,
        /// The code.
        code: String,
    },
    /// The words of a new recovery key, shown this once.
    RecoveryWords {
        /// The words, in order.
        words: String,
        /// Which of them are to be typed back, from 1.
        places: [usize; 2],
    },
    /// A device is about to be admitted.
    Admitting {
        /// Which.
        device: DeviceId,
        /// The beginning of its verification code, which it shows, too.
        code: String,
    },
    /// A device of an account.
    Device {
        /// Which.
        device: DeviceId,
        /// Whether that is this device.
        own: bool,
        /// When it was added, in seconds since 1970.
        since: u64,
        /// By which device or key; none for the first device.
        by: Option<String>,
        /// The beginning of its verification code.
        code: String,
    },
    /// A device that a CA has certified.
    Certified {
        /// Which.
        device: DeviceId,
        /// Whether that is this device.
        own: bool,
        /// From when its certificate is valid, in seconds since 1970.
        since: u64,
        /// Until when.
        until: u64,
        /// The beginning of its verification code.
        code: String,
    },
    /// A link into a group.
    JoinLink {
        /// The group.
        group: String,
        /// Its number.
        number: u32,
        /// Who made it.
        maker: DeviceId,
        /// How many have joined by it.
        uses: u32,
        /// How many may.
        max_uses: u32,
        /// When it ends, in seconds since 1970.
        expires_at: u64,
        /// Whether nobody can join by it any more.
        over: bool,
    },
    /// This device's certificate expires soon: its CA is to renew it.
    CertificateExpires {
        /// This device.
        device: DeviceId,
        /// When, in seconds since 1970.
        at: u64,
    },
    /// Something worth knowing.
    Note(String),
    /// A command could not be carried out.
    Error(String),
    /// A group.
    Group {
        /// Its name.
        name: String,
        /// Whether commands are about it.
        current: bool,
        /// Its epoch, if this device is in it.
        epoch: Option<u64>,
        /// How many devices are in it.
        members: usize,
        /// Its suite, if this device is in it.
        suite: Option<CipherSuite>,
        /// What else there is to say: `removed`, `left`, `leaving`, `3 to send`.
        state: String,
    },
    /// The code of the current group's epoch, equal for all members.
    Epoch {
        /// The group.
        group: String,
        /// The epoch.
        epoch: u64,
        /// The code.
        code: String,
        /// The group's suite.
        suite: CipherSuite,
    },
    /// A member of the current group.
    Member {
        /// The group.
        group: String,
        /// Who.
        device: DeviceId,
        /// Whether that is this device.
        own: bool,
        /// The code of its name and key.
        code: String,
        /// When its user's account took it in, in seconds since 1970; none if that account does not say so any more.
        since: Option<u64>,
        /// By which device or key; none for the first device.
        by: Option<String>,
    },
    /// A code to compare.
    Pair {
        /// This device.
        me: DeviceId,
        /// The other one.
        other: DeviceId,
        /// The code.
        code: String,
    },
    /// An old message.
    History {
        /// The group.
        group: String,
        /// The message.
        news: News,
    },
}
