//! The implementations that share groups.

use crate::member::{Member, Observe, Result};
use crate::suite::{Suite, in_openmls};
use conclave_mls::crypto::PqSuite;
use std::fmt;

/// An implementation of MLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stack {
    /// This repository.
    Conclave,
    /// By Phoenix R&D and Cryspen, in Rust.
    OpenMls,
    /// By Amazon, in Rust.
    MlsRs,
    /// In TypeScript, in a process of Node: version 1.
    TsMls1,
    /// The same, version 2.
    TsMls2,
}

impl Stack {
    /// All stacks.
    pub const ALL: [Self; 5] =
        [Self::Conclave, Self::OpenMls, Self::MlsRs, Self::TsMls1, Self::TsMls2];

    /// Whether both are the same stack, be it in two versions.
    pub fn is_related(self, other: Self) -> bool {
        let versions = [Self::TsMls1, Self::TsMls2];
        self == other || versions.contains(&self) && versions.contains(&other)
    }

    /// Its name on the command line and on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conclave => "conclave",
            Self::OpenMls => "openmls",
            Self::MlsRs => "mls-rs",
            Self::TsMls1 => "ts-mls-1",
            Self::TsMls2 => "ts-mls-2",
        }
    }

    /// The stack with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stack| stack.name() == name)
    }

    /// Its version, from the lock file that it was built or installed by.
    pub fn version(self) -> String {
        const CARGO: &str = include_str!("../../Cargo.lock");
        const NPM: &str = include_str!("../../ts/package-lock.json");
        let after = |text: &str, key: &str, value: &str| {
            let found = text.split_once(key)?.1.split_once(value)?.1.split_once('"')?.0;
            Some(found.to_owned())
        };

        let crates = |name| after(CARGO, &format!("name = \"{name}\"\n"), "version = \"");
        let version = match self {
            Self::Conclave => crates("conclave-mls"),
            Self::OpenMls => crates("openmls"),
            Self::MlsRs => crates("mls-rs"),
            Self::TsMls1 => after(NPM, "\"node_modules/ts-mls-1\"", "\"version\": \""),
            Self::TsMls2 => after(NPM, "\"node_modules/ts-mls-2\"", "\"version\": \""),
        };

        version.unwrap_or_else(|| "?".to_owned())
    }

    /// Whether it has a suite, with the crypto provider that it runs with here.
    pub fn has(self, suite: Suite) -> bool {
        match (self, suite) {
            (Self::Conclave, _) | (Self::TsMls1 | Self::TsMls2, Suite::Rfc(_)) => true,
            (Self::OpenMls, Suite::Rfc(n) | Suite::Extended(n)) => n <= 3,
            (Self::OpenMls, Suite::Draft(suite) | Suite::Mended(suite)) => in_openmls(suite),
            (Self::MlsRs, Suite::Rfc(n) | Suite::Rcs(n)) => [1, 2, 3, 5, 7].contains(&n),
            // OpenMLS has SelfRemove at the draft's code point only, mls-rs at the one of RCS only.
            (Self::OpenMls, Suite::Rcs(_)) | (Self::MlsRs, Suite::Extended(_)) => false,
            (Self::TsMls1 | Self::TsMls2, Suite::Extended(_) | Suite::Rcs(_)) => false,
            // Only two of its post-quantum suites have the components of one of the draft's.
            (Self::MlsRs, Suite::Draft(suite)) => {
                [PqSuite::MlKem768X25519Aes128Ed25519, PqSuite::MlKem1024Aes256P384]
                    .contains(&suite)
            }
            (Self::MlsRs, Suite::Mended(_)) => false,
            // None of its post-quantum suites has the components of one of the draft's.
            (Self::TsMls1 | Self::TsMls2, Suite::Draft(_)) => false,
            (Self::TsMls1 | Self::TsMls2, Suite::Mended(_)) => true,
        }
    }

    /// Fails if it cannot run here, and says why.
    pub fn available(self) -> Result<()> {
        match self {
            Self::TsMls1 => crate::ts_mls::available(1),
            Self::TsMls2 => crate::ts_mls::available(2),
            _ => Ok(()),
        }
    }

    /// A client that follows the group of a GroupInfo with a tree, without being a member.
    pub fn observer(self, group_info: &[u8], suite: Suite) -> Result<Box<dyn Observe>> {
        match self {
            Self::Conclave => crate::conclave::observer(group_info, suite),
            Self::OpenMls => crate::openmls::observer(group_info, suite),
            other => Err(format!("{other} is not tried as an observer").into()),
        }
    }

    /// A new client, in no group.
    pub fn client(self, name: &str, suite: Suite) -> Result<Box<dyn Member>> {
        match self {
            Self::Conclave => crate::conclave::client(name, suite),
            Self::OpenMls => crate::openmls::client(name, suite),
            Self::MlsRs => crate::mls_rs::client(name, suite),
            Self::TsMls1 => crate::ts_mls::client(1, name, suite),
            Self::TsMls2 => crate::ts_mls::client(2, name, suite),
        }
    }
}

/// The stacks that have a suite.
pub fn having(stacks: &[Stack], suite: Suite) -> Vec<Stack> {
    stacks.iter().copied().filter(|stack| stack.has(suite)).collect()
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
