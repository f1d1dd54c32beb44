//! What an administrator has given single users, instead of what the service is set to give everybody.

/// What a user can have more or less of than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// How many groups each of its devices makes.
    Groups,
    /// How many key packages of one suite each of its devices has.
    KeyPackages,
    /// How many bytes its attachments have, those included that are still to be uploaded.
    Attachments,
    /// How often it claims key packages of all others within a period.
    Claims,
}

impl Quota {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Groups, Self::KeyPackages, Self::Attachments, Self::Claims];

    /// What it is called where an administrator reads and writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::KeyPackages => "key_packages",
            Self::Attachments => "attachments",
            Self::Claims => "claims",
        }
    }

    /// The quota of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quota| quota.name() == name)
    }

    /// The least and the most that can be given. None at all is possible where a user can do without.
    #[must_use]
    pub fn range(self) -> core::ops::RangeInclusive<u64> {
        match self {
            Self::Groups => 0..=u32::MAX.into(),
            Self::KeyPackages | Self::Claims => 1..=u32::MAX.into(),
            Self::Attachments => 0..=1 << 50,
        }
    }

    /// Its number in a storage, which never changes.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Groups => 1,
            Self::KeyPackages => 2,
            Self::Attachments => 3,
            Self::Claims => 4,
        }
    }
}
