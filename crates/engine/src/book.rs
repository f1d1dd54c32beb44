//! The messenger's own records: in memory and in the store, changed together.

mod hidden;

use crate::certified::CertifiedRecord;
use crate::copies::{Copied, Marks, Rejoin, Times};
use crate::names::{Looks, is_readable};
use crate::record::{
    GroupRecord, IDENTITY_VERSION, Identity, Item, Kept, Line, News, Trust, Unpublished, Who, Work,
};
use crate::returns::Awaited;
use crate::rows::AppRows;
use crate::seen::Seen;
use crate::watch::Watch;
use conclave_account::{Account, Entry, LinkCode};
use conclave_delivery_api::{Bytes, DeviceId, Incarnation, Name, sha256, short_group};
use conclave_mls::GroupId;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair};
use conclave_mls::key_package::KeyPackageRef;
use conclave_mls::storage::Batch;
use conclave_mls::wire::codec::{Decode, Encode, Writer};
use conclave_store::{Secret, Store, StoreError, WriteSet};
use hidden::{Hidden, Namespace};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const META: &str = "meta";
/// The first number that no event had before one was last acknowledged: none is given twice.
const NUMBERS: &[u8] = b"numbers";
const IDENTITY: &[u8] = b"identity";
/// The group that commands were about, while that was kept here.
const CURRENT: &[u8] = b"current";
const GROUP: &str = "group";
const QUEUE: &str = "queue";
const LINE: &str = "line";
const CONFIRMED: &[u8] = b"confirmed";
const ACCOUNT: Namespace = Namespace { now: "accounts", before: "account" };
const OWN_LOG: &str = "own-log";
/// The users of whom the service has contradicted itself.
const ALARMED: Namespace = Namespace { now: "alarmed-users", before: "alarmed" };
/// The device that is being admitted, after the code that it has shown.
const ADMITTED: &[u8] = b"admitted";
/// The code by which this device was admitted.
const TELL_READY: &[u8] = b"tell-ready";
const TRUST: Namespace = Namespace { now: "trusted", before: "trust" };
const KEY_PACKAGE: &str = "key-package";
const PUBLISH: &str = "publish";
const HISTORY: &str = "history";
/// The last entries of each group's log, in case the service loses them.
const KEPT: &str = "kept";
/// Those that it has lost.
const MISSING: &str = "missing";
/// The own devices that are to be revoked.
const REVOKING: Namespace = Namespace { now: "revoking-devices", before: "revoking" };
/// What is trusted where a CA certifies devices.
const CERTIFIED: &[u8] = b"certified";
/// A key pair for which this device has asked for a certificate.
const NEXT_KEY: &[u8] = b"next-key";
/// The marks that the state may have at the service.
const MARKS: &[u8] = b"marks";
/// That the state is a copy.
const COPIED: &[u8] = b"copied";
/// When the device has taken new keys.
const KEY_RENEWALS: &[u8] = b"key-renewals";
/// The groups that the device has to come back into, or has.
const REJOIN: &str = "rejoin";
/// When members were last seen in the logs: by group and leaf.
const SEEN: &str = "seen";
/// Since when this device looks, by group.
const SEEN_SINCE: &str = "seen-since";
/// The user's devices that were removed after a long silence, by group.
const AWAITED: &str = "awaited";
/// The time since which this device's key packages must have been made.
const KEY_PACKAGES_SINCE: &[u8] = b"key-packages-since";
/// What is known of the service.
const WATCH: &[u8] = b"service";
/// Which life of its state the service was in when it was last asked.
const INCARNATION: &[u8] = b"incarnation";
/// The domain that the service has for URIs.
const DOMAIN: &[u8] = b"domain";
/// Files of evidence against the service, numbered from 1.
const EVIDENCE: &str = "evidence";
/// The users of whom the directory does not have all.
const BEHIND: Namespace = Namespace { now: "behind-users", before: "behind" };
const HIDDEN: &[Namespace] = &[ACCOUNT, ALARMED, TRUST, REVOKING, BEHIND];

/// The hashes of messages, by their number in the log that they were in.
pub(crate) type Hashes = BTreeMap<u64, [u8; 32]>;

