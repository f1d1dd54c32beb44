//! What clients are, and the rows that they write.

use crate::SeededRng;
use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair, Suite, Suites};
use conclave_group::rows::{Batch, RowKey};
use conclave_group::{
    CommitId, CommitOptions, Config, Error, Framing, Group, GroupInfoOptions, LeafParams,
    NewProposal, Outcome, OwnKeyPackage, Rejection, State, Transition, ValidKeyPackage, Verdict,
    WriteError, apply,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{
    CipherSuite, ComponentId, ComponentsList, Credential, CustomProposal, Encode, ExtensionType,
    Lifetime, ProposalType, UnixTime, WireFormat,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

/// The time at which everything happens.
pub const NOW: UnixTime = UnixTime::from_secs(1_700_000_000).expect("a time");
/// The lifetime of key packages.
pub const LIFETIME: Lifetime = Lifetime::starting_at(
    NOW.saturating_sub(Duration::from_secs(10)),
    Duration::from_secs(1_000_010),
);
/// The suite of tests that do not choose one: suite 1, or the one that `CONCLAVE_TEST_SUITE` names
/// (in hexadecimal digits, at compile time), so that these tests can run in any suite.
pub const SUITE: CipherSuite = match option_env!("CONCLAVE_TEST_SUITE") {
    None => CipherSuite(1),
    Some(digits) => match u16::from_str_radix(digits, 16) {
        Ok(suite) => CipherSuite(suite),
        Err(_) => panic!("CONCLAVE_TEST_SUITE is not a suite's number in hexadecimal digits"),
    },
};
/// An extension type of private use that all members support.
pub const CUSTOM: ExtensionType = ExtensionType(0xf001);
/// Proposal types beyond RFC 9420's that all clients implement, each with a vector as its body.
pub const CUSTOM_PROPOSALS: [ProposalType; 4] =
    [ProposalType(0xf0f0), ProposalType(0xfafa), ProposalType(0x0a0b), ProposalType(0x7777)];
/// A GroupInfo that lets in every client that has it.
pub const ALL: GroupInfoOptions = GroupInfoOptions { ratchet_tree: true, external_pub: true };

/// The rows that a client has written.
pub type Rows = BTreeMap<RowKey, Secret>;

/// The provider of members that were not given another. It has the post-quantum suites at
/// Conclave's code points, as [`native`] does.
pub static PROVIDER: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);

/// [`PROVIDER`], for tests that run with several.
#[must_use]
pub fn portable() -> &'static dyn CryptoProvider {
    &PROVIDER
}

/// The native provider, on one thread.
#[must_use]
pub fn native() -> &'static dyn CryptoProvider {
    static NATIVE: LazyLock<AwsLc> =
        LazyLock::new(|| AwsLc::with_threads(1).with_suites(Suites::CONCLAVE));
    &*NATIVE
}

// ── rows ─────────────────────────────────────────────────────────────────────────────────────

/// Adds a batch to the rows that are stored.
///
/// # Errors
/// None.
pub fn stored(rows: &mut Rows, batch: &Batch) -> Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

/// The rows of a batch that writes a whole state.
///
/// # Panics
/// If the state has no rows.
#[must_use]
pub fn rows_of(batch: Result<Batch, Error>) -> Rows {
    let mut rows = Rows::new();
    batch.expect("a state has rows").apply_to(&mut rows);
    rows
}

/// Applies a step to a state and writes the step's rows.
///
/// # Panics
/// If the step was computed from another state.
pub fn take<S: State, O: Outcome<S::Event>>(
    state: &mut S,
    rows: &mut Rows,
    step: Transition<S, O>,
) -> O {
    let taken = apply(state, step, |write| stored(rows, write.batch));
    taken.unwrap_or_else(|error| panic!("{error}"))
}

/// Applies a step to a state that nobody stores.
///
/// # Panics
/// If the step was computed from another state.
pub fn take_unstored<S: State, O: Outcome<S::Event>>(state: &mut S, step: Transition<S, O>) -> O {
    let taken = apply(state, step, |_| Ok::<_, Infallible>(()));
    taken.unwrap_or_else(|error| panic!("{error}"))
}

