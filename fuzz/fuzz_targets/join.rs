#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| conclave_testkit::fuzz::join(bytes));
