//! Credentials of several credentials (draft-ietf-mls-extensions-10, "Multi-Credentials").

use super::fixture::*;
use crate::{
    CommitOptions, Config, CredentialRequest, CredentialSubject, Error, Framing, KeyPackageParams,
    LeafParams, LeafUpdate, Limit, Limits, NewProposal, OwnKeyPackage, Rejection, Rules,
    ValidKeyPackage, Verdict, sign_binding,
};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{SignatureKeyPair, Suite};
use conclave_wire::{
    Bytes, Capabilities, CipherSuite, Credential, CredentialBinding, CredentialType, DecodeError,
    LeafIndex, MultiCredential, Proposal, ProposalOrRef,
};

const P256: CipherSuite = CipherSuite(2);
const TOKEN: CredentialType = CredentialType(0xf001);

fn token() -> Credential {
    Credential::Other { credential_type: TOKEN, data: [1, 2, 3].into() }
}

fn key_pair(suite: CipherSuite, seed: u64) -> SignatureKeyPair {
    Suite::new(&PROVIDER, suite).unwrap().signature_key_pair(&mut TestRng(seed)).unwrap()
}

fn binding(
    suite: CipherSuite,
    credential: Credential,
    leaf: &SignatureKeyPair,
) -> CredentialBinding {
    sign_binding(&PROVIDER, suite, credential, &key_pair(suite, 50), &leaf.public).unwrap()
}

/// A leaf that can judge basic credentials and those of several, and knows suite 1.
fn plain(name: &str) -> LeafParams {
    let mut leaf = leaf_params(name);
    leaf.capabilities.credentials.extend([CredentialType::MULTI, CredentialType::WEAK_MULTI]);
    leaf
}

/// [`plain`], and suite 2 and tokens.
fn broad(name: &str) -> LeafParams {
    let mut leaf = plain(name);
    leaf.capabilities.cipher_suites.push(P256);
    leaf.capabilities.credentials.push(TOKEN);
    leaf
}

/// The leaf with a credential of these.
fn presenting(mut leaf: LeafParams, weak: bool, bindings: Vec<CredentialBinding>) -> LeafParams {
    leaf.credential = MultiCredential { weak, bindings }.to_credential().unwrap();
    leaf
}

/// A key package whose leaf presents bindings to its key.
fn invited(
    leaf: LeafParams,
    weak: bool,
    kinds: &[(CipherSuite, Credential)],
) -> Result<OwnKeyPackage, Error> {
    let signer = key_pair(SUITE, 77);
    let of_kind = |(suite, credential): &(CipherSuite, Credential)| {
        binding(*suite, credential.clone(), &signer)
    };
    let leaf = presenting(leaf, weak, kinds.iter().map(of_kind).collect());
    let params = KeyPackageParams::new(SUITE, leaf, LIFETIME);
    OwnKeyPackage::generate(&PROVIDER, &mut TestRng(5), params, signer)
}

fn pair(first: LeafParams, second: LeafParams) -> Vec<Peer> {
    pair_under(first, second, &Config::default())
}

fn pair_under(first: LeafParams, second: LeafParams, config: &Config) -> Vec<Peer> {
    group_from(vec![first, second], Vec::new(), config)
}

/// The rule that refuses to add a client: its commit by us, and by others.
fn refusal(peers: &mut [Peer], own: &OwnKeyPackage) -> Option<Rejection> {
    let ours = peers[0].try_commit(commit_of(vec![NewProposal::Add(valid(own))]));
    let add = Proposal::Add(own.key_package().clone().into());
    let forged = peers[0].forge_commit(vec![ProposalOrRef::Proposal(add)], &encrypted());
    let theirs = rejection(peers[1].error(&forged));
    match ours {
        Ok(_) => {
            // The forged commit gets as far as that it has no path.
            assert_eq!(theirs, Rejection::ConfirmationTag);
            None
        }
        Err(error) => {
            assert_eq!(rejection(error), theirs);
            Some(theirs)
        }
    }
}

