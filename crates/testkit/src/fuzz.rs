//! What fuzzing feeds: decoders, a live member, an observer, and the loader of stored state.
//!
//! Each function takes any bytes and panics if something is not as it has to be. The fuzz targets
//! in `fuzz/` call them with bytes that a fuzzer found, the tests here with random ones.
#![allow(clippy::expect_used, clippy::panic)]

use crate::SeededRng;
use crate::forge::Insider;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_group::rows::RowKey;
use conclave_group::{
    Answers, CommitOptions, Config, Event, Framing, Group, GroupInfoOptions, GroupParams,
    KeyPackageParams, LeafParams, NewProposal, Observer, ObserverStage, OwnKeyPackage, Received,
    Transition, ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_tree::UnverifiedTree;
use conclave_wire::{
    CipherSuite, Commit, Content, Credential, Decode, Encode, GroupContext, GroupInfo,
    GroupSecrets, KeyPackage, LeafIndex, LeafNode, Lifetime, MlsMessage, Proposal,
    RatchetTreeExtension, Sender, Welcome,
};
use std::convert::Infallible;
use std::sync::OnceLock;

const NOW: u64 = 1_700_000_000;
const SUITE: CipherSuite = CipherSuite(1);

/// Decodes the bytes as everything that comes from outside. What decodes encodes to the same
/// bytes, and does not decode with a byte more.
pub fn decode(bytes: &[u8]) {
    fn canonical<T: Decode + Encode>(bytes: &[u8]) {
        let Ok(value) = T::from_bytes(bytes) else { return };
        assert_eq!(value.to_bytes().as_deref(), Ok(bytes), "not canonical");
        let longer = [bytes, &[0]].concat();
        assert!(T::from_bytes(&longer).is_err(), "a trailing byte was ignored");
    }
    canonical::<MlsMessage>(bytes);
    canonical::<Welcome>(bytes);
    canonical::<GroupInfo>(bytes);
    canonical::<GroupContext>(bytes);
    canonical::<GroupSecrets>(bytes);
    canonical::<KeyPackage>(bytes);
    canonical::<LeafNode>(bytes);
    canonical::<Proposal>(bytes);
    canonical::<Commit>(bytes);
    canonical::<RatchetTreeExtension>(bytes);
    let provider = RustCrypto::new();
    if let Ok(suite) = Suite::new(&provider, SUITE)
        && let Ok(tree) = UnverifiedTree::decode(&suite, bytes)
    {
        let _ = tree.verify(&suite, &b"group".as_slice().into());
    }
}

/// Two members and an observer of one group, and real messages of one member to it.
struct Stage {
    receiver: Group,
    observer: Observer,
    insider: Insider,
    messages: Vec<Vec<u8>>,
    rows: Vec<(RowKey, Secret)>,
}

fn taken(group: &mut Group, step: Transition<Group>) -> Event {
    apply(group, step, |_| Ok::<_, Infallible>(())).expect("fits its state")
}

/// The stage of all runs: it is never changed.
fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(build)
}

