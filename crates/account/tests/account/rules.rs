//! The rules of a log, each with what an attacker would gain without it.

use crate::common::{Alice, ED25519, NOW, PROVIDER, author, device, name, pair, recovery};
use conclave_account::{
    Account, Author, Change, DeviceId, DeviceKey, Entry, EntryFault, MAX_DEVICES, MAX_ENTRIES,
    MAX_ENTRY, Standing,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject, SignaturePublicKey};
use conclave_mls::crypto::SignatureScheme;
use conclave_mls::wire::codec::{Decode, Encode};
use conclave_mls::{Credential, UnixTime, Verdict};
use core::time::Duration;

#[test]
fn an_active_device_adds_another() {
    let mut alice = Alice::new();
    let phone = alice.add("phone");
    match alice.account.standing(&name("phone"), &phone.public) {
        Standing::Active(device) => assert_eq!(device.added_by, author("laptop")),
        other => panic!("{other:?}"),
    }
    assert_eq!(alice.account.active().count(), 2);
    assert_eq!(Account::from_entries(&PROVIDER, &alice.log).unwrap(), alice.account);
}

#[test]
fn a_stranger_adds_no_device() {
    let alice = Alice::new();
    let mallory = pair(ED25519);
    let ghost = || Change::AddDevice(device("alice", "ghost", &mallory));

    // Under the laptop's name, the signature does not verify; under her own, she is nobody.
    let forged =
        Entry { author: author("laptop"), ..alice.draft(author("laptop"), &alice.laptop, ghost()) };
    let forged = Entry { signature: vec![7; 64].into(), ..forged };
    assert_eq!(alice.fault(&forged), Some(EntryFault::BadSignature));
    let own = Entry { author: author("ghost"), ..forged.clone() };
    assert_eq!(alice.fault(&own), Some(EntryFault::AuthorNotActive(name("ghost"))));
    let recovery = Entry { author: Author::Recovery, ..forged };
    assert_eq!(alice.fault(&recovery), Some(EntryFault::NoRecoveryKey));
}

#[test]
fn every_field_of_an_entry_is_signed() {
    let alice = Alice::new();
    let phone = pair(ED25519);
    let change = Change::AddDevice(device("alice", "phone", &phone));
    let entry = alice.draft(author("laptop"), &alice.laptop, change);
    let bytes = entry.to_bytes().unwrap();
    for position in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut flipped = bytes.clone();
            flipped[position] ^= bit;
            if let Ok(flipped) = Entry::from_bytes(&flipped) {
                assert!(alice.fault(&flipped).is_some(), "bit {bit} of byte {position}");
            }
        }
    }
    assert_eq!(alice.fault(&entry), None);
}

#[test]
fn a_revoked_device_signs_nothing_more() {
    let mut alice = Alice::new();
    let phone = alice.add("phone");
    // Signed while it was active, and held back until it no longer is.
    let tablet = pair(ED25519);
    let add = Change::AddDevice(device("alice", "tablet", &tablet));
    let early = alice.draft(author("phone"), &phone, add.clone());
    alice.change(Change::RevokeDevice(name("phone")));

    assert!(matches!(alice.fault(&early), Some(EntryFault::OutOfOrder { .. })));
    let late = Entry { author: author("phone"), ..alice.draft(author("laptop"), &phone, add) };
    assert_eq!(alice.fault(&late), Some(EntryFault::AuthorNotActive(name("phone"))));
    assert!(matches!(
        alice.account.standing(&name("phone"), &phone.public),
        Standing::Ended(_, end) if !end.rotated
    ));
}

