//! Paths: who may issue what.

use super::ca::{Ca, Key, SUITE, by_mail, ca_params, dns, mail, request, validate, validator};
use crate::{EKU_CLIENT_AUTH, RevocationPolicy, Settings, X509Error, X509Validator};
use rcgen::string::{Ia5String, PrintableString};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyUsagePurpose, NameConstraints,
};

const ALICE: &str = "alice@example.org";

/// Validates a member below a CA below a root, with both certificates changed.
fn result(
    of_ca: impl FnOnce(&mut CertificateParams),
    of_member: impl FnOnce(&mut CertificateParams),
) -> Result<(), X509Error> {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", of_ca);
    let member = ca.issue(ALICE, &key, of_member);
    validate(&validator(&root), &request(&[&member, &ca.der], &key)).map(drop)
}

#[test]
fn an_intermediate_may_be_sent_or_known_but_not_missing() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let member = ca.issue(ALICE, &key, |_| {});
    let short = request(&[&member], &key);
    let long = request(&[&member, &ca.der], &key);
    let unaware = validator(&root);
    validate(&unaware, &long).unwrap();
    assert_eq!(validate(&unaware, &short), Err(X509Error::UnknownIssuer));
    let aware = validator(&root).with_intermediates(&[&ca.der]).unwrap();
    validate(&aware, &long).unwrap();
    validate(&aware, &short).unwrap();
}

#[test]
fn a_known_intermediate_is_not_trusted_in_itself() {
    let root = Ca::root("root");
    let other = Ca::root("other");
    let key = Key::new(SUITE);
    let ca = other.ca("ca", |_| {});
    let member = ca.issue(ALICE, &key, |_| {});
    let aware = validator(&root).with_intermediates(&[&ca.der, &other.der]).unwrap();
    assert_eq!(validate(&aware, &request(&[&member], &key)), Err(X509Error::UnknownIssuer));
}

#[test]
fn a_chain_to_an_unknown_root_is_refused() {
    let root = Ca::root("root");
    let other = Ca::root("other");
    let key = Key::new(SUITE);
    let member = other.issue(ALICE, &key, |_| {});
    for chain in [vec![member.as_slice()], vec![&member, &other.der]] {
        let result = validate(&validator(&root), &request(&chain, &key));
        assert_eq!(result, Err(X509Error::UnknownIssuer));
    }
}

#[test]
fn a_root_of_the_right_name_but_another_key_is_not_the_issuer() {
    let root = Ca::root("root");
    let other = Ca::root("root");
    let key = Key::new(SUITE);
    let member = other.issue(ALICE, &key, |_| {});
    let result = validate(&validator(&root), &request(&[&member, &other.der], &key));
    assert_eq!(result, Err(X509Error::InvalidSignature));
}

#[test]
fn no_certificate_with_a_flipped_bit_is_accepted() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let validator = validator(&root);
    validate(&validator, &request(&[&member], &key)).unwrap();
    for i in 0..member.len() {
        let mut flipped = member.clone();
        flipped[i] ^= 1 << (i % 8);
        assert!(validate(&validator, &request(&[&flipped], &key)).is_err(), "byte {i}");
    }

    let mut flipped = member.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let result = validate(&validator, &request(&[&flipped], &key));
    assert_eq!(result, Err(X509Error::InvalidSignature));
}

#[test]
fn a_self_signed_end_entity_is_refused_even_if_it_is_a_root() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let own = CertificateParams::default().self_signed(&key).unwrap().der().to_vec();
    let with_own = X509Validator::new(&[&root.der, &own], by_mail).unwrap();
    for validator in [validator(&root), with_own] {
        assert!(validate(&validator, &request(&[&own], &key)).is_err());
    }
}

#[test]
fn an_issuer_without_the_ca_flag_is_refused() {
    let no_ca = |p: &mut CertificateParams| p.is_ca = IsCa::NoCa;
    assert_eq!(result(no_ca, |_| {}), Err(X509Error::IssuerNotCa));
    let said_so = |p: &mut CertificateParams| p.is_ca = IsCa::ExplicitNoCa;
    assert_eq!(result(said_so, |_| {}), Err(X509Error::IssuerNotCa));
}

#[test]
fn a_ca_is_refused_as_a_member() {
    let ca = |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(result(|_| {}, ca), Err(X509Error::EndEntityIsCa));
}

