//! Attachments: uploaded in parts, complete only with their hash, gone when their time is over.

use super::room::{Room, room};
use crate::attachments::{AttachmentLimits, AttachmentStore, FolderStore};
use crate::service::ServiceError;
use crate::storage::Storage;
use crate::testing::*;
use conclave_delivery_api::*;
use core::time::Duration;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const DAY: u64 = 24 * 60 * 60;

fn room_with_attachments(limits: AttachmentLimits) -> Room {
    let mut r = room();
    let store = FolderStore::open(&r.dir.path().join("attachments")).unwrap();
    r.desk.service = r.desk.service.with_attachments(Arc::new(store), limits);
    r
}

fn hash(content: &[u8]) -> Bytes {
    Sha256::digest(content)[..].into()
}

fn begin(r: &Room, who: &Own, content: &[u8]) -> Result<Upload, ServiceError> {
    let request = BeginUpload { hash: hash(content), size: content.len() as u64 };
    Ok(r.desk.call(who, request)?.reply)
}

/// Uploads a part of what has the hash of `content`.
fn put(r: &Room, who: &Own, content: &[u8], at: u64, part: &[u8]) -> Result<u64, ServiceError> {
    let request = UploadPart { hash: hash(content), offset: at, content: part.into() };
    Ok(r.desk.call(who, request)?.reply.received)
}

fn fetch(r: &Room, who: &Own, content: &[u8], at: u64) -> Result<AttachmentPart, ServiceError> {
    let request = FetchAttachment { hash: hash(content), offset: at, length: 4 };
    Ok(r.desk.call(who, request)?.reply)
}

fn code<T: core::fmt::Debug>(result: Result<T, ServiceError>) -> ErrorCode {
    result.unwrap_err().code
}

fn upload(r: &Room, who: &Own, content: &[u8]) {
    begin(r, who, content).unwrap();
    assert_eq!(put(r, who, content, 0, content), Ok(content.len() as u64));
}

/// The names of the files that there are.
fn files(r: &Room) -> usize {
    std::fs::read_dir(r.dir.path().join("attachments")).unwrap().count()
}

#[test]
fn an_upload_goes_on_from_where_it_was() {
    let r = room_with_attachments(AttachmentLimits::default());
    let content = b"0123456789";
    assert_eq!(code(put(&r, &r.alice, content, 0, b"01")), ErrorCode::UnknownAttachment);
    assert_eq!(begin(&r, &r.alice, content).unwrap().received, 0);
    assert_eq!(put(&r, &r.alice, content, 0, b"0123"), Ok(4));
    assert_eq!(code(put(&r, &r.alice, content, 5, b"5")), ErrorCode::UploadGap);
    assert_eq!(put(&r, &r.alice, content, 2, b"2345"), Ok(6), "what is there is passed over");
    assert_eq!(put(&r, &r.alice, content, 0, b"xx"), Ok(6), "and stays");
    assert_eq!(code(put(&r, &r.alice, content, 6, b"678910")), ErrorCode::Invalid);
    assert_eq!(code(fetch(&r, &r.bob, content, 0)), ErrorCode::UnknownAttachment);
    assert_eq!(begin(&r, &r.alice, content).unwrap().received, 6);
    assert_eq!(put(&r, &r.alice, content, 6, b"6789"), Ok(10));

    let part = fetch(&r, &r.bob, content, 3).unwrap();
    assert_eq!((part.size, &*part.content), (10, &b"3456"[..]));
    assert_eq!(&*fetch(&r, &r.bob, content, 8).unwrap().content, b"89");
    assert_eq!(&*fetch(&r, &r.bob, content, 10).unwrap().content, b"");
    assert_eq!(&*fetch(&r, &r.bob, content, u64::MAX >> 1).unwrap().content, b"");
    assert_eq!(put(&r, &r.alice, content, 0, content), Ok(10), "repeated when all is there");
    upload(&r, &r.bob, b"");
    assert_eq!(fetch(&r, &r.alice, b"", 0).unwrap().size, 0);
}

#[test]
fn what_does_not_have_the_hash_is_thrown_away() {
    let r = room_with_attachments(AttachmentLimits::default());
    begin(&r, &r.alice, b"right").unwrap();
    assert_eq!(code(put(&r, &r.alice, b"right", 0, b"wrong")), ErrorCode::HashMismatch);
    assert_eq!(code(fetch(&r, &r.alice, b"right", 0)), ErrorCode::UnknownAttachment);
    assert_eq!(files(&r), 0);
    assert_eq!(begin(&r, &r.alice, b"right").unwrap().received, 0);

    // Another user's upload under the same hash is not spoiled by it.
    begin(&r, &r.bob, b"right").unwrap();
    assert_eq!(put(&r, &r.bob, b"right", 0, b"ri"), Ok(2));
    assert_eq!(code(put(&r, &r.alice, b"right", 0, b"wrong")), ErrorCode::HashMismatch);
    assert_eq!(put(&r, &r.bob, b"right", 2, b"ght"), Ok(5));
    assert_eq!(fetch(&r, &r.alice, b"right", 0).unwrap().size, 5);

    let request = BeginUpload { hash: hash(b"right"), size: 4 };
    assert_eq!(r.desk.call(&r.bob, request).unwrap_err().code, ErrorCode::Invalid);
    let request = BeginUpload { hash: b"short".as_slice().into(), size: 4 };
    assert_eq!(r.desk.call(&r.bob, request).unwrap_err().code, ErrorCode::Malformed);
}

