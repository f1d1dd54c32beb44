//! What is no encoding of a message, and the error that says so: section 6 of the draft and its CDDL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{encoded, head, unhex};
use conclave_content::{
    ContentError, ExtensionKey, Fault, Limit, Limits, MessageId, MimiContent, NestedPart,
    PartSemantics, Value,
};

/// A message whose fields are these, each as hex digits or in diagnostic notation.
fn message(fields: [&str; 7]) -> Vec<u8> {
    let field = |text: &str| match text.strip_prefix("hex ") {
        Some(hex) => unhex(hex),
        None => encoded(text),
    };
    [vec![0x87], fields.map(field).concat()].concat()
}

const SALT: &str = "h'5eed9406c2545547ab6f09f20a18b003'";
const TEXT: &str = "[1, \"\", 1, \"text/plain\", 'hi']";

/// A plain message with one field replaced.
fn with(place: usize, field: &str) -> Vec<u8> {
    let mut fields = [SALT, "null", "h''", "null", "null", "{}", TEXT];
    fields[place] = field;
    message(fields)
}

fn decode(bytes: &[u8]) -> Result<MimiContent, ContentError> {
    MimiContent::decode(bytes, &Limits::default())
}

#[track_caller]
fn refused(bytes: &[u8], fault: Fault) {
    assert_eq!(decode(bytes).map_err(|error| error.fault), Err(fault));
}

#[test]
fn a_message_is_read_to_its_last_byte() {
    let bytes = with(0, SALT);
    assert!(decode(&bytes).is_ok());
    for length in 0..bytes.len() {
        refused(&bytes[..length], Fault::Truncated);
    }
    refused(&[bytes.as_slice(), &[0]].concat(), Fault::TrailingBytes);
    let error = decode(&[bytes.as_slice(), &[0]].concat()).unwrap_err();
    assert_eq!(error.offset, bytes.len());
}

#[test]
fn only_the_shortest_form_is_read() {
    for (place, longer) in [
        (2, "hex 5800"),
        (3, "hex 82f51805"),
        (3, "hex 82f51a00001000"),
        (5, "hex b800"),
        (5, "hex a1180101"),
        (6, "hex 98030160 00"),
        (6, "hex 83 1801 60 00"),
        (6, "hex 83 01 7800 00"),
        // Extensions: a negative integer, a tag, and floating-point numbers that fit 16 and 32 bits.
        (5, "hex a1 0a 3800"),
        (5, "hex a1 0a d80100"),
        (5, "hex a1 0a fa3f800000"),
        (5, "hex a1 0a fb3fb9999980000000"),
    ] {
        refused(&with(place, longer), Fault::NotShortest);
    }
    assert!(decode(&with(5, "hex a1 0a f93c00")).is_ok());
    assert!(decode(&with(5, "hex a1 0a fb3fb999999999999a")).is_ok());
}

#[test]
fn indefinite_lengths_are_refused() {
    for (place, field) in [
        (2, "hex 5f4100ff"),
        (3, "hex 9ff500ff"),
        (5, "hex bfff"),
        (5, "hex a1 0a 9fff"),
        (5, "hex a1 0a 7f6161ff"),
        (6, "hex 9f016000ff"),
    ] {
        refused(&with(place, field), Fault::IndefiniteLength);
    }
    refused(&with(5, "hex a1 0a ff"), Fault::Reserved);
    refused(&with(5, "hex a1 0a 1c"), Fault::Reserved);
    refused(&with(5, "hex a1 0a f818"), Fault::Reserved);
    assert!(decode(&with(5, "hex a1 0a f8ff")).is_ok());
}

#[test]
fn other_types_are_refused() {
    for (place, field, expected) in [
        (0, "\"5eed9406c2545547\"", "a byte string"),
        (1, "0", "a byte string"),
        (1, "hex f7", "a byte string"),
        (2, "null", "a byte string"),
        (3, "0", "an array"),
        (3, "[0, 1]", "a boolean"),
        (3, "[true, null]", "an unsigned integer"),
        (3, "hex 82f520", "an unsigned integer"),
        (3, "hex 82f5f93c00", "an unsigned integer"),
        (4, "\"\"", "a byte string"),
        (5, "null", "a map"),
        (5, "[]", "a map"),
        (6, "null", "an array"),
        (6, "[1, h'', 0]", "text"),
        (6, "[1, \"\", 1, h'', h'']", "text"),
        (6, "[1, \"\", 1, \"text/plain\", \"hi\"]", "a byte string"),
        // A URI is plain text, without the tag 32.
        (6, "hex 8f 06 60 02 60 d82060 00 00 00 40 40 40 00 40 60 60", "text"),
    ] {
        refused(&with(place, field), Fault::WrongType(expected));
    }
    refused(&encoded("{}"), Fault::WrongType("an array"));
    refused(&[&[0xc1][..], &with(0, SALT)].concat(), Fault::WrongType("an array"));
}

