//! The group's context, GroupInfo and Welcome (sections 8.1 and 12.4.3).

use crate::DecodeError;
use crate::code_points::{CipherSuite, ProtocolVersion};
use crate::codec::{Decode, Encode, EncodeError, Reader, Writer, codec};
use crate::epoch::Epoch;
use crate::extension::Extension;
use crate::ids::{Bytes, GroupId, KeyPackageRef, Mac};
use crate::psk::PreSharedKeyId;
use crate::tree_math::LeafIndex;
use crate::update_path::HpkeCiphertext;
use alloc::vec::Vec;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The state of a group that all members agree on in an epoch (section 8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupContext {
    /// The protocol version.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The group.
    pub group_id: GroupId,
    /// The epoch.
    pub epoch: Epoch,
    /// The tree hash of the root.
    pub tree_hash: Bytes,
    /// The hash over all commits up to this epoch.
    pub confirmed_transcript_hash: Bytes,
    /// The group's extensions.
    pub extensions: Vec<Extension>,
}
codec!(GroupContext {
    version,
    cipher_suite,
    group_id,
    epoch,
    tree_hash,
    confirmed_transcript_hash,
    extensions
});

/// The information about a group that a new member needs, signed by a member (section 12.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The group's context.
    pub group_context: GroupContext,
    /// Extensions for new members.
    pub extensions: Vec<Extension>,
    /// The confirmation tag of the commit that started the epoch.
    pub confirmation_tag: Mac,
    /// The member who signed it.
    pub signer: LeafIndex,
    /// `SignWithLabel(., "GroupInfoTBS", GroupInfoTBS)`.
    pub signature: Bytes,
}
codec!(GroupInfo { group_context, extensions, confirmation_tag, signer, signature });

/// GroupInfoTBS: the input of a GroupInfo's signature.
#[derive(Clone, Copy, Debug)]
pub struct GroupInfoTbs<'a>(pub &'a GroupInfo);

impl Encode for GroupInfoTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.group_context.encode(w)?;
        self.0.extensions.encode(w)?;
        self.0.confirmation_tag.encode(w)?;
        self.0.signer.encode(w)
    }
}

/// A path secret in a Welcome. It is wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PathSecret {
    /// The secret, `KDF.Nh` bytes.
    pub path_secret: Vec<u8>,
}

/// The secrets in a Welcome for one new member (section 12.4.3.1). They are wiped when dropped and
/// never printed. Encode them with [`Writer::secret`].
#[derive(Clone, PartialEq, Eq)]
pub struct GroupSecrets {
    /// The joiner secret, `KDF.Nh` bytes.
    pub joiner_secret: Vec<u8>,
    /// The path secret of the lowest common ancestor of the new member and the committer, if the
    /// commit has a path.
    pub path_secret: Option<PathSecret>,
    /// The PSKs that the commit injects, in commit order.
    pub psks: Vec<PreSharedKeyId>,
}

impl Drop for GroupSecrets {
    fn drop(&mut self) {
        self.joiner_secret.zeroize();
    }
}

impl fmt::Debug for PathSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PathSecret(..)")
    }
}

impl fmt::Debug for GroupSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupSecrets").field("psks", &self.psks).finish_non_exhaustive()
    }
}

impl Encode for PathSecret {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(&self.path_secret)
    }
}

impl Decode for PathSecret {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { path_secret: r.opaque()?.to_vec() })
    }
}

impl Encode for GroupSecrets {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(&self.joiner_secret)?;
        self.path_secret.encode(w)?;
        self.psks.encode(w)
    }
}

impl Decode for GroupSecrets {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // If a later field is malformed, this value is dropped and thereby wiped.
        let mut secrets =
            Self { joiner_secret: r.opaque()?.to_vec(), path_secret: None, psks: Vec::new() };
        secrets.path_secret = Decode::decode(r)?;
        secrets.psks = Decode::decode(r)?;
        Ok(secrets)
    }
}

/// The secrets for one new member, encrypted to its init key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedGroupSecrets {
    /// The reference of the new member's KeyPackage.
    pub new_member: KeyPackageRef,
    /// The encrypted [`GroupSecrets`].
    pub encrypted_group_secrets: HpkeCiphertext,
}
codec!(EncryptedGroupSecrets { new_member, encrypted_group_secrets });

/// The message that lets added clients join (section 12.4.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The group's cipher suite.
    pub cipher_suite: CipherSuite,
    /// One entry for each recipient.
    pub secrets: Vec<EncryptedGroupSecrets>,
    /// The encrypted [`GroupInfo`].
    pub encrypted_group_info: Bytes,
}
codec!(Welcome { cipher_suite, secrets, encrypted_group_info });
