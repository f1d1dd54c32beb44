//! From names to identities, and who may follow whom (section 5.3.1).

use super::ca::{Ca, Key, SUITE, by_mail, dns, mail, request, validate, validator};
use crate::{Certified, IdentityPolicy, Predecessor, X509Error, X509Validator};
use conclave_mls::{Credential, CredentialRequest, CredentialSubject, LeafIndex};
use rcgen::string::Ia5String;
use rcgen::{DnType, SanType};

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

#[test]
fn all_names_of_a_certificate_are_presented() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let uri = SanType::URI(Ia5String::try_from("im:Alice@example.org").unwrap());
    let member = root.issue(ALICE, &key, |p| {
        p.subject_alt_names = vec![dns("Phone.Example.ORG"), uri, mail(ALICE), dns("*.b.org")];
        p.distinguished_name.push(DnType::OrganizationName, "Example");
    });
    let names = validate(&validator(&root), &request(&[&member], &key)).unwrap();
    let names = names.certified.presented;
    assert_eq!(names.dns_names, ["phone.example.org", "*.b.org"]);
    assert_eq!(names.email_addresses, [ALICE]);
    assert_eq!(names.uris, ["im:Alice@example.org"]);
    assert_eq!(names.common_names, ["a member"]);
    assert!(names.subject.windows(7).any(|w| w == b"Example"));
}

#[test]
fn names_that_the_policy_does_not_map_are_refused() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    for names in [Vec::new(), vec![mail(ALICE), mail(BOB)]] {
        let member = root.issue(ALICE, &key, |p| p.subject_alt_names = names);
        let result = validate(&validator(&root), &request(&[&member], &key));
        assert_eq!(result, Err(X509Error::IdentityRefused));
    }
}

/// A request for an update from one address to another.
fn update(root: &Ca, old: &str, new: &str) -> CredentialRequest {
    let (old_key, new_key) = (Key::new(SUITE), Key::new(SUITE));
    let (old, new) = (root.issue(old, &old_key, |_| {}), root.issue(new, &new_key, |_| {}));
    let mut request = request(&[&new], &new_key);
    request.subject = CredentialSubject::Member(LeafIndex(1));
    request.replaces = Some(crate::credential(&[&old]));
    request
}

#[test]
fn an_update_may_not_change_the_identity() {
    let root = Ca::root("root");
    validate(&validator(&root), &update(&root, ALICE, ALICE)).unwrap();
    let result = validate(&validator(&root), &update(&root, ALICE, BOB));
    assert_eq!(result, Err(X509Error::IdentityChanged));
    // Nor may somebody who rejoins by an external commit.
    let mut request = update(&root, ALICE, BOB);
    request.subject = CredentialSubject::ExternalJoiner;
    assert_eq!(validate(&validator(&root), &request), Err(X509Error::IdentityChanged));
}

#[test]
fn a_predecessor_that_cannot_be_read_has_no_successor() {
    let root = Ca::root("root");
    let mut request = update(&root, ALICE, ALICE);
    for old in [&[][..], &[b"no certificate".as_slice()]] {
        request.replaces = Some(crate::credential(old));
        let result = validate(&validator(&root), &request);
        assert_eq!(result, Err(X509Error::PredecessorUnreadable));
    }
}

/// An application that moves its users from basic credentials to certificates, and lets Alice
/// marry.
struct Moving;

impl IdentityPolicy for Moving {
    fn identity(&self, certified: &Certified) -> Option<Vec<u8>> {
        by_mail(certified)
    }

    fn is_successor(&self, old: Predecessor<'_>, new: &Certified) -> bool {
        let Some(new) = self.identity(new) else { return false };
        match old {
            Predecessor::Basic(name) => name == new,
            Predecessor::X509(old) => {
                let old = self.identity(old);
                old.as_deref() == Some(&new)
                    || (old.as_deref() == Some(ALICE.as_bytes()) && new == b"alice.b@example.org")
            }
        }
    }
}

#[test]
fn the_application_decides_who_is_a_successor() {
    let root = Ca::root("root");
    let moving = X509Validator::new(&[&root.der], Moving).unwrap();
    validate(&moving, &update(&root, ALICE, "alice.b@example.org")).unwrap();
    let back = update(&root, "alice.b@example.org", ALICE);
    assert_eq!(validate(&moving, &back), Err(X509Error::IdentityChanged));
    let mut request = update(&root, ALICE, ALICE);
    request.replaces = Some(Credential::basic(ALICE.as_bytes()));
    validate(&moving, &request).unwrap();
    // Not by default.
    assert_eq!(validate(&validator(&root), &request), Err(X509Error::IdentityChanged));
    request.replaces = Some(Credential::basic(BOB.as_bytes()));
    assert_eq!(validate(&moving, &request), Err(X509Error::IdentityChanged));
}