#[test]
fn no_key_is_used_twice() {
    let mut alice = Alice::new();
    let phone = alice.add("phone");
    let again = |name: &str| Change::AddDevice(device("alice", name, &phone));
    let used = Some(EntryFault::KeyUsedBefore);
    assert_eq!(alice.fault(&alice.draft(author("laptop"), &alice.laptop, again("tablet"))), used);

    // Nor after its revocation, under whichever name, or as a recovery key.
    alice.change(Change::RevokeDevice(name("phone")));
    for change in [
        again("phone"),
        again("tablet"),
        Change::ReplaceRecovery(Some(recovery("alice", &phone))),
        Change::RotateKey(device("alice", "laptop", &phone)),
    ] {
        assert_eq!(alice.fault(&alice.draft(author("laptop"), &alice.laptop, change)), used);
    }

    // The name itself is free again.
    let new = pair(ED25519);
    alice.change(Change::AddDevice(device("alice", "phone", &new)));
    assert!(matches!(alice.account.standing(&name("phone"), &new.public), Standing::Active(_)));
    assert!(matches!(alice.account.standing(&name("phone"), &phone.public), Standing::Ended(..)));
}

#[test]
fn nobody_passes_off_anothers_key_as_their_own() {
    let alice = Alice::new();
    let bobs = pair(ED25519);
    // The proof was made for Bob's account, or is missing.
    let for_bob = device("bob", "phone", &bobs);
    let none = DeviceKey { proof: Vec::new().into(), ..for_bob.clone() };
    let renamed = DeviceKey { name: name("tablet"), ..device("alice", "phone", &bobs) };
    for key in [for_bob, none, renamed] {
        let entry = alice.draft(author("laptop"), &alice.laptop, Change::AddDevice(key));
        assert_eq!(alice.fault(&entry), Some(EntryFault::BadProof));
    }
}

#[test]
fn entries_of_other_logs_do_not_fit() {
    let mut alice = Alice::new();
    let other = Alice::new();
    let change = || Change::AddDevice(device("alice", "phone", &pair(ED25519)));
    let entry = other.draft(author("laptop"), &other.laptop, change());
    assert_eq!(alice.fault(&entry), Some(EntryFault::OtherHistory));

    let bob = Entry { user: name("bob"), ..entry };
    assert_eq!(alice.fault(&bob), Some(EntryFault::OtherUser(name("bob"))));

    // Two entries of one device for the same place: the second is refused, and a log that was rolled
    // back does not take the first's successor.
    let first = alice.draft(author("laptop"), &alice.laptop, change());
    let second = alice.draft(author("laptop"), &alice.laptop, change());
    alice.take(first);
    assert_eq!(alice.fault(&second), Some(EntryFault::OutOfOrder { expected: 2 }));
}

#[test]
fn time_does_not_run_backwards() {
    let alice = Alice::new();
    let earlier = NOW.saturating_sub(Duration::from_secs(1));
    let change = Change::AddDevice(device("alice", "phone", &pair(ED25519)));
    let entry = alice.draft(author("laptop"), &alice.laptop, change.clone());
    let backdated = Entry { issued_at: earlier, ..entry };
    assert_eq!(alice.fault(&backdated), Some(EntryFault::BeforePrevious));

    // A device whose clock is behind takes the last entry's time.
    let draft =
        alice.account.draft(&PROVIDER, author("laptop"), &alice.laptop, change, earlier).unwrap();
    assert_eq!(draft.issued_at, NOW);
    assert_eq!(alice.fault(&draft), None);
}

#[test]
fn a_key_is_active_between_its_two_entries() {
    let mut alice = Alice::new();
    let at = |seconds| NOW.saturating_add(Duration::from_secs(seconds));
    let phone = pair(ED25519);
    let mut change = |change, now: UnixTime| {
        let draft =
            alice.account.draft(&PROVIDER, author("laptop"), &alice.laptop, change, now).unwrap();
        alice.take(draft);
    };
    change(Change::AddDevice(device("alice", "phone", &phone)), at(10));
    change(Change::RevokeDevice(name("phone")), at(20));

    let active = |seconds| {
        let time = NOW.saturating_add(Duration::from_secs(seconds));
        alice.account.was_active(&name("phone"), &phone.public, time)
    };
    assert_eq!([0, 9, 10, 19, 20, 21].map(active), [false, false, true, true, false, false]);
}

