//! What a service promises, checked over all that its clients saw of it.

use conclave_delivery_api::{Bytes, ContentType, LogEntry};
use std::collections::BTreeSet;
use std::time::Instant;

/// A message that was acknowledged.
#[derive(Clone)]
pub(crate) struct Sent {
    /// Which group it was sent to.
    pub(crate) group: usize,
    pub(crate) seq: u64,
    pub(crate) bytes: Bytes,
    pub(crate) began: Instant,
    pub(crate) answered: Instant,
}

#[derive(Default)]
pub(crate) struct History {
    pub(crate) sent: Vec<Sent>,
    /// The logs of all groups as each reader put them together from pages.
    pub(crate) read: Vec<Vec<Vec<LogEntry>>>,
    /// Key packages, as claimers got them.
    pub(crate) claimed: Vec<Bytes>,
}

/// The first promise that was broken.
fn broken(history: &History, logs: &[Vec<LogEntry>]) -> Result<(), String> {
    for (group, log) in logs.iter().enumerate() {
        let mut epoch = 0;
        for (entry, expected) in log.iter().zip(1u64..) {
            if entry.seq != expected {
                return Err(format!("group {group}: {} stands where {expected} should", entry.seq));
            }
            if entry.epoch > epoch {
                return Err(format!("group {group}: {expected} is of epoch {}", entry.epoch));
            }
            if entry.content_type == ContentType::Commit {
                if entry.epoch != epoch {
                    return Err(format!("group {group}: a second commit in epoch {}", entry.epoch));
                }
                epoch += 1;
            }
        }
    }

    let mut places = BTreeSet::new();
    for sent in &history.sent {
        let (group, seq) = (sent.group, sent.seq);
        let found = usize::try_from(seq - 1).ok().and_then(|n| logs[group].get(n));
        if found.is_none_or(|entry| entry.message != sent.bytes) {
            return Err(format!("group {group}: {seq} was acknowledged and is lost"));
        }
        if !places.insert((group, seq)) {
            return Err(format!("group {group}: {seq} was acknowledged twice"));
        }
    }
    in_order(&history.sent)?;

    for logs_read in &history.read {
        for (group, (read, log)) in logs_read.iter().zip(logs).enumerate() {
            if log.get(..read.len()) != Some(read) {
                return Err(format!("group {group}: a reader saw another log"));
            }
        }
    }
    let different: BTreeSet<&Bytes> = history.claimed.iter().collect();
    if different.len() != history.claimed.len() {
        return Err("a key package was given out twice".into());
    }
    Ok(())
}

/// Whether a message that was sent after another was acknowledged stands after it.
fn in_order(sent: &[Sent]) -> Result<(), String> {
    let groups: BTreeSet<usize> = sent.iter().map(|sent| sent.group).collect();
    for group in groups {
        let of_group = || sent.iter().filter(|sent| sent.group == group);
        let mut answered: Vec<&Sent> = of_group().collect();
        answered.sort_by_key(|sent| sent.answered);
        let mut begun: Vec<&Sent> = of_group().collect();
        begun.sort_by_key(|sent| sent.began);
        let (mut next, mut highest) = (0, 0);
        for sent in begun {
            while let Some(before) = answered.get(next).filter(|b| b.answered < sent.began) {
                highest = highest.max(before.seq);
                next += 1;
            }
            if sent.seq <= highest {
                let seq = sent.seq;
                return Err(format!(
                    "group {group}: {seq} was sent after {highest} was acknowledged"
                ));
            }
        }
    }
    Ok(())
}

pub(crate) fn check(history: &History, logs: Vec<Vec<LogEntry>>) {
    broken(history, &logs).unwrap();

    // The check finds what it is there for.
    let spoiled = |spoil: fn(&mut History, &mut Vec<Vec<LogEntry>>)| {
        let mut history = History {
            sent: history.sent.clone(),
            read: history.read.clone(),
            claimed: history.claimed.clone(),
        };
        let mut logs = logs.clone();
        spoil(&mut history, &mut logs);
        broken(&history, &logs).unwrap_err()
    };
    let lost = spoiled(|history, logs| logs[history.sent.last().unwrap().group].truncate(1));
    assert!(lost.contains("lost"), "{lost}");
    let gap = spoiled(|_, logs| drop(logs[0].remove(1)));
    assert!(gap.contains("stands where"), "{gap}");
    let forked = spoiled(|_, logs| {
        let commits = logs[0].iter_mut().filter(|entry| entry.content_type == ContentType::Commit);
        commits.last().unwrap().epoch -= 1;
    });
    assert!(forked.contains("second commit"), "{forked}");
    let twice = spoiled(|history, _| history.claimed.push(history.claimed[0].clone()));
    assert!(twice.contains("given out twice"), "{twice}");
    let other = spoiled(|history, _| history.read[0][0][0].received_at += 1);
    assert!(other.contains("another log"), "{other}");
    let overtaken = spoiled(|history, _| {
        let mut of_first: Vec<&mut Sent> =
            history.sent.iter_mut().filter(|s| s.group == 0).collect();
        of_first.sort_by_key(|sent| sent.seq);
        let last = of_first.last().unwrap().answered;
        of_first[0].began = last + std::time::Duration::from_secs(1);
        of_first[0].answered = of_first[0].began;
    });
    assert!(overtaken.contains("was sent after"), "{overtaken}");
}
