use super::{CallError, Event};
use core::time::Duration;

/// What comes out of an event stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// The stream is open; what there is follows, up to [`Event::Ready`].
    Connected,
    /// The service says something.
    Event(Event),
    /// The stream is closed, or could not be opened; it is opened again after a while.
    Disconnected {
        /// Why.
        error: CallError,
        /// When it will be tried again.
        retry_in: Duration,
    },
}
