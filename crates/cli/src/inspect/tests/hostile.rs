//! Bytes that are not what they seem.

use super::samples::{account_log, library_reads, now, official, samples};
use crate::inspect::input::{Encoding, recognised};
use crate::inspect::kinds::{Kind, read_as, recognise};
use crate::inspect::mls;
use crate::inspect::report::{to_json, to_text};
use crate::inspect::walk::{Context, Walk};
use conclave_mls::wire::{
    Bytes, CipherSuite, Credential, CredentialBinding, Decode, Encode, Extension, GroupInfo,
    MultiCredential, Writer,
};
use conclave_testkit::party::group_of;
use serde_json::Value as Json;
use std::sync::Arc;

fn all() -> Vec<(Kind, Vec<u8>)> {
    let mut all: Vec<_> = samples().into_iter().map(|s| (s.kind, s.bytes)).collect();
    // Each change of an account by itself: not all of a log's bytes are changed.
    all.extend(account_log().iter().map(|it| (Kind::AccountEntry, it.to_bytes().unwrap())));
    all.extend(official().into_iter().take(40));
    all
}

/// Reads bytes as of a kind, and holds the outcome to what the library's decoder says of them.
fn agrees(kind: Kind, bytes: &[u8], what: &str) {
    let contents = read_as(kind, bytes, &Context::default(), now());
    let readable = contents.stopped.is_none();
    assert_eq!(readable, library_reads(kind, bytes), "{kind:?}, {what}: {:?}", contents.stopped);
    if let Some(stop) = contents.stopped {
        assert!(stop.at <= bytes.len() && !stop.reason.is_empty(), "{kind:?}, {what}: {stop:?}");
    }
}

#[test]
fn a_file_that_ends_early_is_an_error_at_every_byte() {
    for (kind, bytes) in all() {
        for end in 0..bytes.len() {
            agrees(kind, &bytes[..end], &format!("cut at {end}"));
        }
    }
}

