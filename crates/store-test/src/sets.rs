//! Sets to write, and comparing stores.

use crate::report::{Found, ensure};
use conclave_store::{Batch, GroupId, RowKey, Secret, Store, StoreError, Table, WriteSet};

pub(crate) fn group(name: &str) -> GroupId {
    name.as_bytes().into()
}

pub(crate) fn key(table: Table, epoch: u64, index: u64) -> RowKey {
    RowKey { table, epoch, index }
}

/// A batch that writes these rows.
pub(crate) fn rows(name: &str, rows: &[(RowKey, &[u8])]) -> Batch {
    let mut batch = Batch::new(group(name));
    for (key, value) in rows {
        batch.rows.insert(*key, Some(Secret::copy_from(value)));
    }
    batch
}

/// A batch that deletes a group.
pub(crate) fn deletion(name: &str) -> Batch {
    let mut batch = Batch::new(group(name));
    batch.clear = true;
    batch
}

/// A batch that deletes the rows of an epoch.
pub(crate) fn end_of_epoch(name: &str, epoch: u64) -> Batch {
    let mut batch = Batch::new(group(name));
    batch.deleted_epochs.insert(epoch);
    batch
}

pub(crate) fn set(batches: impl IntoIterator<Item = Batch>) -> WriteSet {
    WriteSet { batches: batches.into_iter().collect(), app: Vec::new() }
}

pub(crate) fn put(namespace: &str, key: &[u8], value: &[u8]) -> WriteSet {
    let mut set = WriteSet::new();
    set.put(namespace, key, value);
    set
}

pub(crate) fn delete(namespace: &str, key: &[u8]) -> WriteSet {
    let mut set = WriteSet::new();
    set.delete(namespace, key);
    set
}

/// All kinds of row.
pub(crate) fn tables() -> Vec<Table> {
    (0..=u8::MAX).filter_map(Table::from_number).collect()
}

/// Bytes that differ by length and by seed.
pub(crate) fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ seed ^ len as u8).collect()
}

/// Checks that a group has these rows, in this order.
pub(crate) fn ensure_rows(
    store: &impl Store,
    name: &str,
    expected: &[(RowKey, &[u8])],
) -> Result<(), Found> {
    let loaded = store.load(&group(name))?;
    let found: Vec<(RowKey, &[u8])> = loaded.iter().map(|(k, v)| (*k, v.expose())).collect();
    ensure!(
        found == expected,
        "the group {name:?} has {}, not {}",
        shown_rows(&found),
        shown_rows(expected)
    );
    Ok(())
}

fn shown_rows(rows: &[(RowKey, &[u8])]) -> String {
    let shown: Vec<String> = rows
        .iter()
        .take(8)
        .map(|(key, value)| {
            let RowKey { table, epoch, index } = key;
            format!("({table:?}, {epoch}, {index}): {} bytes", value.len())
        })
        .collect();
    format!("{} rows [{}]", rows.len(), shown.join("; "))
}

/// Checks an application value.
pub(crate) fn ensure_value(
    store: &impl Store,
    namespace: &str,
    key: &[u8],
    expected: Option<&[u8]>,
) -> Result<(), Found> {
    let found = store.get(namespace, key)?;
    let found = found.as_ref().map(Secret::expose);
    ensure!(
        found == expected,
        "the key {key:?} of {namespace:?} has {}, not {}",
        shown_value(found),
        shown_value(expected)
    );
    Ok(())
}

fn shown_value(value: Option<&[u8]>) -> String {
    value.map_or("no value".into(), |value| format!("{} bytes", value.len()))
}

/// Checks that a group or an application value is as another store has it.
pub(crate) fn ensure_same(found: &impl Store, expected: &impl Store) -> Result<(), Found> {
    let groups = expected.groups()?;
    ensure!(found.groups()? == groups, "the groups are {:?}, not {groups:?}", found.groups()?);
    for name in GROUPS {
        let found = found.load(&group(name))?;
        let expected = expected.load(&group(name))?;
        ensure!(
            found == expected,
            "the group {name:?} has {} rows, or others than the {} that it should have",
            found.len(),
            expected.len()
        );
    }
    for namespace in NAMESPACES {
        for from in [&[][..], &[1], &[1, 1], &[9]] {
            for limit in [0, 1, usize::MAX] {
                let all =
                    (found.scan(namespace, from, limit)?, expected.scan(namespace, from, limit)?);
                ensure!(
                    all.0 == all.1,
                    "a scan of {namespace:?} from {from:?}, {limit} at most, gives {} values, or others \
                     than the {} that it should give",
                    all.0.len(),
                    all.1.len()
                );
            }
            ensure!(
                found.get(namespace, from)? == expected.get(namespace, from)?,
                "the key {from:?} of {namespace:?} has another value than it should have"
            );
        }
    }
    Ok(())
}

/// Checks that a write was refused since it holds a new group that exists.
pub(crate) fn ensure_exists(
    refused: Result<(), StoreError>,
    name: &str,
    what: &str,
) -> Result<(), Found> {
    ensure!(
        refused == Err(StoreError::GroupExists(group(name))),
        "{what}: the store returned {refused:?}, not GroupExists"
    );
    Ok(())
}

const GROUPS: [&str; 3] = ["a", "b", "c"];
const NAMESPACES: [&str; 2] = ["cursor", "history"];

/// Numbers that follow from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_of<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        let at = self.roll(from.len() as u64 + 1) as usize;
        from.get(at).copied().unwrap_or(otherwise)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        vec![self.roll(256) as u8; self.roll(most) as usize]
    }
}

/// A set of any changes to a few groups and keys.
pub(crate) fn random_set(dice: &mut Dice) -> WriteSet {
    let mut set = WriteSet::new();
    for _ in 0..dice.roll(3) {
        set.batch(random_batch(dice));
    }
    for _ in 0..dice.roll(4) {
        let namespace = dice.one_of(&NAMESPACES, "cursor");
        let key = vec![dice.roll(3) as u8; dice.roll(3) as usize];
        if dice.roll(3) == 0 {
            set.delete(namespace, key);
        } else {
            set.put(namespace, key, dice.bytes(9));
        }
    }
    set
}

fn random_batch(dice: &mut Dice) -> Batch {
    let mut batch = Batch::new(group(dice.one_of(&GROUPS, "a")));
    batch.clear = dice.roll(12) == 0;
    for _ in 0..dice.roll(2) {
        batch.deleted_epochs.insert(dice.roll(4));
    }
    for _ in 0..dice.roll(6) {
        let table = dice.one_of(&[Table::Header, Table::Tree], Table::Ratchet);
        let epoch = dice.one_of(&[0, 1, 2, 3], u64::MAX);
        let index = dice.one_of(&[0, 1, 1 << 40], u64::MAX);
        let value = Secret::new(dice.bytes(40));
        batch.rows.insert(key(table, epoch, index), (dice.roll(4) > 0).then_some(value));
    }
    batch
}
