//! The last entries of each group's log, as the service gave them out: if it loses them, it gets them back.

use crate::book::{Book, Change};
use crate::record::Kept;
use conclave_delivery_api::{ChainHash, LogPage};
use conclave_mls::GroupId;
use conclave_store::{Store, StoreError};
use std::collections::BTreeMap;

/// How many entries of a group are kept.
pub(crate) const MAX_KEPT: u64 = 500;
/// The longest message that is kept, in bytes. What comes before a longer one cannot be given back with what comes
/// after it.
const MAX_MESSAGE: usize = 256 << 10;
/// How long an entry is kept, in seconds: older backups than that are not restored.
const MAX_AGE: u64 = 30 * 24 * 60 * 60;

/// Keeps the entries of a page after one number and up to another, and no longer those that are too many or too old.
/// `chains` are the hashes of the log after each number.
pub(crate) fn keep<S: Store>(
    book: &Book<S>,
    id: &GroupId,
    page: &LogPage,
    (after, up_to): (u64, u64),
    chains: &BTreeMap<u64, ChainHash>,
) -> Result<Vec<Change>, StoreError> {
    let new = page.entries.iter().filter(|entry| (after + 1..=up_to).contains(&entry.seq));
    let mut changes = Vec::new();
    let mut newest = 0;
    for entry in new {
        newest = entry.received_at;
        let Some(before) = chains.get(&(entry.seq - 1)) else { continue };
        if entry.message.len() > MAX_MESSAGE {
            continue;
        }
        let receipt = (entry.seq == page.end.position.seq).then(|| page.end.clone());
        let kept = Kept { before: *before, entry: entry.clone(), receipt };
        changes.push(Change::Kept(id.clone(), entry.seq, Some(Box::new(kept))));
    }

    // One more goes than comes, so that what is too old goes, too.
    for Kept { entry, .. } in book.kept(id, changes.len() + 1)? {
        let is_old = entry.received_at.saturating_add(MAX_AGE) < newest;
        if is_old || entry.seq.saturating_add(MAX_KEPT) <= up_to {
            changes.push(Change::Kept(id.clone(), entry.seq, None));
        }
    }
    Ok(changes)
}

/// The last entries that are kept of a group's log without gaps, up to and with this number.
pub(crate) fn kept_up_to<S: Store>(
    book: &Book<S>,
    id: &GroupId,
    last: u64,
) -> Result<Vec<Kept>, StoreError> {
    let mut kept = book.kept(id, usize::MAX)?;
    kept.retain(|kept| kept.entry.seq <= last);
    let mut next = last;
    let gap = kept.iter().rposition(|kept| {
        let follows = kept.entry.seq == next;
        next = next.saturating_sub(1);
        !follows
    });
    Ok(kept.split_off(gap.map_or(0, |gap| gap + 1)))
}

/// The changes that delete what is kept of a group that this device is no longer in.
pub(crate) fn keep_nothing<S: Store>(
    book: &Book<S>,
    id: &GroupId,
) -> Result<Vec<Change>, StoreError> {
    let kept = book.kept(id, usize::MAX)?.into_iter();
    let kept = kept.map(|kept| Change::Kept(id.clone(), kept.entry.seq, None));
    let missing = book.missing(id).into_iter().flatten();
    let missing = missing.map(|(seq, _)| Change::Missing(id.clone(), *seq, None));
    Ok(kept.chain(missing).collect())
}
