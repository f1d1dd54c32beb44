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
