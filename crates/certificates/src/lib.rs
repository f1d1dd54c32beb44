//! Whose key it is, by X.509: the counterpart of account logs (`conclave-account`) for organisations whose CA
//! certifies the devices of their users.
//!
//! * [`Roots`]: the CAs that are trusted to name devices, with their revocation lists. It judges credentials, and
//!   says whether a member's certificate still counts. The service and its clients use the same;
//! * [`device_of`]: the device that a credential names;
//! * [`CertificateRequest`]: what a device asks a CA to certify (PKCS#10);
//! * [`Ca`]: what a CA signs: its own certificate, those of devices, revocation lists.
//!
//! A device's certificate names it in a URI among its alternative names, in the manner of MIMI:
//! `mimi://DOMAIN/d/USER~DEVICE`. A root says for which domain it speaks, as `mimi://DOMAIN`.
//!
//! It has no I/O and no clock.
#![forbid(unsafe_code)]

mod ca;
mod der;
mod lists;
mod names;
mod pem;
mod request;
mod roots;

pub use ca::{Ca, CaError, Lifetime, Revoked};
pub use conclave_x509::{EndEntity, Moment, X509Error, credential};
pub use lists::ListInfo;
pub use names::{DomainError, check_domain, device_of, device_uri};
pub use pem::{Bundle, CERTIFICATE, REQUEST, REVOCATION_LIST, from_pem, to_pem};
pub use request::{CertificateRequest, RequestError};
pub use roots::{Ended, Roots, RootsError, Standing};
