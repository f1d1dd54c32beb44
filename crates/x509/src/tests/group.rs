//! Three members with X.509 credentials in a group.

use super::ca::{Ca, Key, NOW, SUITE, YEAR, validator};
use super::revocation::list_until;
use crate::{Moment, RevocationPolicy, Settings, X509Validator, credential};
use conclave_crypto::testing::TestRng;
use conclave_mls::credential::{CredentialRequest, LeafParams};
use conclave_mls::crypto::Suite;
use conclave_mls::error::Rejection;
use conclave_mls::group::{
    Answers, CommitOptions, CommitStage, Framing, GroupParams, LeafUpdate, NewProposal,
};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage};
use conclave_mls::storage::Outcome;
use conclave_mls::{Config, Credential, Error, Event, Group, Received, Transition, Verdict, apply};
use conclave_provider_rustcrypto::RustCrypto;
use std::time::Duration;

const LIFETIME: Lifetime = Lifetime::starting_at(NOW, Duration::from_secs(3600));

/// The authentication service that all members share, and its CA. Each chain contains the CA's certificate,
/// which is below the root.
struct Service {
    validator: X509Validator,
    ca: Ca,
}

impl Service {
    fn new() -> Self {
        let root = Ca::root("root");
        let ca = root.ca("ca", |_| {});
        Self { validator: validator(&root), ca }
    }

    fn credential(&self, name: &str, key: &Key) -> Credential {
        credential(&[self.ca.issue(name, key, |_| {}), self.ca.der.clone()])
    }

    fn judge(&self, requests: &[CredentialRequest]) -> Vec<Verdict> {
        self.judge_at(Moment::now(NOW), requests)
    }

    fn judge_at(&self, moment: Moment, requests: &[CredentialRequest]) -> Vec<Verdict> {
        let provider = RustCrypto::new();
        let suite = Suite::new(&provider, SUITE).unwrap();
        self.validator.judge_all(&suite, moment, requests)
    }

    fn leaf(&self, name: &str, key: &Key) -> LeafParams {
        LeafParams::new(self.credential(name, key), &[SUITE])
    }
}

fn written<O: Outcome<Event>>(group: &mut Group, step: Transition<Group, O>) -> O {
    apply(group, step, |_| Ok::<_, std::convert::Infallible>(())).unwrap()
}

/// A key package whose credential the adder has accepted.
fn key_package(service: &Service, name: &str) -> (OwnKeyPackage, ValidKeyPackage) {
    let provider = RustCrypto::new();
    let key = Key::new(SUITE);
    let mut rng = TestRng(name.len() as u64);
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: service.leaf(name, &key),
        lifetime: LIFETIME,
        extensions: vec![],
        last_resort: false,
    };
    let own = OwnKeyPackage::generate(&provider, &mut rng, params, key.pair).unwrap();
    let config = Config::default();
    let package = own.key_package().clone();
    let stage = ValidKeyPackage::check(&provider, NOW, &config, package).unwrap();
    let verdict = service.judge(std::slice::from_ref(stage.credential())).remove(0);
    (own, stage.resolve(verdict).unwrap())
}

/// A group that Alice created and added Bob and Carol to.
fn three_members(service: &Service) -> [Group; 3] {
    let provider = RustCrypto::new();
    let mut rng = TestRng(0);
    let key = Key::new(SUITE);
    let params = GroupParams {
        group_id: b"a group".as_slice().into(),
        cipher_suite: SUITE,
        extensions: vec![],
        leaf: service.leaf("alice@example.org", &key),
        lifetime: LIFETIME,
    };
    let new = Group::create(&provider, &mut rng, Config::default(), params, key.pair).unwrap();
    let mut alice = new.store(|_| Ok::<_, Error>(())).unwrap();
    let bob = key_package(service, "bob@example.org");
    let carol = key_package(service, "carol@example.org");
    let proposals = [bob.1, carol.1].map(|package| NewProposal::Add(Box::new(package))).into();
    let options = CommitOptions { proposals, ..CommitOptions::default() };
    let step = alice.commit(&provider, &mut rng, NOW, options).unwrap();
    let messages = written(&mut alice, step);
    let step = alice.commit_accepted(&provider, NOW, &messages.id).unwrap();
    written(&mut alice, step);
    let join = |own: &OwnKeyPackage| {
        let message = &messages.welcomes[0].message;
        let stage = WelcomeStage::open(&provider, Config::default(), message, own).unwrap();
        let stage = stage.join(&provider, &[], None, None).unwrap();
        assert_eq!(stage.credentials().len(), 2);
        let verdicts = service.judge(stage.credentials());
        stage.resolve(&verdicts).unwrap().store(|_| Ok::<_, Error>(())).unwrap()
    };
    let bob = join(&bob.0);
    let carol = join(&carol.0);
    [alice, bob, carol]
}

