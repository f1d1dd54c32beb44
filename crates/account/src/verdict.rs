//! The account's answer to MLS's question.

use crate::account::{Account, Standing};
use crate::names::DeviceId;
use alloc::format;
use conclave_mls::Verdict;
use conclave_mls::credential::CredentialRequest;

impl Account {
    /// Whether a basic credential's key is an active device's, as of the log's last entry.
    ///
    /// The credential must name this account's user, as `user/device`. What the credential replaces is judged, too:
    /// a device takes no other device's place (RFC 9420 section 5.3.1).
    #[must_use]
    pub fn verdict(&self, request: &CredentialRequest) -> Verdict {
        let refuse = |reason: &str| Verdict::refuse(reason);
        let Some(identity) = request.credential.identity() else {
            return refuse("its credential is not a basic one");
        };
        let device = match DeviceId::from_identity(identity) {
            Ok(device) => device,
            Err(e) => return refuse(&format!("its credential names no device: {e}")),
        };
        if device.user != self.user {
            return refuse(&format!("{device} is no device of {}", self.user));
        }
        if request.replaces.as_ref().is_some_and(|old| old.identity() != Some(identity)) {
            return refuse(&format!("{device} would take another device's place"));
        }

        match self.standing(&device.device, &request.signature_key) {
            Standing::Active(_) => Verdict::Accept,
            Standing::Ended(_, end) if end.rotated => {
                refuse(&format!("{device} has another key since then"))
            }
            Standing::Ended(..) => refuse(&format!("{device} was revoked")),
            Standing::OtherKey(_) => refuse(&format!("{device} has another key in its account")),
            Standing::Unknown => refuse(&format!("the account of {} has no {device}", self.user)),
        }
    }
}
