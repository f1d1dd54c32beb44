//! The files of the account and of the certificate, which nobody else may read.

use crate::files::{private_file, remove, sync_folder};
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The folder of one CA.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder unless it is there.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|e| format!("{} cannot be made: {e}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// What is in a file; none if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.path(name);
        let cannot = |e| format!("{} cannot be read: {e}", path.display());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(cannot(e)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(cannot)?;
        Ok(Some(bytes))
    }

    /// Replaces a file: after a crash it is the old one or the new one.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let (path, begun) = (self.path(name), self.path(&format!("{name}.new")));
        let written = || {
            // One that is left over from before may be longer.
            remove(&begun)?;
            let mut file = private_file(&begun)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&begun, &path)?;
            sync_folder(&path)
        };
        written().map_err(|e| format!("{} cannot be written: {e}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_nobody_else_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().join("acme/ca.example")).unwrap();
        assert_eq!(folder.read("file").unwrap(), None);
        // Left over from a crash.
        std::fs::write(folder.path("file.new"), "half").unwrap();
        for text in ["first, which is longer", "second"] {
            folder.write("file", text.as_bytes()).unwrap();
            assert_eq!(folder.read("file").unwrap().unwrap(), text.as_bytes());
        }
        assert!(!folder.path("file.new").exists());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(folder.path("file")), mode(folder.path("."))), (0o600, 0o700));
        }

        std::fs::create_dir(folder.path("folder")).unwrap();
        assert!(folder.read("folder").unwrap_err().contains("folder cannot be read"));
        assert!(folder.write("folder", b"").unwrap_err().contains("folder cannot be written"));
    }
}
