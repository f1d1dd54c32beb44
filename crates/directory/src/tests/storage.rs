use super::*;
use crate::server::{Batch, DirectoryError, Put, Records, RecordsError};
use crate::verify_append_only;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Records that fail when a test says so, or to which something happens then.
#[derive(Clone, Default)]
struct Failing {
    records: MemoryRecords,
    /// The number of reads until one fails; never, if 0.
    reads: Arc<AtomicUsize>,
    /// What happens before that read, which does not fail then.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    write: Arc<Mutex<Option<RecordsError>>>,
}

impl Records for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RecordsError> {
        let one_less = |n: usize| n.checked_sub(1);
        if self.reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) == Ok(1) {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            let failed = RecordsError::Failed("a read".to_string());
            meanwhile.ok_or(failed).map(|happens| happens())?;
        }
        self.records.get(key)
    }

    fn put(&self, batch: Batch) -> Result<Put, RecordsError> {
        match self.write.lock().unwrap().take() {
            None => self.records.put(batch),
            Some(RecordsError::Unknown(why)) => {
                self.records.put(batch)?;
                Err(RecordsError::Unknown(why))
            }
            Some(error) => Err(error),
        }
    }
}

fn open(records: &Failing) -> Result<Directory<Failing>, DirectoryError> {
    Directory::open(records.clone(), Arc::new(RustCrypto::new()), signer(1), names(7), START)
}

fn entry(user: &str, length: u64) -> (Vec<u8>, Head) {
    (user.as_bytes().to_vec(), head(0, user, length))
}

#[test]
fn a_directory_goes_on_where_it_was() {
    let service = Service::new();
    service.publish(&[("alice", 1)]);
    let root = service.directory.root().unwrap();

    let again = Service::with(service.signer.clone(), service.names.clone(), service.records);
    assert_eq!(again.directory.root().unwrap(), root);
    assert_eq!(again.publish(&[("alice", 2)]).epoch, 2);
}

#[test]
fn records_of_other_keys_are_refused() {
    let records = Failing::default();
    open(&records).unwrap();
    let open = |signer, names| {
        let provider = Arc::new(RustCrypto::new());
        Directory::open(records.clone(), provider, signer, names, START).err()
    };
    assert_eq!(open(signer(1), names(7)), None);
    assert_eq!(open(signer(2), names(7)), Some(DirectoryError::OtherKeys));
    assert_eq!(open(signer(1), names(8)), Some(DirectoryError::OtherKeys));
}

#[test]
fn a_batch_that_is_not_written_was_never_there() {
    let records = Failing::default();
    let directory = open(&records).unwrap();
    directory.publish(&[entry("alice", 1)], START).unwrap();
    let before = records.records.fork();

    *records.write.lock().unwrap() = Some(RecordsError::Failed("full".to_string()));
    let refused = directory.publish(&[entry("alice", 2), entry("bob", 1)], START);
    assert_eq!(refused, Err(RecordsError::Failed("full".to_string()).into()));
    assert_eq!(before.size(), records.records.size());

    // Another batch takes its epoch: no root of it was shown to anybody.
    let root = directory.publish(&[entry("carol", 1)], START).unwrap();
    assert_eq!(root.epoch, 2);
    let service = Service::with(signer(1), names(7), records.records.clone());
    assert_eq!(service.lookup("bob"), Lookup::Absent);
    assert!(matches!(service.lookup("alice"), Lookup::Present(entry) if entry.version == 1));
}

#[test]
fn a_batch_of_unknown_outcome_may_be_published_again() {
    let records = Failing::default();
    let directory = open(&records).unwrap();
    *records.write.lock().unwrap() = Some(RecordsError::Unknown("power".to_string()));
    let batch = [entry("alice", 1)];
    let unknown = directory.publish(&batch, START);
    assert_eq!(unknown, Err(RecordsError::Unknown("power".to_string()).into()));
    assert_eq!(directory.publish(&batch, START).unwrap().epoch, 1);
}

#[test]
fn each_failed_read_is_an_error_and_changes_nothing() {
    let records = Failing::default();
    let directory = open(&records).unwrap();
    let many: Vec<_> = (0..20).map(|n| entry(&format!("user-{n}"), 1)).collect();
    directory.publish(&many, START).unwrap();
    let root = directory.root().unwrap();

    let batch = [entry("user-3", 2), entry("new", 1)];
    let operations: [&dyn Fn() -> Option<DirectoryError>; 5] = [
        &|| directory.lookup(b"user-3").err(),
        &|| directory.lookup(b"nobody").err(),
        &|| directory.history(b"user-3", crate::Depth::Complete).err(),
        &|| directory.append_only(0, 1).err(),
        &|| directory.publish(&batch, START).err(),
    ];
    for operation in operations {
        let mut reads = 0;
        loop {
            reads += 1;
            records.reads.store(reads, Ordering::SeqCst);
            let error = operation();
            // The operation took fewer reads than that.
            if records.reads.swap(0, Ordering::SeqCst) > 0 {
                assert_eq!(error, None);
                break;
            }
            assert_eq!(error, Some(RecordsError::Failed("a read".to_string()).into()));
            assert_eq!(directory.root().unwrap(), root);
        }
        assert!(reads > 3);
    }
    assert_eq!(directory.root().unwrap().epoch, 2);
}

