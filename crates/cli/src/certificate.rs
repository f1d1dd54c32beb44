//! `conclave certificate`.

use crate::chat::{SuiteArg, parse_suite};
use crate::failure::Failure;
use crate::folders;
use crate::sealing::{SealArgs, device_args, open_state};
use conclave_certificates::{REQUEST, to_pem};
use conclave_client::{DeviceId, Name, certificate_request, os_rng};
use std::io::{Write, stdout};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print what the CA has to certify (PKCS#10 in PEM). A new device makes its key first, which stays in its folder.
    Request(Request),
}

#[derive(Debug, clap::Args)]
struct Request {
    /// Whose device it is.
    user: Name,
    /// Which of the user's devices.
    #[arg(long, value_name = "NAME", default_value = "main")]
    device: Name,
    /// The folder of all users' state [default: ~/.local/share/conclave].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The only cipher suite of a new device, as for `conclave chat`. The certificate is for a key of its signatures.
    #[arg(long, value_name = "SUITE", value_parser = parse_suite)]
    suite: Option<SuiteArg>,
    /// Ask for another key than the one in use. The device changes to it when it gets the certificate.
    #[arg(long)]
    new_key: bool,
    #[command(flatten)]
    seal: SealArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Command::Request(request) = args.command;
    let suite = match request.suite {
        Some(SuiteArg::List) => return Err("`conclave chat --suite list` lists the suites".into()),
        Some(SuiteArg::One(suite)) => Some(suite),
        None => None,
    };
    let folder = folders::device_folder(request.data, &request.user, &request.device)?;
    let named = device_args(&request.user, &request.device);
    let mut store = open_state(&folder, &request.seal, &named)?;
    let device = DeviceId::new(request.user, request.device);
    let provider = crate::provider::provider();
    let wanted = (&device, suite);
    let der = certificate_request(&mut store, &*provider, &mut *os_rng(), wanted, request.new_key)?;
    let text = to_pem(REQUEST, &der).ok_or("the request is too long")?;
    write!(stdout(), "{text}")?;
    Ok(())
}
