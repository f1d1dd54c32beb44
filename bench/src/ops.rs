//! Runs of all stacks that measure the operations.

use crate::client::{Client, Commit, Result};
use crate::floor::{Primitives, Work};
use crate::measure::{Sample, settle, timed};
use crate::op::Op;
use crate::stack::Stack;
use crate::table::Table;
use crate::{conclave, forge, memory};
use conclave_mls::group::LeafIndex;
use conclave_mls::wire::TreeSize;
use std::error::Error;
use std::time::{Duration, Instant};

/// A size to run.
pub struct Run<'a> {
    pub members: usize,
    pub stacks: &'a [Stack],
    pub ops: &'a [Op],
    /// The most repetitions.
    pub rounds: usize,
    /// After three repetitions, none starts later than this.
    pub time: Duration,
    /// Whether to run operations that take a peer minutes.
    pub slow: bool,
    pub primitives: &'a Primitives,
}

pub const GROUP: &[u8] = b"a group of some size, by name only";
const MESSAGES: usize = 20;
/// Groups larger than this are created in several commits.
const SLICE: usize = 100_000;
/// Up to this many members, each stack takes one unmeasured step at the start of its turn, so that the caches
/// that another stack has filled do not count.
const WARM: usize = 1000;

/// Two members of a group, of one stack.
pub struct Pair {
    pub a: Box<dyn Client>,
    pub b: Box<dyn Client>,
}

/// The key packages of all members of a group except its creator and one more.
pub fn key_packages(members: usize) -> Result<Vec<Vec<u8>>> {
    conclave::key_packages(2..members)
}

/// Two members of a group of this size. Above three members the group is forged; `info` is its GroupInfo.
pub fn pair(stack: Stack, members: usize, info: &[u8]) -> Result<Pair> {
    let mut a = stack.client("alice")?;
    let mut b = stack.client("bob")?;

    if members < 4 {
        a.create(GROUP)?;
        let mut all = vec![b.key_package()?];
        for i in 2..members {
            all.push(stack.client(&format!("{i}"))?.key_package()?);
        }
        let commit = a.add(&all)?;
        a.accept()?;
        b.join(&commit.welcome)?;

        let commit = b.update()?;
        b.accept()?;
        a.process(&commit.commit)?;
    } else {
        a.join_external(info)?;
        let commit = b.join_external(&a.group_info()?)?;
        a.process(&commit)?;
    }

    same(&mut *a, &mut *b)?;
    Ok(Pair { a, b })
}

/// The GroupInfo of the group that the pairs join, and how many keys b derives from the path of a commit by a.
pub fn forge(members: usize, populated: bool) -> Result<(Vec<u8>, usize)> {
    let n = members as u32;
    let blank = if n < 4 { [0, 1] } else { [n / 4, n / 4 * 3] };

    let size = TreeSize::for_leaves(n).ok_or("too many")?;
    let common = size.common_ancestor(LeafIndex(blank[0]), LeafIndex(blank[1]));
    let derived = (size.root().level() - common.level() + 1) as usize;

    let info = if n < 4 { Vec::new() } else { forge::group_info(GROUP, n, &blank, populated)? };
    Ok((info, derived))
}

