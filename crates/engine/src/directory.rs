//! Whom to believe: what users' account logs say, as far as this device has checked and stored them.
//!
//! The service keeps the logs and cannot add to them. It can keep an entry back, or show another log under an old
//! name: the first is noticed when the log is asked for again, the second at once, as another log does not
//! continue the one that is stored.

use conclave_account::{Account, Entry, EntryError, EntryFault, Standing};
use conclave_certificates::device_of;
use conclave_delivery_api::{AccountPage, DeviceId, Name};
use conclave_mls::Verdict;
use conclave_mls::credential::{
    CredentialRequest, CredentialSubject, ExternalSender, SignaturePublicKey,
};
use conclave_mls::crypto::CryptoProvider;
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// Who was asked for since credentials of theirs were last judged. Devices come and go, so what was known before
/// says of no device that it does not exist; and what was asked for is not asked for again, or credentials of two
/// devices that nobody has would be asked for in turn without end.
#[derive(Default)]
pub(crate) struct Directory {
    asked: BTreeSet<Name>,
    /// The service as an external sender of groups, once it has said its key.
    sender: Option<ExternalSender>,
}

/// Why an external commit is refused that does not replace its sender's own leaf.
pub(crate) const NOBODY_FROM_OUTSIDE: &str =
    "nobody joins from outside but in place of the own former leaf";

/// What became of credentials.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// One verdict for each.
    Verdicts(Vec<Verdict>),
    /// The service has to be asked first: for these users' logs, or for any user's certificates, whose answer comes
    /// with revocation lists.
    Ask(Vec<Name>),
}

/// Why what the service says of an account is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// Its log is shorter than it was.
    Shorter {
        /// How many entries were there before.
        before: u64,
        /// How many the service has now.
        now: u64,
    },
    /// It does not continue the log that is known.
    OtherLog(EntryError),
    /// An entry is none.
    Malformed(String),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shorter { before, now } => write!(
                f,
                "its log had {before} entries, and the service shows {now}: it keeps some back, or was set \
                 back to a backup"
            ),
            Self::OtherLog(e) => write!(f, "{e}"),
            Self::Malformed(e) => write!(f, "an entry of its log is malformed: {e}"),
        }
    }
}

/// The account after what the service says, and the entries that are new, if that continues what is known of it. The
/// last known entry comes first, so that another log of the same length is noticed, too.
pub(crate) fn continued(
    provider: &dyn CryptoProvider,
    user: &Name,
    known: Option<&Account>,
    page: &AccountPage,
) -> Result<Option<(Account, Vec<Entry>)>, Contradiction> {
    let before = known.map_or(0, |account| account.head().length);
    if page.length < before {
        return Err(Contradiction::Shorter { before, now: page.length });
    }

    let mut account = known.cloned();
    let mut entries = Vec::new();
    let mut overlap = false;
    for bytes in &page.entries {
        let malformed = |e: &dyn fmt::Display| Contradiction::Malformed(e.to_string());
        let entry = Entry::from_bytes(bytes).map_err(|e| malformed(&e))?;
        if let Some(known) = known
            && entry.sequence + 1 == before
        {
            if entry.hash(provider).map_err(|e| malformed(&e))? != known.head().hash {
                let (sequence, fault) = (entry.sequence, EntryFault::OtherHistory);
                return Err(Contradiction::OtherLog(EntryError { sequence, fault }));
            }
            overlap = true;
            continue;
        }
        Account::follow(&mut account, provider, &entry).map_err(Contradiction::OtherLog)?;
        entries.push(entry);
    }
    if known.is_some() && !overlap {
        let what = "the service does not show the entry that was the last".to_string();
        return Err(Contradiction::Malformed(what));
    }
    match account {
        Some(account) if account.user() != user => {
            Err(Contradiction::Malformed(format!("it is the log of {}", account.user())))
        }
        account => Ok(account.map(|account| (account, entries))),
    }
}

/// Whether a credential stands in what a group has decided already: in its tree, in what a member adds, or in the new leaf of
/// a device that has come back. A device that was active then may have another key since, or may have been revoked. To
/// refuse it would not keep it out, but this device: the others have gone on. So it is taken, and removed at once.
pub(crate) fn is_history(request: &CredentialRequest) -> bool {
    let decided = matches!(
        request.subject,
        CredentialSubject::Member(_)
            | CredentialSubject::NewMember
            | CredentialSubject::ExternalReplacement(_)
    );
    let device = device_of(&request.credential);
    decided && request.replaces.as_ref().is_none_or(|old| device_of(old) == device)
}

/// Whether a device's key was revoked, as its user's account says. A key that another one took the place of is not
/// revoked while the device is active: it has to update its leaf.
pub(crate) fn is_revoked(
    accounts: &BTreeMap<Name, Account>,
    device: &DeviceId,
    key: &SignaturePublicKey,
) -> bool {
    let Some(account) = accounts.get(&device.user) else { return false };
    match account.standing(&device.device, key) {
        Standing::Ended(_, end) => !end.rotated || account.device(&device.device).is_none(),
        Standing::Active(_) | Standing::OtherKey(_) | Standing::Unknown => false,
    }
}

