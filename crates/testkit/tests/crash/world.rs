//! Members that talk through a delivery service, and whose writes are cut.
//!
//! Each does what a client should: a step's outcome goes into an outbox and a history in the step's
//! own write, together with the position up to which the service's log was read.

use crate::disks::{Disk, rows_of};
use conclave_crypto::CryptoProvider;
use conclave_framing::open_private;
use conclave_group::rows::Batch;
use conclave_group::{
    ApplyError, CommitMessages, CommitOptions, Config, Error, Event, Framing, Group, Limits,
    NewProposal, Outcome, OwnKeyPackage, ProposalMessage, Rejection, Status, Transition,
    WriteError, apply,
};
use conclave_schedule::RatchetKind;
use conclave_store::{Store, WriteSet};
use conclave_testkit::forge::Insider;
use conclave_testkit::party::{
    NOW, Peer, Rows, SUITE, Setup, add, leaf_params, native, pending_id, row_with,
};
use conclave_testkit::{SeededRng, accepting};
use conclave_wire::{ContentType, Decode, Epoch, MlsMessage, MlsMessageBody, PrivateMessage};
use std::collections::{BTreeMap, BTreeSet};

const MAX_MEMBERS: usize = 7;
/// Few, so that some of the epochs that a fold enters are deleted before it ends.
const PAST_EPOCHS: u64 = 1;

/// The fate of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It succeeds.
    Not,
    /// The process dies before it.
    Before,
    /// The process dies after it, before the outcome has left or the memory has changed.
    After,
    /// The write fails, and the process lives on.
    Fails,
    /// The process dies in the middle of it, and the store is not atomic.
    Torn,
}

impl WriteError for Cut {
    /// Only a process that lives on knows that nothing was written.
    fn may_have_written(&self) -> bool {
        *self != Self::Fails
    }
}

/// A member and its disk.
struct Node {
    peer: Peer,
    disk: Box<dyn Disk>,
    /// The epoch that it joined in.
    joined: u64,
    /// The messages that it must have read by the end.
    expected: BTreeSet<Vec<u8>>,
}

/// Makes the disk of each member.
pub(crate) type DiskMaker = Box<dyn FnMut() -> Box<dyn Disk>>;

/// The members, and the delivery service between them.
pub(crate) struct World {
    setup: Setup,
    rng: SeededRng,
    cuts: SeededRng,
    cut_percent: u64,
    kinds: Vec<Cut>,
    disks: DiskMaker,
    nodes: Vec<Node>,
    joining: Vec<OwnKeyPackage>,
    /// The messages that the service has accepted, in its order; of the commits of an epoch only the
    /// first.
    log: Vec<Vec<u8>>,
    epoch: u64,
    watch: Watch,
    /// How often each event has happened.
    pub(crate) counts: BTreeMap<String, u64>,
}

/// The knowledge of the test: the secrets of each epoch as it began, and which message has left
/// under which key.
#[derive(Default)]
struct Watch {
    epochs: BTreeMap<u64, Insider>,
    left: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn frame(message: &[u8]) -> (u64, ContentType, Option<PrivateMessage>) {
    match MlsMessage::from_bytes(message).expect("an MLSMessage").body {
        MlsMessageBody::PrivateMessage(m) => (m.epoch.0, m.content_type, Some(m)),
        MlsMessageBody::PublicMessage(m) => {
            (m.content.epoch.0, m.content.content.content_type(), None)
        }
        other => panic!("members send no such message: {other:?}"),
    }
}

pub(crate) fn number(store: &dyn Store, key: &str) -> u64 {
    let value = store.get("numbers", key.as_bytes()).expect("read");
    value.map_or(0, |v| u64::from_be_bytes(v.expose().try_into().expect("eight bytes")))
}

pub(crate) fn put_number(set: &mut WriteSet, key: &str, value: u64) {
    set.put("numbers", key.as_bytes(), value.to_be_bytes());
}

/// The name of an application message: epoch, sender and generation.
fn history_key(epoch: u64, leaf: u32, generation: u32) -> Vec<u8> {
    [&epoch.to_be_bytes()[..], &leaf.to_be_bytes(), &generation.to_be_bytes()].concat()
}

/// Puts the outcomes of steps on the disk, in the steps' own write.
pub(crate) fn put_events(store: &dyn Store, set: &mut WriteSet, events: &[Event]) {
    let mut place = number(store, "outbox");
    for event in events {
        match event {
            Event::Message(message)
            | Event::Proposal(ProposalMessage { message, .. })
            | Event::Commit(CommitMessages { commit: message, .. }) => {
                set.put("outbox", place.to_be_bytes(), message.clone());
                place += 1;
            }
            Event::Application(read) => {
                let key = history_key(read.epoch.0, read.sender.index.0, read.generation);
                assert_eq!(store.get("history", &key), Ok(None), "a message is read twice");
                set.put("history", key, read.data.clone());
            }
            _ => {}
        }
    }
    put_number(set, "outbox", place);
}

/// A write with its fate.
pub(crate) fn write(disk: &mut dyn Disk, set: &WriteSet, cut: Cut) -> Result<(), Cut> {
    match cut {
        Cut::Not | Cut::After => disk.commit(set),
        Cut::Before | Cut::Fails => {}
        Cut::Torn => {
            let mut part = WriteSet::new();
            for batch in &set.batches {
                let mut rows = Batch::new(batch.group_id.clone());
                rows.rows = batch.rows.clone().into_iter().take(batch.rows.len() / 2).collect();
                part.batch(rows);
            }
            disk.commit(&part);
        }
    }

    if cut == Cut::Not { Ok(()) } else { Err(cut) }
}

impl Watch {
    /// Notes the secrets of an epoch when the first member enters it.
    fn entered(&mut self, group: &Group) {
        if group.status() == Status::Active {
            self.epochs.entry(group.epoch().0).or_insert_with(|| Insider::of(group));
        }
    }

