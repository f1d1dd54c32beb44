//! The common settings of a group's members, and the beginning of a group.

use super::client::{LIFETIME, PROVIDER, SUITE, add, commit_of, config, leaf_params, signer};
use super::peer::{Peer, agree};
use crate::{SeededRng, accepting};
use conclave_crypto::{CryptoProvider, Secret};
use conclave_group::{
    Config, Error, ExternalJoinOptions, ExternalJoinStage, Group, GroupParams, KeyPackageParams,
    LeafParams, OwnKeyPackage,
};
use conclave_wire::{CipherSuite, LeafIndex, PskType};

/// The common settings of a group's members.
#[derive(Clone)]
pub struct Setup {
    /// The cipher suite.
    pub suite: CipherSuite,
    /// The settings of each client.
    pub config: Config,
    /// The provider of each client.
    pub provider: &'static dyn CryptoProvider,
}

// A method panics if what it is named after is not possible: a test wants that.
#[allow(clippy::missing_panics_doc)]
impl Setup {
    /// The usual settings, in a suite.
    #[must_use]
    pub fn of(suite: CipherSuite) -> Self {
        Self { suite, config: config(), provider: &PROVIDER }
    }

    /// A key package of a leaf; the seed decides its keys.
    #[must_use]
    pub fn key_package(&self, leaf: LeafParams, seed: u64) -> OwnKeyPackage {
        let params = KeyPackageParams::new(self.suite, leaf, LIFETIME);
        let mut rng = SeededRng::from_u64(seed).fork("key package");
        let signer = signer(self.suite, seed);
        OwnKeyPackage::generate(self.provider, &mut rng, params, signer).expect("valid")
    }

    /// The founder of a group named `a group`.
    #[must_use]
    pub fn found(&self, leaf: LeafParams) -> Peer {
        let params = GroupParams::new(b"a group".as_slice().into(), self.suite, leaf, LIFETIME);
        let signer = signer(self.suite, 6);
        let mut rng = SeededRng::from_u64(7);
        let new = Group::create(self.provider, &mut rng, self.config.clone(), params, signer);
        Peer { provider: self.provider, ..Peer::settle(new.expect("a group"), 7) }
    }

    /// A client that joins by a Welcome which holds the ratchet tree.
    ///
    /// # Errors
    /// If the Welcome does not let it in.
    pub fn join(
        &self,
        welcome: &[u8],
        own: &OwnKeyPackage,
        psks: &[(PskType, Secret)],
        seed: u64,
    ) -> Result<Peer, Error> {
        let config = self.config.clone();
        let known = accepting::known(psks);
        let new = accepting::join(self.provider, config, welcome, own, known, None, None)?;
        let peer = Peer::settle(new, seed);
        Ok(Peer { provider: self.provider, psks: psks.to_vec(), ..peer })
    }

    /// A client that joins by an external commit, and that commit. `replaces` is the leaf that the
    /// client had before.
    ///
    /// # Errors
    /// If the GroupInfo does not let it in.
    pub fn join_from_outside(
        &self,
        info: &[u8],
        leaf: LeafParams,
        replaces: Option<LeafIndex>,
        seed: u64,
    ) -> Result<(Peer, Vec<u8>), Error> {
        let stage = ExternalJoinStage::open(self.provider, self.config.clone(), info, None)?;
        let verdicts = accepting::all(stage.credentials());
        let signer = signer(stage.context().cipher_suite, seed);
        let options = ExternalJoinOptions { replaces, ..ExternalJoinOptions::new(leaf, signer) };
        let mut rng = SeededRng::from_u64(seed).fork("external");
        let made = stage.commit(self.provider, &mut rng, &verdicts, options)?;
        let peer = Peer::settle(made.group, seed);
        Ok((Peer { provider: self.provider, ..peer }, made.commit))
    }

    /// A group of members with these leaves, each at the leaf of its place in the list.
    #[must_use]
    pub fn group(&self, leaves: Vec<LeafParams>) -> Vec<Peer> {
        let mut leaves = leaves.into_iter();
        let mut peers = vec![self.found(leaves.next().expect("a founder"))];
        let owns: Vec<OwnKeyPackage> =
            leaves.zip(100..).map(|(leaf, seed)| self.key_package(leaf, seed)).collect();
        if owns.is_empty() {
            return peers;
        }

        let adds = owns.iter().map(add).collect();
        let messages = peers[0].commit(commit_of(adds)).expect("a commit");
        peers[0].accepted();

        let welcome = &messages.welcomes[0].message;
        for (own, seed) in owns.iter().zip(2..) {
            peers.push(self.join(welcome, own, &[], seed).expect("joins"));
        }
        agree(&peers);
        peers
    }

    /// A group of this many members.
    #[must_use]
    pub fn members(&self, n: usize) -> Vec<Peer> {
        self.group((0..n).map(|i| leaf_params(&format!("member {i}"), self.suite)).collect())
    }
}

#[allow(clippy::missing_panics_doc)]
impl Peer {
    /// A client that joins by a Welcome which holds the ratchet tree, with the usual settings.
    ///
    /// # Errors
    /// If the Welcome does not let it in.
    pub fn join(welcome: &[u8], own: &OwnKeyPackage, seed: u64) -> Result<Self, Error> {
        Setup::of(own.key_package().cipher_suite).join(welcome, own, &[], seed)
    }

    /// A client that joins by an external commit, with the usual settings; and that commit.
    ///
    /// # Errors
    /// If the GroupInfo does not let it in.
    pub fn join_from_outside(
        info: &[u8],
        leaf: LeafParams,
        replaces: Option<LeafIndex>,
        seed: u64,
    ) -> Result<(Self, Vec<u8>), Error> {
        Setup::of(SUITE).join_from_outside(info, leaf, replaces, seed)
    }
}
