//! Files beside the store.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Options to open a file for writing that only its owner can open if it is created.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes a file of which nobody ever sees a part, for its owner alone: what was there before stays until all
/// of the new is on the disk.
///
/// # Errors
/// If it cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = folder.join(name);

    let mut file = private_options().create(true).truncate(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    // On other systems a folder cannot be opened.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}
