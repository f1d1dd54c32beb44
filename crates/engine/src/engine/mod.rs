//! What a client decides: a machine that takes commands, replies, hints and the time, and gives out requests and what
//! there is to say.
//!
//! What comes next is decided from what is stored, so that it does not matter when the last process died: first to
//! register, then key packages, then whatever of the service's word on devices is needed, the inbox, and each group in
//! turn. In a group the log comes first, then what is pending or next in the queue.
//!
//! Calls of different groups may be under way at once, one of each. Everything else, which concerns more than one group,
//! is done while nothing else is.

mod access;
mod accounts;
mod app;
mod certificates;
mod contacts;
mod copied;
mod doctor;
mod error;
mod groups;
mod inbox;
mod incarnation;
mod info;
mod inviting;
mod join_links;
mod joining;
mod kept;
mod keys;
mod linking;
mod log;
mod marking;
mod outgoing;
mod peek;
mod receipts;
mod recovery;
mod rejoining;
mod remedies;
mod renewal;
mod replies;
mod reset;
mod restored;
mod rooms;
mod stale;
#[cfg(test)]
mod tests;
mod transparency;
mod under_way;
mod watching;

use crate::authority::Authority;
use crate::book::{Book, Change};
use crate::command::Command;
use crate::content::{Content, MAX_CONTENT};
use crate::conversation::waits::COUNT_INTERVAL;
use crate::conversation::{Conversation, rules};
use crate::directory::{Directory, Judged};
use crate::enrolment::{self, CertificateFiles};
use crate::notice::Notice;
use crate::output::Answer;
use crate::policy::KeyPolicy;
use crate::reason::Reason;
use crate::record::{Item, Line, News, Payload, Stage, Work};
use crate::request::Request;
use conclave_account::LinkCode;
use conclave_delivery_api::{
    DeviceId, ErrorCode, Event as Hint, GroupState, InboxItem, LogPosition, Name, StreamEvent,
};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, Suite};
use conclave_mls::key_package::KeyPackageRef;
use conclave_mls::storage::Outcome;
use conclave_mls::{CipherSuite, Event, Group, GroupId, Transition, UnixTime, apply};
use conclave_store::Store;
use core::fmt;
use core::time::Duration;
pub use error::{CommandError, EngineError};
use linking::{Admission, NewWords, OwnChange, Recovering, Waiting};
use marking::Marking;
pub use peek::{Peek, PeekError, Peeked, PeekedGroup, PeekedMessage};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
pub use under_way::{CallId, MAX_CALLS};
use under_way::{Purpose, UnderWay};
pub use watching::Evidence;
use watching::Watching;

/// The wait before the first repetition of a call that was not answered, in milliseconds; each
/// doubles, up to the longest.
const FIRST_WAIT: u64 = 200;
const LONGEST_WAIT: u64 = 10_000;
/// How many answers in a row may make no sense before the call counts as refused: so many take
/// about twenty seconds, and what stands between here and the service may be restarted meanwhile.
const MAX_STRANGE: u32 = 8;
/// How long news of a group wait for its name, in milliseconds: whoever invites sends it right
/// after the invitation.
const NAME_WAIT: u64 = 3_000;

/// What an engine is made of.
pub struct Setup<S> {
    /// Who this device is.
    pub device: DeviceId,
    /// The only cipher suite of a new device. If it is not given, a new device has [`HYBRID`](crate::suites::HYBRID) for
    /// the groups that it makes, and [`CLASSIC`](crate::suites::CLASSIC) besides. A device that was set up before keeps its
    /// suites: another choice is an error then.
    pub cipher_suite: Option<CipherSuite>,
    /// The cryptography, with the code points of [`SUITES`](crate::SUITES).
    pub provider: Arc<dyn CryptoProvider>,
    /// The randomness: of the operating system, but in tests.
    pub rng: Box<dyn CryptoRng + Send>,
    /// The device's state.
    pub store: S,
    /// What lets a new user in, where the service takes new users by invitation.
    pub invitation: Option<Vec<u8>>,
    /// What makes it a device that a CA certifies, if that is new.
    pub certificates: CertificateFiles,
    /// When it replaces its own keys, and when others count as gone.
    pub keys: KeyPolicy,
    /// Where the host keeps what [`Engine::next_evidence`] gives out, in the words in which the user is told of it: a
    /// folder, without a separator at its end, or nothing.
    pub evidence_place: String,
}

