//! Every mix of proposals in a commit, by members and from outside, against an oracle that is written
//! from section 12.2 and not from the code.
//!
//! The commits are forged. They are signed and MACed as a member's commits are, and have a path if one
//! can be made. Their confirmation tag cannot match, because the forger does not know the next epoch's
//! secrets; so a list is valid if its commit fails by that tag alone.

use conclave_crypto::{Secret, SignatureKeyPair, Suite};
use conclave_group::{
    CommitOptions, Config, Error, Framing, KeyPackageParams, NewProposal, Observer, OwnKeyPackage,
    Rejection, ValidKeyPackage, Verdict,
};
use conclave_schedule::external_init_to;
use conclave_testkit::forge::Insider;
use conclave_testkit::party::*;
use conclave_testkit::{SeededRng, accepting};
use conclave_tree::{StagedTree, TreeRead, create_path, seal_path};
use conclave_wire::{
    AuthenticatedContent, Bytes, Commit, Content, Decode, Encode, Extension, ExtensionType,
    GroupInfo, HpkePublicKey, LeafIndex, LeafNode, LeafNodeSource, MlsMessage, MlsMessageBody,
    PreSharedKeyId, Proposal, ProposalOrRef, ProposalRef, ProtocolVersion, PskType, ReInit,
    RequiredCapabilities, Sender, UpdatePath, WireFormat, find_extension,
};
use std::collections::BTreeMap;

