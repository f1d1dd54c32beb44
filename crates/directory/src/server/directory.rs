use super::error::DirectoryError;
use super::extensions::{Ends, Extensions};
use super::labels::Labels;
use super::names::NameKey;
use super::records::{Batch, Put, Records};
use super::rows::{self, CURRENT, Current, PastRoot};
use super::snapshot::Shared;
use super::walk;
use crate::entry::{Head, MAX_NAME};
use crate::extension::{Extension, MAX_EXTENSION};
use crate::history::{Depth, History, MAX_HISTORY, Superseded, Update};
use crate::lookup::{Answer, Kind, Leaf, NoLeaf, Value};
use crate::name::ready;
use crate::path::{Absence, Path};
use crate::root::{Opening, ServiceKey, SignedRoot, Signer};
use crate::tree::Hashing;
use akd::append_only_zks::AzksParallelismConfig;
use akd::ecvrf::VRFKeyStorage;
use akd::errors::AkdError;
use akd::storage::StorageManager;
use akd::{
    AkdLabel, AkdValue, Azks, Configuration, EpochHash, HistoryProof, LookupProof, MembershipProof,
    NonMembershipProof, UpdateProof, VersionFreshness,
};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::wire::codec::{Decode, Encode};
use core::future::Future;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// How often a proof is begun again because a batch was published meanwhile.
const MAX_ATTEMPTS: usize = 8;
/// The most roots of one page.
const MAX_PAGE: u64 = 256;

type Tree<R> = akd::Directory<Hashing, Shared<R>, Labels>;

/// The answer to a question about a name: the proof, and the root that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The root.
    pub root: SignedRoot,
    /// The proof, for [`verify_lookup`](crate::verify_lookup) or [`verify_history`](crate::verify_history).
    pub proof: Vec<u8>,
}

/// A key-transparency directory.
///
/// Several may stand over the same records, in one process or many: publishing takes place in one of them at a
/// time, the others' attempts are refused ([`DirectoryError::Raced`]).
pub struct Directory<R> {
    records: Arc<R>,
    labels: Labels,
    signer: Signer,
    provider: Arc<dyn CryptoProvider>,
    publishing: Mutex<()>,
    extensions: Extensions,
}

impl<R: Records> Directory<R> {
    /// Opens the directory in these records, or begins one: its epoch 0 is empty, and signed at `now`.
    ///
    /// # Errors
    /// [`DirectoryError::OtherKeys`] if the directory there is not one of these keys.
    pub fn open(
        records: R,
        provider: Arc<dyn CryptoProvider>,
        signer: Signer,
        names: NameKey,
        now: u64,
    ) -> Result<Self, DirectoryError> {
        let records = Arc::new(records);
        let directory = Self {
            records,
            labels: Labels::new(names),
            signer,
            provider,
            publishing: Mutex::new(()),
            extensions: Extensions::default(),
        };

        if directory.records.get(CURRENT)?.is_none() {
            directory.begin(now)?;
        }
        let (_, current) = directory.current()?;
        let key = Arc::new(directory.signer.key());
        let signed = current.root.verify(&*directory.provider, &key).is_ok();
        if current.vrf_key != directory.labels.public_key() || !signed {
            return Err(DirectoryError::OtherKeys);
        }
        Ok(directory)
    }

    /// The key that clients need.
    #[must_use]
    pub fn key(&self) -> ServiceKey {
        self.signer.key()
    }

    /// The newest root.
    ///
    /// # Errors
    /// If the records fail.
    pub fn root(&self) -> Result<SignedRoot, DirectoryError> {
        Ok(self.current()?.1.root)
    }

    /// The roots from an epoch on, ascending, up to 256 of them: what an auditor follows.
    ///
    /// # Errors
    /// If the records fail.
    pub fn roots(&self, from: u64) -> Result<Vec<SignedRoot>, DirectoryError> {
        let newest = self.root()?.epoch;
        let keys: Vec<_> =
            (from..=newest.min(from.saturating_add(MAX_PAGE - 1))).map(rows::root_key).collect();
        let values = self.records.get_many(&keys)?;
        values.into_iter().map(|value| Ok(past_root(&past_root_row(value)?)?.root)).collect()
    }

