//! Properties that hold whatever bytes come: for fuzzers, and for tests with random bytes.

use crate::choose::text_rank;
use crate::content::{Expiration, MimiContent};
use crate::derived::MessageDerivedValues;
use crate::extensions::{ExtensionKey, Extensions};
use crate::external::ExternalPart;
use crate::history::{History, KnownMessage};
use crate::id::{MessageId, Salt};
use crate::limits::Limits;
use crate::meaning::{Arrival, Meaning, ReferenceState, interpret};
use crate::part::{Disposition, MultiPart, NestedPart, Part, PartSemantics, UnknownPart};
use crate::profile::{MAX_PICTURE, Profile};
use crate::status::MessageStatusReport;
use crate::{Secret, Value, markdown, safe};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What decodes encodes to the same bytes.
///
/// # Panics
/// If it does not.
pub fn decode(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(content) = MimiContent::decode(bytes, &limits) {
        assert_eq!(content.encode().as_deref(), Ok(bytes), "another encoding");
        assert!(content.nested_part.parts().count() <= limits.parts);
    }
    if let Ok(report) = MessageStatusReport::decode(bytes, &limits) {
        assert_eq!(report.encode(), bytes, "another encoding");
    }
    if let Ok(derived) = MessageDerivedValues::decode(bytes, &limits) {
        assert_eq!(derived.encode(), bytes, "another encoding");
    }
    if let Ok(value) = Value::from_cbor(bytes) {
        assert_eq!(value.as_cbor(), bytes, "another encoding");
    }
}

/// Interpreting and showing a message does not panic, and only its author changes a message.
///
/// # Panics
/// If one of these does not hold.
pub fn interpreted(bytes: &[u8]) {
    let limits = Limits::default();
    let built = Builder(bytes).content();
    let decoded = MimiContent::decode(bytes, &limits);
    for content in core::iter::once(&built).chain(&decoded) {
        let by = bytes.last().copied().unwrap_or_default();
        let history = Messages { by };
        let sender = content.mimi_extensions.sender_uri().unwrap_or("alice");
        let room = content.mimi_extensions.room_uri().unwrap_or_default();
        let id = MessageId([0xff; 32]);
        let arrival = Arrival { id, sender, room, accepted_at: u64::from(by) << 24 };
        let meaning = interpret(content, &arrival, &history, &text_rank);
        if let Meaning::Profile(profile) = &meaning {
            profile_is_fit_to_show(profile);
        }
        if let Meaning::Edit { of, .. } | Meaning::Delete { of } = &meaning
            && of.state == ReferenceState::Known
        {
            assert_eq!(history.message(&of.id).map(|known| known.author), Some(sender));
        }
        for part in content.nested_part.parts() {
            shown(part);
        }
    }
}

/// What is kept of a profile is fit to show, and can be sent on by the user's other devices.
fn profile_is_fit_to_show(profile: &Profile) {
    let (name, picture) = (profile.name(), profile.picture());
    assert!(!name.contains(|c| safe::is_harmful(c) || c == '"'), "{name:?}");
    assert!(picture.is_none_or(|picture| picture.bytes().len() <= MAX_PICTURE));
    let again = Profile::new(profile.version(), name, picture.cloned());
    assert_eq!(again.as_ref(), Ok(profile), "another profile");
}

/// Shows what a part holds.
fn shown(part: &NestedPart) {
    match &part.part {
        Part::Single(single) => {
            let text = String::from_utf8_lossy(&single.content);
            let sent = markdown::without_html(&text);
            assert_eq!(markdown::without_html(&sent), sent, "another text the second time");
            let _ = markdown::links(&text);
            assert!(!safe::line(&text, 80).contains(safe::is_harmful));
        }
        Part::External(external) => {
            let _ = external.fetch(0);
            if let Some(name) = safe::file_name(&external.filename) {
                assert!(name.len() <= 200 && !name.contains(['/', '\\']), "{name}");
                assert!(!name.starts_with('.'), "{name}");
            }
        }
        Part::Null | Part::Multi(_) | Part::Unknown(_) => {}
    }
}

/// A history in which messages refer to each other at random.
struct Messages {
    by: u8,
}

impl History for Messages {
    fn message(&self, id: &MessageId) -> Option<KnownMessage<'_>> {
        let [_, first, ..] = id.0;
        let refer =
            |bit: u8| (self.by & bit != 0).then(|| MessageId([first.wrapping_add(self.by); 32]));
        (first != 0xff && first & 3 != 3).then(|| KnownMessage {
            author: if first & 4 == 0 { "alice" } else { "bob" },
            replaces: refer(1),
            in_reply_to: refer(2),
            is_deleted: first & 8 != 0,
        })
    }
}

/// A message that is built from bytes decodes as itself, if it is one that may be sent at all.
///
/// # Panics
/// If it does not.
pub fn built(bytes: &[u8]) {
    let content = Builder(bytes).content();
    if let Ok(encoded) = content.encode() {
        let decoded = MimiContent::decode(&encoded, &Limits::default());
        assert_eq!(decoded.as_ref(), Ok(&content), "another message");
        decode(&encoded);
    }
}

/// Makes messages of bytes, so that a fuzzer need not find lengths that fit together.
pub(crate) struct Builder<'a>(pub(crate) &'a [u8]);

