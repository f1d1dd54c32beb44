//! Coming back into a group after a commit that cannot be followed: what is judged before, and how often it is tried.

use super::*;
use crate::conversation::entries::{Halt, refuse};
use crate::conversation::links::judge_own;
use crate::conversation::rules::GROUP_INFO;
use conclave_account::{Account, DeviceKey};
use conclave_crypto::testing::{Hook, Hooked, Operation};
use conclave_delivery_api::GroupState;
use conclave_mls::error::{Rejection, TreeError};
use conclave_mls::group::{
    Answers, CommitMessages, CommitOptions, LeafIndex, NewProposal, Proposal, Refused, Sender,
    TreeRead,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage, ValidKeyPackage};
use conclave_mls::wire::{
    AuthenticatedContent, Decode, MlsMessage, MlsMessageBody, PublicMessage, WireFormat,
};
use conclave_mls::{Config, Epoch, Received, Verdict, apply};
use conclave_room::standard::{MEMBER, OWNER};
use conclave_room::{PARTICIPANT_LIST, ROLES_LIST};
use conclave_testkit::SeededRng;
use conclave_testkit::forge::{Insider, PathFor};
use core::convert::Infallible;

/// As if nothing opened that is encrypted for this device alone: it can follow no commit with a path.
#[derive(Debug)]
struct Deaf;

impl Hook for Deaf {
    fn before(&self, operation: Operation) -> Result<(), CryptoError> {
        match operation {
            Operation::AeadOpen => Err(CryptoError::OpenFailed),
            _ => Ok(()),
        }
    }
}

/// Bob's client, which was modified and keeps no rules of rooms.
struct Bob {
    group: Group,
    provider: RustCrypto,
    rng: TestRng,
}

fn applied<T: conclave_mls::storage::Outcome<conclave_mls::Event>>(
    group: &mut Group,
    step: conclave_mls::Transition<Group, T>,
) -> T {
    apply(group, step, |_| Ok::<_, Infallible>(())).unwrap()
}

impl Bob {
    fn draft(&mut self, proposals: Vec<NewProposal>) -> CommitMessages {
        let now = UnixTime::from_secs(NOW / 1000).unwrap();
        let options = CommitOptions { proposals, force_path: true, ..CommitOptions::default() };
        let draft = self.group.draft_commit(&self.provider, &mut self.rng, now, options).unwrap();
        let app_data = judge_own(&self.provider, &self.group, &draft).unwrap_or_default();
        let step = draft.seal(&mut self.rng, app_data).unwrap();
        applied(&mut self.group, step)
    }

    /// Commits, which the service takes whatever it is.
    fn commits(&mut self, log: &mut Log, proposals: Vec<NewProposal>) -> CommitMessages {
        let sent = self.draft(proposals);
        log.take_of("bob/pc", &sent.commit, ContentType::Commit);
        let now = UnixTime::from_secs(NOW / 1000).unwrap();
        let step = self.group.commit_accepted(&self.provider, now, &sent.id).unwrap();
        applied(&mut self.group, step);
        sent
    }

    /// Bob makes himself an owner.
    fn ownership(&self) -> NewProposal {
        let room = RoomState::of(self.group.view()).unwrap().unwrap();
        let list = room.participants.with(&room.uri_of("bob").unwrap(), OWNER);
        let update = room.participants.update_to(&list).to_bytes().unwrap().into();
        NewProposal::AppDataUpdate { component_id: PARTICIPANT_LIST, update }
    }

    /// The group as the service shows it after bob's last commit.
    fn shown(&self, log: &Log) -> GroupState {
        GroupState {
            receipt: log.receipt(log.entries.len()),
            group_info: self.group.group_info(&self.provider, GROUP_INFO).unwrap().into(),
            ratchet_tree: self.group.tree().to_extension_bytes().unwrap().into(),
            proposals: Vec::new(),
            pending: 0,
        }
    }

    fn follows(&mut self, commit: &[u8]) {
        let now = UnixTime::from_secs(NOW / 1000).unwrap();
        let received = self.group.process(&self.provider, now, commit);
        let Ok(Received::Commit(stage)) = received else { panic!("{received:?}") };
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let answers: Answers = verdicts.into();
        let step = stage.resolve(&self.group, &self.provider, now, &answers).unwrap();
        applied(&mut self.group, step);
    }
}

