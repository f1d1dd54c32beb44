//! Requests line by line, for a service in another language that runs this beside itself.

use super::json::{base64, group, group_info, key_package, message, verdict, welcome};
use crate::failure::Failure;
use crate::input::{now, parse_base64};
use conclave_mls::UnixTime;
use conclave_validator::{Answers, GroupState, Refusal, Validator};
use serde_json::{Value, json};
use std::io::{BufRead, Read, Write};

/// The longest line, in bytes: a group of a million members fits.
const MAX_LINE: u64 = 1 << 30;

/// Why a request is not answered by a verdict.
enum Fault {
    /// It is no request.
    Request(String),
    /// What it asks about is not valid.
    Refused(Refusal),
}

impl From<Refusal> for Fault {
    fn from(e: Refusal) -> Self {
        Self::Refused(e)
    }
}

/// Answers each line until the input ends.
///
/// # Errors
/// If it cannot be read, the output cannot be written, or a line is too long.
pub(super) fn answer(
    validator: &Validator<'_>,
    mut input: impl BufRead,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            return Err(format!("a line has more than {MAX_LINE} bytes").into());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        writeln!(output, "{}", reply(validator, &line))?;
        output.flush()?;
    }
}

fn reply(validator: &Validator<'_>, line: &[u8]) -> Value {
    let request: Value = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(e) => return fault(&Value::Null, &format!("the line is no JSON: {e}")),
    };
    let id = request.get("id").cloned().unwrap_or_default();
    let mut said = match judge(validator, &request) {
        Ok(valid) => verdict(Ok(valid)),
        Err(Fault::Refused(refusal)) => verdict(Err(refusal)),
        Err(Fault::Request(what)) => return fault(&id, &what),
    };
    if let Value::Object(fields) = &mut said {
        fields.insert("id".into(), id);
    }
    said
}

/// The answer to what is no request: it says nothing of whether something is valid.
fn fault(id: &Value, what: &str) -> Value {
    json!({ "id": id, "error": what })
}

fn judge(validator: &Validator<'_>, request: &Value) -> Result<Value, Fault> {
    let request = Request(request);
    match request.text("judge")? {
        "key-package" => {
            let valid = validator.key_package(&request.bytes("key_package")?, request.now()?)?;
            Ok(key_package(&valid))
        }
        "group" => {
            let tree = request.optional("ratchet_tree")?;
            let valid = validator.group(&request.bytes("group_info")?, tree.as_deref())?;
            Ok(with_state(group(&valid), &valid.state))
        }
        "message" => {
            let answers = Answers {
                app_data: request.list("app_data")?.into_iter().map(Into::into).collect(),
            };
            let valid =
                validator.message(&request.state()?, &request.bytes("message")?, &answers)?;
            if request.0.get("welcomes").is_some() {
                validator.welcomes(&valid, &request.list("welcomes")?)?;
            }
            Ok(with_state(message(&valid), &valid.next))
        }
        "group-info" => {
            let next = validator.group_info(&request.state()?, &request.bytes("group_info")?)?;
            Ok(with_state(group_info(&next), &next))
        }
        "welcome" => Ok(welcome(&validator.welcome(&request.bytes("welcome")?)?)),
        other => Err(Fault::Request(format!(
            "\"judge\" is {other:?}, not key-package, group, message, group-info or welcome"
        ))),
    }
}

/// A verdict with the state to store.
fn with_state(mut said: Value, state: &GroupState) -> Value {
    if let (Value::Object(fields), Ok(bytes)) = (&mut said, state.to_bytes()) {
        fields.insert("state".into(), base64(&bytes).into());
    }
    said
}

/// A request's fields.
struct Request<'a>(&'a Value);

impl Request<'_> {
    fn text(&self, field: &str) -> Result<&str, Fault> {
        let text = self.0.get(field).and_then(Value::as_str);
        text.ok_or_else(|| Fault::Request(format!("the request has no text {field:?}")))
    }

    fn bytes(&self, field: &str) -> Result<Vec<u8>, Fault> {
        decoded(self.text(field)?, field)
    }

    fn optional(&self, field: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.bytes(field).map(Some),
        }
    }

    fn list(&self, field: &str) -> Result<Vec<Vec<u8>>, Fault> {
        let wrong = || Fault::Request(format!("{field:?} is no list of texts"));
        let items = match self.0.get(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(value) => value.as_array().ok_or_else(wrong)?,
        };
        let item = |item: &Value| decoded(item.as_str().ok_or_else(wrong)?, field);
        items.iter().map(item).collect()
    }

    fn state(&self) -> Result<GroupState, Fault> {
        let bytes = self.bytes("state")?;
        GroupState::from_bytes(&bytes).map_err(|e| Fault::Request(e.to_string()))
    }

    /// The time to judge by: the request's, in seconds since 1970, or this machine's.
    fn now(&self) -> Result<UnixTime, Fault> {
        let wrong = || Fault::Request("\"now\" is no time in seconds since 1970".to_string());
        match self.0.get("now") {
            None | Some(Value::Null) => now().map_err(|e| Fault::Request(e.to_string())),
            Some(value) => value.as_u64().and_then(UnixTime::from_secs).ok_or_else(wrong),
        }
    }
}

fn decoded(text: &str, field: &str) -> Result<Vec<u8>, Fault> {
    parse_base64(text).ok_or_else(|| Fault::Request(format!("{field:?} is no base64")))
}
