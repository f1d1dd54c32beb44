//! The directory's records: their keys, and how they are encoded.

use crate::entry::{Entry, Head};
use crate::label;
use crate::root::SignedRoot;
use akd::storage::types::{DbRecord, ValueState};
use akd::tree_node::{TreeNode, TreeNodeType, TreeNodeWithPreviousValue};
use akd::{Azks, AzksValue, NodeLabel};
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// A key and its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// The version of the records.
const FORMAT: u8 = 1;

/// The key of the [`Current`] record.
pub(super) const CURRENT: &[u8] = &[0];

/// The record that changes with every batch, and guards it: which directory these records are, and its newest
/// root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) vrf_key: [u8; 32],
    pub(super) tree: [u8; 32],
    pub(super) nodes: u64,
    pub(super) root: SignedRoot,
}

impl Encode for Current {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&[FORMAT]);
        w.put(&self.vrf_key);
        w.put(&self.tree);
        self.nodes.encode(w)?;
        self.root.encode(w)
    }
}

impl Decode for Current {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let format = u8::decode(r)?;
        if format != FORMAT {
            return Err(DecodeError::InvalidValue { field: "records", value: format.into() });
        }
        Ok(Self {
            vrf_key: r.take_array()?,
            tree: r.take_array()?,
            nodes: u64::decode(r)?,
            root: SignedRoot::decode(r)?,
        })
    }
}

/// The root of an epoch, and of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PastRoot {
    pub(super) tree: [u8; 32],
    pub(super) root: SignedRoot,
}

impl Encode for PastRoot {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.tree);
        self.root.encode(w)
    }
}

impl Decode for PastRoot {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { tree: r.take_array()?, root: SignedRoot::decode(r)? })
    }
}

/// The key of an epoch's [`PastRoot`].
pub(super) fn root_key(epoch: u64) -> Vec<u8> {
    [&[1], epoch.to_be_bytes().as_slice()].concat()
}

/// The key of a node of the tree.
pub(super) fn node_key(label: &NodeLabel) -> Vec<u8> {
    let mut w = Writer::new();
    w.put(&[2]);
    label::put(&mut w, label);
    w.finish()
}

/// The key of a name's newest entry.
pub(super) fn newest_key(user: &[u8]) -> Vec<u8> {
    [&[3], user].concat()
}

/// The key of a version of a name's entry.
pub(super) fn entry_key(user: &[u8], version: u64) -> Vec<u8> {
    [&[4], user, version.to_be_bytes().as_slice()].concat()
}

/// Appends a child's label, or that there is none.
fn put_child(w: &mut Writer, child: Option<&NodeLabel>) {
    w.put(&[u8::from(child.is_some())]);
    if let Some(child) = child {
        label::put(w, child);
    }
}

fn take_child(r: &mut Reader<'_>) -> Result<Option<NodeLabel>, DecodeError> {
    match u8::decode(r)? {
        0 => Ok(None),
        1 => label::take(r).map(Some),
        other => Err(DecodeError::InvalidPresence(other)),
    }
}

/// A node of the tree, without its label, which is its key, and its parent, which nothing needs.
pub(super) fn encode_node(node: &TreeNode) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    w.put(&[node.node_type as u8]);
    node.last_epoch.encode(&mut w)?;
    node.min_descendant_epoch.encode(&mut w)?;
    w.put(&node.hash.0);
    if node.node_type != TreeNodeType::Leaf {
        put_child(&mut w, node.left_child.as_ref());
        put_child(&mut w, node.right_child.as_ref());
    }
    Ok(w.finish())
}

pub(super) fn decode_node(label: NodeLabel, bytes: &[u8]) -> Result<TreeNode, DecodeError> {
    let mut r = Reader::new(bytes);
    let node_type = match u8::decode(&mut r)? {
        1 => TreeNodeType::Leaf,
        2 => TreeNodeType::Root,
        3 => TreeNodeType::Interior,
        other => return Err(DecodeError::InvalidValue { field: "node", value: other.into() }),
    };
    let last_epoch = u64::decode(&mut r)?;
    let min_descendant_epoch = u64::decode(&mut r)?;
    let hash = AzksValue(r.take_array()?);
    let mut children = [None, None];
    if node_type != TreeNodeType::Leaf {
        for child in &mut children {
            *child = take_child(&mut r)?;
        }
    }
    if !r.is_empty() {
        return Err(DecodeError::TrailingBytes(r.rest().len()));
    }

    let [left_child, right_child] = children;
    let parent = NodeLabel::root();
    Ok(TreeNode {
        label,
        last_epoch,
        min_descendant_epoch,
        parent,
        node_type,
        left_child,
        right_child,
        hash,
    })
}

/// What is stored of a version: enough for a [`ValueState`] together with its key.
pub(super) fn encode_entry(entry: &Entry, leaf: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::new();
    w.put(&entry.version.to_be_bytes());
    w.put(&entry.epoch.to_be_bytes());
    w.put(&entry.head.to_array());
    w.put(leaf);
    w.finish()
}

pub(super) fn decode_entry(bytes: &[u8]) -> Result<(Entry, [u8; 32]), DecodeError> {
    let mut r = Reader::new(bytes);
    let version = u64::decode(&mut r)?;
    let epoch = u64::decode(&mut r)?;
    let head = Head::decode(&mut r)?;
    let leaf = r.take_array()?;
    if !r.is_empty() {
        return Err(DecodeError::TrailingBytes(r.rest().len()));
    }
    Ok((Entry { version, epoch, head }, leaf))
}

/// A version as `akd` takes it.
pub(super) fn value_state(user: &[u8], entry: &Entry, leaf: [u8; 32]) -> ValueState {
    let value = entry.head.to_array().to_vec();
    let bits = label::LEAF_BITS;
    DbRecord::build_user_state(user.to_vec(), value, entry.version, bits, leaf, entry.epoch)
}

/// The rows of a record of `akd`. That of the tree as a whole is part of [`Current`].
pub(super) fn of_record(record: &DbRecord) -> Result<Vec<Row>, DecodeOrEncode> {
    match record {
        DbRecord::Azks(_) => Ok(Vec::new()),
        DbRecord::TreeNode(node) => {
            Ok(vec![(node_key(&node.label), encode_node(&node.latest_node)?)])
        }
        DbRecord::ValueState(state) => {
            let head = Head::from_bytes(&state.value)?;
            let entry = Entry { version: state.version, epoch: state.epoch, head };
            let row = encode_entry(&entry, &state.label.label_val);
            Ok(vec![
                (newest_key(&state.username), row.clone()),
                (entry_key(&state.username, state.version), row),
            ])
        }
    }
}

/// A node as `akd` takes it. It asks for what a node was before while it is written record by record, which it
/// is not here.
pub(super) fn node_record(node: TreeNode) -> DbRecord {
    DbRecord::TreeNode(TreeNodeWithPreviousValue {
        label: node.label,
        latest_node: node,
        previous_node: None,
    })
}

/// The tree as a whole, as `akd` takes it.
pub(super) fn tree_record(latest_epoch: u64, num_nodes: u64) -> DbRecord {
    DbRecord::Azks(Azks { latest_epoch, num_nodes })
}

/// A record that cannot be read or written.
#[derive(Debug)]
pub(super) struct DecodeOrEncode;

impl From<DecodeError> for DecodeOrEncode {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

impl From<EncodeError> for DecodeOrEncode {
    fn from(_: EncodeError) -> Self {
        Self
    }
}
