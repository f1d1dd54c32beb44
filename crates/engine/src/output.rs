//! What the engine has to say by itself.

use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::News;
use conclave_delivery_api::DeviceId;
use conclave_mls::GroupId;

/// Something that the engine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An event: something that happened. It is numbered and stored until
    /// [`Engine::acknowledge`](crate::Engine::acknowledge) takes note of it, and given again until then, after a crash,
    /// too.
    News {
        /// Its number, which grows and is never given to another event.
        key: u64,
        /// The group, which [`Engine::group_name`](crate::Engine::group_name) names; none for news of no group.
        group: Option<GroupId>,
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
        /// Why it is of no use. What was to be sent is tried again.
        reason: Reason,
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
    /// This device's certificate expires soon: its CA is to renew it.
    CertificateExpires {
        /// This device.
        device: DeviceId,
        /// When, in seconds since 1970.
        at: u64,
    },
    /// Something worth knowing.
    Note {
        /// The group that it is about, if it is about one.
        group: Option<GroupId>,
        /// What.
        notice: Notice,
    },
    /// Something that was asked for did not come about; it is not stored.
    Failed {
        /// The group that it is about, if it is about one.
        group: Option<GroupId>,
        /// What and why.
        reason: Reason,
    },
    /// A group cannot be followed any further: nothing can be said or done there.
    Stuck {
        /// The group.
        group: GroupId,
        /// Why.
        reason: Reason,
    },
}
