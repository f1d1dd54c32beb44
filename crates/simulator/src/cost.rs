//! What a device costs.

/// The calls that one device has made so far, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) calls: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}
