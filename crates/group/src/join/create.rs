//! Creating a group (section 11).

use crate::config::Config;
use crate::error::Error;
use crate::key_package::LeafParams;
use crate::seed::KeySeed;
use crate::state::exporter::exports;
use crate::state::group::{Group, Parts};
use crate::state::public::PublicState;
use crate::store::rows::Batch;
use crate::validate::components::check_joined_tree;
use crate::validate::leaf as rules;
use crate::view::epoch::PublicEpoch;
use crate::view::proposals::ProposalCache;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, HpkeKeyPair, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{EpochSecrets, confirmation_tag, interim_transcript_hash};
use conclave_tree::{RatchetTree, sign_leaf};
use conclave_wire::{
    Bytes, CipherSuite, Epoch, Extension, GroupContext, GroupId, LeafIndex, LeafNodeContext,
    LeafNodeSource, Lifetime, ProtocolVersion,
};

/// The parameters of a new group. [`Identity::group_params`](crate::Identity::group_params) makes
/// them.
#[derive(Clone, Debug)]
pub struct GroupParams {
    /// The identifier, which no other group may have: 32 random bytes, for example.
    pub group_id: GroupId,
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// GroupContext extensions.
    pub extensions: Vec<Extension>,
    /// The creator's leaf.
    pub leaf: LeafParams,
    /// The lifetime of the creator's leaf, until its first commit with a path.
    pub lifetime: Lifetime,
}

impl GroupParams {
    /// A group without GroupContext extensions.
    #[must_use]
    pub fn new(
        group_id: GroupId,
        cipher_suite: CipherSuite,
        leaf: LeafParams,
        lifetime: Lifetime,
    ) -> Self {
        Self { group_id, cipher_suite, extensions: Vec::new(), leaf, lifetime }
    }
}

/// A group that is not stored yet. [`Self::store`] stores it and returns it.
#[must_use = "a new group is not stored yet"]
#[derive(Debug)]
pub struct NewGroup {
    group: Group,
    batch: Batch,
}

impl NewGroup {
    pub(crate) fn new(group: Group) -> Result<Self, Error> {
        let mut batch = group.rows()?;
        batch.new = true;
        Ok(Self { group, batch })
    }

    /// A new group from the batch that was to store it.
    pub(crate) fn from_batch(
        provider: &dyn CryptoProvider,
        config: Config,
        batch: Batch,
    ) -> Result<Self, Error> {
        let rows = batch.rows.iter().filter_map(|(key, row)| Some((*key, row.clone()?)));
        Ok(Self { group: Group::load(provider, config, rows)?, batch })
    }

    /// Lets the group replace the one that is stored under its identifier, for a client that joins
    /// again and still has its old state.
    pub fn replacing(mut self) -> Self {
        self.batch.new = false;
        self
    }

    /// All rows of the group. Unless it [replaces](Self::replacing) an older state, the store must
    /// hold none under its identifier ([`Batch::new`]).
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The group before it is stored, to be looked at.
    #[must_use]
    pub fn peek(&self) -> &Group {
        &self.group
    }

    /// The group, once the caller has stored [`Self::batch`]: [`Self::store`] for a write that is
    /// awaited. Until the rows are stored, nothing that the group makes may leave.
    #[must_use]
    pub fn stored(self) -> Group {
        self.group
    }

    /// Writes the group's rows and returns the group.
    ///
    /// # Errors
    /// If the write fails.
    pub fn store<E>(self, write: impl FnOnce(&Batch) -> Result<(), E>) -> Result<Group, E> {
        write(&self.batch)?;
        Ok(self.group)
    }
}

/// # Creating
impl Group {
    /// Creates a group in epoch 0, with us as its only member.
    ///
    /// ```
    #[doc = client!()]
    /// let alice = Identity::generate(&provider, &mut rng, Credential::basic(b"alice"), suite)?;
    /// let params = alice.group_params(b"friends".as_slice().into(), lifetime);
    /// let new = Group::create(&provider, &mut rng, Config::default(), params, alice.signer)?;
    /// let group = new.store(|rows| store.create(rows))?;
    /// assert_eq!(group.members().count(), 1);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the provider does not support the suite, the key pair is not of it, or the leaf does not
    /// support the extensions.
    pub fn create(
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        config: Config,
        params: GroupParams,
        signer: SignatureKeyPair,
    ) -> Result<NewGroup, Error> {
        let suite = Suite::new(provider, params.cipher_suite)?;
        let leaf_key = suite.hpke_key_pair(rng)?;
        Self::create_with(&suite, rng, leaf_key, config, params, signer)
    }

    /// [`Self::create`] with the key of our leaf from a seed, in place of fresh randomness.
    ///
    /// # Errors
    /// Those of [`Self::create`], and if the seed has not the right length.
    pub fn create_from_seed(
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        seed: &KeySeed,
        config: Config,
        params: GroupParams,
        signer: SignatureKeyPair,
    ) -> Result<NewGroup, Error> {
        let suite = Suite::new(provider, params.cipher_suite)?;
        let leaf_key = seed.leaf_key(&suite)?;
        Self::create_with(&suite, rng, leaf_key, config, params, signer)
    }

    fn create_with(
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        leaf_key: HpkeKeyPair,
        config: Config,
        params: GroupParams,
        signer: SignatureKeyPair,
    ) -> Result<NewGroup, Error> {
        // Section 7.2: our leaf, and a tree of it alone.
        let HpkeKeyPair { private, public } = leaf_key;
        let mut leaf = params.leaf.template(&signer.public);
        leaf.encryption_key = public;
        leaf.leaf_node_source = LeafNodeSource::KeyPackage(params.lifetime);
        let own_leaf = LeafIndex(0);
        let context = LeafNodeContext { group_id: &params.group_id, leaf_index: own_leaf };
        sign_leaf(suite, &mut leaf, &signer, context)?;
        rules::check_leaf(suite, &config.limits, &leaf, context)?;
        rules::check_own_leaf(suite, &config.limits, &config.proposals, &leaf)?;
        let tree = RatchetTree::new(suite, &leaf)?;
        rules::check_group_support(&config.limits, &tree, &params.extensions)?;
        check_joined_tree(&tree, &params.extensions)?;

        // Section 11: epoch 0, with a random epoch secret.
        let context = GroupContext {
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: params.cipher_suite,
            group_id: params.group_id,
            epoch: Epoch::FIRST,
            tree_hash: tree.tree_hash().into(),
            confirmed_transcript_hash: Bytes::default(),
            extensions: params.extensions,
        };
        let secret = Secret::random(suite.nh(), rng);
        let secrets = if exports(&tree, own_leaf) {
            EpochSecrets::with_application_export(suite, secret)?
        } else {
            EpochSecrets::from_epoch_secret(suite, secret)?
        };
        let tag = confirmation_tag(suite, &secrets.confirmation_key, &[])?;
        let interim = interim_transcript_hash(suite, &[], &tag)?;
        let epoch = PublicEpoch {
            context,
            interim_transcript_hash: interim.to_vec().into(),
            confirmation_tag: tag,
            reinit: None,
            policy: config.policy.id(),
        };

        NewGroup::new(Self::from_parts(Parts {
            public: PublicState { config, epoch, tree, proposals: ProposalCache::default() },
            own_leaf,
            signer,
            secrets,
            private_keys: BTreeMap::from([(own_leaf.node(), private)]),
        }))
    }
}
