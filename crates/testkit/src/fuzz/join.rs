//! Welcomes, GroupInfos and key packages.

use super::built;
use super::input::Input;
use super::stage::{self, Stage};
use crate::forge::{OpenWelcome, sign_key_package};
use crate::party::{NOW, PROVIDER, Peer, SUITE, rows_of, signer};
use crate::{SeededRng, accepting};
use conclave_crypto::{Secret, Suite};
use conclave_group::{
    Error, ExternalJoinOptions, ExternalJoinStage, Group, NewGroup, OwnKeyPackage, ValidKeyPackage,
    Verdict,
};
use conclave_tree::UnverifiedTree;
use conclave_wire::{
    Decode, ExtensionType, GroupInfo, GroupSecrets, KeyPackage, LeafIndex, extension_of_type,
};

/// Gives a newcomer a Welcome or a GroupInfo that a member has made of any bytes, or the bytes as
/// they are. The rows of a newcomer that gets in load again.
pub fn join(bytes: &[u8]) {
    stage::with(|stage| {
        let mut input = Input(bytes);
        let kind = input.byte();
        let flags = input.byte();
        let _ = match kind % 6 {
            0 => welcomed(input.0, &stage.newcomer, None),
            1 | 2 => welcome(stage, flags, &mut input),
            3 => from_outside(input.0, flags),
            4 => group_info(stage, flags, &mut input),
            _ => key_package(stage, flags, input.0),
        };
    });
}

/// A copy of the real Welcome, opened.
fn open(stage: &Stage) -> OpenWelcome {
    let OpenWelcome { secrets, info, .. } = &stage.welcome;
    stage.welcome.with(secrets.clone(), info.clone())
}

/// A Welcome with the GroupInfo and secrets of the bytes. A cleared flag puts a field right: 1 the
/// tree hash, 2 the confirmation tag, 4 the signer.
fn welcome(stage: &Stage, flags: u8, input: &mut Input<'_>) -> Result<(), Error> {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    let mut open = open(stage);
    let info = input.chunk();
    let secrets = input.chunk();
    let tree = input.chunk();

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

/// Gives a GroupInfo the hash of its tree, and alice as its signer.
fn put_right(suite: &Suite<'_>, info: &mut GroupInfo, flags: u8, apart: &[u8]) {
    let within = extension_of_type(&info.extensions, ExtensionType::RATCHET_TREE);
    let within = within.map(|e| e.extension_data.clone());
    let tree = within.as_deref().unwrap_or(apart);
    if flags & 1 == 0
        && let Ok(tree) = UnverifiedTree::decode(suite, tree)
    {
        info.group_context.tree_hash = tree.tree_hash().into();
    }
    if flags & 4 == 0 {
        info.signer = LeafIndex(0);
    }
}

fn welcomed(message: &[u8], own: &OwnKeyPackage, tree: Option<&[u8]>) -> Result<(), Error> {
    let psks = accepting::same_psk(&[0; 32]);
    settled(accepting::join(&PROVIDER, stage::config(), message, own, psks, tree, None)?);
    Ok(())
}

/// Checks that a new group's rows load as the group that they were stored from.
fn settled(new: NewGroup) {
    let peer = Peer::settle(new, 0);
    peer.check();
    let again = Group::load(&PROVIDER, stage::config(), peer.rows.clone());
    assert_eq!(rows_of(again.expect("its own rows").rows()), peer.rows);
}

/// Joins by a GroupInfo of the bytes, which alice signs; perhaps with the tree apart from it.
fn group_info(stage: &Stage, flags: u8, input: &mut Input<'_>) -> Result<(), Error> {
    let suite = Suite::new(&PROVIDER, SUITE).expect("suite 1");
    let info = input.chunk();
    let tree = input.chunk();
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
    let verdicts = accepting::all(stage.credentials());
    let signer = signer(stage.context().cipher_suite, 9);
    let options = ExternalJoinOptions {
        replaces: (flags & 8 != 0).then_some(LeafIndex((flags / 64).into())),
        ..ExternalJoinOptions::new(stage::leaf("frank"), signer)
    };
    settled(stage.commit(&PROVIDER, &mut SeededRng::from_u64(9), &verdicts, options)?.group);
    Ok(())
}

/// Checks a key package. A cleared flag puts its signatures right.
fn key_package(stage: &Stage, flags: u8, bytes: &[u8]) -> Result<(), Error> {
    let suite = Suite::new(&PROVIDER, SUITE)?;
    let mut package = KeyPackage::from_bytes(bytes)
        .unwrap_or_else(|_| built::key_package(stage, &mut Input(bytes)));
    if flags & 1 == 0 {
        package.leaf_node.signature_key = stage.stranger.signer.public.clone();
        sign_key_package(&suite, &mut package, &stage.stranger.signer);
    }
    ValidKeyPackage::check(&PROVIDER, NOW, &stage::config(), package)?.resolve(Verdict::Accept)?;
    Ok(())
}
