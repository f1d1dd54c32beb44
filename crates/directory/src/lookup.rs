//! Proofs of one name's entry, or that it has none.

use crate::entry::{Entry, Head, Lookup};
use crate::error::{ProofError, refused};
use crate::label;
use crate::name::{self, NameProof};
use crate::path::{Absence, Path};
use crate::root::{Opening, Root, take_epoch};
use crate::tree::{self, Hashing};
use akd_core::verify::lookup_verify;
use akd_core::{AkdLabel, AkdValue, Configuration as _, LookupProof, VersionFreshness};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The longest proof of a lookup in bytes. In a tree of a billion leaves one has about 5,000.
pub const MAX_LOOKUP: usize = 64 << 10;

/// That a leaf is in the tree, with the hash of its value alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) name: NameProof,
    pub(crate) label: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) path: Path,
}

/// That a leaf is not in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoLeaf {
    pub(crate) name: NameProof,
    pub(crate) absence: Absence,
}

/// A version of an entry: the value, and the proof that its leaf is in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) epoch: u64,
    pub(crate) head: Head,
    pub(crate) nonce: [u8; 32],
    pub(crate) name: NameProof,
    pub(crate) label: [u8; 32],
    pub(crate) path: Path,
}

impl Value {
    /// The hash of the leaf.
    pub(crate) fn hash(&self) -> [u8; 32] {
        let value = AkdValue(self.head.to_array().to_vec());
        Hashing::hash_leaf_with_value(&value, self.epoch, &self.nonce).0
    }
}

impl Encode for Leaf {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.name);
        w.put(&self.label);
        w.put(&self.hash);
        self.path.encode(w)
    }
}

impl Decode for Leaf {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = r.take_array()?;
        let label = r.take_array()?;
        let hash = r.take_array()?;
        Ok(Self { name, label, hash, path: Path::decode(r)? })
    }
}

impl Encode for NoLeaf {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.name);
        self.absence.encode(w)
    }
}

impl Decode for NoLeaf {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { name: r.take_array()?, absence: Absence::decode(r)? })
    }
}

impl Encode for Value {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.epoch.encode(w)?;
        self.head.encode(w)?;
        w.put(&self.nonce);
        w.put(&self.name);
        w.put(&self.label);
        self.path.encode(w)
    }
}

impl Decode for Value {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let epoch = take_epoch(r)?;
        let head = Head::decode(r)?;
        let nonce = r.take_array()?;
        let name = r.take_array()?;
        let label = r.take_array()?;
        Ok(Self { epoch, head, nonce, name, label, path: Path::decode(r)? })
    }
}

/// The answer of a directory to a question about a name.
///
/// ```text
/// struct {
///     opaque vrf_key[32];
///     opaque tree_root[32];
///     uint8 kind;                             // 1: the name has an entry; 0: it never had one
///     select (kind) {
///         case 0: NoLeaf first;               // version 1 is not there
///         case 1: uint64 version;
///                 Value value;
///                 optional<Leaf> marker;      // unless the version is a power of two
///                 NoLeaf superseded;          // the version is not marked as superseded
///     };
/// } Lookup;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) opening: Opening,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one is made for each question, and not kept")]
pub(crate) enum Kind {
    Absent(NoLeaf),
    Present { version: u64, value: Value, marker: Option<Leaf>, superseded: NoLeaf },
}

impl Encode for Answer {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.opening.encode(w)?;
        match &self.kind {
            Kind::Absent(first) => {
                w.put(&[0]);
                first.encode(w)
            }
            Kind::Present { version, value, marker, superseded } => {
                w.put(&[1]);
                version.encode(w)?;
                value.encode(w)?;
                marker.encode(w)?;
                superseded.encode(w)
            }
        }
    }
}

impl Decode for Answer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let opening = Opening::decode(r)?;
        let kind = match u8::decode(r)? {
            0 => Kind::Absent(NoLeaf::decode(r)?),
            1 => Kind::Present {
                version: take_version(r)?,
                value: Value::decode(r)?,
                marker: Option::decode(r)?,
                superseded: NoLeaf::decode(r)?,
            },
            other => {
                return Err(DecodeError::InvalidValue { field: "Lookup", value: other.into() });
            }
        };
        Ok(Self { opening, kind })
    }
}

