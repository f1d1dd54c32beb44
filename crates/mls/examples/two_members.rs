//! Two members of a group exchange a message: the whole program, on the core alone.
use conclave_mls::group::{CommitOptions, Framing, NewProposal};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{
    Lifetime, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::{
    CipherSuite, Config, Credential, Group, Identity, Received, UnixTime, Verdict, apply,
};
use conclave_provider_rustcrypto::RustCrypto;
use std::convert::Infallible;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn Error>> {
    // What an application brings: cryptography, randomness, a clock.
    let provider = RustCrypto::new();
    let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now = UnixTime::since_unix_epoch(elapsed).ok_or("the clock is wrong")?;
    let lifetime = Lifetime::starting_at(now, Duration::from_secs(90 * 24 * 3600));

    // Two clients. An authentication service vouches for a credential and its key.
    let suite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
    let alice = Identity::generate(&provider, &mut rng, Credential::basic(b"alice"), suite)?;
    let bob = Identity::generate(&provider, &mut rng, Credential::basic(b"bob"), suite)?;
    let judge = |credential: &Credential, name: &[u8]| {
        if credential.identity() == Some(name) {
            Verdict::Accept
        } else {
            Verdict::refuse("not the expected person")
        }
    };

    // Bob publishes a key package.
    let params = bob.key_package_params(lifetime);
    let own = OwnKeyPackage::generate(&provider, &mut rng, params, bob.signer.clone())?;
    let published = own.message()?;

    // Alice creates a group. Her program would write the rows that `store` and `apply` hand to it.
    let params = alice.group_params(b"friends".as_slice().into(), lifetime);
    let new = Group::create(&provider, &mut rng, Config::default(), params, alice.signer.clone())?;
    let mut alices = new.store(|_rows| Ok::<_, Infallible>(()))?;

    // She adds Bob, whose credential she accepts.
    let config = Config::default();
    let key_package = key_package_from_message(&published)?;
    let stage = ValidKeyPackage::check(&provider, now, &config, key_package)?;
    let verdict = judge(&stage.credential().credential, b"bob");
    let add = NewProposal::Add(Box::new(stage.resolve(verdict)?));
    let options = CommitOptions { proposals: vec![add], ..CommitOptions::default() };
    let step = alices.commit(&provider, &mut rng, now, options)?;
    let sent = apply(&mut alices, step, |_write| Ok::<_, Infallible>(()))?;

    // The delivery service accepts the commit, and delivers the Welcome to Bob.
    let step = alices.commit_accepted(&provider, now, &sent.id)?;
    apply(&mut alices, step, |_write| Ok::<_, Infallible>(()))?;
    let welcome = sent.welcomes.first().ok_or("a Welcome for Bob")?;

    // Bob judges the members that he finds, and joins.
    let stage = WelcomeStage::open(&provider, Config::default(), &welcome.message, &own)?;
    let stage = stage.join(&provider, &[], None, None)?;
    let verdicts: Vec<Verdict> =
        stage.credentials().iter().map(|asked| judge(&asked.credential, b"alice")).collect();
    let mut bobs = stage.resolve(&verdicts)?.store(|_rows| Ok::<_, Infallible>(()))?;
    assert_eq!(alices.epoch_authenticator()?, bobs.epoch_authenticator()?);

    // Alice writes, Bob reads.
    let step = alices.encrypt(&provider, &mut rng, b"hello", &Framing::default())?;
    let message = apply(&mut alices, step, |_write| Ok::<_, Infallible>(()))?;
    let read = match bobs.process(&provider, now, &message) {
        Ok(Received::Application(step)) => {
            apply(&mut bobs, step, |_write| Ok::<_, Infallible>(()))?
        }
        Ok(_) => return Err("not an application message".into()),
        Err(refused) => return Err(refused.error.into()),
    };
    assert_eq!(read.data, b"hello");
    Ok(())
}
