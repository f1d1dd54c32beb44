//! A group's log: one order for all, one commit for each handshake.

use super::place::Place;
use super::samples::{
    commit, create, current, entry, extension, id, package, packages_of, register, waited, won,
};
use crate::storage::{
    AccountExtension, Append, Appended, CommitEffects, DeviceInfo, Found, GroupRecord,
    KeyPackageRecord, KeyPackagesAdded, KeyPackagesRefused, Membership, Storage, StorageError,
};
use conclave_delivery_api::{Bytes, ChainInput, ContentType, GroupId, LogEntry, LogPosition};

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    order(new);
    chain(new);
    compare_and_set(new);
    staged_key_packages(new);
    senders(new);
    many(new);
    pages(new);
    proposals(new);
    failures(new);
    races(new);
}

fn order<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let other = create(&storage, 2, &[&alice]);
    let mut proposal = entry(&group, &bob, 2);
    proposal.content_type = ContentType::Proposal;
    let entries = [
        entry(&group, &alice, 1),
        proposal,
        commit(&group, &alice, 3, 0, CommitEffects::default()),
        Append { epoch: u64::MAX, ..entry(&group, &bob, 4) },
    ];
    for (seq, append) in (1..).zip(&entries) {
        assert_eq!(won(&storage, append.clone()), seq);
        won(&storage, Append { group_id: other.clone(), commit: None, ..append.clone() });
    }

    // Byte for byte, and nothing of the other group.
    let expected: Vec<LogEntry> = (1..)
        .zip(&entries)
        .map(|(seq, append)| LogEntry {
            seq,
            epoch: append.epoch,
            content_type: append.content_type,
            sender: append.sender.clone(),
            received_at: append.received_at,
            message: append.message.clone(),
        })
        .collect();
    assert_eq!(storage.log(&group, 0, u64::MAX, 100, usize::MAX), Ok(expected));
    let (LogPosition { chain, .. }, ending) = (place_of(&storage, &group, 4), None);
    let record = GroupRecord { tracked: false, epoch: 1, head: 4, chain, handshake: 3, ending };
    assert_eq!(storage.group(&group), Ok(Some(record)));

    let position = place_of(&storage, &group, 2);
    let found = Found { position, sender: bob, received_at: 102 };
    assert_eq!(storage.find(&group, &[2; 32]), Ok(Some(found)));
    assert_eq!(storage.find(&group, &[9; 32]), Ok(None));
    assert_eq!(storage.epoch_ended(&group, 0), Ok(Some(103)));
    assert_eq!(storage.epoch_ended(&group, 1), Ok(None));
}

fn place_of(storage: &impl Storage, group: &GroupId, seq: u64) -> LogPosition {
    storage.position(group, seq).unwrap().expect("an entry of this number")
}

/// The log is hashed as clients hash it, and each place has the epoch that the group was in after it.
fn chain<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let other = create(&storage, 2, &[&bob]);
    assert_eq!(storage.position(&group, 0), Ok(Some(LogPosition::beginning(0))));
    let entries = [
        entry(&group, &alice, 1),
        commit(&group, &alice, 2, 0, CommitEffects::default()),
        // Made before the commit, and late.
        entry(&group, &bob, 3),
        commit(&group, &bob, 4, 1, CommitEffects::default()),
        Append { epoch: 2, ..entry(&group, &bob, 5) },
    ];

    let mut expected = vec![LogPosition::beginning(0)];
    for (append, epoch) in entries.iter().zip([0, 1, 1, 2, 2]) {
        // What the group was created in is still known when it is in another epoch.
        assert_eq!(storage.position(&group, 0), Ok(Some(LogPosition::beginning(0))));
        let before = expected.last().unwrap();
        let input = ChainInput {
            group_id: &group,
            seq: before.seq + 1,
            epoch: append.epoch,
            content_type: append.content_type,
            sender: &append.sender,
            received_at: append.received_at,
            message_hash: append.hash,
        };
        let chain = input.after(&before.chain).unwrap();
        let position = LogPosition { seq: before.seq + 1, epoch, chain };
        assert_eq!(storage.append(append.clone()), Ok(Appended::Won(position)));
        assert_eq!(storage.group(&group).unwrap().unwrap().position(), position);
        // Entries of another group make no difference.
        won(&storage, Append { group_id: other.clone(), commit: None, ..append.clone() });
        expected.push(position);
    }
    for position in &expected {
        assert_eq!(storage.position(&group, position.seq), Ok(Some(*position)));
    }
    assert_eq!(storage.find(&group, &[3; 32]).unwrap().unwrap().position, expected[3]);
    assert_eq!(storage.position(&group, 6), Ok(None));
    assert_eq!(storage.position(&group, u64::MAX), Ok(None));
    assert_eq!(storage.position(&GroupId::from([9]), 0), Ok(None));
    assert_ne!(place_of(&storage, &other, 5).chain, expected[5].chain);
}

