use crate::common::{PROVIDER, device, name, pair};
use conclave_account::{LinkCode, LinkError, Offer, Parcel};
use conclave_mls::crypto::SignatureScheme;
use conclave_mls::wire::codec::Encode;

fn rng() -> impl conclave_mls::crypto::CryptoRng {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

fn offer() -> Offer {
    let key = pair(SignatureScheme::Ed25519);
    Offer { user: name("alice"), device: device("alice", "phone", &key) }
}

#[test]
fn a_code_is_read_however_it_is_written() {
    let code = LinkCode::new(&PROVIDER, &mut rng(), &offer()).unwrap();
    let text = code.to_string();
    assert_eq!(text.len(), 8 * 4 + 7, "{text}");
    for written in
        [text.clone(), text.to_uppercase(), text.replace('-', " "), text.replace('-', "")]
    {
        assert_eq!(written.parse::<LinkCode>(), Ok(code.clone()));
    }
    let lookalike = text.replace('0', "o").replace('1', "l");
    assert_eq!(lookalike.parse::<LinkCode>(), Ok(code));
    for wrong in ["", "abcd", &text[1..], &format!("{text}0"), &text.replace(&text[..1], "u")] {
        assert_eq!(wrong.parse::<LinkCode>(), Err(LinkError::NoCode), "{wrong}");
    }
}

#[test]
fn the_relay_can_neither_read_nor_replace_a_parcel() {
    let offer = offer();
    let code = LinkCode::new(&PROVIDER, &mut rng(), &offer).unwrap();
    let bytes = offer.to_bytes().unwrap();
    let sealed = code.seal(&PROVIDER, &mut rng(), Parcel::Offer, &bytes).unwrap();
    assert_eq!(code.open_offer(&PROVIDER, &sealed), Ok(offer));

    // Changed, cut short, of another purpose, or of another code.
    for position in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[position] ^= 1;
        assert_eq!(code.open_offer(&PROVIDER, &flipped), Err(LinkError::Mismatch));
        assert_eq!(code.open_offer(&PROVIDER, &sealed[..position]), Err(LinkError::Mismatch));
    }
    assert_eq!(code.open(&PROVIDER, Parcel::Log, &sealed), Err(LinkError::Mismatch));
    let other = LinkCode::new(&PROVIDER, &mut rng(), &self::offer()).unwrap();
    assert_eq!(other.open_offer(&PROVIDER, &sealed), Err(LinkError::Mismatch));
    assert_ne!(other.slot(&PROVIDER, Parcel::Offer), code.slot(&PROVIDER, Parcel::Offer));
    assert_ne!(code.slot(&PROVIDER, Parcel::Log), code.slot(&PROVIDER, Parcel::Offer));
}

#[test]
fn whoever_sees_the_code_cannot_put_in_their_own_offer() {
    let code = LinkCode::new(&PROVIDER, &mut rng(), &offer()).unwrap();
    let theirs = offer().to_bytes().unwrap();
    let sealed = code.seal(&PROVIDER, &mut rng(), Parcel::Offer, &theirs).unwrap();
    assert_eq!(code.open_offer(&PROVIDER, &sealed), Err(LinkError::Mismatch));
}

#[test]
fn a_code_is_not_printed_by_accident() {
    let code = LinkCode::new(&PROVIDER, &mut rng(), &offer()).unwrap();
    assert_eq!(format!("{code:?}"), "LinkCode(..)");
}
