//! `conclave ca`.

mod folder;
mod index;

use crate::failure::Failure;
use crate::folders::{self, read_file};
use crate::input::now;
use conclave_account::{DeviceId, Name};
use conclave_certificates::{
    CERTIFICATE, Ca, CertificateRequest, Lifetime, REQUEST, REVOCATION_LIST, Revoked, from_pem,
    to_pem,
};
use conclave_client::{os_rng, parse_duration, timestamp};
use conclave_delivery_api::{parse_hex, to_hex};
use conclave_mls::UnixTime;
use conclave_mls::crypto::SignatureScheme;
use folder::Folder;
use index::{Entry, Issued};
use std::io::{Write, stderr, stdout};
use std::path::PathBuf;
use std::time::Duration;

/// How it all goes together.
const STEPS: &str = "\
  conclave ca root --domain example.com                    once
  conclave certificate request alice > alice.csr           on the device
  conclave ca issue alice.csr > alice.pem                  here
  conclave chat alice --certificate alice.pem --trust root.pem
  conclave serve --trust root.pem --revocations crl.pem    the service

root.pem and crl.pem are in the CA's folder. Times are written as 90d, 12h, 30m or 45s.";

#[derive(Debug, clap::Args)]
#[command(after_help = STEPS)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The CA's folder, which holds its key [default: ~/.local/share/conclave-ca].
    #[arg(long, value_name = "DIR", global = true)]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a CA: its key, its root certificate and an empty revocation list.
    Root(Root),
    /// Certify a device by its request, and print its certificate with the newest revocation list (PEM).
    Issue(Issue),
    /// Certify a device again, for longer: the key that it has, or another one by a request.
    Renew(Renew),
    /// Revoke certificates, and write a new revocation list.
    Revoke(Revoke),
    /// Write a new revocation list: before the last one runs out.
    Crl(Crl),
    /// List what was issued.
    List,
}

#[derive(Debug, clap::Args)]
struct Root {
    /// The domain whose devices it certifies, such as example.com.
    #[arg(long, value_name = "DOMAIN")]
    domain: String,
    /// Its name, for people.
    #[arg(long, value_name = "TEXT", default_value = "Conclave CA")]
    name: String,
    /// For how long its certificate is good.
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = parse_time)]
    lifetime: Duration,
    /// What it signs with.
    #[arg(long, value_name = "NAME", default_value = "ed25519")]
    algorithm: Algorithm,
    /// For how long its first revocation list is good.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    list_lifetime: Duration,
}

/// What a CA signs with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Algorithm {
    /// Ed25519.
    Ed25519,
    /// ML-DSA-65, which is post-quantum.
    #[value(name = "ml-dsa-65")]
    MlDsa65,
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// The file of the request; - is standard input. See to it that it comes from whom it names.
    request: PathBuf,
    /// Refuse a request of any other device than this one.
    #[arg(long, value_name = "USER/DEVICE")]
    device: Option<DeviceId>,
    /// For how long the certificate is good.
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = parse_time)]
    lifetime: Duration,
}

#[derive(Debug, clap::Args)]
struct Renew {
    /// Which device.
    device: DeviceId,
    /// The file of a request of this device, for another key (`conclave certificate request --new-key`).
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// For how long the certificate is good.
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = parse_time)]
    lifetime: Duration,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// All certificates of a user, or of USER/DEVICE.
    #[arg(required_unless_present = "serial")]
    who: Option<String>,
    /// The certificate with this serial number.
    #[arg(long, value_name = "HEX", conflicts_with = "who")]
    serial: Option<String>,
    #[command(flatten)]
    list: Crl,
}

#[derive(Debug, clap::Args)]
struct Crl {
    /// For how long the list is good. Devices accept nobody's certificate under one that has run out.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    list_lifetime: Duration,
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let seconds = parse_duration(text).map(Duration::from_secs);
    seconds.ok_or_else(|| "a time is a number with w, d, h, m or s after it, such as 90d".into())
}

fn from_now(lifetime: Duration) -> Result<Lifetime, Failure> {
    let not_before = now()?;
    Ok(Lifetime { not_before, not_after: not_before.saturating_add(lifetime) })
}