#[test]
fn fields_have_their_length_and_range() {
    let fifteen = "h'5eed9406c2545547ab6f09f20a18b0'";
    for (place, field, what) in [
        (0, fifteen, "the salt"),
        (1, "h'01'", "a message identifier"),
        (4, "h''", "a message identifier"),
        (3, "[true]", "an expiration"),
        (3, "[true, 1, 1]", "an expiration"),
        (6, "[1, \"\", 0, 0]", "a part"),
        (6, "[1, \"\", 1, \"text/plain\"]", "a part"),
        (6, "[1, \"\", 3, 0]", "a part"),
    ] {
        refused(&with(place, field), Fault::WrongLength(what));
    }
    refused(&encoded("[]"), Fault::WrongLength("a message"));
    refused(&with(6, "[256, \"\", 0]"), Fault::OutOfRange("a disposition"));
    refused(&with(3, "[true, 4294967296]"), Fault::OutOfRange("the time of expiration"));
}

#[test]
fn an_identifier_of_an_unknown_hash_is_refused() {
    let id = format!("h'02{}'", "00".repeat(31));
    for place in [1, 4] {
        refused(&with(place, &id), Fault::UnknownHashAlgorithm(2));
    }
}

#[test]
fn keys_of_maps_ascend_and_come_once() {
    let ascending = "hex a6 00f6 01 60 1903e8f6 20f6 6161f6 626161f6";
    let decoded = decode(&with(5, ascending)).unwrap();
    assert_eq!(decoded.mimi_extensions.0.len(), 6);
    assert_eq!(decoded.encode().unwrap(), with(5, ascending));

    refused(&with(5, "{10: 1, 10: 1}"), Fault::DuplicateKey);
    refused(&with(5, "{1: \"a\", 1: \"b\"}"), Fault::DuplicateKey);
    refused(&with(5, "{11: 1, 10: 1}"), Fault::KeyOrder);
    // RFC 7049's order has shorter keys first: text of one letter before the integer 1000.
    refused(&with(5, "hex a2 6161f6 1903e8f6"), Fault::KeyOrder);
    refused(&with(5, "{10: {2: 0, 2: 0}}"), Fault::DuplicateKey);
    refused(&with(5, "{10: {2: 0, 1: 0}}"), Fault::KeyOrder);
}

#[test]
fn keys_of_maps_are_small_integers_or_texts() {
    let key = |key: &[u8]| {
        let map = [&[0xa1][..], key, &[0xf6]].concat();
        let hex: String = map.iter().map(|byte| format!("{byte:02x}")).collect();
        with(5, &format!("hex {hex}"))
    };
    let (largest, text) = ((1 << 53) - 1, "x".repeat(255));
    for good in [head(0, largest), head(1, largest - 1), encoded(&format!("\"{text}\""))] {
        let bytes = key(&good);
        assert_eq!(decode(&bytes).unwrap().encode().unwrap(), bytes);
    }
    let long = encoded(&format!("\"{text}x\""));
    let integers = [head(0, largest + 1), head(1, largest), head(1, u64::MAX)];
    let types = [vec![0x40], vec![0xf6], vec![0xf9, 0x3c, 0], vec![0x80], vec![0x60], long];
    for bad in integers.into_iter().chain(types) {
        refused(&key(&bad), Fault::MapKey);
    }
    // Within an extension, a key may be bytes, too.
    assert!(decode(&with(5, "{10: {h'00': 1}}")).is_ok());
    refused(&with(5, "{10: {null: 1}}"), Fault::MapKey);
}

#[test]
fn sender_and_room_are_texts() {
    for map in ["{1: h'00'}", "{2: null}", "{1: 1}"] {
        refused(&with(5, map), Fault::WrongType("text, as senderUri and roomUri are"));
    }
}

#[test]
fn extensions_have_four_levels() {
    // The draft's example of section 6.3, with its tag.
    let four = "hex a1 190100 82 82 421234 d820 60 82 423456 19168b";
    assert!(decode(&with(5, four)).is_ok());
    let deeper = "hex a1 190100 82 82 421234 d820 80 82 423456 19168b";
    refused(&with(5, deeper), Fault::OverLimit(Limit::ItemDepth));
    refused(&with(5, "{10: [[[[]]]]}"), Fault::OverLimit(Limit::ItemDepth));
    refused(&with(5, "{10: {0: {0: {0: {}}}}}"), Fault::OverLimit(Limit::ItemDepth));
}

