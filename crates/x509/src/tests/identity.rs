//! From names to identities, and who may succeed whom (section 5.3.1).

use super::ca::{Ca, Key, SUITE, by_mail, ca_params, dns, mail, request, validate, validator};
use crate::{Certified, IdentityPolicy, Predecessor, X509Error, X509Validator};
use conclave_mls::Credential;
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::group::LeafIndex;
use rcgen::string::Ia5String;
use rcgen::{DnType, SanType};

const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

#[test]
fn all_names_of_a_certificate_are_presented() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
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
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    for names in [Vec::new(), vec![mail(ALICE), mail(BOB)]] {
        let member = root.issue(ALICE, &key, |p| p.subject_alt_names = names);
        let result = validate(&validator(&root), &request(&[&member], &key));
        assert_eq!(result, Err(X509Error::IdentityRefused));
    }
}

/// A request to replace a credential for one address by a credential for another.
fn update(root: &Ca, old: &str, new: &str) -> CredentialRequest {
    let old_key = Key::new(SUITE);
    let new_key = Key::new(SUITE);
    let old = root.issue(old, &old_key, |_| {});
    let new = root.issue(new, &new_key, |_| {});
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
    // Nor may an external commit that rejoins.
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

/// An application that moves its users from basic credentials to certificates and lets Alice change her
/// name.
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

/// The policy of an application with two companies: the first root's CAs speak for `a.org`, and the second's
/// for everybody else.
fn by_company(certified: &Certified) -> Option<Vec<u8>> {
    let [address] = certified.presented.email_addresses.as_slice() else { return None };
    let is_of_a = address.ends_with("@a.org");
    (certified.root? == usize::from(!is_of_a)).then(|| address.clone().into_bytes())
}

#[test]
fn the_policy_decides_which_root_may_speak_for_whom() {
    let a = Ca::root("a");
    let b = Ca::root("b");
    let key = Key::new(SUITE);
    let validator = X509Validator::new(&[&a.der, &b.der], by_company).unwrap();
    for (ca, address, accepted) in [
        (&a, "alice@a.org", true),
        (&b, "alice@a.org", false),
        (&a, "bob@b.org", false),
        (&b, "bob@b.org", true),
    ] {
        let member = ca.issue(address, &key, |_| {});
        let result = validate(&validator, &request(&[&member], &key)).map(drop);
        assert_eq!(result, if accepted { Ok(()) } else { Err(X509Error::IdentityRefused) });
    }
}

/// The identity with the CA that attests to it.
fn by_issuer(certified: &Certified) -> Option<Vec<u8>> {
    let issuer = certified.issuer()?;
    Some([by_mail(certified)?, issuer.public_key.clone()].concat())
}

#[test]
fn a_policy_can_refuse_another_cas_certificate_as_successor() {
    let root = Ca::root("root");
    let other = Ca::root("other");
    let first = root.ca("first", |_| {});
    let second = root.ca("second", |_| {});
    let roots = [&root.der, &other.der];
    let validator = X509Validator::new(&roots, by_issuer).unwrap();
    let renewal = |old: &Ca, new: &Ca| {
        let old_key = Key::new(SUITE);
        let new_key = Key::new(SUITE);
        let new_leaf = new.issue(ALICE, &new_key, |_| {});
        let mut request = request(&[&new_leaf, &new.der], &new_key);
        request.subject = CredentialSubject::Member(LeafIndex(1));
        let old_leaf = old.issue(ALICE, &old_key, |_| {});
        request.replaces = Some(crate::credential(&[&old_leaf, &old.der]));
        validate(&validator, &request).map(drop)
    };
    assert_eq!(renewal(&first, &first), Ok(()));
    assert_eq!(renewal(&first, &second), Err(X509Error::IdentityChanged));
    assert_eq!(renewal(&root, &other), Err(X509Error::IdentityChanged));

    // Nobody vouches for a certificate of a root that is no longer trusted.
    assert_eq!(renewal(&Ca::root("gone"), &first), Err(X509Error::IdentityChanged));
}

#[test]
fn the_policy_is_shown_the_verified_path() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let unrelated = Ca::root("unrelated");
    let upper = root.ca("upper", |p| p.subject_alt_names = vec![dns("upper.example.org")]);
    let lower = upper.ca("lower", |_| {});
    let member = lower.issue(ALICE, &key, |_| {});
    let chain = request(&[&member, &unrelated.der, &upper.der, &root.der, &lower.der], &key);
    let validator = X509Validator::new(&[&unrelated.der, &root.der], by_mail).unwrap();

    let certified = validate(&validator, &chain).unwrap().certified;
    assert_eq!(certified.certificate, member);
    assert_eq!(certified.root, Some(1));
    let names: Vec<_> = certified.issuers.iter().map(|ca| &ca.presented.common_names[0]).collect();
    assert_eq!(names, ["lower", "upper", "root"]);
    let ders: Vec<_> = certified.issuers.iter().map(|ca| &ca.certificate).collect();
    assert_eq!(ders, [&lower.der, &upper.der, &root.der]);
    assert_eq!(certified.issuer().unwrap().certificate, lower.der);
    assert_eq!(certified.issuers[1].presented.dns_names, ["upper.example.org"]);
    let key_of_lower = &lower.issuer.key().pair.public;
    assert!(certified.issuers[0].public_key.ends_with(key_of_lower));
}

