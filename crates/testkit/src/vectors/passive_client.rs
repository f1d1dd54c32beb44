//! Joining a group and following it (RFC 9420 section 12.4). The three kinds of files share one
//! format and differ in what happens in the group.

use super::cast::{Cast, Round, receive};
use super::compare::same;
use super::hex::Hex;
use super::keys;
use super::problem::{At, Problem, ensure};
use super::sample::Client;
use super::welcome::welcome;
use super::{Kind, SuiteVector};
use crate::{SeededRng, accepting};
use conclave_crypto::{Secret, Suite};
use conclave_group::{Config, Event, Group, Limits, OwnKeyPackage};
use conclave_tree::TreeRead;
use conclave_wire::{Bytes, Decode, Encode, KeyPackage, MlsMessage, MlsMessageBody, PskType};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::Duration;

#[derive(Serialize, Deserialize)]
pub(super) struct PassiveClient {
    cipher_suite: u16,
    #[serde(default, deserialize_with = "null_as_empty")]
    external_psks: Vec<ExternalPsk>,
    key_package: Hex,
    signature_priv: Hex,
    encryption_priv: Hex,
    init_priv: Hex,
    welcome: Hex,
    ratchet_tree: Option<Hex>,
    initial_epoch_authenticator: Hex,
    #[serde(default, deserialize_with = "null_as_empty")]
    epochs: Vec<Epoch>,
}

#[derive(Clone, Serialize, Deserialize)]
struct ExternalPsk {
    psk_id: Hex,
    psk: Hex,
}

#[derive(Serialize, Deserialize)]
struct Epoch {
    #[serde(default, deserialize_with = "null_as_empty")]
    proposals: Vec<Hex>,
    commit: Hex,
    epoch_authenticator: Hex,
}

fn null_as_empty<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl PassiveClient {
    /// The key package, either bare as the format says or in an MLSMessage as in the working
    /// group's files. No encoding is both.
    fn key_package(&self) -> Result<KeyPackage, Problem> {
        match MlsMessage::from_bytes(&self.key_package) {
            Ok(MlsMessage { body: MlsMessageBody::KeyPackage(key_package) }) => Ok(*key_package),
            Ok(_) => Err(Problem::new("key_package is another message")),
            Err(_) => self.key_package.decode("key_package"),
        }
    }

    /// The client, after a check that its private keys are those of the key package.
    fn client(&self, suite: &Suite<'_>) -> Result<OwnKeyPackage, Problem> {
        let key_package = self.key_package()?;
        let leaf = &key_package.leaf_node;
        let signer = keys::signature_key_pair_of(
            suite,
            "signature_priv",
            &self.signature_priv,
            &leaf.signature_key,
        )?;
        let leaf = keys::hpke_key_pair_of(
            suite,
            "encryption_priv",
            &self.encryption_priv,
            &leaf.encryption_key,
        )?;
        let init =
            keys::hpke_key_pair_of(suite, "init_priv", &self.init_priv, &key_package.init_key)?;

        let init = init.private.0;
        let leaf = leaf.private.0;
        let signature = signer.private;
        OwnKeyPackage::from_parts(suite.provider(), key_package, init, leaf, signature)
            .at("key_package")
    }

    fn psks(&self) -> Vec<(PskType, Secret)> {
        let psk = |psk: &ExternalPsk| {
            (PskType::External { psk_id: Bytes::from(&psk.psk_id) }, psk.psk.secret())
        };
        self.external_psks.iter().map(psk).collect()
    }

    fn join(&self, suite: &Suite<'_>, psks: &[(PskType, Secret)]) -> Result<Group, Problem> {
        let own = self.client(suite)?;
        welcome(&self.welcome)?;

        let provider = suite.provider();
        // Resumption PSKs may come from any epoch of the vector.
        let limits = Limits {
            past_epochs: self.epochs.len(),
            past_epoch_age: Duration::MAX,
            ..Limits::default()
        };
        let config = Config { limits, ..Config::default() };
        let psks = accepting::known(psks);
        let tree = self.ratchet_tree.as_deref();
        let new = accepting::join(provider, config, &self.welcome, &own, psks, tree, None)?;
        Ok(new.store(|_| Ok::<_, Infallible>(()))?)
    }

    fn check_authenticator(group: &Group, listed: &Hex) -> Result<(), Problem> {
        same("epoch_authenticator", group.epoch_authenticator()?.expose(), listed)
    }
}

