//! A device's inbox: what is for it alone, until it says that it has it.

use super::{
    Bytes, Decode, DecodeError, DeviceId, Encode, EncodeError, GroupId, LogPosition, Reader, Writer,
};

structs! {
    /// Asks for what is in the caller's inbox, the oldest first.
    pub struct FetchInbox {
        /// How many items at most; more than [`MAX_PAGE`](super::MAX_PAGE) counts as that.
        pub limit: u32,
    }

    /// The reply to [`FetchInbox`].
    pub struct InboxPage {
        /// The items, ascending by number.
        pub items: Vec<InboxItem>,
        /// How many items the inbox holds in all.
        pub total: u32,
    }

    /// Something in an inbox. It stays, and is fetched again, until it is acknowledged.
    pub struct InboxItem {
        /// Its number.
        pub id: u64,
        /// What it is.
        pub welcome: WelcomeItem,
    }

    /// An invitation to a group.
    pub struct WelcomeItem {
        /// The group, as the commit says that came with it.
        pub group_id: GroupId,
        /// The commit's place in the log: the new member reads on from there, and its first epoch is the one that
        /// the commit began.
        pub position: LogPosition,
        /// The device that submitted the commit.
        pub sender: DeviceId,
        /// An MLSMessage that holds the Welcome.
        pub welcome: Bytes,
        /// The ratchet tree of the epoch, if the sender gave it.
        pub ratchet_tree: Option<Bytes>,
    }

    /// Deletes items from the caller's inbox. Numbers that are not in it do no harm.
    pub struct AckInbox {
        /// The items that the caller has stored, [`MAX_PAGE`](super::MAX_PAGE) at most.
        pub ids: Vec<u64>,
    }

    /// The reply to [`AckInbox`].
    pub struct Acknowledged {}
}
