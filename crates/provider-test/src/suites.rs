//! The table of suites, and what a provider says of primitives that it lacks.

use crate::checks::Checks;
use crate::vectors::secret;
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, Hash, Kdf, SignatureKeyPair, SignatureScheme, SuiteParams,
};
use conclave_wire::CipherSuite;

pub(crate) fn run(c: &mut Checks<'_>) {
    if c.begin("table of suites") {
        table(c);
    }
    lacking(c);
}

fn has_all(p: &dyn CryptoProvider, suite: &SuiteParams) -> bool {
    p.has_kem(suite.kem)
        && p.has_kdf(suite.kdf)
        && p.has_aead(suite.aead)
        && p.has_hash(suite.hash)
        && p.has_signature(suite.signature)
}

fn table(c: &mut Checks<'_>) {
    let p = c.provider;
    let table = p.suites();
    for suite in table.iter() {
        let case = format_args!("{suite}");
        let found = p.suite(suite.cipher_suite);
        let known = Some(suite).filter(|suite| has_all(p, suite));
        c.equal(case, found.map(|suite| suite.name), known.map(|suite| suite.name));
        c.equal(case, found == known, true);
    }
    let unknown = |n: &u16| table.get(CipherSuite(*n)).is_none();
    let invented = (0..=u16::MAX).filter(unknown).find(|n| p.suite(CipherSuite(*n)).is_some());
    c.equal(format_args!("a suite that the table lacks"), invented.map(usize::from), None);

    // RFC 9420 section 17.1: the suite that all implement.
    let mandatory = CipherSuite(1);
    c.equal(format_args!("the mandatory suite"), p.suite(mandatory).is_some(), true);
}

/// A primitive that a provider lacks is an error, not a wrong answer.
fn lacking(c: &mut Checks<'_>) {
    let p = c.provider;
    let unsupported =
        |result: Option<CryptoError>| matches!(result, Some(CryptoError::UnsupportedComponent(_)));

    for hash in Hash::ALL.iter().filter(|hash| !p.has_hash(**hash)) {
        if !c.begin(hash) {
            continue;
        }
        c.equal(format_args!("lacking"), unsupported(p.hash(*hash, &[]).err()), true);
    }
    for kdf in Kdf::ALL.iter().filter(|kdf| !p.has_kdf(**kdf)) {
        if !c.begin(kdf) {
            continue;
        }
        c.equal(format_args!("lacking"), unsupported(p.extract(*kdf, &[], &[]).err()), true);
    }
    for aead in Aead::ALL.iter().filter(|aead| !p.has_aead(**aead)) {
        if !c.begin(aead) {
            continue;
        }
        let key = secret(&vec![1; aead.key_len()]);
        let sealed = p.aead_seal(*aead, &key, &vec![1; aead.nonce_len()], &[], &[]);
        c.equal(format_args!("lacking"), unsupported(sealed.err()), true);
    }
    for scheme in SignatureScheme::ALL.iter().filter(|scheme| !p.has_signature(**scheme)) {
        if !c.begin(scheme) {
            continue;
        }
        let pair = SignatureKeyPair::new(secret(&[1; 32]), vec![1; 32].into());
        let signed = p.sign(*scheme, &pair, &[]);
        c.equal(format_args!("lacking, signing"), unsupported(signed.err()), true);
        let verified = p.verify(*scheme, &pair.public, &[], &[1; 64]);
        c.equal(format_args!("lacking, verifying"), unsupported(verified.err()), true);
    }
}
