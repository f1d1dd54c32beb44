//! The client that benchmarks drive. It takes and gives encoded messages only, so that all stacks do the same
//! work.

use std::error::Error;

/// A benchmark reports any error and ends.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The messages of a commit.
pub struct Commit {
    pub commit: Vec<u8>,
    /// Empty if nobody was added.
    pub welcome: Vec<u8>,
}

/// A client with at most one group. Messages are encoded MLSMessages; handshake messages are PublicMessages.
/// Before a call returns, every change of the group is written to the client's store in memory; mls-rs alone
/// writes the state of messages only in [`Client::save`].
pub trait Client {
    /// A new key package, whose private keys the client keeps.
    fn key_package(&mut self) -> Result<Vec<u8>>;
    /// Creates a group.
    fn create(&mut self, group_id: &[u8]) -> Result<()>;
    /// Sets whether the ratchet tree travels apart. By default, Welcomes hold it.
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
    /// Joins by a GroupInfo that holds the tree, and returns the external commit.
    fn join_external(&mut self, group_info: &[u8]) -> Result<Vec<u8>>;
    /// A GroupInfo for external joins, with the tree.
    fn group_info(&mut self) -> Result<Vec<u8>>;
    /// Receives a commit and applies it.
    fn process(&mut self, commit: &[u8]) -> Result<()>;
    fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>>;
    fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>>;
    /// Drops the group in memory and loads it from the store.
    fn reload(&mut self) -> Result<()>;
    /// Writes the changes that no other call has written.
    fn save(&mut self) -> Result<()>;
    /// Starts counting written bytes.
    fn watch_writes(&mut self);
    /// Bytes of the values written since [`Client::watch_writes`].
    fn written(&mut self) -> u64;
    /// Bytes of all values in the store, keys not counted.
    fn stored(&mut self) -> u64;
    /// Empties the store, and keeps nothing that is written to it from now on, as far as the stack allows.
    fn discard_store(&mut self);
    /// The epoch authenticator, which shows whether members agree.
    fn epoch_authenticator(&mut self) -> Result<Vec<u8>>;
    /// The index of our own leaf.
    fn leaf(&self) -> u32;
}
