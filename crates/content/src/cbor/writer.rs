//! Writing items, each in its shortest form.

use alloc::vec::Vec;
use cbor4ii::core::enc::{Encode, Error, Write};
use cbor4ii::core::types;
use core::convert::Infallible;

/// What has been written.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Write for Writer {
    type Error = Infallible;

    fn push(&mut self, input: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(input);
        Ok(())
    }
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn unsigned(&mut self, n: impl Into<u64>) {
        self.encode(&n.into());
    }

    /// Writes the integer −1 − n.
    pub(crate) fn negative(&mut self, n: u64) {
        self.encode(&types::Negative(n));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.encode(&types::Bytes(bytes));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.encode(&text);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.encode(&value);
    }

    pub(crate) fn null(&mut self) {
        self.encode(&types::Null);
    }

    /// Writes the beginning of an array, whose items follow.
    pub(crate) fn array(&mut self, count: usize) {
        written(types::Array::bounded(count, self));
    }

    /// Writes the beginning of a map, whose keys and values follow.
    pub(crate) fn map(&mut self, count: usize) {
        written(types::Map::bounded(count, self));
    }

    /// Writes an item that is encoded already.
    pub(crate) fn raw(&mut self, item: &[u8]) {
        self.0.extend_from_slice(item);
    }

    fn encode<T: Encode>(&mut self, item: &T) {
        written(item.encode(self));
    }
}

/// A writer that cannot fail does not fail.
fn written(result: Result<(), Error<Infallible>>) {
    debug_assert!(result.is_ok(), "{result:?}");
}
