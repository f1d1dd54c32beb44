//! What is stored to notice that the state is a copy, and to come back from that.

use crate::coding::{VERSION, check_version, flag};
use crate::record::Identity;
use conclave_account::Entry;
use conclave_delivery_api::{MAX_MARKS, StateMark};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::Secret;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// How many new keys a device takes of its own accord, and how often it comes back into one group, within so many
/// milliseconds: neither two copies of a state nor a service that lies can keep it busy endlessly.
const LIMITS: [(usize, u64); 2] = [(3, 60 * 60 * 1000), (8, 24 * 60 * 60 * 1000)];
/// How many times are remembered: no limit counts more.
const REMEMBERED: usize = 8;

/// When something was done that must not be done too often, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times(Vec<u64>);

impl Times {
    /// When it may be done next: now, or later.
    pub(crate) fn next(&self, now: u64) -> u64 {
        // A time in the future means that the clock was set back.
        let times: Vec<u64> = self.0.iter().map(|at| (*at).min(now)).collect();
        let after = |(most, within): (usize, u64)| {
            let oldest = times.len().checked_sub(most).and_then(|index| times.get(index));
            oldest.map_or(now, |oldest| oldest.saturating_add(within))
        };
        LIMITS.into_iter().map(after).fold(now, u64::max)
    }

    /// Whether it was never done.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These, and now.
    pub(crate) fn with(&self, now: u64) -> Self {
        let mut times = self.0.clone();
        times.push(now);
        let over = times.len().saturating_sub(REMEMBERED);
        Self(times.split_off(over))
    }
}

/// The marks that the state may have at the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(Vec<StateMark>);

impl Marks {
    /// A mark after all of these.
    pub(crate) fn next(&self, id: [u8; 16]) -> StateMark {
        let last = self.0.last().map_or(0, |mark| mark.number);
        StateMark { number: last.saturating_add(1), id }
    }

    /// These, and one that is about to be shown.
    pub(crate) fn with(&self, mark: StateMark) -> Self {
        let mut marks = self.0.clone();
        // The oldest unconfirmed mark goes. The first stays: the service has confirmed it.
        if marks.len() >= MAX_MARKS {
            marks.remove(1);
        }
        marks.push(mark);
        Self(marks)
    }

    /// This one alone, which the service has confirmed.
    pub(crate) fn confirmed(mark: StateMark) -> Self {
        Self(vec![mark])
    }

    /// Those before a mark.
    pub(crate) fn before(&self, mark: &StateMark) -> Vec<StateMark> {
        self.0.iter().filter(|known| known.number < mark.number).copied().collect()
    }
}

/// A state that is a copy, as long as nothing is done about it.
#[derive(Clone, Debug)]
pub(crate) struct Copied {
    /// The key that the copies have in common.
    pub(crate) key: SignaturePublicKey,
    /// The device with its next key, and the entry by which its account takes that.
    pub(crate) next: Option<Box<(Identity, Entry)>>,
    /// Whether the user was told that it waits.
    pub(crate) waits: bool,
}

/// How often, and how far, this device has come back into a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rejoin {
    /// Whether it has to.
    pub(crate) wanted: bool,
    /// The commit and the group that it leads to, once they are made.
    pub(crate) commit: Option<Secret>,
    /// When it did.
    pub(crate) times: Times,
    /// Whether the user was told that it waits.
    pub(crate) waits: bool,
}

impl Encode for Times {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Times {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(r).map(Self)
    }
}

impl Encode for Marks {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.0.encode(w)
    }
}

impl Decode for Marks {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        Decode::decode(r).map(Self)
    }
}

impl Encode for Copied {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.key.encode(w)?;
        u8::from(self.waits).encode(w)?;
        u8::from(self.next.is_some()).encode(w)?;
        let Some(next) = &self.next else { return Ok(()) };
        let (identity, entry) = &**next;
        identity.encode(w)?;
        entry.encode(w)
    }
}

impl Decode for Copied {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        let (key, waits) = (Decode::decode(r)?, flag(r)?);
        let next = match flag(r)? {
            true => Some(Box::new((Decode::decode(r)?, Decode::decode(r)?))),
            false => None,
        };
        Ok(Self { key, next, waits })
    }
}

impl Encode for Rejoin {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        u8::from(self.wanted).encode(w)?;
        u8::from(self.waits).encode(w)?;
        self.times.encode(w)?;
        u8::from(self.commit.is_some()).encode(w)?;
        self.commit.as_ref().map_or(Ok(()), |commit| w.put_opaque(commit.expose()))
    }
}

impl Decode for Rejoin {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        let (wanted, waits, times) = (flag(r)?, flag(r)?, Decode::decode(r)?);
        let commit = match flag(r)? {
            true => Some(Secret::copy_from(r.opaque()?)),
            false => None,
        };
        Ok(Self { wanted, commit, times, waits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;

    #[test]
    fn what_is_done_too_often_waits_until_it_may_be_done_again() {
        let now = 1_700_000_000_000;
        let mut times = Times::default();
        for minute in 0..3 {
            assert_eq!(times.next(now + minute * MINUTE), now + minute * MINUTE);
            times = times.with(now + minute * MINUTE);
        }
        assert_eq!(times.next(now + 3 * MINUTE), now + HOUR);
        assert_eq!(times.next(now + HOUR), now + HOUR);

        // At a slow pace the day's limit holds.
        let mut at = now + HOUR;
        while times.next(at) == at {
            times = times.with(at);
            at += 40 * MINUTE;
        }
        assert_eq!(times.next(at), now + 24 * HOUR);
        // With a clock that was set back, all of it counts as done just now.
        assert_eq!(times.next(now - 48 * HOUR), now - 24 * HOUR);
    }

    #[test]
    fn the_mark_that_was_confirmed_stays_among_those_that_were_not() {
        let mut marks = Marks::confirmed(StateMark { number: 7, id: [0; 16] });
        for id in 1..40 {
            let next = marks.next([id; 16]);
            marks = marks.with(next);
            let before = marks.before(&next);
            assert!(before.len() < MAX_MARKS);
            assert_eq!(before.first().unwrap().number, 7);
            assert!(before.is_sorted() && before.last() < Some(&next));
        }
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let mark = StateMark { number: 3, id: [9; 16] };
        let marks = Marks::confirmed(mark).with(Marks::confirmed(mark).next([8; 16]));
        assert_eq!(Marks::from_bytes(&marks.to_bytes().unwrap()).unwrap(), marks);
        let times = Times::default().with(1).with(2);
        for commit in [None, Some(Secret::copy_from(b"a commit"))] {
            let rejoin = Rejoin { wanted: true, commit, times: times.clone(), waits: true };
            let mut w = Writer::secret();
            rejoin.encode(&mut w).unwrap();
            assert_eq!(Rejoin::from_bytes(&w.finish()).unwrap(), rejoin);
        }
    }
}
