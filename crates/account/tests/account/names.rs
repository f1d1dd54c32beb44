use conclave_account::{DeviceId, Name, NameError};
use conclave_mls::wire::codec::{Decode, Writer};

#[test]
fn names_are_of_few_characters_and_bounded() {
    for good in ["a", "alice", "a.b_c-9", &"x".repeat(64)] {
        assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
    }
    for bad in ["", "Alice", "a b", "a/b", "ä", "a\n", ".", "..", "...", &"x".repeat(65)] {
        assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        let mut w = Writer::new();
        w.put_opaque(bad.as_bytes()).unwrap();
        assert!(Name::from_bytes(&w.finish()).is_err(), "{bad:?}");
    }
    assert_eq!("alice".parse::<DeviceId>(), Err(NameError::NoSlash));
    assert!("alice/".parse::<DeviceId>().is_err());
    assert!("alice/a/b".parse::<DeviceId>().is_err());
}

#[test]
fn an_identity_names_its_device() {
    let id = "alice/laptop".parse::<DeviceId>().unwrap();
    assert_eq!(DeviceId::from_identity(&id.identity()), Ok(id));
    assert!(DeviceId::from_identity(b"\xff/a").is_err());
}

/// Whatever becomes of a URI for users, a name is a segment of its path as it is (RFC 3986 sections 2.3 and 5.2.4).
#[test]
fn names_are_segments_of_uris_without_escaping() {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    for c in (0..=0x24f).filter_map(char::from_u32) {
        let is_name = |text: String| text.parse::<Name>().is_ok();
        if is_name(format!("a{c}")) {
            assert!(unreserved(c) && !c.is_ascii_uppercase(), "{c:?}");
        }
    }
    // What separates names from each other and from a domain is in none of them.
    for separator in ['/', '@', ':', '~'] {
        assert!(format!("a{separator}b").parse::<Name>().is_err(), "{separator}");
    }
    for segment in [".", ".."] {
        assert!(segment.parse::<Name>().is_err(), "{segment} is resolved away");
    }
    for uri in ["mimi://a.example/u/alice", "mimi://a.example/d/alice~phone"] {
        assert!(DeviceId::from_identity(uri.as_bytes()).is_err(), "{uri}");
    }
}
