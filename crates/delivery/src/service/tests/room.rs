//! Two users at a service.

use crate::service::Limits;
use crate::testing::*;

pub(super) struct Room {
    pub(super) desk: Desk,
    pub(super) dice: Dice,
    pub(super) dir: tempfile::TempDir,
    pub(super) alice: Own,
    pub(super) bob: Own,
}

pub(super) fn room() -> Room {
    room_with(Limits::default())
}

pub(super) fn room_with(limits: Limits) -> Room {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(1);
    let (alice, bob) = (Own::new("alice/laptop", &mut dice), Own::new("bob/phone", &mut dice));
    let desk = Desk::with_limits(dir.path(), limits);
    desk.register(&alice);
    desk.register(&bob);
    Room { desk, dice, dir, alice, bob }
}
