//! HPKE over both providers: RFC 9180's known answers.

use super::{hex, providers, secret};
use conclave_crypto::hpke::{self, SharedInfo};
use conclave_crypto::{
    Aead, Hash, HpkeKeyPair, HpkePrivateKey, Kdf, Kem, SealItem, SignatureScheme, SuiteParams,
};
use conclave_wire::{CipherSuite, HpkeCiphertext};

/// What RFC 9180's appendix A gives for a base mode set-up, less what follows from the rest.
struct KnownAnswer {
    suite: SuiteParams,
    ikm_e: &'static str,
    enc: &'static str,
    ikm_r: &'static str,
    private: &'static str,
    public: &'static str,
    shared_secret: &'static str,
    key: &'static str,
    base_nonce: &'static str,
    /// Of the plaintext below, with the associated data below, at sequence number 0.
    ciphertext: &'static str,
}

const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
const PLAINTEXT: &str = "4265617574792069732074727574682c20747275746820626561757479";
const AAD: &str = "436f756e742d30";

/// A suite with this HPKE; the rest does not matter here.
const fn suite(kem: Kem, kdf: Kdf, aead: Aead) -> SuiteParams {
    SuiteParams {
        cipher_suite: CipherSuite(0xf000),
        name: "of a test",
        kem,
        kdf,
        aead,
        hash: Hash::Sha256,
        signature: SignatureScheme::Ed25519,
    }
}

/// Sections A.1.1, A.3.1 and A.6.1.
const KNOWN_ANSWERS: [KnownAnswer; 3] = [
    KnownAnswer {
        suite: suite(Kem::DhX25519, Kdf::HkdfSha256, Aead::Aes128Gcm),
        ikm_e: "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
        enc: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        ikm_r: "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
        private: "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
        public: "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
        shared_secret: "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc",
        key: "4531685d41d65f03dc48f6b8302c05b0",
        base_nonce: "56d890e5accaaf011cff4b7d",
        ciphertext: "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9
                     6d8770ac83d07bea87e13c512a",
    },
    KnownAnswer {
        suite: suite(Kem::DhP256, Kdf::HkdfSha256, Aead::Aes128Gcm),
        ikm_e: "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
        enc: "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b
              78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4",
        ikm_r: "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
        private: "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
        public: "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b
                 8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0",
        shared_secret: "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8",
        key: "868c066ef58aae6dc589b6cfdd18f97e",
        base_nonce: "4e0bc5018beba4bf004cca59",
        ciphertext: "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac23
                     2e3ab2523f39513434",
    },
    KnownAnswer {
        suite: suite(Kem::DhP521, Kdf::HkdfSha512, Aead::Aes256Gcm),
        ikm_e: "7f06ab8215105fc46aceeb2e3dc5028b44364f960426eb0d8e4026c2f8b5d7e7a986688f1591abf5
                ab753c357a5d6f0440414b4ed4ede71317772ac98d9239f70904",
        enc: "040138b385ca16bb0d5fa0c0665fbbd7e69e3ee29f63991d3e9b5fa740aab8900aaeed46ed73a4905
              5758425a0ce36507c54b29cc5b85a5cee6bae0cf1c21f2731ece2013dc3fb7c8d21654bb161b463962
              ca19e8c654ff24c94dd2898de12051f1ed0692237fb02b2f8d1dc1c73e9b366b529eb436e98a996ee5
              22aef863dd5739d2f29b0",
        ikm_r: "2ad954bbe39b7122529f7dde780bff626cd97f850d0784a432784e69d86eccaade43b6c10a8ffdb9
                4bf943c6da479db137914ec835a7e715e36e45e29b587bab3bf1",
        private: "01462680369ae375e4b3791070a7458ed527842f6a98a79ff5e0d4cbde83c27196a3916956655523
                  a6a2556a7af62c5cadabe2ef9da3760bb21e005202f7b2462847",
        public: "0401b45498c1714e2dce167d3caf162e45e0642afc7ed435df7902ccae0e84ba0f7d373f646b7738
                 bbbdca11ed91bdeae3cdcba3301f2457be452f271fa6837580e661012af49583a62e48d44bed350c7
                 118c0d8dc861c238c72a2bda17f64704f464b57338e7f40b60959480c0e58e6559b190d81663ed816
                 e523b6b6a418f66d2451ec64",
        shared_secret: "776ab421302f6eff7d7cb5cb1adaea0cd50872c71c2d63c30c4f1d5e43653336fef33b103c
                        67e7a98add2d3b66e2fda95b5b2a667aa9dac7e59cc1d46d30e818",
        key: "751e346ce8f0ddb2305c8a2a85c70d5cf559c53093656be636b9406d4d7d1b70",
        base_nonce: "55ff7a7d739c69f44b25447b",
        ciphertext: "170f8beddfe949b75ef9c387e201baf4132fa7374593dfafa90768788b7b2b200aafcc6d80ea4c
                     795a7c5b841a",
    },
];

#[test]
fn hpke_gives_the_known_answers_of_rfc_9180() {
    for p in providers() {
        let p = &*p;
        for t in &KNOWN_ANSWERS {
            let (kem, aead) = (t.suite.kem, t.suite.aead);
            let key_pair = HpkeKeyPair {
                private: HpkePrivateKey(secret(&hex(t.private))),
                public: hex(t.public).into(),
            };
            let seed = secret(&hex(t.ikm_e));
            assert_eq!(p.kem_derive_key_pair(kem, &secret(&hex(t.ikm_r))).unwrap(), key_pair);
            assert_eq!(p.kem_public_key(kem, &key_pair.private).unwrap(), key_pair.public);

            let shared_secret = secret(&hex(t.shared_secret));
            let (enc, sent) = p.kem_encap(kem, &key_pair.public, &seed).unwrap();
            assert_eq!((enc, sent), (hex(t.enc), shared_secret.clone()));
            assert_eq!(p.kem_decap(kem, &key_pair, &hex(t.enc)).unwrap(), shared_secret);

            let (key, nonce, plaintext) = (secret(&hex(t.key)), hex(t.base_nonce), hex(PLAINTEXT));
            let sealed = p.aead_seal(aead, &key, &nonce, &hex(AAD), &plaintext).unwrap();
            assert_eq!(sealed, hex(t.ciphertext));

            // MLS seals without associated data, hence with other bytes under the same key.
            let info = SharedInfo::new(p, &t.suite, &hex(INFO)).unwrap();
            let item =
                SealItem { public_key: &key_pair.public, plaintext: &plaintext, seed: &seed };
            let sealed = hpke::seal(p, &t.suite, &info, &item).unwrap();
            let want = HpkeCiphertext {
                kem_output: hex(t.enc).into(),
                ciphertext: p.aead_seal(aead, &key, &nonce, &[], &plaintext).unwrap().into(),
            };
            assert_eq!(sealed, want);
            let opened = hpke::open(p, &t.suite, &info, &key_pair, &want).unwrap();
            assert_eq!(opened, secret(&plaintext));
        }
    }
}
