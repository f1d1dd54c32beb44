//! A conversation by itself, without an engine or a service: the test is the loop around it, and keeps the log.

mod coming_back;

use super::Conversation;
use super::call::{Call, Next};
use super::context::Context;
use super::phase::Phase;
use super::rules::config;
use crate::authority::Authority;
use crate::book::{Book, Change};
use crate::clock::Clock;
use crate::content::Content;
use crate::copies::Rejoin;
use crate::directory::Directory;
use crate::enrolment::new_identity;
use crate::error::EngineError;
use crate::output::Answer;
use crate::policy::KeyPolicy;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Payload, RoomChange, Stage, Work};
use crate::request::{Reply, Request};
use crate::suites::CLASSIC;
use crate::watching::Watching;
use conclave_crypto::testing::TestRng;
use conclave_delivery_api::{
    CallError, ChainHash, ChainInput, ContentType, CreateGroup, DeviceId, Encode, Ending,
    ErrorCode, GroupKind, Incarnation, JOIN_LINKS, LogEntry, LogPage, LogPosition, Outcome,
    Receipt,
};
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureScheme};
use conclave_mls::group::GroupParams;
use conclave_mls::key_package::Lifetime;
use conclave_mls::storage::Batch;
use conclave_mls::{Group, GroupId, UnixTime};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_room::{LOCAL_AUTHORITY, RoomState, room_uri, user_uri};
use conclave_store::{MemoryStore, Store};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const NOW: u64 = 1_800_000_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A conversation, and what an engine would lend it.
struct Machine {
    conversation: Conversation,
    provider: Arc<dyn CryptoProvider>,
    rng: TestRng,
    book: Book<MemoryStore>,
    authority: Authority,
    lookups: BTreeSet<conclave_delivery_api::Name>,
    removals: BTreeMap<(GroupId, DeviceId), u64>,
    watching: Watching,
    answers: VecDeque<Answer>,
    /// Whether no call is under way.
    is_idle: bool,
    waits_for_idle: bool,
}

fn group_id() -> GroupId {
    GroupId::from([7; 16].as_slice())
}

impl Machine {
    /// The conversation of a room that alice's device has just made, and that the service does not have yet.
    fn new() -> Self {
        let (provider, mut rng) = (Arc::new(RustCrypto::new()), TestRng(1));
        let device: DeviceId = "alice/main".parse().unwrap();
        let identity = new_identity(&*provider, &mut rng, device, Some(CLASSIC)).unwrap();
        let mut book =
            Book::load(MemoryStore::default(), identity, provider.clone(), &mut rng).unwrap();
        let authority = Authority::Accounts(Directory::default());

        let id = group_id();
        let uri = room_uri(LOCAL_AUTHORITY, &id);
        let room = RoomState::new(&uri, "", &user_uri(LOCAL_AUTHORITY, "alice")).unwrap();
        let room = room.dictionary(&[JOIN_LINKS]).unwrap().to_extension().unwrap();
        let params = GroupParams {
            group_id: id.clone(),
            cipher_suite: CLASSIC,
            extensions: vec![room],
            leaf: authority.own_leaf(book.identity()),
            lifetime: Lifetime::starting_at(UnixTime::from_secs(NOW / 1000).unwrap(), DAY),
        };
        let signer = book.identity().signer.clone();

        let new = Group::create(&*provider, &mut rng, config(), params, signer).unwrap();
        let (info, tree) = (Vec::new().into(), Vec::new().into());
        let kind = GroupKind::Tracked { group_info: info, ratchet_tree: tree };
        let request = CreateGroup { group_id: id.clone(), kind }.to_bytes().unwrap();
        let record = GroupRecord {
            chain: Some(ChainHash::EMPTY),
            ..GroupRecord::new("lunch".into(), Stage::Creating(request), NOW)
        };
        let group = new
            .store(|batch| {
                let batch = Batch { new: true, ..batch.clone() };
                book.commit(Some(&batch), vec![Change::Record(id.clone(), record)])
            })
            .unwrap();
        Self {
            conversation: Conversation::new(group, None),
            provider,
            rng,
            book,
            authority,
            lookups: BTreeSet::new(),
            removals: BTreeMap::new(),
            watching: Watching::default(),
            answers: VecDeque::new(),
            is_idle: true,
            waits_for_idle: false,
        }
    }

    /// The same, when the service has the group, and its log has been read.
    fn created(log: &Log) -> Self {
        let mut machine = Self::new();
        let record = machine.book.record(&group_id()).unwrap().clone();
        machine.store(Change::Record(group_id(), GroupRecord { stage: Stage::Active, ..record }));
        machine.read(log);
        machine
    }

