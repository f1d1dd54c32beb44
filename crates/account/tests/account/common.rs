//! People with keys, for the tests of this crate.

use conclave_account::{Account, Author, Change, DeviceKey, Entry, EntryFault, Name, RecoveryKey};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_provider_rustcrypto::RustCrypto;

pub(crate) const PROVIDER: RustCrypto = RustCrypto::new();
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000).unwrap();
pub(crate) const ED25519: SignatureScheme = SignatureScheme::Ed25519;

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn pair(scheme: SignatureScheme) -> SignatureKeyPair {
    let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
    PROVIDER.signature_key_pair(scheme, &mut rng).unwrap()
}

pub(crate) fn device(user: &str, device: &str, pair: &SignatureKeyPair) -> DeviceKey {
    DeviceKey::proved(&PROVIDER, &name(user), name(device), ED25519, pair).unwrap()
}

pub(crate) fn recovery(user: &str, pair: &SignatureKeyPair) -> RecoveryKey {
    RecoveryKey::proved(&PROVIDER, &name(user), ED25519, pair).unwrap()
}

pub(crate) fn author(device: &str) -> Author {
    Author::Device(name(device))
}

/// Alice's account, with her laptop alone.
pub(crate) struct Alice {
    pub(crate) laptop: SignatureKeyPair,
    pub(crate) log: Vec<Entry>,
    pub(crate) account: Account,
}

impl Alice {
    pub(crate) fn new() -> Self {
        let laptop = pair(ED25519);
        let key = device("alice", "laptop", &laptop);
        let entry = Account::draft_creation(&PROVIDER, &name("alice"), key, &laptop, NOW).unwrap();
        let account = Account::create(&PROVIDER, &entry).unwrap();
        Self { laptop, log: vec![entry], account }
    }

    pub(crate) fn draft(&self, author: Author, pair: &SignatureKeyPair, change: Change) -> Entry {
        self.account.draft(&PROVIDER, author, pair, change, NOW).unwrap()
    }

    /// What the account says of an entry; it stays as it is.
    pub(crate) fn fault(&self, entry: &Entry) -> Option<EntryFault> {
        let mut account = self.account.clone();
        let error = account.apply(&PROVIDER, entry).err();
        if error.is_some() {
            assert_eq!(account, self.account, "a refused entry changed the account");
        }
        error.map(|e| e.fault)
    }

    pub(crate) fn take(&mut self, entry: Entry) {
        self.account.apply(&PROVIDER, &entry).unwrap();
        self.log.push(entry);
    }

    /// An entry of the laptop's, taken.
    pub(crate) fn change(&mut self, change: Change) {
        let entry = self.draft(author("laptop"), &self.laptop, change);
        self.take(entry);
    }

    /// A further device of Alice's.
    pub(crate) fn add(&mut self, device_name: &str) -> SignatureKeyPair {
        let pair = pair(ED25519);
        self.change(Change::AddDevice(device("alice", device_name, &pair)));
        pair
    }
}
