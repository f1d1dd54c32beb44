//! Scripts in the format of the working group's configurations: a file holds scripts by name, a script is a list
//! of steps, a step names an actor and an action. Steps refer to messages by the number of the step that made
//! them.
//!
//! Names are read leniently (`forcePath` and `force_path` are one field), because the working group's files have
//! both. One action is an addition: `agree`, which compares all members' views. So is one field: `again` of
//! `installExternalPSK`, the number of a step whose PSK is stored again.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Scripts that belong together.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's name, without `.json`.
    pub name: String,
    /// Its scripts.
    pub scripts: Vec<Script>,
}

/// A script: its steps in order.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name in its file.
    pub name: String,
    /// What distinguishes it from others of the same name.
    pub note: String,
    pub(super) steps: Vec<Step>,
    /// All actors, in order of appearance.
    pub(super) actors: Vec<String>,
}

/// One step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) action: String,
    pub(super) actor: String,
    fields: Fields,
    /// The original text, for reports.
    pub(super) text: String,
}

/// The fields of a step, or of a proposal's description in it, by their plain names.
#[derive(Clone, Debug)]
pub(super) struct Fields(Map<String, Value>);

/// An extension, in the form of files.
#[derive(Clone, Debug)]
pub(super) struct ScriptedExtension {
    pub(super) kind: u32,
    pub(super) data: Vec<u8>,
}

impl Scenario {
    /// Reads a file's text.
    ///
    /// # Errors
    /// A description of the first mistake.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let at = |e: &dyn Display| format!("{name}: {e}");
        let file: Value = serde_json::from_str(text).map_err(|e| at(&e))?;
        let scripts = file.get("scripts").and_then(Value::as_object);
        let scripts = scripts.ok_or_else(|| at(&"there are no scripts"))?;
        let scripts = scripts.iter().map(|(script, steps)| {
            let steps = steps.as_array().map(Vec::as_slice).unwrap_or_default();
            Script::new(script, steps).map_err(|e| at(&format!("{script}: {e}")))
        });
        Ok(Self { name: name.to_owned(), scripts: scripts.collect::<Result<_, _>>()? })
    }
}

impl Script {
    pub(super) fn new(name: &str, steps: &[Value]) -> Result<Self, String> {
        let steps: Vec<Step> = steps.iter().map(Step::parse).collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        let named = steps.iter().flat_map(Step::people).filter(|who| !who.is_empty());
        let actors = named.filter(|who| seen.insert(who.clone())).collect();
        Ok(Self { name: name.to_owned(), note: String::new(), steps, actors })
    }
}

impl Step {
    fn parse(step: &Value) -> Result<Self, String> {
        let fields = Fields::of(step).ok_or("a step is no object")?;
        let action = fields.text("action").to_owned();
        if action.is_empty() {
            return Err(format!("a step without an action: {step}"));
        }
        let actor = fields.text("actor").to_owned();
        Ok(Self { action, actor, fields, text: step.to_string() })
    }

    /// All actors that the step names.
    fn people(&self) -> Vec<String> {
        let mut people = vec![self.actor.clone()];
        for field in ["joiner", "signer", "member", "proposer", "committer", "welcomer"] {
            people.push(self.text(field).to_owned());
        }
        for field in ["members", "joiners", "clients"] {
            people.extend(self.texts(field));
        }
        people
    }
}

impl std::ops::Deref for Step {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.fields
    }
}

/// A name without case and underscores.
fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

impl Fields {
    fn of(value: &Value) -> Option<Self> {
        let fields = value.as_object()?.iter();
        Some(Self(fields.map(|(name, value)| (plain(name), value.clone())).collect()))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&plain(name))
    }

    fn list(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// A text; empty if it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.list(name).iter().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A number; 0 if it is missing.
    pub(super) fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(Value::as_u64).unwrap_or_default()
    }

    /// The number of a step; none if the field is missing.
    pub(super) fn reference(&self, name: &str) -> Option<usize> {
        self.get(name).map(|_| self.step(name))
    }

    /// The number of a step; 0 if it is missing.
    pub(super) fn step(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    pub(super) fn steps(&self, name: &str) -> Vec<usize> {
        let numbers = self.list(name).iter().filter_map(Value::as_u64);
        numbers.map(|n| usize::try_from(n).unwrap_or(usize::MAX)).collect()
    }

    /// The expected types; none if the field is missing.
    pub(super) fn types(&self, name: &str) -> Option<Vec<u64>> {
        let list = self.get(name)?.as_array()?;
        Some(list.iter().filter_map(Value::as_u64).collect())
    }

    /// Descriptions of proposals.
    pub(super) fn descriptions(&self, name: &str) -> Vec<Self> {
        self.list(name).iter().filter_map(Self::of).collect()
    }

    pub(super) fn description(&self, name: &str) -> Option<Self> {
        Self::of(self.get(name)?)
    }

    pub(super) fn extensions(&self) -> Result<Vec<ScriptedExtension>, String> {
        let one = |value: &Value| {
            let fields = Self::of(value).ok_or("an extension is no object")?;
            let kind = u32::try_from(fields.number("extension_type"));
            let kind = kind.map_err(|_| "an extension type is over 32 bits")?;
            Ok(ScriptedExtension { kind, data: base64(fields.text("extension_data"))? })
        };
        self.list("extensions").iter().map(one).collect()
    }
}

/// Base64 with padding, as JSON carries bytes for gRPC.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for c in text.trim_end_matches('=').bytes() {
        let digit = (0u32..).zip(DIGITS).find(|(_, digit)| **digit == c);
        let (digit, _) = digit.ok_or_else(|| format!("{text:?} is not base64"))?;
        bits = bits << 6 | digit;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }

    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Scenario, base64};

    #[test]
    fn extension_data_is_base64() {
        for (text, bytes) in
            [("", &b""[..]), ("AAAA", &[0; 3]), ("AA==", &[0]), ("/+8=", &[255, 239])]
        {
            assert_eq!(base64(text).unwrap(), bytes, "{text}");
        }
        assert!(base64("A-A=").is_err());
    }

    #[test]
    fn fields_are_found_in_either_spelling_and_actors_wherever_they_are_named() {
        let text = r#"{"scripts": {"one": [
            {"action": "createGroup", "actor": "a", "members": ["b"]},
            {"action": "fullCommit", "actor": "b", "forcePath": true, "external_tree": true,
             "byValue": [{"proposalType": "groupContextExtensions",
                          "extensions": [{"extension_type": 3, "extension_data": "AAAA"}]}]},
            {"action": "externalJoin", "actor": "a", "joiner": "c", "psks": [1]}
        ]}}"#;
        let scenario = Scenario::parse("file", text).unwrap();
        let script = &scenario.scripts[0];
        assert_eq!(script.actors, ["a", "b", "c"]);
        let commit = &script.steps[1];
        assert!(commit.flag("force_path") && commit.flag("externalTree"));
        let extensions = commit.descriptions("by_value")[0].extensions().unwrap();
        assert_eq!((extensions[0].kind, extensions[0].data.len()), (3, 3));
        assert_eq!(script.steps[2].steps("psks"), [1]);
        assert!(Scenario::parse("file", "{}").is_err());
        assert!(Scenario::parse("file", r#"{"scripts": {"one": [{"actor": "a"}]}}"#).is_err());
    }
}
