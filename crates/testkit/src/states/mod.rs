//! Stored states as files: the contents of clients' disks in each [format](FORMAT), to show that later
//! versions read them.
//!
//! `vectors/state/v1/suite-1.json` is one file. It holds the rows of members and of an observer; a key
//! package, links and an external commit that wait for their group; and an identity. With each stand
//! the values that it knows, and the messages that it must understand next. All values are
//! hexadecimal; a row is `table epoch index value`, with `-` for no epoch.

mod make;

use crate::party::Rows;
use crate::vectors::hex::{self, Hex};
use conclave_crypto::Secret;
use conclave_group::rows::{FORMAT, RowKey, Table};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use make::make;

/// The cipher suites that have files, by their numbers in RFC 9420: between them they have each kind of
/// curve, key length and hash.
pub const SUITES: [u16; 3] = [1, 2, 6];

/// The label, context and length of the secret that [`make`] exports from each member's epoch.
pub const EXPORTED: (&[u8], &[u8], usize) = (b"stored state", b"of a member", 32);

/// The contents of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct States {
    /// The stored format.
    pub format: u8,
    /// The suite.
    pub cipher_suite: u16,
    /// States of members.
    pub members: Vec<MemberState>,
    /// The state of an observer.
    pub observer: ObserverState,
    /// A key package that waits for its Welcome.
    pub key_package: KeyPackageState,
    /// Links to groups that wait for the Welcome to their continuation.
    pub links: Vec<LinkState>,
    /// An external commit that waits for its verdict.
    pub external_commit: ExternalCommitState,
    /// The identity of a client.
    pub identity: IdentityState,
}

/// The state of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// A short description.
    pub what: String,
    /// Its rows, by ascending key.
    pub rows: Vec<Row>,
    /// The encoded GroupContext.
    pub context: Hex,
    /// The epoch authenticator.
    pub epoch_authenticator: Hex,
    /// The secret that [`EXPORTED`] describes.
    pub exported: Hex,
    /// The member's leaf.
    pub own_leaf: u32,
    /// Messages that it has not read, in any epoch.
    pub unread: Vec<Unread>,
    /// The commit that ends its epoch; none if that is its own pending commit.
    pub commit: Option<Hex>,
    /// The epoch authenticator after that commit, according to another member.
    pub next_epoch_authenticator: Hex,
    /// If it has a checkpoint: the messages that lead from there to its epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub since_checkpoint: Vec<Hex>,
}

/// A message that a member has not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The encoded MLSMessage.
    pub message: Hex,
    /// The data in it.
    pub data: Hex,
}

/// The state of an observer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObserverState {
    /// Its rows, by ascending key.
    pub rows: Vec<Row>,
    /// The encoded GroupContext.
    pub context: Hex,
    /// The GroupInfo that it was given: an encoded MLSMessage.
    pub group_info: Hex,
    /// A commit that refers to all proposals that it has seen.
    pub commit: Hex,
    /// The encoded GroupContext after that commit, according to the committer.
    pub next_context: Hex,
}

/// A key package with its private keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPackageState {
    /// The bytes of `OwnKeyPackage::to_secret`.
    pub stored: Hex,
    /// Its hash.
    pub reference: Hex,
    /// The Welcome that uses it.
    pub welcome: Hex,
    /// The epoch authenticator of the epoch that it leads to, according to the committer.
    pub epoch_authenticator: Hex,
}

/// A link to a group, with a Welcome to the group that continues it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// A short description.
    pub what: String,
    /// The bytes of `Link::to_secret`.
    pub stored: Hex,
    /// The identifier of the linked group.
    pub group_id: Hex,
    /// The bytes of `OwnKeyPackage::to_secret` for the key package in the Welcome.
    pub key_package: Hex,
    /// The Welcome.
    pub welcome: Hex,
    /// The epoch authenticator of the epoch that it leads to, according to the committer.
    pub epoch_authenticator: Hex,
}

/// An external commit with the group that it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalCommitState {
    /// The bytes of `ExternalCommit::to_secret`.
    pub stored: Hex,
    /// The commit: an encoded MLSMessage.
    pub commit: Hex,
    /// The GroupInfo of the new epoch: an encoded MLSMessage.
    pub group_info: Hex,
    /// The epoch authenticator of the new epoch, according to another member.
    pub epoch_authenticator: Hex,
    /// A message in the new epoch.
    pub unread: Unread,
}

/// A client's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityState {
    /// The bytes of `Identity::to_secret`.
    pub stored: Hex,
    /// A key package of the client: an encoded MLSMessage.
    pub key_package: Hex,
}

/// A row of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Row {
    /// Its key.
    pub key: RowKey,
    /// Its bytes, with version and checksum.
    pub value: Vec<u8>,
}

impl From<Row> for String {
    fn from(Row { key, value }: Row) -> Self {
        let epoch = match key.epoch {
            RowKey::NO_EPOCH => "-".to_owned(),
            epoch => epoch.to_string(),
        };
        format!("{} {epoch} {} {}", key.table as u8, key.index, hex::encode(&value))
    }
}

impl TryFrom<String> for Row {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [table, epoch, index, value] = parts[..] else { return Err("a row has four parts") };
        let table = table.parse().ok().and_then(Table::from_number).ok_or("no such table")?;
        let epoch = match epoch {
            "-" => RowKey::NO_EPOCH,
            epoch => epoch.parse().map_err(|_| "no epoch")?,
        };
        let index = index.parse().map_err(|_| "no index")?;
        let value = hex::decode(value).ok_or("no hexadecimal value")?;
        Ok(Self { key: RowKey { table, epoch, index }, value })
    }
}

/// Rows as a store returns them.
#[must_use]
pub fn stored(rows: &[Row]) -> Rows {
    rows.iter().map(|row| (row.key, Secret::copy_from(&row.value))).collect()
}

/// The file of a format and a suite, in this repository.
#[must_use]
pub fn file(format: u8, cipher_suite: u16) -> PathBuf {
    let folder = crate::docs::workspace().join("vectors/state");
    folder.join(format!("v{format}/suite-{cipher_suite}.json"))
}

/// The text of a file.
///
/// # Errors
/// None: states have a JSON form.
pub fn to_json(states: &States) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(states)? + "\n")
}

/// The states in a file's text.
///
/// # Errors
/// If the text does not describe states.
pub fn from_json(text: &str) -> Result<States, serde_json::Error> {
    serde_json::from_str(text)
}
