//! `conclave validate`.

mod json;
mod stream;

use crate::exit_codes::NOT_VALID;
use crate::failure::Failure;
use crate::input::now;
use crate::provider::provider;
use conclave_validator::{Answers, GroupState, Refusal, Validator};
use serde_json::Value;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The verdict is a line of JSON on standard output. Exit codes: 0 valid, 1 failed (a file \
                        cannot be read, say), 2 wrong command line, 3 not valid.\n\
                        docs/validator.md has an example of each command."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Judge key packages: signature, lifetime, suite, capabilities.
    KeyPackage {
        /// Encoded MLSMessages, each with a key package.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Judge a group by a member's GroupInfo, and write its state, which the other commands take.
    Group {
        /// The GroupInfo, an encoded MLSMessage.
        group_info: PathBuf,
        /// The ratchet tree, unless the GroupInfo holds it: the data of a `ratchet_tree` extension.
        #[arg(long, value_name = "FILE")]
        tree: Option<PathBuf>,
        /// Where to write the state.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Judge a proposal or a commit as the next message of a group.
    Message {
        /// The message, an encoded MLSMessage.
        message: PathBuf,
        /// The group's state.
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// Where to write the state after the message; it may be the same file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The Welcomes that come with a commit: whether they reach just those whom it adds.
        #[arg(long, value_name = "FILE")]
        welcome: Vec<PathBuf>,
        /// The new data of each component that a commit updates, in order.
        #[arg(long, value_name = "FILE")]
        app_data: Vec<PathBuf>,
    },
    /// Judge a GroupInfo by which others are to join from outside.
    GroupInfo {
        /// The GroupInfo, an encoded MLSMessage.
        group_info: PathBuf,
        /// The group's state.
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        /// Where to write the state that holds it; it may be the same file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Answer a request on each line of standard input, in JSON, by a line on standard output.
    Stream,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let provider = provider();
    let validator = Validator::new(&*provider);
    match args.command {
        Command::KeyPackage { files } => {
            let now = now()?;
            let mut code = ExitCode::SUCCESS;
            for file in files {
                let judged = validator.key_package(&read(&file)?, now);
                let name = Value::from(file.display().to_string());
                code = worse(code, say(judged.map(|v| json::key_package(&v)), Some(name))?);
            }
            Ok(code)
        }
        Command::Group { group_info, tree, out } => {
            let tree = tree.as_deref().map(read).transpose()?;
            let judged = validator.group(&read(&group_info)?, tree.as_deref());
            if let Ok(group) = &judged {
                write_state(&out, &group.state)?;
            }
            say(judged.map(|v| json::group(&v)), None)
        }
        Command::Message { message, state, out, welcome, app_data } => {
            let answers = Answers { app_data: read_all(&app_data)? };
            let welcomes = read_all::<Vec<u8>>(&welcome)?;
            let judged = validator.message(&read_state(&state)?, &read(&message)?, &answers);
            let judged = judged.and_then(|verdict| {
                if !welcomes.is_empty() {
                    validator.welcomes(&verdict, &welcomes)?;
                }
                Ok(verdict)
            });
            if let (Ok(verdict), Some(out)) = (&judged, out) {
                write_state(&out, &verdict.next)?;
            }
            say(judged.map(|v| json::message(&v)), None)
        }
        Command::GroupInfo { group_info, state, out } => {
            let judged = validator.group_info(&read_state(&state)?, &read(&group_info)?);
            if let (Ok(next), Some(out)) = (&judged, out) {
                write_state(&out, next)?;
            }
            say(judged.map(|next| json::group_info(&next)), None)
        }
        Command::Stream => {
            let input = std::io::stdin().lock();
            stream::answer(&validator, input, &mut stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints a verdict.
fn say(judged: Result<Value, Refusal>, file: Option<Value>) -> Result<ExitCode, Failure> {
    let code = if judged.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(NOT_VALID) };
    let mut verdict = json::verdict(judged);
    if let (Some(file), Value::Object(fields)) = (file, &mut verdict) {
        fields.insert("file".into(), file);
    }
    writeln!(stdout(), "{verdict}")?;
    Ok(code)
}

fn worse(a: ExitCode, b: ExitCode) -> ExitCode {
    if a == ExitCode::SUCCESS { b } else { a }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()).into())
}

fn read_all<T: From<Vec<u8>>>(paths: &[PathBuf]) -> Result<Vec<T>, Failure> {
    paths.iter().map(|path| read(path).map(T::from)).collect()
}

fn read_state(path: &Path) -> Result<GroupState, Failure> {
    GroupState::from_bytes(&read(path)?).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Writes a state in the place of what is there, all or nothing.
fn write_state(path: &Path, state: &GroupState) -> Result<(), Failure> {
    let cannot = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let write = || {
        let mut file = std::fs::File::create(&new)?;
        file.write_all(&state.to_bytes().map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    Ok(write().map_err(cannot)?)
}
