//! `conclave rooms`.

use crate::caller::{Caller, PATIENCE, in_seconds};
use crate::device::RunArgs;
use crate::failure::Failure;
use conclave_client::escaped;
use serde_json::{Value, json};
use std::io::{Write, stdout};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line is NAME STATE MEMBERS ID, where STATE is member, invited, creating, leaving,
stuck, ended, removed or left, and MEMBERS is the number of devices.")]
pub(crate) struct Args {
    #[command(flatten)]
    device: RunArgs,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let deadline = in_seconds(PATIENCE);
    let mut caller = Caller::reach(&args.device, false, deadline)?;
    let listed = caller.call("rooms", &json!({ "fresh": true }), deadline)?;

    let mut lines = String::new();
    for room in listed.get("rooms").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| room.get(name).and_then(Value::as_str).unwrap_or("-");
        let members = room.get("members").and_then(Value::as_u64).unwrap_or_default();
        match args.json {
            true => lines += &room.to_string(),
            false => {
                let (name, state, id) = (escaped(text("name")), text("state"), text("id"));
                lines += &format!("{name} {state} {members} {id}");
            }
        }
        lines.push('\n');
    }
    stdout().write_all(lines.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
