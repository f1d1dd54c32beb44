//! The implementations that are compared.

use crate::client::{Client, Result};
use crate::conclave;
#[cfg(feature = "peers")]
use crate::{mls_rs_client, openmls_client};
use std::fmt;

/// An implementation of MLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stack {
    Conclave,
    MlsRs,
    OpenMls,
}

impl Stack {
    pub const ALL: [Self; 3] = [Self::Conclave, Self::MlsRs, Self::OpenMls];

    /// Its name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conclave => "conclave",
            Self::MlsRs => "mls-rs",
            Self::OpenMls => "openmls",
        }
    }

    /// Its version, from the lock file of this build.
    pub fn version(self) -> &'static str {
        const LOCK: &str = include_str!("../Cargo.lock");
        let package = match self {
            Self::Conclave => "name = \"conclave-mls\"",
            Self::MlsRs => "name = \"mls-rs\"",
            Self::OpenMls => "name = \"openmls\"",
        };
        let version = LOCK.split_once(package).and_then(|(_, rest)| rest.split('"').nth(1));
        version.unwrap_or("?")
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stack| stack.name() == name)
    }

    /// A new client of this stack, in no group.
    pub fn client(self, name: &str) -> Result<Box<dyn Client>> {
        Ok(match self {
            Self::Conclave => Box::new(conclave::ConclaveClient::new(name)?),
            #[cfg(feature = "peers")]
            Self::MlsRs => mls_rs_client::client(name)?,
            #[cfg(feature = "peers")]
            Self::OpenMls => Box::new(openmls_client::OpenMlsClient::new(name)?),
            #[cfg(not(feature = "peers"))]
            Self::MlsRs | Self::OpenMls => {
                return Err(
                    format!("{self} was left out of this build: run `cargo bench-peers`").into()
                );
            }
        })
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
