//! The kit finds what is wrong with a store: each of these has one fault.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use conclave_store::{
    Batch, GroupId, MemoryStore, RowKey, Secret, Store, StoreError, Table, WriteSet,
};
use conclave_store_test::{Place, Report, report, report_place};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Application values are written before a set is refused.
    ValuesBeforeRefusal,
    /// Batches are written one by one, until one is refused.
    BatchesBeforeRefusal,
    /// `Batch::new` is ignored.
    NewIgnored,
    /// Groups are known to exist only if this opening has written them.
    NewForgotten,
    /// Deletions of rows are lost.
    RowDeletionLost,
    /// Deletions of application values are lost.
    ValueDeletionLost,
    /// `Batch::clear` is ignored.
    ClearIgnored,
    /// The end of an epoch deletes rows of one kind only.
    EpochOfOneTable,
    /// The end of an epoch deletes those before it as well.
    EpochsBefore,
    /// Rows are written before those of an epoch are deleted.
    RowsBeforeEpochs,
    /// Only the last batch of a set is written.
    LastBatchOnly,
    /// The first write of an application value wins.
    FirstValueWins,
    /// Rows are loaded as numbers with a sign would order them.
    SignedOrder,
    /// Large epochs are cut to 63 bits.
    NarrowEpochs,
    /// Long values are cut.
    LongValuesCut,
    /// An empty value is none.
    EmptyIsNone,
    /// Keys are text that a zero ends.
    KeysEndAtZero,
    /// Keys of all namespaces are in one.
    NamespacesJoined,
    /// A scan begins after the key.
    ScanAfter,
    /// A scan ignores its limit.
    LimitIgnored,
    /// Groups without rows are listed.
    EmptyGroupsListed,
    /// Groups are mixed up if their identifiers begin alike.
    GroupsShortened,
    /// What was written last is lost with the opening.
    LastWriteLost,
    /// A later opening reads what the first wrote.
    StaleAfterReopening,
    /// Nothing refuses a second opening.
    OpenTwice,
    /// A write returns before it is on disk.
    Buffered,
    /// A write that fails leaves half of itself.
    TornFailure,
    /// A write that fails has happened all the same, and does not say that it may have.
    FailureThatWrote,
    /// Old values stay on disk.
    OldValuesKept,
    /// Values that should be encrypted are not.
    NotEncrypted,
}

/// What is on the disk.
#[derive(Clone, Default)]
struct Disk {
    now: MemoryStore,
    first: Option<MemoryStore>,
    before: MemoryStore,
    log: Vec<u8>,
    is_open: bool,
}

#[derive(Clone)]
struct Broken {
    fault: Fault,
    disk: Arc<Mutex<Disk>>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { fault, disk: Arc::default() }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Opened {
    place: Broken,
    /// As this opening has it, which may be ahead of the disk.
    store: MemoryStore,
    has_written: Vec<GroupId>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut disk = self.place.disk();
        disk.is_open = false;
        match self.place.fault {
            Fault::LastWriteLost => disk.now = disk.before.clone(),
            Fault::Buffered => disk.now = self.store.clone(),
            _ => {}
        }
    }
}

impl Place for Broken {
    type Store = Opened;

    fn open(&self) -> Result<Opened, StoreError> {
        let mut disk = self.disk();
        if disk.is_open && self.fault != Fault::OpenTwice {
            return Err(StoreError::InUse("disk".into()));
        }
        disk.is_open = true;
        let store = match (&disk.first, self.fault) {
            (Some(first), Fault::StaleAfterReopening) => first.clone(),
            _ => disk.now.clone(),
        };
        disk.before = store.clone();
        Ok(Opened { place: self.clone(), store, has_written: Vec::new() })
    }

    fn crash(&self, _: &Opened) -> Option<Self> {
        let left = Disk { is_open: false, ..self.disk().clone() };
        Some(Self { fault: self.fault, disk: Arc::new(Mutex::new(left)) })
    }

    fn failing_write(
        &self,
        store: &mut Opened,
        set: &WriteSet,
        way: usize,
    ) -> Option<Result<(), StoreError>> {
        if way > 2 {
            return None;
        }
        let half = WriteSet { batches: set.batches[..1].to_vec(), app: set.app[..1].to_vec() };
        match self.fault {
            Fault::TornFailure => store.write(&half).unwrap(),
            Fault::FailureThatWrote => store.write(set).unwrap(),
            // Two ways of which the writer is told the truth.
            _ if way == 1 => store.write(set).unwrap(),
            _ => {}
        }
        let is_honest = !matches!(self.fault, Fault::FailureThatWrote);
        Some(match way {
            1 | 2 if is_honest => Err(StoreError::unknown("the connection was lost")),
            _ => Err(StoreError::failed("the disk is full")),
        })
    }

    fn bytes_at_rest(&self) -> Option<Vec<u8>> {
        let disk = self.disk();
        let mut bytes = disk.log.clone();
        for group in disk.now.groups().unwrap() {
            for (_, value) in disk.now.load(&group).unwrap() {
                bytes.extend(value.expose());
            }
        }
        for namespace in ["key package", "n"] {
            for (_, value) in disk.now.scan(namespace, &[], usize::MAX).unwrap() {
                bytes.extend(value.expose());
            }
        }
        Some(bytes)
    }

