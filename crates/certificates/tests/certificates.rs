//! CAs of every algorithm, the devices that they certify, and what is made of both.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

use conclave_account::DeviceId;
use conclave_certificates::{
    Bundle, CERTIFICATE, Ca, CaError, CertificateRequest, EndEntity, Ended, Lifetime, ListInfo,
    REQUEST, REVOCATION_LIST, RequestError, Revoked, Roots, RootsError, Standing, X509Error,
    credential, device_of, from_pem, to_pem,
};
use conclave_crypto::testing::TestRng;
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_mls::group::LeafIndex;
use conclave_mls::{Credential, UnixTime};
use conclave_provider_rustcrypto::RustCrypto;

const PROVIDER: RustCrypto = RustCrypto::new();
const DAY: u64 = 86_400;
const NOW: u64 = 1_800_000_000;
const ED25519: SignatureScheme = SignatureScheme::Ed25519;
const SCHEMES: [SignatureScheme; 4] =
    [ED25519, SignatureScheme::MlDsa44, SignatureScheme::MlDsa65, SignatureScheme::MlDsa87];

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds).unwrap()
}

fn days(from: i64, to: i64) -> Lifetime {
    let day = |n: i64| at(NOW.checked_add_signed(n * DAY as i64).unwrap());
    Lifetime { not_before: day(from), not_after: day(to) }
}

fn ca(scheme: SignatureScheme, seed: u64) -> Ca {
    let names = ("Example CA", "example.com");
    Ca::root(&PROVIDER, &mut TestRng(seed), scheme, names, days(-1, 3650)).unwrap()
}

/// A device with its key and credential.
struct Device {
    id: DeviceId,
    scheme: SignatureScheme,
    pair: SignatureKeyPair,
    serial: Vec<u8>,
    credential: Credential,
}

impl Device {
    fn new(ca: &Ca, id: &str, scheme: SignatureScheme, lifetime: Lifetime) -> Self {
        let mut rng = TestRng(NOW ^ scheme.code_point() as u64);
        let id: DeviceId = id.parse().unwrap();
        let pair = PROVIDER.signature_key_pair(scheme, &mut rng).unwrap();
        let request = CertificateRequest::make(&PROVIDER, &id, (scheme, &pair)).unwrap();
        let read = CertificateRequest::read(&PROVIDER, &request).unwrap();
        assert_eq!((&read.device, read.scheme, &read.key), (&id, scheme, &pair.public));
        let key = (read.scheme, &read.key);
        let (der, serial) = ca.issue(&PROVIDER, &mut rng, &read.device, key, lifetime).unwrap();
        Self { id, scheme, pair, serial, credential: credential(&[der]) }
    }

    fn request(&self, subject: CredentialSubject) -> CredentialRequest {
        CredentialRequest {
            subject,
            credential: self.credential.clone(),
            signature_key: self.pair.public.clone(),
            replaces: None,
        }
    }

    fn judged(&self, roots: &Roots) -> Result<DeviceId, X509Error> {
        let request = self.request(CredentialSubject::NewMember);
        roots.judge(&PROVIDER, self.scheme, at(NOW), &request)
    }

    fn standing(&self, roots: &Roots, now: u64) -> Standing {
        roots.standing(&PROVIDER, at(now), &self.credential, &self.pair.public)
    }
}

fn trusting(ca: &Ca) -> Roots {
    Roots::new(vec![ca.certificate().to_vec()]).unwrap()
}

#[test]
fn devices_of_every_algorithm_are_certified_by_cas_of_every_algorithm() {
    for ca_scheme in SCHEMES {
        let ca = ca(ca_scheme, 1);
        // Also after the CA was stored and loaded.
        let key = ca.private_key_pem().unwrap();
        let ca = Ca::load(&PROVIDER, ca.certificate().to_vec(), key.as_bytes()).unwrap();
        let roots = trusting(&ca);
        assert_eq!(roots.domain(), "example.com");
        for scheme in SCHEMES {
            let device = Device::new(&ca, "alice/laptop", scheme, days(-1, 30));
            assert_eq!(device.judged(&roots), Ok(device.id.clone()), "{ca_scheme:?} {scheme:?}");
            assert_eq!(device_of(&device.credential), Some(device.id.clone()));
            assert_eq!(device.standing(&roots, NOW), Standing::Active);
            let read = EndEntity::of(&device.credential).unwrap();
            assert_eq!((read.scheme, read.serial), (Some(scheme), device.serial.clone()));
        }
    }
}

