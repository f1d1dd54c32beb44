//! The profiles that are known, and the rooms that are to hear our user's.
//!
//! * **The user's.** A profile is the user's, not a device's: of what a user's devices have said, the greatest version
//!   counts, on all devices alike. The next version is greater than any that is known.
//! * **Where it goes.** Into each room that the user is in, and into no room that waits for the user's answer: when it is
//!   set, when the user comes in, and for newcomers before the next thing that the user says there; in rooms of more than 32
//!   devices at most once an hour. The device that sets a profile brings it into all of its rooms; the user's others keep it.
//! * **What is kept.** One profile of each user with whom a room is shared, up to bounds on their number and on the octets of
//!   all pictures. Those that have not changed for longest make way.
//!
//! What changes here is written by the caller, in one step with the note that its cause was taken.

use super::row::{
    HEAD, Head, PICTURE, PictureHead, ROOM, TABLE, Told, number, numbered, of_room, picture_of,
    picture_row,
};
use crate::compose::content_of;
use conclave_content::{Draft, Picture, PictureFormat, Profile, ProfileFault};
use conclave_delivery_api::{Decode, DeviceId, Encode, Name};
use conclave_engine::{AppRows, Content, Engine, EngineError, GroupView, News, Phase};
use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoRng;
use conclave_store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// How many profiles of others are kept.
const MAX_PROFILES: usize = 2000;
/// How many octets the pictures of others have together: 16 MiB.
const MAX_PICTURES: u64 = 16 << 20;
/// How far a profile's version may be ahead of the time at which the service had it, in milliseconds: a day. One that is
/// further ahead counts as one of that limit, so that a wrong clock fixes no profile for years.
const MAX_AHEAD: u64 = 24 * 3600 * 1000;
/// How many devices a room has at most whose newcomers always hear of our user before the next message.
const MAX_SMALL_ROOM: usize = 32;
/// How often a larger room is told again for newcomers at most, in milliseconds: once an hour.
const LARGE_ROOM_INTERVAL: u64 = 3600 * 1000;

/// How the user changes their profile. What is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// Another display name; an empty one for none.
    pub name: Option<String>,
    /// Another picture.
    pub picture: PictureChange,
}

/// What becomes of the user's picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PictureChange {
    /// It stays.
    #[default]
    Stays,
    /// It is removed.
    Removed,
    /// It is this one from now on, in PNG, JPEG or WebP.
    New(Vec<u8>),
}

impl ProfileChange {
    /// Neither name nor picture.
    #[must_use]
    pub fn removed() -> Self {
        Self { name: Some(String::new()), picture: PictureChange::Removed }
    }
}

/// A user's profile, as it is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileView<'a> {
    /// Whose it is.
    pub user: &'a Name,
    /// The display name, fit to be shown on one line; empty for none. It says nothing about who the user is.
    pub name: &'a str,
    /// The picture's format and size in bytes.
    pub picture: Option<(PictureFormat, u64)>,
}

/// What a profile that came in has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileNews {
    /// Whose it is.
    pub user: Name,
    /// Whether the name is another one.
    pub name: bool,
    /// Whether the picture is another one.
    pub picture: bool,
}

/// Why a profile was not set.
#[derive(Debug)]
pub enum ProfileRefusal {
    /// It breaks a rule for profiles.
    Fault(ProfileFault),
    /// The state cannot be read.
    Engine(EngineError),
}