impl Builder<'_> {
    /// The next byte; 0 at the end, which chooses what needs no more.
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        let bytes = self.byte() % 9;
        (0..bytes).fold(0, |n, _| n << 8 | u64::from(self.byte()))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.into()
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn id(&mut self) -> Option<MessageId> {
        match self.byte() % 3 {
            0 => None,
            1 => Some(MessageId([MessageId::SHA_256; 32])),
            _ => Some(MessageId([self.byte(); 32])),
        }
    }

    fn value(&mut self) -> Value {
        match self.byte() % 3 {
            0 => Value::unsigned(self.number()),
            1 => Value::text(&self.text()),
            _ => Value::from_cbor(&self.bytes()).unwrap_or(Value::unsigned(0)),
        }
    }

    fn values(&mut self) -> Vec<Value> {
        (0..self.byte() % 4).map(|_| self.value()).collect()
    }

    fn key(&mut self) -> ExtensionKey {
        match self.byte() % 4 {
            0 => ExtensionKey::Integer(i64::from(self.byte())),
            1 => ExtensionKey::Integer(self.number().cast_signed()),
            2 => ExtensionKey::Text("conclave.profile".into()),
            _ => ExtensionKey::Text(self.text()),
        }
    }

    pub(crate) fn content(&mut self) -> MimiContent {
        let salt = Salt([self.byte(); 16]);
        let expires = match self.byte() % 3 {
            0 => None,
            kind => {
                Some(Expiration { relative: kind == 1, time: (self.number() & 0xffff_ffff) as u32 })
            }
        };
        MimiContent {
            salt,
            replaces: self.id(),
            topic_id: self.bytes(),
            expires,
            in_reply_to: self.id(),
            mimi_extensions: Extensions(
                (0..self.byte() % 5).map(|_| (self.key(), self.value())).collect(),
            ),
            nested_part: if self.byte() % 8 == 7 { self.profile() } else { self.part(0) },
            later: if self.byte() % 4 == 3 { self.values() } else { Vec::new() },
        }
    }

    fn part(&mut self, depth: u8) -> NestedPart {
        let disposition = Disposition(self.byte() % 12);
        let language = if self.byte() % 4 == 3 { self.text() } else { String::new() };
        let part = match self.byte() % 8 {
            0 => Part::Null,
            1 if self.byte().is_multiple_of(2) => {
                return NestedPart { language, ..self.markdown() };
            }
            1 | 2 => {
                let content_type = self.text();
                return NestedPart::single(disposition, &content_type, &self.bytes());
            }
            3 => Part::External(Box::new(self.external())),
            4 => Part::Unknown(UnknownPart {
                cardinality: 4 + self.number() / 2,
                items: self.values(),
            }),
            // One level more than is allowed.
            _ if depth < 5 => Part::Multi(self.multi(depth)),
            _ => Part::Null,
        };
        NestedPart { disposition, language, part }
    }

    /// What may pass for a profile: a name, and a picture or something else.
    fn profile(&mut self) -> NestedPart {
        let name = NestedPart::single(Disposition::PROFILE, "text/plain", &self.bytes());
        let picture = match self.byte() % 4 {
            0 => NestedPart::null(Disposition::ICON),
            1 => self.part(1),
            _ => {
                let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), &self.bytes()].concat();
                NestedPart::single(Disposition::ICON, "image/png", &bytes)
            }
        };
        let both = NestedPart::multi(PartSemantics::ProcessAll, Vec::from([name, picture]));
        NestedPart { disposition: Disposition::PROFILE, ..both }
    }

    fn markdown(&mut self) -> NestedPart {
        let part = self.byte() % 8;
        let text = format!("{} ![](cid:{part}@local.invalid)", self.text());
        NestedPart::single(Disposition::RENDER, "text/markdown;variant=GFM-MIMI", text.as_bytes())
    }

    fn multi(&mut self, depth: u8) -> MultiPart {
        let part_semantics = match self.byte() % 3 {
            0 => PartSemantics::ChooseOne,
            1 => PartSemantics::SingleUnit,
            _ => PartSemantics::ProcessAll,
        };
        let parts = (0..1 + self.byte() % 4).map(|_| self.part(depth + 1)).collect();
        MultiPart { part_semantics, parts }
    }

    fn external(&mut self) -> ExternalPart {
        ExternalPart {
            content_type: self.text(),
            url: self.text(),
            expires: u32::from(self.byte()),
            size: self.number(),
            enc_alg: u16::from(self.byte()),
            key: Secret::new(self.bytes()),
            nonce: self.bytes(),
            aad: self.bytes(),
            hash_alg: self.byte(),
            content_hash: self.bytes(),
            description: self.text(),
            filename: self.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crypto::testing::TestRng;

    #[test]
    fn random_bytes_break_no_property() {
        let mut numbers = TestRng(1);
        for n in 0..20_000 {
            decode(&numbers.bytes(n % 60));
        }
    }

    #[test]
    fn messages_made_of_random_bytes_decode_as_themselves() {
        let mut numbers = TestRng(2);
        let mut sendable = 0;
        for n in 0..5_000 {
            let bytes = numbers.bytes(20 + n % 400);
            sendable += usize::from(Builder(&bytes).content().encode().is_ok());
            built(&bytes);
            interpreted(&bytes);
        }
        assert!(sendable > 500, "{sendable} of them are messages");
    }

    #[test]
    fn edited_messages_are_refused_or_encode_as_they_came() {
        let mut numbers = TestRng(3);
        let mut decoded = 0;
        for n in 0..5_000 {
            let content = Builder(&numbers.bytes(20 + n % 200)).content();
            let Ok(mut bytes) = content.encode() else { continue };
            for _ in 0..1 + numbers.below(3) {
                let at = numbers.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << numbers.below(8);
            }
            decoded += usize::from(MimiContent::decode(&bytes, &Limits::default()).is_ok());
            decode(&bytes);
            decode(&bytes[..numbers.below(bytes.len() as u64) as usize]);
        }
        assert!(decoded > 50, "{decoded} of them decode");
    }
}