#[test]
fn a_certificate_with_one_changed_byte_is_refused() {
    for scheme in SCHEMES {
        let ca = ca(scheme, 1);
        let mut device = Device::new(&ca, "alice/laptop", ED25519, days(-1, 30));
        let Credential::X509 { certificates } = &device.credential else { panic!() };
        let good = certificates[0].cert_data.to_vec();
        // In the signature, and in the name.
        let name = good.windows(12).position(|part| part == b"alice~laptop").unwrap();
        for place in [good.len() - 1, name] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            device.credential = credential(&[bad]);
            assert!(device.judged(&trusting(&ca)).is_err(), "{scheme:?} {place}");
        }
    }
}

#[test]
fn another_ca_and_another_domain_certify_nobody() {
    let (ours, theirs) = (ca(ED25519, 1), ca(ED25519, 2));
    let device = Device::new(&theirs, "alice/laptop", ED25519, days(-1, 30));
    assert!(device.judged(&trusting(&ours)).is_err());

    let names = ("Example CA", "example.org");
    let other = Ca::root(&PROVIDER, &mut TestRng(3), ED25519, names, days(-1, 3650)).unwrap();
    let both = vec![ours.certificate().to_vec(), other.certificate().to_vec()];
    assert!(matches!(Roots::new(both), Err(RootsError::Domains(..))));
    let leaf = Device::new(&ours, "alice/laptop", ED25519, days(-1, 30));
    let Credential::X509 { certificates } = leaf.credential else { panic!() };
    let leaf = vec![certificates[0].cert_data.to_vec()];
    assert_eq!(Roots::new(leaf).unwrap_err(), RootsError::NoDomain(0));
    assert_eq!(Roots::new(vec![]).unwrap_err(), RootsError::Count(0));
}

#[test]
fn a_device_cannot_be_certified_with_a_name_that_is_not_its_own_to_give() {
    let ca = ca(ED25519, 1);
    let pair = PROVIDER.signature_key_pair(ED25519, &mut TestRng(7)).unwrap();
    let id: DeviceId = "alice/laptop".parse().unwrap();
    let request = CertificateRequest::make(&PROVIDER, &id, (ED25519, &pair)).unwrap();
    // Somebody else's name in the request breaks its signature.
    let mut forged = request.clone();
    let at_name = forged.windows(5).position(|part| part == b"alice").unwrap();
    forged[at_name] = b'b';
    let refused = CertificateRequest::read(&PROVIDER, &forged);
    assert!(matches!(refused, Err(RequestError::Signature(_))), "{refused:?}");
    for length in 0..request.len() {
        assert!(CertificateRequest::read(&PROVIDER, &request[..length]).is_err());
    }
    // A CA does not certify itself as a device.
    let own = EndEntity::from_der(ca.certificate()).unwrap().key;
    let issued = ca.issue(&PROVIDER, &mut TestRng(8), &id, (ED25519, &own), days(0, 1));
    assert_eq!(issued.unwrap_err(), CaError::DeviceKey);
}

#[test]
fn a_revoked_certificate_is_refused_and_its_member_has_ended() {
    for scheme in [ED25519, SignatureScheme::MlDsa65] {
        let ca = ca(scheme, 1);
        let mut roots = trusting(&ca);
        let laptop = Device::new(&ca, "alice/laptop", ED25519, days(-1, 30));
        let phone = Device::new(&ca, "alice/phone", SignatureScheme::MlDsa65, days(-1, 30));
        let gone = Revoked { serial: phone.serial.clone(), at: at(NOW) };
        let empty = ca.revocation_list(&PROVIDER, 1, days(0, 7), &[]).unwrap();
        let full = ca.revocation_list(&PROVIDER, 2, days(0, 7), &[gone]).unwrap();

        assert!(roots.learn(&PROVIDER, std::slice::from_ref(&empty)));
        assert!(phone.judged(&roots).is_ok());
        assert!(roots.learn(&PROVIDER, std::slice::from_ref(&full)));
        assert_eq!(phone.judged(&roots), Err(X509Error::Revoked));
        assert_eq!(phone.standing(&roots, NOW), Standing::Ended(Ended::Revoked));
        assert!(laptop.judged(&roots).is_ok());
        assert_eq!(laptop.standing(&roots, NOW), Standing::Active);

        // The older list does not come back, and neither do forged ones.
        assert!(!roots.learn(&PROVIDER, &[empty, full.clone()]));
        let stranger = self::ca(scheme, 2);
        let forged = stranger.revocation_list(&PROVIDER, 9, days(0, 7), &[]).unwrap();
        assert!(!roots.learn(&PROVIDER, &[forged]));
        assert_eq!(roots.lists(), std::slice::from_ref(&full));
        assert_eq!(ListInfo::of(&full).unwrap().revoked, 1);
    }
}

