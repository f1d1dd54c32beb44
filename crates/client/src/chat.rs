//! What was said, kept: the history around the engine, and what a user does with it.
//!
//! What is said goes out as MIMI content. What comes in is recorded, shown, and written with the note that it was taken,
//! in one step; the engine then keeps no copy of it. Text of older versions is read as it came.

use crate::compose::{Markup, content_of, draft_of};
use crate::drafts::{NO_DRAFT, drafts_shown, rows_of_draft};
use crate::engine_rows::{ADOPTED, EngineRows, EngineRowsMut, TABLE, rows_of};
use crate::error::ChatError;
use crate::expiry::{choose_expiry, expiry_policy};
use crate::history_word::{Heard, word_of};
use crate::lines::{ChatCommand, Did, DraftCommand, Shown};
use crate::messenger::{IN_NO_GROUP, Messenger};
use crate::mimi::Place;
use crate::profiles::Profiles;
use crate::service::now;
use crate::telling::{said, shown};
use crate::told::{Failure, Told, refused};
use conclave_content::{Draft, MessageId, MessageStatus, MessageStatusReport, Replacing};
use conclave_delivery_api::DeviceId;
use conclave_engine::{
    AppRows, Content, Engine, EngineError, MessageExpiration, News, Output, Phase,
};
use conclave_history::{Body, Cursor, Entry, Event, ExportError, Format, History, Taken, nobody};
use conclave_mls::GroupId;
use conclave_mls::crypto::CryptoRng;
use conclave_room::Capability;
use conclave_store::Store;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The row that is there if others are told what was received and read.
const RECEIPTS: &[u8] = b"receipts";
/// How many messages that the engine has kept are taken over in one write.
const ADOPTED_TOGETHER: usize = 500;
/// How many expired messages are deleted in one write.
const EXPIRED_TOGETHER: usize = 500;
/// How many messages a report names at most.
const MAX_REPORTED: usize = 256;
/// What a new device is told when another one brings it in.
const BROUGHT_IN: &str = "your other devices have what was said before: /history ask asks for it";
/// How many messages a search shows.
const FOUND: usize = 20;

/// The URIs and names that an event is told by.
struct Names {
    place: Place,
    me: String,
    user: String,
    device: String,
}

impl Names {
    fn of(place: Place, me: &DeviceId, sender: &DeviceId) -> Self {
        let (me, user) = (place.user(&me.user), place.user(&sender.user));
        Self { place, me, user, device: sender.to_string() }
    }
}

fn event<'a>(
    group: &'a GroupId,
    (number, time): (u64, u64),
    names: &'a Names,
    (content, moderates, expiration): (&'a Content, bool, Option<MessageExpiration>),
) -> Event<'a> {
    Event {
        group,
        room: names.place.room(),
        me: &names.me,
        number,
        time,
        user: &names.user,
        device: &names.device,
        media_type: content.media_type(),
        bytes: content.bytes(),
        may_replace: if moderates { &deletions } else { &nobody },
        expiry: expiry_policy(expiration),
    }
}

/// The policy for a moderator, who deletes what others have said, and edits none of it.
fn deletions(replacing: &Replacing<'_>) -> bool {
    replacing.deletes
}

/// What was said, and what the user has chosen.
pub(crate) struct Chat {
    history: History,
    me: DeviceId,
    /// Whether others are told what was received and read.
    receipts: bool,
    profiles: Profiles,
    rng: Box<dyn CryptoRng + Send>,
}

