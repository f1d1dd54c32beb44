//! What can be said of a structure's validity, beside what is in it.

use super::tree::Drawing;
use super::walk::{Context, Found, Structure};
use crate::provider::provider;
use conclave_delivery_api::to_hex;
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, Suite};
use conclave_mls::wire::{
    AuthenticatedContent, CipherSuite, Content, Decode, Encode, ExtensionType, GroupId, GroupInfo,
    GroupInfoTbs, KeyPackage, KeyPackageTbs, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource,
    Node, PublicMessage, RatchetTreeExtension, SignaturePublicKey, WireFormat, extension_of_type,
    find_extension,
};
use conclave_tree::{UnverifiedTree, verify_leaf_signature};
use conclave_validator::Validator;
use std::fmt::Display;
use std::sync::Arc;

/// The most structures of an item that are judged.
const MAX_JUDGED: usize = 10_000;
/// The longest identifier of a group, in bytes, by which signatures of leaves are checked: each of them covers it.
const MAX_GROUP_ID: usize = 4096;

/// The answer to a question of validity.
#[derive(Debug)]
pub(super) enum Verdict {
    Valid,
    Invalid(String),
    /// It cannot be told from what is here.
    Unchecked(String),
}

#[derive(Debug)]
pub(super) struct Check {
    /// The path of what is judged.
    pub(super) of: String,
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
}

/// A hash by which others refer to a structure.
#[derive(Debug)]
pub(super) struct Fingerprint {
    pub(super) of: String,
    pub(super) name: &'static str,
    pub(super) hex: String,
}

/// All that is said of what was found.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) checks: Vec<Check>,
    pub(super) fingerprints: Vec<Fingerprint>,
    /// Trees by their paths.
    pub(super) trees: Vec<(String, Drawing)>,
}

impl Judged {
    pub(super) fn say(&mut self, of: &str, check: &'static str, verdict: Verdict) {
        self.checks.push(Check { of: of.into(), check, verdict });
    }

    pub(super) fn call(&mut self, of: &str, name: &'static str, hash: Option<&[u8]>) {
        let hex = hash.map(to_hex);
        self.fingerprints.extend(hex.map(|hex| Fingerprint { of: of.into(), name, hex }));
    }
}

fn verdict<T, E: Display>(judged: Result<T, E>) -> Verdict {
    judged.map_or_else(|e| Verdict::Invalid(e.to_string()), |_| Verdict::Valid)
}

fn unchecked(why: &str) -> Verdict {
    Verdict::Unchecked(why.into())
}

fn group_too_long() -> Verdict {
    Verdict::Unchecked(format!(
        "signatures of leaves cover the group's identifier, which has more than {MAX_GROUP_ID} bytes"
    ))
}

/// Judges what was found in an item.
pub(super) fn judge(bytes: &[u8], found: &[Found], now: UnixTime) -> Judged {
    let provider = provider();
    let mut judge = Judge { provider, now, said: Judged::default() };
    for found in found.iter().take(MAX_JUDGED) {
        let encoded = bytes.get(found.bytes.clone()).unwrap_or_default();
        judge.structure(found, encoded);
    }
    if found.len() > MAX_JUDGED {
        let why = format!("the first {MAX_JUDGED} of {} structures are judged", found.len());
        judge.said.say("", "all", Verdict::Unchecked(why));
    }
    judge.said
}

struct Judge<P> {
    provider: Arc<P>,
    now: UnixTime,
    said: Judged,
}

impl<P: CryptoProvider> Judge<P> {
    fn structure(&mut self, found: &Found, encoded: &[u8]) {
        let (of, context) = (found.field.as_str(), &found.context);
        // Fields were read one by one. The library's own decoder has the last word.
        let decoded = match found.what {
            Structure::KeyPackage => {
                KeyPackage::from_bytes(encoded).map(|it| self.key_package(of, encoded, &it))
            }
            Structure::Leaf => LeafNode::from_bytes(encoded).map(|it| self.leaf(of, &it, context)),
            Structure::GroupInfo => {
                GroupInfo::from_bytes(encoded).map(|it| self.group_info(of, &it))
            }
            Structure::Tree => RatchetTreeExtension::from_bytes(encoded)
                .map(|it| self.tree(of, encoded, it, context)),
            Structure::PublicMessage => {
                PublicMessage::from_bytes(encoded).map(|it| self.message(of, it, context))
            }
        };
        if let Err(e) = decoded {
            self.said.say(of, "decoding", Verdict::Invalid(e.to_string()));
        }
    }

