//! The outcome of what is heard, and of what a user asks for.

use crate::error::ChatError;
use crate::history_word::Heard;
use crate::lines::Shown;
use conclave_engine::{AppRows, Content};
use conclave_mls::GroupId;

/// What came of a batch of events.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) shown: Vec<Shown>,
    /// What is to be written with the note that the events were taken.
    pub(crate) rows: AppRows,
    pub(crate) adopted: Vec<(GroupId, u64)>,
    /// What is to be sent then.
    pub(crate) to_send: Vec<(GroupId, Content)>,
    /// What other devices of this user's have said to this one.
    pub(crate) heard: Vec<Heard>,
}

/// Why a command was not carried out.
pub(crate) enum Failure {
    /// The user is told why.
    Refused(String),
    Fatal(ChatError),
}

impl<E: Into<ChatError>> From<E> for Failure {
    fn from(e: E) -> Self {
        Self::Fatal(e.into())
    }
}

pub(crate) fn refused(why: impl Into<String>) -> Failure {
    Failure::Refused(why.into())
}