impl From<ProfileFault> for ProfileRefusal {
    fn from(fault: ProfileFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<EngineError> for ProfileRefusal {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

/// A profile, and the number of its row.
#[derive(Debug)]
struct Kept {
    row: u64,
    head: Head,
}

/// The profiles that a device knows. Pictures stay in the store.
#[derive(Debug)]
pub struct Profiles {
    me: DeviceId,
    users: BTreeMap<Name, Kept>,
    next_row: u64,
    rooms: BTreeMap<GroupId, Told>,
    /// The rooms that may have to hear of the user now.
    pending: BTreeSet<GroupId>,
    /// Our user's devices that were seen to join.
    introduced: BTreeSet<DeviceId>,
}

fn failed(e: impl core::fmt::Display) -> EngineError {
    EngineError::Store(StoreError::failed(e.to_string()))
}

fn put(rows: &mut AppRows, key: Vec<u8>, row: &impl Encode) -> Result<(), EngineError> {
    rows.put(TABLE, key, row.to_bytes().map_err(failed)?);
    Ok(())
}

impl Profiles {
    /// The profiles that are kept beside an engine. Those of users with whom no room is shared any more are deleted.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub fn open<S: Store>(engine: &mut Engine<S>) -> Result<Self, EngineError> {
        let mut profiles = Self {
            me: engine.device().clone(),
            users: BTreeMap::new(),
            next_row: 0,
            rooms: BTreeMap::new(),
            pending: engine.groups().into_iter().map(|group| group.id).collect(),
            introduced: BTreeSet::new(),
        };
        // Rows of rooms come before those of users, and pictures before both. The row of a later version is for that version.
        for (key, row) in engine.app_rows(TABLE, &[ROOM], usize::MAX)? {
            match key.split_first() {
                Some((&ROOM, group)) => {
                    if let Ok(told) = Told::from_bytes(row.expose()) {
                        profiles.rooms.insert(GroupId::from(group), told);
                    }
                }
                Some((&HEAD, _)) => {
                    let Some(row_number) = number(&key) else { continue };
                    profiles.next_row = profiles.next_row.max(row_number.saturating_add(1));
                    if let Ok(head) = Head::from_bytes(row.expose()) {
                        profiles.users.insert(head.user.clone(), Kept { row: row_number, head });
                    }
                }
                _ => {}
            }
        }

        let rows = profiles.forget_strangers(engine);
        if !rows.is_empty() {
            engine.write_app_rows(rows)?;
        }
        Ok(profiles)
    }

    /// A user's profile, if it says something.
    #[must_use]
    pub fn of(&self, user: &Name) -> Option<ProfileView<'_>> {
        let Head { user, name, picture, .. } = &self.users.get(user)?.head;
        let picture = picture.as_ref().map(|PictureHead { format, size, .. }| (*format, *size));
        let is_empty = name.is_empty() && picture.is_none();
        (!is_empty).then_some(ProfileView { user, name, picture })
    }

    /// A user's picture.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn picture<S: Store>(
        &self,
        engine: &Engine<S>,
        user: &Name,
    ) -> Result<Option<Picture>, EngineError> {
        let Some(kept) = self.users.get(user).filter(|kept| kept.head.picture.is_some()) else {
            return Ok(None);
        };
        let row = engine.app_row(TABLE, &numbered(PICTURE, kept.row))?;
        Ok(row.and_then(|row| picture_of(row.expose())))
    }

    fn own(&self) -> Option<&Head> {
        self.users.get(&self.me.user).map(|kept| &kept.head)
    }

    /// Changes our user's profile, at a time in milliseconds since 1970. Returns the rows that are to be written.
    ///
    /// # Errors
    /// [`ProfileRefusal::Fault`] if it breaks a rule for profiles.
    pub fn set<S: Store>(
        &mut self,
        engine: &Engine<S>,
        change: ProfileChange,
        now: u64,
    ) -> Result<AppRows, ProfileRefusal> {
        let me = self.me.user.clone();
        let own_name = || self.own().map(|own| own.name.clone()).unwrap_or_default();
        let name = change.name.unwrap_or_else(own_name);
        let picture = match change.picture {
            PictureChange::Stays => self.picture(engine, &me)?,
            PictureChange::Removed => None,
            PictureChange::New(bytes) => Some(Picture::new(bytes)?),
        };
        let known = self.own().map_or(0, |own| own.version);
        let profile = Profile::new(now.max(known.saturating_add(1)), &name, picture)?;
        let rows = self.keep(&me, profile.version(), &profile)?;
        self.pending.extend(engine.groups().into_iter().map(|group| group.id));
        Ok(rows)
    }

