//! Opening a Welcome (RFC 9420 section 12.4.3.1).

use super::compare::same_value;
use super::hex::Hex;
use super::keys;
use super::problem::{At, Problem, ensure};
use super::sample;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{HpkeKeyPair, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    JoinerSecret, MemberSecret, PskSecret, confirmation_tag, confirmation_tag_matches,
};
use conclave_wire::{
    Bytes, Decode, Encode, EncryptedGroupSecrets, GroupInfo, GroupInfoTbs, GroupSecrets,
    KeyPackage, LeafIndex, Mac, MlsMessage, MlsMessageBody, SignaturePublicKey,
    Welcome as WelcomeMessage, Writer,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Welcome {
    cipher_suite: u16,
    init_priv: Hex,
    signer_pub: Hex,
    key_package: Hex,
    welcome: Hex,
}

impl SuiteVector for Welcome {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let key_package = key_package(&self.key_package)?;
        let welcome = welcome(&self.welcome)?;
        let wanted = suite.cipher_suite();
        same_value("the key package's suite", &key_package.cipher_suite, &wanted)?;
        same_value("the Welcome's suite", &welcome.cipher_suite, &wanted)?;

        let init_key = &key_package.init_key;
        let init = keys::hpke_key_pair_of(suite, "init_priv", &self.init_priv, init_key)?;
        let secrets = open_group_secrets(suite, &welcome, &key_package, &init)?;
        ensure(secrets.psks.is_empty(), "the group secrets name PSKs")?;

        let joiner = JoinerSecret::from_secret(Secret::copy_from(&secrets.joiner_secret));
        let member = MemberSecret::derive(suite, &joiner, &PskSecret::zero(suite))?;
        let (key, nonce) = member.welcome_key(suite)?;
        let sealed = &welcome.encrypted_group_info;
        let group_info = suite.aead_open(&key, nonce.expose(), &[], sealed).at("the group info")?;
        let group_info =
            GroupInfo::from_bytes(group_info.expose()).at("the group info does not decode")?;
        let found = group_info.group_context.cipher_suite;
        same_value("the group's suite", &found, &wanted)?;

        let tbs = GroupInfoTbs(&group_info).to_bytes()?;
        let signer = SignaturePublicKey(Bytes::from(&self.signer_pub));
        suite
            .verify_with_label(&signer, b"GroupInfoTBS", &tbs, &group_info.signature)
            .at("the group info's signature")?;
        check_confirmation_tag(suite, member, &group_info)
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let client = sample::Client::new(suite, "client", rng)?;
        let signer = suite.signature_key_pair(rng)?;
        let joiner = JoinerSecret::from_secret(sample::secret(suite, rng));
        let member = MemberSecret::derive(suite, &joiner, &PskSecret::zero(suite))?;
        let encrypted_group_info = sealed_group_info(suite, member, &signer, rng)?;

        let secrets = GroupSecrets {
            joiner_secret: joiner.expose().to_vec(),
            path_secret: None,
            psks: vec![],
        };
        let mut w = Writer::secret();
        secrets.encode(&mut w)?;
        let encrypted_group_secrets = suite.encrypt_with_label(
            &client.init.public,
            b"Welcome",
            &encrypted_group_info,
            &w.finish(),
            rng,
        )?;
        // The entry of another client comes first.
        let other = EncryptedGroupSecrets {
            new_member: sample::hash(suite, rng).0.into(),
            encrypted_group_secrets: encrypted_group_secrets.clone(),
        };
        let new_member = suite.key_package_ref(&client.key_package.to_bytes()?)?;
        let welcome = WelcomeMessage {
            cipher_suite: suite.cipher_suite(),
            secrets: vec![other, EncryptedGroupSecrets { new_member, encrypted_group_secrets }],
            encrypted_group_info: encrypted_group_info.into(),
        };
        let key_package = MlsMessageBody::KeyPackage(Box::new(client.key_package));
        Ok(vec![Self {
            cipher_suite: suite.cipher_suite().0,
            init_priv: Hex::of(client.init.private.0.expose()),
            signer_pub: Hex::of(&signer.public),
            key_package: MlsMessage { body: key_package }.to_bytes()?.into(),
            welcome: MlsMessage { body: MlsMessageBody::Welcome(welcome) }.to_bytes()?.into(),
        }])
    }
}

/// The KeyPackage in an MLSMessage.
pub(super) fn key_package(bytes: &Hex) -> Result<KeyPackage, Problem> {
    match bytes.decode::<MlsMessage>("key_package")?.body {
        MlsMessageBody::KeyPackage(key_package) => Ok(*key_package),
        _ => Err(Problem::new("key_package is another message")),
    }
}

/// The Welcome in an MLSMessage.
pub(super) fn welcome(bytes: &Hex) -> Result<WelcomeMessage, Problem> {
    match bytes.decode::<MlsMessage>("welcome")?.body {
        MlsMessageBody::Welcome(welcome) => Ok(welcome),
        _ => Err(Problem::new("welcome is another message")),
    }
}

fn open_group_secrets(
    suite: &Suite<'_>,
    welcome: &WelcomeMessage,
    key_package: &KeyPackage,
    init: &HpkeKeyPair,
) -> Result<GroupSecrets, Problem> {
    let reference = suite.key_package_ref(&key_package.to_bytes()?)?;
    let mut entries = welcome.secrets.iter().filter(|entry| entry.new_member == reference);
    let entry = entries.next().at("the Welcome has no entry for the key package")?;
    ensure(entries.next().is_none(), "the Welcome has two entries for the key package")?;
    let info = &welcome.encrypted_group_info;
    let sealed = &entry.encrypted_group_secrets;
    let opened =
        suite.decrypt_with_label(init, b"Welcome", info, sealed).at("the group secrets")?;
    GroupSecrets::from_bytes(opened.expose()).at("the group secrets do not decode")
}

fn check_confirmation_tag(
    suite: &Suite<'_>,
    member: MemberSecret,
    group_info: &GroupInfo,
) -> Result<(), Problem> {
    let context = &group_info.group_context;
    let key = member.epoch(suite, &context.to_bytes()?)?.confirmation_key;
    let hash = &context.confirmed_transcript_hash;
    let tag = &group_info.confirmation_tag;
    ensure(
        confirmation_tag_matches(suite, &key, hash, tag)?,
        "the group info's confirmation tag is not valid",
    )
}

fn sealed_group_info(
    suite: &Suite<'_>,
    member: MemberSecret,
    signer: &SignatureKeyPair,
    rng: &mut SeededRng,
) -> Result<Vec<u8>, Problem> {
    let (key, nonce) = member.welcome_key(suite)?;
    let tree_hash = sample::hash(suite, rng);
    let transcript_hash = sample::hash(suite, rng);
    let epoch = rng.below(1 << 40);
    let group_context = sample::context(suite, &rng.bytes(16), epoch, &tree_hash, &transcript_hash);
    let secrets = member.epoch(suite, &group_context.to_bytes()?)?;
    let mut group_info = GroupInfo {
        confirmation_tag: Mac::default(),
        group_context,
        extensions: Vec::new(),
        signer: LeafIndex(rng.below(100) as u32),
        signature: Bytes::default(),
    };

    group_info.confirmation_tag =
        confirmation_tag(suite, &secrets.confirmation_key, &transcript_hash)?;
    let tbs = GroupInfoTbs(&group_info).to_bytes()?;
    group_info.signature = suite.sign_with_label(signer, b"GroupInfoTBS", &tbs)?.into();
    Ok(suite.aead_seal(&key, nonce.expose(), &[], &group_info.to_bytes()?)?)
}