    /// Lets a message leave a member. Checks that its key has encrypted no other message that left, and
    /// can no longer be found on the member's disk.
    fn leaves(&mut self, message: &[u8], node: &Node) {
        let (epoch, kind, Some(private)) = frame(message) else { return };
        let insider = &self.epochs[&epoch];
        let suite = node.peer.suite();
        let data = insider.sender_data(node.peer.provider, message);
        let ratchet = RatchetKind::from(kind);
        let leaf_keys = |insider: &Insider| {
            let tree = insider.secret_tree();
            tree.leaf_keys(&suite, data.leaf_index, ratchet, data.generation)
        };
        let key = leaf_keys(insider).expect("noted before any was used");

        let rows = rows_of(node.disk.store());
        assert_eq!(row_with(&rows, key.key.expose()), None, "a key that left is on the disk");
        let stored = Insider::of(&node.peer.load(&rows).expect("loads"));
        if stored.context.epoch == Epoch(epoch) {
            assert!(leaf_keys(&stored).is_err(), "a key that left can be derived from the disk");
        }

        assert!(
            open_private(&suite, &private, &data, key.clone(), &[]).is_ok(),
            "a message is under another key than its generation's"
        );
        let first = self.left.entry(key.key.expose().to_vec()).or_insert_with(|| message.to_vec());
        assert!(first == message, "a key has encrypted two messages that left");
    }
}

impl Node {
    fn disk_rows(&self) -> Rows {
        rows_of(self.disk.store())
    }

    /// Checks that a member whose write was cut is in the state before or after it.
    fn interrupted(&mut self, cut: Cut, before: &Rows, after: &Rows, watch: &mut Watch) {
        if cut == Cut::Fails {
            assert!(self.peer.all_rows() == *before, "a failed write has changed memory");
            assert!(self.disk_rows() == *before, "a failed write has changed the disk");
            return;
        }

        self.disk.crash();
        let rows = self.disk_rows();
        assert!(rows == *before || rows == *after, "neither the state before nor the state after");
        assert!(rows == *if cut == Cut::After { after } else { before });
        if rows.is_empty() {
            return;
        }

        self.peer.group = self.peer.load(&rows).expect("the disk's rows load");
        assert!(self.peer.all_rows() == rows, "a loaded state has the rows that it came from");

        watch.entered(&self.peer.group);
        let group = &self.peer.group;
        if let Some(epoch) = watch.epochs.get(&group.epoch().0) {
            let ours = group.epoch_authenticator().expect("a member").as_secret();
            assert!(ours == epoch.stored_secret("epoch_authenticator"));
        }
    }
}

impl World {
    /// A world of one member. Of a hundred writes, `cut_percent` are cut, each in one of these ways.
    pub(crate) fn new(seed: u64, cut_percent: u64, kinds: &[Cut], disks: DiskMaker) -> Self {
        let limits = Limits { past_epochs: PAST_EPOCHS as usize, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let setup = Setup { suite: SUITE, config, provider: native() };

        let rng = SeededRng::from_u64(seed);
        let founder = setup.found(leaf_params("founder", SUITE));
        let mut world = Self {
            cuts: rng.fork("cuts"),
            rng: rng.fork("script"),
            setup,
            cut_percent,
            kinds: kinds.to_vec(),
            disks,
            nodes: Vec::new(),
            joining: Vec::new(),
            log: Vec::new(),
            epoch: 0,
            watch: Watch::default(),
            counts: BTreeMap::new(),
        };
        world.settle(founder);
        world
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn cut(&mut self) -> Cut {
        if self.cuts.below(100) >= self.cut_percent {
            return Cut::Not;
        }
        let cut = *self.cuts.pick(&self.kinds).expect("a kind of cut");
        self.count(format!("{cut:?}"));
        cut
    }

    /// Takes random steps.
    pub(crate) fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            let i = self.rng.below(self.nodes.len() as u64) as usize;
            match self.rng.below(100) {
                0..40 => self.read(i),
                40..70 => self.flush(i),
                70..82 => self.say(i),
                82..88 => self.propose_update(i),
                _ => self.commit(i),
            }
            self.forget_removed();
        }
    }

