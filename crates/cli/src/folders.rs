//! Where state is.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

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

/// Makes a folder that only this user can look into, unless it is there.
pub(crate) fn make_private(folder: &Path) -> Result<(), Failure> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|e| format!("{} cannot be made: {e}", folder.display()).into())
}
