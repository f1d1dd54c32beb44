//! The places where devices that are being linked leave each other something.

use super::room::room;
use crate::service::ServiceError;
use crate::testing::*;
use conclave_delivery_api::*;

fn put(desk: &Desk, slot: &[u8], content: &[u8]) -> Result<u64, ServiceError> {
    let request = PutRelay { slot: slot.into(), content: content.into() };
    Ok(desk.anonymous(request)?.reply.lifetime)
}

fn fetch(desk: &Desk, slot: &[u8]) -> Option<Vec<u8>> {
    let content = desk.anonymous(FetchRelay { slot: slot.into() }).unwrap().reply.content;
    content.map(Bytes::into_vec)
}

fn refused(desk: &Desk, slot: &[u8], content: &[u8]) -> ErrorCode {
    put(desk, slot, content).unwrap_err().code
}

#[test]
fn what_is_put_at_a_place_stays_what_it_is() {
    let mut r = room();
    assert_eq!(fetch(&r.desk, &[7; 16]), None);
    assert_eq!(put(&r.desk, &[7; 16], b"hello").unwrap(), 600);
    assert_eq!(fetch(&r.desk, &[7; 16]).unwrap(), b"hello");
    assert_eq!(fetch(&r.desk, &[7; 16]).unwrap(), b"hello", "as often as the reply is lost");
    assert_eq!(fetch(&r.desk, &[8; 16]), None);

    r.desk.wait(10);
    assert_eq!(put(&r.desk, &[7; 16], b"hello").unwrap(), 590, "repeated");
    for other in [b"hallo".as_slice(), b"", b"hello!"] {
        assert_eq!(refused(&r.desk, &[7; 16], other), ErrorCode::Invalid);
    }
    assert_eq!(fetch(&r.desk, &[7; 16]).unwrap(), b"hello");
}

#[test]
fn what_is_put_at_a_place_expires() {
    let mut r = room();
    put(&r.desk, &[7; 16], b"hello").unwrap();
    r.desk.wait(300);
    put(&r.desk, &[7; 16], b"hello").unwrap();
    r.desk.wait(299);
    assert!(fetch(&r.desk, &[7; 16]).is_some());
    r.desk.wait(1);
    assert_eq!(fetch(&r.desk, &[7; 16]), None, "to repeat it has not made it last");
    assert_eq!(put(&r.desk, &[7; 16], b"another").unwrap(), 600);
}

#[test]
fn places_are_bounded() {
    let r = room();
    for slot in [&b""[..], &[7; 15], &[7; 17]] {
        assert_eq!(refused(&r.desk, slot, b"x"), ErrorCode::Invalid);
    }
    let most = vec![1; 64 << 10];
    put(&r.desk, &[0; 16], &most).unwrap();
    assert_eq!(fetch(&r.desk, &[0; 16]), Some(most.clone()));
    assert_eq!(refused(&r.desk, &[1; 16], &[most, vec![0]].concat()), ErrorCode::TooLarge);

    // In all, the oldest gives way.
    let most = vec![1; 64 << 10];
    for n in 1..1100u128 {
        put(&r.desk, &n.to_be_bytes(), &most).unwrap();
    }
    assert_eq!(fetch(&r.desk, &[0; 16]), None);
    assert_eq!(fetch(&r.desk, &1099u128.to_be_bytes()), Some(most));
}