/// A room of alice's, which bob was in first. His client has added hers, whose conversation this is.
fn pair(seed: u64) -> (Machine, Bob, Log) {
    let mut machine = Machine::new();
    let provider = RustCrypto::new();
    let mut rng = TestRng(2);
    let mut log = Log::new();
    let (now, id) = (UnixTime::from_secs(NOW / 1000).unwrap(), group_id());
    let alice = machine.book.identity().clone();
    let bob: DeviceId = "bob/pc".parse().unwrap();
    let bob = new_identity(&provider, &mut rng, bob, Some(CLASSIC)).unwrap();
    let scheme = SignatureScheme::Ed25519;
    for identity in [&alice, &bob] {
        let DeviceId { user, device } = identity.device.clone();
        let key = DeviceKey::proved(&provider, &user, device, scheme, &identity.signer).unwrap();
        let entry = Account::draft_creation(&provider, &user, key, &identity.signer, UnixTime::MIN);
        machine.store(Change::Account(Account::create(&provider, &entry.unwrap()).unwrap()));
    }

    let uri = room_uri(LOCAL_AUTHORITY, &id);
    let mut room = RoomState::new(&uri, "", &user_uri(LOCAL_AUTHORITY, "alice")).unwrap();
    room.participants = room.participants.with(&room.uri_of("bob").unwrap(), MEMBER);
    let params = GroupParams {
        group_id: id.clone(),
        cipher_suite: CLASSIC,
        extensions: vec![room.dictionary(&[JOIN_LINKS]).unwrap().to_extension().unwrap()],
        leaf: machine.authority.own_leaf(&bob),
        lifetime: Lifetime::starting_at(now, DAY),
    };
    let new = Group::create(&provider, &mut rng, Config::default(), params, bob.signer).unwrap();
    let mut bob = Bob { group: new.stored(), provider, rng };

    let leaf = machine.authority.own_leaf(&alice);
    let params = KeyPackageParams::new(CLASSIC, leaf, Lifetime::starting_at(now, DAY));
    let signer = alice.signer;
    let own = OwnKeyPackage::generate(&bob.provider, &mut bob.rng, params, signer).unwrap();
    let stage =
        ValidKeyPackage::check(&bob.provider, now, &Config::default(), own.key_package().clone());
    let valid = stage.unwrap().resolve(Verdict::Accept).unwrap();
    let sent = bob.commits(&mut log, vec![NewProposal::Add(Box::new(valid))]);

    let stage =
        WelcomeStage::open(&bob.provider, config(), &sent.welcomes[0].message, &own).unwrap();
    let stage = stage.join(&bob.provider, &[], None, None).unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let (cursor, chain, epoch) = (1, Some(log.chains[1]), 1);
    let record = GroupRecord::new("lunch".into(), Stage::Active, NOW);
    let record = GroupRecord { cursor, chain, epoch, ..record };
    let book = &mut machine.book;
    let group = stage.resolve(&verdicts).unwrap().store(|batch| {
        let batch = Batch { new: false, clear: true, ..batch.clone() };
        book.commit(Some(&batch), vec![Change::Record(id.clone(), record)])
    });
    machine.conversation = Conversation::new(group.unwrap(), None);
    bob.rng = TestRng(seed);
    (machine, bob, log)
}

impl Machine {
    /// Nothing opens any more that is encrypted for this device alone.
    fn goes_deaf(&mut self) {
        self.provider = Arc::new(Hooked::new(RustCrypto::new(), Deaf));
    }

    /// Reads the log up to what it cannot follow.
    fn reads_on(&mut self, log: &Log) -> Phase {
        self.conversation.heard(log.entries.len() as u64);
        self.read(log);
        self.phase()
    }

    /// Makes its calls on the way back, until it submits its commit or makes none.
    fn on_its_way(&mut self, log: &Log, shown: &GroupState) -> Option<Vec<u8>> {
        for _ in 0..10 {
            match self.next() {
                Some((Request::FetchGroupInfo(_), Call::GroupInfo)) => {
                    self.answer(Call::GroupInfo, Reply::FetchGroupInfo(shown.clone()));
                }
                Some((Request::FetchLog(asked), Call::Missed)) => {
                    self.answer(Call::Missed, Reply::FetchLog(log.after(asked.after)));
                }
                Some((Request::SubmitCommit(sent), Call::Rejoin)) => {
                    return Some(sent.commit.into_vec());
                }
                None => return None,
                other => panic!("{other:?}"),
            }
        }
        panic!("no end is in sight");
    }

    fn is_in(&mut self, log: &mut Log, commit: &[u8]) {
        let outcome = log.take(commit, ContentType::Commit);
        self.answer(Call::Rejoin, Reply::SubmitCommit(outcome));
    }

