//! `conclave peek`.

use crate::device::DeviceArgs;
use crate::exit_codes::NOTHING;
use crate::failure::Failure;
use crate::listen::line_of;
use crate::provider::provider;
use crate::rpc::{waiting, waiting_besides};
use crate::sealing::open_snapshot;
use conclave_client::peek;
use serde_json::Value;
use std::io::{Write, stdout};
use std::process::ExitCode;

const LINES: &str = "\
The device may be in use, as by `conclave chat` or `conclave bot`. Nothing changes for
that process: it is not held up, and shows everything itself. Other members do not
learn that a message was read.

Lines look as in `conclave listen`, with '-' for the cursor: a message that
waits, or one of these kinds:
  more         TEXT is how many entries of the room's log wait besides, messages or
               others; the messenger reads them
  out          the device was removed from the room
  invitations  TEXT is how many wait

It reads a copy of the state, in a file beside it that has no name and is gone with
this command however it ends. The copy of a sealed state is sealed.

Exit codes:
  0  something waits
  1  failed; standard error says why
  2  an option or argument is wrong
  3  nothing waits";

#[derive(Debug, clap::Args)]
#[command(after_help = LINES)]
pub(crate) struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let service = &args.device.service;
    let store = open_snapshot(&args.device.folder()?, &service.seal)?;
    let found = peek(store, provider(), &service.server, service.tls.roots()?.as_ref())?;

    let mut out = stdout().lock();
    let mut show = |event: &Value| {
        if args.json { writeln!(out, "{event}") } else { writeln!(out, "{}", line_of(event)) }
    };
    for group in &found.groups {
        for message in &group.messages {
            show(&waiting(&*provider(), group, message))?;
        }
        if group.removed {
            show(&waiting_besides("out", Some(group), None))?;
        } else if group.unread > 0 {
            show(&waiting_besides("more", Some(group), Some(group.unread)))?;
        }
    }
    if found.invitations > 0 {
        show(&waiting_besides("invitations", None, Some(found.invitations)))?;
    }
    let nothing = found.groups.is_empty() && found.invitations == 0;
    Ok(if nothing { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS })
}
