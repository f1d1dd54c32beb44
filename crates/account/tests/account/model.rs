//! Random logs against a plain account of who may do what.

use crate::common::{ED25519, NOW, PROVIDER, device, name, pair, recovery};
use conclave_account::{Account, Author, Change, Entry, Standing};
use conclave_mls::crypto::SignatureKeyPair;
use conclave_mls::wire::codec::{Decode, Encode};
use std::collections::{BTreeMap, HashSet};

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// What the account should be: names and numbers of keys, nothing else.
#[derive(Clone, Default)]
struct Oracle {
    active: BTreeMap<String, usize>,
    recovery: Option<usize>,
    used: HashSet<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Add(String, usize),
    Revoke(String),
    Rotate(String, usize),
    Recovery(Option<usize>),
}

impl Oracle {
    /// Whether whoever signs as `author` with key number `key` may do this.
    fn allows(&self, author: Option<&str>, key: usize, step: &Step) -> bool {
        let signs = match author {
            Some(author) => self.active.get(author) == Some(&key),
            None => self.recovery == Some(key),
        };
        signs
            && match step {
                Step::Add(name, key) => !self.active.contains_key(name) && !self.used.contains(key),
                Step::Revoke(name) => {
                    self.active.contains_key(name)
                        && (self.active.len() > 1 || self.recovery.is_some())
                }
                Step::Rotate(name, key) => {
                    self.active.contains_key(name)
                        && author.is_none_or(|author| author == name)
                        && !self.used.contains(key)
                }
                Step::Recovery(new) => {
                    (self.recovery.is_none() || author.is_none())
                        && match new {
                            Some(key) => !self.used.contains(key),
                            None => !self.active.is_empty(),
                        }
                }
            }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Add(name, key) | Step::Rotate(name, key) => {
                self.active.insert(name.clone(), *key);
                self.used.insert(*key);
            }
            Step::Revoke(name) => {
                self.active.remove(name);
            }
            Step::Recovery(new) => {
                self.recovery = *new;
                self.used.extend(*new);
            }
        }
    }
}

const NAMES: [&str; 4] = ["laptop", "phone", "tablet", "watch"];

fn change(step: &Step, keys: &[SignatureKeyPair]) -> Change {
    match step {
        Step::Add(name, key) => Change::AddDevice(device("alice", name, &keys[*key])),
        Step::Revoke(device) => Change::RevokeDevice(name(device)),
        Step::Rotate(name, key) => Change::RotateKey(device("alice", name, &keys[*key])),
        Step::Recovery(key) => {
            Change::ReplaceRecovery(key.map(|key| recovery("alice", &keys[key])))
        }
    }
}

/// An entry for the account's next place, signed as this author with whatever key.
fn entry(account: &Account, author: Option<&str>, key: &SignatureKeyPair, change: Change) -> Entry {
    let author = author.map_or(Author::Recovery, |author| Author::Device(name(author)));
    let entry = Entry {
        user: account.user().clone(),
        sequence: account.head().length,
        previous: Some(account.head().hash),
        issued_at: NOW,
        change,
        author,
        signature: Vec::new().into(),
    };
    entry.signed(&PROVIDER, ED25519, key).unwrap()
}

#[test]
fn random_logs_agree_with_a_plain_oracle() {
    let keys: Vec<SignatureKeyPair> = (0..40).map(|_| pair(ED25519)).collect();
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let first = device("alice", "laptop", &keys[0]);
        let create =
            Account::draft_creation(&PROVIDER, &name("alice"), first, &keys[0], NOW).unwrap();
        let mut log = vec![create];
        let mut account = Account::create(&PROVIDER, &log[0]).unwrap();
        let mut oracle = Oracle::default();
        oracle.take(&Step::Add("laptop".into(), 0));

        for _ in 0..60 {
            let any_name = |dice: &mut Dice| NAMES[dice.roll(NAMES.len())].to_string();
            let step = match dice.roll(7) {
                0..=2 => Step::Add(any_name(&mut dice), dice.roll(keys.len())),
                3 => Step::Revoke(any_name(&mut dice)),
                4 => Step::Rotate(any_name(&mut dice), dice.roll(keys.len())),
                5 => Step::Recovery(Some(dice.roll(keys.len()))),
                _ => Step::Recovery(None),
            };
            // Mostly somebody who may sign, and now and then anybody with any key.
            let devices: Vec<(&String, &usize)> = oracle.active.iter().collect();
            let (author, key) = match (dice.roll(5), oracle.recovery) {
                (0, _) => (Some(any_name(&mut dice)), dice.roll(keys.len())),
                (1, Some(key)) => (None, key),
                _ if devices.is_empty() => (None, oracle.recovery.unwrap()),
                _ => {
                    let (name, key) = devices[dice.roll(devices.len())];
                    (Some(name.clone()), *key)
                }
            };

            let entry = entry(&account, author.as_deref(), &keys[key], change(&step, &keys));
            let expected = oracle.allows(author.as_deref(), key, &step);
            let result = account.apply(&PROVIDER, &entry);
            assert_eq!(
                result.is_ok(),
                expected,
                "seed {seed}, entry {}: {step:?} by {author:?}: {result:?}",
                log.len()
            );
            if expected {
                oracle.take(&step);
                log.push(entry);
                accepted += 1;
            } else {
                refused += 1;
            }

            // The account says of every name and key what the oracle says.
            for device in NAMES {
                for (number, pair) in keys.iter().enumerate() {
                    let standing = account.standing(&name(device), &pair.public);
                    let active = oracle.active.get(device) == Some(&number);
                    assert_eq!(matches!(standing, Standing::Active(_)), active);
                }
            }
        }

        assert_eq!(Account::from_entries(&PROVIDER, &log).as_ref(), Ok(&account));
        let stored = account.to_bytes().unwrap();
        assert_eq!(Account::from_bytes(&stored).as_ref(), Ok(&account));
    }
    assert!(accepted > 300 && refused > 300, "{accepted} accepted, {refused} refused");
}
