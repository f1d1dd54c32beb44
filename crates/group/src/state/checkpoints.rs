//! What a member keeps so that it can go back to an earlier epoch: checkpoints, and what is its own in the
//! epochs since the oldest of them.
//!
//! A group may enter an epoch a second time. Then none of the keys that we sent with may be used again, and
//! our own commits and proposals, which we cannot open, must be there to be applied.

use crate::config::Config;
use crate::error::Error;
use crate::event::CommitMessages;
use crate::limits::Limits;
use crate::state::pending::{PendingCommit, PendingUpdate};
use crate::state::public::{proposal_from_row, proposal_row};
use crate::store::row_codec::nothing_left;
use crate::store::rows::{Batch, RowKey, Table};
use crate::view::proposals::ListedProposal;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_crypto::{Secret, Suite};
use conclave_schedule::{RatchetKind, SecretTree};
use conclave_wire::{Bytes, Decode, Encode, Epoch, GroupContext, LeafIndex, Reader, Writer};

/// An epoch of one branch. Epochs of other branches can have the same number, but not the same transcript.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct EpochName {
    pub(crate) epoch: Epoch,
    confirmed_transcript_hash: Bytes,
}

impl EpochName {
    pub(crate) fn of(context: &GroupContext) -> Self {
        let confirmed_transcript_hash = context.confirmed_transcript_hash.clone();
        Self { epoch: context.epoch, confirmed_transcript_hash }
    }

    /// Whether this is the epoch of a context.
    fn is_of(&self, context: &GroupContext) -> bool {
        self.epoch == context.epoch
            && self.confirmed_transcript_hash == context.confirmed_transcript_hash
    }
}

/// Something of our own in an epoch.
pub(crate) struct OwnRecord {
    pub(crate) at: EpochName,
    pub(crate) what: Own,
}

pub(crate) enum Own {
    /// A commit, without its Welcomes.
    Commit(Box<PendingCommit>),
    Proposal(Box<OwnProposal>),
    /// The generations that our ratchets had reached when we left the epoch.
    Ratchets(Generations),
}

/// A proposal that we have sent.
pub(crate) struct OwnProposal {
    pub(crate) message: Vec<u8>,
    pub(crate) listed: ListedProposal,
    /// Its private keys, if it is an Update.
    pub(crate) update: Option<PendingUpdate>,
}

/// The next generation of each of our ratchets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Generations {
    pub(crate) handshake: u32,
    pub(crate) application: u32,
}

impl Own {
    pub(crate) fn commit(pending: &PendingCommit) -> Self {
        let messages = CommitMessages {
            id: pending.messages.id.clone(),
            commit: pending.messages.commit.clone(),
            ..CommitMessages::default()
        };
        let (content, path) = (pending.content.clone(), pending.path.clone());
        let (psks, app_data) = (pending.psks.clone(), pending.app_data.clone());
        Self::Commit(Box::new(PendingCommit { content, path, psks, app_data, messages }))
    }
}

/// The checkpoints of a group, and the records that belong to them.
#[derive(Clone, Default)]
pub(crate) struct Checkpoints {
    /// The rows of each epoch, encoded. All are of the branch that leads to the current epoch.
    copies: BTreeMap<Epoch, Arc<Secret>>,
    records: BTreeMap<u64, Arc<OwnRecord>>,
}

