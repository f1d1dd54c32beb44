//! What ends a messenger.

use conclave_engine::EngineError;
use conclave_history::HistoryError;
use core::fmt;
use std::io;
use std::path::PathBuf;

/// Why a messenger ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The state cannot be written, or is damaged.
    Engine(EngineError),
    /// Output cannot be shown.
    Screen(io::Error),
    /// Evidence against the service cannot be written to this file.
    Evidence(PathBuf, io::Error),
    /// What was said cannot be kept or read.
    History(HistoryError),
    /// The files that are sent or saved cannot be kept.
    Files(io::Error),
    /// The threads cannot be started.
    Threads(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(e) => fmt::Display::fmt(e, f),
            Self::Screen(e) => write!(f, "the output cannot be written: {e}"),
            Self::History(e) => fmt::Display::fmt(e, f),
            Self::Evidence(file, e) => write!(f, "{} cannot be written: {e}", file.display()),
            Self::Files(e) => write!(f, "the folder of files under way cannot be used: {e}"),
            Self::Threads(e) => write!(f, "a thread cannot be started: {e}"),
        }
    }
}

impl core::error::Error for RunError {}

impl From<EngineError> for RunError {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

impl From<HistoryError> for RunError {
    fn from(e: HistoryError) -> Self {
        Self::History(e)
    }
}

/// Why the messenger cannot go on.
#[derive(Debug)]
pub(crate) enum ChatError {
    History(HistoryError),
    Engine(EngineError),
}

impl From<HistoryError> for ChatError {
    fn from(e: HistoryError) -> Self {
        Self::History(e)
    }
}

impl From<EngineError> for ChatError {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

impl From<ChatError> for RunError {
    fn from(e: ChatError) -> Self {
        match e {
            ChatError::History(e) => Self::History(e),
            ChatError::Engine(e) => Self::Engine(e),
        }
    }
}
