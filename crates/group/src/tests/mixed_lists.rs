//! Random lists of proposals of RFC 9420 and draft-ietf-mls-extensions-10, against an oracle that is
//! written from their words alone (RFC 9420 sections 12.1 and 12.2; in the draft "Updating Application
//! Data in the GroupContext", "Attaching Application Data to a Commit", "SelfRemove Proposal").

use super::draft_scene::*;
use super::fixture::*;
use crate::commit::validate::resolve_proposals;
use crate::validate::app_data::app_data_requests;
use crate::validate::apply::apply;
use crate::validate::list::Origin;
use crate::validate::proposal::Linking;
use crate::{Config, Error, Framing, Group, NewProposal};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{
    AppDataDictionary, AppDataUpdate, AppDataUpdateOperation, Bytes, Commit, ComponentData,
    ComponentId, LeafIndex, PreSharedKeyId, Proposal, ProposalOrRef, PskType, Sender,
};
use rand_core::Rng;

/// What the oracle knows of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Add(u8),
    Update(LeafIndex),
    Remove(LeafIndex),
    SelfRemove(LeafIndex),
    Psk(u8),
    GroupContextExtensions,
    ReInit,
    ExternalInit,
    UpdateData(ComponentId, u8),
    RemoveData(ComponentId),
    Ephemeral(ComponentId),
}

/// A proposal in a list, and what the oracle knows of it.
#[derive(Clone, Debug)]
struct Listed {
    item: Item,
    by_reference: bool,
    wire: ProposalOrRef,
}

/// What a list leads to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    removed: BTreeSet<LeafIndex>,
    data: BTreeMap<ComponentId, Vec<u8>>,
}

const COMPONENTS: [ComponentId; 3] = [TOPIC, ROLES, ComponentId(0x8003)];
/// Supports no proposal of the draft.
const DANA: LeafIndex = LeafIndex(3);
const MEMBERS: u32 = 5;

/// The oracle: None if the list is invalid. `committer` is None for a client that joins.
fn judge(
    committer: Option<LeafIndex>,
    list: &[Listed],
    before: &BTreeMap<ComponentId, Vec<u8>>,
) -> Option<Outcome> {
    let count = |test: &dyn Fn(&Item) -> bool| list.iter().filter(|l| test(&l.item)).count();

    // A SelfRemove is only by reference, and an external commit refers to nothing else.
    for listed in list {
        let is_self_remove = matches!(listed.item, Item::SelfRemove(_));
        if is_self_remove && !listed.by_reference {
            return None;
        }
        if committer.is_none() && listed.by_reference && !is_self_remove {
            return None;
        }
    }

    match committer {
        Some(me) => {
            if count(&|i| *i == Item::ExternalInit) > 0 {
                return None;
            }
            if count(&|i| *i == Item::ReInit) > 0 && list.len() > 1 {
                return None;
            }
            if count(&|i| *i == Item::GroupContextExtensions) > 1 {
                return None;
            }
            let own = [Item::Update(me), Item::Remove(me), Item::SelfRemove(me)];
            if count(&|i| own.contains(i)) > 0 {
                return None;
            }
        }
        None => {
            let allowed = |i: &Item| match i {
                Item::ExternalInit
                | Item::Remove(_)
                | Item::SelfRemove(_)
                | Item::Psk(_)
                | Item::UpdateData(..)
                | Item::RemoveData(_)
                | Item::Ephemeral(_) => true,
                Item::Add(_) | Item::Update(_) | Item::GroupContextExtensions | Item::ReInit => {
                    false
                }
            };
            if count(&|i| !allowed(i)) > 0
                || count(&|i| *i == Item::ExternalInit) != 1
                || count(&|i| matches!(i, Item::Remove(_))) > 1
            {
                return None;
            }
        }
    }

    // One change a leaf, one Add a client, one use of a PSK.
    let mut removed = BTreeSet::new();
    for leaf in (0..MEMBERS).map(LeafIndex) {
        let removes = [Item::Remove(leaf), Item::SelfRemove(leaf)];
        let removes = count(&|i| removes.contains(i));
        if removes + count(&|i| *i == Item::Update(leaf)) > 1 {
            return None;
        }
        if removes == 1 {
            removed.insert(leaf);
        }
    }
    for n in 0..4 {
        if count(&|i| *i == Item::Add(n)) > 1 || count(&|i| *i == Item::Psk(n)) > 1 {
            return None;
        }
    }

    // A component's data: updates, or one removal of what is there.
    let mut data = before.clone();
    for component in COMPONENTS {
        let removals = count(&|i| *i == Item::RemoveData(component));
        let updates = list.iter().filter_map(|listed| match listed.item {
            Item::UpdateData(c, byte) if c == component => Some(byte),
            _ => None,
        });
        let updates: Vec<u8> = updates.collect();
        match (removals, updates.as_slice()) {
            (0, []) => {}
            (0, updates) => data.entry(component).or_default().extend(updates),
            (1, []) => drop(data.remove(&component)?),
            _ => return None,
        }
    }

    // Whoever processes the commit supports the draft's proposals.
    let draft = |i: &Item| {
        matches!(
            i,
            Item::SelfRemove(_) | Item::UpdateData(..) | Item::RemoveData(_) | Item::Ephemeral(_)
        )
    };
    if count(&draft) > 0 && !removed.contains(&DANA) {
        return None;
    }
    Some(Outcome { removed, data })
}

