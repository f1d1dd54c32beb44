#![no_main]

use conclave_provider_rustcrypto::RustCrypto;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    conclave_directory::fuzz::proofs(&RustCrypto::new(), bytes);
});