fn shown(at: UnixTime) -> String {
    timestamp(at.as_secs())
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let path = match args.dir {
        Some(dir) => dir,
        None => folders::default_folder()?.with_file_name("conclave-ca"),
    };
    match args.command {
        Command::Root(root) => make_root(&path, &root),
        Command::Issue(issue) => {
            let request = read_request(issue.request)?;
            if let Some(wanted) = issue.device.filter(|wanted| *wanted != request.device) {
                let found = request.device;
                return Err(format!("the request is of {found}, and not of {wanted}").into());
            }
            let mut folder = Folder::open(&path)?;
            if let Some(old) = folder.index.valid(&request.device, now()?) {
                let (device, serial) = (&request.device, to_hex(&old.serial));
                return Err(format!(
                    "{device} has a certificate that counts (serial {serial}): `conclave ca renew {device}` renews \
                     it, `conclave ca revoke {device}` ends it"
                )
                .into());
            }
            certify(&mut folder, &request, issue.lifetime)
        }
        Command::Renew(renew) => self::renew(&mut Folder::open(&path)?, renew),
        Command::Revoke(revoke) => self::revoke(&mut Folder::open(&path)?, &revoke),
        Command::Crl(crl) => write_list(&mut Folder::open(&path)?, crl.list_lifetime),
        Command::List => list(&Folder::open(&path)?),
    }
}

fn make_root(path: &std::path::Path, root: &Root) -> Result<(), Failure> {
    let provider = crate::provider::provider();
    let scheme = match root.algorithm {
        Algorithm::Ed25519 => SignatureScheme::Ed25519,
        Algorithm::MlDsa65 => SignatureScheme::MlDsa65,
    };
    let names = (root.name.as_str(), root.domain.as_str());
    let lifetime = from_now(root.lifetime)?;
    let ca = Ca::root(&*provider, &mut *os_rng(), scheme, names, lifetime)?;
    let mut folder = Folder::create(path, ca)?;
    write_list(&mut folder, root.list_lifetime)?;
    let (root, key) = (folder.root_file(), folder.key_file());
    writeln!(
        stderr(),
        "{} certifies the devices of {} until {}. Devices and the service trust it by {}. Its key is in {}: whoever has \
         it can be anybody",
        names.0,
        names.1,
        shown(lifetime.not_after),
        root.display(),
        key.display()
    )?;
    Ok(())
}

fn read_request(path: PathBuf) -> Result<CertificateRequest, Failure> {
    let shown = path.display().to_string();
    let text = read_file(&path)?;
    let der = from_pem(REQUEST, &text).map_err(|e| {
        format!(
            "{shown} is no certificate request, as `conclave certificate request` prints it: {e}"
        )
    })?;
    let read = CertificateRequest::read(&*crate::provider::provider(), &der);
    read.map_err(|e| format!("{shown}: {e}").into())
}

/// Certifies a device. It is in the index before anybody can have the certificate.
fn certify(
    folder: &mut Folder,
    request: &CertificateRequest,
    lifetime: Duration,
) -> Result<(), Failure> {
    let lifetime = from_now(lifetime)?;
    let end = folder.ca.not_after().unwrap_or(UnixTime::MAX);
    if lifetime.not_after > end {
        return Err(format!(
            "the certificate would outlast the CA's own, which is good until {}: --lifetime",
            shown(end)
        )
        .into());
    }
    let provider = crate::provider::provider();
    let (device, key) = (&request.device, (request.scheme, &request.key));
    let (der, serial) = folder.ca.issue(&*provider, &mut *os_rng(), device, key, lifetime)?;
    let issued = Issued { serial, device: device.clone(), lifetime };
    folder.index.append(&Entry::Issued(issued.clone()))?;
    let text = to_pem(CERTIFICATE, &der).ok_or("the certificate is too long")?;
    folder.keep_certificate(&issued.serial, &text)?;

    // The list is why a device notices at once if the service keeps lists back.
    let list = folder.read_list()?;
    let mut out = stdout();
    write!(out, "{text}{list}")?;
    out.flush()?;
    writeln!(
        stderr(),
        "issued {device}, serial {}, until {}",
        to_hex(&issued.serial),
        shown(lifetime.not_after)
    )?;
    Ok(())
}

