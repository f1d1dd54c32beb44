//! What messages say: MIMI content and status reports, in CBOR.

use super::value::{Field, Value};
use super::walk::Stop;
use conclave_content::{
    ContentError, Expiration, ExtensionKey, ExternalPart, Limits, MessageId, MessageStatusReport,
    MimiContent, MultiPart, NestedPart, Part, PartSemantics, Profile, ProfileFault,
    Value as ExtensionValue,
};

fn stop(e: &ContentError) -> Stop {
    Stop::new(e.offset, "", e.fault.to_string())
}

fn field(name: &'static str, value: Value) -> Field {
    Field { name, value }
}

fn words(text: &str) -> Value {
    Value::Words(text.into())
}

fn id(id: MessageId) -> Value {
    Value::Bytes(id.0.to_vec())
}

/// Reads a message.
pub(super) fn message(bytes: &[u8]) -> Result<Vec<Field>, Stop> {
    let content = MimiContent::decode(bytes, &Limits::default()).map_err(|e| stop(&e))?;
    let extensions = content.mimi_extensions.0.iter().map(|(key, value)| extension(key, value));
    let profile = Profile::of(&content).map(profile);
    let later = content.later.iter().map(|item| Value::Bytes(item.as_cbor().to_vec()));

    let mut fields = vec![
        field("salt", Value::Bytes(content.salt.0.to_vec())),
        field("replaces", content.replaces.map_or(Value::Absent, id)),
        field("topic_id", Value::Text(content.topic_id)),
        field("expires", content.expires.map_or(Value::Absent, expiry)),
        field("in_reply_to", content.in_reply_to.map_or(Value::Absent, id)),
        field("extensions", Value::List(extensions.collect())),
        field("nested_part", nested(content.nested_part)),
        field("later", Value::List(later.collect())),
    ];
    fields.extend(profile.map(|profile| field("profile", profile)));
    Ok(fields)
}

/// What a profile says, as a messenger takes it; or why it takes none.
fn profile(profile: Result<Profile, ProfileFault>) -> Value {
    let profile = match profile {
        Ok(profile) => profile,
        Err(fault) => return Value::Object(vec![field("malformed", words(&fault.to_string()))]),
    };
    let picture = profile.picture().map_or(Value::Absent, |picture| {
        Value::Object(vec![
            field("format", words(picture.format().media_type())),
            field("size", Value::Number(picture.bytes().len() as u64)),
        ])
    });
    Value::Object(vec![
        field("name", words(profile.name())),
        field("changed_at_ms", Value::Number(profile.version())),
        field("picture", picture),
    ])
}

fn expiry(expires: Expiration) -> Value {
    let time = u64::from(expires.time);
    let (counts, seconds) = match expires.relative {
        true => ("after it is read", Value::Number(time)),
        false => ("at a time", Value::Time(time)),
    };
    Value::Object(vec![field("counts", words(counts)), field("seconds", seconds)])
}

fn extension(key: &ExtensionKey, value: &ExtensionValue) -> Value {
    let key = match key {
        ExtensionKey::Integer(n) => words(&n.to_string()),
        ExtensionKey::Text(text) => words(text),
    };
    let value = match (value.as_text(), value.as_unsigned()) {
        (Some(text), _) => field("value", words(text)),
        (_, Some(number)) => field("value", Value::Number(number)),
        (None, None) => field("cbor", Value::Bytes(value.as_cbor().to_vec())),
    };
    Value::Object(vec![field("key", key), value])
}

fn nested(part: NestedPart) -> Value {
    let name = part.disposition.name().map(str::to_string);
    let mut fields = vec![
        field("disposition", Value::Code(part.disposition.0.into(), name)),
        field("language", Value::Words(part.language)),
    ];

    let (kind, more) = match part.part {
        Part::Null => ("null", Vec::new()),
        Part::Single(single) => {
            let content_type = field("content_type", Value::Words(single.content_type));
            ("single", vec![content_type, field("content", Value::Text(single.content))])
        }
        Part::External(external) => ("external", external_fields(*external)),
        Part::Multi(multi) => ("multi", multi_fields(multi)),
        Part::Unknown(unknown) => {
            let items = unknown.items.iter().map(|item| Value::Bytes(item.as_cbor().to_vec()));
            let items = field("items", Value::List(items.collect()));
            ("unknown", vec![field("cardinality", Value::Number(unknown.cardinality)), items])
        }
    };
    fields.push(field("kind", words(kind)));
    fields.extend(more);
    Value::Object(fields)
}

fn multi_fields(multi: MultiPart) -> Vec<Field> {
    let semantics = match multi.part_semantics {
        PartSemantics::ChooseOne => "chooseOne",
        PartSemantics::SingleUnit => "singleUnit",
        PartSemantics::ProcessAll => "processAll",
    };
    let parts = multi.parts.into_iter().map(nested).collect();
    vec![field("part_semantics", words(semantics)), field("parts", Value::List(parts))]
}

/// An attachment elsewhere. Its key is a secret.
fn external_fields(part: ExternalPart) -> Vec<Field> {
    vec![
        field("content_type", Value::Words(part.content_type)),
        field("url", Value::Words(part.url)),
        field("expires", Value::Time(part.expires.into())),
        field("size", Value::Number(part.size)),
        field("enc_alg", Value::Number(part.enc_alg.into())),
        field("key", Value::Secret(part.key.expose().len())),
        field("nonce", Value::Bytes(part.nonce)),
        field("aad", Value::Bytes(part.aad)),
        field("hash_alg", Value::Number(part.hash_alg.into())),
        field("content_hash", Value::Bytes(part.content_hash)),
        field("description", Value::Words(part.description)),
        field("filename", Value::Words(part.filename)),
    ]
}

/// Reads a status report.
pub(super) fn status(bytes: &[u8]) -> Result<Vec<Field>, Stop> {
    let report = MessageStatusReport::decode(bytes, &Limits::default()).map_err(|e| stop(&e))?;
    let statuses = report.0.into_iter().map(|entry| {
        let name = entry.status.name().map(str::to_string);
        Value::Object(vec![
            field("message_id", id(entry.message_id)),
            field("status", Value::Code(entry.status.0.into(), name)),
        ])
    });
    Ok(vec![field("statuses", Value::List(statuses.collect()))])
}
