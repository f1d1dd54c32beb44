//! As much of JSON Schema as docs/bot.schema.json is written in. What it does not know it refuses.

use serde_json::Value;
use std::path::Path;

pub(crate) struct Schema(Value);

impl Schema {
    pub(crate) fn published() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bot.schema.json");
        Self(serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
    }

    /// Why a value is not of a definition; nothing if it is.
    pub(crate) fn check(&self, definition: &str, value: &Value) -> Result<(), String> {
        let pointer = format!("/$defs/{definition}");
        let schema = self.0.pointer(&pointer).ok_or_else(|| format!("no {pointer}"))?;
        self.matches(schema, value).map_err(|why| format!("{definition}: {why} in {value}"))
    }

    fn matches(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = schema.as_object().unwrap();
        for (word, rule) in schema {
            let holds = match word.as_str() {
                "description" | "title" => true,
                "$ref" => {
                    let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                    self.check(name, value)?;
                    true
                }
                "type" => match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                },
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "anyOf" => self.count(rule, value) > 0,
                "oneOf" => self.count(rule, value) == 1,
                "required" => {
                    let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                    let missing: Vec<&str> =
                        names.filter(|name| value.get(name).is_none()).collect();
                    if !missing.is_empty() {
                        return Err(format!("{missing:?} missing"));
                    }
                    true
                }
                "properties" => {
                    for (name, of) in rule.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.matches(of, value).map_err(|why| format!("{name}: {why}"))?;
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    assert_eq!(rule, &Value::Bool(false));
                    let known = schema["properties"].as_object().unwrap();
                    let mut names = value.as_object().into_iter().flat_map(|object| object.keys());
                    match names.find(|name| !known.contains_key(*name)) {
                        Some(name) => return Err(format!("{name} is not described")),
                        None => true,
                    }
                }
                "items" => {
                    value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .try_for_each(|v| self.matches(rule, v))?;
                    true
                }
                "minimum" => value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()),
                "minLength" => {
                    value.as_str().is_none_or(|v| v.len() as u64 >= rule.as_u64().unwrap())
                }
                "maxLength" => {
                    value.as_str().is_none_or(|v| v.len() as u64 <= rule.as_u64().unwrap())
                }
                "minItems" => {
                    value.as_array().is_none_or(|v| v.len() as u64 >= rule.as_u64().unwrap())
                }
                "maxItems" => {
                    value.as_array().is_none_or(|v| v.len() as u64 <= rule.as_u64().unwrap())
                }
                "pattern" => {
                    assert_eq!(rule, "^([0-9a-f]{2})*$");
                    value.as_str().is_none_or(|v| {
                        v.len() % 2 == 0 && v.bytes().all(|b| b"0123456789abcdef".contains(&b))
                    })
                }
                other => panic!("the schema says {other}"),
            };
            if !holds {
                return Err(format!("not {word} {rule:.60}"));
            }
        }
        Ok(())
    }

    fn count(&self, rules: &Value, value: &Value) -> usize {
        let rules = rules.as_array().unwrap().iter();
        rules.filter(|rule| self.matches(rule, value).is_ok()).count()
    }
}
