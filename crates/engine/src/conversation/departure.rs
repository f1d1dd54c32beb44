//! Out of a group: what the user is told, and what is forgotten.

use super::context::Context;
use super::kept::keep_nothing;
use super::{Conversation, Standing};
use crate::book::{Book, Change};
use crate::error::EngineError;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{GroupRecord, News, Payload, Stage, Work};
use conclave_mls::GroupId;
use conclave_mls::storage::Batch;
use conclave_store::Store;

/// What the user said, in words for the user: the text, or the size and media type of other content; none for other work.
fn content_of(work: &Work) -> Option<String> {
    let Work::Send { payload: Payload::Content(content), .. } = work else { return None };
    Some(match content.text() {
        Some(text) => text.to_string(),
        None => format!("{} bytes of {}", content.bytes().len(), content.media_type()),
    })
}

/// The news that content is not sent, as this device is out; none for other work.
pub(crate) fn not_sent(work: &Work) -> Option<News> {
    let content = content_of(work)?;
    Some(News::Failed { reason: Reason::NotSent { content } })
}

/// Why a message is not sent. If the user said it, the reason names it.
pub(crate) fn message_refused(work: &Work, why: String) -> Reason {
    match content_of(work) {
        Some(content) => Reason::ContentRefused { content, why },
        None => Reason::MessageRefused { why },
    }
}

/// The changes that empty a group's queue.
pub(crate) fn nothing_to_do<S: Store>(book: &Book<S>, id: &GroupId) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, item) in book.items(id) {
        changes.extend(not_sent(&item.work).map(|news| Change::news(id, news)));
        changes.push(Change::Item(key, None));
    }
    changes
}

/// Leaves a group without telling the other members: there are none, or they cannot be told, as it `is_gone`.
pub(crate) fn forget<S: Store>(
    book: &mut Book<S>,
    id: &GroupId,
    is_gone: bool,
) -> Result<(), EngineError> {
    let Some(record) = book.record(id).cloned() else { return Ok(()) };
    let mut batch = Batch::new(id.clone());
    batch.clear = true;
    let (seq, by) = (record.cursor, book.identity().device.clone());
    let record = GroupRecord { stage: Stage::Left, asked_by: None, ..record };
    let mut changes = vec![
        Change::Record(id.clone(), record),
        Change::news(id, News::Out { seq, by, left: true }),
        // A device that is out brings nobody back.
        Change::Awaited(id.clone(), Vec::new()),
    ];
    if is_gone {
        changes.push(Change::news(id, News::Note { notice: Notice::GroupForgotten }));
    }
    changes.extend(nothing_to_do(book, id));
    changes.extend(keep_nothing(book, id)?);
    Ok(book.commit(Some(&batch), changes)?)
}

impl Conversation {
    /// Leaves the group without telling the other members.
    pub(crate) fn forget<S: Store>(&mut self, cx: &mut Context<'_, S>) -> Result<(), EngineError> {
        forget(cx.book, &self.id, self.is_gone(cx.book))?;
        self.standing = Standing::Over;
        Ok(())
    }
}
