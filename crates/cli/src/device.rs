//! Which device a command is about, and how it is opened.

use crate::failure::Failure;
use crate::folders;
use crate::keys::KeyArgs;
use crate::provider::provider;
use crate::sealing::{SealArgs, device_args, open_state};
use crate::serve::default_address;
use crate::server_url::{TlsArgs, parse_server};
use conclave_client::{DeviceId, Engine, KeyPolicy, Name, open_device};
use conclave_store::SqliteStore;
use std::path::{Path, PathBuf};

/// The service that devices use.
#[derive(Debug, clap::Args)]
pub(crate) struct ServiceArgs {
    /// The service, which `conclave serve` runs on this machine unless it is told otherwise. Where others may
    /// listen in, it has to be an https:// address.
    #[arg(long, value_name = "URL", default_value_t = format!("http://{}", default_address()),
          value_parser = parse_server)]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) seal: SealArgs,
}

/// One device.
#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// Who you are.
    #[arg(long, short = 'u', value_name = "USER")]
    user: Name,
    /// Which of your devices this is.
    #[arg(long, value_name = "NAME", default_value = "main")]
    device: Name,
    /// The folder of all users' state [default: ~/.local/share/conclave]. This device's is in
    /// USER/DEVICE below it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

impl DeviceArgs {
    /// The device, and the folder of its state, which is made unless it is there.
    pub(crate) fn place(&self) -> Result<(DeviceId, PathBuf), Failure> {
        let folder = folders::device_folder(self.data.clone(), &self.user, &self.device)?;
        Ok((DeviceId::new(self.user.clone(), self.device.clone()), folder))
    }

    /// Where the folder of the device's state is, if there is one.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        folders::device_path(self.data.clone(), &self.user, &self.device)
    }
}

/// One device, which the command runs, unless another process does.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
}

/// Opens a device from its folder, or makes it.
pub(crate) fn open(
    device: &DeviceId,
    folder: &Path,
    seal: &SealArgs,
    keys: KeyPolicy,
) -> Result<Engine<SqliteStore>, Failure> {
    let store = open_state(folder, seal, &device_args(&device.user, &device.device))?;
    Ok(open_device(device.clone(), provider(), store, keys, folder)?)
}
