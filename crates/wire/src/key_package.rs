//! Key packages (section 10).

use crate::code_points::{CipherSuite, ComponentId, ExtensionType, ProtocolVersion};
use crate::codec::{Encode, EncodeError, Writer, codec};
use crate::component::AppDataDictionary;
use crate::extension::Extension;
use crate::ids::{Bytes, HpkePublicKey};
use crate::leaf_node::LeafNode;
use alloc::vec::Vec;

/// The data that a client publishes so that others can add it to groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    /// The protocol version.
    pub version: ProtocolVersion,
    /// The cipher suite, which is also that of all keys in the package.
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
    /// Whether the package is marked as a last resort, which may be used more than once if no other
    /// is left: by the extension `last_resort`, or by the component `last_resort_key_package` of its
    /// `app_data_dictionary` (draft-ietf-mls-extensions-10). A dictionary that is malformed marks
    /// nothing.
    #[must_use]
    pub fn is_last_resort(&self) -> bool {
        let component = || {
            let dictionary = AppDataDictionary::find(&self.extensions).ok().flatten();
            dictionary.is_some_and(|d| d.get(ComponentId::LAST_RESORT_KEY_PACKAGE).is_some())
        };
        self.extensions.iter().any(|e| e.extension_type == ExtensionType::LAST_RESORT)
            || component()
    }
}

/// KeyPackageTBS: the input of a key package's signature.
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
