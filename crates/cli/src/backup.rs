//! `conclave backup` and `conclave restore`.

use crate::failure::Failure;
use crate::folders;
use conclave_delivery::backup::{Inventory, backup, restore};
use conclave_mls::UnixTime;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The new folder that the backup becomes. It holds the service's secret: keep it as safe as the service.
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// The folder of the service's state [default: ~/.local/share/conclave/service].
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup: a folder that `conclave backup` made.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The folder that the service's state becomes, new or empty [default: ~/.local/share/conclave/service].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The folder of the service's state.
pub(crate) fn data_folder(data: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match data {
        Some(data) => Ok(data),
        None => Ok(folders::default_folder()?.join(folders::SERVICE)),
    }
}

fn say(what: &str, folder: &Path, inventory: &Inventory) -> Result<(), Failure> {
    writeln!(stdout(), "{what} {}, checked:\n{inventory}", folder.display())?;
    Ok(())
}

pub(crate) fn back_up(args: Backup) -> Result<(), Failure> {
    let data = data_folder(args.data)?;
    let now = UnixTime::try_from(SystemTime::now())?;
    let inventory = backup(&data, &args.to, crate::provider::provider(), now)?;
    say("backup in", &args.to, &inventory)
}

pub(crate) fn put_back(args: Restore) -> Result<(), Failure> {
    let data = data_folder(args.data)?;
    if let Some(parent) = data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folders::make_private(parent)?;
    }
    let now = UnixTime::try_from(SystemTime::now())?;
    let inventory = restore(&args.backup, &data, crate::provider::provider(), now)?;
    say("restored to", &data, &inventory)
}
