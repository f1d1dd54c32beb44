//! `docs/api.md`.

use super::calls::{ALWAYS, Entry, Example, OF_CLIENTS, OF_SESSIONS, Topic, WITH_DETAILS};
use super::described::{Structure, prose};
use super::events;
use super::types::{Other, others, structures};
use crate::accounts::signed_content;
use crate::{
    CLIENT_HEADER, CONTENT_TYPE, Call, ERROR_HEADER, EVENTS_PATH, Encode, ErrorCode, FetchInbox,
    LAST_EVENT_HEADER, MAX_BODY, MAX_PAGE, MAX_PART, Mode, PAGE_BYTES, PROOF_HEADER, sha256,
    to_hex,
};

/// The digits of a line: 32 bytes.
const DIGITS: usize = 64;

fn introduction() -> String {
    format!(
        "# The API of the delivery service

What `conclave serve` and its clients say to each other, byte by byte: enough to write a client in another language.
[`openapi.json`](openapi.json) says the same to tools (OpenAPI 3.1). Both files are made from the code by a test of
`crates/delivery-api`, which fails when they are behind it.

## Calls

A call is a `POST` over HTTP/1.1 to the call's path. Its body is the encoded request (`content-type: {CONTENT_TYPE}`).
If the service does what is asked, it answers with the status 200 and the encoded reply as the body. The header
`x-conclave-request` of a response names the request, as the service's log does.

A client says which it is, and its version, in three numbers:

```text
{CLIENT_HEADER}: NAME/MAJOR.MINOR.PATCH
```

A service can set the oldest version of each client that it serves. `minimum_clients` of
[`describe-service`](#describe-service), which every client may call, lists them. All other calls by older clients,
and by clients without the header, are refused as `client-outdated`.

Structures are declared in the presentation language of TLS (RFC 8446 section 3), with `optional<T>` and the vectors
`<V>` of variable size that RFC 9420 sections 2.1.1 and 2.1.2 add. Numbers are big-endian. A body ends with the last
byte of its structure. Objects of MLS are encoded MLSMessages (RFC 9420 section 6), which the service keeps byte for
byte; a ratchet tree is the data of a `ratchet_tree` extension (section 12.4.3.3).

| name | value | what it is |
|---|---|---|
| `MAX_BODY` | {MAX_BODY} | the most bytes of a body, unless the service is set up otherwise |
| `MAX_PAGE` | {MAX_PAGE} | the most entries of a page |
| `PAGE_BYTES` | {PAGE_BYTES} | a page ends with the entry that makes it this long, in bytes |
| `MAX_PART` | {MAX_PART} | the most bytes of a part of an attachment |
| `SESSION_SCHEME` | Ed25519 | the signature scheme of session keys and of the service's key |

"
    )
}

fn signatures() -> String {
    let (token, body) = ("3f3f", FetchInbox { limit: 100 }.to_bytes().unwrap());
    let content = signed_content((token, FetchInbox::PATH), 12, &sha256(&body)).unwrap();
    let (content, body) = (digits(&vec![("SignContent", content)]), to_hex(&body));
    format!(
        "## Sessions

[`open-session`](#open-session) opens a session: it shows that the caller has a device's key or a user's recovery
key, and introduces a key pair that the caller made for this session. Calls of a session have two more headers:

```text
authorization: Bearer TOKEN
{PROOF_HEADER}: NUMBER SIGNATURE
```

`TOKEN` is that of [`OpenedSession`](#open-session). `NUMBER` is a decimal number from 1 that no other request of
the session has; requests may overtake each other by up to 63. `SIGNATURE` is in hexadecimal, of Ed25519:
`SignWithLabel(session key, \"Conclave request\", RequestContent)` (RFC 9420 section 5.1.2).

```text
struct {{
    opaque token<V>;        // as in the header
    opaque path<V>;         // of the call, as `/v1/fetch-log`
    uint64 number;
    opaque body_hash<V>;    // SHA-256 of the body
}} RequestContent;
```

To repeat a request, sign it again with another number. For example, these are the bytes that are signed for request
12 of the session with the token `{token}`: [`fetch-inbox`](#fetch-inbox) with the body `{body}`.

```text
{content}```

The signature in a request to open a session is by the device's or the recovery key, in that key's scheme,
`SignWithLabel(key, \"Conclave session\", SessionContent)`:

```text
struct {{
    opaque service_key<V>;  // the `key` of describe-service
    Name user;
    Author author;
    SignaturePublicKey key;
    SignaturePublicKey session_key;
    uint64 issued_at;
}} SessionContent;
```

Sessions end when their time is over, with the service's process, and when their device is revoked or gets another
key, or its user is blocked: the next request is refused as `unauthorized`.

"
    )
}

fn errors() -> String {
    let mut text = format!(
        "## Errors

A refusal has a status that is not 200, the name of its error in the header `{ERROR_HEADER}`, and a sentence for
people as its body (`text/plain`, UTF-8). With the errors {}, which carry details that a client can act on, the body
is a [`Refusal`](#refusal) instead (`{CONTENT_TYPE}`, up to 64 KiB). A refusal has changed nothing, except that after `unavailable` nobody knows: to
send the request again does no harm. `rate-limited`, `overloaded` and `unavailable` come with `retry-after`, in
seconds.

Every call can be refused as {}. Every
call but `describe-service` can be refused as {}, too.
Every call of a session can be refused as {}, too. The table of
each call has the others.

| error | status | meaning |
|---|---|---|
",
        codes(WITH_DETAILS),
        codes(ALWAYS),
        codes(OF_CLIENTS),
        codes(OF_SESSIONS)
    );
    for code in ErrorCode::ALL {
        let meaning = prose(code.docs()).replace('\n', " ");
        text += &format!("| `{code}` | {} | {meaning} |\n", code.status());
    }
    text + "\n"
}

fn stream() -> String {
    let mut text = format!(
        "## Events

`GET {EVENTS_PATH}`, with the headers of a device's session and a signature over an empty body, is a stream of
Server-Sent Events (`text/event-stream`) without end. Events are hints: the logs and the inbox are the truth. A
stream begins with what there is, which `ready` ends; between two streams nothing is missed. Several events of a
kind may become one. A comment (`:`) comes every ten seconds at least. A service that stops says when to come back
(`retry:`, in milliseconds). `ready` has an identifier (`id:`): a client that sends the last one in the header
`{LAST_EVENT_HEADER}` when it comes back is told only of those groups whose logs have grown since the stream before began. Of an
identifier that the service does not know, it is told of all. A device has four streams unless the service is set up otherwise, and the next one ends
the oldest.

"
    );
    for (event, words) in events() {
        text += &format!(
            "{words}\n\n```text\n{}```\n\n",
            event.to_text().trim_end_matches('\n').to_string() + "\n"
        );
    }
    text
}

const VERSIONS: &str = "## Versions

`/v1/` in the paths is the version of all calls, and there is no other. What is promised of it stands in
[stability](stability.md). Structures have no room for additions: whoever decodes one takes exactly what is declared
here. Calls, errors and events may be added: a client goes by the status of an error that it does not know, and
passes over events that it does not know. Receipts, roots and entries of account logs are signed and kept, so each
has a version number.

";

fn codes(codes: &[ErrorCode]) -> String {
    let names: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    names.join(", ")
}

/// The longest body of a call.
pub(super) fn longest(entry: &Entry) -> &'static str {
    match (entry.is_long, entry.is_anonymous) {
        (false, _) => "64 KiB",
        (true, true) => "1 MiB",
        (true, false) => "`MAX_BODY`",
    }
}

pub(super) fn services(entry: &Entry) -> &'static str {
    match entry.mode {
        None => "all",
        Some(Mode::Accounts) => "with accounts",
        Some(Mode::Certificates) => "with certificates",
    }
}

fn overview(topics: &[Topic]) -> String {
    let mut text =
        String::from("## All calls\n\n| call | for | body up to | services |\n|---|---|---|---|\n");
    for entry in topics.iter().flat_map(|topic| &topic.calls) {
        let (name, who) = (entry.name, entry.who.words());
        let (longest, services) = (longest(entry), services(entry));
        text += &format!("| [`{name}`](#{name}) | {who} | {longest} | {services} |\n");
    }
    text + "\n"
}

/// The bytes of a value, part by part, in hexadecimal.
fn digits(example: &Example) -> String {
    if example.is_empty() {
        return "(no bytes)\n".into();
    }
    let width = example.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, bytes) in example {
        let digits = to_hex(bytes);
        for (n, line) in digits.as_bytes().chunks(DIGITS).enumerate() {
            let name = if n == 0 { name } else { "" };
            text += &format!("{name:width$}  {}\n", core::str::from_utf8(line).unwrap());
        }
    }
    text
}

fn call(entry: &Entry, reply: Option<&Structure>) -> String {
    let name = entry.name;
    let mut text = format!("### {name}\n\n{}\n\n", prose(entry.request.docs));
    let rows = [
        ("path", format!("`POST {}`", entry.path)),
        ("for", entry.who.words().into()),
        ("services", services(entry).into()),
        ("body", format!("up to {}", longest(entry))),
        ("limits", entry.limits.into()),
        ("sent again", entry.again.into()),
        ("errors", codes(&entry.further_errors())),
    ];
    text += "| | |\n|---|---|\n";
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("| {name} | {value} |\n");
    }

    text += &format!("\n```text\n{}", entry.request.declaration());
    match reply {
        Some(reply) => text += &format!("\n{}```\n\n", reply.declaration()),
        None => {
            let reply = entry.reply;
            let anchor = reply.to_lowercase();
            text += &format!("```\n\nThe reply is [`{reply}`](#{anchor}).\n\n");
        }
    }
    text +=
        &format!("A request, for example:\n\n```text\n{}```\n\n", digits(&entry.request_example));
    text + &format!("And a reply:\n\n```text\n{}```\n\n", digits(&entry.reply_example))
}

const TYPES: &str = "## Types

Entries of account logs are declared in [`entry.rs`](../crates/account/src/entry.rs) of `conclave-account`, which
checks them, too. Proofs of the directory are those of `conclave-directory`, whose `verify_lookup`, `verify_history`
and `verify_append_only` check them.

";

fn hand_written(other: &Other) -> String {
    let mut text = format!("### {}\n\n```text\n{}\n```\n\n", other.name, other.declaration);
    text += "For example:\n\n```text\n";
    text += &digits(&other.examples);
    text + "```\n\n"
}

pub(super) fn render(topics: &[Topic]) -> String {
    let structures = structures();
    let entries = || topics.iter().flat_map(|topic| &topic.calls);
    let is_nested = |name: &str| structures.iter().any(|one| one.types().any(|used| used == name));
    // A reply of one call stands with the call; what several use, among the types.
    let only_here =
        |name: &str| !is_nested(name) && entries().filter(|entry| entry.reply == name).count() == 1;

    let mut text = introduction() + &signatures() + &errors() + &stream() + VERSIONS;
    text += &overview(topics);
    for topic in topics {
        text += &format!("## {}\n\n", topic.title);
        for entry in &topic.calls {
            let reply = structures.iter().find(|one| one.name == entry.reply);
            text += &call(entry, reply.filter(|one| only_here(one.name)));
        }
    }

    text += TYPES;
    let shared = structures.iter().filter(|one| !only_here(one.name));
    let mut types: Vec<(&str, String)> = shared
        .map(|one| {
            let (docs, declaration) = (prose(one.docs), one.declaration());
            (one.name, format!("### {}\n\n{docs}\n\n```text\n{declaration}```\n\n", one.name))
        })
        .chain(others().iter().map(|one| (one.name, hand_written(one))))
        .collect();
    types.sort();
    types.iter().for_each(|(_, one)| text += one);
    text.trim_end().to_string() + "\n"
}
