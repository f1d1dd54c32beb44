//! Two processes of one state: the service takes messages of one of them.

use super::room::{Room, room};
use crate::service::{Caller, Operation, ServiceError};
use crate::testing::*;
use conclave_delivery_api::*;

const ID: [u8; 16] = [7; 16];

/// A session of a device, and what comes next in it.
struct Process {
    session: OwnSession,
    next: u64,
}

impl Process {
    fn start(r: &Room, own: &Own) -> Self {
        Self { session: r.desk.open_session(own).unwrap(), next: 1 }
    }

    /// Who calls, as the service sees it.
    fn caller(&mut self, r: &Room) -> Result<Caller, ServiceError> {
        let request = ("/path", b"body".as_slice());
        let OwnSession { token, pair, .. } = &self.session;
        let proof = Proof::signed(&PROVIDER, pair, token, self.next, request).unwrap();
        self.next += 1;
        r.desk.service.authenticate(token.expose(), &proof, request, r.desk.now)
    }

    fn call<O: Operation>(&mut self, r: &Room, op: O) -> Result<O::Reply, ErrorCode> {
        let caller = self.caller(r).map_err(|e| e.code)?;
        r.desk.service.run(op, &caller).map(|done| done.reply).map_err(|e| e.code)
    }

    fn mark(&mut self, r: &Room, before: &[u64], number: u64, id: u8) -> StateMark {
        let before = before.iter().map(|number| StateMark { number: *number, id: [1; 16] });
        let mark = StateMark { number, id: [id; 16] };
        let before = before.collect();
        self.call(r, MarkState { before, mark }).unwrap().latest
    }
}

/// A message that is different for each number.
fn message(n: u8) -> SendMessage {
    SendMessage { message: private(&ID.into(), 0, ContentType::Application, &[n]) }
}

#[test]
fn sessions_without_a_mark_never_end_that_of_the_process_that_writes() {
    let mut r = room();
    let devices: Vec<Own> = (0..13).map(|n| r.alice.add(&format!("pc{n}"), &mut r.dice)).collect();
    r.desk.register(&r.alice);
    let mut writer = Process::start(&r, &r.alice);
    assert_eq!(writer.mark(&r, &[], 1, 1).number, 1);
    r.desk.wait(1);
    // Of one device, and of all that the user has.
    for own in [&r.alice].into_iter().chain(&devices) {
        (0..10).for_each(|_| drop(Process::start(&r, own)));
    }
    assert!(writer.caller(&r).is_ok());
}

#[test]
fn of_two_processes_of_one_state_one_sends() {
    let r = room();
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.alice, CreateGroup { group_id: ID.into(), kind });
    let [mut old, mut ended] = [(); 2].map(|()| Process::start(&r, &r.alice));
    assert_eq!(old.mark(&r, &[], 1, 1).number, 1);
    assert!(old.call(&r, message(1)).is_ok());

    assert_eq!(ended.call(&r, message(2)), Err(ErrorCode::Unauthorized), "the mark ended it");

    // The second process ends the session of the first, and the requests that it has under way fail, too.
    let under_way = old.caller(&r).unwrap();
    let mut new = Process::start(&r, &r.alice);
    assert_eq!(new.call(&r, message(2)), Err(ErrorCode::Unauthorized), "it has shown no mark");
    assert_eq!(new.mark(&r, &[1], 2, 1).number, 2);
    let late = r.desk.service.run(message(3), &under_way).map(|_| ()).map_err(|e| e.code);
    assert_eq!(late, Err(ErrorCode::Unauthorized));
    assert_eq!(old.call(&r, message(3)), Err(ErrorCode::Unauthorized));
    assert!(new.call(&r, message(4)).is_ok());

    // The first opens another session, and is told that it is the copy.
    let mut old = Process::start(&r, &r.alice);
    assert_eq!(old.mark(&r, &[1], 2, 9), StateMark { number: 2, id: [1; 16] });
    assert_eq!(old.call(&r, message(5)), Err(ErrorCode::Unauthorized));
    assert!(new.call(&r, message(6)).is_ok(), "the copy ended no session");
}

#[test]
fn marks_that_make_no_sense_are_refused() {
    let r = room();
    let mut process = Process::start(&r, &r.alice);
    let mark = |number| StateMark { number, id: [1; 16] };
    let descending = MarkState { before: vec![mark(3), mark(2)], mark: mark(4) };
    assert_eq!(process.call(&r, descending), Err(ErrorCode::Invalid));
    let zero = MarkState { before: vec![], mark: mark(0) };
    assert_eq!(process.call(&r, zero), Err(ErrorCode::Invalid));
    let huge = MarkState { before: vec![], mark: mark(u64::MAX) };
    assert_eq!(process.call(&r, huge), Err(ErrorCode::Invalid));
}
