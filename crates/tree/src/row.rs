//! A row of a tree. There is one for each node that has members below it, or is one.
//!
//! A row is a version octet, whether the node is filled, the length of its encoding in four
//! octets, the encoding, and the tree hash. Nodes of subtrees without members have no row.

use crate::view::{LeafView, ParentView};
use alloc::vec::Vec;
use conclave_wire::{NodeIndex, Reader};

const VERSION: u8 = 1;

pub(crate) fn encode_row(content: Option<&[u8]>, hash: &[u8]) -> Vec<u8> {
    let node = content.unwrap_or_default();
    let mut row = Vec::with_capacity(6 + node.len() + hash.len());
    row.extend([VERSION, content.is_some().into()]);
    // Everything that is decoded is shorter than 2^30 bytes.
    row.extend((node.len() as u32).to_be_bytes());
    row.extend(node);
    row.extend(hash);
    row
}

/// The content and the hash of a row, if the content is well formed for its place.
pub(crate) fn decode_row(node: NodeIndex, row: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let mut r = Reader::new(row);
    let [version, filled] = r.take_array().ok()?;
    let n = u32::from_be_bytes(r.take_array().ok()?);
    let content = r.take(usize::try_from(n).ok()?).ok()?;
    let well_formed = match (version, filled, node.leaf()) {
        (VERSION, 1, Some(_)) => LeafView::parse(content).is_ok(),
        (VERSION, 1, None) => ParentView::parse(content).is_ok(),
        (VERSION, 0, None) => content.is_empty(),
        _ => false,
    };
    well_formed.then_some(((filled == 1).then_some(content), r.rest()))
}