fn request(credential: Credential, leaf_key: &SignatureKeyPair) -> CredentialRequest {
    CredentialRequest {
        subject: CredentialSubject::Member(LeafIndex(3)),
        credential,
        signature_key: leaf_key.public.clone(),
        replaces: None,
    }
}

fn asked(
    weak: bool,
    bindings: Vec<CredentialBinding>,
    leaf: &SignatureKeyPair,
) -> CredentialRequest {
    request(MultiCredential { weak, bindings }.to_credential().unwrap(), leaf)
}

fn bindings(request: &CredentialRequest, ours: &Capabilities) -> Result<Vec<Credential>, Error> {
    let inner = request.bindings(&PROVIDER, ours)?.expect("a credential of several");
    assert!(inner.iter().all(|inner| inner.subject == request.subject));
    Ok(inner.into_iter().map(|inner| inner.credential).collect())
}

#[test]
fn each_credential_of_several_is_asked_for_with_its_own_key() {
    let leaf = key_pair(SUITE, 77);
    let both =
        vec![binding(SUITE, Credential::basic(b"alice"), &leaf), binding(P256, token(), &leaf)];
    let ask = asked(false, both, &leaf);
    let inner = ask.bindings(&PROVIDER, &plain("bob").capabilities).unwrap().unwrap();
    let shown: Vec<_> = inner.iter().map(|r| (&r.credential, &r.signature_key)).collect();
    let keys = [key_pair(SUITE, 50).public, key_pair(P256, 50).public];
    assert_eq!(shown, [(&Credential::basic(b"alice"), &keys[0]), (&token(), &keys[1])]);

    let other = request(Credential::basic(b"alice"), &leaf);
    assert_eq!(other.bindings(&PROVIDER, &plain("bob").capabilities), Ok(None));
}

#[test]
fn of_a_weak_credential_those_are_asked_for_that_we_support() {
    let leaf = key_pair(SUITE, 77);
    let mut forged = binding(P256, token(), &leaf);
    forged.signature = Bytes::default();
    let ask = asked(true, vec![binding(SUITE, Credential::basic(b"alice"), &leaf), forged], &leaf);
    let found = bindings(&ask, &plain("bob").capabilities);
    assert_eq!(found, Ok(vec![Credential::basic(b"alice")]));
    // A client that supports the other binding finds that it is wrong.
    let error = bindings(&ask, &broad("bob").capabilities).unwrap_err();
    assert_eq!(rejection(error), Rejection::BindingSignature);

    let ask = asked(true, vec![binding(P256, token(), &leaf)], &leaf);
    let error = bindings(&ask, &plain("bob").capabilities).unwrap_err();
    assert_eq!(rejection(error), Rejection::NoSupportedBinding);
}

#[test]
fn a_binding_is_of_one_leaf_key_credential_suite_and_holder() {
    let leaf = key_pair(SUITE, 77);
    let good = binding(SUITE, Credential::basic(b"alice"), &leaf);
    let ours = broad("bob").capabilities;
    assert!(bindings(&asked(false, vec![good.clone()], &leaf), &ours).is_ok());

    // It was made for another leaf.
    let stolen = asked(false, vec![good.clone()], &key_pair(SUITE, 78));
    assert_eq!(rejection(bindings(&stolen, &ours).unwrap_err()), Rejection::BindingSignature);

    let other_key = key_pair(SUITE, 51).public;
    for wrong in [
        CredentialBinding { credential: Credential::basic(b"mallory"), ..good.clone() },
        CredentialBinding { credential_key: other_key, ..good.clone() },
        CredentialBinding { cipher_suite: CipherSuite(3), ..good.clone() },
        CredentialBinding { signature: Bytes::default(), ..good.clone() },
    ] {
        let error = bindings(&asked(false, vec![good.clone(), wrong], &leaf), &ours).unwrap_err();
        assert_eq!(rejection(error), Rejection::BindingSignature);
    }
}

