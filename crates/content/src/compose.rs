//! Messages of our own.

use crate::cbor::Value;
use crate::content::{Expiration, MimiContent};
use crate::error::ContentError;
use crate::expiry::ExpiryPolicy;
use crate::extensions::{ExtensionKey, Extensions};
use crate::external::{ExternalFault, ExternalPart};
use crate::id::{MessageId, Salt, UriTooLong};
use crate::markdown::without_html;
use crate::media::{GFM_MIMI, TEXT_PLAIN};
use crate::part::{Disposition, NestedPart, Part, PartSemantics};
use crate::profile::Profile;
use crate::status::{MIMI_MESSAGE_STATUS, MessageStatusReport};
use alloc::string::String;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use core::fmt;

/// A message that is being made: what it says, and then what it refers to.
///
/// ```
/// # use conclave_content::{Draft, MessageId, Salt};
/// # let original = MessageId([1; 32]);
/// let (bob, room) = ("mimi://example.com/u/bob", "mimi://example.com/r/lunch");
/// let salt = Salt([7; 16]); // random, in a real message
/// let reply = Draft::markdown("*Right* on!").in_reply_to(original).finish(salt, bob, room)?;
/// assert_eq!(reply.content.in_reply_to, Some(original));
/// # Ok::<_, conclave_content::ComposeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Draft {
    replaces: Option<MessageId>,
    topic_id: Vec<u8>,
    expires: Option<Expiration>,
    in_reply_to: Option<MessageId>,
    extensions: Vec<(ExtensionKey, Value)>,
    body: NestedPart,
}

/// A message to encrypt and send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The message.
    pub content: MimiContent,
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// Its identifier, by which others refer to it.
    pub id: MessageId,
}

/// Why a message cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComposeError {
    /// Others would refuse it.
    Content(ContentError),
    /// Others would not fetch an attachment.
    External(ExternalFault),
    /// The sender's or the room's URI is too long.
    Uri(UriTooLong),
    /// There is no symbol, or one is empty or has whitespace in it.
    Reaction,
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(error) => write!(f, "peers would refuse this message: {error}"),
            Self::External(error) => write!(f, "peers would not fetch this attachment: {error}"),
            Self::Uri(error) => error.fmt(f),
            Self::Reaction => {
                f.write_str("a reaction needs one or more symbols, each without whitespace")
            }
        }
    }
}

impl core::error::Error for ComposeError {}

impl From<ContentError> for ComposeError {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl Draft {
    /// A message with this body.
    #[must_use]
    pub fn new(body: NestedPart) -> Self {
        Self {
            replaces: None,
            topic_id: Vec::new(),
            expires: None,
            in_reply_to: None,
            extensions: Vec::new(),
            body,
        }
    }

    /// A text in Markdown. HTML in it shows as text (section 7.1.1).
    #[must_use]
    pub fn markdown(text: &str) -> Self {
        let text = without_html(text);
        Self::new(NestedPart::single(Disposition::RENDER, GFM_MIMI, text.as_bytes()))
    }

    /// A text without markup.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        Self::new(NestedPart::single(Disposition::RENDER, TEXT_PLAIN, text.as_bytes()))
    }

    /// Reactions to a message, one symbol each (section 5.3).
    ///
    /// # Errors
    /// [`ComposeError::Reaction`] if there is none, or one is empty or has whitespace in it. What is one symbol is not
    /// known here beyond that.
    pub fn reaction(to: MessageId, symbols: &[&str]) -> Result<Self, ComposeError> {
        let is_symbol = |symbol: &&str| !symbol.is_empty() && !symbol.contains(char::is_whitespace);
        if symbols.is_empty() || !symbols.iter().all(is_symbol) {
            return Err(ComposeError::Reaction);
        }

        let part = |symbol: &&str| {
            NestedPart::single(Disposition::REACTION, TEXT_PLAIN, symbol.as_bytes())
        };
        let body = if let [symbol] = symbols {
            part(symbol)
        } else {
            let parts = symbols.iter().map(part).collect();
            let all = NestedPart::multi(PartSemantics::ProcessAll, parts);
            NestedPart { disposition: Disposition::REACTION, ..all }
        };
        Ok(Self::new(body).in_reply_to(to))
    }

    /// Takes back a reaction of ours: `reaction` is the message that made it, `to` the message that it was about
    /// (section 5.7).
    #[must_use]
    pub fn unreaction(reaction: MessageId, to: MessageId) -> Self {
        Self::new(NestedPart::null(Disposition::REACTION)).replacing(reaction).in_reply_to(to)
    }

    /// Deletes a message of ours (section 5.6). If it was edited, this is the identifier of its first version.
    #[must_use]
    pub fn deletion(of: MessageId) -> Self {
        Self::new(NestedPart::null(Disposition::RENDER)).replacing(of)
    }

