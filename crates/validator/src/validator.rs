//! The validator.

use crate::refusal::Refusal;
use crate::state::GroupState;
use crate::verdicts::{
    GroupVerdict, KeyPackageVerdict, Kind, MessageVerdict, UpdatedComponent, WelcomeVerdict,
};
use conclave_mls::component::AppDataChange;
use conclave_mls::crypto::{CryptoProvider, Suite};
use conclave_mls::error::{Misuse, Rejection};
use conclave_mls::group::{self, Proposal};
use conclave_mls::join::welcome_recipients;
use conclave_mls::key_package::{KeyPackageRef, ValidKeyPackage, key_package_from_message};
use conclave_mls::observe::{ObservedStage, Observer, ObserverEvent, ObserverStage};
use conclave_mls::storage::{Outcome, Write};
use conclave_mls::wire::{Bytes, Encode, LeafNodeSource};
use conclave_mls::{Config, Error, Transition, UnixTime, Verdict, apply};
use core::convert::Infallible;
use core::fmt;
use std::collections::BTreeMap;

/// What the service answers to what a commit asks.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The new data of each component that the commit updates, in the order of [`Refusal::AppDataMissing`]. If the
    /// service does not know what an update means, the committer has to tell it.
    pub app_data: Vec<Bytes>,
}

/// Judges what a delivery service is given.
#[derive(Clone)]
pub struct Validator<'a> {
    provider: &'a dyn CryptoProvider,
    config: Config,
}

impl fmt::Debug for Validator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("provider", &self.provider.name()).finish_non_exhaustive()
    }
}

impl<'a> Validator<'a> {
    /// A validator for the suites that the provider supports, with the library's default limits.
    #[must_use]
    pub fn new(provider: &'a dyn CryptoProvider) -> Self {
        Self::with_config(provider, Config::default())
    }

    /// A validator with limits, a policy and types of proposals of its own. They should be those of the groups'
    /// members.
    #[must_use]
    pub fn with_config(provider: &'a dyn CryptoProvider, config: Config) -> Self {
        Self { provider, config }
    }

    /// Judges a key package, an encoded MLSMessage (RFC 9420 section 10.1).
    ///
    /// # Errors
    /// If it breaks a rule, or is not valid at `now`.
    pub fn key_package(&self, message: &[u8], now: UnixTime) -> Result<KeyPackageVerdict, Refusal> {
        let key_package = key_package_from_message(message)?;
        let stage = ValidKeyPackage::check(self.provider, now, &self.config, key_package)?;
        let credential = stage.credential().clone();
        let valid = stage.resolve(Verdict::Accept)?;
        let package = valid.key_package();
        let LeafNodeSource::KeyPackage(lifetime) = package.leaf_node.leaf_node_source else {
            return Err(Error::from(Rejection::KeyPackageLeafSource).into());
        };
        Ok(KeyPackageVerdict {
            reference: valid.reference().clone(),
            cipher_suite: package.cipher_suite,
            init_key: package.init_key.to_vec().into(),
            lifetime,
            last_resort: package.is_last_resort(),
            credential,
        })
    }

    /// Judges a group as its creator, or any member, shows it: a GroupInfo, an encoded MLSMessage, and the ratchet tree
    /// if the GroupInfo does not hold it (section 12.4.3.1).
    ///
    /// # Errors
    /// If one of them breaks a rule.
    pub fn group(
        &self,
        group_info: &[u8],
        ratchet_tree: Option<&[u8]>,
    ) -> Result<GroupVerdict, Refusal> {
        let config = self.config.clone();
        let stage = ObserverStage::open(self.provider, config, group_info, ratchet_tree)?;
        let credentials = stage.credentials().to_vec();
        let observer = stage.resolve(&vec![Verdict::Accept; credentials.len()])?;
        Ok(GroupVerdict {
            state: GroupState::of(&observer)?,
            group_id: observer.group_id().clone(),
            cipher_suite: observer.context().cipher_suite,
            members: observer.members().collect(),
            credentials,
        })
    }

