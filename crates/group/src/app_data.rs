//! Data of application components in commits (draft-ietf-mls-extensions-10, "Updating Application Data
//! in the GroupContext" and "Attaching Application Data to a Commit").

use alloc::vec::Vec;
use conclave_wire::{Bytes, ComponentId, Sender};

/// A component whose data in the GroupContext a commit updates. The component decides what the updates
/// mean: the answer is its new data. If it does not know the component or finds an update invalid, the
/// application refuses the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDataRequest {
    /// The component.
    pub component_id: ComponentId,
    /// Its data before the commit. None if it has none.
    pub current: Option<Bytes>,
    /// The updates in the commit's order, each with its proposer.
    pub updates: Vec<(Sender, Bytes)>,
}

/// A change of a component's data in the GroupContext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDataChange {
    /// The component.
    pub component_id: ComponentId,
    /// Its data before. None if it had none.
    pub old: Option<Bytes>,
    /// Its data from now on. None if it was removed.
    pub new: Option<Bytes>,
}

/// Data of a component that a commit holds for its members, and that changes nothing in the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralData {
    /// The proposer.
    pub sender: Sender,
    /// The component.
    pub component_id: ComponentId,
    /// The data.
    pub data: Bytes,
}
