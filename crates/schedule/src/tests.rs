//! Known answers from the working group's test vectors, and properties that the vectors do not
//! show.

use crate::testing::{PORTABLE, TestRng, hex, secret, suite};
use crate::{
    CommitSecret, ConfirmationKey, EpochSecrets, InitSecret, JoinerSecret, MemberSecret, PskSecret,
    SenderDataSecret, confirmation_tag, confirmation_tag_matches, confirmed_transcript_hash,
    export, external_init_from, external_init_to, external_key_pair, interim_transcript_hash,
    psk_secret, sender_data_key_nonce,
};
use alloc::vec::Vec;
use alloc::{format, vec};
use conclave_crypto::{CryptoError, Secret};
use conclave_wire::{AuthenticatedCommit, Decode, Mac, PreSharedKeyId, PskType};

fn external_psk(psk_id: &[u8], psk_nonce: Vec<u8>) -> PreSharedKeyId {
    PreSharedKeyId {
        psktype: PskType::External { psk_id: psk_id.into() },
        psk_nonce: psk_nonce.into(),
    }
}

#[test]
fn epoch_secrets_match_the_key_schedule_vector() {
    let suite = suite(&PORTABLE);
    let context = hex("0001000120a897b53575b4dd35fed4466e4e714bfa949eaa72e616a9c68a47b39cb7a60d2e\
         0000000000000000209769e302a99c457350a8e636009b12a2fee068664004606d6318eb3a1977d81820\
         5e57c9364dc71f0f71b19ffe561ab77257c490708a47e29f8f73f2b318201d2f00");
    let init = InitSecret::from_secret(secret(
        "a897b53575b4dd35fed4466e4e714bfa949eaa72e616a9c68a47b39cb7a60d2e",
    ));
    let commit = CommitSecret::from_secret(secret(
        "a22606222e350fd7f0937168fe7548fb06626ab143cba7611d641693b1447509",
    ));
    let psk = PskSecret::from_secret(secret(
        "e871b247379522395689182736cb3d1e7b108d6ae934b802223975de8dc3f80b",
    ));

    let joiner = JoinerSecret::derive(&suite, &init, &commit, &context).unwrap();
    assert_eq!(
        joiner.expose(),
        hex("4fb996ba26b29a70f3ce6c310151ce8701cb812d027f4d4bbf5cc4e9f884638d")
    );

    let member = MemberSecret::derive(&suite, &joiner, &psk).unwrap();
    assert_eq!(
        member.welcome_secret(&suite).unwrap().expose(),
        hex("ddcd9ced2d264798f876cbd00a200cdc4d77311dfef96975257efb66b0ef2c4d")
    );

    let epoch = member.epoch(&suite, &context).unwrap();
    for (found, want) in [
        (
            epoch.sender_data.as_secret(),
            "9b3995e08589548b75e149190060cf35228df0eefe3527ea2fb39e49a84125b4",
        ),
        (
            epoch.encryption.as_secret(),
            "01588615c93d02c83bda0b587473303b1637a92bf80783206d963f9197c40a13",
        ),
        (
            epoch.exporter.as_secret(),
            "5a097e149f2a375d0b9e1d1f4dc3a9c6c1788df888e5441f41a8791f4dc56cea",
        ),
        (
            epoch.external.as_secret(),
            "b5cb5666cfb9c501ed76715c6ed1cafbed5061cd6b86898ae5d3fd4cb05abb26",
        ),
        (
            epoch.confirmation_key.as_secret(),
            "feabd690de3b4ce985a3dfad86a4c4e6a0be9b84e7cc764842784f2a6b938b75",
        ),
        (
            epoch.membership_key.as_secret(),
            "970744ba7edd21700a3e106cb4e2b4c657cef6b41a1fe5b5a1418f86e76e037e",
        ),
        (
            epoch.resumption_psk.as_secret(),
            "d78ca815e192823f5c7c94b0156bdc7af4791cfb3f240fff613c0c03c01dabd5",
        ),
        (
            epoch.epoch_authenticator.as_secret(),
            "7375d449cde2c5a856c13c8eb52c16bf9ef29eceef59b09d1f946bd1bac24643",
        ),
        (
            epoch.init.as_secret(),
            "505be2ce2ff922aa11e0a03d76346dda2981f1d9edf5cf98ecfc8757f69b00c9",
        ),
        (
            &export(
                &suite,
                &epoch.exporter,
                b"9ba13d54ecdec7cbefcb47b4268d7b1990fabc6d6e67681e167959389d84e4e4",
                &hex("884f1af892ab002f5be4c5d5081ade9e0e6418c6ea7a9a92e90534f19dcef785"),
                32,
            )
            .unwrap(),
            "dbce4e25e59ab4dfa6f6200f113ed08393cf6e7286d024811141c6a4dd11c0cb",
        ),
    ] {
        assert_eq!(found.expose(), hex(want));
    }

    let external = external_key_pair(&suite, &epoch.external).unwrap();
    assert_eq!(
        external.public.as_ref(),
        hex("640117516be304ac1160933c894a6df9290231f1843f3685c124fc42c785c02c")
    );
}