impl Checkpoints {
    /// The epochs with a checkpoint, in ascending order.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.copies.keys().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.copies.is_empty() && self.records.is_empty()
    }

    /// The numbers of checkpoints and of records.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.copies.len(), self.records.len())
    }

    /// The copied rows of an epoch.
    pub(crate) fn copy_of(&self, epoch: Epoch) -> Option<&Secret> {
        self.copies.get(&epoch).map(|copy| &**copy)
    }

    /// What is our own in an epoch.
    pub(crate) fn own<'a>(&'a self, context: &'a GroupContext) -> impl Iterator<Item = &'a Own> {
        let records = self.records.values().filter(move |record| record.at.is_of(context));
        records.map(|record| &record.what)
    }

    /// Moves our ratchets in an epoch's secret tree on to where they were when we left the epoch, if we were
    /// in it.
    pub(crate) fn pass_used(
        &self,
        suite: &Suite<'_>,
        own_leaf: LeafIndex,
        context: &GroupContext,
        tree: &mut SecretTree,
    ) -> Result<(), Error> {
        let reached = self.own(context).find_map(|own| match own {
            Own::Ratchets(reached) => Some(*reached),
            Own::Commit(_) | Own::Proposal(_) => None,
        });
        let Generations { handshake, application } = reached.unwrap_or_default();
        for (kind, generation) in
            [(RatchetKind::Handshake, handshake), (RatchetKind::Application, application)]
        {
            let mut passed = tree.pass(suite, own_leaf, kind, generation)?;
            tree.swap(&mut passed);
        }
        Ok(())
    }

    /// Adds a checkpoint of an epoch, in place of an earlier one of the same epoch.
    pub(crate) fn add(&mut self, epoch: Epoch, copy: Secret) {
        self.copies.insert(epoch, Arc::new(copy));
    }

    /// Removes the checkpoint of an epoch.
    pub(crate) fn remove(&mut self, epoch: Epoch) {
        self.copies.remove(&epoch);
    }

    /// Removes the checkpoints after an epoch, which are of a branch that we leave.
    pub(crate) fn remove_after(&mut self, epoch: Epoch) {
        self.copies.retain(|kept, _| *kept <= epoch);
    }

    /// Keeps something of our own for as long as a checkpoint may lead back to its epoch.
    pub(crate) fn record(&mut self, at: EpochName, what: Own) {
        if self.copies.is_empty() {
            return;
        }
        let place = self.records.keys().next_back().map_or(0, |last| last.saturating_add(1));
        self.records.insert(place, Arc::new(OwnRecord { at, what }));
    }

    /// Keeps how far our ratchets are in an epoch that we leave.
    pub(crate) fn record_generations(&mut self, at: EpochName, reached: Generations) {
        if reached == Generations::default() {
            return;
        }
        let of_ratchets = |record: &OwnRecord| matches!(record.what, Own::Ratchets(_));
        self.records.retain(|_, record| record.at != at || !of_ratchets(record));
        self.record(at, Own::Ratchets(reached));
    }

    /// Drops the oldest checkpoints while there is more than the limits allow, and the records of epochs that
    /// can no longer be entered. `current` is the epoch that the group is in.
    pub(crate) fn settle(&mut self, current: Epoch, limits: &Limits) {
        loop {
            let earliest = self.copies.keys().next().copied().unwrap_or(current);
            self.records.retain(|_, record| record.at.epoch >= earliest);
            let over = self.copies.len() > limits.checkpoints
                || self.records.len() > limits.checkpoint_records;
            if !over || self.copies.pop_first().is_none() {
                return;
            }
        }
    }
}

impl Checkpoints {
    /// Writes what `new` has and these do not have, and deletes the rest.
    pub(crate) fn put_changes(&self, new: &Self, batch: &mut Batch) -> Result<(), Error> {
        for epoch in self.copies.keys().filter(|epoch| !new.copies.contains_key(epoch)) {
            batch.delete(checkpoint_key(*epoch));
        }
        for place in self.records.keys().filter(|place| !new.records.contains_key(place)) {
            batch.delete(record_key(*place));
        }

        // A record that is replaced may have the place of the old one.
        for (epoch, copy) in &new.copies {
            if self.copies.get(epoch).is_none_or(|old| !Arc::ptr_eq(old, copy)) {
                batch.put(checkpoint_key(*epoch), copy.expose());
            }
        }
        for (place, record) in &new.records {
            if self.records.get(place).is_none_or(|old| !Arc::ptr_eq(old, record)) {
                batch.put(record_key(*place), record.to_row()?.expose());
            }
        }
        Ok(())
    }

    /// Adds a loaded checkpoint.
    pub(crate) fn load_copy(&mut self, key: &RowKey, row: &[u8]) -> Result<(), Error> {
        copied_rows(row).try_for_each(|entry| entry.map(drop))?;
        self.add(Epoch(key.index), Secret::copy_from(row));
        Ok(())
    }