impl Directory {
    /// Notes what the service is as an external sender.
    pub(crate) fn set_sender(&mut self, sender: ExternalSender) {
        self.sender = Some(sender);
    }

    /// The service as an external sender, if it has said its key.
    pub(crate) fn sender(&self) -> Option<&ExternalSender> {
        self.sender.as_ref()
    }

    /// The same as [`is_revoked`]; none if the service has to be asked first, as the log may have grown.
    pub(crate) fn judge_revoked(
        &mut self,
        accounts: &BTreeMap<Name, Account>,
        device: &DeviceId,
        key: &SignaturePublicKey,
    ) -> Option<bool> {
        match is_revoked(accounts, device, key) {
            true => Some(true),
            false => self.asked.remove(&device.user).then_some(false),
        }
    }

    /// Notes that the service was asked for a user.
    pub(crate) fn answered(&mut self, user: Name) {
        self.asked.insert(user);
    }

    /// Judges credentials. Nobody is asked for twice before there are verdicts.
    pub(crate) fn judge(
        &mut self,
        accounts: &BTreeMap<Name, Account>,
        requests: &[CredentialRequest],
    ) -> Judged {
        let (mut verdicts, mut ask) = (Vec::new(), Vec::new());
        for request in requests {
            match self.judge_one(accounts, request) {
                Ok(verdict) => verdicts.push(verdict),
                Err(user) => ask.push(user),
            }
        }
        if !ask.is_empty() {
            return Judged::Ask(ask);
        }

        let named = |r: &CredentialRequest| DeviceId::from_identity(r.credential.identity()?).ok();
        for device in requests.iter().filter_map(named) {
            self.asked.remove(&device.user);
        }
        Judged::Verdicts(verdicts)
    }

    /// The verdict on an external sender: it may be the service alone, whose proposals this device checks.
    fn judge_sender(&self, request: &CredentialRequest) -> Verdict {
        let is_service = self.sender.as_ref().is_some_and(|sender| {
            sender.credential == request.credential && sender.signature_key == request.signature_key
        });
        match is_service {
            true => Verdict::Accept,
            false => Verdict::refuse("it takes proposals from outside that are not the service's"),
        }
    }

