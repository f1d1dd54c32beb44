//! A group whose members are identified by a certificate authority.
//!
//! ```text
//! cargo run -p conclave-x509 --example x509
//! ```
//!
//! This file creates a CA in place of a real one. Members join with certificates, one renews its certificate,
//! one tries to become somebody else, and one has a certificate from a CA that nobody trusts.
#![allow(clippy::print_stdout)]

use conclave_mls::credential::{LeafParams, signature_key_pair};
use conclave_mls::crypto::{self, SignatureKeyPair, Suite};
use conclave_mls::group::{
    Answers, CommitMessages, CommitOptions, GroupParams, LeafUpdate, NewGroup, NewProposal,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage};
use conclave_mls::storage::Outcome;
use conclave_mls::{
    CipherSuite, Config, Credential, Error, Event, Group, Received, Transition, UnixTime, apply,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_x509::{Certified, X509Validator, credential};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SignatureAlgorithm,
    date_time_ymd,
};
use std::time::{Duration, SystemTime};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const CRYPTO: RustCrypto = RustCrypto::new();
const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The operating system's randomness.
fn rng() -> impl crypto::CryptoRng {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

/// The time by the system's clock.
fn now() -> UnixTime {
    UnixTime::try_from(SystemTime::now()).unwrap_or(UnixTime::MIN)
}

/// A certificate authority with an ECDSA key: it need not use the group's algorithms.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

/// What the CA learns of a member's key: the public half of its MLS signature key.
struct MemberKey<'a>(&'a SignatureKeyPair);

impl PublicKeyData for MemberKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.0.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A certificate for a name, valid for some days from today.
fn certificate(name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let today = date_time_ymd(1970, 1, 1) + Duration::from_secs(now().as_secs());
    params.not_before = today - DAY;
    params.not_after = today + days * DAY;
    params
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut params = certificate(name, 3650);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// A certificate for a mail address and a key. A real CA would check both first.
    fn issue(&self, address: &str, key: &SignatureKeyPair) -> Result<Credential> {
        let mut params = certificate("a member", 90);
        params.subject_alt_names = vec![SanType::Rfc822Name(Ia5String::try_from(address)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // `id-kp-imUri`, for messaging.
        let purpose = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 40]);
        params.extended_key_usages = vec![purpose];
        let end_entity = params.signed_by(&MemberKey(key), &self.issuer)?.der().to_vec();
        // The root is left out: every member has it.
        Ok(credential(&[end_entity]))
    }
}

/// The application's policy: a member is identified by the only mail address in its certificate.
///
/// `member.issuers` and `member.root` show which CA attests to it. Here it does not matter: there is one root,
/// all of whose CAs may speak for everybody.
fn mail_address(member: &Certified) -> Option<Vec<u8>> {
    match member.presented.email_addresses.as_slice() {
        [address] => Some(address.clone().into_bytes()),
        _ => None,
    }
}

/// Keeps a group in memory only; the tour of `conclave-mls` shows how to store one.
fn stored(new: NewGroup) -> Result<Group> {
    Ok(new.store(|_rows| Ok::<_, Error>(()))?)
}

fn take<O: Outcome<Event>>(group: &mut Group, step: Transition<Group, O>) -> Result<O> {
    Ok(apply(group, step, |_write| Ok::<_, std::convert::Infallible>(()))?)
}

fn leaf(credential: Credential) -> LeafParams {
    LeafParams::new(credential, &[SUITE])
}

fn lifetime() -> Lifetime {
    Lifetime::starting_at(now(), 90 * DAY)
}

/// Creates a key package, and has the validator judge it.
fn key_package(
    ca: &Authority,
    validator: &X509Validator,
    address: &str,
) -> Result<(OwnKeyPackage, Result<ValidKeyPackage>)> {
    let signer = signature_key_pair(&CRYPTO, &mut rng(), SUITE)?;
    let leaf = leaf(ca.issue(address, &signer)?);
    let params = KeyPackageParams::new(SUITE, leaf, lifetime());
    let own = OwnKeyPackage::generate(&CRYPTO, &mut rng(), params, signer)?;
    let key_package = own.key_package().clone();
    let stage = ValidKeyPackage::check(&CRYPTO, now(), &Config::default(), key_package)?;
    let suite = Suite::new(&CRYPTO, SUITE)?;

    // `validate` returns whom a credential authenticates, `judge` a verdict.
    if let Ok(who) = validator.validate(&suite, now(), stage.credential()) {
        assert_eq!(who.identity, address.as_bytes());
        println!("a key package of {}", String::from_utf8_lossy(&who.identity));
    }

    let verdict = validator.judge(&suite, now(), stage.credential());
    Ok((own, stage.resolve(verdict).map_err(Into::into)))
}

