//! One device of the daemon, on its thread: it carries out what clients ask for, and gives them the events.

mod profiles;
mod sending;

use super::ask::Ask;
use super::event;
use super::expiry::Expiry;
use super::fault::Fault;
use super::files::Files;
use super::outbox::Outbox;
use super::request::{Acknowledge, Method, RoomRef};
use super::sent::{Fate, Outgoing};
use conclave_client::{
    Answer, Arrived, CommandError, Engine, EngineCommand, EngineError, GroupId, Headless, News,
    Output, Profiles, Reason, RoomChange, RunError, TransferRefusal, TransferReport,
    kept_by_messenger, now, os_rng, plain,
};
use conclave_mls::crypto::CryptoRng;
use conclave_store::Store;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How many events are read at once.
const BATCH: usize = 64;
/// How long a request that asks for fresh state waits for the service.
const FRESH_PATIENCE: Duration = Duration::from_secs(15);

/// What comes to a device's thread.
pub(super) enum Input {
    Arrived(Arrived),
    Ask(Ask),
    Transfer(TransferReport),
    /// A client takes events again.
    Drained,
}

impl From<Arrived> for Input {
    fn from(arrived: Arrived) -> Self {
        Self::Arrived(arrived)
    }
}

/// A client that is given the events.
struct Subscriber {
    to: Arc<Outbox>,
    /// The number of the last event that was looked at for it.
    cursor: u64,
    /// The names of the rooms whose events it is given; all, if there are none.
    rooms: Vec<String>,
}

impl Subscriber {
    /// Takes the next events of a device. Returns whether there may be more that it takes.
    fn take_next<S: Store>(&mut self, engine: &Engine<S>, device: &str) -> bool {
        let events = engine.events_after(self.cursor, BATCH);
        let is_any = !events.is_empty();
        for output in events {
            let Output::News { key, group, news } = output else { continue };
            let name = group.as_ref().map(|id| engine.group_name(id)).unwrap_or_default();
            if self.rooms.is_empty() || group.is_some() && self.rooms.contains(&name) {
                let of = group.as_ref().map(|id| (id, name.as_str()));
                let line = notification(device, event::event(engine, Some(key), of, &news));
                if !self.to.offer(line) {
                    return false;
                }
            }
            self.cursor = key;
        }
        is_any
    }
}

/// What comes of a request: an answer now, or when a message has arrived or transfers are done.
enum Outcome {
    Now(Value),
    When(u64),
    After(Vec<u64>),
}

/// A request is refused, or the device cannot go on.
enum Failed {
    Fault(Fault),
    Device(RunError),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<CommandError> for Failed {
    fn from(e: CommandError) -> Self {
        match e {
            CommandError::Refused(reason) => Self::Fault(Fault::because(&reason)),
            CommandError::Engine(e) => Self::Device(e.into()),
        }
    }
}

impl From<TransferRefusal> for Failed {
    fn from(e: TransferRefusal) -> Self {
        match e {
            TransferRefusal::Refused(why) => Self::Fault(Fault::refused("file-refused", why)),
            TransferRefusal::Engine(e) => Self::Device(e.into()),
        }
    }
}

impl From<EngineError> for Failed {
    fn from(e: EngineError) -> Self {
        Self::Device(e.into())
    }
}

pub(super) struct Host<S> {
    device: Headless<S>,
    inbox: Receiver<Input>,
    name: String,
    outgoing: Outgoing,
    rng: Box<dyn CryptoRng + Send>,
    files: Files,
    expiry: Expiry,
    profiles: Profiles,
    /// The number of the last event that was looked at.
    seen: u64,
    subscribers: Vec<Subscriber>,
    /// Requests that wait until the device has caught up, or until this time.
    held: Vec<(Ask, Instant)>,
    /// Requests that wait until a message has arrived, by its number.
    waiting: Vec<(u64, Ask)>,
}

impl<S: Store> Host<S> {
    pub(super) fn new(
        mut device: Headless<S>,
        files: Files,
        inbox: Receiver<Input>,
    ) -> Result<Self, EngineError> {
        let engine = device.engine();
        let (name, outgoing) = (engine.device().to_string(), Outgoing::load(engine)?);
        let expiry = Expiry::load(engine)?;
        let profiles = Profiles::open(engine)?;
        let (subscribers, held, waiting) = (Vec::new(), Vec::new(), Vec::new());
        let (rng, seen) = (os_rng(), 0);
        Ok(Self {
            device,
            inbox,
            name,
            outgoing,
            rng,
            files,
            expiry,
            profiles,
            seen,
            subscribers,
            held,
            waiting,
        })
    }

