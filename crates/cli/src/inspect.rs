//! `conclave inspect`.

mod account;
mod checks;
mod content;
mod input;
mod kinds;
mod leaf;
mod mls;
mod names;
mod report;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod walk;

use crate::exit_codes::NOT_READABLE;
use crate::failure::Failure;
use crate::folders::read_file;
use crate::input::now;
use clap::error::ErrorKind;
use conclave_delivery_api::parse_hex;
use conclave_mls::UnixTime;
use conclave_mls::wire::{CipherSuite, GroupId};
use input::Encoding;
use kinds::{Contents, Kind};
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use walk::{Context, Stop};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Validity is shown beside the contents; a wrong signature is not a failure.\n\
                  Exit codes: 0 readable, 1 failed (a file cannot be read or is too large), 2 wrong\n\
                  command line, 3 not readable to the end: what was read before is shown, and where\n\
                  reading stopped.\n\
                  docs/inspect.md has an example and the shape of the JSON."
)]
pub(crate) struct Args {
    /// What to read, of at most 16 MiB; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the files hold [default: what their bytes are].
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,
    /// How the files are written [default: what they look like].
    #[arg(long, value_name = "ENCODING")]
    encoding: Option<Encoding>,
    /// The number of the cipher suite to check by, where none is in the file: in decimal or as 0x0001.
    #[arg(long, value_name = "NUMBER", value_parser = parse_suite)]
    suite: Option<u16>,
    /// The identifier of the group to check by, where none is in the file, in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = parse_group)]
    group: Option<GroupId>,
    /// Print one JSON object a line for each file.
    #[arg(long)]
    json: bool,
}

fn parse_suite(text: &str) -> Result<u16, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a cipher suite is a number up to 65535".into())
}

fn parse_group(text: &str) -> Result<GroupId, String> {
    parse_hex(text).map(GroupId::from).ok_or_else(|| "this is not hexadecimal".into())
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let text = args.kind.filter(|kind| kind.is_text());
    if let (Some(kind), Some(Encoding::Hex | Encoding::Base64)) = (text, args.encoding) {
        let why = format!("a {} is text: --encoding does not go with it\n", kind.name());
        <clap::Error>::raw(ErrorKind::ArgumentConflict, why).exit();
    }

    let group = args.group.clone().map(Arc::new);
    let given = Context { suite: args.suite.map(CipherSuite), group, sender: None };
    let now = now()?;
    let mut code = ExitCode::SUCCESS;
    for path in &args.files {
        let name = path.display().to_string();
        let file = read_file(path)?;
        let (encoding, bytes, contents) = inspect(&args, &file, &given, now);
        if contents.stopped.is_some() {
            code = ExitCode::from(NOT_READABLE);
        }
        if args.json {
            let object = report::to_json(&name, encoding, bytes, &contents);
            writeln!(stdout(), "{}", value::to_ascii(&object))?;
        } else {
            write!(stdout(), "{}", report::to_text(&name, encoding, bytes, &contents))?;
        }
    }
    Ok(code)
}

/// Reads a file. Returns how it is written, how many bytes it then has, and what they are.
fn inspect(
    args: &Args,
    file: &[u8],
    given: &Context,
    now: UnixTime,
) -> (Encoding, usize, Contents) {
    let text = match args.kind {
        Some(kind) => Some(kind).filter(|kind| kind.is_text()),
        None if args.encoding.is_none() => kinds::recognise_text(file),
        None => None,
    };
    if let Some(kind) = text {
        return (Encoding::Raw, file.len(), kinds::read_as(kind, file, given, now));
    }

    let (encoding, bytes) = match args.encoding {
        None => input::recognised(file),
        Some(encoding) => match encoding.decode(file) {
            Some(bytes) => (encoding, bytes),
            None => {
                let stop = Stop::new(0, "", format!("the file is not {}", encoding.name()));
                let contents = Contents { stopped: Some(stop), ..Contents::default() };
                return (encoding, file.len(), contents);
            }
        },
    };
    let contents = match args.kind {
        Some(kind) => kinds::read_as(kind, &bytes, given, now),
        None => kinds::recognise(&bytes, given, now),
    };
    (encoding, bytes.len(), contents)
}
