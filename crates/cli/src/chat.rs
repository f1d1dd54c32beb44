//! `conclave chat`.

mod script;
mod terminal;

use crate::serve::default_address;
use crate::{Failure, folders};
use conclave_client::{DeviceId, Engine, Name, Options, Setup, os_rng};
use conclave_mls::CipherSuite;
use conclave_provider_aws_lc::AwsLc;
use conclave_store::SqliteStore;
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who you are: a-z, 0-9, '.', '_' and '-'.
    user: Name,
    /// Which of your devices this is.
    #[arg(long, value_name = "NAME", default_value = "main")]
    device: Name,
    /// The service, which `conclave serve` runs on this machine unless it is told otherwise.
    #[arg(long, value_name = "URL", default_value_t = format!("http://{}", default_address()))]
    server: String,
    /// The folder of all users' state [default: ~/.local/share/conclave]. This device's is in
    /// USER/DEVICE below it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The cipher suite of a new device: 1 to 7, as in RFC 9420 section 17.1 [default: 1].
    #[arg(long, value_name = "N")]
    suite: Option<u16>,
    /// At the end of the input, listen for this many more seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// Go on at the end of the input, until a signal comes.
    #[arg(long)]
    stay: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let base = match args.data {
        Some(data) => data,
        None => folders::default_folder()?,
    };
    let folder = base.join(args.user.as_str()).join(args.device.as_str());
    folders::make_private(&folder)?;
    let engine = Engine::open(Setup {
        device: DeviceId::new(args.user, args.device),
        cipher_suite: args.suite.map(CipherSuite),
        provider: Arc::new(AwsLc::new()),
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