    /// Judges a proposal or a commit, an encoded MLSMessage, as the next message of a group (sections 12.1 and
    /// 12.4.2), but for what takes the group's secrets: membership tags, path secrets, the confirmation tag.
    ///
    /// # Errors
    /// If it breaks a rule, is of another group or epoch, or encrypted; [`Refusal::AppDataMissing`]; or if the state
    /// is damaged.
    pub fn message(
        &self,
        state: &GroupState,
        message: &[u8],
        answers: &Answers,
    ) -> Result<MessageVerdict, Refusal> {
        let mut observer = self.observer(state)?;
        let stage = observer.process(self.provider, message)?;
        if stage.app_data().len() != answers.app_data.len() {
            let components = stage.app_data().iter().map(|asked| asked.component_id);
            return Err(Refusal::AppDataMissing(components.collect()));
        }

        let kind = if stage.is_commit() { Kind::Commit } else { Kind::Proposal };
        let (sender, credentials) = (stage.sender(), stage.credentials().to_vec());
        let key_packages = self.added_key_packages(&observer, &stage)?;
        let left_out = stage.left_out(&observer, observer.proposals());
        let left_out = left_out.iter().map(|pending| pending.reference.clone()).collect();
        let given = group::Answers {
            verdicts: vec![Verdict::Accept; credentials.len()],
            app_data: answers.app_data.clone(),
            ..Default::default()
        };
        let step = stage.resolve(&observer, self.provider, &given)?;
        let event = applied(&mut observer, step)?;

        let mut verdict = MessageVerdict {
            next: GroupState::of(&observer)?,
            kind,
            sender,
            added: Vec::new(),
            key_packages,
            left_out,
            removed: Vec::new(),
            updated: Vec::new(),
            components: Vec::new(),
            credentials,
        };
        if let ObserverEvent::Epoch(change) = event {
            let updated = |change: AppDataChange| UpdatedComponent {
                component_id: change.component_id,
                data: change.new,
            };
            verdict.added = change.added;
            verdict.removed = change.removed;
            verdict.updated = change.updated;
            verdict.components = change.app_data.into_iter().map(updated).collect();
        }
        Ok(verdict)
    }

    /// Judges a GroupInfo of the current epoch, an encoded MLSMessage, by which others are to join from outside; what
    /// to store from then on. Take it from the committer, with the commit: only members can tell whether the first of
    /// an epoch is right.
    ///
    /// # Errors
    /// [`Refusal::GroupInfo`] if it is of another epoch, no member signed it, it contradicts the group's state or an
    /// earlier one, or nobody can join by it.
    pub fn group_info(&self, state: &GroupState, group_info: &[u8]) -> Result<GroupState, Refusal> {
        let mut observer = self.observer(state)?;
        let step = observer.take_group_info(self.provider, group_info).map_err(|error| {
            let misfits = observer.group_info_misfits(self.provider, group_info);
            match misfits.unwrap_or_default() {
                none if none.is_empty() => Refusal::Mls(error),
                misfits => Refusal::GroupInfo(error, misfits),
            }
        })?;
        applied(&mut observer, step)?;
        Ok(GroupState::of(&observer)?)
    }

    /// Judges a Welcome by itself. Nobody but its recipients can open it.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn welcome(&self, welcome: &[u8]) -> Result<WelcomeVerdict, Refusal> {
        Ok(WelcomeVerdict { recipients: welcome_recipients(welcome)? })
    }

    /// Judges a commit's Welcomes: each newcomer is in exactly one, and nobody else is in any.
    ///
    /// # Errors
    /// If that is not so, or one is malformed.
    pub fn welcomes(
        &self,
        commit: &MessageVerdict,
        welcomes: &[impl AsRef<[u8]>],
    ) -> Result<(), Refusal> {
        let mut welcomed: BTreeMap<&KeyPackageRef, usize> =
            commit.key_packages.iter().map(|reference| (reference, 0)).collect();
        for (index, welcome) in welcomes.iter().enumerate() {
            for recipient in self.welcome(welcome.as_ref())?.recipients {
                let count = welcomed.get_mut(&recipient);
                *count.ok_or(Refusal::WelcomeForNobody(index))? += 1;
            }
        }
        let once = |reference| welcomed.get(reference) == Some(&1);
        match commit.key_packages.iter().position(|reference| !once(reference)) {
            Some(index) => Err(Refusal::NotWelcomedOnce(index)),
            None => Ok(()),
        }
    }

    fn observer(&self, state: &GroupState) -> Result<Observer, Error> {
        Observer::load(self.provider, self.config.clone(), state.rows())
    }

    /// The key packages of those whom a commit adds by proposals.
    fn added_key_packages(
        &self,
        observer: &Observer,
        stage: &ObservedStage,
    ) -> Result<Vec<KeyPackageRef>, Refusal> {
        if !stage.is_commit() {
            return Ok(Vec::new());
        }
        let suite =
            Suite::new(self.provider, observer.context().cipher_suite).map_err(Error::from)?;
        let added = stage.proposals().filter_map(|(_, proposal)| match proposal {
            Proposal::Add(key_package) => Some(key_package),
            _ => None,
        });
        added
            .map(|key_package| {
                let encoded = key_package.to_bytes().map_err(Error::from)?;
                Ok(suite.key_package_ref(&encoded).map_err(Error::from)?)
            })
            .collect()
    }
}

/// Moves an observer on, in memory alone.
fn applied<O: Outcome<ObserverEvent>>(
    observer: &mut Observer,
    step: Transition<Observer, O>,
) -> Result<O, Refusal> {
    // It was computed from this observer, and this write cannot fail.
    let nowhere = |_: Write<'_, ObserverEvent>| Ok::<_, Infallible>(());
    apply(observer, step, nowhere).map_err(|_| Error::from(Misuse::Stale).into())
}
