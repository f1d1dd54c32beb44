//! What is done to a world.

/// Something that is done to a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Somebody asks for something.
    Command,
    /// A process will die at a write.
    Crash,
    /// Some devices cannot reach the service for a while.
    Partition,
    /// A device's clock is set.
    SetClock,
    /// A device is away for long.
    Absence,
    /// The service is started again.
    Restart,
    /// A copy of the service's state is kept.
    BackUp,
    /// The service is restored from the last copy, as its command does it.
    SetBack,
    /// The last copy takes the place of the service's files, and nothing says so.
    RollBack,
    /// The service begins with nothing.
    Anew,
    /// Some devices are shown another log from now on.
    Split,
    /// All are shown the same log again.
    Unite,
    /// A copy of a device's state is kept.
    KeepState(usize),
    /// It takes the place of the state.
    OldState(usize),
    /// A copy of a device's state goes on in another process.
    CopyState,
    /// A member's client sends what no honest client sends.
    Misbehave,
    /// A member's modified client does something that is validly signed and against the rules.
    Betray,
    /// A new device is admitted by another one of its user's.
    Admit(usize),
    /// A clock is set right, and a device that has ended because of it begins again.
    MendClock(usize),
}