#[test]
fn a_device_changes_its_own_key_and_no_others() {
    let mut alice = Alice::new();
    let phone = alice.add("phone");
    let new = pair(ED25519);
    let rotate = || Change::RotateKey(device("alice", "phone", &new));
    let by_laptop = alice.draft(author("laptop"), &alice.laptop, rotate());
    assert_eq!(alice.fault(&by_laptop), Some(EntryFault::NotItsOwnKey(name("phone"))));

    alice.take(alice.draft(author("phone"), &phone, rotate()));
    assert!(matches!(alice.account.standing(&name("phone"), &new.public), Standing::Active(_)));
    assert!(matches!(
        alice.account.standing(&name("phone"), &phone.public),
        Standing::Ended(_, end) if end.rotated
    ));
    // The old key signs nothing more.
    let old = alice.draft(author("phone"), &phone, Change::RevokeDevice(name("laptop")));
    assert_eq!(alice.fault(&old), Some(EntryFault::BadSignature));
}

#[test]
fn a_stolen_device_cannot_replace_the_recovery_key() {
    let mut alice = Alice::new();
    let words = pair(ED25519);
    alice.change(Change::ReplaceRecovery(Some(recovery("alice", &words))));

    let thief = pair(ED25519);
    for change in [None, Some(recovery("alice", &thief))].map(Change::ReplaceRecovery) {
        let entry = alice.draft(author("laptop"), &alice.laptop, change);
        assert_eq!(alice.fault(&entry), Some(EntryFault::RecoveryKeyRequired));
    }

    // The recovery key revokes the stolen device, even the last one, and adds a new one.
    alice.take(alice.draft(Author::Recovery, &words, Change::RevokeDevice(name("laptop"))));
    let new = pair(ED25519);
    let add = Change::AddDevice(device("alice", "new", &new));
    alice.take(alice.draft(Author::Recovery, &words, add));
    assert_eq!(alice.account.active().count(), 1);

    let replaced = Change::ReplaceRecovery(Some(recovery("alice", &thief)));
    alice.take(alice.draft(Author::Recovery, &words, replaced));
    let old = Change::ReplaceRecovery(Some(recovery("alice", &words)));
    let entry = alice.draft(Author::Recovery, &thief, old);
    assert_eq!(alice.fault(&entry), Some(EntryFault::KeyUsedBefore));
}

#[test]
fn an_account_always_keeps_a_key_that_can_sign() {
    let mut alice = Alice::new();
    let revoke = || Change::RevokeDevice(name("laptop"));
    let last = alice.draft(author("laptop"), &alice.laptop, revoke());
    assert_eq!(alice.fault(&last), Some(EntryFault::LastKey));

    let words = pair(ED25519);
    alice.change(Change::ReplaceRecovery(Some(recovery("alice", &words))));
    alice.change(revoke());
    let none = alice.draft(Author::Recovery, &words, Change::ReplaceRecovery(None));
    assert_eq!(alice.fault(&none), Some(EntryFault::LastKey));
}

#[test]
fn a_log_is_created_once_by_its_first_device() {
    let mut alice = Alice::new();
    let first = alice.log[0].clone();
    let again = Entry { sequence: 1, previous: Some(alice.account.head().hash), ..first.clone() };
    // Signed for another place, so the signature fails before the rule is asked.
    assert_eq!(alice.fault(&again), Some(EntryFault::BadSignature));
    let second = alice.draft(author("laptop"), &alice.laptop, first.change.clone());
    assert_eq!(alice.fault(&second), Some(EntryFault::MisplacedCreation));

    let fault = |entry: &Entry| Account::create(&PROVIDER, entry).unwrap_err().fault;
    let other_author = Entry { author: author("phone"), ..first.clone() };
    assert_eq!(fault(&other_author), EntryFault::AuthorNotActive(name("phone")));
    let by_recovery = Entry { author: Author::Recovery, ..first };
    assert_eq!(fault(&by_recovery), EntryFault::NoRecoveryKey);
    alice.add("phone");
    assert_eq!(fault(&alice.log[1]), EntryFault::MisplacedCreation);
    let empty = Account::from_entries(&PROVIDER, []).unwrap_err();
    assert_eq!(empty.fault, EntryFault::MisplacedCreation);
}

