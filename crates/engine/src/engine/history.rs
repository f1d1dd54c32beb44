//! What the directory has of our user: this device checks all of it, as nobody else can.

use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::notice::Warning;
use crate::record::News;
use crate::request::Request;
use crate::watch::{Taken, Watch};
use conclave_account::{Entry, EntryError};
use conclave_delivery_api::{DirectoryPage, FetchHistory};
use conclave_directory::{Depth, verify_history};
use conclave_store::Store;

/// The shortest time between two such checks, in milliseconds.
pub(super) const HISTORY_INTERVAL: u64 = 10 * 60 * 1000;

impl<S: Store> Engine<S> {
    /// The call that checks what the directory has of our user, if it is due.
    pub(super) fn next_history(&mut self) -> Option<(Request, Purpose)> {
        if !self.history_is_due() {
            return None;
        }
        self.watching.history_at = self.now.saturating_add(HISTORY_INTERVAL);
        Some((FetchHistory {}.into(), Purpose::History))
    }

    /// Takes all entries that the directory ever had of our user, and compares them with our log.
    pub(super) fn history_told(&mut self, page: &DirectoryPage) -> Result<(), EngineError> {
        match self.take_root(&page.root)? {
            Some(Taken::Newest) => {}
            Some(Taken::Rollback { newest, shown }) => {
                if !self.rolled_back(newest, shown)? {
                    self.watching.history_at = self.now;
                }
                return Ok(());
            }
            // It is asked for again when the root is one to go by.
            _ => return Ok(()),
        }

        let (user, provider) = (self.device().user.clone(), self.provider.clone());
        let Some(mut watch) = self.book.watch().cloned() else { return Ok(()) };
        let told = watch.verified_newest(&*provider).and_then(|root| {
            let name = user.as_str().as_bytes();
            verify_history(&*provider, &root, name, Depth::Complete, &page.proof)
                .map_err(|e| e.to_string())
        });
        let told = match told {
            Ok(told) => told,
            Err(why) => {
                let why = format!("its proof of all that it has ever published is none: {why}");
                return self.alarm_about(&user, &why);
            }
        };
        let log = self.book.own_log()?;
        let mut changes = Vec::new();
        for published in told {
            let at = usize::try_from(published.head.length).unwrap_or(usize::MAX);
            let Some(entry) = at.checked_sub(1).and_then(|at| log.get(at)) else {
                // Another device of this user may have made it. If not, that look-up tells.
                self.lookups.insert(user);
                return Ok(());
            };
            let entry = Entry::from_bytes(entry).map_err(|fault| {
                EngineError::Account(EntryError { sequence: published.head.length - 1, fault })
            })?;
            // What was published stays published, and is told once.
            if entry.hash(&*provider)? != published.head.hash && published.epoch > watch.reported {
                watch.reported = published.epoch;
                let why = format!(
                    "its directory number {} had another account under this name",
                    published.epoch
                );
                let warning = Warning::OwnEntryContradicted { why };
                changes.push(Change::News(None, News::Alarm { warning }));
            }
        }
        watch.checked = watch.newest_epoch();
        changes.push(Change::Watch(watch));
        Ok(self.book.commit(None, changes)?)
    }

    /// The check was not made, as the call failed.
    pub(super) fn history_again(&mut self) {
        self.watching.history_at = self.now;
    }

    /// Whether the check is due.
    pub(super) fn history_is_due(&self) -> bool {
        self.registered && self.unchecked() && self.watching.history_at <= self.now
    }

    /// Whether there is a root against which our user has not been checked.
    pub(super) fn unchecked(&self) -> bool {
        let newer = |watch: &Watch| !watch.is_convicted() && watch.newest_epoch() > watch.checked;
        self.book.is_confirmed() && self.book.watch().is_some_and(newer)
    }
}
