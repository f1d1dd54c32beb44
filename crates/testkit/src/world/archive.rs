//! Messages that went over the wire, and those that a member sent and read.

use conclave_wire::{Decode, GroupId, MlsMessage, WireFormat};

/// How many messages of each sort are kept.
const KEPT: usize = 24;

/// A message, and the group and epoch that it was sent in.
pub(super) struct Past {
    pub(super) group_id: GroupId,
    pub(super) epoch: u64,
    pub(super) message: Vec<u8>,
}

/// Messages that went over the wire, for an attacker to replay.
#[derive(Default)]
pub(super) struct Archive {
    /// Proposals and commits that all members received.
    pub(super) handshakes: Vec<Past>,
    /// Messages of other groups.
    pub(super) foreign: Vec<Vec<u8>>,
    pub(super) welcomes: Vec<Vec<u8>>,
    pub(super) group_infos: Vec<Vec<u8>>,
    pub(super) key_packages: Vec<Vec<u8>>,
}

/// Messages that one member has sent and read.
#[derive(Default)]
pub(super) struct OwnPast {
    pub(super) read: Vec<Vec<u8>>,
    pub(super) sent: Vec<Vec<u8>>,
    /// Its commits that lost or were rejected.
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

    /// Keeps a message of another group.
    pub(super) fn keep_foreign(&mut self, message: Vec<u8>) {
        keep(&mut self.foreign, message);
    }

    /// Counts all handshakes as those of another group, since the group has a successor now.
    pub(super) fn replace_group(&mut self) {
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