    /// Publishes a batch of names and the ends of their account logs, and returns the new root. A batch that
    /// changes nothing publishes nothing: the root is that of before.
    ///
    /// The batch and its root are one atomic write: what this returns is durable, and a root that was not
    /// returned was shown to nobody. After [`RecordsError::Unknown`](super::RecordsError::Unknown) the batch may
    /// be published; to publish it again changes nothing then.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::Twice`] and [`DirectoryError::NotLonger`] for a batch that
    /// cannot be published; [`DirectoryError::Raced`] if another process published.
    pub fn publish(
        &self,
        batch: &[(Vec<u8>, Head)],
        now: u64,
    ) -> Result<SignedRoot, DirectoryError> {
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, current) = self.current()?;
        let snapshot = Shared::new(&self.records, Some(&current));
        let grown = self.check(&snapshot, batch).and_then(|()| self.grow(&snapshot, batch));
        // What was read while another process published may be of two epochs, and what it led to says nothing.
        if self.records.get(CURRENT)?.as_ref() != Some(&guard) {
            return Err(DirectoryError::Raced);
        }
        let EpochHash(epoch, tree) = grown?;
        if epoch == current.root.epoch {
            return Ok(current.root);
        }

        // Time does not go back from one root to the next, whatever the clock does.
        let now = now.max(current.root.published_at);
        self.write(&snapshot, Some(guard), epoch, tree, now)
    }

    /// Puts a batch into a snapshot's tree.
    fn grow(
        &self,
        snapshot: &Shared<R>,
        batch: &[(Vec<u8>, Head)],
    ) -> Result<EpochHash, DirectoryError> {
        let updates = batch
            .iter()
            .map(|(user, head)| (AkdLabel(user.clone()), AkdValue(head.to_array().to_vec())))
            .collect();
        run(snapshot, async { self.tree(snapshot).await?.publish(updates).await })
    }

    /// Signs the newest root again, with a new time: the service says that nothing has happened since. A client
    /// can then tell a directory that is quiet from one that is held back from it.
    ///
    /// # Errors
    /// [`DirectoryError::Raced`] if another process published.
    pub fn refresh(&self, now: u64) -> Result<SignedRoot, DirectoryError> {
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, current) = self.current()?;
        let snapshot = Shared::new(&self.records, Some(&current));
        let now = now.max(current.root.published_at);
        self.write(&snapshot, Some(guard), current.root.epoch, current.tree, now)
    }

    /// What the directory says about a name, with the proof.
    ///
    /// # Errors
    /// If the records fail.
    pub fn lookup(&self, user: &[u8]) -> Result<Page, DirectoryError> {
        check_name(user)?;
        self.proof(|snapshot, current| {
            let opening = self.opening(current);
            let known = snapshot.row(&rows::newest_key(user))?.is_some();
            let kind = if known {
                let user = AkdLabel(user.to_vec());
                let lookup = async { self.tree(snapshot).await?.lookup(user).await };
                let (proof, _) = run(snapshot, lookup)?;
                present(&proof)?
            } else {
                Kind::Absent(self.absent(snapshot, current, user)?)
            };
            encoded(&Answer { opening, kind })
        })
    }

    /// Every value that a name ever had, or its newest ones, with the proof.
    ///
    /// # Errors
    /// [`DirectoryError::NoEntry`] if the name has none: [`Self::lookup`] proves that.
    /// [`DirectoryError::TooLarge`] if its history does not fit into one proof.
    pub fn history(&self, user: &[u8], depth: Depth) -> Result<Page, DirectoryError> {
        check_name(user)?;
        let page = self.proof(|snapshot, current| {
            if snapshot.row(&rows::newest_key(user))?.is_none() {
                return Err(DirectoryError::NoEntry);
            }
            let user = AkdLabel(user.to_vec());
            let params = depth.params();
            let history_of = async { self.tree(snapshot).await?.key_history(&user, params).await };
            let (proof, _) = run(snapshot, history_of)?;
            encoded(&history(self.opening(current), &proof)?)
        })?;
        if page.proof.len() > MAX_HISTORY {
            return Err(DirectoryError::TooLarge);
        }
        Ok(page)
    }

    /// The signed proof that the directory of one epoch became that of a later one by additions alone, for
    /// [`verify_append_only`](crate::verify_append_only).
    ///
    /// # Errors
    /// [`DirectoryError::NoEpoch`] if there are no such epochs, [`DirectoryError::TooLarge`] if too much changed
    /// between them for one proof.
    pub fn append_only(&self, from: u64, to: u64) -> Result<Vec<u8>, DirectoryError> {
        let page = self.proof(|snapshot, current| {
            if from >= to || to > current.root.epoch {
                return Err(DirectoryError::NoEpoch);
            }
            let ends = Ends {
                old: past_root_row(snapshot.row(&rows::root_key(from))?)?,
                new: past_root_row(snapshot.row(&rows::root_key(to))?)?,
            };
            if let Some(proof) = self.extensions.find(&ends) {
                return Ok(proof.to_vec());
            }
            let (old, new) = (past_root(&ends.old)?, past_root(&ends.new)?);
            let (kept, added) = walk::between(snapshot, from, to)?;

            let mut extension = Extension {
                from,
                to,
                vrf_key: self.labels.public_key(),
                from_tree: old.tree,
                to_tree: new.tree,
                kept,
                added,
                signature: Vec::new(),
            };

            // A wrong proof that is signed would convict the service of a lie.
            let key = Arc::new(self.key());
            let root = |signed: &SignedRoot| {
                signed
                    .verify(&*self.provider, &key)
                    .map_err(|_| DirectoryError::Damaged("a root's signature"))
            };
            extension
                .verify(&*self.provider, &root(&old.root)?, &root(&new.root)?)
                .map_err(|_| DirectoryError::Damaged("the tree does not lead to its roots"))?;
            extension.sign(&*self.provider, &self.signer)?;
            let proof = encoded(&extension)?;
            self.extensions.keep(ends, &proof);
            Ok(proof)
        })?;
        if page.proof.len() > MAX_EXTENSION {
            return Err(DirectoryError::TooLarge);
        }
        Ok(page.proof)
    }

    /// Makes the empty directory of epoch 0.
    fn begin(&self, now: u64) -> Result<(), DirectoryError> {
        let snapshot = Shared::new(&self.records, None);
        run(&snapshot, async { self.tree(&snapshot).await.map(|_| ()) })?;
        let tree = Hashing::compute_root_hash_from_val(&Hashing::empty_root_value());

        // Another process may have been first, with the same result.
        match self.write(&snapshot, None, 0, tree, now) {
            Ok(_) | Err(DirectoryError::Raced) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Signs a root, and writes it with all that the snapshot holds.
    fn write(
        &self,
        snapshot: &Shared<R>,
        guard: Option<Vec<u8>>,
        epoch: u64,
        tree: [u8; 32],
        now: u64,
    ) -> Result<SignedRoot, DirectoryError> {
        let (state, mut rows) = snapshot.written();
        let (latest, nodes) = state.ok_or(DirectoryError::Damaged("there is no tree"))?;
        if latest != epoch || epoch > SignedRoot::MAX_EPOCH {
            return Err(DirectoryError::Damaged("the tree is of another epoch"));
        }

        let vrf_key = self.labels.public_key();
        let commitment = Opening { vrf_key, tree }.commitment(&*self.provider)?;
        let root = self.signer.root(&*self.provider, epoch, commitment, now)?;
        let past = PastRoot { tree, root: root.clone() };
        let current = Current { vrf_key, tree, nodes, root: root.clone() };
        rows.push((rows::root_key(epoch), encoded(&past)?));
        rows.push((CURRENT.to_vec(), encoded(&current)?));

        match self.records.put(Batch { guard: (CURRENT.to_vec(), guard), rows })? {
            Put::Written => Ok(root),
            Put::Guarded => Err(DirectoryError::Raced),
        }
    }

    /// Refuses a batch that must not be published.
    fn check(&self, snapshot: &Shared<R>, batch: &[(Vec<u8>, Head)]) -> Result<(), DirectoryError> {
        let keys: Vec<_> = batch.iter().map(|(user, _)| rows::newest_key(user)).collect();
        snapshot.prefetch(&keys)?;

        let mut seen = HashSet::with_capacity(batch.len());
        for ((user, head), key) in batch.iter().zip(&keys) {
            check_name(user)?;
            if !seen.insert(user) {
                return Err(DirectoryError::Twice(user.clone()));
            }
            let Some(bytes) = snapshot.row(key)? else { continue };
            let (entry, _) =
                rows::decode_entry(&bytes).map_err(|_| DirectoryError::Damaged("an entry"))?;
            if entry.head != *head && entry.head.length >= head.length {
                return Err(DirectoryError::NotLonger(user.clone()));
            }
        }
        Ok(())
    }

    /// The newest root, with its encoding.
    fn current(&self) -> Result<(Vec<u8>, Current), DirectoryError> {
        let bytes = self.records.get(CURRENT)?;
        let bytes = bytes.ok_or(DirectoryError::Damaged("the newest root is missing"))?;
        let current =
            Current::from_bytes(&bytes).map_err(|_| DirectoryError::Damaged("the newest root"))?;
        Ok((bytes, current))
    }

    /// Makes a proof about the newest root. If a batch was published meanwhile, what was read may be of two
    /// epochs, and the proof is made again.
    fn proof(
        &self,
        make: impl Fn(&Shared<R>, &Current) -> Result<Vec<u8>, DirectoryError>,
    ) -> Result<Page, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let (before, current) = self.current()?;
            let proof = make(&Shared::new(&self.records, Some(&current)), &current);
            if self.records.get(CURRENT)?.as_ref() == Some(&before) {
                return Ok(Page { root: current.root, proof: proof? });
            }
        }
        Err(DirectoryError::Raced)
    }

    fn opening(&self, current: &Current) -> Opening {
        Opening { vrf_key: current.vrf_key, tree: current.tree }
    }

    async fn tree(&self, snapshot: &Shared<R>) -> Result<Tree<R>, AkdError> {
        let storage = StorageManager::new_no_cache(snapshot.clone());
        akd::Directory::new(storage, self.labels.clone(), AzksParallelismConfig::disabled()).await
    }

    /// The proof that a name has no entry.
    fn absent(
        &self,
        snapshot: &Shared<R>,
        current: &Current,
        user: &[u8],
    ) -> Result<NoLeaf, DirectoryError> {
        let user = AkdLabel(user.to_vec());
        run(snapshot, async {
            let storage = StorageManager::new_no_cache(snapshot.clone());
            let fresh = VersionFreshness::Fresh;
            let proof = self.labels.get_label_proof::<Hashing>(&user, fresh, 1).await?;
            let label = self.labels.get_node_label_from_vrf_proof(proof).await;
            let tree = Azks { latest_epoch: current.root.epoch, num_nodes: current.nodes };
            let absence = tree.get_non_membership_proof::<Hashing, _>(&storage, label).await?;
            Ok(NoLeaf { name: proof.to_bytes(), absence: Absence::from_tree(&absence) })
        })
    }
}

