//! A group whose members are who a certificate authority says.
//!
//! ```text
//! cargo run -p conclave-x509 --example x509
//! ```
//!
//! The CA here is made in this file, in place of a real one. Members join with certificates, one
//! renews its certificate, one tries to become somebody else, and one has a certificate of a CA that
//! nobody trusts.
#![allow(clippy::print_stdout)]

use conclave_mls::crypto::{SignatureKeyPair, Suite};
use conclave_mls::*;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_x509::{Certified, X509Validator, credential};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SignatureAlgorithm,
    date_time_ymd,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const CRYPTO: RustCrypto = RustCrypto::new();
const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
const DAY: u64 = 24 * 3600;

/// The operating system's randomness.
fn rng() -> impl crypto::CryptoRng {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A certificate authority, with an ECDSA key of its own: it need not use the group's algorithms.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

/// What the CA is shown of a member: the public half of its MLS signature key.
struct MemberKey<'a>(&'a SignatureKeyPair);

impl PublicKeyData for MemberKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.0.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A certificate of this name that is valid for some days from today.
fn certificate(name: &str, days: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let today = date_time_ymd(1970, 1, 1) + Duration::from_secs(now());
    params.not_before = today - Duration::from_secs(DAY);
    params.not_after = today + Duration::from_secs(days * DAY);
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
        // The root is left out: all members have it.
        Ok(credential(&[end_entity]))
    }
}

/// The application's policy: a member is the one mail address in its certificate.
///
/// `member.issuers` and `member.root` say which CA attests to it. With a single root whose CAs may
/// all speak for everybody, as here, it does not matter.
fn mail_address(member: &Certified) -> Option<Vec<u8>> {
    match member.presented.email_addresses.as_slice() {
        [address] => Some(address.clone().into_bytes()),
        _ => None,
    }
}

/// A member with its state in memory only: how to store it is in the tour of `conclave-mls`.
fn stored(new: NewGroup) -> Result<Group> {
    Ok(new.store(|_rows| Ok::<_, Error>(()))?)
}

fn take(group: &mut Group, step: Transition<Group>) -> Result<Event> {
    Ok(apply(group, step, |_write| Ok::<_, std::convert::Infallible>(()))?)
}

fn leaf(credential: Credential) -> LeafParams {
    LeafParams::new(credential, &[SUITE])
}

fn lifetime() -> Lifetime {
    Lifetime { not_before: now(), not_after: now() + 90 * DAY }
}

/// A key package, and who the one is that it names, if the validator accepts it.
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
    // `validate` says whom a credential authenticates; `judge` just yes or no.
    if let Ok(who) = validator.validate(&suite, now(), stage.credential()) {
        assert_eq!(who.identity, address.as_bytes());
        println!("a key package of {}", String::from_utf8_lossy(&who.identity));
    }
    let verdict = validator.judge(&suite, now(), stage.credential());
    Ok((own, stage.resolve(verdict).map_err(Into::into)))
}

/// A commit by which a member presents another certificate, for another key.
fn renew(ca: &Authority, group: &mut Group, address: &str) -> Result<CommitMessages> {
    let signer = signature_key_pair(&CRYPTO, &mut rng(), SUITE)?;
    let change = LeafUpdate { params: leaf(ca.issue(address, &signer)?), signer };
    let options = CommitOptions { leaf: Some(change), ..CommitOptions::default() };
    let step = group.commit(&CRYPTO, &mut rng(), now(), options)?;
    match take(group, step)? {
        Event::Commit(messages) => Ok(messages),
        other => Err(format!("not a commit: {other:?}").into()),
    }
}

/// A commit is judged: does the new certificate belong to the one whom the old one named?
fn receive(group: &mut Group, validator: &X509Validator, commit: &[u8]) -> Result {
    let Received::Commit(stage) = group.process(&CRYPTO, now(), commit)? else {
        return Err("not a commit".into());
    };
    let suite = Suite::new(&CRYPTO, SUITE)?;
    let verdicts = validator.judge_all(&suite, now(), stage.credentials());
    let answers = Answers { verdicts, psks: Vec::new() };
    let step = stage.resolve(group, &CRYPTO, now(), &answers)?;
    take(group, step).map(drop)
}

fn main() -> Result {
    let ca = Authority::new("the company")?;
    // What every client has: the root certificate, and the policy. Revocation lists and known
    // intermediate certificates go in here, too.
    let validator = X509Validator::new(&[&ca.certificate], mail_address)?;

    // Alice opens a group. Her credential is the chain, her signature key the certificate's.
    let signer = signature_key_pair(&CRYPTO, &mut rng(), SUITE)?;
    let leaf_of_alice = leaf(ca.issue("alice@example.org", &signer)?);
    let group_id = b"a group".as_slice().into();
    let params = GroupParams::new(group_id, SUITE, leaf_of_alice, lifetime());
    let new = Group::create(&CRYPTO, &mut rng(), Config::default(), params, signer)?;
    let mut alice = stored(new)?;

    // A certificate by somebody else's CA opens no door.
    let other_ca = Authority::new("the company")?;
    let (_, refused) = key_package(&other_ca, &validator, "bob@example.org")?;
    let Err(refused) = refused else { return Err("an impostor was accepted".into()) };
    println!("{refused}");

    // Bob's is accepted. He judges Alice's when he joins.
    let (own, bob) = key_package(&ca, &validator, "bob@example.org")?;
    let proposals = vec![NewProposal::Add(Box::new(bob?))];
    let options = CommitOptions { proposals, ..CommitOptions::default() };
    let step = alice.commit(&CRYPTO, &mut rng(), now(), options)?;
    let Event::Commit(messages) = take(&mut alice, step)? else { return Err("a commit".into()) };
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

    // Before his certificate expires, Bob presents a new one, for a new key and the same address.
    let messages = renew(&ca, &mut bob, "bob@example.org")?;
    receive(&mut alice, &validator, &messages.commit)?;
    let step = bob.commit_accepted(&CRYPTO, now(), &messages.id)?;
    take(&mut bob, step)?;
    assert_eq!(alice.member(bob.own_leaf()), bob.own_member());
    assert_eq!(alice.epoch_authenticator()?, bob.epoch_authenticator()?);
    println!("bob has a new certificate: epoch {}", bob.epoch());

    // A certificate of somebody else is valid, but no successor of his.
    let commit = renew(&ca, &mut bob, "carol@example.org")?;
    let Err(refused) = receive(&mut alice, &validator, &commit.commit) else {
        return Err("bob became carol".into());
    };
    println!("{refused}");
    assert_eq!(alice.epoch(), bob.epoch());
    Ok(())
}
