//! A program that takes part in a group of each cipher suite. `.ci/wasm-size` builds it for WebAssembly and
//! measures it: that is what an application in a browser downloads for MLS and its cryptography.
//!
//! Its parts come to it at run time, as they come to an application from a page, so that the compiler cannot
//! leave out a suite. Randomness and time are not the system's: WebAssembly alone has neither.

use chacha20::ChaCha20Rng;
use conclave_mls::crypto::Suites;
use conclave_mls::error::ApplyError;
use conclave_mls::group::{Answers, CommitMessages, CommitOptions, Framing, NewGroup, NewProposal};
use conclave_mls::join::WelcomeStage;
use conclave_mls::key_package::{
    Lifetime, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::storage::{Outcome, RowKey};
use conclave_mls::{
    CipherSuite, Config, Credential, Event, Group, Identity, Received, Transition, UnixTime,
    Verdict, apply,
};
use conclave_provider_rustcrypto::RustCrypto;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// RFC 9420's seven suites and the eleven post-quantum ones.
const CRYPTO: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);

/// What a page would bring: a suite, a seed and a time.
struct Page {
    suite: CipherSuite,
    rng: ChaCha20Rng,
    now: UnixTime,
}

/// A member's group and its rows.
struct Member {
    group: Group,
    rows: BTreeMap<RowKey, conclave_mls::crypto::Secret>,
}

impl Member {
    fn new(new: NewGroup) -> Result<Self> {
        let mut rows = BTreeMap::new();
        let group = new.store(|batch| {
            batch.apply_to(&mut rows);
            Ok::<_, Infallible>(())
        })?;
        Ok(Self { group, rows })
    }

    fn take<O: Outcome<Event>>(
        &mut self,
        step: Transition<Group, O>,
    ) -> std::result::Result<O, ApplyError<Infallible>> {
        let rows = &mut self.rows;
        apply(&mut self.group, step, |write| {
            write.batch.apply_to(rows);
            Ok(())
        })
    }

    /// Commits, and takes the commit as accepted.
    fn commit(&mut self, page: &mut Page, proposals: Vec<NewProposal>) -> Result<CommitMessages> {
        let options = CommitOptions { proposals, ..CommitOptions::default() };
        let step = self.group.commit(&CRYPTO, &mut page.rng, page.now, options)?;
        let sent = self.take(step)?;
        let step = self.group.commit_accepted(&CRYPTO, page.now, &sent.id)?;
        self.take(step)?;
        Ok(sent)
    }

    /// Follows another member's commit.
    fn follow(&mut self, page: &Page, commit: &[u8]) -> Result {
        let received = self.group.process(&CRYPTO, page.now, commit);
        let Received::Commit(stage) = received.map_err(|refused| refused.error)? else {
            return Err("not a commit".into());
        };
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let answers = Answers { verdicts, ..Answers::default() };
        let step = stage.resolve(&self.group, &CRYPTO, page.now, &answers);
        self.take(step.map_err(|refused| refused.error)?)?;
        Ok(())
    }

    fn encrypt(&mut self, page: &mut Page, text: &[u8]) -> Result<Vec<u8>> {
        let step = self.group.encrypt(&CRYPTO, &mut page.rng, text, &Framing::default())?;
        Ok(self.take(step)?)
    }

    fn decrypt(&mut self, page: &Page, message: &[u8]) -> Result<Vec<u8>> {
        let received = self.group.process(&CRYPTO, page.now, message);
        let Received::Application(step) = received.map_err(|refused| refused.error)? else {
            return Err("not an application message".into());
        };
        Ok(self.take(step)?.data)
    }
}

/// Alice creates a group and adds Bob, who joins, commits, and reads what she writes.
fn take_part(page: &mut Page) -> Result {
    let lifetime = Lifetime::starting_at(page.now, Duration::from_secs(90 * 24 * 3600));
    let name = |name: &[u8]| Credential::basic(name);
    let alice = Identity::generate(&CRYPTO, &mut page.rng, name(b"alice"), page.suite)?;
    let bob = Identity::generate(&CRYPTO, &mut page.rng, name(b"bob"), page.suite)?;

    let params = bob.key_package_params(lifetime);
    let own = OwnKeyPackage::generate(&CRYPTO, &mut page.rng, params, bob.signer.clone())?;
    let published = key_package_from_message(&own.message()?)?;

    let params = alice.group_params(b"a group".as_slice().into(), lifetime);
    let config = Config::default;
    let new = Group::create(&CRYPTO, &mut page.rng, config(), params, alice.signer.clone())?;
    let mut alice = Member::new(new)?;
    let stage = ValidKeyPackage::check(&CRYPTO, page.now, &config(), published)?;
    let add = NewProposal::Add(Box::new(stage.resolve(Verdict::Accept)?));
    let sent = alice.commit(page, vec![add])?;

    let welcome = sent.welcomes.first().ok_or("no Welcome")?;
    let stage = WelcomeStage::open(&CRYPTO, config(), &welcome.message, &own)?;
    let join = stage.join(&CRYPTO, &[], None, None)?;
    let verdicts = vec![Verdict::Accept; join.credentials().len()];
    let mut bob = Member::new(join.resolve(&verdicts)?)?;
    let sent = bob.commit(page, Vec::new())?;
    alice.follow(page, &sent.commit)?;

    // The page is loaded again.
    bob.group = Group::load(&CRYPTO, config(), bob.rows.clone())?;
    let message = alice.encrypt(page, b"hello")?;
    let text = bob.decrypt(page, &message)?;
    if text == b"hello" { Ok(()) } else { Err("another text".into()) }
}

/// Exported by WebAssembly as `main`, which returns 0 if all went well.
fn main() -> Result {
    let suites: Vec<CipherSuite> =
        Suites::CONCLAVE.iter().map(|suite| suite.cipher_suite).collect();
    for suite in black_box(suites) {
        let rng = ChaCha20Rng::from_seed(black_box([0; 32]));
        let now = UnixTime::from_secs(black_box(1_800_000_000)).ok_or("no time")?;
        take_part(&mut Page { suite, rng, now })?;
    }
    Ok(())
}
