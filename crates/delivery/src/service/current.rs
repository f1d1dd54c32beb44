//! What a device is told when it begins to listen: all that there is, or what is new since it was told last.

use super::{MAX_TOLD, Service, ServiceError};
use crate::storage::{DeviceInfo, Storage};
use conclave_delivery_api::{Event, Incarnation, parse_hex, to_hex};
use core::fmt;

/// The longest name of a place that is read, in bytes.
const MAX_PLACE: usize = 64;

/// Where the logs of all groups ended when a device was told of its groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The incarnation: in another one the same number is another place.
    incarnation: [u8; 16],
    number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", to_hex(&self.incarnation), self.number)
    }
}

impl Place {
    /// The place of a text that a client sends back; none if it cannot be one of this incarnation.
    fn parse(text: &str, Incarnation { id, .. }: Incarnation) -> Option<u64> {
        if text.len() > MAX_PLACE {
            return None;
        }
        let (incarnation, number) = text.split_once('-')?;
        if parse_hex(incarnation)? != id {
            return None;
        }
        number.parse().ok()
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
    /// logs have grown since. Of a place of another incarnation, of a later one than there is, and of what is none, it
    /// is told all.
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

        let since = place.and_then(|place| Place::parse(place, self.incarnation));
        let (groups, number) = self.storage.groups_since(device, since)?;
        let groups = groups.into_iter();
        events.extend(groups.map(|(group_id, position)| Event::Group { group_id, position }));
        let ended = self.storage.ended_groups_of(device)?.into_iter();
        events.extend(ended.map(|(group_id, ending)| Event::Ended { group_id, ending }));
        if self.storage.inbox(device, 0, 0)?.1 > 0 {
            events.push(Event::Inbox);
        }
        events.push(Event::Ready);

        let incarnation = self.incarnation.id;
        let place = number.map(|number| Place { incarnation, number }.to_string());
        Ok(CurrentEvents { events, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_place_of_this_incarnation_is_one() {
        let incarnation = Incarnation { id: [0xab; 16], number: 1 };
        let place = Place { incarnation: incarnation.id, number: 7 }.to_string();
        assert_eq!(Place::parse(&place, incarnation), Some(7));
        assert_eq!(Place::parse(&place, Incarnation { id: [0; 16], ..incarnation }), None);
        let hex = "ab".repeat(16);
        for bad in [
            "".into(),
            "-".into(),
            "7".into(),
            format!("{hex}-"),
            format!("{hex}--7"),
            format!("{hex}-18446744073709551616"),
            format!("{hex}-7-7"),
            format!("{hex}-7 "),
            format!("{}-7", "ab".repeat(15)),
            format!("{hex}-{}7", "0".repeat(100)),
            "é".repeat(16),
        ] {
            let bad: String = bad;
            assert_eq!(Place::parse(&bad, incarnation), None, "{bad}");
        }
    }
}