    /// Runs until nobody can ask for anything any more.
    pub(super) fn run(&mut self) -> Result<(), RunError> {
        loop {
            self.device.advance()?;
            self.say_answers();
            self.observe()?;
            self.expiry.run(self.device.engine(), now() / 1000)?;
            let has_told = self.tell_rooms()?;
            if self.do_held()? || has_told {
                // It may have led to calls.
                continue;
            }
            self.give_events();

            let first = match self.wait() {
                Some(timeout) => self.inbox.recv_timeout(timeout).ok(),
                None => match self.inbox.recv() {
                    Ok(input) => Some(input),
                    Err(_) => return Ok(()),
                },
            };
            let mut next = first;
            // Input that has come together is taken together, up to a bound.
            for _ in 0..BATCH {
                let Some(input) = next else { break };
                self.take(input)?;
                next = self.inbox.try_recv().ok();
            }
            if let Some(input) = next {
                self.take(input)?;
            }
        }
    }

    /// How long to wait for input.
    fn wait(&self) -> Option<Duration> {
        let held =
            self.held.iter().map(|(_, until)| until.saturating_duration_since(Instant::now()));
        let held = held.map(|wait| wait.max(Duration::from_millis(1)));
        held.chain(self.device.wake_in()).chain(self.expiry.wait(now() / 1000)).min()
    }

    fn take(&mut self, input: Input) -> Result<(), RunError> {
        match input {
            Input::Arrived(arrived) => self.device.take(arrived),
            Input::Ask(ask) if ask.fresh => {
                self.held.push((ask, Instant::now() + FRESH_PATIENCE));
                Ok(())
            }
            Input::Ask(ask) => self.act(ask),
            Input::Transfer(report) => self.transferred(report),
            Input::Drained => Ok(()),
        }
    }

    /// Reports what the engine says of the connection, and of what no client waits for, to the daemon's operator.
    fn say_answers(&mut self) {
        for answer in self.device.engine().answers() {
            say(&self.name, answer);
        }
    }

    /// Finds out from the events what became of the messages that clients have sent.
    fn observe(&mut self) -> Result<(), RunError> {
        let mut after = self.seen.max(self.outgoing.observed());
        loop {
            let events = self.device.engine().events_after(after, BATCH);
            let Some(Output::News { key, .. }) = events.last() else { return Ok(()) };
            after = *key;
            self.seen = after;
            self.expiry.note(self.device.engine(), &events)?;
            for output in &events {
                self.observe_one(output)?;
            }
        }
    }

    fn observe_one(&mut self, output: &Output) -> Result<(), RunError> {
        let Output::News { key, group: Some(group), news } = output else { return Ok(()) };
        let heard = self.hear(group, news)?;
        let settled = match news {
            News::Message { own: true, content, seq, time, .. } => {
                let arrived = self.outgoing.arrived(group, content);
                arrived.map(|sent| (sent, Fate::Arrived { seq: *seq, time: *time }))
            }
            News::Failed { reason } if is_not_sent(reason) => {
                self.outgoing.failed(group).map(|sent| (sent, Fate::Failed(reason.to_string())))
            }
            _ if heard.is_nothing() => return Ok(()),
            _ => None,
        };
        let quiet = settled.as_ref().and_then(|(sent, _)| self.outgoing.get(*sent));
        let taken = match quiet.is_some_and(|sent| sent.quiet) || heard.is_old {
            true => core::slice::from_ref(output),
            false => &[],
        };
        let mut rows = self.outgoing.settle(*key, settled.clone());
        rows.merge(heard.rows);
        self.device.engine().acknowledge_adopting(taken, rows, &heard.kept)?;

        if let Some((sent, fate)) = settled {
            let (done, waiting) = core::mem::take(&mut self.waiting)
                .into_iter()
                .partition::<Vec<_>, _>(|(key, _)| *key == sent);
            self.waiting = waiting;
            done.iter().for_each(|(_, ask)| ask.answer(&fate.answer()));
        }
        Ok(())
    }