#[test]
fn an_issuer_that_may_not_sign_certificates_is_refused() {
    let usage = |p: &mut CertificateParams| p.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert_eq!(result(usage, |_| {}), Err(X509Error::IssuerKeyUsage));
    result(|p| p.key_usages.clear(), |_| {}).unwrap();
}

#[test]
fn an_issuer_that_may_not_sign_does_not_hide_one_that_may() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let mut unfit = ca_params("ca");
    unfit.key_usages = vec![KeyUsagePurpose::CrlSign];
    let unfit = unfit.signed_by(ca.issuer.key(), &root.issuer).unwrap().der().to_vec();
    let member = ca.issue(ALICE, &key, |_| {});
    let both = request(&[&member, &unfit, &ca.der], &key);
    validate(&validator(&root), &both).unwrap();
    let only = request(&[&member, &unfit], &key);
    assert_eq!(validate(&validator(&root), &only), Err(X509Error::IssuerKeyUsage));
}

#[test]
fn more_cas_than_an_issuer_allows_are_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let limited =
        |n| move |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(n));
    for (allowed, want) in [(0, Err(X509Error::PathLength)), (1, Ok(()))] {
        let upper = root.ca("upper", limited(allowed));
        let lower = upper.ca("lower", |_| {});
        let member = lower.issue(ALICE, &key, |_| {});
        let request = request(&[&member, &lower.der, &upper.der], &key);
        assert_eq!(validate(&validator(&root), &request).map(drop), want);
    }
}

#[test]
fn a_path_over_the_librarys_length_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    for (cas, want) in [(6, Ok(())), (7, Err(X509Error::PathTooComplex))] {
        let mut chain = vec![root.ca("ca 0", |_| {})];
        for i in 1..cas {
            chain.push(chain[i - 1].ca(&format!("ca {i}"), |_| {}));
        }
        let member = chain[cas - 1].issue(ALICE, &key, |_| {});
        let mut ders = vec![member.as_slice()];
        ders.extend(chain.iter().map(|ca| ca.der.as_slice()));
        assert_eq!(validate(&validator(&root), &request(&ders, &key)).map(drop), want);
    }
}

fn only(subtree: GeneralSubtree) -> impl FnOnce(&mut CertificateParams) {
    move |p| {
        let permitted_subtrees = vec![subtree];
        p.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    }
}

#[test]
fn a_name_outside_an_issuers_constraints_is_refused() {
    let org = || only(GeneralSubtree::DnsName("example.org".into()));
    let named =
        |name: &'static str| move |p: &mut CertificateParams| p.subject_alt_names.push(dns(name));
    result(org(), named("alice.example.org")).unwrap();
    assert_eq!(result(org(), named("example.com")), Err(X509Error::NameConstraint));
    let not_org = |p: &mut CertificateParams| {
        let excluded_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
        p.name_constraints =
            Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
    };
    assert_eq!(result(not_org, named("alice.example.org")), Err(X509Error::NameConstraint));
    result(not_org, named("example.com")).unwrap();
}

#[test]
fn a_constraint_that_is_not_evaluated_refuses_names_of_its_kind() {
    let org = only(GeneralSubtree::Rfc822Name("example.org".into()));
    assert_eq!(result(org, |_| {}), Err(X509Error::NameConstraint));
}

#[test]
fn a_key_that_is_not_for_signatures_is_refused() {
    let usage = |p: &mut CertificateParams| p.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    assert_eq!(result(|_| {}, usage), Err(X509Error::KeyUsage));
    result(|_| {}, |p| p.key_usages.clear()).unwrap();
}

#[test]
fn a_certificate_for_other_purposes_is_refused() {
    use ExtendedKeyUsagePurpose as P;
    let with = |purposes: Vec<P>| move |p: &mut CertificateParams| p.extended_key_usages = purposes;
    let im_uri = || P::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 40]);
    assert_eq!(result(|_| {}, with(vec![P::ServerAuth])), Err(X509Error::KeyPurpose));
    assert_eq!(result(with(vec![P::ServerAuth]), |_| {}), Err(X509Error::KeyPurpose));

    result(with(vec![P::Any]), with(vec![P::ServerAuth, im_uri()])).unwrap();
    // And with the application's setting.
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, with(vec![P::ClientAuth]));
    let request = request(&[&member], &key);
    assert_eq!(validate(&validator(&root), &request), Err(X509Error::KeyPurpose));

    let settings = Settings { key_purposes: vec![EKU_CLIENT_AUTH], ..Settings::default() };
    validate(&validator(&root).with_settings(settings), &request).unwrap();
}

