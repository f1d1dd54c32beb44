//! Events as JSON.

use conclave_client::{
    Body, Content, DeviceId, Engine, Entry, GroupId, GroupView, MessageExpiration, MimiMessage,
    Name, News, PeekedGroup, PeekedMessage, Phase, ProfileView, RoomChange, RoomPolicy, expires_at,
    mentions_in, now, optionality_word, policy_sentence,
};
use conclave_content::{Chosen, Meaning, MessageId, Part, PictureFormat, safe};
use conclave_delivery_api::to_hex;
use conclave_mls::crypto::CryptoProvider;
use conclave_store::Store;
use serde_json::{Map, Value, json};

/// A room as events name it.
pub(super) fn room(id: &GroupId, name: &str) -> Value {
    json!({ "id": to_hex(id), "name": name })
}

fn device(id: &DeviceId) -> Value {
    json!({ "user": id.user.as_str(), "device": id.device.as_str() })
}

/// What happened, with what all events have.
pub(super) fn event<S: Store>(
    engine: &Engine<S>,
    cursor: Option<u64>,
    of: Option<(&GroupId, &str)>,
    news: &News,
) -> Value {
    let fields = match fields(engine, of.map(|(id, _)| id), news) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    whole(fields, cursor, of)
}

/// Completes an event with the fields that all events have.
fn whole(
    mut event: Map<String, Value>,
    cursor: Option<u64>,
    of: Option<(&GroupId, &str)>,
) -> Value {
    event.insert("cursor".into(), cursor.into());
    event.insert("room".into(), of.map(|(id, name)| room(id, name)).unwrap_or_default());
    for name in ["seq", "time", "sender", "text", "message_id"] {
        event.entry(name).or_insert(Value::Null);
    }
    event.entry("own").or_insert(Value::Bool(false));
    Value::Object(event)
}

/// A message that waits. It has no cursor: only the process that has the device acknowledges it.
pub(crate) fn waiting(
    provider: &dyn CryptoProvider,
    group: &PeekedGroup,
    message: &PeekedMessage,
) -> Value {
    let PeekedMessage { seq, time, sender, content } = message;
    let mut event = said(MimiMessage::peeked(provider, group, message).as_ref(), content);
    event.insert("seq".into(), (*seq).into());
    event.insert("time".into(), (*time).into());
    event.insert("sender".into(), device(sender));
    whole(event, None, Some((&group.group, &group.name)))
}

/// Something that waits and is not shown: what kind it is and, if they are counted, how many.
pub(crate) fn waiting_besides(
    kind: &str,
    group: Option<&PeekedGroup>,
    count: Option<u64>,
) -> Value {
    let mut event = Map::new();
    event.insert("kind".into(), kind.into());
    event.extend(count.map(|count| ("count".into(), count.into())));
    whole(event, None, group.map(|group| (&group.group, group.name.as_str())))
}

