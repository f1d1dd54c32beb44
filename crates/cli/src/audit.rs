//! `conclave audit`.

mod evidence;
mod follow;
mod state;

use crate::exit_codes::{LIED, WITHHELD};
use crate::failure::{Failure, complain};
use crate::folders;
use crate::server_url::{TlsArgs, parse_server};
use conclave_client::timestamp;
use conclave_delivery_api::to_hex;
use conclave_directory::{Evidence, SignedRoot};
use follow::{Follower, News, Trouble};
use state::State;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the command proves, and how it ends.
const MORE: &str = "\
A service signs the root of its directory of accounts whenever an account has
changed. The audit checks that each root holds all that the one before it held,
and remembers the last of them. Each line of the output is one event:

  key SCHEME KEY         the service's key, when the audit begins
  root NUMBER TIME ROOT  a new root, which extends the one before it
  checked FROM TO NEWEST roots that were checked, when there are many

Exit codes:
  0  all that the service has published was checked (with --once), or the
     evidence proves something
  1  the service cannot be reached, the state cannot be written, or the evidence
     proves nothing
  2  an option or argument is wrong
  3  the service has lied: the evidence is in a file that standard error names
  4  the service withholds a root or a proof (with --once; otherwise the audit
     says so and goes on). That may be a fault, and proves nothing";

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "conclave audit [OPTIONS] <URL>\n       conclave audit --evidence <FILE> [URL]"
)]
#[command(after_help = MORE)]
pub(crate) struct Args {
    /// The service, as for `conclave chat --server`.
    #[arg(value_parser = parse_server, required_unless_present = "evidence")]
    url: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// The folder of what is known of the service [default: one for each address in
    /// ~/.local/share/conclave-audit].
    #[arg(long, value_name = "DIR", conflicts_with = "evidence")]
    data: Option<PathBuf>,
    /// End when all that the service has published is checked, rather than wait for more.
    #[arg(long, conflicts_with = "evidence")]
    once: bool,
    /// How often to look for new roots.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
    /// Say what a file of evidence proves, and of whom; with URL, also whether it is about the service there.
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = |url: &str| args.tls.client(url);
    if let Some(file) = &args.evidence {
        let service = args.url.as_deref().map(client).transpose()?;
        return evidence::check(file, service.as_ref());
    }
    let url = args.url.as_deref().ok_or("URL is missing: conclave audit URL")?;
    let folder = match args.data {
        Some(data) => data,
        None => folders::default_audits()?.join(folder_name(url)),
    };
    folders::make_private(&folder)?;
    let state = State::open(&folder)?;
    let mut follower = Follower::new(client(url)?, state)?;

    let mut said = None;
    loop {
        let trouble = match follower.round(&mut |news| tell(&news)) {
            Ok(()) => None,
            Err(Trouble::Lied(evidence)) => return convict(&follower, &evidence),
            Err(Trouble::Failed(failure)) => return Err(failure),
            Err(trouble) => Some(trouble),
        };
        if args.once {
            return Ok(end(trouble));
        }

        // The same is said once.
        let what = trouble.map(|trouble| trouble.to_string());
        if let Some(what) = what.as_ref().filter(|what| said.as_ref() != Some(*what)) {
            complain(&format!("{what}. It is tried again"));
        }
        said = what;
        std::thread::sleep(Duration::from_secs(args.every));
    }
}

fn end(trouble: Option<Trouble>) -> ExitCode {
    let Some(trouble) = trouble else { return ExitCode::SUCCESS };
    complain(&trouble.to_string());
    match trouble {
        Trouble::Withheld(_) => ExitCode::from(WITHHELD),
        _ => ExitCode::FAILURE,
    }
}

fn tell(news: &News<'_>) -> Result<(), Failure> {
    let mut out = stdout();
    match news {
        News::Key(key) => writeln!(out, "key {} {}", key.scheme, to_hex(&key.public))?,
        News::Root(root) => writeln!(out, "{}", root_line(root))?,
        News::Checked { from, to, newest } => writeln!(out, "checked {from} {to} {newest}")?,
    }
    Ok(())
}

fn root_line(root: &SignedRoot) -> String {
    format!("root {} {} {}", root.epoch, timestamp(root.published_at), to_hex(&root.root))
}

/// Says what the service did, and keeps the proof of it.
fn convict(follower: &Follower, evidence: &Evidence) -> Result<ExitCode, Failure> {
    let report = evidence.report(follower.provider())?;
    let file = follower.state().keep_evidence(evidence)?;
    for line in report.lines() {
        complain(line);
    }
    complain(&format!(
        "THE SERVICE HAS LIED, or somebody else has its key. The evidence is in {}; \
         `conclave audit --evidence FILE` checks it anywhere",
        file.display()
    ));
    Ok(ExitCode::from(LIED))
}

/// A folder's name for an address.
fn folder_name(url: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    let address = url.trim_start_matches("https://").trim_start_matches("http://");
    address.trim_end_matches('/').chars().map(kept).collect()
}
