//! What is on the heap, counted.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// The system's allocator, which counts bytes once a measurement has begun: the global allocator of a program that measures
/// memory.
#[derive(Debug)]
pub struct CountingHeap;

static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

fn note(bytes: i64) {
    // Threads do not contend for the counters unless something is measured.
    if COUNTS.load(Relaxed) {
        let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
        if bytes > 0 {
            PEAK.fetch_max(live, Relaxed);
        }
    }
}

/// A size in bytes, which never exceeds [`isize::MAX`] in a layout.
fn size(bytes: usize) -> i64 {
    bytes as i64
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(size(layout.size()));
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(size(layout.size()));
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(size(new_size) - size(layout.size()));
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(-size(layout.size()));
        // SAFETY: the caller keeps the contract of the same method.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Begins to count.
pub(crate) fn count() {
    COUNTS.store(true, Relaxed);
}

/// How many bytes have been allocated and not freed since [`count`].
pub(crate) fn live() -> i64 {
    LIVE.load(Relaxed)
}

/// Sets the peak to what is allocated now.
pub(crate) fn begin_peak() {
    PEAK.store(live(), Relaxed);
}

/// The highest value of [`live`] since [`begin_peak`].
pub(crate) fn peak() -> i64 {
    PEAK.load(Relaxed)
}
