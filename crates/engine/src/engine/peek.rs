//! Peeking: what waits for a device, read by a second process beside the one that writes. For notifications, say.
//!
//! A peek opens a session of its own, which marks no state, fetches what each group's log has after the cursor, and opens
//! it in memory. It writes nothing, acknowledges nothing and sends nothing in any group: the process that writes gets all
//! of it again. What follows a commit is read if the commit can be judged by what the device knows already; otherwise it
//! is counted. How much is fetched and kept is bounded, as a peek may have little memory: the rest is counted, too.

use super::EngineError;
use crate::authority::Authority;
use crate::book::Book;
use crate::content::{Content, MAX_CONTENT};
use crate::conversation::entries::{Effect, Judge, chained, process, sealed_in};
use crate::conversation::rooms::{room_of, uri_of};
use crate::conversation::rules::config;
use crate::directory::{Directory, Judged};
use crate::enrolment::{self, CertificateFiles};
use crate::record::{GroupRecord, Payload, Stage, Trust};
use crate::request::{Reply, Request};
use conclave_account::{Account, Author};
use conclave_certificates::device_of;
use conclave_delivery_api::{
    CallError, DescribeService, DeviceId, ErrorCode, FetchInbox, FetchLog, InboxPage, LogEntry,
    LogPage, Name, OpenSession, SESSION_SCHEME, WelcomeItem, sha256,
};
use conclave_mls::credential::{CredentialRequest, SignaturePublicKey};
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, Suite};
use conclave_mls::group::Member;
use conclave_mls::storage::RowKey;
use conclave_mls::{Event, Group, GroupId, UnixTime, Verdict, apply};
use conclave_room::Capability;
use conclave_store::{Secret, Store, StoreError, WriteSet};
use core::convert::Infallible;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many entries are fetched at once.
const PAGE: u32 = 50;
/// How many messages of a group are shown; what follows is counted.
const MAX_MESSAGES: usize = 200;
/// How many entries of a group's log are read, messages or others.
const MAX_ENTRIES: usize = 1_000;
/// How many bytes of content are kept, of all groups. The message that exceeds it is the last one.
const MAX_BYTES: usize = 1 << 20;
/// How many invitations are looked at; what follows is counted.
const MAX_INVITATIONS: u32 = 20;

/// What waits for a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peeked {
    /// How many invitations wait. Of the first twenty, those of senders whom the user has blocked do not count.
    pub invitations: u64,
    /// The groups in which something waits.
    pub groups: Vec<PeekedGroup>,
}

/// What waits in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeekedGroup {
    /// Its identifier.
    pub group: GroupId,
    /// What the user calls it.
    pub name: String,
    /// The URI of its room, as [`Engine::room_uri`](crate::Engine::room_uri) has it: identifiers of messages derive from it.
    pub room_uri: String,
    /// What was said by others, in order.
    pub messages: Vec<PeekedMessage>,
    /// How many entries of the log come after that and were not read: messages or others.
    pub unread: u64,
    /// Whether this device was removed.
    pub removed: bool,
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeekedMessage {
    /// The number in the group's log.
    pub seq: u64,
    /// When the service received it, in seconds since 1970.
    pub time: u64,
    /// The device that sent it.
    pub sender: DeviceId,
    /// What was said.
    pub content: Content,
}

/// Why a peek ends.
#[derive(Debug)]
#[non_exhaustive]
pub enum PeekError {
    /// The state cannot be read, or the cryptography fails.
    Engine(EngineError),
    /// The state holds no device that the service knows.
    NoDevice,
    /// The state is a copy: the process that writes has to mend that first.
    Copied,
    /// Another service answers than the one that the device knows.
    OtherService,
    /// A call was not answered, or was refused.
    Call(CallError),
}

impl fmt::Display for PeekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(e) => fmt::Display::fmt(e, f),
            Self::NoDevice => f.write_str("the state holds no device that the service knows"),
            Self::Copied => {
                f.write_str("the state is a copy, which the messenger has to mend first")
            }
            Self::OtherService => {
                f.write_str("another service answers than the one that this device knows")
            }
            Self::Call(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for PeekError {}

impl<E: Into<EngineError>> From<E> for PeekError {
    fn from(e: E) -> Self {
        Self::Engine(e.into())
    }
}

/// A store that nothing is written to.
struct ReadOnly<S>(S);

impl<S: Store> Store for ReadOnly<S> {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        self.0.load(group)
    }

    fn write(&mut self, _: &WriteSet) -> Result<(), StoreError> {
        Err(StoreError::failed("a peek writes nothing: the messenger has to open this state first"))
    }

    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        self.0.groups()
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        self.0.get(namespace, key)
    }

    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        self.0.scan(namespace, from, limit)
    }
}

