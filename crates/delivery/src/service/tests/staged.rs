//! Key packages that come with a commit.

use super::room::{Room, room};
use super::tracked::World;
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::key_package::OwnKeyPackage;

fn held(desk: &Desk, own: &Own) -> Vec<KeyPackageRef> {
    let counts = desk.reply(own, CountKeyPackages {}).counts.into_iter();
    counts.flat_map(|count| count.references).collect()
}

fn messages(packages: &[&OwnKeyPackage]) -> Vec<Bytes> {
    packages.iter().map(|package| key_package_message(package.key_package())).collect()
}

#[test]
fn key_packages_of_a_commit_are_published_if_it_wins() {
    let mut r = room();
    let group = GroupId::from([5]);
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.alice, CreateGroup { group_id: group.clone(), kind });
    let message = |epoch, data: &[u8]| private(&group, epoch, ContentType::Commit, data);
    let add =
        SubmitCommit { added: vec![r.bob.id.clone()], ..SubmitCommit::new(message(0, b"add")) };
    r.desk.reply(&r.alice, add);
    let lifetime = Own::lifetime(NOW);
    let [of_alice, first, last] =
        [(false, true), (true, false), (true, true)].map(|(bobs, last)| {
            let own = if bobs { &r.bob } else { &r.alice };
            own.key_package(last, lifetime, &mut r.dice)
        });
    let submit = |r: &Room, by: &Own, epoch, data: &[u8], packages: &[&OwnKeyPackage]| {
        let key_packages = messages(packages);
        let request = SubmitCommit { key_packages, ..SubmitCommit::new(message(epoch, data)) };
        r.desk.call(by, request).map(|done| brief(&done.reply)).map_err(|e| e.code)
    };

    // A bad one refuses the commit, which can come without it.
    let both = [&first, &of_alice];
    assert_eq!(submit(&r, &r.bob, 1, b"bob's", &both), Err(ErrorCode::Invalid), "another's");
    let garbage = SubmitCommit {
        key_packages: vec![[1, 2].into()],
        ..SubmitCommit::new(message(1, b"bob's"))
    };
    assert_eq!(r.desk.refused(&r.bob, garbage), ErrorCode::Malformed);
    let many = vec![Bytes::default(); 202];
    let many = SubmitCommit { key_packages: many, ..SubmitCommit::new(message(1, b"bob's")) };
    assert_eq!(r.desk.refused(&r.bob, many), ErrorCode::TooMany);
    assert_eq!(held(&r.desk, &r.bob), []);

    // Alice's comes first: Bob's has lost, and what came with it is not there.
    let accepted = |epoch, seq| Ok(Brief::Accepted { epoch, seq });
    assert_eq!(submit(&r, &r.alice, 1, b"alice's", &[&of_alice]), accepted(2, 2));
    let lost = Ok(Brief::WrongEpoch { epoch: 2, head: 2 });
    assert_eq!(submit(&r, &r.bob, 1, b"bob's", &[&first, &last]), lost);
    assert_eq!(held(&r.desk, &r.bob), []);
    assert_eq!(held(&r.desk, &r.alice), [of_alice.reference().clone()]);

    // The same key packages with another commit; the answer was lost.
    for _ in 0..2 {
        assert_eq!(submit(&r, &r.bob, 2, b"bob's next", &[&first, &last]), accepted(3, 3));
        let wanted = [&first, &last].map(|package| package.reference().clone());
        assert_eq!(held(&r.desk, &r.bob), wanted);
    }
}

#[test]
fn a_tracked_group_takes_them_only_with_a_commit_that_holds() {
    let mut world = World::new();
    let mut alice = world.create("alice/pc");
    let package = alice.own.key_package(true, Own::lifetime(NOW), &mut world.dice);
    let key_packages = messages(&[&package]);
    let request = SubmitCommit { key_packages, ..world.staged(&mut alice, vec![]) };

    let mut bent = request.commit.to_vec();
    // In its signature: what comes after it, only members can check.
    let place = bent.len() - 90;
    bent[place] ^= 1;
    let bent = SubmitCommit { commit: bent.into(), ..request.clone() };
    assert_eq!(world.desk.refused(&alice.own, bent), ErrorCode::Invalid);
    assert_eq!(held(&world.desk, &alice.own), []);

    // Whoever is not in the group publishes nothing by it.
    let bob = world.device("bob/pc");
    let of_bob = bob.key_package(true, Own::lifetime(NOW), &mut world.dice);
    let by_bob = SubmitCommit { key_packages: messages(&[&of_bob]), ..request.clone() };
    assert_eq!(world.desk.refused(&bob, by_bob), ErrorCode::NotMember);
    assert_eq!(held(&world.desk, &bob), []);

    world.submit(&mut alice, request);
    assert_eq!(held(&world.desk, &alice.own), [package.reference().clone()]);
}