/// The authentication service's reason for a refusal.
fn reason(error: &Error) -> &str {
    match error {
        Error::Rejected(Rejection::CredentialRefused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Receives a commit with which a member presents a new credential.
fn receive(service: &Service, group: &mut Group, message: &[u8]) -> Result<(), Error> {
    let provider = RustCrypto::new();
    let Received::Commit(stage) = group.process(&provider, NOW, message).unwrap() else { panic!() };
    let verdicts = service.judge(stage.credentials());
    assert_eq!(verdicts.len(), 1);
    let answers = Answers { verdicts, ..Answers::default() };
    let step = stage.resolve(group, &provider, NOW, &answers).map_err(|refused| refused.error)?;
    written(group, step);
    Ok(())
}

fn commit_as(service: &Service, member: &mut Group, name: &str) -> Box<[u8]> {
    let provider = RustCrypto::new();
    let mut rng = TestRng(9);
    let key = Key::new(SUITE);
    let leaf = Some(LeafUpdate { params: service.leaf(name, &key), signer: key.pair });
    let options = CommitOptions { leaf, ..CommitOptions::default() };
    let step = member.commit(&provider, &mut rng, NOW, options).unwrap();
    let messages = written(member, step);
    messages.commit.as_slice().into()
}

#[test]
fn an_offline_member_follows_a_renewal_that_has_since_expired() {
    let service = Service::new();
    let provider = RustCrypto::new();
    let [mut alice, mut bob, mut carol] = three_members(&service);
    let message = commit_as(&service, &mut bob, "bob@example.org");
    receive(&service, &mut alice, &message).unwrap();

    // Carol returns five days after the new certificate has expired.
    let day = Duration::from_secs(24 * 3600);
    let now = NOW.saturating_add(Duration::from_secs(YEAR) + 5 * day);
    let answers = |moment, stage: &CommitStage| {
        let verdicts = service.judge_at(moment, stage.credentials());
        Answers { verdicts, ..Answers::default() }
    };
    let received = carol.process(&provider, now, &message).unwrap();
    let Received::Commit(stage) = received else { panic!() };
    let by_now = answers(Moment::now(now), &stage);
    assert!(matches!(by_now.verdicts[..], [Verdict::Refuse(_)]));
    let by_sending = answers(Moment::now(now).sent(now.saturating_sub(10 * day)), &stage);
    let step = stage.resolve(&carol, &provider, now, &by_sending).unwrap();
    written(&mut carol, step);
    assert_eq!(alice.epoch_authenticator().unwrap(), carol.epoch_authenticator().unwrap());
}

/// Dave joins a group in which Alice's certificate has since been revoked.
fn join_with_a_revoked_member(settings: Settings) -> Result<Group, Error> {
    let mut service = Service::new();
    let [mut alice, _, _] = three_members(&service);
    let provider = RustCrypto::new();
    let mut rng = TestRng(11);
    let (own, package) = key_package(&service, "dave@example.org");
    let proposals = vec![NewProposal::Add(Box::new(package))];
    let options = CommitOptions { proposals, ..CommitOptions::default() };
    let step = alice.commit(&provider, &mut rng, NOW, options).unwrap();
    let messages = written(&mut alice, step);

    let Credential::X509 { certificates } = alice.own_member().unwrap().credential else {
        panic!()
    };
    let serial = crate::certificate::Parsed::parse(&certificates[0].cert_data, 0).unwrap().serial;
    let serial = serial.iter().fold(0, |serial, byte| serial << 8 | u64::from(*byte));
    let lists = [list_until(&service.ca, &[serial], 2)];
    let policy = RevocationPolicy { whole_chain: false, ..RevocationPolicy::default() };
    service.validator.set_revocation_lists(&lists, policy).unwrap();
    service.validator = service.validator.with_settings(settings);

    let message = &messages.welcomes[0].message;
    let stage = WelcomeStage::open(&provider, Config::default(), message, &own).unwrap();
    let stage = stage.join(&provider, &[], None, None).unwrap();
    let verdicts = service.judge(stage.credentials());
    Ok(stage.resolve(&verdicts)?.store(|_| Ok::<_, Error>(())).unwrap())
}

#[test]
fn a_group_with_a_revoked_member_is_joined_if_the_setting_allows() {
    let refused = join_with_a_revoked_member(Settings::default()).unwrap_err();
    assert_eq!(reason(&refused), "a certificate is revoked");
    let lenient = Settings { accept_revoked_members: true, ..Settings::default() };
    join_with_a_revoked_member(lenient).unwrap();
}

#[test]
fn members_join_and_renew_their_certificates() {
    let service = Service::new();
    let [mut alice, mut bob, mut carol] = three_members(&service);
    let before = bob.member(bob.own_leaf()).unwrap();
    let message = commit_as(&service, &mut bob, "bob@example.org");
    receive(&service, &mut alice, &message).unwrap();
    receive(&service, &mut carol, &message).unwrap();
    let id = bob.pending_commit().unwrap().id.clone();
    let step = bob.commit_accepted(&RustCrypto::new(), NOW, &id).unwrap();
    written(&mut bob, step);
    let after = carol.member(bob.own_leaf()).unwrap();
    assert_ne!(before.credential, after.credential);
    for other in [&alice, &carol] {
        assert_eq!(other.epoch_authenticator().unwrap(), bob.epoch_authenticator().unwrap());
    }
}

#[test]
fn a_member_cannot_become_somebody_else_by_a_commit() {
    let service = Service::new();
    let [mut alice, mut bob, carol] = three_members(&service);
    let epoch = alice.epoch();
    let message = commit_as(&service, &mut bob, "carol@example.org");
    let refused = receive(&service, &mut alice, &message).unwrap_err();
    let why = "the new credential belongs to another identity than the old one";
    assert_eq!(reason(&refused), why);
    assert_eq!(alice.epoch(), epoch);
    assert_eq!(alice.epoch_authenticator().unwrap(), carol.epoch_authenticator().unwrap());
}

#[test]
fn a_member_cannot_become_somebody_else_by_a_proposal() {
    let service = Service::new();
    let [alice, mut bob, _] = three_members(&service);
    let provider = RustCrypto::new();
    let mut rng = TestRng(10);
    let mut propose = |name: &str| {
        let key = Key::new(SUITE);
        let change = LeafUpdate { params: service.leaf(name, &key), signer: key.pair };
        let framing = Framing::default();
        let step = bob.propose_update(&provider, &mut rng, Some(change), &framing).unwrap();
        written(&mut bob, step).message
    };

    for (name, accepted) in [("carol@example.org", false), ("bob@example.org", true)] {
        let message = propose(name);
        let received = alice.process(&provider, NOW, &message).unwrap();
        let Received::Proposal(stage) = received else { panic!() };
        let verdicts = service.judge(stage.credentials());
        assert_eq!(stage.resolve(&alice, &verdicts).is_ok(), accepted);
    }
}

#[test]
fn an_impostors_key_package_is_refused() {
    let service = Service::new();
    let other = Service::new();
    let provider = RustCrypto::new();
    let key = Key::new(SUITE);
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: other.leaf("bob@example.org", &key),
        lifetime: LIFETIME,
        extensions: vec![],
        last_resort: false,
    };
    let mut rng = TestRng(3);
    let own = OwnKeyPackage::generate(&provider, &mut rng, params, key.pair).unwrap();
    let package = own.key_package().clone();
    let stage = ValidKeyPackage::check(&provider, NOW, &Config::default(), package).unwrap();
    let verdict = service.judge(std::slice::from_ref(stage.credential())).remove(0);
    let refused = stage.resolve(verdict).unwrap_err();
    assert_eq!(reason(&refused), "a certificate's signature does not verify");
}
