//! Whether the service shows to this device what it shows to everybody: its key, the roots of its directory, and
//! what the directory has of each account.
//!
//! * What was signed and cannot be true together is evidence. From then on no device is believed that was not known
//!   before, until the user says so.
//! * A service that has another key, or whose directory went back, is one that was set up anew or restored from a
//!   backup, or one that lies: nobody can tell. The user is told, and the device goes on: what it knows of accounts
//!   does not depend on the directory, and nothing is believed that contradicts it.
//! * What the service merely does not show proves nothing. It holds up what depends on it, for as long as it
//!   takes or until the user is told, and nothing else.

use super::history::HISTORY_INTERVAL;
use super::{CommandError, Engine, EngineError, Purpose};
use crate::book::Change;
use crate::chance::random;
use crate::notice::{Notice, Warning};
use crate::reason::Reason;
use crate::record::{News, Unpublished};
use crate::request::Request;
use crate::watch::{Published, Standing, Taken, Watch};
use crate::watching::{Asked, Evidence, Watching, conviction, evidence_name, keep};
use conclave_account::{Account, Device, Entry};
use conclave_delivery_api::{AccountPage, FetchExtension, Name, SignedRoot};
use conclave_directory::Source;
use conclave_mls::credential::SignaturePublicKey;
use conclave_store::Store;

/// The wait before a proof that was not given is asked for again, in milliseconds. Each doubles, up to the longest:
/// one while the user has not been told, another then.
const FIRST_PROOF_WAIT: u64 = 500;
const QUICK_PROOF_WAIT: u64 = 4_000;
const LONGEST_PROOF_WAIT: u64 = 5 * 60 * 1000;
/// How often a proof is asked for before the user is told, and what depends on it is given up: half a minute.
const PROOF_TRIES: u32 = 10;
/// The shortest time between proofs about what members say, in milliseconds.
const GOSSIP_PAUSE: u64 = 60_000;
/// How often in a row the service may show an older root than before: what stands between may have two answers.
const QUIET_ROLLBACKS: u32 = 1;
/// After how long accounts that are not in the directory yet are looked up again, in milliseconds: the shortest wait, and
/// the longest.
const FIRST_BEHIND_WAIT: u64 = 2 * 60 * 1000;
const LONGEST_BEHIND_WAIT: u64 = 60 * 60 * 1000;
/// In how many batches an account may be missing. One may be in the making, and one may leave some to the next.
const BEHIND_BATCHES: u64 = 3;
/// After how long the user is told of an account that no batch has, in milliseconds. A service says how often it
/// publishes; whatever it says, it is not more than that.
const BEHIND_PATIENCE: u64 = 25 * 60 * 60 * 1000;
/// The shortest time between two checks of a group's members because of what one of them said, in milliseconds, and
/// of how many users.
const RECHECK_INTERVAL: u64 = 10 * 60 * 1000;
const MAX_RECHECKED: usize = 50;

/// Why an answer is of no use while the service owes a proof.
const NOT_SHOWN: &str = "the service does not show that its directory is the one of before";

