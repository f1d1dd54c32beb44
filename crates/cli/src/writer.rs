//! Which process has a device's folder.
//!
//! The lock is the state's own, which the system releases however a process ends. The file `writer` beside it names the
//! process that took it last, and says how often it was taken: so a second process can say which one it waits for, and
//! one that was killed blocks nobody.

use crate::failure::Failure;
use conclave_client::write_private;
use conclave_store::StoreError;
use core::fmt;
use std::path::{Path, PathBuf};

const FILE: &str = "writer";

/// The process that took the folder last, and how often it was taken until then.
fn last(folder: &Path) -> Option<(u32, u64)> {
    let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
    let (process, generation) = text.trim_end().split_once(' ')?;
    Some((process.parse().ok()?, generation.parse().ok()?))
}

/// Notes that this process has the folder. It has to hold the state.
pub(crate) fn note(folder: &Path) -> Result<(), Failure> {
    let generation = last(folder).map_or(1, |(_, generation)| generation.saturating_add(1));
    let text = format!("{} {generation}\n", std::process::id());
    let file = folder.join(FILE);
    write_private(&file, text.as_bytes())
        .map_err(|e| format!("{} cannot be written: {e}", file.display()).into())
}

/// Why a state cannot be opened: an [`InUse`] if another process has it.
pub(crate) fn named(folder: &Path, why: Failure) -> Failure {
    let Some(StoreError::InUse(state)) = why.downcast_ref() else { return why };
    let process = last(folder).map(|(process, _)| process);
    InUse { state: state.clone(), process }.into()
}

/// Another process has the state.
#[derive(Debug)]
pub(crate) struct InUse {
    state: PathBuf,
    /// Which, if that is known.
    process: Option<u32>,
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.display();
        match self.process {
            Some(process) => write!(f, "{state} is in use by process {process}"),
            None => write!(f, "{state} is in use by another process"),
        }
    }
}

impl core::error::Error for InUse {}
