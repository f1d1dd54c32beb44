//! A service that is killed, loses its power, runs out of room and has a disk that fails, under load, in real processes;
//! and a check over all that its clients saw.
//!
//! It runs for half a minute. `CONCLAVE_FAULTS_SECONDS=600 cargo test -p conclave-cli --test program faults:: -- --nocapture`
//! runs it for ten.

#![cfg(unix)]
mod check;
mod devices;
mod disk;
mod failing_disks;
mod service;

use crate::common::{PATIENCE, from_environment};
use check::{History, Sent};
use conclave_delivery_api::*;
use devices::{Device, SUITE, group_of, key_packages, private};
use service::{Fault, Service};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Groups, and devices that are in all of them and race for their epochs.
const GROUPS: u8 = 3;
const MEMBERS: usize = 8;

/// What the threads share.
struct Load {
    groups: Vec<GroupId>,
    members: Vec<Device>,
    history: Mutex<History>,
    over: AtomicBool,
    answers: AtomicU64,
    refusals: AtomicU64,
}

impl Load {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Calls until there is an answer: whatever was lost is sent again, byte for byte.
    fn insist<C: Call>(&self, device: &Device, request: &C) -> C::Reply {
        self.insist_that(C::NAME, || device.call(request))
    }

    fn insist_that<R>(&self, name: &str, call: impl Fn() -> Result<R, CallError>) -> R {
        let begun = Instant::now();
        loop {
            match call() {
                Ok(reply) => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return reply;
                }
                Err(e) => assert!(e.is_temporary() || e.code().is_none(), "{name}: {e}"),
            }
            self.refusals.fetch_add(1, Ordering::Relaxed);
            assert!(begun.elapsed() < Duration::from_secs(120), "{name} is never answered");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends messages and commits, as a device that follows the epoch by what it is told.
    fn speak(&self, who: usize) {
        let device = &self.members[who];
        let mut epochs: BTreeMap<usize, u64> = (0..self.groups.len()).map(|n| (n, 1)).collect();
        for n in 0u64.. {
            if self.is_over() {
                return;
            }
            let which = (n as usize + who) % self.groups.len();
            let (group, epoch) = (&self.groups[which], epochs[&which]);
            let data = format!("{who} {n} {}", "x".repeat(300));
            let began = Instant::now();
            let is_commit = n % 5 == 0;
            let content = if is_commit { ContentType::Commit } else { ContentType::Application };
            let bytes = private(group, epoch, content, data.as_bytes());
            let outcome = if is_commit {
                self.insist(device, &SubmitCommit::new(bytes.clone()))
            } else {
                self.insist(device, &SendMessage { message: bytes.clone() })
            };
            match outcome {
                Outcome::Accepted { receipt, .. } => {
                    let LogPosition { epoch, seq, .. } = receipt.position;
                    let sent = Sent { group: which, seq, bytes, began, answered: Instant::now() };
                    self.history.lock().unwrap().sent.push(sent);
                    epochs.insert(which, epoch);
                }
                Outcome::WrongEpoch { receipt } => {
                    epochs.insert(which, receipt.position.epoch);
                }
            }
        }
    }

    /// Reads logs to their ends, again and again, from where it was.
    fn read(&self, who: usize) {
        let device = &self.members[who];
        let mut logs: Vec<Vec<LogEntry>> = vec![Vec::new(); self.groups.len()];
        while !self.is_over() {
            for (log, group) in logs.iter_mut().zip(&self.groups) {
                let after = log.last().map_or(0, |entry| entry.seq);
                let fetch = FetchLog { group_id: group.clone(), after, limit: 200 };
                log.extend(self.insist(device, &fetch).entries);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.history.lock().unwrap().read.push(logs);
    }

    /// Makes new accounts, so that there is something to publish in the directory.
    fn register(&self, url: &str) {
        for n in 0.. {
            if self.is_over() {
                return;
            }
            let (device, request) = Device::new(url, &format!("guest-{n}"));
            self.insist_that(SubmitAccount::NAME, || device.ask(&request));
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    fn publish(&self, who: usize) {
        while !self.is_over() {
            let key_packages = key_packages(&self.members[who], 10);
            self.insist(&self.members[who], &PublishKeyPackages { key_packages });
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn claim(&self, who: usize, of: usize) {
        let user = self.members[of].id.user.clone();
        while !self.is_over() {
            let claim =
                ClaimKeyPackages { user: user.clone(), cipher_suite: SUITE, devices: vec![] };
            // What was given out in an answer that was lost is gone.
            let Ok(claimed) = self.members[who].call(&claim) else { continue };
            let packages = claimed.devices.into_iter().filter_map(|claimed| claimed.key_package);
            self.history.lock().unwrap().claimed.extend(packages);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens_to_the_service() {
    let seed = std::env::var("CONCLAVE_FAULTS_SEED").map_or_else(
        |_| u64::from(std::process::id()) ^ Instant::now().elapsed().as_nanos() as u64,
        |text| text.parse().unwrap(),
    );
    println!("CONCLAVE_FAULTS_SEED={seed}");
    let mut service = Service::start(seed);
    let members: Vec<Device> =
        (0..MEMBERS).map(|n| Device::register(&service.url(), &format!("user-{n}"))).collect();
    let groups: Vec<GroupId> = (0..GROUPS).map(|n| GroupId::from([n; 16])).collect();
    groups.iter().for_each(|group| group_of(&members, group));

    let load = Load {
        groups,
        members,
        history: Mutex::default(),
        over: AtomicBool::new(false),
        answers: AtomicU64::new(0),
        refusals: AtomicU64::new(0),
    };
    let mut faults: BTreeMap<Fault, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let load = &load;
        (0..MEMBERS).for_each(|who| drop(scope.spawn(move || load.speak(who))));
        (0..2).for_each(|who| drop(scope.spawn(move || load.read(who))));
        scope.spawn(move || load.publish(0));
        (1..4).for_each(|who| drop(scope.spawn(move || load.claim(who, 0))));
        let url = service.url();
        scope.spawn(move || load.register(&url));

        let end =
            Instant::now() + Duration::from_secs(from_environment("CONCLAVE_FAULTS_SECONDS", 30));
        while Instant::now() < end {
            service.run_for_a_while();
            let before = load.answers.load(Ordering::Relaxed);
            let fault = service.suffer();
            *faults.entry(fault).or_default() += 1;
            service.recover();
            // It answers again.
            let begun = Instant::now();
            while load.answers.load(Ordering::Relaxed) == before {
                assert!(begun.elapsed() < PATIENCE, "{fault:?}: it answers no more");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        load.over.store(true, Ordering::Relaxed);
    });

    let logs = load.groups.iter().map(|group| load.members[0].whole_log(group)).collect();
    let history = load.history.into_inner().unwrap();
    let (sent, claimed) = (history.sent.len(), history.claimed.len());
    let refused = load.refusals.load(Ordering::Relaxed);
    println!(
        "{sent} acknowledged, {claimed} key packages claimed, {refused} requests repeated; {faults:?}"
    );
    assert!(sent > 100 && claimed > 10, "there was hardly any load");
    check::check(&history, logs);
    service.check_state();
}