/// One change of the records.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Record(GroupId, GroupRecord),
    NewItem(Item),
    /// An item as it is now; none when it is done.
    Item(u64, Option<Item>),
    /// Something to tell the user. A message goes into the history, too.
    News(Option<GroupId>, News),
    /// The host has taken what was to be told.
    Acknowledged(u64),
    /// Something to tell the user, by its number, as it is now.
    Line(u64, Line),
    /// The host keeps a message itself: it is deleted from the history.
    Adopted(GroupId, u64),
    /// A user's account, as far as its log was checked.
    Account(Account),
    /// A user's account is to be read anew.
    ForgetAccount(Name),
    /// An entry of the own account log.
    OwnEntry(Entry),
    /// Nothing is left of the own account, which the service has never taken.
    ForgetOwnLog,
    /// Whether the service has taken this device's account.
    Confirmed(bool),
    /// Whether the service has contradicted itself of a user, which the user was told.
    Alarmed(Name, bool),
    /// The device that was admitted and is to be told, and the code that it has shown; none when it is in the
    /// groups.
    Admitted(Option<(LinkCode, Name)>),
    /// The code by which this device was admitted, until it has said that it is ready.
    TellReady(Option<LinkCode>),
    /// Whether a device of this user is to be revoked.
    Revoking(Name, bool),
    /// What is known of the service.
    Watch(Watch),
    /// Which life of its state the service is in.
    Incarnation(Incarnation),
    /// The domain that the service has for URIs.
    Domain(Option<String>),
    /// An entry of a log, to be kept or not any more.
    Kept(GroupId, u64, Option<Box<Kept>>),
    /// One that the service has lost.
    Missing(GroupId, u64, Option<Box<Kept>>),
    /// A new file of evidence against it.
    Evidence(Vec<u8>),
    /// What is trusted where a CA certifies devices.
    Certified(CertifiedRecord),
    /// The marks that the state may have at the service.
    Marks(Marks),
    /// That the state is a copy; none if it is none any more.
    Copied(Option<Copied>),
    /// The device has another key from now on.
    Identity(Box<Identity>),
    /// When it has taken new keys.
    KeyRenewals(Times),
    /// How far the device is on its way back into a group.
    Rejoin(GroupId, Rejoin),
    /// The day on which a leaf was last seen in a group's log; none if nobody has it.
    Seen(GroupId, u32, Option<u32>),
    /// The day from which on this device looks.
    SeenSince(GroupId, u32),
    /// The user's devices that were removed from a group after a long silence.
    Awaited(GroupId, Vec<Awaited>),
    /// Key packages that were made before this time, in seconds since 1970, are replaced.
    KeyPackagesSince(u64),
    /// What of a user's account the directory does not have; none if it has all.
    Behind(Name, Option<Unpublished>),
    /// What the user thinks of somebody's invitations; none if nothing.
    Trust(Who, Option<Trust>),
    /// Rows of the application's.
    App(AppRows),
    KeyPackage(KeyPackageRef, Option<Secret>),
    /// Whether a key package is still to be published.
    Publish(KeyPackageRef, bool),
}

impl Change {
    /// A word to the user about a group.
    pub(crate) fn news(group: &GroupId, news: News) -> Self {
        Self::News(Some(group.clone()), news)
    }
}

/// The records, and the store that they and the groups are in.
pub(crate) struct Book<S> {
    store: S,
    hidden: Hidden,
    identity: Identity,
    records: BTreeMap<GroupId, GroupRecord>,
    queue: BTreeMap<u64, Item>,
    lines: BTreeMap<u64, Line>,
    accounts: BTreeMap<Name, Account>,
    alarmed: BTreeSet<Name>,
    confirmed: bool,
    revoking: BTreeSet<Name>,
    watch: Option<Watch>,
    incarnation: Option<Incarnation>,
    domain: Option<String>,
    /// How many files of evidence there are.
    evidence: u64,
    behind: BTreeMap<Name, Unpublished>,
    missing: BTreeMap<GroupId, Hashes>,
    former_current: Option<GroupId>,
    trust: BTreeMap<Who, Trust>,
    unpublished: BTreeSet<KeyPackageRef>,
    marks: Marks,
    copied: Option<Copied>,
    key_renewals: Times,
    rejoins: BTreeMap<GroupId, Rejoin>,
    seen: BTreeMap<GroupId, Seen>,
    awaited: BTreeMap<GroupId, Vec<Awaited>>,
    key_packages_since: u64,
    next: u64,
    /// The first number given out since the records were loaded.
    first: u64,
    /// How much of what was queued since then has failed.
    failures: usize,
}

fn damaged(what: &str, e: impl core::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{what}: {e}"))
}

/// The bytes of what is stored, some of which is secret.
fn encoded(value: &impl Encode) -> Result<Vec<u8>, StoreError> {
    let mut w = Writer::secret();
    value.encode(&mut w).map_err(StoreError::failed)?;
    Ok(w.finish())
}

fn decoded<T: Decode>(what: &str, bytes: &Secret) -> Result<T, StoreError> {
    T::from_bytes(bytes.expose()).map_err(|e| damaged(what, e))
}

/// The value of a row of which there is one at most.
fn stored<T: Decode>(store: &impl Store, key: &[u8], what: &str) -> Result<Option<T>, StoreError> {
    store.get(META, key)?.map(|bytes| decoded(what, &bytes)).transpose()
}

fn number(what: &str, key: &[u8]) -> Result<u64, StoreError> {
    let key = <[u8; 8]>::try_from(key).map_err(|e| damaged(what, e))?;
    Ok(u64::from_be_bytes(key))
}

fn name(what: &str, text: &str) -> Result<Name, StoreError> {
    text.parse().map_err(|e| damaged(what, e))
}

