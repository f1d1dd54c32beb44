use conclave_mls::component::{AppDataRequest, ComponentId};
use conclave_mls::crypto::{CryptoProvider, CryptoRng};
use conclave_mls::key_package::Lifetime;
use conclave_mls::wire::Bytes;
use conclave_mls::{Config, UnixTime};
use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

/// What a component makes of the updates of its data: its new data, or none if it does not know the
/// component or finds an update invalid.
pub type Components = dyn Fn(&AppDataRequest) -> Option<Bytes> + Send + Sync;

/// The settings of a [`Device`](crate::Device), which all its rooms share.
#[derive(Clone)]
pub struct Settings {
    /// The provider of cryptography.
    pub provider: Arc<dyn CryptoProvider>,
    /// Limits, policy and the application's own proposals, for all rooms. A room that was stored under another
    /// policy does not load.
    pub config: Config,
    /// The clock. Default: the operating system's.
    pub clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
    /// How long key packages and fresh leaves are valid. Default 90 days.
    pub lifetime: Duration,
    /// What components make of the updates of their data, in our commits and in those of others
    /// (draft-ietf-mls-extensions-10). All members must decide alike. Default: no component is known.
    pub components: Arc<Components>,
}

impl Settings {
    /// Defaults with this provider.
    #[must_use]
    pub fn new(provider: impl CryptoProvider + 'static) -> Self {
        Self {
            provider: Arc::new(provider),
            config: Config::default(),
            // A clock before 1970 shows no time, and the library refuses what is not valid yet.
            clock: Arc::new(|| UnixTime::try_from(SystemTime::now()).unwrap_or(UnixTime::MIN)),
            lifetime: Duration::from_secs(90 * 24 * 60 * 60),
            components: Arc::new(|_| None),
        }
    }

    /// The new data of each component, or the components that find an update invalid.
    pub(crate) fn decide(
        &self,
        requests: &[AppDataRequest],
    ) -> Result<Vec<Bytes>, Vec<ComponentId>> {
        let mut data = Vec::with_capacity(requests.len());
        let mut invalid = Vec::new();
        for request in requests {
            match (self.components)(request) {
                Some(new) => data.push(new),
                None => invalid.push(request.component_id),
            }
        }
        if invalid.is_empty() { Ok(data) } else { Err(invalid) }
    }

    pub(crate) fn now(&self) -> UnixTime {
        (self.clock)()
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime::starting_at(self.now(), self.lifetime)
    }
}

/// The operating system's randomness. It panics if the system has none to give.
pub(crate) fn rng() -> impl CryptoRng {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
