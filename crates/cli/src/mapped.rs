//! A file as memory. This is the product's only unsafe code.
//!
//! An AEAD takes a message as one slice. Only mapped memory makes a file of any length a slice: the system moves it between
//! disk and memory page by page.
#![allow(unsafe_code, reason = "mapping a file cannot be safe: see Mapped::of")]

use memmap2::MmapMut;
use std::fs::File;
use std::io;

/// A file's content, to be changed where it lies.
pub(crate) struct Mapped(MmapMut);

impl Mapped {
    /// Maps a file that nobody else may change or shorten meanwhile. It has to be one of this process's own, in a folder
    /// and with a mode that keep others out.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes are those of a file that only this user can open, in the folder of a device whose state this
        // process has locked. One thread has it, which neither writes to the file nor shortens it as long as this lives.
        // So nothing else changes the slice, and no page of it goes away.
        unsafe { MmapMut::map_mut(file) }.map(Self)
    }

    pub(crate) fn content(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Writes what was changed into the file.
    pub(crate) fn write(self) -> io::Result<()> {
        self.0.flush()
    }
}