/// The key of the first row that contains these bytes.
///
/// # Panics
/// If there are so few bytes that a row may contain them by chance.
#[must_use]
pub fn row_with(rows: &Rows, bytes: &[u8]) -> Option<RowKey> {
    assert!(bytes.len() >= 12, "a row may contain these bytes by chance");
    let contains = |row: &Secret| row.expose().windows(bytes.len()).any(|window| window == bytes);
    rows.iter().find(|(_, row)| contains(row)).map(|(key, _)| *key)
}

/// A write that failed and left nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWritten;

impl WriteError for NotWritten {
    fn may_have_written(&self) -> bool {
        false
    }
}

// ── what clients are and send ────────────────────────────────────────────────────────────────

/// The settings of every client whose test does not choose others.
#[must_use]
pub fn config() -> Config {
    let proposals = CUSTOM_PROPOSALS.map(CustomProposal::vector).into();
    Config { proposals, ..Config::default() }
}

/// The framing of an encrypted handshake message.
#[must_use]
pub fn encrypted() -> Framing {
    Framing { encrypt: true, ..Framing::default() }
}

/// The leaf of a client with this name, which supports [`CUSTOM`].
#[must_use]
pub fn leaf_params(name: &str, suite: CipherSuite) -> LeafParams {
    let mut leaf = LeafParams::new(Credential::basic(name.as_bytes()), &[suite]);
    leaf.capabilities.extensions.push(CUSTOM);
    leaf
}

/// The same leaf, which supports the proposals of draft-ietf-mls-extensions-10 and these components.
///
/// # Panics
/// If there are too many components, or the leaf has a malformed dictionary.
#[must_use]
pub fn supporting(mut leaf: LeafParams, components: &[ComponentId]) -> LeafParams {
    leaf.capabilities.proposals.extend([
        ProposalType::APP_DATA_UPDATE,
        ProposalType::APP_EPHEMERAL,
        ProposalType::SELF_REMOVE,
    ]);
    let known = ComponentsList::of(components).to_bytes().expect("an encoding");
    leaf.with_component(ComponentId::APP_COMPONENTS, known).expect("a dictionary")
}

/// The same leaf, which invites targeted messages.
///
/// # Panics
/// Never: the list is short.
#[must_use]
pub fn inviting(leaf: LeafParams) -> LeafParams {
    leaf.with_wire_formats(&[WireFormat::TARGETED_MESSAGE]).expect("a short list")
}

/// A signature key pair of a suite.
///
/// # Panics
/// If the provider does not have the suite.
#[must_use]
pub fn signer(suite: CipherSuite, seed: u64) -> SignatureKeyPair {
    let suite = Suite::new(&PROVIDER, suite).expect("a supported suite");
    suite.signature_key_pair(&mut SeededRng::from_u64(seed)).expect("a key pair")
}

/// The length of [`SUITE`]'s hashes, which is also that of PSK nonces.
///
/// # Panics
/// If the provider does not have the suite.
#[must_use]
pub fn hash_len() -> usize {
    Suite::new(&PROVIDER, SUITE).expect("a supported suite").params().kdf.extract_len()
}

/// A proposal to add the owner of a key package.
///
/// # Panics
/// If the key package is not valid.
#[must_use]
pub fn add(own: &OwnKeyPackage) -> NewProposal {
    let kp = own.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, NOW, &config(), kp);
    let valid = stage.expect("valid").resolve(Verdict::Accept).expect("accepted");
    NewProposal::Add(Box::new(valid))
}

/// A commit of proposals by value.
#[must_use]
pub fn commit_of(proposals: Vec<NewProposal>) -> CommitOptions {
    CommitOptions { proposals, ..CommitOptions::default() }
}

/// The identifier of the commit that waits for its verdict; an empty one if no commit waits.
#[must_use]
pub fn pending_id(group: &Group) -> CommitId {
    group.pending_commit().map(|messages| messages.id.clone()).unwrap_or_default()
}

/// The rule whose breach an error reports.
///
/// # Panics
/// If the error reports something else.
#[must_use]
pub fn rejection(error: Error) -> Rejection {
    match error {
        Error::Rejected(rejection) => rejection,
        other => panic!("not a rejection: {other}"),
    }
}