fn compare_and_set<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice]);
    let expecting = |handshake, append| Append { expected_handshake: Some(handshake), ..append };
    let adding = || CommitEffects { added: vec![bob.clone()], ..CommitEffects::default() };
    won(&storage, entry(&group, &alice, 1));
    let first = expecting(0, commit(&group, &alice, 2, 0, CommitEffects::default()));
    assert_eq!(won(&storage, first.clone()), 2, "messages do not count");

    // A commit that knows less loses, and leaves nothing.
    let position = place_of(&storage, &group, 2);
    let (chain, ending) = (position.chain, None);
    let now = GroupRecord { tracked: false, epoch: 1, head: 2, chain, handshake: 2, ending };
    let late = expecting(0, commit(&group, &alice, 3, 0, adding()));
    assert_eq!(storage.append(late), Ok(Appended::Lost(now.clone())));
    assert_eq!(storage.group(&group), Ok(Some(now)));
    assert_eq!(storage.membership(&group, &bob), Ok(Membership::Stranger));
    assert_eq!(storage.find(&group, &[3; 32]), Ok(None));

    // The same entry again is recognised, whatever it expects.
    let found = Found { position, sender: alice.clone(), received_at: 102 };
    assert_eq!(storage.append(first), Ok(Appended::Known(found.clone())));
    let again = expecting(7, commit(&group, &alice, 2, 0, adding()));
    assert_eq!(storage.append(again), Ok(Appended::Known(found)));
    assert_eq!(storage.membership(&group, &bob), Ok(Membership::Stranger));

    // A proposal counts as a handshake message, too.
    let mut proposal = expecting(2, entry(&group, &alice, 4));
    proposal.content_type = ContentType::Proposal;
    assert_eq!(won(&storage, proposal), 3);
    let late = expecting(2, commit(&group, &alice, 5, 1, adding()));
    assert!(matches!(storage.append(late), Ok(Appended::Lost(_))));
    let next = expecting(3, commit(&group, &alice, 5, 1, adding()));
    assert_eq!(won(&storage, next), 4);
    assert_eq!(storage.membership(&group, &bob), Ok(Membership::Member));
}

/// Key packages that come with a commit are stored with it, or not at all.
fn staged_key_packages<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let others = packages_of(&current(&storage, &bob), vec![package(1)]);
    assert_eq!(storage.add_key_packages(others), Ok(KeyPackagesAdded::Stored(1)));
    let staged = |n, owner: &DeviceInfo, packages: Vec<KeyPackageRecord>| {
        let key_packages = Some(packages_of(owner, packages));
        let effects = CommitEffects { key_packages, ..CommitEffects::default() };
        Append { expected_handshake: Some(0), ..commit(&group, &alice, n, 0, effects) }
    };
    let owner = current(&storage, &alice);
    let stored = || -> Vec<Bytes> {
        storage.key_packages(&alice, 0).unwrap().into_iter().map(|p| p.message).collect()
    };

    // If they are refused, the commit is.
    let before = storage.group(&group).unwrap();
    let reused = KeyPackageRecord { init_key_hash: [1; 32], ..package(3) };
    let reused = staged(2, &owner, vec![package(2), reused]);
    let refused = Appended::KeyPackages(KeyPackagesRefused::InitKeyReused(1));
    assert_eq!(storage.append(reused), Ok(refused));
    let ended = DeviceInfo { active: false, ..owner.clone() };
    let refused = Appended::KeyPackages(KeyPackagesRefused::Ended);
    assert_eq!(storage.append(staged(3, &ended, vec![package(2)])), Ok(refused));
    assert_eq!(storage.group(&group), Ok(before), "the commit was taken");
    assert!(stored().is_empty(), "a part is stored");

    assert_eq!(won(&storage, staged(4, &owner, vec![package(4), package(5)])), 1);
    let lost = storage.append(staged(6, &owner, vec![package(6)]));
    assert!(matches!(lost, Ok(Appended::Lost(_))), "{lost:?}");
    let known = storage.append(staged(4, &owner, vec![package(7)]));
    assert!(matches!(known, Ok(Appended::Known(_))), "{known:?}");
    assert_eq!(stored(), [package(4), package(5)].map(|package| package.message));
    assert_eq!(storage.key_package_owner(&package(6).reference), Ok(None));
}