    fn unread(&self, i: usize) -> usize {
        self.log.len() - number(self.nodes[i].disk.store(), "cursor") as usize
    }

    /// Drops removed members, which have deleted everything that they stored of the group.
    fn forget_removed(&mut self) {
        let before = self.nodes.len();
        self.nodes.retain(|node| {
            let gone = node.disk_rows().is_empty();
            assert!(gone || node.peer.group.status() == Status::Active);
            !gone
        });
        *self.counts.entry("remove".into()).or_default() += (before - self.nodes.len()) as u64;
    }

    /// Delivers everything, and checks that all members are in one state and can talk.
    pub(crate) fn settle_all(&mut self) {
        self.cut_percent = 0;
        for round in 0..3 {
            for i in 0..self.nodes.len() {
                while self.outbox(i).is_some() {
                    self.flush(i);
                }
            }
            for i in 0..self.nodes.len() {
                while self.unread(i) > 0 && !self.nodes[i].disk_rows().is_empty() {
                    self.read(i);
                }
            }
            self.forget_removed();
            match round {
                // Commit the proposals that are left.
                0 => self.commit(0),
                1 => (0..self.nodes.len()).for_each(|i| self.say(i)),
                _ => {}
            }
        }

        let first = self.nodes[0].peer.group.epoch_authenticator().expect("a member").clone();
        assert_eq!(self.nodes[0].peer.group.epoch(), Epoch(self.epoch));
        for node in &self.nodes {
            assert_eq!(node.peer.group.epoch_authenticator(), Ok(&first));
            let read = node.disk.store().scan("history", &[], usize::MAX).expect("read");
            let read: BTreeSet<Vec<u8>> = read.into_iter().map(|(key, _)| key).collect();
            assert!(read == node.expected, "a message was lost");
        }
    }

    // ── writes ───────────────────────────────────────────────────────────────────────────────

    /// Adds a member by its first write, which is repeated until it succeeds.
    fn settle(&mut self, mut peer: Peer) {
        let mut disk = (self.disks)();
        let after = peer.all_rows();
        loop {
            let cut = self.cut();
            let mut set = WriteSet::new();
            set.batch(peer.group.rows().expect("rows"));
            put_number(&mut set, "cursor", self.log.len() as u64);
            if write(&mut *disk, &set, cut).is_err() {
                disk.crash();
                let rows = rows_of(disk.store());
                assert!(rows.is_empty() || rows == after, "neither the state before nor after");
                if rows.is_empty() {
                    continue;
                }
                peer.group = peer.load(&rows).expect("loads");
            }
            break;
        }

        self.watch.entered(&peer.group);
        let joined = peer.group.epoch();
        self.nodes.push(Node { peer, disk, joined: joined.0, expected: BTreeSet::new() });
    }

    /// Takes a step of a member, and writes `beside` with it; false if the write was cut.
    fn take<O: Outcome<Event>>(
        &mut self,
        i: usize,
        step: Transition<Group, O>,
        mut beside: WriteSet,
    ) -> bool {
        let cut = self.cut();
        let node = &mut self.nodes[i];
        let before = node.disk_rows();
        assert!(before == node.peer.all_rows(), "memory and disk agree before each step");
        let mut after = before.clone();
        step.batch().apply_to(&mut after);

        let Node { peer, disk, .. } = node;
        let applied = apply(&mut peer.group, step, |w| {
            beside.batch(w.batch.clone());
            put_events(disk.store(), &mut beside, w.events);
            write(&mut **disk, &beside, cut)
        });

        match applied {
            Ok(_) => {
                assert!(node.peer.all_rows() == after && node.disk_rows() == after);
                self.watch.entered(&self.nodes[i].peer.group);
                true
            }
            Err(ApplyError::Write(cut)) => {
                node.interrupted(cut, &before, &after, &mut self.watch);
                false
            }
            Err(ApplyError::Stale | ApplyError::Reload) => {
                panic!("not computed from this state")
            }
        }
    }