#[test]
fn two_processes_publish_one_after_the_other() {
    let records = Failing::default();
    let (first, second) = (open(&records).unwrap(), open(&records).unwrap());
    let one = first.publish(&[entry("alice", 1)], START).unwrap();
    let two = second.publish(&[entry("bob", 1)], START).unwrap();
    assert_eq!((one.epoch, two.epoch), (1, 2));

    // At the same time, one of them wins each epoch, and both get their names in.
    let retry = |directory: &Directory<Failing>, batch: &[(Vec<u8>, Head)]| loop {
        match directory.publish(batch, START) {
            Ok(root) => return root.epoch,
            Err(DirectoryError::Raced) => {}
            Err(error) => panic!("{error}"),
        }
    };
    std::thread::scope(|scope| {
        for (directory, who) in [(&first, "left"), (&second, "right")] {
            scope.spawn(move || {
                for n in 0..8 {
                    retry(directory, &[entry(&format!("{who}-{n}"), 1)]);
                }
            });
        }
    });
    assert_eq!(first.root().unwrap().epoch, 18);
    let service = Service::with(signer(1), names(7), records.records.clone());
    for who in ["left", "right"] {
        for n in 0..8 {
            assert!(matches!(service.lookup(&format!("{who}-{n}")), Lookup::Present(_)));
        }
    }
    assert!(first.append_only(0, 18).is_ok());
}

#[test]
fn whatever_was_read_while_another_process_published_is_a_race() {
    for read in 1.. {
        let records = Failing::default();
        let directory = open(&records).unwrap();
        directory.publish(&[entry("alice", 1), entry("bob", 1)], START).unwrap();

        // The tree keeps two states of a node: of what was read before, nothing may be left after two more.
        let other = Service::with(signer(1), names(7), records.records.clone());
        *records.meanwhile.lock().unwrap() = Some(Box::new(move || {
            other.publish(&[("carol", 1), ("alice", 2)]);
            other.publish(&[("dave", 1), ("alice", 3)]);
        }));
        records.reads.store(read, Ordering::SeqCst);
        match directory.publish(&[entry("alice", 2), entry("erin", 1)], START) {
            Err(DirectoryError::Raced) => {}
            // It has read all before.
            Ok(root) => assert_eq!((root.epoch, read > 5), (2, true)),
            // The others came before the first read.
            Err(error) => {
                assert_eq!((read, error), (1, DirectoryError::NotLonger(b"alice".into())))
            }
        }
        if records.reads.load(Ordering::SeqCst) > 0 {
            return;
        }
    }
}

#[test]
fn proofs_are_right_while_batches_are_published() {
    let service = Service::new();
    service.publish(&[("alice", 1)]);
    std::thread::scope(|scope| {
        let publisher =
            scope.spawn(|| (2..30).for_each(|n| drop(service.publish(&[("alice", n)]))));
        while !publisher.is_finished() {
            match service.directory.lookup(b"alice") {
                Ok(page) => assert!(service.check("alice", &page).is_ok()),
                Err(error) => assert_eq!(error, DirectoryError::Raced),
            }
        }
    });
    assert!(matches!(service.lookup("alice"), Lookup::Present(entry) if entry.version == 29));
}

#[test]
fn a_lost_record_is_noticed_before_anything_is_signed() {
    let service = Service::new();
    let names: Vec<_> = (0..6).map(|n| format!("user-{n}")).collect();
    let batch: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    service.publish(&batch);
    let newest = service.directory.root().unwrap();

    for key in service.records.keys().into_iter().filter(|key| key[0] == 2) {
        let hole = service.fork();
        hole.records.remove(&key);
        let all: Vec<_> = names.iter().map(|name| entry(name, 2)).collect();
        assert!(hole.directory.publish(&all, START).is_err(), "{key:?}");
        assert_eq!(hole.directory.root().unwrap(), newest);
        assert!(hole.directory.append_only(0, 1).is_err());
    }
}

#[test]
fn an_extension_is_made_once_for_all_who_ask() {
    let records = Failing::default();
    let directory = open(&records).unwrap();
    let many: Vec<_> = (0..200).map(|n| entry(&format!("user-{n}"), 1)).collect();
    directory.publish(&many[..100], START).unwrap();
    directory.publish(&many, START).unwrap();
    let asked = |from| {
        records.reads.store(usize::MAX, Ordering::SeqCst);
        let proof = directory.append_only(from, 2).unwrap();
        (proof, usize::MAX - records.reads.load(Ordering::SeqCst))
    };

    let (first, reads) = asked(1);
    assert!(reads > 100);
    // The newest root, before and after, and the two at the ends.
    assert_eq!(asked(1), (first, 4));
    assert!(asked(0).1 > 100);
}

#[test]
fn an_extension_of_records_that_were_put_back_is_not_given_to_those_that_followed() {
    let service = Service::new();
    service.publish(&[("alice", 1)]);
    let backup = service.records.fork();
    service.publish(&[("bob", 1)]);
    let before = service.directory.append_only(1, 2).unwrap();

    service.records.restore(&backup);
    assert_eq!(service.directory.append_only(1, 2), Err(DirectoryError::NoEpoch));
    let new = service.publish(&[("carol", 1)]);
    let old = service.verified(&service.directory.roots(1).unwrap()[0]);
    let proof = service.directory.append_only(1, 2).unwrap();
    assert_ne!(proof, before);
    let new = service.verified(&new);
    assert_eq!(verify_append_only(&*service.provider, &old, &new, &proof), Ok(()));
}
