#![no_main]

#[expect(dead_code, reason = "each target runs one entry")]
#[path = "../entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::codecs(data));