fn build() -> Stage {
    let provider = RustCrypto::new();
    let mut rng = SeededRng::from_u64(9420);
    let lifetime = Lifetime { not_before: NOW - 1, not_after: NOW + 1_000_000 };
    let leaf = |name: &str| LeafParams::new(Credential::basic(name.as_bytes()), &[SUITE]);
    let signature = provider.suite(SUITE).expect("suite 1").signature;
    let signer =
        |rng: &mut SeededRng| provider.signature_key_pair(signature, rng).expect("a key pair");
    let own = |rng: &mut SeededRng, name: &str| {
        let params = KeyPackageParams {
            cipher_suite: SUITE,
            leaf: leaf(name),
            lifetime,
            extensions: Vec::new(),
            last_resort: false,
        };
        let signer = signer(rng);
        OwnKeyPackage::generate(&provider, rng, params, signer).expect("a key package")
    };
    let valid = |own: &OwnKeyPackage| {
        let kp = own.key_package().clone();
        let stage = ValidKeyPackage::check(&provider, NOW, &Config::default(), kp);
        let valid = stage.expect("valid").resolve(Verdict::Accept).expect("accepted");
        NewProposal::Add(Box::new(valid))
    };
    let params = GroupParams {
        group_id: b"fuzzed".as_slice().into(),
        cipher_suite: SUITE,
        extensions: Vec::new(),
        leaf: leaf("alice"),
        lifetime,
    };
    let alice_signer = signer(&mut rng);
    let new = Group::create(&provider, &mut rng, Config::default(), params, alice_signer);
    let mut alice = new.expect("a group").store(|_| Ok::<_, Infallible>(())).expect("stored");
    let joiners = ["bob", "carol", "dave"].map(|name| own(&mut rng, name));
    let options = CommitOptions {
        proposals: joiners.iter().map(valid).collect(),
        force_path: true,
        ..CommitOptions::default()
    };
    let step = alice.commit(&provider, &mut rng, options).expect("a commit");
    let Event::Commit(messages) = taken(&mut alice, step) else { panic!("no commit") };
    let step = alice.commit_accepted(&provider, NOW).expect("pending");
    taken(&mut alice, step);
    let [bob, ..] = joiners;
    let welcome = &messages.welcomes.first().expect("a Welcome").message;
    let join = WelcomeStage::open(&provider, Config::default(), welcome, &bob)
        .and_then(|stage| stage.join(&provider, &[], None, None))
        .expect("bob joins");
    let verdicts = vec![Verdict::Accept; join.credentials().len()];
    let bob = join.resolve(&verdicts).expect("accepted");
    let bob = bob.store(|_| Ok::<_, Infallible>(())).expect("stored");
    let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    let info = alice.group_info(&provider, options).expect("a GroupInfo");
    let watch =
        ObserverStage::open(&provider, Config::default(), &info, None).expect("an observer");
    let verdicts = vec![Verdict::Accept; watch.credentials().len()];
    let observer = watch.resolve(&verdicts).expect("accepted");

    let insider = Insider::of(&alice);
    let mut all = vec![welcome.clone(), info];
    for encrypt in [false, true] {
        let framing = Framing { encrypt, ..Framing::default() };
        let options = CommitOptions {
            proposals: vec![NewProposal::Remove(LeafIndex(3))],
            framing: framing.clone(),
            ..CommitOptions::default()
        };
        let step = alice.commit(&provider, &mut rng, options).expect("a commit");
        let Event::Commit(messages) = taken(&mut alice, step) else { panic!("no commit") };
        let step = alice.commit_rejected().expect("pending");
        taken(&mut alice, step);
        let step = alice.propose(&provider, &mut rng, NewProposal::Remove(LeafIndex(2)), &framing);
        let Event::Proposal { message, .. } = taken(&mut alice, step.expect("a proposal")) else {
            panic!("no proposal")
        };
        let step = alice.discard_proposals().expect("none pending");
        taken(&mut alice, step);
        let step = alice.encrypt(&provider, &mut rng, b"hello", &framing).expect("a message");
        let Event::Message(data) = taken(&mut alice, step) else { panic!("no message") };
        all.extend([messages.commit, message, data]);
    }
    let rows = bob.rows().expect("rows").rows;
    let rows = rows.into_iter().filter_map(|(key, row)| Some((key, row?))).collect();
    Stage { receiver: bob, observer, insider, messages: all, rows }
}

/// One of the real messages, edited as the bytes say: the first picks it, each following three are
/// a place and what is XORed there; an odd rest cuts it short.
fn edited(messages: &[Vec<u8>], bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (pick, edits) = bytes.split_first()?;
    let original = messages.get(usize::from(*pick) % messages.len())?;
    let mut message = original.clone();
    let mut chunks = edits.chunks_exact(3);
    for edit in &mut chunks {
        if let [high, low, xor] = edit {
            let at = usize::from(u16::from_be_bytes([*high, *low])) % message.len();
            if let Some(byte) = message.get_mut(at) {
                *byte ^= xor;
            }
        }
    }
    if let [cut] = chunks.remainder() {
        message.truncate(message.len().saturating_sub(usize::from(*cut)));
    }
    let changed = message != *original;
    Some((message, changed))
}

/// Gives a member a message and takes what comes of it to the end. Whether it was accepted.
fn receive(group: &Group, message: &[u8]) -> bool {
    let provider = RustCrypto::new();
    match group.process(&provider, NOW, message) {
        Err(_) | Ok(Received::Known) => false,
        Ok(Received::Application(_) | Received::OwnCommit(_)) => true,
        Ok(Received::Proposal(stage)) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            stage.resolve(group, &provider, &verdicts).is_ok()
        }
        Ok(Received::Commit(stage)) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            let psks =
                stage.psks().iter().map(|id| (id.psktype.clone(), Secret::zero(32))).collect();
            stage.resolve(group, &provider, NOW, &Answers { verdicts, psks }).is_ok()
        }
    }
}

/// Gives a live member edited real messages. An edited one is never accepted.
pub fn process(bytes: &[u8]) {
    let stage = stage();
    let Some((message, changed)) = edited(&stage.messages, bytes) else { return };
    let accepted = receive(&stage.receiver, &message);
    assert!(!(changed && accepted), "an edited message was accepted");
}

