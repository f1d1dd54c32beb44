//! The permissions of the database's files.

use std::fs::{File, OpenOptions};
#[cfg(unix)]
use std::io::ErrorKind;
use std::path::Path;

/// What SQLite appends to a database's name for the files that it keeps beside it.
#[cfg(unix)]
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The name of a file beside a database.
#[cfg(unix)]
pub(super) fn beside(database: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = database.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}

/// Takes all access to a database and to the files beside it from everybody but the owner.
#[cfg(unix)]
pub(super) fn make_private(database: &Path) -> std::io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    // SQLite keeps them beside the file, not beside a link to it.
    let database = database.canonicalize()?;
    for suffix in std::iter::once("").chain(COMPANIONS) {
        let file = beside(&database, suffix);
        let mode = match std::fs::metadata(&file) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };

        if mode & 0o077 != 0 {
            std::fs::set_permissions(&file, Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

/// Elsewhere a file has the permissions of its folder.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
pub(super) fn make_private(_database: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Creates the file, if there is none, for its owner alone. SQLite gives the log the same mode.
pub(super) fn create_private(path: &Path) -> std::io::Result<File> {
    private_options().create(true).truncate(false).open(path)
}

/// Creates a file for its owner alone. There must be none.
#[cfg(unix)]
pub(super) fn create_new_private(path: &Path) -> std::io::Result<File> {
    private_options().create_new(true).open(path)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
