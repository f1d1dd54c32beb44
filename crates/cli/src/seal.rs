//! `conclave seal`.

use crate::failure::Failure;
use crate::folders;
use crate::sealing::{SealArgs, new_passphrase, seal_state};
use conclave_client::Name;
use std::io::{Write, stdout};
use std::path::PathBuf;

/// What it does and does not do.
const ABOUT: &str = "\
Without the passphrase, whoever has the folder reads nothing that the device
said, heard or holds keys for. A passphrase that is lost is lost: link the
device anew, or use the account's recovery key.

Changing the passphrase leaves the state's key as it is, so whoever knows the
old passphrase and has an old copy of the folder reads the new state, too.
--new-key changes the key as well.

Evidence against a service is in files of its own, for others to read.";

#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(crate) struct Args {
    /// Whose device it is.
    user: Name,
    /// Which of the user's devices.
    #[arg(long, value_name = "NAME", default_value = "main")]
    device: Name,
    /// The folder of all users' state [default: ~/.local/share/conclave].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    current: SealArgs,
    /// The file whose first line is the new passphrase. CONCLAVE_NEW_PASSPHRASE_FILE names it as well, and
    /// CONCLAVE_NEW_PASSPHRASE may hold the passphrase.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// A command of the shell that prints the new passphrase. CONCLAVE_NEW_PASSPHRASE_COMMAND names it as well.
    #[arg(long, value_name = "COMMAND", conflicts_with = "new_passphrase_file")]
    new_passphrase_command: Option<String>,
    /// Encrypt the whole state anew, under another key.
    #[arg(long)]
    new_key: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let folder = folders::device_folder(args.data, &args.user, &args.device)?;
    let (file, command) = (args.new_passphrase_file, args.new_passphrase_command);
    let new = || new_passphrase(file.as_deref(), command.as_deref());
    let was_sealed = seal_state(&folder, &args.current, new, args.new_key)?;
    let done = match (was_sealed, args.new_key) {
        (false, _) => "sealed",
        (true, false) => "the passphrase is changed",
        (true, true) => "the passphrase and the key are changed",
    };
    writeln!(stdout(), "{done}")?;
    Ok(())
}
