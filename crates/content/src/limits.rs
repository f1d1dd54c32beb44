//! Bounds on what a sender can make grow.

use core::fmt;

/// The depth of nested parts that the draft allows, the outermost part being the first (section 6.3).
pub const MAX_DEPTH: usize = 4;

/// Bounds on what is decoded, checked before anything is kept of it.
///
/// The defaults are the draft's where it has any (sections 6.3 and 9.1), and our choice elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of an encoding: 1 MiB.
    pub size: usize,
    /// Octets charged for a decoded value: 2 MiB. Spare capacity and the allocator's overhead come on top.
    pub memory: usize,
    /// Levels of nested parts: 4, the draft's maximum; a larger value counts as 4.
    pub depth: usize,
    /// Parts of a message, at all levels together: 1024.
    pub parts: usize,
    /// Extension fields of a message: 64.
    pub extensions: usize,
    /// Entries of a status report: 4096.
    pub statuses: usize,
    /// Octets of a `topicId`: 4096.
    pub topic: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 1 << 20,
            memory: 2 << 20,
            depth: MAX_DEPTH,
            parts: 1024,
            extensions: 64,
            statuses: 4096,
            topic: 4096,
        }
    }
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::size`].
    Size,
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::depth`].
    Depth,
    /// Levels of tags, maps and arrays in an item: 4 in an extension, its map being the first (section 6.3); 8 in an
    /// item that only a later version knows.
    ItemDepth,
    /// [`Limits::parts`].
    Parts,
    /// [`Limits::extensions`].
    Extensions,
    /// [`Limits::statuses`].
    Statuses,
    /// [`Limits::topic`].
    Topic,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "octets of an encoding",
            Self::Memory => "octets in memory",
            Self::Depth => "levels of nested parts",
            Self::ItemDepth => "levels within a CBOR item",
            Self::Parts => "parts of a message",
            Self::Extensions => "extensions of a message",
            Self::Statuses => "entries of a status report",
            Self::Topic => "octets of a topic",
        })
    }
}
