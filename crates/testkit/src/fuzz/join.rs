//! What lets one in: Welcomes and GroupInfos.

use super::built;
use super::input::Input;
use super::stage::{self, Stage};
use crate::SeededRng;
use crate::forge::OpenWelcome;
use crate::party::{NOW, PROVIDER, Peer, SUITE};
use conclave_crypto::{Secret, Suite};
use conclave_group::{
    Error, ExternalJoinOptions, ExternalJoinStage, OwnKeyPackage, ValidKeyPackage, Verdict,
    WelcomeStage,
};
use conclave_tree::UnverifiedTree;
use conclave_wire::{Decode, ExtensionType, GroupInfo, GroupSecrets, KeyPackage};

/// Gives a newcomer a Welcome or a GroupInfo that a member has made of any bytes, or them as they
/// are. Who gets in has rows that say where.
pub fn join(bytes: &[u8]) {
    stage::with(|stage| {
        let mut input = Input(bytes);
        let (kind, flags) = (input.byte(), input.byte());
        let _ = match kind % 6 {
            0 => welcomed(input.0, &stage.newcomer, None),
            1 | 2 => welcome(stage, flags, &mut input),
            3 => from_outside(input.0, flags),
            4 => group_info(stage, flags, &mut input),
            _ => key_package(stage, flags, input.0),
        };
    });
}

/// A copy of the real Welcome, open.
fn open(stage: &Stage) -> OpenWelcome {
    let OpenWelcome { secrets, info, .. } = &stage.welcome;
    stage.welcome.with(secrets.clone(), info.clone())
}

/// A Welcome whose GroupInfo and secrets the bytes say; the flags say what is put right: 1 the tree
/// hash, 2 the confirmation tag, 4 the signer.
fn welcome(stage: &Stage, flags: u8, input: &mut Input<'_>) -> Result<(), Error> {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    let mut open = open(stage);
    let (info, secrets, tree) = (input.chunk(), input.chunk(), input.chunk());
    if !info.is_empty() {
        open.info = GroupInfo::from_bytes(info)
            .unwrap_or_else(|_| built::group_info(stage, &mut Input(info), &open.info));
    }
    if !secrets.is_empty() {
        open.secrets = GroupSecrets::from_bytes(secrets)
            .unwrap_or_else(|_| built::group_secrets(stage, &mut Input(secrets)));
        let psks = open.secrets.psks.iter();
        open.psks = psks.map(|id| (id.clone(), Secret::zero(32))).collect();
    }
    put_right(&suite, &mut open.info, flags, tree);
    if flags & 2 == 0 {
        open.confirm(&suite);
    }
    open.sign(&suite, &stage.insider.signer);
    let message = open.seal(&suite, &mut SeededRng::from_u64(0));
    welcomed(&message, &stage.newcomer, (!tree.is_empty()).then_some(tree))
}

/// Gives a GroupInfo the hash of the tree that goes with it, and alice as who signs.
fn put_right(suite: &Suite<'_>, info: &mut GroupInfo, flags: u8, apart: &[u8]) {
    let within = info.extensions.iter().find(|e| e.extension_type == ExtensionType::RATCHET_TREE);
    let within = within.map(|e| e.extension_data.clone());
    let tree = within.as_deref().unwrap_or(apart);
    if flags & 1 == 0
        && let Ok(tree) = UnverifiedTree::decode(suite, tree)
    {
        info.group_context.tree_hash = tree.tree_hash().into();
    }
    if flags & 4 == 0 {
        info.signer = conclave_wire::LeafIndex(0);
    }
}

fn welcomed(message: &[u8], own: &OwnKeyPackage, tree: Option<&[u8]>) -> Result<(), Error> {
    let stage = WelcomeStage::open(&PROVIDER, stage::config(), message, own)?;
    let psks: Vec<_> =
        stage.psks().iter().map(|id| (id.psktype.clone(), Secret::zero(32))).collect();
    let join = stage.join(&PROVIDER, &psks, tree, None)?;
    let verdicts = vec![Verdict::Accept; join.credentials().len()];
    settled(join.resolve(&verdicts)?)
}

/// That a new group's rows load, as what they were stored from.
fn settled(new: conclave_group::NewGroup) -> Result<(), Error> {
    let peer = Peer::settle(new, 0);
    peer.check();
    let again = conclave_group::Group::load(&PROVIDER, stage::config(), peer.rows.clone());
    let mut rows = crate::party::Rows::new();
    again.expect("what was stored").rows()?.apply_to(&mut rows);
    assert_eq!(rows, peer.rows);
    Ok(())
}

/// A GroupInfo of the bytes, signed by alice, and perhaps a tree that comes apart.
fn group_info(stage: &Stage, flags: u8, input: &mut Input<'_>) -> Result<(), Error> {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    let (info, tree) = (input.chunk(), input.chunk());
    let mut info = GroupInfo::from_bytes(info)
        .unwrap_or_else(|_| built::group_info(stage, &mut Input(info), &stage.info));
    put_right(&suite, &mut info, flags, tree);
    let message = stage.insider.group_info(&PROVIDER, info);
    enter(&message, (!tree.is_empty()).then_some(tree), flags)
}

fn from_outside(message: &[u8], flags: u8) -> Result<(), Error> {
    enter(message, None, flags)
}

/// Joins by an external commit.
fn enter(message: &[u8], tree: Option<&[u8]>, flags: u8) -> Result<(), Error> {
    let stage = ExternalJoinStage::open(&PROVIDER, stage::config(), message, tree)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let options = ExternalJoinOptions {
        leaf: stage::leaf("frank"),
        signer: crate::party::signer(stage.context().cipher_suite, 9),
        removes: (flags & 8 != 0).then_some(conclave_wire::LeafIndex((flags / 64).into())),
        psks: Vec::new(),
        authenticated_data: Vec::new(),
        group_info: None,
    };
    let made = stage.commit(&PROVIDER, &mut SeededRng::from_u64(9), &verdicts, options)?;
    settled(made.group)
}

/// Checks a key package; the flags say whether its signatures are put right.
fn key_package(stage: &Stage, flags: u8, bytes: &[u8]) -> Result<(), Error> {
    let suite = Suite::new(&PROVIDER, SUITE)?;
    let mut package = KeyPackage::from_bytes(bytes)
        .unwrap_or_else(|_| built::key_package(stage, &mut Input(bytes)));
    if flags & 1 == 0 {
        package.leaf_node.signature_key = stage.stranger.signer.public.clone();
        crate::forge::sign_key_package(&suite, &mut package, &stage.stranger.signer);
    }
    ValidKeyPackage::check(&PROVIDER, NOW, &stage::config(), package)?.resolve(Verdict::Accept)?;
    Ok(())
}