/// What is particular to a kind of event.
fn fields<S: Store>(engine: &Engine<S>, group: Option<&GroupId>, news: &News) -> Value {
    match news {
        News::Message { seq, time, sender, own, expiration, content, .. } => {
            let message =
                group.and_then(|group| MimiMessage::read(engine, group, (sender, *time), content));
            let expires_at = expires_at(message.as_ref(), *expiration, *time);
            let is_over = expires_at.is_some_and(|at| at <= now() / 1000);
            let mut said = if is_over {
                Map::from_iter([("kind".into(), "expired".into())])
            } else {
                said(message.as_ref(), content)
            };
            said.insert("seq".into(), (*seq).into());
            said.insert("time".into(), (*time).into());
            said.insert("sender".into(), device(sender));
            said.insert("own".into(), (*own).into());
            said.extend(expires_at.map(|at| ("expires_at".into(), at.into())));
            Value::Object(said)
        }
        News::Created { .. } => json!({ "kind": "created", "own": true }),
        News::Joined { seq, by, .. } => {
            json!({ "kind": "joined", "seq": seq, "sender": device(by) })
        }
        News::JoinedByLink { seq, maker, .. } => {
            json!({ "kind": "joined", "seq": seq, "link_of": device(maker) })
        }
        News::Added { seq, who, by, code } => json!({
            "kind": "added", "seq": seq, "who": device(who), "sender": device(by), "code": code,
        }),
        News::AddedByLink { seq, who, maker, code } => json!({
            "kind": "added", "seq": seq, "who": device(who), "link_of": device(maker), "code": code,
        }),
        News::LinkMade { text, max_uses, expires_at } => json!({
            "kind": "link", "link": text, "max_uses": max_uses, "expires_at": expires_at,
            "own": true,
        }),
        News::Invited { seq, by, code } => {
            json!({ "kind": "invited", "seq": seq, "sender": device(by), "code": code })
        }
        News::Removed { seq, who, by } => {
            json!({ "kind": "removed", "seq": seq, "who": device(who), "sender": device(by) })
        }
        News::Leaving { seq, who } => {
            json!({ "kind": "leaving", "seq": seq, "who": device(who), "sender": device(who) })
        }
        News::Out { seq, by, left } => {
            json!({ "kind": "out", "seq": seq, "sender": device(by), "left": left })
        }
        News::Ended { successor } => {
            let successor = successor.as_ref().map(|id| to_hex(id));
            json!({ "kind": "ended", "successor": successor })
        }
        News::Replaces { old } => json!({ "kind": "replaces", "old": to_hex(old) }),
        News::Unreadable { seq, sender, reason } => json!({
            "kind": "unreadable", "seq": seq, "sender": device(sender), "text": reason,
        }),
        News::Room { seq, by, change } => {
            let (mut expiry, mut reports) = (Value::Null, Value::Null);
            let (what, text, user) = match change {
                RoomChange::Name(name) => ("name", name.clone(), None),
                RoomChange::Topic(topic) => ("topic", topic.clone(), None),
                RoomChange::Picture(uri) => ("picture", uri.clone(), None),
                RoomChange::Role { user, role } => ("role", role.clone(), Some(user.as_str())),
                RoomChange::Preauthorized { user, role } => {
                    ("preauthorized", role.clone().unwrap_or_default(), Some(user.as_str()))
                }
                RoomChange::Policy(policy) => {
                    (expiry, reports) = policies(core::slice::from_ref(policy));
                    let (what, text) = policy_text(policy);
                    (what, text, None)
                }
            };
            json!({
                "kind": "room", "seq": seq, "sender": device(by), "change": what, "text": text,
                "user": user, "expiry": expiry, "reports": reports,
            })
        }
        News::StateCopied { since, .. } => json!({ "kind": "state-copied", "since": since }),
        News::KeyRenewed => json!({ "kind": "key-renewed" }),
        News::Rejoined { seq, missed } => {
            json!({ "kind": "rejoined", "seq": seq, "missed": missed })
        }
        News::RejoinLimited { until } => json!({ "kind": "rejoin-limited", "until": until }),
        News::Waits { reason } => about("waits", reason.code(), reason),
        News::Failed { reason } => about("failed", reason.code(), reason),
        News::NotDone { reason } => about("not-done", reason.code(), reason),
        News::Alarm { warning } => about("alarm", warning.code(), warning),
        News::Note { notice } => about("note", notice.code(), notice),
    }
}

/// What the engine says, with its word for it.
fn about(kind: &str, code: &str, what: &dyn core::fmt::Display) -> Value {
    json!({ "kind": kind, "reason": code, "text": what.to_string() })
}

/// What a message says.
fn said(message: Option<&MimiMessage>, content: &Content) -> Map<String, Value> {
    let mut said = Map::new();
    if let Some(text) = content.text() {
        said.insert("kind".into(), "text".into());
        said.insert("text".into(), text.into());
        return said;
    }
    said.insert("kind".into(), "unknown".into());
    said.insert("media_type".into(), content.media_type().into());
    said.insert("bytes".into(), content.bytes().len().into());
    if let Some(message) = message {
        said.extend(mimi(message));
    }
    said
}

