//! The engine with the real service's core, in virtual time, over connections that fail.

/// The messenger's lines: these tests speak and read as users do.
#[allow(dead_code, unreachable_pub, unused_imports, reason = "the messenger uses all of it")]
#[path = "../../../client/src/lines/mod.rs"]
mod lines;
/// What these lines do, as the messenger does it.
#[allow(dead_code, unreachable_pub, reason = "the messenger uses all of it")]
#[path = "../../../client/src/messenger.rs"]
mod messenger;
#[path = "../../../client/src/words.rs"]
mod words;

mod at_once;
mod behaviour;
mod bursts;
mod clocks;
mod copies;
mod doctor;
mod faults;
mod gossip;
mod hostile;
mod inviting;
mod linking;
mod links;
mod logs;
mod outsiders;
mod peek;
mod recovery;
mod remedies;
mod renewal;
mod resets;
mod restored;
mod rooms;
mod rows;
mod simulation;
mod stale;
mod suites;
mod transparency;

use super::{Engine, EngineError, Setup};
use crate::Reason;
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::outgoing::KEYS;
use crate::copies::Rejoin;
use crate::record::News;
use crate::request::{Reply, Request};
use crate::suites::{CLASSIC, SUITES};
use conclave_crypto::testing::TestRng;
use conclave_delivery::service::{
    Caller, Holder, Limit, Limits, Notice, Operation, Service, ServiceError,
};
use conclave_delivery::storage::DeviceInfo;
use conclave_delivery::storage::SqliteStorage;
use conclave_delivery_api::{
    Call, CallError, DeviceId, ErrorCode, Event, Incarnation, LogPosition, Outcome, Proof, Receipt,
    Registration, SentMessages, StreamEvent, Token,
};
use conclave_mls::crypto::SignatureKeyPair;
use conclave_mls::storage::RowKey;
use conclave_mls::{CipherSuite, Group, GroupId, Transition, UnixTime};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{MemoryStore, Secret, Store, StoreError, WriteSet};
use core::time::Duration;
use lines::{Command, Input, Render, Shown, parse_line};
use messenger::Messenger;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

impl<S: Store> Engine<S> {
    /// What is not done, for a test that fails.
    fn state(&self) -> String {
        let group = |(id, conversation): (&GroupId, &Conversation)| {
            let record = self.book.record(id);
            let items: Vec<_> = self.book.items(id).collect();
            format!("{record:?} {} {items:?}", conversation.not_done())
        };
        let groups: Vec<String> = self.conversations.iter().map(group).collect();
        format!(
            "registered {} admission {:?} under way {:?}, due {} {}, inbox {}, acks {:?}, lookups {:?}, to publish \
             {}, lines {}, answers {}, retry {}, {groups:?}",
            self.registered,
            self.admission,
            self.under_way,
            self.count_at <= self.now,
            self.inbox_due,
            self.inbox.len(),
            self.acks,
            self.lookups,
            self.book.unpublished().len(),
            self.book.lines().len(),
            self.answers.len(),
            self.retry_at.saturating_sub(self.now),
        )
    }

    /// As if a group could not be followed any further.
    fn stick(&mut self, id: &GroupId, reason: Reason) -> Result<(), EngineError> {
        self.with(id, |conversation, cx| conversation.stick(cx, reason))
    }

    /// As if this device's leaf in a group had a key that it uses no more.
    fn come_back(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let rejoin = self.book.rejoin(id).cloned().unwrap_or_default();
        let rejoin = Rejoin { wanted: true, ..rejoin };
        Ok(self.book.commit(None, vec![Change::Rejoin(id.clone(), rejoin)])?)
    }

    /// Takes a step of a group that the engine has not made.
    fn step<O: conclave_mls::storage::Outcome<conclave_mls::Event>>(
        &mut self,
        id: &GroupId,
        step: Transition<Group, O>,
        changes: impl FnOnce(&conclave_mls::Event) -> Vec<Change>,
    ) -> Result<Option<O>, EngineError> {
        self.with(id, |conversation, cx| conversation.step(cx, step, changes).map(Some))
    }

    /// The next call, of which there is one at a time.
    fn next_request(&mut self, now: u64) -> Result<Option<Request>, EngineError> {
        Ok(self.next(now)?.map(|(_, request)| request))
    }

