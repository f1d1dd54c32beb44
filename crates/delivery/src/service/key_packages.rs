use super::claims::{ClaimLimits, Counted, none_left};
use super::framed::decode_message;
use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::DeviceInfo;
use crate::storage::{
    Give, KeyPackageRecord, KeyPackagesAdded, KeyPackagesRefused, NewKeyPackages, Quota, Storage,
    StoredKeyPackage,
};
use conclave_delivery_api::{
    Bytes, CipherSuite, ClaimKeyPackages, ClaimedKeyPackage, ClaimedKeyPackages, CountKeyPackages,
    DeviceId, Encode, ErrorCode, KeyPackageCount, KeyPackageCounts, KeyPackageRef, Name,
    PublishKeyPackages, Published, ReplaceKeyPackages, WithdrawKeyPackages, Withdrawn, sha256,
};
use conclave_mls::crypto::Suite;
use conclave_mls::key_package::ValidKeyPackage;
use conclave_mls::wire::{LeafNodeSource, MlsMessageBody};
use conclave_mls::{Config, UnixTime, Verdict};
use std::collections::{BTreeMap, BTreeSet};

impl<S: Storage> Service<S> {
    /// A stored key package's reference (section 5.2): a hash of the key package without the
    /// MLSMessage around it. None if it was stored by a service that knew more suites than this one.
    fn reference(&self, stored: &StoredKeyPackage) -> Option<KeyPackageRef> {
        let MlsMessageBody::KeyPackage(key_package) = decode_message(&stored.message).ok()? else {
            return None;
        };
        let suite = Suite::new(&*self.provider, stored.cipher_suite).ok()?;
        suite.key_package_ref(&key_package.to_bytes().ok()?).ok()
    }

    fn check_key_package(
        &self,
        owner: &DeviceInfo,
        message: Bytes,
        now: UnixTime,
    ) -> Result<KeyPackageRecord, ServiceError> {
        let MlsMessageBody::KeyPackage(key_package) = decode_message(&message)? else {
            return Err(ServiceError::invalid("the message holds no KeyPackage"));
        };
        let suite = key_package.cipher_suite;
        if self.provider.suite(suite).is_none() {
            let detail = format!("{:?} is not supported", key_package.cipher_suite);
            return Err(ServiceError::new(ErrorCode::UnsupportedSuite, detail));
        }
        let stage = ValidKeyPackage::check(&*self.provider, now, &Config::default(), *key_package)
            .map_err(ServiceError::invalid)?;
        let asked = stage.credential();
        let verdict = match self.credential_owner(suite, asked, now) {
            Ok(id) if id == owner.device => Verdict::Accept,
            Ok(id) => Verdict::refuse(&format!("it is {id}'s")),
            Err(reason) => Verdict::refuse(&reason),
        };
        let valid = stage.resolve(verdict).map_err(ServiceError::invalid)?;
        let key_package = valid.key_package();
        let LeafNodeSource::KeyPackage(lifetime) = key_package.leaf_node.leaf_node_source else {
            return Err(ServiceError::invalid("the leaf node has no lifetime"));
        };
        Ok(KeyPackageRecord {
            reference: valid.reference().clone(),
            init_key_hash: sha256(&key_package.init_key),
            cipher_suite: key_package.cipher_suite,
            not_after: lifetime.not_after,
            last_resort: key_package.is_last_resort(),
            message,
        })
    }

    /// Key packages of the caller's that were checked, all of one suite if they replace the others of it.
    pub(super) fn new_key_packages(
        &self,
        caller: &Caller,
        messages: Vec<Bytes>,
        replaced: Option<CipherSuite>,
    ) -> Result<NewKeyPackages, ServiceError> {
        let owner = caller.device()?;
        let cap = self.most_key_packages(&owner.device.user)?;
        // Before each costs two signature checks.
        if messages.len() > cap as usize + 1 {
            return Err(too_many_key_packages(cap));
        }
        let mut packages = Vec::new();
        for message in messages {
            let package = self.check_key_package(owner, message, caller.now)?;
            if replaced.is_some_and(|suite| package.cipher_suite != suite) {
                let (suite, i) = (package.cipher_suite, packages.len());
                let detail = format!(
                    "key package {i} is of {suite:?}, which is not the suite that is replaced"
                );
                return Err(ServiceError::invalid(detail));
            }
            packages.push(package);
        }
        let (owner, now) = (owner.clone(), caller.now.as_secs());
        Ok(NewKeyPackages { owner, packages, replaced, cap, now })
    }

    fn most_key_packages(&self, user: &Name) -> Result<u32, ServiceError> {
        self.most(user, Quota::KeyPackages, self.limits.key_packages)
    }

    /// Why key packages of a device are not stored.
    pub(super) fn key_packages_refused(
        &self,
        refused: KeyPackagesRefused,
        owner: &DeviceId,
    ) -> ServiceError {
        match refused {
            KeyPackagesRefused::InitKeyReused(i) => {
                let detail = format!("the init key of key package {i} was published before");
                ServiceError::new(ErrorCode::InitKeyReused, detail)
            }
            KeyPackagesRefused::TooMany(cap) => too_many_key_packages(cap),
            KeyPackagesRefused::Ended => ServiceError::revoked(owner),
        }
    }

