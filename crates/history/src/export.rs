//! A room as a file, for people or for other programs.

use crate::body::Body;
use crate::entry::{Entry, Reaction};
use crate::error::HistoryError;
use crate::reading::{Cursor, Reading};
use crate::time::timestamp;
use conclave_content::safe;
use conclave_store::GroupId;
use core::fmt;
use std::io::{self, Write};

/// How many messages are read at a time.
const PAGE: usize = 200;

/// How a room is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object: `format` (`conclave-history`), `version` (1), `room` (its URI), and `messages`, ascending.
    ///
    /// A message has `number`, `id` (hexadecimal), `time` (RFC 3339), `user` (a URI), `device`, and, where they apply,
    /// `text` and `markdown`, `edited`, `given_by` (a device of the user's), `deleted_by`, `reply_to` (an identifier),
    /// `topic` (hexadecimal), `expires_at`, `attachments` (`file_name`, `description`, `media_type`, `size`),
    /// `reactions` (`symbol`, `users`), and `unknown` (`media_type`, `size`). Text is as it came. Keys of attachments are not in it.
    Json,
    /// Lines for people: what was said, safe to show, with who and when. Further lines of a text are indented, so that
    /// none passes for a message.
    Text,
}

/// Why a room was not written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// The history cannot be read.
    History(HistoryError),
    /// The file cannot be written.
    Io(io::Error),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::History(e) => fmt::Display::fmt(e, f),
            Self::Io(e) => write!(f, "the export cannot be written: {e}"),
        }
    }
}

impl core::error::Error for ExportError {}

impl From<HistoryError> for ExportError {
    fn from(e: HistoryError) -> Self {
        Self::History(e)
    }
}

impl From<io::Error> for ExportError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl Reading<'_> {
    /// Writes a room, page by page. Returns how many messages were written.
    ///
    /// # Errors
    /// If there is no such room, the store cannot be read, or the file cannot be written.
    pub fn export(
        &self,
        group: &GroupId,
        format: Format,
        out: &mut dyn Write,
    ) -> Result<u64, ExportError> {
        let room = self.room(group)?.ok_or(HistoryError::NoRoom)?;
        if format == Format::Json {
            let uri = Json(&room.uri);
            write!(
                out,
                "{{\"format\":\"conclave-history\",\"version\":1,\"room\":{uri},\"messages\":["
            )?;
        }
        let (mut written, mut after) = (0, Some(Cursor::FIRST));
        while let Some(cursor) = after {
            let page = self.after(group, cursor, PAGE)?;
            for entry in &page.entries {
                match format {
                    Format::Json => {
                        out.write_all(if written == 0 { b"\n" } else { b",\n" })?;
                        write_json(entry, out)?;
                    }
                    Format::Text => write_text(entry, out)?,
                }
                written += 1;
            }
            after = page.later;
        }
        if format == Format::Json {
            out.write_all(b"\n]}\n")?;
        }
        Ok(written)
    }
}

/// A string of JSON, which is also safe to show on a terminal.
struct Json<'a>(&'a str);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c if safe::is_harmful(c) => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// Items with commas between them.
fn list<T>(
    items: &[T],
    out: &mut dyn Write,
    mut write: impl FnMut(&T, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(b"[")?;
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        write(item, out)?;
    }
    out.write_all(b"]")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_json(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let (time, user, device) = (timestamp(entry.time), Json(&entry.user), Json(&entry.device));
    let (number, id) = (entry.number, entry.id);
    write!(
        out,
        "{{\"number\":{number},\"id\":\"{id}\",\"time\":\"{time}\",\"user\":{user},\"device\":{device}"
    )?;
    match &entry.body {
        Body::Said { text, markdown, attachments, .. } => {
            if !text.is_empty() {
                write!(out, ",\"text\":{},\"markdown\":{markdown}", Json(text))?;
            }
            if !attachments.is_empty() {
                out.write_all(b",\"attachments\":")?;
                list(attachments, out, |attachment, out| {
                    let (kind, what) = (&attachment.media_type, &attachment.description);
                    write!(out, "{{\"media_type\":{},\"description\":{}", Json(kind), Json(what))?;
                    if let Some(name) = &attachment.file_name {
                        write!(out, ",\"file_name\":{}", Json(name))?;
                    }
                    if let Some(size) = attachment.size {
                        write!(out, ",\"size\":{size}")?;
                    }
                    out.write_all(b"}")
                })?;
            }
        }
        Body::Deleted { by } => write!(out, ",\"deleted_by\":{}", Json(by))?,
        Body::Unknown { media_type, size } => {
            let media_type = Json(media_type);
            write!(out, ",\"unknown\":{{\"media_type\":{media_type},\"size\":{size}}}")?;
        }
    }
    if entry.edited {
        out.write_all(b",\"edited\":true")?;
    }
    if let Some(by) = &entry.given_by {
        write!(out, ",\"given_by\":{}", Json(by))?;
    }
    if let Some(quote) = &entry.reply_to {
        write!(out, ",\"reply_to\":\"{}\"", quote.id)?;
    }
    if !entry.topic.is_empty() {
        write!(out, ",\"topic\":\"{}\"", hex(&entry.topic))?;
    }
    if let Some(at) = entry.expires_at {
        write!(out, ",\"expires_at\":\"{}\"", timestamp(at))?;
    }
    if !entry.reactions.is_empty() {
        out.write_all(b",\"reactions\":")?;
        list(&entry.reactions, out, |Reaction { symbol, users }, out| {
            write!(out, "{{\"symbol\":{},\"users\":", Json(symbol))?;
            list(users, out, |user, out| write!(out, "{}", Json(user)))?;
            out.write_all(b"}")
        })?;
    }
    out.write_all(b"}")
}

fn write_text(entry: &Entry, out: &mut dyn Write) -> io::Result<()> {
    let (number, time) = (entry.number, timestamp(entry.time));
    write!(out, "[{number}] {time} {}:", safe::line(&entry.device, usize::MAX))?;
    if let Some(by) = &entry.given_by {
        write!(out, " (given by {})", safe::line(by, usize::MAX))?;
    }
    if let Some(quote) = &entry.reply_to {
        match &quote.message {
            Some(quoted) => write!(out, " (to {})", quoted.number)?,
            None => write!(out, " (to a message that is not here)")?,
        }
    }
    match &entry.body {
        Body::Said { attachments, .. } => {
            let text = entry.body.readable();
            let edited = if entry.edited { " (edited)" } else { "" };
            writeln!(out, " {}{edited}", safe::text(text.trim_end()).replace('\n', "\n    "))?;
            for attachment in attachments {
                let name = attachment.file_name.as_deref().unwrap_or("without a name");
                writeln!(out, "    attachment: {name} ({})", attachment.media_type)?;
            }
        }
        Body::Deleted { by } => writeln!(out, " (deleted by {by})")?,
        Body::Unknown { media_type, size } => {
            writeln!(out, " ({size} bytes of {media_type}, which cannot be shown)")?;
        }
    }
    for Reaction { symbol, users } in &entry.reactions {
        writeln!(out, "    {symbol} {}", users.len())?;
    }
    Ok(())
}
