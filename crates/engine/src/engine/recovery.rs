//! The recovery key: made, written down, and used when all devices are lost.

use super::accounts::submit_entry;
use super::linking::{NewWords, OwnChange, Recovering};
use super::{CommandError, Engine, EngineError, Purpose};
use crate::book::Change;
use crate::chance::random as draw;
use crate::directory::continued;
use crate::notice::Notice;
use crate::output::Answer;
use crate::reason::Reason;
use crate::request::Request;
use crate::words::{RECOVERY_SCHEME, WORDS, Words};
use conclave_account::{self as account, Account, Author, Entry, RecoveryKey};
use conclave_delivery_api::{AccountPage, FetchAccount};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::SignatureKeyPair;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// Makes a recovery key and shows its words. If the account has one already, its words are asked for.
    pub(super) fn new_recovery(&mut self, old: Option<&str>) -> Result<(), CommandError> {
        let known = self.own_account().and_then(Account::recovery_key).map(|(_, key)| key.clone());
        let old = match (known, old) {
            (None, _) => None,
            (Some(_), None) => return Err(Reason::HasRecoveryKey.into()),
            (Some(known), Some(text)) => Some(self.key_of(text, &known)?),
        };

        let words = Words::new(&mut *self.rng)?;
        let random = draw(&mut *self.rng) as usize;
        let first = random % WORDS;
        let second = (first + 1 + random / WORDS % (WORDS - 1)) % WORDS;
        let places = [first.min(second) + 1, first.max(second) + 1];
        self.answers.push_back(Answer::RecoveryWords { words: words.text().into(), places });
        self.new_words = Some(NewWords { words, places, old });
        Ok(())
    }

    /// The key of these words, which has to be the known one.
    fn key_of(
        &self,
        text: &str,
        known: &SignaturePublicKey,
    ) -> Result<SignatureKeyPair, CommandError> {
        let key = Words::parse(text)?.key_pair(&*self.provider)?;
        if key.public != *known {
            return Err(Reason::WordsOfAnotherKey.into());
        }
        Ok(key)
    }

    /// The user has typed two of the words back: the key goes into the account's log.
    pub(super) fn confirm_recovery(&mut self, typed: [&str; 2]) -> Result<(), CommandError> {
        if self.own_change.is_some() {
            return Err(Reason::AccountBusy.into());
        }
        let Some(new) = self.new_words.take() else {
            return Err(Reason::NoWordsToConfirm.into());
        };
        let right = new.places.map(|place| new.words.word(place).to_string());
        if typed.map(str::to_lowercase) != right {
            let [first, second] = new.places.map(|place| place as u64);
            self.new_words = Some(new);
            return Err(Reason::WordsNotRepeated { first, second }.into());
        }

        let key = new.words.key_pair(&*self.provider)?;
        let user = &self.book.identity().device.user;
        let recovery = RecoveryKey::proved(&*self.provider, user, RECOVERY_SCHEME, &key)?;
        let change = account::Change::ReplaceRecovery(Some(recovery));
        self.own_change = Some(OwnChange { change, code: None, recovery: new.old, tries: 0 });
        Ok(())
    }

    /// Begins to add this new device to its user's account by the recovery key.
    pub(super) fn recover(&mut self, text: &str) -> Result<(), CommandError> {
        if self.waiting_link.is_none() {
            return Err(Reason::HasAccount.into());
        }
        let key = Words::parse(text)?.key_pair(&*self.provider)?;
        let (entries, account) = (Vec::new(), None);
        self.recovering = Some(Recovering { key, open: false, entries, account, complete: false });
        Ok(())
    }

    /// The next call on the way to an account by its recovery key.
    pub(super) fn next_recovering(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        let me = self.device().clone();
        let (Some(recovering), Some(service_key)) = (&self.recovering, &self.service_key) else {
            return Ok(None);
        };
        if !recovering.open {
            let key = (RECOVERY_SCHEME, recovering.key.clone());
            let service_key = service_key.clone();
            let request = self.open_session(&service_key, Author::Recovery, key)?;
            return Ok(Some((request.into(), Purpose::Recover)));
        }
        if !recovering.complete {
            // The last known entry comes first.
            let after = (recovering.entries.len() as u64).saturating_sub(1);
            return Ok(Some((FetchAccount { user: me.user, after }.into(), Purpose::Recover)));
        }

        let Some(account) = &recovering.account else { return Ok(None) };
        let change = account::Change::AddDevice(self.own_key()?);
        let (key, now) = (&recovering.key, self.time());
        match account.draft_checked(&*self.provider, Author::Recovery, key, change, now) {
            Ok(entry) => {
                let request = submit_entry(&entry)?;
                Ok(Some((request.into(), Purpose::RecoverEntry(Box::new(entry)))))
            }
            Err(e) => {
                self.recovering = None;
                self.failed(None, Reason::NotAdded { why: e.fault.to_string() });
                Ok(None)
            }
        }
    }

    /// There is a session by the recovery key.
    pub(super) fn recovery_opened(&mut self) {
        if let Some(recovering) = &mut self.recovering {
            recovering.open = true;
        }
    }

    /// A part of the account's log, which is checked from its beginning.
    pub(super) fn recovery_read(&mut self, page: &AccountPage) -> Result<(), EngineError> {
        let Some(recovering) = &mut self.recovering else { return Ok(()) };
        let user = &self.book.identity().device.user;
        let reason = match continued(&*self.provider, user, recovering.account.as_ref(), page) {
            Err(e) => Reason::AccountLogInvalid { why: e.to_string() },
            Ok(Some((account, new))) if !new.is_empty() => {
                recovering.entries.extend(new);
                recovering.complete = account.head().length >= page.length;
                let key = account.recovery_key().map(|(_, key)| key);
                let own = key == Some(&recovering.key.public);
                recovering.account = Some(account);
                if !recovering.complete {
                    return Ok(());
                }
                if own {
                    return self.check_recovered(page);
                }
                Reason::OtherRecoveryKey
            }
            Ok(_) => Reason::AccountLogIncomplete,
        };
        self.recovering = None;
        self.failed(None, reason);
        Ok(())
    }

    /// The whole log is read: it has to be the one that the directory has.
    fn check_recovered(&mut self, page: &AccountPage) -> Result<(), EngineError> {
        let user = self.device().user.clone();
        let Some(Recovering { account: Some(account), entries, .. }) = &self.recovering else {
            return Ok(());
        };
        let (account, entries) = (account.clone(), entries.clone());
        match self.check_account(&user, page, (&account, &entries))? {
            Some(changes) => Ok(self.book.commit(None, changes)?),
            None => {
                self.recovery_failed("what the service says of it is not believed");
                Ok(())
            }
        }
    }

    /// This device is in the account.
    pub(super) fn recovered(&mut self, entry: Entry) -> Result<(), EngineError> {
        let Some(Recovering { mut entries, account: Some(mut account), .. }) =
            self.recovering.take()
        else {
            return Ok(());
        };
        account.apply(&*self.provider, &entry).map_err(EngineError::Account)?;
        entries.push(entry);
        let mut changes: Vec<Change> = entries.into_iter().map(Change::OwnEntry).collect();
        changes.extend([Change::Account(account), Change::Confirmed(true)]);
        self.book.commit(None, changes)?;
        self.waiting_link = None;
        self.tell_now(Notice::Recovered);
        Ok(())
    }

    /// The account is not recovered.
    pub(super) fn recovery_failed(&mut self, why: &str) {
        self.recovering = None;
        self.failed(None, Reason::NotRecovered { why: why.into() });
    }
}
