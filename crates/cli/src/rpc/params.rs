//! The parameters of a request, each taken once; what is left over is refused.

use super::fault::Fault;
use serde_json::{Map, Value};

/// What was not taken yet.
pub(super) struct Params(Map<String, Value>);

impl Params {
    pub(super) fn new(params: Option<Value>) -> Result<Self, Fault> {
        match params {
            None => Ok(Self(Map::new())),
            Some(Value::Object(map)) => Ok(Self(map)),
            Some(_) => Err(Fault::params("params must be an object")),
        }
    }

    fn take<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(&value) {
                Some(value) => Ok(Some(value)),
                None => Err(Fault::params(format!("{name} must be {what}"))),
            },
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.take(name, "a string", |value| value.as_str().map(str::to_string))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, Fault> {
        self.take(name, "a number that is not negative", Value::as_u64)
    }

    /// A flag, which is not set unless it is given.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Fault> {
        Ok(self.take(name, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Fault> {
        let read = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|one| one.as_str().map(str::to_string)).collect()
        };
        self.take(name, "a list of strings", read)
    }

    pub(super) fn numbers(&mut self, name: &str) -> Result<Option<Vec<u64>>, Fault> {
        let read = |value: &Value| -> Option<Vec<u64>> {
            value.as_array()?.iter().map(Value::as_u64).collect()
        };
        self.take(name, "a list of numbers", read)
    }

    pub(super) fn end(self) -> Result<(), Fault> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Fault::params(format!("there is no parameter {name:?} here"))),
        }
    }
}

/// A parameter that has to be there.
pub(super) fn needed<T>(name: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::params(format!("{name} is missing")))
}
