//! Views of encoded nodes, which read them in place.
//!
//! A view accepts exactly what the structure's decoder accepts, with the same memory budget, and
//! hardly allocates. Trees of many members are walked through views; only single nodes are decoded.

use alloc::vec::Vec;
use conclave_wire::{
    Certificate, Credential, CredentialType, Decode, DecodeError, Extension, Reader,
};

/// An encoded list of code points.
#[derive(Clone, Copy)]
pub(crate) struct Codes<'a>(&'a [u8]);

impl<'a> Codes<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes = r.opaque()?;
        if bytes.len() % 2 == 0 { Ok(Self(bytes)) } else { Err(DecodeError::Truncated) }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u16> + 'a {
        self.0.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// The memory that the list takes when it is decoded.
    fn decoded_size(self) -> usize {
        self.0.len()
    }
}

/// The source of a leaf, as far as the tree needs it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    KeyPackage,
    Update,
    Commit { parent_hash: &'a [u8] },
}

/// An encoded LeafNode.
pub(crate) struct LeafView<'a> {
    pub(crate) signature_key: &'a [u8],
    pub(crate) credential_type: CredentialType,
    pub(crate) extension_types: Codes<'a>,
    pub(crate) proposal_types: Codes<'a>,
    pub(crate) credential_types: Codes<'a>,
    pub(crate) source: Source<'a>,
    /// The types of the leaf's own extensions.
    pub(crate) extensions: Vec<u16>,
    /// Everything before the signature: LeafNodeTBS without its context.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> LeafView<'a> {
    /// Reads one leaf node and advances the reader past it.
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let all = r.rest();
        let _encryption_key = r.opaque()?;
        let signature_key = r.opaque()?;
        let (credential_type, certificates) = skip_credential(r)?;
        let versions = Codes::read(r)?;
        let cipher_suites = Codes::read(r)?;
        let extension_types = Codes::read(r)?;
        let proposal_types = Codes::read(r)?;
        let credential_types = Codes::read(r)?;
        let source = read_source(r)?;
        let extensions = read_extension_types(r)?;
        let signed = all.get(..all.len() - r.rest().len()).unwrap_or_default();
        let signature = r.opaque()?;

        // Take from the memory budget what LeafNode's decoder would take.
        let mut leaf = Reader::new(all.get(..all.len() - r.rest().len()).unwrap_or_default());
        leaf.set_aside(certificates.saturating_mul(size_of::<Certificate>()))?;
        leaf.set_aside(extensions.len().saturating_mul(size_of::<Extension>()))?;
        for codes in [versions, cipher_suites, extension_types, proposal_types, credential_types] {
            leaf.set_aside(codes.decoded_size())?;
        }

        Ok(Self {
            signature_key,
            credential_type,
            extension_types,
            proposal_types,
            credential_types,
            source,
            extensions,
            signed,
            signature,
        })
    }

    /// Reads a leaf node from all of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        whole(bytes, Self::read)
    }
}

fn whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut r = Reader::new(bytes);
    let value = read(&mut r)?;
    match r.rest().len() {
        0 => Ok(value),
        n => Err(DecodeError::TrailingBytes(n)),
    }
}

/// Skips a credential and returns its type and its number of certificates.
fn skip_credential(r: &mut Reader<'_>) -> Result<(CredentialType, usize), DecodeError> {
    let mut ahead = *r;
    let mut certificates = 0;

    let kind = CredentialType::decode(&mut ahead)?;
    match kind {
        CredentialType::BASIC => {
            ahead.opaque()?;
            *r = ahead;
        }
        CredentialType::X509 => {
            let mut chain = ahead.vector()?;
            while !chain.is_empty() {
                chain.opaque()?;
                certificates += 1;
            }
            *r = ahead;
        }
        _ => {
            Credential::decode(r)?;
        }
    }
    Ok((kind, certificates))
}

fn read_source<'a>(r: &mut Reader<'a>) -> Result<Source<'a>, DecodeError> {
    match u8::decode(r)? {
        1 => r.take(16).map(|_lifetime| Source::KeyPackage),
        2 => Ok(Source::Update),
        3 => Ok(Source::Commit { parent_hash: r.opaque()? }),
        other => Err(DecodeError::InvalidValue { field: "LeafNodeSource", value: other.into() }),
    }
}

fn read_extension_types(r: &mut Reader<'_>) -> Result<Vec<u16>, DecodeError> {
    let mut list = r.vector()?;
    let mut types = Vec::new();
    while !list.is_empty() {
        types.push(u16::decode(&mut list)?);
        list.opaque()?;
    }
    Ok(types)
}

/// An encoded ParentNode.
pub(crate) struct ParentView<'a> {
    pub(crate) encryption_key: &'a [u8],
    pub(crate) parent_hash: &'a [u8],
    unmerged_leaves: &'a [u8],
}

impl<'a> ParentView<'a> {
    /// Reads one parent node and advances the reader past it.
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let encryption_key = r.opaque()?;
        let parent_hash = r.opaque()?;
        let unmerged_leaves = r.opaque()?;
        if unmerged_leaves.len() % 4 != 0 {
            return Err(DecodeError::Truncated);
        }
        Ok(Self { encryption_key, parent_hash, unmerged_leaves })
    }

    /// Reads a parent node from all of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        whole(bytes, Self::read)
    }

    pub(crate) fn unmerged_leaves(&self) -> impl Iterator<Item = u32> + 'a {
        self.unmerged_leaves.as_chunks().0.iter().map(|n| u32::from_be_bytes(*n))
    }
}

/// The encryption key of an encoded node, which is the first field of either kind.
pub(crate) fn encryption_key(encoded: &[u8]) -> Option<&[u8]> {
    Reader::new(encoded).opaque().ok()
}

/// The signature key of an encoded leaf node, which is the second field.
pub(crate) fn signature_key(encoded: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(encoded);
    r.opaque().ok()?;
    r.opaque().ok()
}
