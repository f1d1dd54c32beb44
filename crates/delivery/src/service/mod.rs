//! The rules of the service, over a [`Storage`] and without I/O of their own: the time is passed
//! in, and what is to be told to other devices is given back.

mod accounts;
mod administration;
mod attachments;
mod authority;
mod certificates;
mod claims;
mod covering;
mod credentials;
mod current;
mod directory;
mod error;
mod framed;
mod groups;
mod inbox;
mod invitations;
mod join_links;
mod key_packages;
mod keys;
mod long_proofs;
mod messages;
mod misfits;
mod outdated;
mod places;
mod quotas;
mod relay;
mod removals;
mod restored;
mod sending;
mod sessions;
mod state_marks;
#[cfg(test)]
mod tests;
mod tracked;
mod verify;
mod view;

use crate::attachments::{AttachmentLimits, AttachmentStore, Attachments};
use crate::storage::DeviceInfo;
use crate::storage::{DirectoryRecords, Storage, WriterLoad};
pub use administration::{Act, Field, Report};
pub use authority::{Authority, Certifiers};
pub use certificates::Swept;
pub use claims::ClaimLimits;
use claims::Claims;
use conclave_delivery_api::{
    CLIENT_HEADER, Call, ClientVersion, DeviceId, ErrorCode, Event, GroupId, Incarnation,
    LogPosition, Mode, Proof, Receipt, Registration,
};
use conclave_directory::server::Directory;
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, Secret, SignatureKeyPair};
use core::fmt;
use core::time::Duration;
pub use current::CurrentEvents;
pub use directory::Published;
pub(crate) use error::whole_seconds;
pub use error::{Limit, OpenError, ServiceError};
pub use invitations::{INVITATION, invitation};
use long_proofs::LongProofs;
use places::Relay;
use sessions::Sessions;
pub use sessions::{CallerSession, Holder};
use std::sync::Arc;
pub use verify::{VerifyError, verify};
use view::Views;

/// How many devices are told of a change of somebody's account, and of how many accounts a device that begins to
/// listen is told.
const MAX_TOLD: u32 = 10_000;

/// What the service puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most key packages of one device and suite. Default 200.
    pub key_packages: u32,
    /// How many key packages are claimed, by whom and of whom.
    pub claims: ClaimLimits,
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
    /// How far the clock of a device may be off, in whole seconds, when it opens a session or changes its
    /// account. Default ten minutes.
    pub clock_skew: Duration,
    /// How long a session is good, in whole seconds. Default one hour.
    pub session: Duration,
    /// The most sessions that are open at once. Default 100,000, which are some 50 MB.
    pub sessions: usize,
    /// The most devices that the submitter of a commit to an opaque group names. Default 50,000.
    pub named_devices: usize,
    /// How many groups' public state is kept in memory. Default 256.
    pub loaded_groups: usize,
    /// How long messages are kept in a group's log, in whole seconds: older ones are dropped, by the server in
    /// intervals and when an administrator compacts. Default: without end.
    pub log_age: Option<Duration>,
    /// How many messages of a group are kept likewise. Default: all.
    pub log_entries: Option<u64>,
    /// How long a Welcome waits in an inbox, in whole seconds, likewise. Default: without end.
    pub inbox_age: Option<Duration>,
    /// The oldest versions that are served, of clients of these names. If there are any, each client has to say what
    /// it is. Default: none.
    pub minimum_clients: Vec<ClientVersion>,
    /// The domain that the URIs of new rooms and their users begin with. Default: none, so that clients take the host
    /// by which they reach the service.
    pub domain: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_packages: 200,
            claims: ClaimLimits::default(),
            devices: 50,
            past_epochs: 3,
            past_epoch_age: Duration::from_secs(24 * 60 * 60),
            groups: 10_000,
            inbox_items: 1_000,
            inbox_bytes: 128 << 20,
            group_id: 128,
            clock_skew: Duration::from_secs(600),
            session: Duration::from_secs(3600),
            sessions: 100_000,
            named_devices: 50_000,
            loaded_groups: 256,
            log_age: None,
            log_entries: None,
            inbox_age: None,
            minimum_clients: Vec::new(),
            domain: None,
        }
    }
}

/// Something to be told to devices that listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who is to be told.
    pub to: Arc<[DeviceId]>,
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
    /// Devices that were revoked or have another key: whoever listens as one of them is to be cut off.
    pub ended: Vec<DeviceId>,
    /// What the service saw: the fields that are in the clear, never a payload.
    pub seen: String,
}

impl<R> Done<R> {
    fn new(reply: R, seen: impl Into<String>) -> Self {
        Self { reply, notices: Vec::new(), ended: Vec::new(), seen: seen.into() }
    }
}

