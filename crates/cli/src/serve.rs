//! `conclave serve`.

mod log;
mod settings;
mod sources;
pub(crate) mod values;

use crate::admin::AdminSocket;
use crate::failure::{Failure, complain};
use crate::folders;
use conclave_certificates::Bundle;
use conclave_delivery::attachments::{AttachmentLimits, AttachmentStore, FolderStore};
use conclave_delivery::http::CertifiersConfig;
use conclave_delivery::s3::{Credentials, Place, S3Store};
use conclave_delivery::serve;
use conclave_delivery::storage::SqliteStorage;
use conclave_delivery_api::Registration;
use conclave_mls::crypto::Secret;
use log::{Level, Log};
use settings::Settings;
pub(crate) use settings::default_address;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sources::{CONFIG_VARIABLE, File, Flags, Gathered, gather};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// How settings are given.
const SOURCES: &str = "\
Each setting is a flag, an environment variable, and a key of the file that --config names. --publish-every 30 is
CONCLAVE_PUBLISH_EVERY=30, and in the file:

  publish-every = 30

A flag counts more than a variable, a variable more than the file, the file more than the default. Sizes are bytes, or
as \"16 MiB\"; times are seconds, or as \"5 m\", \"1 h\", \"7 d\".";

#[derive(Debug, clap::Args)]
#[command(after_help = SOURCES)]
pub(crate) struct Args {
    /// The file of settings, in TOML [variable: CONCLAVE_CONFIG].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say what is in force and where it comes from, as such a file, and serve nothing.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    flags: Flags,
}

/// The settings from all sources; or what is wrong with them.
fn gathered(args: &Args) -> Result<Gathered, Vec<String>> {
    let path = args.config.clone().or_else(|| std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from));
    let text = path.as_deref().map(std::fs::read_to_string).transpose().map_err(|e| {
        let shown = path.as_deref().unwrap_or("".as_ref()).display();
        vec![format!("the file of settings {shown} cannot be read: {e}")]
    })?;
    let file = path.as_deref().zip(text.as_deref()).map(|(path, text)| File { path, text });
    let gathered = gather(&args.flags, |name| std::env::var(name).ok(), file.as_ref())?;
    match gathered.settings.contradictions() {
        wrong if wrong.is_empty() => Ok(gathered),
        wrong => Err(wrong),
    }
}

/// How many files are kept back for what is no connection: the database, its readers, the logs.
const OTHER_FILES: usize = 64;

/// How many files this process may have open, after it has asked for as many as it can get.
fn open_files() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        let current = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        // None means that there is no limit.
        current.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
    }
    #[cfg(not(unix))]
    usize::MAX
}

/// The CAs that certify devices, if the service is to trust some.
fn certifiers(settings: &Settings) -> Result<Option<CertifiersConfig>, Failure> {
    let Some(trust) = settings.trust.clone() else {
        return match settings.revocations {
            Some(_) => Err("--revocations belongs to --trust: lists of which CA?".into()),
            None => Ok(None),
        };
    };
    let text = folders::read_file(&trust)?;
    let bundle = Bundle::from_pem(&text).map_err(|e| format!("{}: {e}", trust.display()))?;
    let revocations = settings.revocations.clone();
    Ok(Some(CertifiersConfig { roots: bundle.certificates, revocations }))
}

type KeptAttachments = (Arc<dyn AttachmentStore>, AttachmentLimits);

/// Where attachments are kept, and what of them.
fn attachments(settings: &Settings, data: &Path) -> Result<Option<KeptAttachments>, Failure> {
    if settings.no_attachments {
        return Ok(None);
    }
    let folder = settings.attachments.clone().unwrap_or_else(|| data.join("attachments"));
    let store = FolderStore::open(&folder).map_err(|e| {
        format!("the folder of attachments {} cannot be used: {e}", folder.display())
    })?;
    let limits = settings.attachment_limits();
    match settings.bucket() {
        None => Ok(Some((Arc::new(store), limits))),
        Some(place) => Ok(Some((in_bucket(place?, store)?, limits))),
    }
}

