//! The application's own rows, in the store of the engine.

use conclave_store::{Secret, WriteSet};

/// Stands before the names of the application's tables: no namespace of the engine's begins like this.
const PREFIX: &str = "app/";

/// The namespace of one of the application's tables.
pub(crate) fn namespace(table: &str) -> String {
    format!("{PREFIX}{table}")
}

/// Changes of the application's own rows: any number of tables, which the application names, of rows that are ordered
/// by key.
///
/// The engine never reads or changes them. They are written in one step with what else is written:
/// [`Engine::acknowledge_with`](crate::Engine::acknowledge_with) says what that is good for. An encrypted store seals
/// the values. It seals neither keys nor the names of tables: those should say nothing about people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppRows(WriteSet);

impl AppRows {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row.
    pub fn put(&mut self, table: &str, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.put(namespace(table), key, value);
    }

    /// Writes a row with a value that is a secret already.
    pub fn put_secret(&mut self, table: &str, key: impl Into<Vec<u8>>, value: Secret) {
        self.0.put_secret(namespace(table), key, value);
    }

    /// Deletes a row, if it is there.
    pub fn delete(&mut self, table: &str, key: impl Into<Vec<u8>>) {
        self.0.delete(namespace(table), key);
    }

    /// Adds later changes.
    pub fn merge(&mut self, later: Self) {
        self.0.merge(later.0);
    }

    /// Whether this changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add_to(&self, set: &mut WriteSet) {
        set.app.extend(self.0.app.iter().cloned());
    }
}
