//! A recovery key as words that people write down.
//!
//! Twelve words of BIP 39's English list hold 128 bits of randomness and a check sum. The key follows from them by HKDF,
//! so nothing but the words has to be kept.

use crate::reason::Reason;
use bip0039::{English, Mnemonic};
use conclave_mls::crypto::{
    CryptoError, CryptoProvider, CryptoRng, Kdf, Secret, SignatureKeyPair, SignatureScheme,
};
use core::fmt;

/// The signature scheme of recovery keys.
pub(crate) const RECOVERY_SCHEME: SignatureScheme = SignatureScheme::Ed25519;
/// How many words there are.
pub(crate) const WORDS: usize = 12;
const ENTROPY: usize = 16;
const SALT: &[u8] = b"Conclave recovery key 1";

/// The words of a recovery key. A secret: never printed by accident.
#[derive(Clone)]
pub(crate) struct Words(Mnemonic<English>);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(..)")
    }
}

impl Words {
    /// New words.
    pub(crate) fn new(rng: &mut dyn CryptoRng) -> Result<Self, CryptoError> {
        let mut entropy = Secret::zero(ENTROPY);
        rng.fill_bytes(entropy.expose_mut());
        let words = Mnemonic::from_entropy(entropy.expose().to_vec());
        words.map(Self).map_err(|_| CryptoError::InvalidLength)
    }

    /// Words as a user types them, in whatever case.
    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        if words.len() != WORDS {
            return Err(Reason::WordCount { count: words.len() as u64 });
        }
        Mnemonic::from_phrase(words.join(" ")).map(Self).map_err(|_| Reason::WordsMistyped)
    }

    /// The words, in order.
    pub(crate) fn text(&self) -> &str {
        self.0.phrase()
    }

    /// The word at a place, from 1.
    pub(crate) fn word(&self, place: usize) -> &str {
        self.text().split(' ').nth(place.saturating_sub(1)).unwrap_or_default()
    }

    /// The key that they stand for.
    pub(crate) fn key_pair(
        &self,
        provider: &dyn CryptoProvider,
    ) -> Result<SignatureKeyPair, CryptoError> {
        let seed = provider.extract(Kdf::HkdfSha256, SALT, &[self.0.entropy()])?;
        let private = provider.expand(Kdf::HkdfSha256, &seed, &[b"ed25519"], 32)?;
        let public = provider.signature_public_key(RECOVERY_SCHEME, &private)?;
        Ok(SignatureKeyPair::new(private, public))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crypto::testing::TestRng;
    use conclave_provider_rustcrypto::RustCrypto;

    #[test]
    fn words_give_the_same_key_however_they_are_typed() {
        let provider = RustCrypto::new();
        let words = Words::new(&mut TestRng(1)).unwrap();
        assert_eq!(words.text().split(' ').count(), WORDS);
        assert_eq!(words.word(1), words.text().split(' ').next().unwrap());
        let key = words.key_pair(&provider).unwrap();
        let typed = format!("  {}\n", words.text().to_uppercase().replace(' ', "  "));
        let again = Words::parse(&typed).unwrap().key_pair(&provider).unwrap();
        assert_eq!(again.public, key.public);
        let others = Words::new(&mut TestRng(2)).unwrap().key_pair(&provider).unwrap();
        assert_ne!(others.public, key.public);
        assert_eq!(format!("{words:?}"), "Words(..)");
    }

    #[test]
    fn mistyped_words_are_noticed() {
        let words = Words::new(&mut TestRng(3)).unwrap();
        let mut list: Vec<&str> = words.text().split(' ').collect();
        list.swap(0, 1);
        let swapped = list.join(" ");
        for wrong in ["", "abandon", &swapped, &words.text().replacen(words.word(3), "zzz", 1)] {
            assert!(Words::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The words and the key of them, so that no later version forgets anybody's.
    #[test]
    fn the_key_of_some_words_never_changes() {
        let text = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        let key = Words::parse(text).unwrap().key_pair(&RustCrypto::new()).unwrap();
        let hex: String = key.public.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "4a9184113a850d9738c433146aa06be4f159845a11c2544a4ca367f44d1add65");
    }
}
