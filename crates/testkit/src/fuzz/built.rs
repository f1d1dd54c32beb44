//! Structures built from bytes that do not encode one.
//!
//! In an encoding, one wrong length spoils everything. Here any bytes have a meaning, and few bytes
//! mean something close to a real structure, so that a fuzzer gets much further.

use super::input::Input;
use super::stage::{EMPTY, GROUP, Stage};
use crate::party::{CUSTOM, CUSTOM_PROPOSALS, LIFETIME};
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, CipherSuite, Commit, Content, ContentType, Credential, CredentialType, Encode, Epoch,
    Extension, ExtensionType, ExternalSender, GroupInfo, GroupSecrets, KeyPackage, LeafIndex,
    LeafNode, LeafNodeSource, Lifetime, PathSecret, PreSharedKeyId, Proposal, ProposalOrRef,
    ProposalType, ProtocolVersion, PskType, ReInit, RequiredCapabilities, ResumptionPskUsage,
};

impl<'a> Input<'a> {
    /// At most 255 bytes.
    fn few(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (few, rest) = self.0.split_at(length);
        self.0 = rest;
        few
    }

    fn bytes(&mut self) -> Bytes {
        self.few().into()
    }

    /// A list of at most seven items.
    fn list<T>(&mut self, mut next: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 8).map(|_| next(self)).collect()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.get(usize::from(self.byte()) % of.len().max(1)).copied()
    }

    /// Bits, one for each field that may change.
    fn mask(&mut self) -> impl Fn(u8) -> bool + use<> {
        let bits = self.byte();
        move |bit| bits & 1 << bit != 0
    }
}

fn credential_type(input: &mut Input<'_>) -> CredentialType {
    let known = input.pick(&[CredentialType::BASIC, CredentialType::X509]);
    known.filter(|_| input.byte() < 200).unwrap_or(CredentialType(input.u16()))
}

fn extension_type(input: &mut Input<'_>) -> ExtensionType {
    let known = [
        CUSTOM,
        ExtensionType::APPLICATION_ID,
        ExtensionType::RATCHET_TREE,
        ExtensionType::REQUIRED_CAPABILITIES,
        ExtensionType::EXTERNAL_PUB,
        ExtensionType::EXTERNAL_SENDERS,
        ExtensionType::LAST_RESORT,
        ExtensionType(0x0a0a),
    ];
    let known = input.pick(&known);
    known.filter(|_| input.byte() < 200).unwrap_or(ExtensionType(input.u16()))
}

fn proposal_type(input: &mut Input<'_>) -> ProposalType {
    let mut known = CUSTOM_PROPOSALS.to_vec();
    known.extend([EMPTY, ProposalType::REMOVE, ProposalType(0x0a0a)]);
    let known = input.pick(&known);
    known.filter(|_| input.byte() < 200).unwrap_or(ProposalType(input.u16()))
}

fn credential(input: &mut Input<'_>) -> Credential {
    match input.byte() % 3 {
        0 => Credential::basic(input.few()),
        1 => Credential::X509 {
            certificates: input.list(|i| conclave_wire::Certificate { cert_data: i.bytes() }),
        },
        _ => Credential::Other {
            credential_type: CredentialType(input.u16().max(3)),
            data: input.bytes(),
        },
    }
}

fn extensions(stage: &Stage, input: &mut Input<'_>) -> Vec<Extension> {
    input.list(|input| {
        let extension_type = extension_type(input);
        let data = match extension_type {
            ExtensionType::REQUIRED_CAPABILITIES => RequiredCapabilities {
                extension_types: input.list(self::extension_type),
                proposal_types: input.list(proposal_type),
                credential_types: input.list(credential_type),
            }
            .to_bytes(),
            ExtensionType::EXTERNAL_SENDERS => {
                let signature_key = stage.insider.signer.public.clone();
                let sender = |input: &mut Input<'_>| ExternalSender {
                    signature_key: signature_key.clone(),
                    credential: credential(input),
                };
                input.list(sender).to_bytes()
            }
            _ => Ok(input.few().to_vec()),
        };
        let extension_data = data.unwrap_or_default().into();
        Extension { extension_type, extension_data }
    })
}

/// Changes a leaf node.
fn leaf(stage: &Stage, leaf: &mut LeafNode, input: &mut Input<'_>) {
    let changes = input.mask();
    if changes(0) {
        leaf.credential = credential(input);
    }
    if changes(1) {
        leaf.capabilities.extensions = input.list(extension_type);
    }
    if changes(2) {
        leaf.capabilities.proposals = input.list(proposal_type);
    }
    if changes(3) {
        leaf.capabilities.credentials = input.list(credential_type);
    }
    if changes(4) {
        leaf.capabilities.cipher_suites = input.list(|input| CipherSuite(input.byte().into()));
        leaf.capabilities.versions = input.list(|input| ProtocolVersion(input.byte().into()));
    }
    if changes(5) {
        leaf.extensions = extensions(stage, input);
    }
    if changes(6) {
        leaf.encryption_key = input.few().to_vec().into();
    }
    if changes(7) {
        let at = |input: &mut Input<'_>| LIFETIME.not_before + u64::from(input.u16()) * 600;
        leaf.leaf_node_source = match input.byte() % 3 {
            0 => {
                LeafNodeSource::KeyPackage(Lifetime { not_before: at(input), not_after: at(input) })
            }
            1 => LeafNodeSource::Update,
            _ => LeafNodeSource::Commit(input.bytes()),
        };
    }
}

