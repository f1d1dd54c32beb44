//! What a store keeps of a group, and how rows are encoded.

pub(crate) mod context_codec;
pub(crate) mod row_codec;
pub mod rows;
