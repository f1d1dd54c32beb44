//! How far the invitations under way have come.

use crate::reason::Reason;
use conclave_certificates::device_of;
use conclave_delivery_api::{DeviceId, MAX_BODY, Name};
use conclave_mls::key_package::ValidKeyPackage;
use std::collections::BTreeMap;

/// How many invitations one commit does at most.
pub(crate) const MAX_INVITATIONS_PER_COMMIT: usize = 256;
/// With how many bytes of key packages a commit is made before more are claimed: the Welcomes and what members need
/// stand in the same call.
pub(crate) const ENOUGH_BYTES: usize = MAX_BODY / 8;

/// How far the invitations at the front of a group's queue have come in this process.
#[derive(Debug)]
pub(crate) struct Inviting {
    /// The number of the one that is looked up now, and the devices that it adds, once they are known.
    pub(crate) missing: Option<(u64, Vec<DeviceId>)>,
    /// The invitations, by their numbers in the queue, that wait for the commit.
    pub(crate) claimed: BTreeMap<u64, Claimed>,
    /// How many invitations one commit does at most: fewer after a refusal, to find out which one it is about.
    pub(crate) max_per_commit: usize,
    /// Whether to commit what has been claimed, as no more can be claimed now.
    pub(crate) hurries: bool,
}

impl Default for Inviting {
    fn default() -> Self {
        let max_per_commit = MAX_INVITATIONS_PER_COMMIT;
        Self { missing: None, claimed: BTreeMap::new(), max_per_commit, hurries: false }
    }
}

/// What the service has given out for one invitation.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// The key packages that passed every check.
    pub(crate) packages: Vec<ValidKeyPackage>,
    /// Why other devices are not invited.
    pub(crate) problems: Vec<Reason>,
    /// How long the key packages are together.
    pub(crate) bytes: usize,
    /// Whether a commit that may have reached the service adds them.
    pub(crate) used: bool,
}

impl Inviting {
    /// Looks up again the invitation that is under way.
    pub(crate) fn look_again(&mut self) {
        self.missing = None;
    }

    /// An epoch has begun, or our message has arrived. The key packages of a commit that came too late are not used
    /// again. After a refusal they are, as no Welcome was delivered.
    pub(crate) fn end_attempt(&mut self) {
        self.claimed.retain(|_, claimed| !claimed.used);
        self.missing = None;
        self.max_per_commit = MAX_INVITATIONS_PER_COMMIT;
    }

    /// The service has refused the commit.
    pub(crate) fn commit_refused(&mut self) {
        self.claimed.values_mut().for_each(|claimed| claimed.used = false);
    }

    /// Makes commits of no more than half of so many invitations.
    pub(crate) fn halve(&mut self, count: usize) {
        self.max_per_commit = (count / 2).max(1);
    }

    /// The service wants claims to wait: what has been claimed is committed without waiting for them.
    pub(crate) fn hurry(&mut self) {
        self.hurries = !self.claimed.is_empty();
    }

    /// Forgets what was claimed of these users' devices.
    pub(crate) fn forget(&mut self, users: &[Name]) {
        let is_of = |package: &ValidKeyPackage| {
            device_of_package(package).is_some_and(|device| users.contains(&device.user))
        };
        self.claimed.retain(|_, claimed| !claimed.packages.iter().any(is_of));
    }

    /// An invitation is done with.
    pub(crate) fn end(&mut self, key: u64) {
        self.claimed.remove(&key);
        self.missing = None;
    }
}

pub(crate) fn device_of_package(package: &ValidKeyPackage) -> Option<DeviceId> {
    device_of(&package.key_package().leaf_node.credential)
}