fn text(what: &str, bytes: &Secret) -> Result<String, StoreError> {
    let text = core::str::from_utf8(bytes.expose()).map_err(|e| damaged(what, e))?;
    Ok(text.into())
}

fn code(bytes: &[u8]) -> Result<LinkCode, StoreError> {
    let text = core::str::from_utf8(bytes).map_err(|e| damaged("a code", e))?;
    text.parse().map_err(|e| damaged("a code", e))
}

/// Somebody by the name that users write.
fn who(name: &str) -> Result<Who, StoreError> {
    let damaged = |e: &dyn core::fmt::Display| damaged("the trust in somebody", e);
    match name.contains('/') {
        true => name.parse::<DeviceId>().map(Who::from).map_err(|e| damaged(&e)),
        false => {
            let user = name.parse::<Name>().map_err(|e| damaged(&e))?;
            Ok(Who { user, device: None })
        }
    }
}

/// The earliest comes first.
fn entry_key(group: &GroupId, seq: u64) -> Vec<u8> {
    let mut key = encoded(group).unwrap_or_default();
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// A leaf of a group.
fn leaf_key(group: &GroupId, leaf: u32) -> Vec<u8> {
    [group.to_vec().as_slice(), &leaf.to_be_bytes()].concat()
}

/// The latest comes first.
fn history_key(group: &GroupId, seq: u64) -> Vec<u8> {
    entry_key(group, u64::MAX - seq)
}

impl<S: Store> Book<S> {
    /// Who the device is, if the store has been used before.
    pub(crate) fn identity_in(store: &S) -> Result<Option<Identity>, StoreError> {
        let Some(bytes) = store.get(META, IDENTITY)? else { return Ok(None) };
        if bytes.expose().first().is_some_and(|version| *version < IDENTITY_VERSION) {
            let what = "this folder was written before devices had accounts: move it away, and the \
                        messenger begins anew";
            return Err(StoreError::Damaged(what.into()));
        }
        decoded("the identity", &bytes).map(Some)
    }

    /// Writes the identity into a new store.
    pub(crate) fn set_identity(store: &mut S, identity: &Identity) -> Result<(), StoreError> {
        let mut set = WriteSet::new();
        set.put(META, IDENTITY, encoded(identity)?);
        store.write(&set)
    }

    /// What is trusted of certificates, if the store is of a device that a CA certifies.
    pub(crate) fn certified_in(store: &S) -> Result<Option<CertifiedRecord>, StoreError> {
        stored(store, CERTIFIED, "the certificates")
    }

    /// The key pair for which a certificate was asked, beside the one that is in use.
    pub(crate) fn next_key_in(store: &S) -> Result<Option<SignatureKeyPair>, StoreError> {
        let Some(bytes) = store.get(META, NEXT_KEY)? else { return Ok(None) };
        let identity: Identity = decoded("the next key", &bytes)?;
        Ok(Some(identity.signer))
    }

    /// Whether the store is of a device with an account.
    pub(crate) fn has_account(store: &S) -> Result<bool, StoreError> {
        Ok(store.get(META, CONFIRMED)?.is_some() && store.get(META, CERTIFIED)?.is_none()
            || !store.scan(OWN_LOG, &[], 1)?.is_empty())
    }

    /// Writes who the device is, and what it trusts of certificates. With `next`, the identity's key is one that is
    /// asked for, and the one in use stays.
    pub(crate) fn set_certified(
        store: &mut S,
        identity: &Identity,
        record: &CertifiedRecord,
        next: bool,
    ) -> Result<(), StoreError> {
        let mut set = WriteSet::new();
        match next {
            true => set.put(META, NEXT_KEY, encoded(identity)?),
            false => set.put(META, IDENTITY, encoded(identity)?),
        }
        set.put(META, CERTIFIED, encoded(record)?);
        store.write(&set)
    }

    pub(crate) fn load(
        mut store: S,
        identity: Identity,
        provider: Arc<dyn CryptoProvider>,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, StoreError> {
        let hidden = Hidden::open(&mut store, provider, rng, HIDDEN)?;
        let all = |namespace: &str| store.scan(namespace, &[], usize::MAX);
        let all_named = |namespace| hidden.all(&store, namespace);
        let mut records = BTreeMap::new();
        for (key, value) in all(GROUP)? {
            records.insert(GroupId::from(key), decoded("a group's record", &value)?);
        }
        let mut queue = BTreeMap::new();
        for (key, value) in all(QUEUE)? {
            queue.insert(number("the queue", &key)?, decoded("the queue", &value)?);
        }
        let mut lines = BTreeMap::new();
        for (key, value) in all(LINE)? {
            lines.insert(number("the news", &key)?, decoded("the news", &value)?);
        }
        let mut accounts = BTreeMap::new();
        for (_, value) in all_named(ACCOUNT)? {
            let account: Account = decoded("an account", &value)?;
            accounts.insert(account.user().clone(), account);
        }
        let mut alarmed = BTreeSet::new();
        for (key, _) in all_named(ALARMED)? {
            alarmed.insert(name("a user", &key)?);
        }
        let confirmed = store.get(META, CONFIRMED)?.is_some();
        let mut revoking = BTreeSet::new();
        for (key, _) in all_named(REVOKING)? {
            revoking.insert(name("a device", &key)?);
        }
        let watch = stored(&store, WATCH, "what is known of the service")?;
        let incarnation = stored(&store, INCARNATION, "the service's incarnation")?;
        let domain = store.get(META, DOMAIN)?.map(|domain| text("the domain", &domain));
        let domain = domain.transpose()?;
        let evidence = all(EVIDENCE)?.len() as u64;
        let mut behind = BTreeMap::new();
        for (key, value) in all_named(BEHIND)? {
            behind.insert(name("a user", &key)?, decoded("what is not published", &value)?);
        }
        let mut missing: BTreeMap<GroupId, Hashes> = BTreeMap::new();
        for (key, value) in all(MISSING)? {
            let (group, _) = key.split_at(key.len().saturating_sub(8));
            let group = GroupId::from_bytes(group).map_err(|e| damaged("what is missing", e))?;
            let Kept { entry, .. } = decoded("what is missing", &value)?;
            missing.entry(group).or_default().insert(entry.seq, sha256(&entry.message));
        }
        let mut trust = BTreeMap::new();
        for (key, value) in all_named(TRUST)? {
            let value = match value.expose() {
                [1] => Trust::Accepted,
                [2] => Trust::Blocked,
                other => return Err(damaged("the trust in somebody", format!("{other:?}"))),
            };
            trust.insert(who(&key)?, value);
        }
        let marks: Option<Marks> = stored(&store, MARKS, "the state's marks")?;
        let copied = stored(&store, COPIED, "the record of a copy")?;
        let key_renewals: Option<Times> =
            stored(&store, KEY_RENEWALS, "the renewals of the device's key")?;
        let mut rejoins = BTreeMap::new();
        for (key, value) in all(REJOIN)? {
            rejoins.insert(GroupId::from(key), decoded("the way back into a group", &value)?);
        }
        let mut seen: BTreeMap<GroupId, Seen> = BTreeMap::new();
        for (key, value) in all(SEEN_SINCE)? {
            let begun = decoded("since when members are looked for", &value)?;
            seen.entry(GroupId::from(key)).or_default().begun = Some(begun);
        }
        for (key, value) in all(SEEN)? {
            let what = "when a member was seen";
            let (group, leaf) = key.split_at(key.len().saturating_sub(4));
            let leaf = <[u8; 4]>::try_from(leaf).map_err(|e| damaged(what, e))?;
            let day = decoded(what, &value)?;
            let seen = seen.entry(GroupId::from(group)).or_default();
            seen.days.insert(u32::from_be_bytes(leaf), day);
        }
        let mut awaited = BTreeMap::new();
        for (key, value) in all(AWAITED)? {
            awaited.insert(GroupId::from(key), decoded("devices that may come back", &value)?);
        }
        let since: Option<u64> = stored(&store, KEY_PACKAGES_SINCE, "the age of key packages")?;
        let unpublished = all(PUBLISH)?.into_iter().map(|(key, _)| key.into()).collect();
        let former_current = store.get(META, CURRENT)?.map(|id| GroupId::from(id.expose()));
        let last = queue.keys().next_back().max(lines.keys().next_back()).copied();
        let before = store.get(META, NUMBERS)?.map(|bytes| number("the numbers", bytes.expose()));
        let next = last.map_or(0, |last| last + 1).max(before.transpose()?.unwrap_or_default());
        let (first, failures) = (next, 0);
        Ok(Self {
            store,
            hidden,
            identity,
            records,
            queue,
            lines,
            accounts,
            alarmed,
            confirmed,
            revoking,
            watch,
            incarnation,
            domain,
            evidence,
            behind,
            missing,
            former_current,
            trust,
            unpublished,
            marks: marks.unwrap_or_default(),
            copied,
            key_renewals: key_renewals.unwrap_or_default(),
            rejoins,
            seen,
            awaited,
            key_packages_since: since.unwrap_or_default(),
            next,
            first,
            failures,
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    pub(crate) fn records(&self) -> &BTreeMap<GroupId, GroupRecord> {
        &self.records
    }

    pub(crate) fn record(&self, group: &GroupId) -> Option<&GroupRecord> {
        self.records.get(group)
    }

    pub(crate) fn lines(&self) -> &BTreeMap<u64, Line> {
        &self.lines
    }

    pub(crate) fn accounts(&self) -> &BTreeMap<Name, Account> {
        &self.accounts
    }

    /// A user's account.
    pub(crate) fn account(&self, user: &Name) -> Option<&Account> {
        self.accounts.get(user)
    }

    /// Whether the service has taken this device's account, or another device of the user has admitted this one.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// Whether the user was told that the service has contradicted itself of somebody.
    pub(crate) fn is_alarmed(&self, user: &Name) -> bool {
        self.alarmed.contains(user)
    }

    /// All users of whom that holds.
    pub(crate) fn alarmed(&self) -> impl Iterator<Item = &Name> {
        self.alarmed.iter()
    }

    /// The device that was admitted and is not in the groups yet, and the code that it has shown.
    pub(crate) fn admitted(&self) -> Result<Option<(LinkCode, Name)>, StoreError> {
        let Some(stored) = self.store.get(META, ADMITTED)? else { return Ok(None) };
        let what = "the device that was admitted";
        let stored = core::str::from_utf8(stored.expose()).map_err(|e| damaged(what, e))?;
        let (linked, device) = stored.split_once(' ').unwrap_or_default();
        Ok(Some((code(linked.as_bytes())?, name("a device", device)?)))
    }

    /// The code by which this device was admitted, if it has not said yet that it is ready.
    pub(crate) fn tell_ready(&self) -> Result<Option<LinkCode>, StoreError> {
        let stored = self.store.get(META, TELL_READY)?;
        stored.map(|stored| code(stored.expose())).transpose()
    }

    /// The devices of this user that are to be revoked.
    pub(crate) fn revoking(&self) -> &BTreeSet<Name> {
        &self.revoking
    }

    /// What is known of the service; none before it was met.
    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Which life of its state the service was in when it was last asked; none if it was not asked.
    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        self.incarnation
    }

    /// The domain that the service has for URIs, if it has told one.
    pub(crate) fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// What the service has lost of a group's log, as far as it is not there again.
    pub(crate) fn missing(&self, group: &GroupId) -> Option<&Hashes> {
        self.missing.get(group)
    }

    /// The entries of that, ascending.
    pub(crate) fn missing_entries(&self, group: &GroupId) -> Result<Vec<Kept>, StoreError> {
        self.entries(MISSING, group, usize::MAX)
    }

    /// The first of the entries that are kept of a group's log, ascending: so many at most.
    pub(crate) fn kept(&self, group: &GroupId, limit: usize) -> Result<Vec<Kept>, StoreError> {
        self.entries(KEPT, group, limit)
    }

    fn entries(
        &self,
        namespace: &str,
        group: &GroupId,
        limit: usize,
    ) -> Result<Vec<Kept>, StoreError> {
        let prefix = encoded(group)?;
        let found = self.store.scan(namespace, &prefix, limit)?.into_iter();
        let of_group = found.take_while(|(key, _)| key.starts_with(&prefix));
        of_group.map(|(_, value)| decoded("an entry of a log", &value)).collect()
    }

    /// How many files of evidence there are, numbered from 1.
    pub(crate) fn evidence_count(&self) -> u64 {
        self.evidence
    }

    /// A file of evidence.
    pub(crate) fn evidence(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.store.get(EVIDENCE, &number.to_be_bytes())?;
        Ok(bytes.map(|bytes| bytes.expose().to_vec()))
    }

    /// The users of whom the directory does not have all, and what it lacks.
    pub(crate) fn behind(&self) -> &BTreeMap<Name, Unpublished> {
        &self.behind
    }

    /// All entries of the own account log.
    pub(crate) fn own_log(&self) -> Result<Vec<Bytes>, StoreError> {
        let entries = self.store.scan(OWN_LOG, &[], usize::MAX)?;
        Ok(entries.into_iter().map(|(_, entry)| entry.expose().into()).collect())
    }

    /// What the user thinks of a device's invitations: what was said of the device counts for more
    /// than what was said of all devices of its user.
    pub(crate) fn trust(&self, device: &DeviceId) -> Option<Trust> {
        let (one, all) =
            (Who::from(device.clone()), Who { user: device.user.clone(), device: None });
        self.trust.get(&one).or_else(|| self.trust.get(&all)).copied()
    }

    /// What was said of these devices, one by one or together.
    pub(crate) fn trusted(&self, who: &Who) -> impl Iterator<Item = (&Who, Trust)> {
        let among = move |known: &Who| match (&who.device, &known.device) {
            (None, _) => who.user == known.user,
            (Some(_), _) => who == known,
        };
        self.trust.iter().filter(move |(known, _)| among(known)).map(|(who, trust)| (who, *trust))
    }

    pub(crate) fn former_current(&self) -> Option<&GroupId> {
        self.former_current.as_ref()
    }

    pub(crate) fn unpublished(&self) -> &BTreeSet<KeyPackageRef> {
        &self.unpublished
    }

    /// The marks that the state may have at the service.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// That the state is a copy, if it is known to be.
    pub(crate) fn copied(&self) -> Option<&Copied> {
        self.copied.as_ref()
    }

    /// When the device has taken new keys.
    pub(crate) fn key_renewals(&self) -> &Times {
        &self.key_renewals
    }

    /// How far the device is on its way back into a group, or when it has come back; none if it never had to come back.
    pub(crate) fn rejoin(&self, group: &GroupId) -> Option<&Rejoin> {
        self.rejoins.get(group)
    }

    /// When its members were last seen in a group's log; none if nothing is noted of it.
    pub(crate) fn seen(&self, group: &GroupId) -> Option<&Seen> {
        self.seen.get(group)
    }

    /// The user's devices that were removed from a group after a long silence, and are not back.
    pub(crate) fn awaited(&self, group: &GroupId) -> &[Awaited] {
        self.awaited.get(group).map(Vec::as_slice).unwrap_or_default()
    }

    /// The time since which this device's key packages must have been made, in seconds since 1970.
    pub(crate) fn key_packages_since(&self) -> u64 {
        self.key_packages_since
    }

    /// What the user calls a group.
    pub(crate) fn group_name(&self, group: &GroupId) -> String {
        match self.record(group) {
            Some(record) if is_readable(&record.name) => record.name.clone(),
            _ => short_group(group).trim_end_matches('…').to_string(),
        }
    }

    /// A name that no other group is shown by, nor one that looks like it. Strangers make as many
    /// groups of one name as they like, so the names are not compared one by one.
    pub(crate) fn free_name(&self, group: &GroupId, wanted: &str) -> String {
        let mut taken = Looks::default();
        let others = self.records.keys().filter(|id| *id != group);
        others.for_each(|id| taken.add(&self.group_name(id)));
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        let mut names = std::iter::once(wanted.to_string()).chain(numbered);
        names.find(|name| !taken.has(name)).unwrap_or_default()
    }

    /// How much of what was queued since the records were loaded has failed.
    pub(crate) fn failures(&self) -> usize {
        self.failures
    }

    /// What is to be done in a group, in order.
    pub(crate) fn items(&self, group: &GroupId) -> impl Iterator<Item = (u64, &Item)> {
        let of_group = self.queue.iter().filter(move |(_, item)| item.group == *group);
        of_group.map(|(key, item)| (*key, item))
    }

    /// What is to be done next in a group.
    pub(crate) fn front(&self, group: &GroupId) -> Option<(u64, &Item)> {
        self.items(group).next()
    }

    /// How many things that were asked for since this process began are not done.
    pub(crate) fn asked(&self, counts: impl Fn(&Work) -> bool) -> usize {
        let asked = self.queue.range(self.first..);
        asked.filter(|(_, item)| counts(&item.work)).count()
    }

    /// The groups that are to be joined by a link.
    pub(crate) fn joining(&self) -> Vec<GroupId> {
        let joins = self.queue.values().filter(|item| matches!(item.work, Work::Join { .. }));
        joins.map(|item| item.group.clone()).collect()
    }

    /// Whether leaving the group was asked for.
    pub(crate) fn leaving(&self, group: &GroupId) -> bool {
        self.items(group).any(|(_, item)| matches!(item.work, Work::Leave { .. }))
    }

    /// The secrets of an own key package.
    pub(crate) fn key_package(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<Secret>, StoreError> {
        self.store.get(KEY_PACKAGE, reference)
    }

    /// The secrets of all own key packages.
    pub(crate) fn key_packages(&self) -> Result<Vec<(KeyPackageRef, Secret)>, StoreError> {
        let all = self.store.scan(KEY_PACKAGE, &[], usize::MAX)?;
        Ok(all.into_iter().map(|(key, secret)| (key.into(), secret)).collect())
    }

    /// The last messages of a group, the oldest first.
    pub(crate) fn history(&self, group: &GroupId, limit: usize) -> Result<Vec<News>, StoreError> {
        let prefix = encoded(group)?;
        let found = self.store.scan(HISTORY, &prefix, limit)?;
        let mut news = found
            .into_iter()
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(_, value)| decoded("the history", &value))
            .collect::<Result<Vec<News>, _>>()?;
        news.reverse();
        Ok(news)
    }

    /// Writes changes of the records, and of a group with them, as one step; then they are in
    /// memory, too.
    pub(crate) fn commit(
        &mut self,
        batch: Option<&Batch>,
        changes: Vec<Change>,
    ) -> Result<(), StoreError> {
        let mut set = WriteSet::new();
        set.batches.extend(batch.cloned());
        let (mut next, mut evidence) = (self.next, self.evidence);
        for change in &changes {
            next += u64::from(matches!(change, Change::NewItem(_) | Change::News(..)));
            evidence += u64::from(matches!(change, Change::Evidence(_)));
            let number = match change {
                Change::Evidence(_) => evidence,
                _ => next.wrapping_sub(1),
            };
            write_change(&mut set, (&self.identity, &self.hidden), change, number)?;
        }
        if changes.iter().any(|change| matches!(change, Change::Acknowledged(_))) {
            set.put(META, NUMBERS, next.to_be_bytes());
        }
        self.store.write(&set)?;
        self.failures += failures(&changes, self.first);
        for change in changes {
            self.move_in(change);
        }
        Ok(())
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn move_in(&mut self, change: Change) {
        match change {
            Change::Record(group, record) => {
                self.records.insert(group, record);
            }
            Change::NewItem(item) => {
                let key = self.number();
                self.queue.insert(key, item);
            }
            Change::Item(key, Some(item)) => {
                self.queue.insert(key, item);
            }
            Change::Item(key, None) => {
                self.queue.remove(&key);
            }
            Change::News(group, news) => {
                let key = self.number();
                self.lines.insert(key, Line { group, news });
            }
            Change::Acknowledged(key) => {
                self.lines.remove(&key);
            }
            Change::Line(key, line) => {
                self.lines.insert(key, line);
            }
            Change::Account(account) => {
                self.accounts.insert(account.user().clone(), account);
            }
            Change::ForgetAccount(user) => {
                self.accounts.remove(&user);
            }
            Change::Alarmed(user, true) => {
                self.alarmed.insert(user);
            }
            Change::Alarmed(user, false) => {
                self.alarmed.remove(&user);
            }
            Change::OwnEntry(_)
            | Change::Adopted(..)
            | Change::Admitted(_)
            | Change::TellReady(_)
            | Change::Certified(_) => {}
            Change::ForgetOwnLog => {
                self.accounts.remove(&self.identity.device.user);
            }
            Change::Confirmed(confirmed) => self.confirmed = confirmed,
            Change::Revoking(device, true) => {
                self.revoking.insert(device);
            }
            Change::Revoking(device, false) => {
                self.revoking.remove(&device);
            }
            Change::Marks(marks) => self.marks = marks,
            Change::Copied(copied) => self.copied = copied,
            Change::Identity(identity) => self.identity = *identity,
            Change::KeyRenewals(times) => self.key_renewals = times,
            Change::Rejoin(group, rejoin) => {
                self.rejoins.insert(group, rejoin);
            }
            Change::Seen(group, leaf, Some(day)) => {
                self.seen.entry(group).or_default().days.insert(leaf, day);
            }
            Change::Seen(group, leaf, None) => {
                if let Some(seen) = self.seen.get_mut(&group) {
                    seen.days.remove(&leaf);
                }
            }
            Change::SeenSince(group, day) => self.seen.entry(group).or_default().begun = Some(day),
            Change::Awaited(group, devices) => {
                self.awaited.insert(group, devices);
            }
            Change::KeyPackagesSince(time) => self.key_packages_since = time,
            Change::Watch(watch) => self.watch = Some(watch),
            Change::Incarnation(incarnation) => self.incarnation = Some(incarnation),
            Change::Domain(domain) => self.domain = domain,
            Change::Kept(..) => {}
            Change::Missing(group, seq, Some(kept)) => {
                let hash = sha256(&kept.entry.message);
                self.missing.entry(group).or_default().insert(seq, hash);
            }
            Change::Missing(group, seq, None) => {
                if let Some(missing) = self.missing.get_mut(&group) {
                    missing.remove(&seq);
                    if missing.is_empty() {
                        self.missing.remove(&group);
                    }
                }
            }
            Change::Evidence(_) => self.evidence += 1,
            Change::Behind(user, Some(lacking)) => {
                self.behind.insert(user, lacking);
            }
            Change::Behind(user, None) => {
                self.behind.remove(&user);
            }
            Change::Trust(who, Some(trust)) => {
                self.trust.insert(who, trust);
            }
            Change::Trust(who, None) => {
                self.trust.remove(&who);
            }
            Change::App(_) | Change::KeyPackage(..) => {}
            Change::Publish(reference, true) => {
                self.unpublished.insert(reference);
            }
            Change::Publish(reference, false) => {
                self.unpublished.remove(&reference);
            }
        }
    }
}

/// How many failures a write reports, if it ends something that was queued under `first` or later.
fn failures(changes: &[Change], first: u64) -> usize {
    let ended = |change: &Change| matches!(change, Change::Item(key, None) if *key >= first);
    if !changes.iter().any(ended) {
        return 0;
    }
    let failed = |change: &&Change| matches!(change, Change::News(_, News::Failed { .. }));
    changes.iter().filter(failed).count()
}

/// Adds a change to what is written; `number` is the one that a new item, line or file of evidence gets.
fn write_change(
    set: &mut WriteSet,
    (identity, hidden): (&Identity, &Hidden),
    change: &Change,
    number: u64,
) -> Result<(), StoreError> {
    match change {
        Change::Record(group, record) => set.put(GROUP, group.to_vec(), encoded(record)?),
        Change::NewItem(item) => set.put(QUEUE, number.to_be_bytes(), encoded(item)?),
        Change::Item(key, Some(item)) => set.put(QUEUE, key.to_be_bytes(), encoded(item)?),
        Change::Item(key, None) => set.delete(QUEUE, key.to_be_bytes()),
        Change::News(group, news) => {
            if let (Some(group), News::Message { seq, .. }) = (group, news) {
                set.put(HISTORY, history_key(group, *seq), encoded(news)?);
            }
            let line = Line { group: group.clone(), news: news.clone() };
            set.put(LINE, number.to_be_bytes(), encoded(&line)?);
        }
        Change::Acknowledged(key) => set.delete(LINE, key.to_be_bytes()),
        Change::Line(key, line) => set.put(LINE, key.to_be_bytes(), encoded(line)?),
        Change::Adopted(group, seq) => set.delete(HISTORY, history_key(group, *seq)),
        Change::Account(account) => {
            hidden.put(set, ACCOUNT, account.user(), &encoded(account)?)?;
        }
        Change::ForgetAccount(user) => hidden.delete(set, ACCOUNT, user)?,
        Change::OwnEntry(entry) => set.put(OWN_LOG, entry.sequence.to_be_bytes(), encoded(entry)?),
        Change::ForgetOwnLog => {
            hidden.delete(set, ACCOUNT, &identity.device.user)?;
            // What was never taken has one entry.
            set.delete(OWN_LOG, 0u64.to_be_bytes());
        }
        Change::Confirmed(true) => set.put(META, CONFIRMED, vec![1]),
        Change::Confirmed(false) => set.delete(META, CONFIRMED),
        Change::Alarmed(user, true) => hidden.put(set, ALARMED, user, &[])?,
        Change::Alarmed(user, false) => hidden.delete(set, ALARMED, user)?,
        Change::Admitted(Some((code, device))) => {
            set.put(META, ADMITTED, format!("{code} {device}").into_bytes());
        }
        Change::Admitted(None) => set.delete(META, ADMITTED),
        Change::TellReady(Some(code)) => {
            set.put(META, TELL_READY, code.to_string().into_bytes());
        }
        Change::TellReady(None) => set.delete(META, TELL_READY),
        Change::Revoking(device, true) => hidden.put(set, REVOKING, device, &[])?,
        Change::Revoking(device, false) => hidden.delete(set, REVOKING, device)?,
        Change::Certified(record) => set.put(META, CERTIFIED, encoded(record)?),
        Change::Marks(marks) => set.put(META, MARKS, encoded(marks)?),
        Change::Copied(Some(copied)) => set.put(META, COPIED, encoded(copied)?),
        Change::Copied(None) => set.delete(META, COPIED),
        Change::Identity(identity) => set.put(META, IDENTITY, encoded(&**identity)?),
        Change::KeyRenewals(times) => set.put(META, KEY_RENEWALS, encoded(times)?),
        Change::Rejoin(group, rejoin) => set.put(REJOIN, group.to_vec(), encoded(rejoin)?),
        Change::Seen(group, leaf, Some(day)) => {
            set.put(SEEN, leaf_key(group, *leaf), encoded(day)?);
        }
        Change::Seen(group, leaf, None) => set.delete(SEEN, leaf_key(group, *leaf)),
        Change::SeenSince(group, day) => set.put(SEEN_SINCE, group.to_vec(), encoded(day)?),
        Change::Awaited(group, devices) if devices.is_empty() => {
            set.delete(AWAITED, group.to_vec());
        }
        Change::Awaited(group, devices) => set.put(AWAITED, group.to_vec(), encoded(devices)?),
        Change::KeyPackagesSince(time) => set.put(META, KEY_PACKAGES_SINCE, encoded(time)?),
        Change::Watch(watch) => set.put(META, WATCH, encoded(watch)?),
        Change::Incarnation(incarnation) => set.put(META, INCARNATION, encoded(incarnation)?),
        Change::Domain(Some(domain)) => set.put(META, DOMAIN, domain.as_bytes()),
        Change::Domain(None) => set.delete(META, DOMAIN),
        Change::Kept(group, seq, Some(kept)) => {
            set.put(KEPT, entry_key(group, *seq), encoded(&**kept)?);
        }
        Change::Kept(group, seq, None) => set.delete(KEPT, entry_key(group, *seq)),
        Change::Missing(group, seq, Some(kept)) => {
            set.put(MISSING, entry_key(group, *seq), encoded(&**kept)?);
        }
        Change::Missing(group, seq, None) => set.delete(MISSING, entry_key(group, *seq)),
        Change::Evidence(bytes) => set.put(EVIDENCE, number.to_be_bytes(), bytes.clone()),
        Change::Behind(user, Some(lacking)) => {
            hidden.put(set, BEHIND, user, &encoded(lacking)?)?;
        }
        Change::Behind(user, None) => hidden.delete(set, BEHIND, user)?,
        Change::Trust(who, Some(Trust::Accepted)) => hidden.put(set, TRUST, who, &[1])?,
        Change::Trust(who, Some(Trust::Blocked)) => hidden.put(set, TRUST, who, &[2])?,
        Change::Trust(who, None) => hidden.delete(set, TRUST, who)?,
        Change::App(rows) => rows.add_to(set),
        Change::KeyPackage(reference, Some(secret)) => {
            set.put_secret(KEY_PACKAGE, reference.to_vec(), secret.clone());
        }
        Change::KeyPackage(reference, None) => set.delete(KEY_PACKAGE, reference.to_vec()),
        Change::Publish(reference, true) => set.put(PUBLISH, reference.to_vec(), Vec::new()),
        Change::Publish(reference, false) => set.delete(PUBLISH, reference.to_vec()),
    }
    Ok(())
}
