//! The key schedule (RFC 9420 section 8).

use super::compare::same;
use super::hex::Hex;
use super::problem::{At, Problem};
use super::sample;
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::{HpkeKeyPair, Suite};
use conclave_schedule::{
    CommitSecret, EpochSecrets, InitSecret, JoinerSecret, MemberSecret, PskSecret, WelcomeSecret,
    export, external_key_pair,
};
use conclave_wire::Encode;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct KeySchedule {
    cipher_suite: u16,
    group_id: Hex,
    initial_init_secret: Hex,
    epochs: Vec<Epoch>,
}

#[derive(Default, Serialize, Deserialize)]
struct Epoch {
    tree_hash: Hex,
    commit_secret: Hex,
    /// Zeros if absent.
    psk_secret: Option<Hex>,
    confirmed_transcript_hash: Hex,

    group_context: Hex,
    joiner_secret: Hex,
    welcome_secret: Hex,
    init_secret: Hex,
    sender_data_secret: Hex,
    encryption_secret: Hex,
    exporter_secret: Hex,
    epoch_authenticator: Hex,
    external_secret: Hex,
    confirmation_key: Hex,
    membership_key: Hex,
    resumption_psk: Hex,
    external_pub: Hex,
    exporter: Exporter,
}

#[derive(Default, Serialize, Deserialize)]
struct Exporter {
    label: String,
    context: Hex,
    length: u32,
    secret: Hex,
}

struct Computed {
    group_context: Vec<u8>,
    joiner: JoinerSecret,
    welcome: WelcomeSecret,
    secrets: EpochSecrets,
    external: HpkeKeyPair,
    exported: Hex,
}

impl Epoch {
    fn compute(
        &self,
        suite: &Suite<'_>,
        group_id: &Hex,
        epoch: u64,
        init: &InitSecret,
    ) -> Result<Computed, Problem> {
        let context = sample::context(
            suite,
            group_id,
            epoch,
            &self.tree_hash,
            &self.confirmed_transcript_hash,
        );

        let group_context = context.to_bytes()?;
        let commit = CommitSecret::from_secret(self.commit_secret.secret());
        let psk = self.psk_secret.as_ref();
        let psk =
            psk.map_or_else(|| PskSecret::zero(suite), |s| PskSecret::from_secret(s.secret()));
        let joiner = JoinerSecret::derive(suite, init, &commit, &group_context)?;
        let member = MemberSecret::derive(suite, &joiner, &psk)?;
        let welcome = member.welcome_secret(suite)?;
        let secrets = member.epoch(suite, &group_context)?;
        let external = external_key_pair(suite, &secrets.external)?;
        let Exporter { label, context, length, .. } = &self.exporter;
        let length = usize::try_from(*length)?;
        let exported = export(suite, &secrets.exporter, label.as_bytes(), context, length);
        let exported = Hex::of(exported.at("exporter")?.expose());
        Ok(Computed { group_context, joiner, welcome, secrets, external, exported })
    }

    fn check(&self, computed: &Computed) -> Result<(), Problem> {
        let Computed { group_context, joiner, welcome, secrets, external, exported } = computed;
        same("group_context", group_context, &self.group_context)?;
        same("joiner_secret", joiner.expose(), &self.joiner_secret)?;
        same("welcome_secret", welcome.expose(), &self.welcome_secret)?;
        same("init_secret", secrets.init.expose(), &self.init_secret)?;
        same("sender_data_secret", secrets.sender_data.expose(), &self.sender_data_secret)?;
        same("encryption_secret", secrets.encryption.expose(), &self.encryption_secret)?;
        same("exporter_secret", secrets.exporter.expose(), &self.exporter_secret)?;
        let authenticator = secrets.epoch_authenticator.expose();
        same("epoch_authenticator", authenticator, &self.epoch_authenticator)?;
        same("external_secret", secrets.external.expose(), &self.external_secret)?;
        same("confirmation_key", secrets.confirmation_key.expose(), &self.confirmation_key)?;
        same("membership_key", secrets.membership_key.expose(), &self.membership_key)?;
        same("resumption_psk", secrets.resumption_psk.expose(), &self.resumption_psk)?;
        same("external_pub", &external.public, &self.external_pub)?;
        same("exporter.secret", exported, &self.exporter.secret)
    }

    fn fill_in(&mut self, computed: &Computed) {
        let Computed { group_context, joiner, welcome, secrets, external, exported } = computed;
        self.group_context = Hex::of(group_context);
        self.joiner_secret = Hex::of(joiner.expose());
        self.welcome_secret = Hex::of(welcome.expose());
        self.init_secret = Hex::of(secrets.init.expose());
        self.sender_data_secret = Hex::of(secrets.sender_data.expose());
        self.encryption_secret = Hex::of(secrets.encryption.expose());
        self.exporter_secret = Hex::of(secrets.exporter.expose());
        self.epoch_authenticator = Hex::of(secrets.epoch_authenticator.expose());
        self.external_secret = Hex::of(secrets.external.expose());
        self.confirmation_key = Hex::of(secrets.confirmation_key.expose());
        self.membership_key = Hex::of(secrets.membership_key.expose());
        self.resumption_psk = Hex::of(secrets.resumption_psk.expose());
        self.external_pub = Hex::of(&external.public);
        self.exporter.secret = exported.clone();
    }
}

impl SuiteVector for KeySchedule {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let mut init = InitSecret::from_secret(self.initial_init_secret.secret());
        for (n, epoch) in (0..).zip(&self.epochs) {
            let place = format_args!("epoch {n}");
            let computed = epoch.compute(suite, &self.group_id, n, &init).at(place)?;
            epoch.check(&computed).at(place)?;
            init = computed.secrets.init;
        }
        Ok(())
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let nh = suite.nh();
        let mut vector = Self {
            cipher_suite: suite.cipher_suite().0,
            group_id: Hex(rng.bytes(16)),
            initial_init_secret: Hex(rng.bytes(nh)),
            epochs: Vec::new(),
        };

        let mut init = InitSecret::from_secret(vector.initial_init_secret.secret());
        for n in 0..3 {
            let mut epoch = Epoch {
                tree_hash: Hex(rng.bytes(nh)),
                commit_secret: Hex(rng.bytes(nh)),
                psk_secret: Some(Hex(if n == 0 { vec![0; nh] } else { rng.bytes(nh) })),
                confirmed_transcript_hash: Hex(rng.bytes(nh)),
                exporter: Exporter {
                    label: format!("exported in epoch {n}"),
                    context: Hex(rng.bytes(n * 10)),
                    length: 16 + rng.below(100) as u32,
                    secret: Hex::default(),
                },
                ..Epoch::default()
            };
            let computed = epoch.compute(suite, &vector.group_id, n as u64, &init)?;
            epoch.fill_in(&computed);
            vector.epochs.push(epoch);
            init = computed.secrets.init;
        }
        Ok(vec![vector])
    }
}
