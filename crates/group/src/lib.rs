//! Groups of MLS (RFC 9420 sections 10 to 12, 14 and 15).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod rows;
