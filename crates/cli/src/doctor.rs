//! `conclave doctor`: what is wrong with a device.

use crate::exit_codes::FOUND;
use crate::failure::Failure;
use crate::keys::{KeyArgs, options_of};
use crate::provider::provider;
use crate::sealing::{SealArgs, open_existing};
use crate::server_url::{TlsArgs, parse_server};
use conclave_client::{Engine, Finding, catch_up, now, open_device, plain};
use serde_json::{Value, json};
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long to ask the service.
const PATIENCE: Duration = Duration::from_secs(15);

const EXIT_CODES: &str =
    "A line for each finding: the group or '-', its code, what it is, and what to do. Standard error says
by which options keys are replaced and silent devices removed.

Exit codes:
  0  all is well
  1  the state cannot be read; standard error says why
  2  an option or argument is wrong
  3  something was found";

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// The device's folder: USER/DEVICE in the folder of all users' state. No messenger may be running in it.
    folder: PathBuf,
    /// Ask this service first, as a messenger would: what waits is sent, and what the service has is fetched. Without
    /// this option, only the stored state is examined.
    #[arg(long, value_name = "URL", value_parser = parse_server)]
    server: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    seal: SealArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Print the findings as JSON: an array of objects with `group`, `code`, `what` and `remedy`.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let store = open_existing(&args.folder, &args.seal)?;
    let Some(device) = Engine::device_in(&store)? else {
        return Err(format!("{} holds no device", args.folder.display()).into());
    };
    let mut engine = open_device(device, provider(), store, args.keys.policy(), &args.folder)?;
    if let Some(url) = &args.server {
        catch_up(&mut engine, url, args.tls.roots()?.as_ref(), PATIENCE)?;
    }

    writeln!(stderr(), "keys of groups: {}", options_of(&args.keys.policy()))?;
    let findings = engine.doctor(now());
    let mut out = stdout().lock();
    match args.json {
        true => writeln!(out, "{}", to_json(&findings))?,
        false => findings.iter().try_for_each(|finding| writeln!(out, "{}", line(finding)))?,
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn line(finding: &Finding) -> String {
    let Finding { group, problem, what, remedy } = finding;
    let group = group.as_deref().unwrap_or("-");
    plain(&format!("{group} {}: {what}. To do: {remedy}", problem.code()))
}

fn to_json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        let Finding { group, problem, what, remedy } = finding;
        json!({ "group": group, "code": problem.code(), "what": what, "remedy": remedy })
    };
    findings.iter().map(one).collect()
}
