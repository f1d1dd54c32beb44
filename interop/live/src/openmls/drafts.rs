//! What OpenMLS has of the drafts, behind its features `extensions-draft` and `targeted-messages-draft`.

use super::draft_types::{answers, update};
use super::{OpenMls, config, verifiable};
use crate::member::{Change, Drafts, Extension, Observe, REPLACES, Received, Result};
use crate::suite::Suite;
use conclave_mls::wire::{Decode, Encode};
use openmls::group::{ProposalStore, PublicGroup};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::*;
use openmls_rust_crypto::{MemoryStorage, RustCrypto};

impl OpenMls {
    pub(super) fn receive_targeted(&mut self, message: MlsMessageIn) -> Result<Received> {
        let MlsMessageBodyIn::TargetedMessage(message) = message.extract() else {
            return Err("not a targeted message".into());
        };
        let group = self.group.as_ref().ok_or("in no group")?;
        let (data, aad) = group.process_targeted_message(&self.provider, &message)?.into_data();
        Ok(Received::Data { data, authenticated_data: Some(aad) })
    }
}

impl Drafts for OpenMls {
    fn safe_export(&mut self, component: u16) -> Result<Vec<u8>> {
        let provider = &self.provider;
        let group = self.group.as_mut().ok_or("in no group")?;
        Ok(group.safe_export_secret(provider.crypto(), provider.storage(), component)?)
    }

    fn ephemeral(&mut self) -> Result<Vec<(u16, Vec<u8>)>> {
        Ok(self.ephemeral.clone())
    }

    fn join_external_with(
        &mut self,
        group_info: &[u8],
        changes: &[Change],
        leaving: &[Vec<u8>],
    ) -> Result<Vec<u8>> {
        let mut proposals = Vec::new();
        for message in leaving {
            match MlsMessageIn::tls_deserialize_exact(message)?.extract() {
                MlsMessageBodyIn::PublicMessage(message) => proposals.push(message),
                _ => return Err("a SelfRemove that is no PublicMessage".into()),
            }
        }

        let mut builder = MlsGroup::external_commit_builder()
            .with_config(config(false))
            .with_proposals(proposals)
            .build_group(&self.provider, verifiable(group_info)?, self.credential.clone())?
            .leaf_node_parameters(self.leaf()?);
        for change in changes {
            let proposal = update(change).ok_or("OpenMLS adds AppDataUpdates and PSKs alone")?;
            builder = builder.add_app_data_update_proposal(proposal);
        }

        let mut builder = builder.load_psks(self.provider.storage())?;
        let proposals: Vec<_> = builder.app_data_update_proposals().cloned().collect();
        let updates = answers(builder.app_data_dictionary_updater(), proposals.iter());
        builder.with_app_data_dictionary_updates(updates);
        let (group, bundle) = builder
            .create_group_info(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .finalize(&self.provider)?;
        self.group = Some(group);
        Ok(bundle.into_commit().tls_serialize_detached()?)
    }

    fn with_authenticated_data(&mut self, authenticated_data: &[u8]) -> Result<Vec<u8>> {
        use crate::member::Member;
        self.send(b"with authenticated data", authenticated_data)
    }

    fn send_to(&mut self, leaf: u32, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let group = self.group.as_mut().ok_or("in no group")?;
        group.set_aad(authenticated_data.to_vec());
        let leaf = LeafNodeIndex::new(leaf);
        let message = group.create_targeted_message(&self.provider, &self.signer, leaf, data)?;
        Ok(message.tls_serialize_detached()?)
    }

    fn mend_targeted(&mut self, mended: bool) {
        self.provider.crypto.targeted = mended;
    }
}

struct Watcher {
    crypto: RustCrypto,
    storage: MemoryStorage,
    group: PublicGroup,
}

/// An observer of the group of a GroupInfo.
pub fn observer(group_info: &[u8], _: Suite) -> Result<Box<dyn Observe>> {
    let crypto = RustCrypto::default();
    let storage = MemoryStorage::default();
    let info = verifiable(group_info)?;
    let tree = info.extensions().ratchet_tree().ok_or("no tree")?.ratchet_tree().clone();
    let proposals = ProposalStore::new();
    let (group, _) = PublicGroup::from_external(&crypto, &storage, tree, info, proposals)?;
    Ok(Box::new(Watcher { crypto, storage, group }))
}

impl Observe for Watcher {
    fn follow(&mut self, message: &[u8]) -> Result<()> {
        let message = MlsMessageIn::tls_deserialize_exact(message)?.try_into_protocol_message()?;
        let processed = self.group.process_message(&self.crypto, message)?;
        let staged = match processed.into_content() {
            ProcessedMessageContent::ProposalMessage(proposal) => {
                return Ok(self.group.add_proposal(&self.storage, *proposal)?);
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::UnresolvedAppDataCommit(commit) => {
                let updater = self.group.app_data_dictionary_updater();
                let updates = answers(updater, commit.app_data_update_proposals());
                self.group.stage_app_data_commit(&self.crypto, *commit, updates)?
            }
            _ => return Err("unexpected".into()),
        };
        Ok(self.group.merge_commit(&self.storage, staged)?)
    }

    fn state(&self) -> Result<(u64, Vec<Extension>)> {
        let context = self.group.group_context();
        let mut list = Vec::new();
        for extension in context.extensions().iter() {
            let wire =
                conclave_mls::group::Extension::from_bytes(&extension.tls_serialize_detached()?)?;
            list.push(Extension {
                kind: wire.extension_type.0,
                data: wire.extension_data.to_vec(),
            });
        }
        Ok((context.epoch().as_u64(), list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_mls::CipherSuite;
    use conclave_mls::component::{ComponentId, HpkeCiphertext};
    use conclave_mls::wire::ComponentOperationLabel;
    use openmls::ciphersuite::{SafeEncryptionContext, safe_encrypt_with_label};

    /// Holds what `docs/interop.md` says: a version of OpenMLS with the draft's label fails here.
    #[test]
    fn a_components_label_has_the_base_of_an_older_draft() {
        let provider = conclave_provider_rustcrypto::RustCrypto::new();
        let suite = conclave_mls::crypto::Suite::new(&provider, CipherSuite(1)).unwrap();
        let pair = suite.hpke_key_pair(&mut crate::rng::seeded(1)).unwrap();
        let sealed = safe_encrypt_with_label(
            &pair.public,
            b"secret",
            Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            SafeEncryptionContext { component_id: REPLACES, label: "key", context: b"" },
            &RustCrypto::default(),
        );
        let sealed = sealed.unwrap();
        let sealed = HpkeCiphertext {
            kem_output: sealed.kem_output.as_slice().into(),
            ciphertext: sealed.ciphertext.as_slice().into(),
        };

        let label = |base: &[u8]| {
            [&[base.len() as u8], base, &REPLACES.to_be_bytes(), &[3], b"key"].concat()
        };
        let draft = ComponentOperationLabel { component_id: ComponentId(REPLACES), label: b"key" };
        assert_eq!(draft.to_bytes().unwrap(), label(b"MLS Component"));
        let opened = |base| suite.decrypt_with_label(&pair, &label(base), b"", &sealed);
        assert!(opened(b"MLS Component").is_err());
        assert_eq!(opened(b"Application").unwrap().expose(), b"secret");
    }
}
