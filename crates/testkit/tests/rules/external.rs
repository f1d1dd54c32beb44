//! External commits and proposals from outside (sections 6.1, 12.1.8, 12.2 and 12.4.3.2).

use super::scene::*;
use conclave_group::{FramingError, Rejection};
use conclave_schedule::external_init_to;
use conclave_testkit::forge::{Insider, PathFor, sign_key_package};
use conclave_tree::TreeError;
use conclave_wire::{
    Bytes, Content, ExtensionType, LeafIndex, LeafNodeSource, PreSharedKeyId, Proposal,
    ProposalOrRef, ProposalRef, ProposalType, PskType, Sender, UpdatePath, find_extension,
};

/// An outsider with a key of its own, which knows the contents of a GroupInfo.
fn outsider(scene: &Scene) -> Insider {
    let mut outsider = Insider::of(&scene.alice);
    outsider.signer = signer(600);
    outsider
}

fn init(scene: &Scene) -> Proposal {
    let info = decoded_group_info(&scene.alice.group_info(&PROVIDER, ALL).unwrap());
    let key = find_extension(&info.extensions, ExtensionType::EXTERNAL_PUB).unwrap().unwrap();
    Proposal::ExternalInit(external_init_to(&suite(), &key, &mut rng(5)).unwrap().0)
}

fn path(outsider: &Insider, removes: &[LeafIndex]) -> UpdatePath {
    let own = key_package("mallory", 44);
    let mut leaf = own.key_package().leaf_node.clone();
    leaf.signature_key = outsider.signer.public.clone();
    let of = PathFor { removes: removes.to_vec(), joiner: Some(leaf) };
    outsider.path(&PROVIDER, &mut rng(8), of, |_| {}).1
}

fn sent(outsider: &Insider, content: Content) -> Forged {
    outsider.from_outside(&PROVIDER, Sender::NewMemberCommit, content).into()
}

#[test]
fn an_external_commit_holds_only_permitted_proposals() {
    let scene = Scene::new();
    let outsider = outsider(&scene);
    let init = || init(&scene);
    let remove = Proposal::Remove;
    let psk = |nonce: usize| {
        let psktype = PskType::External { psk_id: b"x".as_slice().into() };
        Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: vec![9; nonce].into() })
    };
    let update = || {
        let mut leaf = leaf_of(&scene.alice, BOB);
        leaf.leaf_node_source = LeafNodeSource::Update;
        Proposal::Update(Box::new(leaf))
    };
    let extensions = || Proposal::GroupContextExtensions(Vec::new());
    let other = Rejection::ExternalProposal;

    for (list, removes, rule) in [
        (vec![], vec![], Rejection::ExternalInitCount),
        (vec![remove(BOB)], vec![BOB], Rejection::ExternalInitCount),
        (vec![init(), init()], vec![], Rejection::ExternalInitCount),
        (vec![init(), remove(BOB), remove(CAROL)], vec![BOB, CAROL], Rejection::ExternalRemoves),
        (vec![init(), remove(NOBODY)], vec![], Rejection::RemoveOfNobody(NOBODY)),
        (vec![init(), add(&key_package("x", 45))], vec![], other(ProposalType::ADD)),
        (vec![init(), update()], vec![], other(ProposalType::UPDATE)),
        (vec![init(), extensions()], vec![], other(ProposalType::GROUP_CONTEXT_EXTENSIONS)),
        (vec![init(), psk(hash_len()), psk(hash_len())], vec![], Rejection::DuplicatePsk),
        (vec![init(), psk(hash_len() - 1)], vec![], Rejection::PskNonceLength),
    ] {
        let what = format!("{list:?}");
        let forged = sent(&outsider, commit(list, Some(path(&outsider, &removes))));
        scene.refused_by_all(&what, forged, SeenBy::All, is(rule));
    }

    let reference = ProposalOrRef::Reference(ProposalRef::from([5; 32]));
    let list = vec![ProposalOrRef::Proposal(init()), reference];
    let forged = sent(&outsider, commit_list(list, Some(path(&outsider, &[]))));
    scene.refused_by_all("reference", forged, SeenBy::All, is(Rejection::ExternalReference));

    // The list is valid; only members see that the tag is wrong.
    for list in [vec![init()], vec![psk(hash_len()), init()]] {
        let forged = sent(&outsider, commit(list, Some(path(&outsider, &[]))));
        scene.refused_by_all("good", forged, SeenBy::Members, is(Rejection::ConfirmationTag));
    }
}

#[test]
fn an_external_commit_needs_a_path_and_its_joiners_signature() {
    let scene = Scene::new();
    let outsider = outsider(&scene);
    let framing = Rejection::Framing;
    let forged = sent(&outsider, commit(vec![init(&scene)], None));
    let rule = is(framing(FramingError::NewMemberCommitWithoutPath));
    scene.refused_by_all("no path", forged, SeenBy::All, rule);

    // Signed by a member, with the leaf of an outsider.
    let content = commit(vec![init(&scene)], Some(path(&outsider, &[])));
    let forged = sent(&scene.insider, content);
    let rule = is(framing(FramingError::InvalidSignature));
    scene.refused_by_all("signature", forged, SeenBy::All, rule);

    let mut unsigned = path(&outsider, &[]);
    unsigned.leaf_node.signature = [0; 64].into();
    let forged = sent(&outsider, commit(vec![init(&scene)], Some(unsigned)));
    let rule = of_tree(|e| matches!(e, TreeError::LeafSignature { .. }));
    scene.refused_by_all("leaf signature", forged, SeenBy::All, rule);

    let mut source = path(&outsider, &[]);
    source.leaf_node.leaf_node_source = LeafNodeSource::Update;
    outsider.sign_leaf(&PROVIDER, &mut source.leaf_node, NOBODY);
    let forged = sent(&outsider, commit(vec![init(&scene)], Some(source)));
    scene.refused_by_all("source", forged, SeenBy::All, is(Rejection::CommitLeafSource));
}