macro_rules! atoms {
    ($($(#[$meta:meta])* $atom:ident),* $(,)?) => {
        /// Proposals to the group of alice, bob, carol and dave, of which alice commits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        enum Atom {
            $($(#[$meta])* $atom),*
        }
        use Atom::*;

        const ALL_ATOMS: &[Atom] = &[$($atom),*];
    };
}

atoms! {
    AddNew,
    /// A client that does not support the extension that all others support.
    AddPoor,
    /// Carol's signature key under other encryption keys.
    AddCarolAgain,
    UpdateOfCarol,
    OtherUpdateOfCarol,
    UpdateOfCommitter,
    RemoveCarol,
    RemoveDave,
    RemoveCommitter,
    RemoveNobody,
    PskA,
    PskB,
    Close,
    ExternalInit,
    OtherExternalInit,
    /// An extension that all members support.
    ContextPlain,
    /// An extension that requires the one above.
    ContextRequires,
    /// An extension that nobody supports.
    ContextAlien,
}

/// Members send Updates in messages of their own, so that a commit refers to them.
fn by_reference_only(atom: Atom) -> bool {
    matches!(atom, UpdateOfCarol | OtherUpdateOfCarol | UpdateOfCommitter)
}

fn count(list: &[Atom], of: &[Atom]) -> usize {
    list.iter().filter(|atom| of.contains(atom)).count()
}

/// Section 12.2 for a member's commit: whether the list is valid.
fn valid_for_member(list: &[Atom]) -> bool {
    let has = |atom| count(list, &[atom]) > 0;
    let never = [UpdateOfCommitter, RemoveCommitter, RemoveNobody, ExternalInit, OtherExternalInit];
    // All members must support the resulting extensions (sections 12.1.7 and 13.4).
    let extension = has(ContextPlain) || has(ContextRequires);
    count(list, &never) == 0
        && count(list, &[UpdateOfCarol, OtherUpdateOfCarol, RemoveCarol]) <= 1
        && count(list, &[ContextPlain, ContextRequires, ContextAlien]) <= 1
        && [RemoveDave, PskA, PskB, AddNew, AddPoor, AddCarolAgain]
            .iter()
            .all(|atom| count(list, &[*atom]) <= 1)
        && (!has(Close) || list.len() == 1)
        && (!has(AddCarolAgain) || has(RemoveCarol))
        && !has(ContextAlien)
        && !(extension && has(AddPoor))
}

/// Section 12.4: whether a commit of the list must have a path.
fn needs_path(list: &[Atom]) -> bool {
    let with =
        [UpdateOfCarol, OtherUpdateOfCarol, RemoveCarol, RemoveDave, ContextPlain, ContextRequires];
    list.is_empty() || count(list, &with) > 0
}

/// Section 12.2 for an external commit.
fn valid_from_outside(list: &[(Atom, bool)]) -> bool {
    let atoms: Vec<Atom> = list.iter().map(|(atom, _)| *atom).collect();
    // The committer is an outsider: alice is a member like carol and dave.
    let removes = [RemoveCarol, RemoveDave, RemoveCommitter];
    let others = [ExternalInit, OtherExternalInit, PskA, PskB];
    let allowed = [&removes[..], &others[..]].concat();
    list.iter().all(|(atom, by_reference)| allowed.contains(atom) && !by_reference)
        && count(&atoms, &[ExternalInit, OtherExternalInit]) == 1
        && count(&atoms, &removes) <= 1
        && count(&atoms, &[PskA]) <= 1
        && count(&atoms, &[PskB]) <= 1
}

fn psk_type(atom: Atom) -> PskType {
    PskType::External { psk_id: if atom == PskA { [0xa; 4] } else { [0xb; 4] }.into() }
}

fn context_extensions(atom: Atom) -> Vec<Extension> {
    let of_type = |extension_type| Extension { extension_type, extension_data: Bytes::default() };
    match atom {
        ContextPlain => vec![of_type(CUSTOM)],
        ContextAlien => vec![of_type(ExtensionType(0xf0f0))],
        _ => {
            let required = RequiredCapabilities {
                extension_types: vec![CUSTOM],
                ..RequiredCapabilities::default()
            };
            let kind = ExtensionType::REQUIRED_CAPABILITIES;
            vec![Extension::new(kind, &required).unwrap()]
        }
    }
}

fn reinit() -> ReInit {
    ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: Vec::new(),
    }
}

/// The reference by which a commit names a public message.
fn reference(suite: &Suite<'_>, message: &[u8]) -> ProposalRef {
    let MlsMessageBody::PublicMessage(m) = MlsMessage::from_bytes(message).unwrap().body else {
        panic!("not public")
    };
    let wire_format = WireFormat::PUBLIC_MESSAGE;
    let content = AuthenticatedContent { wire_format, content: m.content, auth: m.auth };
    suite.proposal_ref(&content.to_bytes().unwrap()).unwrap()
}

struct Stage {
    alice: Peer,
    bob: Peer,
    observer: Observer,
    insider: Insider,
    values: BTreeMap<Atom, Proposal>,
    references: BTreeMap<Atom, ProposalRef>,
    key_packages: BTreeMap<Atom, OwnKeyPackage>,
    newcomer: (LeafNode, SignatureKeyPair),
    rng: SeededRng,
}

fn stage() -> Stage {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let mut observer = watch(&peers[0].group_info());
    let suite = Suite::new(&PROVIDER, SUITE).unwrap();
    let mut rng = SeededRng::from_u64(12);
    let mut poor = leaf_params("poor", SUITE);
    poor.capabilities.extensions.clear();
    let params = KeyPackageParams::new(SUITE, leaf_params("carol", SUITE), LIFETIME);
    let carols = Insider::of(&peers[2].group).signer;
    let again = OwnKeyPackage::generate(&PROVIDER, &mut rng, params, carols);
    let key_packages = BTreeMap::from([
        (AddNew, key_package("eve", 50)),
        (AddPoor, key_package_of(poor, SUITE, 51)),
        (AddCarolAgain, again.unwrap()),
    ]);

    let info = peers[0].group_info();
    let MlsMessageBody::GroupInfo(info) = MlsMessage::from_bytes(&info).unwrap().body else {
        panic!("no GroupInfo")
    };
    let mut values = BTreeMap::new();
    for &atom in ALL_ATOMS {
        values.insert(atom, value(&suite, &info, &key_packages, &mut rng, atom));
    }

    // Each proposal as a message of its own, too: the Updates by the leaf's owner, the others by dave.
    let dave = Insider::of(&peers[3].group);
    let mut messages = BTreeMap::new();
    for &atom in ALL_ATOMS {
        let message = match atom {
            UpdateOfCarol | OtherUpdateOfCarol => {
                peers[2].propose_update(None, &Framing::default())
            }
            UpdateOfCommitter => peers[0].propose_update(None, &Framing::default()),
            _ => dave.public(&PROVIDER, Content::Proposal(values[&atom].clone())),
        };
        messages.insert(atom, message);
    }

    let mut references = BTreeMap::new();
    for (atom, message) in &messages {
        // A proposal whose own message is refused cannot be referred to.
        let alone = peers[1].process(message);
        assert_eq!(alone.is_ok(), *atom != RemoveNobody, "{atom:?}");
        let Ok(step) = alone else { continue };
        peers[1].take(step.unwrap());
        observe(&mut observer, message).unwrap();
        references.insert(*atom, reference(&suite, message));
        if let Some(Proposal::Update(leaf)) = update_in(message) {
            values.insert(*atom, Proposal::Update(leaf));
        }
    }

    let psks = [PskA, PskB].map(|atom| (psk_type(atom), Secret::zero(32)));
    peers[1].psks = psks.to_vec();
    let newcomer = key_package("newcomer", 77);
    let newcomer = (newcomer.key_package().leaf_node.clone(), newcomer.signer().clone());
    let insider = Insider::of(&peers[0].group);
    let mut peers = peers.into_iter();
    let (alice, bob) = (peers.next().unwrap(), peers.next().unwrap());
    Stage { alice, bob, observer, insider, values, references, key_packages, newcomer, rng }
}

fn update_in(message: &[u8]) -> Option<Proposal> {
    let MlsMessageBody::PublicMessage(m) = MlsMessage::from_bytes(message).unwrap().body else {
        panic!("not public")
    };
    match m.content.content {
        Content::Proposal(update @ Proposal::Update(_)) => Some(update),
        _ => None,
    }
}

/// The proposal of an atom. Updates replace theirs when they are made.
fn value(
    suite: &Suite<'_>,
    info: &GroupInfo,
    key_packages: &BTreeMap<Atom, OwnKeyPackage>,
    rng: &mut SeededRng,
    atom: Atom,
) -> Proposal {
    match atom {
        AddNew | AddPoor | AddCarolAgain => {
            Proposal::Add(Box::new(key_packages[&atom].key_package().clone()))
        }
        UpdateOfCarol | OtherUpdateOfCarol | UpdateOfCommitter | RemoveCarol => {
            Proposal::Remove(LeafIndex(2))
        }
        RemoveDave => Proposal::Remove(LeafIndex(3)),
        RemoveCommitter => Proposal::Remove(LeafIndex(0)),
        RemoveNobody => Proposal::Remove(LeafIndex(4)),
        PskA | PskB => Proposal::PreSharedKey(PreSharedKeyId {
            psktype: psk_type(atom),
            psk_nonce: vec![9; hash_len()].into(),
        }),
        Close => Proposal::ReInit(reinit()),
        ExternalInit | OtherExternalInit => {
            let key =
                find_extension::<HpkePublicKey>(&info.extensions, ExtensionType::EXTERNAL_PUB);
            let (kem_output, _) = external_init_to(suite, &key.unwrap().unwrap(), rng).unwrap();
            Proposal::ExternalInit(kem_output)
        }
        ContextPlain | ContextRequires | ContextAlien => {
            Proposal::GroupContextExtensions(context_extensions(atom))
        }
    }
}

impl Stage {
    /// The path that an honest committer would make for this list, if one can be made: for the tree with
    /// the list applied in the order of section 12.3.
    fn path(&mut self, list: &[Atom], from_outside: bool) -> Option<UpdatePath> {
        let suite = Suite::new(&PROVIDER, SUITE).unwrap();
        let context = self.bob.group.context().clone();
        let mut tree = StagedTree::new(self.bob.group.tree());
        let mut removed = Vec::new();
        let mut extensions = context.extensions.clone();
        for atom in list {
            match (&self.values[atom], atom) {
                (Proposal::Update(leaf), UpdateOfCarol | OtherUpdateOfCarol) if !from_outside => {
                    tree.update_leaf(LeafIndex(2), leaf).ok()?;
                }
                (Proposal::Remove(leaf), _) if !removed.contains(leaf) => removed.push(*leaf),
                (Proposal::GroupContextExtensions(new), _) => extensions.clone_from(new),
                _ => {}
            }
        }
        tree.remove_leaves(&removed).ok()?;

        let mut added = Vec::new();
        for atom in list {
            if let Proposal::Add(key_package) = &self.values[atom]
                && !from_outside
            {
                added.push(tree.add_leaf(&key_package.leaf_node).ok()?);
            }
        }

        let (me, template, signer) = if from_outside {
            (tree.place_leaf().ok()?, self.newcomer.0.clone(), &self.newcomer.1)
        } else {
            (LeafIndex(0), tree.leaf(LeafIndex(0))?, &self.insider.signer)
        };
        let group_id = &context.group_id;
        let rng = &mut self.rng;
        let path = create_path(&suite, &mut tree, me, template, signer, group_id, rng).ok()?;

        let mut next = context.clone();
        next.epoch.0 += 1;
        next.tree_hash = tree.tree_hash(&suite).ok()?.to_vec().into();
        next.extensions = extensions;
        let next = next.to_bytes().unwrap();
        seal_path(&suite, &tree, me, &path, &next, &added, &mut self.rng).ok()
    }

    /// The list of a commit, with the marked proposals by reference.
    fn listed(&self, list: &[(Atom, bool)]) -> Vec<ProposalOrRef> {
        let one = |(atom, by_reference): &(Atom, bool)| {
            if *by_reference {
                ProposalOrRef::Reference(self.references[atom].clone())
            } else {
                ProposalOrRef::Proposal(self.values[atom].clone())
            }
        };
        list.iter().map(one).collect()
    }

    /// The error by which bob refuses a commit, and the observer's result.
    fn tried(&mut self, message: &[u8]) -> (Error, Result<(), Error>) {
        let refused = match self.bob.process(message) {
            Err(refused) => refused.error,
            Ok(step) => panic!("a forged commit led to {step:?}"),
        };
        (refused, accepting::observe(&self.observer, &PROVIDER, message).map(drop))
    }

    fn check_member_commit(&mut self, list: &[(Atom, bool)]) {
        let atoms: Vec<Atom> = list.iter().map(|(atom, _)| *atom).collect();
        let valid = valid_for_member(&atoms);
        let confirmation = Error::from(Rejection::ConfirmationTag);
        let missing = Error::from(Rejection::PathMissing);

        let proposals = self.listed(list);
        let commit = Commit { proposals: proposals.clone(), path: None };
        let message = self.insider.public(&PROVIDER, Content::Commit(commit));
        let (refused, observed) = self.tried(&message);
        match (valid, needs_path(&atoms)) {
            (true, true) => {
                assert_eq!(refused, missing, "{list:?} without a path");
                assert_eq!(observed, Err(missing), "{list:?} without a path");
            }
            (true, false) => {
                assert_eq!(refused, confirmation, "{list:?} without a path");
                assert_eq!(observed, Ok(()), "{list:?} without a path");
            }
            (false, _) => {
                assert_ne!(refused, confirmation, "{list:?} without a path");
                assert!(observed.is_err(), "{list:?} without a path");
            }
        }

        let Some(path) = self.path(&atoms, false) else {
            assert!(!valid, "{list:?} has no path");
            return;
        };
        let commit = Commit { proposals, path: Some(Box::new(path)) };
        let message = self.insider.public(&PROVIDER, Content::Commit(commit));
        let (refused, observed) = self.tried(&message);
        assert_eq!(refused == confirmation, valid, "{list:?}: {refused}");
        assert_eq!(observed.is_ok(), valid, "{list:?}: {observed:?}");
    }

    fn check_external_commit(&mut self, list: &[(Atom, bool)]) {
        let atoms: Vec<Atom> = list.iter().map(|(atom, _)| *atom).collect();
        let valid = valid_from_outside(list);
        let proposals = self.listed(list);
        let mut outsider = Insider::of(&self.alice.group);
        outsider.signer = self.newcomer.1.clone();
        let send = |path: Option<UpdatePath>| {
            let commit = Commit { proposals: proposals.clone(), path: path.map(Box::new) };
            outsider.from_outside(&PROVIDER, Sender::NewMemberCommit, Content::Commit(commit))
        };

        let bare = send(None);
        let path = self.path(&atoms, true);
        let with_path = path.map(|path| send(Some(path)));
        let (refused, observed) = self.tried(&bare);
        assert_ne!(refused, Rejection::ConfirmationTag.into(), "{list:?} without a path");
        assert!(observed.is_err(), "{list:?} without a path");

        let Some(message) = with_path else {
            assert!(!valid, "{list:?} has no path");
            return;
        };
        let (refused, observed) = self.tried(&message);
        let confirmation = Error::from(Rejection::ConfirmationTag);
        assert_eq!(refused == confirmation, valid, "{list:?}: {refused}");
        assert_eq!(observed.is_ok(), valid, "{list:?}: {observed:?}");
    }
}

/// All lists of up to three proposals in every order; those of two by value and by reference where
/// possible.
fn lists(forms: &[(Atom, bool)]) -> Vec<Vec<(Atom, bool)>> {
    let mut lists = vec![Vec::new()];
    for a in forms {
        lists.push(vec![*a]);
        for b in forms {
            lists.push(vec![*a, *b]);
            let third = forms.iter().map(|c| vec![*a, *b, *c]);
            lists.extend(third.filter(|list| one_form(list)));
        }
    }
    lists
}

/// Whether each atom is by value if it can be. One list of three is enough for each choice of atoms.
fn one_form(list: &[(Atom, bool)]) -> bool {
    list.iter().all(|(atom, by_reference)| *by_reference == by_reference_only(*atom))
}

fn member_forms() -> Vec<(Atom, bool)> {
    let mut forms = Vec::new();
    for &atom in ALL_ATOMS {
        if !by_reference_only(atom) {
            forms.push((atom, false));
        }
        if atom != RemoveNobody {
            forms.push((atom, true));
        }
    }
    forms
}

#[test]
fn every_mix_of_proposals_by_a_member_is_judged_as_section_12_2_says() {
    let mut stage = stage();
    let mut valid = 0;
    let lists = lists(&member_forms());
    for list in &lists {
        stage.check_member_commit(list);
        let atoms: Vec<Atom> = list.iter().map(|(atom, _)| *atom).collect();
        valid += usize::from(valid_for_member(&atoms));
    }
    // The oracle accepts neither all lists nor none.
    assert!(valid > 200 && valid < lists.len() / 2, "{valid} of {}", lists.len());
}

#[test]
fn every_mix_of_proposals_from_outside_is_judged_as_section_12_2_says() {
    let mut stage = stage();
    let mut forms: Vec<(Atom, bool)> = ALL_ATOMS.iter().map(|atom| (*atom, false)).collect();
    forms.extend([RemoveCarol, PskA, ExternalInit, UpdateOfCarol].map(|atom| (atom, true)));
    let lists = lists(&forms);
    let mut valid = 0;
    for list in &lists {
        stage.check_external_commit(list);
        valid += usize::from(valid_from_outside(list));
    }
    assert!(valid > 20 && valid < lists.len() / 2, "{valid} of {}", lists.len());
}

#[test]
fn a_committer_makes_exactly_the_valid_mixes() {
    let Stage { mut alice, bob, key_packages, .. } = stage();
    let step = alice.group.discard_proposals().unwrap();
    alice.take(step);
    let new = |atom: Atom| match atom {
        AddNew | AddPoor | AddCarolAgain => {
            let kp = key_packages[&atom].key_package().clone();
            let stage = ValidKeyPackage::check(&PROVIDER, NOW, &Config::default(), kp).unwrap();
            Some(NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).unwrap())))
        }
        RemoveCarol => Some(NewProposal::Remove(LeafIndex(2))),
        RemoveDave => Some(NewProposal::Remove(LeafIndex(3))),
        RemoveCommitter => Some(NewProposal::Remove(LeafIndex(0))),
        RemoveNobody => Some(NewProposal::Remove(LeafIndex(4))),
        PskA | PskB => {
            let PskType::External { psk_id } = psk_type(atom) else { panic!("a resumption") };
            Some(NewProposal::ExternalPsk { psk_id })
        }
        Close => Some(NewProposal::ReInit(reinit())),
        ContextPlain | ContextRequires | ContextAlien => {
            Some(NewProposal::GroupContextExtensions(context_extensions(atom)))
        }
        _ => None,
    };

    let atoms: Vec<Atom> = ALL_ATOMS.iter().copied().filter(|atom| new(*atom).is_some()).collect();
    for a in &atoms {
        for b in atoms.iter().map(Some).chain([None]) {
            let list: Vec<Atom> = [*a].into_iter().chain(b.copied()).collect();
            // The same PSK with two nonces has two identifiers.
            let twice = list == [PskA, PskA] || list == [PskB, PskB];
            let proposals = list.iter().filter_map(|atom| new(*atom)).collect();
            let psks = bob.psks.clone();
            let made = alice.commit(CommitOptions { psks, ..commit_of(proposals) });
            assert_eq!(made.is_ok(), twice || valid_for_member(&list), "{list:?}");
            if let Ok(messages) = made {
                bob.process(&messages.commit).unwrap();
                alice.rejected();
            }
        }
    }
}

#[test]
fn a_leaf_of_a_commit_or_key_package_does_not_pass_for_an_update() {
    let mut stage = stage();
    for source in [LeafNodeSource::KeyPackage(LIFETIME), LeafNodeSource::Commit(Bytes::default())] {
        let Proposal::Update(mut leaf) = stage.values[&UpdateOfCommitter].clone() else { panic!() };
        leaf.leaf_node_source = source;
        let message = stage.insider.public(&PROVIDER, Content::Proposal(Proposal::Update(leaf)));
        let (refused, observed) = stage.tried(&message);
        assert_eq!(refused, Rejection::UpdateLeafSource.into());
        assert_eq!(observed, Err(Rejection::UpdateLeafSource.into()));
    }
}