/// The service.
pub struct Service<S> {
    storage: Arc<S>,
    provider: Arc<dyn CryptoProvider>,
    limits: Limits,
    secret: Secret,
    /// Seals places of event streams.
    places: Secret,
    /// Signs proposals in groups that name the service.
    sender: SignatureKeyPair,
    authority: Authority,
    /// What receipts are signed with.
    key_pair: SignatureKeyPair,
    incarnation: Incarnation,
    directory: Directory<DirectoryRecords<S>>,
    long_proofs: LongProofs,
    sessions: Sessions,
    claims: Claims,
    relay: Relay,
    views: Views,
    attachments: Option<Attachments>,
    #[cfg(any(test, feature = "testing"))]
    is_lawless: bool,
}

impl<S> fmt::Debug for Service<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Who calls, and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose session the request belongs to.
    pub holder: Option<Holder>,
    /// Which session; none if the request is made within the service's process.
    pub session: Option<CallerSession>,
    /// The time.
    pub now: UnixTime,
}

impl Caller {
    /// A caller that is known without a session.
    #[must_use]
    pub fn new(holder: Option<Holder>, now: UnixTime) -> Self {
        Self { holder, session: None, now }
    }

    fn device(&self) -> Result<&DeviceInfo, ServiceError> {
        match &self.holder {
            Some(Holder::Device(info)) => Ok(info),
            _ => {
                let detail = "this takes the session of a device";
                Err(ServiceError::new(ErrorCode::Unauthorized, detail))
            }
        }
    }

    fn id(&self) -> Result<&DeviceId, ServiceError> {
        self.device().map(|d| &d.device)
    }
}

/// An operation, as the service does it.
pub trait Operation: Call {
    /// Whether it may be as long as the server takes any. Most say little, in much less.
    const LONG: bool = false;
    /// The only mode that has it; none if both do.
    const MODE: Option<Mode> = None;
    /// Whether clients may ask for it that are too old for everything else.
    const ANY_CLIENT: bool = false;
    /// Whether [`Self::wait`] may do it.
    const WAITS: bool = false;

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

    /// Does it without holding up the thread while the storage writes; none if only [`Self::run`] can do it. Once
    /// begun it has to be brought to its end, or nobody else is told what it did.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn wait<S: Storage>(
        self,
        _: &Service<S>,
        _: &Caller,
    ) -> impl Future<Output = Result<Option<Done<Self::Reply>>, ServiceError>> + Send {
        async { Ok(None) }
    }
}

/// That a storage holds no state of the other mode.
fn check_folder(storage: &impl Storage, authority: &Authority) -> Result<(), OpenError> {
    match authority {
        Authority::Accounts(_) if !storage.all_certificates(i64::MIN, 1)?.is_empty() => {
            Err(OpenError::Mode(Mode::Certificates))
        }
        Authority::Certificates(_) if storage.has_accounts()? => {
            Err(OpenError::Mode(Mode::Accounts))
        }
        _ => Ok(()),
    }
}

impl<S: Storage> Service<S> {
    /// The service over a storage. A new one begins its directory, which is empty, at `now`.
    ///
    /// # Errors
    /// If the storage cannot be read, or what is in it does not fit together.
    pub fn new(
        storage: S,
        provider: Arc<dyn CryptoProvider>,
        limits: Limits,
        authority: impl Into<Authority>,
        now: UnixTime,
    ) -> Result<Self, OpenError> {
        let authority = authority.into();
        check_folder(&storage, &authority)?;
        Self::assembled(storage, provider, limits, authority, now)
    }

