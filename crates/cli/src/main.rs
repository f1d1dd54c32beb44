//! `conclave`: a delivery service, a messenger, and a demonstration of both.

mod chat;
mod demo;
mod folders;
mod serve;

use clap::{Parser, Subcommand};
use conclave_client::{SUITES, plain};
use conclave_provider_aws_lc::AwsLc;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

/// End-to-end encrypted group chat over MLS (RFC 9420).
#[derive(Debug, Parser)]
#[command(name = "conclave", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a delivery service. The first line says where it listens.
    Serve(serve::Args),
    /// Chat as a user: at a prompt, or with lines from standard input.
    Chat(chat::Args),
    /// See it all at work: a service, three people, four devices, in one process.
    Demo,
}

/// The cryptography: all suites of the messenger, for its service too, which checks its groups.
pub(crate) fn provider() -> Arc<AwsLc> {
    Arc::new(AwsLc::new().with_suites(SUITES))
}

/// Why a command failed, for people.
pub(crate) type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(args).map(|()| ExitCode::SUCCESS),
        Command::Chat(args) => chat::run(args),
        Command::Demo => demo::run().map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|e| {
        complain(&e.to_string());
        ExitCode::FAILURE
    })
}

/// Says on standard error what went wrong. It may quote the service, so it is made safe to show.
pub(crate) fn complain(what: &str) {
    // If that is gone, there is nowhere left to say it.
    let _ = writeln!(std::io::stderr(), "conclave: {}", plain(what));
}
