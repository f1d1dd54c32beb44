//! A bucket of a real store, where there is one, and answers that no store should give.

use super::*;
use crate::attachments::tests::conforms;
use conclave_mls::crypto::Secret;
use conclave_provider_rustcrypto::RustCrypto;
use std::io::Write;
use std::net::TcpListener;
use std::thread::JoinHandle;

fn store(url: &str, folder: &std::path::Path) -> S3Store {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| "test".into());
    let credentials = Credentials {
        access_key: variable("AWS_ACCESS_KEY_ID"),
        secret_key: Secret::new(variable("AWS_SECRET_ACCESS_KEY").into_bytes()),
        session_token: None,
    };
    let place = Place::parse(url, "us-east-1").unwrap();
    let uploads = FolderStore::open(folder).unwrap();
    S3Store::new(place, credentials, Arc::new(RustCrypto::new()), uploads)
}

/// CONTRIBUTING.md says how to get one.
#[test]
fn a_bucket_keeps_attachments() {
    let Ok(url) = std::env::var("CONCLAVE_TEST_S3") else {
        println!("NOT TESTED: attachments in a bucket. CONCLAVE_TEST_S3 names none");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = store(&url, folder.path());
    store.check().unwrap();
    conforms(&store);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "uploads are left behind");
}

/// Answers requests with these, one connection each; what it was sent, up to the heads' ends.
fn answering(answers: Vec<&'static str>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/files/of/tests", listener.local_addr().unwrap());
    let heads = std::thread::spawn(move || {
        let answer = |answer: &str| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        };
        answers.into_iter().map(answer).collect()
    });
    (url, heads)
}

const HASH: [u8; 32] = [7; 32];

#[test]
fn a_store_that_cannot_just_now_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let busy = "HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let found = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n";
    let (url, heads) = answering(vec![busy, found]);
    assert!(store(&url, folder.path()).contains(&HASH).unwrap());
    let heads = heads.join().unwrap();
    let first = format!("HEAD /files/of/tests/{} HTTP/1.1\r\n", to_hex(&HASH));
    for head in heads {
        assert!(head.starts_with(&first), "{head}");
        let head = head.to_ascii_lowercase();
        assert!(head.contains("authorization: aws4-hmac-sha256 credential="), "{head}");
        assert!(head.contains("x-amz-date: 2"), "{head}");
    }
}

#[test]
fn a_refusal_says_which_store_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 54\r\n\r\n\
                   <Error><Code>SignatureDoesNotMatch</Code><x></x></Err>";
    let (url, _heads) = answering(vec![refusal]);
    let error = store(&url, folder.path()).read(&HASH, 0, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let said = error.to_string();
    for part in ["http://127.0.0.1", "bucket files", "403", "SignatureDoesNotMatch"] {
        assert!(said.contains(part), "{said}");
    }

    // Nobody listens there any more.
    let error = store(&url, folder.path()).contains(&HASH).unwrap_err().to_string();
    assert!(error.contains("does not answer"), "{error}");
}

#[test]
fn a_bucket_that_is_gone_is_no_missing_attachment() {
    let folder = tempfile::tempdir().unwrap();
    let gone = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 47\r\n\r\n\
                <Error><Code>NoSuchBucket</Code><x></x></Error>";
    let (url, _heads) = answering(vec![gone, gone]);
    let store = store(&url, folder.path());
    assert_eq!(store.read(&HASH, 0, 10).unwrap_err().kind(), ErrorKind::Other);
    assert!(store.check().unwrap_err().to_string().contains("NoSuchBucket"));
}

#[test]
fn an_upload_that_is_being_sent_is_not_sent_again_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let hash = conclave_delivery_api::sha256(b"cat");
    let user: Name = "alice".parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/files", listener.local_addr().unwrap());
    let store = store(&url, folder.path());
    store.write(&hash, &user, 0, b"cat").unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| store.verify(&hash, &user, 3));
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\ncat") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        let error = store.verify(&hash, &user, 3).unwrap_err();
        assert!(error.to_string().contains("on its way"), "{error}");
        let done = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(done.as_bytes()).unwrap();
        assert!(first.join().unwrap().unwrap());
    });
    // It is over: the next one is sent.
    drop(listener);
    assert!(store.verify(&hash, &user, 3).unwrap_err().to_string().contains("does not answer"));
}

#[test]
fn answers_that_make_no_sense_are_no_content() {
    let folder = tempfile::tempdir().unwrap();
    // All of it instead of the range.
    let whole = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nwhole";
    let (url, _heads) = answering(vec![whole]);
    assert!(store(&url, folder.path()).read(&HASH, 2, 2).is_err());
    // More than was asked for.
    let more = "HTTP/1.1 206 Partial\r\nconnection: close\r\ncontent-length: 5\r\n\r\nwhole";
    let (url, _heads) = answering(vec![more]);
    assert_eq!(store(&url, folder.path()).read(&HASH, 0, 2).unwrap(), b"wh");
    // A copy that failed after it had begun.
    let absent = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let failed = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 48\r\n\r\n\
                  <Error><Code>InternalError</Code><x></x></Error>";
    let (url, _heads) = answering(vec![absent, failed]);
    let error = store(&url, folder.path()).publish(&HASH, &"alice".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("InternalError"), "{error}");
}
