//! The rules of the service, over a [`Storage`] and without I/O of their own: the time is passed
//! in, and what is to be told to other devices is given back.

mod accounts;
mod framed;
mod groups;
mod inbox;
mod key_packages;
mod messages;
#[cfg(test)]
mod tests;
mod tracked;
mod view;

use crate::api::{Call, DeviceId, DeviceInfo, ErrorCode, Event, GroupId, Token};
use crate::storage::{Storage, StorageError};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, Hash, Secret};
use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use view::Views;

/// What the service puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most key packages of one device and suite. Default 200.
    pub key_packages: u32,
    /// The most devices of one user. Default 50.
    pub devices: usize,
    /// How many epochs after its own an application message is still taken. Default 3.
    pub past_epochs: u64,
    /// How long after its epoch has ended an application message is still taken, in whole seconds:
    /// far less than the week for which members keep a past epoch, or some of them could not read it
    /// any more. Default one day.
    pub past_epoch_age: Duration,
    /// The most groups that one device makes. Default 10,000.
    pub groups: u32,
    /// The most Welcomes that wait in the inbox of one device, which takes no further ones then.
    /// Default 1,000.
    pub inbox_items: u32,
    /// The most bytes of them, the trees that go with them included. Default 128 MiB.
    pub inbox_bytes: u64,
    /// The longest group identifier, in bytes. Default 128.
    pub group_id: usize,
    /// How far the clock of a device that registers may be off, in whole seconds. Default ten minutes.
    pub clock_skew: Duration,
    /// The most devices that the submitter of a commit to an opaque group names. Default 50,000.
    pub named_devices: usize,
    /// How many groups' public state is kept in memory. Default 256.
    pub loaded_groups: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_packages: 200,
            devices: 50,
            past_epochs: 3,
            past_epoch_age: Duration::from_secs(24 * 60 * 60),
            groups: 10_000,
            inbox_items: 1_000,
            inbox_bytes: 128 << 20,
            group_id: 128,
            clock_skew: Duration::from_secs(600),
            named_devices: 50_000,
            loaded_groups: 256,
        }
    }
}

/// A refusal: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// A sentence for people.
    pub detail: String,
}

impl ServiceError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    fn too_many(what: impl Into<String>) -> Self {
        Self::new(ErrorCode::TooMany, what)
    }

    fn invalid(what: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Invalid, what.to_string())
    }

    fn not_member() -> Self {
        Self::new(ErrorCode::NotMember, "the device is not in the group")
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl core::error::Error for ServiceError {}

impl From<StorageError> for ServiceError {
    fn from(e: StorageError) -> Self {
        Self::new(ErrorCode::Unavailable, e.to_string())
    }
}

/// Something to be told to devices that listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who is to be told.
    pub to: Vec<DeviceId>,
    /// What.
    pub event: Event,
}

/// What an operation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done<R> {
    /// What the caller gets.
    pub reply: R,
    /// What others get.
    pub notices: Vec<Notice>,
    /// What the service saw: the fields that are in the clear, never a payload.
    pub seen: String,
}

impl<R> Done<R> {
    fn new(reply: R, seen: impl Into<String>) -> Self {
        Self { reply, notices: Vec::new(), seen: seen.into() }
    }
}

/// The service.
pub struct Service<S> {
    storage: S,
    provider: Arc<dyn CryptoProvider>,
    limits: Limits,
    secret: Secret,
    views: Views,
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Who calls, and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The device whose token came with the request.
    pub device: Option<DeviceInfo>,
    /// The time.
    pub now: UnixTime,
}

impl Caller {
    fn device(&self) -> Result<&DeviceInfo, ServiceError> {
        self.device.as_ref().ok_or_else(|| {
            ServiceError::new(ErrorCode::Unauthorized, "this takes the token of a device")
        })
    }

    fn id(&self) -> Result<&DeviceId, ServiceError> {
        self.device().map(|d| &d.device)
    }
}

/// An operation, as the service does it.
pub trait Operation: Call {
    /// Whether it may be as long as the server takes any. Most say little, in much less.
    const LONG: bool = false;

    /// Does it.
    ///
    /// # Errors
    /// If it is refused; then nothing was changed, unless the code is
    /// [`Unavailable`](ErrorCode::Unavailable): then it is not known, and to try again is safe.
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Self::Reply>, ServiceError>;
}

impl<S: Storage> Service<S> {
    /// The service over a storage.
    ///
    /// # Errors
    /// If the storage cannot be read.
    pub fn new(
        storage: S,
        provider: Arc<dyn CryptoProvider>,
        limits: Limits,
    ) -> Result<Self, StorageError> {
        let secret = storage.secret()?;
        let views = Views::new(limits.loaded_groups);
        Ok(Self { storage, provider, limits, secret, views })
    }

    /// The device that a token was given to.
    ///
    /// # Errors
    /// If it was given to none.
    pub fn authenticate(&self, token: &str) -> Result<DeviceInfo, ServiceError> {
        let wrong = || ServiceError::new(ErrorCode::Unauthorized, "the token is wrong");
        let (device, _) = token.rsplit_once('.').ok_or_else(wrong)?;
        let id: DeviceId = device.parse().map_err(|_| wrong())?;
        let device = self.storage.device(&id)?.ok_or_else(wrong)?;
        let expected = self.token(&device)?;
        // In constant time.
        let same =
            Secret::copy_from(expected.expose().as_bytes()) == Secret::copy_from(token.as_bytes());
        if same { Ok(device) } else { Err(wrong()) }
    }

    /// A device's token: its name and a MAC, so that registering again gives the same.
    fn token(&self, device: &DeviceInfo) -> Result<Token, ServiceError> {
        let id = device.device.to_string();
        let parts: [&[u8]; 4] = [b"token\0", id.as_bytes(), b"\0", &device.signature_key];
        let mac = self.provider.hmac(Hash::Sha256, &self.secret, &parts).map_err(provider_error)?;
        let mut text = id;
        text.push('.');
        mac.iter().for_each(|b| text.push_str(&format!("{b:02x}")));
        Ok(Token::new(text))
    }

    /// What a device is told when it begins to listen: the heads of its groups, and whether its
    /// inbox holds something.
    ///
    /// # Errors
    /// If the storage cannot be read.
    pub fn current_events(&self, device: &DeviceId) -> Result<Vec<Event>, ServiceError> {
        let groups = self.storage.groups_of(device)?.into_iter();
        let mut events: Vec<Event> =
            groups.map(|(group_id, epoch, head)| Event::Group { group_id, epoch, head }).collect();
        if self.storage.inbox(device, 0, 0)?.1 > 0 {
            events.push(Event::Inbox);
        }
        events.push(Event::Ready);
        Ok(events)
    }

    fn sha256(&self, bytes: &[u8]) -> Result<[u8; 32], ServiceError> {
        let digest = self.provider.hash(Hash::Sha256, &[bytes]).map_err(provider_error)?;
        <[u8; 32]>::try_from(&*digest)
            .map_err(|_| ServiceError::new(ErrorCode::Unavailable, "SHA-256 is broken"))
    }

    fn check_group_id(&self, id: &GroupId) -> Result<(), ServiceError> {
        if id.is_empty() || id.len() > self.limits.group_id {
            let most = self.limits.group_id;
            let detail = format!("a group's identifier has 1 to {most} bytes");
            return Err(ServiceError::invalid(detail));
        }
        Ok(())
    }
}

/// The provider has no SHA-256, or failed.
fn provider_error(e: conclave_mls::crypto::CryptoError) -> ServiceError {
    ServiceError::new(ErrorCode::Unavailable, e.to_string())
}