    fn not_back(&self) -> String {
        match self.conversation.stuck() {
            Some(Reason::NotBack { why }) => why.clone(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_device_judges_without_keys_what_it_missed_and_comes_back() {
    let (mut machine, mut bob, mut log) = pair(3);
    machine.goes_deaf();
    bob.commits(&mut log, Vec::new());
    bob.commits(&mut log, Vec::new());
    assert_eq!(machine.reads_on(&log), Phase::ComingBack);
    let commit = machine.on_its_way(&log, &bob.shown(&log)).unwrap();
    machine.is_in(&mut log, &commit);
    let missed = |news: &News| matches!(news, News::Rejoined { seq: 4, missed: 2 });
    assert!(machine.book.lines().values().any(|line| missed(&line.news)));
    bob.follows(&commit);
    assert_eq!(machine.conversation.group().context(), bob.group.context());

    // It can follow again.
    machine.provider = Arc::new(RustCrypto::new());
    bob.commits(&mut log, Vec::new());
    assert_eq!(machine.reads_on(&log), Phase::Open);
    assert_eq!(machine.conversation.group().epoch(), Epoch(5));
}

#[test]
fn a_commit_against_the_rules_stops_a_device_that_misses_it_as_one_that_reads_it() {
    type Misdeed = fn(&Bob) -> NewProposal;
    let misdeeds: [Misdeed; 3] = [
        Bob::ownership,
        |_| NewProposal::AppDataRemoval { component_id: ROLES_LIST },
        |_| NewProposal::GroupContextExtensions(Vec::new()),
    ];
    for misdeed in misdeeds {
        let (mut machine, mut bob, mut log) = pair(3);
        let (mut reader, ..) = pair(3);
        machine.goes_deaf();
        bob.commits(&mut log, Vec::new());
        let proposal = misdeed(&bob);
        bob.commits(&mut log, vec![proposal]);
        bob.commits(&mut log, Vec::new());
        assert_eq!(reader.reads_on(&log), Phase::Stuck);
        assert_eq!(machine.reads_on(&log), Phase::ComingBack);

        let shown = bob.shown(&log);
        assert_eq!(machine.on_its_way(&log, &shown), None);
        let reason = machine.conversation.stuck().cloned();
        assert!(matches!(reason, Some(Reason::CommitRefused { seq: 3, .. })), "{reason:?}");
        assert_eq!(reason.as_ref(), reader.conversation.stuck());
        // Neither with a new session nor in the next process.
        machine.conversation.try_again();
        assert_eq!(machine.on_its_way(&log, &shown), None);
        machine.restart();
        machine.reads_on(&log);
        assert_eq!(machine.on_its_way(&log, &shown), None);
        assert_eq!(machine.conversation.stuck(), reason.as_ref());
    }
}

#[test]
fn a_device_comes_back_only_into_the_group_that_its_log_leads_to() {
    // The epoch before the commit that it cannot follow.
    let (mut machine, mut bob, mut log) = pair(3);
    machine.goes_deaf();
    let before = bob.shown(&log);
    bob.commits(&mut log, Vec::new());
    let half = log.clone();
    bob.commits(&mut log, Vec::new());
    assert_eq!(machine.reads_on(&log), Phase::ComingBack);
    assert_eq!(machine.on_its_way(&log, &before), None);
    assert!(machine.not_back().contains("an epoch that is over"), "{}", machine.not_back());

    // The same epoch after other commits.
    let (_, mut other, mut other_log) = pair(4);
    other.commits(&mut other_log, Vec::new());
    other.commits(&mut other_log, Vec::new());
    machine.conversation.try_again();
    assert_eq!(machine.on_its_way(&log, &other.shown(&other_log)), None);
    assert!(machine.not_back().contains("not what its log leads to"), "{}", machine.not_back());

    // An epoch that the log does not come to.
    machine.restart();
    machine.reads_on(&log);
    assert_eq!(machine.on_its_way(&half, &bob.shown(&log)), None);
    assert!(machine.not_back().contains("its log ends before"), "{}", machine.not_back());

    machine.conversation.try_again();
    assert!(machine.on_its_way(&log, &bob.shown(&log)).is_some());
}

#[test]
fn a_service_that_always_has_another_commit_first_does_not_keep_a_device_busy() {
    let (mut machine, mut bob, mut log) = pair(3);
    machine.goes_deaf();
    bob.commits(&mut log, Vec::new());
    assert_eq!(machine.reads_on(&log), Phase::ComingBack);
    let shown = bob.shown(&log);
    let mut tries = 0;
    while machine.on_its_way(&log, &shown).is_some() {
        tries += 1;
        assert!(tries < 1_000, "no end is in sight");
        let overtaken = Outcome::WrongEpoch { receipt: log.receipt(log.entries.len()) };
        machine.answer(Call::Rejoin, Reply::SubmitCommit(overtaken));
    }
    let limited = |news: &News| matches!(news, News::RejoinLimited { .. });
    assert!(machine.book.lines().values().any(|line| limited(&line.news)), "{tries}");
}

#[test]
fn a_commit_that_brings_a_device_back_is_sent_again_if_no_answer_came() {
    let (mut machine, mut bob, mut log) = pair(3);
    // The leaf has a key that the device uses no more: all of the log can be read.
    bob.commits(&mut log, Vec::new());
    let wanted = Rejoin { wanted: true, ..Rejoin::default() };
    machine.store(Change::Rejoin(group_id(), wanted));
    assert_eq!(machine.reads_on(&log), Phase::ComingBack);
    let commit = machine.on_its_way(&log, &bob.shown(&log)).unwrap();
    let outcome = log.take(&commit, ContentType::Commit);

    // The log has it when the next process reads that.
    machine.restart();
    assert_eq!(machine.reads_on(&log), Phase::ComingBack);
    assert_eq!(machine.on_its_way(&log, &bob.shown(&log)), Some(commit.clone()));
    machine.answer(Call::Rejoin, Reply::SubmitCommit(outcome));
    bob.follows(&commit);
    assert_eq!(machine.conversation.group().context(), bob.group.context());
}

/// A commit of bob's with a tag that nobody can compute.
fn with_wrong_tag(bob: &mut Bob) -> Vec<u8> {
    let commit = bob.draft(Vec::new()).commit;
    let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(&commit).unwrap().body
    else {
        panic!("not public")
    };
    let PublicMessage { content, mut auth, .. } = *message;
    auth.confirmation_tag = Some(vec![7; 32].into());
    let wire_format = WireFormat::PUBLIC_MESSAGE;
    let signed = AuthenticatedContent { wire_format, content, auth };
    Insider::of(&bob.group).tagged(&bob.provider, signed)
}

/// One whose path does not open.
fn with_garbled_path(bob: &mut Bob) -> Vec<u8> {
    let (insider, mut rng) = (Insider::of(&bob.group), SeededRng::from_u64(5));
    let (_, mut path) = insider.path(&bob.provider, &mut rng, PathFor::default(), |_| {});
    path.nodes[0].encrypted_path_secret[0].ciphertext = vec![9; 48].into();
    insider.public(&bob.provider, Insider::commit(Vec::new(), Some(path)))
}

/// One from outside whose ExternalInit does not open.
fn with_garbled_init(bob: &mut Bob) -> Vec<u8> {
    let (insider, mut rng) = (Insider::of(&bob.group), SeededRng::from_u64(5));
    let leaf = bob.group.own_leaf();
    let of = PathFor { removes: vec![leaf], joiner: bob.group.tree().leaf(leaf) };
    let (_, path) = insider.path(&bob.provider, &mut rng, of, |_| {});
    let proposals = vec![Proposal::ExternalInit(vec![9; 5].into()), Proposal::Remove(leaf)];
    let content = Insider::commit(proposals, Some(path));
    insider.from_outside(&bob.provider, Sender::NewMemberCommit, content)
}

#[test]
fn whatever_is_wrong_with_a_commits_keys_this_device_comes_back() {
    for spoilt in [with_wrong_tag, with_garbled_path, with_garbled_init] {
        let (mut machine, mut bob, mut log) = pair(3);
        let commit = spoilt(&mut bob);
        log.take_of("bob/pc", &commit, ContentType::Commit);
        assert_eq!(machine.reads_on(&log), Phase::ComingBack);
    }

    // Whatever is said of it in the end.
    let (_, _, log) = pair(3);
    let (entry, leaf) = (&log.entries[0], LeafIndex(1));
    let keys = [
        Rejection::ConfirmationTag,
        Rejection::PathOpen,
        Rejection::ExternalInitOpen,
        Rejection::Tree(TreeError::NoPrivateKey { leaf }),
        Rejection::Tree(TreeError::PathSecretLength),
    ];
    for rejection in keys {
        let refused = Refused { error: rejection.into(), key_deletion: None };
        assert!(matches!(refuse(entry, refused), Err(Halt::ComesBack)));
    }
    let refused = Refused { error: Rejection::PathMissing.into(), key_deletion: None };
    assert!(matches!(refuse(entry, refused), Err(Halt::Stuck(_))));
}