    /// Takes a profile that a device has sent in a group, and that the service had at a time in seconds since 1970. Returns
    /// what it changes, if anything, and the rows that are to be written.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn take<S: Store>(
        &mut self,
        engine: &Engine<S>,
        (group, by, time): (&GroupId, &DeviceId, u64),
        profile: &Profile,
    ) -> Result<(Option<ProfileNews>, AppRows), EngineError> {
        let latest = time.saturating_mul(1000).saturating_add(MAX_AHEAD);
        let version = profile.version().min(latest);
        let new = Head::of(&by.user, version, profile);
        let mut rows = AppRows::new();
        if by.user == self.me.user && *by != self.me {
            self.another_told(engine, (group, by, time), version, &mut rows)?;
        }

        // If our clock is too far ahead, what we sent has a lower version for all others, and from now on for us.
        let known = self.users.get(&by.user).map(|kept| &kept.head);
        let is_lowered = *by == self.me
            && known.is_some_and(|known| known.says_the_same(&new) && version < known.version);
        if !is_lowered && known.is_some_and(|known| new.rank() <= known.rank()) {
            return Ok((None, rows));
        }

        let name = known.map_or("", |known| &known.name) != new.name;
        let picture = known.and_then(|known| known.picture.as_ref()) != new.picture.as_ref();
        if is_lowered {
            self.lower_told(version, &mut rows)?;
        }
        rows.merge(self.keep(&by.user, version, profile)?);
        let changed = ProfileNews { user: by.user.clone(), name, picture };
        Ok((Some(changed).filter(|changed| changed.name || changed.picture), rows))
    }

    /// Takes note that what rooms were told has a lower version: else they would not be told the next ones.
    fn lower_told(&mut self, version: u64, rows: &mut AppRows) -> Result<(), EngineError> {
        for (group, told) in self.rooms.clone() {
            let version = told.version.min(version);
            self.tell(&group, Told { version, ..told }, rows)?;
        }
        Ok(())
    }

    /// Takes note that another device of our user's has told a room of the user. That device tells all rooms that it is in.
    fn another_told<S: Store>(
        &mut self,
        engine: &Engine<S>,
        (group, by, time): (&GroupId, &DeviceId, u64),
        version: u64,
        rows: &mut AppRows,
    ) -> Result<(), EngineError> {
        let known = self.rooms.get(group).copied().unwrap_or_default();
        let (version, at) = (known.version.max(version), time.saturating_mul(1000));
        self.tell(group, Told { version, at, newcomers: false }, rows)?;
        if self.own().is_some_and(|own| own.version >= version) {
            return Ok(());
        }
        for GroupView { id, .. } in engine.groups() {
            if !engine.member_devices(&id).contains(by) {
                self.pending.insert(id);
                continue;
            }
            let told = self.rooms.get(&id).copied().unwrap_or_default();
            let told = Told { version: told.version.max(version), ..told };
            self.tell(&id, told, rows)?;
        }
        Ok(())
    }

    /// Keeps what a room was told.
    fn tell(&mut self, group: &GroupId, told: Told, rows: &mut AppRows) -> Result<(), EngineError> {
        if self.rooms.get(group) != Some(&told) {
            put(rows, of_room(group), &told)?;
            self.rooms.insert(group.clone(), told);
        }
        Ok(())
    }

    /// Keeps a profile in place of the one before, and lets others make way for it.
    fn keep(
        &mut self,
        user: &Name,
        version: u64,
        profile: &Profile,
    ) -> Result<AppRows, EngineError> {
        let mut rows = AppRows::new();
        self.forget(user, &mut rows);
        let (row, head) = (self.next_row, Head::of(user, version, profile));
        self.next_row = row.saturating_add(1);
        put(&mut rows, numbered(HEAD, row), &head)?;
        if let Some(picture) = profile.picture() {
            rows.put(TABLE, numbered(PICTURE, row), picture_row(picture));
        }
        self.users.insert(user.clone(), Kept { row, head });

        for user in self.too_many() {
            self.forget(&user, &mut rows);
        }
        Ok(rows)
    }

    /// The users whose profiles make way.
    fn too_many(&self) -> Vec<Name> {
        let size = |kept: &Kept| kept.head.picture.as_ref().map_or(0, |picture| picture.size);
        let others = || self.users.iter().filter(|(user, _)| **user != self.me.user);
        let (mut count, mut pictures) =
            (others().count(), others().map(|(_, kept)| size(kept)).sum::<u64>());
        if count <= MAX_PROFILES && pictures <= MAX_PICTURES {
            return Vec::new();
        }

        let mut oldest: Vec<(&Name, &Kept)> = others().collect();
        oldest.sort_by_key(|(_, kept)| kept.row);
        let makes_way = oldest.into_iter().take_while(|(_, kept)| {
            let is_over = count > MAX_PROFILES || pictures > MAX_PICTURES;
            count -= 1;
            pictures -= size(kept);
            is_over
        });
        makes_way.map(|(user, _)| user.clone()).collect()
    }

    fn forget(&mut self, user: &Name, rows: &mut AppRows) {
        if let Some(kept) = self.users.remove(user) {
            rows.delete(TABLE, numbered(HEAD, kept.row));
            rows.delete(TABLE, numbered(PICTURE, kept.row));
        }
    }

    /// Forgets the users with whom no room is shared.
    fn forget_strangers<S: Store>(&mut self, engine: &Engine<S>) -> AppRows {
        let mut rows = AppRows::new();
        if self.users.keys().all(|user| *user == self.me.user) {
            return rows;
        }
        let mut here = BTreeSet::from([self.me.user.clone()]);
        for GroupView { id, phase, .. } in engine.groups() {
            let devices = engine.member_devices(&id);
            // The members of a group that another one replaces, or that this device is to rejoin, are not known yet.
            if devices.is_empty() && !matches!(phase, Phase::Removed | Phase::Left) {
                return rows;
            }
            here.extend(devices.into_iter().map(|device| device.user));
        }
        let strangers: Vec<Name> =
            self.users.keys().filter(|user| !here.contains(*user)).cloned().collect();
        for user in strangers {
            self.forget(&user, &mut rows);
        }
        rows
    }

    /// Takes note of devices that come and go. Returns the rows that are to be written.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn observe<S: Store>(
        &mut self,
        engine: &Engine<S>,
        group: &GroupId,
        news: &News,
    ) -> Result<AppRows, EngineError> {
        let mut rows = AppRows::new();
        let told = self.rooms.get(group).copied().unwrap_or_default();
        match news {
            News::Added { who, .. } | News::AddedByLink { who, .. } if *who != self.me => {
                if who.user == self.me.user && self.introduced.insert(who.clone()) {
                    // It hears of its user in one of its rooms at once.
                    self.tell(group, Told { version: 0, ..told }, &mut rows)?;
                    self.pending.insert(group.clone());
                } else if told.version > 0 {
                    self.tell(group, Told { newcomers: true, ..told }, &mut rows)?;
                }
            }
            News::Created { .. } | News::JoinedByLink { .. } => {
                self.pending.insert(group.clone());
            }
            News::Joined { by, .. } if by.user == self.me.user => {
                // The device that added this one has told the room.
                let version = self.own().map_or(0, |own| own.version);
                self.tell(group, Told { version, ..told }, &mut rows)?;
            }
            News::Joined { .. } => {
                // All devices of the user come in at once, and one of them tells the room.
                let ours = engine.member_devices(group).into_iter();
                let first = ours.filter(|device| device.user == self.me.user).min();
                if first.is_none_or(|first| first == self.me) {
                    self.pending.insert(group.clone());
                }
            }
            News::Replaces { old } => match self.rooms.remove(old) {
                // Its members have heard it in the old one.
                Some(told) => {
                    rows.delete(TABLE, of_room(old));
                    self.tell(group, told, &mut rows)?;
                }
                None => drop(self.pending.insert(group.clone())),
            },
            News::Out { .. } => {
                if self.rooms.remove(group).is_some() {
                    rows.delete(TABLE, of_room(group));
                }
                rows.merge(self.forget_strangers(engine));
            }
            News::Removed { who, .. } if self.users.contains_key(&who.user) => {
                rows.merge(self.forget_strangers(engine));
            }
            _ => {}
        }
        Ok(rows)
    }

    /// Takes note that the user has accepted rooms.
    pub fn accepted<S: Store>(&mut self, engine: &Engine<S>) {
        let rooms = engine.groups().into_iter().map(|group| group.id);
        self.pending.extend(rooms.filter(|id| !self.rooms.contains_key(id)));
    }

    /// The next room that is to hear of the user now. Each is given once.
    pub fn next_room<S: Store>(&mut self, engine: &Engine<S>) -> Option<GroupId> {
        while let Some(group) = self.pending.pop_first() {
            if self.is_behind(&group) && is_member(engine, &group) {
                return Some(group);
            }
        }
        None
    }

    /// Whether a room has not heard what the user says of themselves.
    fn is_behind(&self, group: &GroupId) -> bool {
        let Some(own) = self.own() else { return false };
        let told = self.rooms.get(group).copied().unwrap_or_default();
        told.version < own.version && !(own.is_empty() && told.version == 0)
    }

    /// Whether a room is to hear of the user before the next thing that the user says there, at a time in milliseconds
    /// since 1970.
    #[must_use]
    pub fn comes_first<S: Store>(&self, engine: &Engine<S>, group: &GroupId, now: u64) -> bool {
        if self.is_behind(group) {
            return is_member(engine, group);
        }
        let Some(told) = self.rooms.get(group).filter(|told| told.newcomers) else { return false };
        let has_profile = self.own().is_some_and(|own| !own.is_empty());
        let is_due = now.saturating_sub(told.at) >= LARGE_ROOM_INTERVAL;
        let is_small = || engine.member_devices(group).len() <= MAX_SMALL_ROOM;
        has_profile && is_member(engine, group) && (is_due || is_small())
    }

    /// The message that tells a room of the user, and the rows that are to be written with it. None if there is nothing to
    /// tell.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn message<S: Store>(
        &self,
        engine: &Engine<S>,
        (group, now): (&GroupId, u64),
        rng: &mut dyn CryptoRng,
    ) -> Result<Option<(Content, AppRows)>, EngineError> {
        let Some(own) = self.own() else { return Ok(None) };
        let picture = self.picture(engine, &own.user)?;
        let profile = Profile::new(own.version, &own.name, picture).map_err(failed)?;
        let content = content_of(engine, group, Draft::profile(&profile), rng).map_err(failed)?;
        let mut rows = AppRows::new();
        put(&mut rows, of_room(group), &Told { version: own.version, at: now, newcomers: false })?;
        Ok(Some((content, rows)))
    }

    /// Takes note that this message is written, to be sent.
    pub fn sent(&mut self, group: &GroupId, now: u64) {
        if let Some(own) = self.own() {
            let told = Told { version: own.version, at: now, newcomers: false };
            self.rooms.insert(group.clone(), told);
        }
    }
}

/// Whether the user talks in a room, and is not asked first.
fn is_member<S: Store>(engine: &Engine<S>, group: &GroupId) -> bool {
    engine.group(group).is_some_and(|group| matches!(group.phase, Phase::Member))
}

#[cfg(test)]
mod tests;
