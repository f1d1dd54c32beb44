//! Durable messages of a kibibyte: how many a second, and how long each takes.

use crate::Failure;
use crate::floor::{self, SENDERS};
use crate::people::{self, Device};
use crate::process::{Service, cpu};
use crate::results::{Results, percentile};
use conclave_delivery::service::{Caller, Holder, Limits, Operation};
use conclave_delivery::storage::{DeviceInfo, SqliteStorage};
use conclave_delivery_api::{
    CreateGroup, GroupId, GroupKind, Outcome, Registration, SendMessage, SendMessages,
};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub fn name(senders: usize) -> String {
    format!("messages, {senders} senders")
}

/// How many messages go together, where they do.
const TOGETHER: usize = 16;

/// Sends until the time is over, from one thread for each sender, so many messages by each call, and each call not sooner
/// than `pause` after the last. How long each call took, in milliseconds, ascending; and how many messages a second.
fn load(
    senders: &[(Device, GroupId)],
    time: Duration,
    pause: Duration,
    together: usize,
) -> Result<(Vec<f64>, f64), Failure> {
    let all = Mutex::new(Ok(Vec::new()));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (n, (device, group)) in senders.iter().enumerate() {
            let all = &all;
            // They do not all begin at the same moment.
            let first = pause.mul_f64(n as f64 / senders.len() as f64);
            scope.spawn(move || {
                std::thread::sleep(first);
                let sent = send((device, group), (begun, time), pause, together);
                let Ok(mut all) = all.lock() else { return };
                match (&mut *all, sent) {
                    (Ok(all), Ok(sent)) => all.extend(sent),
                    (all, Err(e)) => *all = Err(e),
                    (Err(_), Ok(_)) => {}
                }
            });
        }
    });
    let took = begun.elapsed().as_secs_f64();
    let mut all = all.into_inner().map_err(|_| "a sender failed")??;
    all.sort_by(f64::total_cmp);
    let rate = (all.len() * together) as f64 / took;
    Ok((all, rate))
}

fn send(
    (device, group): (&Device, &GroupId),
    (begun, time): (Instant, Duration),
    pause: Duration,
    together: usize,
) -> Result<Vec<f64>, Failure> {
    let mut took = Vec::new();
    let mut due = Instant::now();
    while begun.elapsed() < time {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut messages = Vec::new();
        for _ in 0..together {
            messages.push(people::message(group, 0)?);
        }
        // What waits for its turn counts as latency too.
        let started = if pause.is_zero() { Instant::now() } else { due };
        let outcome = match (together, messages.pop()) {
            (1, Some(message)) => device.client.call(&SendMessage { message })?,
            (_, last) => {
                messages.extend(last);
                let sent = device.client.call(&SendMessages { messages })?;
                if sent.taken as usize != together {
                    return Err(format!("{} of {together} were taken", sent.taken).into());
                }
                sent.outcome
            }
        };
        match outcome {
            Outcome::Accepted { .. } => took.push(started.elapsed().as_secs_f64() * 1e3),
            other => return Err(format!("{other:?}").into()),
        }
        due = (due + pause).max(Instant::now() - pause);
    }
    Ok(took)
}

pub fn senders(url: &str, prefix: &str, count: usize) -> Result<Vec<(Device, GroupId)>, Failure> {
    let mut senders = Vec::new();
    for n in 0..count {
        let device = people::user(url, &format!("{prefix}{n}"), 1)?.remove(0);
        let group = people::group(&device)?;
        senders.push((device, group));
    }
    Ok(senders)
}

pub fn rates(results: &mut Results, service: &Service, time: Duration) -> Result<(), Failure> {
    for count in SENDERS {
        let senders = senders(&service.url, &format!("rate-{count}-"), count)?;
        let (before, own) = (service.cpu()?, cpu("self")?);
        let (took, rate) = load(&senders, time, Duration::ZERO, 1)?;
        let floor = results.get(&floor::name(count));
        results.beside(name(count), rate, "/s", floor);
        let spent = [service.cpu()? - before, cpu("self")? - own];
        let [service, senders] = spent.map(|seconds| seconds * 1e6 / took.len() as f64);
        results.put(format!("{}: p50", name(count)), percentile(&took, 50), "ms");
        results.put(format!("{}: p99", name(count)), percentile(&took, 99), "ms");
        let floor = results.get(&floor::cpu_name(count));
        results.beside(format!("{}: CPU of the service each", name(count)), service, "µs", floor);
        results.put(format!("{}: CPU of the senders each", name(count)), senders, "µs");
    }
    Ok(())
}

