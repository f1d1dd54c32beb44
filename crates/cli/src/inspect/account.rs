//! Account logs, and what a service signs: the roots of its directory, receipts, and evidence against it.

use super::checks::{Judged, Verdict};
use super::names::Scheme;
use super::value::Value;
use super::walk::{Stop, Walk};
use crate::provider::provider;
use conclave_account::{Account, Entry, MAX_KEY, MAX_SIGNATURE, Name};
use conclave_delivery_api::{LogEvidence, MAX_PAGE};
use conclave_directory::{Evidence, MAX_EXTENSION, MAX_HISTORY, MAX_LOOKUP, MAX_NAME};
use conclave_mls::wire::{Bytes, Decode, DecodeError};
use std::fmt::Display;

type Read = Result<(), Stop>;

/// What files of evidence begin with.
pub(super) const EVIDENCE: &[u8] = b"CNCLVEVD";
pub(super) const LOG_EVIDENCE: &[u8] = b"CNCLVELG";
/// The longest key and signature of a service, in bytes.
const MAX_SERVICE_KEY: usize = 4096;
const MAX_SERVICE_SIGNATURE: usize = 8192;
/// The longest signature of a receipt, in bytes.
const MAX_RECEIPT_SIGNATURE: usize = 64;
/// The highest number of a root.
const MAX_ROOT: u64 = 1 << 48;

/// Reads the version of a format that has one alone.
fn version(w: &mut Walk<'_>) -> Read {
    let at = w.at();
    match w.number::<u8>("version")? {
        1 => Ok(()),
        value => Err(w.stop(at, "version", DecodeError::InvalidValue { field: "version", value })),
    }
}

fn name(w: &mut Walk<'_>, field: &'static str) -> Read {
    let name: Name = w.read(field)?;
    w.put(field, Value::Words(name.to_string()))
}

/// Reads an entry of an account log.
pub(super) fn entry(w: &mut Walk<'_>) -> Read {
    version(w)?;
    name(w, "user")?;
    let sequence = w.number::<u64>("sequence")?;
    let at = w.at();
    let previous = w.bytes("previous")?.len();
    if previous != if sequence == 0 { 0 } else { 32 } {
        let invalid = DecodeError::InvalidValue { field: "previous", value: previous as u64 };
        return Err(w.stop(at, "previous", invalid));
    }
    time(w, "issued_at")?;
    let changes = [
        (1, "create"),
        (2, "add_device"),
        (3, "revoke_device"),
        (4, "rotate_key"),
        (5, "replace_recovery"),
    ];
    match w.case("change_type", "ChangeType", &changes)? {
        1 => {
            w.object("device", device_key)?;
            w.optional("recovery", recovery_key)?;
        }
        3 => name(w, "name")?,
        5 => w.optional("recovery", recovery_key)?,
        _ => w.object("device", device_key)?,
    }
    if w.case("author_type", "AuthorType", &[(1, "device"), (2, "recovery")])? == 1 {
        name(w, "author")?;
    }
    w.bounded("signature", MAX_SIGNATURE).map(drop)
}

/// Reads a time that a clock can show.
fn time(w: &mut Walk<'_>, field: &'static str) -> Read {
    let at = w.at();
    let seconds: u64 = w.read(field)?;
    w.put(field, Value::Time(seconds))?;
    if conclave_mls::UnixTime::from_secs(seconds).is_none() {
        return Err(w.stop(at, field, DecodeError::InvalidValue { field: "time", value: seconds }));
    }
    Ok(())
}

fn device_key(w: &mut Walk<'_>) -> Read {
    name(w, "name")?;
    recovery_key(w)
}

fn recovery_key(w: &mut Walk<'_>) -> Read {
    w.code::<Scheme>("scheme")?;
    w.bounded("key", MAX_KEY)?;
    w.bounded("proof", MAX_SIGNATURE).map(drop)
}

/// Reads a log: a vector of entries.
pub(super) fn log(w: &mut Walk<'_>) -> Read {
    w.list("entries", |w, _| {
        let encoded = w.opaque("")?;
        w.inside("entry", encoded, entry)
    })
}

/// Judges a log, which is a vector of entries.
pub(super) fn judge_log(bytes: &[u8]) -> Judged {
    let entries = Vec::<Bytes>::from_bytes(bytes).unwrap_or_default();
    judge_entries(entries.iter().map(|entry| Entry::from_bytes(entry)))
}

/// Judges entries that stand one behind the other.
pub(super) fn judge_chain(encoded: &[&[u8]]) -> Judged {
    judge_entries(encoded.iter().map(|entry| Entry::from_bytes(entry)))
}

