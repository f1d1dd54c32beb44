//! Key packages: enough of them of each suite at the service, and their secrets here.

use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::waits::COUNT_INTERVAL;
use crate::reason::Reason;
use crate::request::Request;
use crate::returns::is_made_since;
use conclave_delivery_api::{
    Bytes, CallError, CountKeyPackages, ErrorCode, KeyPackageCounts, PublishKeyPackages,
    ReplaceKeyPackages,
};
use conclave_mls::CipherSuite;
use conclave_mls::credential::LeafParams;
use conclave_mls::key_package::{KeyPackageParams, KeyPackageRef, Lifetime, OwnKeyPackage};
use conclave_mls::wire::{
    AppDataDictionary, ComponentId, ComponentsList, Extension, LeafNodeSource,
};
use conclave_store::Store;
use core::time::Duration;
use std::collections::BTreeSet;

/// With fewer key packages of a suite than this at the service, more are made.
const LOW: usize = 5;
/// How many there are then.
const ENOUGH: usize = 10;
/// How long a key package may be used; and how long before now that began, for those whose clocks are
/// behind.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// Whether a leaf lists the components of rooms.
fn supports_rooms(extensions: &[Extension]) -> bool {
    let dictionary = AppDataDictionary::find(extensions).ok().flatten().unwrap_or_default();
    let listed = ComponentsList::find(&dictionary, ComponentId::APP_COMPONENTS).ok().flatten();
    let listed = listed.unwrap_or_default().component_ids;
    conclave_room::COMPONENTS.iter().all(|id| listed.contains(id))
}

impl<S: Store> Engine<S> {
    pub(super) fn lifetime(&self) -> Lifetime {
        let start = self.time().saturating_sub(CLOCK_SKEW);
        Lifetime::starting_at(start, CLOCK_SKEW + LIFETIME)
    }

    /// The own leaf.
    pub(super) fn leaf(&self) -> LeafParams {
        self.authority.own_leaf(self.book.identity())
    }

    pub(super) fn next_key_packages(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        // One suite after another: a service that does not take one may take the others.
        let mut suite = self.to_replace.keys().next().copied();
        let (mut references, mut gone) = (Vec::new(), Vec::new());
        let mut key_packages: Vec<Bytes> = Vec::new();
        for reference in self.book.unpublished() {
            let Some(own) = self.key_package_of(reference)? else {
                gone.push(Change::Publish(reference.clone(), false));
                continue;
            };
            let of = own.key_package().cipher_suite;
            if *suite.get_or_insert(of) != of {
                continue;
            }
            references.push(reference.clone());
            key_packages.push(own.message()?.into());
        }
        // Without its secrets a key package is of no use to anybody.
        if !gone.is_empty() {
            self.book.commit(None, gone)?;
        }
        if let Some(cipher_suite) = suite {
            let purpose = Purpose::Publish(cipher_suite, references);
            let Some(kept) = self.to_replace.get(&cipher_suite) else {
                return Ok(Some((PublishKeyPackages { key_packages }.into(), purpose)));
            };
            for reference in kept {
                if let Some(own) = self.key_package_of(reference)? {
                    key_packages.push(own.message()?.into());
                }
            }
            let request = ReplaceKeyPackages { cipher_suite, key_packages };
            return Ok(Some((request.into(), purpose)));
        }
        if self.count_at <= self.now {
            self.count_at = self.now.saturating_add(COUNT_INTERVAL);
            return Ok(Some((CountKeyPackages {}.into(), Purpose::Count)));
        }
        Ok(None)
    }

