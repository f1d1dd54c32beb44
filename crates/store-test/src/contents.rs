//! What a store holds after writes.

use crate::Place;
use crate::report::{Check, Found, Made, Outcome, ensure};
use crate::sets::*;
use conclave_store::{RowKey, Secret, Store, Table, WriteSet};

pub(crate) fn checks<P: Place>() -> Vec<Check<P>> {
    vec![
        Check { name: "a new store is empty", run: empty },
        Check { name: "rows and values are read as they were written", run: written },
        Check { name: "rows are loaded in the order of their keys", run: order },
        Check { name: "values of every length are kept", run: value_lengths },
        Check { name: "keys of every length are kept", run: key_lengths },
        Check { name: "rows and values are replaced and deleted", run: replaced },
        Check { name: "a set's changes are made in order", run: in_order },
        Check { name: "a batch clears, then deletes epochs, then writes rows", run: batch_order },
        Check { name: "the end of an epoch deletes its rows and no others", run: epochs },
        Check { name: "groups are independent of each other", run: groups },
        Check { name: "the groups that have rows are listed, in order", run: listed },
        Check { name: "a scan goes from a key on, in the order of bytes", run: scan },
        Check { name: "namespaces are independent of each other", run: namespaces },
        Check { name: "a set that changes nothing is written", run: nothing },
        Check { name: "a large set is written", run: large },
        Check { name: "a store can move to another thread", run: threads },
    ]
}

const NO_EPOCH: u64 = RowKey::NO_EPOCH;
const HALF: u64 = 1 << 63;

fn empty<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let store = place.open()?;
    ensure!(store.groups()?.is_empty(), "it lists groups");
    ensure_rows(&store, "g", &[])?;
    ensure_value(&store, "n", b"k", None)?;
    ensure!(store.scan("n", &[], usize::MAX)?.is_empty(), "a scan finds values");
    Ok(Made::Yes)
}

fn written<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let all: Vec<RowKey> = tables()
        .into_iter()
        .flat_map(|table| {
            let places = [(0, 0), (1, u64::MAX), (HALF, HALF), (NO_EPOCH, 7)];
            places.map(|(epoch, index)| key(table, epoch, index))
        })
        .collect();
    let values: Vec<Vec<u8>> = (0..all.len()).map(|n| bytes(n + 1, 5)).collect();
    let expected: Vec<(RowKey, &[u8])> =
        all.iter().copied().zip(values.iter().map(Vec::as_slice)).collect();

    let mut both = set([rows("g", &expected)]);
    both.put("cursor", b"g".as_slice(), b"17".as_slice());
    store.write(&both)?;
    ensure_rows(&store, "g", &expected)?;
    ensure_value(&store, "cursor", b"g", Some(b"17"))?;
    Ok(Made::Yes)
}

fn order<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let numbers = [0, 1, 255, 256, 1 << 32, HALF - 1, HALF, HALF + 1, u64::MAX];
    let mut expected: Vec<(RowKey, &[u8])> = Vec::new();
    for table in [Table::Header, Table::Ratchet, Table::Ledger] {
        for epoch in numbers {
            expected.extend(numbers.map(|index| (key(table, epoch, index), b"value".as_slice())));
        }
    }

    // Written one by one, in another order.
    let mut dice = Dice(3);
    let mut shuffled = expected.clone();
    for i in 0..shuffled.len() {
        let j = dice.roll(i as u64 + 1) as usize;
        shuffled.swap(i, j);
    }
    for part in shuffled.chunks(17) {
        store.write(&set([rows("g", part)]))?;
    }
    ensure_rows(&store, "g", &expected)?;
    Ok(Made::Yes)
}

/// Lengths at which something may change: lengths that need another byte, pages, blocks.
fn lengths() -> Vec<usize> {
    let powers = (9..=21).flat_map(|n| [(1 << n) - 1, 1 << n, (1 << n) + 1]);
    (0..=300).chain(powers).collect()
}