#[test]
fn psks_chain_in_order_as_in_the_vector() {
    let suite = suite(&PORTABLE);
    let first = (
        external_psk(
            &hex("4e96d00ea2059b6c70d0e8777970e65677abee0c4b90e881c4cf7b4aaa8d9184"),
            hex("924a5371246476aca6a92eec7d295af3c9ed3f905aaeb97dc4748ac4cdc889fd"),
        ),
        secret("62e3157cbb3799d0f54fb873e7f7e46257a01e9e4297413e769c4f0afeb1a206"),
    );
    let second = (
        external_psk(
            &hex("8034d46a6150c7c4817f7584edf51006ec8432c55ae1de77d0ccd51c523ed97d"),
            hex("07ade6664316831d1ceddc1f7f8b26ff132f7130f4c6c6c51f07191d8f2a328e"),
        ),
        secret("27f5dd47bf87802cdfac24f1bfde71595a62ea8bc6a9ab335ba23c98d5fee267"),
    );

    let in_order = psk_secret(&suite, &[first.clone(), second.clone()]).unwrap();
    assert_eq!(
        in_order.expose(),
        hex("e582f70f0b6a48dc9a50583895bc90012147e59bf7ba90b29673075fdb646ff2")
    );
    assert_ne!(psk_secret(&suite, &[second, first]).unwrap(), in_order);
    assert_eq!(psk_secret(&suite, &[]).unwrap(), PskSecret::zero(&suite));
}

#[test]
fn the_secret_of_three_psks_matches_the_vector() {
    let suite = suite(&PORTABLE);
    let psks = [
        (
            "42aacc1afc76b1ada7a60114dd51aa740301ae8d4686f17560fffd29bc713e2f",
            "1be1e330144602b77c4205b139ca8b35e380a1f961efdbeb16a9516133c6dab9",
            "013bdae5ca37feb2e7cfa41a9fe09fc3f3d0784f32db2e7f0c065a0d4aefa963",
        ),
        (
            "b4f3ad1afea819ec085d03d2f6c09ad5223df36ae3c04b4b309b3f86f0718708",
            "86ed1b2cccf4d67c588dc9b820eb701372215829bb5836f1d76e997030f48be6",
            "3781c20fec9b8df596b485aa0f7ba9107347a0fe14ff3d90a91379938ceb2682",
        ),
        (
            "f8b94054d4ddd4040ac8e842b9a1cc88060ae0d0434b2543be14d0e9143d3b08",
            "f3ae63a6abc2730c1620716bc47ce230da09da55839116d2ac7d9723167a36a9",
            "6ff21d47faeb5ebe292ee8edd7a85e8650b8e0af483eff99c0c3e44fa3e459a1",
        ),
    ];
    let psks = psks.map(|(id, nonce, psk)| (external_psk(&hex(id), hex(nonce)), secret(psk)));

    assert_eq!(
        psk_secret(&suite, &psks).unwrap().expose(),
        hex("f53ae4e49385c8655baba15eee503cc6a62898e459275a4f809aa07e9276dcdf")
    );
}

