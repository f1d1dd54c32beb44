//! What every store of attachments has to do, over those that there are.

use super::*;
use conclave_delivery_api::sha256;

/// Content of this length, which no other has.
fn content(length: usize, of: u8) -> Vec<u8> {
    (0..length).map(|n| (n % 251) as u8 ^ of).collect()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Runs through what a service asks of a store.
pub(crate) fn conforms(store: &dyn AttachmentStore) {
    let (alice, bob) = (name("alice"), name("bob"));
    // Whatever an earlier run has left is in nobody's way.
    let salt = std::process::id() as u8;
    let whole = content(100_000, salt);
    let hash = sha256(&whole);
    store.delete(&hash).unwrap();
    store.discard(&hash, &alice).unwrap();

    // In parts, of which some come twice.
    store.write(&hash, &alice, 0, &whole[..60_000]).unwrap();
    store.write(&hash, &alice, 50_000, &whole[50_000..]).unwrap();
    assert!(store.write(&hash, &bob, 1, b"x").is_err(), "a gap");
    assert!(!store.contains(&hash).unwrap());
    assert!(store.verify(&hash, &alice, 100_000).unwrap());
    assert!(!store.contains(&hash).unwrap(), "it is published by being verified");
    let missing = store.read(&hash, 0, 10).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    store.publish(&hash, &alice).unwrap();
    assert!(store.contains(&hash).unwrap());

    // Cut off at any place, all of it is done again.
    assert!(store.verify(&hash, &alice, 100_000).unwrap());
    store.publish(&hash, &alice).unwrap();

    for (offset, length) in [(0, 100_000), (0, 1), (99_999, 1), (99_990, 1000), (31, 4096)] {
        let expected = &whole[offset..whole.len().min(offset + length)];
        assert_eq!(store.read(&hash, offset as u64, length).unwrap(), expected);
    }
    assert!(store.read(&hash, 100_000, 10).unwrap().is_empty(), "behind its end");
    assert!(store.read(&hash, 5, 0).unwrap().is_empty());

    // Another user uploads the same, and takes it back before it is complete.
    store.write(&hash, &bob, 0, &whole).unwrap();
    store.discard(&hash, &bob).unwrap();
    store.write(&hash, &bob, 0, &whole).unwrap();
    assert!(store.verify(&hash, &bob, 100_000).unwrap());
    store.publish(&hash, &bob).unwrap();
    assert_eq!(store.read(&hash, 7, 3).unwrap(), whole[7..10]);

    // What does not have the hash is thrown away.
    let other = sha256(b"other");
    store.write(&other, &alice, 0, b"another").unwrap();
    assert!(!store.verify(&other, &alice, 7).unwrap());
    assert!(store.verify(&other, &alice, 7).is_err(), "nothing is left of it");
    assert!(store.publish(&other, &alice).is_err());
    assert!(!store.contains(&other).unwrap());

    let none = sha256(b"");
    assert!(store.verify(&none, &alice, 0).unwrap());
    store.publish(&none, &alice).unwrap();
    assert!(store.read(&none, 0, 10).unwrap().is_empty());
    store.delete(&none).unwrap();

    store.delete(&hash).unwrap();
    store.delete(&hash).unwrap();
    assert!(!store.contains(&hash).unwrap());
}

#[test]
fn a_folder_keeps_attachments() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&FolderStore::open(folder.path()).unwrap());
}
