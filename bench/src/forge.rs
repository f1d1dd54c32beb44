//! A large group without its members: a valid tree in which every member has committed, and a GroupInfo by
//! which clients join with an external commit.
//!
//! Each leaf and each parent is valid, with signatures and parent hashes; all keys are random. Forging a tree
//! takes O(n) once for all stacks. Clients that join and commit would take O(n log n) seals in each stack.

use crate::client::Result;
use crate::{clock, conclave, rng};
use chacha20::ChaCha20Rng;
use conclave_mls::crypto::{Digest, Kem, SignatureKeyPair, Suite};
use conclave_mls::group::{LeafIndex, ProtocolVersion};
use conclave_mls::wire::{
    Bytes, Encode, Extension, ExtensionType, GroupContext, GroupInfo, GroupInfoTbs, HpkePublicKey,
    LeafNode, LeafNodeContext, LeafNodeHashInput, LeafNodeSource, MlsMessage, MlsMessageBody,
    NodeIndex, NodeType, ParentHashInput, ParentNode, ParentNodeHashInput, TreeSize, Writer,
};
use conclave_mls::{Epoch, GroupId};
use conclave_tree::sign_leaf;
use rand_core::Rng as _;

struct Forge<'a> {
    suite: Suite<'a>,
    rng: ChaCha20Rng,
    group_id: GroupId,
    leaves: u32,
    blank: &'a [u32],
    populated: bool,
    nodes: Vec<Option<Vec<u8>>>,
    /// A leaf that can sign the GroupInfo.
    signer: Option<(LeafIndex, SignatureKeyPair)>,
}

/// A GroupInfo, an encoded MLSMessage, of a group with this many leaves. All leaves but the `blank` ones are
/// members. If the tree is not `populated`, no member has committed and all parents are blank.
pub fn group_info(group_id: &[u8], leaves: u32, blank: &[u32], populated: bool) -> Result<Vec<u8>> {
    let provider = conclave::provider();
    let size = TreeSize::for_leaves(leaves).ok_or("too many leaves")?;
    let mut forge = Forge {
        suite: Suite::new(&provider, conclave::suite())?,
        rng: rng::seeded(leaves.into()),
        group_id: group_id.into(),
        leaves,
        blank,
        populated,
        nodes: vec![None; size.node_count() as usize],
        signer: None,
    };

    let tree_hash = forge.node(size.root(), Bytes::default())?;
    let (own_leaf, signer) = forge.signer.take().ok_or("no members")?;
    let tree = forge.extension()?;

    let mut info = GroupInfo {
        group_context: GroupContext {
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: conclave::suite(),
            group_id: forge.group_id.clone(),
            epoch: Epoch(leaves.into()),
            tree_hash: Bytes::from(tree_hash.as_ref()),
            confirmed_transcript_hash: forge.random(),
            extensions: Vec::new(),
        },
        extensions: vec![
            Extension { extension_type: ExtensionType::RATCHET_TREE, extension_data: tree.into() },
            Extension::new(ExtensionType::EXTERNAL_PUB, &forge.key()?)?,
        ],
        confirmation_tag: forge.random().into_vec().into(),
        signer: own_leaf,
        signature: Bytes::default(),
    };

    let tbs = GroupInfoTbs(&info).to_bytes()?;
    info.signature = forge.suite.sign_with_label(&signer, b"GroupInfoTBS", &tbs)?.into();
    Ok(MlsMessage::from(MlsMessageBody::GroupInfo(Box::new(info))).to_bytes()?)
}

