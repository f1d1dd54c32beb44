//! Stored states as files: what clients of each [format](FORMAT) have on their disks, so that those
//! of later ones are seen to read it.
//!
//! `vectors/state/v1/suite-1.json` is one file: states of members, of an observer, and of a client
//! whose key package waits for its Welcome; for each, what it knows, and what it has to understand
//! next. All values are hexadecimal; a row is `table epoch index value`, with `-` for no epoch.

mod make;

use crate::party::Rows;
use crate::vectors::hex::{self, Hex};
use conclave_crypto::Secret;
use conclave_group::rows::{FORMAT, RowKey, Table};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

pub use make::make;

/// The cipher suites that there are files of, as RFC 9420 numbers them: one with each of the kinds
/// of curves, key lengths and hashes.
pub const SUITES: [u16; 3] = [1, 2, 6];

/// What [`make`] exports from each member's epoch: label, context and length.
pub const EXPORTED: (&[u8], &[u8], usize) = (b"stored state", b"of a member", 32);

/// What is in one file.
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
    /// What a client keeps until a Welcome comes.
    pub key_package: KeyPackageState,
}

/// The state of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// What is special about it.
    pub what: String,
    /// Its rows, by ascending key.
    pub rows: Vec<Row>,
    /// The encoded GroupContext.
    pub context: Hex,
    /// The epoch authenticator.
    pub epoch_authenticator: Hex,
    /// What [`EXPORTED`] says.
    pub exported: Hex,
    /// The member's leaf.
    pub own_leaf: u32,
    /// Messages that it has not read, in any epoch.
    pub unread: Vec<Unread>,
    /// The commit that ends its epoch; none if that is its own, which is pending.
    pub commit: Option<Hex>,
    /// The epoch authenticator after that commit, as another member has it.
    pub next_epoch_authenticator: Hex,
}

/// A message that a member has not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The encoded MLSMessage.
    pub message: Hex,
    /// What it says.
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
    /// A commit of all proposals that it has seen, by reference.
    pub commit: Hex,
    /// The encoded GroupContext after that commit, as the committer has it.
    pub next_context: Hex,
}

/// A key package with its private keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPackageState {
    /// What `OwnKeyPackage::to_secret` gave.
    pub stored: Hex,
    /// Its hash.
    pub reference: Hex,
    /// The Welcome by which it is used.
    pub welcome: Hex,
    /// The epoch authenticator of the epoch that it leads to, as the committer has it.
    pub epoch_authenticator: Hex,
}

/// A row of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Row {
    /// Its key.
    pub key: RowKey,
    /// All of it, with its version and checksum.
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

/// Rows as a store gives them back.
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
/// None: the states can be written.
pub fn to_json(states: &States) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(states)? + "\n")
}

/// The states in a file's text.
///
/// # Errors
/// If it is something else.
pub fn from_json(text: &str) -> Result<States, serde_json::Error> {
    serde_json::from_str(text)
}
