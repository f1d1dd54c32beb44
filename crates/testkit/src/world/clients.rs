//! Clients: who they are, what they publish, how they come into the world.

use super::*;

/// A client that is about to join.
pub(super) struct Joiner {
    pub(super) name: String,
    pub(super) provider: &'static dyn CryptoProvider,
    pub(super) own: OwnKeyPackage,
}

impl World {
    pub(super) fn new_client(&mut self) -> (String, &'static dyn CryptoProvider) {
        self.clients += 1;
        let coin = self.chance(80);
        (format!("client-{}", self.clients), provider_for(self.suite, coin))
    }

    pub(super) fn leaf_params(&self, name: &str) -> LeafParams {
        let suites: Vec<CipherSuite> = SUITES.iter().map(|s| s.cipher_suite).collect();
        let mut leaf = LeafParams::new(Credential::basic(name.as_bytes()), &suites);
        leaf.capabilities.extensions.push(CUSTOM_EXTENSION);
        let leaf = supporting(leaf, &COMPONENTS);
        // Every second client takes targeted messages.
        if self.clients.is_multiple_of(2) { inviting(leaf) } else { leaf }
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        let margin = Duration::from_secs(10);
        let days = Duration::from_secs(80 * 24 * 3600);
        Lifetime::starting_at(self.now.saturating_sub(margin), days + margin)
    }

    pub(super) fn signer(&mut self, provider: &dyn CryptoProvider) -> SignatureKeyPair {
        let suite = Suite::new(provider, self.suite).expect("supported");
        suite.signature_key_pair(&mut self.rng).expect("a key pair")
    }

    pub(super) fn key_package(
        &mut self,
        name: &str,
        provider: &dyn CryptoProvider,
    ) -> OwnKeyPackage {
        let params = KeyPackageParams {
            cipher_suite: self.suite,
            leaf: self.leaf_params(name),
            lifetime: self.lifetime(),
            extensions: Vec::new(),
            last_resort: self.chance(10),
        };
        let signer = self.signer(provider);
        let own = OwnKeyPackage::generate(provider, &mut self.rng, params, signer)
            .expect("a key package");

        let stored = own.to_secret().expect("an encoding");
        assert_eq!(OwnKeyPackage::from_secret(provider, &stored).as_ref(), Ok(&own));
        self.spoil_key_package(&own);
        own
    }

    /// A proposal to add the owner of a key package.
    pub(super) fn add_of(&self, own: &OwnKeyPackage) -> NewProposal {
        let provider = provider_for(self.suite, true);
        let kp = own.key_package().clone();
        let stage = ValidKeyPackage::check(provider, self.now, &self.config, kp).expect("valid");
        NewProposal::Add(Box::new(stage.resolve(Verdict::Accept).expect("accepted")))
    }

    pub(super) fn found(
        &mut self,
        name: &str,
        provider: &dyn CryptoProvider,
        group_id: GroupId,
        extensions: Vec<Extension>,
    ) -> NewGroup {
        let params = GroupParams {
            group_id,
            cipher_suite: self.suite,
            extensions,
            leaf: self.leaf_params(name),
            lifetime: self.lifetime(),
        };
        let signer = self.signer(provider);
        let config = self.config.clone();
        Group::create(provider, &mut self.rng, config, params, signer).expect("a group")
    }

    pub(super) fn settle(
        &mut self,
        name: String,
        provider: &'static dyn CryptoProvider,
        new: NewGroup,
    ) {
        self.peers.push(Peer::of(name, provider, new));
    }

    pub(super) fn joiners(&mut self, n: usize) -> Vec<Joiner> {
        let mut joiners = Vec::new();
        for _ in 0..n {
            let (name, provider) = self.new_client();
            let own = self.key_package(&name, provider);
            joiners.push(Joiner { name, provider, own });
        }
        joiners
    }

    /// A new signature key and credential for a member.
    pub(super) fn new_leaf(&mut self, i: usize) -> LeafUpdate {
        self.clients += 1;
        let name = format!("{}+{}", self.peers[i].name, self.clients);
        let provider = provider_for(self.suite, true);
        LeafUpdate { params: self.leaf_params(&name), signer: self.signer(provider) }
    }

    /// The name that the group knows a member by.
    pub(super) fn name_of(&self, leaf: LeafIndex) -> Option<String> {
        let member = self.peers[0].group.member(leaf)?;
        String::from_utf8(member.credential.identity()?.to_vec()).ok()
    }
}
