//! What is there after a restart, a crash or a failure.

use crate::Place;
use crate::atomicity::new_group;
use crate::report::{Check, Found, Made, Outcome, ensure};
use crate::sets::*;
use conclave_store::{MemoryStore, Store, StoreError, Table, WriteError, WriteSet};

pub(crate) fn checks<P: Place>() -> Vec<Check<P>> {
    vec![
        Check { name: "what was written is there after reopening", run: reopened },
        Check { name: "a group that exists is known after reopening", run: exists },
        Check { name: "a second opening is refused, and does no harm", run: exclusive },
        Check { name: "what was written survives a crash", run: crash },
        Check { name: "a write that fails leaves nothing, or says that it may have", run: failing },
        Check { name: "values that were deleted or replaced are gone", run: erased },
        Check { name: "no value is at rest in the clear", run: encrypted },
    ]
}

fn reopened<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    for seed in 11..=12 {
        let place = new();
        let mut dice = Dice(seed);
        let mut model = MemoryStore::new();
        for step in 0..15 {
            // One write, or some, each time that it is open.
            let mut store = place.open()?;
            for _ in 0..=dice.roll(3) {
                let set = random_set(&mut dice);
                model.write(&set)?;
                store.write(&set)?;
            }
            drop(store);

            ensure_same(&place.open()?, &model)
                .map_err(|found| found.after(&format!("seed {seed}, step {step}")))?;
        }
    }
    Ok(Made::Yes)
}

fn exists<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    place.open()?.write(&set([new_group("g", b"mine")]))?;

    let mut store = place.open()?;
    ensure_exists(store.write(&set([new_group("g", b"another")])), "g", "a stored group")?;
    ensure_rows(&store, "g", &[(key(Table::Header, u64::MAX, 0), b"mine")])?;
    Ok(Made::Yes)
}

fn exclusive<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    if !place.is_exclusive() {
        return Ok(Made::No);
    }

    let mut store = place.open()?;
    store.write(&put("n", b"k", b"first"))?;
    ensure!(place.open().is_err(), "it is open twice");
    store.write(&put("n", b"k", b"second"))?;
    ensure!(place.open().is_err(), "it is open twice after a write");
    ensure_value(&store, "n", b"k", Some(b"second"))?;

    drop(store);
    ensure_value(&place.open()?, "n", b"k", Some(b"second"))?;
    Ok(Made::Yes)
}

fn crash<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let mut dice = Dice(21);
    let mut model = MemoryStore::new();
    for step in 0..20 {
        let Some(left) = place.crash(&store) else {
            return Ok(Made::No);
        };
        ensure_same(&left.open()?, &model)
            .map_err(|found| found.after(&format!("after {step} writes")))?;

        let set = random_set(&mut dice);
        model.write(&set)?;
        store.write(&set)?;
    }
    Ok(Made::Yes)
}

fn failing<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let one = key(Table::Tree, 1, 1);
    let two = key(Table::Tree, 2, 2);
    let mut before = set([rows("a", &[(one, b"before"), (two, b"before")])]);
    before.put("cursor", vec![1], b"before".as_slice());
    let mut changes = set([
        rows("a", &[(one, b"after")]),
        end_of_epoch("a", 2),
        rows("b", &[(one, &bytes(100_000, 3)), (two, b"after")]),
    ]);
    changes.put("cursor", vec![1], b"after".as_slice());
    changes.put("history", vec![1], b"after".as_slice());

    let mut model = MemoryStore::new();
    model.write(&before)?;
    let unchanged = model.clone();
    model.write(&changes)?;
    let changed = model;

    for way in 0.. {
        let place = new();
        let mut store = place.open()?;
        store.write(&before)?;
        let Some(result) = place.failing_write(&mut store, &changes, way) else {
            return Ok(if way == 0 { Made::No } else { Made::Yes });
        };
        after_failure(&place, store, &result, &unchanged, &changed)
            .map_err(|found| found.after(&format!("way {way} to fail")))?;
    }
    Ok(Made::Yes)
}

/// Checks what a write left that may have failed.
fn after_failure<P: Place>(
    place: &P,
    mut store: P::Store,
    result: &Result<(), StoreError>,
    unchanged: &MemoryStore,
    changed: &MemoryStore,
) -> Result<(), Found> {
    match result {
        Ok(()) => ensure_same(&store, changed)?,
        Err(e) if e.may_have_written() => {
            drop(store);
            let store = place.open()?;
            let all = ensure_same(&store, changed);
            let nothing = ensure_same(&store, unchanged);
            if let (Err(Found(all)), Err(Found(nothing))) = (all, nothing) {
                let found = format!("neither all was written ({all}) nor nothing ({nothing})");
                return Err(Found(found));
            }
        }
        Err(e) => {
            let wrote = format!("it failed ({e}), but something was written");
            ensure_same(&store, unchanged).map_err(|found| found.after(&wrote))?;
            store.write(&put("n", b"k", b"later"))?;
            drop(store);
            let store = place.open()?;
            ensure_same(&store, unchanged).map_err(|found| found.after(&wrote))?;
            ensure_value(&store, "n", b"k", Some(b"later"))?;
        }
    }
    Ok(())
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A value that is nowhere by accident.
fn marker() -> Vec<u8> {
    (0..48u8).map(|i| 0xc0 ^ i.wrapping_mul(7)).collect()
}

fn erased<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    if place.bytes_at_rest().is_none() || place.is_encrypted() {
        return Ok(Made::No);
    }
    let at_rest = || holds(&place.bytes_at_rest().unwrap_or_default(), &marker());

    let one = key(Table::Ratchet, 1, 0);
    let row = set([rows("g", &[(one, &marker())])]);
    let value = put("key package", b"k", &marker());
    let mut deleted_row = rows("g", &[]);
    deleted_row.rows.insert(one, None);
    let ways: [(&str, &WriteSet, WriteSet); 6] = [
        ("a row that was replaced", &row, set([rows("g", &[(one, &[1; 48])])])),
        ("a row that was deleted", &row, set([deleted_row])),
        ("a row of an epoch that was deleted", &row, set([end_of_epoch("g", 1)])),
        ("a row of a group that was deleted", &row, set([deletion("g")])),
        ("a value that was replaced", &value, put("key package", b"k", &[1; 48])),
        ("a value that was deleted", &value, delete("key package", b"k")),
    ];
    let mut store = place.open()?;
    store.write(&set([rows("h", &[(one, b"other")])]))?;
    for (what, written, erasing) in ways {
        store.write(written)?;
        ensure!(at_rest(), "a value that is stored is not found in `bytes_at_rest`");
        store.write(&erasing)?;
        ensure!(!at_rest(), "{what} is still there");
    }
    Ok(Made::Yes)
}

fn encrypted<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    if place.bytes_at_rest().is_none() || !place.is_encrypted() {
        return Ok(Made::No);
    }
    let at_rest = || holds(&place.bytes_at_rest().unwrap_or_default(), &marker());

    let mut store = place.open()?;
    let long = marker().repeat(1000);
    for value in [&marker(), &long] {
        let mut both = set([rows("g", &[(key(Table::Header, 1, 1), value)])]);
        both.put("n", b"k".as_slice(), value.as_slice());
        store.write(&both)?;
        ensure_value(&store, "n", b"k", Some(value))?;
        ensure!(!at_rest(), "a value of {} bytes is readable while the store is open", value.len());
    }
    drop(store);
    ensure!(!at_rest(), "a value is readable after the store was closed");
    ensure_value(&place.open()?, "n", b"k", Some(&long))?;
    Ok(Made::Yes)
}
