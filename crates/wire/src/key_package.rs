//! Key packages (section 10).

use crate::codec::{Encode, EncodeError, Writer, codec};
use crate::extension::Extension;
use crate::ids::{Bytes, CipherSuite, ExtensionType, HpkePublicKey, ProtocolVersion};
use crate::leaf_node::LeafNode;
use alloc::vec::Vec;

/// What a client publishes so that others can add it to groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    /// The protocol version.
    pub version: ProtocolVersion,
    /// The cipher suite, of all keys in here too.
    pub cipher_suite: CipherSuite,
    /// The key that a Welcome is encrypted to.
    pub init_key: HpkePublicKey,
    /// The leaf node that will represent the client.
    pub leaf_node: LeafNode,
    /// Extensions.
    pub extensions: Vec<Extension>,
    /// `SignWithLabel(., "KeyPackageTBS", KeyPackageTBS)`.
    pub signature: Bytes,
}
codec!(KeyPackage { version, cipher_suite, init_key, leaf_node, extensions, signature });

impl KeyPackage {
    /// Whether the package is marked as one that may be used more than once, when no other is
    /// left.
    #[must_use]
    pub fn is_last_resort(&self) -> bool {
        self.extensions.iter().any(|e| e.extension_type == ExtensionType::LAST_RESORT)
    }
}

/// KeyPackageTBS: what a key package's signature covers.
#[derive(Clone, Copy, Debug)]
pub struct KeyPackageTbs<'a>(pub &'a KeyPackage);

impl Encode for KeyPackageTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.version.encode(w)?;
        self.0.cipher_suite.encode(w)?;
        self.0.init_key.encode(w)?;
        self.0.leaf_node.encode(w)?;
        self.0.extensions.encode(w)
    }
}
