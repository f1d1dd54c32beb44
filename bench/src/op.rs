//! The operations, by name.

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Time,
    Bytes,
}

/// An operation, or a size, that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Create,
    Join,
    Update,
    Process,
    Add,
    AddApart,
    AddProcess,
    Remove,
    RemoveProcess,
    UpdateBare,
    ProcessBare,
    EncryptFirst,
    Encrypt,
    DecryptFirst,
    Decrypt,
    Load,
    CommitBytes,
    ProcessBytes,
    SendBytes,
    ReceiveBytes,
    StoredBytes,
    CommitSize,
    KeyPackageSize,
    WelcomeSize,
    MemoryHeld,
    MemoryPeak,
}

impl Op {
    pub const ALL: [(Self, &'static str, &'static str); 26] = [
        (Self::Create, "create", "create by one commit adding all"),
        (Self::Join, "join", "join by Welcome"),
        (Self::Update, "update", "self-update: create + merge + persist"),
        (Self::Process, "process", "process + apply + persist"),
        (Self::Add, "add", "add one: create + merge + persist"),
        (Self::AddApart, "add-apart", "the same, the tree apart"),
        (Self::AddProcess, "add-process", "add one: process + persist"),
        (Self::Remove, "remove", "remove one: create + merge + persist"),
        (Self::RemoveProcess, "remove-process", "remove one: process + persist"),
        (Self::UpdateBare, "update-bare", "self-update, bare tree: create + merge + persist"),
        (Self::ProcessBare, "process-bare", "process, bare tree: + persist"),
        (Self::EncryptFirst, "encrypt-first", "first message of an epoch, 1 KiB: encrypt"),
        (Self::Encrypt, "encrypt", "message, 1 KiB: encrypt"),
        (Self::DecryptFirst, "decrypt-first", "first message of a sender, 1 KiB: decrypt"),
        (Self::Decrypt, "decrypt", "message, 1 KiB: decrypt"),
        (Self::Load, "load", "load from storage"),
        (Self::CommitBytes, "commit-bytes", "written per own commit"),
        (Self::ProcessBytes, "process-bytes", "written per processed commit"),
        (Self::SendBytes, "send-bytes", "written per message sent"),
        (Self::ReceiveBytes, "receive-bytes", "written per message received"),
        (Self::StoredBytes, "stored-bytes", "stored group"),
        (Self::CommitSize, "commit-size", "self-update message"),
        (Self::KeyPackageSize, "key-package-size", "key package"),
        (Self::WelcomeSize, "welcome-size", "Welcome for one, with the tree"),
        (Self::MemoryHeld, "memory-held", "resident memory held by a group"),
        (Self::MemoryPeak, "memory-peak", "resident peak while joining"),
    ];

    /// Operations by a name on the command line: one operation, or a group of them.
    pub fn named(name: &str) -> Option<Vec<Self>> {
        let some = match name {
            "populated" => vec![
                Self::Join,
                Self::Update,
                Self::Process,
                Self::Add,
                Self::AddApart,
                Self::AddProcess,
                Self::Remove,
                Self::RemoveProcess,
                Self::EncryptFirst,
                Self::Encrypt,
                Self::DecryptFirst,
                Self::Decrypt,
                Self::Load,
            ],
            "bare" => vec![Self::UpdateBare, Self::ProcessBare],
            "bytes" => vec![
                Self::CommitBytes,
                Self::ProcessBytes,
                Self::SendBytes,
                Self::ReceiveBytes,
                Self::StoredBytes,
                Self::CommitSize,
                Self::KeyPackageSize,
                Self::WelcomeSize,
            ],
            "memory" => vec![Self::MemoryHeld, Self::MemoryPeak],
            one => {
                Self::ALL.iter().filter(|(_, name, _)| *name == one).map(|(op, ..)| *op).collect()
            }
        };

        (!some.is_empty()).then_some(some)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(op, ..)| *op == self).map_or("", |(_, name, _)| name)
    }

    pub fn title(self) -> &'static str {
        Self::ALL.iter().find(|(op, ..)| *op == self).map_or("", |(.., title)| title)
    }

    pub fn unit(self) -> Unit {
        match self {
            Self::CommitBytes
            | Self::ProcessBytes
            | Self::SendBytes
            | Self::ReceiveBytes
            | Self::StoredBytes
            | Self::CommitSize
            | Self::KeyPackageSize
            | Self::WelcomeSize
            | Self::MemoryHeld
            | Self::MemoryPeak => Unit::Bytes,
            _ => Unit::Time,
        }
    }
}
