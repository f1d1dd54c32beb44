//! Where passphrases come from: a file, a command, a variable, or whoever is at the terminal.

use crate::failure::Failure;
use crate::restore::Restore;
use conclave_store::Secret;
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The least that a new passphrase has, in characters.
const SHORTEST: usize = 8;
/// The longest, in bytes.
const LONGEST: usize = 1024;

/// The variables, for the passphrase in use and for a new one.
const IN_USE: &str = "CONCLAVE_PASSPHRASE";
const NEW: &str = "CONCLAVE_NEW_PASSPHRASE";

/// The passphrase of a device's state.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SealArgs {
    /// The file whose first line is the passphrase of this device's state. The state of a new device is sealed
    /// under it. CONCLAVE_PASSPHRASE_FILE names it as well, and CONCLAVE_PASSPHRASE may hold the passphrase.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A command of the shell that prints the passphrase: of a password manager or the system's keyring, say
    /// `secret-tool lookup app conclave`. CONCLAVE_PASSPHRASE_COMMAND names it as well.
    #[arg(long, value_name = "COMMAND", conflicts_with = "passphrase_file")]
    passphrase_command: Option<String>,
}

impl SealArgs {
    /// The passphrase that is named by an option or a variable, if any is.
    pub(crate) fn passphrase(&self) -> Result<Option<Secret>, Failure> {
        let (file, command) = (self.passphrase_file.as_deref(), self.passphrase_command.as_deref());
        named(file, command, IN_USE)
    }

    /// The passphrase in use: as named, or as typed.
    pub(crate) fn current(&self) -> Result<Secret, Failure> {
        if let Some(passphrase) = self.passphrase()? {
            return Ok(passphrase);
        }
        if !at_terminal() {
            let how = "use --passphrase-file, --passphrase-command or CONCLAVE_PASSPHRASE";
            return Err(format!(
                "this device's state is sealed, and no passphrase is named: {how}"
            )
            .into());
        }
        ask("Passphrase: ")
    }
}

/// A passphrase that is to be set: as named, or typed twice.
pub(crate) fn new_passphrase(
    file: Option<&Path>,
    command: Option<&str>,
) -> Result<Secret, Failure> {
    if let Some(passphrase) = named(file, command, NEW)? {
        return long_enough(passphrase);
    }
    if !at_terminal() {
        let how = "use --new-passphrase-file, --new-passphrase-command or CONCLAVE_NEW_PASSPHRASE";
        return Err(format!("no new passphrase is named: {how}").into());
    }

    let passphrase = long_enough(ask("New passphrase: ")?)?;
    if ask("The same again: ")? != passphrase {
        return Err("the two are not the same: nothing was changed".into());
    }
    Ok(passphrase)
}

fn long_enough(passphrase: Secret) -> Result<Secret, Failure> {
    let characters = String::from_utf8_lossy(passphrase.expose()).chars().count();
    if characters < SHORTEST {
        return Err(format!(
            "a passphrase has {SHORTEST} characters or more: {characters} are soon guessed"
        )
        .into());
    }
    Ok(passphrase)
}

/// A passphrase by an option, or else by a variable: `NAME_FILE`, `NAME_COMMAND` or `NAME` itself.
fn named(
    file: Option<&Path>,
    command: Option<&str>,
    name: &str,
) -> Result<Option<Secret>, Failure> {
    if let Some(file) = file {
        return from_file(file).map(Some);
    }
    if let Some(command) = command {
        return from_command(command).map(Some);
    }

    let variable =
        |suffix: &str| std::env::var_os(format!("{name}{suffix}")).filter(|v| !v.is_empty());
    if let Some(file) = variable("_FILE") {
        return from_file(Path::new(&file)).map(Some);
    }
    if let Some(command) = variable("_COMMAND") {
        let command = command.into_string().map_err(|_| format!("{name}_COMMAND is not UTF-8"))?;
        return from_command(&command).map(Some);
    }
    match variable("") {
        None => Ok(None),
        Some(value) => first_line(value.into_encoded_bytes(), name).map(Some),
    }
}

fn from_file(path: &Path) -> Result<Secret, Failure> {
    let why = |e| format!("{} cannot be read: {e}", path.display());
    let file = std::fs::File::open(path).map_err(why)?;
    let mut bytes = Vec::with_capacity(LONGEST + 2);
    file.take(LONGEST as u64 + 2).read_to_end(&mut bytes).map_err(why)?;
    first_line(bytes, &path.display().to_string())
}

fn from_command(command: &str) -> Result<Secret, Failure> {
    let why = |e| format!("`{command}` cannot be run: {e}");
    let mut shell = Command::new("sh");
    // It may have something to say of what went wrong, and must not take what the script reads.
    shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = shell.output().map_err(why)?;
    if !done.status.success() {
        return Err(format!("`{command}` gave no passphrase: {}", done.status).into());
    }
    first_line(done.stdout, &format!("`{command}`"))
}

fn first_line(bytes: Vec<u8>, place: &str) -> Result<Secret, Failure> {
    let bytes = Secret::new(bytes);
    let line = bytes.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(format!("{place} begins with no passphrase: its first line is empty").into());
    }
    if line.len() > LONGEST {
        return Err(
            format!("a passphrase has {LONGEST} bytes at most, and that of {place} more").into()
        );
    }
    Ok(Secret::copy_from(line))
}

fn at_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks without showing what is typed.
fn ask(prompt: &str) -> Result<Secret, Failure> {
    // It puts the echo back, even if Ctrl-C ends the process here.
    let restore = Restore::at_end(b"")?;
    let mut modes = tcgetattr(stdin())?;
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin(), OptionalActions::Flush, &modes)?;
    let mut err = std::io::stderr();
    err.write_all(prompt.as_bytes())?;
    err.flush()?;

    // Byte by byte: no buffer keeps it, or takes from those who read after it.
    let mut line = Secret::zero(LONGEST + 1);
    let mut length = 0;
    for place in line.expose_mut() {
        let mut byte = [0];
        let read = rustix::io::read(stdin(), &mut byte)?;
        if read == 0 || byte == *b"\n" {
            break;
        }
        [*place] = byte;
        length += 1;
    }
    drop(restore);
    if length == 0 {
        return Err("no passphrase was typed".into());
    }
    let typed = line.expose().get(..length).unwrap_or_default().to_vec();
    first_line(typed, "what was typed")
}