#[test]
fn changed_bytes_are_read_as_the_library_reads_them() {
    for (kind, bytes) in all() {
        for at in 0..bytes.len().min(450) {
            for change in [1, 0x3f, 0x40, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                agrees(kind, &changed, &format!("byte {at} ^ {change:#x}"));
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_an_error_with_their_place() {
    for sample in samples().into_iter().filter(|s| s.kind != Kind::LinkCode) {
        let longer = [sample.bytes.as_slice(), &[0xff]].concat();
        let contents = read_as(sample.kind, &longer, &sample.given, now());
        let stop = contents.stopped.unwrap();
        if ![Kind::JoinLink].contains(&sample.kind) {
            assert_eq!(stop.at, sample.bytes.len(), "{}: {stop:?}", sample.name);
        }
    }
}

#[test]
fn what_was_read_before_the_end_is_shown() {
    let package = samples().into_iter().find(|s| s.name == "key-package-message").unwrap();
    let cut = &package.bytes[..package.bytes.len() - 70];
    let contents = recognise(cut, &Context::default(), now());
    let stop = contents.stopped.clone().unwrap();
    assert_eq!(stop.field, "key_package.leaf_node.signature");
    let text = to_text("-", Encoding::Raw, cut.len(), &contents);
    assert!(text.contains("init_key: ") && text.contains("identity: "), "{text}");
    assert!(text.contains(&format!("STOPPED at byte {}, {}", stop.at, stop.field)), "{text}");

    // Of a list that the file ends in, too.
    let commit = samples().into_iter().find(|s| s.name == "public-commit").unwrap();
    let cut = &commit.bytes[..80];
    let json = to_json("-", Encoding::Raw, 80, &recognise(cut, &Context::default(), now()));
    let read = &json["items"][0]["value"]["public_message"]["content"]["commit"]["proposals"];
    assert_eq!(read[0]["proposal"]["proposal_type"]["name"], "remove", "{json}");
    assert_eq!(read[1]["type"]["name"], "reference", "{json}");
}

#[test]
fn lengths_that_no_input_has_take_no_memory() {
    let huge = [0xbf, 0xff, 0xff, 0xff];
    for kind in [Kind::RatchetTree, Kind::AccountLog, Kind::Commit, Kind::LeafNode] {
        let stop = read_as(kind, &huge, &Context::default(), now()).stopped.unwrap();
        assert!(stop.reason.contains("ends inside"), "{kind:?}: {stop:?}");
    }
    // A CBOR array of 2^64 - 1 items.
    let array = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert!(read_as(Kind::MimiStatus, &array, &Context::default(), now()).stopped.is_some());
}

#[test]
fn more_fields_than_the_limit_are_refused() {
    let mut w = Writer::new();
    w.put_vector(|w| {
        w.put_zeros(600_000);
        Ok(())
    })
    .unwrap();
    let contents = read_as(Kind::RatchetTree, &w.finish(), &Context::default(), now());
    let stop = contents.stopped.clone().unwrap();
    assert!(stop.reason.contains("more than 1048576 fields"), "{stop:?}");

    // What was read before is there, in its list.
    let json = to_json("-", Encoding::Raw, 600_004, &contents);
    let nodes = json["items"][0]["value"]["nodes"].as_array().unwrap();
    assert!((500_000..600_000).contains(&nodes.len()), "{}", nodes.len());
    assert_eq!(nodes[7]["node"], 7);
}

/// A commit of a group, with updates of leaves that have nothing in them.
fn commit_of(group: &[u8], updates: usize) -> Vec<u8> {
    let mut w = Writer::new();
    w.put(&[0, 1, 0, 1]);
    w.put_opaque(group).unwrap();
    w.put(&3u64.to_be_bytes());
    w.put(&[1, 0, 0, 0, 0, 0, 3]);
    w.put_vector(|w| {
        for _ in 0..updates {
            // By value, an update, a basic credential, the source `update`.
            w.put(&[1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
        }
        Ok(())
    })
    .unwrap();
    // No path, and no signature or tag.
    w.put(&[0, 0, 0, 0]);
    w.finish()
}

#[test]
fn structures_share_the_identifier_of_their_group() {
    let bytes = commit_of(&vec![7; 1 << 20], 10_000);
    let mut w = Walk::new(&bytes, &Context::default());
    mls::message(&mut w).unwrap();
    w.finish().unwrap();
    let (_, found) = w.take();
    let groups: Vec<_> = found.iter().map(|found| found.context.group.as_ref().unwrap()).collect();
    assert_eq!((groups.len(), groups[0].len()), (10_001, 1 << 20));
    assert!(groups.iter().all(|group| Arc::ptr_eq(group, groups[0])));
}

#[test]
fn a_long_identifier_of_a_group_is_not_hashed_for_each_leaf() {
    let given = Context { suite: Some(CipherSuite(1)), ..Context::default() };
    let reasons = |kind, bytes: &[u8], given: &Context| {
        let json = to_json("-", Encoding::Raw, 1, &read_as(kind, bytes, given, now()));
        let checks = json["items"][0]["checks"].as_array().unwrap().clone();
        let reasons = checks.iter().filter_map(|check| Some(check["reason"].as_str()?.to_string()));
        reasons.collect::<Vec<_>>()
    };
    let too_long = |reasons: &[String]| {
        reasons.iter().filter(|reason| reason.contains("more than 4096 bytes")).count()
    };
    for (length, expected) in [(4096, 0), (4097, 3)] {
        let said = reasons(Kind::MlsMessage, &commit_of(&vec![7; length], 3), &given);
        assert_eq!((said.len(), too_long(&said)), (4, expected), "{said:?}");
    }

    let tree = samples().into_iter().find(|sample| sample.name == "ratchet-tree").unwrap();
    let long = Context { group: Some(Arc::new(vec![7; 4097].into())), ..tree.given };
    assert_eq!(too_long(&reasons(tree.kind, &tree.bytes, &long)), 1);
}

/// Any list of bytes could be a log whose entries are malformed.
#[test]
fn a_log_is_recognised_by_its_entries() {
    let entry = account_log()[0].to_bytes().unwrap();
    let cut = &entry[..entry.len() - 1];
    for (entries, kind) in [([&entry, &entry[..]], Some(Kind::AccountLog)), ([&entry, cut], None)] {
        let log: Vec<Bytes> = entries.map(|entry| entry.to_vec().into()).to_vec();
        let log = log.to_bytes().unwrap();
        assert_eq!(recognise(&log, &Context::default(), now()).kind, kind);
        let named = read_as(Kind::AccountLog, &log, &Context::default(), now());
        assert_eq!(named.stopped, None);
        let shown = to_json("-", Encoding::Raw, log.len(), &named).to_string();
        assert_eq!(shown.contains("malformed"), kind.is_none(), "{shown}");
    }
}

#[test]
fn credentials_in_credentials_are_read_to_a_depth() {
    let mut credential = Credential::basic(b"alice");
    for _ in 0..200 {
        let binding = CredentialBinding {
            cipher_suite: CipherSuite(1),
            credential,
            credential_key: vec![1].into(),
            signature: [2].into(),
        };
        credential =
            MultiCredential { weak: false, bindings: vec![binding] }.to_credential().unwrap();
    }
    let bytes = credential.to_bytes().unwrap();
    let contents = read_as(Kind::Credential, &bytes, &Context::default(), now());
    assert_eq!(contents.stopped, None);
    let text = to_text("-", Encoding::Raw, bytes.len(), &contents);
    assert!(text.contains("nested too deeply"), "{text}");
    assert!(text.lines().count() < 100);
}

/// Of an extension that is known, bytes that are none of it are no reason to show nothing else.
#[test]
fn a_malformed_extension_hides_nothing_behind_it() {
    let message = group_of(&["alice"])[0].group_info();
    let mut info = GroupInfo::from_bytes(&message[4..]).unwrap();
    let shown = |info: &GroupInfo| {
        let bytes = info.to_bytes().unwrap();
        let contents = read_as(Kind::GroupInfo, &bytes, &Context::default(), now());
        to_json("-", Encoding::Raw, bytes.len(), &contents)
    };
    let verdicts = |json: &Json| {
        let checks = json["items"][0]["checks"].as_array().unwrap().clone();
        checks.iter().map(|c| c["verdict"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let whole = shown(&info);
    assert!(!whole.to_string().contains("malformed"));
    assert_eq!(verdicts(&whole), ["valid", "valid", "valid"], "{whole}");

    let wrong = [0, 5, 2, 0xc0, 0];
    info.group_context.extensions.push(Extension::from_bytes(&wrong).unwrap());
    let json = shown(&info);
    assert!(json.to_string().contains("malformed"), "{json}");
    assert_eq!(json["stopped"], Json::Null);
    assert_eq!(json["items"][0]["value"]["signature"], whole["items"][0]["value"]["signature"]);
    assert_eq!(verdicts(&json), ["valid", "invalid", "valid"], "{json}");
}

#[test]
fn an_encoding_is_recognised_or_forced() {
    let bytes = [0, 1, 0, 5, 0xff, 0xfe, 0xfb];
    let cases: [(&[u8], Encoding); 6] = [
        (&bytes, Encoding::Raw),
        (b"00010005fffefb\n", Encoding::Hex),
        (b"0001 0005\r\nFFFE FB", Encoding::Hex),
        (b"AAEABf/++w==\n", Encoding::Base64),
        (b"AAEABf/++w", Encoding::Base64),
        (b"AAEA\nBf_--w", Encoding::Base64),
    ];
    for (file, encoding) in cases {
        assert_eq!(recognised(file), (encoding, bytes.to_vec()));
        assert_eq!(encoding.decode(file), Some(bytes.to_vec()));
    }
    // Hexadecimal digits are base64, too.
    assert_eq!(Encoding::Base64.decode(b"0001").map(|b| b.len()), Some(3));
    for wrong in [b"0".as_slice(), b"0g", b"", b"\xff"] {
        assert_eq!(Encoding::Hex.decode(wrong), None);
    }
    assert_eq!(Encoding::Base64.decode(b"AAE*"), None);
}
