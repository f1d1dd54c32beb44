//! Uploads of attachments: what there is of each, and how much of all.

use super::place::Place;
use crate::storage::{NewUpload, Storage, UploadBegun, UploadRecord};
use conclave_delivery_api::Name;

const QUOTA: u64 = 100;
const TOTAL: u64 = 150;

pub(super) fn check<P: Place>(new: &dyn Fn() -> P) {
    let place = new();
    let storage = place.open().unwrap();
    let [alice, bob]: [Name; 2] = ["alice", "bob"].map(|user| user.parse().unwrap());
    let begin = |user: &Name, hash: u8, size: u64| {
        let new = NewUpload {
            hash: [hash; 32],
            user: user.clone(),
            size,
            is_there: true,
            expires_at: 10,
            complete_expires_at: 50,
        };
        storage.begin_upload(new, QUOTA, TOTAL).unwrap()
    };
    let unfinished =
        |size, received| UploadRecord { size, received, complete: false, expires_at: 10 };

    // How far it has come is remembered, and never goes back.
    assert_eq!(storage.upload(&[1; 32], &alice), Ok(None));
    assert_eq!(begin(&alice, 1, 60), UploadBegun::There(unfinished(60, 0)));
    storage.advance_upload([1; 32], &alice, 40).unwrap();
    storage.advance_upload([1; 32], &alice, 20).unwrap();
    assert_eq!(begin(&alice, 1, 60), UploadBegun::There(unfinished(60, 40)));
    assert_eq!(storage.upload(&[1; 32], &bob), Ok(None), "it is hers");
    assert_eq!(storage.attachment(&[1; 32]), Ok(None), "it is not complete");

    // Of one user, and of all, there is a most.
    assert_eq!(begin(&alice, 2, 41), UploadBegun::OverQuota);
    assert_eq!(begin(&alice, 2, u64::MAX >> 1), UploadBegun::OverQuota);
    assert!(matches!(begin(&alice, 2, 40), UploadBegun::There(_)));
    assert_eq!(begin(&bob, 3, 51), UploadBegun::Full);
    assert!(matches!(begin(&bob, 3, 50), UploadBegun::There(_)));
    assert_eq!(storage.remove_upload([3; 32], &alice), Ok(false), "it is his");
    assert_eq!(storage.remove_upload([3; 32], &bob), Ok(true));
    assert_eq!(storage.remove_upload([3; 32], &bob), Ok(false));
    assert!(matches!(begin(&bob, 4, 50), UploadBegun::There(_)), "there is room again");
    storage.remove_upload([4; 32], &bob).unwrap();

    // A complete one is there for all, and is kept longer. Whoever has it, too, need not upload it.
    assert_eq!(storage.complete_upload([1; 32], &bob, 99), Ok(false));
    assert_eq!(storage.complete_upload([1; 32], &alice, 30), Ok(true));
    assert_eq!(storage.attachment(&[1; 32]), Ok(Some(60)));
    let complete = |expires_at| UploadRecord { size: 60, received: 60, complete: true, expires_at };
    assert_eq!(storage.upload(&[1; 32], &alice), Ok(Some(complete(30))));
    assert_eq!(begin(&alice, 1, 60), UploadBegun::There(complete(50)), "wanted for longer");
    assert_eq!(begin(&bob, 1, 60), UploadBegun::Full, "it counts for each");
    storage.remove_upload([2; 32], &alice).unwrap();
    assert_eq!(begin(&bob, 1, 60), UploadBegun::There(complete(50)));
    assert_eq!(storage.remove_upload([1; 32], &alice), Ok(true));
    assert_eq!(storage.attachment(&[1; 32]), Ok(Some(60)), "bob's is still there");
    assert_eq!(storage.remove_upload([1; 32], &bob), Ok(true));
    assert_eq!(storage.attachment(&[1; 32]), Ok(None));

    // Another length under the same hash is another's mistake.
    assert!(matches!(begin(&alice, 5, 7), UploadBegun::There(_)));
    storage.complete_upload([5; 32], &alice, 20).unwrap();
    assert_eq!(begin(&bob, 5, 8), UploadBegun::There(unfinished(8, 0)));

    // A content that is lost is uploaded again.
    let lost = NewUpload {
        hash: [5; 32],
        user: alice.clone(),
        size: 7,
        is_there: false,
        expires_at: 20,
        complete_expires_at: 50,
    };
    let begun = storage.begin_upload(lost, QUOTA, TOTAL).unwrap();
    assert_eq!(begun, UploadBegun::There(UploadRecord { expires_at: 20, ..unfinished(7, 0) }));
    assert_eq!(storage.attachment(&[5; 32]), Ok(None));

    let expired = |now, limit| storage.expired_uploads(now, limit).unwrap();
    assert_eq!(expired(9, 9), []);
    assert_eq!(expired(10, 9), [([5; 32], bob.clone())]);
    assert_eq!(expired(20, 9), [([5; 32], bob), ([5; 32], alice)]);
    assert_eq!(expired(20, 1).len(), 1);
}
