#![no_main]

use conclave_provider_rustcrypto::RustCrypto;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    conclave_account::fuzz::decode(bytes);
    conclave_account::fuzz::entries(&RustCrypto::new(), bytes);
});