#[test]
fn more_psks_than_can_be_counted_are_refused() {
    let suite = suite(&PORTABLE);
    let psks = vec![(external_psk(b"", Vec::new()), Secret::default()); 1 << 16];
    assert_eq!(psk_secret(&suite, &psks), Err(CryptoError::InvalidLength));
}

#[test]
fn transcript_hashes_and_confirmation_tag_match_the_vector() {
    let suite = suite(&PORTABLE);
    let commit = AuthenticatedCommit::from_bytes(&hex(
        "00010567726f7570000000000000345601000000000003220220e740a6faf2db65f5853148d75d9a335d\
         7c4b94ab106fe5f237bc34fdcfc745840040402280c921b6b2836ed4eca496dfa74a13c171f78b80822894\
         032c4c03cc4fb9c24e505c0d0ba4e8edb63a3327442baa12555a57f28e4cfebb4f0c42997030e207203a1d\
         8805d8390f441a622f81bcb7347be86db7cc491d0313163fa63c2f66aa92",
    ))
    .unwrap();

    let interim = hex("2597552c42df799cd70e99c77c4f80e834a9418096a0b2c7bc66afbc48eebaa6");
    let confirmed =
        confirmed_transcript_hash(&suite, &interim, &commit.transcript_hash_input()).unwrap();
    assert_eq!(
        confirmed.to_vec(),
        hex("51a85b21149c86f3f8c2907017c449e96987242b7ba2be9db1ddd53fb2db0d1d")
    );

    let key = ConfirmationKey::from_secret(secret(
        "26ae359a9a9760cd1066cae16f1456ea7eaf52bd85d5dba5bb15cca04a90c83f",
    ));
    let tag = commit.confirmation_tag;
    assert_eq!(confirmation_tag(&suite, &key, &confirmed).unwrap(), tag);
    assert_eq!(
        interim_transcript_hash(&suite, &confirmed, &tag).unwrap().to_vec(),
        hex("193f9e11118fd08ff626069543b481ec5f04145680b612bb84d8962a2e609211")
    );
}

#[test]
fn confirmation_tags_of_every_other_length_are_refused() {
    let suite = suite(&PORTABLE);
    let key = ConfirmationKey::from_secret(Secret::zero(32));
    let tag = confirmation_tag(&suite, &key, b"hash").unwrap();
    let mut longer = tag.to_vec();
    longer.push(0);

    for n in 0..=longer.len() {
        let cut = Mac::from(&longer[..n]);
        let matches = confirmation_tag_matches(&suite, &key, b"hash", &cut).unwrap();
        assert_eq!(matches, n == tag.len(), "{n} bytes");
    }
    for bit in 0..tag.len() * 8 {
        let mut flipped = tag.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!confirmation_tag_matches(&suite, &key, b"hash", &flipped.into()).unwrap());
    }
}

#[test]
fn the_welcome_key_and_nonce_follow_section_12_4_3_1() {
    let suite = suite(&PORTABLE);
    let joiner = JoinerSecret::from_secret(Secret::new(vec![1; 32]));
    let member = MemberSecret::derive(&suite, &joiner, &PskSecret::zero(&suite)).unwrap();
    let secret = member.welcome_secret(&suite).unwrap();
    let derive = |label: &[u8], length| {
        suite.expand_with_label(secret.as_secret(), label, b"", length).unwrap()
    };
    let want = (derive(b"key", 16), derive(b"nonce", 12));
    assert_eq!(member.welcome_key(&suite).unwrap(), want);
}

#[test]
fn both_sides_of_an_external_init_get_the_same_secret() {
    let suite = suite(&PORTABLE);
    let epoch = EpochSecrets::from_epoch_secret(&suite, Secret::zero(32)).unwrap();
    let key_pair = external_key_pair(&suite, &epoch.external).unwrap();
    let (kem_output, init) = external_init_to(&suite, &key_pair.public, &mut TestRng(1)).unwrap();
    assert_eq!(external_init_from(&suite, &key_pair, &kem_output).unwrap(), init);

    // HPKE exports the same secret with the context of section 8.3.
    let exported = suite.export_from(&key_pair, &kem_output, b"MLS 1.0 external init secret");
    assert_eq!(exported.as_ref(), Ok(init.as_secret()));

    let (_, other) = external_init_to(&suite, &key_pair.public, &mut TestRng(2)).unwrap();
    assert_ne!(other, init);
    assert!(external_init_from(&suite, &key_pair, &kem_output[1..]).is_err());
}

