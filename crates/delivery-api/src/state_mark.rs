//! Which process goes on from a device's state: the state carries a mark, of which the service has a copy.
//!
//! Two processes that run from copies of one state, or from an old one that was put back, would encrypt with the same
//! keys. So each process of a device marks its state anew before it uses a key. It lists the marks that its state may
//! have had last, and the service takes the new one only if it has seen no other since. Otherwise the process learns
//! that another one has gone on from its state, and uses the keys no more.

use super::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, to_hex};
use core::fmt;

/// The most marks that a state may have had last: one that the service confirmed, and those of which no answer came.
pub const MAX_MARKS: usize = 16;

/// The highest number of a mark: more than there ever are, and what a database can hold.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// A mark of a device's state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateMark {
    /// The position among the marks of this device's key: 1 for the first.
    pub number: u64,
    /// Drawn at random, so that two copies of a state have two marks of the same number.
    pub id: [u8; 16],
}

impl fmt::Debug for StateMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateMark({}, {}…)", self.number, to_hex(self.id.get(..4).unwrap_or_default()))
    }
}

impl Encode for StateMark {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.number.encode(w)?;
        w.put(&self.id);
        Ok(())
    }
}

impl Decode for StateMark {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { number: u64::decode(r)?, id: r.take_array()? })
    }
}

structs! {
    /// Marks the state of the calling device.
    ///
    /// If the service takes the mark, it ends the device's other sessions, and from then on takes messages of the
    /// device in this session alone. A device draws a new mark for each session, unless no answer came to the last one.
    pub struct MarkState {
        /// The marks that the state may have had last, ascending by number: the one that the service confirmed last, and
        /// those of which no answer came. None for a state that was never marked.
        pub before: Vec<StateMark>,
        /// The new one. Its number is higher than that of each before.
        pub mark: StateMark,
    }

    /// The reply to [`MarkState`].
    pub struct StateMarked {
        /// The mark that the service has of the device now. If it is not the new one, another process has gone on from a
        /// copy of this state, or from a later one.
        pub latest: StateMark,
        /// When the service took it, in seconds since 1970.
        pub marked_at: u64,
    }
}

impl MarkState {
    /// Whether the marks are few enough and ascend, which the service checks before it compares them with its own.
    #[must_use]
    pub fn is_ascending(&self) -> bool {
        let numbers: Vec<u64> = self.before.iter().map(|mark| mark.number).collect();
        let after = numbers.iter().skip(1).copied().chain([self.mark.number]);
        self.before.len() <= MAX_MARKS
            && (1..=MAX_NUMBER).contains(&self.mark.number)
            && numbers.iter().zip(after).all(|(before, after)| *before < after)
    }

    /// Whether the new mark follows on the one that the service has of the device.
    ///
    /// It does if the state had that one last, or if it is the new one itself, as the answer was lost. If the service
    /// has an earlier one than the state, the service was set back, and not the state.
    #[must_use]
    pub fn follows(&self, latest: Option<StateMark>) -> bool {
        let Some(latest) = latest else { return true };
        let service_was_set_back =
            self.before.first().is_some_and(|confirmed| latest.number < confirmed.number);
        latest == self.mark || self.before.contains(&latest) || service_was_set_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mark(number: u64, id: u8) -> StateMark {
        StateMark { number, id: [id; 16] }
    }

    #[test]
    fn a_copy_does_not_follow_on_what_the_other_made() {
        let first = MarkState { before: vec![], mark: mark(1, 1) };
        assert!(first.follows(None) && first.follows(Some(mark(1, 1))));
        assert!(!first.follows(Some(mark(1, 2))), "another state of the same key was marked");

        let next = MarkState { before: vec![mark(4, 1), mark(5, 2)], mark: mark(6, 3) };
        for known in [mark(4, 1), mark(5, 2), mark(6, 3)] {
            assert!(next.follows(Some(known)), "{known:?}");
        }
        for others in [mark(4, 9), mark(5, 9), mark(6, 9), mark(7, 1)] {
            assert!(!next.follows(Some(others)), "{others:?}");
        }
        // The service was restored from a backup.
        assert!(next.follows(Some(mark(3, 9))));
    }

    #[test]
    fn marks_ascend() {
        let of = |numbers: &[u64], number| {
            let before = numbers.iter().map(|n| mark(*n, 0)).collect();
            MarkState { before, mark: mark(number, 1) }.is_ascending()
        };
        assert!(of(&[], 1) && of(&[1], 2) && of(&[1, 5], 9));
        assert!(!of(&[], 0) && !of(&[2], 2) && !of(&[2, 1], 3) && !of(&[2, 2], 3));
        let most: Vec<u64> = (1..=17).collect();
        assert!(of(&most[..16], 20) && !of(&most, 20));
    }
}