fn value_lengths<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let name = |n: usize| format!("group {}", n / 100);
    let lengths: Vec<(usize, usize)> = lengths().into_iter().enumerate().collect();
    for part in lengths.chunks(10) {
        let mut all = WriteSet::new();
        for (n, len) in part {
            let index = key(Table::Tree, 1, *n as u64);
            all.batch(rows(&name(*n), &[(index, &bytes(*len, 1))]));
            all.put("lengths", len.to_be_bytes(), bytes(*len, 2));
        }
        store.write(&all)?;
    }

    for (n, len) in lengths {
        let loaded = store.load(&group(&name(n)))?;
        let row = loaded.iter().find(|(key, _)| key.index == n as u64);
        ensure!(
            row.is_some_and(|(_, value)| value.expose() == bytes(len, 1)),
            "a row of {len} bytes is missing or another"
        );
        ensure_value(&store, "lengths", &len.to_be_bytes(), Some(&bytes(len, 2)))?;
    }
    Ok(Made::Yes)
}

fn key_lengths<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let lengths: Vec<usize> = (0..=300).chain([1000, 1024]).collect();
    let same = key(Table::Header, 1, 1);

    // Keys that are each other's beginnings, with zeros.
    let mut all = WriteSet::new();
    for len in &lengths {
        let value = len.to_be_bytes();
        all.put("keys", vec![0; *len], value);
        let mut batch = rows("", &[(same, &value)]);
        batch.group_id = vec![0; *len].into();
        all.batch(batch);
    }
    store.write(&all)?;

    let found = store.scan("keys", &[], usize::MAX)?;
    ensure!(found.len() == lengths.len(), "{} keys, not {}", found.len(), lengths.len());
    ensure!(
        store.groups()?.len() == lengths.len(),
        "the store lists {} groups",
        store.groups()?.len()
    );
    for len in lengths {
        let value = Secret::copy_from(&len.to_be_bytes());
        ensure_value(&store, "keys", &vec![0; len], Some(value.expose()))?;
        let loaded = store.load(&vec![0; len].into())?;
        ensure!(
            loaded == [(same, value)],
            "a group whose identifier has {len} bytes has other rows than were written"
        );
    }
    Ok(Made::Yes)
}

fn replaced<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let one = key(Table::Tree, 3, 1);
    let two = key(Table::Tree, 3, 2);
    store.write(&set([rows("g", &[(two, b"stays")])]))?;
    store.write(&put("n", b"l", b"stays"))?;

    for value in [&b"first"[..], b"a longer one than before", b"short", b""] {
        store.write(&set([rows("g", &[(one, value)])]))?;
        store.write(&put("n", b"k", value))?;
        ensure_rows(&store, "g", &[(one, value), (two, b"stays")])?;
        ensure_value(&store, "n", b"k", Some(value))?;
    }

    // What is not there can be deleted, too.
    for _ in 0..2 {
        let mut batch = rows("g", &[]);
        batch.rows.insert(one, None);
        store.write(&set([batch]))?;
        store.write(&delete("n", b"k"))?;
        ensure_rows(&store, "g", &[(two, b"stays")])?;
        ensure_value(&store, "n", b"k", None)?;
        ensure_value(&store, "n", b"l", Some(b"stays"))?;
    }
    Ok(Made::Yes)
}

fn in_order<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let old = key(Table::Ratchet, 1, 0);
    let late = key(Table::Ratchet, 1, 9);
    let kept = key(Table::Tree, NO_EPOCH, 4);
    let once = key(Table::Tree, NO_EPOCH, 5);
    let mut all = set([
        rows("g", &[(old, b"old"), (kept, b"first"), (once, b"once")]),
        end_of_epoch("g", 1),
        rows("g", &[(late, b"late"), (kept, b"second")]),
    ]);
    for value in [Some(&b"1"[..]), None, Some(b"2"), Some(b"3")] {
        all.merge(value.map_or_else(|| delete("n", b"k"), |value| put("n", b"k", value)));
    }
    all.merge(put("n", b"deleted last", b"1"));
    all.merge(delete("n", b"deleted last"));
    store.write(&all)?;

    ensure_rows(&store, "g", &[(kept, b"second"), (once, b"once"), (late, b"late")])?;
    ensure_value(&store, "n", b"k", Some(b"3"))?;
    ensure_value(&store, "n", b"deleted last", None)?;
    Ok(Made::Yes)
}