    fn is_encrypted(&self) -> bool {
        self.fault == Fault::NotEncrypted
    }
}

/// A key as the fault makes it.
fn key_with(fault: Fault, key: &[u8]) -> Vec<u8> {
    let end = key.iter().position(|byte| *byte == 0).filter(|_| fault == Fault::KeysEndAtZero);
    key[..end.unwrap_or(key.len())].to_vec()
}

fn namespace_with(fault: Fault, namespace: &str) -> String {
    if fault == Fault::NamespacesJoined { String::new() } else { namespace.into() }
}

fn group_with(fault: Fault, group: &GroupId) -> GroupId {
    let len = if fault == Fault::GroupsShortened { 32 } else { usize::MAX };
    group.as_ref()[..group.as_ref().len().min(len)].into()
}

impl Opened {
    /// The sets to be written for one, one after another.
    fn broken(&self, set: &WriteSet) -> Vec<WriteSet> {
        let fault = self.place.fault;
        let mut set = set.clone();
        for batch in &mut set.batches {
            batch.group_id = group_with(fault, &batch.group_id);
            self.break_batch(batch);
        }
        for write in &mut set.app {
            write.namespace = namespace_with(fault, &write.namespace);
            write.key = key_with(fault, &write.key);
            match &mut write.value {
                Some(value) if fault == Fault::LongValuesCut => cut(value),
                Some(value) if fault == Fault::EmptyIsNone && value.is_empty() => {
                    write.value = None;
                }
                _ => {}
            }
        }
        if fault == Fault::ValueDeletionLost {
            set.app.retain(|write| write.value.is_some());
        }

        match fault {
            Fault::LastBatchOnly => {
                set.batches.drain(..set.batches.len().saturating_sub(1));
            }
            Fault::FirstValueWins => set.app.reverse(),
            Fault::ValuesBeforeRefusal => {
                let values = WriteSet { batches: Vec::new(), app: set.app.split_off(0) };
                return vec![values, set];
            }
            Fault::BatchesBeforeRefusal => {
                let app = set.app.split_off(0);
                let batches = set.batches.into_iter();
                let each = batches.map(|batch| WriteSet { batches: vec![batch], app: Vec::new() });
                return each.chain([WriteSet { batches: Vec::new(), app }]).collect();
            }
            _ => {}
        }
        vec![set]
    }

    fn break_batch(&self, batch: &mut Batch) {
        let fault = self.place.fault;
        match fault {
            Fault::NewIgnored => batch.new = false,
            Fault::NewForgotten => batch.new &= self.has_written.contains(&batch.group_id),
            Fault::ClearIgnored => batch.clear = false,
            Fault::RowDeletionLost => batch.rows.retain(|_, value| value.is_some()),
            Fault::RowsBeforeEpochs => {
                let ended = batch.deleted_epochs.clone();
                batch.rows.retain(|key, _| !ended.contains(&key.epoch));
            }
            Fault::EpochsBefore => {
                let last = batch.deleted_epochs.last().copied();
                batch.deleted_epochs.extend(last.and_then(|epoch| epoch.checked_sub(1)));
            }
            Fault::EpochOfOneTable => {
                let ended = std::mem::take(&mut batch.deleted_epochs);
                for (key, _) in self.store.load(&batch.group_id).unwrap() {
                    if ended.contains(&key.epoch) && key.table == Table::Ratchet {
                        batch.rows.entry(key).or_insert(None);
                    }
                }
            }
            Fault::NarrowEpochs => {
                let narrow =
                    |epoch: u64| if epoch == u64::MAX { epoch } else { epoch & !(1 << 63) };
                let rows = std::mem::take(&mut batch.rows).into_iter();
                let narrow_key = |key: RowKey| RowKey { epoch: narrow(key.epoch), ..key };
                batch.rows = rows.map(|(key, value)| (narrow_key(key), value)).collect();
                batch.deleted_epochs = batch.deleted_epochs.iter().copied().map(narrow).collect();
            }
            Fault::LongValuesCut => batch.rows.values_mut().flatten().for_each(cut),
            _ => {}
        }
    }
}

fn cut(value: &mut Secret) {
    if value.len() > 1 << 16 {
        *value = Secret::copy_from(&value.expose()[..1 << 16]);
    }
}

