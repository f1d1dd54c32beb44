//! A CA's folder: its key, its root certificate, its newest revocation list, what it has issued, and the index.

use super::index::Index;
use crate::failure::Failure;
use crate::folders;
use conclave_certificates::{CERTIFICATE, Ca, EndEntity, from_pem};
use conclave_client::write_private;
use conclave_delivery_api::to_hex;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A CA's folder, which nobody else changes as long as this is there.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) ca: Ca,
    pub(super) index: Index,
    _lock: File,
}

fn lock(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let shown = path.display();
    let file = options
        .open(path.join("lock"))
        .map_err(|e| format!("the CA's folder {shown} cannot be used: {e}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another command works in {shown} just now: try again").into())
        }
        Err(TryLockError::Error(e)) => Err(e.into()),
    }
}

impl Folder {
    /// Makes the folder of a new CA. The certificate comes last: a folder without it is of no CA yet.
    pub(super) fn create(path: &Path, ca: Ca) -> Result<Self, Failure> {
        folders::make_private(path)?;
        let lock = lock(path)?;
        let shown = path.display();
        if path.join("root.pem").exists() {
            return Err(format!(
                "there is a CA in {shown} already: what it has issued would be worth nothing under another key. Use \
                 another folder (--dir DIR)"
            )
            .into());
        }
        let key = ca.private_key_pem()?;
        write_private(&path.join("ca.key"), key.as_bytes())?;
        let root = ca.certificate_pem().ok_or("the root certificate is too long")?;
        write_private(&path.join("root.pem"), root.as_bytes())?;
        let index = Index::open(path.join("index"))?;
        Ok(Self { path: path.to_path_buf(), ca, index, _lock: lock })
    }

    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        if !path.join("root.pem").exists() {
            return Err(format!(
                "there is no CA in {shown}: `conclave ca root` makes one, and --dir DIR says where another one is"
            )
            .into());
        }
        let lock = lock(path)?;
        let read = |name: &str| {
            let file = path.join(name);
            std::fs::read(&file).map_err(|e| format!("{} cannot be read: {e}", file.display()))
        };
        let certificate = from_pem(CERTIFICATE, &read("root.pem")?)
            .map_err(|e| format!("{shown}/root.pem: {e}"))?;
        let key = Zeroizing::new(read("ca.key")?);
        let ca = Ca::load(&*crate::provider::provider(), certificate, &key)?;
        let index = Index::open(path.join("index"))?;
        Ok(Self { path: path.to_path_buf(), ca, index, _lock: lock })
    }

    pub(super) fn root_file(&self) -> PathBuf {
        self.path.join("root.pem")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.path.join("ca.key")
    }

    fn certificate_file(&self, serial: &[u8]) -> PathBuf {
        self.path.join("issued").join(format!("{}.pem", to_hex(serial)))
    }

    /// Keeps a certificate, so that its key can be certified again.
    pub(super) fn keep_certificate(&self, serial: &[u8], text: &str) -> Result<(), Failure> {
        folders::make_private(&self.path.join("issued"))?;
        Ok(write_private(&self.certificate_file(serial), text.as_bytes())?)
    }

    /// What a certificate that was issued says.
    pub(super) fn certificate(&self, serial: &[u8]) -> Result<EndEntity, Failure> {
        let file = self.certificate_file(serial);
        let shown = file.display();
        let text = std::fs::read(&file).map_err(|e| {
            format!("{shown} cannot be read: {e}. With --request the device's key comes from its request")
        })?;
        let der = from_pem(CERTIFICATE, &text).map_err(|e| format!("{shown}: {e}"))?;
        EndEntity::from_der(&der).ok_or_else(|| format!("{shown} is damaged").into())
    }

    fn list_file(&self) -> PathBuf {
        self.path.join("crl.pem")
    }

    /// The newest revocation list (PEM).
    pub(super) fn read_list(&self) -> Result<String, Failure> {
        let file = self.list_file();
        std::fs::read_to_string(&file).map_err(|e| {
            format!("{} cannot be read: {e}. `conclave ca crl` writes it", file.display()).into()
        })
    }

    pub(super) fn write_list(&self, text: &str) -> Result<PathBuf, Failure> {
        write_private(&self.list_file(), text.as_bytes())?;
        Ok(self.list_file())
    }
}