/// What the library says.
fn library(group: &Group, committer: Option<LeafIndex>, list: &[Listed]) -> Result<Outcome, Error> {
    let sender = committer.map_or(Sender::NewMemberCommit, Sender::Member);
    let proposals = list.iter().map(|listed| listed.wire.clone()).collect();
    let commit = Commit { proposals, path: None };
    let view = group.view();
    let (linking, origin) = (Linking::Forbidden, Origin::Received);
    let mut list = resolve_proposals(view, &suite(), sender, &commit, linking, origin)?;
    let requests = app_data_requests(view, &list)?;
    list.answer(appended(&requests))?;
    let mut applied = apply(view, &list)?;
    applied.update_app_data(&list)?;
    applied.check(view)?;

    let removed = applied.removed.iter().map(|(leaf, _)| *leaf).collect();
    let dictionary = AppDataDictionary::find(&applied.extensions)?.unwrap_or_default();
    let data = dictionary.entries().iter().map(|e| (e.component_id, e.data.to_vec())).collect();
    Ok(Outcome { removed, data })
}

fn below(rng: &mut TestRng, n: usize) -> usize {
    (rng.next_u64() % n as u64) as usize
}

/// Alice, Bob, Carol, Dana and Erin, with proposals by reference that are valid alone.
fn world(rng: &mut TestRng) -> (Vec<Peer>, Vec<Listed>) {
    let mut dana = able("dana");
    dana.capabilities.proposals.clear();
    let leaves = vec![able("alice"), able("bob"), able("carol"), dana, able("erin")];
    let entries: &[(ComponentId, &[u8])] = &[(TOPIC, b"tea"), (ROLES, b"all")];
    let mut peers = group_from(leaves, vec![dictionary(entries)], &Config::default());

    let mut sent = Vec::new();
    for _ in 0..12 {
        let who = below(rng, peers.len());
        let leaf = LeafIndex(who as u32);
        let other = LeafIndex(below(rng, peers.len()) as u32);
        let component = COMPONENTS[below(rng, 3)];
        let byte = rng.next_u64() as u8;
        let framing = Framing::default();
        let (item, proposal) = match below(rng, 8) {
            0 => (Item::Remove(other), Proposal::Remove(other)),
            1 | 2 => (Item::SelfRemove(leaf), Proposal::SelfRemove(Default::default())),
            3 => {
                let message = peers[who].propose_update(None, &framing);
                deliver(&mut peers, who, &message);
                sent.push(Item::Update(leaf));
                continue;
            }
            4 | 5 => data_update(component, Some(byte)),
            6 if component != COMPONENTS[2] => data_update(component, None),
            _ => ephemeral(component, byte),
        };
        // Dana proposes what she does not support, too: others judge that when it is committed.
        let before = peers[0].group.pending_proposals();
        let content = conclave_wire::Content::Proposal(proposal);
        let signed = peers[who].group.sign(&suite(), content, &framing).unwrap();
        let message = peers[who].forge(signed, &framing);
        peers.iter_mut().filter(|peer| peer.process(&message).unwrap().is_some()).for_each(
            |peer| {
                peer.receive(&message);
            },
        );
        if peers[0].group.pending_proposals() > before {
            sent.push(item);
        }
    }

    let pending = peers[0].group.proposals().zip(&sent).map(|(pending, item)| Listed {
        item: *item,
        by_reference: true,
        wire: ProposalOrRef::Reference(pending.reference.clone()),
    });
    let pending = pending.collect();
    (peers, pending)
}