#[test]
fn big_integers_are_those_that_fit_nothing_else() {
    assert!(Value::from_cbor(&unhex("c249010000000000000000")).is_ok());
    for wrong in ["c2480100000000000000", "c24900ffffffffffffffff", "c240", "c300", "c260"] {
        let error = Value::from_cbor(&unhex(wrong)).unwrap_err();
        assert_eq!(error.fault, Fault::Bignum, "{wrong}");
    }
}

#[test]
fn there_is_one_nan_in_extensions() {
    assert!(decode(&with(5, "hex a1 0a f97e00")).is_ok());
    for nan in ["f97e01", "f9fe00", "fa7fc00000", "fb7ff8000000000000"] {
        refused(&with(5, &format!("hex a1 0a {nan}")), Fault::NotANumber);
    }
}

#[test]
fn bodies_have_the_drafts_shape() {
    let part = "[1, \"\", 0]";
    refused(
        &with(6, &format!("[1, \"\", 3, 3, [{part}, {part}]]")),
        Fault::UnknownPartSemantics(3),
    );
    refused(&with(6, &format!("[1, \"\", 3, 0, [{part}]]")), Fault::TooFewParts);

    let nested = |levels| {
        (1..levels).fold(part.to_owned(), |p, _| format!("[1, \"\", 3, 2, [{p}, {part}]]"))
    };
    assert!(decode(&with(6, &nested(4))).is_ok());
    refused(&with(6, &nested(5)), Fault::OverLimit(Limit::Depth));
    let deeper = Limits { depth: 100, ..Limits::default() };
    assert!(MimiContent::decode(&with(6, &nested(5)), &deeper).is_err());

    let wide = |count| format!("[1, \"\", 3, 2, [{}]]", vec![part; count].join(","));
    assert!(decode(&with(6, &wide(1023))).is_ok());
    refused(&with(6, &wide(1024)), Fault::OverLimit(Limit::Parts));
}

#[test]
fn every_limit_is_kept() {
    let bytes = with(5, "{10: 1, 11: 1}");
    let over = |limits: Limits| match MimiContent::decode(&bytes, &limits) {
        Err(ContentError { fault: Fault::OverLimit(limit), .. }) => limit,
        other => panic!("{other:?}"),
    };
    let all = Limits::default();
    assert_eq!(over(Limits { size: bytes.len() - 1, ..all }), Limit::Size);
    assert_eq!(over(Limits { memory: 100, ..all }), Limit::Memory);
    assert_eq!(over(Limits { depth: 0, ..all }), Limit::Depth);
    assert_eq!(over(Limits { parts: 0, ..all }), Limit::Parts);
    assert_eq!(over(Limits { extensions: 1, ..all }), Limit::Extensions);

    let topic = |n| with(2, &format!("h'{}'", "00".repeat(n)));
    assert!(decode(&topic(4096)).is_ok());
    refused(&topic(4097), Fault::OverLimit(Limit::Topic));
}

#[test]
fn what_is_unknown_is_kept_as_it_came() {
    // A disposition, a kind of part, extensions, and fields behind the last one.
    let later =
        [&[0x89][..], &with(6, "[200, \"\", 9, \"x\", [1, 2]]")[1..], &[0x01, 0x62, 0x68, 0x69]];
    let unknown = [
        with(6, "[200, \"\", 0]"),
        with(6, "[1, \"\", 4]"),
        with(6, "hex 84 01 60 1a000fffff c24a ffffffffffffffffffff"),
        with(5, "{10: {1: [true, null]}, 300: 'x', \"vendor\": 1}"),
        later.concat(),
    ];
    for bytes in unknown {
        let content = decode(&bytes).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(content.encode().unwrap(), bytes);
    }
}

#[test]
fn what_others_would_refuse_is_not_encoded() {
    let good = decode(&with(0, SALT)).unwrap();
    let fault = |change: fn(&mut MimiContent)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad.encode().unwrap_err().fault
    };
    assert_eq!(fault(|c| c.topic_id = vec![0; 4097]), Fault::OverLimit(Limit::Topic));
    assert_eq!(fault(|c| c.replaces = Some(MessageId([0; 32]))), Fault::UnknownHashAlgorithm(0));
    assert_eq!(
        fault(|c| {
            c.mimi_extensions.0.insert(ExtensionKey::Text(String::new()), Value::unsigned(1));
        }),
        Fault::MapKey
    );
    assert_eq!(
        fault(|c| {
            c.nested_part =
                NestedPart::multi(PartSemantics::ChooseOne, vec![c.nested_part.clone()]);
        }),
        Fault::TooFewParts
    );
    assert_eq!(
        fault(|c| {
            for _ in 0..4 {
                let parts = vec![c.nested_part.clone(), c.nested_part.clone()];
                c.nested_part = NestedPart::multi(PartSemantics::ProcessAll, parts);
            }
        }),
        Fault::OverLimit(Limit::Depth)
    );
}