#[test]
fn a_certificate_without_a_purpose_is_refused_if_the_setting_asks() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let settings = Settings { require_key_purpose: true, ..Settings::default() };
    let strict = validator(&root).with_settings(settings);
    let purpose = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 40]);
    for (purposes, want) in [(vec![], Err(X509Error::KeyPurpose)), (vec![purpose], Ok(()))] {
        let member = root.issue(ALICE, &key, |p| p.extended_key_usages = purposes);
        let request = request(&[&member], &key);
        assert_eq!(validate(&strict, &request).map(drop), want);
        validate(&validator(&root), &request).unwrap();
    }
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let unknown = |critical| {
        move |p: &mut CertificateParams| {
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 7], vec![5, 0]);
            extension.set_criticality(critical);
            p.custom_extensions.push(extension);
        }
    };
    let refused = Err(X509Error::UnsupportedCriticalExtension);
    assert_eq!(result(|_| {}, unknown(true)), refused);
    assert_eq!(result(unknown(true), |_| {}), refused);
    result(unknown(false), unknown(false)).unwrap();
}

#[test]
fn superfluous_certificates_do_no_harm() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let other = root.ca("other", |_| {});
    let member = ca.issue(ALICE, &key, |p| p.subject_alt_names = vec![mail(ALICE)]);
    let chain = request(&[&member, &other.der, &root.der, &ca.der], &key);
    validate(&validator(&root), &chain).unwrap();
}

/// The same CA with another spelling of its name.
fn spelt(ca: &Ca, name: impl Into<DnValue>) -> Ca {
    let mut params = ca_params("");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ca { issuer: Issuer::new(params, ca.issuer.key().clone()), der: Vec::new() }
}

#[test]
fn issuers_names_compare_without_case_string_type_and_runs_of_spaces() {
    let root = Ca::root("The Root");
    let key = Key::new(SUITE);
    let ca = root.ca("The CA", |_| {});
    let printable = DnValue::PrintableString(PrintableString::try_from("The CA").unwrap());
    let upper_case = spelt(&ca, "THE  ca ");
    for issuer in [&spelt(&ca, printable), &upper_case] {
        let member = issuer.issue(ALICE, &key, |_| {});
        let request = request(&[&member, &ca.der], &key);
        let mut validator = validator(&root);
        validate(&validator, &request).unwrap();

        // Its revocation list, too.
        let lists = [super::revocation::list_until(&root, &[], 2)];
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
        assert_eq!(validate(&validator, &request), Err(X509Error::RevocationUnknown));
        let lists = [lists[0].clone(), super::revocation::list_until(&upper_case, &[], 2)];
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
        validate(&validator, &request).unwrap();
    }
    let below = spelt(&root, "the root").issue(ALICE, &key, |_| {});
    validate(&validator(&root), &request(&[&below], &key)).unwrap();
}

#[test]
fn a_name_that_compares_equal_does_not_replace_the_signature() {
    let root = Ca::root("root");
    let other = Ca::root("ROOT");
    let key = Key::new(SUITE);
    let member = other.issue(ALICE, &key, |_| {});
    let result = validate(&validator(&root), &request(&[&member, &other.der], &key));
    assert_eq!(result, Err(X509Error::InvalidSignature));
    let another = spelt(&root, "other root").issue(ALICE, &key, |_| {});
    let result = validate(&validator(&root), &request(&[&another], &key));
    assert_eq!(result, Err(X509Error::UnknownIssuer));
}

