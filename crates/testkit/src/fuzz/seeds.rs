//! Inputs that a fuzzer starts from: real messages, their contents, and real rows.

use super::forged::{encoded, plaintext};
use super::stage::{self, Stage, decoded};
use crate::forge::Insider;
use crate::party::{CUSTOM_PROPOSALS, PROVIDER, Rows, SUITE, rows_of};
use conclave_group::rows::content;
use conclave_tree::TreeRead;
use conclave_wire::{
    AppDataUpdate, AppDataUpdateOperation, Bytes, ComponentData, Content, ExtensionType,
    FramedContent, LeafIndex, LeafNode, LeafNodeSource, MlsMessageBody, PreSharedKeyId, Proposal,
    ProposalOrRef, ProtocolVersion, PskType, ReInit, SelfRemove, TargetedMessageContent,
    TargetedMessageSenderAuthData, WireFormat, Writer,
};
use std::collections::BTreeMap;

/// Bytes after their length.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
    [&length, bytes].concat()
}

/// A kind and a chunk, as [`super::input::Input`] reads them.
fn item(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![kind], chunk(bytes)].concat()
}

/// Seeds for a target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    stage::with(|stage| match target {
        "decode" => decode(stage),
        "process" | "observer" => messages(stage, target == "observer"),
        "insider" => insider(stage),
        "join" => join(stage),
        _ => load(stage),
    })
}

/// All public content of real messages, and content that no real message holds.
fn contents(stage: &Stage) -> Vec<FramedContent> {
    let mut all: Vec<_> = stage
        .messages
        .iter()
        .filter_map(|bytes| match decoded(bytes) {
            MlsMessageBody::PublicMessage(m) => Some(m.content),
            _ => None,
        })
        .collect();

    let insider = &stage.insider;
    let body = Bytes::from([3, 1, 2, 3]);
    let reinit = ReInit {
        group_id: b"another".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: Vec::new(),
    };
    let nonce = vec![7; 32].into();
    let psktype = PskType::External { psk_id: b"a psk".as_slice().into() };
    let leaf = insider.tree.leaf(insider.own_leaf).expect("a member");
    let component_id = stage::COMPONENT;
    let update = AppDataUpdateOperation::Update(b"new".as_slice().into());
    let new = [
        Proposal::Add(Box::new(stage.newcomer.key_package().clone())),
        Proposal::Update(Box::new(LeafNode {
            leaf_node_source: LeafNodeSource::Update,
            encryption_key: stage.newcomer.key_package().init_key.clone(),
            ..leaf
        })),
        Proposal::Remove(LeafIndex(2)),
        Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: nonce }),
        Proposal::ReInit(reinit),
        Proposal::GroupContextExtensions(insider.context.extensions.clone()),
        Proposal::Custom { proposal_type: CUSTOM_PROPOSALS[2], body },
        Proposal::Custom { proposal_type: stage::EMPTY, body: Vec::new().into() },
        Proposal::SelfRemove(SelfRemove::DRAFT),
        Proposal::AppEphemeral(ComponentData { component_id, data: Vec::new().into() }),
        Proposal::AppDataUpdate(AppDataUpdate { component_id, operation: update }),
        Proposal::AppDataUpdate(AppDataUpdate {
            component_id,
            operation: AppDataUpdateOperation::Remove,
        }),
    ];

    all.extend(new.iter().map(|p| insider.framed(Content::Proposal(p.clone()))));
    let listed =
        vec![new[0].clone(), new[3].clone(), new[6].clone(), new[9].clone(), new[10].clone()];
    all.push(insider.framed(Insider::commit(listed, None)));
    all
}

fn body(content: &Content) -> (u8, Vec<u8>) {
    let mut w = Writer::new();
    content.encode_body(&mut w).expect("an encoding");
    let kind = match content {
        Content::Proposal(_) => 0,
        Content::Commit(_) => 1,
        Content::Application(_) => 2,
    };
    (kind, w.finish())
}