fn data_update(component_id: ComponentId, byte: Option<u8>) -> (Item, Proposal) {
    let (item, operation) = match byte {
        Some(byte) => {
            let operation = AppDataUpdateOperation::Update([byte].into());
            (Item::UpdateData(component_id, byte), operation)
        }
        None => (Item::RemoveData(component_id), AppDataUpdateOperation::Remove),
    };
    (item, Proposal::AppDataUpdate(AppDataUpdate { component_id, operation }))
}

fn ephemeral(component_id: ComponentId, byte: u8) -> (Item, Proposal) {
    let data: Bytes = [byte].into();
    (Item::Ephemeral(component_id), Proposal::AppEphemeral(ComponentData { component_id, data }))
}

fn by_value(rng: &mut TestRng, peer: &Peer) -> Listed {
    let component = COMPONENTS[below(rng, 3)];
    let byte = rng.next_u64() as u8;
    let n = byte % 4;
    let (item, proposal) = match below(rng, 11) {
        0 => {
            let own = key_package_of(able("frank"), &mut TestRng(500 + u64::from(n)));
            (Item::Add(n), Proposal::Add(own.key_package().clone().into()))
        }
        1 | 2 => {
            let leaf = LeafIndex(below(rng, MEMBERS as usize) as u32);
            (Item::Remove(leaf), Proposal::Remove(leaf))
        }
        3 => {
            let psktype = PskType::External { psk_id: [n].into() };
            let psk_nonce = vec![n; 32].into();
            (Item::Psk(n), Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce }))
        }
        4 => {
            let extensions = peer.group.extensions().to_vec();
            (Item::GroupContextExtensions, Proposal::GroupContextExtensions(extensions))
        }
        5 if n == 0 => {
            let reinit = conclave_wire::ReInit {
                group_id: b"next".as_slice().into(),
                version: conclave_wire::ProtocolVersion::MLS_1_0,
                cipher_suite: SUITE,
                extensions: Vec::new(),
            };
            (Item::ReInit, Proposal::ReInit(reinit))
        }
        6 if n == 0 => (Item::ExternalInit, Proposal::ExternalInit([7; 32].into())),
        7 if n == 0 => {
            let committer = LeafIndex(below(rng, MEMBERS as usize) as u32);
            (Item::SelfRemove(committer), Proposal::SelfRemove(Default::default()))
        }
        8 => data_update(component, None),
        9 => data_update(component, Some(byte)),
        _ => ephemeral(component, byte),
    };
    Listed { item, by_reference: false, wire: ProposalOrRef::Proposal(proposal) }
}