#[test]
fn every_input_of_an_epoch_changes_all_its_secrets() {
    let suite = suite(&PORTABLE);
    let epoch = |init: u8, commit: u8, psk: u8, context: &[u8]| {
        let [init, commit, psk] = [init, commit, psk].map(|n| Secret::new(vec![n; 32]));
        let joiner = JoinerSecret::derive(
            &suite,
            &InitSecret::from_secret(init),
            &CommitSecret::from_secret(commit),
            context,
        );
        MemberSecret::derive(&suite, &joiner.unwrap(), &PskSecret::from_secret(psk))
            .and_then(|member| member.epoch(&suite, context))
            .unwrap()
    };

    let one = epoch(0, 0, 0, b"");
    for other in
        [epoch(1, 0, 0, b""), epoch(0, 1, 0, b""), epoch(0, 0, 1, b""), epoch(0, 0, 0, b"x")]
    {
        assert_ne!(one.sender_data, other.sender_data);
        assert_ne!(one.encryption, other.encryption);
        assert_ne!(one.confirmation_key, other.confirmation_key);
        assert_ne!(one.membership_key, other.membership_key);
        assert_ne!(one.init, other.init);
    }
}

#[test]
fn the_sender_data_key_depends_on_the_ciphertext_sample_alone() {
    let suite = suite(&PORTABLE);
    let secret = SenderDataSecret::from_secret(secret(
        "c1d2716789d55bd41e85316b455b7da70433898816e62b15216368d713d1d4fb",
    ));
    let ciphertext =
        hex("c32247575cc61ec993efcb78704012929d0569283f7ab1f85f048791f1170e2639cacf78\
         7be9a58e31a3a21f3f12523d32f8089eeaa0756f69a1488a4e87356ab50b700bf2222ff8b0b258f22d");
    let key = |n: usize| sender_data_key_nonce(&suite, &secret, &ciphertext[..n]).unwrap();

    let whole = key(ciphertext.len());
    assert_eq!(whole.key.expose(), hex("ce20a37761e1152c56e0a6743aaeb520"));
    assert_eq!(whole.nonce.expose(), hex("70f55f0f05fdd2d7459a50bc"));
    assert_eq!(key(32), whole);
    for n in 0..32 {
        assert_ne!(key(n), key(n + 1), "{n} bytes");
    }
}

#[test]
fn secrets_do_not_print_themselves() {
    let suite = suite(&PORTABLE);
    let root = Secret::new(vec![0xab; 32]);
    let epoch = EpochSecrets::from_epoch_secret(&suite, root.clone()).unwrap();
    let member = MemberSecret::derive(
        &suite,
        &JoinerSecret::from_secret(root.clone()),
        &PskSecret::from_secret(root.clone()),
    )
    .unwrap();
    let (key, nonce) = member.welcome_key(&suite).unwrap();

    let all = [&root, epoch.init.as_secret(), epoch.exporter.as_secret(), &key, &nonce];
    let shown = format!(
        "{epoch:?} {epoch:#?} {member:?} {all:?} {:?}",
        JoinerSecret::from_secret(root.clone())
    );
    for secret in all {
        let first = &secret.expose()[..4];
        let in_hex: alloc::string::String = first.iter().map(|b| format!("{b:02x}")).collect();
        let in_decimal = format!("{}, {}", first[0], first[1]);
        assert!(!shown.contains(&in_hex) && !shown.contains(&in_decimal), "{shown}");
    }
}

#[test]
fn a_suite_prints_its_number_and_its_provider() {
    let shown = format!("{:?}", suite(&PORTABLE));
    assert!(shown.contains('1') && shown.ends_with("by RustCrypto"), "{shown}");
}