#[test]
fn an_attachment_is_there_until_the_last_who_has_uploaded_it_takes_it_back() {
    let r = room_with_attachments(AttachmentLimits::default());
    let delete = |who: &Own| r.desk.call(who, DeleteAttachment { hash: hash(b"cat") });
    upload(&r, &r.alice, b"cat");
    assert_eq!(delete(&r.bob).unwrap_err().code, ErrorCode::UnknownAttachment, "it is not his");
    assert_eq!(begin(&r, &r.bob, b"cat").unwrap().received, 3, "he need not upload it");
    delete(&r.alice).unwrap();
    assert_eq!(fetch(&r, &r.alice, b"cat", 0).unwrap().size, 3);
    delete(&r.bob).unwrap();
    assert_eq!(code(fetch(&r, &r.alice, b"cat", 0)), ErrorCode::UnknownAttachment);
    assert_eq!(files(&r), 0);
}

#[test]
fn each_limit_holds_at_its_edge() {
    let limits = AttachmentLimits { size: 10, quota: 15, total: 20, ..Default::default() };
    let mut r = room_with_attachments(limits);
    assert_eq!(code(begin(&r, &r.alice, b"01234567891")), ErrorCode::TooLarge);
    upload(&r, &r.alice, b"0123456789");
    assert_eq!(code(begin(&r, &r.alice, b"012345")), ErrorCode::Quota);
    begin(&r, &r.alice, b"01234").unwrap();
    assert_eq!(code(begin(&r, &r.bob, b"123456")), ErrorCode::Quota, "all are full");
    begin(&r, &r.bob, b"54321").unwrap();
    let long = vec![0; MAX_PART + 1];
    assert_eq!(code(put(&r, &r.bob, b"54321", 0, &long)), ErrorCode::TooLarge);

    // What is not completed goes first.
    r.desk.wait(DAY - 1);
    assert_eq!(r.desk.service.sweep_attachments(r.desk.now), Ok(0));
    put(&r, &r.bob, b"54321", 0, b"543").unwrap();
    r.desk.wait(1);
    assert_eq!(r.desk.service.sweep_attachments(r.desk.now), Ok(2));
    assert_eq!(code(put(&r, &r.bob, b"54321", 3, b"2")), ErrorCode::UnknownAttachment);
    assert_eq!(files(&r), 1);
    r.desk.wait(29 * DAY - 1);
    assert_eq!(r.desk.service.sweep_attachments(r.desk.now), Ok(0));
    r.desk.wait(1);
    assert_eq!(r.desk.service.sweep_attachments(r.desk.now), Ok(1));
    assert_eq!(
        (files(&r), code(fetch(&r, &r.bob, b"0123456789", 0))),
        (0, ErrorCode::UnknownAttachment)
    );
}

#[test]
fn a_service_without_a_place_for_them_keeps_none() {
    let r = room();
    assert_eq!(code(begin(&r, &r.alice, b"cat")), ErrorCode::UnknownAttachment);
    assert_eq!(code(fetch(&r, &r.alice, b"cat", 0)), ErrorCode::UnknownAttachment);
    assert_eq!(r.desk.service.sweep_attachments(r.desk.now), Ok(0));
}

#[test]
fn what_a_restored_service_has_lost_is_uploaded_again() {
    let r = room_with_attachments(AttachmentLimits::default());
    upload(&r, &r.alice, b"cat");
    begin(&r, &r.bob, b"cat").unwrap();
    std::fs::remove_dir_all(r.dir.path().join("attachments")).unwrap();
    std::fs::create_dir(r.dir.path().join("attachments")).unwrap();
    assert_eq!(code(fetch(&r, &r.bob, b"cat", 0)), ErrorCode::UnknownAttachment);
    upload(&r, &r.alice, b"cat");
    assert_eq!(fetch(&r, &r.bob, b"cat", 0).unwrap().size, 3);
}

/// A process that ends between two steps of completing an upload.
#[test]
fn an_upload_whose_completion_was_cut_off_is_completed() {
    let r = room_with_attachments(AttachmentLimits::default());
    let store = FolderStore::open(&r.dir.path().join("attachments")).unwrap();
    let id: [u8; 32] = hash(b"cat")[..].try_into().unwrap();
    begin(&r, &r.alice, b"cat").unwrap();

    // All bytes are there, and that is noted; the hash was not looked at yet.
    let user = &r.alice.id.user;
    store.write(&id, user, 0, b"cat").unwrap();
    r.desk.service.storage.advance_upload(id, user, 3).unwrap();
    assert_eq!(code(fetch(&r, &r.bob, b"cat", 0)), ErrorCode::UnknownAttachment);
    // The file was published, and the record not written.
    store.publish(&id, user).unwrap();
    assert_eq!(code(fetch(&r, &r.bob, b"cat", 0)), ErrorCode::UnknownAttachment);

    assert_eq!(begin(&r, &r.alice, b"cat").unwrap().received, 3);
    assert_eq!(fetch(&r, &r.bob, b"cat", 0).unwrap().size, 3);
    let later = Duration::from_secs(31 * DAY);
    assert_eq!(r.desk.service.sweep_attachments(r.desk.now.saturating_add(later)), Ok(1));
    assert_eq!(files(&r), 0);
}
