//! A client as the benchmarks drive it: by bytes alone, so that all stacks do the same work.

use std::error::Error;

/// Whatever went wrong; a benchmark that fails says so and ends.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The messages of a commit.
pub struct Commit {
    pub commit: Vec<u8>,
    /// Empty if nobody was added.
    pub welcome: Vec<u8>,
}

/// A client with at most one group. Messages are encoded MLSMessages; handshake messages are
/// PublicMessages. Whatever changes the group is written to the client's store in memory before a
/// call returns, except that mls-rs writes messages' state only in [`Client::save`].
pub trait Client {
    /// A new key package, whose private keys the client keeps.
    fn key_package(&mut self) -> Result<Vec<u8>>;
    /// Creates a group.
    fn create(&mut self, group_id: &[u8]) -> Result<()>;
    /// Whether Welcomes hold the tree, as they do unless told, or it travels apart.
    fn tree_apart(&mut self, apart: bool) -> Result<()>;
    /// Checks key packages and commits their addition, with a path; pending until accepted.
    fn add(&mut self, key_packages: &[Vec<u8>]) -> Result<Commit>;
    /// Commits a removal; pending until accepted.
    fn remove(&mut self, leaf: u32) -> Result<Commit>;
    /// Commits fresh keys; pending until accepted.
    fn update(&mut self) -> Result<Commit>;
    /// Applies the pending commit.
    fn accept(&mut self) -> Result<()>;
    /// Joins by a Welcome that holds the tree.
    fn join(&mut self, welcome: &[u8]) -> Result<()>;
    /// Joins by a GroupInfo that holds the tree; gives the external commit.
    fn join_external(&mut self, group_info: &[u8]) -> Result<Vec<u8>>;
    /// A GroupInfo for external joins, with the tree.
    fn group_info(&mut self) -> Result<Vec<u8>>;
    /// Receives a commit and applies it.
    fn process(&mut self, commit: &[u8]) -> Result<()>;
    fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>>;
    fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>>;
    /// Drops the group in memory and loads it from the store.
    fn reload(&mut self) -> Result<()>;
    /// Writes what no other call has written.
    fn save(&mut self) -> Result<()>;
    /// Starts counting written bytes.
    fn watch_writes(&mut self);
    /// Bytes of the values written since [`Client::watch_writes`].
    fn written(&mut self) -> u64;
    /// Bytes of all values in the store, keys not counted.
    fn stored(&mut self) -> u64;
    /// Stops keeping what is written, as far as the stack allows, and forgets what was.
    fn discard_store(&mut self);
    /// To see that members agree.
    fn epoch_authenticator(&mut self) -> Result<Vec<u8>>;
    /// The own leaf.
    fn leaf(&self) -> u32;
}
