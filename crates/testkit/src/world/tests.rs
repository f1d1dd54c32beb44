use super::*;
use conclave_provider_aws_lc::AwsLc;
use std::sync::LazyLock;

/// Runs worlds of a suite: one with public handshake messages, one with encrypted ones. Returns how often
/// they took each kind of step and refused each kind of hostile message.
fn worlds(suite: u16, seed: u64, max_members: usize, steps: u64) -> [Counts; 2] {
    let mut taken = Counts::new();
    let mut refusals = Counts::new();
    for encrypt in [false, true] {
        let cipher_suite = CipherSuite(suite);
        let seed = seed + u64::from(encrypt);
        let mut world = World::new(WorldParams { seed, cipher_suite, max_members, encrypt });
        world.run(steps);
        for (sum, counts) in [(&mut taken, &world.counts), (&mut refusals, world.refusals())] {
            for (kind, n) in counts {
                *sum.entry(*kind).or_default() += n;
            }
        }
    }
    println!("{taken:#?} {refusals:#?}");
    [taken, refusals]
}

/// Checks that worlds took steps of these kinds.
fn took(taken: &Counts, kinds: &[&str]) {
    for kind in kinds {
        assert!(taken.get(kind).is_some_and(|n| *n > 0), "no {kind}: {taken:?}");
    }
}

fn model(suite: u16, seed: u64) {
    let [taken, refusals] = worlds(suite, seed, 32, 150);
    assert!(taken["messages"] > 10 && taken["add"] > 6, "{taken:?}");
    let kinds = ["component data", "leave", "leave by a joiner", "rewind", "targeted messages"];
    took(&taken, &kinds);
    let rare: Vec<_> = refusals.iter().filter(|(_, n)| **n == 0).collect();
    assert!(rare.is_empty(), "never tried: {rare:?}");
}

macro_rules! model_of_suite {
    ($($name:ident = $suite:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            model($suite, 0x5eed_0000 + 2 * $suite);
        }
    )*};
}

model_of_suite! {
    all_agree_after_random_steps_in_suite_1 = 1,
    all_agree_after_random_steps_in_suite_2 = 2,
}

/// A shorter [`model`] for the many other suites: the steps that a suite matters to, at least once. `cargo model` runs any
/// suite for as long as wanted.
fn short_model(suite: u16, seed: u64) {
    let [taken, refusals] = worlds(suite, seed, 6, 30);
    took(&taken, &["add", "message read"]);
    let refused: u64 = refusals.values().sum();
    assert!(refused > 100, "{refused} hostile messages");
}

macro_rules! short_model_of_suite {
    ($($name:ident = $suite:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            short_model($suite, 0x5eed_1000 + 2 * $suite);
        }
    )*};
}

short_model_of_suite! {
    all_agree_after_random_steps_in_suite_3 = 3,
    all_agree_after_random_steps_in_suite_4 = 4,
    all_agree_after_random_steps_in_suite_5 = 5,
    all_agree_after_random_steps_in_suite_6 = 6,
    all_agree_after_random_steps_in_suite_7 = 7,
    all_agree_after_random_steps_in_mlkem768x25519_aes128_ed25519 = 0xf0c1,
    all_agree_after_random_steps_in_mlkem768x25519_aes256_ed25519 = 0xf0c2,
    all_agree_after_random_steps_in_mlkem768p256_aes128_p256 = 0xf0c3,
    all_agree_after_random_steps_in_mlkem768p256_aes256_p256 = 0xf0c4,
    all_agree_after_random_steps_in_mlkem1024p384_aes256_p384 = 0xf0c5,
    all_agree_after_random_steps_in_mlkem768_aes256_ed25519 = 0xf0c6,
    all_agree_after_random_steps_in_mlkem768_aes256_p256 = 0xf0c7,
    all_agree_after_random_steps_in_mlkem1024_aes256_p384 = 0xf0c8,
    all_agree_after_random_steps_in_mlkem768x25519_chacha20_mldsa44 = 0xf0c9,
    all_agree_after_random_steps_in_mlkem768_aes256_mldsa65 = 0xf0ca,
    all_agree_after_random_steps_in_mlkem1024_aes256_mldsa87 = 0xf0cb,
}