#[test]
fn mail_constraints_apply_to_a_subject_without_alternative_names() {
    let excluded = |p: &mut CertificateParams| {
        let excluded_subtrees = vec![GeneralSubtree::Rfc822Name("example.com".into())];
        p.name_constraints =
            Some(NameConstraints { permitted_subtrees: Vec::new(), excluded_subtrees });
    };
    let in_subject = |p: &mut CertificateParams| {
        p.subject_alt_names.clear();
        let kind = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let address = Ia5String::try_from("alice@example.com").unwrap();
        p.distinguished_name.push(kind, DnValue::Ia5String(address));
    };

    // A policy that uses such an address reads it from the subject.
    let by_subject = |certified: &crate::Certified| Some(certified.presented.subject.clone());
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let validator = X509Validator::new(&[&root.der], by_subject).unwrap();

    for (constrained, want) in [(true, Err(X509Error::NameConstraint)), (false, Ok(()))] {
        let upper = root.ca("upper", |p| {
            if constrained {
                excluded(p)
            }
        });
        let lower = upper.ca("lower", |_| {});
        let member = lower.issue(ALICE, &key, in_subject);
        let request = request(&[&member, &lower.der, &upper.der], &key);
        assert_eq!(validate(&validator, &request).map(drop), want);
    }

    // The same holds for a constraint of the issuer itself, and for a root's.
    let ca = root.ca("ca", excluded);
    let request_below = request(&[&ca.issue(ALICE, &key, in_subject), &ca.der], &key);
    assert_eq!(validate(&validator, &request_below), Err(X509Error::NameConstraint));

    let mut params = ca_params("root");
    excluded(&mut params);
    let der = params.self_signed(root.issuer.key()).unwrap().der().to_vec();
    let validator = X509Validator::new(&[&der], by_subject).unwrap();
    let member = root.issue(ALICE, &key, in_subject);
    let result = validate(&validator, &request(&[&member], &key));
    assert_eq!(result, Err(X509Error::NameConstraint));
}

#[test]
fn a_duplicate_extension_is_refused() {
    let twice = |p: &mut CertificateParams| {
        for content in [vec![5, 0], vec![4, 0]] {
            let id = [1, 3, 6, 1, 4, 1, 7];
            p.custom_extensions.push(CustomExtension::from_oid_content(&id, content));
        }
    };
    assert_eq!(result(|_| {}, twice), Err(X509Error::DuplicateExtension { index: 0 }));
    assert_eq!(result(twice, |_| {}), Err(X509Error::DuplicateExtension { index: 1 }));

    let known_twice = |p: &mut CertificateParams| {
        let usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80]);
        p.custom_extensions.push(usage);
    };
    assert_eq!(result(|_| {}, known_twice), Err(X509Error::DuplicateExtension { index: 0 }));
}

#[test]
fn a_member_cannot_certify_others() {
    let root = Ca::root("root");
    let own = Key::new(SUITE);
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &own, |_| {});
    let as_ca = Ca { issuer: Issuer::new(ca_params("a member"), own), der: member.clone() };
    let victim = as_ca.issue("bob@example.org", &key, |_| {});
    let validator = X509Validator::new(&[&root.der], by_mail).unwrap();
    let result = validate(&validator, &request(&[&victim, &member], &key));
    assert_eq!(result, Err(X509Error::IssuerNotCa));
}

#[test]
fn a_root_of_the_right_key_but_another_name_is_not_the_issuer() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let renamed = ca_params("renamed").self_signed(root.issuer.key()).unwrap().der().to_vec();
    let request = request(&[&root.issue(ALICE, &key, |_| {})], &key);
    let validator = X509Validator::new(&[&renamed], by_mail).unwrap();
    assert_eq!(validate(&validator, &request), Err(X509Error::UnknownIssuer));
    let validator = X509Validator::new(&[&renamed, &root.der], by_mail).unwrap();
    assert_eq!(validate(&validator, &request).unwrap().certified.root, Some(1));
}

#[test]
fn a_path_is_found_among_cas_that_all_certify_each_other() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let name = |i: usize| format!("ca {i}");
    let cas: Vec<_> = (0..6).map(|i| Ca::root(&name(i))).collect();
    let certify = |by: &Ca, i: usize| {
        let certified = ca_params(&name(i)).signed_by(cas[i].issuer.key(), &by.issuer);
        certified.unwrap().der().to_vec()
    };
    let mut known = Vec::new();

    for (i, by) in cas.iter().enumerate() {
        known.extend((0..6).filter(|j| *j != i).map(|j| certify(by, j)));
    }

    let member = cas[5].issue(ALICE, &key, |_| {});
    let request = request(&[&member], &key);
    let unrooted = validator(&root).with_intermediates(&known).unwrap();
    assert_eq!(validate(&unrooted, &request), Err(X509Error::UnknownIssuer));

    known.push(certify(&root, 0));
    let rooted = validator(&root).with_intermediates(&known).unwrap();

    // The shortest path leads over the only CA that the root certifies.
    assert_eq!(validate(&rooted, &request).unwrap().certified.issuers.len(), 3);
}
