//! The transfers of what one device of a user's gives another.

use crate::attachments::cipher::FileKey;
use crate::attachments::record::{Record, Sealed, Task, ToGive, ToTake};
use crate::attachments::transfers::{Transfers, UnderWay, forgotten, kept};
use crate::error::RunError;
use conclave_delivery::http_client::attachment_hash;
use conclave_delivery_api::DeviceId;
use conclave_engine::{AppRows, Engine, EngineError};
use conclave_mls::GroupId;
use conclave_mls::crypto::Secret;
use conclave_store::{Store, StoreError};
use std::fs::File;
use std::io;
use std::time::Instant;

impl Transfers {
    /// Takes note that one of the transfers goes on.
    pub(crate) fn touch(&mut self) {
        self.moved_at = Instant::now();
    }

    /// What a transfer's file is called; none if there is no such transfer any more.
    pub(crate) fn name(&self, id: u64) -> Option<String> {
        Some(self.under_way.get(&id)?.record.name.clone())
    }

    /// What is given by a transfer, and in which group that was asked for.
    pub(crate) fn giving(&self, id: u64) -> Option<(GroupId, ToGive)> {
        let Record { group, task, .. } = &self.under_way.get(&id)?.record;
        match task {
            Task::Give(give) => Some((group.clone(), give.clone())),
            _ => None,
        }
    }

    /// Whether something is being given to a device.
    pub(crate) fn is_giving_to(&self, device: &DeviceId) -> bool {
        let is_it =
            |one: &UnderWay| matches!(&one.record.task, Task::Give(give) if give.device == *device);
        self.under_way.values().any(is_it)
    }

    /// What is taken by a transfer, and in which group that was asked for.
    pub(crate) fn taking(&self, id: u64) -> Option<(GroupId, ToTake)> {
        let Record { group, task, .. } = &self.under_way.get(&id)?.record;
        match task {
            Task::Take(take) => Some((group.clone(), take.clone())),
            _ => None,
        }
    }

    /// The first transfer whose file is to be written.
    pub(crate) fn to_write(&self) -> Option<(u64, ToGive)> {
        self.under_way.iter().find_map(|(id, one)| match &one.record.task {
            Task::Give(give) if give.sealed.is_none() => Some((*id, give.clone())),
            _ => None,
        })
    }

    /// The file of a transfer, to be written.
    pub(crate) fn new_file(&self, id: u64) -> io::Result<File> {
        self.spool.new_sealed(id)
    }

    /// The file that a transfer has fetched.
    pub(crate) fn fetched_file(&self, id: u64) -> io::Result<File> {
        self.spool.part_file(id)
    }

    /// Takes note that the file of a transfer is written, under this key, and begins to upload it.
    pub(crate) fn written<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        id: u64,
        key: Secret,
    ) -> Result<Sealed, RunError> {
        let mut file = self.spool.sealed_file(id).map_err(RunError::Files)?;
        file.sync_all().map_err(RunError::Files)?;
        let (hash, length) = attachment_hash(&mut file).map_err(RunError::Files)?;
        let sealed = Sealed { key: FileKey::of_stream(key), hash, length };
        let Some(UnderWay { mut record, .. }) = self.under_way.remove(&id) else {
            return Ok(sealed);
        };
        if let Task::Give(give) = &mut record.task {
            give.sealed = Some(sealed.clone());
        }
        let rows = kept(id, &record).map_err(|e| StoreError::failed(e.to_string()));
        engine.write_app_rows(rows.map_err(EngineError::Store)?)?;
        self.start(id, record)?;
        Ok(sealed)
    }

    /// The rows that forget a transfer, to be written with what it leads to.
    pub(crate) fn rows_without(id: u64) -> AppRows {
        forgotten(id)
    }

    /// Ends a transfer: what another device has given is in the history.
    pub(crate) fn taken<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        id: u64,
    ) -> Result<(), EngineError> {
        engine.write_app_rows(forgotten(id))?;
        self.finish(id);
        Ok(())
    }
}
