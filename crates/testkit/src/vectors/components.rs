//! Components of the application (draft-ietf-mls-extensions-10): this project's own format, described in
//! `vectors/FORMAT.md`.

use super::compare::same;
use super::hex::Hex;
use super::keys;
use super::problem::{At, Problem, ensure};
use super::proposals_of_components::Proposals;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{Secret, Suite};
use conclave_schedule::{ApplicationExportSecret, EpochSecrets, ExporterTree, psk_secret};
use conclave_wire::{
    ApplicationFraming, Bytes, ComponentId, ComponentOperationLabel, Encode, HpkeCiphertext,
    MediaType, MediaTypeList, Parameter, PreSharedKeyId, PskType, SafeAad,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Components {
    cipher_suite: u16,
    component_operation_label: OperationLabel,
    safe_sign_with_label: Sign,
    safe_encrypt_with_label: Encrypt,
    safe_export_secret: Export,
    application_psk: Psk,
    safe_aad: Aad,
    media_types: MediaTypes,
    proposals: Proposals,
}

#[derive(Serialize, Deserialize)]
struct OperationLabel {
    component_id: u16,
    label: Hex,
    encoded: Hex,
}

#[derive(Serialize, Deserialize)]
struct Sign {
    r#priv: Hex,
    r#pub: Hex,
    component_id: u16,
    label: Hex,
    content: Hex,
    signature: Hex,
}

#[derive(Serialize, Deserialize)]
struct Encrypt {
    r#priv: Hex,
    r#pub: Hex,
    component_id: u16,
    label: Hex,
    context: Hex,
    plaintext: Hex,
    kem_output: Hex,
    ciphertext: Hex,
}

#[derive(Serialize, Deserialize)]
struct Export {
    epoch_secret: Hex,
    application_export_secret: Hex,
    secrets: Vec<ComponentSecret>,
}

#[derive(Serialize, Deserialize)]
struct ComponentSecret {
    component_id: u16,
    secret: Hex,
}

#[derive(Serialize, Deserialize)]
struct Psk {
    component_id: u16,
    psk_id: Hex,
    psk_nonce: Hex,
    pre_shared_key_id: Hex,
    psk: Hex,
    psk_secret: Hex,
}

#[derive(Serialize, Deserialize)]
struct Aad {
    items: Vec<AadItem>,
    encoded: Hex,
}

#[derive(Serialize, Deserialize)]
struct AadItem {
    component_id: u16,
    aad_item_data: Hex,
}

#[derive(Serialize, Deserialize)]
struct MediaTypes {
    media_type_list: Vec<MediaTypeOf>,
    encoded: Hex,
    media_type: MediaTypeOf,
    inner_application_content: Hex,
    application_framing: Hex,
}

#[derive(Serialize, Deserialize)]
struct MediaTypeOf {
    r#type: Hex,
    parameters: Vec<ParameterOf>,
}

#[derive(Serialize, Deserialize)]
struct ParameterOf {
    parameter_name: Hex,
    parameter_value: Hex,
}

impl SuiteVector for Components {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        self.component_operation_label.check().at("component_operation_label")?;
        self.safe_sign_with_label.check(suite).at("safe_sign_with_label")?;
        self.safe_encrypt_with_label.check(suite, rng).at("safe_encrypt_with_label")?;
        self.safe_export_secret.check(suite).at("safe_export_secret")?;
        self.application_psk.check(suite).at("application_psk")?;
        self.safe_aad.check().at("safe_aad")?;
        self.media_types.check().at("media_types")?;
        self.proposals.check().at("proposals")
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        Ok(vec![Self {
            cipher_suite: suite.cipher_suite().0,
            component_operation_label: OperationLabel::generate(rng)?,
            safe_sign_with_label: Sign::generate(suite, rng)?,
            safe_encrypt_with_label: Encrypt::generate(suite, rng)?,
            safe_export_secret: Export::generate(suite, rng)?,
            application_psk: Psk::generate(suite, rng)?,
            safe_aad: Aad::generate(rng)?,
            media_types: MediaTypes::generate(rng)?,
            proposals: Proposals::generate(rng)?,
        }])
    }
}

/// A component for private use.
fn component(rng: &mut SeededRng) -> u16 {
    0x8000 | rng.below(1 << 15) as u16
}

fn label(component_id: u16, label: &[u8]) -> Result<Vec<u8>, Problem> {
    let component_id = ComponentId(component_id);
    Ok(ComponentOperationLabel { component_id, label }.to_bytes()?)
}

impl OperationLabel {
    fn check(&self) -> Result<(), Problem> {
        same("encoded", &label(self.component_id, &self.label)?, &self.encoded)
    }

