//! `conclave`: a delivery service, a messenger, and a demonstration of both.

mod admin;
mod audit;
mod backup;
mod bot;
mod ca;
mod caller;
mod certificate;
mod chat;
mod demo;
mod device;
mod doctor;
mod exit_codes;
mod failure;
mod file_cipher;
mod folders;
mod health;
mod input;
mod inspect;
mod keys;
mod listen;
mod mapped;
#[cfg(test)]
mod pages;
mod peek;
#[cfg(unix)]
mod private_socket;
mod provider;
mod restore;
mod rooms;
mod rpc;
mod save;
mod seal;
mod sealing;
mod send;
mod serve;
mod server_url;
mod shell;
mod validate;
mod webhook;
mod writer;

use clap::{CommandFactory, Parser, Subcommand};
use failure::complain;
use std::process::ExitCode;

/// End-to-end encrypted group chat over MLS (RFC 9420).
#[derive(Debug, Parser)]
#[command(name = "conclave", version, about, max_term_width = 100, after_help = exit_codes::help())]
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
    /// Say something in a room, from a script.
    Send(send::Args),
    /// Save the files of a message, from a script.
    Save(save::Args),
    /// Show what happens in rooms, one line per event, for a script.
    Listen(listen::Args),
    /// Show what waits for a device, and leave it there: beside the process that has the device, say for notifications.
    Peek(peek::Args),
    /// List the rooms of a device.
    Rooms(rooms::Args),
    /// Run devices for programs that speak JSON-RPC.
    Bot(bot::Args),
    /// Certify devices: be the CA of an organisation whose service trusts it instead of accounts.
    Ca(ca::Args),
    /// Ask a CA to certify a device.
    Certificate(certificate::Args),
    /// Seal a device's state under a passphrase, or change the passphrase.
    Seal(seal::Args),
    /// Say what is wrong with a device, and what to do.
    Doctor(doctor::Args),
    /// Administer a service on this machine.
    Admin(admin::Args),
    /// Ask a service whether it is ready.
    Health(health::Args),
    /// Copy a service's state to a new folder, and check the copy. The service may be running.
    Backup(backup::Backup),
    /// Make a service's data folder from a backup, which is checked first.
    Restore(backup::Restore),
    /// Check that a service shows one directory of accounts to everybody: follow all that it publishes.
    Audit(audit::Args),
    /// Judge what a delivery service of your own is given: key packages, commits, Welcomes. Nothing is kept.
    Validate(validate::Args),
    /// Show what is in MLS messages, key packages, trees and other files. Nothing is needed but the file.
    Inspect(inspect::Args),
    /// Print what makes a shell complete command lines of conclave.
    Completions(shell::Completions),
    /// Print a page of the manual, or write all of them.
    Man(shell::ManPage),
    /// See it all at work: a service, three people, four devices, in one process.
    Demo,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Send(args) => send::run(args),
        Command::Save(args) => save::run(args),
        Command::Listen(args) => listen::run(args),
        Command::Peek(args) => peek::run(args),
        Command::Rooms(args) => rooms::run(args),
        Command::Bot(args) => bot::run(args),
        Command::Ca(args) => ca::run(args).map(|()| ExitCode::SUCCESS),
        Command::Certificate(args) => certificate::run(args).map(|()| ExitCode::SUCCESS),
        Command::Seal(args) => seal::run(args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(args),
        Command::Admin(args) => admin::run(args).map(|()| ExitCode::SUCCESS),
        Command::Health(args) => health::run(args),
        Command::Backup(args) => backup::back_up(args).map(|()| ExitCode::SUCCESS),
        Command::Restore(args) => backup::put_back(args).map(|()| ExitCode::SUCCESS),
        Command::Audit(args) => audit::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Completions(args) => {
            shell::complete(&args, Cli::command()).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(args) => shell::man(&args, Cli::command()).map(|()| ExitCode::SUCCESS),
        Command::Demo => demo::run().map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|e| {
        complain(&e.to_string());
        ExitCode::FAILURE
    })
}
