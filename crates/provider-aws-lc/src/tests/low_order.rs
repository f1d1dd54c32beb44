use super::{TestRng, hex, providers, secret};
use conclave_crypto::{CryptoError, DhGroup, has_low_order};

/// Every coordinate around zero and around the order, and those of order 8 where there are any,
/// with and without the bit that X25519 ignores.
fn suspects(group: DhGroup) -> Vec<Vec<u8>> {
    let n = group.public_key_len();
    let mut all = Vec::new();
    for low in 0..=255 {
        let small = [&[low][..], &vec![0; n - 1]].concat();
        let large = [&[low][..], &vec![0xff; n - 1]].concat();
        all.extend([small.clone(), large.clone()]);
        let (mut p, mut above) = (large, small);
        match group {
            DhGroup::X25519 => p[n - 1] = 0x7f,
            _ => {
                p[28] = 0xfe;
                above[28..].fill(0xff);
            }
        }
        all.extend([p, above]);
    }
    if group == DhGroup::X25519 {
        all.extend([
            hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        ]);
        let flipped = all.iter().map(|u| {
            let mut u = u.clone();
            u[n - 1] ^= 0x80;
            u
        });
        all.extend(flipped.collect::<Vec<_>>());
    }
    all
}

#[test]
fn keys_with_which_no_agreement_succeeds_are_invalid_and_no_others() {
    let mut rng = TestRng(5);
    for provider in providers() {
        for (group, orders) in [(DhGroup::X25519, 14), (DhGroup::X448, 5)] {
            let private = secret(&rng.bytes(group.private_key_len()));
            let mut found = std::collections::BTreeSet::new();
            let others = (0..20).map(|_| rng.bytes(group.public_key_len())).collect::<Vec<_>>();
            for public in suspects(group).into_iter().chain(others) {
                let agreed = provider.dh(group, &private, &public);
                let low = agreed == Err(CryptoError::InvalidSharedSecret);
                assert_eq!(has_low_order(group, &public), low, "{group:?} {public:02x?}");
                let valid = provider.dh_validate_public_key(group, &public);
                assert_eq!(valid.is_err(), low);
                if low {
                    found.insert(public);
                }
            }
            assert_eq!(found.len(), orders, "{group:?}");
        }
    }
}
