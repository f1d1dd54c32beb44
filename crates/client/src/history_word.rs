//! What devices of one user say to each other in a room, in messages that show nothing.

use crate::attachments::{Ask, AskId, FileKey, Sealed};
use crate::mimi::is_mimi;
use conclave_content::{Draft, ExtensionKey, Limits, MimiContent, Part, Value};
use conclave_delivery_api::{
    Bytes, Decode, DecodeError, DeviceId, Encode, EncodeError, GroupId, Reader, Writer,
};
use conclave_engine::Content;
use conclave_mls::crypto::{CryptoError, CryptoProvider, CryptoRng, HpkeKeyPair, Secret, Suite};
use conclave_mls::wire::HpkeCiphertext;

/// The extension that has them.
const EXTENSION: &str = "conclave.history";
const VERSION: u8 = 1;
const ASK: u8 = 1;
const ANSWER: u8 = 2;
/// The label of what is encrypted to the device that has asked.
const LABEL: &[u8] = b"conclave history";

/// What another device of this user's has said in a group.
pub(crate) struct Heard {
    pub(crate) group: GroupId,
    pub(crate) by: DeviceId,
    pub(crate) word: Word,
}

/// What one device of a user's says to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It asks for what was said before it came in.
    Ask(Ask),
    /// One that has asked is given it.
    Answer {
        /// Which question this answers.
        of: AskId,
        /// Where it is, encrypted.
        sealed: HpkeCiphertext,
    },
}

impl Encode for Word {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        match self {
            Self::Ask(ask) => {
                ASK.encode(w)?;
                ask.encode(w)
            }
            Self::Answer { of, sealed } => {
                ANSWER.encode(w)?;
                w.put(of);
                sealed.encode(w)
            }
        }
    }
}

impl Decode for Word {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let invalid = |field, value: u8| DecodeError::InvalidValue { field, value: value.into() };
        match u8::decode(r)? {
            VERSION => {}
            other => return Err(invalid("version", other)),
        }
        match u8::decode(r)? {
            ASK => Ok(Self::Ask(Ask::decode(r)?)),
            ANSWER => Ok(Self::Answer { of: r.take_array()?, sealed: Decode::decode(r)? }),
            other => Err(invalid("kind", other)),
        }
    }
}

impl Word {
    /// The message that says it.
    pub(crate) fn draft(&self) -> Result<Draft, EncodeError> {
        let value = Value::bytes(&self.to_bytes()?);
        Ok(Draft::silent().extension(ExtensionKey::Text(EXTENSION.into()), value))
    }
}

/// What a message says to other devices of its sender's; none if it is another message, or of a later version.
pub(crate) fn word_of(content: &Content) -> Option<Word> {
    if !is_mimi(content) {
        return None;
    }
    let content = MimiContent::decode(content.bytes(), &Limits::default()).ok()?;
    if content.nested_part.part != Part::Null || content.replaces.is_some() {
        return None;
    }
    let extension = content.mimi_extensions.0.get(&ExtensionKey::Text(EXTENSION.into()))?;
    Word::from_bytes(extension.as_bytes()?).ok()
}

/// What an answer is bound to beside its key: who gives to whom, and for which question.
fn context(of: &AskId, by: &DeviceId, to: &DeviceId) -> Result<Vec<u8>, EncodeError> {
    let mut w = Writer::new();
    w.put(of);
    by.encode(&mut w)?;
    to.encode(&mut w)?;
    Ok(w.finish())
}

/// An answer to a question of a device, by another: where the file is, and its key.
pub(crate) fn answer(
    provider: &dyn CryptoProvider,
    rng: &mut dyn CryptoRng,
    ask: &Ask,
    (by, to): (&DeviceId, &DeviceId),
    file: &Sealed,
) -> Result<Word, CryptoError> {
    let mut w = Writer::secret();
    w.put(&file.hash);
    file.length.encode(&mut w).map_err(CryptoError::from)?;
    w.put_opaque(file.key.key.expose()).map_err(CryptoError::from)?;
    let plain = Secret::new(w.finish());
    let context = context(&ask.id, by, to).map_err(CryptoError::from)?;
    let suite = Suite::new(provider, ask.suite)?;
    let sealed = suite.encrypt_with_label(&ask.key, LABEL, &context, plain.expose(), rng)?;
    Ok(Word::Answer { of: ask.id, sealed })
}