    /// A message that says nothing to people: what it says to programs is in its [extensions](Self::extension). Clients that
    /// do not know those show nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(NestedPart::null(Disposition::UNSPECIFIED))
    }

    /// An attachment, or content to show in the chat if the disposition is [`Disposition::INLINE`] (section 5.9).
    ///
    /// The caller has encrypted and uploaded the content. The message holds its key.
    #[must_use]
    pub fn attachment(disposition: Disposition, external: ExternalPart) -> Self {
        Self::new(NestedPart::external(disposition, external))
    }

    /// A link to join a call or a conference (section 5.10).
    #[must_use]
    pub fn session(url: &str, description: &str) -> Self {
        let external =
            ExternalPart { description: description.into(), ..ExternalPart::plain("", url) };
        Self::attachment(Disposition::SESSION, external)
    }

    /// What became of messages (draft-mahy-mimi-message-status-01).
    #[must_use]
    pub fn status(report: &MessageStatusReport) -> Self {
        let bytes = report.encode();
        Self::new(NestedPart::single(Disposition::UNSPECIFIED, MIMI_MESSAGE_STATUS, &bytes))
    }

    /// What our user says of themselves, in place of what they said before.
    #[must_use]
    pub fn profile(profile: &Profile) -> Self {
        let (key, version) = profile.extension();
        Self::new(profile.body()).extension(key, version)
    }

    /// The same message with further content behind its body, each to be processed for itself.
    #[must_use]
    pub fn with(mut self, part: NestedPart) -> Self {
        self.body = match self.body {
            NestedPart { part: Part::Multi(mut multi), disposition, language }
                if multi.part_semantics == PartSemantics::ProcessAll =>
            {
                multi.parts.push(part);
                NestedPart { disposition, language, part: Part::Multi(multi) }
            }
            first => NestedPart::multi(PartSemantics::ProcessAll, Vec::from([first, part])),
        };
        self
    }

    /// A reply to a message, in its newest version that we know (section 4.1).
    #[must_use]
    pub fn in_reply_to(mut self, id: MessageId) -> Self {
        self.in_reply_to = Some(id);
        self
    }

    /// An edit of a message of ours: `first` is the identifier of its first version (section 5.5).
    ///
    /// All but the body has to stay as it was: reply, topic and expiration are set as in the original.
    #[must_use]
    pub fn replacing(mut self, first: MessageId) -> Self {
        self.replaces = Some(first);
        self
    }

    /// A message of a topic, or thread (section 5.11). The first message's identifier can be its name.
    #[must_use]
    pub fn topic(mut self, id: &[u8]) -> Self {
        self.topic_id = id.into();
        self
    }

    /// A message that is deleted at a time, or a while after it was read (section 5.8).
    #[must_use]
    pub fn expiring(mut self, expires: Expiration) -> Self {
        self.expires = Some(expires);
        self
    }

    /// A message that expires as a room's policy demands, if it is sent at a time in seconds since 1970. An edit keeps the
    /// expiration that it has: that of the original.
    #[must_use]
    pub fn under(mut self, policy: &ExpiryPolicy, now: u64) -> Self {
        if self.replaces.is_none() {
            self.expires = policy.to_send(self.expires, now);
        }
        self
    }

    /// The language of the body, as tags of RFC 5646 with commas between them.
    #[must_use]
    pub fn language(mut self, tags: &str) -> Self {
        self.body.language = tags.into();
        self
    }

    /// A message with an extension field, besides those of sender and room.
    #[must_use]
    pub fn extension(mut self, key: ExtensionKey, value: Value) -> Self {
        self.extensions.push((key, value));
        self
    }

    /// The message, encoded, with its identifier. The salt is random and new; sender and room are their URIs.
    ///
    /// # Errors
    /// [`ComposeError`] if the message breaks the draft's encoding rules or the default [`Limits`](crate::Limits), a
    /// URI is too long, or peers would not fetch an attachment.
    pub fn finish(self, salt: Salt, sender: &str, room: &str) -> Result<Outgoing, ComposeError> {
        for part in self.body.parts() {
            if let Part::External(external) = &part.part {
                external.checked().map_err(ComposeError::External)?;
            }
        }

        let mut mimi_extensions = Extensions::of(sender, room);
        for (key, value) in self.extensions {
            mimi_extensions.0.entry(key).or_insert(value);
        }
        let content = MimiContent {
            salt,
            replaces: self.replaces,
            topic_id: self.topic_id,
            expires: self.expires,
            in_reply_to: self.in_reply_to,
            mimi_extensions,
            nested_part: self.body,
            later: Vec::new(),
        };
        let bytes = content.encode()?;
        let id = MessageId::derive(sender, room, &bytes, &salt).map_err(ComposeError::Uri)?;
        Ok(Outgoing { content, bytes, id })
    }
}

impl ExternalPart {
    /// A reference to content that is not encrypted, as to a service.
    #[must_use]
    pub fn plain(content_type: &str, url: &str) -> Self {
        Self {
            content_type: content_type.into(),
            url: url.into(),
            expires: 0,
            size: 0,
            enc_alg: 0,
            key: Secret::default(),
            nonce: Vec::new(),
            aad: Vec::new(),
            hash_alg: 0,
            content_hash: Vec::new(),
            description: String::new(),
            filename: String::new(),
        }
    }
}
