//! The service: the real core over SQLite, in a folder in memory where the system has one.

use crate::crypto::WorldCrypto;
use conclave_delivery::service::{
    Caller, Holder, Limit, Limits, Notice, Operation, Service, ServiceError,
};
use conclave_delivery::storage::SqliteStorage;
use conclave_delivery_api::{
    Call, CallError, DeviceId, EVENTS_PATH, Encode, ErrorCode, Event, Proof, Receipt, Registration,
    SubmitCommit, Token,
};
use conclave_engine::{Reply, Request};
use conclave_mls::UnixTime;
use conclave_mls::crypto::SignatureKeyPair;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// How often the service publishes what has changed in accounts, in milliseconds.
const PUBLISH_EVERY: u64 = 10_000;

/// What signs a request: the session's token and key, and the request's number.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) token: Token,
    pub(crate) key: SignatureKeyPair,
    pub(crate) number: u64,
}

/// What the service made of a request.
pub(crate) struct Answered {
    pub(crate) reply: Result<Reply, CallError>,
    pub(crate) notices: Vec<Notice>,
    /// How many bytes the request and the reply have.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Whose streams end.
    pub(crate) ended: Vec<DeviceId>,
}

/// A service and where its state is.
pub(crate) struct Server {
    service: Option<Service<SqliteStorage>>,
    provider: Arc<WorldCrypto>,
    folder: TempDir,
    backups: Vec<TempDir>,
    publish_at: u64,
    /// Whether it takes what the rules of rooms forbid.
    is_lawless: bool,
}

pub(crate) fn time(now: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(now)).unwrap_or(UnixTime::MAX)
}

/// A new folder, in memory if there is such a place: nothing in it outlives the world.
fn new_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let found = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    found.expect("a folder for the service's state")
}

fn open(
    folder: &Path,
    provider: Arc<WorldCrypto>,
    is_lawless: bool,
    now: u64,
) -> Service<SqliteStorage> {
    let storage = SqliteStorage::open(folder).expect("the service's state");
    let limits = Limits::default();
    let service = Service::new(storage, provider, limits, Registration::Open, time(now));
    let service = service.expect("a service");
    if is_lawless { service.without_room_rules() } else { service }
}

impl Server {
    pub(crate) fn new(now: u64, crypto: WorldCrypto, is_lawless: bool) -> Self {
        let provider = Arc::new(crypto);
        let folder = new_folder();
        let service = Some(open(folder.path(), provider.clone(), is_lawless, now));
        Self { service, provider, folder, backups: Vec::new(), publish_at: now, is_lawless }
    }

    pub(crate) fn service(&self) -> &Service<SqliteStorage> {
        self.service.as_ref().expect("a service that runs")
    }

    fn open_again(&mut self, now: u64) {
        self.service = Some(open(self.folder.path(), self.provider.clone(), self.is_lawless, now));
    }

    /// The service's process ends, and another begins: sessions are gone, what is stored is not.
    pub(crate) fn restart(&mut self, now: u64) {
        drop(self.service.take());
        self.open_again(now);
    }

    /// A copy of the state, in a folder of its own.
    fn copied(&self) -> TempDir {
        let to = new_folder();
        SqliteStorage::copy(self.folder.path(), to.path()).expect("a copy of the state");
        to
    }

    /// Keeps a copy of the state.
    pub(crate) fn back_up(&mut self) {
        let copy = self.copied();
        self.backups.push(copy);
    }

    /// Puts the latest copy in place of the state. `noted`: as the restore command does it, which begins another
    /// incarnation.
    pub(crate) fn put_back(&mut self, now: u64, noted: bool) {
        let Some(backup) = self.backups.pop() else { return };
        drop(self.service.take());
        if noted {
            let storage = SqliteStorage::open(backup.path()).expect("the service's state");
            storage.begin_incarnation().expect("another incarnation");
        }
        self.folder = backup;
        self.open_again(now);
    }

    /// Begins with nothing.
    pub(crate) fn set_up_anew(&mut self, now: u64) {
        drop(self.service.take());
        self.backups.clear();
        self.folder = new_folder();
        self.open_again(now);
    }

    /// Another service with the same state and key, which goes its own way from now on.
    pub(crate) fn forked(&self, now: u64) -> Self {
        self.forked_to(self.is_lawless, now)
    }