impl<S> fmt::Debug for Setup<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("device", &self.device).finish_non_exhaustive()
    }
}

/// All that one device decides.
pub struct Engine<S> {
    book: Book<S>,
    provider: Arc<dyn CryptoProvider>,
    rng: Box<dyn CryptoRng + Send>,
    evidence_place: String,
    keys: KeyPolicy,
    /// The authority of the address at which this device reaches the service, if that is known.
    host: Option<String>,
    authority: Authority,
    /// When new devices of this user are to be invited into its groups.
    newcomers_at: Option<u64>,
    conversations: BTreeMap<GroupId, Conversation>,
    /// The groups that were made since this process began.
    made: BTreeSet<GroupId>,
    /// The states of groups that are joined by a link as soon as their members' accounts are known.
    linked: BTreeMap<GroupId, GroupState>,
    /// The states of groups that this device comes back into.
    shown: BTreeMap<GroupId, GroupState>,
    answers: VecDeque<Answer>,
    /// Milliseconds since 1970.
    now: u64,
    under_way: UnderWay,
    /// The service's key, once it is known. It is kept while the service is asked again, to check the answer under way.
    service_key: Option<SignaturePublicKey>,
    /// Whether `service_key` is current. It is not before the first answer, nor when the key may have changed: then the
    /// service is asked.
    is_described: bool,
    /// Whether it was restored from a backup, or set up anew, since this process began.
    was_restored: bool,
    /// How far the service's clock is ahead of this device's, in milliseconds.
    service_ahead: i64,
    /// Whether the service takes new users by invitation.
    by_invitation: bool,
    invitation: Option<Vec<u8>>,
    /// Whether the own log is to be submitted before a session can be opened.
    to_submit: bool,
    /// Whether that was tried since there was a session.
    resubmitted: bool,
    /// Whether the service was asked for its key again since there was a session.
    asked_again: bool,
    /// Whether the service was told of the own log what it did not show, and has not shown it since.
    retold: bool,
    session_key: Option<SignatureKeyPair>,
    /// Whether there is a session.
    registered: bool,
    /// What of this process the service knows.
    marking: Marking,
    /// When another one is opened.
    session_until: u64,
    /// How many sessions in a row the service has refused.
    sessions_refused: u32,
    /// This device's wait to be admitted by another one of the user's.
    waiting_link: Option<Waiting>,
    /// The code by which this device was admitted, until it has said that it is ready.
    tell_ready: Option<LinkCode>,
    own_change: Option<OwnChange>,
    /// The devices whose revocation was asked for since this process began.
    revocations: BTreeSet<Name>,
    /// The recovery key that the user is writing down.
    new_words: Option<NewWords>,
    /// This device's way to the account by its recovery key.
    recovering: Option<Recovering>,
    admission: Option<Admission>,
    /// How much of what the user wanted of the account has failed after it was accepted.
    account_failures: usize,
    /// Revoked devices that are to leave groups, and when.
    removals: BTreeMap<(GroupId, DeviceId), u64>,
    watching: Watching,
    announced: bool,
    /// Whether the service has key packages of this device.
    invitable: bool,
    /// Suites that the service does not support: no key packages of them are made again in this
    /// process.
    refused_suites: BTreeSet<CipherSuite>,
    /// Suites of which the service has key packages whose secrets are gone: all are to be replaced, but these.
    to_replace: BTreeMap<CipherSuite, Vec<KeyPackageRef>>,
    /// When key packages are counted next.
    count_at: u64,
    inbox_due: bool,
    /// Invitations, and how often each had to wait for its group's log.
    inbox: VecDeque<(InboxItem, u32)>,
    acks: Vec<u64>,
    lookups: BTreeSet<Name>,
    /// The group that was served last.
    last_group: Option<GroupId>,
    retry_at: u64,
    wait: u64,
    /// How many answers in a row made no sense.
    strange: u32,
    offline: bool,
    /// Whether the stream of hints begins.
    connecting: bool,
}

impl<S> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

