//! `conclave send`.

use crate::caller::{CallFailed, Caller, PATIENCE, in_seconds};
use crate::device::RunArgs;
use crate::exit_codes::{PENDING, REFUSED};
use crate::failure::{Failure, complain};
use crate::rpc::{NOT_SENT, REFUSED as FAULT};
use conclave_client::{MAX_CONTENT, os_rng, parse_duration};
use conclave_delivery_api::to_hex;
use serde_json::{Value, json};
use std::io::{Read, Write, stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

const CODES: &str = "\
It prints the message's number in the room.

If `conclave listen` or `conclave bot` has the device open, that process sends the
message.

Exit codes:
  0  the service has the message
  1  failed; standard error says why
  2  an option or argument is wrong
  3  refused: there is no such room, this device can say nothing there, or the
     room does not allow that expiry
  4  the service does not have it yet. It is kept, and sent when this device is
     next in use";

/// How long the message may take, in seconds, unless something else is said.
const USUAL_TIMEOUT: u64 = 60;

#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub(crate) struct Args {
    /// The room, as `conclave rooms` lists it.
    room: String,
    /// What to say; if it is `-` or missing, all of standard input without its last line end. With a file, nothing needs
    /// to be said.
    text: Option<String>,
    /// Send this file, encrypted.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["acknowledge", "markdown"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    device: RunArgs,
    /// The text is Markdown.
    #[arg(long)]
    markdown: bool,
    /// Let the message disappear this long after it is sent, as 30m, 12h, 7d or 4w, if the room allows that.
    #[arg(long, value_name = "TIME", value_parser = parse_expiry)]
    expires: Option<u32>,
    /// Let it disappear this long after it is read, for each reader separately.
    #[arg(long, value_name = "TIME", value_parser = parse_expiry, conflicts_with = "expires")]
    expires_after_reading: Option<u32>,
    /// Your own identifier for the message, which is sent once however often you send under the same one.
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Acknowledge the events up to this one in the same step: either both are done, or neither.
    #[arg(long, value_name = "CURSOR")]
    acknowledge: Option<u64>,
    /// Wait this many seconds until the service has the message [default: 60; with a file, as long as it takes].
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

fn parse_expiry(word: &str) -> Result<u32, String> {
    let seconds = parse_duration(word).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.ok_or_else(|| "a number with s, m, h, d or w after it, such as 12h".into())
}

fn text_of(given: Option<String>) -> Result<String, Failure> {
    if let Some(text) = given.filter(|text| text != "-") {
        return Ok(text);
    }
    let mut bytes = Vec::new();
    stdin().take(MAX_CONTENT as u64 + 3).read_to_end(&mut bytes)?;
    let mut text = String::from_utf8(bytes).map_err(|_| "standard input is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let (method, text) = match (&args.file, args.text) {
        (Some(_), None) => ("send_file", String::new()),
        (Some(_), text) => ("send_file", text_of(text)?),
        (None, text) => ("send", text_of(text)?),
    };
    let path = args.file.map(std::path::absolute).transpose()?;
    let path = path.map(|path| path.to_str().map(str::to_string).ok_or("FILE is not UTF-8"));
    let path = path.transpose()?;
    let usual = path.is_none().then_some(USUAL_TIMEOUT);
    let deadline = args.timeout.or(usual).and_then(in_seconds);
    let mut caller = Caller::reach(&args.device, false, deadline)?;
    let id = args.id.unwrap_or_else(new_id);
    let params = |wait: bool| {
        let mut params = vec![
            ("room_name", json!(args.room)),
            ("text", json!(text)),
            ("id", json!(id)),
            ("wait", json!(wait)),
            ("quiet", json!(true)),
            ("fresh", json!(!wait)),
            ("expires", json!(args.expires)),
            ("expires_after_reading", json!(args.expires_after_reading)),
        ];
        match &path {
            Some(path) => params.push(("path", json!(path))),
            None => params.extend([
                ("markdown", json!(args.markdown)),
                ("acknowledge", json!(args.acknowledge)),
            ]),
        }
        params.into_iter().filter(|(_, value)| !value.is_null()).collect::<Value>()
    };
    // The first call keeps the message, however little time there is; the second waits until it is sent.
    let kept = caller.call(method, &params(false), in_seconds(PATIENCE));
    let sent = match kept {
        Ok(sent) if sent.get("seq").is_some_and(Value::is_u64) => Ok(sent),
        Ok(_) => caller.call(method, &params(true), deadline),
        Err(failed @ CallFailed::Late) => return Err(failed.into()),
        Err(failed) => Err(failed),
    };

    match sent {
        Ok(sent) => {
            let seq = sent.get("seq").and_then(Value::as_u64);
            match args.json {
                true => writeln!(stdout(), "{sent}")?,
                false => writeln!(stdout(), "{}", seq.unwrap_or_default())?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(CallFailed::Refused(FAULT | NOT_SENT, why)) => {
            complain(&why);
            Ok(ExitCode::from(REFUSED))
        }
        Err(CallFailed::Late) => {
            complain("the service does not have it yet: it is kept, and sent later");
            Ok(ExitCode::from(PENDING))
        }
        Err(failed) => Err(failed.into()),
    }
}

/// An identifier for a message that the user has given none.
fn new_id() -> String {
    let mut bytes = [0; 16];
    os_rng().fill_bytes(&mut bytes);
    format!("send {}", to_hex(&bytes))
}
