//! A group of which one member breaks rules, and who judges what it sends.

use conclave_crypto::{Secret, SignatureKeyPair, Suite};
use conclave_group::rows::{Batch, RowKey};
use conclave_group::{
    Answers, CommitMessages, CommitOptions, Config, Error, Event, ExternalJoinStage, Framing,
    Group, GroupParams, LeafParams, NewProposal, Observer, ObserverStage, OwnKeyPackage, Received,
    Refused, Rejection, Transition, Verdict, WelcomeStage, apply,
};
use conclave_testkit::forge::Insider;
use conclave_testkit::{SeededRng, party};
use conclave_tree::{TreeError, TreeRead};
use conclave_wire::{
    CipherSuite, Commit, Content, Credential, Decode, Extension, ExtensionType, ExternalSender,
    GroupInfo, LeafIndex, LeafNode, MlsMessage, MlsMessageBody, Proposal, ProposalOrRef, PskType,
    UpdatePath,
};
use std::convert::Infallible;

pub(super) use conclave_testkit::party::{
    ALL, LIFETIME, NOW, PROVIDER, SUITE, add as new_add, commit_of, hash_len, pending_id, rejection,
};

/// The value of every PSK of these tests.
pub(super) const PSK: [u8; 32] = [0x5a; 32];

pub(super) fn suite() -> Suite<'static> {
    Suite::new(&PROVIDER, SUITE).unwrap()
}

pub(super) fn rng(seed: u64) -> SeededRng {
    SeededRng::from_u64(seed)
}

pub(super) fn signer(seed: u64) -> SignatureKeyPair {
    party::signer(SUITE, seed)
}

pub(super) fn leaf_params(name: &str) -> LeafParams {
    LeafParams::new(Credential::basic(name.as_bytes()), &[SUITE])
}

pub(super) fn key_package_of(leaf: LeafParams, seed: u64) -> OwnKeyPackage {
    party::key_package_of(leaf, SUITE, seed + 1000)
}

pub(super) fn key_package(name: &str, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf_params(name), seed)
}

pub(super) fn add(own: &OwnKeyPackage) -> Proposal {
    Proposal::Add(Box::new(own.key_package().clone()))
}

pub(super) fn external_senders(signers: &[&SignatureKeyPair]) -> Vec<Extension> {
    let sender = |signer: &&SignatureKeyPair| ExternalSender {
        signature_key: signer.public.clone(),
        credential: Credential::basic(b"the service"),
    };
    let senders: Vec<ExternalSender> = signers.iter().map(sender).collect();
    vec![Extension::new(ExtensionType::EXTERNAL_SENDERS, &senders).unwrap()]
}

pub(super) fn accept(n: usize) -> Vec<Verdict> {
    vec![Verdict::Accept; n]
}

pub(super) fn taken(group: &mut Group, step: Transition<Group>) -> Event {
    apply(group, step, |_| Ok::<_, Infallible>(())).unwrap()
}

/// Founds a group of one.
pub(super) fn found(name: &str, group_id: &[u8], extensions: Vec<Extension>) -> Group {
    found_in(SUITE, name, group_id, extensions)
}

/// Founds a group of one in a suite.
pub(super) fn found_in(
    cipher_suite: CipherSuite,
    name: &str,
    group_id: &[u8],
    extensions: Vec<Extension>,
) -> Group {
    let leaf = LeafParams::new(Credential::basic(name.as_bytes()), &[cipher_suite]);
    let params = GroupParams {
        group_id: group_id.into(),
        cipher_suite,
        extensions,
        leaf,
        lifetime: LIFETIME,
    };
    let (rng, signer) = (&mut rng(1), party::signer(cipher_suite, 1));
    let new = Group::create(&PROVIDER, rng, Config::default(), params, signer).unwrap();
    new.store(|_| Ok::<_, Infallible>(())).unwrap()
}

/// Commits and applies at once.
pub(super) fn commits(group: &mut Group, options: CommitOptions) -> CommitMessages {
    let step = group.commit(&PROVIDER, &mut rng(group.epoch().0 + 50), NOW, options).unwrap();
    let Event::Commit(messages) = taken(group, step) else { panic!("no commit") };
    let step = group.commit_accepted(&PROVIDER, NOW, &pending_id(group)).unwrap();
    taken(group, step);
    messages
}

pub(super) fn joins(welcome: &[u8], own: &OwnKeyPackage) -> Result<Group, Error> {
    let stage = WelcomeStage::open(&PROVIDER, Config::default(), welcome, own)?;
    let psks: Vec<(PskType, Secret)> =
        stage.psks().iter().map(|id| (id.psktype.clone(), Secret::copy_from(&PSK))).collect();
    let join = stage.join(&PROVIDER, &psks, None, None)?;
    let verdicts = accept(join.credentials().len());
    Ok(join.resolve(&verdicts)?.store(|_| Ok::<_, Infallible>(())).unwrap())
}

pub(super) fn decoded_group_info(message: &[u8]) -> GroupInfo {
    match MlsMessage::from_bytes(message).unwrap().body {
        MlsMessageBody::GroupInfo(info) => *info,
        other => panic!("{other:?}"),
    }
}