fn decode(stage: &Stage) -> Vec<Vec<u8>> {
    let as_kind = |kind: u8, bytes: Vec<u8>| [vec![kind], bytes].concat();
    let mut seeds: Vec<_> = stage.messages.iter().map(|m| as_kind(0, m.clone())).collect();
    for content in contents(stage) {
        match &content.content {
            Content::Proposal(proposal) => seeds.push(as_kind(7, encoded(proposal))),
            Content::Commit(commit) => seeds.push(as_kind(8, encoded(commit))),
            Content::Application(_) => {}
        }
    }

    let tree = stage.alice.group.tree().to_extension_bytes().expect("an encoding");
    let package = stage.newcomer.key_package();
    seeds.extend([
        as_kind(2, encoded(&stage.welcome.info)),
        as_kind(3, encoded(stage.alice.group.context())),
        as_kind(4, encoded(&stage.welcome.secrets)),
        as_kind(5, encoded(package)),
        as_kind(6, encoded(&package.leaf_node)),
        as_kind(9, tree.clone()),
        as_kind(11, tree),
    ]);

    let content = stage.insider.framed(Content::Application(b"hello".as_slice().into()));
    let signed = stage.insider.sign(&PROVIDER, WireFormat::PRIVATE_MESSAGE, content);
    let sender_data = TargetedMessageSenderAuthData {
        sender_leaf_index: LeafIndex(2),
        signature: vec![7; 64].into(),
        kem_output: vec![8; 32].into(),
    };
    let told = TargetedMessageContent { application_data: b"hello", padding: 3 };
    seeds.extend([as_kind(254, encoded(&sender_data)), as_kind(255, encoded(&told))]);
    seeds.push(as_kind(14 + 12, plaintext(signed.content.content, signed.auth)));
    seeds
}

/// One item for each way in which a message can be made.
fn messages(stage: &Stage, observer: bool) -> Vec<Vec<u8>> {
    let real = 0..u8::try_from(stage.messages.len()).expect("few");
    let mut seeds: Vec<_> = real.clone().map(|pick| item(0, &[pick])).collect();
    seeds.push(real.clone().rev().take(4).flat_map(|pick| item(0, &[pick])).collect());
    seeds.push(real.take(4).flat_map(|pick| item(0, &[pick])).collect());
    seeds.extend(stage.messages.iter().map(|m| item(1, m)));

    for framed in contents(stage) {
        seeds.extend(ways(stage, &framed).into_iter().map(|(kind, bytes)| item(kind, &bytes)));
    }
    seeds.extend(short().iter().map(|(kind, bytes)| item(*kind, bytes)));

    if observer {
        let MlsMessageBody::GroupInfo(info) = decoded(&stage.alice.group_info()) else {
            return seeds;
        };
        seeds.push(item(3, &encoded(&*info)));
    }
    seeds
}

/// The kinds of message that can hold this content, each with the bytes that ask for it.
fn ways(stage: &Stage, framed: &FramedContent) -> Vec<(u8, Vec<u8>)> {
    let (kind, bytes) = body(&framed.content);
    let generation = |bytes: &[u8]| [&[9], bytes].concat();
    let signed = stage.insider.sign(&PROVIDER, WireFormat::PRIVATE_MESSAGE, framed.clone());
    let mut ways = vec![
        (2 + 8 * kind, bytes.clone()),
        (3 + 8 * kind, generation(&bytes)),
        (4 + 8 * kind, generation(&plaintext(signed.content.content, signed.auth))),
        (5, encoded(framed)),
        (6 + 8 * kind, bytes.clone()),
    ];

    match framed.content {
        Content::Commit(_) => {
            ways.push((6 + 8 * (1 + 18), bytes.clone()));
            ways.extend([0, 4].map(|how| (7 + 8 * how, bytes.clone())));
        }
        _ => ways.extend([1, 5, 2].map(|how| (7 + 8 * how, bytes.clone()))),
    }
    ways
}

/// Few bytes, from which content is built: each kind of proposal alone and in a commit with a path,
/// in each of the ways that sign everything in it.
fn short() -> Vec<(u8, Vec<u8>)> {
    let kinds = (0..10).flat_map(|kind| {
        let alone = vec![kind, 1];
        let listed = vec![1, 1, 1, kind, 1];
        let sealed = |bytes: &[u8]| [&[9], bytes].concat();
        [
            (6, alone.clone()),
            (3 + 8 * 9, sealed(&alone)),
            (7 + 8 * 6, alone),
            (6 + 8 * 19, listed.clone()),
            (3 + 8 * 13, sealed(&listed)),
            (7 + 8 * 4, listed),
        ]
    });
    let references = vec![1, 3, 0, 0, 0, 1, 1, 7];
    kinds.chain([(6 + 8 * 19, references.clone()), (2 + 8, references)]).collect()
}

