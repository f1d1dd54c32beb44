//! Making and processing update paths (RFC 9420 sections 7.4 to 7.6).

use super::compare::same;
use super::hex::Hex;
use super::keys;
use super::problem::{At, Problem, ensure};
use super::sample;
use super::trees::{Grown, Member, load_unverified};
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{HpkePrivateKey, Suite};
use conclave_tree::{
    NewPath, PathKeys, RatchetTree, StagedTree, TreeRead, UnverifiedTree, create_path, merge_path,
    open_path, seal_path, verify_leaf_signature,
};
use conclave_wire::{Encode, GroupId, LeafIndex, LeafNodeContext, NodeIndex, UpdatePath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
pub(super) struct TreeKem {
    cipher_suite: u16,
    group_id: Hex,
    epoch: u64,
    confirmed_transcript_hash: Hex,
    ratchet_tree: Hex,
    leaves_private: Vec<LeafPrivate>,
    update_paths: Vec<ListedPath>,
}

#[derive(Serialize, Deserialize)]
struct LeafPrivate {
    index: u32,
    encryption_priv: Hex,
    signature_priv: Hex,
    path_secrets: Vec<NodeSecret>,
}

#[derive(Serialize, Deserialize)]
struct NodeSecret {
    node: u32,
    path_secret: Hex,
}

#[derive(Serialize, Deserialize)]
struct ListedPath {
    sender: u32,
    update_path: Hex,
    /// The path secrets by leaf; none for the sender and for blank leaves.
    path_secrets: Vec<Option<Hex>>,
    commit_secret: Hex,
    tree_hash_after: Hex,
}

/// The private TreeKEM state of a leaf: the member, and the private keys of its path secrets.
struct Private {
    member: Member,
    keys: BTreeMap<NodeIndex, HpkePrivateKey>,
}

/// A tree and the private state of all its members.
struct State<'a> {
    suite: &'a Suite<'a>,
    vector: &'a TreeKem,
    group_id: GroupId,
    tree: RatchetTree,
    private: BTreeMap<LeafIndex, Private>,
}

impl LeafPrivate {
    /// The state, after a check that it fits the tree.
    fn load(&self, suite: &Suite<'_>, tree: &RatchetTree) -> Result<Private, Problem> {
        let leaf = tree.leaf(LeafIndex(self.index)).at("the leaf is blank")?;
        let signer = keys::signature_key_pair_of(
            suite,
            "signature_priv",
            &self.signature_priv,
            &leaf.signature_key,
        )?;

        let encryption = &self.encryption_priv;
        let leaf_key =
            keys::hpke_key_pair_of(suite, "encryption_priv", encryption, &leaf.encryption_key)?;
        let mut private =
            BTreeMap::from([(LeafIndex(self.index).node(), leaf_key.private.clone())]);
        let mut path_secrets = BTreeMap::new();
        for NodeSecret { node, path_secret } in &self.path_secrets {
            let node = NodeIndex(*node);
            let public = tree.encryption_key(node).at(format_args!("{node} is blank"))?;
            let secret = path_secret.secret();
            let key_pair = suite.derive_key_pair(&suite.derive_secret(&secret, b"node")?)?;
            ensure(
                key_pair.public == public,
                format_args!("the path secret of {node} is not that of its key"),
            )?;
            private.insert(node, key_pair.private);
            path_secrets.insert(node, secret);
        }
        Ok(Private { member: Member { signer, leaf: leaf_key, path_secrets }, keys: private })
    }
}

impl<'a> State<'a> {
    fn load(suite: &'a Suite<'a>, vector: &'a TreeKem) -> Result<Self, Problem> {
        let tree = UnverifiedTree::decode(suite, &vector.ratchet_tree).at("ratchet_tree")?;
        let tree = load_unverified(suite, &tree)?;
        let mut private = BTreeMap::new();
        for leaf in &vector.leaves_private {
            let place = format_args!("leaves_private of leaf {}", leaf.index);
            private.insert(LeafIndex(leaf.index), leaf.load(suite, &tree).at(place)?);
        }
        Ok(Self { suite, vector, group_id: GroupId::from(&vector.group_id), tree, private })
    }