    /// Does what waited until the device has caught up. Returns whether there was something.
    fn do_held(&mut self) -> Result<bool, RunError> {
        if self.held.is_empty() {
            return Ok(false);
        }
        let engine = self.device.engine();
        let is_ready = engine.is_caught_up() || engine.is_held_up();
        let now = Instant::now();
        let (due, held) = core::mem::take(&mut self.held)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, until)| is_ready || *until <= now);
        self.held = held;
        let is_any = !due.is_empty();
        due.into_iter().try_for_each(|(ask, _)| self.act(ask))?;
        Ok(is_any)
    }

    fn act(&mut self, ask: Ask) -> Result<(), RunError> {
        let done = match &ask.method {
            Method::Subscribe { cursor, rooms } => {
                // The answer comes before the first event.
                ask.answer(&Ok(json!({ "cursor": cursor })));
                self.subscribers.retain(|one| !Arc::ptr_eq(&one.to, &ask.from));
                let (to, rooms) = (ask.from, rooms.clone());
                self.subscribers.push(Subscriber { to, cursor: *cursor, rooms });
                return Ok(());
            }
            method => self.perform(method),
        };
        match done {
            Ok(Outcome::Now(value)) => ask.answer(&Ok(value)),
            Ok(Outcome::When(sent)) => self.waiting.push((sent, ask)),
            Ok(Outcome::After(transfers)) => self.files.wait(transfers, ask),
            Err(Failed::Fault(fault)) => ask.answer(&Err(fault)),
            Err(Failed::Device(e)) => return Err(e),
        }
        Ok(())
    }

    fn perform(&mut self, method: &Method) -> Result<Outcome, Failed> {
        let value = match method {
            // These are answered elsewhere.
            Method::Devices | Method::Subscribe { .. } => Value::Null,
            Method::Rooms => {
                let engine = self.device.engine();
                let rooms = engine.groups().into_iter();
                let rooms = rooms.map(|group| event::listed(&group, &engine.policies(&group.id)));
                json!({ "rooms": rooms.collect::<Vec<_>>() })
            }
            Method::Members(room) => self.members(room)?,
            Method::Send(send) => return self.send(send),
            Method::SendFile(send) => return self.send_file(send),
            Method::Save(save) => return self.save(save),
            Method::Invite(room, who) => {
                let who = who.clone();
                self.about(room, |group| EngineCommand::Invite { group, who })?
            }
            Method::Remove(room, who) => {
                let who = who.clone();
                self.about(room, |group| EngineCommand::Remove { group, who })?
            }
            Method::Create(name) => {
                self.command(EngineCommand::New { name: name.clone(), suite: None })?
            }
            Method::Leave(room) => self.about(room, EngineCommand::Leave)?,
            Method::Accept(room) => {
                let accepted = self.about(room, EngineCommand::Accept)?;
                self.profiles.accepted(self.device.engine());
                accepted
            }
            Method::SetProfile(change) => self.set_profile(change)?,
            Method::Profile(asked) => self.profile(asked)?,
            Method::Decline(room) => self.about(room, EngineCommand::Decline)?,
            Method::SetPolicy(room, policy) => {
                let change = RoomChange::Policy(policy.clone());
                self.about(room, |group| EngineCommand::ChangeRoom { group, change })?
            }
            Method::Preauthorized(room) => self.preauthorized(room)?,
            Method::Preauthorize(room, user, role) => {
                let (user, role) = (user.clone(), role.clone());
                let change = RoomChange::Preauthorized { user, role };
                self.about(room, |group| EngineCommand::ChangeRoom { group, change })?
            }
            Method::History(room, limit) => {
                let group = self.room(room)?;
                json!({ "events": self.history(&group, *limit)? })
            }
            Method::Acknowledge(which) => {
                let taken = self.acknowledged(which);
                self.device.engine().acknowledge(&taken)?;
                json!({ "acknowledged": taken.len() })
            }
        };
        Ok(Outcome::Now(value))
    }

    fn room(&mut self, room: &RoomRef) -> Result<GroupId, Fault> {
        let groups = self.device.engine().groups().into_iter();
        let mut found = groups.filter(|group| match room {
            RoomRef::Id(id) => group.id == *id,
            RoomRef::Name(name) => group.name == *name,
        });
        let found = found.next().map(|group| group.id);
        found.ok_or_else(|| Fault::refused("unknown-room", "this device knows no such room"))
    }

    /// The last messages of a room: those that the engine has, and those that a messenger has taken from it.
    fn history(&mut self, group: &GroupId, limit: usize) -> Result<Vec<Value>, Failed> {
        let engine = self.device.engine();
        let kept = kept_by_messenger(engine, group, limit);
        let kept = kept.map_err(|e| Failed::Device(RunError::History(e)))?;
        let name = engine.group_name(group);
        let of = (group, name.as_str());
        let mut events = engine.history(group, limit)?;
        let is_kept = |seq: u64| kept.iter().any(|entry| entry.number == seq);
        events.retain(|news| !matches!(news, News::Message { seq, .. } if is_kept(*seq)));

        let own = engine.device().clone();
        let kept = kept.iter().map(|entry| event::kept(&own, of, entry));
        let mut events: Vec<Value> = events
            .iter()
            .map(|news| event::event(engine, None, Some(of), news))
            .chain(kept)
            .collect();
        events.sort_by_key(|event| event.get("seq").and_then(Value::as_u64));
        events.drain(..events.len().saturating_sub(limit));
        Ok(events)
    }

    fn members(&mut self, room: &RoomRef) -> Result<Value, Failed> {
        let group = self.room(room)?;
        let roster = self.device.engine().roster(&group)?;
        let roster = roster.ok_or_else(|| {
            Fault::refused(Reason::NotMember.code(), "this device is not a member of the room")
        })?;
        Ok(json!({
            "epoch": roster.epoch,
            "code": roster.code,
            "members": roster.members.iter().map(|member| {
                event::member(member, self.profiles.of(&member.device.user))
            }).collect::<Vec<_>>(),
        }))
    }

    fn preauthorized(&mut self, room: &RoomRef) -> Result<Value, Failed> {
        let group = self.room(room)?;
        let engine = self.device.engine();
        let Some(room) = engine.room(&group) else {
            let is_member = engine.roster(&group)?.is_some();
            let reason = if is_member { Reason::NotRoom } else { Reason::NotMember };
            return Err(Fault::because(&reason).into());
        };
        let users = room.preauthorized.iter();
        let users = users.map(|(user, role)| json!({ "user": user.as_str(), "role": role }));
        Ok(json!({ "users": users.collect::<Vec<_>>() }))
    }

    /// Has the engine do something in a room.
    fn about(
        &mut self,
        room: &RoomRef,
        command: impl FnOnce(GroupId) -> EngineCommand,
    ) -> Result<Value, Failed> {
        let group = self.room(room)?;
        self.command(command(group))
    }

    /// Has the engine do something. The command is kept; if it fails later, an event says so.
    fn command(&mut self, command: EngineCommand) -> Result<Value, Failed> {
        let made = self.device.engine().command(now(), command)?;
        Ok(match made {
            Some(id) => json!({ "room": event::room(&id, &self.device.engine().group_name(&id)) }),
            None => json!({}),
        })
    }

    /// The events that a client says it has.
    fn acknowledged(&mut self, which: &Acknowledge) -> Vec<Output> {
        let engine = self.device.engine();
        let (cursor, rooms) = match which {
            Acknowledge::Only(only) => {
                let one = |key: &u64| engine.events_after(key.checked_sub(1)?, 1).pop();
                let found = only.iter().filter_map(|key| one(key).filter(|o| number(o) == *key));
                return found.collect();
            }
            Acknowledge::UpTo { cursor, rooms } => (*cursor, rooms),
        };

        let mut taken = Vec::new();
        let mut after = 0;
        loop {
            let events = engine.events_after(after, BATCH);
            let Some(last) = events.last().map(number) else { return taken };
            after = last;
            let known = events.into_iter().filter(|output| number(output) <= cursor);
            taken.extend(known.filter(|output| {
                let Output::News { group, .. } = output else { return false };
                let name = || group.as_ref().map(|id| engine.group_name(id));
                rooms.is_empty() || name().is_some_and(|name| rooms.contains(&name))
            }));
            if last >= cursor {
                return taken;
            }
        }
    }

    /// Gives the subscribers the events that they do not have, as far as they take them.
    fn give_events(&mut self) {
        self.subscribers.retain(|one| !one.to.is_closed());
        self.waiting.retain(|(_, ask)| !ask.from.is_closed());
        self.files.forget_closed();
        let engine = self.device.engine();
        for one in &mut self.subscribers {
            while one.take_next(engine, &self.name) {}
        }
    }
}

