//! What makes a messenger of the engine: a group that lines go to, and names instead of identifiers. It does no I/O.
//!
//! The engine's own tests include this file, too: they speak and read as users do. So it names the engine by its crate's
//! name, and its own files by `super`.

use super::lines::{Command, Shown};
use super::words;
use conclave_engine::{
    Answer, AppRows, Command as Wish, CommandError, Content, Engine, EngineError, GroupView, News,
    Output, Phase, Reason,
};
use conclave_mls::GroupId;
use conclave_store::Store;

/// The messenger's table in the engine's store.
const TABLE: &str = "messenger";
/// The group that lines go to: its identifier, or nothing.
const CURRENT: &[u8] = b"current";

pub(crate) const IN_NO_GROUP: &str = "you are in no group";
const HOW_TO_GET_IN: &str = "you are in no group: /new NAME makes one, or somebody invites you";

/// A messenger's state, beside that of its engine.
#[derive(Debug)]
pub struct Messenger {
    current: Option<GroupId>,
    /// Whether `current` is to be written.
    changed: bool,
}

impl Messenger {
    /// A messenger from what is stored with its engine.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open<S: Store>(engine: &Engine<S>) -> Result<Self, EngineError> {
        let current = match engine.app_row(TABLE, CURRENT)? {
            Some(stored) => Some(stored.expose()).filter(|id| !id.is_empty()).map(GroupId::from),
            // As earlier versions have kept it.
            None => engine.former_current_group().cloned(),
        };
        Ok(Self { current, changed: false })
    }

    /// The group that lines go to.
    #[must_use]
    pub fn current(&self) -> Option<&GroupId> {
        self.current.as_ref()
    }

    /// The name of the group that lines go to.
    #[must_use]
    pub fn current_name<S: Store>(&self, engine: &Engine<S>) -> Option<String> {
        self.current.as_ref().map(|group| engine.group_name(group))
    }

    fn go_to(&mut self, group: Option<GroupId>) {
        self.changed |= self.current != group;
        self.current = group;
    }

    /// The row that is to be written.
    fn rows(&self) -> AppRows {
        let mut rows = AppRows::new();
        if self.changed {
            let current = self.current.as_deref().unwrap_or_default();
            rows.put(TABLE, CURRENT, current);
        }
        rows
    }

    /// Takes what the engine says, and returns what the user is told of it.
    pub fn take<S: Store>(&mut self, engine: &Engine<S>, outputs: &[Output]) -> Vec<Shown> {
        let mut shown = Vec::new();
        for output in outputs {
            match output {
                Output::News { key, group, news } => {
                    shown.push(told(engine, *key, group.as_ref(), news));
                    if let Some(id) = group {
                        shown.extend(self.follow(engine, id, news));
                    }
                }
                Output::Answer(answer) => shown.push(answered(engine, answer)),
            }
        }
        shown
    }

    /// Takes note that the user was told of this, and of where lines go since then, in one write.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn acknowledge<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        outputs: &[Output],
    ) -> Result<(), EngineError> {
        self.acknowledge_adopting(engine, outputs, AppRows::new(), &[])
    }

    /// The same, with rows of a history, which keeps these messages in the engine's place.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn acknowledge_adopting<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        outputs: &[Output],
        mut rows: AppRows,
        adopted: &[(GroupId, u64)],
    ) -> Result<(), EngineError> {
        rows.merge(self.rows());
        engine.acknowledge_adopting(outputs, rows, adopted)?;
        self.changed = false;
        Ok(())
    }

    /// Sees to where lines go after an event. Never to another group than before, unless that goes on in the other one:
    /// what the user is about to say would be said to others.
    fn follow<S: Store>(&mut self, engine: &Engine<S>, id: &GroupId, news: &News) -> Option<Shown> {
        let is_current = self.current.as_ref() == Some(id);
        match news {
            News::Created { .. } | News::Joined { .. }
                if self.current.is_none() && !is_asked_about(engine, id) =>
            {
                self.go_to(Some(id.clone()));
            }
            News::JoinedByLink { .. } if self.current.is_none() => self.go_to(Some(id.clone())),
            News::JoinedByLink { .. } if !is_current => {
                let name = engine.group_name(id);
                let what = format!("/switch {name} to talk in {name}");
                return Some(Shown::Note { group: String::new(), what });
            }
            // It was left, and is not accepted yet.
            News::Invited { .. } if is_current && is_asked_about(engine, id) => self.go_to(None),
            News::Replaces { old } if self.current.as_ref() == Some(old) => {
                self.go_to(Some(id.clone()));
            }
            // Somebody else's successor was faster than the one that was made here.
            News::Ended { .. } => {
                let current = self.current.as_ref();
                let made = current.and_then(|current| engine.predecessor(current));
                if made.as_ref() == Some(id) {
                    self.go_to(made);
                }
            }
            _ => {}
        }
        None
    }

    /// Does what a user has typed, and returns the answer. What comes of it later is said by the engine.
    ///
    /// # Errors
    /// If the state cannot be read or written.
    pub fn command<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
        command: Command,
    ) -> Result<Vec<Shown>, EngineError> {
        if engine.awaits_admission() && !matches!(command, Command::Wish(_)) {
            return Ok(refused(words::about_group(engine, None, &Reason::AwaitsAdmission)));
        }
        match command {
            Command::Wish(wish) => self.wish(engine, now, wish),
            Command::Groups => Ok(self.groups(engine)),
            Command::Switch(name) => self.switch(engine, now, &name),
            Command::Accept(name) => self.accept(engine, now, name.as_deref()),
            Command::Decline(name) => match asked_about(engine, name.as_deref()) {
                Ok(id) => self.wish(engine, now, Wish::Decline(id)),
                Err(why) => Ok(refused(why)),
            },
            Command::Verify(who) => {
                let me = engine.device().clone();
                let pairs = engine.pair_codes(&who)?.into_iter();
                let shown: Vec<Shown> =
                    pairs.map(|pair| Shown::Pair { me: me.clone(), pair }).collect();
                let none = || format!("no key of {who} is known here: invite {who} first");
                Ok(if shown.is_empty() { refused(none()) } else { shown })
            }
            Command::Devices(user) => {
                let user = user.unwrap_or_else(|| engine.device().user.clone());
                let what = if engine.has_certificates() { "certificate" } else { "account" };
                Ok(match engine.devices(&user) {
                    Some(devices) => devices.into_iter().map(Shown::Device).collect(),
                    None => {
                        refused(format!("no {what} of {user} is known here: invite {user} first"))
                    }
                })
            }
            Command::Members => self.members(engine),
            Command::Room => Ok(self.room(engine)),
            Command::Preauthorized => Ok(self.preauthorized(engine)),
            Command::ChangeRoom(change) => self.about_current(engine, now, why_nowhere, |group| {
                Wish::ChangeRoom { group, change }
            }),
            Command::History(n) => {
                let Some(id) = self.group_to_look_at(engine) else {
                    return Ok(refused(IN_NO_GROUP));
                };
                let group = engine.group_name(&id);
                let history = engine.history(&id, n)?.into_iter();
                Ok(history.map(|news| Shown::History { group: group.clone(), news }).collect())
            }
            // The chat around this does it.
            Command::Chat(_)
            | Command::SendDraft
            | Command::AskHistory
            | Command::GiveHistory(_) => Ok(refused("no history is kept here")),
            Command::File(_) => Ok(refused("no files are sent from here")),
            Command::Profile(_) => Ok(refused("no profiles are kept here")),
            Command::Links => Ok(self.links(engine)),
            Command::Leave => self.about_current(engine, now, |_| IN_NO_GROUP.into(), Wish::Leave),
            Command::Reset => self.about_current(engine, now, |_| IN_NO_GROUP.into(), Wish::Reset),
            Command::Send(content) => self.send(engine, now, vec![content]),
            Command::Invite(who) => {
                self.about_current(engine, now, why_nowhere, |group| Wish::Invite { group, who })
            }
            Command::Remove(who) => {
                self.about_current(engine, now, why_nowhere, |group| Wish::Remove { group, who })
            }
            Command::InviteLink { max_uses, lifetime } => {
                let wish = |group| Wish::InviteLink { group, max_uses, lifetime };
                self.about_current(engine, now, why_nowhere, wish)
            }
            Command::Unlink(number) => {
                self.about_current(engine, now, why_nowhere, |group| Wish::Unlink { group, number })
            }
        }
    }

    /// The group in which something can be said now.
    ///
    /// # Errors
    /// If there is none: what the user is told.
    pub fn group_to_talk_in<S: Store>(&self, engine: &Engine<S>) -> Result<GroupId, String> {
        match &self.current {
            Some(group) => Ok(group.clone()),
            None if engine.awaits_admission() => {
                Err(words::about_group(engine, None, &Reason::AwaitsAdmission))
            }
            None => Err(why_nowhere(engine)),
        }
    }

    /// Says something in the current group: all of it together.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn send<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
        contents: Vec<Content>,
    ) -> Result<Vec<Shown>, EngineError> {
        match self.group_to_talk_in(engine) {
            Ok(group) => Self::send_to(engine, now, &group, contents),
            // Each of them is refused.
            Err(why) => Ok(vec![Shown::Refused(why); contents.len()]),
        }
    }

    /// Says something in a group.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn send_to<S: Store>(
        engine: &mut Engine<S>,
        now: u64,
        group: &GroupId,
        contents: Vec<Content>,
    ) -> Result<Vec<Shown>, EngineError> {
        let count = contents.len();
        let why = match engine.send(now, group, contents) {
            Ok(()) => return Ok(Vec::new()),
            Err(CommandError::Refused(reason)) => words::about_group(engine, Some(group), &reason),
            Err(CommandError::Engine(e)) => return Err(e),
        };
        // Each of them is refused.
        Ok(vec![Shown::Refused(why); count])
    }

    /// Asks the engine for something. Lines go to a group that it makes.
    fn wish<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
        wish: Wish,
    ) -> Result<Vec<Shown>, EngineError> {
        match engine.command(now, wish.clone()) {
            Ok(None) => {}
            Ok(made) => {
                self.go_to(made);
                self.acknowledge(engine, &[])?;
            }
            Err(CommandError::Refused(reason)) => {
                return Ok(refused(words::refusal(engine, &wish, &reason)));
            }
            Err(CommandError::Engine(e)) => return Err(e),
        }
        Ok(Vec::new())
    }

    /// Asks the engine for something about the current group. If there is none, the user is told why not.
    fn about_current<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
        why_not: impl FnOnce(&Engine<S>) -> String,
        wish: impl FnOnce(GroupId) -> Wish,
    ) -> Result<Vec<Shown>, EngineError> {
        match self.current.clone() {
            Some(group) => self.wish(engine, now, wish(group)),
            None => Ok(refused(why_not(&*engine))),
        }
    }

    fn groups<S: Store>(&self, engine: &Engine<S>) -> Vec<Shown> {
        let groups = engine.groups().into_iter();
        let shown: Vec<Shown> = groups
            .map(|group| {
                let current = self.current.as_ref() == Some(&group.id);
                Shown::Group { group, current }
            })
            .collect();
        if shown.is_empty() { refused(HOW_TO_GET_IN) } else { shown }
    }

    fn switch<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
        name: &str,
    ) -> Result<Vec<Shown>, EngineError> {
        let mut groups = engine.groups().into_iter();
        let Some(group) = groups.find(|group| group.name == name) else {
            return Ok(refused(format!("there is no group {name}; /groups lists them")));
        };
        // A user who goes there has seen who is there, or can ask.
        if matches!(group.phase, Phase::Invited { .. }) {
            let refused = self.wish(engine, now, Wish::Accept(group.id.clone()))?;
            if !refused.is_empty() {
                return Ok(refused);
            }
        }
        self.go_to(Some(group.id));
        self.acknowledge(engine, &[])?;
        Ok(Vec::new())
    }

    fn accept<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        now: u64,
        name: Option<&str>,
    ) -> Result<Vec<Shown>, EngineError> {
        let id = match asked_about(engine, name) {
            Ok(id) => id,
            Err(why) => return Ok(refused(why)),
        };
        let refused = self.wish(engine, now, Wish::Accept(id.clone()))?;
        if !refused.is_empty() {
            return Ok(refused);
        }
        let group = engine.group_name(&id);
        // What the user is about to say in another group is not said here.
        let what = match self.current.is_none() {
            true => {
                self.go_to(Some(id));
                self.acknowledge(engine, &[])?;
                "accepted: what you write goes here".to_string()
            }
            false => format!("accepted: /switch {group} to talk here"),
        };
        Ok(vec![Shown::Note { group, what }])
    }

    /// The group to look at: the current one; if there is none, the only one that waits for an answer.
    pub fn group_to_look_at<S: Store>(&self, engine: &Engine<S>) -> Option<GroupId> {
        self.current.clone().or_else(|| match asking(engine).as_slice() {
            [one] => Some(one.id.clone()),
            _ => None,
        })
    }

    fn members<S: Store>(&self, engine: &Engine<S>) -> Result<Vec<Shown>, EngineError> {
        let Some(id) = self.group_to_look_at(engine) else { return Ok(refused(IN_NO_GROUP)) };
        let Some(roster) = engine.roster(&id)? else { return Ok(refused(IN_NO_GROUP)) };
        let group = engine.group_name(&id);
        let (epoch, code, suite) = (roster.epoch, roster.code, roster.suite);
        let mut shown = vec![Shown::Epoch { group: group.clone(), epoch, code, suite }];
        let members = roster.members.into_iter();
        shown.extend(members.map(|member| {
            let (group, called) = (group.clone(), String::new());
            Shown::Member { group, member, called }
        }));
        Ok(shown)
    }

    fn room<S: Store>(&self, engine: &Engine<S>) -> Vec<Shown> {
        let Some(id) = self.group_to_look_at(engine) else { return refused(IN_NO_GROUP) };
        let group = engine.group_name(&id);
        let Some(room) = engine.room(&id) else {
            return refused(no_room(&group));
        };
        let users = room.users.clone().into_iter();
        let users = users
            .map(|(user, role)| {
                let (group, called) = (group.clone(), String::new());
                Shown::RoomUser { group, user, role, called }
            })
            .collect::<Vec<_>>();
        let policies = room.policies.clone().into_iter();
        let policies = policies
            .map(|policy| Shown::RoomPolicy { group: group.clone(), policy })
            .collect::<Vec<_>>();
        let mut shown = vec![Shown::Room { group, room }];
        shown.extend(policies);
        shown.extend(users);
        shown
    }

    fn preauthorized<S: Store>(&self, engine: &Engine<S>) -> Vec<Shown> {
        let Some(id) = self.group_to_look_at(engine) else { return refused(IN_NO_GROUP) };
        let group = engine.group_name(&id);
        let Some(room) = engine.room(&id) else { return refused(no_room(&group)) };
        let users = room.preauthorized;
        if users.is_empty() {
            let what =
                format!("nobody is preauthorized in {group}; /preauth add USER adds somebody");
            return vec![Shown::Note { group: String::new(), what }];
        }
        let users = users.into_iter();
        users
            .map(|(user, role)| Shown::Preauthorized { group: group.clone(), user, role })
            .collect()
    }

    fn links<S: Store>(&self, engine: &Engine<S>) -> Vec<Shown> {
        let found = self.current.as_ref().and_then(|id| Some((id, engine.links(id)?)));
        let Some((id, links)) = found else { return refused(IN_NO_GROUP) };
        let group = engine.group_name(id);
        if links.is_empty() {
            let what = format!("no link leads into {group}: /invite-link makes one");
            return vec![Shown::Note { group: String::new(), what }];
        }
        let links = links.into_iter();
        links.map(|link| Shown::JoinLink { group: group.clone(), link }).collect()
    }
}