impl Forge<'_> {
    /// A public key whose private key nobody has. Any 32 bytes are a public key of X25519.
    fn key(&mut self) -> Result<HpkePublicKey> {
        match self.suite.params().kem {
            Kem::DhX25519 => Ok(HpkePublicKey(self.random())),
            _ => Ok(self.suite.hpke_key_pair(&mut self.rng)?.public),
        }
    }

    fn random(&mut self) -> Bytes {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        Bytes::from(bytes.as_slice())
    }

    fn is_member(&self, leaf: u32) -> bool {
        leaf < self.leaves && !self.blank.contains(&leaf)
    }

    fn has_members(&self, node: NodeIndex) -> bool {
        let range = node.leaves();
        let first = range.start;
        // Few leaves are blank, so the first member is near.
        (first..range.end.min(self.leaves)).any(|leaf| self.is_member(leaf))
    }

    /// Fills the subtree below a node, gives the node this parent hash, and returns the subtree's tree hash.
    fn node(&mut self, node: NodeIndex, parent_hash: Bytes) -> Result<Digest> {
        match (node.leaf(), node.children()) {
            (Some(leaf), _) => self.leaf(leaf, parent_hash),
            (None, Some((left, right))) => self.parent(node, left, right, parent_hash),
            (None, None) => Err("no such node".into()),
        }
    }

    /// A parent with members on one side only is blank, because paths leave it out. Any other was last set by
    /// the path of a member below one of its children; which child is random.
    fn parent(
        &mut self,
        node: NodeIndex,
        left: NodeIndex,
        right: NodeIndex,
        parent_hash: Bytes,
    ) -> Result<Digest> {
        let on_path = self.populated && self.has_members(left) && self.has_members(right);
        let (left_hash, right_hash) = if on_path {
            let key = self.key()?;
            let other = self.random();
            let by_left = self.rng.next_u32() & 1 == 0;
            let (child, sibling) = if by_left { (left, right) } else { (right, left) };

            let sibling_hash = self.node(sibling, other)?;
            let input = ParentHashInput {
                encryption_key: &key,
                parent_hash: &parent_hash,
                original_sibling_tree_hash: &sibling_hash,
            };
            let below = self.suite.hash(&[&input.to_bytes()?])?;
            let child_hash = self.node(child, Bytes::from(below.as_ref()))?;

            let parent = ParentNode { encryption_key: key, parent_hash, unmerged_leaves: vec![] };
            self.nodes[node.0 as usize] = Some(parent.to_bytes()?);
            if by_left { (child_hash, sibling_hash) } else { (sibling_hash, child_hash) }
        } else {
            let left_hash = self.node(left, parent_hash.clone())?;
            (left_hash, self.node(right, parent_hash)?)
        };

        let input = ParentNodeHashInput {
            parent_node: self.nodes[node.0 as usize].as_deref(),
            left_hash: &left_hash,
            right_hash: &right_hash,
        };

        Ok(self.suite.hash(&[&input.to_bytes()?])?)
    }

    fn leaf(&mut self, leaf_index: LeafIndex, parent_hash: Bytes) -> Result<Digest> {
        if self.is_member(leaf_index.0) {
            let name = format!("member-{:08}", leaf_index.0);
            let identity = conclave::identity(self.suite.provider(), &mut self.rng, &name)?;
            let signer = identity.signer;
            let leaf_node_source = if self.populated {
                LeafNodeSource::Commit(parent_hash)
            } else {
                LeafNodeSource::KeyPackage(clock::lifetime()?)
            };
            let mut leaf = LeafNode {
                encryption_key: self.key()?,
                signature_key: signer.public.clone(),
                credential: identity.leaf.credential,
                capabilities: identity.leaf.capabilities,
                leaf_node_source,
                extensions: Vec::new(),
                signature: Bytes::default(),
            };

            let context = LeafNodeContext { group_id: &self.group_id, leaf_index };
            sign_leaf(&self.suite, &mut leaf, &signer, context)?;
            self.nodes[leaf_index.node().0 as usize] = Some(leaf.to_bytes()?);
            self.signer = Some((leaf_index, signer));
        }

        let leaf_node = self.nodes[leaf_index.node().0 as usize].as_deref();
        Ok(self.suite.hash(&[&LeafNodeHashInput { leaf_index, leaf_node }.to_bytes()?])?)
    }

    /// The data of the ratchet_tree extension.
    fn extension(&self) -> Result<Vec<u8>> {
        let end = self.nodes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut w = Writer::new();
        w.put_vector(|w| {
            for (place, node) in self.nodes[..end].iter().enumerate() {
                let kind = if place % 2 == 0 { NodeType::Leaf } else { NodeType::Parent };
                match node {
                    None => w.put(&[0]),
                    Some(encoded) => {
                        w.put(&[1, kind as u8]);
                        w.put(encoded);
                    }
                }
            }
            Ok(())
        })?;

        Ok(w.finish())
    }
}
