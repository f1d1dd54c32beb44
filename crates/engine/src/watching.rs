//! What this process knows of the service's directory, what members say of the service, and the proof that it lied.

use crate::book::{Book, Change};
use crate::notice::{Notice, Warning};
use crate::record::News;
use crate::watch::{Gossip, PassedRoot, Standing, Taken, Watch};
use conclave_delivery_api::{AccountPage, DeviceId, Encode, Name};
use conclave_directory::Evidence as TwoDirectories;
use conclave_mls::GroupId;
use conclave_mls::crypto::{CryptoError, CryptoProvider};
use conclave_store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// For how many roots it is remembered who has seen them, and for how many members that they passed on something odd.
const MAX_REMEMBERED: usize = 16;
/// The most files of evidence that are kept.
const MAX_EVIDENCE_FILES: u64 = 8;

/// What an answer about an account is for.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// To know the account.
    Lookup(Name),
    /// To invite its devices into a group.
    Invite(GroupId),
    /// To recover the own one.
    Recover,
}

/// What this process knows of the service's directory and does not store.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    /// An answer whose root waits for a proof.
    pub(crate) held: Option<Box<(Asked, AccountPage)>>,
    /// How often in a row the service has shown an older root.
    pub(crate) rollbacks: u32,
    /// How often in a row it has not given a proof.
    pub(crate) failed: u32,
    /// When to ask for the next one.
    pub(crate) proof_at: u64,
    /// Who has seen the roots that wait for a proof.
    pub(crate) seen_by: BTreeMap<u64, DeviceId>,
    /// Who has passed on something odd, which the user was told.
    pub(crate) odd: BTreeSet<DeviceId>,
    /// The group in which somebody has seen a newer root than the service has shown here.
    pub(crate) recheck: Option<GroupId>,
    pub(crate) recheck_at: u64,
    /// Whose accounts could not be judged for want of a proof.
    pub(crate) refused: Vec<Name>,
    /// When to look again what is still not in the directory.
    pub(crate) behind_at: u64,
    /// When to check what the directory has of the own user.
    pub(crate) history_at: u64,
    /// How many files of evidence were given out.
    pub(crate) given: u64,
}

impl Watching {
    /// Whether an answer waits for a proof.
    pub(crate) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Compares what members of a group have seen with what this device has. Returns the changes that note it.
    ///
    /// # Errors
    /// If evidence cannot be encoded.
    pub(crate) fn hear<S: Store>(
        &mut self,
        provider: &dyn CryptoProvider,
        place: &str,
        book: &Book<S>,
        (group, heard): (&GroupId, Vec<(DeviceId, PassedRoot)>),
    ) -> Result<Vec<Change>, CryptoError> {
        let Some(mut watch) = book.watch().filter(|watch| !watch.is_convicted()).cloned() else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::new();
        for (by, passed) in heard {
            let epoch = passed.root.epoch;
            match watch.hear(provider, &passed) {
                Gossip::Root(Taken::Lied(evidence)) => {
                    let (before, found) = (book.evidence_count(), (&*evidence, Some(&by)));
                    changes.extend(conviction(provider, place, &mut watch, before, found)?);
                    break;
                }
                Gossip::Root(Taken::Waits) => {
                    if epoch > watch.newest_epoch() {
                        self.recheck = Some(group.clone());
                    }
                    self.seen_by.insert(epoch, by);
                    if self.seen_by.len() > MAX_REMEMBERED {
                        self.seen_by.pop_first();
                    }
                }
                Gossip::Root(_) => {}
                Gossip::OtherKey => changes.extend(self.told_once(by, other_key)),
                Gossip::Unsigned => changes.extend(self.told_once(by, unsigned_root)),
            }
        }
        if book.watch() != Some(&watch) {
            changes.push(Change::Watch(watch));
        }
        Ok(changes)
    }

    /// The news of something odd that a member has passed on, unless the user was told so of that member before.
    fn told_once(&mut self, by: DeviceId, news: impl Fn(&DeviceId) -> News) -> Option<Change> {
        let is_new = self.odd.len() < MAX_REMEMBERED && self.odd.insert(by.clone());
        is_new.then(|| Change::News(None, news(&by)))
    }
}

/// A member knows the service by another key.
fn other_key(by: &DeviceId) -> News {
    News::Alarm { warning: Warning::OtherServiceKey { by: by.clone() } }
}

/// A member has passed on a root that it has made up.
fn unsigned_root(by: &DeviceId) -> News {
    News::Note { notice: Notice::UnsignedRoot { by: by.clone() } }
}

/// Evidence against the service that it has signed itself, for anybody to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What to call the file that it is kept in. Each piece has its own, and the same in every process.
    pub file_name: String,
    /// What `conclave audit --evidence` checks.
    pub bytes: Vec<u8>,
}

/// The name of the file of a piece of evidence.
pub(crate) fn evidence_name(number: u64) -> String {
    format!("evidence-{number}.bin")
}

/// Stores evidence, of which there are so many pieces before it; the sentence that says where it is.
pub(crate) fn keep(
    place: &str,
    evidence: &impl Encode,
    before: u64,
) -> Result<(Option<Change>, String), CryptoError> {
    if before >= MAX_EVIDENCE_FILES {
        let of_place = if place.is_empty() { String::new() } else { format!(" in {place}") };
        let what = format!("There are {before} files of evidence{of_place} already");
        return Ok((None, what));
    }
    let name = evidence_name(before + 1);
    let file = if place.is_empty() { name } else { format!("{place}/{name}") };
    let what = format!(
        "The evidence is in {file}, and anybody can check it: conclave audit --evidence {file}"
    );
    Ok((Some(Change::Evidence(evidence.to_bytes()?)), what))
}

/// The changes that note a proof that the service has shown two directories: the evidence, and a word to the user.
/// `by` is the member whose word has shown it.
pub(crate) fn conviction(
    provider: &dyn CryptoProvider,
    place: &str,
    watch: &mut Watch,
    before: u64,
    (evidence, by): (&TwoDirectories, Option<&DeviceId>),
) -> Result<Vec<Change>, CryptoError> {
    watch.standing = Standing::Convicted;
    let finding = match evidence.check(provider) {
        Ok(finding) => finding.to_string(),
        Err(e) => e.to_string(),
    };
    let whom = match by {
        Some(by) => {
            format!("{by} was shown another directory than you; it concerns all who use it")
        }
        None => "It concerns all who use the service".to_string(),
    };
    let (file, kept) = keep(place, evidence, before)?;
    let finding = format!("{finding} {whom}");
    let warning = Warning::TwoDirectories { finding, evidence: kept };
    Ok(file.into_iter().chain([Change::News(None, News::Alarm { warning })]).collect())
}
