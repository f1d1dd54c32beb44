//! `conclave admin`.

mod act;
mod report;
mod socket;

use crate::backup::data_folder;
use crate::failure::Failure;
use act::Given;
use conclave_client::plain;
use conclave_delivery::service::{Act, INVITATION, Service, verify};
use conclave_delivery::storage::{Quota, SqliteStorage, StorageError};
use conclave_delivery_api::{GroupId, Name, parse_hex};
use conclave_mls::UnixTime;
use report::Shape;
pub(crate) use socket::AdminSocket;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The folder of the service's state [default: ~/.local/share/conclave/service].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object a line.
    #[arg(long, global = true)]
    json: bool,
}

/// The service may be running, or not.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// How the service is: what it holds, and how large its files are.
    Status,
    /// Who has an account.
    Users,
    /// A user's devices, those that were revoked included.
    Devices {
        /// The user.
        user: Name,
    },
    /// The groups whose logs take the most room.
    Groups,
    /// Make an invitation: it lets one new user in, once.
    Invite {
        /// For how many days it is good.
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
    /// Invitations that are neither used nor expired, by their hashes.
    Invitations,
    /// Block a user: its sessions end, and its key packages are not given out. Its account stays its own.
    Block {
        /// The user.
        user: Name,
    },
    /// Let a blocked user in again.
    Unblock {
        /// The user.
        user: Name,
    },
    /// Give a user more or less of something than everybody has, or show what it has: `default` is what the service is
    /// set to give everybody. It holds at once; what the user has already stays.
    Quota {
        /// The user.
        user: Name,
        #[command(flatten)]
        given: Quotas,
    },
    /// Users who have more or less of something than everybody.
    Quotas,
    /// End a group that is beyond repair. Nothing comes into it any more, and its log stays. There is no way back; its
    /// members are told, and any of them begins another in its place with /reset.
    Reset {
        /// The group, as `groups` prints it.
        #[arg(value_parser = act::parse_group)]
        group: GroupId,
    },
    /// Drop messages and Welcomes that are older, or more messages of a group, than the service is set to keep, and free
    /// their room.
    Compact,
    /// Check all that is stored: pages, rows, account logs, the directory's roots. It reads everything.
    Check,
}

/// What a user is given.
#[derive(Debug, clap::Args)]
struct Quotas {
    /// The most groups that each of its devices makes.
    #[arg(long, value_name = "COUNT", value_parser = act::parse_count)]
    groups: Option<Given>,
    /// The most key packages of each of its devices and of one suite.
    #[arg(long, value_name = "COUNT", value_parser = act::parse_count)]
    key_packages: Option<Given>,
    /// The most bytes of its attachments, as 65536 or 20GiB.
    #[arg(long, value_name = "SIZE", value_parser = act::parse_size)]
    attachments: Option<Given>,
    /// How often it claims key packages of all others within the service's claim-period.
    #[arg(long, value_name = "COUNT", value_parser = act::parse_count)]
    claims: Option<Given>,
    /// What everybody has, of all that is not named.
    #[arg(long)]
    clear: bool,
}

impl Quotas {
    fn list(&self) -> Vec<(Quota, Option<u64>)> {
        let named = [
            (Quota::Groups, self.groups),
            (Quota::KeyPackages, self.key_packages),
            (Quota::Attachments, self.attachments),
            (Quota::Claims, self.claims),
        ];
        let cleared = self.clear.then_some(Given(None));
        let given = named.into_iter().map(|(quota, given)| Some((quota, given.or(cleared)?.0)));
        given.flatten().collect()
    }
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let data = data_folder(args.data)?;
    let shape = if args.json { Shape::Json } else { Shape::Table };
    let act = match args.command {
        Command::Check => return check(&data),
        Command::Status => Act::Status,
        Command::Users => Act::Users,
        Command::Devices { user } => Act::Devices(user),
        Command::Groups => Act::Groups,
        Command::Invite { days } => Act::Invite(days),
        Command::Invitations => Act::Invitations,
        Command::Block { user } => Act::Block(user),
        Command::Unblock { user } => Act::Unblock(user),
        Command::Quota { user, given } => Act::Quota(user, given.list()),
        Command::Quotas => Act::Quotas,
        Command::Reset { group } => Act::Reset(group),
        Command::Compact => Act::Compact,
    };
    // A script that invites takes the line as it is.
    let shape = if matches!(act, Act::Invite(_)) && !args.json { Shape::First } else { shape };
    let answer = match socket::ask(&data, &act, shape)? {
        Some(answer) => answer,
        None => ask_stopped(&data, act, shape)?,
    };
    // Names and hashes alone are in it, but whoever answers could be anybody.
    for line in answer.lines() {
        writeln!(stdout(), "{}", plain(line))?;
    }
    Ok(())
}

/// Does it without a service that runs.
fn ask_stopped(data: &Path, act: Act, shape: Shape) -> Result<String, Failure> {
    // Without a state there is nothing to administer, and none is begun.
    SqliteStorage::read_secret(data)?;
    if act == Act::Compact {
        return Err(
            "no service runs there, and it alone knows what it is set to keep: start it first"
                .into(),
        );
    }
    let storage = SqliteStorage::open(data).map_err(|e| match e {
        StorageError::InUse(_) => Failure::from(format!(
            "{e}, but {} leads to no service: if one runs there, stop it and start it again",
            socket::path(data).display()
        )),
        e => e.into(),
    })?;
    let now = UnixTime::try_from(SystemTime::now())?;
    let service = Service::to_look(storage, crate::provider::provider(), now)?;
    Ok(shape.show(&service.administer(act, now)?.reply))
}

fn check(data: &Path) -> Result<(), Failure> {
    let now = UnixTime::try_from(SystemTime::now())?;
    let storage = SqliteStorage::open_read_only(data)?;
    let (counts, root) = verify(storage, crate::provider::provider(), now)?;
    let (users, groups, messages) = (counts.accounts, counts.groups, counts.log_entries);
    writeln!(
        stdout(),
        "all is well: {users} users, {groups} groups, {messages} messages, the directory up to root {root}"
    )?;
    Ok(())
}

/// Reads an invitation as a user types it.
pub(crate) fn parse_invitation(text: &str) -> Result<Vec<u8>, String> {
    let invitation = parse_hex(text.trim()).filter(|bytes| bytes.len() == INVITATION);
    invitation.ok_or_else(|| "an invitation is what `conclave admin invite` prints".to_string())
}
