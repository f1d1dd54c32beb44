//! `conclave chat`.

mod script;
mod terminal;

use crate::serve::default_address;
use crate::{Failure, folders};
use conclave_client::{
    DeviceId, Engine, Name, Options, Setup, SuiteError, find_suite, os_rng, suite_list,
};
use conclave_mls::CipherSuite;
use conclave_store::SqliteStore;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(override_usage = "conclave chat [OPTIONS] <USER>\n       conclave chat --suite list")]
pub(crate) struct Args {
    /// Who you are: a-z, 0-9, '.', '_' and '-'.
    // Nobody needs to be anybody to see the list of suites.
    user: Option<Name>,
    /// Which of your devices this is.
    #[arg(long, value_name = "NAME", default_value = "main")]
    device: Name,
    /// The service, which `conclave serve` runs on this machine unless it is told otherwise. It is
    /// reached by plain http: where others may listen, through a VPN, or a proxy or tunnel on this
    /// machine that speaks TLS.
    #[arg(long, value_name = "URL", default_value_t = format!("http://{}", default_address()),
          value_parser = parse_server)]
    server: String,
    /// The folder of all users' state [default: ~/.local/share/conclave]. This device's is in
    /// USER/DEVICE below it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The only cipher suite of a new device: its number or a part of its name; `list` shows all
    /// [default: hybrid, which is post-quantum, for the groups that you make, and classic for
    /// those of others who have no other].
    #[arg(long, value_name = "SUITE", value_parser = parse_suite)]
    suite: Option<SuiteArg>,
    /// At the end of the input, listen for this many more seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Go on at the end of the input, until a signal comes.
    #[arg(long)]
    stay: bool,
}

/// What can be said of suites.
#[derive(Clone, Copy, Debug)]
enum SuiteArg {
    List,
    One(CipherSuite),
}

fn parse_suite(word: &str) -> Result<SuiteArg, SuiteError> {
    match word {
        "list" => Ok(SuiteArg::List),
        word => find_suite(word).map(SuiteArg::One),
    }
}

/// Refuses what can never be reached, which would look as if the service did not answer.
fn parse_server(url: &str) -> Result<String, String> {
    match url.strip_prefix("http://") {
        Some(rest) if !rest.is_empty() && !rest.starts_with(['/', ':']) => Ok(url.to_string()),
        _ => Err("it must be http://HOST:PORT, as this program speaks no TLS itself. To reach a \
                  service over TLS, run a proxy or tunnel on this machine (stunnel, or ssh -L, say) \
                  and give its address, as http://127.0.0.1:PORT; or use a VPN"
            .into()),
    }
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let cipher_suite = match args.suite {
        Some(SuiteArg::List) => return Ok(writeln!(stdout(), "{}", suite_list())?),
        Some(SuiteArg::One(suite)) => Some(suite),
        None => None,
    };
    let Some(user) = args.user else {
        return Err("USER is missing: conclave chat USER; --help shows the rest".into());
    };
    let base = match args.data {
        Some(data) => data,
        None => folders::default_folder()?,
    };
    let folder = base.join(user.as_str()).join(args.device.as_str());
    folders::make_private(&folder)?;
    let engine = Engine::open(Setup {
        device: DeviceId::new(user, args.device),
        cipher_suite,
        provider: crate::provider(),
        rng: os_rng(),
        store: SqliteStore::open(folder.join("state.sqlite"))?,
    })?;
    let interactive = stdin().is_terminal() && stdout().is_terminal();
    let options = Options {
        url: args.server,
        in_turn: !interactive,
        stay: args.stay,
        linger: Duration::from_secs(args.wait),
        patience: Duration::from_secs(60),
    };
    let ended = match interactive {
        true => terminal::run(engine, &options)?,
        false => script::run(engine, &options)?,
    };
    match ended.waiting {
        0 => Ok(()),
        n => {
            Err(format!("not done yet, and kept for the next time: {n} of what you wanted").into())
        }
    }
}