/// Runs an operation of `akd`, which never waits here.
fn run<R: Records, T>(
    snapshot: &Shared<R>,
    operation: impl Future<Output = Result<T, AkdError>>,
) -> Result<T, DirectoryError> {
    let result = ready(operation).ok_or_else(|| DirectoryError::Tree("it waited".to_string()))?;
    if let Some(failure) = snapshot.failure() {
        return Err(failure.into());
    }
    result.map_err(|error| DirectoryError::Tree(error.to_string().trim_end().to_string()))
}

fn check_name(user: &[u8]) -> Result<(), DirectoryError> {
    if user.is_empty() || user.len() > MAX_NAME {
        return Err(DirectoryError::Name(user.to_vec()));
    }
    Ok(())
}

fn past_root_row(row: Option<Vec<u8>>) -> Result<Vec<u8>, DirectoryError> {
    row.ok_or(DirectoryError::Damaged("a root is missing"))
}

fn past_root(bytes: &[u8]) -> Result<PastRoot, DirectoryError> {
    PastRoot::from_bytes(bytes).map_err(|_| DirectoryError::Damaged("a root"))
}

fn encoded(value: &impl Encode) -> Result<Vec<u8>, DirectoryError> {
    value.to_bytes().map_err(|_| DirectoryError::TooLarge)
}