pub(super) fn watches(info: &[u8]) -> Result<Observer, Error> {
    let watch = ObserverStage::open(&PROVIDER, Config::default(), info, None)?;
    let verdicts = accept(watch.credentials().len());
    watch.resolve(&verdicts)
}

/// A commit of these proposals by value.
pub(super) fn commit(proposals: Vec<Proposal>, path: Option<UpdatePath>) -> Content {
    Insider::commit(proposals, path)
}

/// A commit of proposals by value or reference.
pub(super) fn commit_list(proposals: Vec<ProposalOrRef>, path: Option<UpdatePath>) -> Content {
    Content::Commit(Commit { proposals, path: path.map(Box::new) })
}

/// What is forged.
#[derive(Clone)]
pub(super) enum Forged {
    /// What the insider says as a member: it is sent in the clear and encrypted.
    Said(Content),
    /// A whole message.
    Message(Vec<u8>),
}

impl From<Content> for Forged {
    fn from(content: Content) -> Self {
        Self::Said(content)
    }
}

impl From<Vec<u8>> for Forged {
    fn from(message: Vec<u8>) -> Self {
        Self::Message(message)
    }
}

/// Who can see that a rule is broken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenBy {
    /// Whoever sees the message in the clear.
    All,
    /// Only who knows the group's secrets.
    Members,
}

/// Alice (leaf 0) breaks rules; bob, carol and dave (1, 2, 3) and an observer judge. Leaves 4 to 7
/// are blank but for eve's (5): between them is room.
pub(super) struct Scene {
    pub(super) alice: Group,
    pub(super) insider: Insider,
    pub(super) judges: Vec<Group>,
    pub(super) observer: Observer,
    /// The external sender 0.
    pub(super) service: SignatureKeyPair,
}

pub(super) const BOB: LeafIndex = LeafIndex(1);
pub(super) const CAROL: LeafIndex = LeafIndex(2);
pub(super) const EVE: LeafIndex = LeafIndex(5);
pub(super) const NOBODY: LeafIndex = LeafIndex(4);

fn stored(batch: Batch) -> impl Iterator<Item = (RowKey, Secret)> {
    batch.rows.into_iter().filter_map(|(key, row)| Some((key, row?)))
}

impl Scene {
    /// Who judges has these settings; alice has the default ones.
    pub(super) fn with(config: &Config) -> Self {
        let mut scene = Self::new();
        let config = Config { adopt_policy: true, ..config.clone() };
        for judge in &mut scene.judges {
            let rows = stored(judge.rows().unwrap());
            *judge = Group::load(&PROVIDER, config.clone(), rows).unwrap();
        }
        let rows = stored(scene.observer.rows().unwrap());
        scene.observer = Observer::load(&PROVIDER, config.clone(), rows).unwrap();
        scene
    }

    pub(super) fn new() -> Self {
        let service = signer(9);
        let mut alice = found("alice", b"a group", external_senders(&[&service]));
        let names = ["bob", "carol", "dave", "nobody", "eve"];
        let owns: Vec<OwnKeyPackage> =
            names.iter().zip(10..).map(|(name, seed)| key_package(name, seed)).collect();
        let adds = owns.iter().map(new_add).collect();
        let options = CommitOptions { force_path: true, ..commit_of(adds) };
        let welcome = commits(&mut alice, options).welcomes.remove(0).message;
        let judges = owns[..3].iter().map(|own| joins(&welcome, own).unwrap()).collect();
        let observer = watches(&alice.group_info(&PROVIDER, ALL).unwrap()).unwrap();
        let insider = Insider::of(&alice);
        let mut scene = Self { alice, insider, judges, observer, service };
        let remove = commits(&mut scene.alice, commit_of(vec![NewProposal::Remove(NOBODY)]));
        scene.all_take(&remove.commit);
        scene.insider = Insider::of(&scene.alice);
        scene
    }

    /// The judges and the observer accept a message.
    pub(super) fn all_take(&mut self, message: &[u8]) {
        for judge in &mut self.judges {
            if let Some(step) = received(judge, message).unwrap() {
                taken(judge, step);
            }
        }
        let step = observed(&self.observer, message).unwrap();
        apply(&mut self.observer, step, |_| Ok::<_, Infallible>(())).unwrap();
    }

    /// Somebody makes a proposal that all know from then on; what a commit refers to it by.
    pub(super) fn proposed(
        &mut self,
        judge: Option<usize>,
        seed: u64,
        make: impl FnOnce(&Group, &mut SeededRng) -> Result<Transition<Group>, Error>,
    ) -> ProposalOrRef {
        let group = match judge {
            Some(place) => &mut self.judges[place],
            None => &mut self.alice,
        };
        let step = make(group, &mut rng(seed)).unwrap();
        let Event::Proposal { message, reference } = taken(group, step) else { panic!("none") };
        self.all_take(&message);
        if judge.is_some() {
            let step = received(&self.alice, &message).unwrap().unwrap();
            taken(&mut self.alice, step);
        }
        ProposalOrRef::Reference(reference)
    }