/// The bucket of attachments, with the credentials of the environment.
fn in_bucket(place: Place, uploads: FolderStore) -> Result<Arc<S3Store>, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let needed = |name: &str| {
        variable(name).ok_or_else(|| format!("attachments-bucket needs the variable {name}"))
    };
    let secret = |text: String| Secret::new(text.into_bytes());
    let credentials = Credentials {
        access_key: needed("AWS_ACCESS_KEY_ID")?,
        secret_key: secret(needed("AWS_SECRET_ACCESS_KEY")?),
        session_token: variable("AWS_SESSION_TOKEN").map(secret),
    };
    let store = S3Store::new(place, credentials, crate::provider::provider(), uploads);
    let store = Arc::new(store);
    let checked = store.clone();
    // Messages do not wait for it.
    std::thread::Builder::new().name("conclave-bucket".into()).spawn(move || {
        if let Err(e) = checked.check() {
            let what =
                format!("attachments cannot be kept yet: {e}. The service runs without them");
            complain(&what);
        }
    })?;
    Ok(store)
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let gathered = match gathered(&args) {
        Ok(gathered) => gathered,
        Err(wrong) => {
            wrong.iter().for_each(|why| complain(why));
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut out = std::io::stdout();
    if args.check {
        write!(out, "{}", gathered.to_toml())?;
        return Ok(ExitCode::SUCCESS);
    }

    let settings = gathered.settings;
    let data = match settings.data.clone() {
        Some(data) => data,
        None => folders::default_folder()?.join(folders::SERVICE),
    };
    folders::make_private(&data)?;

    let log = settings.log();
    let stop = signals(log)?;
    let mut config = settings.config();
    let files = open_files();
    if config.connections > files.saturating_sub(OTHER_FILES) {
        config.connections = files.saturating_sub(OTHER_FILES).max(1);
        let connections = config.connections;
        let what = format!(
            "there are {connections} connections at most, as the system allows {files} open files: raise its limit \
             (ulimit -n, or LimitNOFILE= of systemd)"
        );
        log.say(Level::Warn, "limits", &what);
    }

    config.certifiers = certifiers(&settings)?;
    config.attachments = attachments(&settings, &data)?;
    config.acme = settings.acme(&data).transpose()?;
    config.on_request = Some(Arc::new(move |observed| log.observed(observed)));
    let who = match config.registration {
        _ if config.certifiers.is_some() && settings.revocations.is_none() => {
            "devices are certified by a CA; WITHOUT --revocations none of them is ever revoked"
        }
        _ if config.certifiers.is_some() => "devices are certified by a CA",
        Registration::Open => "anybody may create an account",
        Registration::Invitation => "new users need an invitation: conclave admin invite",
        Registration::Closed => "no new accounts",
    };

    let storage = SqliteStorage::open(&data)?;
    let upgraded = storage.upgraded().cloned();
    let server = serve(config, storage)?;
    // Without it the service is as good for its users.
    let admin = AdminSocket::open(&data, server.administer());
    let _admin = admin.map_err(|e| complain(&format!("{e}. The service runs without it"))).ok();
    writeln!(out, "listening on {}", server.url())?;
    if let Some(monitor) = server.monitor_addr() {
        log.say(Level::Info, "metrics", &format!("http://{monitor}/metrics"));
    }
    writeln!(out, "{who}")?;
    if let Some(upgrade) = upgraded {
        writeln!(out, "{upgrade}")?;
    }
    writeln!(out, "state in {}; end with Ctrl-C", data.display())?;
    out.flush()?;

    // An error is the end of the thread that waits for signals, which is a stop too.
    let _ = stop.recv();
    log.say(Level::Info, "stop", "requests in work are finished");
    server.leave();
    std::thread::sleep(settings.stop_delay);
    if !server.shutdown() {
        let grace = settings.grace.as_secs();
        complain(&format!("stopped, with requests that were in work for more than {grace} s"));
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "stopped")?;
    Ok(ExitCode::SUCCESS)
}

/// From here on a signal is no sudden end, but the second one. What comes out is told of the first.
fn signals(log: Log) -> Result<Receiver<()>, Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (to, first) = channel();
    std::thread::Builder::new().name("conclave-signals".into()).spawn(move || {
        let mut signals = signals.forever();
        let _ = signals.next().map(|_| to.send(()));
        if let Some(signal) = signals.next() {
            log.say(Level::Warn, "stop", "a second signal: requests in work are not finished");
            // What was acknowledged is on disk. As a shell says of whom a signal has ended:
            std::process::exit(128 + signal);
        }
    })?;
    Ok(first)
}
