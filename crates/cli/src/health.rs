//! `conclave health`.

use crate::failure::{Failure, complain};
use crate::server_url::{TlsArgs, parse_server};
use std::io::{Write, stdout};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 if it is ready; 1 if not, or if nobody answers: standard error says why."
)]
pub(crate) struct Args {
    /// The service: where it listens, or where it shows its metrics.
    #[arg(value_parser = parse_server)]
    url: String,
    #[command(flatten)]
    tls: TlsArgs,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.tls.client(&args.url)?.ready() {
        Ok(()) => {
            writeln!(stdout(), "ready")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => {
            complain(&e.to_string());
            Ok(ExitCode::FAILURE)
        }
    }
}
