//! The rules of groups: who may do what in a room, and how a log is read.

use conclave_certificates::device_of;
use conclave_delivery_api::room_policy;
use conclave_mls::Config;
use conclave_mls::join::GroupInfoOptions;
use conclave_room::RoomPolicy;
use std::sync::Arc;

/// How groups are made, joined and loaded: under the rules of rooms. A group from before there were rooms adopts them, and
/// goes on as it was.
pub(crate) fn config() -> Config {
    Config { policy: Arc::new(policy()), adopt_policy: true, ..Config::default() }
}

/// How many log entries are fetched, and written, at once.
pub(crate) const PAGE: u32 = 200;

/// What the service keeps for those who join from outside: the tree it knows.
pub(crate) const GROUP_INFO: GroupInfoOptions =
    GroupInfoOptions { ratchet_tree: false, external_pub: true };

pub(crate) fn policy() -> RoomPolicy {
    room_policy(|credential| Some(device_of(credential)?.user.to_string()))
}
