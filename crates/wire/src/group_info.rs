//! The group's context, GroupInfo, Welcome, and the inputs of the transcript hashes (sections 8.1,
//! 8.2 and 12.4.3).

use crate::DecodeError;
use crate::codec::{Decode, Encode, EncodeError, Reader, Writer, codec};
use crate::epoch::Epoch;
use crate::extension::Extension;
use crate::framing::FramedContent;
use crate::ids::{Bytes, CipherSuite, GroupId, KeyPackageRef, Mac, ProtocolVersion, WireFormat};
use crate::psk::PreSharedKeyId;
use crate::tree_math::LeafIndex;
use crate::update_path::HpkeCiphertext;
use alloc::vec::Vec;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What all members of a group agree on in an epoch (section 8.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupContext {
    /// The protocol version.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The group.
    pub group_id: GroupId,
    /// The epoch, from 0.
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

/// What a new member needs to know of a group, signed by a member (section 12.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The group's context.
    pub group_context: GroupContext,
    /// Extensions for new members.
    pub extensions: Vec<Extension>,
    /// The confirmation tag of the commit that began the epoch.
    pub confirmation_tag: Mac,
    /// The member who signs.
    pub signer: LeafIndex,
    /// `SignWithLabel(., "GroupInfoTBS", GroupInfoTBS)`.
    pub signature: Bytes,
}
codec!(GroupInfo { group_context, extensions, confirmation_tag, signer, signature });

/// GroupInfoTBS: what a GroupInfo's signature covers.
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

/// A path secret in a Welcome. A secret: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PathSecret {
    /// The secret, `KDF.Nh` bytes.
    pub path_secret: Vec<u8>,
}

/// What a Welcome tells one new member (section 12.4.3.1). Holds secrets: wiped when dropped,
/// never printed. Encode it with [`Writer::secret`].
#[derive(Clone, PartialEq, Eq)]
pub struct GroupSecrets {
    /// The joiner secret, `KDF.Nh` bytes.
    pub joiner_secret: Vec<u8>,
    /// The path secret of the lowest node above both the new member and the committer, if the
    /// commit had a path.
    pub path_secret: Option<PathSecret>,
    /// The PSKs that the commit injected, in its order.
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
        // Dropped, and so wiped, by what follows if it is malformed.
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
    /// The new member's KeyPackage.
    pub new_member: KeyPackageRef,
    /// The encrypted [`GroupSecrets`].
    pub encrypted_group_secrets: HpkeCiphertext,
}
codec!(EncryptedGroupSecrets { new_member, encrypted_group_secrets });

/// What lets clients join that a commit added (section 12.4.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The cipher suite of the group.
    pub cipher_suite: CipherSuite,
    /// One entry for each new member that this Welcome is for.
    pub secrets: Vec<EncryptedGroupSecrets>,
    /// The encrypted [`GroupInfo`].
    pub encrypted_group_info: Bytes,
}
codec!(Welcome { cipher_suite, secrets, encrypted_group_info });

/// ConfirmedTranscriptHashInput (section 8.2).
#[derive(Clone, Copy, Debug)]
pub struct ConfirmedTranscriptHashInput<'a, C = FramedContent> {
    /// How the commit was sent.
    pub wire_format: WireFormat,
    /// The commit: a [`FramedContent`] or a [`FramedCommit`](crate::FramedCommit).
    pub content: &'a C,
    /// Its signature.
    pub signature: &'a Bytes,
}

impl<C: Encode> Encode for ConfirmedTranscriptHashInput<'_, C> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.wire_format.encode(w)?;
        self.content.encode(w)?;
        self.signature.encode(w)
    }
}

/// InterimTranscriptHashInput (section 8.2).
#[derive(Clone, Copy, Debug)]
pub struct InterimTranscriptHashInput<'a> {
    /// The commit's confirmation tag.
    pub confirmation_tag: &'a Mac,
}
codec!(encode InterimTranscriptHashInput<'a> { confirmation_tag });