fn renew(folder: &mut Folder, renew: Renew) -> Result<(), Failure> {
    let device = renew.device;
    let Some(old) = folder.index.newest(&device).cloned() else {
        return Err(format!(
            "{device} has no certificate that could be renewed, or it was revoked: `conclave ca issue` makes a new one"
        )
        .into());
    };
    let request = match renew.request {
        Some(path) => {
            let request = read_request(path)?;
            if request.device != device {
                return Err(
                    format!("the request is of {}, and not of {device}", request.device).into()
                );
            }
            request
        }
        None => {
            let read = folder.certificate(&old.serial)?;
            let scheme = read.scheme.ok_or("the former certificate is damaged")?;
            CertificateRequest { device, scheme, key: read.key }
        }
    };
    certify(folder, &request, renew.lifetime)
}

fn revoke(folder: &mut Folder, revoke: &Revoke) -> Result<(), Failure> {
    let serials: Vec<Vec<u8>> = match (&revoke.serial, &revoke.who) {
        (Some(serial), _) => {
            let serial =
                parse_hex(&serial.replace(':', "")).ok_or("a serial number is hexadecimal")?;
            vec![serial]
        }
        (None, Some(who)) => {
            let (user, device): (Name, Option<Name>) = match who.split_once('/') {
                Some((user, device)) => (user.parse()?, Some(device.parse()?)),
                None => (who.parse()?, None),
            };
            let is_meant = |issued: &&Issued| {
                issued.device.user == user
                    && device.as_ref().is_none_or(|device| *device == issued.device.device)
            };
            folder.index.issued().filter(is_meant).map(|issued| issued.serial.clone()).collect()
        }
        (None, None) => Vec::new(),
    };
    let open: Vec<&Vec<u8>> = serials.iter().filter(|s| folder.index.counts(s)).collect();
    if open.is_empty() {
        return Err(
            "no certificate is meant that was issued and not revoked: `conclave ca list` shows all"
                .into(),
        );
    }
    let at = now()?;
    for serial in open {
        folder.index.append(&Entry::Revoked(Revoked { serial: serial.clone(), at }))?;
        writeln!(stderr(), "revoked serial {}", to_hex(serial))?;
    }
    write_list(folder, revoke.list.list_lifetime)
}

/// Writes a revocation list of the next number.
fn write_list(folder: &mut Folder, lifetime: Duration) -> Result<(), Failure> {
    let lifetime = from_now(lifetime)?;
    let number = folder.index.next_list();
    folder.index.append(&Entry::List(number))?;
    let provider = crate::provider::provider();
    // What has expired is not accepted anyway, but by those who join a group for a while: it stays on the list.
    let revoked: Vec<Revoked> = folder.index.revoked().cloned().collect();
    let der = folder.ca.revocation_list(&*provider, number, lifetime, &revoked)?;
    let text = to_pem(REVOCATION_LIST, &der).ok_or("the list is too long")?;
    let file = folder.write_list(&text)?;
    writeln!(
        stderr(),
        "{} revokes {} certificates and is good until {}: give it to the service, and write the next one before that \
         (conclave ca crl)",
        file.display(),
        revoked.len(),
        shown(lifetime.not_after)
    )?;
    Ok(())
}

fn list(folder: &Folder) -> Result<(), Failure> {
    let now = now()?;
    let mut out = stdout();
    for issued in folder.index.issued() {
        let state = match () {
            () if !folder.index.counts(&issued.serial) => "revoked",
            () if issued.lifetime.not_after < now => "expired",
            () => "valid",
        };
        writeln!(
            out,
            "{} {} from {} until {} {state}",
            to_hex(&issued.serial),
            issued.device,
            shown(issued.lifetime.not_before),
            shown(issued.lifetime.not_after)
        )?;
    }
    Ok(())
}