#[test]
fn all_kinds_of_alternative_names_are_presented() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let principal = vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
    let member = root.issue(ALICE, &key, |p| {
        p.subject_alt_names.extend([
            SanType::IpAddress("10.1.2.3".parse().unwrap()),
            SanType::OtherName((principal, "alice@CORP".to_owned().into())),
            SanType::OtherName((vec![1, 2, 3, 4], "something".to_owned().into())),
        ]);
    });
    let names = validate(&validator(&root), &request(&[&member], &key)).unwrap();
    let names = names.certified.presented;
    assert_eq!(names.ip_addresses, [[10, 1, 2, 3]]);
    assert_eq!(names.user_principal_names, ["alice@CORP"]);

    let [(kind, value)] = names.other_names.as_slice() else { panic!() };
    assert_eq!(kind.to_string(), "1.2.3.4");
    assert_eq!(value, b"\x0c\x09something");
}

#[test]
fn a_path_that_the_policy_accepts_is_chosen() {
    let a = Ca::root("a");
    let b = Ca::root("b");
    let upper = b.ca("upper", |_| {});
    let ca = a.ca("ca", |_| {});
    let by_upper = ca_params("ca").signed_by(ca.issuer.key(), &upper.issuer).unwrap();
    // The path to the first root is shorter, but only the second may vouch for members.
    let by_b = |certified: &Certified| by_mail(certified).filter(|_| certified.root == Some(1));
    let validator = X509Validator::new(&[&a.der, &b.der], by_b).unwrap();

    let old_key = Key::new(SUITE);
    let key = Key::new(SUITE);
    let old = ca.issue(ALICE, &old_key, |_| {});
    let new = ca.issue(ALICE, &key, |_| {});
    let above: [&[u8]; 3] = [&ca.der, by_upper.der(), &upper.der];
    let chain = |leaf| -> Vec<&[u8]> { [leaf].into_iter().chain(above).collect() };
    let mut request = request(&chain(&new), &key);
    request.replaces = Some(crate::credential(&chain(&old)));
    let certified = validate(&validator, &request).unwrap().certified;
    assert_eq!(certified.root, Some(1));
    assert_eq!(certified.issuers.len(), 3);
    let only_a = X509Validator::new(&[&a.der], by_b).unwrap();
    assert_eq!(validate(&only_a, &request), Err(X509Error::IdentityRefused));
}
