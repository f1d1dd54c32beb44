//! The reference of the API: `docs/api.md` and `docs/openapi.json`, made from the structures and from what
//! `calls.rs` says of each call.

mod calls;
mod described;
mod json;
mod openapi;
mod page;
mod samples;
mod types;

use super::{ANONYMOUS_CALLS, Ending, ErrorCode, Event, SESSION_CALLS};
use calls::{Entry, OF_OTHER_PATHS, topics};
pub(crate) use described::{Described, Parts, Structure};
use samples::{INCARNATION, alice, group, position, successor};
use std::collections::BTreeSet;
use std::path::PathBuf;
use types::{others, structures};

/// One event of each kind, and when it comes.
fn events() -> Vec<(Event, &'static str)> {
    let events = vec![
        Event::Incarnation(INCARNATION),
        Event::Group { group_id: group(), position: position() },
        Event::Ended { group_id: group(), ending: Ending::Succeeded(successor()) },
        Event::Account { user: alice(), length: 3 },
        Event::Certificates { user: alice() },
        Event::Inbox,
        Event::Ready,
    ];
    let words = |event: &Event| match event {
        Event::Incarnation(_) => {
            "The incarnation of the service's state: its identifier and its number. It comes first. If it is not the one \
             from before, the service was restored from a backup or set up anew, and logs may be shorter."
        }
        Event::Group { .. } => {
            "The log of a group that the device is in has grown: the group's identifier, the epoch, the number of the \
             last entry, and the hash of the log."
        }
        Event::Ended { .. } => {
            "A group that the device is in has ended, and takes nothing more: its identifier, and that of the group that took its \
             place; `-` if the administrator ended it and no member has begun another."
        }
        Event::Account { .. } => {
            "The account log of the device's own user, or of one that it shares a group with, has grown: the user, and \
             how many entries it has."
        }
        Event::Certificates { .. } => {
            "A device of the own user, or of one that it shares a group with, has another certificate, or its \
             certificate counts no more: the user."
        }
        Event::Inbox => "There is something in the device's inbox.",
        Event::Ready => "All that was there when the stream began has been told.",
    };
    events.into_iter().map(|event| (event.clone(), words(&event))).collect()
}

#[test]
fn every_call_and_every_error_is_in_the_reference() {
    let topics = topics();
    let entries = || topics.iter().flat_map(|topic| &topic.calls);
    let mut documented: Vec<&str> = entries().map(|entry| entry.name).collect();
    let mut calls = [ANONYMOUS_CALLS, SESSION_CALLS].concat();
    documented.sort_unstable();
    calls.sort_unstable();
    assert_eq!(documented, calls, "src/reference/calls has one entry for each call");

    let named: Vec<ErrorCode> =
        entries().flat_map(Entry::errors).chain(OF_OTHER_PATHS.to_vec()).collect();
    let lacking: Vec<_> = ErrorCode::ALL.iter().filter(|code| !named.contains(code)).collect();
    assert!(lacking.is_empty(), "no call in src/reference/calls names {lacking:?}");
}

#[test]
fn every_type_in_a_call_is_in_the_reference() {
    let (topics, structures, others) = (topics(), structures(), others());
    let entries = || topics.iter().flat_map(|topic| &topic.calls);
    let mut known: BTreeSet<String> =
        ["uint8", "uint16", "uint32", "uint64"].map(String::from).into();
    let names = structures.iter().map(|one| one.name).chain(others.iter().map(|one| one.name));
    for name in names.chain(entries().map(|entry| entry.request.name)) {
        assert!(known.insert(name.into()), "{name} is described twice");
    }

    let declared = entries().map(|entry| &entry.request).chain(&structures);
    let fields: BTreeSet<String> = declared.flat_map(Structure::types).collect();
    let replies = entries().map(|entry| entry.reply.to_string());
    let used: BTreeSet<String> = fields.iter().cloned().chain(replies).collect();
    let lacking: Vec<_> = used.difference(&known).collect();
    assert!(lacking.is_empty(), "src/reference/types.rs lacks {lacking:?}");

    // Others may be used by others.
    let of_others = |name: &str| {
        others.iter().any(|one| one.name != name && one.declaration.contains(&format!("{name} ")))
    };
    // What a refusal may hold is no reply of a call.
    let is_used = |name: &str| used.contains(name) || of_others(name) || name == "Refusal";
    let idle: Vec<_> =
        structures.iter().map(|one| one.name).filter(|name| !is_used(name)).collect();
    assert!(idle.is_empty(), "no call uses {idle:?}");
}

/// With `CONCLAVE_RENDER=1` it writes them instead.
#[test]
fn the_reference_is_as_the_code_has_it() {
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    let topics = topics();
    for (name, rendered) in
        [("api.md", page::render(&topics)), ("openapi.json", openapi::render(&topics))]
    {
        let path = docs.join(name);
        if std::env::var_os("CONCLAVE_RENDER").is_some() {
            std::fs::write(path, rendered).unwrap();
            continue;
        }
        let is_current = std::fs::read_to_string(path).is_ok_and(|written| written == rendered);
        assert!(
            is_current,
            "docs/{name} is behind the code: CONCLAVE_RENDER=1 cargo test -p conclave-delivery-api reference"
        );
    }
}
