//! `conclave bot`.

use crate::device::{self, ServiceArgs};
use crate::failure::Failure;
use crate::folders;
use crate::keys::KeyArgs;
use crate::rpc::{self, Devices, Opened};
use crate::webhook::{Webhook, parse_target};
use conclave_client::{DeviceId, Name};
use std::io::{stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

const PROTOCOL: &str = "\
Each line of the input is a request of JSON-RPC 2.0, each line of the output an
answer or a notification:

  {\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"rooms\"}

Methods are devices, rooms, members, send, send_file, save, invite, remove, create,
leave, accept, decline, set_expiry, set_reports, preauthorized, preauthorize,
unpreauthorize, set_profile, profile, history, acknowledge and subscribe.
After subscribe, each event is a notification with a cursor. It comes again after
each subscribe, until a client acknowledges it. docs/bots.md explains the protocol,
docs/bot.schema.json defines it.

The process ends with its input, unless it has a socket or a webhook.";

#[derive(Debug, clap::Args)]
#[command(after_help = PROTOCOL)]
pub(crate) struct Args {
    /// The folders of the devices, each USER/DEVICE in the folder of all users' state.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Also serve clients at this Unix socket, which only its owner can open.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Post each event to this address, in order and until it answers 2xx, which acknowledges the event.
    #[arg(long, value_name = "URL", requires = "webhook_secret_file", value_parser = parse_target)]
    webhook: Option<String>,
    /// The file whose first line is the key of the webhook's signatures, at least 16 bytes.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_secret_file: Option<PathBuf>,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

/// The device whose folder this is.
fn device_of(folder: &Path) -> Result<DeviceId, Failure> {
    let absolute = std::path::absolute(folder)?;
    let name =
        |path: Option<&Path>| -> Option<Name> { path?.file_name()?.to_str()?.parse::<Name>().ok() };
    match (name(absolute.parent()), name(Some(&absolute))) {
        (Some(user), Some(device)) => Ok(DeviceId::new(user, device)),
        _ => Err(format!("{} does not end in USER/DEVICE", folder.display()).into()),
    }
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let ServiceArgs { server, tls, seal } = &args.service;
    let roots = tls.roots()?;
    let webhook = match (args.webhook, &args.webhook_secret_file) {
        (Some(url), Some(secret)) => Some(Webhook::new(url, secret, roots.as_ref())?),
        _ => None,
    };
    let mut opened = Vec::new();
    for folder in &args.folders {
        let device = device_of(folder)?;
        folders::make_private(folder)?;
        let engine = device::open(&device, folder, seal, args.keys.policy())?;
        opened.push(Opened { engine, folder: folder.clone() });
    }

    let devices = rpc::start(opened, server, roots.as_ref())?;
    let stays = webhook.is_some() || args.socket.is_some();
    if let Some(path) = &args.socket {
        listen(path, &devices)?;
    }
    if let Some(webhook) = webhook {
        webhook.start(&devices)?;
    }
    rpc::serve(stdin(), stdout(), &devices)?;
    if stays {
        loop {
            std::thread::park();
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(unix)]
fn listen(path: &Path, devices: &Arc<Devices>) -> Result<(), Failure> {
    rpc::listen(path, devices.clone())
}

#[cfg(not(unix))]
fn listen(_: &Path, _: &Arc<Devices>) -> Result<(), Failure> {
    Err("there are no Unix sockets here".into())
}
