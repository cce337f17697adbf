//! Lets libFuzzer try [`fuzz::manifest`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::manifest(bytes));
