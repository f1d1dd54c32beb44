//! What a checked log says.

use crate::entry::Author;
use crate::names::Name;
use alloc::vec::Vec;
use conclave_mls::UnixTime;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::SignatureScheme;
use core::fmt;

/// An account's identity: the hash of the entry that created it.
///
/// Another account under the same name has another one, so a client that remembers it notices when a service gives
/// a name to somebody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 32]);

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountId(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…)")
    }
}

/// Where a log ends: what a directory publishes and a client remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// How many entries there are, from 1.
    pub length: u64,
    /// The hash of the last one.
    pub hash: [u8; 32],
}

/// A key of an account's device, active or not. A device whose key was rotated is here once for each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Which of the user's devices it is.
    pub name: Name,
    /// The key's signature scheme.
    pub scheme: SignatureScheme,
    /// The key.
    pub key: SignaturePublicKey,
    /// When it was added, by its author's clock.
    pub added_at: UnixTime,
    /// Who added it; the first device added itself.
    pub added_by: Author,
    /// Why and when it ended; none as long as it is active.
    pub ended: Option<End>,
}

/// The end of a device's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When, by the author's clock.
    pub at: UnixTime,
    /// Who ended it.
    pub by: Author,
    /// Whether another key of the same device took its place; otherwise the device was revoked.
    pub rotated: bool,
}

impl Device {
    /// Whether the key is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.ended.is_none()
    }
}

/// What an account's log says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It is the key of this active device.
    Active(&'a Device),
    /// It was a key of this device, which was revoked or has another one now.
    Ended(&'a Device, &'a End),
    /// An active device has this name and another key.
    OtherKey(&'a Device),
    /// The account has no such device.
    Unknown,
}

/// A user's account: what its log says, every entry of which was checked.
///
/// Made by [`Self::create`] or [`Self::from_entries`], and moved on by [`Self::apply`]. It can be stored with its
/// codec; what is decoded is as trustworthy as where it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub(crate) user: Name,
    pub(crate) id: AccountId,
    pub(crate) head: Head,
    pub(crate) last_at: UnixTime,
    /// In the order in which they were added.
    pub(crate) devices: Vec<Device>,
    pub(crate) recovery: Option<(SignatureScheme, SignaturePublicKey)>,
    /// The recovery keys that were replaced: no key comes back.
    pub(crate) former_recovery: Vec<SignaturePublicKey>,
}

impl Account {
    /// Whose account it is.
    #[must_use]
    pub fn user(&self) -> &Name {
        &self.user
    }

    /// The account's identity, which no later entry changes.
    #[must_use]
    pub fn id(&self) -> AccountId {
        self.id
    }

    /// Where its log ends.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// When the last entry was signed.
    #[must_use]
    pub fn last_change(&self) -> UnixTime {
        self.last_at
    }

    /// The active devices, in the order in which they were added.
    pub fn active(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(|device| device.is_active())
    }

    /// Every key that a device of the account has or had, in the order in which they were added.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The active device of a name.
    #[must_use]
    pub fn device(&self, name: &Name) -> Option<&Device> {
        self.active().find(|device| device.name == *name)
    }

    /// The recovery key and its scheme.
    #[must_use]
    pub fn recovery_key(&self) -> Option<(SignatureScheme, &SignaturePublicKey)> {
        self.recovery.as_ref().map(|(scheme, key)| (*scheme, key))
    }

    /// What the log says of a device's key, as of its last entry.
    #[must_use]
    pub fn standing(&self, name: &Name, key: &SignaturePublicKey) -> Standing<'_> {
        let named = |device: &&Device| device.name == *name;
        match self.devices.iter().filter(named).find(|device| device.key == *key) {
            Some(device) => match &device.ended {
                None => Standing::Active(device),
                Some(end) => Standing::Ended(device, end),
            },
            None => self.device(name).map_or(Standing::Unknown, Standing::OtherKey),
        }
    }

    /// Whether a key was an active device's at a time, by the clocks of those who signed the entries.
    #[must_use]
    pub fn was_active(&self, name: &Name, key: &SignaturePublicKey, at: UnixTime) -> bool {
        self.devices.iter().any(|device| {
            let ended = device.ended.as_ref().is_some_and(|end| end.at <= at);
            device.name == *name && device.key == *key && device.added_at <= at && !ended
        })
    }

    pub(crate) fn knows_key(&self, key: &SignaturePublicKey) -> bool {
        let recovery = self.recovery.iter().map(|(_, key)| key).chain(&self.former_recovery);
        self.devices.iter().map(|device| &device.key).chain(recovery).any(|known| known == key)
    }
}
