//! `conclave serve`.

use crate::failure::Failure;
use crate::folders;
use conclave_client::plain;
use conclave_delivery::http::Config;
use conclave_delivery::serve;
use conclave_delivery::storage::SqliteStorage;
use conclave_delivery_api as api;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address to listen on; port 0 takes a free one. The service speaks plain HTTP: what is
    /// sent is encrypted end to end, who talks to whom is not.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = default_address())]
    listen: SocketAddr,
    /// The folder of the service's state [default: ~/.local/share/conclave/service].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Who may create an account [default: open on a loopback address, invitation elsewhere]. Invitations come from
    /// `conclave admin invite`. Further devices are admitted by the user's own devices alone.
    #[arg(long, value_name = "WHO")]
    registration: Option<Registration>,
    /// How often changes of accounts are published in the directory that `conclave audit` follows.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    publish_every: u64,
    /// Say what the service sees of each request, on standard error.
    #[arg(long)]
    observe: bool,
}

/// Who may create an account.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Registration {
    /// Anybody who reaches the service.
    Open,
    /// Whoever has an invitation.
    Invitation,
    /// Nobody.
    Closed,
}

impl Registration {
    fn by_default(listen: &SocketAddr) -> Self {
        if listen.ip().is_loopback() { Self::Open } else { Self::Invitation }
    }
}

impl From<Registration> for api::Registration {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::Open => Self::Open,
            Registration::Invitation => Self::Invitation,
            Registration::Closed => Self::Closed,
        }
    }
}

/// Where the service listens, and where messengers look for it.
pub(crate) fn default_address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Config::PORT)
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = match args.data {
        Some(data) => data,
        None => folders::default_folder()?.join(folders::SERVICE),
    };
    folders::make_private(&data)?;

    // From here on a signal is no sudden end.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let mut config = Config::new(crate::provider::provider());
    config.addr = args.listen;
    let registration = args.registration.unwrap_or(Registration::by_default(&args.listen));
    config.registration = registration.into();
    config.publish_every = Duration::from_secs(args.publish_every);
    if args.observe {
        config.on_request = Some(Arc::new(|seen| {
            let _ = writeln!(std::io::stderr(), "{}", plain(&seen.to_string()));
        }));
    }

    let storage = SqliteStorage::open(&data)?;
    let upgraded = storage.upgraded().cloned();
    let server = serve(config, storage)?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", server.url())?;
    let who = match registration {
        Registration::Open => "anybody may create an account",
        Registration::Invitation => "new users need an invitation: conclave admin invite",
        Registration::Closed => "no new accounts",
    };
    writeln!(out, "{who}")?;
    if let Some(upgrade) = upgraded {
        writeln!(out, "{upgrade}")?;
    }
    writeln!(out, "state in {}; end with Ctrl-C", data.display())?;
    out.flush()?;
    signals.forever().next();
    server.shutdown();
    writeln!(out, "stopped")?;
    Ok(())
}
