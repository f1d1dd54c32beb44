#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    conclave_content::fuzz::decode(bytes);
    conclave_content::fuzz::built(bytes);
    conclave_content::fuzz::interpreted(bytes);
});
