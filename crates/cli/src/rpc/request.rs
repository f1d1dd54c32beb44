//! What a client can ask for.

use super::fault::Fault;
use super::params::{Params, needed};
use conclave_client::{
    ChosenExpiry, DeviceId, GroupId, MAX_CONTENT, Markup, MessageExpiration, Name, Optionality,
    RoomPolicy, StatusNotificationPolicy, Who,
};
use conclave_delivery_api::parse_hex;
use core::fmt::Display;
use core::str::FromStr;
use serde_json::Value;

/// The longest request, in bytes: a message of the largest size with room for its escapes.
pub(super) const MAX_REQUEST: usize = 2 * MAX_CONTENT;
/// The longest identifier that a client gives to a message, in bytes.
const MAX_ID: usize = 128;
/// The longest text that goes with a file, in bytes: there is room for the file in the message.
const MAX_FILE_TEXT: usize = MAX_CONTENT / 2;
/// The most messages of one answer.
const MAX_HISTORY: u64 = 1000;
/// The role of a preauthorized user, if none is named.
const USUAL_ROLE: &str = "member";
/// The most rooms, users or numbers in one request.
const MAX_LIST: usize = 1000;

/// A request, before it is known which device it is for.
#[derive(Debug)]
pub(super) struct Request {
    /// The id of the answer; none if the client wants no answer.
    pub(super) id: Option<Value>,
    /// The device, if it is named.
    pub(super) device: Option<String>,
    /// Whether the device first fetches what the service has for it.
    pub(super) fresh: bool,
    pub(super) method: Method,
}

/// A room, as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoomRef {
    Id(GroupId),
    Name(String),
}

#[derive(Clone, Debug)]
pub(super) enum Method {
    Devices,
    Rooms,
    Members(RoomRef),
    Send(Send),
    SendFile(SendFile),
    Save(Save),
    Invite(RoomRef, Vec<Who>),
    Remove(RoomRef, Vec<Who>),
    Create(String),
    Leave(RoomRef),
    Accept(RoomRef),
    Decline(RoomRef),
    SetPolicy(RoomRef, RoomPolicy),
    Preauthorized(RoomRef),
    /// Lets a user join in the role of this name; no longer, if there is none.
    Preauthorize(RoomRef, Name, Option<String>),
    History(RoomRef, usize),
    SetProfile(SetProfile),
    Profile(ProfileOf),
    Acknowledge(Acknowledge),
    Subscribe {
        cursor: u64,
        rooms: Vec<String>,
    },
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub(super) struct Send {
    pub(super) room: RoomRef,
    pub(super) text: String,
    pub(super) markup: Markup,
    /// When it disappears, if the client chooses that.
    pub(super) expiry: Option<ChosenExpiry>,
    /// The client's own name for the message: it is sent once, however often it is asked for.
    pub(super) id: Option<String>,
    /// Events up to this number are acknowledged in the same write.
    pub(super) acknowledge: Option<u64>,
    /// Whether the answer waits until the message is in the room's log.
    pub(super) wait: bool,
    /// Whether the message causes no event.
    pub(super) quiet: bool,
}

/// A file to be sent.
#[derive(Clone, Debug)]
pub(super) struct SendFile {
    pub(super) room: RoomRef,
    pub(super) path: String,
    /// What is said with it; may be empty.
    pub(super) text: String,
    /// When the message disappears, if the client chooses that.
    pub(super) expiry: Option<ChosenExpiry>,
    /// As of [`Send`].
    pub(super) id: Option<String>,
    /// Whether the answer waits until the message is in the room's log.
    pub(super) wait: bool,
    /// Whether the message causes no event.
    pub(super) quiet: bool,
    /// Whether the client is told how far the file is.
    pub(super) progress: bool,
}

/// Files of a message to be saved.
#[derive(Clone, Debug)]
pub(super) struct Save {
    pub(super) room: RoomRef,
    /// The message's number.
    pub(super) seq: u64,
    /// A folder, or where a new file is to be.
    pub(super) path: String,
    /// Whether the client is told how far the files are.
    pub(super) progress: bool,
}

/// What the device's user is to say of themselves. What is not given stays.
#[derive(Clone, Debug)]
pub(super) struct SetProfile {
    /// Empty for none.
    pub(super) name: Option<String>,
    /// Where the picture is; empty for none.
    pub(super) picture: Option<String>,
}

/// Whose profile is asked for.
#[derive(Clone, Debug)]
pub(super) struct ProfileOf {
    /// The device's own user, if nobody is named.
    pub(super) user: Option<Name>,
    /// Where a new file with the picture is to be.
    pub(super) path: Option<String>,
}

impl Method {
    /// Whether the client is told how far files are.
    pub(super) fn wants_progress(&self) -> bool {
        match self {
            Self::SendFile(send) => send.progress,
            Self::Save(save) => save.progress,
            _ => false,
        }
    }
}

/// Which events a client has.
#[derive(Clone, Debug)]
pub(super) enum Acknowledge {
    /// All up to a number; only those of rooms of these names, if there are any.
    UpTo { cursor: u64, rooms: Vec<String> },
    /// These.
    Only(Vec<u64>),
}

/// Reads a line. An error comes with the id of its answer.
pub(super) fn parse(line: &[u8]) -> Result<Request, (Value, Fault)> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|e| (Value::Null, Fault::no_json(format!("the line is no JSON: {e}"))))?;
    let Value::Object(mut request) = value else {
        return Err((Value::Null, Fault::request("a request is an object, alone on its line")));
    };
    let id = request.remove("id");
    let answer_to = id.clone().unwrap_or_default();
    if !matches!(answer_to, Value::Null | Value::String(_) | Value::Number(_)) {
        return Err((Value::Null, Fault::request("id must be a string or a number")));
    }

    let parsed = (|| {
        if request.remove("jsonrpc") != Some(Value::from("2.0")) {
            return Err(Fault::request("jsonrpc must be \"2.0\""));
        }
        let Some(Value::String(name)) = request.remove("method") else {
            return Err(Fault::request("method must be a string"));
        };
        let mut params = Params::new(request.remove("params"))?;
        if let Some(name) = request.keys().next() {
            return Err(Fault::request(format!("a request has no member {name:?}")));
        }
        let (device, fresh) = (params.text("device")?, params.flag("fresh")?);
        let method = method(&name, &mut params)?;
        params.end()?;
        Ok(Request { id, device, fresh, method })
    })();
    parsed.map_err(|fault| (answer_to, fault))
}