impl Store for Opened {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        let mut rows = self.store.load(&group_with(self.place.fault, group))?;
        if self.place.fault == Fault::SignedOrder {
            rows.sort_by_key(|(key, _)| (key.table, key.epoch.cast_signed(), key.index));
        }
        Ok(rows)
    }

    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        self.place.disk().before = self.store.clone();
        let sets = self.broken(set);
        for set in &sets {
            self.store.write(set)?;
            self.has_written.extend(set.batches.iter().map(|batch| batch.group_id.clone()));
        }

        let mut disk = self.place.disk();
        let values = sets.iter().flat_map(|set| {
            let rows = set.batches.iter().flat_map(|batch| batch.rows.values().flatten());
            rows.chain(set.app.iter().filter_map(|write| write.value.as_ref()))
        });
        if self.place.fault == Fault::OldValuesKept {
            values.for_each(|value| disk.log.extend(value.expose()));
        }
        if self.place.fault != Fault::Buffered {
            disk.now = self.store.clone();
        }
        disk.first.get_or_insert_with(|| self.store.clone());
        Ok(())
    }

    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        let mut groups = self.store.groups()?;
        if self.place.fault == Fault::EmptyGroupsListed {
            groups.extend_from_slice(&self.has_written);
            groups.sort();
            groups.dedup();
        }
        Ok(groups)
    }

    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        let fault = self.place.fault;
        self.store.get(&namespace_with(fault, namespace), &key_with(fault, key))
    }

    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        let fault = self.place.fault;
        let limit = if fault == Fault::LimitIgnored { usize::MAX } else { limit };
        let namespace = namespace_with(fault, namespace);
        let mut found = self.store.scan(&namespace, from, usize::MAX)?;
        if fault == Fault::ScanAfter {
            found.retain(|(key, _)| key != from);
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn report_of(fault: Fault) -> Report {
    report_place(|| Broken::new(fault))
}

/// Checks that a fault is found, and by which check.
fn is_found(fault: Fault, check: &str) {
    let report = report_of(fault);
    println!("{fault:?}: {report}");
    assert!(
        report.failed.iter().any(|failure| failure.check == check),
        "{fault:?} was not found by \"{check}\": {report}"
    );
}

#[test]
fn a_store_without_a_fault_passes() {
    let report = report_of(Fault::None);
    assert_eq!(report.failed, [], "{report}");
    assert_eq!(report.left_out, ["no value is at rest in the clear"]);
}

#[test]
fn each_fault_is_found_by_the_check_that_is_about_it() {
    let found = [
        (Fault::ValuesBeforeRefusal, "nothing of a set that is refused is written"),
        (Fault::BatchesBeforeRefusal, "nothing of a set that is refused is written"),
        (Fault::NewIgnored, "a new group does not take the place of one that exists"),
        (Fault::NewForgotten, "a group that exists is known after reopening"),
        (Fault::RowDeletionLost, "rows and values are replaced and deleted"),
        (Fault::ValueDeletionLost, "rows and values are replaced and deleted"),
        (Fault::ClearIgnored, "a group that was deleted leaves its identifier free"),
        (Fault::ClearIgnored, "groups are independent of each other"),
        (Fault::EpochOfOneTable, "the end of an epoch deletes its rows and no others"),
        (Fault::EpochsBefore, "any sets leave what they say"),
        (Fault::RowsBeforeEpochs, "a batch clears, then deletes epochs, then writes rows"),
        (Fault::LastBatchOnly, "a set's changes are made in order"),
        (Fault::FirstValueWins, "a set's changes are made in order"),
        (Fault::SignedOrder, "rows are loaded in the order of their keys"),
        (Fault::NarrowEpochs, "the end of an epoch deletes its rows and no others"),
        (Fault::NarrowEpochs, "rows and values are read as they were written"),
        (Fault::LongValuesCut, "values of every length are kept"),
        (Fault::EmptyIsNone, "rows and values are replaced and deleted"),
        (Fault::KeysEndAtZero, "keys of every length are kept"),
        (Fault::NamespacesJoined, "namespaces are independent of each other"),
        (Fault::ScanAfter, "a scan goes from a key on, in the order of bytes"),
        (Fault::LimitIgnored, "a scan goes from a key on, in the order of bytes"),
        (Fault::EmptyGroupsListed, "the groups that have rows are listed, in order"),
        (Fault::EmptyGroupsListed, "a set that changes nothing is written"),
        (Fault::GroupsShortened, "keys of every length are kept"),
        (Fault::LastWriteLost, "what was written is there after reopening"),
        (Fault::StaleAfterReopening, "what was written is there after reopening"),
        (Fault::OpenTwice, "a second opening is refused, and does no harm"),
        (Fault::Buffered, "what was written survives a crash"),
        (Fault::TornFailure, "a write that fails leaves nothing, or says that it may have"),
        (Fault::FailureThatWrote, "a write that fails leaves nothing, or says that it may have"),
        (Fault::OldValuesKept, "values that were deleted or replaced are gone"),
        (Fault::NotEncrypted, "no value is at rest in the clear"),
    ];
    for (fault, check) in found {
        is_found(fault, check);
    }
}

#[test]
fn a_store_without_a_place_is_checked_as_far_as_it_can_be() {
    let report = report(MemoryStore::new);
    assert_eq!(report.failed, []);
    assert!(report.left_out.contains(&"what was written is there after reopening"), "{report}");
    assert_eq!(
        report.passed.len() + report.left_out.len(),
        report_of(Fault::None).passed.len() + 1
    );
}

#[test]
#[should_panic(expected = "a new group does not take the place of one that exists")]
fn a_failed_check_fails_the_test_and_is_named() {
    conclave_store_test::check_place(|| Broken::new(Fault::NewIgnored));
}
