//! Where state is.

use crate::failure::Failure;
use conclave_client::Name;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The service's folder in the default one, beside those of users.
pub(crate) const SERVICE: &str = "service";

/// `$XDG_DATA_HOME/conclave`, or `~/.local/share/conclave`.
pub(crate) fn default_folder() -> Result<PathBuf, Failure> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    let base =
        base.ok_or("neither XDG_DATA_HOME nor HOME says where state goes: use --data DIR")?;
    Ok(base.join("conclave"))
}

/// The default folder of what is known of services that are audited.
pub(crate) fn default_audits() -> Result<PathBuf, Failure> {
    // Every name in the other one may be a user's.
    Ok(default_folder()?.with_file_name("conclave-audit"))
}

/// The folder of a device's state, which is made unless it is there.
pub(crate) fn device_folder(
    data: Option<PathBuf>,
    user: &Name,
    device: &Name,
) -> Result<PathBuf, Failure> {
    let folder = device_path(data, user, device)?;
    make_private(&folder)?;
    Ok(folder)
}

/// Where the folder of a device's state is.
pub(crate) fn device_path(
    data: Option<PathBuf>,
    user: &Name,
    device: &Name,
) -> Result<PathBuf, Failure> {
    let base = match data {
        Some(data) => data,
        None if user.as_str() == SERVICE => {
            return Err(
                "`conclave serve` keeps its state where that user's would be: use --data DIR"
                    .into(),
            );
        }
        None => default_folder()?,
    };
    Ok(base.join(user.as_str()).join(device.as_str()))
}

/// Reads a file that the user named, of at most 16 MiB; `-` is standard input.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let unread = |e: std::io::Error| format!("{} cannot be read: {e}", path.display());
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    } else {
        let file = std::fs::File::open(path).map_err(unread)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unread)?;
    }
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("{} has more than {MAX_FILE} bytes", path.display()).into());
    }
    Ok(bytes)
}

/// Makes a folder that only this user can look into, unless it is there.
pub(crate) fn make_private(folder: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|e| format!("{} cannot be made: {e}", folder.display()).into())
}