fn batch_order<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let one = key(Table::Ratchet, 1, 0);
    let other = key(Table::Ratchet, 2, 0);
    store.write(&set([rows("g", &[(one, b"old"), (other, b"old")])]))?;

    let mut batch = rows("g", &[(one, b"new")]);
    batch.deleted_epochs.insert(1);
    store.write(&set([batch]))?;
    ensure_rows(&store, "g", &[(one, b"new"), (other, b"old")])?;

    let mut batch = rows("g", &[(one, b"newer")]);
    batch.clear = true;
    store.write(&set([batch]))?;
    ensure_rows(&store, "g", &[(one, b"newer")])?;
    Ok(Made::Yes)
}

fn epochs<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let epochs = [0, 1, 2, HALF - 1, HALF, HALF + 1, NO_EPOCH - 1, NO_EPOCH];
    let of_epochs = |epochs: &[u64]| -> Vec<(RowKey, &[u8])> {
        let keys = tables().into_iter().flat_map(|table| {
            epochs.iter().flat_map(move |epoch| [0, 9].map(|index| key(table, *epoch, index)))
        });
        keys.map(|key| (key, b"value".as_slice())).collect()
    };
    let all = of_epochs(&epochs);
    store.write(&set([rows("g", &all), rows("h", &all)]))?;

    for n in 0..epochs.len() {
        let Some((ended, kept)) = epochs.split_at_checked(n + 1) else { break };
        store.write(&set(ended.last().map(|epoch| end_of_epoch("g", *epoch))))?;
        ensure_rows(&store, "g", &of_epochs(kept))?;
        ensure_rows(&store, "h", &all)?;
    }
    Ok(Made::Yes)
}

fn groups<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let names: Vec<String> = (0..20).map(|n| format!("group {n}")).collect();
    let same = key(Table::Ratchet, 1, 1);

    // In turn, as clients do that are in many groups.
    for round in 0..3 {
        for (n, name) in names.iter().enumerate() {
            store.write(&set([rows(name, &[(same, &bytes(n + 1, round))])]))?;
        }
    }
    store.write(&set([deletion("group 3"), deletion("group 1")]))?;
    for (n, name) in names.iter().enumerate() {
        let value = bytes(n + 1, 2);
        let expected = [(same, value.as_slice())];
        let is_deleted = [1, 3].contains(&n);
        ensure_rows(&store, name, if is_deleted { &[] } else { &expected })?;
    }

    // And all at once.
    let values: Vec<Vec<u8>> = (0..names.len()).map(|n| bytes(n + 1, 9)).collect();
    let all = names.iter().zip(&values).map(|(name, value)| rows(name, &[(same, value)]));
    store.write(&set(all))?;
    for (name, value) in names.iter().zip(&values) {
        ensure_rows(&store, name, &[(same, value)])?;
    }
    Ok(Made::Yes)
}

fn listed<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let one = key(Table::Header, NO_EPOCH, 0);
    let names = ["b", "a", "", "aa", "B", "\u{7f}"];
    for name in names {
        store.write(&set([rows(name, &[(one, b"value")])]))?;
    }
    let ensure_listed = |store: &P::Store, expected: &[&str]| -> Result<(), Found> {
        let found = store.groups()?;
        let mut expected: Vec<_> = expected.iter().map(|name| group(name)).collect();
        expected.sort();
        ensure!(found == expected, "the groups are {found:?}, not {expected:?}");
        Ok(())
    };
    ensure_listed(&store, &names)?;

    // Without rows there is no group, however they went.
    let mut without = rows("a", &[]);
    without.rows.insert(one, None);
    store.write(&set([without, deletion("b"), end_of_epoch("aa", NO_EPOCH), rows("c", &[])]))?;
    ensure_listed(&store, &["", "B", "\u{7f}"])?;
    Ok(Made::Yes)
}

