//! A group in which one member breaks rules, and the members and observer that judge its messages.

use conclave_crypto::{SignatureKeyPair, Suite};
use conclave_group::{
    CommitMessages, CommitOptions, Config, Error, Event, ExternalJoinStage, Framing, Group,
    GroupParams, LeafParams, NewProposal, Observer, OwnKeyPackage, ProposalMessage, Refused,
    Rejection, Transition,
};
use conclave_testkit::forge::Insider;
use conclave_testkit::{SeededRng, accepting, party};
use conclave_tree::{TreeError, TreeRead};
use conclave_wire::{
    CipherSuite, Commit, Content, Credential, Decode, Extension, ExtensionType, ExternalSender,
    GroupInfo, LeafIndex, LeafNode, MlsMessage, MlsMessageBody, Proposal, ProposalOrRef,
    UpdatePath,
};
use std::convert::Infallible;

pub(super) use conclave_testkit::party::{
    ALL, LIFETIME, NOW, PROVIDER, SUITE, add as new_add, commit_of, hash_len, rejection, rows_of,
    take_unstored,
};

/// The value of every PSK in these tests.
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
        extensions,
        ..GroupParams::new(group_id.into(), cipher_suite, leaf, LIFETIME)
    };
    let signer = party::signer(cipher_suite, 1);
    let new = Group::create(&PROVIDER, &mut rng(1), Config::default(), params, signer).unwrap();
    new.store(|_| Ok::<_, Infallible>(())).unwrap()
}

/// Commits and applies at once.
pub(super) fn commits(group: &mut Group, options: CommitOptions) -> CommitMessages {
    let step = group.commit(&PROVIDER, &mut rng(group.epoch().0 + 50), NOW, options).unwrap();
    let messages = take_unstored(group, step);
    let step = group.commit_accepted(&PROVIDER, NOW, &messages.id).unwrap();
    take_unstored(group, step);
    messages
}

pub(super) fn joins(welcome: &[u8], own: &OwnKeyPackage) -> Result<Group, Error> {
    let psks = accepting::same_psk(&PSK);
    let new = accepting::join(&PROVIDER, Config::default(), welcome, own, psks, None, None)?;
    Ok(new.store(|_| Ok::<_, Infallible>(())).unwrap())
}

pub(super) fn decoded_group_info(message: &[u8]) -> GroupInfo {
    match MlsMessage::from_bytes(message).unwrap().body {
        MlsMessageBody::GroupInfo(info) => *info,
        other => panic!("{other:?}"),
    }
}

pub(super) fn watches(info: &[u8]) -> Result<Observer, Error> {
    accepting::watch(&PROVIDER, Config::default(), info)
}

/// A commit of these proposals by value.
pub(super) fn commit(proposals: Vec<Proposal>, path: Option<UpdatePath>) -> Content {
    Insider::commit(proposals, path)
}

/// A commit of proposals by value or reference.
pub(super) fn commit_list(proposals: Vec<ProposalOrRef>, path: Option<UpdatePath>) -> Content {
    Content::Commit(Commit { proposals, path: path.map(Box::new) })
}

/// A forged message.
#[derive(Clone)]
pub(super) enum Forged {
    /// Content that the insider sends as a member, both in the clear and encrypted.
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

/// The audience that can see that a message breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenBy {
    /// Everybody who sees the message in the clear.
    All,
    /// Only members, who know the group's secrets.
    Members,
}

/// Alice (leaf 0) breaks rules; bob, carol and dave (1, 2, 3) and an observer judge. Of the leaves 4
/// to 7, all but eve's (5) are blank, so that there is room between them.
pub(super) struct Scene {
    pub(super) alice: Group,
    pub(super) insider: Insider,
    pub(super) judges: Vec<Group>,
    pub(super) observer: Observer,
    /// The key pair of external sender 0.
    pub(super) service: SignatureKeyPair,
}

pub(super) const BOB: LeafIndex = LeafIndex(1);
pub(super) const CAROL: LeafIndex = LeafIndex(2);
pub(super) const EVE: LeafIndex = LeafIndex(5);
pub(super) const NOBODY: LeafIndex = LeafIndex(4);