/// Whether a sender is a member, and of which epoch a message is, shows in the step that appends it.
fn senders<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob, eve] = register(&storage, ["alice/pc", "bob/pc", "eve/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let from = |sender, n| Append { by_member: true, ..entry(&group, sender, n) };
    let now = |append| Append { in_epoch: true, ..append };
    assert_eq!(won(&storage, now(from(&alice, 1))), 1);
    assert_eq!(won(&storage, now(from(&bob, 2))), 2);
    let is_known = |append| matches!(storage.append(append), Ok(Appended::Known(_)));
    let is_refused = |append: Append| {
        let head = storage.group(&group).unwrap().unwrap().head;
        // Through both doors.
        let refused = storage.append(append.clone());
        let later = waited(storage.append_all(vec![append.clone()])).map(|all| all[0].clone());
        assert_eq!(refused, later);
        assert_eq!(storage.group(&group).unwrap().unwrap().head, head);
        assert_eq!(storage.find(&group, &[7; 32]), Ok(None));
        refused == Ok(Appended::NoMember)
    };

    // A stranger adds nothing, and does not learn what is there; nor is there anything in a group that is none.
    assert!(is_refused(from(&eve, 7)) && is_refused(from(&eve, 1)));
    assert!(is_refused(Append { group_id: GroupId::from([9]), ..from(&alice, 7) }));
    assert!(is_known(from(&alice, 2)) && is_known(from(&bob, 2)));

    // The group goes on: what was made before is late, unless that does not matter.
    let leaves = CommitEffects { removed: vec![alice.clone()], ..CommitEffects::default() };
    assert_eq!(
        won(&storage, Append { by_member: true, ..commit(&group, &alice, 3, 0, leaves) }),
        3
    );
    let record = storage.group(&group).unwrap().unwrap();
    assert_eq!(storage.append(now(from(&bob, 7))), Ok(Appended::Lost(record)));
    assert_eq!(won(&storage, from(&bob, 4)), 4);
    assert_eq!(won(&storage, Append { epoch: 1, ..now(from(&bob, 5)) }), 5);

    // Who was removed or revoked adds nothing from then on, and may ask for what it sent before.
    assert!(is_refused(from(&alice, 7)) && is_known(from(&alice, 1)));
    // Once it is back, what it encrypted before is refused: it was told that this was not sent.
    let returns = CommitEffects { added: vec![alice.clone()], ..CommitEffects::default() };
    won(&storage, Append { by_member: true, ..commit(&group, &bob, 6, 1, returns) });
    let late = |sender, n| Append { epoch: 1, ..from(sender, n) };
    assert!(is_refused(late(&alice, 7)) && is_known(from(&alice, 1)));
    assert_eq!(won(&storage, Append { epoch: 2, ..now(from(&alice, 8)) }), 7);
    assert_eq!(won(&storage, late(&bob, 9)), 8);
    let revoked = vec![bob.clone()];
    let extension = AccountExtension { revoked, ..extension("bob", 1, vec![]) };
    storage.extend_account(extension).unwrap();
    assert!(is_refused(from(&bob, 7)) && is_known(from(&bob, 2)));
}

/// Many messages are appended in order and in one step, up to the first that is not taken.
fn many<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice]);
    let from = |sender, n| Append { by_member: true, in_epoch: true, ..entry(&group, sender, n) };
    let append = |appends: Vec<Append>| waited(storage.append_all(appends)).unwrap();
    let seqs = |appended: &[Appended]| -> Vec<u64> {
        let seq = |one: &Appended| match one {
            Appended::Won(position) => position.seq,
            Appended::Known(found) => found.position.seq + 100,
            _ => 0,
        };
        appended.iter().map(seq).collect()
    };
    assert_eq!(append(vec![]), []);
    assert_eq!(seqs(&append((1..4).map(|n| from(&alice, n)).collect())), [1, 2, 3]);
    // Those that are there already do not hold up the others.
    assert_eq!(seqs(&append([2, 4, 1].map(|n| from(&alice, n)).into())), [102, 4, 101]);
    let stopped = append(vec![from(&alice, 5), from(&bob, 6), from(&alice, 7)]);
    assert_eq!(seqs(&stopped), [5, 0]);
    assert_eq!(stopped[1], Appended::NoMember);
    let late =
        append(vec![from(&alice, 6), Append { epoch: 1, ..from(&alice, 7) }, from(&alice, 8)]);
    assert_eq!(seqs(&late), [6, 0]);
    assert!(matches!(late[1], Appended::Lost(_)));
    let log = storage.log(&group, 0, 100, 100, usize::MAX).unwrap();
    let texts: Vec<u8> = log.iter().map(|entry| entry.message[0]).collect();
    assert_eq!(texts, [1, 2, 3, 4, 5, 6]);
}