/// Bytes of `akd` as an array.
fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DirectoryError> {
    bytes.try_into().map_err(|_| DirectoryError::Damaged("a proof of the tree"))
}

/// The proof of an entry, from the form in which the tree gives it.
fn present(proof: &LookupProof) -> Result<Kind, DirectoryError> {
    let value = value(
        (proof.epoch, &proof.value),
        &proof.commitment_nonce,
        &proof.existence_vrf_proof,
        &proof.existence_proof,
    )?;
    let marker = if proof.version.is_power_of_two() {
        None
    } else {
        Some(leaf(&proof.marker_vrf_proof, &proof.marker_proof)?)
    };
    let superseded = no_leaf(&proof.freshness_vrf_proof, &proof.freshness_proof)?;
    Ok(Kind::Present { version: proof.version, value, marker, superseded })
}

fn value(
    (epoch, value): (u64, &AkdValue),
    nonce: &[u8],
    name: &[u8],
    proof: &MembershipProof,
) -> Result<Value, DirectoryError> {
    Ok(Value {
        epoch,
        head: Head::from_bytes(value).map_err(|_| DirectoryError::Damaged("an entry"))?,
        nonce: array(nonce)?,
        name: array(name)?,
        label: proof.label.label_val,
        path: Path::from_tree(proof),
    })
}