#[test]
fn devices_and_entries_are_bounded() {
    let mut alice = Alice::new();
    (1..MAX_DEVICES).for_each(|n| drop(alice.add(&format!("device-{n}"))));
    let change = || Change::AddDevice(device("alice", "one-more", &pair(ED25519)));
    let entry = alice.draft(author("laptop"), &alice.laptop, change());
    assert_eq!(alice.fault(&entry), Some(EntryFault::TooManyDevices));

    alice.change(Change::RevokeDevice(name("device-1")));
    while alice.account.head().length < MAX_ENTRIES {
        alice.add("device-1");
        if alice.account.head().length < MAX_ENTRIES {
            alice.change(Change::RevokeDevice(name("device-1")));
        }
    }
    let entry =
        alice.draft(author("laptop"), &alice.laptop, Change::RevokeDevice(name("device-2")));
    assert_eq!(alice.fault(&entry), Some(EntryFault::TooManyEntries));
}

#[test]
fn other_signature_schemes_serve_as_well() {
    for scheme in [SignatureScheme::EcdsaSecp256r1Sha256, SignatureScheme::MlDsa87] {
        let (one, two) = (pair(scheme), pair(scheme));
        let key = |device: &str, pair| {
            DeviceKey::proved(&PROVIDER, &name("alice"), name(device), scheme, pair).unwrap()
        };
        let entry =
            Account::draft_creation(&PROVIDER, &name("alice"), key("laptop", &one), &one, NOW);
        let mut account = Account::create(&PROVIDER, &entry.unwrap()).unwrap();
        let add = Change::AddDevice(key("phone", &two));
        let entry = account.draft(&PROVIDER, author("laptop"), &one, add, NOW).unwrap();
        assert!(entry.to_bytes().unwrap().len() < MAX_ENTRY);
        account.apply(&PROVIDER, &entry).unwrap();
        assert!(matches!(account.standing(&name("phone"), &two.public), Standing::Active(_)));
    }
}

#[test]
fn entries_and_accounts_have_one_encoding() {
    let mut alice = Alice::new();
    alice.add("phone");
    alice.change(Change::ReplaceRecovery(Some(recovery("alice", &pair(ED25519)))));
    alice.change(Change::RevokeDevice(name("phone")));
    for entry in &alice.log {
        let bytes = entry.to_bytes().unwrap();
        assert_eq!(Entry::from_bytes(&bytes).as_ref(), Ok(entry));
        let more = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(Entry::from_bytes(&more), Err(EntryFault::Malformed(_))));
        for length in 0..bytes.len() {
            assert!(Entry::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
    assert_eq!(Entry::from_bytes(&vec![1; MAX_ENTRY + 1]), Err(EntryFault::TooLong));

    let bytes = alice.account.to_bytes().unwrap();
    assert_eq!(<Account as Decode>::from_bytes(&bytes), Ok(alice.account));
}

#[test]
fn the_verdict_follows_the_log() {
    let mut alice = Alice::new();
    let phone = alice.add("phone");
    let request = |device: &str, key: &SignaturePublicKey| CredentialRequest {
        subject: CredentialSubject::KeyPackage,
        credential: Credential::basic(&device.parse::<DeviceId>().unwrap().identity()),
        signature_key: key.clone(),
        replaces: None,
    };
    let accepts = |alice: &Alice, request: &CredentialRequest| {
        alice.account.verdict(request) == Verdict::Accept
    };

    let good = request("alice/phone", &phone.public);
    assert!(accepts(&alice, &good));
    assert!(!accepts(&alice, &request("alice/laptop", &phone.public)));
    assert!(!accepts(&alice, &request("bob/phone", &phone.public)));
    assert!(!accepts(&alice, &request("alice/tablet", &phone.public)));
    let taken = Some(Credential::basic(b"alice/laptop"));
    assert!(!accepts(&alice, &CredentialRequest { replaces: taken, ..good.clone() }));
    let own = Some(Credential::basic(b"alice/phone"));
    assert!(accepts(&alice, &CredentialRequest { replaces: own, ..good.clone() }));

    alice.change(Change::RevokeDevice(name("phone")));
    assert_eq!(alice.account.verdict(&good), Verdict::refuse("alice/phone was revoked"));
}