    /// Writes only values of the client's own.
    fn note(&mut self, i: usize, set: &WriteSet) {
        let cut = self.cut();
        let node = &mut self.nodes[i];
        let rows = node.disk_rows();
        if write(&mut *node.disk, set, cut).is_err() {
            node.interrupted(cut, &rows, &rows, &mut self.watch);
        }
    }

    // ── steps ────────────────────────────────────────────────────────────────────────────────

    fn framing(&mut self) -> Framing {
        Framing { encrypt: self.rng.one_in(2), ..Framing::default() }
    }

    fn say(&mut self, i: usize) {
        let data = self.rng.bytes(20);
        let peer = &mut self.nodes[i].peer;
        let framing = Framing::default();
        // A member cannot send data while proposals are pending.
        let Ok(step) = peer.group.encrypt(peer.provider, &mut peer.rng, &data, &framing) else {
            return;
        };
        self.count("say");
        self.take(i, step, WriteSet::new());
    }

    fn propose_update(&mut self, i: usize) {
        let framing = self.framing();
        let peer = &mut self.nodes[i].peer;
        let step = peer.group.propose_update(peer.provider, &mut peer.rng, None, &framing);
        self.count("propose");
        self.take(i, step.expect("an update"), WriteSet::new());
    }

    fn commit(&mut self, i: usize) {
        if self.nodes[i].peer.group.pending_commit().is_some() {
            return;
        }
        let mut options = CommitOptions {
            framing: self.framing(),
            force_path: self.rng.one_in(2),
            ..CommitOptions::default()
        };

        if self.nodes.len() < MAX_MEMBERS && self.rng.one_in(3) {
            let leaf = leaf_params("newcomer", SUITE);
            let client = self.setup.key_package(leaf, self.rng.below(1 << 40));
            options.proposals.push(add(&client));
            self.joining.push(client);
        } else if self.nodes.len() > 2 && self.rng.one_in(3) {
            let members: Vec<_> = self.nodes[i].peer.group.members().map(|m| m.index).collect();
            let own = self.nodes[i].peer.group.own_leaf();
            let other = self.rng.pick(&members).filter(|leaf| **leaf != own);
            options.proposals.extend(other.map(|leaf| NewProposal::Remove(*leaf)));
        }

        let peer = &mut self.nodes[i].peer;
        let step = peer.group.commit(peer.provider, &mut peer.rng, NOW, options).expect("a commit");
        self.count("commit");
        self.take(i, step, WriteSet::new());
    }

    fn outbox(&self, i: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let first = self.nodes[i].disk.store().scan("outbox", &[], 1).expect("read").pop();
        first.map(|(key, message)| (key, message.expose().to_vec()))
    }

    /// Sends the first message of the outbox, or loses it.
    fn flush(&mut self, i: usize) {
        let Some((key, message)) = self.outbox(i) else { return };
        let pending = self.nodes[i].peer.group.pending_commit();
        let pending = pending.filter(|messages| messages.commit == message).cloned();
        let kind = frame(&message).1;
        let mut set = WriteSet::new();
        set.delete("outbox", key);

        let new = !self.log.contains(&message);
        let lost = new && kind != ContentType::Proposal && self.rng.one_in(8);
        let accepted = !lost && {
            self.watch.leaves(&message, &self.nodes[i]);
            self.submit(&message)
        };
        self.count(match (lost, accepted) {
            (true, _) => format!("{kind:?} lost"),
            (false, true) => format!("{kind:?} accepted"),
            (false, false) => format!("{kind:?} refused"),
        });

        match pending {
            Some(_) if !accepted => {
                let group = &self.nodes[i].peer.group;
                let step = group.commit_rejected(&pending_id(group)).expect("pending");
                self.take(i, step, set);
            }
            pending => {
                self.note(i, &set);
                if new && accepted {
                    self.welcome(pending);
                }
            }
        }
    }

    /// The service's verdict. It refuses a handshake message of an epoch that is over. It accepts again
    /// a message that it has accepted before, and delivers it once.
    fn submit(&mut self, message: &[u8]) -> bool {
        if self.log.iter().any(|m| m == message) {
            return true;
        }
        let (epoch, kind, _) = frame(message);
        if kind != ContentType::Application && epoch != self.epoch {
            return false;
        }
        self.log.push(message.to_vec());
        self.epoch += u64::from(kind == ContentType::Commit);
        true
    }

