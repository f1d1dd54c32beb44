//! What a statement costs that is in use for each message.

use super::connect;
use super::read::{SENDER, find_sender};
use conclave_delivery_api::GroupId;
use rusqlite::StatementStatus;

#[test]
fn the_search_before_each_message_is_planned_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("delivery.db");
    std::fs::File::create(&path).unwrap();
    let db = connect(&path, false).unwrap();
    super::formats::prepare(&db, &path).unwrap();
    for n in 0..10 {
        let sender = format!("user-{n}/pc").parse().unwrap();
        assert!(find_sender(&db, &GroupId::from([n]), &sender).unwrap().is_none());
    }
    let statement = db.prepare_cached(SENDER).unwrap();
    assert_eq!(statement.get_status(StatementStatus::Run), 10);
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
}