    /// The encoded GroupContext for a path, with the hash of the tree after it.
    fn context(&self, staged: &mut StagedTree<'_>) -> Result<Vec<u8>, Problem> {
        let TreeKem { group_id, epoch, confirmed_transcript_hash, .. } = self.vector;
        let tree_hash = staged.tree_hash(self.suite)?;
        let context =
            sample::context(self.suite, group_id, *epoch, &tree_hash, confirmed_transcript_hash);
        Ok(context.to_bytes()?)
    }

    /// All members but the sender.
    fn receivers(&self, sender: LeafIndex) -> impl Iterator<Item = LeafIndex> {
        self.tree.members().filter(move |leaf| *leaf != sender)
    }

    fn open(
        &self,
        staged: &StagedTree<'_>,
        sender: LeafIndex,
        me: LeafIndex,
        path: &UpdatePath,
        context: &[u8],
    ) -> Result<PathKeys, Problem> {
        let private = self.private.get(&me).at("it has no private state")?;
        let key = |node: NodeIndex| private.keys.get(&node).cloned();
        Ok(open_path(self.suite, staged, sender, me, &key, path, context, &[])?)
    }

    /// Lets all members process the listed path.
    fn check_listed(&self, listed: &ListedPath) -> Result<(), Problem> {
        let sender = LeafIndex(listed.sender);
        ensure(self.tree.is_member(sender), "the sender's leaf is blank")?;
        let path: UpdatePath = listed.update_path.decode("update_path")?;
        let mut staged = StagedTree::new(&self.tree);
        merge_path(self.suite, &mut staged, sender, &path, &[])?;
        same("tree_hash_after", &staged.tree_hash(self.suite)?, &listed.tree_hash_after)?;
        let context = self.context(&mut staged)?;
        for (leaf, secret) in (0..).map(LeafIndex).zip(&listed.path_secrets) {
            let receives = leaf != sender && self.tree.is_member(leaf);
            let (has, must) = (secret.is_some(), if receives { "lacks" } else { "has" });
            ensure(has == receives, format_args!("path_secrets {must} that of {leaf}"))?;
        }

        for leaf in self.receivers(sender) {
            let keys = self.open(&staged, sender, leaf, &path, &context).at(leaf)?;
            let computed = keys.secrets.first().map(|(_, secret)| secret).at("no path secret")?;
            let listed_secret = listed.path_secrets.get(leaf.0 as usize).and_then(Option::as_ref);
            let listed_secret =
                listed_secret.at(format_args!("path_secrets lacks that of {leaf}"))?;
            same(format_args!("the path secret of {leaf}"), computed.expose(), listed_secret)?;
            let commit_secret = keys.commit_secret.expose();
            same(format_args!("{leaf}'s commit_secret"), commit_secret, &listed.commit_secret)?;
        }
        Ok(())
    }

    /// Makes and seals a new path of a member.
    fn create(
        &self,
        sender: LeafIndex,
        rng: &mut SeededRng,
    ) -> Result<(NewPath, UpdatePath), Problem> {
        let private = self.private.get(&sender).at("the sender has no private state")?;
        let template = self.tree.leaf(sender).at("the sender's leaf is blank")?;
        let mut staged = StagedTree::new(&self.tree);
        let suite = self.suite;
        let group_id = &self.group_id;
        let signer = &private.member.signer;
        let new = create_path(suite, &mut staged, sender, template, signer, group_id, rng)?;
        let context = self.context(&mut staged)?;
        let path = seal_path(suite, &staged, sender, &new, &context, &[], rng)?;
        Ok((new, path))
    }

