//! Checking a file of evidence.

use crate::failure::{Failure, complain};
use conclave_client::plain;
use conclave_delivery::http_client::Client;
use conclave_delivery_api::{DescribeService, LogEvidence, SESSION_SCHEME, to_hex};
use conclave_directory::{Evidence, MAX_EVIDENCE, ServiceKey};
use std::fs::File;
use std::io::{Read, Write, stdout};
use std::path::Path;
use std::process::ExitCode;

/// Says what a file proves, and of whom.
pub(super) fn check(file: &Path, service: Option<&Client>) -> Result<ExitCode, Failure> {
    let unread = |e: std::io::Error| format!("{} cannot be read: {e}", file.display());
    let mut bytes = Vec::new();
    let most = MAX_EVIDENCE as u64 + 1;
    File::open(file).map_err(unread)?.take(most).read_to_end(&mut bytes).map_err(unread)?;

    let provider = crate::provider::provider();
    let (report, key) = match LogEvidence::is_kind_of(&bytes) {
        true => LogEvidence::read(&bytes)
            .and_then(|evidence| {
                let public = evidence.service_key.clone();
                Ok((evidence.report(&*provider)?, ServiceKey { scheme: SESSION_SCHEME, public }))
            })
            .map_err(|e| format!("{}: {e}", file.display()))?,
        false => Evidence::read(&bytes)
            .and_then(|evidence| Ok((evidence.report(&*provider)?, evidence.key().clone())))
            .map_err(|e| format!("{}: {e}", file.display()))?,
    };
    let mut out = stdout();
    for line in report.lines() {
        writeln!(out, "{}", plain(line))?;
    }
    writeln!(
        out,
        "It concerns everybody who uses the service with this key: its operator signed this, or somebody \
         else has the key, or the service went on from an old backup."
    )?;

    if let Some(service) = service {
        writeln!(out, "{}", whose(&key, service)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a key is that of the service at an address.
fn whose(key: &ServiceKey, service: &Client) -> Result<String, Failure> {
    let info = service.call(&DescribeService {}).inspect_err(|_| {
        complain("cannot tell whether the evidence is about the service there");
    })?;
    let url = service.url();
    let there = ServiceKey { scheme: SESSION_SCHEME, public: info.key };
    if there == *key {
        return Ok(format!("The service at {url} has this key."));
    }
    Ok(format!(
        "The service at {url} has another key now, {}: this is about another service, or about this one \
         before it was set up anew.",
        to_hex(&there.public)
    ))
}
