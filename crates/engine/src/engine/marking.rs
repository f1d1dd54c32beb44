//! How far a process has come with showing that it goes on from the device's state.

use conclave_delivery_api::StateMark;

/// What of this process the service knows.
#[derive(Debug, Default)]
pub(super) struct Marking {
    /// The mark of this session.
    pub(super) mark: Option<StateMark>,
    /// Whether the service has taken it.
    pub(super) taken: bool,
    /// How often in a row the account did not take the new key.
    pub(super) tries: u32,
}