/// Says on standard error what no client has asked for.
fn say(device: &str, answer: Answer) {
    let what = match answer {
        Answer::Offline { reason } => format!("offline: {reason}"),
        Answer::Online => "online".into(),
        Answer::Link { device, code } => {
            format!("{device} waits to be admitted: say '/link {code}' on another device")
        }
        Answer::Note { notice, .. } => notice.to_string(),
        Answer::Failed { reason, .. } | Answer::Stuck { reason, .. } => reason.to_string(),
        Answer::CertificateExpires { .. } => "the certificate expires soon".into(),
        Answer::Ready { .. } | Answer::RecoveryWords { .. } | Answer::Admitting { .. } => return,
    };
    // If standard error is gone, there is nowhere left to say it.
    let _ = writeln!(std::io::stderr(), "conclave: {device}: {}", plain(&what));
}

/// The number of an event.
fn number(output: &Output) -> u64 {
    match output {
        Output::News { key, .. } => *key,
        Output::Answer(_) => 0,
    }
}

fn notification(device: &str, mut event: Value) -> String {
    if let Some(fields) = event.as_object_mut() {
        fields.insert("device".into(), device.into());
    }
    json!({ "jsonrpc": "2.0", "method": "event", "params": event }).to_string()
}

/// Whether a failure is that of a message.
fn is_not_sent(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NotSent { .. } | Reason::ContentRefused { .. } | Reason::MessageRefused { .. }
    )
}