impl<S: Store> Engine<S> {
    /// A messenger from its state; a new one, if there is none.
    ///
    /// # Errors
    /// If the state cannot be read, or is not this device's, or the provider does not support one
    /// of its cipher suites.
    pub fn open(setup: Setup<S>) -> Result<Self, EngineError> {
        let Setup { device, cipher_suite, provider, mut rng, mut store, keys, .. } = setup;
        let (invitation, evidence_place) = (setup.invitation, setup.evidence_place);
        let stored = Book::identity_in(&store)?;
        let is_new = stored.is_none();
        let mut identity = match stored {
            Some(found) if found.device != device => {
                return Err(EngineError::OtherDevice { found: found.device });
            }
            Some(found) if cipher_suite.is_some_and(|suite| found.suites().any(|s| s != suite)) => {
                return Err(EngineError::OtherSuite { found: found.suites().collect() });
            }
            Some(found) => found,
            None => enrolment::new_identity(&*provider, &mut *rng, device, cipher_suite)?,
        };
        // Fails now rather than later, and before anything is stored.
        identity.suites().try_for_each(|suite| Suite::new(&*provider, suite).map(|_| ()))?;
        let files = setup.certificates;
        let certified = enrolment::open(&mut store, &*provider, &mut identity, files)?;
        if is_new {
            Book::set_identity(&mut store, &identity)?;
        }
        let authority = match certified {
            Some(certified) => Authority::Certificates(Box::new(certified)),
            None => Authority::Accounts(Directory::default()),
        };
        let mut engine = Self {
            book: Book::load(store, identity, provider.clone(), &mut *rng)?,
            provider,
            rng,
            evidence_place,
            keys,
            host: None,
            authority,
            newcomers_at: None,
            conversations: BTreeMap::new(),
            made: BTreeSet::new(),
            linked: BTreeMap::new(),
            shown: BTreeMap::new(),
            answers: VecDeque::new(),
            now: 0,
            under_way: UnderWay::default(),
            service_key: None,
            is_described: false,
            was_restored: false,
            service_ahead: 0,
            by_invitation: false,
            invitation,
            to_submit: false,
            resubmitted: false,
            asked_again: false,
            retold: false,
            session_key: None,
            registered: false,
            marking: Marking::default(),
            session_until: 0,
            sessions_refused: 0,
            waiting_link: None,
            tell_ready: None,
            own_change: None,
            revocations: BTreeSet::new(),
            new_words: None,
            recovering: None,
            admission: None,
            account_failures: 0,
            removals: BTreeMap::new(),
            watching: Watching::default(),
            announced: false,
            invitable: false,
            refused_suites: BTreeSet::new(),
            to_replace: BTreeMap::new(),
            count_at: 0,
            inbox_due: true,
            inbox: VecDeque::new(),
            acks: Vec::new(),
            lookups: BTreeSet::new(),
            last_group: None,
            retry_at: 0,
            wait: FIRST_WAIT,
            strange: 0,
            offline: false,
            connecting: false,
        };
        // What was made and perhaps never sent is sent again.
        engine.to_submit = engine.authority.certified().is_some()
            || !engine.book.is_confirmed() && engine.own_account().is_some();
        engine.load_groups()?;
        engine.resume_copied()?;
        engine.resume_link()?;
        engine.remind_of_service();
        Ok(engine)
    }

    fn load_groups(&mut self) -> Result<(), EngineError> {
        for (id, record) in self.book.records() {
            if !matches!(record.stage, Stage::Active | Stage::Creating(_)) {
                continue;
            }
            let rows = self.book.store().load(id)?;
            match Group::load(&*self.provider, rules::config(), rows) {
                Ok(group) => {
                    let receipt = record.receipt.clone();
                    self.conversations.insert(id.clone(), Conversation::new(group, receipt));
                }
                Err(e) => {
                    let (group, why) = (Some(id.clone()), e.to_string());
                    let reason = Reason::GroupLeftOut { why };
                    self.answers.push_back(Answer::Failed { group, reason });
                }
            }
        }
        Ok(())
    }

    /// This device.
    #[must_use]
    pub fn device(&self) -> &DeviceId {
        &self.book.identity().device
    }

    /// The suites of this device: that of the groups that it makes comes first.
    pub fn suites(&self) -> impl Iterator<Item = CipherSuite> {
        self.book.identity().suites()
    }

