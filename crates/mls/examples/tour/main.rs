//! A tour of the library, one small program for each task of an application.
//!
//! ```text
//! cargo run -p conclave-mls --example tour -- all
//! cargo run -p conclave-mls --example tour -- create_and_join
//! ```
//!
//! Each task is one file here that can be read by itself. It prints what happens, asserts what it
//! claims, and fails the process if that does not hold. X.509 credentials are in a crate of their
//! own: `cargo run -p conclave-x509 --example x509`. `common` and `member` hold what every task
//! needs and none is about.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod common;
mod member;

mod branch;
mod components;
mod create_and_join;
mod custom_proposal;
mod external_join;
mod external_senders;
mod key_rotation;
mod limits;
mod messages;
mod no_sequencer;
mod observer;
mod own_storage;
mod own_transport;
mod policy;
mod psk;
mod reinit;

use std::process::ExitCode;

struct Task {
    name: &'static str,
    shows: &'static str,
    run: fn() -> common::Result,
}

const TASKS: [Task; 16] = [
    Task {
        name: "create_and_join",
        shows: "a group, a key package, a Welcome, and who is let in",
        run: create_and_join::run,
    },
    Task {
        name: "messages",
        shows: "messages out of order, twice, late and too late",
        run: messages::run,
    },
    Task {
        name: "external_join",
        shows: "joining without an invitation, and again after losing the state",
        run: external_join::run,
    },
    Task {
        name: "psk",
        shows: "pre-shared keys: of the application, and of a past epoch",
        run: psk::run,
    },
    Task {
        name: "reinit",
        shows: "closing a group and continuing with another cipher suite",
        run: reinit::run,
    },
    Task {
        name: "branch",
        shows: "a second group of some of the members, bound to the first",
        run: branch::run,
    },
    Task {
        name: "observer",
        shows: "what a delivery service sees, checks and hands out",
        run: observer::run,
    },
    Task {
        name: "own_storage",
        shows: "a store in two methods: crashes, an outbox, many steps in one write",
        run: own_storage::run,
    },
    Task {
        name: "own_transport",
        shows: "two members commit at once: one wins, the other tries again",
        run: own_transport::run,
    },
    Task {
        name: "no_sequencer",
        shows: "members who follow different commits and converge by a rule: checkpoints, and going back",
        run: no_sequencer::run,
    },
    Task {
        name: "key_rotation",
        shows: "a new signature key, and a change of name that is refused",
        run: key_rotation::run,
    },
    Task {
        name: "external_senders",
        shows: "proposals from outside: a service, and a newcomer who knocks",
        run: external_senders::run,
    },
    Task {
        name: "policy",
        shows: "who may do what: one set of rules for sending and receiving",
        run: policy::run,
    },
    Task {
        name: "custom_proposal",
        shows: "a proposal, an extension and a credential of the application's own",
        run: custom_proposal::run,
    },
    Task {
        name: "components",
        shows: "drafts of the next standard: data of components, and leaving by one message",
        run: components::run,
    },
    Task { name: "limits", shows: "bounds on what others can make grow", run: limits::run },
];

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let chosen: Vec<&Task> =
        TASKS.iter().filter(|task| wanted == "all" || wanted == task.name).collect();
    if chosen.is_empty() {
        eprintln!("usage: tour all | <task>, where <task> is one of");
        for task in &TASKS {
            eprintln!("  {:18}{}", task.name, task.shows);
        }
        return ExitCode::from(2);
    }
    for task in chosen {
        println!("── {}: {}", task.name, task.shows);
        if let Err(e) = (task.run)() {
            eprintln!("{} failed: {e}", task.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
