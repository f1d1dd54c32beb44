//! What a file holds: bytes, or their text in hexadecimal or base64.

use crate::input::parse_base64;
use conclave_delivery_api::parse_hex;

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    /// The bytes themselves.
    Raw,
    /// Hexadecimal, in either case; spaces and line ends are skipped.
    Hex,
    /// Base64 or base64url, padded or not; spaces and line ends are skipped.
    Base64,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    /// Decodes a file. None if it is not written like this.
    pub(super) fn decode(self, file: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Raw => Some(file.to_vec()),
            Self::Hex => parse_hex(&compact(file)?),
            Self::Base64 => {
                let standard = |c| match c {
                    '-' => '+',
                    '_' => '/',
                    c => c,
                };
                let text = compact(file)?;
                let mut text: String = text.trim_end_matches('=').chars().map(standard).collect();
                while !text.len().is_multiple_of(4) {
                    text.push('=');
                }
                parse_base64(&text)
            }
        }
    }
}

/// A text of one character a byte, without what is between them.
fn compact(file: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(file).ok().filter(|text| text.is_ascii())?;
    let text: String = text.split_ascii_whitespace().collect();
    (!text.is_empty()).then_some(text)
}

/// The bytes of a file, by how it seems to be written.
pub(super) fn recognised(file: &[u8]) -> (Encoding, Vec<u8>) {
    let text = [Encoding::Hex, Encoding::Base64];
    let decoded = text.into_iter().find_map(|encoding| Some((encoding, encoding.decode(file)?)));
    decoded.unwrap_or_else(|| (Encoding::Raw, file.to_vec()))
}