    /// The service over a storage, whoever certifies its devices: to look at what there is, not to serve it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn to_look(
        storage: S,
        provider: Arc<dyn CryptoProvider>,
        now: UnixTime,
    ) -> Result<Self, OpenError> {
        Self::assembled(storage, provider, Limits::default(), Registration::Closed.into(), now)
    }

    fn assembled(
        storage: S,
        provider: Arc<dyn CryptoProvider>,
        limits: Limits,
        authority: Authority,
        now: UnixTime,
    ) -> Result<Self, OpenError> {
        let storage = Arc::new(storage);
        let secret = storage.secret()?;

        let key_pair = keys::key_pair(&*provider, &secret)?;
        let signer = keys::signer(&key_pair);
        let sender = keys::sender(&*provider, &secret)?;
        let places = keys::places(&*provider, &secret)?;
        let incarnation = storage.incarnation()?;
        let names = keys::names(&*provider, &secret)?;
        let records = DirectoryRecords(storage.clone());
        let directory = Directory::open(records, provider.clone(), signer, names, now.as_secs())?;

        let views = Views::new(limits.loaded_groups);
        let sessions = Sessions::new(limits.sessions);
        Ok(Self {
            storage,
            provider,
            limits,
            secret,
            places,
            sender,
            authority,
            key_pair,
            incarnation,
            directory,
            long_proofs: LongProofs::default(),
            sessions,
            claims: Claims::new(now),
            relay: Relay::default(),
            views,
            attachments: None,
            #[cfg(any(test, feature = "testing"))]
            is_lawless: false,
        })
    }

    /// Does an operation, if it is one of this service's mode.
    ///
    /// # Errors
    /// As [`Operation::run`].
    pub fn run<O: Operation>(
        &self,
        operation: O,
        caller: &Caller,
    ) -> Result<Done<O::Reply>, ServiceError> {
        self.check_mode::<O>()?;
        operation.run(self, caller)
    }

    /// Does it without holding up the thread while the storage writes; none if only [`Self::run`] can do it.
    ///
    /// # Errors
    /// As [`Operation::run`].
    pub async fn wait<O: Operation + Send>(
        &self,
        operation: O,
        caller: &Caller,
    ) -> Result<Option<Done<O::Reply>>, ServiceError> {
        self.check_mode::<O>()?;
        operation.wait(self, caller).await
    }

    /// Reads and writes the storage, and changes nothing.
    ///
    /// # Errors
    /// If it can do one of them not.
    pub fn probe(&self) -> Result<(), ServiceError> {
        Ok(self.storage.probe()?)
    }

    /// How busy the storage's writer is, if it says.
    pub fn writer_load(&self) -> Option<WriterLoad> {
        self.storage.writer_load()
    }

    /// How many sessions are open, those included that have ended since the last one was opened.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.count()
    }

    /// The same service, which keeps attachments, too.
    #[must_use]
    pub fn with_attachments(
        mut self,
        store: Arc<dyn AttachmentStore>,
        limits: AttachmentLimits,
    ) -> Self {
        self.attachments = Some(Attachments::new(store, limits));
        self
    }

    /// Whether a client is served that says, in [`CLIENT_HEADER`], that it is of this version.
    ///
    /// # Errors
    /// [`ClientOutdated`](ErrorCode::ClientOutdated) if it is too old, or if it says nothing and some are.
    pub fn check_client(&self, said: Option<&str>) -> Result<(), ServiceError> {
        let oldest = &self.limits.minimum_clients;
        let refuse = |detail| Err(ServiceError::new(ErrorCode::ClientOutdated, detail));
        if oldest.is_empty() {
            return Ok(());
        }
        let Some(version) = said.and_then(|said| said.parse::<ClientVersion>().ok()) else {
            let oldest: Vec<String> = oldest.iter().map(ToString::to_string).collect();
            return refuse(format!(
                "the client does not say which version it is ({CLIENT_HEADER}: NAME/MAJOR.MINOR.PATCH), and this service \
                 serves none before {}: update it",
                oldest.join(", ")
            ));
        };
        match oldest.iter().find(|oldest| version.is_older_than(oldest)) {
            Some(oldest) => refuse(format!(
                "{version} is too old for this service, which serves {oldest} and later: update it"
            )),
            None => Ok(()),
        }
    }

    /// Whether a token names a session. It takes less than [`Self::authenticate`], for before the request is read.
    ///
    /// # Errors
    /// If it names none, or one that is over.
    pub fn check_token(&self, token: &str, now: UnixTime) -> Result<(), ServiceError> {
        self.sessions.check_token(token, now)
    }

    /// Who makes a request: path and body.
    ///
    /// # Errors
    /// If the token names no session, or the request is not signed with the session's key, or is a repetition.
    pub fn authenticate(
        &self,
        token: &str,
        proof: &Proof,
        request: (&str, &[u8]),
        now: UnixTime,
    ) -> Result<Caller, ServiceError> {
        let (holder, session) =
            self.sessions.authenticate(&*self.provider, token, proof, request, now)?;
        Ok(Caller { holder: Some(holder), session: Some(session), now })
    }

    /// The service that takes what the rules of rooms forbid: for tests of what members make of that.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn without_room_rules(self) -> Self {
        Self { is_lawless: true, ..self }
    }

    /// The same receipt, signed again after it was changed: for tests of what others make of a service that lies.
    ///
    /// # Errors
    /// If the provider cannot sign.
    #[cfg(any(test, feature = "testing"))]
    pub fn sign_again(&self, changed: Receipt) -> Result<Receipt, ServiceError> {
        let Receipt { incarnation, group_id, position, issued_at, .. } = changed;
        let now = UnixTime::from_secs(issued_at).unwrap_or(UnixTime::MAX);
        let place = (group_id, position);
        Receipt::signed(&*self.provider, &self.key_pair, incarnation, place, now)
            .map_err(error::provider_error)
    }

    /// The directory, without the rules by which the service fills it: for tests of what others make of a service that
    /// breaks them.
    #[cfg(any(test, feature = "testing"))]
    pub fn directory(&self) -> &Directory<DirectoryRecords<S>> {
        &self.directory
    }

    /// The key by which the service proposes removals: for tests of what members make of a service that breaks the
    /// rules.
    #[cfg(any(test, feature = "testing"))]
    pub fn sender(&self) -> &SignatureKeyPair {
        &self.sender
    }

    /// The service's word on a place in a group's log. To sign takes as long as a few reads: it is done once an answer,
    /// and holds nobody up.
    fn receipt(
        &self,
        group: &GroupId,
        position: LogPosition,
        now: UnixTime,
    ) -> Result<Receipt, ServiceError> {
        let place = (group.clone(), position);
        Receipt::signed(&*self.provider, &self.key_pair, self.incarnation, place, now)
            .map_err(error::provider_error)
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
