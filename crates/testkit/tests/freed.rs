//! No block of memory is freed with a secret in it.
//!
//! A scripted life of a group runs twice from one seed: first with a provider that notes every secret
//! that passes through it (keys, path, epoch, tree and message secrets, shared secrets, private keys),
//! then with an allocator that searches every block that is freed, grown or shrunk for all of them. So
//! the search covers a secret from the moment when it is made.
//!
//! Out of reach are the stack and registers, memory that C code (AWS-LC) allocates for itself, and a
//! store's own buffers, which is why the rows are kept in memory here.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::print_stdout)]

use conclave_crypto::testing::{Hook, Hooked, Operation};
use conclave_crypto::{CryptoProvider, Secret, Suites};
use conclave_group::{CommitOptions, NewProposal, OwnKeyPackage};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::SeededRng;
use conclave_testkit::forge::Insider;
use conclave_testkit::party::*;
use conclave_wire::{
    CipherSuite, Content, Decode, GroupSecrets, LeafIndex, PrivateMessageContent, PskType,
    WireFormat, Writer,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

// ── the allocator ────────────────────────────────────────────────────────────────────────────

/// Searches every block that a watching thread frees.
struct Watchful;

#[global_allocator]
static ALLOCATOR: Watchful = Watchful;

thread_local! {
    /// Whether the blocks that this thread frees are searched.
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    /// The secrets to search for.
    static WANTED: RefCell<Wanted> = const { RefCell::new(Wanted::none()) };
    /// The secrets that were found.
    static FOUND: RefCell<Vec<Finding>> = const { RefCell::new(Vec::new()) };
}

/// A secret in a freed block.
struct Finding {
    block: usize,
    backtrace: Backtrace,
}

/// The first eight bytes of each secret in an open hash table, with the number of the secret.
struct Wanted {
    slots: Vec<(u64, u32)>,
    secrets: Vec<Vec<u8>>,
}

impl Wanted {
    const fn none() -> Self {
        Self { slots: Vec::new(), secrets: Vec::new() }
    }

    fn new(secrets: Vec<Vec<u8>>) -> Self {
        let size = (secrets.len() * 4).next_power_of_two();
        let mut wanted = Self { slots: vec![(0, 0); size], secrets: Vec::new() };
        for (number, secret) in secrets.iter().enumerate() {
            let mut slot = wanted.first_slot(word(secret));
            while wanted.slots[slot].0 != 0 {
                slot = (slot + 1) % size;
            }
            wanted.slots[slot] = (word(secret), number as u32);
        }
        wanted.secrets = secrets;
        wanted
    }

    fn first_slot(&self, word: u64) -> usize {
        word.wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize % self.slots.len()
    }

    /// Whether a block contains a secret. Allocates nothing.
    fn finds(&self, block: &[u8]) -> bool {
        (0..block.len().saturating_sub(SHORTEST - 1)).any(|at| {
            let here = &block[at..];
            let mut slot = self.first_slot(word(here));
            while self.slots[slot].0 != 0 {
                let (first, number) = self.slots[slot];
                let secret = &self.secrets[number as usize];
                if first == word(here) && here.starts_with(secret) {
                    return true;
                }
                slot = (slot + 1) % self.slots.len();
            }
            false
        })
    }
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

fn search(block: &[u8]) {
    // Blocks that are freed in this function or after the end of the thread are not searched.
    if !WATCHING.try_with(|watching| watching.replace(false)).unwrap_or(false) {
        return;
    }
    if WANTED.with_borrow(|wanted| wanted.finds(block)) {
        let finding = Finding { block: block.len(), backtrace: Backtrace::force_capture() };
        FOUND.with_borrow_mut(|found| found.push(finding));
    }
    WATCHING.with(|watching| watching.set(true));
}

/// Overwrites the stack below. Earlier calls may have left secrets there, and a value that is moved into
/// a block takes its padding along.
#[inline(never)]
fn wipe_stack() {
    std::hint::black_box([0u8; 16 << 10]);
}

// SAFETY: the system's allocator does all the work. Blocks are read before they are freed, while they
// are still the caller's. They may hold uninitialised bytes, which are only compared.
unsafe impl GlobalAlloc for Watchful {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        wipe_stack();
        // SAFETY: as the caller promises. Zeroed, so that every byte is set when it is read later.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        wipe_stack();
        // SAFETY: the block is of this layout, and still allocated.
        search(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    /// Always moves the block, so that it shows what is left behind when a block cannot grow in place.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is not zero and does not overflow.
        let moved =
            unsafe { System.alloc_zeroed(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least as long, and apart.
            unsafe { std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: as the caller promises.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

// ── the provider that notes secrets ──────────────────────────────────────────────────────────

static NOTED: Mutex<BTreeSet<Vec<u8>>> = Mutex::new(BTreeSet::new());

/// Shorter bytes may be found by chance, or are no secret.
const SHORTEST: usize = 12;

fn note(secret: &[u8]) {
    let varied = secret.iter().collect::<BTreeSet<_>>().len() > 4;
    if secret.len() >= SHORTEST && varied {
        NOTED.lock().expect("one thread").insert(secret.to_vec());
    }
}

struct Noting;

impl Hook for Noting {
    fn after(&self, operation: Operation, inputs: &[&[u8]], output: Option<&[u8]>) {
        let secrets = match operation {
            // HPKE extracts from public values under these labels.
            Operation::Extract
                if inputs.iter().any(|part| [&b"psk_id_hash"[..], b"info_hash"].contains(part)) =>
            {
                return;
            }
            // All parts of the ikm but the last are labels.
            Operation::Extract => [inputs.first(), inputs.last()].into_iter().flatten().collect(),
            _ => inputs.iter().collect::<Vec<_>>(),
        };
        secrets.into_iter().for_each(|secret| note(secret));

        // An opened plaintext is a path secret, or longer; then its secrets are noted elsewhere.
        let opened = operation == Operation::AeadOpen;
        if let Some(secret) = output.filter(|s| !opened || [32, 48, 64].contains(&s.len())) {
            note(secret);
        }
    }
}

// ── the script ───────────────────────────────────────────────────────────────────────────────

type Maker = fn() -> &'static dyn CryptoProvider;

const DATA: &[u8] = b"what one member says to the others, and nobody else is to know";

fn says(peers: &mut [Peer], from: usize) {
    let message = peers[from].say(DATA);
    for (i, peer) in peers.iter_mut().enumerate() {
        if i != from {
            let mut read = peer.reads(&message);
            assert_eq!(read.data, DATA);
            // The data is the application's now.
            read.data.fill(0);
        }
    }
}

/// Lets one member read what another said to it alone.
fn is_told(peer: &mut Peer, message: &[u8]) {
    let mut read = peer.hears(message);
    assert_eq!(read.data, DATA);
    read.data.fill(0);
}

/// The life of a group: it is created; members are added by Welcomes, with and without a path and with
/// PSKs; messages are sent, received and skipped, to all and to one; there are updates, accepted and rejected commits, an
/// external join and a removal. In between, everybody loads its rows. Returns the authenticator of the
/// last epoch.
fn life(suite: u16, provider: Maker) -> Secret {
    let provider = provider();
    let setup = Setup { provider, ..Setup::of(CipherSuite(suite)) };
    let leaf = |name: &str| inviting(leaf_params(name, setup.suite));
    let mut peers = setup.group(["alice", "bob", "carol", "dave"].map(leaf).into());
    says(&mut peers, 0);
    let path = CommitOptions { force_path: true, ..CommitOptions::default() };

    let psk = Secret::new((0..32).map(|i| 0x77 ^ (i * 5)).collect());
    let psks = vec![(PskType::External { psk_id: b"psk".as_slice().into() }, psk)];
    peers.iter_mut().for_each(|peer| peer.psks = psks.clone());
    let client = setup.key_package(leaf_params("newcomer", setup.suite), 90);
    let stored = client.to_secret().expect("encoded");
    assert_eq!(OwnKeyPackage::from_secret(provider, &stored).as_ref(), Ok(&client));
    let psk = NewProposal::ExternalPsk { psk_id: b"psk".as_slice().into() };
    let options = CommitOptions { proposals: vec![add(&client), psk], ..path.clone() };
    let messages = commits(&mut peers, 1, options);
    let joined = setup.join(&messages.welcomes[0].message, &client, &psks, 90);
    peers.push(joined.expect("joins"));
    agree(&peers);
    says(&mut peers, 4);

    let skipped = [peers[1].say(DATA), peers[1].say(DATA)];
    peers[2].reads(&skipped[1]).data.fill(0);
    peers.iter_mut().for_each(Peer::reload);
    peers[2].reads(&skipped[0]).data.fill(0);
    let told = [1, 2].map(|_| peers[1].tell(LeafIndex(2), DATA));
    is_told(&mut peers[2], &told[0]);

    // A message with another key's signature, and one with padding other than zeros, open and are
    // refused.
    for forged in forged_by(&mut peers[0]) {
        let refused = peers[1].process(&forged).expect_err("forged");
        assert!(refused.key_deletion.is_none(), "it does not verify");
    }

    let update = peers[2].propose_update(None, &encrypted());
    deliver(&mut peers, 2, &update);
    peers[2].reload();
    commits(&mut peers, 0, CommitOptions { framing: encrypted(), ..path.clone() });
    says(&mut peers, 2);
    is_told(&mut peers[2], &told[1]);

    let leaf = Some(peers[3].new_leaf("renamed"));
    peers[3].commit(CommitOptions { leaf: leaf.clone(), ..path.clone() }).expect("a commit");
    peers[3].reload();
    peers[3].rejected();
    commits(&mut peers, 3, CommitOptions { leaf, ..path.clone() });
    says(&mut peers, 3);
    drop(peers[3].group.export(provider, b"label", b"context", 32).expect("exported"));

    let info = peers[0].group_info();
    let leaf = leaf_params("outsider", setup.suite);
    let (_, joined) = setup.join_from_outside(&info, leaf, None, 17).expect("an external commit");
    for peer in &mut peers {
        peer.receive(&joined);
    }
    let proposals = vec![NewProposal::Remove(LeafIndex(4))];
    commits(&mut peers, 0, CommitOptions { proposals, ..path });
    assert!(peers[4].rows.is_empty());
    peers.truncate(4);
    says(&mut peers, 0);
    peers.iter_mut().for_each(Peer::reload);
    peers[0].group.epoch_authenticator().expect("a member").as_secret().clone()
}

/// Messages under unused keys: one with a signature that does not verify, and one with padding other
/// than zeros.
fn forged_by(peer: &mut Peer) -> [Vec<u8>; 2] {
    // The forger wipes nothing.
    let watching = WATCHING.replace(false);
    let forged = forged(peer);
    WATCHING.set(watching);
    forged
}

fn forged(peer: &mut Peer) -> [Vec<u8>; 2] {
    let mut insider = Insider::of(&peer.group);
    insider.signer = peer.new_leaf("another").signer;
    let rng = &mut SeededRng::from_u64(4);
    let content = Content::Application(DATA.into());
    let unsigned = insider.private(peer.provider, rng, content.clone(), 50);
    let header = insider.framed(content.clone());
    let signed = insider.sign(peer.provider, WireFormat::PRIVATE_MESSAGE, header.clone());
    let message = PrivateMessageContent { content, auth: signed.auth };
    let mut padded = Writer::new();
    message.encode_padded(0, &mut padded).expect("an encoding");
    padded.put(&[1]);
    let padded = insider.sealed(peer.provider, rng, &header, &padded.finish(), 51);
    [unsigned, padded.expect("an unused key")]
}

// ── the tests ────────────────────────────────────────────────────────────────────────────────

/// The place where a block was freed: the innermost frames in files of this workspace or a dependency.
fn place(finding: &Finding) -> String {
    let text = finding.backtrace.to_string();
    let files = text.lines().filter_map(|line| line.trim().strip_prefix("at "));
    let ours = |file: &&str| {
        !["/rustc/", "/zeroize-", "pthread", "clone3"].iter().any(|s| file.contains(s))
    };
    files.filter(ours).take(4).collect::<Vec<_>>().join(" < ")
}

/// Whether a block is one of the test's own lists of members. They contain seeded generators, and a
/// generator contains the random bytes from which keys were just made.
fn is_of_the_test(finding: &Finding) -> bool {
    finding.block.is_multiple_of(size_of::<Peer>())
}

/// The lengths of the freed blocks in which a run leaves a secret, by place.
fn findings(secrets: Vec<Vec<u8>>, run: impl FnOnce()) -> BTreeMap<String, Vec<usize>> {
    WANTED.set(Wanted::new(secrets));
    WATCHING.set(true);
    run();
    WATCHING.set(false);

    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for finding in FOUND.take().iter().filter(|finding| !is_of_the_test(finding)) {
        places.entry(place(finding)).or_default().push(finding.block);
    }
    places
}

/// Suites with providers whose runs depend on the seed alone: AWS-LC signs ECDSA and ML-DSA with
/// randomness of its own. The post-quantum ones cover both hybrids of ML-KEM-768, ML-KEM alone, and
/// ML-DSA.
const RUNS: [(u16, Maker); 10] = [
    (1, portable),
    (1, native),
    (2, portable),
    (6, portable),
    (6, native),
    (0xf0c1, portable),
    (0xf0c1, native),
    (0xf0c3, portable),
    (0xf0c6, native),
    (0xf0ca, portable),
];

fn noting() -> &'static dyn CryptoProvider {
    static NOTING: Hooked<RustCrypto, Noting> =
        Hooked::new(RustCrypto::new().with_suites(Suites::CONCLAVE), Noting);
    &NOTING
}

#[test]
fn the_allocator_notices_secrets_in_freed_and_outgrown_blocks() {
    let secret = b"a secret to search for".to_vec();
    let freed = |run: fn(&[u8])| {
        let found = findings(vec![secret.clone()], || run(&secret));
        found.values().map(Vec::len).sum::<usize>()
    };
    assert_eq!(freed(|secret| drop([b"..", secret].concat())), 1);
    assert_eq!(freed(|secret| drop(Secret::copy_from(secret))), 0);
    let grows = |secret: &[u8]| {
        let mut bytes = secret.to_vec();
        bytes.reserve_exact(100);
        bytes.fill(0);
    };
    assert_eq!(freed(grows), 1);
}

#[test]
fn partly_decoded_group_secrets_are_wiped() {
    let secret = *b"a joiner secret of 32 bytes long";
    // An invalid presence octet.
    let encoded = Secret::new([&[32][..], &secret, &[2]].concat());
    let decode = || assert!(GroupSecrets::from_bytes(encoded.expose()).is_err());
    let found = findings(vec![secret.to_vec()], decode);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_freed_block_holds_a_secret() {
    for (suite, provider) in RUNS {
        NOTED.lock().expect("one thread").clear();
        let end = life(suite, noting);
        let secrets: Vec<Vec<u8>> = NOTED.lock().expect("one thread").iter().cloned().collect();
        assert!(secrets.len() > 500, "{} secrets", secrets.len());
        let again = || assert!(life(suite, provider) == end, "the runs differ");
        let found = findings(secrets, again);
        assert!(found.is_empty(), "suite {suite} with {}: {found:#?}", provider().name());
    }
}

#[test]
fn no_freed_block_holds_application_data() {
    for (suite, provider) in RUNS {
        let found = findings(vec![DATA.to_vec()], || drop(life(suite, provider)));
        assert!(found.is_empty(), "suite {suite} with {}: {found:#?}", provider().name());
    }
}
