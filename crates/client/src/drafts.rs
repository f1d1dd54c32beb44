//! What the user is writing in a group and has not sent.

use crate::engine_rows::{EngineRows, rows_of};
use crate::lines::{Did, Shown};
use crate::mimi::Place;
use conclave_engine::{AppRows, Engine};
use conclave_history::{History, HistoryError, Unsent};
use conclave_mls::GroupId;
use conclave_store::Store;

pub(crate) const NO_DRAFT: &str = "nothing waits to be sent: /draft TEXT keeps TEXT";

/// The text; none if nothing is being written.
pub(crate) fn draft_in<S: Store>(
    engine: &Engine<S>,
    history: &History,
    group: &GroupId,
) -> Result<Option<String>, HistoryError> {
    let text = history.read(&EngineRows(engine)).unsent(group)?.text;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// What is shown of the drafts of groups: nothing where there is none.
pub(crate) fn drafts_shown<S: Store>(
    engine: &Engine<S>,
    history: &History,
    groups: impl IntoIterator<Item = GroupId>,
) -> Result<Vec<Shown>, HistoryError> {
    let mut shown = Vec::new();
    for group in groups {
        if let Some(text) = draft_in(engine, history, &group)? {
            shown.push(Shown::Did { group: engine.group_name(&group), did: Did::Draft { text } });
        }
    }
    Ok(shown)
}

/// The rows that keep a text as the draft of a group; if it is empty, there is none any more.
pub(crate) fn rows_of_draft<S: Store>(
    engine: &Engine<S>,
    history: &History,
    group: &GroupId,
    (text, now): (String, u64),
) -> Result<AppRows, HistoryError> {
    let (rows, place) = (EngineRows(engine), Place::of(engine, group));
    let mut recording = history.record(&rows, now);
    recording.keep_unsent((group, place.room()), &Unsent { text, in_reply_to: None })?;
    Ok(rows_of(&recording.finish()))
}
