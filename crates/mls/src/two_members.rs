use conclave_mls::*;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::SeededRng;

let (provider, now) = (RustCrypto::new(), 1_700_000_000);
let mut rng = SeededRng::new([1; 32]); // An application takes its operating system's.
let suite = CipherSuite(1);
let lifetime = Lifetime { not_before: now, not_after: now + 90 * 24 * 3600 };
let leaf = |name: &str| LeafParams::new(Credential::basic(name.as_bytes()), &[suite]);

// Bob publishes a key package.
let signer = signature_key_pair(&provider, &mut rng, suite)?;
let params = KeyPackageParams::new(suite, leaf("bob"), lifetime);
let bobs = OwnKeyPackage::generate(&provider, &mut rng, params, signer)?;

// Alice creates a group. Storing is left out here: a real write closure stores the rows.
let params = GroupParams::new(b"a group".as_slice().into(), suite, leaf("alice"), lifetime);
let signer = signature_key_pair(&provider, &mut rng, suite)?;
let new = Group::create(&provider, &mut rng, Config::default(), params, signer)?;
let mut alice = new.store(|_rows| Ok::<_, core::convert::Infallible>(()))?;

// She adds Bob, whose credential she accepts.
let stage = ValidKeyPackage::check(&provider, now, &Config::default(), bobs.key_package().clone())?;
assert_eq!(stage.credential().credential.identity(), Some(b"bob".as_slice()));
let bob = stage.resolve(Verdict::Accept)?;
let proposals = vec![NewProposal::Add(Box::new(bob))];
let options = CommitOptions { proposals, ..CommitOptions::default() };
let step = alice.commit(&provider, &mut rng, now, options)?;
let Event::Commit(messages) = apply(&mut alice, step, |_| Ok::<_, core::convert::Infallible>(()))? else { unreachable!() };

// The delivery service takes the commit; the Welcome goes to Bob, who joins.
let step = alice.commit_accepted(&provider, now, &messages.id)?;
apply(&mut alice, step, |_| Ok::<_, core::convert::Infallible>(()))?;
let welcome = WelcomeStage::open(&provider, Config::default(), &messages.welcomes[0].message, &bobs)?;
let join = welcome.join(&provider, &[], None, None)?;
let verdicts = vec![Verdict::Accept; join.credentials().len()];
let mut bob = join.resolve(&verdicts)?.store(|_rows| Ok::<_, core::convert::Infallible>(()))?;
assert_eq!(alice.epoch_authenticator()?, bob.epoch_authenticator()?);

// Alice writes, Bob reads.
let step = alice.encrypt(&provider, &mut rng, b"hello", &Framing::default())?;
let Event::Message(message) = apply(&mut alice, step, |_| Ok::<_, core::convert::Infallible>(()))? else { unreachable!() };
let Received::Application(step) = bob.process(&provider, now, &message)? else { unreachable!() };
let Event::Application(read) = apply(&mut bob, step, |_| Ok::<_, core::convert::Infallible>(()))? else { unreachable!() };
assert_eq!(read.data, b"hello");
