//! Random operations on the service, beside a model of what it promises.

use crate::service::{Caller, Holder, Operation};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::key_package::OwnKeyPackage;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct GroupModel {
    epoch: u64,
    log: Vec<(ContentType, u64, Bytes)>,
    members: BTreeSet<usize>,
    /// Former members, with the number of the commit that removed each.
    former: BTreeMap<usize, u64>,
    /// The hashes of the log that pages have led to.
    chains: BTreeMap<u64, ChainHash>,
}

struct Model {
    dir: tempfile::TempDir,
    desk: Desk,
    dice: Dice,
    devices: Vec<Own>,
    published: Vec<Vec<OwnKeyPackage>>,
    claimed: BTreeSet<KeyPackageRef>,
    groups: BTreeMap<GroupId, GroupModel>,
    /// Welcomes that were accepted and not acknowledged, by device.
    inbox: Vec<Vec<Bytes>>,
    sent: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut dice = Dice(seed);
        let mut devices: Vec<Own> =
            ["a/1", "b/1", "c/1", "d/1"].iter().map(|n| Own::new(n, &mut dice)).collect();
        let second = [0, 1].map(|first: usize| devices[first].add("2", &mut dice));
        devices.extend(second);
        let desk = Desk::open(dir.path());
        devices.iter().for_each(|d| drop(desk.register(d)));
        let n = devices.len();
        let (published, inbox) = (vec![vec![]; n], vec![vec![]; n]);
        let (claimed, groups) = (BTreeSet::new(), BTreeMap::new());
        Self { dir, desk, dice, devices, published, claimed, groups, inbox, sent: 0 }
    }

    fn any_device(&mut self) -> usize {
        self.dice.roll(self.devices.len())
    }

    fn any_group(&mut self) -> Option<GroupId> {
        let n = self.groups.len();
        (n > 0).then(|| self.groups.keys().nth(self.dice.roll(n)).unwrap().clone())
    }

    fn data(&mut self) -> Vec<u8> {
        self.sent += 1;
        format!("message {}", self.sent).into_bytes()
    }

    fn step(&mut self) {
        match self.dice.roll(20) {
            0 => self.create(),
            1..=3 => self.publish(),
            4..=9 => self.commit(),
            10..=14 => self.send(),
            15 => self.acknowledge(),
            16 => self.repeat(),
            17 => self.die(),
            _ => self.check_log(),
        }
    }

    fn create(&mut self) {
        let device = self.any_device();
        let id: GroupId = vec![self.dice.roll(4) as u8; 16].into();
        let request =
            CreateGroup { group_id: id.clone(), kind: GroupKind::Opaque { epoch: device as u64 } };
        let done = self.desk.call(&self.devices[device], request);
        if let Some(group) = self.groups.get(&id) {
            // Only the creator's own request, repeated, is no conflict.
            if let Ok(done) = done {
                let head = group.log.len() as u64;
                let position = done.reply.receipt.position;
                assert_eq!((position.epoch, position.seq), (group.epoch, head));
            }
            return;
        }
        done.unwrap();
        let members = BTreeSet::from([device]);
        let group = GroupModel { epoch: device as u64, members, ..GroupModel::default() };
        self.groups.insert(id, group);
    }

    fn publish(&mut self) {
        let device = self.any_device();
        let own = &self.devices[device];
        let package = own.key_package(false, Own::lifetime(NOW), &mut self.dice);
        assert_eq!(self.desk.publish(own, &[&package]).stored, 1);
        self.published[device].push(package);
    }

    /// Claims a key package of a device; it must be one that nobody got before.
    fn claim(&mut self, by: usize, of: usize) -> Option<KeyPackageRef> {
        let id = &self.devices[of].id;
        let request = ClaimKeyPackages {
            user: id.user.clone(),
            cipher_suite: SUITE,
            devices: vec![id.device.clone()],
        };
        let reply = self.desk.reply(&self.devices[by], request);
        let claimed = reply.devices.first()?.key_package.clone()?;
        let found =
            self.published[of].iter().find(|p| key_package_message(p.key_package()) == claimed);
        let reference = found.expect("one that was published").reference().clone();
        assert!(self.claimed.insert(reference.clone()), "claimed twice");
        Some(reference)
    }

    fn commit(&mut self) {
        let Some(id) = self.any_group() else { return };
        let device = self.any_device();
        let target = self.any_device();
        let stale = self.dice.roll(4) == 0;
        let group = &self.groups[&id];
        let epoch = if stale { group.epoch.wrapping_sub(1) } else { group.epoch };
        let mut request = SubmitCommit::new(private(&id, epoch, ContentType::Commit, &self.data()));
        let is_member = self.groups[&id].members.contains(&target);
        let mut reference = None;
        if is_member && target != device {
            request.removed.push(self.devices[target].id.clone());
        } else if !is_member && target != device {
            reference = self.claim(device, target);
            if let Some(reference) = &reference {
                request.added.push(self.devices[target].id.clone());
                request.welcomes.push(welcome(std::slice::from_ref(reference)));
            }
        }
        let done = self.desk.call(&self.devices[device], request.clone());
        let group = self.groups.get_mut(&id).unwrap();
        if !group.members.contains(&device) {
            assert_eq!(done.unwrap_err().code, ErrorCode::NotMember);
            return;
        }
        let done = done.unwrap();
        if epoch != group.epoch {
            let head = group.log.len() as u64;
            assert_eq!(brief(&done.reply), Brief::WrongEpoch { epoch: group.epoch, head });
            return;
        }
        group.log.push((ContentType::Commit, epoch, request.commit.clone()));
        group.epoch += 1;
        let seq = group.log.len() as u64;
        assert_eq!(brief(&done.reply), Brief::Accepted { epoch: group.epoch, seq });
        if !request.removed.is_empty() {
            group.members.remove(&target);
            group.former.insert(target, seq);
        }
        if reference.is_some() {
            group.members.insert(target);
            group.former.remove(&target);
            self.inbox[target].push(request.welcomes[0].clone());
        }
        let again = self.desk.reply(&self.devices[device], request);
        assert_eq!(again, done.reply, "the same commit again");
    }

    fn send(&mut self) {
        let Some(id) = self.any_group() else { return };
        let device = self.any_device();
        let epoch = self.groups[&id].epoch;
        let message = private(&id, epoch, ContentType::Application, &self.data());
        let send = SendMessage { message: message.clone() };
        let done = self.desk.call(&self.devices[device], send);
        let group = self.groups.get_mut(&id).unwrap();
        if !group.members.contains(&device) {
            assert_eq!(done.unwrap_err().code, ErrorCode::NotMember);
            return;
        }
        group.log.push((ContentType::Application, epoch, message));
        let seq = group.log.len() as u64;
        let done = done.unwrap();
        assert_eq!(brief(&done.reply), Brief::Accepted { epoch, seq });
        let told: BTreeSet<&DeviceId> = done.notices.iter().flat_map(|n| n.to.iter()).collect();
        let members = group.members.iter().map(|m| &self.devices[*m].id).collect();
        assert_eq!(told, members);
    }

    /// Something that is in the log already, by whoever is a member now.
    fn repeat(&mut self) {
        let Some(id) = self.any_group() else { return };
        let group = &self.groups[&id];
        let (Some(member), n) = (group.members.first().copied(), group.log.len()) else { return };
        if n == 0 {
            return;
        }
        let place = self.dice.roll(n);
        let (kind, epoch, message) = self.groups[&id].log[place].clone();
        let seq = place as u64 + 1;
        let own = &self.devices[member];
        let (reply, epoch) = match kind {
            ContentType::Commit => (self.desk.reply(own, SubmitCommit::new(message)), epoch + 1),
            _ => (self.desk.reply(own, SendMessage { message }), epoch),
        };
        assert_eq!(brief(&reply), Brief::Accepted { epoch, seq });
    }

    fn acknowledge(&mut self) {
        let device = self.any_device();
        let own = &self.devices[device];
        let page = self.desk.reply(own, FetchInbox { limit: 100 });
        let welcomes: Vec<_> = page.items.iter().map(|i| i.welcome.welcome.clone()).collect();
        assert_eq!(welcomes, self.inbox[device], "of winners alone, and until acknowledged");
        assert_eq!(page.total as usize, welcomes.len());
        let ids: Vec<u64> = page.items.iter().map(|i| i.id).take(1).collect();
        // Somebody else's acknowledgement does nothing.
        let other = (device + 1) % self.devices.len();
        if !self.inbox[other].is_empty() || !ids.is_empty() {
            self.desk.reply(&self.devices[other], AckInbox { ids: ids.clone() });
        }
        self.desk.reply(own, AckInbox { ids: ids.clone() });
        if !ids.is_empty() {
            self.inbox[device].remove(0);
        }
    }

    fn check_log(&mut self) {
        let Some(id) = self.any_group() else { return };
        let device = self.any_device();
        let after = self.dice.roll(10) as u64;
        let request = FetchLog { group_id: id.clone(), after, limit: 7 };
        let done = self.desk.call(&self.devices[device], request);
        let group = &self.groups[&id];
        let head = match (group.members.contains(&device), group.former.get(&device)) {
            (true, _) => group.log.len() as u64,
            (false, Some(seq)) => *seq,
            (false, None) => {
                assert_eq!(done.unwrap_err().code, ErrorCode::NotMember);
                return;
            }
        };
        let page = done.unwrap().reply;
        assert_eq!(page.head, head);
        self.check_end(&page, &id, after);
        let group = &self.groups[&id];
        let want = (after + 1..=head).take(7);
        let got: Vec<u64> = page.entries.iter().map(|e| e.seq).collect();
        assert_eq!(got, want.collect::<Vec<_>>(), "without gaps");
        for entry in page.entries {
            let (kind, epoch, message) = &group.log[entry.seq as usize - 1];
            assert_eq!((entry.content_type, entry.epoch), (*kind, *epoch));
            assert_eq!(entry.message, *message);
        }
    }

    /// Where a page ends: the log's hash is the one that its entries lead to.
    fn check_end(&mut self, page: &LogPage, id: &GroupId, after: u64) {
        let last = page.entries.last().map_or(after.min(page.head), |entry| entry.seq);
        let group = self.groups.get_mut(id).unwrap();
        let done = group.log.iter().take(last as usize);
        let commits = done.filter(|(kind, ..)| *kind == ContentType::Commit).count() as u64;
        let all = group.log.iter().filter(|(kind, ..)| *kind == ContentType::Commit).count() as u64;
        assert_eq!(
            (page.end.position.seq, page.end.position.epoch),
            (last, group.epoch - all + commits)
        );

        let first = last - page.entries.len() as u64;
        let mut chain = match first {
            0 => Some(ChainHash::EMPTY),
            _ => group.chains.get(&first).copied(),
        };
        for entry in &page.entries {
            let Some(before) = chain else { return };
            let next = ChainInput::of(id, entry).after(&before).unwrap();
            let known = *group.chains.entry(entry.seq).or_insert(next);
            assert_eq!(known, next, "the log was rewritten");
            chain = Some(next);
        }
        assert!(chain.is_none_or(|chain| chain == page.end.position.chain));
        assert!(page.chains(id, None).is_some());
        assert_eq!(page.end.verify(&PROVIDER, &self.desk.service_key()), Ok(()));
    }

    /// The process dies, and the next one goes on with what is on disk.
    fn die(&mut self) {
        self.dir = crash_copy(self.dir.path());
        self.desk = Desk::open(self.dir.path());
    }

    fn check_commits(&self) {
        for group in self.groups.values() {
            let commits = group.log.iter().filter(|(kind, ..)| *kind == ContentType::Commit);
            let epochs: Vec<u64> = commits.map(|(_, epoch, _)| *epoch).collect();
            let first = epochs.first().copied().unwrap_or_default();
            let want: Vec<u64> = (first..first + epochs.len() as u64).collect();
            assert_eq!(epochs, want, "one commit for each epoch");
        }
    }
}

