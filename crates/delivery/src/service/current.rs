//! What a device is told when it begins to listen: all that there is, or what is new since it was told last.

use super::error::provider_error;
use super::{MAX_TOLD, Service, ServiceError};
use crate::storage::{DeviceInfo, Storage};
use conclave_delivery_api::{ErrorCode, Event, Incarnation, parse_hex, to_hex};
use conclave_mls::crypto::{Aead, CryptoProvider, Secret};

/// The AEAD that seals places.
const AEAD: Aead = Aead::Aes256Gcm;
/// The lengths of what a sealed place consists of, in bytes: a random nonce, the number, the tag.
const NONCE: usize = 12;
const NUMBER: usize = 8;
const TAG: usize = 16;

/// Names places: where the logs of all groups ended when a device was told of its groups. The number would tell how much
/// all users send, and two equal ones that they sent nothing; so it is sealed, each time with another nonce. It belongs
/// to an incarnation: in another one the same number is another place.
struct Places<'a> {
    provider: &'a dyn CryptoProvider,
    key: &'a Secret,
    incarnation: Incarnation,
}

impl Places<'_> {
    fn name(&self, number: u64) -> Result<String, ServiceError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|e| {
            ServiceError::new(ErrorCode::Unavailable, format!("there is no randomness: {e}"))
        })?;
        let (aad, number) = (&self.incarnation.id, number.to_be_bytes());
        let sealed = self.provider.aead_seal(AEAD, self.key, &nonce, aad, &number);
        let sealed = sealed.map_err(provider_error)?;
        Ok(to_hex(&nonce) + &to_hex(&sealed))
    }

    /// The place of a name that a client sends back; none if it is none of this incarnation.
    fn number(&self, name: &str) -> Option<u64> {
        if name.len() != 2 * (NONCE + NUMBER + TAG) {
            return None;
        }
        let bytes = parse_hex(name)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let aad = &self.incarnation.id;
        let opened = self.provider.aead_open(AEAD, self.key, nonce, aad, sealed).ok()?;
        Some(u64::from_be_bytes(opened.expose().try_into().ok()?))
    }
}

/// What a device is told when it begins to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentEvents {
    /// All of it, with [`Event::Ready`] at the end.
    pub events: Vec<Event>,
    /// The name of the place up to which it is told, unless the storage counts none.
    pub place: Option<String>,
}

impl<S: Storage> Service<S> {
    /// What a device is told when it begins to listen: which life of its state the service is in, how long the account
    /// logs are that concern it, the heads of its groups, and whether its inbox holds something.
    ///
    /// # Errors
    /// If the device has been revoked or has another key, or the storage cannot be read.
    pub fn current_events(&self, listener: &DeviceInfo) -> Result<Vec<Event>, ServiceError> {
        self.events_since(listener, None).map(|current| current.events)
    }

    /// The same for a device that was told all up to a place ([`CurrentEvents::place`]): of its groups only those whose
    /// logs have grown since. If the place is malformed, of another incarnation or later than any log entry, the device
    /// is told of all groups.
    ///
    /// # Errors
    /// If the device has been revoked or has another key, or the storage cannot be read.
    pub fn events_since(
        &self,
        listener: &DeviceInfo,
        place: Option<&str>,
    ) -> Result<CurrentEvents, ServiceError> {
        let device = &listener.device;
        // The account may have changed since the session was looked up.
        if self.storage.device(device)?.as_ref() != Some(listener) {
            return Err(ServiceError::revoked(device));
        }
        let accounts = self.storage.accounts_around(device, MAX_TOLD)?.into_iter();
        let mut events = vec![Event::Incarnation(self.incarnation)];
        events.extend(accounts.map(|(user, length)| Event::Account { user, length }));

        let places = self.places();
        let since = place.and_then(|place| places.number(place));
        let (groups, number) = self.storage.groups_since(device, since)?;
        let groups = groups.into_iter();
        events.extend(groups.map(|(group_id, position)| Event::Group { group_id, position }));
        let ended = self.storage.ended_groups_of(device)?.into_iter();
        events.extend(ended.map(|(group_id, ending)| Event::Ended { group_id, ending }));
        if self.storage.inbox(device, 0, 0)?.1 > 0 {
            events.push(Event::Inbox);
        }
        events.push(Event::Ready);

        let place = number.map(|number| places.name(number)).transpose()?;
        Ok(CurrentEvents { events, place })
    }

    fn places(&self) -> Places<'_> {
        let Self { provider, places, incarnation, .. } = self;
        Places { provider: &**provider, key: places, incarnation: *incarnation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_sealed_and_only_one_of_this_incarnation_opens() {
        let [key, another] = [1, 2].map(|n| Secret::new(vec![n; 32]));
        let incarnation = Incarnation { id: [0xab; 16], number: 1 };
        let places = Places { provider: &crate::testing::PROVIDER, key: &key, incarnation };
        let place = places.name(7).unwrap();
        assert_eq!(places.number(&place), Some(7));
        assert_ne!(places.name(7).unwrap(), place, "it tells that nobody has sent anything");

        let restored = Incarnation { id: [0; 16], ..incarnation };
        assert_eq!(Places { incarnation: restored, ..places }.number(&place), None);
        let places = Places { provider: &crate::testing::PROVIDER, key: &another, incarnation };
        assert_eq!(places.number(&place), None);
        let places = Places { provider: &crate::testing::PROVIDER, key: &key, incarnation };
        let flipped: String = place.chars().rev().collect();
        for bad in ["", "7", &place[2..], &format!("{place}00"), &flipped, &"é".repeat(36)] {
            assert_eq!(places.number(bad), None, "{bad}");
        }
    }
}