/// What the call under way is for.
enum Asked {
    Service,
    Session,
    Inbox,
    Log,
}

/// A group that is being read, in memory alone.
struct Reading {
    id: GroupId,
    group: Group,
    /// The record, as it would be.
    record: GroupRecord,
    /// Our own messages that may be in the log.
    own: VecDeque<Vec<u8>>,
    /// How many entries were read.
    entries: usize,
    /// What the service has lost of the log, and gives out again.
    lost: BTreeSet<[u8; 32]>,
    found: PeekedGroup,
}

/// Judges credentials by what the device knows, and asks nobody.
struct Known<'a> {
    provider: &'a dyn CryptoProvider,
    authority: &'a mut Authority,
    accounts: &'a BTreeMap<Name, Account>,
    times: (UnixTime, UnixTime),
}

impl Judge for Known<'_> {
    fn verdicts(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>> {
        match self.authority.judge(self.provider, self.accounts, self.times, requests) {
            Judged::Verdicts(verdicts) => Some(verdicts),
            Judged::Ask(_) => None,
        }
    }

    fn is_revoked(&mut self, member: &Member) -> Option<bool> {
        let Some(device) = device_of(&member.credential) else { return Some(false) };
        self.authority.judge_revoked(self.accounts, &device, &member.signature_key)
    }
}

/// Reads what waits for a device, and writes nothing. Like an engine it has no socket: the host makes the calls that
/// [`Self::next`] wants, those that need a session with [`Self::session_key`], and gives their outcome to [`Self::reply`],
/// until there are none. Then [`Self::peeked`] has what was found. One group is in memory at a time.
///
/// A peek's session ends by itself: the service keeps a few of a device's, beside that of the process that writes.
pub struct Peek<S> {
    book: Book<ReadOnly<S>>,
    provider: Arc<dyn CryptoProvider>,
    rng: Box<dyn CryptoRng + Send>,
    authority: Authority,
    now: u64,
    /// The service's key, and how far its clock is ahead, in milliseconds.
    service: Option<(SignaturePublicKey, i64)>,
    session_key: Option<SignatureKeyPair>,
    has_session: bool,
    /// How many more times the service may end the session, as it does when the process that writes shows a mark.
    renewals: u32,
    has_inbox: bool,
    groups: VecDeque<GroupId>,
    reading: Option<Box<Reading>>,
    under_way: Option<Asked>,
    /// How many bytes of content were found.
    bytes: usize,
    peeked: Peeked,
}

impl<S> fmt::Debug for Peek<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").finish_non_exhaustive()
    }
}

