//! Lets libFuzzer try [`fuzz::oci`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::oci(bytes));
