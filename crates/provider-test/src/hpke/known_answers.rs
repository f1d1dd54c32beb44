//! The vectors of RFC 9180 and of the drafts for post-quantum KEMs.

use crate::checks::Checks;
use crate::vectors::{hex, secret};
use conclave_crypto::hpke::{self, Psk, SharedInfo};
use conclave_crypto::{
    Aead, Hash, HpkeKeyPair, HpkePrivateKey, Kdf, Kem, PqSuite, SealItem, SignatureScheme,
    SuiteParams, kem,
};
use conclave_wire::{CipherSuite, HpkeCiphertext};

pub(super) fn run(c: &mut Checks<'_>) {
    of_rfc_9180(c);
    of_the_psk_mode(c);
    of_hybrids(c);
    of_the_post_quantum_draft(c);
}

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

/// A suite with this HPKE; the other components do not matter here.
const fn suite(kem: Kem, kdf: Kdf, aead: Aead) -> SuiteParams {
    SuiteParams {
        cipher_suite: CipherSuite(0xf000),
        name: "of a vector",
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

fn of_rfc_9180(c: &mut Checks<'_>) {
    let p = c.provider;
    for t in &KNOWN_ANSWERS {
        let SuiteParams { kem, kdf, aead, .. } = t.suite;
        let has = p.has_kem(kem) && p.has_kdf(kdf) && p.has_aead(aead);
        if !has || !c.begin(kem) {
            continue;
        }

        let pair = HpkeKeyPair {
            private: HpkePrivateKey(secret(&hex(t.private))),
            public: hex(t.public).into(),
        };
        let found = kem::derive_key_pair(p, kem, &secret(&hex(t.ikm_r)));
        c.equal(format_args!("RFC 9180, DeriveKeyPair"), found, Ok(pair.clone()));
        let found = kem::public_key(p, kem, &pair.private);
        c.equal(format_args!("RFC 9180, public key"), found, Ok(pair.public.clone()));

        let shared = secret(&hex(t.shared_secret));
        let seed = secret(&hex(t.ikm_e));
        let found = kem::encap(p, kem, &pair.public, &seed);
        c.equal(format_args!("RFC 9180, Encap"), found, Ok((hex(t.enc), shared.clone())));
        let found = kem::decap(p, kem, &pair, &hex(t.enc));
        c.equal(format_args!("RFC 9180, Decap"), found, Ok(shared));

        let key = secret(&hex(t.key));
        let nonce = hex(t.base_nonce);
        let plaintext = hex(PLAINTEXT);
        let found = p.aead_seal(aead, &key, &nonce, &hex(AAD), &plaintext);
        c.equal(format_args!("RFC 9180, Seal"), found, Ok(hex(t.ciphertext)));

        // MLS seals without associated data, so the ciphertext differs under the same key.
        let info = SharedInfo::new(p, &t.suite, &hex(INFO));
        let Some(info) = c.ok(format_args!("RFC 9180, info"), info) else { continue };
        let item = SealItem { public_key: &pair.public, plaintext: &plaintext, seed: &seed };
        let found = hpke::seal(p, &t.suite, &info, &item);
        let without_aad = p.aead_seal(aead, &key, &nonce, &[], &plaintext);
        let Some(ciphertext) = c.ok(format_args!("sealing"), without_aad) else { continue };
        let expected =
            HpkeCiphertext { kem_output: hex(t.enc).into(), ciphertext: ciphertext.into() };
        c.equal(format_args!("RFC 9180, without associated data"), found, Ok(expected.clone()));
        let opened = hpke::open(p, &t.suite, &info, &pair, &expected);
        c.equal(format_args!("RFC 9180, opening"), opened, Ok(secret(&plaintext)));
    }
}

/// What RFC 9180's appendix A gives for a PSK mode set-up, less what follows from the rest.
struct PskAnswer {
    suite: SuiteParams,
    ikm_e: &'static str,
    enc: &'static str,
    private: &'static str,
    public: &'static str,
    ciphertext: &'static str,
}

const PSK: &str = "0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82";
const PSK_ID: &str = "456e6e796e20447572696e206172616e204d6f726961";

/// Section A.1.2.
const PSK_ANSWERS: [PskAnswer; 1] = [PskAnswer {
    suite: suite(Kem::DhX25519, Kdf::HkdfSha256, Aead::Aes128Gcm),
    ikm_e: "78628c354e46f3e169bd231be7b2ff1c77aa302460a26dbfa15515684c00130b",
    enc: "0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b",
    private: "c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd",
    public: "9fed7e8c17387560e92cc6462a68049657246a09bfa8ade7aefe589672016366",
    ciphertext: "e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb
                 611b946199e681f4cfc34db8ea",
}];

fn of_the_psk_mode(c: &mut Checks<'_>) {
    let p = c.provider;
    for t in &PSK_ANSWERS {
        let SuiteParams { kem, kdf, aead, .. } = t.suite;
        let has = p.has_kem(kem) && p.has_kdf(kdf) && p.has_aead(aead);
        if !has || !c.begin(kem) {
            continue;
        }

        let (psk, id) = (secret(&hex(PSK)), hex(PSK_ID));
        let psk = Psk { psk: &psk, id: &id };
        let pair = HpkeKeyPair {
            private: HpkePrivateKey(secret(&hex(t.private))),
            public: hex(t.public).into(),
        };
        let (plaintext, seed) = (hex(PLAINTEXT), secret(&hex(t.ikm_e)));
        let item = SealItem { public_key: &pair.public, plaintext: &plaintext, seed: &seed };
        let found = hpke::seal_psk(p, &t.suite, &psk, &hex(INFO), &hex(AAD), &item);
        let expected =
            HpkeCiphertext { kem_output: hex(t.enc).into(), ciphertext: hex(t.ciphertext).into() };
        c.equal(format_args!("RFC 9180, SealPSK"), found, Ok(expected));

        let (enc, ciphertext) = (hex(t.enc), hex(t.ciphertext));
        let (info, aad) = (hex(INFO), hex(AAD));
        let found = hpke::open_psk(p, &t.suite, &psk, &info, &aad, &pair, &enc, &ciphertext);
        c.equal(format_args!("RFC 9180, OpenPSK"), found, Ok(secret(&plaintext)));
    }
}

/// draft-irtf-cfrg-concrete-hybrid-kems: seeds and randomness of one repeated byte each. A shared secret
/// depends on everything computed on the way, except the ML-KEM ciphertext, which decapsulation compares.
const HYBRIDS: [(Kem, u8, u8, &str); 6] = [
    (
        Kem::MlKem768P256,
        0x00,
        0x64,
        "9bd018e869bb01b63fb8f5da374a73d347ea14cb2bc570b13d0908e2288ec456",
    ),
    (
        Kem::MlKem768P256,
        0x01,
        0x65,
        "d33a83edb4fb5a7508686ba4ddff001c17ba8890e9e3be067d50c959b512f9be",
    ),
    (
        Kem::MlKem768X25519,
        0x00,
        0x64,
        "e5ba94031ea6efd69c09c254f6d9783136ba6037e2d4c43bcccf19d6f3f4343a",
    ),
    (
        Kem::MlKem768X25519,
        0x01,
        0x65,
        "750300db25bff9620e893c2c6fcab9bf04d7f2e543b5b39420485626fa274908",
    ),
    (
        Kem::MlKem1024P384,
        0x08,
        0x6c,
        "3fa279b00ab2798d2d70a2578ea2c76539cbea4bd86d1aa09e92bf0cc40e6626",
    ),
    (
        Kem::MlKem1024P384,
        0x09,
        0x6d,
        "3722070676e89cc0c97613a0207dbd89222219920caf5e9a8c6aa9d1e1a42bd5",
    ),
];

fn of_hybrids(c: &mut Checks<'_>) {
    let p = c.provider;
    for (kem, seed, randomness, shared) in HYBRIDS {
        if !p.has_kem(kem) || !c.begin(kem) {
            continue;
        }

        let private = HpkePrivateKey(secret(&[seed; 32]));
        let public = kem::public_key(p, kem, &private);
        let Some(public) = c.ok(format_args!("the draft's public key {seed}"), public) else {
            continue;
        };
        let randomness = secret(&vec![randomness; kem.encap_seed_len()]);
        let made = kem::encap(p, kem, &public, &randomness);
        let Some((ciphertext, found)) = c.ok(format_args!("the draft's vector {seed}"), made)
        else {
            continue;
        };
        c.equal(format_args!("the draft's vector {seed}"), found, secret(&hex(shared)));
        let pair = HpkeKeyPair { private, public };
        let found = kem::decap(p, kem, &pair, &ciphertext);
        let at = format_args!("the draft's vector {seed}, decapsulated");
        c.equal(at, found, Ok(secret(&hex(shared))));
    }
}

/// What draft-ietf-hpke-pq's vectors give for a base mode set-up with HKDF, less what follows.
struct PqKnownAnswer {
    suite: PqSuite,
    aead: Aead,
    /// The randomness of the encapsulation, as far as it is used.
    ikm_e: &'static str,
    ikm_r: &'static str,
    private: &'static str,
    shared_secret: &'static str,
    key: &'static str,
    base_nonce: &'static str,
}

const PQ_INFO: &str =
    "34663634363532303666366532303631323034373732363536333639363136653230353537323665";

const PQ_KNOWN_ANSWERS: [PqKnownAnswer; 2] = [
    PqKnownAnswer {
        suite: PqSuite::MlKem768P256Aes128P256,
        aead: Aead::Aes128Gcm,
        ikm_e: "0ec0fee6a71457a9dac898a1c161bf1068e68de093f07754155bb8b8b378c17ed09ead96300cc402
                a6371b58928592dd93565834a19839e7dda048d8e04ff65c7b645f36738c370fbb2d684f59e16ea0
                8aea04444762fdf3a70a114ecf0ba435c9a1e869578142b445398f49093bcca618f0ae5e810163b1
                503faf3eeaff0bdc",
        ikm_r: "5e28a96731c6665f07bb00811cd70f0d3d6c44666ca54cddbb7e5946053b6415",
        private: "724eed44c3843d1f260f79b142ce633d602f7989a53ffc9fd4a68690c8e7baa5",
        shared_secret: "26c25e807a24354387a7385bc374953539001fcb7eb99eb8d63ec7fdb8441f46",
        key: "cb79279f04960511e17368b7c83df0be",
        base_nonce: "47cdcf9aec36fdf3730d94ce",
    },
    PqKnownAnswer {
        suite: PqSuite::MlKem768X25519Aes128Ed25519,
        aead: Aead::ChaCha20Poly1305,
        ikm_e: "2a1c0a3745fe8a48fb62034d300f54dfe1974a5b2e169e580a8789cb1cf5fd190fc00f3fd8995
                94e01a8b15334b9f3fa03d8de44da86e19f5776850fb689e6c8",
        ikm_r: "b86e76a59fabfc87b30cd7b1f7aaa28a834eb64e7a261c197b9a842893fbce56",
        private: "3ec47fa82dd5689d27c6190e724c74ec8f608df3331ce331929e37b829676630",
        shared_secret: "58200ed1f137bd95a921bb47f6aaecf2395b26f7fd24efd3a5ffae4849e8dea3",
        key: "131c2ebb469b909a40915914afd7ff5e638888ac7195dcaaaef8f9a84f0e4030",
        base_nonce: "2b7a68f19e6cdbd43dda3c6d",
    },
];

fn of_the_post_quantum_draft(c: &mut Checks<'_>) {
    let p = c.provider;
    for t in &PQ_KNOWN_ANSWERS {
        let suite = SuiteParams { aead: t.aead, ..t.suite.params(CipherSuite(0xf000)) };
        let SuiteParams { kem, kdf, aead, .. } = suite;
        let has = p.has_kem(kem) && p.has_kdf(kdf) && p.has_aead(aead);
        if !has || !c.begin(kem) {
            continue;
        }

        let pair = kem::derive_key_pair(p, kem, &secret(&hex(t.ikm_r)));
        let at = format_args!("draft-ietf-hpke-pq, DeriveKeyPair");
        let Some(pair) = c.ok(at, pair) else { continue };
        c.equal(at, pair.private.0.clone(), secret(&hex(t.private)));

        let mut seed = hex(t.ikm_e);
        seed.resize(kem.encap_seed_len(), 0);
        let seed = secret(&seed);
        let found = kem::encap(p, kem, &pair.public, &seed).map(|(_, shared)| shared);
        let expected = Ok(secret(&hex(t.shared_secret)));
        c.equal(format_args!("draft-ietf-hpke-pq, Encap"), found, expected);

        let info = SharedInfo::new(p, &suite, &hex(PQ_INFO));
        let Some(info) = c.ok(format_args!("draft-ietf-hpke-pq, info"), info) else { continue };
        let item = SealItem { public_key: &pair.public, plaintext: b"text", seed: &seed };
        let found = hpke::seal(p, &suite, &info, &item).map(|sealed| sealed.ciphertext.to_vec());
        let key = secret(&hex(t.key));
        let expected = p.aead_seal(aead, &key, &hex(t.base_nonce), &[], b"text");
        c.equal(format_args!("draft-ietf-hpke-pq, key and nonce"), found, expected);
    }
}