/// Reads a version. There is none before the first, and `akd_core` panics when it is given one.
pub(crate) fn take_version(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match take_epoch(r)? {
        0 => Err(DecodeError::InvalidValue { field: "version", value: 0 }),
        version => Ok(version),
    }
}

/// Checks what a directory proves about a name at a root.
///
/// It proves the entry that everybody sees who asks under this root, as long as the user itself checks
/// [its history](crate::verify_history): a directory that holds two entries for a name at once is found by
/// the user alone.
///
/// # Errors
/// [`ProofError`]: nothing is proved, neither about the name nor against the service.
pub fn verify_lookup(
    provider: &dyn CryptoProvider,
    root: &Root,
    user: &[u8],
    proof: &[u8],
) -> Result<Lookup, ProofError> {
    if proof.len() > MAX_LOOKUP {
        return Err(ProofError::TooLong(proof.len()));
    }
    answered(provider, root, user, Answer::from_bytes(proof)?).map(|(_, lookup)| lookup)
}

/// [`verify_lookup`], of a decoded answer; with what the root was made of.
pub(crate) fn answered(
    provider: &dyn CryptoProvider,
    root: &Root,
    user: &[u8],
    answer: Answer,
) -> Result<(Opening, Lookup), ProofError> {
    let opening = answer.opening;
    if !opening.opens(provider, root)? {
        return Err(ProofError::OtherRoot);
    }

    let lookup = match answer.kind {
        Kind::Absent(first) => {
            absent(&opening, user, &first)?;
            Lookup::Absent
        }
        Kind::Present { version, value, marker, superseded } => {
            let entry = Entry { version, epoch: value.epoch, head: value.head };
            let proof = present(version, &value, marker.as_ref(), &superseded)?;
            let user = AkdLabel(user.to_vec());
            lookup_verify::<Hashing>(&opening.vrf_key, opening.tree, root.epoch(), user, proof)
                .map_err(refused)?;

            if entry.epoch > root.epoch() || entry.epoch < version {
                return Err(ProofError::Rule("an entry is from an epoch that it cannot be from"));
            }
            Lookup::Present(entry)
        }
    };
    Ok((opening, lookup))
}

/// Checks that the first version of a name's entry is not in the tree.
fn absent(opening: &Opening, user: &[u8], first: &NoLeaf) -> Result<(), ProofError> {
    let leaf = name::verify(&opening.vrf_key, user, VersionFreshness::Fresh, 1, &first.name)?;
    if leaf != first.absence.label() {
        return Err(ProofError::OtherName);
    }

    // The whole tree, of which no part holds the leaf.
    first.absence.non_membership()?;
    let subtrees = first.absence.subtrees();
    let root = tree::root(subtrees).map_err(|_| ProofError::Shape("subtrees out of order"))?;
    if root != opening.tree {
        return Err(ProofError::OtherTree);
    }
    Ok(())
}

/// The proof of an entry in the form that the tree's verification takes.
fn present(
    version: u64,
    value: &Value,
    marker: Option<&Leaf>,
    superseded: &NoLeaf,
) -> Result<LookupProof, ProofError> {
    if marker.is_none() != version.is_power_of_two() {
        return Err(ProofError::Rule("a marker is there without need, or missing"));
    }

    let existence_proof = value.path.membership(label::leaf(value.label), value.hash())?;
    let (marker_vrf_proof, marker_proof) = match marker {
        Some(marker) => {
            let proof = marker.path.membership(label::leaf(marker.label), marker.hash)?;
            (marker.name.to_vec(), proof)
        }
        None => (value.name.to_vec(), existence_proof.clone()),
    };

    Ok(LookupProof {
        epoch: value.epoch,
        value: AkdValue(value.head.to_array().to_vec()),
        version,
        existence_vrf_proof: value.name.to_vec(),
        existence_proof,
        marker_vrf_proof,
        marker_proof,
        freshness_vrf_proof: superseded.name.to_vec(),
        freshness_proof: superseded.absence.non_membership()?,
        commitment_nonce: value.nonce.to_vec(),
    })
}