impl Run<'_> {
    pub fn run(&self, table: &mut Table) -> Result<()> {
        if self.wants("create") {
            self.create(table)?;
        }

        if self.wants("bare") && self.members > 3 {
            self.bare(table)?;
        }

        if self.wants("populated") || self.wants("bytes") {
            self.populated(table)?;
        }

        if self.wants("memory") {
            self.memory(table)?;
        }
        Ok(())
    }

    /// Whether one of the operations with this name is to be measured.
    fn wants(&self, name: &str) -> bool {
        Op::named(name).unwrap_or_default().iter().any(|op| self.ops.contains(op))
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Repeats at least three times if `rounds` allows, and then as long as there is time.
    fn repeat(&self, mut round: impl FnMut(usize) -> Result<()>) -> Result<()> {
        let start = Instant::now();
        for i in 0..self.rounds {
            if i >= 3 && start.elapsed() > self.time {
                break;
            }
            round(i)?;
        }
        Ok(())
    }

    fn put(&self, table: &mut Table, op: Op, stack: Stack, time: Sample, work: &Work) {
        if !self.ops.contains(&op) {
            return;
        }
        table.put(op, self.members, stack, time, self.primitives.floor(op, work));
    }

    /// Whether a stack creates a group of this size in about a minute.
    fn creates(&self, stack: Stack) -> bool {
        let most = match stack {
            Stack::Conclave => usize::MAX,
            Stack::MlsRs => 10_000,
            Stack::OpenMls => 2_000,
        };
        self.slow || self.members <= most
    }

    fn create(&self, table: &mut Table) -> Result<()> {
        let key_packages = key_packages(self.members)?;
        self.repeat(|i| {
            for stack in self.stacks.iter().filter(|stack| self.creates(**stack)) {
                if i > 0 && self.members > 1000 && *stack != Stack::Conclave {
                    continue;
                }
                let mut a = stack.client("alice")?;
                let mut b = stack.client("bob")?;
                // b is added last, so that it joins a group of full size.
                let mut all = key_packages.clone();
                all.push(b.key_package()?);

                settle();
                let (commit, time): (Result<Commit>, _) = timed(|| {
                    a.create(GROUP)?;
                    let mut commit = Err("nobody to add".into());
                    for slice in all.chunks(SLICE) {
                        commit = Ok(a.add(slice)?);
                        a.accept()?;
                    }
                    commit
                });

                let Commit { commit, welcome } = commit?;
                let mut work = Work::of(self.members, &commit, 0)?;
                work.group_info = welcome.len().saturating_sub(self.members * 140);
                self.put(table, Op::Create, *stack, time, &work);
                if i == 0 {
                    b.join(&welcome)?;
                    same(&mut *a, &mut *b)?;
                }
            }
            Ok(())
        })
    }

    fn bare(&self, table: &mut Table) -> Result<()> {
        let (info, derived) = forge(self.members, false)?;
        let mut pairs = Vec::new();
        for stack in self.stacks {
            pairs.push((*stack, pair(*stack, self.members, &info)?));
        }

        self.repeat(|_| {
            for (stack, Pair { a, b }) in &mut pairs {
                settle();
                let ops = (Op::UpdateBare, Op::ProcessBare);
                let mut turn = Turn { run: self, table: &mut *table, stack: *stack, derived };
                turn.commit(ops, &mut **a, &mut **b, |a| a.update())?;
            }
            Ok(())
        })?;

        pairs.iter_mut().try_for_each(|(_, pair)| same(&mut *pair.a, &mut *pair.b))
    }

    fn populated(&self, table: &mut Table) -> Result<()> {
        let (info, derived) = forge(self.members, true)?;
        let mut pairs = Vec::new();
        for stack in self.stacks {
            pairs.push((*stack, pair(*stack, self.members, &info)?));
        }

        if self.wants("populated") {
            self.repeat(|i| {
                for (stack, pair) in &mut pairs {
                    Turn { run: self, table: &mut *table, stack: *stack, derived }.run(pair, i)?;
                }
                Ok(())
            })?;
        }

        for (stack, pair) in &mut pairs {
            if self.wants("bytes") {
                self.bytes(table, *stack, pair)?;
            }
            same(&mut *pair.a, &mut *pair.b)?;
        }
        Ok(())
    }

    fn bytes(&self, table: &mut Table, stack: Stack, Pair { a, b }: &mut Pair) -> Result<()> {
        let mut put = |op, bytes| {
            if self.ops.contains(&op) {
                table.put_bytes(op, self.members, stack, bytes);
            }
        };

        a.watch_writes();
        let commit = a.update()?;
        a.accept()?;
        put(Op::CommitBytes, a.written());
        put(Op::CommitSize, commit.commit.len() as u64);

        b.watch_writes();
        b.process(&commit.commit)?;
        put(Op::ProcessBytes, b.written());

        let first = a.encrypt(&[7; 1024])?;
        b.decrypt(&first)?;
        a.save()?;
        b.save()?;

        a.watch_writes();
        let message = a.encrypt(&[7; 1024])?;
        a.save()?;
        put(Op::SendBytes, a.written());

        b.watch_writes();
        b.decrypt(&message)?;
        b.save()?;
        put(Op::ReceiveBytes, b.written());
        put(Op::StoredBytes, b.stored());

        let key_package = stack.client("one more")?.key_package()?;
        let added = a.add(&[key_package.clone()])?;
        a.accept()?;
        b.process(&added.commit)?;
        put(Op::KeyPackageSize, key_package.len() as u64);
        put(Op::WelcomeSize, added.welcome.len() as u64);
        Ok(())
    }

    /// A joiner in a process of its own, for each stack.
    fn memory(&self, table: &mut Table) -> Result<()> {
        let (info, _) = forge(self.members, true)?;
        for stack in self.stacks {
            let Pair { mut a, b } = pair(*stack, self.members, &info)?;
            drop(b);
            let measured = memory::of_joiner(*stack, |key_package| {
                let commit = a.add(&[key_package])?;
                a.accept()?;
                Ok(commit.welcome)
            })?;
            table.put_bytes(Op::MemoryHeld, self.members, *stack, measured.held);
            table.put_bytes(Op::MemoryPeak, self.members, *stack, measured.peak);
        }
        Ok(())
    }
}

/// One stack's turn in a round.
struct Turn<'a> {
    run: &'a Run<'a>,
    table: &'a mut Table,
    stack: Stack,
    /// The keys that b derives from the path of a commit by a.
    derived: usize,
}

