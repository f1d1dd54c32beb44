//! The stored form of an external commit, so that a client which stops between sending it and the
//! delivery service's verdict need not join a second time.

use crate::config::Config;
use crate::error::Error;
use crate::join::create::NewGroup;
use crate::join::external::ExternalCommit;
use crate::store::row_codec::named;
use crate::store::rows::{Batch, RowKey, Stored, Table};
use alloc::format;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, Secret};
use conclave_wire::{Bytes, Decode, Encode, GroupId, Reader, Writer};

impl ExternalCommit {
    /// The commit and its group as bytes, for storage until the delivery service has judged the
    /// commit: content, [format](crate::rows::FORMAT), and a checksum. They hold private keys.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn to_secret(&self) -> Result<Secret, Error> {
        let batch = self.group.batch();
        let mut w = Writer::secret();
        w.put_opaque(&self.commit)?;
        self.group_info.as_deref().map(Bytes::from).encode(&mut w)?;

        batch.group_id.encode(&mut w)?;
        u8::from(batch.new).encode(&mut w)?;
        for (key, row) in &batch.rows {
            let Some(row) = row else { continue };
            (key.table as u8).encode(&mut w)?;
            key.epoch.encode(&mut w)?;
            key.index.encode(&mut w)?;
            w.put_opaque(row.expose())?;
        }

        Ok(Stored::ExternalCommit.seal(Secret::new(w.finish()).expose()))
    }

    /// The external commit that [`Self::to_secret`] stored, with the settings that the group is to
    /// have.
    ///
    /// # Errors
    /// [`Error::Storage`] if the bytes are damaged, of another format, or something else that was
    /// stored; and as for [`Group::load`](crate::Group::load).
    pub fn from_secret(
        provider: &dyn CryptoProvider,
        config: Config,
        stored: &Secret,
    ) -> Result<Self, Error> {
        let content = Stored::ExternalCommit.open(stored).and_then(Content::read);
        let Content { commit, group_info, batch } = named(&"stored external commit", content)?;
        let group = NewGroup::from_batch(provider, config, batch)?;
        Ok(Self { group, commit, group_info })
    }
}

/// The stored form of an external commit.
struct Content {
    commit: Vec<u8>,
    group_info: Option<Vec<u8>>,
    batch: Batch,
}

impl Content {
    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let commit = r.opaque()?.to_vec();
        let group_info = Option::<Bytes>::decode(&mut r)?.map(Bytes::into_vec);

        let mut batch = Batch::new(GroupId::decode(&mut r)?);
        batch.clear = true;
        batch.new = u8::decode(&mut r)? != 0;
        while !r.is_empty() {
            let number = u8::decode(&mut r)?;
            let table = Table::from_number(number)
                .ok_or_else(|| Error::storage(format!("there is no table {number}")))?;
            let key = RowKey { table, epoch: u64::decode(&mut r)?, index: u64::decode(&mut r)? };
            batch.rows.insert(key, Some(Secret::copy_from(r.opaque()?)));
        }
        Ok(Self { commit, group_info, batch })
    }
}