impl<S: Store> Peek<S> {
    /// Begins to read the state in a store, which nobody may write to while this lives: a copy, say.
    ///
    /// # Errors
    /// [`PeekError::NoDevice`] and [`PeekError::Copied`]; [`PeekError::Engine`] if the state cannot be read, or is of an
    /// earlier version, which the messenger has to open first.
    pub fn open(
        store: S,
        provider: Arc<dyn CryptoProvider>,
        mut rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, PeekError> {
        let mut store = ReadOnly(store);
        let Some(mut identity) = Book::identity_in(&store)? else {
            return Err(PeekError::NoDevice);
        };
        let files = CertificateFiles::default();
        let certified = enrolment::open(&mut store, &*provider, &mut identity, files)?;
        let book = Book::load(store, identity, provider.clone(), &mut *rng)?;

        if book.copied().is_some() {
            return Err(PeekError::Copied);
        }
        let authority = match certified {
            Some(certified) => Authority::Certificates(Box::new(certified)),
            // Whoever answers would be taken for the service.
            None if book.watch().is_none() => return Err(PeekError::NoDevice),
            None => Authority::Accounts(Directory::default()),
        };

        let is_read = |(id, record): (&GroupId, &GroupRecord)| {
            let is_member = record.stage == Stage::Active && record.asked_by.is_none();
            let comes_back = book.rejoin(id).is_some_and(|rejoin| rejoin.wanted);
            (is_member && !comes_back).then(|| id.clone())
        };
        let groups = book.records().iter().filter_map(is_read).collect();

        Ok(Self {
            book,
            provider,
            rng,
            authority,
            now: 0,
            service: None,
            session_key: None,
            has_session: false,
            renewals: 2,
            has_inbox: false,
            groups,
            reading: None,
            under_way: None,
            bytes: 0,
            peeked: Peeked::default(),
        })
    }

    /// The key of this peek's session, which signs its calls.
    #[must_use]
    pub fn session_key(&self) -> Option<&SignatureKeyPair> {
        self.session_key.as_ref()
    }

    /// What was found so far.
    #[must_use]
    pub fn peeked(&self) -> &Peeked {
        &self.peeked
    }

    /// What was found.
    #[must_use]
    pub fn into_peeked(self) -> Peeked {
        self.peeked
    }

    /// The next call to make, at a time in milliseconds since 1970; none while one is under way, and at the end.
    ///
    /// # Errors
    /// [`PeekError::Engine`] if the state cannot be read.
    pub fn next(&mut self, now: u64) -> Result<Option<Request>, PeekError> {
        self.now = now;
        if self.under_way.is_some() {
            return Ok(None);
        }
        let Some((service_key, ahead)) = self.service.clone() else {
            self.under_way = Some(Asked::Service);
            return Ok(Some(DescribeService {}.into()));
        };
        if !self.has_session {
            self.under_way = Some(Asked::Session);
            return self.open_session(&service_key, ahead).map(Some);
        }
        if !self.has_inbox {
            self.under_way = Some(Asked::Inbox);
            return Ok(Some(FetchInbox { limit: MAX_INVITATIONS }.into()));
        }
        self.next_page()
    }

    fn open_session(
        &mut self,
        service: &SignaturePublicKey,
        ahead: i64,
    ) -> Result<Request, PeekError> {
        let identity = self.book.identity();
        let scheme = Suite::new(&*self.provider, identity.cipher_suite)?.params().signature;
        let session_key = self.provider.signature_key_pair(SESSION_SCHEME, &mut *self.rng)?;
        let author = Author::Device(identity.device.device.clone());
        let request = OpenSession::signed(
            &*self.provider,
            service,
            (identity.device.user.clone(), author),
            (scheme, &identity.signer),
            session_key.public.clone(),
            time(self.now.saturating_add_signed(ahead)),
        )?;
        self.session_key = Some(session_key);
        Ok(request.into())
    }

    /// The next page of the group that is being read, or of the next one.
    fn next_page(&mut self) -> Result<Option<Request>, PeekError> {
        while self.reading.is_none() {
            let Some(id) = self.groups.pop_front() else { return Ok(None) };
            self.reading = self.begin(id)?.map(Box::new);
        }
        let Some(reading) = &self.reading else { return Ok(None) };
        let (group_id, after) = (reading.id.clone(), reading.record.cursor);
        self.under_way = Some(Asked::Log);
        Ok(Some(FetchLog { group_id, after, limit: PAGE }.into()))
    }

    /// Loads a group; none if it cannot be loaded, which the process that writes reports.
    fn begin(&self, id: GroupId) -> Result<Option<Reading>, PeekError> {
        let rows = self.book.store().load(&id)?;
        let Ok(group) = Group::load(&*self.provider, config(), rows) else { return Ok(None) };
        let Some(record) = self.book.record(&id).cloned() else { return Ok(None) };
        let own = VecDeque::from(sealed_in(&self.book, &id));
        let lost = self.book.missing(&id).map(|lost| lost.values().copied().collect());
        let (name, room_uri) = (self.book.group_name(&id), uri_of(&group));
        let found = PeekedGroup {
            group: id.clone(),
            name,
            room_uri,
            messages: Vec::new(),
            unread: 0,
            removed: false,
        };
        let lost = lost.unwrap_or_default();
        Ok(Some(Reading { id, group, record, own, entries: 0, lost, found }))
    }

    /// Takes the outcome of the call that [`Self::next`] gave out.
    ///
    /// # Errors
    /// Why the peek ends. What was found before stays.
    pub fn reply(&mut self, now: u64, reply: Result<Reply, CallError>) -> Result<(), PeekError> {
        self.now = now;
        let Some(asked) = self.under_way.take() else { return Ok(()) };
        let reply = match reply {
            Ok(reply) => reply,
            Err(error)
                if error.code() == Some(ErrorCode::Unauthorized)
                    && self.has_session
                    && self.renewals > 0 =>
            {
                (self.has_session, self.renewals) = (false, self.renewals - 1);
                return Ok(());
            }
            // What is wrong with one group hides none of the others.
            Err(CallError::Refused { code, .. })
                if matches!(asked, Asked::Log) && code != ErrorCode::Unauthorized =>
            {
                let read = self.reading.take().map(|reading| reading.found);
                self.peeked.groups.extend(read.filter(|found| !found.messages.is_empty()));
                return Ok(());
            }
            Err(error) => return Err(PeekError::Call(error)),
        };

        match (asked, reply) {
            (Asked::Service, Reply::DescribeService(info)) => {
                // This device signs nothing for another service.
                if self.book.watch().is_some_and(|watch| *watch.key() != info.key) {
                    return Err(PeekError::OtherService);
                }
                let theirs = i64::try_from(info.now.saturating_mul(1000)).unwrap_or(i64::MAX);
                self.service = Some((info.key, theirs.saturating_sub_unsigned(now)));
            }
            (Asked::Session, Reply::OpenSession(_)) => self.has_session = true,
            (Asked::Inbox, Reply::FetchInbox(page)) => {
                self.has_inbox = true;
                self.peeked.invitations = self.invitations(&page);
            }
            (Asked::Log, Reply::FetchLog(page)) => {
                let Some(mut reading) = self.reading.take() else { return Ok(()) };
                if self.read(&mut reading, &page) {
                    self.reading = Some(reading);
                } else if reading.found.unread > 0
                    || !reading.found.messages.is_empty()
                    || reading.found.removed
                {
                    self.peeked.groups.push(reading.found);
                }
            }
            // Each request has its own reply.
            _ => {}
        }
        Ok(())
    }

    /// How many invitations there are, without those on this page that the process that writes will drop.
    fn invitations(&self, page: &InboxPage) -> u64 {
        let is_dropped = |welcome: &WelcomeItem| {
            let is_past = |record: &GroupRecord| welcome.position.epoch <= record.epoch;
            self.book.trust(&welcome.sender) == Some(Trust::Blocked)
                || self.book.record(&welcome.group_id).is_some_and(is_past)
        };
        let dropped = page.items.iter().filter(|item| is_dropped(&item.welcome)).count();
        u64::from(page.total).saturating_sub(dropped as u64)
    }

    /// Reads a page of a group's log; whether there is more to be read.
    fn read(&mut self, reading: &mut Reading, page: &LogPage) -> bool {
        let Ok(mut chains) = chained(&reading.id, reading.record.place(), page) else {
            reading.found.unread = page.head.saturating_sub(reading.record.cursor);
            return false;
        };
        // A page without anything new ends it: the next one would be the same.
        let mut goes_on = false;
        let cursor = reading.record.cursor;
        for entry in page.entries.iter().filter(|entry| entry.seq > cursor) {
            let has_room = reading.found.messages.len() < MAX_MESSAGES
                && reading.entries < MAX_ENTRIES
                && self.bytes < MAX_BYTES;
            goes_on = has_room && self.read_entry(reading, entry);
            if !goes_on {
                break;
            }
            reading.entries += 1;
            let record = &mut reading.record;
            (record.cursor, record.chain) = (entry.seq, chains.remove(&entry.seq));
        }
        reading.found.unread = page.head.saturating_sub(reading.record.cursor);
        goes_on && reading.found.unread > 0
    }

    /// Reads an entry; whether the log can be followed further.
    fn read_entry(&mut self, reading: &mut Reading, entry: &LogEntry) -> bool {
        let is_own = reading.own.pop_front_if(|own| **own == *entry.message).is_some();
        if is_own || reading.lost.contains(&sha256(&entry.message)) {
            return true;
        }

        let sent = UnixTime::from_secs(entry.received_at).unwrap_or(UnixTime::MAX);
        let now = time(self.now);
        let mut judge = Known {
            provider: &*self.provider,
            authority: &mut self.authority,
            accounts: self.book.accounts(),
            times: (now, sent),
        };
        let Ok((effect, step)) = process(&*self.provider, &reading.group, now, entry, &mut judge)
        else {
            return false;
        };

        if matches!(effect, Effect::Out) {
            reading.found.removed = true;
            return false;
        }
        let Some(step) = step else { return true };

        let room = room_of(&reading.group);
        let event = apply(&mut reading.group, step, |_| Ok::<(), Infallible>(()));
        if let Ok(Event::Application(message)) = &event {
            let Some(sender) = device_of(&message.sender.credential) else { return true };
            // What this device has sent since the copy was made does not wait for it.
            if sender == self.book.identity().device {
                return true;
            }

            let may_write =
                room.is_none_or(|room| room.may(sender.user.as_str(), Capability::SEND_MESSAGE));
            let content = match Payload::from_data(&message.data) {
                Payload::Content(content) | Payload::Rooted(_, content) => Some(content),
                Payload::Name(_) => None,
                Payload::Unknown(data) => Some(Content::unknown(data)),
            };
            let content =
                content.filter(|content| may_write && content.bytes().len() <= MAX_CONTENT);
            let (seq, time) = (entry.seq, entry.received_at);
            let said = content.map(|content| PeekedMessage { seq, time, sender, content });
            self.bytes += said.as_ref().map_or(0, |said| said.content.bytes().len());
            reading.found.messages.extend(said);
        }
        event.is_ok()
    }
}

fn time(milliseconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(milliseconds)).unwrap_or(UnixTime::MAX)
}