    /// Answers the call that was given out last.
    fn answer(&mut self, now: u64, reply: Result<Reply, CallError>) -> Result<(), EngineError> {
        let last = self.under_way.last();
        last.map_or(Ok(()), |call| self.reply(now, call, reply))
    }
}

/// A store that outlives the engine, as a disk does. It counts writes.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<MemoryStore>>, Arc<AtomicUsize>);

impl Disk {
    fn get(&self) -> MutexGuard<'_, MemoryStore> {
        self.0.lock().unwrap()
    }

    fn writes(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }
}

impl Store for Disk {
    fn load(&self, group: &GroupId) -> Result<Vec<(RowKey, Secret)>, StoreError> {
        self.get().load(group)
    }
    fn write(&mut self, set: &WriteSet) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.get().write(set)
    }
    fn groups(&self) -> Result<Vec<GroupId>, StoreError> {
        Store::groups(&*self.get())
    }
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Secret>, StoreError> {
        Store::get(&*self.0.lock().unwrap(), namespace, key)
    }
    fn scan(
        &self,
        namespace: &str,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Secret)>, StoreError> {
        self.get().scan(namespace, from, limit)
    }
}

/// A device's session, and the number of its next request.
struct Session {
    token: Token,
    key: SignatureKeyPair,
    next: u64,
}

/// One device, over all the processes that it takes.
struct Device {
    id: DeviceId,
    /// The only suite that it was set up with, if it was chosen.
    suite: Option<CipherSuite>,
    disk: Disk,
    engine: Engine<Disk>,
    messenger: Messenger,
    session: Option<Session>,
    hints: VecDeque<StreamEvent>,
    /// All that it has shown, in order.
    shown: Vec<Shown>,
    /// How many processes there were.
    life: u64,
    /// Whether the last of them has ended, as this device was revoked.
    revoked: bool,
}

impl Device {
    /// This device as the service knows it.
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            device: self.id.clone(),
            scheme: self.engine.scheme().unwrap(),
            signature_key: self.engine.book.identity().signer.public.clone(),
            active: true,
        }
    }

    /// What was said, as it has shown it: group, number, sender, text.
    fn messages(&self) -> Vec<(String, u64, String, String)> {
        let message = |shown: &Shown| match shown {
            Shown::News { group, news: News::Message { seq, sender, content, .. }, .. } => {
                let text = content.text().unwrap_or_default().to_string();
                Some((group.clone(), *seq, sender.to_string(), text))
            }
            _ => None,
        };
        self.shown.iter().filter_map(message).collect()
    }

    /// Shows what its engine has to say; whether there was something.
    fn take_outputs(&mut self, now: u64) -> bool {
        let outputs = self.engine.outputs(now);
        let shown = self.messenger.take(&self.engine, &outputs);
        self.messenger.acknowledge(&mut self.engine, &outputs).unwrap();
        for line in shown.iter().map(Shown::to_line) {
            assert!(!line.contains("  "), "a sentence with a gap: {line}");
        }
        self.shown.extend(shown);
        !outputs.is_empty()
    }

    /// The group that its lines go to.
    fn current(&self) -> GroupId {
        self.messenger.current().unwrap().clone()
    }

    fn current_name(&self) -> Option<String> {
        self.messenger.current_name(&self.engine)
    }

    fn lines(&self) -> Vec<String> {
        self.shown.iter().map(Shown::to_line).collect()
    }

    fn count(&self, begin: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(begin)).count()
    }

    fn has_line(&self, begin: &str) -> bool {
        self.count(begin) > 0
    }

    /// Members and epoch code of the current group.
    fn view(&mut self, now: u64) -> Vec<String> {
        let shown = self.messenger.command(&mut self.engine, now, Command::Members).unwrap();
        let lines = shown.iter().map(|shown| shown.to_line().replace(" (you)", ""));
        lines.filter(|line| line.starts_with("epoch ") || line.starts_with("member ")).collect()
    }
}

type Lie = Box<dyn Fn(&mut Reply)>;
type Answers = Box<dyn Fn(usize, &Request) -> bool>;
type Fault = Box<dyn Fn(&Request) -> Option<CallError>>;

