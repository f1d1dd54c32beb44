//! How far this device has followed, without its keys, what it misses in a group before it comes back. This is not stored:
//! another process begins again.

use super::external::NotJoined;
use crate::record::GroupRecord;
use conclave_delivery_api::{ChainHash, Decode};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::observe::Observer;
use conclave_mls::wire::{MlsMessage, MlsMessageBody};
use conclave_mls::{Error, Group};

/// The epoch of a GroupInfo in an encoded MLSMessage; none if that has no GroupInfo.
pub(crate) fn epoch_of_info(info: &[u8]) -> Option<u64> {
    match MlsMessage::from_bytes(info).ok()?.body {
        MlsMessageBody::GroupInfo(info) => Some(info.group_context.epoch.0),
        _ => None,
    }
}

/// The group after what was missed, as far as that was followed.
#[derive(Debug)]
pub(crate) struct Missed {
    pub(crate) observer: Observer,
    /// The number of the last entry that was followed.
    pub(crate) cursor: u64,
    /// The hash of the log after it.
    pub(crate) chain: Option<ChainHash>,
}

impl Missed {
    /// Nothing was followed yet: the group is as this device has it.
    pub(crate) fn of(group: &Group, record: &GroupRecord) -> Result<Self, Error> {
        let observer = group.observer()?;
        Ok(Self { observer, cursor: record.cursor, chain: record.chain })
    }

    /// The epoch that it has led to.
    pub(crate) fn epoch(&self) -> u64 {
        self.observer.epoch().0
    }

    /// Checks that a GroupInfo of this epoch is of the group that the log has led to.
    pub(crate) fn check_info(
        &self,
        provider: &dyn CryptoProvider,
        info: &[u8],
    ) -> Result<(), NotJoined> {
        let misfits = self.observer.group_info_misfits(provider, info)?;
        let Some(misfit) = misfits.first() else { return Ok(()) };
        let field = misfit.field;
        let why = format!(
            "the group that the service shows is not what its log leads to: its {field} differs"
        );
        Err(NotJoined(why))
    }
}