    /// Another process goes on with what is stored.
    fn restart(&mut self) {
        let rows = self.book.store().load(&group_id()).unwrap();
        let group = Group::load(&*self.provider, config(), rows).unwrap();
        let receipt = self.book.record(&group_id()).unwrap().receipt.clone();
        self.conversation = Conversation::new(group, receipt);
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Conversation, &mut Context<'_, MemoryStore>) -> Result<T, EngineError>,
    ) -> T {
        let mut cx = Context {
            clock: Clock { now: NOW, service_ahead: 0 },
            provider: &*self.provider,
            key_policy: &KeyPolicy::default(),
            service_key: None,
            was_restored: false,
            evidence_place: "",
            is_idle: self.is_idle,
            rng: &mut self.rng,
            book: &mut self.book,
            authority: &mut self.authority,
            lookups: &mut self.lookups,
            removals: &mut self.removals,
            watching: &mut self.watching,
            answers: &mut self.answers,
            waits_for_idle: false,
        };
        let done = act(&mut self.conversation, &mut cx);
        self.waits_for_idle = cx.waits_for_idle;
        done.unwrap()
    }

    fn next(&mut self) -> Next {
        self.with(Conversation::next)
    }

    fn answer(&mut self, call: Call, reply: Reply) {
        self.with(|conversation, cx| conversation.answered(cx, call, reply));
    }

    /// Reads the log to its end.
    fn read(&mut self, log: &Log) {
        let Some((Request::FetchLog(asked), Call::Log)) = self.next() else {
            panic!("it does not read the log");
        };
        self.answer(Call::Log, Reply::FetchLog(log.after(asked.after)));
    }

    fn phase(&self) -> Phase {
        self.conversation.phase(&self.book, NOW)
    }

    fn store(&mut self, change: Change) {
        self.book.commit(None, vec![change]).unwrap();
    }

    fn ask(&mut self, work: Work) {
        self.store(Change::NewItem(Item { group: group_id(), work }));
    }

    fn say(&mut self, text: &str) {
        let payload = Payload::Content(Content::from_text(text));
        self.ask(Work::Send { payload, sealed: None });
    }