/// Another service, and which calls of which devices it answers.
struct Other {
    service: Service<SqliteStorage>,
    answers: Answers,
    _folder: tempfile::TempDir,
}

/// A service and devices.
struct World {
    service: Service<SqliteStorage>,
    /// Who answers some calls in its place.
    other: Option<Other>,
    devices: Vec<Device>,
    now: u64,
    seed: u64,
    /// When the service publishes what has changed in accounts.
    publish_at: u64,
    /// Decides what fails.
    rng: TestRng,
    /// One in so many calls gets lost, one in so many answers; 0 for none.
    loss: u64,
    /// What a service that lies makes of its answers.
    lie: Option<Lie>,
    /// To which device alone it lies.
    lied_to: Option<usize>,
    /// Which calls go wrong, and how.
    fault: Option<Fault>,
    /// A suite of which the service takes no key packages.
    refused_suite: Option<CipherSuite>,
    /// The key of each application message that the service has taken.
    keys: HashMap<(GroupId, u64, u32, u32), Vec<u8>>,
    /// What the service has refused, and to which device.
    refusals: Vec<(usize, ErrorCode)>,
    folder: tempfile::TempDir,
}

fn provider() -> Arc<RustCrypto> {
    Arc::new(RustCrypto::new().with_suites(SUITES))
}

fn service(provider: Arc<RustCrypto>) -> (Service<SqliteStorage>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let storage = SqliteStorage::open(folder.path()).unwrap();
    let begun = UnixTime::from_secs(1_700_000_000).unwrap();
    let limits = Limits::default();
    (Service::new(storage, provider, limits, Registration::Open, begun).unwrap(), folder)
}

/// What devices do in longer intervals than this, in milliseconds, they do for ever.
const SOON: u64 = 60_000;

/// Whether a call sends application messages.
fn is_sending(request: &Request) -> bool {
    matches!(request, Request::SendMessage(_) | Request::SendMessages(_))
}

/// A reason to call a group stuck that is not.
fn made_so() -> Reason {
    Reason::Text { what: "it was made so".into() }
}