#[test]
fn the_same_seed_takes_the_same_steps() {
    let params =
        WorldParams { seed: 8, cipher_suite: CipherSuite(1), max_members: 6, encrypt: false };
    let run = || {
        let mut world = World::new(params);
        let counts = world.run(30).clone();
        // Not the tree hash: AWS-LC signs ECDSA and ML-DSA with randomness of its own, and a ReInit may
        // lead to a suite with these.
        let group = &world.peers[0].group;
        (counts, group.group_id().clone(), group.epoch(), world.clients, world.bytes(32))
    };
    assert_eq!(run(), run());
}

/// The first and the last member of a group whose members all joined by external commits, so that
/// every parent node is populated.
fn populated(n: u64) -> (World, Peer, Peer) {
    let params =
        WorldParams { seed: n, cipher_suite: CipherSuite(1), max_members: 0, encrypt: false };
    let mut world = World::new(params);
    world.watcher = None;
    world.config.limits.past_epochs = 1;
    let mut first = world.peers.remove(0);
    first.provider = threaded();

    let mut last = None;
    for i in 1..n {
        let info = first.group.group_info(first.provider, ALL).expect("a GroupInfo");
        let name = format!("member-{i}");
        let signer = world.signer(first.provider);
        let options = ExternalJoinOptions::new(world.leaf_params(&name), signer);
        let config = Config::default();
        let provider = first.provider;
        let rng = &mut world.rng;
        let joined = accepting::join_from_outside(provider, rng, config, &info, None, options)
            .expect("an external commit");
        first.receive(NOW, &joined.commit, &[]);
        last = Some((name, joined.group));
    }
    let (name, group) = last.expect("more than one member");
    let last = Peer::of(name, first.provider, group);
    (world, first, last)
}

/// The native provider on all cores, as the groups are large.
fn threaded() -> &'static dyn CryptoProvider {
    static THREADED: LazyLock<AwsLc> = LazyLock::new(AwsLc::new);
    &*THREADED
}

/// The bytes that steps write in a populated group.
#[derive(Debug)]
struct Written {
    /// The pending commit and the step into the epoch, at the committer.
    own_commit: usize,
    /// The step into the epoch, at another member.
    commit: usize,
    /// A sender's first message of an epoch, sent and received.
    first_message: (usize, usize),
    /// Any other message, sent and received.
    message: (usize, usize),
}

fn written(n: u64) -> Written {
    let (mut world, mut first, mut last) = populated(n);
    let rng = &mut world.rng;

    let step = first.group.commit(first.provider, rng, NOW, CommitOptions::default()).unwrap();
    let pending = step.batch().bytes();
    let messages = first.take(step);
    let step = first.group.commit_accepted(first.provider, NOW, &messages.id).unwrap();
    let own_commit = pending + step.batch().bytes();
    first.take(step);

    let step = last.probe(NOW, &messages.commit, &[]).unwrap().unwrap();
    let commit = step.batch().bytes();
    assert!(matches!(last.take(step), Event::Epoch(_)));

    let mut message = || {
        let framing = Framing::default();
        let step = first.group.encrypt(first.provider, rng, &[7; 1024], &framing).unwrap();
        let sent = step.batch().bytes();
        let message = first.take(step);

        let step = last.probe(NOW, &message, &[]).unwrap().unwrap();
        let received = step.batch().bytes();
        assert!(matches!(last.take(step), Event::Application(_)));
        (sent, received)
    };
    let first_message = message();
    Written { own_commit, commit, first_message, message: message() }
}

#[test]
fn written_bytes_grow_with_the_logarithm_of_the_group() {
    let small = written(32);
    let large = written(1000);
    println!("32 members: {small:?}\n1,000 members: {large:?}");
    // 32 members have 5 levels, 1,000 have 10: twice the levels, at most about twice the bytes.
    assert!(large.own_commit < 2 * small.own_commit + 1024);
    assert!(large.commit < 2 * small.commit + 512);
    assert!(large.commit < 4 * 1024 && large.own_commit < 8 * 1024);
    assert!(large.first_message.0 < 2 * small.first_message.0 + 128);
    assert!(large.first_message.1 < 1024);
    assert_eq!(large.message, small.message);
    assert!(large.message.0 < 128 && large.message.1 < 128);
}