/// What a message in MIMI's format says.
fn mimi(message: &MimiMessage) -> Map<String, Value> {
    let mut said = Map::new();
    said.insert("message_id".into(), to_hex(&message.id().0).into());
    let of = |said: &mut Map<String, Value>, id: &MessageId| {
        said.insert("of".into(), to_hex(&id.0).into());
    };
    let (kind, body) = match message.meaning() {
        Meaning::Text(body) => ("text", Some(body)),
        Meaning::Reply { to, body } => {
            of(&mut said, &to.id);
            ("reply", Some(body))
        }
        Meaning::Reaction { to, with } => {
            to.iter().for_each(|to| of(&mut said, &to.id));
            ("reaction", Some(with))
        }
        Meaning::Edit { of: edited, body } => {
            of(&mut said, &edited.id);
            ("edit", Some(body))
        }
        Meaning::Delete { of: deleted } => {
            of(&mut said, &deleted.id);
            ("deletion", None)
        }
        Meaning::Attachment(body) => ("attachment", Some(body)),
        Meaning::Session(body) => ("session", Some(body)),
        Meaning::Status(_) => ("status", None),
        Meaning::Profile(profile) => {
            let picture = profile.picture();
            let picture = picture.map(|of| (of.format(), of.bytes().len() as u64));
            said.insert("text".into(), profile.name().into());
            said.insert("picture".into(), picture_of_user(picture));
            ("profile", None)
        }
        Meaning::Empty => ("empty", None),
        Meaning::Ignored(_) => ("ignored", None),
        Meaning::Unknown(_) => return said,
    };
    said.insert("kind".into(), kind.into());
    if let Some(body) = body {
        let texts = message.texts(&body);
        said.insert("text".into(), texts.text.into());
        if let Some(markdown) = texts.markdown {
            let mentions = texts.mentions.iter().map(Name::as_str);
            said.insert("mentions".into(), mentions.collect::<Vec<_>>().into());
            said.insert("markdown".into(), markdown.into());
        }
        let attachments = attachments(&body);
        if !attachments.is_empty() {
            said.insert("attachments".into(), attachments.into());
        }
    }
    said
}

fn attachments(body: &Chosen<'_>) -> Vec<Value> {
    let external = body.leaves.iter().filter_map(|leaf| match &leaf.part.part {
        Part::External(part) => Some(json!({
            // As it can be used: what its sender suggests may be a path.
            "file_name": safe::file_name(&part.filename).unwrap_or_default(),
            "media_type": part.content_type, "size": part.size,
        })),
        _ => None,
    });
    external.collect()
}

/// A message that a messenger keeps, as it is now.
pub(super) fn kept(own: &DeviceId, (id, name): (&GroupId, &str), entry: &Entry) -> Value {
    let kind = match &entry.body {
        Body::Deleted { .. } => "deletion",
        Body::Unknown { .. } => "unknown",
        Body::Said { .. } if entry.reply_to.is_some() => "reply",
        Body::Said { text, attachments, .. } if text.is_empty() && !attachments.is_empty() => {
            "attachment"
        }
        Body::Said { .. } => "text",
    };
    let sender = entry.device.parse::<DeviceId>().ok();
    let mut event = json!({
        "cursor": null, "room": room(id, name), "kind": kind, "seq": entry.number,
        "time": entry.time, "sender": sender.as_ref().map(device),
        "own": sender.as_ref() == Some(own), "text": entry.body.readable(),
        "message_id": to_hex(&entry.id.0),
    });
    let Some(fields) = event.as_object_mut() else { return event };
    match &entry.body {
        Body::Said { text, markdown: true, .. } => {
            let mentions = mentions_in(entry);
            let mentions: Vec<&str> = mentions.iter().map(Name::as_str).collect();
            fields.insert("mentions".into(), mentions.into());
            fields.insert("markdown".into(), text.as_str().into());
        }
        Body::Unknown { media_type, size } => {
            fields.insert("media_type".into(), media_type.as_str().into());
            fields.insert("bytes".into(), (*size).into());
        }
        Body::Said { .. } | Body::Deleted { .. } => {}
    }
    if let Some(at) = entry.expires_at {
        fields.insert("expires_at".into(), at.into());
    }
    if let Some(by) = &entry.given_by {
        fields.insert("given_by".into(), by.as_str().into());
    }
    if let Some(quote) = &entry.reply_to {
        fields.insert("of".into(), to_hex(&quote.id.0).into());
    }
    let attachments = entry.body.attachments().iter().map(|attachment| {
        json!({
            "file_name": attachment.file_name.as_deref().unwrap_or_default(),
            "media_type": attachment.media_type, "size": attachment.size.unwrap_or_default(),
        })
    });
    let attachments: Vec<Value> = attachments.collect();
    if !attachments.is_empty() {
        fields.insert("attachments".into(), attachments.into());
    }
    event
}

