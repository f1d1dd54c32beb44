//! Properties that hold whatever bytes come: for fuzzers, and for tests with random bytes.

use crate::account::Account;
use crate::entry::{Author, Change, DeviceKey, Entry, RecoveryKey};
use crate::limits::MAX_DEVICES;
use crate::link::{LinkCode, Offer};
use crate::names::Name;
use alloc::string::ToString;
use alloc::vec::Vec;
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, Secret, SignatureKeyPair, SignatureScheme};
use conclave_mls::wire::codec::{Decode, Encode};

const SCHEME: SignatureScheme = SignatureScheme::Ed25519;
/// How many keys there are: few, so that they meet again.
const KEYS: u8 = 6;
const NAMES: [&str; 3] = ["laptop", "phone", "watch"];

/// What decodes encodes to the same bytes.
///
/// # Panics
/// If it does not.
pub fn decode(bytes: &[u8]) {
    fn same<T: Decode + Encode>(bytes: &[u8]) {
        if let Ok(value) = T::from_bytes(bytes) {
            assert_eq!(value.to_bytes().as_deref(), Ok(bytes), "another encoding");
        }
    }
    same::<Entry>(bytes);
    same::<Account>(bytes);
    same::<Offer>(bytes);
    if let Some(code) = core::str::from_utf8(bytes).ok().and_then(|t| t.parse::<LinkCode>().ok()) {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
}

/// Takes bytes as the entries that members who break rules would sign: an account takes each whole or stays as it
/// is, keeps its bounds, and is what its log says.
///
/// # Panics
/// If one of that does not hold, or the provider cannot sign.
#[allow(clippy::expect_used, reason = "a provider that fails is a finding, too")]
pub fn entries(provider: &dyn CryptoProvider, bytes: &[u8]) {
    let key = |n: u8| -> SignatureKeyPair {
        let private = Secret::copy_from(&[n % KEYS + 1; 32]);
        let public = provider.signature_public_key(SCHEME, &private).expect("a key");
        SignatureKeyPair::new(private, public)
    };
    let name = |n: u8| -> Name {
        let name = NAMES.get(usize::from(n) % NAMES.len()).copied().unwrap_or("laptop");
        name.parse().expect("a name")
    };
    let user: Name = "alice".parse().expect("a name");
    let device = |n: u8, k: u8| {
        DeviceKey::proved(provider, &user, name(n), SCHEME, &key(k)).expect("a proof")
    };

    let first =
        Account::draft_creation(provider, &user, device(0, 0), &key(0), UnixTime::MIN).expect("it");
    let mut account = Account::create(provider, &first).expect("an account");
    let mut log = Vec::from([first]);
    for step in bytes.chunks_exact(4).take(64) {
        let &[kind, who, n, k] = step else { continue };
        let recovery = |k| RecoveryKey::proved(provider, &user, SCHEME, &key(k)).expect("a proof");
        let change = match kind % 6 {
            0 => Change::AddDevice(device(n, k)),
            1 => Change::RevokeDevice(name(n)),
            2 => Change::RotateKey(device(n, k)),
            3 => Change::ReplaceRecovery(Some(recovery(k))),
            4 => Change::ReplaceRecovery(None),
            _ => Change::Create { device: device(n, k), recovery: Some(recovery(who)) },
        };
        let author = if who & 0x80 == 0 { Author::Device(name(who)) } else { Author::Recovery };
        let entry = Entry {
            user: user.clone(),
            sequence: account.head().length,
            previous: Some(account.head().hash),
            issued_at: UnixTime::MIN,
            change,
            author,
            signature: Vec::new().into(),
        };
        let entry = entry.signed(provider, SCHEME, &key(who >> 2 & 0x1f)).expect("a signature");

        let before = account.clone();
        if account.apply(provider, &entry).is_ok() {
            log.push(entry);
        } else {
            assert_eq!(account, before, "a refused entry changed the account");
        }
        let signs = account.active().next().is_some() || account.recovery_key().is_some();
        assert!(signs, "nobody can sign any more");
        assert!(account.active().count() <= MAX_DEVICES);
    }

    assert_eq!(Account::from_entries(provider, &log).as_ref(), Ok(&account));
    let stored = account.to_bytes().expect("an encoding");
    assert_eq!(Account::from_bytes(&stored).as_ref(), Ok(&account));
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_mls::crypto::CryptoRng;
    use conclave_provider_rustcrypto::RustCrypto;

    #[test]
    fn random_bytes_break_no_property() {
        let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
        let rng: &mut dyn CryptoRng = &mut rng;
        for length in 0..64 {
            let mut bytes = alloc::vec![0; length * 4];
            rng.fill_bytes(&mut bytes);
            decode(&bytes);
            entries(&RustCrypto::new(), &bytes);
        }
    }
}
