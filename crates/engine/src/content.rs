//! What an application says to a group: bytes of a media type. The engine carries them and does not read them.

use core::fmt;

/// The media type of text.
pub const TEXT: &str = "text/plain;charset=utf-8";
/// The media type under which a message is given that a later version of the engine has framed: its bytes are all of
/// the message's data.
pub const UNKNOWN_KIND: &str = "application/vnd.conclave.unknown";
/// The most bytes that a message has, without its media type.
pub const MAX_CONTENT: usize = 1 << 20;
/// The longest media type, in bytes.
const MAX_MEDIA_TYPE: usize = 255;

/// What a message says: bytes, and the media type that says how to read them.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    media_type: String,
    bytes: Vec<u8>,
}

/// Not a media type. One is `TYPE/SUBTYPE`, perhaps with parameters, in at most 255 bytes of visible ASCII
/// and spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMediaType;

impl fmt::Display for InvalidMediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a media type is TYPE/SUBTYPE, with at most {MAX_MEDIA_TYPE} characters")
    }
}

impl core::error::Error for InvalidMediaType {}

/// Says how much there is, and not what: it is secret.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({}, {} bytes)", self.media_type, self.bytes.len())
    }
}

impl Content {
    /// Bytes of a media type (RFC 6838), such as `application/mimi-content` or `text/plain;charset=utf-8`.
    ///
    /// # Errors
    /// If the media type is none.
    pub fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidMediaType> {
        if !is_media_type(media_type) {
            return Err(InvalidMediaType);
        }
        Ok(Self { media_type: media_type.to_string(), bytes: bytes.into() })
    }

    /// Text, as [`TEXT`].
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self::text_of(text.into().into_bytes())
    }

    /// What somebody calls text.
    pub(crate) fn text_of(bytes: Vec<u8>) -> Self {
        Self { media_type: TEXT.into(), bytes }
    }

    /// The data of a message that a later version has framed.
    pub(crate) fn unknown(data: Vec<u8>) -> Self {
        Self { media_type: UNKNOWN_KIND.into(), bytes: data }
    }

    /// How to read the bytes, as the sender has written it.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The bytes. Whoever sent them may have made them up: they need not be of the media type.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text, if this is text: plain, and in UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let is_text = self.media_type == TEXT || {
            let media_type: String = self.media_type.split(' ').collect();
            media_type.eq_ignore_ascii_case(TEXT)
        };
        core::str::from_utf8(&self.bytes).ok().filter(|_| is_text)
    }
}

/// Whether this is a type and a subtype of RFC 6838, section 4.2, with whatever parameters.
fn is_media_type(text: &str) -> bool {
    let (names, _) = text.split_once(';').unwrap_or((text, ""));
    let in_names = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(in_names)
    };
    let is_shown = |byte: u8| byte.is_ascii_graphic() || byte == b' ';

    text.len() <= MAX_MEDIA_TYPE
        && text.bytes().all(is_shown)
        && names.split_once('/').is_some_and(|(kind, sub)| is_name(kind) && is_name(sub.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_a_type_and_a_subtype() {
        let longest = format!("a/{}", "b".repeat(253));
        for media_type in [
            "text/plain",
            TEXT,
            "application/mimi-content",
            "a/b; c=\"d e\"",
            UNKNOWN_KIND,
            &longest,
        ] {
            assert!(Content::new(media_type, [0xff]).is_ok(), "{media_type}");
        }
        let too_long = longest.clone() + "b";
        for media_type in [
            "",
            "text",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "a/b\n",
            "a/b;\u{1b}[2J",
            "ä/b",
            &too_long,
        ] {
            assert_eq!(Content::new(media_type, []), Err(InvalidMediaType), "{media_type:?}");
        }
    }

    #[test]
    fn text_is_what_is_called_text_and_is_utf_8() {
        assert_eq!(Content::from_text("hi").text(), Some("hi"));
        let spaced = Content::new("Text/Plain; Charset=UTF-8", *b"hi").unwrap();
        assert_eq!(spaced.text(), Some("hi"));
        assert_eq!(Content::new(TEXT, [0xff]).unwrap().text(), None);
        assert_eq!(Content::new("text/html", *b"hi").unwrap().text(), None);
        assert_eq!(Content::new("text/plain;charset=latin1", *b"hi").unwrap().text(), None);
    }

    #[test]
    fn what_is_said_is_not_printed_by_accident() {
        assert!(!format!("{:?}", Content::from_text("between us")).contains("between"));
    }
}
