//! Proofs of every value that a name ever had: what a user checks about itself.

use crate::entry::{Entry, in_order, take_list};
use crate::error::{ProofError, refused};
use crate::label;
use crate::lookup::{Leaf, NoLeaf, Value, take_version};
use crate::name::NameProof;
use crate::path::Path;
use crate::root::{Opening, Root};
use crate::tree::{self, Hashing};
use akd_core::verify::history::HistoryParams;
use akd_core::verify::{HistoryVerificationParams, key_history_verify};
use akd_core::{AkdLabel, AkdValue, Configuration as _, HistoryProof, UpdateProof};
use alloc::vec::Vec;
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The longest proof of a history in bytes: some thousand versions.
pub const MAX_HISTORY: usize = 8 << 20;
/// The most versions of one proof.
const MAX_VERSIONS: usize = 4096;
/// The most markers of one proof: two for each bit of a version.
const MAX_MARKERS: usize = 128;

/// How much of a name's history is asked for, and proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// Every version.
    #[default]
    Complete,
    /// The newest versions, up to this many.
    Newest(u16),
}

impl Depth {
    pub(crate) fn params(self) -> HistoryParams {
        match self {
            Self::Complete => HistoryParams::Complete,
            Self::Newest(count) => HistoryParams::MostRecent(count.into()),
        }
    }
}

/// A version in a history: its value, and that the version before was marked as superseded with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) value: Value,
    pub(crate) superseded: Option<Superseded>,
}

/// That the version before was marked as superseded. What stands in that leaf is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Superseded {
    pub(crate) name: NameProof,
    pub(crate) label: [u8; 32],
    pub(crate) path: Path,
}

impl Encode for Superseded {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.name);
        w.put(&self.label);
        self.path.encode(w)
    }
}

impl Decode for Superseded {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { name: r.take_array()?, label: r.take_array()?, path: Path::decode(r)? })
    }
}

impl Encode for Update {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.value.encode(w)?;
        self.superseded.encode(w)
    }
}

impl Decode for Update {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { value: Value::decode(r)?, superseded: Option::decode(r)? })
    }
}

/// The history of a name.
///
/// ```text
/// struct {
///     opaque vrf_key[32];
///     opaque tree_root[32];
///     uint64 version;             // of the newest update
///     Update updates<V>;          // the newest first
///     Leaf past<V>;               // earlier versions that are there, chosen by the directory's rules
///     NoLeaf future<V>;           // later versions that are not
/// } History;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) opening: Opening,
    pub(crate) version: u64,
    pub(crate) updates: Vec<Update>,
    pub(crate) past: Vec<Leaf>,
    pub(crate) future: Vec<NoLeaf>,
}

impl Encode for History {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.opening.encode(w)?;
        self.version.encode(w)?;
        self.updates.encode(w)?;
        self.past.encode(w)?;
        self.future.encode(w)
    }
}

impl Decode for History {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let opening = Opening::decode(r)?;
        let version = take_version(r)?;
        let updates: Vec<Update> = take_list(r, MAX_VERSIONS, "updates")?;
        let count = updates.len() as u64;
        if count == 0 || count > version {
            return Err(DecodeError::InvalidValue { field: "updates", value: count });
        }
        let past = take_list(r, MAX_MARKERS, "past")?;
        let future = take_list(r, MAX_MARKERS, "future")?;
        Ok(Self { opening, version, updates, past, future })
    }
}

/// Checks a name's history at a root, and returns its versions, the oldest first. All is in it that anybody
/// was ever shown as the name's entry, up to the root's epoch.
///
/// A user compares it with its own account log: an entry that it does not know was made by somebody else.
///
/// # Errors
/// [`ProofError`]: nothing is proved, neither about the name nor against the service.
pub fn verify_history(
    provider: &dyn CryptoProvider,
    root: &Root,
    user: &[u8],
    depth: Depth,
    proof: &[u8],
) -> Result<Vec<Entry>, ProofError> {
    if proof.len() > MAX_HISTORY {
        return Err(ProofError::TooLong(proof.len()));
    }
    let (_, entries) = told(provider, root, user, depth, History::from_bytes(proof)?)?;
    in_order(&entries)?;
    Ok(entries)
}

/// [`verify_history`], of a decoded history and without the order of its entries; with what the root was made
/// of.
pub(crate) fn told(
    provider: &dyn CryptoProvider,
    root: &Root,
    user: &[u8],
    depth: Depth,
    history: History,
) -> Result<(Opening, Vec<Entry>), ProofError> {
    let opening = history.opening;
    if !opening.opens(provider, root)? {
        return Err(ProofError::OtherRoot);
    }

    let mut entries = Vec::with_capacity(history.updates.len());
    let mut update_proofs = Vec::with_capacity(history.updates.len());
    for (version, update) in (1..=history.version).rev().zip(&history.updates) {
        let Value { epoch, head, .. } = update.value;
        if epoch > root.epoch() || epoch < version {
            return Err(ProofError::Rule("an entry is from an epoch that it cannot be from"));
        }
        entries.push(Entry { version, epoch, head });
        update_proofs.push(update.proof(version)?);
    }
    entries.reverse();

    let mut existence_of_past_marker_proofs = Vec::with_capacity(history.past.len());
    for leaf in &history.past {
        let proof = leaf.path.membership(label::leaf(leaf.label), leaf.hash)?;
        existence_of_past_marker_proofs.push(proof);
    }
    let mut non_existence_of_future_marker_proofs = Vec::with_capacity(history.future.len());
    for leaf in &history.future {
        non_existence_of_future_marker_proofs.push(leaf.absence.non_membership()?);
    }

    let proof = HistoryProof {
        update_proofs,
        past_marker_vrf_proofs: history.past.iter().map(|leaf| leaf.name.to_vec()).collect(),
        existence_of_past_marker_proofs,
        future_marker_vrf_proofs: history.future.iter().map(|leaf| leaf.name.to_vec()).collect(),
        non_existence_of_future_marker_proofs,
    };
    let params = HistoryVerificationParams::Default { history_params: depth.params() };
    let user = AkdLabel(user.to_vec());
    key_history_verify::<Hashing>(
        &opening.vrf_key,
        opening.tree,
        root.epoch(),
        user,
        proof,
        params,
    )
    .map_err(refused)?;
    Ok((opening, entries))
}

impl Update {
    /// The proof in the form that the tree's verification takes.
    fn proof(&self, version: u64) -> Result<UpdateProof, ProofError> {
        let value = &self.value;
        if self.superseded.is_some() != (version > 1) {
            return Err(ProofError::Rule("a version before the first, or none before a later one"));
        }

        let mut previous_version_vrf_proof = None;
        let mut previous_version_proof = None;
        if let Some(before) = &self.superseded {
            let hash = tree::leaf_hash(Hashing::stale_azks_value().0, value.epoch);
            previous_version_vrf_proof = Some(before.name.to_vec());
            previous_version_proof = Some(before.path.membership(label::leaf(before.label), hash)?);
        }

        Ok(UpdateProof {
            epoch: value.epoch,
            value: AkdValue(value.head.to_array().to_vec()),
            version,
            existence_vrf_proof: value.name.to_vec(),
            existence_proof: value.path.membership(label::leaf(value.label), value.hash())?,
            previous_version_vrf_proof,
            previous_version_proof,
            commitment_nonce: value.nonce.to_vec(),
        })
    }
}
