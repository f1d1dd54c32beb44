//! A state of which there are two: copied while it was in use, or restored from a backup.
//!
//! Both would encrypt with the same keys. So each session begins with a mark of the state, which the service compares
//! with the one before, and nothing is sent before the service has taken the mark. A process stops using the device's keys
//! if it is no longer the latest, or if it finds in a log what its own leaf has sent and it has not. It becomes a device
//! of its own: its account takes a new key for it, and it comes back into its groups in place of its former leaf. Of two
//! copies one is faster; the other then has no key of the account, and ends.
//!
//! A service that lies about marks can make a device do that, as often as [`Times`](crate::copies::Times) allows, and
//! keep it from sending. It learns nothing from that.

use super::accounts::{MAX_TRIES, submit_entry};
use super::marking::Marking;
use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::copies::{Copied, Marks, Rejoin};
use crate::reason::Reason;
use crate::record::{Identity, News, Stage};
use crate::request::Request;
use conclave_account::{self as account, Author, DeviceKey, Standing};
use conclave_delivery_api::{CallError, ErrorCode, MarkState, StateMarked};
use conclave_store::Store;

type Next = Option<(Request, Purpose)>;

impl<S: Store> Engine<S> {
    /// A new session begins. It gets a mark of its own, unless no answer came to the last one.
    pub(super) fn begin_marking(&mut self) {
        if core::mem::take(&mut self.marking.taken) {
            self.marking.mark = None;
        }
    }

    /// Whether the service has taken this process for the one that goes on from the state.
    pub(super) fn is_marked(&self) -> bool {
        self.marking.taken
    }

    /// The call that marks the state. The mark is stored first: if no answer comes, the next process knows that the
    /// service may have it.
    pub(super) fn next_mark(&mut self) -> Result<Next, EngineError> {
        let mark = match self.marking.mark {
            Some(mark) => mark,
            None => {
                let mut id = [0; 16];
                self.rng.fill_bytes(&mut id);
                let mark = self.book.marks().next(id);
                let marks = self.book.marks().with(mark);
                self.book.commit(None, vec![Change::Marks(marks)])?;
                self.marking.mark = Some(mark);
                mark
            }
        };
        let request = MarkState { before: self.book.marks().before(&mark), mark };
        Ok(Some((request.into(), Purpose::Mark)))
    }

    /// The service says which mark the state has.
    pub(super) fn marked(&mut self, marked: &StateMarked) -> Result<(), EngineError> {
        let Some(mark) = self.marking.mark else { return Ok(()) };
        if marked.latest != mark {
            return self.context().found_copied(Some(marked.marked_at));
        }
        self.marking.taken = true;
        Ok(self.book.commit(None, vec![Change::Marks(Marks::confirmed(mark))])?)
    }

    /// The service does not mark states.
    pub(super) fn mark_refused(&mut self, error: &CallError) {
        match error.code() {
            // It is older than marks are.
            Some(ErrorCode::UnknownOperation) => self.marking.taken = true,
            _ => {
                self.failed(None, Reason::ServiceRefuses { why: error.to_string() });
                self.session_refused();
                self.wait_longer();
            }
        }
    }

    /// Whether the state is a copy, and nothing can be done about it here.
    pub(super) fn is_stopped_as_copy(&self) -> bool {
        let waits = |copied: &Copied| copied.waits || self.has_certificates();
        self.book.copied().is_some_and(waits)
    }

    /// When a device whose state is a copy can go on: it has taken new keys too often, or the service owes a proof.
    pub(super) fn copied_wake(&self) -> Option<u64> {
        let copied = self.book.copied().filter(|_| !self.has_certificates())?;
        if self.watching.holds() {
            return self.proof_wake();
        }
        copied.next.is_none().then(|| self.book.key_renewals().next(self.now))
    }