    /// The message that it sends next.
    fn sends(&mut self) -> Vec<u8> {
        match self.next() {
            Some((Request::SendMessage(sent), Call::Message)) => sent.message.into_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// The commit that it submits next.
    fn commits(&mut self) -> Vec<u8> {
        match self.next() {
            Some((Request::SubmitCommit(sent), Call::Commit)) => sent.commit.into_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// The texts that were reported to the user.
    fn said(&self) -> Vec<String> {
        let text = |news: &News| match news {
            News::Message { content, .. } => content.text().map(str::to_string),
            _ => None,
        };
        self.book.lines().values().filter_map(|line| text(&line.news)).collect()
    }
}

/// The group's log at a service.
#[derive(Clone)]
struct Log {
    entries: Vec<LogEntry>,
    /// The hash after each entry, and that of the empty log before them.
    chains: Vec<ChainHash>,
    epoch: u64,
}

impl Log {
    fn new() -> Self {
        Self { entries: Vec::new(), chains: vec![ChainHash::EMPTY], epoch: 0 }
    }

    fn receipt(&self, seq: usize) -> Receipt {
        Receipt {
            incarnation: Incarnation { id: [1; 16], number: 0 },
            group_id: group_id(),
            position: LogPosition { seq: seq as u64, epoch: self.epoch, chain: self.chains[seq] },
            issued_at: NOW / 1000,
            signature: Vec::new(),
        }
    }

    /// Takes a message of alice's.
    fn take(&mut self, message: &[u8], content_type: ContentType) -> Outcome {
        self.take_of("alice/main", message, content_type)
    }

    /// Takes a message of a device's.
    fn take_of(&mut self, sender: &str, message: &[u8], content_type: ContentType) -> Outcome {
        let seq = self.entries.len() as u64 + 1;
        let (sender, epoch) = (sender.parse().unwrap(), self.epoch);
        let (received_at, message) = (NOW / 1000, message.into());
        let entry = LogEntry { seq, epoch, content_type, sender, received_at, message };
        let before = self.chains.last().unwrap();
        self.chains.push(ChainInput::of(&group_id(), &entry).after(before).unwrap());
        self.entries.push(entry);
        self.epoch += u64::from(content_type == ContentType::Commit);
        Outcome::Accepted { receipt: self.receipt(seq as usize), received_at }
    }

    /// The page after an entry, up to the end.
    fn after(&self, seq: u64) -> LogPage {
        let at = seq as usize;
        LogPage {
            entries: self.entries[at..].to_vec(),
            head: self.entries.len() as u64,
            before: Some(self.chains[at]),
            end: self.receipt(self.entries.len()),
            ending: None,
        }
    }
}

#[test]
fn a_group_is_created_before_anything_else_and_while_no_other_call_is_under_way() {
    let mut machine = Machine::new();
    machine.say("hello");
    assert_eq!(machine.phase(), Phase::Creating);

    machine.is_idle = false;
    assert!(machine.next().is_none());
    assert!(machine.waits_for_idle);

    machine.is_idle = true;
    let next = machine.next();
    assert!(matches!(next, Some((Request::CreateGroup(_), Call::Create))), "{next:?}");
}

#[test]
fn the_log_is_read_before_anything_is_sent() {
    let log = Log::new();
    let mut machine = Machine::created(&log);
    machine.restart();
    machine.say("hello");
    assert_eq!(machine.phase(), Phase::Reading);
    machine.read(&log);
    assert_eq!(machine.phase(), Phase::Open);
    machine.sends();

    // What others have sent meanwhile comes first.
    machine.conversation.heard(1);
    assert_eq!(machine.phase(), Phase::Reading);
}

#[test]
fn a_message_that_comes_next_in_the_log_is_shown_without_fetching_it() {
    let mut log = Log::new();
    let mut machine = Machine::created(&log);
    machine.say("hello");
    let sent = machine.sends();
    machine.answer(Call::Message, Reply::SendMessage(log.take(&sent, ContentType::Application)));
    assert_eq!(machine.said(), ["hello"]);
    assert_eq!(machine.phase(), Phase::Open);
    assert!(machine.next().is_none());
}

#[test]
fn a_message_whose_answer_was_lost_is_sent_again_as_it_was_and_shown_once() {
    let mut log = Log::new();
    let mut machine = Machine::created(&log);
    machine.say("hello");
    let sent = machine.sends();
    machine.restart();
    machine.read(&log);
    assert_eq!(machine.sends(), sent, "it was encrypted twice");

    // The service has it after all.
    log.take(&sent, ContentType::Application);
    machine.restart();
    machine.read(&log);
    assert_eq!(machine.said(), ["hello"]);
    assert!(machine.next().is_none());
}

#[test]
fn a_commit_waits_for_its_verdict_and_for_the_log_and_outlasts_the_process() {
    let mut log = Log::new();
    let mut machine = Machine::created(&log);
    machine.ask(Work::Room { change: RoomChange::Topic("soup".into()), committing: false });
    let commit = machine.commits();
    assert_eq!(machine.phase(), Phase::Committing);
    machine.say("hello");
    machine.restart();
    machine.read(&log);
    assert_eq!(machine.commits(), commit, "another commit was made");
    assert_eq!(machine.conversation.group().epoch().0, 0);

    let outcome = log.take(&commit, ContentType::Commit);
    machine.answer(Call::Commit, Reply::SubmitCommit(outcome));
    assert_eq!(machine.conversation.group().epoch().0, 1);
    // What was said meanwhile is encrypted in the new epoch.
    machine.sends();
}

#[test]
fn a_log_that_has_become_shorter_stops_the_conversation_and_is_reported() {
    let mut log = Log::new();
    let mut machine = Machine::created(&log);
    let earlier = log.clone();
    machine.say("hello");
    let sent = machine.sends();
    machine.answer(Call::Message, Reply::SendMessage(log.take(&sent, ContentType::Application)));

    machine.say("are you there?");
    machine.conversation.read_on();
    let next = machine.next();
    assert!(matches!(next, Some((Request::FetchLog(_), Call::Log))), "{next:?}");
    let page = LogPage { entries: Vec::new(), ..earlier.after(0) };
    machine.answer(Call::Log, Reply::FetchLog(page));
    assert_eq!(machine.phase(), Phase::Stuck);
    assert!(machine.next().is_none());

    let reported = machine.answers.pop_front();
    let is_reported = matches!(
        reported,
        Some(Answer::Stuck { reason: Reason::LogShorter { end: 0, seen: 1 }, .. })
    );
    assert!(is_reported, "{reported:?}");
}

#[test]
fn a_device_that_was_to_come_back_takes_the_groups_end_from_the_log() {
    let mut log = Log::new();
    let (mut machine, mut copy) = (Machine::created(&log), Machine::created(&log));
    copy.ask(Work::Room { change: RoomChange::Topic("soup".into()), committing: false });
    log.take(&copy.commits(), ContentType::Commit);
    machine.conversation.heard(1);
    machine.read(&log);
    assert_eq!(machine.phase(), Phase::ComingBack);

    let ended =
        || CallError::Refused { code: ErrorCode::GroupEnded, detail: String::new(), details: None };
    let asks = |next: Next| matches!(next, Some((Request::FetchGroupInfo(_), Call::GroupInfo)));
    assert!(asks(machine.next()));
    machine.with(|conversation, cx| conversation.refused(cx, Call::GroupInfo, &ended()));
    let next = machine.next();
    assert!(matches!(next, Some((Request::FetchLog(_), Call::Log))), "{next:?}");
    let page = LogPage { ending: Some(Ending::Unsucceeded), ..log.after(0) };
    let page = Reply::FetchLog(page);
    let ending = machine.with(|conversation, cx| conversation.answered(cx, Call::Log, page));
    assert_eq!(ending, Some(Ending::Unsucceeded));

    // A service that says it nowhere but here is not asked without end.
    assert!(asks(machine.next()));
    machine.with(|conversation, cx| conversation.refused(cx, Call::GroupInfo, &ended()));
    assert_eq!(machine.phase(), Phase::Stuck);
}