#[test]
fn the_service_keeps_its_promises_in_any_order_of_operations() {
    for seed in 1..=4 {
        println!("seed {seed}");
        let mut model = Model::new(seed);
        for _ in 0..250 {
            model.step();
        }
        model.check_commits();
    }
}

/// Not a check but a measurement: `cargo test -p conclave-delivery --all-features --release --
/// --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_many_messages_a_second() {
    const EACH: usize = 200;
    for senders in [1, 16, 64] {
        let dir = tempfile::tempdir().unwrap();
        let mut dice = Dice(9);
        let desk = Desk::open(dir.path());
        let own = Own::new("a/1", &mut dice);
        let id: GroupId = [1; 16].into();
        let kind = GroupKind::Opaque { epoch: 0 };
        desk.register(&own);
        desk.reply(&own, CreateGroup { group_id: id.clone(), kind });
        let caller = Caller::new(Some(Holder::Device(own.info())), NOW);
        let begun = std::time::Instant::now();
        std::thread::scope(|scope| {
            for sender in 0..senders {
                let (desk, id, caller) = (&desk, &id, &caller);
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mut data = vec![0; 1024];
                        data[..2].copy_from_slice(&[sender as u8, n as u8]);
                        let message = private(id, 0, ContentType::Application, &data);
                        SendMessage { message }.run(&desk.service, caller).unwrap();
                    }
                });
            }
        });
        let rate = (senders * EACH) as f64 / begun.elapsed().as_secs_f64();
        println!("{senders} senders: {rate:.0} messages of 1 KiB a second");
    }
}