/// A key's beginning, for people.
fn short(key: &[u8]) -> String {
    key.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl<S: Store> Engine<S> {
    pub(super) fn is_convicted(&self) -> bool {
        self.book.watch().is_some_and(Watch::is_convicted)
    }

    /// Checks the key of the service against the one that it had before.
    pub(super) fn check_key(&mut self, key: &SignaturePublicKey) -> Result<(), EngineError> {
        let Some(mut watch) = self.book.watch().cloned() else {
            return Ok(self.book.commit(None, vec![Change::Watch(Watch::new(key.clone()))])?);
        };
        if watch.key() == key {
            return Ok(());
        }

        let (before, now) = (short(watch.key()), short(key));
        let what = match watch.change_key(key) {
            true => format!("the service has another key than before ({now}… and not {before}…)"),
            false => format!("the service has the key again that it had once ({now}…)"),
        };
        self.replaced(watch, &what)
    }

    /// The service shows as its newest root one that is older than what it has shown before.
    fn went_back(&mut self, newest: u64, shown: u64) -> Result<(), EngineError> {
        let Some(mut watch) = self.book.watch().cloned() else { return Ok(()) };
        watch.begin_anew();
        let what = format!(
            "the service's directory went back: it shows number {shown}, and has shown number {newest}"
        );
        self.replaced(watch, &what)
    }

    /// Goes on with the service as it is now. The user is told unless a warning stands already.
    fn replaced(&mut self, mut watch: Watch, what: &str) -> Result<(), EngineError> {
        let mut changes: Vec<Change> = Vec::new();
        if watch.standing == Standing::Good {
            watch.standing = Standing::Replaced;
            let warning = Warning::ServiceReplaced { what: what.into() };
            changes.push(Change::News(None, News::Alarm { warning }));
        }
        // What was noted is about another directory.
        changes.extend(self.book.behind().keys().map(|user| Change::Behind(user.clone(), None)));
        changes.push(Change::Watch(watch));
        self.book.commit(None, changes)?;
        self.start_watching_anew();
        Ok(())
    }

    fn start_watching_anew(&mut self) {
        let (given, recheck_at) = (self.watching.given, self.watching.recheck_at);
        let held = self.watching.held.take();
        self.lookups.append(&mut self.watching.refused.drain(..).collect());
        self.watching = Watching { given, recheck_at, ..Watching::default() };
        if let Some(held) = held {
            self.ask_again(held.0);
        }
    }

    /// Goes on with the service, whatever it did, from what it shows now.
    pub(super) fn acknowledge_service(&mut self) -> Result<(), CommandError> {
        let watch = self.book.watch().filter(|w| w.standing != Standing::Good || w.withheld);
        let Some(mut watch) = watch.cloned() else {
            // Somebody may be called like that.
            let user = self.book.alarmed().find(|user| user.as_str() == "service").cloned();
            if let Some(user) = user {
                return self.acknowledge_user(user);
            }
            return Err(Reason::NothingToAcknowledge.into());
        };

        if watch.is_convicted() || watch.withheld {
            watch.begin_anew();
        }
        watch.standing = Standing::Good;
        let notice = Notice::ServiceAcknowledged { key: short(watch.key()) };
        let news = Change::News(None, News::Note { notice });
        self.book.commit(None, vec![Change::Watch(watch), news])?;
        self.start_watching_anew();
        self.lookups.extend(self.book.behind().keys().cloned());
        self.try_groups_again();
        Ok(())
    }

    /// Groups that could not go on for want of somebody's account are tried again.
    fn try_groups_again(&mut self) {
        for conversation in
            self.conversations.values_mut().filter(|conversation| conversation.stuck().is_some())
        {
            conversation.look_again();
        }
    }

    /// Says again what the user has not acknowledged.
    pub(super) fn remind_of_service(&mut self) {
        match self.book.watch().map_or(Standing::Good, |watch| watch.standing) {
            Standing::Good => {}
            Standing::Replaced => self.tell_now(Notice::ServiceReplaced),
            Standing::Convicted => self.tell_now(Notice::ServiceConvicted),
        }
    }

    /// Takes an answer about an account: first its root, then what it says.
    pub(super) fn account_page(
        &mut self,
        asked: Asked,
        page: AccountPage,
    ) -> Result<(), EngineError> {
        if self.is_convicted() {
            return self.take_account(asked, &page);
        }
        match self.take_root(&page.directory.root)? {
            Some(Taken::Newest) => {
                self.watching.rollbacks = 0;
                self.take_account(asked, &page)
            }
            Some(Taken::Waits) if self.watching.failed >= PROOF_TRIES => {
                self.page_refused(asked, NOT_SHOWN)
            }
            Some(Taken::Waits) => {
                if self.watching.failed == 0 {
                    self.watching.proof_at = self.now;
                }
                self.watching.held = Some(Box::new((asked, page)));
                Ok(())
            }
            Some(Taken::Rollback { newest, shown }) => {
                if self.rolled_back(newest, shown)? {
                    return self.account_page(asked, page);
                }
                self.ask_again(asked);
                Ok(())
            }
            // What it was convicted by.
            _ if self.is_convicted() => self.take_account(asked, &page),
            _ => self.page_refused(asked, NOT_SHOWN),
        }
    }

    /// What was asked is still to be asked; whatever is not a look-up follows from what is stored.
    fn ask_again(&mut self, asked: Asked) {
        if let Asked::Lookup(user) = asked {
            self.lookups.insert(user);
        }
    }

    /// The service has shown an older root than before; whether this device goes by it from now on, as that was not
    /// the first time in a row.
    pub(super) fn rolled_back(&mut self, newest: u64, shown: u64) -> Result<bool, EngineError> {
        self.watching.rollbacks += 1;
        if self.watching.rollbacks <= QUIET_ROLLBACKS {
            return Ok(false);
        }
        self.went_back(newest, shown)?;
        Ok(true)
    }

    /// Takes a root that the service itself shows; none if it is of no use.
    pub(super) fn take_root(&mut self, root: &SignedRoot) -> Result<Option<Taken>, EngineError> {
        let Some(mut watch) = self.book.watch().cloned() else { return Ok(None) };
        match watch.take(&*self.provider, root, Source::Service) {
            Ok(taken) => self.note(watch, taken),
            Err(why) => {
                self.withheld(&format!("its root number {} is none: {why}", root.epoch))?;
                // It may have another key now.
                self.is_described = false;
                self.registered = false;
                Ok(None)
            }
        }
    }

    /// Stores what has become of the roots.
    fn note(&mut self, mut watch: Watch, taken: Taken) -> Result<Option<Taken>, EngineError> {
        let (provider, before) = (&*self.provider, self.book.evidence_count());
        if let Taken::Lied(evidence) = &taken {
            let found = (&**evidence, None);
            let mut changes =
                conviction(provider, &self.evidence_place, &mut watch, before, found)?;
            changes.push(Change::Watch(watch));
            self.book.commit(None, changes)?;
            return Ok(None);
        }
        if self.book.watch() == Some(&watch) {
            return Ok(Some(taken));
        }

        let mut changes = Vec::new();
        if let Some(newest) = watch.newest().cloned()
            && let Some(evidence) = watch.proof_of_before(provider, &newest)
        {
            let (file, kept) = keep(&self.evidence_place, &*evidence, before)?;
            changes.extend(file);
            let notice = Notice::ContradictsBefore { evidence: kept };
            changes.push(Change::News(None, News::Note { notice }));
        }
        changes.push(Change::Watch(watch));
        self.book.commit(None, changes)?;
        Ok(Some(taken))
    }

    /// Tells the user, once, that the service does not show what it should.
    fn withheld(&mut self, why: &str) -> Result<(), EngineError> {
        let Some(mut watch) = self.book.watch().filter(|watch| !watch.withheld).cloned() else {
            return Ok(());
        };
        watch.withheld = true;
        let warning = Warning::DirectoryWithheld { why: why.into() };
        let alarm = Change::News(None, News::Alarm { warning });
        Ok(self.book.commit(None, vec![Change::Watch(watch), alarm])?)
    }

    /// An answer about an account is not believed.
    pub(super) fn page_refused(&mut self, asked: Asked, why: &str) -> Result<(), EngineError> {
        match asked {
            Asked::Lookup(user) => {
                self.watching.refused.push(user.clone());
                self.authority.answered(user);
            }
            Asked::Invite(id) => {
                if let Some((key, who)) = self.current_invite(&id) {
                    let (who, why) = (who.to_string(), why.to_string());
                    let reason = Reason::NotInvited { who, why };
                    self.with(&id, |conversation, cx| {
                        conversation.give_up_invite(cx, key, reason)
                    })?;
                }
            }
            Asked::Recover => self.recovery_failed(why),
        }
        Ok(())
    }

    /// The next proof that the service owes: that of an answer which waits for it comes first.
    pub(super) fn next_proof(&mut self) -> Option<(Request, Purpose)> {
        if !self.proof_is_due() {
            return None;
        }
        let owed = self.book.watch()?.owed();
        let held = self.watching.held.as_ref().map(|held| held.1.directory.root.epoch);
        let wanted = owed.iter().find(|(_, to)| Some(*to) == held);
        let turn = self.watching.failed as usize % owed.len().max(1);
        let (from, to) = *wanted.or_else(|| owed.get(turn))?;
        Some((FetchExtension { from, to }.into(), Purpose::Extension { from, to }))
    }

    /// The proof that was asked for.
    pub(super) fn extended(
        &mut self,
        (from, to): (u64, u64),
        proof: &[u8],
    ) -> Result<(), EngineError> {
        let Some(mut watch) = self.book.watch().cloned() else { return Ok(()) };
        let taken = match watch.prove(&*self.provider, proof) {
            Ok(taken) => taken,
            Err(e) => return self.not_extended((from, to), &e.to_string()),
        };

        self.watching.failed = 0;
        self.watching.proof_at = self.now.saturating_add(GOSSIP_PAUSE);
        self.watching.seen_by.retain(|epoch, _| *epoch != from && *epoch != to);
        let newer = matches!(taken, Taken::Newest);
        let settled = core::mem::take(&mut watch.withheld);
        self.note(watch, taken)?;
        if settled {
            self.shown_after_all()?;
        }
        if newer {
            self.recheck_members();
        }
        match self.watching.held.take() {
            Some(held) => self.account_page(held.0, held.1),
            None => Ok(()),
        }
    }

    /// The proof that was missing has come.
    fn shown_after_all(&mut self) -> Result<(), EngineError> {
        let news = News::Note { notice: Notice::DirectoryShown };
        self.book.commit(None, vec![Change::News(None, news)])?;
        self.lookups.extend(self.watching.refused.drain(..));
        self.try_groups_again();
        Ok(())
    }

    /// The service did not give a proof. It is asked for again, ever more rarely.
    pub(super) fn not_extended(
        &mut self,
        (from, to): (u64, u64),
        why: &str,
    ) -> Result<(), EngineError> {
        // The user, or another proof, may have settled it while the question was under way.
        if !self.book.watch().is_some_and(|watch| watch.owed().contains(&(from, to))) {
            return Ok(());
        }
        let watching = &mut self.watching;
        watching.failed = watching.failed.saturating_add(1);
        let (longest, doublings) = match watching.failed.checked_sub(PROOF_TRIES) {
            None => (QUICK_PROOF_WAIT, watching.failed - 1),
            Some(more) => (LONGEST_PROOF_WAIT, 4 + more),
        };
        let wait = (FIRST_PROOF_WAIT << doublings.min(10)).min(longest);
        watching.proof_at = self.now.saturating_add(wait);
        if watching.failed < PROOF_TRIES {
            return Ok(());
        }

        let by = [to, from].iter().find_map(|epoch| watching.seen_by.get(epoch).cloned());
        let held = watching.held.take();
        let by = by.map_or(String::new(), |by| format!(", which {by} was shown one of"));
        self.withheld(&format!(
            "nothing shows that its directory number {to} holds what number {from} held{by} ({why})"
        ))?;
        match held {
            Some(held) => self.page_refused(held.0, NOT_SHOWN),
            None => Ok(()),
        }
    }

    /// Somebody has seen a newer root than this device: what the service has not said of the members, it is asked.
    fn recheck_members(&mut self) {
        let Some(group) = self.watching.recheck.take() else { return };
        if self.now < self.watching.recheck_at {
            return;
        }
        self.watching.recheck_at = self.now.saturating_add(RECHECK_INTERVAL);
        let own = self.device().user.clone();
        let members = self.devices_in(&group).into_iter().map(|(device, _)| device.user);
        let mut users: Vec<Name> = members.filter(|user| *user != own).collect();
        users.dedup();
        let start = random(&mut *self.rng) as usize % users.len().max(1);
        users.rotate_left(start);
        self.lookups.extend(users.into_iter().take(MAX_RECHECKED));
    }

    /// Compares an account with what the directory has of it. What has to be noted of it, if it can be believed;
    /// otherwise the user is told.
    pub(super) fn check_account(
        &mut self,
        user: &Name,
        page: &AccountPage,
        (account, entries): (&Account, &[Entry]),
    ) -> Result<Option<Vec<Change>>, EngineError> {
        let known = self.book.account(user);
        if self.is_convicted() {
            // Devices that go out are believed, new ones are not.
            let is_known = |device: &Device| {
                known.is_some_and(|known| known.active().any(|active| active.key == device.key))
            };
            return Ok(account.active().all(is_known).then(Vec::new));
        }

        let Some(watch) = self.book.watch() else { return Ok(None) };
        let new = (account, entries);
        let why = match watch.published(&*self.provider, user, page, known, new) {
            Ok(Published::Whole) => return Ok(Some(self.published_whole(user))),
            Ok(Published::Behind(length)) => {
                return self.still_behind(user, account.head().length, length).map(Some);
            }
            Ok(Published::Contradicted(why)) => why.to_string(),
            Err(why) => format!("its proof of what the directory has is none: {why}"),
        };
        self.alarm_about(user, &why)?;
        Ok(None)
    }

    fn published_whole(&self, user: &Name) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.book.behind().contains_key(user) {
            changes.push(Change::Behind(user.clone(), None));
        }
        // What was kept back is there again.
        if self.book.is_alarmed(user) {
            let notice = Notice::UserSettled { user: user.clone() };
            changes.push(Change::News(None, News::Note { notice }));
            changes.push(Change::Alarmed(user.clone(), false));
        }
        changes
    }

    /// The directory has so many of an account's entries, and not all. That is what a new entry looks like before
    /// it is published; one that never is was shown to nobody else.
    fn still_behind(
        &mut self,
        user: &Name,
        length: u64,
        published: u64,
    ) -> Result<Vec<Change>, EngineError> {
        if self.watching.behind_at <= self.now {
            self.watching.behind_at = self.now.saturating_add(self.behind_wait());
        }
        let epoch = self.book.watch().map_or(0, Watch::newest_epoch);
        let lacking = self.book.behind().get(user).filter(|lacking| published < lacking.length);
        let Some(lacking) = lacking else {
            let lacking = Unpublished { length, epoch, since: self.now };
            return Ok(vec![Change::Behind(user.clone(), Some(lacking))]);
        };
        let batches = epoch.saturating_sub(lacking.epoch) >= BEHIND_BATCHES;
        if batches || lacking.since.saturating_add(BEHIND_PATIENCE) <= self.now {
            let why = "its directory still does not have the account that it has shown here: others may be shown \
                       another one";
            self.alarm_about(user, why)?;
        }
        Ok(Vec::new())
    }

    /// Tells the user, once, that what the service says of somebody contradicts its directory.
    pub(super) fn alarm_about(&mut self, user: &Name, why: &str) -> Result<(), EngineError> {
        if self.book.is_alarmed(user) {
            return Ok(());
        }
        let why = why.to_string();
        let warning = match *user == self.device().user {
            true => Warning::OwnEntryContradicted { why },
            false => Warning::UserPublishedDifferently { user: user.clone(), why },
        };
        let alarm = Change::News(None, News::Alarm { warning });
        Ok(self.book.commit(None, vec![alarm, Change::Alarmed(user.clone(), true)])?)
    }

    /// Sees to it that what was not in the directory is looked up again.
    pub(super) fn due_behind(&mut self) {
        if self.behind_is_due() {
            self.watching.behind_at = self.now.saturating_add(self.behind_wait());
            self.lookups.extend(self.book.behind().keys().cloned());
        }
    }

    /// The wait until accounts that are not in the directory are looked up again. It is as long as the newest of them has
    /// been missing, so an account that never comes is looked up ever more rarely.
    fn behind_wait(&self) -> u64 {
        let latest = self.book.behind().values().map(|lacking| lacking.since).max();
        let missing_for = self.now.saturating_sub(latest.unwrap_or(self.now));
        missing_for.clamp(FIRST_BEHIND_WAIT, LONGEST_BEHIND_WAIT)
    }

    pub(super) fn behind_is_due(&self) -> bool {
        self.watching.behind_at <= self.now && !self.book.behind().is_empty()
    }

    /// When something of this is due that nothing else wakes this device for.
    pub(super) fn watch_wake(&self) -> Option<u64> {
        let behind = (!self.book.behind().is_empty()).then_some(self.watching.behind_at);
        let history = self.unchecked().then_some(self.watching.history_at);
        behind.into_iter().chain(self.proof_wake()).chain(history).min()
    }

    /// When a proof that the service owes is asked for again.
    pub(super) fn proof_wake(&self) -> Option<u64> {
        self.owes().then_some(self.watching.proof_at)
    }

    /// Whether the service owes a proof.
    fn owes(&self) -> bool {
        self.book.watch().is_some_and(|watch| !watch.is_convicted() && !watch.owed().is_empty())
    }

    pub(super) fn proof_is_due(&self) -> bool {
        self.owes() && self.watching.proof_at <= self.now
    }

    /// Whether all of this that can be done now is done.
    pub(super) fn watch_is_settled(&self) -> bool {
        !self.watching.holds() && !self.proof_is_due() && !self.history_is_due()
    }

    /// No time lies further ahead than it is ever set.
    pub(super) fn clamp_watch_times(&mut self) {
        let (watching, now) = (&mut self.watching, self.now);
        let clamp = |at: &mut u64, wait| *at = now.saturating_add(wait).min(*at);
        clamp(&mut watching.proof_at, LONGEST_PROOF_WAIT);
        clamp(&mut watching.recheck_at, RECHECK_INTERVAL);
        clamp(&mut watching.behind_at, LONGEST_BEHIND_WAIT);
        clamp(&mut watching.history_at, HISTORY_INTERVAL);
    }

    /// Evidence against the service that was not given out since this process began, to be kept before the user is told
    /// of it.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn next_evidence(&mut self) -> Result<Option<Evidence>, EngineError> {
        if self.watching.given >= self.book.evidence_count() {
            return Ok(None);
        }
        self.watching.given += 1;
        let number = self.watching.given;
        let file_name = evidence_name(number);
        Ok(self.book.evidence(number)?.map(|bytes| Evidence { file_name, bytes }))
    }
}
