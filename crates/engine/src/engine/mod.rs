//! What a client decides: a machine that takes commands, replies, hints and the time, and gives out requests, events and
//! answers.
//!
//! # How it works
//!
//! The engine is a loop around its [conversations](crate::conversation): each group that this device is in decides for
//! itself which call it needs next, and takes the reply. The engine has what concerns more than one group: the session,
//! accounts, key packages and the inbox. It says whose turn it is.
//!
//! * **A command** ([`commands`]) is checked. Work in a group is stored as an item in that group's queue. Nothing is sent yet.
//! * **The next call** ([`Engine::next`]). While no call is under way, [`due`] decides: the session comes first, then the
//!   engine's own chores in a fixed order, then the conversations, each in its turn ([`conversing`]), and last the check of
//!   what the directory has of our user ([`history`]). While a conversation's call is under way, other conversations may make
//!   theirs beside it, one each ([`under_way`]). A call whose outcome concerns more than one group is made alone.
//! * **A conversation's turn.** [`Engine::with`] lends it a [`Context`](crate::conversation::context::Context): the time,
//!   randomness, the store, and what is known of accounts and of the service. It finds out what comes first in its group,
//!   writes what its step changes, and returns the call.
//! * **The reply** ([`replies`]) goes to the part of the engine, or the conversation, that made the call: the call's
//!   [`Purpose`] says which. The same part deals with a refusal. A call that got no answer is made again after a while.
//! * **A hint** of the service ([`hints`]) says only where there is something new. The next calls fetch it.
//! * **Events** are kept in the store until the host acknowledges them, and **answers** in memory until it takes them
//!   ([`app`]).
//!
//! What has to outlast the process is in the [`Book`], and each step is one write of it, before the step's request leaves. So
//! it does not matter when the last process died: a call whose outcome was lost is decided on again.
//!
//! Joining a group ([`inbox`], [`joining`]), making one ([`groups`]) and putting one in the place of another ([`reset`]) are
//! the engine's: there is no conversation yet, or there are two.

mod access;
mod accounts;
mod app;
mod certificates;
mod commands;
mod contacts;
mod conversing;
mod copied;
mod doctor;
mod due;
mod groups;
mod hints;
mod history;
mod inbox;
mod incarnation;
mod info;
mod join_links;
mod joining;
mod keys;
mod linking;
mod marking;
mod own_devices;
mod peek;
mod receipts;
mod recovery;
mod replies;
mod reset;
mod rooms;
mod status;
#[cfg(test)]
mod tests;
mod transparency;
mod under_way;

use crate::authority::Authority;
use crate::book::Book;
use crate::conversation::waits::COUNT_INTERVAL;
use crate::conversation::{Conversation, rules};
use crate::directory::Directory;
use crate::enrolment::{self, CertificateFiles};
pub use crate::error::{CommandError, EngineError};
use crate::notice::Notice;
use crate::output::Answer;
use crate::policy::KeyPolicy;
use crate::reason::Reason;
use crate::record::Stage;
use crate::request::Request;
pub use crate::watching::Evidence;
use crate::watching::Watching;
pub use app::Expired;
use conclave_account::LinkCode;
use conclave_delivery_api::{DeviceId, GroupState, InboxItem, Name};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, Suite};
use conclave_mls::key_package::KeyPackageRef;
use conclave_mls::{CipherSuite, Group, GroupId};
use conclave_store::Store;
use core::fmt;
use linking::{Admission, NewWords, OwnChange, Recovering, Waiting};
use marking::Marking;
pub use peek::{Peek, PeekError, Peeked, PeekedGroup, PeekedMessage};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
pub use under_way::{CallId, MAX_CALLS};
use under_way::{Purpose, UnderWay};

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

    /// Tells the user something. That is not stored.
    fn tell_now(&mut self, notice: Notice) {
        self.answers.push_back(Answer::Note { group: None, notice });
    }

    /// Says that something did not come about. That is not stored.
    fn failed(&mut self, group: Option<&GroupId>, reason: Reason) {
        self.answers.push_back(Answer::Failed { group: group.cloned(), reason });
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
            self.next_of_conversations()?
        } else {
            None
        };
        Ok(next.map(|(request, purpose)| (self.under_way.begin(purpose), request)))
    }

    /// No time lies further ahead than it is ever set: it does if the clock was set back.
    fn clamp_times(&mut self) {
        self.retry_at = self.retry_at.min(self.now.saturating_add(LONGEST_WAIT));
        self.count_at = self.count_at.min(self.now.saturating_add(COUNT_INTERVAL));
        self.clamp_account_times();
        self.clamp_watch_times();
        self.conversations.values_mut().for_each(|conversation| conversation.clamp_times(self.now));
    }
}