    /// The call by which a device whose state is a copy gets a new key.
    pub(super) fn next_of_copied(&mut self) -> Result<Next, EngineError> {
        if self.has_certificates() {
            return Ok(None);
        }
        if let Some(next) = self.next_proof() {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_lookup()? {
            return Ok(Some(next));
        }
        if self.watching.holds() {
            return Ok(None);
        }
        if let Some(next) = self.next_key_entry()? {
            return Ok(Some(next));
        }
        if self.own_key_has_ended() {
            return Err(EngineError::Superseded { device: self.device().clone() });
        }
        let until = self.book.key_renewals().next(self.now);
        if until > self.now {
            self.key_waits(until)?;
            return Ok(None);
        }
        match self.draft_key_entry()? {
            true => self.next_key_entry(),
            false => Ok(None),
        }
    }

    /// Whether the account says that this device has another key, or none.
    fn own_key_has_ended(&self) -> bool {
        let identity = self.book.identity();
        let (name, key) = (&identity.device.device, &identity.signer.public);
        let standing = self.own_account().map(|account| account.standing(name, key));
        !matches!(standing, Some(Standing::Active(_)))
    }

    /// Says once that the device has taken new keys too often.
    fn key_waits(&mut self, until: u64) -> Result<(), EngineError> {
        let Some(copied) = self.book.copied().filter(|copied| !copied.waits).cloned() else {
            return Ok(());
        };
        let news = Change::News(None, News::RejoinLimited { until: until / 1000 });
        let copied = Change::Copied(Some(Copied { waits: true, ..copied }));
        Ok(self.book.commit(None, vec![copied, news])?)
    }

    /// The entry that was made for the next key, to be submitted: again, if no answer came.
    pub(super) fn next_key_entry(&self) -> Result<Next, EngineError> {
        let Some(next) = self.book.copied().and_then(|copied| copied.next.as_ref()) else {
            return Ok(None);
        };
        Ok(Some((submit_entry(&next.1)?.into(), Purpose::NewKey)))
    }

    /// Makes a new key and the entry by which the account takes it; both are stored before they are sent.
    fn draft_key_entry(&mut self) -> Result<bool, EngineError> {
        let Some(copied) = self.book.copied().cloned() else { return Ok(false) };
        let (scheme, now) = (self.scheme()?, self.time());
        let signer = self.provider.signature_key_pair(scheme, &mut *self.rng)?;
        let identity = self.book.identity();
        let (user, name) = (&identity.device.user, identity.device.device.clone());
        let key = DeviceKey::proved(&*self.provider, user, name.clone(), scheme, &signer)?;
        let Some(account) = self.own_account() else { return Ok(false) };
        let change = account::Change::RotateKey(key);
        let author = Author::Device(name);
        match account.draft_checked(&*self.provider, author, &identity.signer, change, now) {
            Ok(entry) => {
                let identity = Identity { signer, ..identity.clone() };
                let next = Some(Box::new((identity, entry)));
                let copied = Copied { next, ..copied };
                self.book.commit(None, vec![Change::Copied(Some(copied))])?;
                Ok(true)
            }
            Err(e) => Err(EngineError::Account(e)),
        }
    }

    /// The account has the new key: this device is one of its own again, and comes back into its groups.
    pub(super) fn key_renewed(&mut self) -> Result<(), EngineError> {
        let Some(next) = self.book.copied().and_then(|copied| copied.next.clone()) else {
            return Ok(());
        };
        let (identity, entry) = *next;
        let Some(mut account) = self.own_account().cloned() else { return Ok(()) };
        let mut changes = Vec::new();
        // A hint may have overtaken the answer: then it is known already.
        if account.head().length == entry.sequence {
            account.apply(&*self.provider, &entry).map_err(EngineError::Account)?;
            changes.extend([Change::OwnEntry(entry), Change::Account(account)]);
        }
        changes.extend([
            Change::Identity(Box::new(identity)),
            Change::KeyRenewals(self.book.key_renewals().with(self.now)),
            Change::News(None, News::KeyRenewed),
        ]);
        changes.extend(self.come_back_to_all());
        self.book.commit(None, changes)?;
        // The only leaf of a group that the service does not have yet has the former key.
        self.remake(self.creating())?;

        self.session_key = None;
        (self.registered, self.marking) = (false, Marking::default());
        (self.announced, self.invitable) = (false, false);
        Ok(())
    }

    /// The account has not taken it: another of its devices was faster, or the other copy of this one.
    pub(super) fn key_refused(&mut self, error: &CallError) -> Result<(), EngineError> {
        let Some(copied) = self.book.copied().cloned() else { return Ok(()) };
        self.book.commit(None, vec![Change::Copied(Some(Copied { next: None, ..copied }))])?;
        self.lookups.insert(self.device().user.clone());
        self.marking.tries += 1;
        if self.marking.tries >= MAX_TRIES {
            self.failed(None, Reason::AccountUnchanged { why: error.to_string() });
            self.marking.tries = 0;
            self.wait_longer();
        }
        Ok(())
    }

    /// The changes by which this device, which has another key than the copy, comes back into all its groups.
    fn come_back_to_all(&self) -> Vec<Change> {
        let active = self.book.records().iter().filter(|(_, record)| record.stage == Stage::Active);
        let mut changes: Vec<Change> = active
            .map(|(id, _)| {
                let rejoin = self.book.rejoin(id).cloned().unwrap_or_default();
                Change::Rejoin(id.clone(), Rejoin { wanted: true, commit: None, ..rejoin })
            })
            .collect();
        changes.extend([Change::Copied(None), Change::Marks(Marks::default())]);
        changes
    }

    /// A device whose state was a copy, and which a CA has given another certificate since, comes back into its groups.
    pub(super) fn resume_copied(&mut self) -> Result<(), EngineError> {
        let key = &self.book.identity().signer.public;
        if self.book.copied().is_some_and(|copied| copied.key != *key) {
            let mut changes = self.come_back_to_all();
            changes.push(Change::News(None, News::KeyRenewed));
            self.book.commit(None, changes)?;
            self.remake(self.creating())?;
        }
        Ok(())
    }
}
