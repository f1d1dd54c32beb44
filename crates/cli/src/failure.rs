//! What becomes of a command that fails.

use conclave_client::plain;
use std::io::Write;

/// Why a command failed, for people.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Says on standard error what went wrong. It may quote the service, so it is made safe to show.
pub(crate) fn complain(what: &str) {
    // If that is gone, there is nowhere left to say it.
    let _ = writeln!(std::io::stderr(), "conclave: {}", plain(what));
}
