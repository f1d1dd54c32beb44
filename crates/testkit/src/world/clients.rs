//! Clients: who they are, what they publish, how they come into the world.

use super::*;

impl World {
    pub(super) fn new_client(&mut self) -> (String, Box<dyn CryptoProvider>) {
        self.clients += 1;
        let coin = self.chance(80);
        (format!("client-{}", self.clients), provider_for(self.suite, coin))
    }

    pub(super) fn leaf_params(&self, name: &str) -> LeafParams {
        let suites: Vec<CipherSuite> = SUITES.iter().map(|s| s.cipher_suite).collect();
        let mut leaf = LeafParams::new(Credential::basic(name.as_bytes()), &suites);
        leaf.capabilities.extensions.push(CUSTOM_EXTENSION);
        leaf
    }

    pub(super) fn lifetime(&self) -> Lifetime {
        Lifetime { not_before: self.now - 10, not_after: self.now + 80 * 24 * 3600 }
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
        let stored = own.to_secret().expect("it can be stored");
        assert_eq!(OwnKeyPackage::from_secret(provider, &stored).as_ref(), Ok(&own));
        self.spoil_key_package(&own);
        own
    }

    pub(super) fn valid(&self, own: &OwnKeyPackage) -> ValidKeyPackage {
        let provider = provider_for(self.suite, true);
        let kp = own.key_package().clone();
        ValidKeyPackage::check(&*provider, self.now, &self.config, kp)
            .expect("valid")
            .resolve(Verdict::Accept)
            .expect("accepted")
    }

    pub(super) fn found(
        &mut self,
        name: &str,
        provider: &dyn CryptoProvider,
        group_id: GroupId,
        extensions: Vec<Extension>,
    ) -> (NewGroup, SignatureKeyPair) {
        let params = GroupParams {
            group_id,
            cipher_suite: self.suite,
            extensions,
            leaf: self.leaf_params(name),
            lifetime: self.lifetime(),
        };
        let signer = self.signer(provider);
        let config = self.config.clone();
        let new = Group::create(provider, &mut self.rng, config, params, signer.clone())
            .expect("a group");
        (new, signer)
    }

    pub(super) fn settle(
        &mut self,
        name: String,
        provider: Box<dyn CryptoProvider>,
        new: NewGroup,
    ) {
        self.peers.push(Peer::of(name, provider, new));
    }

    pub(super) fn clients(
        &mut self,
        n: usize,
    ) -> Vec<(String, Box<dyn CryptoProvider>, OwnKeyPackage)> {
        (0..n)
            .map(|_| {
                let (name, provider) = self.new_client();
                let own = self.key_package(&name, &*provider);
                (name, provider, own)
            })
            .collect()
    }

    /// A new signature key and credential for a member.
    pub(super) fn new_leaf(&mut self, i: usize) -> LeafUpdate {
        self.clients += 1;
        let name = format!("{}+{}", self.peers[i].name, self.clients);
        let provider = provider_for(self.suite, true);
        LeafUpdate { params: self.leaf_params(&name), signer: self.signer(&*provider) }
    }

    pub(super) fn name_of(&self, leaf: LeafIndex) -> Option<String> {
        let member = self.peers[0].group.member(leaf)?;
        String::from_utf8(member.credential.identity()?.to_vec()).ok()
    }
}