/// Which policy of a room this is, and what it says as text: of history in seconds, of others in words.
fn policy_text(policy: &RoomPolicy) -> (&'static str, String) {
    match policy {
        RoomPolicy::History(seconds) => ("history", seconds.unwrap_or_default().to_string()),
        RoomPolicy::Expiry(_) => ("expiry", policy_sentence(policy)),
        RoomPolicy::Reports(_) => ("reports", policy_sentence(policy)),
    }
}

/// What policies say of expiry, and of reports of what has arrived and was read; null if they say nothing.
fn policies(policies: &[RoomPolicy]) -> (Value, Value) {
    let (mut expiry, mut reports) = (Value::Null, Value::Null);
    for policy in policies {
        match policy {
            RoomPolicy::Expiry(MessageExpiration::Forbidden) => {
                expiry = json!({ "mode": "forbidden" });
            }
            RoomPolicy::Expiry(MessageExpiration::Allowed { required, min, max, default }) => {
                let mode = if *required { "required" } else { "optional" };
                expiry = json!({ "mode": mode, "min": min, "max": max, "default": default });
            }
            RoomPolicy::Reports(policy) => {
                let delivered = optionality_word(policy.delivery_notifications);
                let read = optionality_word(policy.read_receipts);
                reports = json!({ "delivered": delivered, "read": read });
            }
            // No field of a room says what new devices are given.
            RoomPolicy::History(_) => {}
        }
    }
    (expiry, reports)
}

/// A room, as `rooms` lists it.
pub(super) fn listed(group: &GroupView, of_room: &[RoomPolicy]) -> Value {
    let (state, by, why) = match &group.phase {
        Phase::Creating => ("creating", None, None),
        Phase::Member => ("member", None, None),
        Phase::Invited { by } => ("invited", Some(device(by)), None),
        Phase::Leaving => ("leaving", None, None),
        Phase::Stuck { reason } => ("stuck", None, Some(reason.code())),
        Phase::Ended => ("ended", None, None),
        Phase::Removed => ("removed", None, None),
        Phase::Left => ("left", None, None),
    };
    let (expiry, reports) = policies(of_room);
    json!({
        "id": to_hex(&group.id),
        "name": group.name,
        "state": state,
        "invited_by": by,
        "reason": why,
        "epoch": group.epoch,
        "members": group.members,
        "to_do": group.to_do,
        "expiry": expiry,
        "reports": reports,
    })
}

/// What a user says of themselves.
pub(super) fn profile(user: &Name, profile: Option<ProfileView<'_>>) -> Value {
    json!({
        "user": user.as_str(),
        "name": display_name(profile),
        "picture": picture_of_user(profile.and_then(|profile| profile.picture)),
    })
}

fn display_name(profile: Option<ProfileView<'_>>) -> Option<&str> {
    profile.map(|profile| profile.name).filter(|name| !name.is_empty())
}

fn picture_of_user(picture: Option<(PictureFormat, u64)>) -> Value {
    let what = |(format, size): (PictureFormat, u64)| json!({ "media_type": format.media_type(), "size": size });
    picture.map(what).unwrap_or_default()
}

/// A member of a room.
pub(super) fn member(member: &conclave_client::Member, profile: Option<ProfileView<'_>>) -> Value {
    json!({
        "user": member.device.user.as_str(),
        "device": member.device.device.as_str(),
        "own": member.own,
        "code": member.code,
        "display_name": display_name(profile),
    })
}