impl Scene {
    /// A scene whose judges have these settings; alice has the default ones.
    pub(super) fn with(config: &Config) -> Self {
        let mut scene = Self::new();
        let config = Config { adopt_policy: true, ..config.clone() };
        for judge in &mut scene.judges {
            let rows = rows_of(judge.rows());
            *judge = Group::load(&PROVIDER, config.clone(), rows).unwrap();
        }
        let rows = rows_of(scene.observer.rows());
        scene.observer = Observer::load(&PROVIDER, config.clone(), rows).unwrap();
        scene
    }

    pub(super) fn new() -> Self {
        // Alice adds all, and an observer watches.
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

        // A member is removed, so that there is a blank leaf.
        let remove = commits(&mut scene.alice, commit_of(vec![NewProposal::Remove(NOBODY)]));
        scene.all_take(&remove.commit);
        scene.insider = Insider::of(&scene.alice);
        scene
    }

    /// Lets the judges and the observer accept a message.
    pub(super) fn all_take(&mut self, message: &[u8]) {
        for judge in &mut self.judges {
            if let Some(step) = received(judge, message).unwrap() {
                take_unstored(judge, step);
            }
        }
        let step = accepting::observe(&self.observer, &PROVIDER, message).unwrap();
        take_unstored(&mut self.observer, step);
    }

    /// Lets a judge, or else alice, make a proposal, which all receive. Returns the reference that a
    /// commit names it by.
    pub(super) fn proposed(
        &mut self,
        judge: Option<usize>,
        seed: u64,
        make: impl FnOnce(&Group, &mut SeededRng) -> Result<Transition<Group, ProposalMessage>, Error>,
    ) -> ProposalOrRef {
        let group = match judge {
            Some(place) => &mut self.judges[place],
            None => &mut self.alice,
        };
        let step = make(group, &mut rng(seed)).unwrap();
        let proposal = take_unstored(group, step);

        self.all_take(&proposal.message);
        if judge.is_some() {
            let step = received(&self.alice, &proposal.message).unwrap().unwrap();
            take_unstored(&mut self.alice, step);
        }
        ProposalOrRef::Reference(proposal.reference)
    }

    /// Checks that everybody who can see that a forged message breaks a rule refuses it by that rule,
    /// and that it changes nothing anywhere. If only members can see it, the observer must accept the
    /// message.
    ///
    /// All tests of forged messages go through this function.
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
        let observed = accepting::observe(&self.observer, &PROVIDER, &clear);
        match (observed, seen_by) {
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

        // A message consumes its key once its sender's signature has verified (section 9.2), unless the
        // message may still become valid.
        let kept = matches!(
            found,
            Rejection::SenderNotMember(_) | Rejection::UnknownProposal(_) | Rejection::Framing(_)
        );
        assert_eq!(refused.key_deletion.is_some(), encrypted && !kept, "{what}: {who}");
    }

    /// Checks that a newcomer who joins from outside and an observer refuse a GroupInfo.
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
                Ok(()) => panic!("{what}: {who} accepts it"),
                Err(error) => {
                    let found = rejection(error);
                    assert!(rule(&found), "{what}: {who} says {found:?}");
                }
            }
        }
    }
}

/// The step that a message leads to, with every PSK provided; none if the message is known.
pub(super) fn received(
    group: &Group,
    message: &[u8],
) -> Result<Option<Transition<Group, Event>>, Refused> {
    accepting::process(group, &PROVIDER, NOW, message, accepting::same_psk(&PSK))
}

/// Whether a rejection is exactly this one.
pub(super) fn is(expected: Rejection) -> impl Fn(&Rejection) -> bool {
    move |found| *found == expected
}

/// The framing of a message in the clear.
pub(super) fn clear() -> Framing {
    Framing::default()
}

/// Whether a rejection is of the tree, for this reason.
pub(super) fn of_tree(rule: impl Fn(&TreeError) -> bool) -> impl Fn(&Rejection) -> bool {
    move |found| matches!(found, Rejection::Tree(error) if rule(error))
}

pub(super) fn leaf_of(group: &Group, leaf: LeafIndex) -> LeafNode {
    group.tree().leaf(leaf).unwrap()
}