    fn generate(rng: &mut SeededRng) -> Result<Self, Problem> {
        let component_id = component(rng);
        let name = Hex(rng.bytes(20));
        Ok(Self { component_id, encoded: label(component_id, &name)?.into(), label: name })
    }
}

impl Sign {
    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        let label = label(self.component_id, &self.label)?;
        let keys = keys::signature_key_pair_of(suite, "priv", &self.r#priv, &(&self.r#pub).into())?;
        suite.verify_with_label(&keys.public, &label, &self.content, &self.signature)?;
        let again = suite.sign_with_label(&keys, &label, &self.content).at("signing again")?;
        suite
            .verify_with_label(&keys.public, &label, &self.content, &again)
            .at("verifying what was signed again")
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let keys = suite.signature_key_pair(rng)?;
        let component_id = component(rng);
        let name = Hex(rng.bytes(20));
        let content = Hex(rng.bytes(80));
        let signature = suite.sign_with_label(&keys, &label(component_id, &name)?, &content)?;
        Ok(Self {
            r#priv: Hex::of(keys.private.expose()),
            r#pub: Hex::of(&keys.public),
            component_id,
            label: name,
            content,
            signature: signature.into(),
        })
    }
}

impl Encrypt {
    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        let label = label(self.component_id, &self.label)?;
        let keys = keys::hpke_key_pair_of(suite, "priv", &self.r#priv, &(&self.r#pub).into())?;
        let ciphertext = HpkeCiphertext {
            kem_output: Bytes::from(&self.kem_output),
            ciphertext: Bytes::from(&self.ciphertext),
        };
        let opened = suite.decrypt_with_label(&keys, &label, &self.context, &ciphertext)?;
        same("plaintext", opened.expose(), &self.plaintext)?;

        let public = &keys.public;
        let again = suite
            .encrypt_with_label(public, &label, &self.context, &self.plaintext, rng)
            .at("encrypting again")?;
        let opened = suite
            .decrypt_with_label(&keys, &label, &self.context, &again)
            .at("opening what was encrypted again")?;
        same("plaintext, encrypted again,", opened.expose(), &self.plaintext)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let keys = suite.hpke_key_pair(rng)?;
        let component_id = component(rng);
        let name = Hex(rng.bytes(20));
        let context = Hex(rng.bytes(64));
        let plaintext = Hex(rng.bytes(48));
        let label = label(component_id, &name)?;
        let sealed = suite.encrypt_with_label(&keys.public, &label, &context, &plaintext, rng)?;
        Ok(Self {
            r#priv: Hex::of(keys.private.0.expose()),
            r#pub: Hex::of(&keys.public),
            component_id,
            label: name,
            context,
            plaintext,
            kem_output: Hex::of(&sealed.kem_output),
            ciphertext: Hex::of(&sealed.ciphertext),
        })
    }
}

impl Export {
    fn root(suite: &Suite<'_>, epoch: &Hex) -> Result<ApplicationExportSecret, Problem> {
        let secrets = EpochSecrets::with_application_export(suite, epoch.secret())?;
        secrets.application_export.at("no application_export_secret")
    }

    /// Checks each secret by itself, and all of them in the order of the file from one tree that deletes
    /// what it gives out.
    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        let root = Self::root(suite, &self.epoch_secret)?;
        same("application_export_secret", root.expose(), &self.application_export_secret)?;
        let fresh = ExporterTree::new(root);
        let mut tree = fresh.clone();
        for ComponentSecret { component_id, secret } in &self.secrets {
            let component = ComponentId(*component_id);
            let (alone, _) = fresh.export(suite, component)?;
            same(format_args!("the secret of {component}"), alone.expose(), secret)?;
            let (in_order, mut delta) = tree.export(suite, component)?;
            same(format_args!("the secret of {component}, in order,"), in_order.expose(), secret)?;
            tree.swap(&mut delta);
            ensure(tree.export(suite, component).is_err(), "a component exports twice")?;
        }
        Ok(())
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let epoch_secret = Hex(rng.bytes(suite.nh()));
        let root = Self::root(suite, &epoch_secret)?;
        let application_export_secret = Hex::of(root.expose());
        let tree = ExporterTree::new(root);
        let random = component(rng);
        let ids = [0, 1, 5, 0x7fff, 0x8000, 0x8001, 0xffff];
        let others = ids.into_iter().filter(|id| *id != random);
        let secrets = others.chain([random]).map(|component_id| {
            let (secret, _) = tree.export(suite, ComponentId(component_id))?;
            Ok(ComponentSecret { component_id, secret: Hex::of(secret.expose()) })
        });
        let secrets = secrets.collect::<Result<_, Problem>>()?;
        Ok(Self { epoch_secret, application_export_secret, secrets })
    }
}

