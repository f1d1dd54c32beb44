//! The application's own rules (section 12.2), broken by a member whose client has none; and types of
//! proposals beyond RFC 9420's.

use super::scene::*;
use conclave_group::{Action, Actor, Config, NewProposal, Permission, Rejection, Rules};
use conclave_testkit::forge::Insider;
use conclave_wire::{
    Content, Credential, CustomProposal, Extension, ExtensionType, GroupId, LeafNodeSource,
    PreSharedKeyId, Proposal, ProposalOrRef, ProposalRules, ProposalType, ProtocolVersion, PskType,
    ReInit, Sender,
};
use std::sync::Arc;

fn scene_of(rules: Rules) -> Scene {
    Scene::with(&Config { policy: Arc::new(rules), ..Config::default() })
}

fn psk() -> Proposal {
    let psktype = PskType::External { psk_id: b"x".as_slice().into() };
    Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: vec![9; hash_len()].into() })
}

fn reinit(extensions: Vec<Extension>) -> Proposal {
    let group_id = GroupId::from(*b"next");
    let version = ProtocolVersion::MLS_1_0;
    Proposal::ReInit(ReInit { group_id, version, cipher_suite: SUITE, extensions })
}

fn because(words: &str) -> impl Fn(&Rejection) -> bool + '_ {
    move |found| matches!(found, Rejection::RefusedByPolicy { reason } if reason.contains(words))
}

/// Bob may do everything, the other members may propose or commit PSKs and Adds, joiners nothing.
fn permissions() -> Vec<Permission> {
    let bob = Actor::Credentials(vec![Credential::basic(b"bob")]);
    let some = Action::Types(vec![ProposalType::PSK, ProposalType::ADD]);
    vec![
        Permission { actor: bob, action: Action::Everything },
        Permission { actor: Actor::Members, action: some },
        Permission { actor: Actor::Joiners, action: Action::Types(Vec::new()) },
    ]
}

#[test]
fn a_sender_without_permission_is_refused_by_all() {
    let scene = scene_of(Rules { propose: permissions(), ..Rules::default() });
    let rule = || because("may not propose");
    let closes = reinit(scene.alice.context().extensions.clone());
    let content = Content::Proposal(closes.clone());
    scene.refused_by_all("proposal", content, SeenBy::All, rule());
    scene.refused_by_all("by value", commit(vec![closes.clone()], None), SeenBy::All, rule());

    let own = key_package("frank", 40);
    let mut frank = Insider::of(&scene.alice);
    frank.signer = own.signer().clone();
    let content = Content::Proposal(add(&own));
    let joins = frank.from_outside(&PROVIDER, Sender::NewMemberProposal, content);
    scene.refused_by_all("a joiner", joins, SeenBy::All, rule());

    let mut service = Insider::of(&scene.alice);
    service.signer = scene.service.clone();
    let content = Content::Proposal(Proposal::Remove(BOB));
    let sent = service.from_outside(&PROVIDER, Sender::External(0), content);
    scene.refused_by_all("the service", sent, SeenBy::All, rule());

    // A permitted proposal passes.
    let tag = is(Rejection::ConfirmationTag);
    scene.refused_by_all("allowed", commit(vec![psk()], None), SeenBy::Members, tag);

    let scene = scene_of(Rules { commit: permissions(), ..Rules::default() });
    let rule = because("may not commit");
    scene.refused_by_all("commit", commit(vec![closes], None), SeenBy::All, rule);
    let tag = is(Rejection::ConfirmationTag);
    scene.refused_by_all("allowed", commit(vec![psk()], None), SeenBy::Members, tag);
}

