//! Application messages, one or many at a time.

use super::room::{Room, room};
use crate::service::{Caller, Done, Holder, Operation, ServiceError};
use crate::testing::*;
use conclave_delivery_api::*;

/// A group of alice and bob, in epoch 1.
fn talking() -> (Room, GroupId) {
    let r = room();
    let group: GroupId = [5; 16].into();
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.alice, CreateGroup { group_id: group.clone(), kind });
    let add = SubmitCommit::new(private(&group, 0, ContentType::Commit, b"add"));
    r.desk.reply(&r.alice, SubmitCommit { added: vec![r.bob.id.clone()], ..add });
    (r, group)
}

/// Messages of an epoch, one for each of these texts.
fn messages(group: &GroupId, epoch: u64, texts: &[&str]) -> Vec<Bytes> {
    let message = |text: &&str| private(group, epoch, ContentType::Application, text.as_bytes());
    texts.iter().map(message).collect()
}

/// What a request leads to that is served as the server does, without waiting for the storage.
fn waiting<O: Operation + Send>(
    r: &Room,
    own: &Own,
    request: O,
) -> Result<Option<Done<O::Reply>>, ServiceError> {
    let caller = Caller::new(Some(Holder::Device(own.info())), r.desk.now);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(r.desk.service.wait(request, &caller))
}

/// The texts of the log, with their numbers.
fn log(r: &Room, group: &GroupId) -> Vec<(u64, Bytes)> {
    let fetch = FetchLog { group_id: group.clone(), after: 1, limit: 100 };
    let entries = r.desk.reply(&r.bob, fetch).entries;
    entries.into_iter().map(|entry| (entry.seq, entry.message)).collect()
}

fn numbered(messages: &[Bytes]) -> Vec<(u64, Bytes)> {
    (2..).zip(messages.iter().cloned()).collect()
}

fn accepted(seq: u64) -> Brief {
    Brief::Accepted { epoch: 1, seq }
}

#[test]
fn many_messages_are_taken_in_their_order_and_once() {
    type Door = fn(&Room, Vec<Bytes>) -> Done<SentMessages>;
    let doors: [Door; 2] = [
        |r, messages| r.desk.call(&r.alice, SendMessages { messages }).unwrap(),
        |r, messages| waiting(r, &r.alice, SendMessages { messages }).unwrap().unwrap(),
    ];
    for send in doors {
        let (r, group) = talking();
        let all = messages(&group, 1, &["a", "b", "c", "d"]);
        let done = send(&r, all[..3].to_vec());
        assert_eq!((done.reply.taken, brief(&done.reply.outcome)), (3, accepted(4)));
        let heard = done.notices.last().unwrap();
        assert!(heard.to.contains(&r.bob.id));
        assert!(matches!(&heard.event, Event::Group { position, .. } if position.seq == 4));
        assert_eq!(log(&r, &group), numbered(&all[..3]));

        // The answer was lost: nothing is taken twice, and nobody is told twice.
        let again = send(&r, all[..3].to_vec());
        assert_eq!(again.reply, done.reply);
        assert_eq!(again.notices, []);
        let more = send(&r, all.clone());
        assert_eq!((more.reply.taken, brief(&more.reply.outcome)), (4, accepted(5)));
        assert_eq!(more.notices.len(), 1);

        // New ones before one that was there are told of.
        let new = messages(&group, 1, &["e"]).remove(0);
        let mixed = send(&r, vec![new, all[0].clone()]);
        assert_eq!((mixed.reply.taken, brief(&mixed.reply.outcome)), (2, accepted(2)));
        let told = |n: &crate::service::Notice| match n.event {
            Event::Group { position, .. } => position.seq,
            _ => 0,
        };
        assert_eq!(mixed.notices.iter().map(told).collect::<Vec<_>>(), [6]);
    }
}

#[test]
fn what_another_member_has_sent_is_not_sent_again() {
    let (r, group) = talking();
    let bobs = messages(&group, 1, &["bob's"]).remove(0);
    r.desk.reply(&r.bob, SendMessage { message: bobs.clone() });
    let [first, last] = ["first", "last"].map(|text| messages(&group, 1, &[text]).remove(0));

    let request = SendMessages { messages: vec![first.clone(), bobs.clone(), last.clone()] };
    let done = waiting(&r, &r.alice, request).unwrap().unwrap();
    assert_eq!((done.reply.taken, brief(&done.reply.outcome)), (3, accepted(4)));
    assert_eq!(log(&r, &group), numbered(&[bobs, first, last]));
}

#[test]
fn messages_of_an_epoch_that_is_over_are_told_which_one_it_is() {
    let (r, group) = talking();
    for epoch in 1..6 {
        let commit = private(&group, epoch, ContentType::Commit, b"c");
        r.desk.reply(&r.alice, SubmitCommit::new(commit));
    }
    let of = |epoch| SendMessages { messages: messages(&group, epoch, &["a", "b"]) };
    let wrong = Brief::WrongEpoch { epoch: 6, head: 6 };
    for epoch in [1, 7] {
        let reply = r.desk.reply(&r.alice, of(epoch));
        assert_eq!((reply.taken, brief(&reply.outcome)), (0, wrong));
        assert_eq!(
            waiting(&r, &r.alice, of(epoch)),
            Ok(None),
            "what the current epoch is takes reading"
        );
    }
    // One that ended just now is read still.
    let reply = r.desk.reply(&r.alice, of(5));
    assert_eq!((reply.taken, brief(&reply.outcome)), (2, Brief::Accepted { epoch: 6, seq: 8 }));
}

#[test]
fn messages_that_do_not_belong_together_are_refused_whole() {
    let (r, group) = talking();
    let elsewhere: GroupId = [6; 16].into();
    let kind = GroupKind::Opaque { epoch: 1 };
    r.desk.reply(&r.alice, CreateGroup { group_id: elsewhere.clone(), kind });
    let good = || messages(&group, 1, &["a"]).remove(0);
    let commit = private(&group, 1, ContentType::Commit, b"c");
    let mut trailing = good().into_vec();
    trailing.push(0);
    let most = MAX_PAGE as usize;
    for (messages, code) in [
        (vec![], ErrorCode::Invalid),
        (vec![good(); most + 1], ErrorCode::Invalid),
        (vec![good(), messages(&elsewhere, 1, &["a"]).remove(0)], ErrorCode::Invalid),
        (vec![good(), messages(&group, 0, &["a"]).remove(0)], ErrorCode::Invalid),
        (vec![good(), commit], ErrorCode::Invalid),
        (vec![good(), trailing.into()], ErrorCode::Malformed),
    ] {
        let request = SendMessages { messages };
        assert_eq!(r.desk.refused(&r.alice, request.clone()), code);
        assert_eq!(waiting(&r, &r.alice, request).unwrap_err().code, code);
    }
    let request = SendMessages { messages: vec![good(); most] };
    assert_eq!(r.desk.reply(&r.alice, request).taken, MAX_PAGE);

    // A stranger gets in nothing, however many.
    let request = SendMessages { messages: messages(&group, 1, &["x", "y"]) };
    let mut dice = Dice(77);
    let eve = Own::new("eve/pc", &mut dice);
    r.desk.register(&eve);
    assert_eq!(waiting(&r, &eve, request.clone()), Ok(None));
    assert_eq!(r.desk.refused(&eve, request), ErrorCode::NotMember);
    assert_eq!(log(&r, &group).len(), 1);
}
