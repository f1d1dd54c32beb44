//! What a message says, for people.

use crate::rows::{Media, MessageRow};
use conclave_content::{
    ExternalFault, GFM_MIMI, Limits, MimiContent, Part, choose, essence, is_media_type, markdown,
    mention, safe, text_rank,
};
use std::borrow::Cow;

/// How many characters of a description or media type are shown.
const MAX_LINE: usize = 200;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text, attachments, or both.
    Said {
        /// The text, as it came; empty if there is none. [`safe::text`](conclave_content::safe::text) makes it fit
        /// to show.
        text: String,
        /// Whether the text is Markdown.
        markdown: bool,
        /// The attachments.
        attachments: Vec<Attachment>,
        /// How many other parts there are, which this version cannot show.
        skipped: usize,
    },
    /// It was deleted.
    Deleted {
        /// By which device, as the host names it.
        by: String,
    },
    /// Something that this version cannot show.
    Unknown {
        /// Its media type, on one line and safe to show.
        media_type: String,
        /// How many bytes it has.
        size: usize,
    },
}

/// Content that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The index of its part in the message.
    pub part: usize,
    /// A name to store it by; none if its sender suggests none that is fit for that.
    pub file_name: Option<String>,
    /// Its description, on one line and safe to show; may be empty.
    pub description: String,
    /// Its media type, on one line and safe to show.
    pub media_type: String,
    /// Its size in bytes, as its sender says.
    pub size: Option<u64>,
    /// Why it will not be fetched, whenever that is tried.
    pub fault: Option<ExternalFault>,
}

impl Body {
    /// What a row says.
    pub(crate) fn of(row: &MessageRow) -> Self {
        if let Some(by) = &row.deleted_by {
            return Self::Deleted { by: by.clone() };
        }
        let unknown = |media_type: &str| Self::Unknown {
            media_type: safe::line(media_type, MAX_LINE),
            size: row.content.len(),
        };
        match &row.media {
            Media::Text => match core::str::from_utf8(&row.content) {
                Ok(text) => Self::plain(text),
                Err(_) => unknown("text/plain"),
            },
            Media::Mimi => match MimiContent::decode(&row.content, &Limits::default()) {
                Ok(content) => Self::of_content(&content).unwrap_or_else(|media_type| {
                    unknown(media_type.as_deref().unwrap_or(conclave_content::MIMI_CONTENT))
                }),
                Err(_) => unknown(conclave_content::MIMI_CONTENT),
            },
            Media::Other(media_type) => unknown(media_type),
        }
    }

    fn plain(text: &str) -> Self {
        let text = text.into();
        Self::Said { text, markdown: false, attachments: Vec::new(), skipped: 0 }
    }

    /// What some content says; if nothing of it can be shown, the type of its body, if that is known.
    fn of_content(content: &MimiContent) -> Result<Self, Option<String>> {
        let chosen = choose(&content.nested_part, &text_rank);
        if chosen.leaves.is_empty() || !content.later.is_empty() {
            return Err(match &content.nested_part.part {
                Part::Single(single) if content.later.is_empty() => {
                    Some(essence(&single.content_type).into())
                }
                _ => None,
            });
        }

        let (mut texts, mut attachments, mut markdown) = (Vec::new(), Vec::new(), false);
        let mut skipped = chosen.skipped;
        for leaf in &chosen.leaves {
            match (&leaf.part.part, leaf.text()) {
                (Part::Single(single), Some(text)) => {
                    markdown |= is_media_type(&single.content_type, GFM_MIMI);
                    texts.push(text);
                }
                (Part::External(external), _) => attachments.push(Attachment {
                    part: leaf.index,
                    file_name: safe::file_name(&external.filename),
                    description: safe::line(&external.description, MAX_LINE),
                    media_type: safe::line(&external.content_type, MAX_LINE),
                    size: Some(external.size).filter(|size| *size > 0),
                    fault: external.fetch(0).err(),
                }),
                // Its type says that it is text, and it is not.
                _ => skipped += 1,
            }
        }
        let text = texts.join("\n\n");
        Ok(Self::Said { text, markdown, attachments, skipped })
    }

    /// The text; empty if there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Said { text, .. } => text,
            Self::Deleted { .. } | Self::Unknown { .. } => "",
        }
    }

    /// The text as people read it where Markdown is not rendered: mentions are names, and what Markdown has to escape is
    /// not escaped.
    #[must_use]
    pub fn readable(&self) -> Cow<'_, str> {
        match self {
            Self::Said { text, markdown: true, .. } => mention::readable(text).into(),
            body => body.text().into(),
        }
    }

    /// The attachments.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        match self {
            Self::Said { attachments, .. } => attachments,
            Self::Deleted { .. } | Self::Unknown { .. } => &[],
        }
    }

    /// What a search finds: the text, and what attachments are called.
    pub(crate) fn searched(&self) -> String {
        let mut all = self.readable().into_owned();
        for attachment in self.attachments() {
            for text in [attachment.file_name.as_deref(), Some(&*attachment.description)] {
                all.push('\n');
                all.push_str(text.unwrap_or_default());
            }
        }
        all
    }

    /// Whether it links to a user, which mentions that user.
    pub(crate) fn mentions(&self, user: &str) -> bool {
        let Self::Said { text, markdown: true, .. } = self else { return false };
        text.contains(user) && markdown::links(text).iter().any(|link| link.target == user)
    }
}
