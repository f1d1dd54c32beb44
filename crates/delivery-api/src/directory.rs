//! The directory that shows which account log is a user's, to everybody alike: see [`conclave_directory`].

use super::{Bytes, Decode, DecodeError, Encode, EncodeError, Reader, SignedRoot, Writer};

structs! {
    /// What the directory says about a user, with the proof.
    pub struct DirectoryPage {
        /// The directory's newest root.
        pub root: SignedRoot,
        /// The proof of a lookup, for [`verify_lookup`](conclave_directory::verify_lookup); of a history, for
        /// [`verify_history`](conclave_directory::verify_history), in the reply to [`FetchHistory`].
        pub proof: Bytes,
    }

    /// Asks for roots of the directory: anybody may follow them.
    pub struct FetchRoots {
        /// The first epoch.
        pub from: u64,
    }

    /// The reply to [`FetchRoots`].
    pub struct RootsPage {
        /// The roots of that epoch and those after it, ascending without gaps; not all of them, if they are many.
        pub roots: Vec<SignedRoot>,
        /// The newest epoch.
        pub newest: u64,
    }

    /// Asks for the proof that the directory only grew.
    pub struct FetchExtension {
        /// The earlier epoch.
        pub from: u64,
        /// The later epoch.
        pub to: u64,
    }

    /// The reply to [`FetchExtension`].
    pub struct ExtensionProof {
        /// The proof, for [`verify_append_only`](conclave_directory::verify_append_only).
        pub proof: Bytes,
    }

    /// Asks for every entry that the directory ever had of the caller's own user.
    pub struct FetchHistory {}
}
