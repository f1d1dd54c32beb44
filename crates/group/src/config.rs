//! The settings of a client for a group, with defaults that suit a messenger.

use crate::error::{Error, Rejection};
use crate::limits::Limits;
use crate::policy::Policy;
use crate::policy::ready_made::Rules;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_wire::{CustomProposal, LeafNode, LeafNodeSource, Lifetime, UnixTime};
use core::time::Duration;

/// The settings of a client for a group. They are given when the group is created, joined or
/// loaded, and are not stored.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bounds on everything that others can make grow.
    pub limits: Limits,
    /// The application's rules for proposals and commits, beyond RFC 9420's. The same policy judges
    /// what we send and what we receive. Default: no rules.
    pub policy: Arc<dyn Policy>,
    /// Whether a group that was stored under another policy may be loaded. The new policy's name is
    /// stored with the next epoch. If false, loading fails with
    /// [`Misuse::OtherPolicy`](crate::Misuse::OtherPolicy), so that no group loses its rules
    /// because a program was started without them. Default false.
    pub adopt_policy: bool,
    /// The types of proposal, beyond RFC 9420's, that this client implements.
    ///
    /// Three sets must be kept apart: what a client implements (this list); what it advertises (the
    /// capabilities of its leaf: at most this list and GREASE); and what a group requires (its
    /// `required_capabilities`: at most what all members advertise).
    pub proposals: Vec<CustomProposal>,
    /// How far the clocks of two clients may differ, in whole seconds. Default one hour.
    pub clock_skew: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            policy: Arc::new(Rules::default()),
            adopt_policy: false,
            proposals: Vec::new(),
            clock_skew: Duration::from_secs(60 * 60),
        }
    }
}

impl Config {
    /// Checks a key package's lifetime at `now` (section 7.3).
    ///
    /// We check it when we are about to use a key package, as the RFC demands. We do not check it
    /// for the leaf nodes of received messages and trees, as the RFC allows: those may have expired
    /// in transit, and clients that judge them by their clocks would fall out of the group or be
    /// unable to join it.
    pub(crate) fn check_lifetime(&self, leaf: &LeafNode, now: UnixTime) -> Result<(), Error> {
        let LeafNodeSource::KeyPackage(lifetime) = &leaf.leaf_node_source else { return Ok(()) };
        if lifetime.not_after.saturating_sub(lifetime.not_before) > self.limits.lifetime.as_secs() {
            return Err(Rejection::LifetimeTooLong.into());
        }
        self.check_within_lifetime(leaf, now)
    }

    /// Checks that `now` is within the lifetime of a key package that was checked before.
    pub(crate) fn check_within_lifetime(
        &self,
        leaf: &LeafNode,
        now: UnixTime,
    ) -> Result<(), Error> {
        let LeafNodeSource::KeyPackage(lifetime) = &leaf.leaf_node_source else { return Ok(()) };
        let Lifetime { not_before, not_after } = *lifetime;
        if now.saturating_add(self.clock_skew).as_secs() < not_before {
            return Err(Rejection::LifetimeNotBegun { not_before }.into());
        }
        if now.as_secs() > not_after {
            return Err(Rejection::LifetimeExpired { not_after }.into());
        }
        Ok(())
    }
}