/// An event, in the words of this messenger.
fn told<S: Store>(engine: &Engine<S>, key: u64, id: Option<&GroupId>, news: &News) -> Shown {
    let group = id.map(|id| engine.group_name(id)).unwrap_or_default();
    let what = match news {
        News::Failed { reason } => {
            let what = words::failure(engine, id, reason);
            return Shown::Failed { key, group, what };
        }
        News::NotDone { reason } => words::failure(engine, id, reason),
        News::Waits { reason } => words::waits(&group, reason),
        News::Note { notice } => words::notice(engine, id, notice),
        News::Alarm { warning } => {
            return Shown::Alarm { key, group, what: words::warning(warning) };
        }
        News::Ended { successor } => words::ended(&group, successor.is_some()),
        News::Replaces { old } => words::replaces(&engine.group_name(old)),
        news => return Shown::News { key, group, news: news.clone() },
    };
    Shown::Note { group, what }
}

/// What else the engine says, in the words of this messenger.
fn answered<S: Store>(engine: &Engine<S>, answer: &Answer) -> Shown {
    match answer {
        Answer::Failed { group, reason } => {
            Shown::Refused(words::failure(engine, group.as_ref(), reason))
        }
        Answer::Stuck { group, reason } => {
            Shown::Refused(words::cannot_go_on(&engine.group_name(group), reason))
        }
        Answer::Note { group, notice } => {
            let what = words::notice(engine, group.as_ref(), notice);
            Shown::Note { group: String::new(), what }
        }
        answer => Shown::Answer(answer.clone()),
    }
}

