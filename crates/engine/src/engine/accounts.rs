//! Accounts: this user's own, and what others' logs say.

use super::linking::{Admission, OwnChange};
use super::{CommandError, Engine, EngineError, Purpose};
use crate::book::Change;
use crate::code::short_member_code;
use crate::conversation::removals::{REMOVAL_SPREAD, REMOVAL_WAIT};
use crate::directory::{Contradiction, continued};
use crate::notice::{Notice, Warning};
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::{Item, News, Stage, Who, Work};
use crate::request::Request;
use conclave_account::{self as account, Account, Author, LinkCode, Offer, Parcel, Standing};
use conclave_delivery_api::{
    AccountPage, CallError, DeviceId, Encode, ErrorCode, FetchRelay, Name, PutRelay, SubmitAccount,
};
use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoError;
use conclave_store::Store;

/// How often the device that has admitted another one looks whether that can be invited, and for how long, in
/// milliseconds.
const READY_INTERVAL: u64 = 1_000;
const READY_WAIT: u64 = 5 * 60 * 1000;
/// For how long of that a script waits before its next line.
const READY_PATIENCE: u64 = 5_000;
/// How often in a row a change of the own account is made again, as another device's came first.
pub(super) const MAX_TRIES: u32 = 5;
/// The request that submits one entry of an account that the service has.
pub(super) fn submit_entry(entry: &account::Entry) -> Result<SubmitAccount, EngineError> {
    let bytes = entry.to_bytes().map_err(CryptoError::from)?;
    Ok(SubmitAccount { user: entry.user.clone(), entries: vec![bytes.into()], invitation: None })
}

/// Who has added a device, for people; none for the first one of an account.
pub(super) fn added_by(device: &account::Device) -> Option<String> {
    match &device.added_by {
        Author::Device(name) if *name == device.name => None,
        Author::Device(name) => Some(name.to_string()),
        Author::Recovery => Some("the recovery key".to_string()),
    }
}

impl<S: Store> Engine<S> {
    /// Takes what the service says of a user; whether there is more to ask for.
    pub(super) fn learn(&mut self, user: &Name, page: &AccountPage) -> Result<bool, EngineError> {
        let known = self.book.account(user);
        let (new, entries) = match continued(&*self.provider, user, known, page) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(false),
            // It was set back to a backup: it is told what it has forgotten.
            Err(Contradiction::Shorter { .. })
                if *user == self.device().user && !core::mem::replace(&mut self.retold, true) =>
            {
                self.to_submit = true;
                self.registered = false;
                return Ok(false);
            }
            Err(contradiction) => {
                if !self.book.is_alarmed(user) {
                    let why = contradiction.to_string();
                    let warning = match *user == self.device().user {
                        true => Warning::OwnLogContradicted { why },
                        false => Warning::UserContradicted { user: user.clone(), why },
                    };
                    let alarm = Change::News(None, News::Alarm { warning });
                    self.book.commit(None, vec![alarm, Change::Alarmed(user.clone(), true)])?;
                }
                return Ok(false);
            }
        };

        if *user == self.device().user {
            self.retold = false;
        }
        let Some(noted) = self.check_account(user, page, (&new, &entries))? else {
            return Ok(false);
        };
        if entries.is_empty() {
            if !noted.is_empty() {
                self.book.commit(None, noted)?;
            }
            return Ok(false);
        }