/// The file that an answer names; none if it was not encrypted to this key, by that device, for this question.
pub(crate) fn file_of(
    provider: &dyn CryptoProvider,
    (ask, private): (&Ask, &HpkeKeyPair),
    (by, to): (&DeviceId, &DeviceId),
    sealed: &HpkeCiphertext,
) -> Option<Sealed> {
    let context = context(&ask.id, by, to).ok()?;
    let suite = Suite::new(provider, ask.suite).ok()?;
    let plain = suite.decrypt_with_label(private, LABEL, &context, sealed).ok()?;
    let mut r = Reader::new(plain.expose());
    let (hash, length) = (r.take_array().ok()?, u64::decode(&mut r).ok()?);
    let key = Secret::copy_from(&Bytes::decode(&mut r).ok()?);
    r.is_empty().then(|| Sealed { key: FileKey::of_stream(key), hash, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::os_rng;
    use conclave_content::{Arrival, MIMI_CONTENT, Meaning, Salt, interpret, text_rank};
    use conclave_mls::CipherSuite;
    use conclave_provider_rustcrypto::RustCrypto;

    const ROOM: &str = "mimi://localhost/r/01";
    const ALICE: &str = "mimi://localhost/u/alice";

    fn content(word: &Word) -> Content {
        let sent = word.draft().unwrap().finish(Salt([7; 16]), ALICE, ROOM).unwrap();
        Content::new(MIMI_CONTENT, sent.bytes).unwrap()
    }

    fn question() -> (Ask, HpkeKeyPair) {
        let provider = RustCrypto::new();
        let suite = CipherSuite(1);
        let key_pair = Suite::new(&provider, suite).unwrap().hpke_key_pair(&mut *os_rng()).unwrap();
        (Ask { id: [1; 16], suite, key: key_pair.public.clone() }, key_pair)
    }

    fn device(name: &str) -> DeviceId {
        name.parse().unwrap()
    }

    #[test]
    fn what_devices_say_to_each_other_shows_nothing() {
        let ask = Word::Ask(question().0);
        let content = content(&ask);
        assert_eq!(word_of(&content), Some(ask));
        let decoded = MimiContent::decode(content.bytes(), &Limits::default()).unwrap();
        let id = conclave_content::MessageId([0; 32]);
        let arrival = Arrival { id, sender: ALICE, room: ROOM, accepted_at: 1 };
        assert_eq!(interpret(&decoded, &arrival, &(), &text_rank), Meaning::Empty);
        assert_eq!(word_of(&Content::from_text("hello")), None);
    }

    #[test]
    fn what_makes_no_sense_is_nothing() {
        let bytes = Word::Ask(question().0).to_bytes().unwrap();
        let longer = [&bytes[..], &[0]].concat();
        let later = [&[VERSION + 1], &bytes[1..]].concat();
        let other = [&[VERSION, 9], &bytes[2..]].concat();
        for bytes in [&bytes[..bytes.len() - 1], &longer, &later, &other, &[]] {
            assert!(Word::from_bytes(bytes).is_err());
            let value = Value::bytes(bytes);
            let draft = Draft::silent().extension(ExtensionKey::Text(EXTENSION.into()), value);
            let sent = draft.finish(Salt([7; 16]), ALICE, ROOM).unwrap();
            assert_eq!(word_of(&Content::new(MIMI_CONTENT, sent.bytes).unwrap()), None);
        }
    }

    #[test]
    fn an_answer_opens_for_the_device_that_has_asked_and_for_nobody_else() {
        let provider = RustCrypto::new();
        let (ask, key_pair) = question();
        let key = FileKey::of_stream(Secret::new(vec![3; 32]));
        let file = Sealed { key, hash: [4; 32], length: 99 };
        let (phone, main, tablet) =
            (device("alice/phone"), device("alice/main"), device("alice/tablet"));
        let between = (&main, &phone);
        let word = answer(&provider, &mut *os_rng(), &ask, between, &file).unwrap();
        let Some(Word::Answer { of, sealed }) = word_of(&content(&word)) else {
            panic!("{word:?}")
        };
        assert_eq!(of, ask.id);
        let open = |ask: &Ask, key: &HpkeKeyPair, between| {
            file_of(&provider, (ask, key), between, &sealed)
        };
        assert_eq!(open(&ask, &key_pair, between), Some(file));

        // Neither another key, nor another question, device that asks, or device that answers.
        assert_eq!(open(&ask, &question().1, between), None);
        let other = Ask { id: [2; 16], ..ask.clone() };
        assert_eq!(open(&other, &key_pair, between), None);
        assert_eq!(open(&ask, &key_pair, (&main, &tablet)), None);
        assert_eq!(open(&ask, &key_pair, (&tablet, &phone)), None);
    }
}