impl Psk {
    fn id(&self) -> PreSharedKeyId {
        let component_id = ComponentId(self.component_id);
        let psktype = PskType::Application { component_id, psk_id: Bytes::from(&self.psk_id) };
        PreSharedKeyId { psktype, psk_nonce: Bytes::from(&self.psk_nonce) }
    }

    fn combined(&self, suite: &Suite<'_>) -> Result<Hex, Problem> {
        Ok(Hex::of(psk_secret(suite, &[(self.id(), self.psk.secret())])?.expose()))
    }

    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        same("pre_shared_key_id", &self.id().to_bytes()?, &self.pre_shared_key_id)?;
        let read: PreSharedKeyId = self.pre_shared_key_id.decode("pre_shared_key_id")?;
        ensure(read == self.id(), "pre_shared_key_id is read as another")?;
        same("psk_secret", &self.combined(suite)?, &self.psk_secret)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let mut vector = Self {
            component_id: component(rng),
            psk_id: Hex(rng.bytes(10)),
            psk_nonce: Hex(rng.bytes(suite.nh())),
            pre_shared_key_id: Hex::default(),
            psk: Hex::of(Secret::random(suite.nh(), rng).expose()),
            psk_secret: Hex::default(),
        };
        vector.pre_shared_key_id = vector.id().to_bytes()?.into();
        vector.psk_secret = vector.combined(suite)?;
        Ok(vector)
    }
}

impl Aad {
    fn value(&self) -> SafeAad {
        self.items.iter().fold(SafeAad::default(), |aad, item| {
            aad.with(ComponentId(item.component_id), Bytes::from(&item.aad_item_data))
        })
    }

    fn check(&self) -> Result<(), Problem> {
        same("encoded", &self.value().to_bytes()?, &self.encoded)?;
        let read: SafeAad = self.encoded.decode("encoded")?;
        ensure(read == self.value(), "encoded is read as another")
    }

    fn generate(rng: &mut SeededRng) -> Result<Self, Problem> {
        let first = rng.below(1 << 15) as u16;
        let ids = [first, component(rng)];
        let items = ids.map(|component_id| {
            let aad_item_data = Hex(rng.bytes(30));
            AadItem { component_id, aad_item_data }
        });
        let mut vector = Self { items: items.into(), encoded: Hex::default() };
        vector.encoded = vector.value().to_bytes()?.into();
        Ok(vector)
    }
}

impl MediaTypeOf {
    fn value(&self) -> MediaType {
        let parameter = |p: &ParameterOf| Parameter {
            parameter_name: Bytes::from(&p.parameter_name),
            parameter_value: Bytes::from(&p.parameter_value),
        };
        MediaType {
            type_and_subtype: Bytes::from(&self.r#type),
            parameters: self.parameters.iter().map(parameter).collect(),
        }
    }

    fn of(media_type: &MediaType) -> Self {
        let parameter = |p: &Parameter| ParameterOf {
            parameter_name: Hex::of(&p.parameter_name),
            parameter_value: Hex::of(&p.parameter_value),
        };
        Self {
            r#type: Hex::of(&media_type.type_and_subtype),
            parameters: media_type.parameters.iter().map(parameter).collect(),
        }
    }
}

impl MediaTypes {
    fn list(&self) -> Result<MediaTypeList, Problem> {
        let mut types = self.media_type_list.iter().map(MediaTypeOf::value);
        let first = types.next().at("media_type_list has no item")?;
        Ok(types.fold(MediaTypeList::new(first), MediaTypeList::and))
    }

    fn framing(&self) -> ApplicationFraming {
        ApplicationFraming {
            media_type: self.media_type.value(),
            inner_application_content: Bytes::from(&self.inner_application_content),
        }
    }

    fn check(&self) -> Result<(), Problem> {
        same("encoded", &self.list()?.to_bytes()?, &self.encoded)?;
        let read: MediaTypeList = self.encoded.decode("encoded")?;
        ensure(read == self.list()?, "encoded is read as another")?;

        same("application_framing", &self.framing().to_bytes()?, &self.application_framing)?;
        let read: ApplicationFraming = self.application_framing.decode("application_framing")?;
        ensure(read == self.framing(), "application_framing is read as another")
    }

    fn generate(rng: &mut SeededRng) -> Result<Self, Problem> {
        let text = MediaType::new("text/plain").with_parameter("charset", "UTF-8");
        let list = [text.clone(), MediaType::new("application/vnd.example.msgbus+cbor")];
        let mut vector = Self {
            media_type_list: list.iter().map(MediaTypeOf::of).collect(),
            encoded: Hex::default(),
            media_type: MediaTypeOf::of(&text),
            inner_application_content: Hex(rng.bytes(40)),
            application_framing: Hex::default(),
        };
        vector.encoded = vector.list()?.to_bytes()?.into();
        vector.application_framing = vector.framing().to_bytes()?.into();
        Ok(vector)
    }
}