impl Turn<'_> {
    fn run(&mut self, Pair { a, b }: &mut Pair, round: usize) -> Result<()> {
        settle();
        if self.run.members <= WARM {
            warm(&mut **a, &mut **b)?;
        }

        if self.run.wants_any(&["update", "process"]) {
            self.commit((Op::Update, Op::Process), &mut **a, &mut **b, |a| a.update())?;
        }

        if self.run.wants_any(&["join", "add", "add-process", "remove", "remove-process"]) {
            self.change(&mut **a, &mut **b, round)?;
        }

        if self.run.wants("add-apart") {
            self.change_apart(&mut **a, &mut **b, round)?;
        }

        if self.run.wants_any(&["encrypt-first", "encrypt", "decrypt-first", "decrypt"]) {
            self.messages(&mut **a, &mut **b)?;
        }

        if self.run.wants("load") {
            let (done, time) = timed(|| b.reload());
            done?;
            self.put(Op::Load, time, &Work::default());
        }
        Ok(())
    }

    fn put(&mut self, op: Op, time: Sample, work: &Work) {
        self.run.put(self.table, op, self.stack, time, work);
    }

    /// Measures a commit by a, and its receipt by b.
    fn commit(
        &mut self,
        (make, process): (Op, Op),
        a: &mut dyn Client,
        b: &mut dyn Client,
        change: impl FnOnce(&mut dyn Client) -> Result<Commit>,
    ) -> Result<(Commit, Work)> {
        let (commit, time) = timed(|| {
            let commit = change(a)?;
            a.accept()?;
            Ok::<_, Box<dyn Error>>(commit)
        });

        let commit = commit?;
        let mut work = Work::of(self.run.members, &commit.commit, self.derived)?;
        work.group_info = commit.welcome.len();
        self.put(make, time, &work);

        let (done, time) = timed(|| b.process(&commit.commit));
        done?;
        self.put(process, time, &work);
        Ok((commit, work))
    }

    /// a adds a member, who joins, and removes it again.
    fn change(&mut self, a: &mut dyn Client, b: &mut dyn Client, round: usize) -> Result<()> {
        let mut joiner = self.stack.client(&format!("joiner-{round}"))?;
        let key_package = [joiner.key_package()?];
        let ops = (Op::Add, Op::AddProcess);
        let (commit, work) = self.commit(ops, a, b, |a| a.add(&key_package))?;

        let mut leaf = self.run.members as u32;
        if self.run.wants("join") {
            let (done, time) = timed(|| joiner.join(&commit.welcome));
            done?;
            leaf = joiner.leaf();
            self.put(Op::Join, time, &work);
        }

        drop(joiner);

        self.commit((Op::Remove, Op::RemoveProcess), a, b, |a| a.remove(leaf))?;
        Ok(())
    }

    /// a adds a member by a Welcome without the tree, and removes it again.
    fn change_apart(&mut self, a: &mut dyn Client, b: &mut dyn Client, round: usize) -> Result<()> {
        let mut joiner = self.stack.client(&format!("joiner-apart-{round}"))?;
        let key_package = [joiner.key_package()?];
        a.tree_apart(true)?;
        self.commit((Op::AddApart, Op::AddProcess), a, b, |a| a.add(&key_package))?;
        a.tree_apart(false)?;

        let leaf = self.run.members as u32;
        self.commit((Op::Remove, Op::RemoveProcess), a, b, |a| a.remove(leaf))?;
        Ok(())
    }

    fn messages(&mut self, a: &mut dyn Client, b: &mut dyn Client) -> Result<()> {
        let work = Work { members: self.run.members, ..Work::default() };
        let data = [7; 1024];

        let (message, time) = timed(|| a.encrypt(&data));
        let message = message?;
        self.put(Op::EncryptFirst, time, &work);
        let (read, time) = timed(|| b.decrypt(&message));
        if read? != data {
            return Err("another message".into());
        }

        self.put(Op::DecryptFirst, time, &work);

        let (sent, time) =
            timed(|| (0..MESSAGES).map(|_| a.encrypt(&data)).collect::<Result<Vec<_>>>());
        let sent = sent?;
        self.put(Op::Encrypt, time / MESSAGES, &work);
        let (done, time) =
            timed(|| sent.iter().try_for_each(|message| b.decrypt(message).map(|_| ())));
        done?;
        self.put(Op::Decrypt, time / MESSAGES, &work);
        Ok(())
    }
}

/// An unmeasured commit and message.
fn warm(a: &mut dyn Client, b: &mut dyn Client) -> Result<()> {
    let commit = a.update()?.commit;
    a.accept()?;
    b.process(&commit)?;

    let message = a.encrypt(&[7; 1024])?;
    b.decrypt(&message)?;
    Ok(())
}

/// Fails unless both members are in the same epoch.
fn same(a: &mut dyn Client, b: &mut dyn Client) -> Result<()> {
    if a.epoch_authenticator()? == b.epoch_authenticator()? {
        Ok(())
    } else {
        Err("the members do not agree".into())
    }
}