    /// A key package whose secrets are here.
    fn key_package_of(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<OwnKeyPackage>, EngineError> {
        let secret = self.book.key_package(reference)?;
        let own = secret.map(|secret| OwnKeyPackage::from_secret(&*self.provider, &secret));
        Ok(own.transpose()?)
    }

    /// The service has these: makes more, if they are few. They are stored before they are
    /// published. Where the secrets of some are gone, all of that suite are replaced: whoever is invited by one of
    /// them is in the group and never gets in.
    pub(super) fn counted(&mut self, counts: &KeyPackageCounts) -> Result<(), EngineError> {
        let own = self.own_key_packages()?;
        let held: BTreeSet<&KeyPackageRef> =
            counts.counts.iter().flat_map(|count| &count.references).collect();
        // After a renewal, those with the former certificate are of no use either, and nobody gets into a room by one
        // from before there were rooms. One from before this device was removed does not show others that it is back.
        let (credential, signer) =
            (self.leaf().credential, self.book.identity().signer.public.clone());
        let since = self.book.key_packages_since();
        let is_current = |own: &OwnKeyPackage| {
            let leaf = &own.key_package().leaf_node;
            leaf.credential == credential
                && own.signer().public == signer
                && is_made_since(own.key_package(), since)
                && supports_rooms(&leaf.extensions)
        };
        let known = |reference: &KeyPackageRef| {
            own.iter().any(|own| own.reference() == reference && is_current(own))
        };
        self.to_replace.clear();
        for count in &counts.counts {
            let (kept, lost): (Vec<_>, Vec<_>) =
                count.references.iter().cloned().partition(|reference| known(reference));
            if !lost.is_empty() {
                self.to_replace.insert(count.cipher_suite, kept);
            }
        }

        let mut changes = self.expired_key_packages(&own, &held, counts.now);
        let suites: Vec<CipherSuite> = self.book.identity().suites().collect();
        for suite in suites {
            let usable = own.iter().filter(|own| held.contains(own.reference()) && is_current(own));
            let usable = usable.map(OwnKeyPackage::key_package);
            let of_suite = usable.filter(|package| package.cipher_suite == suite);
            let (last_resort, others): (Vec<_>, Vec<_>) =
                of_suite.partition(|package| package.is_last_resort());
            self.invitable |= !(last_resort.is_empty() && others.is_empty());
            if self.refused_suites.contains(&suite) {
                continue;
            }
            if last_resort.is_empty() {
                changes.extend(self.new_key_package(suite, true)?);
            }
            if others.len() < LOW {
                for _ in others.len()..ENOUGH {
                    changes.extend(self.new_key_package(suite, false)?);
                }
            }
        }
        if !changes.is_empty() {
            self.book.commit(None, changes)?;
        }
        self.announce();
        Ok(())
    }

    /// All key packages whose secrets are here.
    fn own_key_packages(&self) -> Result<Vec<OwnKeyPackage>, EngineError> {
        let all = self.book.key_packages()?.into_iter();
        let own = all.map(|(_, secret)| OwnKeyPackage::from_secret(&*self.provider, &secret));
        Ok(own.collect::<Result<_, _>>()?)
    }

    /// Of each suite: how many key packages there are whose secrets are here, but for those of last resort, and how many
    /// the service does not have.
    pub(super) fn key_package_stock(&self) -> Vec<(CipherSuite, usize, usize)> {
        // A state that cannot be read is found elsewhere.
        let own = self.own_key_packages().unwrap_or_default();
        let suites = self.book.identity().suites();
        let signer = &self.book.identity().signer.public;
        let of = |suite: CipherSuite| {
            let of_suite = own.iter().filter(move |own| {
                own.key_package().cipher_suite == suite && own.signer().public == *signer
            });
            let held = of_suite.clone().filter(|own| !own.key_package().is_last_resort()).count();
            let unpublished =
                of_suite.filter(|own| self.book.unpublished().contains(own.reference()));
            (suite, held, unpublished.count())
        };
        suites.map(of).collect()
    }

    fn new_key_package(
        &mut self,
        cipher_suite: CipherSuite,
        last_resort: bool,
    ) -> Result<[Change; 2], EngineError> {
        let params = KeyPackageParams {
            cipher_suite,
            leaf: self.leaf(),
            lifetime: self.lifetime(),
            extensions: Vec::new(),
            last_resort,
        };
        let signer = self.book.identity().signer.clone();
        let own = OwnKeyPackage::generate(&*self.provider, &mut *self.rng, params, signer)?;
        let reference: KeyPackageRef = own.reference().clone();
        let secret = own.to_secret()?;
        Ok([Change::KeyPackage(reference.clone(), Some(secret)), Change::Publish(reference, true)])
    }

    /// Forgets the secrets of key packages that nobody may use any more. A Welcome may still be
    /// under way, so they stay for one more lifetime, by this device's clock and by the service's:
    /// either may be far off for a moment, and what is forgotten does not come back. What the service
    /// still gives out stays whatever the clocks say.
    fn expired_key_packages(
        &self,
        own: &[OwnKeyPackage],
        held: &BTreeSet<&KeyPackageRef>,
        service_now: u64,
    ) -> Vec<Change> {
        let now = self.time().as_secs().min(service_now);
        let expired = |own: &&OwnKeyPackage| match &own.key_package().leaf_node.leaf_node_source {
            LeafNodeSource::KeyPackage(lifetime) => {
                lifetime.not_after.saturating_add(LIFETIME.as_secs()) < now
            }
            _ => false,
        };
        let unused = own.iter().filter(|own| !held.contains(own.reference())).filter(expired);
        unused.map(|own| Change::KeyPackage(own.reference().clone(), None)).collect()
    }

    /// The service has them, or does not take them.
    pub(super) fn published(
        &mut self,
        suite: CipherSuite,
        references: Vec<KeyPackageRef>,
        refused: Option<&CallError>,
    ) -> Result<(), EngineError> {
        self.to_replace.remove(&suite);
        let done = references.iter().cloned().map(|reference| Change::Publish(reference, false));
        let mut changes: Vec<Change> = done.collect();
        self.invitable |= refused.is_none() && !references.is_empty();
        if let Some(error) = refused {
            // Anything else may be over by the next count: a clock that is wrong, say.
            if error.code() == Some(ErrorCode::UnsupportedSuite) {
                self.refused_suites.insert(suite);
            }
            if error.code().is_some() {
                // Nobody can have them.
                changes.extend(references.into_iter().map(|r| Change::KeyPackage(r, None)));
            }
            let why = error.to_string();
            self.failed(None, Reason::KeyPackagesRefused { suite, why });
        }
        self.book.commit(None, changes)?;
        self.announce();
        Ok(())
    }
}
