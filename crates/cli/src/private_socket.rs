//! Unix sockets that are their owner's alone.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Listens at a path, in the place of whatever socket is there.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    // Nobody else gets at it before it has its permissions. The name is short, as those of sockets have to be.
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    let private = path.with_file_name(name);
    let _ = std::fs::remove_dir_all(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let begun = private.join("s");

    let bound = (|| {
        let listener = UnixListener::bind(&begun)?;
        std::fs::set_permissions(&begun, PermissionsExt::from_mode(0o600))?;
        if std::fs::symlink_metadata(path).is_ok_and(|there| there.is_file() || there.is_dir()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(&begun, path)?;
        Ok(listener)
    })();
    let _ = std::fs::remove_dir_all(&private);
    bound
}