#[test]
fn a_binding_of_an_unknown_suite_is_refused_for_good() {
    let leaf = key_pair(SUITE, 77);
    let good = binding(SUITE, Credential::basic(b"alice"), &leaf);
    let cipher_suite = CipherSuite(0x7a7a);
    let unknown = asked(false, vec![CredentialBinding { cipher_suite, ..good }], &leaf);
    let error = bindings(&unknown, &broad("bob").capabilities).unwrap_err();
    let rule = Rejection::UnsupportedBinding(cipher_suite, CredentialType::BASIC);
    assert_eq!(rejection(error), rule);
}

#[test]
fn a_credential_of_several_has_some_bindings_and_none_of_several_again() {
    let leaf = key_pair(SUITE, 77);
    let again = MultiCredential { weak: true, bindings: vec![] }.to_credential().unwrap();
    let ours = broad("bob").capabilities;
    for weak in [false, true] {
        for wrong in [vec![], vec![binding(SUITE, again.clone(), &leaf)]] {
            let error = bindings(&asked(weak, wrong.clone(), &leaf), &ours).unwrap_err();
            assert_eq!(rejection(error), Rejection::BindingShape);

            // Whoever presents it is not even asked about.
            let signer = leaf.clone();
            let params = presenting(plain("carol"), weak, wrong);
            let params = KeyPackageParams::new(SUITE, params, LIFETIME);
            let own = OwnKeyPackage::generate(&PROVIDER, &mut TestRng(5), params, signer).unwrap();
            let kp = own.key_package().clone();
            let error = ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp).unwrap_err();
            assert_eq!(rejection(error), Rejection::BindingShape);
        }
    }
    let credential_type = CredentialType::MULTI;
    let malformed = request(Credential::Other { credential_type, data: [0].into() }, &leaf);
    assert_eq!(bindings(&malformed, &ours), Err(Error::Malformed(DecodeError::Truncated)));
}

