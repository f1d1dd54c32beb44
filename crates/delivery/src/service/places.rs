//! Places where a new device and one that is to admit it leave each other something for a few minutes.
//!
//! What is there is sealed or worthless to others, a place cannot be guessed, and nothing is stored. Anybody can put
//! something somewhere. When there is too much, the oldest goes: whoever wants to keep others from linking devices
//! has to send more, in the seconds that linking takes, than all the places hold.

use super::error::ServiceError;
use conclave_delivery_api::{Bytes, ErrorCode};
use conclave_mls::UnixTime;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The length of a place's name, in bytes.
const SLOT: usize = 16;
/// The most that is kept at one place, in bytes.
const MAX_CONTENT: usize = 64 << 10;
/// The most that is kept at all places, in bytes.
const MAX_BYTES: usize = 64 << 20;
/// What a place costs beside its content, in bytes.
const PLACE: usize = 256;
/// How long something is kept.
const LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
struct Places {
    by_name: HashMap<Bytes, (UnixTime, Bytes)>,
    /// The oldest first.
    order: VecDeque<Bytes>,
    /// What they cost together.
    bytes: usize,
}

impl Places {
    fn forget_oldest(&mut self) {
        let Some(slot) = self.order.pop_front() else { return };
        if let Some((_, content)) = self.by_name.remove(&slot) {
            self.bytes -= PLACE + content.len();
        }
    }

    fn forget_expired(&mut self, now: UnixTime) {
        let expires = |places: &Self| Some(places.by_name.get(places.order.front()?)?.0);
        while expires(self).is_some_and(|expires| expires <= now) {
            self.forget_oldest();
        }
    }

    fn put(&mut self, slot: Bytes, content: Bytes, expires: UnixTime) {
        self.bytes += PLACE + content.len();
        self.order.push_back(slot.clone());
        self.by_name.insert(slot, (expires, content));
        while self.bytes > MAX_BYTES {
            self.forget_oldest();
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Relay {
    places: Mutex<Places>,
}

impl Relay {
    fn locked(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something at a place; for how long it is kept.
    pub(super) fn put(
        &self,
        slot: Bytes,
        content: Bytes,
        now: UnixTime,
    ) -> Result<Duration, ServiceError> {
        if slot.len() != SLOT {
            return Err(ServiceError::invalid(format!("a place's name has {SLOT} bytes")));
        }
        if content.len() > MAX_CONTENT {
            let detail = format!("at most {MAX_CONTENT} bytes are kept at a place");
            return Err(ServiceError::new(ErrorCode::TooLarge, detail));
        }

        let mut places = self.locked();
        places.forget_expired(now);
        if let Some((expires, there)) = places.by_name.get(&slot) {
            // To put the same again does nothing; nobody replaces what another has put there.
            if *there != content {
                let detail = "there is something else at this place";
                return Err(ServiceError::new(ErrorCode::Invalid, detail));
            }
            return Ok(Duration::from_secs(expires.as_secs().saturating_sub(now.as_secs())));
        }
        places.put(slot, content, now.saturating_add(LIFETIME));
        Ok(LIFETIME)
    }

    /// What is at a place.
    pub(super) fn fetch(&self, slot: &Bytes, now: UnixTime) -> Option<Bytes> {
        let places = self.locked();
        let there = places.by_name.get(slot).filter(|(expires, _)| *expires > now);
        there.map(|(_, content)| content.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_what_they_hold_and_the_oldest_gives_way() {
        let at = |seconds| UnixTime::from_secs(seconds).unwrap();
        let mut places = Places::default();
        let slot = |n: usize| Bytes::from(n.to_be_bytes());
        let most = MAX_BYTES / (PLACE + MAX_CONTENT);
        for n in 0..most + 5 {
            places.put(slot(n), vec![0; MAX_CONTENT].into(), at(n as u64));
        }
        assert_eq!(places.by_name.len(), most);
        assert!(places.bytes <= MAX_BYTES);
        assert!(!places.by_name.contains_key(&slot(4)) && places.by_name.contains_key(&slot(5)));

        // Small ones are many, and not without end.
        for n in 0..2 * MAX_BYTES / PLACE {
            places.put(slot(1_000_000 + n), Bytes::default(), at(1_000_000));
        }
        assert_eq!(places.by_name.len(), MAX_BYTES / PLACE);
        assert_eq!(places.order.len(), MAX_BYTES / PLACE);
        places.forget_expired(at(1_000_000));
        assert_eq!((places.by_name.len(), places.order.len(), places.bytes), (0, 0, 0));
    }
}
