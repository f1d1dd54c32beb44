//! What was said in the rooms of one user, kept by one device.
//!
//! A [`History`] takes messages as they come out of a room's log ([`Recording::take`]) and keeps each as later messages have
//! left it: edits, deletions, reactions, receipts and expiry are applied by the rules of MIMI content
//! ([`conclave_content::interpret`]). A [`Reading`] shows pages, searches, counts what is unread, and exports.
//!
//! * **Rows.** It has no I/O of its own. What comes in becomes a [`WriteSet`](conclave_store::WriteSet), which the host
//!   writes in one step with its own rows; [`Rows`] is what it asks of a store. All tables' names begin with `h.`.
//! * **Once.** A message is known by its room and its number in the log: given again, it changes nothing.
//! * **Order.** Messages of a room are given in the order of their numbers. What is about a message that is not here
//!   waits for it.
//! * **Time** is an argument, in seconds since 1970. [`Reading::wake_at`] says when [`Recording::expire`] has work.
//! * **Bounds.** A row grows by a bounded amount with each message. A page ends early if its messages are large, and a
//!   search that would read too much at once says where to go on.
//! * **Giving.** A device gives a new one of the same user what was said before the new one came in: [`Giving`] writes a
//!   sealed file, [`Receiving`] takes from it what is missing, and each message says which device gave it.
//! * **Showing.** Texts come as they were sent; [`conclave_content::safe`] makes them fit to show. Descriptions, symbols,
//!   excerpts and media types are safe.
//!
//! What shows of a sealed store is in the crate's README.
//!
//! ```
//! use conclave_content::{Draft, ExpiryPolicy, MIMI_CONTENT, Salt};
//! use conclave_history::{Cursor, Event, GroupId, History, Taken, nobody};
//! use conclave_store::{MemoryStore, Store};
//!
//! # let mut rng = conclave_crypto::testing::TestRng(1);
//! let (alice, bob) = ("mimi://example.com/u/alice", "mimi://example.com/u/bob");
//! let (room, group) = ("mimi://example.com/r/lunch", GroupId::from(b"lunch".as_slice()));
//! let mut store = MemoryStore::new();
//! let history = History::open(&mut store, &mut rng)?;
//!
//! // Alice's message comes out of the log as its first entry.
//! let sent = Draft::markdown("*Hungry?*").finish(Salt([7; 16]), alice, room)?;
//! let mut recording = history.record(&store, 1_800_000_000);
//! let taken = recording.take(&Event {
//!     group: &group,
//!     room,
//!     me: bob,
//!     number: 1,
//!     time: 1_800_000_000,
//!     user: alice,
//!     device: "alice/phone",
//!     media_type: MIMI_CONTENT,
//!     bytes: &sent.bytes,
//!     may_replace: &nobody,
//!     expiry: ExpiryPolicy::Open,
//! })?;
//! assert!(matches!(taken, Taken::Said(_)));
//! let set = recording.finish();
//! store.write(&set)?;
//!
//! let reading = history.read(&store);
//! assert_eq!(reading.room(&group)?.unwrap().unread, 1);
//! let page = reading.before(&group, Cursor::LAST, 50)?;
//! assert_eq!(page.entries[0].body.text(), "*Hungry?*");
//! assert_eq!(reading.search(&group, "hung", Cursor::LAST, 20)?.entries, page.entries);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod access;
#[cfg(feature = "backup")]
mod backup;
mod body;
mod codec;
mod effects;
mod entry;
mod error;
mod export;
mod giving;
mod history;
mod index;
mod known;
mod marker;
mod reading;
mod receiving;
mod recording;
mod records;
mod rows;
mod segment;
mod store;
mod stream;
mod time;
mod view;
mod words;

#[cfg(feature = "backup")]
pub use backup::{BackupError, Restored};
pub use body::{Attachment, Body};
pub use conclave_content::{Ignored, MessageId};
pub use conclave_store::GroupId;
pub use entry::{Entry, Quote, Quoted, Reaction};
pub use error::HistoryError;
pub use export::{ExportError, Format};
pub use giving::{GIVEN_KEY_LEN, Given, Giving, RoomToGive};
pub use history::History;
pub use known::MayReplace;
pub use marker::{Expired, Unsent};
pub use reading::{Cursor, Found, Page, Reading, Room};
pub use receiving::{Giver, Receiving, RoomPlace};
pub use recording::{Event, Recording, Taken, nobody};
pub use store::{Rows, RowsMut};
pub use stream::StreamError;
