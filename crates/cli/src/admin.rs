//! `conclave admin`.

use crate::failure::Failure;
use crate::folders;
use conclave_client::os_rng;
use conclave_delivery::service::{INVITATION, invitation};
use conclave_delivery::storage::SqliteStorage;
use conclave_delivery_api::{parse_hex, to_hex};
use conclave_mls::UnixTime;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an invitation: it lets one new user in, once. The service may be running.
    Invite(Invite),
}

#[derive(Debug, clap::Args)]
struct Invite {
    /// The folder of the service's state [default: ~/.local/share/conclave/service].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// For how many days it is good.
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Command::Invite(invite) = args.command;
    let data = match invite.data {
        Some(data) => data,
        None => folders::default_folder()?.join(folders::SERVICE),
    };
    let secret = SqliteStorage::read_secret(&data)?;

    let day = Duration::from_secs(24 * 60 * 60);
    let lifetime = day.saturating_mul(u32::try_from(invite.days)?);
    let expires_at = UnixTime::try_from(SystemTime::now())?.saturating_add(lifetime);
    let provider = crate::provider::provider();
    let invitation = invitation(&*provider, &secret, &mut *os_rng(), expires_at)?;
    writeln!(stdout(), "{}", to_hex(&invitation))?;
    Ok(())
}

/// Reads an invitation as a user types it.
pub(crate) fn parse_invitation(text: &str) -> Result<Vec<u8>, String> {
    let invitation = parse_hex(text.trim()).filter(|bytes| bytes.len() == INVITATION);
    invitation.ok_or_else(|| "an invitation is what `conclave admin invite` prints".to_string())
}
