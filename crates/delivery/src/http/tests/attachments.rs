//! Attachments over real sockets, cut off and gone on with.

use super::*;
use crate::attachments::{AttachmentLimits, AttachmentStore, FolderStore};
use crate::http_client::{TransferError, attachment_hash};
use core::ops::ControlFlow;
use std::io::Cursor;

fn with_attachments(directory: &Path, port: u16) -> Server {
    let store = FolderStore::open(&directory.join("attachments")).unwrap();
    let store: Arc<dyn AttachmentStore> = Arc::new(store);
    let attachments = Some((store, AttachmentLimits::default()));
    serve(directory, Config { attachments, ..config(port) })
}

/// Content of which no two parts are alike.
fn content(length: usize) -> Vec<u8> {
    let mut dice = Dice(11);
    (0..length).map(|_| dice.roll(256) as u8).collect()
}

#[test]
fn a_transfer_survives_restarts_of_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (owner, other) = owners();
    let content = content(3 * MAX_PART + 17);
    let mut file = Cursor::new(content.clone());
    let (hash, size) = attachment_hash(&mut file).unwrap();
    assert_eq!(size, content.len() as u64);

    let mut server = with_attachments(dir.path(), 0);
    let mut alice = client(&server, &owner);
    drop(client(&server, &other));
    let port = server.local_addr().port();

    // After each part the service ends, and another one takes its place.
    let mut seen = Vec::new();
    let mut running = Some(server);
    let uploaded = loop {
        let uploaded = alice.upload(&mut file, (&hash, size), |received| {
            if seen.last() != Some(&received) {
                seen.push(received);
                drop(running.take());
            }
            ControlFlow::Continue(())
        });
        match uploaded {
            Ok(uploaded) => break uploaded,
            Err(TransferError::Client(e)) => assert!(e.is_temporary(), "{e}"),
            Err(e) => panic!("{e}"),
        }
        server = with_attachments(dir.path(), port);
        alice = known_client(&server, &owner);
        running = Some(server);
    };
    let part = MAX_PART as u64;
    assert_eq!(seen, [0, part, 2 * part, 3 * part, size]);
    assert_eq!(uploaded.received, size);

    // Whoever fetches it goes on, too, and notices what is not it.
    drop(running);
    let server = with_attachments(dir.path(), port);
    let bob = known_client(&server, &other);
    let mut got = Cursor::new(content[..MAX_PART + 1].to_vec());
    let mut steps = Vec::new();
    let downloaded = bob.download((&hash, size), &mut got, |at, of| {
        steps.push((at, of));
        ControlFlow::Continue(())
    });
    assert_eq!(downloaded.unwrap(), size);
    assert!(got.into_inner() == content);
    assert_eq!(steps, [(2 * part + 1, size), (3 * part + 1, size), (size, size)]);
    let mut wrong = Cursor::new(b"something else".to_vec());
    let fetched = bob.download((&hash, size), &mut wrong, |_, _| ControlFlow::Continue(()));
    assert!(matches!(fetched, Err(TransferError::OtherFile)), "{fetched:?}");

    // What is longer than was said is not written, and what is stopped stays as far as it came.
    let mut short = Cursor::new(Vec::new());
    let fetched = bob.download((&hash, size - 1), &mut short, |_, _| ControlFlow::Continue(()));
    assert!(matches!(fetched, Err(TransferError::OtherFile)), "{fetched:?}");
    assert!(short.into_inner().is_empty());
    let mut stopped = Cursor::new(Vec::new());
    let fetched = bob.download((&hash, size), &mut stopped, |_, _| ControlFlow::Break(()));
    assert!(matches!(fetched, Err(TransferError::Stopped)), "{fetched:?}");
    assert_eq!(stopped.into_inner(), content[..MAX_PART]);
}