/// Gives a live member and an observer whatever a member can sign: the bytes as proposal or commit,
/// correctly framed. Without the next epoch's secrets no commit is accepted.
pub fn insider(bytes: &[u8]) {
    let stage = stage();
    let provider = RustCrypto::new();
    let Some((kind, body)) = bytes.split_first() else { return };
    let content = match kind % 2 {
        0 => Proposal::from_bytes(body).map(Content::Proposal),
        _ => Commit::from_bytes(body).map(Content::Commit),
    };
    let Ok(content) = content else { return };
    let commit = matches!(content, Content::Commit(_));
    let message = match kind / 2 % 4 {
        0 => stage.insider.public(&provider, content),
        1 => stage.insider.from_outside(&provider, Sender::NewMemberCommit, content),
        2 => stage.insider.from_outside(&provider, Sender::NewMemberProposal, content),
        _ => {
            let mut rng = SeededRng::from_u64(0);
            stage.insider.private(&provider, &mut rng, content, 7)
        }
    };
    let accepted = receive(&stage.receiver, &message);
    assert!(!(commit && accepted), "a commit without a valid confirmation tag was accepted");
    observe(&stage.observer, &message);
}

fn observe(observer: &Observer, message: &[u8]) -> bool {
    let provider = RustCrypto::new();
    let Ok(stage) = observer.process(&provider, message) else { return false };
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(observer, &provider, &verdicts).is_ok()
}

/// Gives an observer edited real messages. Nothing but membership tag and confirmation tag, which
/// it cannot check, may be changed in what it accepts.
pub fn observer(bytes: &[u8]) {
    let stage = stage();
    if let Some((message, _)) = edited(&stage.messages, bytes) {
        observe(&stage.observer, &message);
    }
}

/// Loads a member from rows of which one is edited: the first two bytes pick it, the rest is XORed
/// over it. Whatever loads can be written out again.
pub fn load(bytes: &[u8]) {
    let stage = stage();
    let Some((pick, edits)) = bytes.split_first_chunk::<2>() else { return };
    let mut rows = stage.rows.clone();
    let at = usize::from(u16::from_be_bytes(*pick)) % rows.len();
    if let Some((_, row)) = rows.get_mut(at) {
        let mut edited = row.expose().to_vec();
        edited.iter_mut().zip(edits).for_each(|(byte, xor)| *byte ^= xor);
        edited.truncate(if edits.len() % 7 == 6 { edits.len() } else { edited.len() });
        *row = Secret::new(edited);
    }
    let provider = RustCrypto::new();
    if let Ok(group) = Group::load(&provider, Config::default(), rows) {
        let _ = group.rows();
        for message in &stage.messages {
            receive(&group, message);
        }
    }
}

/// What has to be there for the fuzzer to start from.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = stage().messages.clone();
    for message in stage().messages.clone() {
        let Ok(decoded) = MlsMessage::from_bytes(&message) else { continue };
        if let conclave_wire::MlsMessageBody::PublicMessage(m) = decoded.body {
            let mut w = conclave_wire::Writer::new();
            w.put(&[u8::from(matches!(m.content.content, Content::Commit(_)))]);
            if m.content.content.encode_body(&mut w).is_ok() {
                seeds.push(w.finish());
            }
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random edits of real material: short, to see that nothing panics; the fuzzer goes deeper.
    fn run(name: &str, rounds: u32, target: impl Fn(&[u8])) {
        let mut rng = SeededRng::from_u64(1).fork(name);
        let seeds = seeds();
        for _ in 0..rounds {
            let mut input = rng.pick(&seeds).expect("seeds").clone();
            for _ in 0..rng.below(6) {
                let at = rng.below(input.len().max(1) as u64) as usize;
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
            if rng.one_in(4) {
                let keep = rng.below(input.len().max(1) as u64) as usize;
                input.truncate(keep);
            }
            target(&input);
            let n = rng.below(12) as usize;
            target(&rng.bytes(n));
        }
    }

    #[test]
    fn what_decodes_is_canonical_and_nothing_panics() {
        run("decode", 3000, decode);
    }

    #[test]
    fn edited_messages_are_refused_by_a_member() {
        run("process", 1500, process);
    }

    #[test]
    fn whatever_a_member_signs_does_not_panic_the_others() {
        run("insider", 1500, insider);
    }

    #[test]
    fn edited_messages_do_not_panic_an_observer() {
        run("observer", 1000, observer);
    }

    #[test]
    fn edited_rows_do_not_panic_the_loader() {
        run("load", 300, load);
    }

    #[test]
    fn every_real_message_is_accepted_unedited() {
        let stage = stage();
        let accepted = stage.messages.iter().filter(|m| receive(&stage.receiver, m)).count();
        assert_eq!(accepted, stage.messages.len() - 2, "all but the Welcome and the GroupInfo");
        let observed = stage.messages.iter().filter(|m| observe(&stage.observer, m)).count();
        assert_eq!(observed, 2, "the public commit and the public proposal");
    }
}