fn method(name: &str, params: &mut Params) -> Result<Method, Fault> {
    Ok(match name {
        "devices" => Method::Devices,
        "rooms" => Method::Rooms,
        "members" => Method::Members(room(params)?),
        "send" => Method::Send(send(params)?),
        "send_file" => Method::SendFile(send_file(params)?),
        "save" => Method::Save(save(params)?),
        "invite" => Method::Invite(room(params)?, who(params)?),
        "remove" => Method::Remove(room(params)?, who(params)?),
        "create" => Method::Create(needed("name", params.text("name")?)?),
        "leave" => Method::Leave(room(params)?),
        "accept" => Method::Accept(room(params)?),
        "decline" => Method::Decline(room(params)?),
        "set_expiry" => Method::SetPolicy(room(params)?, expiry(params)?),
        "set_reports" => Method::SetPolicy(room(params)?, reports(params)?),
        "preauthorized" => Method::Preauthorized(room(params)?),
        "preauthorize" => {
            let role = params.text("role")?.unwrap_or_else(|| USUAL_ROLE.into());
            Method::Preauthorize(room(params)?, user(params)?, Some(role))
        }
        "unpreauthorize" => Method::Preauthorize(room(params)?, user(params)?, None),
        "history" => {
            let limit = params.number("limit")?.unwrap_or(50);
            if limit > MAX_HISTORY {
                return Err(Fault::params(format!("limit must be at most {MAX_HISTORY}")));
            }
            Method::History(room(params)?, usize::try_from(limit).unwrap_or_default())
        }
        "set_profile" => Method::SetProfile(set_profile(params)?),
        "profile" => Method::Profile(profile_of(params)?),
        "acknowledge" => Method::Acknowledge(acknowledge(params)?),
        "subscribe" => {
            let cursor = params.number("cursor")?.unwrap_or_default();
            Method::Subscribe { cursor, rooms: rooms(params)? }
        }
        other => return Err(Fault::method(other)),
    })
}