fn unreachable() -> CallError {
    CallError::Unreachable { url: "here".into(), reason: "it was made so".into() }
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with_service_of(seed, provider())
    }

    /// A service with this cryptography.
    fn with_service_of(seed: u64, provider: Arc<RustCrypto>) -> Self {
        let (service, folder) = service(provider);
        let rng = TestRng(seed);
        let (devices, now) = (Vec::new(), 1_700_000_000_000);
        let (loss, lie, lied_to, fault, refused_suite) = (0, None, None, None, None);
        let (publish_at, keys) = (now, HashMap::new());
        Self {
            service,
            other: None,
            devices,
            now,
            seed,
            publish_at,
            rng,
            loss,
            lie,
            lied_to,
            fault,
            refused_suite,
            keys,
            refusals: Vec::new(),
            folder,
        }
    }

    /// The randomness of one life of a device: what others draw does not move it.
    fn rng_of(&self, id: &DeviceId, life: u64) -> TestRng {
        // FNV-1a, to tell the names apart.
        let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let name = format!("{} {id} {life}", self.seed);
        TestRng(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    fn engine(
        &self,
        id: &DeviceId,
        suite: Option<CipherSuite>,
        disk: &Disk,
        life: u64,
    ) -> Engine<Disk> {
        Engine::open(Setup {
            device: id.clone(),
            cipher_suite: suite,
            provider: provider(),
            rng: Box::new(self.rng_of(id, life)),
            store: disk.clone(),
            invitation: None,
            certificates: Default::default(),
            keys: Default::default(),
            evidence_place: format!("/folder/of/{id}"),
        })
        .unwrap()
    }

    /// Switches on a device with this state; its number.
    fn switch_on(&mut self, id: &str, suite: Option<CipherSuite>, disk: Disk) -> usize {
        let id: DeviceId = id.parse().unwrap();
        let engine = self.engine(&id, suite, &disk, 0);
        let messenger = Messenger::open(&engine).unwrap();
        let (hints, shown) = (VecDeque::new(), Vec::new());
        let session = None;
        let (life, revoked) = (0, false);
        self.devices.push(Device {
            id,
            suite,
            disk,
            engine,
            messenger,
            session,
            hints,
            shown,
            life,
            revoked,
        });
        self.devices.len() - 1
    }

    /// The same; another device of the user's, if there is one, admits it.
    fn add_with(&mut self, id: &str, suite: Option<CipherSuite>, disk: Disk) -> usize {
        let user = id.parse::<DeviceId>().unwrap().user;
        let other = self.devices.iter().position(|device| device.id.user == user);
        let new = self.switch_on(id, suite, disk);
        if let Some(other) = other {
            self.link(new, other);
        }
        new
    }

    /// Lets a device of a user admit a new one.
    fn link(&mut self, new: usize, other: usize) {
        let code = loop {
            let lines = self.devices[new].lines();
            let shown = lines.iter().rev().find_map(|line| line.strip_prefix("link "));
            if let Some((_, code)) = shown.and_then(|line| line.split_once(' ')) {
                break code.to_string();
            }
            if (0..self.devices.len()).filter(|i| self.step(*i)).count() == 0 {
                self.now += 1_000;
            }
        };
        self.say(other, &format!("/link {code}"));
        self.settle();
    }

    fn add(&mut self, id: &str) -> usize {
        self.add_with(id, None, Disk::default())
    }

    /// A device without post-quantum suites.
    fn add_classic(&mut self, id: &str) -> usize {
        self.add_with(id, Some(CLASSIC), Disk::default())
    }

    /// Kills a device's process, and starts another one.
    fn kill(&mut self, i: usize) {
        let device = &self.devices[i];
        let engine = self.engine(&device.id, device.suite, &device.disk, device.life + 1);
        let device = &mut self.devices[i];
        device.messenger = Messenger::open(&engine).unwrap();
        device.engine = engine;
        device.session = None;
        device.hints.clear();
        device.life += 1;
    }

    fn time(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_millis(self.now)).unwrap()
    }

    fn say(&mut self, i: usize, line: &str) {
        let Ok(Input::Command(command)) = parse_line(line) else { panic!("{line:?}") };
        self.order(i, command);
    }

    /// The texts that a device has shown.
    fn texts(&self, i: usize) -> Vec<String> {
        self.devices[i].messages().into_iter().map(|(.., text)| text).collect()
    }

    /// Does what a line asks for.
    fn order(&mut self, i: usize, command: Command) {
        let device = &mut self.devices[i];
        let shown = device.messenger.command(&mut device.engine, self.now, command).unwrap();
        device.shown.extend(shown);
    }

    fn refuses(&self, key_package: &[u8]) -> bool {
        self.refused_suite == Some(suites::suite_of_key_package(key_package))
    }

    /// Who calls, as the service sees it.
    fn caller<C: Call>(&mut self, i: usize, request: &C) -> Result<Caller, CallError> {
        let now = self.time();
        let Some(session) = self.devices[i].session.as_mut().filter(|_| !C::ANONYMOUS) else {
            return Ok(Caller::new(None, now));
        };
        let body = request.to_bytes().unwrap();
        let (provider, number) = (provider(), session.next);
        session.next += 1;
        let about = (C::PATH, body.as_slice());
        let proof = Proof::signed(&*provider, &session.key, &session.token, number, about).unwrap();
        let caller = self.service.authenticate(session.token.expose(), &proof, about, now);
        caller.map_err(|e| CallError::refused(e.code, e.detail))
    }

    /// Publishes what has changed in accounts, if it is time.
    fn publish(&mut self) {
        if self.publish_at <= self.now {
            self.service.publish(self.time()).unwrap();
            self.publish_at = self.now + 10_000;
        }
    }

    /// Tells the devices that listen.
    fn tell(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            for device in &mut self.devices {
                if notice.to.contains(&device.id) && device.session.is_some() {
                    device.hints.push_back(StreamEvent::Event(notice.event.clone()));
                }
            }
        }
    }

    /// What the service makes of a call.
    fn call(&mut self, i: usize, request: Request) -> Result<Reply, CallError> {
        self.publish();
        if let Some(error) = self.fault.as_ref().and_then(|fault| fault(&request)) {
            return Err(error);
        }
        if let Request::PublishKeyPackages(publish) = &request
            && publish.key_packages.iter().any(|p| self.refuses(p))
        {
            return Err(CallError::refused(ErrorCode::UnsupportedSuite, "it was made so"));
        }
        let sent: Vec<Vec<u8>> = match &request {
            Request::SendMessage(send) => vec![send.message.to_vec()],
            Request::SendMessages(send) => send.messages.iter().map(|m| m.to_vec()).collect(),
            _ => Vec::new(),
        };
        let elsewhere = self.other.as_ref().is_some_and(|other| (other.answers)(i, &request));
        macro_rules! run {
            ($($name:ident)*) => {
                match request {
                    $(Request::$name(request) => {
                        let caller = self.caller(i, &request)?;
                        let other = self.other.as_ref().filter(|_| elsewhere);
                        let answering = other.map_or(&self.service, |other| &other.service);
                        let done = request.run(answering, &caller);
                        done.map(|done| (Reply::$name(done.reply), done.notices))
                    })*
                }
            };
        }
        let done = run!(
            DescribeService SubmitAccount OpenSession MarkState PutRelay FetchRelay FetchAccount FetchExtension FetchHistory SubmitCertificate FetchCertificates PublishKeyPackages CountKeyPackages ReplaceKeyPackages
            ClaimKeyPackages CreateGroup ResetGroup RestoreLog SubmitCommit SubmitProposal SendMessage SendMessages FetchLog FetchLinkedGroup FetchGroupInfo FetchInbox
            AckInbox
        );
        let (mut reply, notices) = done.map_err(|e| {
            let ServiceError { code, detail, limit, details } = e;
            self.refusals.push((i, code));
            match limit {
                Some(Limit { wait: retry_after, .. }) => {
                    CallError::Postponed { code, detail, retry_after }
                }
                None => CallError::Refused { code, detail, details },
            }
        })?;
        self.note_keys(sent, &reply);
        self.tell(notices);
        if let Some(lie) = self.lie.as_ref().filter(|_| self.lied_to.is_none_or(|to| to == i)) {
            lie(&mut reply);
            self.sign_lie(&mut reply);
        }
        Ok(reply)
    }

    /// Takes note of the keys of messages that the service has taken: none is used for two.
    fn note_keys(&mut self, sent: Vec<Vec<u8>>, reply: &Reply) {
        let taken = match reply {
            Reply::SendMessage(Outcome::Accepted { .. }) => 1,
            Reply::SendMessages(SentMessages { taken, .. }) => *taken as usize,
            _ => 0,
        };
        for message in sent.into_iter().take(taken) {
            // What a test has encrypted itself is not there.
            let key = KEYS.with_borrow(|keys| keys.get(&message).cloned());
            let Some(key) = key else { continue };
            let first = self.keys.entry(key.clone()).or_insert_with(|| message.clone());
            assert_eq!(*first, message, "one key, two messages: {key:?}");
        }
    }

    /// The service's word on a place in a group's log, whether or not it has one.
    fn receipt(&self, group_id: &GroupId, position: LogPosition) -> Receipt {
        let (incarnation, group_id) = (Incarnation { id: [0; 16], number: 1 }, group_id.clone());
        let (issued_at, signature) = (self.time().as_secs(), Vec::new());
        let receipt = Receipt { incarnation, group_id, position, issued_at, signature };
        self.service.sign_again(receipt).unwrap()
    }

    /// The service signs its lies, but for those that have no signature at all.
    fn sign_lie(&self, reply: &mut Reply) {
        let receipt = match reply {
            Reply::CreateGroup(created) => &mut created.receipt,
            Reply::FetchLog(page) => &mut page.end,
            Reply::SubmitCommit(outcome)
            | Reply::SubmitProposal(outcome)
            | Reply::SendMessage(outcome)
            | Reply::SendMessages(SentMessages { outcome, .. }) => match outcome {
                Outcome::Accepted { receipt, .. } | Outcome::WrongEpoch { receipt } => receipt,
            },
            _ => return,
        };
        if !receipt.signature.is_empty() {
            *receipt = self.service.sign_again(receipt.clone()).unwrap();
        }
    }

    /// The same, over a connection that fails at times; and the answer to the device.
    fn call_and_answer(&mut self, i: usize, request: Request) {
        let lost = |world: &mut Self| world.loss > 0 && world.rng.below(world.loss) == 0;
        let reply = match lost(self) {
            true => Err(unreachable()),
            false => self.call(i, request),
        };
        let reply = if lost(self) { Err(unreachable()) } else { reply };
        if let Ok(Reply::OpenSession(opened)) = &reply {
            // It listens from now on: what there is comes first.
            // The recovery key's session hears nothing.
            let current = self.service.current_events(&self.devices[i].info()).unwrap_or_default();
            let device = &mut self.devices[i];
            let key = device.engine.session_key().unwrap().clone();
            device.session = Some(Session { token: opened.token.clone(), key, next: 1 });
            device.hints.extend(current.into_iter().map(StreamEvent::Event));
        }
        match self.devices[i].engine.answer(self.now, reply) {
            Err(
                EngineError::NotRegistered { code: ErrorCode::Revoked, .. }
                | EngineError::Superseded { .. },
            ) => self.devices[i].revoked = true,
            taken => taken.unwrap(),
        }
    }

    /// Lets a device do one thing; whether there was one.
    fn step(&mut self, i: usize) -> bool {
        if self.devices[i].revoked {
            return false;
        }
        if self.step_without_outputs(i) {
            return true;
        }
        self.devices[i].take_outputs(self.now)
    }

    /// The same, and nobody takes what it says.
    fn step_without_outputs(&mut self, i: usize) -> bool {
        let device = &mut self.devices[i];
        if let Some(hint) = device.hints.pop_front() {
            device.engine.heard(self.now, hint);
            return true;
        }
        match device.engine.next_request(self.now) {
            Ok(Some(request)) => {
                self.call_and_answer(i, request);
                true
            }
            Ok(None) => false,
            Err(EngineError::Superseded { .. }) => {
                device.revoked = true;
                true
            }
            Err(e) => panic!("{e}"),
        }
    }

    /// Lets all devices do what they can until nobody has anything left to do soon; time passes as
    /// they need it.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut busy = false;
            for i in 0..self.devices.len() {
                busy |= self.step(i);
            }
            if busy {
                continue;
            }
            let running = self.devices.iter().filter(|device| !device.revoked);
            let wakes = running.filter_map(|device| device.engine.wake_at());
            match wakes.min() {
                Some(at) if at <= self.now + SOON => self.now = self.now.max(at),
                _ => return,
            }
        }
        let states: Vec<String> = self.devices.iter().map(|d| d.engine.state()).collect();
        panic!("no end is in sight: {states:#?}");
    }

    /// A group of these, made by the first of them.
    fn group(&mut self, name: &str, members: &[usize]) {
        self.settle();
        let (first, others) = members.split_first().unwrap();
        self.say(*first, &format!("/new {name}"));
        for i in others {
            let user = self.devices[*i].id.user.to_string();
            self.say(*first, &format!("/invite {user}"));
        }
        self.settle();
        let name = name.split(' ').next().unwrap();
        others.iter().for_each(|i| self.accept(*i, name));
        self.settle();
    }

    /// Accepts an invitation, if there is one that waits for that.
    fn accept(&mut self, i: usize, name: &str) {
        if self.devices[i].has_line(&format!("invited {name} ")) {
            self.say(i, &format!("/accept {name}"));
        }
    }

    /// A group of a, b and c, of whom a has heard that c wants to leave.
    fn departure(seed: u64) -> (Self, [usize; 3]) {
        let mut world = Self::new(seed);
        let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
        let [a, _, c] = all;
        world.group("g", &all);
        world.say(c, "/leave");
        while !world.devices[a].has_line("leaving g") {
            for i in all {
                world.step(i);
            }
        }
        (world, all)
    }

    /// All of these see the same members and the same epoch.
    fn agree(&mut self, members: &[usize]) {
        let now = self.now;
        let views: Vec<Vec<String>> = members.iter().map(|i| self.devices[*i].view(now)).collect();
        for (i, view) in members.iter().zip(&views) {
            assert_eq!(Some(view), views.first(), "{} sees another group", self.devices[*i].id);
            assert_eq!(view.len(), members.len() + 1, "{view:?}");
        }
    }
}