#[test]
fn two_cas_of_one_name_have_a_list_each() {
    let (one, two) = (ca(ED25519, 1), ca(ED25519, 2));
    let certificates = [&one, &two].map(|ca| ca.certificate().to_vec());
    let mut roots = Roots::new(certificates.to_vec()).unwrap();
    let devices = [&one, &two].map(|ca| Device::new(ca, "alice/laptop", ED25519, days(-1, 30)));
    let gone = Revoked { serial: devices[1].serial.clone(), at: at(NOW) };
    let lists = [(&one, vec![]), (&two, vec![gone])]
        .map(|(ca, gone)| ca.revocation_list(&PROVIDER, 1, days(0, 7), &gone).unwrap());
    assert!(roots.learn(&PROVIDER, &lists));
    assert_eq!(roots.lists(), lists);
    assert!(devices[0].judged(&roots).is_ok());
    assert_eq!(devices[1].judged(&roots), Err(X509Error::Revoked));
}

#[test]
fn a_list_that_has_run_out_is_noticed() {
    let ca = ca(ED25519, 1);
    let mut roots = trusting(&ca);
    let device = Device::new(&ca, "alice/laptop", ED25519, days(-1, 30));
    let list = ca.revocation_list(&PROVIDER, 1, days(-8, -1), &[]).unwrap();
    assert!(roots.learn(&PROVIDER, &[list]));
    let refused = device.judged(&roots).unwrap_err();
    assert!(refused.needs_revocation_list(), "{refused}");
    assert!(matches!(device.standing(&roots, NOW), Standing::Unknown(_)));
    let fresh = ca.revocation_list(&PROVIDER, 2, days(0, 7), &[]).unwrap();
    assert!(roots.learn(&PROVIDER, &[fresh]));
    assert!(device.judged(&roots).is_ok());
    assert_eq!(roots.lists_until(), Some(at(NOW + 7 * DAY)));
}

#[test]
fn an_expired_certificate_is_refused_and_its_member_has_ended() {
    let ca = ca(ED25519, 1);
    let roots = trusting(&ca);
    let device = Device::new(&ca, "alice/laptop", ED25519, days(-30, -1));
    assert!(matches!(device.judged(&roots), Err(X509Error::Expired { .. })));
    for (now, ended) in [(NOW, true), (NOW + 90 * DAY, true), (NOW - 2 * DAY, false)] {
        let standing = device.standing(&roots, now);
        assert_eq!(matches!(standing, Standing::Ended(Ended::Expired(_))), ended, "{standing:?}");
    }
    // Whoever joins a group is not kept out by a member that has just expired.
    let member = device.request(CredentialSubject::Member(LeafIndex(0)));
    assert!(roots.judge(&PROVIDER, ED25519, at(NOW), &member).is_ok());
}

#[test]
fn a_renewed_certificate_with_another_key_is_a_successor_and_another_devices_is_not() {
    let ca = ca(ED25519, 1);
    let roots = trusting(&ca);
    let old = Device::new(&ca, "alice/laptop", ED25519, days(-30, 1));
    let renewed = Device::new(&ca, "alice/laptop", SignatureScheme::MlDsa44, days(-1, 30));
    let other = Device::new(&ca, "alice/phone", SignatureScheme::MlDsa44, days(-1, 30));
    let replacing = |device: &Device| {
        let subject = CredentialSubject::Member(LeafIndex(0));
        let replaces = Some(old.credential.clone());
        let request = CredentialRequest { replaces, ..device.request(subject) };
        roots.judge(&PROVIDER, device.scheme, at(NOW), &request)
    };
    assert_eq!(replacing(&renewed), Ok(renewed.id.clone()));
    assert_eq!(replacing(&other), Err(X509Error::IdentityChanged));
}

#[test]
fn what_is_written_as_pem_is_read_again() {
    let ca = ca(ED25519, 1);
    let list = ca.revocation_list(&PROVIDER, 1, days(0, 7), &[]).unwrap();
    let text = ca.certificate_pem().unwrap() + &to_pem(REVOCATION_LIST, &list).unwrap();
    let bundle = Bundle::from_pem(text.as_bytes()).unwrap();
    let expected = Bundle { certificates: vec![ca.certificate().to_vec()], lists: vec![list] };
    assert_eq!(bundle, expected);
    assert_eq!(Roots::from_pem(&PROVIDER, text.as_bytes()).unwrap().lists().len(), 1);

    let request = to_pem(REQUEST, b"der").unwrap();
    assert_eq!(from_pem(REQUEST, request.as_bytes()).unwrap(), b"der");
    assert!(from_pem(CERTIFICATE, request.as_bytes()).is_err());
    assert!(Bundle::from_pem(b"nothing").is_err());
}
