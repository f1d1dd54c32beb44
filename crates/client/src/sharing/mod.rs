//! What was said before a device came in, from another device of the same user.
//!
//! The new device asks in a room where both are, by a message that says nothing to people and has a fresh HPKE key. The
//! user tells one of the others to give: it seals what the rooms allow into a file, uploads that as any attachment, and names
//! it in another such message, encrypted to the key that came with the question. So nobody else in the room can fetch it,
//! whoever joins later. Nothing is given without the user's word: a device that should not be one of the user's would
//! otherwise get everything by being there.

mod asked;
mod job;

pub(crate) use asked::{Sharing, Wanted};