#[test]
fn a_proposal_by_value_is_refused_by_all_under_by_reference_only() {
    let mut scene = scene_of(Rules { by_reference_only: true, ..Rules::default() });
    let rule = because("by reference only");
    scene.refused_by_all("by value", commit(vec![psk()], None), SeenBy::All, rule);

    let sent = scene.proposed(Some(0), 70, |bob, rng| {
        let psk = NewProposal::ExternalPsk { psk_id: b"x".as_slice().into() };
        bob.propose(&PROVIDER, rng, NOW, psk, &clear())
    });
    let tag = is(Rejection::ConfirmationTag);
    scene.refused_by_all("sent", commit_list(vec![sent.clone()], None), SeenBy::Members, tag);
    let both = vec![sent, ProposalOrRef::Proposal(add(&key_package("frank", 40)))];
    let rule = because("by reference only");
    scene.refused_by_all("both", commit_list(both, None), SeenBy::All, rule);
}

#[test]
fn a_commit_that_leaves_a_pending_proposal_out_is_refused_by_all() {
    let mut scene = scene_of(Rules { cover_all_pending: true, ..Rules::default() });
    let frank = key_package("frank", 40);
    let sent = scene.proposed(Some(0), 70, |bob, rng| {
        bob.propose(&PROVIDER, rng, NOW, new_add(&frank), &clear())
    });
    let rule = because("left out");
    scene.refused_by_all("left out", commit(vec![psk()], None), SeenBy::All, rule);

    let tag = || is(Rejection::ConfirmationTag);
    let list = vec![sent, ProposalOrRef::Proposal(psk())];
    scene.refused_by_all("covered", commit_list(list, None), SeenBy::Members, tag());
    let list = vec![add(&frank), psk()];
    scene.refused_by_all("replaced", commit(list, None), SeenBy::Members, tag());
}

#[test]
fn a_change_of_an_immutable_extension_is_refused_by_all() {
    let immutable_extensions = vec![ExtensionType::EXTERNAL_SENDERS];
    let scene = scene_of(Rules { immutable_extensions, ..Rules::default() });
    let rule = || because("may not change");
    for changed in [Vec::new(), external_senders(&[&signer(8)])] {
        let context = Content::Proposal(Proposal::GroupContextExtensions(changed.clone()));
        scene.refused_by_all("context", context, SeenBy::All, rule());
        let closes = reinit(changed);
        scene.refused_by_all("ReInit", commit(vec![closes], None), SeenBy::All, rule());
    }

    let same = reinit(scene.alice.context().extensions.clone());
    let tag = is(Rejection::ConfirmationTag);
    scene.refused_by_all("same", commit(vec![same], None), SeenBy::Members, tag);
}

#[test]
fn another_identity_in_an_update_is_refused_by_all() {
    let scene = scene_of(Rules { keep_identity: true, ..Rules::default() });
    let mut leaf = leaf_of(&scene.alice, scene.insider.own_leaf);
    leaf.credential = Credential::basic(b"mallory");
    leaf.leaf_node_source = LeafNodeSource::Update;
    leaf.encryption_key = key_package("new", 40).key_package().init_key.clone();
    scene.insider.sign_leaf(&PROVIDER, &mut leaf, scene.insider.own_leaf);
    let update = Content::Proposal(Proposal::Update(leaf.into()));
    scene.refused_by_all("Update", update, SeenBy::All, because("keep the credential"));
}

#[test]
fn an_unsupported_custom_proposal_is_refused_by_all() {
    let plain = ProposalType(0xf001);
    let heavy = ProposalType(0xf002);
    let path = ProposalRules { path_required: true, ..ProposalRules::default() };
    let proposals =
        vec![CustomProposal::vector(plain), CustomProposal::vector(heavy).with_rules(path)];
    let scene = Scene::with(&Config { proposals, ..Config::default() });
    for proposal_type in [plain, heavy] {
        let custom = Proposal::Custom { proposal_type, body: [1, 7].into() };
        let rule = is(Rejection::UnsupportedProposal(proposal_type));
        let content = commit(vec![custom.clone()], None);
        scene.refused_by_all("unsupported", content, SeenBy::All, rule);

        let mut service = Insider::of(&scene.alice);
        service.signer = scene.service.clone();
        let content = Content::Proposal(custom);
        let sent = service.from_outside(&PROVIDER, Sender::External(0), content);
        let rule = is(Rejection::ExternalSenderProposal(proposal_type));
        scene.refused_by_all("from outside", sent, SeenBy::All, rule);
    }
}