    /// Whether a service in this state that keeps the rules of rooms would refuse a caller's commit.
    pub(crate) fn forbids(&self, commit: SubmitCommit, signer: &Signer, now: u64) -> bool {
        let Ok(caller) = self.caller(Some(signer), ("judge", b""), now) else { return false };
        // Sessions are not stored.
        let caller = Caller::new(caller.holder, time(now));
        self.forked_to(false, now).service().run(commit, &caller).is_err()
    }

    fn forked_to(&self, is_lawless: bool, now: u64) -> Self {
        let (folder, provider) = (self.copied(), self.provider.clone());
        let service = Some(open(folder.path(), provider.clone(), is_lawless, now));
        let (backups, publish_at) = (Vec::new(), self.publish_at);
        Self { service, provider, folder, backups, publish_at, is_lawless }
    }

    /// Who calls, as the service sees it.
    fn caller(
        &self,
        signer: Option<&Signer>,
        about: (&str, &[u8]),
        now: u64,
    ) -> Result<Caller, ServiceError> {
        let Some(Signer { token, key, number }) = signer else {
            return Ok(Caller::new(None, time(now)));
        };
        let proof = Proof::signed(&*self.provider, key, token, *number, about);
        let proof = proof.expect("a signature");
        self.service().authenticate(token.expose(), &proof, about, time(now))
    }

    fn run<O: Operation>(
        &self,
        request: O,
        signer: Option<&Signer>,
        now: u64,
        wrap: fn(<O as Call>::Reply) -> Reply,
    ) -> Answered {
        let body = request.to_bytes();
        let sent = body.as_ref().map_or(0, |body| body.len() as u64);
        let done = || {
            let body = body.map_err(|_| CallError::TooLong)?;
            let signer = signer.filter(|_| !O::ANONYMOUS);
            let caller = self.caller(signer, (O::PATH, &body), now).map_err(refused)?;
            self.service().run(request, &caller).map_err(refused)
        };
        match done() {
            Ok(done) => {
                let received = done.reply.to_bytes().map_or(0, |reply| reply.len() as u64);
                let (notices, ended) = (done.notices, done.ended);
                Answered { reply: Ok(wrap(done.reply)), notices, sent, received, ended }
            }
            Err(error) => {
                let (notices, ended) = (Vec::new(), Vec::new());
                Answered { reply: Err(error), notices, sent, received: 0, ended }
            }
        }
    }

    /// Another receipt with the service's signature: what a service that lies gives out.
    pub(crate) fn sign_again(&self, receipt: Receipt) -> Receipt {
        self.service().sign_again(receipt).expect("a signature")
    }

    /// Does what a request asks for.
    pub(crate) fn answer(&self, request: Request, signer: Option<&Signer>, now: u64) -> Answered {
        macro_rules! run {
            ($($name:ident)*) => {
                match request {
                    $(Request::$name(request) => self.run(request, signer, now, Reply::$name)),*
                }
            };
        }
        run!(
            DescribeService SubmitAccount OpenSession MarkState PutRelay FetchRelay FetchAccount FetchExtension FetchHistory
            SubmitCertificate FetchCertificates PublishKeyPackages CountKeyPackages ReplaceKeyPackages
            ClaimKeyPackages CreateGroup ResetGroup RestoreLog SubmitCommit SubmitProposal SendMessage SendMessages
            FetchLog FetchLinkedGroup FetchGroupInfo FetchInbox AckInbox
        )
    }

    /// What comes first in a stream of events; none for a session that has no events.
    pub(crate) fn stream(&self, signer: &Signer, now: u64) -> Result<Vec<Event>, CallError> {
        let caller = self.caller(Some(signer), (EVENTS_PATH, b""), now).map_err(refused)?;
        match caller.holder {
            Some(Holder::Device(info)) => {
                let mut events = self.service().current_events(&info).map_err(refused)?;
                events.push(Event::Ready);
                Ok(events)
            }
            _ => Err(CallError::refused(ErrorCode::Unauthorized, "not a device's session")),
        }
    }

    /// Publishes what has changed in accounts, if it is time, and proposes to remove who was revoked.
    pub(crate) fn publish(&mut self, now: u64) -> Vec<Notice> {
        if self.publish_at > now {
            return Vec::new();
        }
        self.publish_at = now + PUBLISH_EVERY;
        let notices = self.service().propose_removals(time(now)).unwrap_or_default();
        self.service().publish(time(now)).expect("the directory");
        notices
    }
}

fn refused(error: ServiceError) -> CallError {
    let ServiceError { code, detail, limit, details } = error;
    match limit {
        Some(Limit { wait: retry_after, .. }) => CallError::Postponed { code, detail, retry_after },
        None => CallError::Refused { code, detail, details },
    }
}
