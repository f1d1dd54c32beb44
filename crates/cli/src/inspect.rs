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
use crate::validate::now;
use conclave_delivery_api::parse_hex;
use conclave_mls::wire::{CipherSuite, GroupId};
use input::Encoding;
use kinds::{Contents, Kind};
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use walk::{Context, Stop};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is valid is said beside what is there: a signature that is wrong is no failure.\n\
                  Exit codes: 0 readable, 1 failed (a file cannot be read, say), 2 wrong command line,\n\
                  3 not readable to the end: what was read before is shown, and where reading stopped.\n\
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
    let given =
        Context { suite: args.suite.map(CipherSuite), group: args.group.clone(), sender: None };
    let mut code = ExitCode::SUCCESS;
    for path in &args.files {
        let name = path.display().to_string();
        let file = read_file(path.clone())?;
        let (encoding, bytes, contents) = inspect(&args, &file, &given)?;
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
) -> Result<(Encoding, usize, Contents), Failure> {
    let now = now()?;
    let text = match args.kind {
        Some(kind @ (Kind::JoinLink | Kind::LinkCode)) => Some(kind),
        Some(_) => None,
        None if args.encoding.is_none() => kinds::recognise_text(file),
        None => None,
    };
    if let Some(kind) = text {
        return Ok((Encoding::Raw, file.len(), kinds::read_as(kind, file, given, now)));
    }

    let (encoding, bytes) = match args.encoding {
        None => input::recognised(file),
        Some(encoding) => match encoding.decode(file) {
            Some(bytes) => (encoding, bytes),
            None => {
                let stop = Stop::new(0, "", format!("the file is not {}", encoding.name()));
                let contents = Contents { stopped: Some(stop), ..Contents::default() };
                return Ok((encoding, file.len(), contents));
            }
        },
    };
    let contents = match args.kind {
        Some(kind) => kinds::read_as(kind, &bytes, given, now),
        None => kinds::recognise(&bytes, given, now),
    };
    Ok((encoding, bytes.len(), contents))
}
