//! How much a user has of what single users can be given more or less of.

use super::{Service, ServiceError};
use crate::storage::{Quota, Storage};
use conclave_delivery_api::Name;

impl<S: Storage> Service<S> {
    /// How much a user has of something: what an administrator gave it, or else what everybody has.
    pub(super) fn most<T: TryFrom<u64>>(
        &self,
        user: &Name,
        of: Quota,
        everybody: T,
    ) -> Result<T, ServiceError> {
        let own = self.storage.quota(user, of)?;
        // The ranges of quotas are within those of the limits.
        Ok(own.and_then(|own| T::try_from(own).ok()).unwrap_or(everybody))
    }
}
