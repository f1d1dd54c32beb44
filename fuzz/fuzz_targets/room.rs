#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    conclave_room::fuzz::decode(bytes);
    conclave_room::fuzz::judged(bytes);
});