        let more = new.head().length < page.length;
        let mut changes = self.news_of_account(user, &new);
        changes.extend(noted);
        if *user == self.device().user {
            changes.extend(entries.into_iter().map(Change::OwnEntry));
        }
        changes.push(Change::Account(new));
        self.book.commit(None, changes)?;
        self.remove_ended(user);
        Ok(more)
    }

    /// What has changed in an account that was known before.
    fn news_of_account(&self, user: &Name, new: &Account) -> Vec<Change> {
        let Some(old) = self.book.account(user) else { return Vec::new() };
        let by = |author: &Author| match author {
            Author::Device(name) => format!("{user}/{name}"),
            Author::Recovery => "the recovery key".to_string(),
        };

        let mut notices = Vec::new();
        for device in new.devices() {
            let was = old.devices().iter().find(|was| was.key == device.key);
            match (was, &device.ended) {
                (None, None) => {
                    let id = DeviceId::new(user.clone(), device.name.clone());
                    let code = short_member_code(&*self.provider, &id, &device.key);
                    let code = code.unwrap_or_default();
                    notices.push(match old.device(&device.name) {
                        Some(_) => Notice::NewKey { device: id, code },
                        None => Notice::NewDevice { device: id, code, by: by(&device.added_by) },
                    });
                }
                (Some(was), Some(end)) if was.ended.is_none() && !end.rotated => {
                    let device = DeviceId::new(user.clone(), device.name.clone());
                    notices.push(Notice::DeviceRevoked { device, by: by(&end.by) });
                }
                _ => {}
            }
        }

        if old.recovery_key() != new.recovery_key() {
            notices.push(Notice::RecoveryKeyReplaced { user: user.clone() });
        }
        notices.into_iter().map(|notice| Change::News(None, News::Note { notice })).collect()
    }

    /// Sees to it that a user's devices which are no longer active leave the groups that this device is in.
    fn remove_ended(&mut self, user: &Name) {
        // A device that joins learns one account after another. Looking through all members for each of them would take the
        // square of their number, and most accounts have no device that has ended.
        let has_ended = |account: &Account| account.devices().iter().any(|d| d.ended.is_some());
        if !self.book.account(user).is_some_and(has_ended) {
            return;
        }
        let groups: Vec<GroupId> = self.conversations.keys().cloned().collect();
        for group in groups {
            if self.devices_in(&group).iter().any(|(device, _)| device.user == *user) {
                self.plan_removals(&group);
            }
        }
    }

    /// Queues the removals that are due, of devices that are still there.
    pub(super) fn due_removals(&mut self) -> Result<(), EngineError> {
        let due = self.removals.iter().filter(|(_, due)| **due <= self.now);
        let due: Vec<(GroupId, DeviceId)> = due.map(|(what, _)| what.clone()).collect();
        for (group, device) in due {
            self.removals.remove(&(group.clone(), device.clone()));
            let there = self.devices_in(&group).into_iter().find(|(member, _)| *member == device);
            let Some((_, key)) = there else { continue };
            let conversation = self.conversations.get(&group);
            if conversation
                .is_some_and(|conversation| conversation.is_to_be_removed(&self.book, &device))
            {
                let later = self.now.saturating_add(REMOVAL_WAIT + REMOVAL_SPREAD);
                self.removals.insert((group, device), later);
            } else if self
                .with(&group, |conversation, cx| Ok(conversation.has_ended(cx, &device, &key)))?
            {
                let work = Work::Remove { who: device.into(), committing: false };
                self.book.commit(None, vec![Change::NewItem(Item { group, work })])?;
            }
        }
        Ok(())
    }

    /// Forgets what is known of a user, whose account is another one now. It is read anew.
    pub(super) fn acknowledge_user(&mut self, user: Name) -> Result<(), CommandError> {
        if user == self.device().user {
            return Err(Reason::OwnAccount.into());
        }
        if !self.book.is_alarmed(&user) {
            return Err(Reason::NothingToAcknowledge.into());
        }
        let notice = Notice::UserAcknowledged { user: user.clone() };
        let news = Change::News(None, News::Note { notice });
        let forget = Change::ForgetAccount(user.clone());
        let settled = Change::Alarmed(user.clone(), false);
        let behind = Change::Behind(user.clone(), None);
        self.book.commit(None, vec![forget, settled, behind, news])?;
        self.lookups.insert(user);
        Ok(())
    }

    /// Whether something is under way that the user waits for.
    pub(super) fn account_is_settled(&self) -> bool {
        self.own_change.is_none()
            && self.book.revoking().is_empty()
            && self.admission.is_none()
            && self.removals.is_empty()
    }

    /// Whether there is something to do for the account now.
    pub(super) fn account_is_due(&self) -> bool {
        let admits = matches!(&self.admission, Some(Admission::Offer(_) | Admission::Tell(..)));
        self.own_change.is_some()
            || !self.book.revoking().is_empty()
            || admits
            || self.account_wake().is_some_and(|at| at <= self.now)
    }

    /// Whether a device was admitted that is not in the groups yet. That is kept for the next time.
    pub(super) fn is_bringing_in(&self) -> bool {
        matches!(self.admission, Some(Admission::Tell(..) | Admission::Ready { .. }))
    }

    /// Whether the admitted device lets this one wait for long.
    pub(super) fn admitted_is_late(&self) -> bool {
        let Some(Admission::Ready { until, .. }) = &self.admission else { return false };
        until.saturating_sub(self.now) <= READY_WAIT - READY_PATIENCE
    }

    /// Goes on with what was under way when the last process ended.
    pub(super) fn resume_link(&mut self) -> Result<(), EngineError> {
        self.tell_ready = self.book.tell_ready()?;
        self.admission = self.book.admitted()?.map(|(code, device)| Admission::Tell(code, device));
        Ok(())
    }

    /// Nothing more is done for the device that is being admitted.
    pub(super) fn end_admission(&mut self) -> Result<(), EngineError> {
        if core::mem::take(&mut self.admission).is_some() {
            self.book.commit(None, vec![Change::Admitted(None)])?;
        }
        Ok(())
    }

    /// Says that something which the user wanted of the account did not come about.
    pub(super) fn account_failed(&mut self, reason: Reason) {
        self.account_failures += 1;
        self.failed(None, reason);
    }

    /// Gives up what the user wanted of the account and is not kept for the next time, and says so.
    pub fn abandon(&mut self) {
        match self.own_change.take().map(|wanted| wanted.change) {
            // That is kept.
            Some(account::Change::RevokeDevice(_)) => {}
            Some(_) => self.failed(None, Reason::PerhapsNotAdmitted),
            None if matches!(self.admission, Some(Admission::Offer(_))) => {
                self.failed(None, Reason::NotAdmittedOffline);
            }
            None => {}
        }
    }

    /// When the next thing is due that nothing else wakes this device for.
    pub(super) fn account_wake(&self) -> Option<u64> {
        let ready = match &self.admission {
            Some(Admission::Ready { look_at, .. }) => Some(*look_at),
            _ => None,
        };
        self.removals.values().copied().chain(ready).min()
    }

    /// See [`Self::clamp_times`].
    pub(super) fn clamp_account_times(&mut self) {
        let latest = self.now.saturating_add(REMOVAL_WAIT + REMOVAL_SPREAD);
        self.removals.values_mut().for_each(|due| *due = latest.min(*due));
        if let Some(Admission::Ready { look_at, until, .. }) = &mut self.admission {
            *look_at = self.now.saturating_add(READY_INTERVAL).min(*look_at);
            *until = self.now.saturating_add(READY_WAIT).min(*until);
        }
        self.clamp_link_times();
    }

    /// Admits the device that shows a code.
    pub(super) fn link(&mut self, code: LinkCode) -> Result<(), CommandError> {
        let waits = matches!(self.admission, None | Some(Admission::Ready { .. }));
        if !waits || self.own_change.is_some() {
            return Err(Reason::AccountBusy.into());
        }
        // It does not come up, or shows another code now.
        if let Some(Admission::Ready { device, .. }) = &self.admission {
            let id = DeviceId::new(self.device().user.clone(), device.clone());
            self.tell_now(Notice::NoLongerWaiting { device: id });
        }
        self.admission = Some(Admission::Offer(code));
        Ok(())
    }

    /// Revokes a device of this user. That is kept until the service has taken it, also in later processes: a device
    /// that was stolen is not forgotten because nobody answers.
    pub(super) fn revoke(&mut self, device: Name) -> Result<(), CommandError> {
        if device == self.device().device {
            return Err(Reason::RevokesItself.into());
        }
        if self.own_account().is_none_or(|account| account.device(&device).is_none()) {
            return Err(Reason::NoSuchDevice { device }.into());
        }
        if self.offline {
            self.tell_now(Notice::RevokedLater { device: device.clone() });
        }
        self.revocations.insert(device.clone());
        Ok(self.book.commit(None, vec![Change::Revoking(device, true)])?)
    }

    /// How many of the revocations that were asked for in this process are not done.
    pub(super) fn open_revocations(&self) -> usize {
        self.revocations.intersection(self.book.revoking()).count()
    }

    /// Begins with the next revocation that is kept.
    fn next_revocation(&mut self) {
        if self.own_change.is_some() {
            return;
        }
        if let Some(device) = self.book.revoking().first() {
            let change = account::Change::RevokeDevice(device.clone());
            self.own_change = Some(OwnChange { change, code: None, recovery: None, tries: 0 });
        }
    }

    /// A change of the own account is over. A revocation need not be kept any more.
    fn end_own_change(&mut self) -> Result<Option<OwnChange>, EngineError> {
        let ended = self.own_change.take();
        if let Some(account::Change::RevokeDevice(device)) = ended.as_ref().map(|e| &e.change) {
            self.book.commit(None, vec![Change::Revoking(device.clone(), false)])?;
        }
        Ok(ended)
    }

    pub(super) fn next_account(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        self.due_removals()?;
        self.next_revocation();
        if let Some(next) = self.next_own_change()? {
            return Ok(Some(next));
        }

        let provider = &*self.provider;
        match &mut self.admission {
            None => Ok(None),
            Some(Admission::Offer(code)) => {
                let slot = code.slot(provider, Parcel::Offer)?.into();
                Ok(Some((FetchRelay { slot }.into(), Purpose::Offer)))
            }
            Some(Admission::Tell(code, _)) => {
                let slot = code.slot(provider, Parcel::Log)?.into();
                let log = self.book.own_log()?.to_bytes().map_err(CryptoError::from)?;
                let content = code.seal(provider, &mut *self.rng, Parcel::Log, &log)?.into();
                Ok(Some((PutRelay { slot, content }.into(), Purpose::Tell)))
            }
            Some(Admission::Ready { until, device, .. }) if *until <= self.now => {
                let device = device.clone();
                let id = DeviceId::new(self.device().user.clone(), device);
                self.account_failed(Reason::AdmittedNotUp { device: id });
                self.end_admission()?;
                Ok(None)
            }
            Some(Admission::Ready { look_at, .. }) if *look_at > self.now => Ok(None),
            Some(Admission::Ready { code, look_at, .. }) => {
                *look_at = self.now.saturating_add(READY_INTERVAL);
                let slot = code.slot(provider, Parcel::Ready)?.into();
                Ok(Some((FetchRelay { slot }.into(), Purpose::IsReady)))
            }
        }
    }

    /// Makes and submits the entry for a change of the own account.
    fn next_own_change(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        let Some(wanted) = &self.own_change else { return Ok(None) };
        let Some(account) = self.own_account() else { return Ok(None) };

        // The answer may have been lost, and the log says so.
        let done = match &wanted.change {
            account::Change::AddDevice(device) => {
                matches!(account.standing(&device.name, &device.key), Standing::Active(_))
            }
            account::Change::RevokeDevice(device) => account.device(device).is_none(),
            _ => false,
        };
        if done {
            self.own_change_done()?;
            return Ok(None);
        }

        let identity = self.book.identity();
        let (author, signer) = match &wanted.recovery {
            Some(key) => (Author::Recovery, key),
            None => (Author::Device(identity.device.device.clone()), &identity.signer),
        };
        let now = self.time();
        let change = wanted.change.clone();
        let entry = match account.draft_checked(&*self.provider, author, signer, change, now) {
            Ok(entry) => entry,
            Err(e) => {
                self.end_own_change()?;
                self.account_failed(Reason::AccountUnchanged { why: e.fault.to_string() });
                return Ok(None);
            }
        };

        let request = submit_entry(&entry)?;
        Ok(Some((request.into(), Purpose::OwnChange(Box::new(entry)))))
    }

    /// The service has taken a change of the own account.
    pub(super) fn own_changed(&mut self, entry: account::Entry) -> Result<(), EngineError> {
        let user = self.device().user.clone();
        let Some(mut account) = self.own_account().cloned() else { return Ok(()) };
        // A hint may have overtaken the answer: then it is known already.
        if account.head().length == entry.sequence {
            account.apply(&*self.provider, &entry).map_err(EngineError::Account)?;
            let mut changes = self.news_of_account(&user, &account);
            changes.extend([Change::OwnEntry(entry), Change::Account(account)]);
            self.book.commit(None, changes)?;
        }
        self.remove_ended(&user);
        self.own_change_done()
    }

    /// The account is as the user wants it. An admitted device is to be told.
    fn own_change_done(&mut self) -> Result<(), EngineError> {
        let Some(done) = self.end_own_change()? else { return Ok(()) };
        if let (Some(code), account::Change::AddDevice(device)) = (done.code, done.change) {
            self.tell(code, device.name)?;
        }
        Ok(())
    }

    fn tell(&mut self, code: LinkCode, device: Name) -> Result<(), EngineError> {
        let admitted = Some((code.clone(), device.clone()));
        self.book.commit(None, vec![Change::Admitted(admitted)])?;
        self.admission = Some(Admission::Tell(code, device));
        Ok(())
    }

    /// The service has not taken it. If another device of this user was faster, it is made again.
    pub(super) fn own_change_refused(&mut self, error: &CallError) -> Result<(), EngineError> {
        let Some(wanted) = &mut self.own_change else { return Ok(()) };
        wanted.tries += 1;
        if error.code() == Some(ErrorCode::AccountForked) && wanted.tries < MAX_TRIES {
            self.lookups.insert(self.device().user.clone());
            return Ok(());
        }
        self.end_own_change()?;
        self.account_failed(Reason::AccountUnchanged { why: error.to_string() });
        Ok(())
    }

    /// What the device that shows a code offers.
    pub(super) fn offered(&mut self, content: Option<&[u8]>) -> Result<(), EngineError> {
        let Some(Admission::Offer(code)) = self.admission.take() else { return Ok(()) };
        let Some(content) = content else {
            self.account_failed(Reason::NoDeviceWaits);
            return Ok(());
        };
        let offer = match code.open_offer(&*self.provider, content) {
            Ok(offer) => offer,
            Err(e) => {
                self.account_failed(Reason::NotAdmitted { why: e.to_string() });
                return Ok(());
            }
        };
        let Offer { user, device } = offer;
        if user != self.device().user {
            self.account_failed(Reason::CodeOfAnotherUser { user });
            return Ok(());
        }

        let id = DeviceId::new(user, device.name.clone());
        let fingerprint = short_member_code(&*self.provider, &id, &device.key)?;
        let standing = self.own_account().map(|a| a.standing(&device.name, &device.key));
        if matches!(standing, Some(Standing::Active(_))) {
            // It was admitted before, and may not have heard of it.
            self.tell_now(Notice::AlreadyAdmitted { device: id, code: fingerprint });
            return self.tell(code, device.name);
        }
        self.answers.push_back(Answer::Admitting { device: id, code: fingerprint });
        let change = account::Change::AddDevice(device);
        self.own_change = Some(OwnChange { change, code: Some(code), recovery: None, tries: 0 });
        Ok(())
    }

    /// The admitted device can read that it is.
    pub(super) fn told(&mut self) {
        if let Some(Admission::Tell(code, device)) = self.admission.take() {
            let until = self.now.saturating_add(READY_WAIT);
            self.admission = Some(Admission::Ready { code, device, look_at: self.now, until });
        }
    }

    /// If the admitted device can be invited, brings it into all groups of this one.
    pub(super) fn admitted_is_ready(&mut self, content: Option<&[u8]>) -> Result<(), EngineError> {
        let Some(content) = content else { return Ok(()) };
        let Some(Admission::Ready { code, device, .. }) = self.admission.take() else {
            return Ok(());
        };
        let who = Who { user: self.device().user.clone(), device: Some(device) };
        if code.open(&*self.provider, Parcel::Ready, content).is_err() {
            self.account_failed(Reason::AdmittedChanged { who });
            return Ok(self.book.commit(None, vec![Change::Admitted(None)])?);
        }
        let groups = self.conversations.keys().filter(|id| {
            let record = self.book.record(id);
            record.is_some_and(|r| r.stage == Stage::Active && r.asked_by.is_none())
                && !self.book.leaving(id)
        });
        let work = || Work::Invite { who: who.clone(), committing: false, by_itself: false };
        let items = groups.map(|group| Item { group: group.clone(), work: work() });
        let mut changes: Vec<Change> = items.map(Change::NewItem).collect();
        changes.push(Change::Admitted(None));
        Ok(self.book.commit(None, changes)?)
    }
}