/// Commits to another certificate for another key.
fn renew(ca: &Authority, group: &mut Group, address: &str) -> Result<CommitMessages> {
    let signer = signature_key_pair(&CRYPTO, &mut rng(), SUITE)?;
    let change = LeafUpdate { params: leaf(ca.issue(address, &signer)?), signer };
    let options = CommitOptions { leaf: Some(change), ..CommitOptions::default() };
    let step = group.commit(&CRYPTO, &mut rng(), now(), options)?;
    take(group, step)
}

/// Receives a commit: does the new certificate belong to the owner of the old one?
fn receive(group: &mut Group, validator: &X509Validator, commit: &[u8]) -> Result {
    let received = group.process(&CRYPTO, now(), commit).map_err(|refused| refused.error)?;
    let Received::Commit(stage) = received else { return Err("not a commit".into()) };
    let suite = Suite::new(&CRYPTO, SUITE)?;
    let verdicts = validator.judge_all(&suite, now(), stage.credentials());
    let answers = Answers { verdicts, ..Answers::default() };
    let step = stage.resolve(group, &CRYPTO, now(), &answers).map_err(|refused| refused.error)?;
    take(group, step).map(drop)
}

fn main() -> Result {
    let ca = Authority::new("the company")?;
    // Every client has the root certificate and the policy. Revocation lists and known intermediate
    // certificates would go in here, too.
    let validator = X509Validator::new(&[&ca.certificate], mail_address)?;

    // Alice creates a group. Her credential is the chain, and her signature key is the certificate's.
    let signer = signature_key_pair(&CRYPTO, &mut rng(), SUITE)?;
    let leaf_of_alice = leaf(ca.issue("alice@example.org", &signer)?);
    let group_id = b"a group".as_slice().into();
    let params = GroupParams::new(group_id, SUITE, leaf_of_alice, lifetime());
    let new = Group::create(&CRYPTO, &mut rng(), Config::default(), params, signer)?;
    let mut alice = stored(new)?;

    // A certificate from another CA is refused.
    let other_ca = Authority::new("the company")?;
    let (_, refused) = key_package(&other_ca, &validator, "bob@example.org")?;
    let Err(refused) = refused else { return Err("an impostor was accepted".into()) };
    println!("{refused}");

    // Bob's certificate is accepted. He judges Alice's when he joins.
    let (own, bob) = key_package(&ca, &validator, "bob@example.org")?;
    let proposals = vec![NewProposal::Add(Box::new(bob?))];
    let options = CommitOptions { proposals, ..CommitOptions::default() };
    let step = alice.commit(&CRYPTO, &mut rng(), now(), options)?;
    let messages = take(&mut alice, step)?;
    let step = alice.commit_accepted(&CRYPTO, now(), &messages.id)?;
    take(&mut alice, step)?;
    let welcome = messages.welcomes.first().ok_or("a Welcome")?;
    let stage = WelcomeStage::open(&CRYPTO, Config::default(), &welcome.message, &own)?;
    let join = stage.join(&CRYPTO, &[], None, None)?;
    let suite = Suite::new(&CRYPTO, SUITE)?;
    let verdicts = validator.judge_all(&suite, now(), join.credentials());
    let mut bob = stored(join.resolve(&verdicts)?)?;
    assert_eq!(alice.epoch_authenticator()?, bob.epoch_authenticator()?);
    println!("alice and bob are in epoch {}", bob.epoch());

    // Before his certificate expires, Bob presents a new one with a new key and the same address.
    let messages = renew(&ca, &mut bob, "bob@example.org")?;
    receive(&mut alice, &validator, &messages.commit)?;
    let step = bob.commit_accepted(&CRYPTO, now(), &messages.id)?;
    take(&mut bob, step)?;
    assert_eq!(alice.member(bob.own_leaf()), bob.own_member());
    assert_eq!(alice.epoch_authenticator()?, bob.epoch_authenticator()?);
    println!("bob has a new certificate: epoch {}", bob.epoch());

    // Somebody else's certificate is valid, but not a successor of Bob's.
    let commit = renew(&ca, &mut bob, "carol@example.org")?;
    let Err(refused) = receive(&mut alice, &validator, &commit.commit) else {
        return Err("bob became carol".into());
    };
    println!("{refused}");
    assert_eq!(alice.epoch(), bob.epoch());
    Ok(())
}
