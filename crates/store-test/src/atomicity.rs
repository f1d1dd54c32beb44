//! All of a set is written, or nothing.

use crate::Place;
use crate::report::{Check, Made, Outcome};
use crate::sets::*;
use conclave_store::{Batch, MemoryStore, Store, Table, WriteSet};

pub(crate) fn checks<P: Place>() -> Vec<Check<P>> {
    vec![
        Check { name: "a new group does not take the place of one that exists", run: exists },
        Check { name: "nothing of a set that is refused is written", run: refused },
        Check { name: "a group that was deleted leaves its identifier free", run: free },
        Check { name: "any sets leave what they say", run: model },
    ]
}

/// A batch of a new group, as `NewGroup::store` makes it.
pub(crate) fn new_group(name: &str, value: &[u8]) -> Batch {
    let mut batch = rows(name, &[(key(Table::Header, u64::MAX, 0), value)]);
    batch.new = true;
    batch.clear = true;
    batch
}

fn exists<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let header = key(Table::Header, u64::MAX, 0);
    store.write(&set([new_group("g", b"mine")]))?;

    let foreign = set([new_group("g", b"somebody else's")]);
    ensure_exists(store.write(&foreign), "g", "a group that is stored")?;
    ensure_rows(&store, "g", &[(header, b"mine")])?;

    // A batch that is not of a new group replaces it.
    let mut replacing = new_group("g", b"mine again");
    replacing.new = false;
    store.write(&set([replacing]))?;
    ensure_rows(&store, "g", &[(header, b"mine again")])?;
    ensure_exists(store.write(&foreign), "g", "a group that was replaced")?;

    // Of two in one set, the second is refused as if it came later.
    let both = set([new_group("h", b"first"), new_group("h", b"second")]);
    ensure_exists(store.write(&both), "h", "a group that is new twice in a set")?;
    ensure_rows(&store, "h", &[])?;
    Ok(Made::Yes)
}

fn refused<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let one = key(Table::Tree, 1, 1);
    let two = key(Table::Tree, 2, 2);
    let mut before = set([new_group("g", b"mine"), rows("a", &[(one, b"1"), (two, b"2")])]);
    before.put("cursor", b"k".as_slice(), b"before".as_slice());
    before.put("cursor", b"l".as_slice(), b"before".as_slice());
    let mut model = MemoryStore::new();
    model.write(&before)?;
    store.write(&before)?;

    // Changes before and after the batch that is refused.
    let mut changes = set([
        rows("a", &[(one, b"changed"), (key(Table::Tree, 3, 3), b"new")]),
        end_of_epoch("a", 2),
        rows("b", &[(one, b"new")]),
        new_group("g", b"somebody else's"),
        rows("c", &[(one, b"new")]),
        deletion("a"),
    ]);
    changes.put("cursor", b"k".as_slice(), b"after".as_slice());
    changes.delete("cursor", b"l".as_slice());
    changes.put("history", b"m".as_slice(), b"after".as_slice());
    ensure_exists(store.write(&changes), "g", "a set with a group that is stored")?;
    ensure_same(&store, &model)?;
    ensure_rows(&store, "g", &[(key(Table::Header, u64::MAX, 0), b"mine")])?;
    ensure_value(&store, "cursor", b"k", Some(b"before"))?;
    ensure_value(&store, "cursor", b"l", Some(b"before"))?;
    ensure_value(&store, "history", b"m", None)?;

    // The store goes on.
    store.write(&put("cursor", b"k", b"later"))?;
    ensure_value(&store, "cursor", b"k", Some(b"later"))?;
    Ok(Made::Yes)
}

fn free<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    let place = new();
    let mut store = place.open()?;
    let header = key(Table::Header, u64::MAX, 0);
    store.write(&set([new_group("g", b"first")]))?;
    store.write(&set([deletion("g")]))?;
    store.write(&set([new_group("g", b"second")]))?;
    ensure_rows(&store, "g", &[(header, b"second")])?;

    // Also within one set.
    store.write(&set([deletion("g"), new_group("g", b"third")]))?;
    ensure_rows(&store, "g", &[(header, b"third")])?;
    Ok(Made::Yes)
}

fn model<P: Place>(new: &dyn Fn() -> P) -> Outcome {
    for seed in 1..=3 {
        let place = new();
        let mut store = place.open()?;
        let mut dice = Dice(seed);
        let mut model = MemoryStore::new();
        for step in 0..60 {
            let set: WriteSet = random_set(&mut dice);
            model.write(&set)?;
            store.write(&set)?;
            ensure_same(&store, &model)
                .map_err(|found| found.after(&format!("seed {seed}, step {step}")))?;
        }
    }
    Ok(Made::Yes)
}