fn judge_entries<E: Display>(entries: impl Iterator<Item = Result<Entry, E>>) -> Judged {
    let provider = provider();
    let mut said = Judged::default();
    let mut account: Option<Account> = None;
    let mut verdict = Verdict::Unchecked("it does not begin with the first entry".into());
    for (index, entry) in entries.enumerate() {
        let of = format!("entries[{index}]");
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                verdict = Verdict::Invalid(format!("{of}: {e}"));
                break;
            }
        };
        said.call(&of, "entry hash", entry.hash(&*provider).ok().as_ref().map(|h| h.as_slice()));
        let judged = match &mut account {
            Some(account) => account.apply(&*provider, &entry),
            None if entry.sequence == 0 => {
                Account::create(&*provider, &entry).map(|made| account = Some(made))
            }
            None => continue,
        };
        verdict = match judged {
            Ok(_) => Verdict::Valid,
            Err(e) => Verdict::Invalid(format!("{of}: {e}")),
        };
        if matches!(verdict, Verdict::Invalid(_)) {
            break;
        }
    }
    said.say("", "log", verdict);
    said
}

/// Reads a signed root of a directory.
pub(super) fn signed_root(w: &mut Walk<'_>) -> Read {
    version(w)?;
    let at = w.at();
    let epoch = w.number::<u64>("epoch")?;
    if epoch > MAX_ROOT {
        let invalid = DecodeError::InvalidValue { field: "epoch", value: epoch };
        return Err(w.stop(at, "epoch", invalid));
    }
    w.array::<32>("root")?;
    w.time("published_at")?;
    w.bounded("signature", MAX_SERVICE_SIGNATURE).map(drop)
}

/// Says of what is signed by a service that its key is needed.
pub(super) fn unsigned() -> Judged {
    let mut said = Judged::default();
    let why = "it takes the service's key, which is not in it";
    said.say("", "signature", Verdict::Unchecked(why.into()));
    said
}

/// Reads a file of evidence of either kind.
pub(super) fn evidence(w: &mut Walk<'_>) -> Read {
    let at = w.at();
    if w.begins_with(LOG_EVIDENCE) {
        return log_evidence(w);
    }
    if w.array::<8>("magic")? != EVIDENCE {
        return Err(w.stop(at, "magic", "this is no file of evidence"));
    }
    version(w)?;
    w.object("key", |w| {
        w.code::<Scheme>("scheme")?;
        w.bounded("public", MAX_SERVICE_KEY).map(drop)
    })?;
    let kinds = [(1, "two roots"), (2, "broken extension"), (3, "two statements")];
    match w.case("kind", "Evidence", &kinds)? {
        1 => {
            w.object("first", signed_root)?;
            w.object("second", signed_root)
        }
        2 => {
            w.object("old", signed_root)?;
            w.object("new", signed_root)?;
            w.bounded("extension", MAX_EXTENSION).map(drop)
        }
        _ => {
            w.bounded("user", MAX_NAME)?;
            w.object("first", statement)?;
            w.object("second", statement)
        }
    }
}

fn statement(w: &mut Walk<'_>) -> Read {
    w.object("root", signed_root)?;
    let most = match w.case("claim", "Claim", &[(1, "lookup"), (2, "history")])? {
        1 => MAX_LOOKUP,
        _ => MAX_HISTORY,
    };
    w.bounded("proof", most).map(drop)
}

fn log_evidence(w: &mut Walk<'_>) -> Read {
    w.array::<8>("magic")?;
    version(w)?;
    w.bytes("service_key")?;
    w.object("first", receipt)?;
    w.object("second", receipt)?;
    w.array::<32>("before")?;
    let at = w.at();
    let mut links = 0;
    w.list("links", |w, index| {
        links = index + 1;
        w.number::<u64>("epoch")?;
        let types = [(1, "application"), (2, "proposal"), (3, "commit")];
        w.case("content_type", "ContentType", &types)?;
        w.object("sender", |w| {
            let device: conclave_account::DeviceId = w.read("")?;
            w.put("device", Value::Words(device.to_string()))
        })?;
        w.time("received_at")?;
        w.array::<32>("message_hash").map(drop)
    })?;
    if links as u64 > u64::from(MAX_PAGE) {
        let invalid = DecodeError::InvalidValue { field: "LogEvidence", value: links as u64 };
        return Err(w.stop(at, "links", invalid));
    }
    Ok(())
}

/// Reads a receipt for an entry of a group's log.
pub(super) fn receipt(w: &mut Walk<'_>) -> Read {
    version(w)?;
    w.array::<16>("incarnation")?;
    w.number::<u64>("incarnation_number")?;
    w.text("group_id")?;
    w.number::<u64>("seq")?;
    w.number::<u64>("epoch")?;
    w.array::<32>("chain")?;
    w.time("issued_at")?;
    w.bounded("signature", MAX_RECEIPT_SIGNATURE).map(drop)
}

/// Says what evidence proves.
pub(super) fn judge_evidence(bytes: &[u8]) -> Judged {
    let provider = provider();
    let report = if LogEvidence::is_kind_of(bytes) {
        let read = LogEvidence::read(bytes).and_then(|evidence| evidence.check(&*provider));
        read.map_err(|e| e.to_string())
    } else {
        let read = Evidence::read(bytes).and_then(|evidence| evidence.check(&*provider));
        read.map(drop).map_err(|e| e.to_string())
    };
    let mut said = Judged::default();
    said.say("", "evidence", report.map_or_else(Verdict::Invalid, |()| Verdict::Valid));
    said
}