fn pages<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let group = create(&storage, 1, &[&alice]);
    for n in 0..10 {
        won(&storage, Append { message: vec![n; 100].into(), ..entry(&group, &alice, n) });
    }
    let seqs = |after, up_to, limit, bytes| -> Vec<u64> {
        let log = storage.log(&group, after, up_to, limit, bytes).unwrap();
        log.iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs(2, 9, 100, 250), [3, 4, 5], "at least one, and no more after enough");
    assert_eq!(seqs(0, 2, 100, 1), [1]);
    assert_eq!(seqs(7, 9, 100, 10_000), [8, 9]);
    assert_eq!(seqs(0, 9, 4, 10_000), [1, 2, 3, 4]);
    assert!(seqs(u64::MAX, u64::MAX, 4, 10_000).is_empty());
}

/// Those of one epoch, and nothing else of it.
fn proposals<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice, &bob]);
    let other = create(&storage, 2, &[&alice]);
    let proposal = |group: &GroupId, n: u8, epoch| Append {
        content_type: ContentType::Proposal,
        epoch,
        message: vec![n; 100].into(),
        ..entry(group, &bob, n)
    };
    won(&storage, proposal(&group, 1, 0));
    won(&storage, commit(&group, &alice, 2, 0, CommitEffects::default()));
    won(&storage, entry(&group, &alice, 3));
    for n in 4..8 {
        won(&storage, proposal(&group, n, 1));
    }
    won(&storage, proposal(&other, 9, 1));

    let seqs = |epoch, limit, bytes| -> Vec<u64> {
        let found = storage.proposals(&group, epoch, limit, bytes).unwrap();
        found.iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs(1, 100, usize::MAX), [4, 5, 6, 7]);
    assert_eq!(seqs(0, 100, usize::MAX), [1]);
    assert!(seqs(2, 100, usize::MAX).is_empty());
    assert_eq!(seqs(1, 2, usize::MAX), [4, 5]);
    assert_eq!(seqs(1, 100, 150), [4, 5], "no more after enough");
    let all = storage.log(&group, 3, u64::MAX, 100, usize::MAX).unwrap();
    assert_eq!(storage.proposals(&group, 1, 100, usize::MAX), Ok(all), "entries as in the log");
    assert_eq!(storage.proposals(&GroupId::from([7]), 1, 100, usize::MAX), Ok(vec![]));
}

fn failures<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob] = register(&storage, ["alice/pc", "bob/pc"]);
    let group = create(&storage, 1, &[&alice]);

    // A member or a recipient whom the service does not know, after effects that could be written.
    let to_nobody = (b"welcome".as_slice().into(), vec![bob.clone(), id("x/y")]);
    for effects in [
        CommitEffects { added: vec![bob.clone(), id("x/y")], ..CommitEffects::default() },
        CommitEffects {
            added: vec![bob.clone()],
            welcomes: vec![to_nobody],
            ..CommitEffects::default()
        },
    ] {
        let failed = storage.append(commit(&group, &alice, 1, 0, effects));
        assert!(matches!(failed, Err(StorageError::Failed(_))), "{failed:?}");
        assert_eq!(storage.group(&group).unwrap().unwrap().head, 0, "a part is written");
        assert_eq!(storage.membership(&group, &bob), Ok(Membership::Stranger));
        assert_eq!(storage.inbox_size(&bob), Ok((0, 0)));
    }
    assert_eq!(won(&storage, entry(&group, &alice, 1)), 1);
}

fn races<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice] = register(&storage, ["alice/pc"]);
    let group = create(&storage, 1, &[&alice]);

    // Of commits that expect the same handshake, one wins.
    let results: Vec<Appended> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|n| {
                let append = commit(&group, &alice, n, 0, CommitEffects::default());
                let append = Append { expected_handshake: Some(0), ..append };
                scope.spawn(|| storage.append(append).unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let won = results.iter().filter(|r| matches!(r, Appended::Won(p) if p.seq == 1)).count();
    let lost = results.iter().filter(|result| matches!(result, Appended::Lost(_))).count();
    assert_eq!((won, lost), (1, 15), "{results:?}");

    // Entries that fail leave no gap and take none of the others along.
    std::thread::scope(|scope| {
        for n in 100..140 {
            let added = vec![if n % 2 == 0 { id("x/y") } else { alice.clone() }];
            let effects = CommitEffects { added, ..CommitEffects::default() };
            let append = commit(&group, &alice, n, n.into(), effects);
            let storage = &storage;
            scope.spawn(move || assert_eq!(storage.append(append).is_ok(), n % 2 == 1));
        }
    });
    let log = storage.log(&group, 1, u64::MAX, 100, usize::MAX).unwrap();
    let seqs: Vec<u64> = log.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (2..=21).collect::<Vec<_>>());
    assert!(log.iter().all(|entry| entry.epoch % 2 == 1));
}