#[test]
fn a_credential_of_several_has_no_more_bindings_than_the_limit() {
    let kinds = vec![(SUITE, Credential::basic(b"alice")); 3];
    let own = invited(plain("alice"), false, &kinds).unwrap();
    let check = |bindings| {
        let limits = Limits { bindings, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let kp = own.key_package().clone();
        ValidKeyPackage::check(&PROVIDER, NOW, &config, kp).map(|_| ()).map_err(rejection)
    };
    assert_eq!(check(3), Ok(()));
    let limit = Limit::Bindings;
    assert_eq!(check(2), Err(Rejection::OverLimit { limit, found: 3, allowed: 2 }));
}

#[test]
fn all_members_support_every_binding_of_a_multi_credential() {
    let kinds = [(SUITE, Credential::basic(b"carol")), (P256, token())];
    let own = invited(broad("carol"), false, &kinds).unwrap();
    let mut peers = pair(broad("alice"), broad("bob"));
    assert_eq!(refusal(&mut peers, &own), None);

    let mut peers = pair(broad("alice"), plain("bob"));
    let rule = Rejection::UnsupportedBinding(P256, TOKEN);
    assert_eq!(refusal(&mut peers, &own), Some(rule));
    // Suite and type count, each by itself.
    for (suite, credential) in [(SUITE, token()), (P256, Credential::basic(b"carol"))] {
        let rule = Rejection::UnsupportedBinding(suite, credential.credential_type());
        let own = invited(broad("carol"), false, &[(suite, credential)]).unwrap();
        assert_eq!(refusal(&mut peers, &own), Some(rule));
    }
    // And those who cannot judge such credentials at all.
    let mut peers = pair(broad("alice"), leaf_params("bob"));
    let rule = Rejection::UnsupportedCredential(CredentialType::MULTI);
    assert_eq!(refusal(&mut peers, &own), Some(rule));
}

#[test]
fn each_member_supports_a_binding_of_a_weak_multi_credential() {
    let mut peers = pair(broad("alice"), plain("bob"));
    let either = [(P256, token()), (SUITE, Credential::basic(b"carol"))];
    let own = invited(broad("carol"), true, &either).unwrap();
    assert_eq!(refusal(&mut peers, &own), None);
    let own = invited(broad("carol"), true, &either[..1]).unwrap();
    assert_eq!(refusal(&mut peers, &own), Some(Rejection::NoSupportedBinding));
}

#[test]
fn what_a_member_presents_binds_those_who_come_and_those_who_change() {
    let kinds = [(SUITE, Credential::basic(b"carol")), (P256, token())];
    let own = invited(broad("carol"), false, &kinds).unwrap();
    let mut peers = pair(broad("alice"), broad("bob"));
    let messages = commits(&mut peers, 0, commit_of(vec![NewProposal::Add(valid(&own))]));
    peers.push(Peer::join(&messages.welcomes[0].message, &own, Config::default(), 3));
    agree(&peers);

    let rule = Rejection::UnsupportedBinding(P256, TOKEN);
    let dave = key_package_of(plain("dave"), &mut TestRng(300));
    assert_eq!(refusal(&mut peers, &dave), Some(rule.clone()));
    let change = LeafUpdate { params: plain("bob"), signer: signer(&mut TestRng(9)) };
    let options = CommitOptions { leaf: Some(change), ..CommitOptions::default() };
    assert_eq!(rejection(peers[1].try_commit(options).unwrap_err()), rule);
    // Without the member, there is no such demand.
    commits(&mut peers[..2], 0, commit_of(vec![NewProposal::Remove(LeafIndex(2))]));
    assert_eq!(refusal(&mut peers[..2], &dave), None);
}

#[test]
fn a_credential_of_several_is_one_request_at_every_stage() {
    let own = invited(plain("carol"), false, &[(SUITE, Credential::basic(b"carol"))]).unwrap();
    let kp = own.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp).unwrap();
    let inner = bindings(stage.credential(), &plain("alice").capabilities);
    assert_eq!(inner, Ok(vec![Credential::basic(b"carol")]));
    assert!(stage.resolve(Verdict::Accept).is_ok());
}

#[test]
fn a_credential_of_several_that_does_not_fit_may_be_left_out() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let kinds = [(SUITE, Credential::basic(b"carol")), (P256, token())];
    let nothing =
        || CommitOptions { received: false, force_path: true, ..CommitOptions::default() };
    for (leaf, weak, own, fits) in [
        (plain("alice"), false, &kinds[..], false),
        (plain("alice"), true, &kinds[1..], false),
        (plain("alice"), true, &kinds[..], true),
        (broad("alice"), false, &kinds[..], true),
    ] {
        let own = invited(broad("carol"), weak, own).unwrap();
        let mut peers = pair_under(leaf, broad("bob"), &config);
        let add = NewProposal::Add(valid(&own));
        let message = peers[1].propose(add, &Framing::default());
        deliver(&mut peers, 1, &message);
        let left_out = peers[0].try_commit(nothing()).map(|_| ()).map_err(rejection);
        assert_eq!(left_out.is_err(), fits, "{left_out:?}");
        let taken = peers[0].commit(commit_of(vec![])).welcomes.len();
        assert_eq!(taken, usize::from(fits));
    }

    // What a member presents is asked of who comes.
    let own = invited(broad("carol"), false, &kinds).unwrap();
    let mut peers = pair_under(broad("alice"), broad("bob"), &config);
    commits(&mut peers, 0, commit_of(vec![NewProposal::Add(valid(&own))]));
    for (leaf, fits) in [(plain("dave"), false), (broad("dave"), true)] {
        let dave = key_package_of(leaf, &mut TestRng(300));
        let message = peers[1].propose(NewProposal::Add(valid(&dave)), &Framing::default());
        deliver(&mut peers, 1, &message);
        let left_out = peers[0].try_commit(nothing());
        assert_eq!(left_out.is_err(), fits);
    }
}