    /// The time as MLS and the service want it: in seconds.
    fn time(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_millis(self.now)).unwrap_or(UnixTime::MAX)
    }

    /// Tells the user something. That is not stored.
    fn tell_now(&mut self, notice: Notice) {
        self.answers.push_back(Answer::Note { group: None, notice });
    }

    /// Says that something did not come about. That is not stored.
    fn failed(&mut self, group: Option<&GroupId>, reason: Reason) {
        self.answers.push_back(Answer::Failed { group: group.cloned(), reason });
    }

    /// Takes a hint of the service's.
    pub fn heard(&mut self, now: u64, heard: StreamEvent) {
        self.now = now;
        match heard {
            StreamEvent::Connected => {
                self.connecting = true;
                // Whoever waits for something else than an answer goes on waiting.
                if self.offline && self.sessions_refused == 0 {
                    self.wait = FIRST_WAIT;
                    self.retry_at = 0;
                }
                self.online();
                // What could not be fetched or judged then may be now.
                self.conversations.values_mut().for_each(|live| live.try_again());
            }
            // Nothing else tells a device that only listens.
            StreamEvent::Disconnected { error, .. }
                if error.code() == Some(ErrorCode::Unauthorized) =>
            {
                self.session_refused();
            }
            StreamEvent::Disconnected { error, .. } => self.offline(Reason::of_call(&error)),
            StreamEvent::Event(Hint::Incarnation(current)) => self.heard_incarnation(current),
            StreamEvent::Event(Hint::Inbox) => self.inbox_due = true,
            StreamEvent::Event(Hint::Account { user, length }) => {
                // Of whom nothing is known, nothing is asked.
                let known = self.book.account(&user).map(|account| account.head().length);
                let alarmed = self.book.is_alarmed(&user);
                if known.is_some_and(|known| known != length || alarmed) {
                    self.lookups.insert(user);
                }
            }
            StreamEvent::Event(Hint::Certificates { user }) => {
                if self.authority.certified().is_some() {
                    self.lookups.insert(user);
                }
            }
            StreamEvent::Event(Hint::Group { group_id, position }) => {
                self.heard_of_group(&group_id, position);
            }
            StreamEvent::Event(Hint::Ended { group_id, .. }) => {
                // The log says so, after all that it has.
                if let Some(live) = self.conversations.get_mut(&group_id) {
                    live.look_again();
                }
            }
            StreamEvent::Event(Hint::Ready) => self.connecting = false,
        }
    }

    /// Takes a hint of where a group's log ends. One that this device has overtaken says nothing; but when the
    /// stream begins, the service says where all logs end then.
    fn heard_of_group(&mut self, id: &GroupId, LogPosition { seq, chain, .. }: LogPosition) {
        let Some(record) = self.book.record(id) else { return };
        let Some(live) = self.conversations.get_mut(id) else { return };
        live.heard(seq);
        let other = seq == record.cursor && record.chain.is_some_and(|known| known != chain);
        if other || (self.connecting && seq < record.cursor) {
            // The log says more.
            live.log.sync = true;
        }
    }

    /// The service answers. Until it takes this device's session, too, that is of little use.
    fn online(&mut self) {
        if self.sessions_refused == 0 && core::mem::take(&mut self.offline) {
            self.answers.push_back(Answer::Online);
        }
    }

    fn offline(&mut self, reason: Reason) {
        if !core::mem::replace(&mut self.offline, true) {
            self.answers.push_back(Answer::Offline { reason });
        }
    }

    /// The next call to make; none if there is nothing to do, or nothing that can be done beside what is under way. What
    /// is returned is to be made, and its outcome given to [`Self::reply`] with the number that it has here.
    ///
    /// So a host calls this until there is none. Calls of different groups may be under way at once, up to
    /// [`MAX_CALLS`]. A host that takes one call, makes it and replies before it asks again never has more than one.
    ///
    /// # Errors
    /// If the state cannot be written. Then the engine is to be dropped.
    pub fn next(&mut self, now: u64) -> Result<Option<(CallId, Request)>, EngineError> {
        self.now = now;
        self.clamp_times();
        if now < self.retry_at {
            return Ok(None);
        }
        let next = if self.under_way.is_empty() {
            self.decide()?
        } else if self.under_way.takes_another() && !self.is_due_alone() {
            self.next_of_groups()?
        } else {
            None
        };
        Ok(next.map(|(request, purpose)| (self.under_way.begin(purpose), request)))
    }

    /// Whether there may be something to do that is done while nothing else is under way: whatever [`Self::decide`] comes
    /// to before the groups. Then no further calls of groups begin, so that they do not overtake it without end.
    fn is_due_alone(&self) -> bool {
        let session = !self.registered
            || self.session_until <= self.now
            || !self.is_marked()
            || self.book.copied().is_some();
        let keys = self.count_at <= self.now
            || !self.to_replace.is_empty()
            || !self.book.unpublished().is_empty();
        let inbox = self.inbox_due || !self.inbox.is_empty() || !self.acks.is_empty();
        let accounts = !self.lookups.is_empty()
            || self.proof_is_due()
            || self.behind_is_due()
            || self.account_is_due()
            || self.tell_ready.is_some()
            || self.newcomers_at.is_some_and(|at| at <= self.now);
        session || keys || inbox || accounts || !self.book.joining().is_empty()
    }

    /// No time lies further ahead than it is ever set: it does if the clock was set back.
    fn clamp_times(&mut self) {
        self.retry_at = self.retry_at.min(self.now.saturating_add(LONGEST_WAIT));
        self.count_at = self.count_at.min(self.now.saturating_add(COUNT_INTERVAL));
        self.clamp_account_times();
        self.clamp_watch_times();
        self.conversations.values_mut().for_each(|live| live.clamp_times(self.now));
    }

    fn decide(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        if self.registered && self.session_until <= self.now {
            self.registered = false;
        }
        if !self.registered {
            return self.next_access();
        }
        // Nothing that uses a key comes before the service has said that this is the device's state.
        if self.book.copied().is_some() {
            return self.next_of_copied();
        }
        if !self.is_marked() {
            return self.next_mark();
        }
        if let Some(next) = self.next_key_packages()? {
            return Ok(Some(next));
        }
        // A proof that does not come is due again later, so it does not hold up what stands below.
        if let Some(next) = self.next_proof() {
            return Ok(Some(next));
        }
        self.due_behind();
        if let Some(next) = self.next_lookup()? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_inbox()? {
            return Ok(Some(next));
        }
        // What the inbox held may ask for somebody.
        if let Some(next) = self.next_lookup()? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_ready()? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_account()? {
            return Ok(Some(next));
        }
        self.invite_newcomers()?;
        if let Some(next) = self.next_joining()? {
            return Ok(Some(next));
        }
        // A change of the own account may have found that the log has grown, a group to join may have members that
        // nothing is known of.
        if let Some(next) = self.next_lookup()? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_of_groups()? {
            return Ok(Some(next));
        }
        Ok(self.next_history())
    }

    /// When [`Self::next`] or [`Self::outputs`] may have something new even if nothing comes in,
    /// in milliseconds since 1970.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        let names = self.book.lines().values().filter_map(|line| self.hidden_until(line));
        names.chain(self.call_at()).min()
    }

    /// When there may be a call to make even if nothing comes in.
    fn call_at(&self) -> Option<u64> {
        if !self.under_way.is_empty() {
            return None;
        }
        if self.retry_at > self.now {
            // Whatever is due waits for that.
            return Some(self.retry_at);
        }
        if !self.registered {
            return self.look_at();
        }
        if self.book.copied().is_some() {
            return self.copied_wake().into_iter().chain([self.session_until]).min();
        }
        let may =
            |live: &&Conversation| live.stuck().is_none() && live.group.pending_commit().is_none();
        let commits =
            self.conversations.values().filter(may).filter_map(|live| live.attempt.commit_at);
        let known = [self.count_at, self.session_until];
        let newcomers = self.newcomers_at;
        let given_back = self.conversations.iter().filter_map(|(id, live)| self.give_at(id, live));
        let held =
            self.conversations.values().filter_map(|live| live.restoring.held_until(self.now));
        let back = self.conversations.keys().filter_map(|id| self.comes_back_at(id));
        commits
            .chain(known)
            .chain(back)
            .chain(given_back)
            .chain(held)
            .chain(newcomers)
            .chain(self.renewal_wake())
            .chain(self.stale_wake())
            .chain(self.account_wake())
            .chain(self.watch_wake())
            .min()
    }

    /// Whether all that can be done now is done: nothing is to be sent, fetched or shown.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_caught_up() && self.book.lines().is_empty() && self.answers.is_empty()
    }

    /// Does as [`Self::is_settled`], but for what is still to be shown: what a host looks at is what the service has.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.registered
            && self.is_marked()
            && self.under_way.is_empty()
            && self.count_at > self.now
            && !self.inbox_due
            && self.inbox.is_empty()
            && self.acks.is_empty()
            && self.account_is_settled()
            && self.newcomers_at.is_none()
            && self.tell_ready.is_none()
            && self.lookups.is_empty()
            && self.book.joining().is_empty()
            && self.watch_is_settled()
            && self.to_replace.is_empty()
            && self.book.unpublished().is_empty()
            && self.conversations.iter().all(|(id, live)| self.group_is_settled(id, live))
    }

    /// Whether what the user says next, after something else, can build on that: all that can be
    /// done now is done, or nothing can, as the service or a device that was admitted does not answer.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_settled() || self.is_held_up()
    }

    /// Whether nothing can be done now, as the service or a device that was admitted does not answer.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.is_stopped_as_copy()
            || (self.admitted_is_late() && self.under_way.is_empty())
            || (self.offline && self.under_way.is_empty())
            || self.waiting_link.as_ref().is_some_and(|waiting| waiting.placed)
    }

    /// How many things that the user asked for since this process began are not done yet, but for
    /// departures that only somebody else can complete. To be admitted to the account is one of them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let items = self.book.asked(|work| {
            !matches!(
                work,
                Work::Leave { proposed: Some(_), .. } | Work::Invite { by_itself: true, .. }
            )
        });
        let creating = |group: &&GroupId| {
            let record = self.book.record(group);
            record.is_some_and(|record| matches!(record.stage, Stage::Creating(_)))
        };
        let admission = self.waiting_link.is_some() || self.is_bringing_in();
        let account = usize::from(admission) + self.open_revocations();
        items + self.made.iter().filter(creating).count() + account
    }

    /// How many things that the user has asked for since [`Self::open`] failed after they were
    /// accepted, as [`News::Failed`] or [`Answer::Failed`] says.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.book.failures() + self.account_failures
    }

    /// Until when a line waits for its group's name.
    fn hidden_until(&self, line: &Line) -> Option<u64> {
        let record = self.book.record(line.group.as_ref()?)?;
        let until = record.joined_at.saturating_add(NAME_WAIT);
        // It joined before now, unless the clock was set back.
        let waits = record.name.is_empty() && (record.joined_at..until).contains(&self.now);
        waits.then_some(until)
    }

    /// Judges credentials; none if the service has to be asked first, which is then seen to.
    fn judge(&mut self, requests: &[CredentialRequest]) -> Option<Vec<conclave_mls::Verdict>> {
        self.judge_sent(requests, self.time())
    }

    /// The same for credentials that were sent at a time by the service's clock.
    fn judge_sent(
        &mut self,
        requests: &[CredentialRequest],
        sent: UnixTime,
    ) -> Option<Vec<conclave_mls::Verdict>> {
        let times = (self.time(), sent);
        match self.authority.judge(&*self.provider, self.book.accounts(), times, requests) {
            Judged::Verdicts(verdicts) => Some(verdicts),
            Judged::Ask(users) => {
                self.lookups.extend(users);
                None
            }
        }
    }

    /// Writes a step of a group with what belongs to it, takes it, and gives out its outcome; none if
    /// there is no such group.
    fn step<O: Outcome<Event>>(
        &mut self,
        id: &GroupId,
        step: Transition<Group, O>,
        changes: impl FnOnce(&Event) -> Vec<Change>,
    ) -> Result<Option<O>, EngineError> {
        let Some(live) = self.conversations.get_mut(id) else { return Ok(None) };
        let book = &mut self.book;
        let outcome = apply(&mut live.group, step, |write| {
            let changes = write.events.first().map(changes).unwrap_or_default();
            book.commit(Some(write.batch), changes)
        })?;
        Ok(Some(outcome))
    }

    /// Takes a command. Returns the group that it makes, if it makes one. What cannot be done at once is kept; if it fails
    /// later, [`News::Failed`] says so.
    ///
    /// # Errors
    /// [`CommandError::Refused`] if it cannot be done; nothing has changed then. [`CommandError::Engine`] if the state
    /// cannot be written.
    pub fn command(&mut self, now: u64, command: Command) -> Result<Option<GroupId>, CommandError> {
        self.now = now;
        let allowed = matches!(command, Command::Recover(_) | Command::AcknowledgeService);
        if self.awaits_admission() && !allowed {
            return Err(Reason::AwaitsAdmission.into());
        }
        self.check_account_command(&command)?;
        match command {
            Command::New { name, suite } => return self.new_group(name, suite).map(Some),
            Command::Direct { user, suite } => return self.new_direct(user, suite).map(Some),
            Command::ChangeRoom { group, change } => self.change_room(&group, change),
            Command::Reset(group) => return self.reset(&group).map(Some),
            Command::Invite { group, who } => {
                let also = self.unblocked(&who);
                let work = |who| Work::Invite { who, committing: false, by_itself: false };
                self.queue(&group, who.into_iter().map(work).collect(), also)
            }
            Command::Accept(group) => self.accept(&group),
            Command::Decline(group) => self.decline(&group),
            Command::Block(who) => self.block(who),
            Command::Remove { group, who } => {
                let me = self.device().clone();
                if who.iter().any(|who| who.includes(&me)) {
                    return Err(Reason::RemovesItself.into());
                }
                let work = |who| Work::Remove { who, committing: false };
                self.queue(&group, who.into_iter().map(work).collect(), Vec::new())
            }
            Command::InviteLink { group, max_uses, lifetime } => {
                self.new_link(&group, max_uses, lifetime)
            }
            Command::Unlink { group, number } => {
                self.queue(&group, vec![Work::Unlink { number, committing: false }], Vec::new())
            }
            Command::Join(link) => self.join(link),
            Command::Leave(group) => self.leave(&group),
            Command::Link(code) => self.link(code),
            Command::Revoke(device) => self.revoke(device),
            Command::Recovery(old) => self.new_recovery(old.as_deref()),
            Command::ConfirmRecovery(words) => {
                self.confirm_recovery(words.each_ref().map(String::as_str))
            }
            Command::Recover(words) => self.recover(&words),
            Command::Acknowledge(user) => self.acknowledge_user(user),
            Command::AcknowledgeService => self.acknowledge_service(),
        }?;
        Ok(None)
    }

    /// Takes what is to be said in a group, in this order: at most [`MAX_CONTENT`] bytes each. All of it is stored in one
    /// write, and sent by few calls.
    ///
    /// # Errors
    /// As of [`Self::command`]. If any of it is refused, all of it is.
    pub fn send(
        &mut self,
        now: u64,
        group: &GroupId,
        contents: Vec<Content>,
    ) -> Result<(), CommandError> {
        self.send_and(now, group, contents, Vec::new())
    }

    /// The same, with other changes in the same write.
    fn send_and(
        &mut self,
        now: u64,
        group: &GroupId,
        contents: Vec<Content>,
        also: Vec<Change>,
    ) -> Result<(), CommandError> {
        self.now = now;
        if self.awaits_admission() {
            return Err(Reason::AwaitsAdmission.into());
        }
        let too_long = contents.iter().map(|one| one.bytes().len()).find(|len| *len > MAX_CONTENT);
        if let Some(len) = too_long {
            return Err(Reason::TooLong { len: len as u64 }.into());
        }
        let work = |content| Work::Send { payload: Payload::Content(content), sealed: None };
        self.queue(group, contents.into_iter().map(work).collect(), also)
    }

    /// Adds something to be done in a group, and makes other changes with it.
    fn queue(
        &mut self,
        group: &GroupId,
        work: Vec<Work>,
        also: Vec<Change>,
    ) -> Result<(), CommandError> {
        self.check_work(group, &work)?;
        let items = work.into_iter().map(|work| Item { group: group.clone(), work });
        let changes: Vec<Change> = also.into_iter().chain(items.map(Change::NewItem)).collect();
        if !changes.is_empty() {
            self.book.commit(None, changes)?;
        }
        Ok(())
    }

    /// Checks that something can be done in a group.
    fn check_work(&self, group: &GroupId, work: &[Work]) -> Result<(), Reason> {
        let record = self.book.record(group);
        if let Some(by) = record.and_then(|record| record.asked_by.clone()) {
            return Err(Reason::NotAccepted { by });
        }

        // What is said in a group that has ended is sent in its successor.
        let ended = record.is_some_and(|record| record.stage == Stage::Ended);
        let waits = ended && work.iter().all(|work| matches!(work, Work::Send { .. }));
        if !waits && !self.conversations.contains_key(group) {
            return Err(Reason::NotMember);
        }
        if self.book.leaving(group) {
            return Err(Reason::Leaving);
        }
        work.iter().try_for_each(|work| self.check_role(group, work))
    }

    fn news(group: &GroupId, news: News) -> Change {
        Change::News(Some(group.clone()), news)
    }
}
