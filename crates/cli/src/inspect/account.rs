//! Account logs, and what a service signs: the roots of its directory, receipts, and evidence against it.

use super::checks::{Judged, Verdict};
use super::mls::CONTENT_TYPES;
use super::names::Scheme;
use super::value::Value;
use super::walk::{Read, Walk};
use crate::provider::provider;
use conclave_account::{Account, Entry, MAX_KEY, MAX_SIGNATURE, Name};
use conclave_delivery_api::{LogEvidence, MAX_PAGE, Receipt};
use conclave_directory::{
    Evidence, MAX_EXTENSION, MAX_HISTORY, MAX_LOOKUP, MAX_NAME, ServiceKey, SignedRoot,
};
use conclave_mls::UnixTime;
use conclave_mls::wire::{Bytes, Decode};
use std::fmt::Display;

/// The changes that an entry of an account log can make.
const CHANGES: [(u8, &str); 5] = [
    (1, "create"),
    (2, "add_device"),
    (3, "revoke_device"),
    (4, "rotate_key"),
    (5, "replace_recovery"),
];

/// Reads the version of a format that has one alone.
fn version(w: &mut Walk<'_>) -> Read {
    let at = w.at();
    match w.number::<u8>("version")? {
        1 => Ok(()),
        value => Err(w.invalid(at, "version", "version", value)),
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
        return Err(w.invalid(at, "previous", "previous", previous as u64));
    }

    time(w, "issued_at")?;
    match w.case("change_type", "ChangeType", &CHANGES)? {
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
    if UnixTime::from_secs(seconds).is_none() {
        return Err(w.invalid(at, field, "time", seconds));
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

/// Reads a log: a vector of entries. Those that are malformed are shown as far as they can be read.
pub(super) fn log(w: &mut Walk<'_>) -> Read {
    w.list("entries", |w, _| {
        let encoded = w.opaque("")?;
        w.inside("entry", encoded, entry)
    })
}

/// Reads a log whose entries are all well formed.
pub(super) fn whole_log(w: &mut Walk<'_>) -> Read {
    w.list("entries", |w, _| {
        let encoded = w.opaque("")?;
        w.whole("entry", encoded, entry)
    })
}

/// Judges a log, which is a vector of entries.
pub(super) fn judge_log(bytes: &[u8]) -> Judged {
    let entries = Vec::<Bytes>::from_bytes(bytes).unwrap_or_default();
    judge_entries(entries.iter().map(|entry| Entry::from_bytes(entry)))
}

/// Judges entries that stand one after another.
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
        if let Err(e) = judged {
            verdict = Verdict::Invalid(format!("{of}: {e}"));
            break;
        }
        verdict = Verdict::Valid;
    }

    said.say("", "log", verdict);
    said
}

/// Reads a signed root of a directory.
pub(super) fn signed_root(w: &mut Walk<'_>) -> Read {
    version(w)?;
    let at = w.at();
    let epoch = w.number::<u64>("epoch")?;
    if epoch > SignedRoot::MAX_EPOCH {
        return Err(w.invalid(at, "epoch", "epoch", epoch));
    }
    w.array::<32>("root")?;
    w.time("published_at")?;
    w.bounded("signature", SignedRoot::MAX_SIGNATURE).map(drop)
}

/// Says of what is signed by a service that its key is needed.
pub(super) fn unsigned() -> Judged {
    let mut said = Judged::default();
    let why = "checking it takes the service's key, which the file does not have";
    said.say("", "signature", Verdict::Unchecked(why.into()));
    said
}

/// Whether a file is marked as evidence of either kind, whatever is in it.
pub(super) fn is_evidence(bytes: &[u8]) -> bool {
    Evidence::is_kind_of(bytes) || LogEvidence::is_kind_of(bytes)
}

/// Reads a file of evidence of either kind.
pub(super) fn evidence(w: &mut Walk<'_>) -> Read {
    let at = w.at();
    if LogEvidence::is_kind_of(w.rest()) {
        return log_evidence(w);
    }
    if w.array::<8>("magic")? != *Evidence::MAGIC {
        return Err(w.stop(at, "magic", "this is no file of evidence"));
    }
    version(w)?;
    w.object("key", |w| {
        w.code::<Scheme>("scheme")?;
        w.bounded("public", ServiceKey::MAX_PUBLIC).map(drop)
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
        w.case("content_type", "ContentType", &CONTENT_TYPES)?;
        w.object("sender", |w| {
            let device: conclave_account::DeviceId = w.read("")?;
            w.put("device", Value::Words(device.to_string()))
        })?;
        w.time("received_at")?;
        w.array::<32>("message_hash").map(drop)
    })?;
    if links as u64 > u64::from(MAX_PAGE) {
        return Err(w.invalid(at, "links", "LogEvidence", links as u64));
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
    w.bounded("signature", Receipt::MAX_SIGNATURE).map(drop)
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