/// The most that somebody without a session can ask for: a log of a thousand entries.
#[test]
#[ignore = "a measurement"]
fn how_long_a_whole_log_takes() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(9);
    let desk = Desk::open(dir.path());
    let mut own = Own::new("a/1", &mut dice);
    for _ in 1..conclave_account::MAX_ENTRIES {
        own.rotate(&mut dice);
    }
    let bytes = own.submission().to_bytes().unwrap().len();
    for what in ["a new log", "the same again"] {
        let begun = std::time::Instant::now();
        desk.register(&own);
        println!("{what} of {bytes} bytes: {:?}", begun.elapsed());
    }
    let begun = std::time::Instant::now();
    desk.open_session(&own).unwrap();
    println!("a session of that account: {:?}", begun.elapsed());
}

#[test]
fn racing_commits_have_one_winner_each_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(9);
    let desk = Desk::open(dir.path());
    let own = Own::new("a/1", &mut dice);
    desk.register(&own);
    let id: GroupId = [1; 16].into();
    desk.reply(&own, CreateGroup { group_id: id.clone(), kind: GroupKind::Opaque { epoch: 0 } });
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (desk, own, id) = (&desk, &own, &id);
            scope.spawn(move || {
                for epoch in 0..20 {
                    let wins =
                        SubmitCommit::new(private(id, epoch, ContentType::Commit, &[thread]));
                    desk.reply(own, wins);
                    let message = private(id, epoch, ContentType::Application, &[thread]);
                    desk.reply(own, SendMessage { message });
                }
            });
        }
    });
    let page = desk.reply(&own, FetchLog { group_id: id, after: 0, limit: 1000 });
    let commits: Vec<u64> = page
        .entries
        .iter()
        .filter(|e| e.content_type == ContentType::Commit)
        .map(|e| e.epoch)
        .collect();
    assert_eq!(commits, (0..20).collect::<Vec<_>>());
    let seqs: Vec<u64> = page.entries.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=page.head).collect::<Vec<_>>());
}