#[test]
fn lists_are_valid_exactly_where_the_oracle_says_so() {
    let mut rng = TestRng(0x0bac1e);
    let before = BTreeMap::from([(TOPIC, b"tea".to_vec()), (ROLES, b"all".to_vec())]);
    let mut verdicts = [0; 2];
    for _ in 0..40 {
        let (peers, pending) = world(&mut rng);
        for _ in 0..50 {
            // Short lists are often valid, long ones seldom; removing Dana lets the draft's in.
            let committer = (below(&mut rng, 3) > 0)
                .then(|| LeafIndex(below(&mut rng, MEMBERS as usize) as u32));
            let mut list = Vec::new();
            if committer.is_none() {
                let init = Proposal::ExternalInit([7; 32].into());
                let wire = ProposalOrRef::Proposal(init);
                list.push(Listed { item: Item::ExternalInit, by_reference: false, wire });
            }
            if below(&mut rng, 3) > 0 {
                let wire = ProposalOrRef::Proposal(Proposal::Remove(DANA));
                list.push(Listed { item: Item::Remove(DANA), by_reference: false, wire });
            }
            for _ in 0..below(&mut rng, 5) {
                let listed = match below(&mut rng, 2) {
                    0 if !pending.is_empty() => pending[below(&mut rng, pending.len())].clone(),
                    _ => by_value(&mut rng, &peers[0]),
                };
                // The same reference twice is a rule of its own.
                if !listed.by_reference || list.iter().all(|l: &Listed| l.wire != listed.wire) {
                    list.push(listed);
                }
            }

            let expected = judge(committer, &list, &before);
            let found = library(&peers[0].group, committer, &list);
            let items: Vec<Item> = list.iter().map(|listed| listed.item).collect();
            match (&expected, &found) {
                (Some(expected), Ok(found)) => {
                    assert_eq!(expected, found, "{committer:?}: {items:?}")
                }
                (None, Err(Error::Rejected(_))) => {}
                _ => panic!("{committer:?}: {list:#?}: {expected:?}, {found:?}"),
            }
            verdicts[usize::from(expected.is_some())] += 1;
        }
    }
    assert!(verdicts.iter().all(|n| *n > 300), "{verdicts:?} invalid and valid lists");
}

#[test]
fn what_a_member_commits_by_itself_is_valid_to_the_oracle() {
    let mut rng = TestRng(0xc0117);
    let before = BTreeMap::from([(TOPIC, b"tea".to_vec()), (ROLES, b"all".to_vec())]);
    let mut taken = BTreeMap::new();
    for _ in 0..30 {
        let (mut peers, pending) = world(&mut rng);
        let who = [0, 1, 2, 4][below(&mut rng, 4)];
        let me = LeafIndex(who as u32);
        let without_dana = below(&mut rng, 2) == 0;
        let wanted = if without_dana { vec![NewProposal::Remove(DANA)] } else { vec![] };
        let asked = pending.iter().any(|l| l.item == Item::SelfRemove(DANA));
        peers[who].commit(commit_of(if asked { vec![] } else { wanted }));

        let references: Vec<_> = peers[who].group.pending_commit_references().cloned().collect();
        let is_taken = |listed: &&Listed| match &listed.wire {
            ProposalOrRef::Reference(reference) => references.contains(reference),
            ProposalOrRef::Proposal(_) => false,
        };
        let mut list: Vec<Listed> = pending.iter().filter(is_taken).cloned().collect();
        if without_dana && !asked {
            let wire = ProposalOrRef::Proposal(Proposal::Remove(DANA));
            list.push(Listed { item: Item::Remove(DANA), by_reference: false, wire });
        }
        let outcome =
            judge(Some(me), &list, &before).unwrap_or_else(|| panic!("{me:?}: {list:#?}"));

        // Whoever asked to leave and can, leaves.
        for listed in &pending {
            if let Item::SelfRemove(leaf) = listed.item
                && leaf != me
                && outcome.removed.contains(&DANA)
            {
                assert!(outcome.removed.contains(&leaf), "{leaf:?} stays: {list:#?}");
            }
            *taken.entry(is_taken(&listed)).or_insert(0) += 1;
        }
        let change = peers[who].accepted();
        let removed = change.removed.iter().map(|member| member.index).collect();
        assert_eq!(outcome.removed, removed);
        let data = data_of(&peers[who].group).into_iter().collect();
        assert_eq!(outcome.data, data);
    }
    assert!(taken[&true] > 50 && taken[&false] > 50, "{taken:?} taken and left");
}