    /// Adds a loaded record.
    pub(crate) fn load_record(
        &mut self,
        suite: &Suite<'_>,
        key: &RowKey,
        row: &[u8],
        config: &Config,
    ) -> Result<(), Error> {
        let record = OwnRecord::from_row(suite, row, config)?;
        self.records.insert(key.index, Arc::new(record));
        Ok(())
    }
}

fn checkpoint_key(epoch: Epoch) -> RowKey {
    // No epoch's end deletes it.
    RowKey::new(Table::Checkpoint, epoch.0)
}

fn record_key(place: u64) -> RowKey {
    RowKey::new(Table::OwnRecord, place)
}

/// The rows that a batch writes, as one value.
pub(crate) fn copy_rows(batch: &Batch) -> Result<Secret, Error> {
    const KEY_AND_LENGTH: usize = 1 + 8 + 8 + 4;
    let keys = batch.rows.len().saturating_mul(KEY_AND_LENGTH);
    let mut w = Writer::secret_with_capacity(batch.bytes().saturating_add(keys));
    for (key, row) in &batch.rows {
        let Some(row) = row else { continue };
        (key.table as u8).encode(&mut w)?;
        key.epoch.encode(&mut w)?;
        key.index.encode(&mut w)?;
        w.put_opaque(row.expose())?;
    }
    Ok(Secret::new(w.finish()))
}

/// The rows that [`copy_rows`] has put together.
pub(crate) fn copied_rows(copy: &[u8]) -> impl Iterator<Item = Result<(RowKey, &[u8]), Error>> {
    let mut r = Reader::new(copy);
    let mut failed = false;
    core::iter::from_fn(move || {
        if failed || r.is_empty() {
            return None;
        }
        let row = copied_row(&mut r);
        failed = row.is_err();
        Some(row)
    })
}

fn copied_row<'a>(r: &mut Reader<'a>) -> Result<(RowKey, &'a [u8]), Error> {
    let table = Table::from_number(u8::decode(r)?);
    let table = table.ok_or_else(|| Error::storage("it has a row of an unknown kind"))?;
    let (epoch, index) = (u64::decode(r)?, u64::decode(r)?);
    Ok((RowKey { table, epoch, index }, r.opaque()?))
}

impl OwnRecord {
    fn to_row(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        self.at.epoch.encode(&mut w)?;
        self.at.confirmed_transcript_hash.encode(&mut w)?;
        match &self.what {
            Own::Commit(commit) => {
                1u8.encode(&mut w)?;
                w.put_opaque(commit.to_row()?.expose())?;
            }
            Own::Proposal(own) => {
                2u8.encode(&mut w)?;
                w.put_opaque(&own.message)?;
                w.put_opaque(&proposal_row(&own.listed)?)?;
                let update = own.update.as_ref().map(PendingUpdate::to_row).transpose()?;
                w.put_opaque(update.as_ref().map_or(&[], Secret::expose))?;
            }
            Own::Ratchets(Generations { handshake, application }) => {
                3u8.encode(&mut w)?;
                handshake.encode(&mut w)?;
                application.encode(&mut w)?;
            }
        }
        Ok(Secret::new(w.finish()))
    }

    fn from_row(suite: &Suite<'_>, bytes: &[u8], config: &Config) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let at = EpochName {
            epoch: Decode::decode(&mut r)?,
            confirmed_transcript_hash: Decode::decode(&mut r)?,
        };
        let what = match u8::decode(&mut r)? {
            1 => Own::Commit(Box::new(PendingCommit::from_row(suite, r.opaque()?, config)?)),
            2 => Own::Proposal(Box::new(OwnProposal {
                message: r.opaque()?.to_vec(),
                listed: proposal_from_row(r.opaque()?, config)?,
                update: match r.opaque()? {
                    [] => None,
                    update => Some(PendingUpdate::from_row(update)?),
                },
            })),
            3 => Own::Ratchets(Generations {
                handshake: Decode::decode(&mut r)?,
                application: Decode::decode(&mut r)?,
            }),
            _ => return Err(Error::storage("it is of an unknown kind")),
        };
        nothing_left(&r)?;
        Ok(Self { at, what })
    }
}