impl Chat {
    /// The history beside an engine. What the engine has kept of earlier versions is taken over, and counts as read.
    pub(crate) fn open<S: Store>(
        engine: &mut Engine<S>,
        mut rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, ChatError> {
        let me = engine.device().clone();
        let history = History::open(&mut EngineRowsMut(engine), &mut *rng)?;
        let receipts = engine.app_row(TABLE, RECEIPTS)?.is_some();
        let profiles = Profiles::open(engine)?;
        let chat = Self { history, me, receipts, profiles, rng };
        chat.history.mend(&mut EngineRowsMut(engine))?;
        // Once: what comes later is taken when it is shown.
        if engine.app_row(TABLE, ADOPTED)?.is_none() {
            for group in engine.groups() {
                chat.adopt(engine, &group.id)?;
            }
            let mut rows = AppRows::new();
            rows.put(TABLE, ADOPTED, vec![1]);
            engine.write_app_rows(rows)?;
        }
        Ok(chat)
    }

    fn adopt<S: Store>(&self, engine: &mut Engine<S>, group: &GroupId) -> Result<(), ChatError> {
        for kept in engine.history(group, usize::MAX)?.chunks(ADOPTED_TOGETHER) {
            let rows = EngineRows(&*engine);
            let mut recording = self.history.record(&rows, now() / 1000);
            let mut adopted = Vec::new();
            for news in kept {
                let News::Message { seq, time, sender, moderates, expiration, content, .. } = news
                else {
                    continue;
                };
                let place = Place::of_content(engine, group, content);
                let names = Names::of(place, &self.me, sender);
                let said = (content, *moderates, *expiration);
                recording.take(&event(group, (*seq, *time), &names, said))?;
                adopted.push((group.clone(), *seq));
            }
            recording.mark_read(group, u64::MAX)?;
            let set = recording.finish();
            engine.acknowledge_adopting(&[], rows_of(&set), &adopted)?;
        }
        Ok(())
    }

    /// Takes what the engine says. `otherwise` says what is shown of an output that is not a message.
    pub(crate) fn take<S: Store>(
        &mut self,
        engine: &Engine<S>,
        outputs: &[Output],
        now: u64,
        mut otherwise: impl FnMut(&Output) -> Vec<Shown>,
    ) -> Result<Told, ChatError> {
        let rows = EngineRows(engine);
        let mut told = Told::default();
        let mut delivered: BTreeMap<GroupId, Vec<MessageId>> = BTreeMap::new();
        let me = self.me.to_string();
        let mut is_brought_in = false;
        let mut profile_rows = AppRows::new();
        let mut recording = self.history.record(&rows, now);
        for expired in recording.expire(EXPIRED_TOGETHER)? {
            let (group, number) = (engine.group_name(&expired.group), expired.number);
            told.shown.push(Shown::Did { group, did: Did::Expired { number } });
        }

        for output in outputs {
            let Output::News {
                group: Some(group),
                news: News::Message { seq, time, sender, moderates, expiration, content, .. },
                ..
            } = output
            else {
                told.shown.extend(otherwise(output));
                if let Output::News { group: Some(group), news, .. } = output {
                    profile_rows.merge(self.profiles.observe(engine, group, news)?);
                }
                if let Output::News {
                    group: Some(group), news: News::Joined { seq, by, .. }, ..
                } = output
                {
                    recording.came_in(group, *seq)?;
                    // Once for all groups that another device has brought this one into.
                    if self.is_another_of_ours(by) && !is_brought_in {
                        is_brought_in = true;
                        let (group, what) = (engine.group_name(group), BROUGHT_IN.into());
                        told.shown.push(Shown::Note { group, what });
                    }
                }
                continue;
            };
            let place = Place::of_content(engine, group, content);
            let names = Names::of(place, &self.me, sender);
            let said = (content, *moderates, *expiration);
            let event = event(group, (*seq, *time), &names, said);
            let taken = match recording.take(&event)? {
                // It was taken over from the engine, and not shown.
                Taken::Known => match self.history.read(&rows).entry(group, *seq)? {
                    Some(entry) => Taken::Said(Box::new(entry)),
                    None => Taken::Known,
                },
                taken => taken,
            };
            if let Taken::Said(entry) = &taken
                && !entry.own
                && is_member(engine, group)
            {
                delivered.entry(group.clone()).or_default().push(entry.id);
            }
            if let Taken::Profile(profile) = &taken {
                let (changed, rows) =
                    self.profiles.take(engine, (group, sender, *time), profile)?;
                profile_rows.merge(rows);
                let name = engine.group_name(group);
                told.shown.extend(changed.map(|of| self.profiles.told(engine, name, &of)));
            }
            if self.is_another_of_ours(sender)
                && taken == Taken::Nothing
                && let Some(word) = word_of(content)
            {
                let (group, by) = (group.clone(), sender.clone());
                told.heard.push(Heard { group, by, word });
            }
            told.shown.extend(shown(&engine.group_name(group), &me, sender, taken));
            told.adopted.push((group.clone(), *seq));
        }
        told.rows = rows_of(&recording.finish());
        told.rows.merge(profile_rows);

        for (group, ids) in delivered {
            if !engine.status_reports(&group, self.receipts).delivered {
                continue;
            }
            let ids = ids.into_iter().take(MAX_REPORTED);
            let report = MessageStatusReport::of(MessageStatus::DELIVERED, ids);
            // A report can always be made: it is short.
            let content = self.content(engine, &group, Draft::status(&report)).ok();
            told.to_send.extend(content.map(|content| (group, content)));
        }
        Ok(told)
    }

    /// Whether this is another device of this user's.
    fn is_another_of_ours(&self, device: &DeviceId) -> bool {
        device.user == self.me.user && *device != self.me
    }

    /// MIMI content of a draft for a room, or why there is none.
    fn content<S: Store>(
        &mut self,
        engine: &Engine<S>,
        group: &GroupId,
        draft: Draft,
    ) -> Result<Content, String> {
        content_of(engine, group, draft, &mut *self.rng)
    }

    /// What goes out for something that was typed.
    pub(crate) fn outgoing<S: Store>(
        &mut self,
        engine: &Engine<S>,
        group: &GroupId,
        typed: Content,
    ) -> Result<Content, String> {
        match typed.text() {
            Some(text) => {
                let place = Place::of(engine, group);
                let draft = draft_of(engine, (group, &place), text, Markup::Plain);
                self.content(engine, group, draft)
            }
            None => Ok(typed),
        }
    }

    /// What users say of themselves.
    pub(crate) fn profiles(&mut self) -> &mut Profiles {
        &mut self.profiles
    }

    /// The message that tells a group of our user at a time in milliseconds since 1970, and the rows that are to be written
    /// with it. None if there is nothing to tell.
    pub(crate) fn introduction<S: Store>(
        &mut self,
        engine: &Engine<S>,
        group: &GroupId,
        now: u64,
    ) -> Result<Option<(Content, AppRows)>, EngineError> {
        self.profiles.message(engine, (group, now), &mut *self.rng)
    }

    /// What was said.
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// A message of this group, by its number, if it is here and not deleted.
    pub(crate) fn entry<S: Store>(
        &self,
        engine: &Engine<S>,
        group: &GroupId,
        number: u64,
    ) -> Result<Entry, Failure> {
        let rows = EngineRows(engine);
        let entry = self.history.read(&rows).entry(group, number)?;
        let name = || engine.group_name(group);
        let none = || refused(format!("there is no message {number} in {}", name()));
        let entry = entry.ok_or_else(none)?;
        match entry.body {
            Body::Deleted { .. } => Err(refused(format!("message {number} was deleted"))),
            _ => Ok(entry),
        }
    }

    /// When something expires, in milliseconds since 1970.
    pub(crate) fn wake_at<S: Store>(&self, engine: &Engine<S>) -> Option<u64> {
        let rows = EngineRows(engine);
        // What cannot be read now is found out by whatever reads next.
        let at = self.history.read(&rows).wake_at().ok()??;
        Some(at.saturating_mul(1000))
    }

    /// Takes note that the user has read a group, up to a number. Returns what is to be written, and sent then.
    pub(crate) fn mark_read<S: Store>(
        &mut self,
        engine: &Engine<S>,
        group: &GroupId,
        (up_to, now): (u64, u64),
    ) -> Result<Told, ChatError> {
        let rows = EngineRows(engine);
        let mut told = Told::default();
        let Some(room) = self.history.read(&rows).room(group)? else { return Ok(told) };
        if room.unread == 0 && up_to >= room.latest {
            return Ok(told);
        }
        let mut recording = self.history.record(&rows, now);
        if !recording.mark_read(group, up_to)? {
            return Ok(told);
        }
        told.rows = rows_of(&recording.finish());
        if is_member(engine, group) && engine.status_reports(group, self.receipts).read {
            let read = (room.read_up_to, up_to.min(room.latest));
            let ids = self.history.read(&rows).said_by_others(group, read, MAX_REPORTED)?;
            if !ids.is_empty() {
                let report = Draft::status(&MessageStatusReport::of(MessageStatus::READ, ids));
                let content = self.content(engine, group, report).ok();
                told.to_send.extend(content.map(|content| (group.clone(), content)));
            }
        }
        Ok(told)
    }

    /// Does what a user asks for in the current group.
    pub(crate) fn command<S: Store>(
        &mut self,
        (engine, messenger): (&Engine<S>, &Messenger),
        now: u64,
        command: ChatCommand,
    ) -> Result<Told, Failure> {
        let to_look_at = || messenger.group_to_look_at(engine).ok_or_else(|| refused(IN_NO_GROUP));
        let mut told = Told::default();
        match command {
            ChatCommand::Unread => told.shown = self.unread(engine)?,
            ChatCommand::Receipts(on) => {
                self.receipts = on;
                let what = match on {
                    true => {
                        told.rows.put(TABLE, RECEIPTS, vec![1]);
                        "others are told what you have received and read"
                    }
                    false => {
                        told.rows.delete(TABLE, RECEIPTS);
                        "nobody is told what you have received and read, not even your other devices, unless a group demands it"
                    }
                };
                told.shown = vec![Shown::Note { group: String::new(), what: what.into() }];
            }
            ChatCommand::Page { .. }
            | ChatCommand::Search { .. }
            | ChatCommand::Mentions { .. }
            | ChatCommand::Export(_) => {
                told.shown = self.look(engine, &to_look_at()?, command)?;
            }
            ChatCommand::Draft(command) => {
                let group = to_look_at()?;
                told = self.draft(engine, &group, command, now)?;
            }
            ChatCommand::Read(up_to) => {
                let group = to_look_at()?;
                told = self.mark_read(engine, &group, (up_to.unwrap_or(u64::MAX), now))?;
                let what = match up_to {
                    Some(number) => format!("read up to {number}"),
                    None => "all is read".into(),
                };
                told.shown = vec![Shown::Note { group: engine.group_name(&group), what }];
            }
            ChatCommand::Reply { .. }
            | ChatCommand::React { .. }
            | ChatCommand::Unreact(_)
            | ChatCommand::Edit { .. }
            | ChatCommand::Delete(_)
            | ChatCommand::Expire { .. } => {
                let group = messenger.group_to_talk_in(engine).map_err(refused)?;
                let place = Place::of(engine, &group);
                for draft in self.drafts(engine, (&group, &place), command)? {
                    let content = self.content(engine, &group, draft).map_err(refused)?;
                    told.to_send.push((group.clone(), content));
                }
            }
        }
        Ok(told)
    }

    /// Keeps, shows or throws away what is not sent yet.
    fn draft<S: Store>(
        &self,
        engine: &Engine<S>,
        group: &GroupId,
        command: DraftCommand,
        now: u64,
    ) -> Result<Told, Failure> {
        let mut told = Told::default();
        let note = |what: &str| Shown::Note { group: engine.group_name(group), what: what.into() };
        let text = match command {
            DraftCommand::Keep(text) => text,
            DraftCommand::Clear => String::new(),
            DraftCommand::Show => {
                told.shown = drafts_shown(engine, &self.history, [group.clone()])?;
                if told.shown.is_empty() {
                    told.shown = vec![note(NO_DRAFT)];
                }
                return Ok(told);
            }
        };
        let what = if text.is_empty() { "nothing is kept to be sent" } else { "kept, not sent" };
        told.shown = vec![note(what)];
        told.rows = rows_of_draft(engine, &self.history, group, (text, now))?;
        Ok(told)
    }

    fn unread<S: Store>(&self, engine: &Engine<S>) -> Result<Vec<Shown>, ChatError> {
        let rows = EngineRows(engine);
        let reading = self.history.read(&rows);
        let mut shown = Vec::new();
        for room in reading.rooms()?.into_iter().filter(|room| room.unread > 0) {
            let group = engine.group_name(&room.group);
            let did = Did::Unread { count: room.unread, mentions: room.mentions };
            shown.push(Shown::Did { group, did });
        }
        if shown.is_empty() {
            shown.push(Shown::Note { group: String::new(), what: "nothing is unread".into() });
        }
        Ok(shown)
    }

    /// What is sent for a command that says something about a message, or says something that disappears.
    fn drafts<S: Store>(
        &self,
        engine: &Engine<S>,
        (group, place): (&GroupId, &Place),
        command: ChatCommand,
    ) -> Result<Vec<Draft>, Failure> {
        let rows = EngineRows(engine);
        let reading = self.history.read(&rows);
        let find = |number: u64| self.entry(engine, group, number);
        let draft_of = |text: &str| draft_of(engine, (group, place), text, Markup::Plain);
        let find_own = |number: u64| -> Result<Entry, Failure> {
            let entry = find(number)?;
            let not_own =
                || refused(format!("message {number} is not yours: it is {}'s", entry.device));
            if entry.own { Ok(entry) } else { Err(not_own()) }
        };

        Ok(match command {
            ChatCommand::Reply { to, text } => {
                let entry = find(to)?;
                vec![draft_of(&text).in_reply_to(entry.id).topic(&entry.topic)]
            }
            ChatCommand::React { to, symbols } => {
                let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
                let draft = Draft::reaction(find(to)?.id, &symbols);
                vec![draft.map_err(|e| refused(e.to_string()))?]
            }
            ChatCommand::Unreact(of) => {
                let to = find(of)?.id;
                let own = reading.reactions_of(&place.user(&self.me.user), group, of)?;
                if own.is_empty() {
                    return Err(refused(format!("you have not reacted to message {of}")));
                }
                own.into_iter().map(|by| Draft::unreaction(by, to)).collect()
            }
            ChatCommand::Edit { of, text } => {
                let entry = find_own(of)?;
                let mut draft = draft_of(&text).replacing(entry.id).topic(&entry.topic);
                // All but the body stays as it was.
                if let Some(quote) = &entry.reply_to {
                    draft = draft.in_reply_to(quote.id);
                }
                if let Some(expires) = entry.content().and_then(|content| content.expires) {
                    draft = draft.expiring(expires);
                }
                vec![draft]
            }
            ChatCommand::Expire { expiry, text } => {
                let expires = choose_expiry(engine, group, expiry).map_err(refused)?;
                vec![draft_of(&text).expiring(expires)]
            }
            ChatCommand::Delete(of) => {
                let capabilities = engine.room(group).map(|room| room.capabilities);
                let moderates =
                    capabilities.is_some_and(|all| all.contains(&Capability::DELETE_OTHER_MESSAGE));
                vec![Draft::deletion(if moderates { find(of)? } else { find_own(of)? }.id)]
            }
            _ => Vec::new(),
        })
    }

    /// What is shown of what was said.
    fn look<S: Store>(
        &self,
        engine: &Engine<S>,
        group: &GroupId,
        command: ChatCommand,
    ) -> Result<Vec<Shown>, Failure> {
        let rows = EngineRows(engine);
        let reading = self.history.read(&rows);
        let name = engine.group_name(group);
        let (why, entries, before) = match command {
            ChatCommand::Page { limit, before } => {
                let page = reading.before(group, Cursor(before), limit)?;
                ("history", page.entries, page.earlier)
            }
            ChatCommand::Search { words, before } => {
                let before = before.map_or(Cursor::LAST, Cursor);
                let found = reading.search(group, &words, before, FOUND)?;
                if found.entries.is_empty() && found.before.is_none() {
                    let what = format!("no message has these words: {words}");
                    return Ok(vec![Shown::Note { group: name, what }]);
                }
                ("found", found.entries, found.before)
            }
            ChatCommand::Mentions { before } => {
                let found = reading.mentions(group, Cursor(before), FOUND)?;
                if found.entries.is_empty() {
                    let what = "no message mentions you".into();
                    return Ok(vec![Shown::Note { group: name, what }]);
                }
                ("found", found.entries, found.before)
            }
            ChatCommand::Export(file) => {
                let format = match Path::new(&file).extension().is_some_and(|ext| ext == "json") {
                    true => Format::Json,
                    false => Format::Text,
                };
                let written = new_file(&file).map_err(ExportError::Io).and_then(|out| {
                    let mut out = BufWriter::new(out);
                    let written = reading.export(group, format, &mut out)?;
                    out.flush()?;
                    Ok(written)
                });
                let written = written.map_err(|e| refused(format!("{file}: {e}")))?;
                let what = format!("{written} messages are written to {file}");
                return Ok(vec![Shown::Note { group: name, what }]);
            }
            _ => return Ok(Vec::new()),
        };
        let me = self.me.to_string();
        let mut shown = Vec::new();
        let mut given_by: Option<String> = None;
        for entry in entries {
            let mut said = said(why, &name, &me, entry);
            let by = said.given_by.as_ref().map(|(by, _)| by.clone());
            if let Some((_, begins)) = &mut said.given_by {
                *begins = by != given_by;
            }
            given_by = by;
            shown.push(Shown::Said(Box::new(said)));
        }
        if let Some(Cursor(before)) = before {
            shown.push(Shown::Did { group: name.clone(), did: Did::More { before } });
        }
        Ok(shown)
    }
}

/// Whether something can be said in a group: nothing is, before the user has accepted it.
fn is_member<S: Store>(engine: &Engine<S>, group: &GroupId) -> bool {
    engine.group(group).is_some_and(|group| matches!(group.phase, Phase::Member))
}

/// A new file, for its owner alone: what was said is nobody else's business.
fn new_file(path: &str) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