    /// Lets the clients join that an accepted commit adds.
    fn welcome(&mut self, messages: Option<CommitMessages>) {
        for welcome in messages.iter().flat_map(|messages| &messages.welcomes) {
            let at = self.joining.iter().position(|c| welcome.recipients.contains(c.reference()));
            let client = self.joining.remove(at.expect("a client that waits"));
            self.count("join");
            let joined = self.setup.join(&welcome.message, &client, &[], self.epoch);
            self.settle(joined.expect("joins"));
        }
    }

    /// Reads from the log: one message in a step of its own, or several in a fold.
    fn read(&mut self, i: usize) {
        let from = number(self.nodes[i].disk.store(), "cursor") as usize;
        let most = if self.rng.one_in(4) { 50 } else { 5 };
        let n = 1 + self.rng.below(most) as usize;
        let entries: Vec<Vec<u8>> = self.log.iter().skip(from).take(n).cloned().collect();
        if entries.is_empty() {
            return;
        }

        self.count(if n == 1 { "read" } else { "fold" });
        let mut set = WriteSet::new();
        put_number(&mut set, "cursor", (from + entries.len()) as u64);
        // A member that reads its removal deletes the group in the same write.
        if n > 1 || frame(&entries[0]).1 == ContentType::Commit {
            return self.fold(i, &entries, set);
        }

        let Node { peer, joined, expected, .. } = &mut self.nodes[i];
        let Peer { provider, group, .. } = peer;
        match judged(&self.watch, group, *provider, *joined, &entries[0], expected) {
            Some(step) => drop(self.take(i, step, set)),
            None => self.note(i, &set),
        }
    }

    fn fold(&mut self, i: usize, entries: &[Vec<u8>], mut set: WriteSet) {
        let cut = self.cut();
        let before = self.nodes[i].disk_rows();
        let mut after = before.clone();
        let Node { peer, disk, joined, expected } = &mut self.nodes[i];
        let Peer { provider, group, .. } = peer;

        let mut fold = group.fold();
        for entry in entries {
            let state = fold.state();
            let step = judged(&self.watch, state, *provider, *joined, entry, expected);
            let Some(step) = step else { continue };
            let epoch = state.epoch();
            step.batch().apply_to(&mut after);
            fold.push(step).expect("computed from the fold's state");
            if frame(entry).1 == ContentType::Commit && fold.state().epoch() == epoch {
                // The log is the delivery service's order, so this commit is the epoch's.
                let deletion = fold.state().delete().expect("a member");
                deletion.batch().apply_to(&mut after);
                fold.push(deletion).expect("computed from the fold's state");
                break;
            }
            self.watch.entered(fold.state());
        }

        let written = fold.commit(|w| {
            set.batch(w.batch.clone());
            put_events(disk.store(), &mut set, w.events);
            write(&mut **disk, &set, cut)
        });
        let node = &mut self.nodes[i];
        match written {
            Ok(_) => assert!(node.peer.all_rows() == after && node.disk_rows() == after),
            Err(cut) => node.interrupted(cut, &before, &after, &mut self.watch),
        }
    }
}

/// The step that a message of the log leads to. A member must read application data that was sent
/// after it joined and not too long ago, and must not refuse a handshake message.
fn judged(
    watch: &Watch,
    group: &Group,
    provider: &dyn CryptoProvider,
    joined: u64,
    message: &[u8],
    expected: &mut BTreeSet<Vec<u8>>,
) -> Option<Transition<Group, Event>> {
    let found = accepting::process(group, provider, NOW, message, accepting::known(&[]));
    let (epoch, kind, _) = frame(message);
    if kind != ContentType::Application {
        return found.unwrap_or_else(|refused| panic!("{kind:?} refused: {refused}"));
    }

    let data = watch.epochs[&epoch].sender_data(provider, message);
    if epoch < joined || group.epoch().0 - epoch > PAST_EPOCHS {
        let error = found.expect_err("of an unknown epoch").error;
        assert!(matches!(error, Error::Rejected(Rejection::WrongEpoch { .. })), "{error}");
        return None;
    }
    if data.leaf_index != group.own_leaf() {
        expected.insert(history_key(epoch, data.leaf_index.0, data.generation));
    }
    found.unwrap_or_else(|refused| panic!("data refused: {refused}"))
}