#[test]
fn an_external_init_that_does_not_open_is_refused_by_members() {
    let scene = Scene::new();
    let outsider = outsider(&scene);
    for kem_output in [Bytes::default(), [0; 32].into(), [1; 31].into()] {
        let list = vec![Proposal::ExternalInit(kem_output)];
        let forged = sent(&outsider, commit(list, Some(path(&outsider, &[]))));
        scene.refused_by_all("init", forged, SeenBy::Members, is(Rejection::ExternalInitOpen));
    }
}

/// Members only:
/// `group::tests::joining::an_external_commit_cannot_keep_the_removed_encryption_key`.
#[test]
fn a_resync_with_the_old_encryption_key_is_refused_by_observers_too() {
    let mut scene = Scene::new();
    let outsider = outsider(&scene);
    let mut path = path(&outsider, &[BOB]);
    path.leaf_node.encryption_key = leaf_of(&scene.alice, BOB).encryption_key;
    outsider.sign_leaf(&PROVIDER, &mut path.leaf_node, BOB);
    let list = vec![init(&scene), Proposal::Remove(BOB)];
    let forged = sent(&outsider, commit(list, Some(path)));

    // Bob refuses it, too, although it removes him.
    let rule = is(Rejection::ExternalKeyUnchanged);
    scene.refused_by_all("the old key", forged.clone(), SeenBy::All, &rule);
    scene.judges.remove(0);
    scene.refused_by_all("the old key", forged, SeenBy::All, rule);
}

#[test]
fn a_member_cannot_join_from_outside_again() {
    let scene = Scene::new();
    let mut outsider = outsider(&scene);
    outsider.signer = Insider::of(&scene.judges[0]).signer;
    let forged = sent(&outsider, commit(vec![init(&scene)], Some(path(&outsider, &[]))));
    let rule = of_tree(|e| matches!(e, TreeError::DuplicateSignatureKey { .. }));
    scene.refused_by_all("bob again", forged, SeenBy::All, rule);
}

#[test]
fn an_external_sender_is_listed_and_proposes_only_what_it_may() {
    let scene = Scene::new();
    let mut service = Insider::of(&scene.alice);
    service.signer = scene.service.clone();
    let remove = || Content::Proposal(Proposal::Remove(BOB));
    let framing = Rejection::Framing;
    let sent = |by: &Insider, index: u32, content: Content| {
        Forged::from(by.from_outside(&PROVIDER, Sender::External(index), content))
    };
    for index in [1, u32::MAX] {
        let rule = is(Rejection::UnknownExternalSender(index));
        scene.refused_by_all("index", sent(&service, index, remove()), SeenBy::All, rule);
    }
    let rule = is(framing(FramingError::InvalidSignature));
    scene.refused_by_all("a member's key", sent(&scene.insider, 0, remove()), SeenBy::All, rule);

    let mut leaf = leaf_of(&scene.alice, BOB);
    leaf.leaf_node_source = LeafNodeSource::Update;
    for proposal in [Proposal::Update(Box::new(leaf)), init(&scene)] {
        let rule = is(Rejection::ExternalSenderProposal(proposal.proposal_type()));
        let forged = sent(&service, 0, Content::Proposal(proposal));
        scene.refused_by_all("type", forged, SeenBy::All, rule);
    }

    let path = path(&outsider(&scene), &[]);
    let forged = sent(&service, 0, commit(vec![init(&scene)], Some(path)));
    let rule = is(framing(FramingError::ExternalSenderNotProposal));
    scene.refused_by_all("commit", forged, SeenBy::All, rule);
}

#[test]
fn a_new_member_proposes_to_add_itself_and_nothing_else() {
    let scene = Scene::new();
    let own = key_package("frank", 40);
    let mut frank = Insider::of(&scene.alice);
    frank.signer = own.signer().clone();
    let framing = Rejection::Framing;
    let sent = |by: &Insider, sender: Sender, content: Content| {
        Forged::from(by.from_outside(&PROVIDER, sender, content))
    };

    let proposes = Sender::NewMemberProposal;
    let forged = sent(&frank, proposes, Content::Proposal(Proposal::Remove(BOB)));
    let rule = is(framing(FramingError::NewMemberProposalNotAdd(ProposalType::REMOVE)));
    scene.refused_by_all("Remove", forged, SeenBy::All, rule);
    let forged = sent(&frank, proposes, commit(Vec::new(), None));
    let rule = is(framing(FramingError::NewMemberProposalNotProposal));
    scene.refused_by_all("commit", forged, SeenBy::All, rule);
    let forged = sent(&frank, Sender::NewMemberCommit, Content::Proposal(add(&own)));
    let rule = is(framing(FramingError::NewMemberCommitNotCommit));
    scene.refused_by_all("proposal", forged, SeenBy::All, rule);

    // Another client's key package, and a bad one.
    let others = Content::Proposal(add(&key_package("grace", 41)));
    let rule = is(framing(FramingError::InvalidSignature));
    scene.refused_by_all("another's", sent(&frank, proposes, others), SeenBy::All, rule);
    let mut package = own.key_package().clone();
    package.init_key = package.leaf_node.encryption_key.clone();
    sign_key_package(&suite(), &mut package, own.signer());
    let bad = Content::Proposal(Proposal::Add(Box::new(package)));
    let rule = is(Rejection::InitKeyReused);
    scene.refused_by_all("bad", sent(&frank, proposes, bad), SeenBy::All, rule);
}