fn room(params: &mut Params) -> Result<RoomRef, Fault> {
    match (params.text("room")?, params.text("room_name")?) {
        (Some(id), None) => {
            let id = parse_hex(&id)
                .ok_or_else(|| Fault::params("room must be an id, in hexadecimal"))?;
            Ok(RoomRef::Id(GroupId::from(id.as_slice())))
        }
        (None, Some(name)) => Ok(RoomRef::Name(name)),
        _ => Err(Fault::params("give either room, an id, or room_name")),
    }
}

fn bounded<T>(name: &str, list: Vec<T>) -> Result<Vec<T>, Fault> {
    match list.len() > MAX_LIST {
        true => Err(Fault::params(format!("{name} has at most {MAX_LIST} entries"))),
        false => Ok(list),
    }
}

fn rooms(params: &mut Params) -> Result<Vec<String>, Fault> {
    bounded("rooms", params.texts("rooms")?.unwrap_or_default())
}

fn who(params: &mut Params) -> Result<Vec<Who>, Fault> {
    let words = bounded("who", needed("who", params.texts("who")?)?)?;
    if words.is_empty() {
        return Err(Fault::params("who is empty"));
    }
    words.iter().map(|word| parse_who(word)).collect()
}

fn user(params: &mut Params) -> Result<Name, Fault> {
    parsed(&needed("user", params.text("user")?)?)
}

fn parse_who(word: &str) -> Result<Who, Fault> {
    match word.contains('/') {
        true => Ok(parsed::<DeviceId>(word)?.into()),
        false => Ok(Who { user: parsed(word)?, device: None }),
    }
}

/// The name of a user or of a device.
fn parsed<T: FromStr<Err: Display>>(word: &str) -> Result<T, Fault> {
    word.parse::<T>().map_err(|e| Fault::params(format!("{word:.64?}: {e}")))
}

/// The client's own name for a message.
fn message_id(params: &mut Params) -> Result<Option<String>, Fault> {
    let id = params.text("id")?;
    if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_ID) {
        return Err(Fault::params(format!("id has 1 to {MAX_ID} bytes")));
    }
    Ok(id)
}

/// A path, which means the same to the client and the daemon.
fn path(params: &mut Params) -> Result<String, Fault> {
    absolute("path", needed("path", params.text("path")?)?)
}

fn absolute(name: &str, path: String) -> Result<String, Fault> {
    match std::path::Path::new(&path).is_absolute() {
        true => Ok(path),
        false => Err(Fault::params(format!("{name} must be absolute"))),
    }
}

/// When a message is to disappear, if the client chooses that.
fn chosen_expiry(params: &mut Params) -> Result<Option<ChosenExpiry>, Fault> {
    let mut seconds = |name: &str| match params.number(name)?.map(u32::try_from).transpose() {
        Ok(Some(0)) | Err(_) => {
            Err(Fault::params(format!("{name} is a number of seconds from 1 to 2^32 - 1")))
        }
        Ok(seconds) => Ok(seconds),
    };
    match (seconds("expires")?, seconds("expires_after_reading")?) {
        (None, None) => Ok(None),
        (Some(seconds), None) => Ok(Some(ChosenExpiry::AfterSending(seconds))),
        (None, Some(seconds)) => Ok(Some(ChosenExpiry::AfterReading(seconds))),
        (Some(_), Some(_)) => Err(Fault::params("give expires or expires_after_reading, not both")),
    }
}

fn set_profile(params: &mut Params) -> Result<SetProfile, Fault> {
    let (name, picture) = (params.text("name")?, params.text("picture")?);
    if name.is_none() && picture.is_none() {
        return Err(Fault::params("give name or picture, or both"));
    }
    let picture = match picture {
        Some(path) if !path.is_empty() => Some(absolute("picture", path)?),
        removed_or_kept => removed_or_kept,
    };
    Ok(SetProfile { name, picture })
}

