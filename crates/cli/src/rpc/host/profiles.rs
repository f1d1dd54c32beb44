//! What users say of themselves: kept, told to rooms, and given to clients.

use super::{Failed, Host};
use crate::rpc::event;
use crate::rpc::fault::Fault;
use crate::rpc::request::{ProfileOf, SetProfile};
use crate::rpc::sent::Sent;
use conclave_client::{
    AppRows, CommandError, EngineError, GroupId, MimiMessage, News, PictureChange, ProfileChange,
    ProfileRefusal, now, read_at_most, write_new,
};
use conclave_content::{MAX_PICTURE, Meaning};
use conclave_store::Store;
use serde_json::Value;
use std::path::Path;

/// What an event says of users.
#[derive(Default)]
pub(super) struct Heard {
    /// What is to be written with the note that it was looked at.
    pub(super) rows: AppRows,
    /// Whether it is a profile that was known: no client is told.
    pub(super) is_old: bool,
    /// The profile's message, which the engine need not keep.
    pub(super) kept: Vec<(GroupId, u64)>,
}

impl Heard {
    pub(super) fn is_nothing(&self) -> bool {
        self.rows.is_empty() && self.kept.is_empty()
    }
}

impl<S: Store> Host<S> {
    /// Takes what an event says of users.
    pub(super) fn hear(&mut self, group: &GroupId, news: &News) -> Result<Heard, EngineError> {
        let engine = self.device.engine();
        let News::Message { seq, time, sender, content, .. } = news else {
            let rows = self.profiles.observe(engine, group, news)?;
            return Ok(Heard { rows, ..Heard::default() });
        };
        let message = MimiMessage::read(engine, group, (sender, *time), content);
        let Some(Meaning::Profile(profile)) = message.as_ref().map(MimiMessage::meaning) else {
            return Ok(Heard::default());
        };
        let (news, rows) = self.profiles.take(engine, (group, sender, *time), &profile)?;
        Ok(Heard { rows, is_old: news.is_none(), kept: vec![(group.clone(), *seq)] })
    }

    /// Tells rooms what the user says of themselves, where that is due. Returns whether there were any.
    pub(super) fn tell_rooms(&mut self) -> Result<bool, EngineError> {
        let mut is_any = false;
        while let Some(room) = self.profiles.next_room(self.device.engine()) {
            self.tell_room(&room)?;
            is_any = true;
        }
        Ok(is_any)
    }

    /// Tells a room of the user, if it is to hear that before anything else.
    pub(super) fn tell_first(&mut self, room: &GroupId) -> Result<(), EngineError> {
        if self.profiles.comes_first(self.device.engine(), room, now()) {
            self.tell_room(room)?;
        }
        Ok(())
    }

    /// Tells a room of the user, unless the user may say nothing there.
    fn tell_room(&mut self, room: &GroupId) -> Result<(), EngineError> {
        let now = now();
        let told = self.profiles.message(self.device.engine(), (room, now), &mut *self.rng)?;
        let Some((content, rows)) = told else { return Ok(()) };
        let sent = Sent::queued(None, room, &content, true);
        match self.enqueue(sent, content, &[], rows) {
            Ok(_) => {
                self.profiles.sent(room, now);
                Ok(())
            }
            Err(CommandError::Refused(_)) => Ok(()),
            Err(CommandError::Engine(e)) => Err(e),
        }
    }

    pub(super) fn set_profile(&mut self, set: &SetProfile) -> Result<Value, Failed> {
        let picture = match set.picture.as_deref() {
            None => PictureChange::Stays,
            Some("") => PictureChange::Removed,
            Some(path) => {
                let bytes = read_at_most(Path::new(path), MAX_PICTURE);
                PictureChange::New(bytes.map_err(|e| file_refused(path, &e))?)
            }
        };
        let change = ProfileChange { name: set.name.clone(), picture };
        let engine = self.device.engine();
        let rows = self.profiles.set(engine, change, now()).map_err(|e| match e {
            ProfileRefusal::Fault(fault) => Failed::Fault(Fault::params(fault.to_string())),
            ProfileRefusal::Engine(e) => e.into(),
        })?;
        engine.write_app_rows(rows)?;
        let me = engine.device().user.clone();
        Ok(event::profile(&me, self.profiles.of(&me)))
    }

    pub(super) fn profile(&mut self, asked: &ProfileOf) -> Result<Value, Failed> {
        let engine = self.device.engine();
        let user = asked.user.clone().unwrap_or_else(|| engine.device().user.clone());
        if let Some(path) = &asked.path {
            let picture = self.profiles.picture(engine, &user)?;
            let why = || Fault::refused("file-refused", "this device knows no picture of the user");
            let picture = picture.ok_or_else(why)?;
            let written = write_new(Path::new(path), picture.bytes());
            written.map_err(|e| file_refused(path, &e))?;
        }
        Ok(event::profile(&user, self.profiles.of(&user)))
    }
}

fn file_refused(path: &str, e: &std::io::Error) -> Fault {
    Fault::refused("file-refused", format!("{path}: {e}"))
}
