//! `conclave save`.

use crate::caller::{CallFailed, Caller, PATIENCE, in_seconds};
use crate::device::RunArgs;
use crate::exit_codes::{PENDING, REFUSED};
use crate::failure::{Failure, complain};
use crate::rpc::{NOT_SENT, REFUSED as FAULT};
use serde_json::{Value, json};
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

const CODES: &str = "\
It prints the path of each file. A file that is there is never overwritten.

Exit codes:
  0  the files are saved
  1  failed; standard error says why
  2  an option or argument is wrong
  3  refused: there is no such room, message or file, or the file is not what was sent
  4  not all is there yet. It goes on when this device is next in use";

#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub(crate) struct Args {
    /// The room, as `conclave rooms` lists it.
    room: String,
    /// The number of the message that the files came with.
    number: u64,
    /// The folder to save them in, or the new file [default: the current folder].
    path: Option<PathBuf>,
    #[command(flatten)]
    device: RunArgs,
    /// Wait at most this many seconds [default: as long as it takes].
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let path = std::path::absolute(args.path.as_deref().unwrap_or(std::path::Path::new(".")))?;
    let path = path.to_str().ok_or("PATH is not UTF-8")?;
    let deadline = args.timeout.and_then(in_seconds);
    let mut caller = Caller::reach(&args.device, false, in_seconds(PATIENCE))?;
    let params = json!({
        "room_name": args.room, "seq": args.number, "path": path, "fresh": true,
    });
    match caller.call("save", &params, deadline) {
        Ok(saved) => {
            let mut lines = String::new();
            if args.json {
                lines = format!("{saved}\n");
            } else {
                for file in saved.get("files").and_then(Value::as_array).into_iter().flatten() {
                    lines += file.get("path").and_then(Value::as_str).unwrap_or_default();
                    lines.push('\n');
                }
            }
            stdout().write_all(lines.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(CallFailed::Refused(FAULT | NOT_SENT, why)) => {
            complain(&why);
            Ok(ExitCode::from(REFUSED))
        }
        Err(CallFailed::Late) => {
            complain("not all is there yet: it goes on when this device is next in use");
            Ok(ExitCode::from(PENDING))
        }
        Err(failed) => Err(failed.into()),
    }
}