fn profile_of(params: &mut Params) -> Result<ProfileOf, Fault> {
    let (user, path) = (params.text("user")?, params.text("path")?);
    Ok(ProfileOf {
        user: user.map(|user| parsed(&user)).transpose()?,
        path: path.map(|path| absolute("path", path)).transpose()?,
    })
}

fn send_file(params: &mut Params) -> Result<SendFile, Fault> {
    let text = params.text("text")?.unwrap_or_default();
    if text.len() > MAX_FILE_TEXT {
        return Err(Fault::params(format!("text with a file has at most {MAX_FILE_TEXT} bytes")));
    }
    Ok(SendFile {
        room: room(params)?,
        path: path(params)?,
        text,
        expiry: chosen_expiry(params)?,
        id: message_id(params)?,
        wait: params.flag("wait")?,
        quiet: params.flag("quiet")?,
        progress: params.flag("progress")?,
    })
}

fn save(params: &mut Params) -> Result<Save, Fault> {
    Ok(Save {
        room: room(params)?,
        seq: needed("seq", params.number("seq")?)?,
        path: path(params)?,
        progress: params.flag("progress")?,
    })
}

fn send(params: &mut Params) -> Result<Send, Fault> {
    let id = message_id(params)?;
    let text = needed("text", params.text("text")?)?;
    if text.is_empty() || text.len() > MAX_CONTENT {
        return Err(Fault::params(format!("text has 1 to {MAX_CONTENT} bytes")));
    }
    Ok(Send {
        room: room(params)?,
        text,
        expiry: chosen_expiry(params)?,
        markup: if params.flag("markdown")? { Markup::Markdown } else { Markup::Plain },
        id,
        acknowledge: params.number("acknowledge")?,
        wait: params.flag("wait")?,
        quiet: params.flag("quiet")?,
    })
}

/// What a room's policy is to say of expiry.
fn expiry(params: &mut Params) -> Result<RoomPolicy, Fault> {
    let mut seconds = |name: &str| match params.number(name)?.map(u32::try_from).transpose() {
        Ok(seconds) => Ok(seconds),
        Err(_) => Err(Fault::params(format!("{name} is a number of seconds below 2^32"))),
    };
    let (min, max, default) = (seconds("min")?, seconds("max")?, seconds("default")?);
    let mode = optionality("mode", params)?;
    let policy = match (mode, max) {
        (Optionality::Forbidden, None) if min.is_none() && default.is_none() => {
            MessageExpiration::Forbidden
        }
        (Optionality::Forbidden, _) => {
            return Err(Fault::params("the mode forbidden takes no min, max or default"));
        }
        (Optionality::Required, None) => {
            return Err(Fault::params("max is missing: the mode required needs it"));
        }
        (mode, max) => MessageExpiration::Allowed {
            required: mode == Optionality::Required,
            min: min.unwrap_or_default(),
            max: max.unwrap_or(u32::MAX),
            default,
        },
    };
    if policy.is_consistent() && max != Some(0) {
        Ok(RoomPolicy::Expiry(policy))
    } else {
        Err(Fault::params("min must not be above default, default not above max, and max not 0"))
    }
}

/// What a room's policy is to say of reports of what has arrived and was read.
fn reports(params: &mut Params) -> Result<RoomPolicy, Fault> {
    Ok(RoomPolicy::Reports(StatusNotificationPolicy {
        delivery_notifications: optionality("delivered", params)?,
        read_receipts: optionality("read", params)?,
    }))
}

fn optionality(name: &str, params: &mut Params) -> Result<Optionality, Fault> {
    match needed(name, params.text(name)?)?.as_str() {
        "optional" => Ok(Optionality::Optional),
        "required" => Ok(Optionality::Required),
        "forbidden" => Ok(Optionality::Forbidden),
        _ => Err(Fault::params(format!("{name} is optional, required or forbidden"))),
    }
}

