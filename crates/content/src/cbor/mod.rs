//! Deterministic CBOR (RFC 8949 section 4.2.1) over `cbor4ii`, which knows the items but not all of the rules.

mod float;
mod reader;
mod value;
mod writer;

pub use value::Value;

pub(crate) use reader::{Item, Reader};
pub(crate) use value::{MapKeys, read_key};
pub(crate) use writer::Writer;
