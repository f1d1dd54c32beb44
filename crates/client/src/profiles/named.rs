//! Display names in what the user is told, and the user's commands.

use super::book::{PictureChange, ProfileChange, ProfileNews, ProfileRefusal, Profiles};
use crate::files::{read_at_most, write_new};
use crate::lines::{ProfileCommand, ProfilePart, ProfileShown, Shown};
use crate::service::now;
use crate::told::{Failure, Told, refused};
use conclave_content::MAX_PICTURE;
use conclave_engine::{DeviceId, Engine, Name, look_alike};
use conclave_store::Store;
use std::collections::BTreeMap;
use std::path::Path;

impl Profiles {
    /// What the user is told of a profile that has changed.
    pub(crate) fn told<S: Store>(
        &self,
        engine: &Engine<S>,
        group: String,
        changed: &ProfileNews,
    ) -> Shown {
        let part = if changed.name { ProfilePart::Name } else { ProfilePart::Picture };
        let changed = ProfileShown { changed: Some(part), ..self.shown(engine, &changed.user) };
        Shown::Profile { group, profile: changed }
    }

    fn shown<S: Store>(&self, engine: &Engine<S>, user: &Name) -> ProfileShown {
        let of = self.of(user);
        let picture = of.and_then(|of| of.picture);
        ProfileShown {
            user: user.clone(),
            own: *user == engine.device().user,
            name: of.map(|of| of.name.to_owned()).unwrap_or_default(),
            picture: picture.map(|(format, size)| (format.media_type(), size)),
            changed: None,
        }
    }

    fn name_of(&self, user: &Name) -> String {
        self.of(user).map(|of| of.name.to_owned()).unwrap_or_default()
    }

    /// Adds display names to what is shown: to lists, and to a message of another user unless the name may be taken for
    /// somebody else's.
    pub(crate) fn add_names<S: Store>(&self, engine: &Engine<S>, shown: &mut [Shown]) {
        let mut users_of: BTreeMap<String, Vec<Name>> = BTreeMap::new();
        let mut last_member: Option<Name> = None;
        for one in shown {
            match one {
                Shown::RoomUser { user, called, .. } => *called = self.name_of(user),
                Shown::Member { member, called, .. } => {
                    let user = &member.device.user;
                    if last_member.as_ref() != Some(user) {
                        *called = self.name_of(user);
                        last_member = Some(user.clone());
                    }
                }
                Shown::Said(said) => {
                    let Ok(DeviceId { user, .. }) = said.sender.parse() else { continue };
                    let name = self.name_of(&user);
                    if name.is_empty() || user == engine.device().user {
                        continue;
                    }
                    let users = users_of
                        .entry(said.group.clone())
                        .or_insert_with(|| users_in(engine, &said.group));
                    if !may_be_taken_for_another(&name, &user, users) {
                        said.called = name;
                    }
                }
                _ => {}
            }
        }
    }

    /// Does what a user asks for.
    pub(crate) fn command<S: Store>(
        &mut self,
        engine: &Engine<S>,
        command: ProfileCommand,
    ) -> Result<Told, Failure> {
        let mut told = Told::default();
        let change = match command {
            ProfileCommand::Show(user) => {
                let user = user.unwrap_or_else(|| engine.device().user.clone());
                if self.of(&user).is_none() {
                    return Err(refused(no_profile(engine, &user)));
                }
                let (group, profile) = (String::new(), self.shown(engine, &user));
                told.shown = vec![Shown::Profile { group, profile }];
                return Ok(told);
            }
            ProfileCommand::Save { user, path } => {
                let picture = self.picture(engine, &user)?;
                let picture = picture.ok_or_else(|| refused(format!("{user} has no picture")))?;
                write_new(Path::new(&path), picture.bytes())
                    .map_err(|e| refused(format!("{path}: {e}")))?;
                let what = format!("the picture of {user} is saved as {path}");
                told.shown = vec![Shown::Note { group: String::new(), what }];
                return Ok(told);
            }
            ProfileCommand::Name(name) => {
                ProfileChange { name: Some(name), ..ProfileChange::default() }
            }
            ProfileCommand::Picture(path) => {
                let bytes = read_at_most(Path::new(&path), MAX_PICTURE);
                let bytes = bytes.map_err(|e| refused(format!("{path}: {e}")))?;
                let picture = PictureChange::New(bytes);
                ProfileChange { picture, ..ProfileChange::default() }
            }
            ProfileCommand::Remove => ProfileChange::removed(),
        };

        told.rows = self.set(engine, change, now()).map_err(|e| match e {
            ProfileRefusal::Fault(fault) => refused(fault.to_string()),
            ProfileRefusal::Engine(e) => e.into(),
        })?;
        let (group, profile) = (String::new(), self.shown(engine, &engine.device().user));
        told.shown = vec![Shown::Profile { group, profile }];
        Ok(told)
    }
}

fn no_profile<S: Store>(engine: &Engine<S>, user: &Name) -> String {
    if *user == engine.device().user {
        "you have no display name and no picture: /profile name TEXT gives you a name".into()
    } else {
        format!("nothing is known here of what {user} says of themselves")
    }
}

/// The users of a group, by its name here.
fn users_in<S: Store>(engine: &Engine<S>, name: &str) -> Vec<Name> {
    let group = engine.groups().into_iter().find(|group| group.name == name);
    let devices = group.map(|group| engine.member_devices(&group.id)).unwrap_or_default();
    let mut users: Vec<Name> = devices.into_iter().map(|device| device.user).collect();
    users.dedup();
    users
}

/// Whether a display name looks like another user's name, or like that of a device.
fn may_be_taken_for_another(name: &str, of: &Name, users: &[Name]) -> bool {
    // A device's name, or what a font may draw as one.
    let is_like_a_device = name.contains(['/', '\u{2044}', '\u{2215}', '\u{29f8}', '\u{ff0f}']);
    let mut others = users.iter().filter(|user| *user != of);
    is_like_a_device || others.any(|user| look_alike(name, user.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(name: &str) -> bool {
        let users: Vec<Name> =
            ["alice", "bob", "mallory"].iter().map(|user| user.parse().unwrap()).collect();
        may_be_taken_for_another(name, &"mallory".parse().unwrap(), &users)
    }

    #[test]
    fn a_name_that_may_be_taken_for_another_users_is_known() {
        for name in ["bob", "Bob", "b\u{43e}b", "ALICE", "bob/phone", "x\u{2215}y", "a/b"] {
            assert!(is_taken(name), "{name}");
        }
        for name in ["Mallory", "mallory", "Bob K.", "bobby", "寿"] {
            assert!(!is_taken(name), "{name}");
        }
    }
}