/// Senders that have several messages to send at a time.
pub fn together(results: &mut Results, service: &Service, time: Duration) -> Result<(), Failure> {
    let count = 64;
    let senders = senders(&service.url, "together-", count)?;
    let (before, own) = (service.cpu()?, cpu("self")?);
    let (took, rate) = load(&senders, time, Duration::ZERO, TOGETHER)?;
    let name = format!("{}, {TOGETHER} together", name(count));
    results.beside(&name, rate, "/s", results.get(&floor::name(count)));
    let spent = [service.cpu()? - before, cpu("self")? - own];
    let [service, senders] = spent.map(|seconds| seconds * 1e6 / (took.len() * TOGETHER) as f64);
    results.put(format!("{name}: p99 of a call"), percentile(&took, 99), "ms");
    results.put(format!("{name}: CPU of the service each"), service, "µs");
    results.put(format!("{name}: CPU of the senders each"), senders, "µs");
    Ok(())
}

/// Latency at half of the highest load.
pub fn half_load(results: &mut Results, service: &Service, time: Duration) -> Result<(), Failure> {
    let highest = SENDERS.iter().filter_map(|n| results.get(&name(*n))).fold(0.0, f64::max);
    let count = 64;
    let senders = senders(&service.url, "half-", count)?;
    let pause = Duration::from_secs_f64(count as f64 / (highest / 2.0));
    let (took, rate) = load(&senders, time, pause, 1)?;
    results.put("half load", rate, "/s");
    results.put("half load: p50", percentile(&took, 50), "ms");
    results.put("half load: p99", percentile(&took, 99), "ms");
    Ok(())
}

/// A service with many groups and users, beside one with few.
pub fn large(
    results: &mut Results,
    dir: &Path,
    (groups, users): (usize, usize),
    time: Duration,
) -> Result<(), Failure> {
    let measure = |results: &mut Results, data: &Path, what: &str| -> Result<(), Failure> {
        let service = Service::start(data)?;
        results.put(format!("start with {what}"), service.start.as_secs_f64() * 1e3, "ms");
        let senders = senders(&service.url, "large-", 16)?;
        let (took, rate) = load(&senders, time, Duration::ZERO, 1)?;
        results.put(format!("messages, 16 senders, {what}"), rate, "/s");
        results.put(format!("messages, 16 senders, {what}: p99"), percentile(&took, 99), "ms");
        Ok(())
    };
    for (groups, users) in [(100, 10), (groups, users)] {
        let data = dir.join(format!("groups-{groups}"));
        fill(&data, groups, users)?;
        measure(results, &data, &format!("{groups} groups of {users} users"))?;
    }
    Ok(())
}

/// Makes groups and users by the service's own rules, without HTTP.
fn fill(data: &Path, groups: usize, users: usize) -> Result<(), Failure> {
    let storage = SqliteStorage::open(data)?;
    let (limits, open, now) = (Limits::default(), Registration::Open, people::now()?);
    let service =
        conclave_delivery::service::Service::new(storage, people::provider(), limits, open, now)?;
    let all = std::sync::atomic::AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            let (service, all, failed) = (&service, &all, &failed);
            scope.spawn(move || {
                let work = || -> Result<(), Failure> {
                    loop {
                        let n = all.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if n >= users {
                            return Ok(());
                        }
                        let device = register(service, &format!("user-{n}"))?;
                        for _ in 0..groups / users {
                            let mut id = [0; 16];
                            getrandom::fill(&mut id)?;
                            let kind = GroupKind::Opaque { epoch: 0 };
                            let request = CreateGroup { group_id: id.into(), kind };
                            let holder = Some(Holder::Device(device.clone()));
                            request.run(service, &Caller::new(holder, now))?;
                        }
                    }
                };
                if let Err(e) = work()
                    && let Ok(mut failed) = failed.lock()
                {
                    *failed = Some(e);
                }
            });
        }
    });
    match failed.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(e)) => Err(e),
        Err(_) => Err("a thread failed".into()),
    }
}

fn register(
    service: &conclave_delivery::service::Service<SqliteStorage>,
    name: &str,
) -> Result<DeviceInfo, Failure> {
    use conclave_account::{Account, DeviceKey};
    use conclave_delivery_api::{DeviceId, Encode as _, Name, SubmitAccount};
    let (provider, now) = (people::provider(), people::now()?);
    let (user, device): (Name, Name) = (name.parse()?, "d0".parse()?);
    let keys = provider.signature_key_pair(people::SCHEME, &mut people::rng())?;
    let proved = DeviceKey::proved(&*provider, &user, device.clone(), people::SCHEME, &keys)?;
    let entry = Account::draft_creation(&*provider, &user, proved, &keys, now)?;
    let entries = vec![entry.to_bytes()?.into()];
    SubmitAccount { user: user.clone(), entries, invitation: None }
        .run(service, &Caller::new(None, now))?;
    let device = DeviceId::new(user, device);
    Ok(DeviceInfo { device, scheme: people::SCHEME, signature_key: keys.public, active: true })
}