fn no_room(group: &str) -> String {
    format!("{group} is no room: it has no topic, picture or roles")
}

fn refused(why: impl Into<String>) -> Vec<Shown> {
    vec![Shown::Refused(why.into())]
}

fn is_asked_about<S: Store>(engine: &Engine<S>, id: &GroupId) -> bool {
    engine.group(id).is_some_and(|group| matches!(group.phase, Phase::Invited { .. }))
}

/// The groups that wait for the user's answer.
fn asking<S: Store>(engine: &Engine<S>) -> Vec<GroupView> {
    let mut groups = engine.groups();
    groups.retain(|group| matches!(group.phase, Phase::Invited { .. }));
    groups
}

/// The group that an answer is about; or why there is none.
fn asked_about<S: Store>(engine: &Engine<S>, name: Option<&str>) -> Result<GroupId, String> {
    let mut asking = asking(engine);
    asking.retain(|group| name.is_none_or(|name| group.name == name));
    match (asking.as_slice(), name) {
        ([one], _) => Ok(one.id.clone()),
        ([], Some(name)) => Err(format!("no invitation to {name} waits for an answer")),
        ([], None) => Err("no invitation waits for an answer".into()),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|group| group.name.as_str()).collect();
            Err(format!("say which invitation you mean: {}", names.join(", ")))
        }
    }
}

/// Why a line goes nowhere.
fn why_nowhere<S: Store>(engine: &Engine<S>) -> String {
    match asking(engine).into_iter().next() {
        Some(GroupView { id, phase: Phase::Invited { by }, .. }) => {
            words::about_group(engine, Some(&id), &Reason::NotAccepted { by })
        }
        _ => HOW_TO_GET_IN.into(),
    }
}
