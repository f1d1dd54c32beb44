//! What of a message the user is told.

use crate::lines::{Did, Said, Shown};
use conclave_delivery_api::DeviceId;
use conclave_history::{Body, Entry, Ignored, Quote, Taken};

/// What is shown of a message that came in, by the name of its group and of this device.
pub(crate) fn shown(group: &str, me: &str, sender: &DeviceId, taken: Taken) -> Option<Shown> {
    let by = sender.to_string();
    let did = match taken {
        Taken::Said(entry) => {
            let new = Said { edited: false, ..said("", group, me, *entry) };
            return Some(Shown::Said(Box::new(new)));
        }
        Taken::Edited(entry) => {
            return Some(Shown::Said(Box::new(said("", group, me, *entry))));
        }
        Taken::Deleted { number } => Did::Deleted { number, by },
        Taken::Reacted { number, symbols, taken_back } => {
            Did::Reacted { number, by, symbols, taken_back }
        }
        Taken::Receipt { read, numbers } => Did::Receipt { numbers, by, read },
        Taken::ReadElsewhere { up_to } => Did::Read { up_to },
        Taken::Ignored(why) => {
            let what = format!("a message of {by} counts for nothing: {}", reason(why));
            return Some(Shown::Note { group: group.into(), what });
        }
        Taken::Waiting => {
            let what = format!("{by} has changed a message that is not here");
            return Some(Shown::Note { group: group.into(), what });
        }
        Taken::Known | Taken::Profile(_) | Taken::Nothing => return None,
    };
    Some(Shown::Did { group: group.into(), did })
}

/// A message as it is shown.
pub(crate) fn said(why: &'static str, group: &str, me: &str, entry: Entry) -> Said {
    let mut said = Said {
        why,
        group: group.into(),
        number: entry.number,
        time: entry.time,
        own: entry.device == me,
        sender: entry.device,
        mentions_me: entry.mentions_me,
        edited: entry.edited,
        reply_to: entry
            .reply_to
            .map(|Quote { message, .. }| message.map(|quoted| (quoted.number, quoted.excerpt))),
        reactions: entry.reactions.into_iter().map(|r| (r.symbol, r.users.len())).collect(),
        read_by: entry.read_by,
        expires_at: entry.expires_at,
        expires_after_reading: entry.expires_after_reading,
        given_by: entry.given_by.map(|by| (by, false)),
        ..Said::default()
    };
    let text = entry.body.readable().into_owned();
    match entry.body {
        Body::Said { attachments, skipped, .. } => {
            said.text = Some(text);
            for attachment in attachments {
                let mut name = attachment.file_name.unwrap_or(attachment.description);
                if let Some(fault) = attachment.fault {
                    name.push_str(&format!(" (it cannot be fetched: {fault})"));
                }
                said.attachments.push((attachment.media_type, attachment.size, name));
            }
            if skipped > 0 {
                let what = format!("{skipped} parts that this messenger does not show");
                said.attachments.push(("-".into(), None, what));
            }
        }
        Body::Deleted { by } => said.deleted_by = Some(by),
        Body::Unknown { media_type, size } => said.unknown = Some((size, media_type)),
    }
    said
}

/// Why a message counts for nothing.
fn reason(why: Ignored) -> String {
    let why = match why {
        Ignored::Duplicate => "it came before",
        Ignored::Sender => "it names another sender",
        Ignored::Room => "it was meant for another room",
        Ignored::Expiration => "it expires at a time that makes no sense",
        Ignored::Expired => "it had expired before it came",
        Ignored::NotTheAuthor(_) => "it changes what somebody else has said",
        Ignored::Deleted(_) => "it changes a message that was deleted",
        Ignored::Versions(_) => "it changes a message whose versions make no sense",
        Ignored::Profile(fault) => return fault.to_string(),
    };
    why.into()
}