/// A key package whose signatures do not verify.
pub(super) fn key_package(stage: &Stage, input: &mut Input<'_>) -> KeyPackage {
    let mut package = stage.newcomer.key_package().clone();
    leaf(stage, &mut package.leaf_node, input);
    let changes = input.mask();
    if changes(0) {
        package.extensions = extensions(stage, input);
    }
    if changes(1) {
        package.init_key = input.few().to_vec().into();
    }
    if changes(2) {
        package.cipher_suite = CipherSuite(input.u16());
    }
    if changes(3) {
        package.version = ProtocolVersion(input.u16());
    }
    package
}

fn psk(input: &mut Input<'_>) -> PreSharedKeyId {
    let usage = input.byte();
    let psktype = match usage % 4 {
        0 => PskType::External { psk_id: input.bytes() },
        usage => PskType::Resumption {
            usage: match usage {
                1 => ResumptionPskUsage::Application,
                2 => ResumptionPskUsage::Reinit,
                _ => ResumptionPskUsage::Branch,
            },
            psk_group_id: if input.byte() & 1 == 0 { GROUP.into() } else { input.few().into() },
            psk_epoch: Epoch(input.byte().into()),
        },
    };
    let length = if usage < 128 { 32 } else { input.byte().into() };
    PreSharedKeyId { psktype, psk_nonce: vec![input.byte(); length].into() }
}

/// A proposal.
pub(super) fn proposal(stage: &Stage, input: &mut Input<'_>) -> Proposal {
    match input.byte() % 10 {
        0 => Proposal::Add(Box::new(key_package(stage, input))),
        1 => {
            let own = stage.insider.tree.leaf(stage.insider.own_leaf);
            let mut new = own.expect("the own leaf");
            new.leaf_node_source = LeafNodeSource::Update;
            new.encryption_key = stage.newcomer.key_package().init_key.clone();
            leaf(stage, &mut new, input);
            Proposal::Update(Box::new(new))
        }
        2 => Proposal::Remove(LeafIndex((input.byte() % 12).into())),
        3 => Proposal::PreSharedKey(psk(input)),
        4 => Proposal::ReInit(ReInit {
            group_id: input.few().into(),
            version: ProtocolVersion(input.pick(&[1, 1, 1, 0, 2, 0x0a0a]).unwrap_or(1)),
            cipher_suite: CipherSuite((input.byte() % 10).into()),
            extensions: extensions(stage, input),
        }),
        5 => Proposal::ExternalInit(input.bytes()),
        6 => Proposal::GroupContextExtensions(extensions(stage, input)),
        7 => Proposal::Custom { proposal_type: EMPTY, body: Bytes::default() },
        _ => Proposal::Custom {
            proposal_type: input.pick(&CUSTOM_PROPOSALS).unwrap_or(EMPTY),
            body: input.bytes().to_bytes().unwrap_or_default().into(),
        },
    }
}

/// Content of a type.
pub(super) fn content(stage: &Stage, kind: ContentType, input: &mut Input<'_>) -> Content {
    match kind {
        ContentType::Application => Content::Application(input.0.into()),
        ContentType::Proposal => Content::Proposal(proposal(stage, input)),
        ContentType::Commit => {
            let path = input.byte() & 1 != 0;
            let proposals = input.list(|input| match input.byte() % 4 {
                0 => {
                    let place = usize::from(input.byte()) % stage.references.len().max(1);
                    let reference = stage.references.get(place).expect("cached proposals");
                    ProposalOrRef::Reference(reference.clone())
                }
                _ => ProposalOrRef::Proposal(proposal(stage, input)),
            });

            let path = path.then(|| {
                let mut path = stage.path.clone();
                leaf(stage, &mut path.leaf_node, input);
                path.nodes.truncate(usize::from(input.byte() ^ 0xff));
                Box::new(path)
            });
            Content::Commit(Commit { proposals, path })
        }
    }
}

/// The GroupInfo of a Welcome or another one, changed. Its signature does not verify.
pub(super) fn group_info(stage: &Stage, input: &mut Input<'_>, info: &GroupInfo) -> GroupInfo {
    let mut info = info.clone();
    let changes = input.mask();
    if changes(0) {
        info.group_context.extensions = extensions(stage, input);
    }
    if changes(1) {
        let more = extensions(stage, input);
        info.extensions.retain(|old| input.byte() < 200 || old.extension_type == CUSTOM);
        info.extensions.extend(more);
    }
    if changes(2) {
        info.signer = LeafIndex(input.byte().into());
    }
    if changes(3) {
        info.group_context.epoch = Epoch(u64::MAX - u64::from(input.byte()));
    }
    if changes(4) {
        info.group_context.group_id = input.few().into();
    }
    if changes(5) {
        info.group_context.confirmed_transcript_hash = input.bytes();
    }
    if changes(6) {
        info.group_context.cipher_suite = CipherSuite(input.u16());
    }
    if changes(7) {
        info.confirmation_tag = input.few().to_vec().into();
    }
    info
}

/// The secrets that a Welcome gives its newcomer, changed.
pub(super) fn group_secrets(stage: &Stage, input: &mut Input<'_>) -> GroupSecrets {
    let mut secrets = stage.welcome.secrets.clone();
    let changes = input.mask();
    if changes(0) {
        secrets.psks = input.list(psk);
    }
    if changes(1) {
        secrets.joiner_secret = input.few().to_vec();
    }
    if changes(2) {
        let path_secret = PathSecret { path_secret: input.few().to_vec() };
        secrets.path_secret = changes(3).then_some(path_secret);
    }
    secrets
}
