//! Acknowledgements of application messages (draft-ietf-mls-extensions-10, "AppAck").

use crate::codec::codec;
use crate::tree_math::LeafIndex;
use alloc::vec::Vec;

/// Messages of one sender whose generations follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRange {
    /// The sender.
    pub sender: LeafIndex,
    /// The generation of the first message.
    pub first_generation: u32,
    /// The generation of the last message.
    pub last_generation: u32,
}
codec!(MessageRange { sender, first_generation, last_generation });

impl MessageRange {
    /// Whether a message is among these. A range that ends before it begins holds none.
    #[must_use]
    pub fn contains(&self, sender: LeafIndex, generation: u32) -> bool {
        self.sender == sender
            && (self.first_generation..=self.last_generation).contains(&generation)
    }
}

/// The application messages of the current epoch that a member has received: the data of an
/// AppEphemeral proposal of the component `app_ack`.
///
/// Gaps between the ranges, and messages that the proposal of their own sender counts and another
/// member's does not, show that the delivery service has dropped messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppAck {
    /// What was received.
    pub received_ranges: Vec<MessageRange>,
}
codec!(AppAck { received_ranges });

impl AppAck {
    /// The acknowledgement of messages, each its sender and generation, in any order. As few ranges as
    /// possible, by sender and generation.
    ///
    /// ```
    /// use conclave_wire::{AppAck, LeafIndex};
    ///
    /// let ack = AppAck::of([(LeafIndex(1), 0), (LeafIndex(1), 2), (LeafIndex(1), 1)]);
    /// assert_eq!(ack.received_ranges.len(), 1);
    /// assert!(ack.acknowledges(LeafIndex(1), 2) && !ack.acknowledges(LeafIndex(1), 3));
    /// ```
    #[must_use]
    pub fn of(received: impl IntoIterator<Item = (LeafIndex, u32)>) -> Self {
        let mut received: Vec<(LeafIndex, u32)> = received.into_iter().collect();
        received.sort_unstable();
        received.dedup();

        let mut ranges: Vec<MessageRange> = Vec::new();
        for (sender, generation) in received {
            match ranges.last_mut() {
                Some(last)
                    if last.sender == sender
                        && last.last_generation.checked_add(1) == Some(generation) =>
                {
                    last.last_generation = generation;
                }
                _ => ranges.push(MessageRange {
                    sender,
                    first_generation: generation,
                    last_generation: generation,
                }),
            }
        }
        Self { received_ranges: ranges }
    }

    /// Whether a message is acknowledged.
    #[must_use]
    pub fn acknowledges(&self, sender: LeafIndex, generation: u32) -> bool {
        self.received_ranges.iter().any(|range| range.contains(sender, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Decode, Encode};

    #[test]
    fn an_acknowledgement_has_a_range_for_each_run_of_generations() {
        let leaf = LeafIndex;
        let received = [(leaf(3), 7), (leaf(0), 1), (leaf(0), 0), (leaf(0), 3), (leaf(3), 7)];
        let ack = AppAck::of(received);
        let ranges: Vec<(u32, u32, u32)> = ack
            .received_ranges
            .iter()
            .map(|r| (r.sender.0, r.first_generation, r.last_generation))
            .collect();
        assert_eq!(ranges, [(0, 0, 1), (0, 3, 3), (3, 7, 7)]);
        assert!(received.iter().all(|(sender, generation)| ack.acknowledges(*sender, *generation)));
        assert!(!ack.acknowledges(leaf(0), 2) && !ack.acknowledges(leaf(1), 0));

        let bytes = ack.to_bytes().unwrap();
        assert_eq!(bytes.len(), 1 + 3 * 12);
        assert_eq!(AppAck::from_bytes(&bytes), Ok(ack));
    }

    #[test]
    fn a_range_that_ends_before_it_begins_acknowledges_nothing() {
        let sender = LeafIndex(0);
        let range = MessageRange { sender, first_generation: 2, last_generation: 1 };
        assert!((0..4).all(|generation| !range.contains(sender, generation)));
    }
}