    fn publish_key_packages(
        &self,
        caller: &Caller,
        messages: Vec<Bytes>,
        replaced: Option<CipherSuite>,
    ) -> Result<Done<Published>, ServiceError> {
        let new = self.new_key_packages(caller, messages, replaced)?;
        let (id, offered) = (caller.id()?, new.packages.len());
        match self.storage.add_key_packages(new)? {
            KeyPackagesAdded::Stored(stored) => {
                let instead = replaced.map(|suite| format!(", instead of all of {suite:?}"));
                let instead = instead.unwrap_or_default();
                let seen = format!("{offered} key packages of {id}, {stored} of them new{instead}");
                Ok(Done::new(Published { stored }, seen))
            }
            KeyPackagesAdded::Refused(refused) => Err(self.key_packages_refused(refused, id)),
        }
    }
}

fn too_many_key_packages(most: u32) -> ServiceError {
    ServiceError::too_many(format!("a device has at most {most} key packages of a suite"))
}

impl Operation for PublishKeyPackages {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Published>, ServiceError> {
        service.publish_key_packages(caller, self.key_packages, None)
    }
}

impl Operation for ReplaceKeyPackages {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Published>, ServiceError> {
        service.publish_key_packages(caller, self.key_packages, Some(self.cipher_suite))
    }
}

impl Operation for CountKeyPackages {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<KeyPackageCounts>, ServiceError> {
        let id = caller.id()?;
        let mut counts: BTreeMap<CipherSuite, KeyPackageCount> = BTreeMap::new();
        for stored in service.storage.key_packages(id, caller.now.as_secs())? {
            let cipher_suite = stored.cipher_suite;
            let count = counts.entry(cipher_suite).or_insert_with(|| KeyPackageCount {
                cipher_suite,
                available: 0,
                last_resort: 0,
                references: Vec::new(),
            });
            match stored.last_resort {
                true => count.last_resort += 1,
                false => count.available += 1,
            }
            count.references.extend(service.reference(&stored));
        }
        let seen = format!("the key packages of {id}");
        let counts = counts.into_values().collect();
        Ok(Done::new(KeyPackageCounts { now: caller.now.as_secs(), counts }, seen))
    }
}

impl Operation for WithdrawKeyPackages {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Withdrawn>, ServiceError> {
        let id = caller.id()?;
        let unwanted: BTreeSet<KeyPackageRef> = self.references.into_iter().collect();
        let mut numbers = Vec::new();
        // Also those that have expired.
        for stored in service.storage.key_packages(id, 0)? {
            if service.reference(&stored).is_some_and(|found| unwanted.contains(&found)) {
                numbers.push(stored.number);
            }
        }
        let withdrawn = service.storage.withdraw_key_packages(id, numbers)?;
        let seen = format!("{id} withdraws {withdrawn} key packages");
        Ok(Done::new(Withdrawn { withdrawn }, seen))
    }
}

impl Operation for ClaimKeyPackages {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<ClaimedKeyPackages>, ServiceError> {
        let me = caller.id()?;
        if self.devices.len() > service.limits.devices {
            return Err(ServiceError::too_many("more devices are named than a user can have"));
        }
        let mut known = service.storage.devices(&self.user)?;
        known.retain(|device| device.active);
        if known.is_empty() {
            let detail = format!("there is no user {}", self.user);
            return Err(ServiceError::new(ErrorCode::UnknownUser, detail));
        }
        if service.storage.is_blocked(&self.user)? {
            return Err(ServiceError::blocked(&self.user));
        }
        let wanted = |id: &DeviceId| {
            id != me && (self.devices.is_empty() || self.devices.contains(&id.device))
        };
        let owners: Vec<DeviceId> = known.into_iter().map(|d| d.device).filter(wanted).collect();
        let (between, now) = ((&me.user, &self.user), caller.now);
        let limits = &service.limits.claims;
        let asker = service.most(&me.user, Quota::Claims, limits.asker)?;
        let limits = ClaimLimits { asker, ..limits.clone() };
        let Counted { give, wait } = service.claims.take(&limits, between, now)?;
        let (suite, now) = (self.cipher_suite, now.as_secs());
        let claimed = service.storage.claim_key_packages(owners.clone(), suite, give, now)?;
        let found = claimed.iter().flatten().count();
        if give == Give::LastResort && found == 0 && !owners.is_empty() {
            return Err(none_left(wait));
        }
        let seen = format!("{me} takes {found} key packages of {}", self.user);
        let devices = owners
            .into_iter()
            .zip(claimed)
            .map(|(device, key_package)| ClaimedKeyPackage { device, key_package })
            .collect();
        Ok(Done::new(ClaimedKeyPackages { devices }, seen))
    }
}