    /// The verdict on a credential, or whose log it takes.
    fn judge_one(
        &self,
        accounts: &BTreeMap<Name, Account>,
        request: &CredentialRequest,
    ) -> Result<Verdict, Name> {
        match request.subject {
            CredentialSubject::ExternalSender(_) => return Ok(self.judge_sender(request)),
            // The service does not let it in either, unless it breaks the rules.
            CredentialSubject::ExternalJoiner => {
                return Ok(Verdict::refuse(NOBODY_FROM_OUTSIDE));
            }
            _ => {}
        }
        let device = request.credential.identity().map(DeviceId::from_identity);
        let Some(Ok(device)) = device else {
            return Ok(Verdict::refuse("its credential names no device"));
        };

        let account = accounts.get(&device.user);
        let standing = account.map(|a| a.standing(&device.device, &request.signature_key));
        let may_have_grown = !matches!(standing, Some(Standing::Active(_) | Standing::Ended(..)));
        if may_have_grown && !self.asked.contains(&device.user) {
            return Err(device.user);
        }
        Ok(match account {
            Some(_) if matches!(standing, Some(Standing::Ended(..))) && is_history(request) => {
                Verdict::Accept
            }
            Some(account) => account.verdict(request),
            None => Verdict::refuse(&format!("there is no user {}", device.user)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_account::{Author, Change, DeviceKey};
    use conclave_delivery_api::{Bytes, DirectoryPage, SignedRoot};
    use conclave_mls::crypto::{SignatureKeyPair, SignatureScheme};
    use conclave_mls::group::LeafIndex;
    use conclave_mls::wire::codec::Encode;
    use conclave_mls::{Credential, UnixTime};
    use conclave_provider_rustcrypto::RustCrypto;

    const PROVIDER: RustCrypto = RustCrypto::new();
    const ED25519: SignatureScheme = SignatureScheme::Ed25519;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn pair() -> SignatureKeyPair {
        PROVIDER.signature_key_pair(ED25519, &mut rand_core::UnwrapErr(getrandom::SysRng)).unwrap()
    }

    fn device(user: &str, device: &str, pair: &SignatureKeyPair) -> DeviceKey {
        DeviceKey::proved(&PROVIDER, &name(user), name(device), ED25519, pair).unwrap()
    }

    /// The log of a user with one device, called pc.
    fn log(user: &str, pair: &SignatureKeyPair) -> (Account, Entry) {
        let key = device(user, "pc", pair);
        let entry =
            Account::draft_creation(&PROVIDER, &name(user), key, pair, UnixTime::MIN).unwrap();
        (Account::create(&PROVIDER, &entry).unwrap(), entry)
    }

    fn page(entries: &[&Entry], length: u64) -> AccountPage {
        let entries = entries.iter().map(|entry| entry.to_bytes().unwrap().into()).collect();
        let root = SignedRoot { epoch: 0, root: [0; 32], published_at: 0, signature: Vec::new() };
        let directory = DirectoryPage { root, proof: Bytes::default() };
        AccountPage { entries, length, directory }
    }

    fn request(device: &str, key: &SignaturePublicKey) -> CredentialRequest {
        CredentialRequest {
            subject: CredentialSubject::KeyPackage,
            credential: Credential::basic(device.as_bytes()),
            signature_key: key.clone(),
            replaces: None,
        }
    }

    #[test]
    fn an_active_devices_key_is_accepted_without_asking_again() {
        let key = pair();
        let (account, entry) = log("bob", &key);
        let read = continued(&PROVIDER, &name("bob"), None, &page(&[&entry], 1)).unwrap();
        assert_eq!(read.unwrap().0, account);

        let mut directory = Directory::default();
        let wanted = request("bob/pc", &key.public);
        let nobody = BTreeMap::new();
        assert_eq!(
            directory.judge(&nobody, std::slice::from_ref(&wanted)),
            Judged::Ask(vec![name("bob")])
        );
        let accounts = BTreeMap::from([(name("bob"), account)]);
        let accept = Judged::Verdicts(vec![Verdict::Accept]);
        assert_eq!(directory.judge(&accounts, &[wanted]), accept);
    }

    #[test]
    fn a_device_that_is_not_known_is_asked_for_once_each_time() {
        let key = pair();
        let accounts = BTreeMap::from([(name("bob"), log("bob", &key).0)]);
        let mut directory = Directory::default();
        let new = request("bob/phone", &pair().public);
        for _ in 0..2 {
            let ask = directory.judge(&accounts, std::slice::from_ref(&new));
            assert_eq!(ask, Judged::Ask(vec![name("bob")]));
            directory.answered(name("bob"));
            let judged = directory.judge(&accounts, std::slice::from_ref(&new));
            assert!(matches!(judged, Judged::Verdicts(v) if v != [Verdict::Accept]));
        }
    }

    #[test]
    fn a_device_that_has_come_back_stays_known_by_the_key_that_it_had_then() {
        let (key, next) = (pair(), pair());
        let (mut account, _) = log("bob", &key);
        let rotate = Change::RotateKey(device("bob", "pc", &next));
        let author = Author::Device(name("pc"));
        let entry = account.draft(&PROVIDER, author, &key, rotate, UnixTime::MIN).unwrap();
        account.apply(&PROVIDER, &entry).unwrap();

        let accounts = BTreeMap::from([(name("bob"), account)]);
        let mut directory = Directory::default();
        let subject = CredentialSubject::ExternalReplacement(LeafIndex(1));
        let mut judge = |replaced: &str| {
            let replaces = Some(Credential::basic(replaced.as_bytes()));
            let former = CredentialRequest { subject, replaces, ..request("bob/pc", &key.public) };
            directory.judge(&accounts, &[former])
        };
        let accept = Judged::Verdicts(vec![Verdict::Accept]);
        assert_eq!(judge("bob/pc"), accept);
        assert_ne!(judge("bob/phone"), accept);
    }

    #[test]
    fn a_log_that_is_shorter_or_another_one_is_not_believed() {
        let (key, phone) = (pair(), pair());
        let (account, first) = log("bob", &key);
        let mut longer = account.clone();
        let add = Change::AddDevice(device("bob", "phone", &phone));
        let author = Author::Device(name("pc"));
        let second = account.draft(&PROVIDER, author.clone(), &key, add, UnixTime::MIN).unwrap();
        longer.apply(&PROVIDER, &second).unwrap();

        let read = |known: &Account, page: &AccountPage| {
            continued(&PROVIDER, &name("bob"), Some(known), page)
        };
        assert_eq!(read(&account, &page(&[&first, &second], 2)).unwrap().unwrap().0, longer);
        assert!(matches!(read(&account, &page(&[&second], 2)), Err(Contradiction::Malformed(_))));
        let shorter = Contradiction::Shorter { before: 2, now: 1 };
        assert_eq!(read(&longer, &page(&[], 1)), Err(shorter));

        // Another account under this name, with entries that are valid in its own log.
        let other_key = pair();
        let (other, other_first) = log("bob", &other_key);
        let add = Change::AddDevice(device("bob", "phone", &phone));
        let foreign = other.draft(&PROVIDER, author, &other_key, add, UnixTime::MIN).unwrap();
        for entries in [&[&other_first][..], &[&other_first, &foreign], &[&first, &foreign]] {
            let read = read(&account, &page(entries, entries.len() as u64));
            assert!(matches!(read, Err(Contradiction::OtherLog(_))), "{read:?}");
        }
        let carol = log("carol", &pair()).1;
        let swapped = continued(&PROVIDER, &name("bob"), None, &page(&[&carol], 1));
        assert!(matches!(swapped, Err(Contradiction::Malformed(_))));
    }
}