fn scan<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    // In order: as bytes, not as text.
    let keys: [&[u8]; 9] = [b"", &[0], &[0, 0], b"A", b"B", b"a", b"aa", &[0x80], &[0xff, 0xff]];
    for key in keys.iter().rev() {
        store.write(&put("n", key, key))?;
    }

    for (n, from) in keys.iter().enumerate() {
        for limit in [0, 1, 2, keys.len(), usize::MAX] {
            let found = store.scan("n", from, limit)?;
            let found: Vec<&[u8]> = found
                .iter()
                .filter(|(key, value)| value.expose() == key.as_slice())
                .map(|(key, _)| key.as_slice())
                .collect();
            let expected: Vec<&[u8]> = keys.iter().skip(n).take(limit).copied().collect();
            ensure!(
                found == expected,
                "from {from:?}, {limit} at most, the keys are {found:?}, not {expected:?}"
            );
        }
    }
    let between = store.scan("n", b"AB", 1)?;
    ensure!(
        between.first().is_some_and(|(key, _)| key == b"B"),
        "from a key that is not there, a scan does not begin with the next that is"
    );
    ensure!(store.scan("n", &[0xff; 3], 9)?.is_empty(), "there is a key after the last");
    Ok(Made::Yes)
}

fn namespaces<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let long = "n".repeat(200);
    let all = ["", "a", "ab", "b", "A", "ä", "a/b", &long];
    for namespace in all {
        store.write(&put(namespace, b"b", namespace.as_bytes()))?;
    }
    for namespace in all {
        ensure_value(&store, namespace, b"b", Some(namespace.as_bytes()))?;
        let found = store.scan(namespace, &[], usize::MAX)?;
        ensure!(found.len() == 1, "a scan of {namespace:?} finds {} keys, not 1", found.len());
    }

    store.write(&delete("a", b"b"))?;
    for namespace in all {
        let expected = (namespace != "a").then_some(namespace.as_bytes());
        ensure_value(&store, namespace, b"b", expected)?;
    }
    Ok(Made::Yes)
}

fn nothing<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    store.write(&WriteSet::new())?;
    store.write(&set([rows("g", &[])]))?;
    ensure!(store.groups()?.is_empty(), "an empty batch makes a group");

    let one = key(Table::Header, NO_EPOCH, 0);
    store.write(&set([rows("g", &[(one, b"value")])]))?;
    store.write(&WriteSet::new())?;
    store.write(&set([rows("g", &[])]))?;
    ensure_rows(&store, "g", &[(one, b"value")])?;
    Ok(Made::Yes)
}

fn large<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    const COUNT: u64 = 5000;
    let place = new();
    let mut store = place.open()?;
    let value = bytes(200, 1);
    let keys = |epoch| (0..COUNT).map(move |index| key(Table::Tree, epoch, index));
    let all: Vec<(RowKey, &[u8])> = keys(1).chain(keys(2)).map(|k| (k, &value[..])).collect();
    store.write(&set([rows("g", &all)]))?;
    ensure_rows(&store, "g", &all)?;

    store.write(&set([end_of_epoch("g", 1)]))?;
    ensure_rows(&store, "g", all.get(COUNT as usize..).unwrap_or_default())?;
    Ok(Made::Yes)
}

fn threads<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    store.write(&put("n", b"k", b"first"))?;

    let moved = std::thread::spawn(move || -> Result<P::Store, Found> {
        ensure_value(&store, "n", b"k", Some(b"first"))?;
        store.write(&put("n", b"k", b"second"))?;
        Ok(store)
    });
    let Ok(store) = moved.join() else {
        return Err(Found("it panics in another thread".into()));
    };
    ensure_value(&store?, "n", b"k", Some(b"second"))?;
    Ok(Made::Yes)
}