fn acknowledge(params: &mut Params) -> Result<Acknowledge, Fault> {
    let rooms = rooms(params)?;
    match (params.number("cursor")?, params.numbers("only")?) {
        (Some(cursor), None) => Ok(Acknowledge::UpTo { cursor, rooms }),
        (None, Some(only)) if rooms.is_empty() => Ok(Acknowledge::Only(bounded("only", only)?)),
        _ => Err(Fault::params("give either cursor, perhaps with rooms, or only")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> (Value, i64) {
        let (id, fault) = parse(line.as_bytes()).map(|_| ()).unwrap_err();
        (id, fault.number)
    }

    #[test]
    fn what_is_no_request_is_refused_with_jsonrpcs_numbers() {
        assert_eq!(fault("{"), (Value::Null, -32700));
        assert_eq!(fault(&"[".repeat(100_000)), (Value::Null, -32700));
        for line in ["[]", "1", "{}", r#"{"jsonrpc":"1.0","method":"rooms"}"#] {
            assert_eq!(fault(line), (Value::Null, -32600), "{line}");
        }
        let call = |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":7,{rest}}}"#);
        assert_eq!(fault(&call(r#""method":1"#)), (7.into(), -32600));
        assert_eq!(fault(&call(r#""method":"rooms","more":1"#)), (7.into(), -32600));
        assert_eq!(fault(&call(r#""method":"say""#)), (7.into(), -32601));
        for (method, params) in [
            ("rooms", r#"[]"#),
            ("rooms", r#"{"name":"lunch"}"#),
            ("members", "{}"),
            ("members", r#"{"room":"xy"}"#),
            ("members", r#"{"room":"00","room_name":"lunch"}"#),
            ("send", r#"{"room":"00"}"#),
            ("send", r#"{"room":"00","text":""}"#),
            ("send", r#"{"room":"00","text":"hi","id":""}"#),
            ("send", r#"{"room":"00","text":"hi","acknowledge":-1}"#),
            ("send_file", r#"{"room":"00","path":"relative"}"#),
            ("send_file", r#"{"room":"00","path":"/a","id":""}"#),
            ("save", r#"{"room":"00","path":"/a"}"#),
            ("save", r#"{"room":"00","seq":1}"#),
            ("invite", r#"{"room":"00","who":[]}"#),
            ("invite", r#"{"room":"00","who":["Bob"]}"#),
            ("history", r#"{"room":"00","limit":1001}"#),
            ("set_expiry", r#"{"room":"00"}"#),
            ("set_expiry", r#"{"room":"00","mode":"required"}"#),
            ("set_expiry", r#"{"room":"00","mode":"required","max":0}"#),
            ("set_expiry", r#"{"room":"00","mode":"optional","max":4294967296}"#),
            ("set_expiry", r#"{"room":"00","mode":"optional","min":2,"max":1}"#),
            ("set_expiry", r#"{"room":"00","mode":"forbidden","max":1}"#),
            ("set_reports", r#"{"room":"00","delivered":"required"}"#),
            ("set_reports", r#"{"room":"00","delivered":"required","read":"on"}"#),
            ("set_profile", "{}"),
            ("set_profile", r#"{"picture":"relative.png"}"#),
            ("profile", r#"{"user":"Bob"}"#),
            ("profile", r#"{"path":"relative.png"}"#),
            ("acknowledge", r#"{"only":[1],"rooms":["a"]}"#),
        ] {
            let line = call(&format!(r#""method":"{method}","params":{params}"#));
            assert_eq!(fault(&line), (7.into(), -32602), "{line}");
        }
    }

    #[test]
    fn a_request_is_read_as_it_is_meant() {
        let line = br#"{"jsonrpc":"2.0","id":"a","method":"send","params":
            {"device":"bot/main","room":"0aff","text":"hi","id":"x","acknowledge":3,"wait":true}}"#;
        let request = parse(line).unwrap();
        assert_eq!(request.id, Some("a".into()));
        assert_eq!(request.device.as_deref(), Some("bot/main"));
        let Method::Send(send) = request.method else { panic!() };
        assert_eq!(send.room, RoomRef::Id(GroupId::from([0x0a, 0xff].as_slice())));
        assert_eq!((send.id.as_deref(), send.acknowledge), (Some("x"), Some(3)));
        assert!(send.wait && !send.quiet && !request.fresh);
    }
}
