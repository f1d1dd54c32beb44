//! Stored rows.

use super::input::Input;
use super::messages::{observed, received};
use super::stage::{self, GROUP, Stage};
use crate::SeededRng;
use crate::party::{NOW, PROVIDER, Rows, pending_id, rows_of};
use conclave_crypto::Secret;
use conclave_group::rows::{FORMAT, RowKey, Table, content};
use conclave_group::{CommitOptions, Group, Observer};

/// How many changes one run makes to the rows.
const CHANGES: usize = 6;

/// A row's content as it is stored, with version and checksum.
pub(super) fn sealed(key: &RowKey, content: &[u8]) -> Secret {
    let mut row = content.to_vec();
    row.push(FORMAT);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&key.epoch.to_be_bytes());
    crc.update(&key.index.to_be_bytes());
    crc.update(&[key.table as u8]);
    crc.update(GROUP);
    crc.update(&row);
    row.extend(crc.finalize().to_be_bytes());
    Secret::new(row)
}

/// Changes a row. The bytes decide which row, how, and with what.
fn change(rows: &mut Rows, input: &mut Input<'_>) {
    let how = input.byte();
    let place = input.u16();
    let body = input.chunk();

    let keys: Vec<RowKey> = rows.keys().copied().collect();
    let Some(key) = keys.get(usize::from(place) % keys.len().max(1)) else { return };
    let Some(row) = rows.get(key).cloned() else { return };
    let old = content(&row).unwrap_or_default();

    match how % 8 {
        0..=2 => {
            rows.insert(*key, sealed(key, body));
        }
        3 => {
            let mut new = old.to_vec();
            new.iter_mut().zip(body).for_each(|(byte, xor)| *byte ^= xor);
            rows.insert(*key, sealed(key, &new));
        }
        4 => {
            rows.remove(key);
        }
        5 => {
            let Some(new) = key_of(body) else { return };
            rows.insert(new, sealed(&new, old));
        }
        6 => {
            let Some(new) = key_of(body) else { return };
            rows.insert(new, sealed(&new, body.get(17..).unwrap_or_default()));
        }
        _ => {
            let mut raw = row.expose().to_vec();
            raw.iter_mut().zip(body).for_each(|(byte, xor)| *byte ^= xor);
            raw.truncate(if body.len() % 7 == 6 { body.len() } else { raw.len() });
            rows.insert(*key, Secret::new(raw));
        }
    }
}

/// A key of any table, epoch and index.
fn key_of(bytes: &[u8]) -> Option<RowKey> {
    let (table, rest) = bytes.split_first()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (index, _) = rest.split_first_chunk()?;
    let table = Table::from_number(table % 23)?;
    let epoch = u64::from_be_bytes(*epoch);
    let index = u64::from_be_bytes(*index);
    Some(RowKey { table, epoch, index })
}

/// Loads a member or an observer from changed rows, most of them with right checksums. A state that
/// loads can be stored and loaded again as the same state, and takes steps without a panic. It may be
/// wrong: hashes in rows with right checksums are believed.
pub fn load(bytes: &[u8]) {
    stage::with(|stage| {
        let mut input = Input(bytes);
        let what = input.byte();
        let observer = what % 4 == 3;
        let mut rows =
            if observer { rows_of(stage.observer.rows()) } else { stage.bob.rows.clone() };

        let mut changes = 0;
        while !input.is_empty() && changes < CHANGES {
            change(&mut rows, &mut input);
            changes += 1;
        }

        if observer {
            observer_of(stage, rows, what / 4);
        } else {
            member_of(stage, rows, what / 4);
        }
    });
}

/// One of the real messages.
fn pick(stage: &Stage, number: u8) -> &[u8] {
    let place = usize::from(number) % stage.messages.len();
    stage.messages.get(place).map_or(&[], |message| message)
}

fn member_of(stage: &Stage, rows: Rows, message: u8) {
    let Ok(mut group) = Group::load(&PROVIDER, stage::config(), rows) else { return };
    let rows = rows_of(group.rows());
    let again = Group::load(&PROVIDER, stage::config(), rows.clone());
    assert_eq!(rows_of(again.expect("what is stored can be loaded").rows()), rows);

    let mut fold = group.fold();
    if let Ok(Some(step)) = received(fold.state(), pick(stage, message)) {
        fold.push(step).expect("computed from this state");
    }
    if let Ok(step) = fold.state().commit_accepted(&PROVIDER, NOW, &pending_id(fold.state())) {
        fold.push(step).expect("computed from this state");
    }
    let mut rng = SeededRng::from_u64(0);
    let _ = fold.state().commit(&PROVIDER, &mut rng, NOW, CommitOptions::default());

    drop(fold);
    assert_eq!(rows_of(group.rows()), rows, "undone");
}

fn observer_of(stage: &Stage, rows: Rows, message: u8) {
    let Ok(observer) = Observer::load(&PROVIDER, stage::config(), rows) else { return };
    let rows = rows_of(observer.rows());
    let again = Observer::load(&PROVIDER, stage::config(), rows.clone());
    assert_eq!(rows_of(again.expect("what is stored can be loaded").rows()), rows);
    let _ = observed(&observer, pick(stage, message));
}