fn insider(stage: &Stage) -> Vec<Vec<u8>> {
    let of = |(kind, bytes): (u8, Vec<u8>)| [vec![kind], bytes].concat();
    let mut seeds: Vec<_> = short().into_iter().map(of).collect();
    let one = |kind| [vec![8 * 4], chunk(&[kind, 1])].concat();
    seeds.extend((0..10).map(one));

    let mut listed = Vec::new();
    for framed in contents(stage) {
        let ways = ways(stage, &framed).into_iter();
        seeds.extend(ways.map(|(kind, bytes)| [vec![kind], bytes].concat()));
        if let Content::Proposal(proposal) = &framed.content {
            let chunk = chunk(&encoded(proposal));
            seeds.extend([0, 2, 4, 1].map(|flags| [vec![8 * flags], chunk.clone()].concat()));
            listed.push(chunk);
        }
        if let Content::Commit(commit) = &framed.content {
            let proposals = commit.proposals.iter().filter_map(|item| match item {
                ProposalOrRef::Proposal(proposal) => Some(chunk(&encoded(proposal))),
                ProposalOrRef::Reference(_) => None,
            });
            seeds.push([vec![16], proposals.collect::<Vec<_>>().concat()].concat());
        }
    }
    seeds.push([vec![16 + 8 * 16], listed.concat()].concat());
    seeds
}

fn join(stage: &Stage) -> Vec<Vec<u8>> {
    let info = encoded(&stage.welcome.info);
    let secrets = encoded(&stage.welcome.secrets);
    let tree = stage.alice.group.tree().to_extension_bytes().expect("an encoding");
    let empty = chunk(&[]);
    let mut seeds = vec![
        [vec![1, 0], chunk(&info), chunk(&secrets), empty.clone()].concat(),
        [vec![1, 0], chunk(&info), empty.clone(), empty.clone()].concat(),
        [vec![1, 0], empty.clone(), chunk(&secrets), empty.clone()].concat(),
        [vec![5, 0], encoded(stage.newcomer.key_package())].concat(),
        [vec![5, 1], encoded(stage.newcomer.key_package())].concat(),
    ];

    for bytes in &stage.messages {
        match decoded(bytes) {
            MlsMessageBody::Welcome(_) => seeds.push([&[0, 0], &**bytes].concat()),
            MlsMessageBody::GroupInfo(info) => {
                seeds.push([&[3, 0], &**bytes].concat());
                seeds.push([vec![4, 0], chunk(&encoded(&*info)), empty.clone()].concat());
                seeds.push([vec![4, 8 + 64], chunk(&encoded(&*info)), empty.clone()].concat());
                let mut info = *info;
                let ratchet_tree = ExtensionType::RATCHET_TREE;
                info.extensions.retain(|e| e.extension_type != ratchet_tree);
                seeds.push([vec![4, 0], chunk(&encoded(&info)), chunk(&tree)].concat());
            }
            _ => {}
        }
    }
    seeds
}

/// The content of each row in its own place, and each way to change a row.
fn load(stage: &Stage) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let observer = rows_of(stage.observer.rows());
    for (what, rows) in [(0, &stage.bob.rows), (3, &observer)] {
        seeds.extend(changes_of(what, rows));
    }
    for number in 0..u8::try_from(stage.messages.len()).expect("few") {
        seeds.extend([0, 3].map(|what| vec![what + 4 * number]));
    }
    seeds
}

fn changes_of(what: u8, rows: &Rows) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut tables = BTreeMap::new();
    for (place, (key, row)) in (0u16..).zip(rows) {
        let seen: &mut u8 = tables.entry(key.table).or_default();
        *seen += 1;
        if *seen > 3 {
            continue;
        }

        let place: &[u8] = &place.to_be_bytes();
        let content = content(row).expect("whole");
        let mut named = vec![key.table as u8];
        named.extend(key.epoch.to_be_bytes());
        named.extend(key.index.to_be_bytes());

        seeds.push([&[what, 0], place, &chunk(content)].concat());
        seeds.push([&[what, 3], place, &chunk(&[1])].concat());
        seeds.push([&[what, 4], place, &chunk(&[])].concat());
        seeds.push([&[what, 6], place, &chunk(&[&*named, content].concat())].concat());
        seeds.push([&[what, 7], place, &chunk(&[0; 5])].concat());
    }
    seeds
}
