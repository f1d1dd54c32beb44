//! Whom something is about.

use conclave_delivery_api::{DeviceId, Name};

/// Whom a command is about: all devices of a user, or one of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The user.
    pub user: Name,
    /// One device; none for all of them.
    pub device: Option<Name>,
}

impl From<DeviceId> for Who {
    fn from(id: DeviceId) -> Self {
        Self { user: id.user, device: Some(id.device) }
    }
}

impl Who {
    /// Whether a device is meant.
    #[must_use]
    pub fn includes(&self, id: &DeviceId) -> bool {
        self.user == id.user && self.device.as_ref().is_none_or(|device| *device == id.device)
    }
}

impl core::fmt::Display for Who {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.device {
            Some(device) => write!(f, "{}/{device}", self.user),
            None => write!(f, "{}", self.user),
        }
    }
}
