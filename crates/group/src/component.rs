//! What a component of the application can do with the keys and secrets of a group
//! (draft-ietf-mls-extensions-10, "The Safe Application Interface").

use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse, Rejection};
use crate::event::ComponentSecret;
use crate::state::exporter::{self, ExporterChange};
use crate::state::group::{Delta, Group};
use crate::transition::Transition;
use crate::view::GroupView;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, HpkeKeyPair, Secret, Suite};
use conclave_schedule::external_key_pair;
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, ComponentId, ComponentOperationLabel, Encode, HpkeCiphertext, HpkePublicKey, LeafIndex,
};

/// A component of the application in a group, as a member: what it does with our keys and with the
/// secrets of the epoch. [`Group::component`] gives it.
///
/// Whatever it signs, decrypts or exports is bound to its identifier. So an application hands each of its
/// parts the component that is its own, and none can act as another or as MLS itself. What takes public
/// keys alone is in [`Self::public`].
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::component::ComponentId;
///
/// const POLLS: ComponentId = ComponentId(0x8001);
///
/// // Alice signs, and Bob verifies.
/// let signature = alice.component(POLLS).sign(&provider, b"ballot", b"yes")?;
/// let polls = bob.component(POLLS).public();
/// polls.verify(&provider, alice.own_leaf(), b"ballot", b"yes", &signature)?;
///
/// // Bob encrypts to Alice alone.
/// let sealed = polls.encrypt_to_member(&provider, &mut rng, alice.own_leaf(), b"key", &[], b"1234")?;
/// let opened = alice.component(POLLS).decrypt(&provider, b"key", &[], &sealed)?;
/// assert_eq!(opened.expose(), b"1234");
/// # Done::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Component<'a> {
    group: &'a Group,
    id: ComponentId,
}

/// A component of the application in a group, as anybody who sees the group: what it does with the
/// members' public keys. [`GroupView::component`] and [`Component::public`] give it.
#[derive(Clone, Copy, Debug)]
pub struct PublicComponent<'a> {
    view: GroupView<'a>,
    id: ComponentId,
}

/// # Components
impl Group {
    /// A component of the application in this group.
    #[must_use]
    pub fn component(&self, id: ComponentId) -> Component<'_> {
        Component { group: self, id }
    }
}

impl<'a> GroupView<'a> {
    /// A component of the application in this group, without our keys.
    #[must_use]
    pub fn component(self, id: ComponentId) -> PublicComponent<'a> {
        PublicComponent { view: self, id }
    }
}

/// The label of a component's operation.
fn label(component_id: ComponentId, label: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(ComponentOperationLabel { component_id, label }.to_bytes()?)
}