fn leaf(name: &[u8], proof: &MembershipProof) -> Result<Leaf, DirectoryError> {
    Ok(Leaf {
        name: array(name)?,
        label: proof.label.label_val,
        hash: proof.hash_val.0,
        path: Path::from_tree(proof),
    })
}

fn no_leaf(name: &[u8], proof: &NonMembershipProof) -> Result<NoLeaf, DirectoryError> {
    Ok(NoLeaf { name: array(name)?, absence: Absence::from_tree(proof) })
}

/// The history of a name, from the form in which the tree gives it.
fn history(opening: Opening, proof: &HistoryProof) -> Result<History, DirectoryError> {
    let newest = proof.update_proofs.first().ok_or(DirectoryError::NoEntry)?;
    let past = proof.past_marker_vrf_proofs.iter().zip(&proof.existence_of_past_marker_proofs);
    let future =
        proof.future_marker_vrf_proofs.iter().zip(&proof.non_existence_of_future_marker_proofs);
    Ok(History {
        opening,
        version: newest.version,
        updates: proof.update_proofs.iter().map(update).collect::<Result<_, _>>()?,
        past: past.map(|(name, proof)| leaf(name, proof)).collect::<Result<_, _>>()?,
        future: future.map(|(name, proof)| no_leaf(name, proof)).collect::<Result<_, _>>()?,
    })
}

fn update(proof: &UpdateProof) -> Result<Update, DirectoryError> {
    let value = value(
        (proof.epoch, &proof.value),
        &proof.commitment_nonce,
        &proof.existence_vrf_proof,
        &proof.existence_proof,
    )?;
    let superseded = match (&proof.previous_version_vrf_proof, &proof.previous_version_proof) {
        (Some(name), Some(proof)) => Some(Superseded {
            name: array(name)?,
            label: proof.label.label_val,
            path: Path::from_tree(proof),
        }),
        _ => None,
    };
    Ok(Update { value, superseded })
}
