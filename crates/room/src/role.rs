//! Roles: what their holders may do, and from which roles into which they may move users (draft-ietf-mimi-room-policy-03,
//! "Role-Based Access Control").

use crate::capability::Capability;
use crate::text::{Text, fields, get_list, invalid};
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// The most roles of a room.
pub const MAX_ROLES: usize = 64;
/// The most entries of a list of preauthorized users.
pub const MAX_PREAUTHORIZATIONS: usize = MAX_LIST;
/// The most capabilities of a role, and the most changes of roles that it permits from one role.
const MAX_LIST: usize = 256;

/// The number of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleIndex(pub u32);

impl RoleIndex {
    /// The role of users who are not in the participant list.
    pub const NONE: Self = Self(0);
    /// The role of a banned user, if a room has it.
    pub const BANNED: Self = Self(1);
}

impl fmt::Display for RoleIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for RoleIndex {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for RoleIndex {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u32::decode(r).map(Self)
    }
}

/// The roles into which those of one role may be moved (`SingleSourceRoleChangeTargets`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleChanges {
    /// The role before. [`RoleIndex::NONE`]: that of a user who is added.
    pub from: RoleIndex,
    /// The roles after. [`RoleIndex::NONE`]: removal from the participant list.
    pub to: Vec<RoleIndex>,
}

impl Encode for RoleChanges {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.from.encode(w)?;
        self.to.encode(w)
    }
}

impl Decode for RoleChanges {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let from = RoleIndex::decode(r)?;
        Ok(Self { from, to: get_list(r, MAX_LIST, "target_role_indexes")? })
    }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its number in the room.
    pub index: RoleIndex,
    /// Its name, for people.
    pub name: Text,
    /// What it is for; may be empty.
    pub description: Text,
    /// What its holders may do.
    pub capabilities: Vec<Capability>,
    /// The fewest participants that have it.
    pub min_participants: u32,
    /// The most, if that is bounded.
    pub max_participants: Option<u32>,
    /// The fewest participants with clients in the group that have it.
    pub min_active: u32,
    /// The most of these, if that is bounded. Zero: its holders have no clients in the group.
    pub max_active: Option<u32>,
    /// Which changes of roles its holders may make.
    pub changes: Vec<RoleChanges>,
}

impl Role {
    /// Whether its holders may do something.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Whether its holders may move somebody from one role into another, if they may do that at all.
    #[must_use]
    pub fn may_move(&self, from: RoleIndex, to: RoleIndex) -> bool {
        self.changes.iter().any(|changes| changes.from == from && changes.to.contains(&to))
    }

    /// Whether its holders may have clients in the group.
    #[must_use]
    pub fn takes_part(&self) -> bool {
        self.max_active != Some(0)
    }
}

impl Encode for Role {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.index.encode(w)?;
        self.name.encode(w)?;
        self.description.encode(w)?;
        self.capabilities.encode(w)?;
        self.min_participants.encode(w)?;
        self.max_participants.encode(w)?;
        self.min_active.encode(w)?;
        self.max_active.encode(w)?;
        self.changes.encode(w)
    }
}

impl Decode for Role {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: Decode::decode(r)?,
            name: Decode::decode(r)?,
            description: Decode::decode(r)?,
            capabilities: get_list(r, MAX_LIST, "role_capabilities")?,
            min_participants: Decode::decode(r)?,
            max_participants: Decode::decode(r)?,
            min_active: Decode::decode(r)?,
            max_active: Decode::decode(r)?,
            changes: get_list(r, MAX_ROLES, "authorized_role_changes")?,
        })
    }
}

/// All roles of a room (`RoleData`): the data of the component `roles_list`, and its update, which replaces it.
///
/// What decodes has each number once; role 1, if there is one, is named "banned"; and no role but 0 has
/// `canOpenJoin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Vec<Role>);

impl Roles {
    /// Roles in this order.
    ///
    /// # Errors
    /// If these are not roles that would decode.
    pub fn new(roles: Vec<Role>) -> Result<Self, DecodeError> {
        if roles.len() > MAX_ROLES {
            return Err(invalid("roles", roles.len()));
        }
        for (at, role) in roles.iter().enumerate() {
            let is_twice = roles.iter().take(at).any(|other| other.index == role.index);
            let is_misnamed = role.index == RoleIndex::BANNED && role.name.as_str() != "banned";
            let opens = role.index != RoleIndex::NONE && role.has(Capability::OPEN_JOIN);
            if is_twice || is_misnamed || opens {
                return Err(DecodeError::InvalidValue {
                    field: "role",
                    value: role.index.0.into(),
                });
            }
        }
        Ok(Self(roles))
    }

    /// The roles, in the room's order.
    #[must_use]
    pub fn all(&self) -> &[Role] {
        &self.0
    }

    /// The role of a number.
    #[must_use]
    pub fn get(&self, index: RoleIndex) -> Option<&Role> {
        self.0.iter().find(|role| role.index == index)
    }

    /// The role of a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Role> {
        self.0.iter().find(|role| role.name.as_str() == name)
    }
}

impl Encode for Roles {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Roles {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(get_list(r, MAX_ROLES, "roles")?)
    }
}

/// What a credential says of a user (`Claim`), by which a user may be preauthorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The type of the credential.
    pub credential_type: u16,
    /// Which part of the credential: empty for the user's URI.
    pub id: Text,
    /// What that part has to be.
    pub value: Text,
}
fields!(Claim { credential_type, id, value });

/// The users who may take a role by what their credentials say (`PreAuthRoleEntry`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preauthorization {
    /// What their credentials say: all of it.
    pub claims: Vec<Claim>,
    /// The role.
    pub role: Role,
}

impl Preauthorization {
    /// The URI of the one user whom it is about, if it is about one alone.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &*self.claims {
            [claim] if claim.id.as_str().is_empty() => Some(claim.value.as_str()),
            _ => None,
        }
    }
}

impl Encode for Preauthorization {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.claims.encode(w)?;
        self.role.encode(w)
    }
}

impl Decode for Preauthorization {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { claims: get_list(r, MAX_LIST, "claimset")?, role: Decode::decode(r)? })
    }
}

/// Who may take which role by what their credentials say (`PreAuthData`): the data of the component `preauth_list`,
/// and its update, which replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preauthorizations(pub Vec<Preauthorization>);

impl Preauthorizations {
    /// The role of the first entry whose claims are all among these.
    #[must_use]
    pub fn role_for(&self, claims: &[Claim]) -> Option<RoleIndex> {
        let all =
            |entry: &&Preauthorization| entry.claims.iter().all(|claim| claims.contains(claim));
        self.0.iter().find(all).map(|entry| entry.role.index)
    }
}

impl Encode for Preauthorizations {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Preauthorizations {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        get_list(r, MAX_LIST, "preauthorized_entries").map(Self)
    }
}
