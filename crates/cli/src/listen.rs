//! `conclave listen`.

use crate::caller::{CallFailed, Caller, PATIENCE, in_seconds};
use crate::device::RunArgs;
use crate::exit_codes::TOO_FEW;
use crate::failure::{Failure, complain};
use conclave_client::{escaped, timestamp};
use serde_json::{Value, json};
use std::io::{Write, stdout};
use std::process::ExitCode;

const LINES: &str = "\
A line is CURSOR KIND ROOM NUMBER USER/DEVICE TIME TEXT, with '-' where there is
none: `text` is a message, and the other kinds are those of docs/bots.md. In TEXT,
\\n is a line end, \\t a tab, \\\\ a backslash, and \\u{HEX} a character that would
disturb the text around it.

Each file of a message has a line after it, of the kind `file`, whose TEXT is
BYTES MEDIA/TYPE NAME: `conclave save ROOM NUMBER` saves it.

An event is acknowledged once it is written, and is not shown again. A program that
reads from a pipe and must lose nothing keeps the cursor, and gives it with --since;
or it acknowledges the event as it answers, by `conclave send --acknowledge`.

While this command runs, `conclave send` and `conclave rooms` for the same device
go through it.

Exit codes:
  0  as many events as were asked for, or the time is up
  1  failed; standard error says why
  2  an option or argument is wrong
  3  the time is up, and there were fewer events than were asked for";

#[derive(Debug, clap::Args)]
#[command(after_help = LINES)]
pub(crate) struct Args {
    /// The rooms to listen to [default: all]. Events of other rooms wait.
    rooms: Vec<String>,
    #[command(flatten)]
    device: RunArgs,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Acknowledge the events up to this one, and none of those that are shown.
    #[arg(long, value_name = "CURSOR")]
    since: Option<u64>,
    /// End after this many events.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// An event as a line, and one more for each file.
pub(crate) fn line_of(event: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("-").to_string();
    let number = |name: &str| {
        let number = event.get(name).and_then(Value::as_u64);
        number.map_or_else(|| "-".to_string(), |number| number.to_string())
    };
    let room = text(event.pointer("/room/name"));
    let who = |name: &str| {
        let of = event.get(name)?;
        Some(format!("{}/{}", of.get("user")?.as_str()?, of.get("device")?.as_str()?))
    };
    // An event without a text may be about somebody who came or went.
    let said = event.get("text").and_then(Value::as_str).map(str::to_string);
    let said = said.or_else(|| who("who"));
    let count = || event.get("count").and_then(Value::as_u64).map(|count| count.to_string());
    let said = said.or_else(count).unwrap_or_else(|| "-".into());
    let time = event.get("time").and_then(Value::as_u64).map_or_else(|| "-".into(), timestamp);
    let line = |kind: &str, said: &str| {
        let (cursor, room, seq) = (number("cursor"), escaped(&room), number("seq"));
        let sender = who("sender").unwrap_or_else(|| "-".into());
        format!("{cursor} {kind} {room} {seq} {sender} {time} {}", escaped(said))
    };
    let mut lines = line(&text(event.get("kind")), &said);
    for file in event.get("attachments").and_then(Value::as_array).into_iter().flatten() {
        let size = file.get("size").and_then(Value::as_u64).unwrap_or_default();
        let (media_type, name) = (text(file.get("media_type")), text(file.get("file_name")));
        // A media type may hold spaces, and a name as well, which comes last.
        let media_type = media_type.replace(char::is_whitespace, "");
        lines.push('\n');
        lines += &line("file", &format!("{size} {media_type} {name}"));
    }
    lines
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let deadline = args.timeout.and_then(in_seconds);
    let mut caller = Caller::reach(&args.device, true, deadline)?;
    if let Some(cursor) = args.since {
        let params = json!({ "cursor": cursor, "rooms": args.rooms });
        caller.call("acknowledge", &params, in_seconds(PATIENCE))?;
    }
    caller.call("subscribe", &json!({ "rooms": args.rooms }), in_seconds(PATIENCE))?;

    let (mut shown, mut has_reader) = (0, true);
    while args.count.is_none_or(|count| shown < count) {
        let event = match caller.event(deadline) {
            Ok(event) => event,
            Err(CallFailed::Late) => break,
            Err(failed) => return Err(failed.into()),
        };
        let line = if args.json { event.to_string() } else { line_of(&event) };
        let mut output = stdout().lock();
        let written = output.write_all((line + "\n").as_bytes()).and_then(|()| output.flush());
        match written {
            Ok(()) => {}
            // A reader that has enough closes the pipe. What it has is acknowledged all the same.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                has_reader = false;
                break;
            }
            Err(e) => return Err(format!("the output cannot be written: {e}").into()),
        }
        shown += 1;
        if args.since.is_none() {
            let params = json!({ "only": [event.get("cursor")] });
            caller.tell("acknowledge", &params)?;
        }
    }

    // An answer shows that the acknowledgements before it were taken, too.
    caller.call("acknowledge", &json!({ "only": [] }), in_seconds(PATIENCE))?;
    if has_reader && args.count.is_some_and(|count| shown < count) {
        complain("the time is up");
        return Ok(ExitCode::from(TOO_FEW));
    }
    Ok(ExitCode::SUCCESS)
}
