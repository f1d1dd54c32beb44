//! What was read: fields in the order of the bytes, before they become text or JSON.

use conclave_client::{plain, timestamp};
use conclave_delivery_api::to_hex;
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// The most bytes of a value that are shown to people. JSON has all.
const SHOWN_BYTES: usize = 32;

/// A field and what it holds.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in the standard.
    pub(super) name: &'static str,
    pub(super) value: Value,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Value {
    /// An optional value that is not there.
    Absent,
    Number(u64),
    /// Seconds since 1970.
    Time(u64),
    /// A number with the name that a registry has for it.
    Code(u64, Option<String>),
    Bytes(Vec<u8>),
    /// Bytes that are often a text.
    Text(Vec<u8>),
    /// Words of this program or text of a format that has nothing but text.
    Words(String),
    /// A secret, of which nothing but the number of its bytes is shown.
    Secret(usize),
    Object(Vec<Field>),
    List(Vec<Self>),
}

impl Value {
    /// As JSON: docs/inspect.md has the shape.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Absent => Json::Null,
            Self::Number(n) | Self::Time(n) => json!(n),
            Self::Code(number, name) => json!({ "number": number, "name": name }),
            Self::Bytes(bytes) => json!(to_hex(bytes)),
            Self::Text(bytes) => {
                json!({ "hex": to_hex(bytes), "text": std::str::from_utf8(bytes).ok() })
            }
            Self::Words(words) => json!(words),
            Self::Secret(bytes) => json!({ "secret_bytes": bytes }),
            Self::Object(fields) => {
                let field = |field: &Field| (field.name.to_string(), field.value.to_json());
                Json::Object(fields.iter().map(field).collect::<Map<_, _>>())
            }
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
        }
    }

    /// Adds the lines of a field for people. Nothing of it moves their cursor.
    pub(super) fn write_lines(&self, name: &str, depth: usize, text: &mut String) {
        // Writing to a string does not fail.
        let _ = match self {
            Self::Object(fields) if !fields.is_empty() => {
                let _ = writeln!(text, "{:1$}{name}:", "", depth * 2);
                fields.iter().for_each(|f| f.value.write_lines(f.name, depth + 1, text));
                Ok(())
            }
            Self::List(items) if items.iter().any(|item| !item.is_short()) => {
                for (index, item) in items.iter().enumerate() {
                    item.write_lines(&format!("{name}[{index}]"), depth, text);
                }
                Ok(())
            }
            short => writeln!(text, "{:2$}{name}: {}", "", short.line(), depth * 2),
        };
    }

    /// Whether it is shown on the line of its name, with others.
    fn is_short(&self) -> bool {
        matches!(self, Self::Absent | Self::Number(_) | Self::Code(..))
    }

    fn line(&self) -> String {
        match self {
            Self::Absent => "none".into(),
            Self::Number(n) => n.to_string(),
            Self::Time(n) => format!("{n} ({})", timestamp(*n)),
            Self::Code(number, Some(name)) => format!("{} ({number:#06x})", plain(name)),
            Self::Code(number, None) => format!("unknown ({number:#06x})"),
            Self::Bytes(bytes) => shown(bytes),
            Self::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.is_empty() => format!("\"{}\"", plain(text)),
                _ => shown(bytes),
            },
            Self::Words(words) if words.is_empty() => "empty".into(),
            Self::Words(words) => plain(words),
            Self::Secret(bytes) => format!("a secret of {bytes} bytes, which is not shown"),
            Self::Object(_) => "empty".into(),
            Self::List(items) if items.is_empty() => "none".into(),
            Self::List(items) => items.iter().map(Self::line).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Bytes in hexadecimal, cut if they are many.
pub(super) fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN_BYTES) {
        _ if bytes.is_empty() => "empty".into(),
        Some(first) if bytes.len() > SHOWN_BYTES => {
            format!("{}… ({} bytes)", to_hex(first), bytes.len())
        }
        _ => to_hex(bytes),
    }
}

/// JSON in ASCII: a terminal that it comes to is not moved by what others wrote.
pub(super) fn to_ascii(value: &Json) -> String {
    let mut ascii = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            ascii.push(c);
            continue;
        }
        let mut units = [0; 2];
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}