    /// Makes a new path of a member and lets all others process it.
    fn check_created(&self, sender: LeafIndex, rng: &mut SeededRng) -> Result<(), Problem> {
        let (new, path) = self.create(sender, rng)?;
        let place = LeafNodeContext { group_id: &self.group_id, leaf_index: sender };
        verify_leaf_signature(self.suite, &path.leaf_node, place)?;
        let mut staged = StagedTree::new(&self.tree);
        merge_path(self.suite, &mut staged, sender, &path, &[])?;
        let context = self.context(&mut staged)?;
        for leaf in self.receivers(sender) {
            let keys = self.open(&staged, sender, leaf, &path, &context).at(leaf)?;
            ensure(
                keys.commit_secret == new.keys.commit_secret,
                format_args!("{leaf} has another commit_secret than the sender"),
            )?;
        }
        Ok(())
    }
}

impl SuiteVector for TreeKem {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        let state = State::load(suite, self)?;
        for listed in &self.update_paths {
            let place = format_args!("the path of leaf {}", listed.sender);
            state.check_listed(listed).at(place)?;
            let place = format_args!("a new path of leaf {}", listed.sender);
            state.check_created(LeafIndex(listed.sender), rng).at(place)?;
        }
        Ok(())
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let mut blanks = Grown::of_size(suite, 4, rng)?;
        blanks.commit(0, &[1], 0, rng)?;
        let trees = [
            Grown::of_size(suite, 2, rng)?,
            Grown::of_size(suite, 3, rng)?,
            blanks,
            Grown::figure_20(suite, rng)?,
        ];
        trees.iter().map(|grown| Self::of(suite, grown, rng)).collect()
    }
}

impl TreeKem {
    fn of(suite: &Suite<'_>, grown: &Grown<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let private = |(leaf, member): (&LeafIndex, &Member)| LeafPrivate {
            index: leaf.0,
            encryption_priv: Hex::of(member.leaf.private.0.expose()),
            signature_priv: Hex::of(member.signer.private.expose()),
            path_secrets: member
                .path_secrets
                .iter()
                .map(|(n, s)| NodeSecret { node: n.0, path_secret: Hex::of(s.expose()) })
                .collect(),
        };

        let mut vector = Self {
            cipher_suite: suite.cipher_suite().0,
            group_id: Hex::of(&grown.group_id),
            epoch: rng.below(1 << 40),
            confirmed_transcript_hash: sample::hash(suite, rng),
            ratchet_tree: grown.encode()?.into(),
            leaves_private: grown.members.iter().map(private).collect(),
            update_paths: Vec::new(),
        };

        let state = State::load(suite, &vector)?;
        let senders: Vec<LeafIndex> = grown.members.keys().copied().collect();
        let paths = senders
            .into_iter()
            .map(|sender| state.listed(sender, rng))
            .collect::<Result<_, _>>()?;
        vector.update_paths = paths;
        Ok(vector)
    }
}

impl State<'_> {
    /// Makes a new path, with the secrets that result.
    fn listed(&self, sender: LeafIndex, rng: &mut SeededRng) -> Result<ListedPath, Problem> {
        let (new, path) = self.create(sender, rng)?;
        let mut staged = StagedTree::new(&self.tree);
        merge_path(self.suite, &mut staged, sender, &path, &[])?;
        let context = self.context(&mut staged)?;
        let leaves = 0..self.tree.size().leaf_count();
        let secret = |leaf: LeafIndex| -> Result<Option<Hex>, Problem> {
            if leaf == sender || !self.tree.is_member(leaf) {
                return Ok(None);
            }
            let keys = self.open(&staged, sender, leaf, &path, &context)?;
            Ok(keys.secrets.first().map(|(_, secret)| Hex::of(secret.expose())))
        };

        let path_secrets = leaves.map(LeafIndex).map(secret).collect::<Result<_, _>>()?;
        Ok(ListedPath {
            sender: sender.0,
            update_path: path.to_bytes()?.into(),
            path_secrets,
            commit_secret: Hex::of(new.keys.commit_secret.expose()),
            tree_hash_after: Hex::of(&staged.tree_hash(self.suite)?),
        })
    }
}
