//! `docs/openapi.json`. OpenAPI has no words for the bytes of a body, so their declarations are texts.

use super::calls::{Entry, Example, OF_CLIENTS, OF_SESSIONS, Topic, WITH_DETAILS};
use super::described::prose;
use super::json::{Json, object, text};
use super::page::{longest, services};
use super::types::{others, structures};
use crate::{
    CLIENT_HEADER, CONTENT_TYPE, ERROR_HEADER, EVENTS_PATH, ErrorCode, LAST_EVENT_HEADER,
    PROOF_HEADER, to_hex,
};
use std::collections::BTreeMap;

fn string() -> Json {
    object([("type", text("string"))])
}

/// A body, with an example in hexadecimal.
fn body(example: &Example) -> Json {
    let bytes: Vec<u8> = example.iter().flat_map(|(_, part)| part.clone()).collect();
    let schema = object([]);
    object([(CONTENT_TYPE, object([("schema", schema), ("x-hex-example", text(to_hex(&bytes)))]))])
}

/// The refusals, by their statuses.
fn refusals(codes: &[ErrorCode]) -> Vec<(String, Json)> {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(code.name());
    }
    let refusal = |(status, names): (u16, Vec<&str>)| {
        let mut bodies = vec![("text/plain", object([("schema", string())]))];
        if WITH_DETAILS.iter().any(|code| names.contains(&code.name())) {
            bodies.push((CONTENT_TYPE, object([("schema", object([]))])));
        }
        let bodies = bodies.into_iter().map(|(name, body)| (name.to_string(), body));
        let all = Json::List(names.iter().map(|name| text(*name)).collect());
        let schema = object([("type", text("string")), ("enum", all)]);
        let header = object([("required", Json::Flag(true)), ("schema", schema)]);
        let response = object([
            ("description", text(names.join(", "))),
            ("headers", object([(ERROR_HEADER, header)])),
            ("content", Json::Object(bodies.collect())),
        ]);
        (status.to_string(), response)
    };
    by_status.into_iter().map(refusal).collect()
}

fn responses(ok: Json, codes: &[ErrorCode]) -> Json {
    let mut responses = vec![("200".to_string(), ok)];
    responses.extend(refusals(codes));
    Json::Object(responses)
}

fn security(is_anonymous: bool) -> Json {
    if is_anonymous {
        return Json::List(vec![]);
    }
    let all = || Json::List(vec![]);
    Json::List(vec![object([("session", all()), ("proof", all())])])
}

/// What a call has in its head beside a session.
fn parameters() -> Json {
    Json::List(vec![object([
        ("name", text(CLIENT_HEADER)),
        ("in", text("header")),
        ("description", text("NAME/MAJOR.MINOR.PATCH of the client: docs/api.md#calls")),
        ("schema", string()),
    ])])
}

fn operation(topic: &Topic, entry: &Entry) -> Json {
    let docs = prose(entry.request.docs).replace('\n', " ");
    let summary = docs.split_once(". ").map_or(docs.trim_end_matches('.'), |(first, _)| first);
    let mut description =
        format!("{docs}\n\nFor {}. Services: {}.", entry.who.words(), services(entry));
    description += &format!(" A body of up to {}.", longest(entry));
    if !entry.limits.is_empty() {
        description += &format!(" Limits: {}.", entry.limits);
    }
    description += &format!(" Sent again: {}.", entry.again);
    let request = object([
        ("description", text(format!("{}, encoded", entry.request.name))),
        ("required", Json::Flag(true)),
        ("content", body(&entry.request_example)),
    ]);
    let reply = object([
        ("description", text(format!("{}, encoded", entry.reply))),
        ("content", body(&entry.reply_example)),
    ]);
    let post = object([
        ("operationId", text(entry.name)),
        ("tags", Json::List(vec![text(topic.title)])),
        ("summary", text(summary)),
        ("description", text(description)),
        ("parameters", parameters()),
        ("security", security(entry.is_anonymous)),
        ("requestBody", request),
        ("responses", responses(reply, &entry.errors())),
    ]);
    object([("post", post)])
}

/// Parameters, and where a stream goes on.
fn with_last_event(parameters: Json) -> Json {
    let Json::List(mut list) = parameters else { return parameters };
    list.push(object([
        ("name", text(LAST_EVENT_HEADER)),
        ("in", text("header")),
        ("description", text("The last `id:` that the device received: docs/api.md#events")),
        ("schema", string()),
    ]));
    Json::List(list)
}

fn events() -> Json {
    let codes = [
        OF_SESSIONS,
        OF_CLIENTS,
        &[ErrorCode::RateLimited, ErrorCode::Overloaded, ErrorCode::Unavailable],
    ];
    let reply = object([
        ("description", text("Server-Sent Events without end: docs/api.md#events")),
        ("content", object([("text/event-stream", object([("schema", string())]))])),
    ]);
    let get = object([
        ("operationId", text("events")),
        ("summary", text("Hints of what is new for a device")),
        ("parameters", with_last_event(parameters())),
        ("security", security(false)),
        ("responses", responses(reply, &codes.concat())),
    ]);
    object([("get", get)])
}

/// Every structure, in the presentation language.
fn declarations(topics: &[Topic]) -> Json {
    let mut all: Vec<(String, Json)> = others()
        .iter()
        .map(|one| (one.name.to_string(), text(one.declaration)))
        .chain(structures().iter().map(|one| (one.name.into(), text(one.declaration().trim_end()))))
        .collect();
    for entry in topics.iter().flat_map(|topic| &topic.calls) {
        all.push((entry.request.name.into(), text(entry.request.declaration().trim_end())));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Json::Object(all)
}

pub(super) fn render(topics: &[Topic]) -> String {
    let path = |topic, entry: &Entry| (entry.path.to_string(), operation(topic, entry));
    let mut paths: Vec<(String, Json)> = topics
        .iter()
        .flat_map(|topic| topic.calls.iter().map(move |entry| path(topic, entry)))
        .collect();
    paths.push((EVENTS_PATH.to_string(), events()));
    let session = object([("type", text("http")), ("scheme", text("bearer"))]);
    let proof = object([
        ("type", text("apiKey")),
        ("in", text("header")),
        ("name", text(PROOF_HEADER)),
        ("description", text("NUMBER SIGNATURE, by the session's key: docs/api.md#sessions")),
    ]);
    let info = object([
        ("title", text("Conclave's delivery service")),
        ("version", text("1")),
        ("description", text("Bodies are binary: docs/api.md, and `x-declarations`.")),
    ]);
    let schemes = object([("session", session), ("proof", proof)]);
    let whole = object([
        ("openapi", text("3.1.0")),
        ("info", info),
        ("paths", Json::Object(paths)),
        ("components", object([("securitySchemes", schemes)])),
        ("x-declarations", declarations(topics)),
    ]);
    whole.write(0) + "\n"
}
