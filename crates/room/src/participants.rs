//! The participant list (draft-ietf-mimi-protocol-06 section 7.5).

use crate::role::RoleIndex;
use crate::text::{Text, fields, get_list, invalid};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The most participants of a room, banned ones included.
pub const MAX_PARTICIPANTS: usize = 20_000;

/// A user in a room (`UserRolePair`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// The user's URI.
    pub user: Text,
    /// The user's role.
    pub role: RoleIndex,
}
fields!(Participant { user, role });

/// The users of a room (`ParticipantListData`): the data of the component `participant_list`.
///
/// What decodes has each user once, and none in role 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participants(Vec<Participant>);

impl Participants {
    /// Participants in this order.
    ///
    /// # Errors
    /// If this is not a list that would decode.
    pub fn new(list: Vec<Participant>) -> Result<Self, DecodeError> {
        if list.len() > MAX_PARTICIPANTS {
            return Err(invalid("participants", list.len()));
        }
        let mut users = BTreeSet::new();
        for (at, Participant { user, role }) in list.iter().enumerate() {
            if !users.insert(user) || user.is_empty() || *role == RoleIndex::NONE {
                return Err(invalid("participant", at));
            }
        }
        Ok(Self(list))
    }

    /// The participants, by their numbers: `user_index` of an update.
    #[must_use]
    pub fn all(&self) -> &[Participant] {
        &self.0
    }

    /// A user's role; [`RoleIndex::NONE`] if it is not in the list.
    #[must_use]
    pub fn role_of(&self, user: &str) -> RoleIndex {
        let found = self.0.iter().find(|participant| participant.user.as_str() == user);
        found.map_or(RoleIndex::NONE, |participant| participant.role)
    }

    /// The roles of all users, to look up many: [`Self::role_of`] reads the list each time.
    pub(crate) fn by_user(&self) -> RolesByUser<'_> {
        let roles = self.0.iter().map(|participant| (participant.user.as_str(), participant.role));
        RolesByUser(roles.collect())
    }

    /// The list after updates of one commit, which all refer to the list before it.
    ///
    /// # Errors
    /// If they are about nobody in the list, about one user twice, or lead to a list that would not decode.
    pub fn updated(&self, updates: &[ParticipantsUpdate]) -> Result<Self, DecodeError> {
        let mut list: Vec<Option<Participant>> = self.0.iter().cloned().map(Some).collect();
        let mut touched = BTreeSet::new();
        let mut touch = |index: u32| {
            let at = usize::try_from(index).map_err(|_| DecodeError::Truncated)?;
            if at < self.0.len() && touched.insert(at) {
                Ok(at)
            } else {
                Err(invalid("user_index", at))
            }
        };

        let known = self.by_user();
        let mut added = Vec::new();
        for update in updates {
            for change in &update.changed {
                let at = touch(change.user_index)?;
                if let Some(Some(participant)) = list.get_mut(at) {
                    participant.role = change.role;
                }
            }
            for index in &update.removed {
                let at = touch(*index)?;
                if let Some(participant) = list.get_mut(at) {
                    *participant = None;
                }
            }
            // A user who is removed and added by one commit is changed twice.
            let is_known = |new: &Participant| known.has(new.user.as_str());
            if let Some(at) = update.added.iter().position(is_known) {
                return Err(invalid("addedParticipants", at));
            }
            added.extend(update.added.iter().cloned());
        }
        Self::new(list.into_iter().flatten().chain(added).collect())
    }

    /// The update that leads from this list to another one, which has those that stay in the same order.
    #[must_use]
    pub fn update_to(&self, after: &Self) -> ParticipantsUpdate {
        let (known, roles_after) = (self.by_user(), after.by_user());
        let mut update = ParticipantsUpdate::default();
        for (index, old) in (0u32..).zip(&self.0) {
            match roles_after.of(old.user.as_str()) {
                RoleIndex::NONE => update.removed.push(index),
                role if role != old.role => {
                    update.changed.push(RoleChange { user_index: index, role });
                }
                _ => {}
            }
        }
        let is_new = |new: &&Participant| !known.has(new.user.as_str());
        update.added = after.0.iter().filter(is_new).cloned().collect();
        update
    }

    /// The same list, a user of it in another role, added in it, or, with [`RoleIndex::NONE`], taken out of it.
    #[must_use]
    pub fn with(&self, user: &Text, role: RoleIndex) -> Self {
        let mut list = self.0.clone();
        match list.iter_mut().find(|participant| participant.user == *user) {
            Some(participant) => participant.role = role,
            None => list.push(Participant { user: user.clone(), role }),
        }
        list.retain(|participant| participant.role != RoleIndex::NONE);
        Self(list)
    }
}

/// The roles of the users in a list.
pub(crate) struct RolesByUser<'a>(BTreeMap<&'a str, RoleIndex>);

impl RolesByUser<'_> {
    /// A user's role; [`RoleIndex::NONE`] if it is not in the list.
    pub(crate) fn of(&self, user: &str) -> RoleIndex {
        self.0.get(user).copied().unwrap_or(RoleIndex::NONE)
    }

    /// Whether a user is in the list.
    pub(crate) fn has(&self, user: &str) -> bool {
        self.0.contains_key(user)
    }
}

impl Encode for Participants {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Participants {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(get_list(r, MAX_PARTICIPANTS, "participants")?)
    }
}

/// A user in another role (`UserindexRolePair`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// The user's number in the list before.
    pub user_index: u32,
    /// The user's role after.
    pub role: RoleIndex,
}
fields!(RoleChange { user_index, role });

/// A change of the participant list (`ParticipantListUpdate`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantsUpdate {
    /// Those who have another role.
    pub changed: Vec<RoleChange>,
    /// The numbers of those who are taken out.
    pub removed: Vec<u32>,
    /// Those who are added, at the end.
    pub added: Vec<Participant>,
}

impl ParticipantsUpdate {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty() && self.added.is_empty()
    }
}

impl Encode for ParticipantsUpdate {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.changed.encode(w)?;
        self.removed.encode(w)?;
        self.added.encode(w)
    }
}

impl Decode for ParticipantsUpdate {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            changed: get_list(r, MAX_PARTICIPANTS, "changedRoleParticipants")?,
            removed: get_list(r, MAX_PARTICIPANTS, "removedIndices")?,
            added: get_list(r, MAX_PARTICIPANTS, "addedParticipants")?,
        })
    }
}
