//! What went over the wire, and what a member sent and read.

use conclave_wire::{Decode, GroupId, MlsMessage, WireFormat};

/// How many messages of a sort are kept for later.
const KEPT: usize = 24;

/// A message and when it was sent.
pub(super) struct Past {
    pub(super) group_id: GroupId,
    pub(super) epoch: u64,
    pub(super) message: Vec<u8>,
}

/// What went over the wire, for somebody to bring it up again.
#[derive(Default)]
pub(super) struct Archive {
    /// Proposals and commits that all got.
    pub(super) handshakes: Vec<Past>,
    /// Messages of other groups.
    pub(super) foreign: Vec<Vec<u8>>,
    pub(super) welcomes: Vec<Vec<u8>>,
    pub(super) group_infos: Vec<Vec<u8>>,
    pub(super) key_packages: Vec<Vec<u8>>,
}

/// What one member has sent and read.
#[derive(Default)]
pub(super) struct OwnPast {
    pub(super) read: Vec<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
    /// Own commits that lost or were refused.
    pub(super) given_up: Vec<Vec<u8>>,
}

fn keep<T>(list: &mut Vec<T>, item: T) {
    if list.len() == KEPT {
        list.remove(0);
    }
    list.push(item);
}

impl Archive {
    /// Keeps a message by its kind.
    pub(super) fn keep(&mut self, message: &[u8]) {
        let decoded = MlsMessage::from_bytes(message).expect("a real message");
        let place = decoded.group_and_epoch().map(|(group_id, epoch)| (group_id.clone(), epoch));
        let message = message.to_vec();
        match (decoded.wire_format(), place) {
            (WireFormat::WELCOME, _) => keep(&mut self.welcomes, message),
            (WireFormat::KEY_PACKAGE, _) => keep(&mut self.key_packages, message),
            (WireFormat::GROUP_INFO, _) => keep(&mut self.group_infos, message),
            (_, Some((group_id, epoch))) => {
                keep(&mut self.handshakes, Past { group_id, epoch: epoch.0, message });
            }
            _ => {}
        }
    }

    /// Keeps a message of a group that this one is not.
    pub(super) fn keep_foreign(&mut self, message: Vec<u8>) {
        keep(&mut self.foreign, message);
    }

    /// The group has a successor: what was of it is of another group now.
    pub(super) fn the_group_is_another(&mut self) {
        for past in std::mem::take(&mut self.handshakes) {
            keep(&mut self.foreign, past.message);
        }
    }
}

impl OwnPast {
    pub(super) fn read(&mut self, message: &[u8]) {
        keep(&mut self.read, message.to_vec());
    }

    pub(super) fn sent(&mut self, message: &[u8]) {
        keep(&mut self.sent, message.to_vec());
    }

    pub(super) fn gave_up(&mut self, message: &[u8]) {
        keep(&mut self.given_up, message.to_vec());
    }
}