    /// What is forged is refused, by the same rule, by everybody who can see that it breaks it; and
    /// changes nothing anywhere. What members alone can see, the observer has to let pass.
    ///
    /// All tests of forged messages go through here.
    #[track_caller]
    pub(super) fn refused_by_all(
        &self,
        what: &str,
        forged: impl Into<Forged>,
        seen_by: SeenBy,
        rule: impl Fn(&Rejection) -> bool,
    ) {
        let (clear, encrypted) = match forged.into() {
            Forged::Said(content) => (
                self.insider.public(&PROVIDER, content.clone()),
                Some(self.insider.private(&PROVIDER, &mut rng(3), content, 5)),
            ),
            Forged::Message(message) => (message, None),
        };
        for judge in &self.judges {
            self.refused_by(judge, what, &clear, false, &rule);
            if let Some(encrypted) = &encrypted {
                self.refused_by(judge, what, encrypted, true, &rule);
            }
        }
        let before = self.observer.rows().unwrap();
        match (observed(&self.observer, &clear), seen_by) {
            (Ok(_), SeenBy::Members) => {}
            (Ok(step), SeenBy::All) => panic!("{what}: led an observer to {step:?}"),
            (Err(error), SeenBy::All) => {
                let found = rejection(error);
                assert!(rule(&found), "{what}: an observer says {found:?}");
            }
            (Err(error), SeenBy::Members) => panic!("{what}: an observer says {error}"),
        }
        assert_eq!(self.observer.rows().unwrap(), before, "{what}: changed an observer");
    }

    #[track_caller]
    fn refused_by(
        &self,
        judge: &Group,
        what: &str,
        message: &[u8],
        encrypted: bool,
        rule: &impl Fn(&Rejection) -> bool,
    ) {
        let who = judge.own_leaf();
        let before = judge.rows().unwrap();
        let refused = match received(judge, message) {
            Err(refused) => refused,
            Ok(step) => panic!("{what}: led {who} to {step:?}"),
        };
        let found = rejection(refused.error);
        assert!(rule(&found), "{what}: {who} says {found:?}");
        assert_eq!(judge.rows().unwrap(), before, "{what}: changed {who}");
        // A key is consumed once the sender's signature has verified (section 9.2), and kept if the
        // message may become valid.
        let kept = matches!(
            found,
            Rejection::SenderNotMember(_) | Rejection::UnknownProposal(_) | Rejection::Framing(_)
        );
        assert_eq!(refused.key_deletion.is_some(), encrypted && !kept, "{what}: {who}");
    }

    /// A GroupInfo is refused by whoever would join from outside, and by an observer.
    #[track_caller]
    pub(super) fn group_info_refused_by_all(
        &self,
        what: &str,
        info: &[u8],
        rule: impl Fn(&Rejection) -> bool,
    ) {
        let outside = ExternalJoinStage::open(&PROVIDER, Config::default(), info, None).map(|_| ());
        for (who, result) in [("a joiner", outside), ("an observer", watches(info).map(|_| ()))] {
            match result {
                Ok(()) => panic!("{what}: {who} takes it"),
                Err(error) => {
                    let found = rejection(error);
                    assert!(rule(&found), "{what}: {who} says {found:?}");
                }
            }
        }
    }
}

/// Takes a message to the end, all credentials accepted and all PSKs given; none if it is known.
pub(super) fn received(
    group: &Group,
    message: &[u8],
) -> Result<Option<Transition<Group>>, Refused> {
    Ok(Some(match group.process(&PROVIDER, NOW, message)? {
        Received::Application(step) | Received::OwnCommit(step) => step,
        Received::Proposal(stage) => {
            let verdicts = accept(stage.credentials().len());
            stage.resolve(group, &verdicts)?
        }
        Received::Commit(stage) => {
            let verdicts = accept(stage.credentials().len());
            let value = || Secret::copy_from(&PSK);
            let psks = stage.psks().iter().map(|id| (id.psktype.clone(), value())).collect();
            stage.resolve(group, &PROVIDER, NOW, &Answers { verdicts, psks })?
        }
        Received::Known => return Ok(None),
    }))
}

fn observed(observer: &Observer, message: &[u8]) -> Result<Transition<Observer>, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = accept(stage.credentials().len());
    stage.resolve(observer, &PROVIDER, &verdicts)
}

/// Whether a rejection is just this one.
pub(super) fn is(expected: Rejection) -> impl Fn(&Rejection) -> bool {
    move |found| *found == expected
}

/// How a message is sent in the clear.
pub(super) fn clear() -> Framing {
    Framing::default()
}

/// Whether a rejection is of the tree, and which.
pub(super) fn of_tree(rule: impl Fn(&TreeError) -> bool) -> impl Fn(&Rejection) -> bool {
    move |found| matches!(found, Rejection::Tree(error) if rule(error))
}

pub(super) fn leaf_of(group: &Group, leaf: LeafIndex) -> LeafNode {
    group.tree().leaf(leaf).unwrap()
}