    /// The suite to judge by; says so if there is none.
    fn suite<'a>(provider: &'a P, suite: Option<CipherSuite>) -> Result<Suite<'a>, Verdict> {
        let suite = suite.ok_or_else(|| unchecked("the cipher suite is not known: --suite"))?;
        Suite::new(provider, suite).map_err(|e| Verdict::Unchecked(e.to_string()))
    }

    fn key_package(&mut self, of: &str, encoded: &[u8], package: &KeyPackage) {
        let provider = Arc::clone(&self.provider);
        let leaf = &package.leaf_node;
        match Self::suite(&provider, Some(package.cipher_suite)) {
            Err(why) => self.said.say(of, "signature", why),
            Ok(suite) => {
                self.said.call(of, "KeyPackageRef", suite.key_package_ref(encoded).ok().as_deref());
                let (key, tbs) = (&leaf.signature_key, KeyPackageTbs(package));
                let signed = suite.verify_encoded_with_label(
                    key,
                    b"KeyPackageTBS",
                    &tbs,
                    &package.signature,
                );
                self.said.say(of, "signature", verdict(signed));
                self.said.say(of, "leaf_node.signature", Self::leaf_signature(&suite, leaf, None));
            }
        }
        self.lifetime(of, leaf);

        // By the rules by which members and services take it.
        let message = [&[0, 1, 0, 5], encoded].concat();
        let taken = Validator::new(&*provider).key_package(&message, self.now);
        self.said.say(of, "acceptable", verdict(taken));
    }

    fn lifetime(&mut self, of: &str, leaf: &LeafNode) {
        let LeafNodeSource::KeyPackage(lifetime) = leaf.leaf_node_source else { return };
        let said = match lifetime.contains(self.now) {
            true => Verdict::Valid,
            false if lifetime.not_before > self.now.as_secs() => {
                Verdict::Invalid("it has not begun".into())
            }
            false => Verdict::Invalid("it has ended".into()),
        };
        self.said.say(of, "lifetime", said);
    }

    fn leaf_signature(
        suite: &Suite<'_>,
        leaf: &LeafNode,
        place: Option<(&GroupId, LeafIndex)>,
    ) -> Verdict {
        let nowhere = GroupId::default();
        let (group_id, leaf_index) = match (place, &leaf.leaf_node_source) {
            (Some((group, _)), _) if group.len() > MAX_GROUP_ID => return group_too_long(),
            (Some(place), _) => place,
            (None, LeafNodeSource::KeyPackage(_)) => (&nowhere, LeafIndex(0)),
            (None, LeafNodeSource::Update | LeafNodeSource::Commit(_)) => {
                return unchecked(
                    "it covers the group and the leaf's place there, which are not known",
                );
            }
        };
        verdict(verify_leaf_signature(suite, leaf, LeafNodeContext { group_id, leaf_index }))
    }

    fn leaf(&mut self, of: &str, leaf: &LeafNode, context: &Context) {
        let place = context.group.as_deref().zip(context.sender);
        let said = match Self::suite(&self.provider, context.suite) {
            Err(why) => why,
            Ok(suite) => Self::leaf_signature(&suite, leaf, place),
        };
        self.said.say(of, "signature", said);
        self.lifetime(of, leaf);
    }

    fn group_info(&mut self, of: &str, info: &GroupInfo) {
        let provider = Arc::clone(&self.provider);
        let suite = match Self::suite(&provider, Some(info.group_context.cipher_suite)) {
            Err(why) => return self.said.say(of, "signature", why),
            Ok(suite) => suite,
        };
        let Some(data) = extension_of_type(&info.extensions, ExtensionType::RATCHET_TREE) else {
            let why = "the signer's key is in the ratchet tree, which is not in the GroupInfo";
            return self.said.say(of, "signature", unchecked(why));
        };

        let signed = match signer_key(info) {
            None => Verdict::Invalid("the tree has no leaf of the signer".into()),
            Some(key) => verdict(suite.verify_encoded_with_label(
                &key,
                b"GroupInfoTBS",
                &GroupInfoTbs(info),
                &info.signature,
            )),
        };
        self.said.say(of, "signature", signed);

        let hashed = match UnverifiedTree::decode(&suite, &data.extension_data) {
            Err(e) => Verdict::Invalid(e.to_string()),
            Ok(tree) if tree.tree_hash() == &*info.group_context.tree_hash => Verdict::Valid,
            Ok(_) => Verdict::Invalid("the tree has another hash".into()),
        };
        self.said.say(of, "group_context.tree_hash", hashed);
    }

    fn tree(&mut self, of: &str, encoded: &[u8], tree: RatchetTreeExtension, context: &Context) {
        let drawing = Drawing::of(tree.nodes);
        self.said.trees.extend(drawing.map(|drawing| (of.to_string(), drawing)));
        let provider = Arc::clone(&self.provider);
        let suite = match Self::suite(&provider, context.suite) {
            Err(why) => return self.said.say(of, "tree", why),
            Ok(suite) => suite,
        };
        let said = match UnverifiedTree::decode(&suite, encoded) {
            Err(e) => Verdict::Invalid(e.to_string()),
            Ok(tree) => {
                self.said.call(of, "tree hash", Some(tree.tree_hash()));
                match context.group.as_deref() {
                    Some(group_id) if group_id.len() > MAX_GROUP_ID => group_too_long(),
                    Some(group_id) => verdict(tree.verify(&suite, group_id)),
                    None => unchecked("signatures of leaves cover the group: --group"),
                }
            }
        };
        self.said.say(of, "tree", said);
    }

    fn message(&mut self, of: &str, message: PublicMessage, context: &Context) {
        let why = "its keys are those of the group: `conclave validate message` judges it by a group's state";
        self.said.say(of, "signature", unchecked(why));
        if !matches!(message.content.content, Content::Proposal(_)) {
            return;
        }
        let PublicMessage { content, auth, .. } = message;
        let signed =
            AuthenticatedContent { wire_format: WireFormat::PUBLIC_MESSAGE, content, auth };
        match (Self::suite(&self.provider, context.suite), signed.to_bytes()) {
            (Ok(suite), Ok(encoded)) => {
                let reference = suite.proposal_ref(&encoded).ok();
                self.said.call(of, "ProposalRef", reference.as_deref());
            }
            (Err(why), _) => self.said.say(of, "ProposalRef", why),
            (_, Err(e)) => self.said.say(of, "ProposalRef", Verdict::Unchecked(e.to_string())),
        }
    }
}

/// The signature key of the member who signed a GroupInfo that holds its tree.
fn signer_key(info: &GroupInfo) -> Option<SignaturePublicKey> {
    let tree: RatchetTreeExtension =
        find_extension(&info.extensions, ExtensionType::RATCHET_TREE).ok()??;
    let place = usize::try_from(info.signer.node().0).ok()?;
    match tree.nodes.into_iter().nth(place)?? {
        Node::Leaf(leaf) => Some(leaf.signature_key),
        Node::Parent(_) => None,
    }
}