impl<'a> Component<'a> {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// The same component, without our keys.
    #[must_use]
    pub fn public(&self) -> PublicComponent<'a> {
        self.group.view().component(self.id)
    }

    /// `SafeSignWithLabel` with the signature key of our leaf.
    ///
    /// # Errors
    /// If the group was deleted, or label or content are too long to encode.
    pub fn sign(
        &self,
        provider: &dyn CryptoProvider,
        operation: &[u8],
        content: &[u8],
    ) -> Result<Bytes, Error> {
        let suite = self.group.suite(provider)?;
        self.group.secrets()?;
        let label = label(self.id, operation)?;
        Ok(suite.sign_with_label(&self.group.signer, &label, content)?.into())
    }

    /// `SafeDecryptWithLabel` with the encryption key of our leaf. Our next commit with a path, or Update
    /// that is committed, replaces it, and then this ciphertext does not open any more.
    ///
    /// # Errors
    /// [`Rejection::ComponentOpen`]; or if the group was deleted.
    pub fn decrypt(
        &self,
        provider: &dyn CryptoProvider,
        operation: &[u8],
        context: &[u8],
        ciphertext: &HpkeCiphertext,
    ) -> Result<Secret, Error> {
        self.group.secrets()?;
        let node = self.group.own_leaf.node();
        let missing = || Error::storage("the private key of our leaf is missing");
        let private = self.group.private_keys.get(&node).ok_or_else(missing)?.clone();
        let public = self.group.public.tree.encryption_key(node).ok_or_else(missing)?;
        self.open(provider, &HpkeKeyPair { private, public }, operation, context, ciphertext)
    }

    /// `SafeEncryptWithLabel` to all members of the current epoch: to its `external_pub`.
    ///
    /// # Errors
    /// If the group was deleted, or label or context are too long to encode.
    pub fn encrypt_to_epoch(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        operation: &[u8],
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, Error> {
        let external_pub = self.epoch_key(provider)?.public;
        self.public().encrypt_to_key(provider, rng, &external_pub, operation, context, plaintext)
    }

    /// `SafeDecryptWithLabel` of what was encrypted to the `external_pub` of the current epoch, by a
    /// member or by whoever has a GroupInfo of it.
    ///
    /// # Errors
    /// [`Rejection::ComponentOpen`]; or if the group was deleted.
    pub fn decrypt_of_epoch(
        &self,
        provider: &dyn CryptoProvider,
        operation: &[u8],
        context: &[u8],
        ciphertext: &HpkeCiphertext,
    ) -> Result<Secret, Error> {
        let key_pair = self.epoch_key(provider)?;
        self.open(provider, &key_pair, operation, context, ciphertext)
    }

    /// `SafeExportSecret`: the step that takes the component's secret of the current epoch. All members
    /// get the same, and nobody gets it twice: with the step, all that it can be derived from is
    /// deleted. If the step is never written, the secret can be exported again.
    ///
    /// Our leaf must have advertised `app_data_dictionary` when the epoch began:
    /// [`LeafParams::with_components`](crate::LeafParams::with_components).
    ///
    /// # Errors
    /// [`Misuse::SecretConsumed`] for a second export in the epoch; [`Misuse::NotPossible`] if the epoch
    /// began without secrets for components; or if the group was deleted.
    pub fn export_secret(
        &self,
        provider: &dyn CryptoProvider,
    ) -> Result<Transition<Group, ComponentSecret>, Error> {
        let group = self.group;
        let suite = group.suite(provider)?;
        group.secrets()?;
        let tree = group.exporter.as_ref();
        let tree = tree.ok_or(Misuse::NotPossible(Obstacle::NoComponentSecrets))?;
        let (secret, change) = tree.export(&suite, self.id)?;

        let mut batch = group.batch();
        exporter::put_change(group.epoch(), &change, &mut batch);
        let delta = Delta { exporter: ExporterChange::Part(change), ..Delta::default() };
        Ok(group.step(delta, batch, ComponentSecret { component_id: self.id, secret }))
    }

    fn epoch_key(&self, provider: &dyn CryptoProvider) -> Result<HpkeKeyPair, Error> {
        let suite = self.group.suite(provider)?;
        Ok(external_key_pair(&suite, &self.group.secrets()?.external)?)
    }

    fn open(
        &self,
        provider: &dyn CryptoProvider,
        key_pair: &HpkeKeyPair,
        operation: &[u8],
        context: &[u8],
        ciphertext: &HpkeCiphertext,
    ) -> Result<Secret, Error> {
        let suite = self.group.suite(provider)?;
        let label = label(self.id, operation)?;
        suite
            .decrypt_with_label(key_pair, &label, context, ciphertext)
            .map_err(|e| Error::of_input(e, Rejection::ComponentOpen))
    }
}

impl PublicComponent<'_> {
    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// Another component, to verify what it signed and to encrypt to it.
    #[must_use]
    pub fn other(self, id: ComponentId) -> Self {
        Self { id, ..self }
    }

    /// `SafeVerifyWithLabel` with the signature key of the member at a leaf.
    ///
    /// # Errors
    /// [`Rejection::ComponentSignature`]; [`Rejection::SenderNotMember`].
    pub fn verify(
        &self,
        provider: &dyn CryptoProvider,
        signer: LeafIndex,
        operation: &[u8],
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let suite = Suite::new(provider, self.view.cipher_suite())?;
        let key = self.view.tree().signature_key(signer);
        let key = key.ok_or(Rejection::SenderNotMember(signer))?;
        let label = label(self.id, operation)?;
        suite
            .verify_with_label(&key, &label, content, signature)
            .map_err(|e| Error::of_input(e, Rejection::ComponentSignature))
    }

    /// `SafeEncryptWithLabel` to the encryption key of the member at a leaf.
    ///
    /// # Errors
    /// [`Misuse::NotPossible`] if there is no member; or if label or context are too long to encode.
    pub fn encrypt_to_member(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        recipient: LeafIndex,
        operation: &[u8],
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, Error> {
        let key = self.view.tree().encryption_key(recipient.node());
        let key = key.ok_or(Misuse::NotPossible(Obstacle::NoSuchMember))?;
        self.encrypt_to_key(provider, rng, &key, operation, context, plaintext)
    }

    /// `SafeEncryptWithLabel` to another key of the group: the `external_pub` of a GroupInfo, for one who
    /// is not a member.
    ///
    /// # Errors
    /// [`Rejection::InvalidPublicKey`]; or if label or context are too long to encode.
    pub fn encrypt_to_key(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        key: &HpkePublicKey,
        operation: &[u8],
        context: &[u8],
        plaintext: &[u8],
    ) -> Result<HpkeCiphertext, Error> {
        let suite = Suite::new(provider, self.view.cipher_suite())?;
        let label = label(self.id, operation)?;
        suite
            .encrypt_with_label(key, &label, context, plaintext, rng)
            .map_err(|e| Error::of_input(e, Rejection::InvalidPublicKey))
    }
}
