//! `conclave serve`.

use crate::failure::Failure;
use crate::folders;
use conclave_client::plain;
use conclave_delivery::http::Config;
use conclave_delivery::serve;
use conclave_delivery::storage::SqliteStorage;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address to listen on; port 0 takes a free one. The service speaks plain HTTP: what is
    /// sent is encrypted end to end, who talks to whom is not. Whoever reaches it can register
    /// devices, further ones of any user too: listen where only those do who may.
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = default_address())]
    listen: SocketAddr,
    /// The folder of the service's state [default: ~/.local/share/conclave/service].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Say what the service sees of each request, on standard error.
    #[arg(long)]
    observe: bool,
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
    if args.observe {
        config.on_request = Some(Arc::new(|seen| {
            let _ = writeln!(std::io::stderr(), "{}", plain(&seen.to_string()));
        }));
    }
    let server = serve(config, SqliteStorage::open(&data)?)?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", server.url())?;
    writeln!(out, "state in {}; end with Ctrl-C", data.display())?;
    out.flush()?;
    signals.forever().next();
    server.shutdown();
    writeln!(out, "stopped")?;
    Ok(())
}