impl Epoch {
    fn check(
        &self,
        suite: &Suite<'_>,
        group: &mut Group,
        psks: &[(PskType, Secret)],
    ) -> Result<(), Problem> {
        for (i, proposal) in self.proposals.iter().enumerate() {
            let place = format_args!("proposal {i}");
            let event = receive(suite.provider(), group, proposal, psks).at(place)?;
            let is_proposal = matches!(event, Some(Event::ProposalReceived(_)) | None);
            ensure(is_proposal, format_args!("{place} is another message"))?;
        }
        let event = receive(suite.provider(), group, &self.commit, psks).at("commit")?;
        ensure(matches!(event, Some(Event::Epoch(_))), "commit is another message")?;
        PassiveClient::check_authenticator(group, &self.epoch_authenticator)
    }
}

impl SuiteVector for PassiveClient {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let psks = self.psks();
        let mut group = self.join(suite, &psks).at("joining")?;
        Self::check_authenticator(&group, &self.initial_epoch_authenticator).at("joining")?;
        for (n, epoch) in self.epochs.iter().enumerate() {
            epoch.check(suite, &mut group, &psks).at(format_args!("epochs[{n}]"))?;
        }
        Ok(())
    }

    fn generate(kind: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        match kind {
            // With the ratchet tree inside the Welcome and apart from it; without PSKs and with.
            Kind::PassiveClientWelcome => [(true, 0), (false, 0), (true, 2)]
                .into_iter()
                .map(|(tree_inside, psks)| Self::scenario(suite, rng, tree_inside, psks, &[]))
                .collect(),
            Kind::PassiveClientHandlingCommit => Round::EACH
                .iter()
                .map(|round| Self::scenario(suite, rng, true, 1, &[*round, *round]))
                .collect(),
            _ => Ok(vec![Self::scenario(suite, rng, false, 2, &[Round::Random; 15])?]),
        }
    }
}

impl PassiveClient {
    /// A client that joins a group of a few members and follows it for some rounds.
    fn scenario(
        suite: &Suite<'_>,
        rng: &mut SeededRng,
        tree_inside: bool,
        psks: usize,
        rounds: &[Round],
    ) -> Result<Self, Problem> {
        let external_psks: Vec<ExternalPsk> = (0..psks)
            .map(|i| ExternalPsk {
                psk_id: Hex(format!("psk {i}").into_bytes()),
                psk: Hex(rng.bytes(suite.nh())),
            })
            .collect();
        let client = Client::new(suite, "passive client", rng)?;
        let key_package = MlsMessageBody::KeyPackage(Box::new(client.key_package.clone()));
        let mut vector = Self {
            cipher_suite: suite.cipher_suite().0,
            external_psks,
            key_package: MlsMessage { body: key_package }.to_bytes()?.into(),
            signature_priv: Hex::of(client.signer.private.expose()),
            encryption_priv: Hex::of(client.leaf.private.0.expose()),
            init_priv: Hex::of(client.init.private.0.expose()),
            welcome: Hex::default(),
            ratchet_tree: None,
            initial_epoch_authenticator: Hex::default(),
            epochs: Vec::new(),
        };

        let mut cast = Cast::new(suite, vector.psks(), rng)?;
        for _ in 0..2 {
            cast.grow(rng)?;
        }
        vector.welcome = cast.add_passive(&client.key_package, tree_inside, rng)?.into();
        if !tree_inside {
            vector.ratchet_tree = Some(cast.lead()?.tree().to_extension_bytes()?.into());
        }
        vector.initial_epoch_authenticator = cast.authenticator()?;

        for round in rounds {
            let (proposals, commit) = cast.round(*round, rng)?;
            vector.epochs.push(Epoch {
                proposals: proposals.into_iter().map(Hex).collect(),
                commit: commit.into(),
                epoch_authenticator: cast.authenticator()?,
            });
        }
        Ok(vector)
    }
}
