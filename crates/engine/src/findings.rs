//! What the doctor finds.

/// What is wrong. The words of [`Self::code`] never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// The state is a copy, or an old one, and another process has gone on from it.
    CopiedState,
    /// The device has taken new keys so often that it waits.
    RenewalLimited,
    /// The service has never taken this device.
    NotRegistered,
    /// The device waits until another one of its user's admits it.
    WaitingForLink,
    /// The service does not answer.
    Offline,
    /// The device's clock and the service's are apart.
    ClockOff,
    /// There are few key packages of a suite, or they are not at the service yet.
    KeyPackagesLow,
    /// The device's certificate expires soon, or has.
    CertificateExpiring,
    /// The service has contradicted itself.
    ServiceLied,
    /// What the service says of a user contradicts what it said before.
    UserContradicted,
    /// A group's state cannot be loaded.
    Unloadable,
    /// A group cannot be followed any further.
    Stuck,
    /// The log has more than this device has read.
    Behind,
    /// A group waits for what the service says of somebody.
    WaitingForAccount,
    /// The service has lost a part of a group's log, and gets it back.
    LogLost,
    /// The device has to come back into a group.
    ComingBack,
    /// It has come back so often that it waits.
    RejoinLimited,
    /// An invitation waits for the user's answer.
    Unanswered,
    /// A group has ended, and its successor has not come.
    WaitingForSuccessor,
    /// The service does not have a new group yet.
    NotCreated,
    /// Something waits to be sent or done.
    Unsent,
    /// The user has left a group, and no member has committed that yet.
    WaitingForDeparture,
}

impl Problem {
    /// A word that never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CopiedState => "copied-state",
            Self::RenewalLimited => "renewal-limited",
            Self::NotRegistered => "not-registered",
            Self::WaitingForLink => "waiting-for-link",
            Self::Offline => "offline",
            Self::ClockOff => "clock-off",
            Self::KeyPackagesLow => "key-packages-low",
            Self::CertificateExpiring => "certificate-expiring",
            Self::ServiceLied => "service-lied",
            Self::UserContradicted => "user-contradicted",
            Self::Unloadable => "unloadable",
            Self::Stuck => "stuck",
            Self::Behind => "behind",
            Self::WaitingForAccount => "waiting-for-account",
            Self::LogLost => "log-lost",
            Self::ComingBack => "coming-back",
            Self::RejoinLimited => "rejoin-limited",
            Self::Unanswered => "unanswered",
            Self::WaitingForSuccessor => "waiting-for-successor",
            Self::NotCreated => "not-created",
            Self::Unsent => "unsent",
            Self::WaitingForDeparture => "waiting-for-departure",
        }
    }
}

/// Something that is not as it should be, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The group's name; none if it is about the device.
    pub group: Option<String>,
    /// What is wrong.
    pub problem: Problem,
    /// The same, in English.
    pub what: String,
    /// What to do, by the messenger's commands.
    pub remedy: String,
}
